"""Whose media is fetched next. Senders take turns, so that many from one do not hold back the others'."""

from collections import deque
from itertools import chain
from typing import Final

from .pictures_index import FetchJob
from .pictures_store import MOST_KEPT

_MOST_WAITING: Final = MOST_KEPT  # more would push each other out of what is kept


class FetchQueue:
    """The media that waits: of each sender one at a time, in order; the newest hundred."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[FetchJob]] = {}  # by sender, who has waited longest first
        self._active: dict[str, FetchJob] = {}  # by sender

    def __len__(self) -> int:
        """Return how many wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def jobs(self) -> list[FetchJob]:
        """All that is fetched now, and all that waits."""
        return [*self._active.values(), *chain.from_iterable(self._waiting.values())]

    def add(self, job: FetchJob) -> None:
        """Let media wait; where too many do, the oldest one of who sent the most is dropped."""
        self._waiting.setdefault(job.origin.sender, deque()).append(job)
        if len(self) > _MOST_WAITING:
            most = max(self._waiting, key=lambda sender: len(self._waiting[sender]))
            self._waiting[most].popleft()
            if not self._waiting[most]:
                del self._waiting[most]

    def next(self) -> FetchJob | None:
        """Return whose turn it is; None where nobody's is."""
        sender = next((one for one in self._waiting if one not in self._active), None)
        if sender is None:
            return None
        jobs = self._waiting.pop(sender)
        job = jobs.popleft()
        if jobs:
            self._waiting[sender] = jobs  # behind the others
        self._active[sender] = job
        return job

    def done(self, job: FetchJob) -> None:
        """Let the sender's next one go."""
        if self._active.get(job.origin.sender) == job:
            del self._active[job.origin.sender]

    def clear(self) -> None:
        """Drop all."""
        self._waiting.clear()
