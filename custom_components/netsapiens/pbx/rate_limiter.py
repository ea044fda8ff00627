"""A rate limiter: a token bucket that keeps below what firewalls in front of a PBX let through."""

from collections.abc import Callable
from dataclasses import dataclass
import time

_TOLERANCE = 1e-6  # of a request; a timer may ring that much early


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many requests may go.

    Attributes:
        burst: how many may go at once after a rest.
        per_second: how many a second may go from then on. Some operators' firewalls block at 15.
        spare: how many of the burst a backlog leaves to what is urgent.
    """

    burst: int = 30
    per_second: float = 10.0
    spare: int = 5


class RateLimiter:
    """Says when the next request may go.

    Parameters:
        limit: how many requests may go.
        clock: gives the seconds since any moment; it must not go back.
    """

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._tokens = float(limit.burst)
        self._filled_at = clock()

    def wait(self, *, is_backlog: bool = False) -> float:
        """Return in how many seconds the next request may go; 0 for now.

        Parameters:
            is_backlog: whether the request is one of a backlog, which leaves a part of the burst to others.
        """
        now = self._clock()
        self._tokens = min(self._limit.burst, self._tokens + (now - self._filled_at) * self._limit.per_second)
        self._filled_at = now
        missing = (1 + self._limit.spare if is_backlog else 1) - self._tokens
        return missing / self._limit.per_second if missing > _TOLERANCE else 0.0

    def take(self) -> None:
        """Count a request that goes now."""
        self._tokens -= 1
