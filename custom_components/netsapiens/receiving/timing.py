"""How often to poll, to check that the PBX still posts, and to connect; other values for tests."""

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
        backstop_interval: the same where the PBX announces messages, and only lost announcements are made up for.
        answer_interval: the same as `interval` while an answer is likely soon.
        late_answer_interval: the same while an answer is still likely.
        answer_soon: how long after a text went out, or a question began to wait, an answer is likely soon.
        answer_late: how long after a text went out an answer is still likely; a question waits until its end.
        budget: how many requests the polls may take while an answer is likely; beyond it they come at `interval`.
        follow_ups: when to poll after something was announced; the PBX's lists lag.
        pause: between polls, however much is announced.
        first_wait: after a failure; the rate limiter waits longer where the PBX is away.
        longest_wait: after many failures.
        batch: how long messages of several conversations are gathered, so that they are reported in order.
        active: a conversation this fresh may have got another message that looks the same.
        apart: between two events; the state of an event entity is its time, to the millisecond.
    """

    interval: float = 30.0
    backstop_interval: float = 135.0  # ±10 %: an idle home makes no two requests within 2 minutes
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
class ProofTiming:
    """What proves that texts are announced, in seconds.

    Attributes:
        before: how long before a text is found it may have been announced; the PBX's lists lag.
        after: how long after that its announcement may still come.
        echo: how close to a text of our own an announcement may be that one's.
        most_missed: how many texts in a row may miss their announcement, short of being deaf.
    """

    before: float = 15.0
    after: float = 5.0
    echo: float = 3.0
    most_missed: int = 3


@dataclass(frozen=True, slots=True)
class PushTiming:
    """How often to check the PBX's event subscription, in seconds.

    Attributes:
        check: between checks.
        ask_again: until the next check where the PBX refuses.
        first_wait: after a failure.
        longest_wait: after many failures.
        end_within: how long ending a subscription may take.
        proof: what proves that texts are posted; posts lag more than a connection does.
    """

    check: float = 1800.0
    ask_again: float = 86400.0
    first_wait: float = 10.0
    longest_wait: float = 900.0
    end_within: float = 20.0
    proof: ProofTiming = field(default_factory=lambda: ProofTiming(after=15.0))


@dataclass(frozen=True, slots=True)
class QuestionTiming:
    """How long questions wait, in seconds.

    Attributes:
        poll_within: how long a question waits for one poll: before it is sent, so that what came before it is known,
            and when its time is up, so that what came in time is.
    """

    poll_within: float = 3.0


@dataclass(frozen=True, slots=True)
class LiveTiming:
    """When to connect to the PBX's live server, in seconds.

    Attributes:
        start_within: how long after its start the first attempt comes, at random.
        connect_within: how long connecting may take.
        status_within: how long the answer to a subscription may take.
        close_within: how long each step of closing may take.
        silence: after which a server that pings more seldom than once a minute is asked for a sign of life.
        return_within: until a lost connection comes back at the latest, at random: a restart of the PBX ends all homes'
            connections in one moment.
        first_wait: after a failure, at the most.
        longest_wait: after many failures.
        steady: how long a connection lasts that did not fail.
        deaf_wait: until the next attempt where texts are not announced.
        renew_ahead: how long before its end a JWT is renewed, at the least and at the most, or a third of its life.
        proof: what proves that texts are announced.
    """

    start_within: float = 2.0
    connect_within: float = 10.0
    status_within: float = 15.0
    close_within: float = 1.0
    silence: float = 40.0
    return_within: float = 60.0
    first_wait: float = 45.0  # 30 s in the mean
    longest_wait: float = 3600.0
    steady: float = 60.0
    deaf_wait: float = 86400.0
    renew_ahead: tuple[float, float] = (300.0, 600.0)
    proof: ProofTiming = field(default_factory=ProofTiming)


@dataclass(frozen=True, slots=True)
class ReceivingTiming:
    """The timing of all that receives."""

    poll: PollTiming = field(default_factory=PollTiming)
    push: PushTiming = field(default_factory=PushTiming)
    question: QuestionTiming = field(default_factory=QuestionTiming)
    live: LiveTiming = field(default_factory=LiveTiming)


RECEIVING_TIMING: HassKey[ReceivingTiming] = HassKey(f"{DOMAIN}_receiving_timing")


@callback
def timing_of(hass: HomeAssistant) -> ReceivingTiming:
    """Return the timing that was set in ``hass.data`` before an account is set up, or the usual one."""
    return hass.data.get(RECEIVING_TIMING) or ReceivingTiming()
