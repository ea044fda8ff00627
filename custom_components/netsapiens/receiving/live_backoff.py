"""When the next attempt at a live connection comes: homes must not come back to one PBX together."""

import random

from ..pbx.backoff import Backoff
from .timing import LiveTiming

_JITTER = 2 / 3
_SPREAD = 0.1


class LiveBackoff:
    """The waits of one account.

    Parameters:
        timing: when to connect.
    """

    def __init__(self, timing: LiveTiming) -> None:
        self._timing = timing
        self._backoff = Backoff(timing.first_wait, timing.longest_wait, jitter=_JITTER)
        self._failures = 0
        self._asked = 0.0  # seconds that the PBX asked to wait when it was last asked for something

    def asked_to_wait(self, seconds: float) -> None:
        """Note what the PBX asked for: the wait after the attempt that ends now is longer by so much.

        Parameters:
            seconds: how long to wait at the least.
        """
        self._asked = seconds

    def reset(self) -> None:
        """Forget the failures: the next attempt is at another address."""
        self._failures = 0

    def failed(self) -> float:
        """Return how many seconds to wait after an attempt that failed."""
        self._failures += 1
        asked, self._asked = self._asked, 0.0
        return asked + self._backoff.wait(self._failures - 1)

    def lost(self) -> float:
        """Return how many seconds to wait after a connection that was lost, and was there for more than a moment."""
        self._failures = 0
        return random.uniform(0, self._timing.return_within)  # noqa: S311

    def deaf(self) -> float:
        """Return how many seconds to wait where texts are not announced."""
        self._failures = 0
        return self._timing.deaf_wait * random.uniform(1, 1 + _SPREAD)  # noqa: S311
