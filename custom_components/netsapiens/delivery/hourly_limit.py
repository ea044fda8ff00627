"""How many messages were taken within the last hour."""

from collections import deque
import time

_HOUR = 3600.0


class HourlyLimit:
    """Counts the messages that are taken."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()

    @property
    def taken(self) -> int:
        """How many messages were taken within the last hour."""
        while self._taken and self._taken[0] < time.monotonic() - _HOUR:
            self._taken.popleft()
        return len(self._taken)

    def take(self, messages: int) -> None:
        """Count messages that are taken now."""
        self._taken.extend([time.monotonic()] * messages)
