"""The PBX's clock, learned from the ``Date`` of its answers.

One answer with a wrong ``Date`` must not change what is new, so several have to agree. They are compared by our own
monotonic clock, which nobody sets; our wall clock is one more witness.
"""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from statistics import median
import time

_NEAR = 10.0  # seconds; so far apart are answers of one clock: their way takes time, and a cluster's servers differ
_BY_WALL = 60.0  # seconds; so near to our wall clock, the two confirm each other
_LATEST = 5  # answers, whose median it is
_ENOUGH = 3  # answers that agree
_HOLDS = 180.0  # seconds that a jump has to hold


class PbxClock:
    """An estimate of the PBX's clock.

    Parameters:
        monotonic: our clock, in seconds, which is never set.
        wall: our wall clock, in seconds since 1970.

    Attributes:
        is_settled: whether it can be relied upon: several answers agree, or one and our wall clock.
        jumped: by how many seconds in all the PBX's clock was set, as far as that is believed.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self.monotonic = monotonic
        self._wall = wall
        self.jumped = 0.0
        self.is_settled = False
        # Each as what has to be added to the monotonic clock.
        self._first: deque[float] | None = deque(maxlen=_LATEST)  # None once enough of them agreed
        self._agreed: deque[float] = deque(maxlen=_LATEST)
        self._estimate = 0.0  # the median of those
        self._other: deque[float] = deque(maxlen=_LATEST)  # of answers that disagree with those, but not among them
        self._others = 0
        self._other_since = 0.0

    @property
    def is_doubted(self) -> bool:
        """Whether the last answer disagreed: the PBX's clock may have been set."""
        return self._others > 0

    def now(self) -> datetime:
        """Return the time by the PBX's clock, at most a few seconds late; ours where the PBX sent none."""
        if not self._agreed:
            return datetime.fromtimestamp(self._wall(), UTC)
        return datetime.fromtimestamp(self._estimate + self.monotonic(), UTC)

    def note(self, shown: datetime, at: float) -> None:
        """Learn from an answer.

        Parameters:
            shown: its ``Date``.
            at: when it came, by the monotonic clock.
        """
        offset = shown.timestamp() - at
        if self._first is not None:
            self._begin(self._first, offset)
        elif abs(offset - self._estimate) <= _NEAR:
            self._agree([*self._agreed, offset])
            self._others = 0
        else:
            self._doubt(offset, at)

    def _agree(self, offsets: Iterable[float]) -> None:
        """Take these for the PBX's clock."""
        self._agreed = deque(offsets, _LATEST)
        self._estimate = median(self._agreed)

    def _begin(self, first: deque[float], offset: float) -> None:
        """Learn from one of the first answers; where they disagree, our wall clock and the majority decide."""
        first.append(offset)
        ours = self._wall() - self.monotonic()

        def weight(group: list[float]) -> tuple[bool, int, float]:
            """Return how far answers that agree are to be believed."""
            distance = abs(median(group) - ours)
            return distance <= _BY_WALL, len(group), -distance

        best = max(([one for one in first if abs(one - other) <= _NEAR] for other in first), key=weight)
        self._agree(best)
        self.is_settled = self.is_settled or len(best) >= _ENOUGH or weight(best)[0]
        if len(best) >= _ENOUGH:
            self._first = None

    def _doubt(self, offset: float, at: float) -> None:
        """Learn from an answer that disagrees: the clock was set, if the answers stay so."""
        if not self._others or abs(offset - median(self._other)) > _NEAR:
            self._other.clear()
            self._others, self._other_since = 0, at
        self._other.append(offset)
        self._others += 1
        ours = self._wall() - self.monotonic()
        is_ours = abs(offset - ours) <= _BY_WALL < abs(self._estimate - ours)
        if self._others < _ENOUGH or not (is_ours or at - self._other_since >= _HOLDS):
            return
        before = self._estimate
        self._agree(self._other)
        self._other.clear()
        self._others = 0
        self.jumped += self._estimate - before
