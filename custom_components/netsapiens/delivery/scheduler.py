"""Which messages are active: the first of their ordering keys, and only so many at once."""

import asyncio
from collections.abc import Callable

from homeassistant.core import callback

from .entry import QueueEntry
from .ready import ReadyMessages
from .state import State


class Scheduler:
    """Messages of one conversation, or of the same sender and destinations, go one at a time and in order.

    Parameters:
        deliver: begins to deliver a message, and returns the task that does.
        most_active: how many are active at once, but for those that are at once in any case.
    """

    def __init__(self, deliver: Callable[[QueueEntry], asyncio.Task[None]], most_active: int) -> None:
        self._deliver = deliver
        self._most_active = most_active
        self._by_key: dict[str, dict[QueueEntry, None]] = {}
        self._ready: ReadyMessages[QueueEntry] = ReadyMessages()
        self._active: set[asyncio.Task[None]] = set()  # also of messages that ended meanwhile
        self._is_stopped = False

    @property
    def active(self) -> list[asyncio.Task[None]]:
        """The tasks that deliver messages."""
        return list(self._active)

    @callback
    def add(self, entry: QueueEntry) -> None:
        """Let a message go when its turn has come."""
        for key in entry.fingerprint.keys:
            self._by_key.setdefault(key, {})[entry] = None
        self._start_if_first(entry)

    @callback
    def remove(self, entry: QueueEntry) -> None:
        """Forget a message, and let the next ones go."""
        if self._ready:
            self._ready.discard(entry, entry.caller)
        for key in entry.fingerprint.keys:
            entries = self._by_key.get(key, {})
            if entries.pop(entry, entry) is entry:
                continue  # it never came that far
            if entries:
                self._start_if_first(next(iter(entries)))
            else:
                del self._by_key[key]

    @callback
    def release(self, entry: QueueEntry) -> None:
        """Let a message whose caller has its answer wait with the backlog, where too many are active."""
        entry.at_once = False
        is_idle = entry.task is not None and entry.delivery.state is State.PENDING
        if is_idle and not self._has_room(1):
            self.restart(entry)

    @callback
    def restart(self, entry: QueueEntry) -> None:
        """Let a message begin anew that is active, and has no request under way."""
        entry.cancel()
        self._start_if_first(entry)

    @callback
    def stop(self) -> None:
        """Let nothing new begin."""
        self._is_stopped = True

    def _has_room(self, surplus: int = 0) -> bool:
        """Whether another message may become active; with a surplus, whether so many are not too many."""
        return len(self._active) - surplus < self._most_active

    @callback
    def _start_if_first(self, entry: QueueEntry) -> None:
        """Let a message go, once it is the first of its keys."""
        if self._is_stopped or entry.task is not None or entry.delivery.is_done:
            return
        for key in entry.fingerprint.keys:
            if next(iter(self._by_key[key])) is not entry:
                return
        if entry.at_once or self._has_room():
            self._start(entry)
        else:
            self._ready.add(entry, entry.caller)

    @callback
    def _start(self, entry: QueueEntry) -> None:
        """Make a message active."""
        if self._ready:
            self._ready.discard(entry, entry.caller)
        task = self._deliver(entry)
        if not task.done():
            self._active.add(task)
            task.add_done_callback(self._ended)

    @callback
    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let the next messages become active."""
        self._active.discard(task)
        while self._ready and self._has_room() and not self._is_stopped:
            self._start(self._ready.pop())
