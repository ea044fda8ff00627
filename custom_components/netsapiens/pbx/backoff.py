"""How long to wait before the next attempt: longer with each failure, and never in step with other homes."""

from dataclasses import dataclass
import random

_MOST_STEPS = 16


def jitter(share: float) -> float:
    """Return a factor for a wait that differs from home to home: they must not strike one PBX in step.

    Parameters:
        share: by which share a wait may be shorter or longer.
    """
    return random.uniform(1 - share, 1 + share)  # noqa: S311


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with jitter.

    Attributes:
        first: the limit of the first wait, in seconds.
        longest: what no wait exceeds, in seconds.
        jitter: which share of a wait is random: with 1 it is anywhere between 0 and its limit, with 0 it is the limit.
        factor: by how much the limit grows with each failure.
    """

    first: float
    longest: float
    jitter: float = 1.0
    factor: float = 2.0

    def wait(self, failures: int) -> float:
        """Return how many seconds to wait.

        Parameters:
            failures: how many attempts in a row had failed before the one that failed now; 0 gives the first wait.
        """
        limit = min(self.longest, self.first * self.factor ** min(failures, _MOST_STEPS))
        return random.uniform(limit * (1 - self.jitter), limit)  # noqa: S311
