"""How often to poll, and how often to check that the PBX still posts; other values for tests."""

from dataclasses import dataclass, field

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..pbx.rate_limiter import RateLimit

# Under one request in 10 s in the long run; the burst lasts for two minutes of polls, with conversations to read.
_BUDGET = RateLimit(burst=90, per_second=0.095, spare=0)


@dataclass(frozen=True, slots=True)
class PollTiming:
    """How often to poll, in seconds.

    Attributes:
        interval: between polls.
        pushed_interval: the same where the PBX says itself when to poll, and only a lost post needs to be made up for.
        answer_interval: the same as `interval` while an answer is likely soon.
        late_answer_interval: the same while an answer is still likely.
        answer_soon: how long after a text went out, or a question began to wait, an answer is likely soon.
        answer_late: how long after a text went out an answer is still likely; a question waits until its end.
        budget: how many requests the polls may take while an answer is likely; beyond it they come at `interval`.
        follow_ups: when to poll after something was announced; the PBX's lists lag.
        pause: between polls, however many posts come.
        first_wait: after a failure; the rate limiter waits longer where the PBX is away.
        longest_wait: after many failures.
        batch: how long messages of several conversations are gathered, so that they are reported in order.
        active: a conversation this fresh may have got another message that looks the same.
        apart: between two events; the state of an event entity is its time, to the millisecond.
    """

    interval: float = 30.0
    pushed_interval: float = 120.0
    answer_interval: float = 3.0
    late_answer_interval: float = 10.0
    answer_soon: float = 120.0
    answer_late: float = 300.0
    budget: RateLimit = _BUDGET
    follow_ups: tuple[float, ...] = (0.0, 1.5, 4.0, 10.0)
    pause: float = 0.3
    first_wait: float = 4.0
    longest_wait: float = 30.0
    batch: float = 1.0
    active: float = 60.0
    apart: float = 0.002


@dataclass(frozen=True, slots=True)
class PushTiming:
    """How often to check the PBX's event subscription, in seconds.

    Attributes:
        check: between checks.
        ask_again: until the next check where the PBX refuses.
        first_wait: after a failure.
        longest_wait: after many failures.
        end_within: how long ending a subscription may take.
    """

    check: float = 1800.0
    ask_again: float = 86400.0
    first_wait: float = 10.0
    longest_wait: float = 900.0
    end_within: float = 20.0


@dataclass(frozen=True, slots=True)
class QuestionTiming:
    """How long questions wait, in seconds.

    Attributes:
        poll_within: how long a question waits for one poll: before it is sent, so that what came before it is known,
            and when its time is up, so that what came in time is.
    """

    poll_within: float = 3.0


@dataclass(frozen=True, slots=True)
class ReceivingTiming:
    """The timing of all that receives."""

    poll: PollTiming = field(default_factory=PollTiming)
    push: PushTiming = field(default_factory=PushTiming)
    question: QuestionTiming = field(default_factory=QuestionTiming)


RECEIVING_TIMING: HassKey[ReceivingTiming] = HassKey(f"{DOMAIN}_receiving_timing")


@callback
def timing_of(hass: HomeAssistant) -> ReceivingTiming:
    """Return the timing that was set in ``hass.data`` before an account is set up, or the usual one."""
    return hass.data.get(RECEIVING_TIMING) or ReceivingTiming()
