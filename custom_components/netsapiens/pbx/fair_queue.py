"""Whose request goes next: by turns, so that what is urgent passes a backlog of any length.

Reading has every second turn while it wants one. The others go to those that send, and these alternate: one to the
caller that was served longest ago, as in round-robin, and one to the caller that came last and had none yet. So a
caller's first request soon goes, and none waits for ever.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable

from .circuit_breaker import Permit

READING = "reading"  # the caller of whatever reads: polls, the account, its token

type Waiter = asyncio.Future[Permit]


class Turns:
    """Those that wait to make a request, by caller."""

    def __init__(self) -> None:
        self._reading: dict[Waiter, None] = {}
        self._sending: OrderedDict[Hashable, dict[Waiter, None]] = OrderedDict()  # the one served longest ago first
        self._new: dict[Hashable, None] = {}  # those of them that had no turn yet, the latest last
        self._was_reading = self._was_new = False

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._reading or self._sending)

    @property
    def may_wait(self) -> bool:
        """Whether the next turn is one of a backlog's, with nothing urgent just before it."""
        return not (self._reads_next or self._is_new_next or self._was_reading or self._was_new)

    @property
    def _reads_next(self) -> bool:
        """Whether reading is next."""
        return bool(self._reading) and not (self._was_reading and self._sending)

    @property
    def _is_new_next(self) -> bool:
        """Whether, of those that send, the latest one is next."""
        return bool(self._new) and not self._was_new

    def may_wait_alone(self, caller: Hashable, *, fresh: bool) -> bool:
        """Return what ``may_wait`` would be with nobody else but this one, as nobody waits."""
        return not (fresh or caller == READING or self._was_reading or self._was_new)

    def go_alone(self, caller: Hashable, *, fresh: bool) -> None:
        """Take a turn without waiting, as nobody else waits."""
        self._was_reading = caller == READING
        if not self._was_reading:
            self._was_new = fresh and not self._was_new

    def add(self, waiter: Waiter, caller: Hashable, *, fresh: bool) -> None:
        """Let somebody wait.

        Parameters:
            waiter: who.
            caller: READING, or for whom a text is sent.
            fresh: whether it is a text's first attempt, so that a new caller passes those that wait.
        """
        if caller == READING:
            self._reading[waiter] = None
            return
        if caller not in self._sending:
            self._sending[caller] = {}
            if fresh:
                self._new[caller] = None
        self._sending[caller][waiter] = None

    def discard(self, waiter: Waiter, caller: Hashable) -> None:
        """Forget one that waits no longer."""
        if caller == READING:
            self._reading.pop(waiter, None)
        elif (waiters := self._sending.get(caller)) is not None:
            waiters.pop(waiter, None)
            if not waiters:
                self._forget(caller)

    def pop(self) -> Waiter:
        """Return whose turn it is; somebody must wait."""
        if self._reads_next:
            self._was_reading = True
            return _first(self._reading)
        self._was_reading = False
        self._was_new = self._is_new_next
        caller = next(reversed(self._new)) if self._was_new else next(iter(self._sending))
        self._new.pop(caller, None)
        waiters = self._sending[caller]
        waiter = _first(waiters)
        if waiters:
            self._sending.move_to_end(caller)
        else:
            self._forget(caller)
        return waiter

    def _forget(self, caller: Hashable) -> None:
        """Forget a caller that waits for nothing more."""
        del self._sending[caller]
        self._new.pop(caller, None)


def _first(waiters: dict[Waiter, None]) -> Waiter:
    """Take the one that has waited longest."""
    waiter = next(iter(waiters))
    del waiters[waiter]
    return waiter
