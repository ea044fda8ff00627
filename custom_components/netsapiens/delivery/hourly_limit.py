"""How many messages were taken within the last hour."""

from collections import deque
from collections.abc import Callable

_HOUR = 3600.0


class HourlyLimit:
    """Counts the messages that are taken.

    Parameters:
        clock: gives the seconds since any moment; it must not go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken: deque[float] = deque()

    @property
    def taken(self) -> int:
        """How many messages were taken within the last hour."""
        self._forget()
        return len(self._taken)

    def take(self, messages: int) -> None:
        """Count messages that are taken now."""
        self._forget()  # also where nobody asks, since there is no limit
        self._taken.extend([self._clock()] * messages)

    def _forget(self) -> None:
        """Forget what was taken longer ago."""
        while self._taken and self._taken[0] < self._clock() - _HOUR:
            self._taken.popleft()
