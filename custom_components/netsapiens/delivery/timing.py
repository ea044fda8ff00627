"""How long sending waits, and how many messages are active; other values for tests."""

from collections.abc import Callable
from dataclasses import dataclass
import time

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..pbx.backoff import Backoff

SLACK = 2.0  # seconds
_RETRY = Backoff(2.0, 10.0)


@dataclass(frozen=True, slots=True)
class QueueTiming:
    """The timing of an account's queue.

    Attributes:
        answer_within: seconds that an action waits for a clear end before it answers `queued`.
        looks: when the PBX's lists are read after an answer was lost, in seconds since then; lists lag.
        retry: the waits between the attempts of one message; the throttle waits out an outage.
        tidy_delay: seconds until what is done is taken off the disk; a kill before that costs one look at the lists.
        stop_within: seconds that requests under way are given to end when the queue stops. One takes 12 at the most,
            but for the upload of a picture.
        active: how many messages wait for the PBX at once; the rest of a backlog waits for them.
        at_once: how many messages of a call are active in any case while it waits: an alarm passes a backlog.
        slack: seconds that the clocks of one PBX's servers may differ; lists give times to the second.
        report_after: seconds until a message that the PBX took is counted; the next ones go first.
        clock: what the hour of the limit is counted by: the seconds since any moment, never going back.
    """

    answer_within: float = 10.0
    looks: tuple[float, ...] = (1.0, 3.0, 6.0, 10.0)
    retry: Backoff = _RETRY
    tidy_delay: float = 1.0
    stop_within: float = 15.0
    active: int = 100
    at_once: int = 10
    slack: float = SLACK
    report_after: float = 0.1
    clock: Callable[[], float] = time.monotonic


QUEUE_TIMING: HassKey[QueueTiming] = HassKey(f"{DOMAIN}_queue_timing")


@callback
def timing_of(hass: HomeAssistant) -> QueueTiming:
    """Return the timing that was set in ``hass.data`` before an account is set up, or the usual one."""
    return hass.data.get(QUEUE_TIMING) or QueueTiming()
