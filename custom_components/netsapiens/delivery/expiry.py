"""When the time of messages is up: a timer each, corrected once the PBX's clock is known."""

import asyncio
from collections.abc import Callable
import time

from homeassistant.core import callback

from .deadline import Deadline, time_left
from .entry import QueueEntry


class Expiry:
    """The timers of the messages in the queue.

    Parameters:
        expire: called with a message whose time is up.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[QueueEntry], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._timers: dict[QueueEntry, asyncio.TimerHandle] = {}
        self._unsure: dict[QueueEntry, Deadline] = {}  # whose time left is to be had from the PBX's clock
        self._loaded_at = 0.0  # by the loop's clock

    @property
    def is_unsure(self) -> bool:
        """Whether the PBX's clock is needed for some messages."""
        return bool(self._unsure)

    @callback
    def add(self, entry: QueueEntry) -> None:
        """Let a message expire at its deadline."""
        self._timers[entry] = self._loop.call_at(entry.deadline, self._expire, entry)

    @callback
    def add_unsure(self, entry: QueueEntry, deadline: Deadline) -> None:
        """Correct a message's deadline once the PBX's clock is known.

        Parameters:
            entry: a message that was read from disk just now.
            deadline: as it was kept.
        """
        self._loaded_at = self._loop.time()
        self._unsure[entry] = deadline

    @callback
    def remove(self, entry: QueueEntry) -> None:
        """Forget a message."""
        self._unsure.pop(entry, None)
        if (timer := self._timers.pop(entry, None)) is not None:
            timer.cancel()

    @callback
    def correct(self, pbx: float | None) -> None:
        """Have from the PBX's clock how much time the texts have left that were kept.

        Parameters:
            pbx: seconds since 1970 by its clock; None where that is not known for sure.
        """
        if pbx is None:
            return
        unsure, self._unsure = self._unsure, {}
        now, wall = self._loop.time(), time.time()
        for entry, deadline in unsure.items():
            left, entry.reprieved = time_left(deadline, wall, pbx)
            entry.deadline = min(now + left, self._loaded_at + deadline.left)
            if (timer := self._timers.pop(entry, None)) is None:
                continue  # it is still to be added
            timer.cancel()
            if entry.deadline > now:
                self.add(entry)
            else:
                self._expire(entry)

    @callback
    def stop(self) -> None:
        """Let nothing expire any more."""
        for timer in self._timers.values():
            timer.cancel()
