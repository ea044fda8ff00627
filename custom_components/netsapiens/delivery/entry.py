"""A message in the queue: its state, and what belongs to it."""

import asyncio
from collections.abc import Callable, Hashable
from copy import replace
from dataclasses import dataclass, field
from enum import Enum, auto

from homeassistant.exceptions import HomeAssistantError

from ..outgoing import OutgoingMessage
from .reconcile import Baseline, Fingerprint, fingerprint_of
from .results import Answer
from .state import ENDS, Delivery, State

_ROW_SIZE = 700  # bytes; a guess for what stands in a row beside the text


def size_on_disk(text: str, media: int) -> int:
    """Return about how many bytes a message takes on disk.

    Parameters:
        text: what it says.
        media: bytes of its media.
    """
    return len(text) + _ROW_SIZE + media


def size_of(message: OutgoingMessage) -> int:
    """Return about how many bytes a message takes on disk."""
    return size_on_disk(message.text, message.media.size if message.media else 0)


class Standing(Enum):
    """What a message counts among."""

    WAITING = auto()  # it is on disk, and has not ended
    UNSAVED = auto()  # the disk may have to hold it
    NEITHER = auto()


class Call:
    """Who waits until all of several messages were answered. Woken in one step, where `asyncio.wait` takes two.

    What is refused while its messages are put into the queue counts for those that are still to come.

    Parameters:
        messages: how many; at least one.
    """

    def __init__(self, messages: int) -> None:
        self._left = messages
        self._refusals: list[tuple[Callable[[OutgoingMessage], bool], HomeAssistantError]] = []
        self._all = asyncio.get_running_loop().create_future()

    def refuse(self, predicate: Callable[[OutgoingMessage], bool], err: HomeAssistantError) -> None:
        """Note that messages may not be sent any more, for those that are not in the queue yet."""
        self._refusals.append((predicate, err))

    def refusal_of(self, message: OutgoingMessage) -> HomeAssistantError | None:
        """Return why a message may not be sent any more, or None."""
        for predicate, err in self._refusals:
            if predicate(message):
                return err
        return None

    def answered(self) -> None:
        """Count one more message that was answered."""
        self._left -= 1
        if not self._left:
            self._end()

    async def wait(self, within: float | None) -> None:
        """Wait for all, so many seconds at the most."""
        timer = self._all.get_loop().call_later(within, self._end) if within is not None else None
        try:
            await self._all
        finally:
            if timer is not None:
                timer.cancel()

    def _end(self) -> None:
        """Wake who waits."""
        if not self._all.done():
            self._all.set_result(None)


@dataclass(slots=True, eq=False)
class QueueEntry:
    """A message in the queue.

    Attributes:
        message: which. Its media is not in memory while the disk has it and no request is under way.
        deadline: when its time is up, by the loop's clock.
        number: its place in the queue.
        delivery: its state.
        call: who asked for it; None for one that was read from disk.
        answer: what its caller got.
        at_once: whether it is active however many others are.
        spool_id: names its files, once it has some.
        lost_at: when the outcome of its last attempt became unknown, by the loop's clock.
        failures: how often it had to wait for the next attempt.
        until_pbx: when its time is up by the PBX's clock, seconds since 1970, as far as that was known.
        reprieved: whether it was given the time that was left once more, after a clock that jumped.
        refusal: why it may not be sent any more, where its recipient has opted out.
        task: delivers it; None while it is not active.
        counted: what it was counted among last.
        fingerprint: what finds its duplicates, and orders it among others.
        size: about how many bytes it takes on disk.
    """

    message: OutgoingMessage
    deadline: float
    number: int
    delivery: Delivery[Baseline]
    call: Call | None = None
    answer: Answer | None = None
    at_once: bool = False
    spool_id: str | None = None
    lost_at: float = 0.0
    failures: int = 0
    until_pbx: float | None = None
    reprieved: bool = False
    refusal: HomeAssistantError | None = None
    task: asyncio.Task[None] | None = None
    counted: Standing = Standing.NEITHER
    fingerprint: Fingerprint = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        """Set what is asked again and again."""
        self.fingerprint = fingerprint_of(self.message)
        self.size = size_of(self.message)

    @property
    def caller(self) -> Hashable:
        """Who takes the turns at the rate limiter: its call, or all that were read from disk together."""
        return self.call or "kept"

    @property
    def is_fresh(self) -> bool:
        """Whether it was never tried, and its caller still waits."""
        delivery = self.delivery
        return not (delivery.attempts or delivery.stored or delivery.writes)

    @property
    def standing(self) -> Standing:
        """What it counts among."""
        delivery = self.delivery
        if delivery.state in ENDS:
            return Standing.NEITHER
        if delivery.stored:
            return Standing.WAITING
        return Standing.UNSAVED if delivery.keep else Standing.NEITHER

    @property
    def is_waiting(self) -> bool:
        """Whether it counts among the texts that wait."""
        return self.standing is Standing.WAITING

    @property
    def is_unsaved(self) -> bool:
        """Whether the disk may have to hold it."""
        return self.standing is Standing.UNSAVED

    def answer_with(self, answer: Answer) -> None:
        """Answer the caller, unless it was answered before."""
        if self.answer is None:
            self.answer = answer
            if self.call is not None:
                self.call.answered()

    def release_media(self) -> None:
        """Have its media on disk alone, if it is there and no request needs it."""
        media = self.message.media
        if media is None or media.content is None or self.spool_id is None:
            return
        if self.delivery.state is not State.ATTEMPTING:
            self.message = replace(self.message, media=replace(media, content=None))

    def note_conversation(self, messagesession: str) -> None:
        """Have it in the conversation that the PBX filed it under. Its order among others stays what it was."""
        if messagesession != self.message.messagesession:
            self.message = replace(self.message, messagesession=messagesession)

    def cancel(self) -> None:
        """End the task that delivers it, unless that is the one that runs now."""
        task = self.task
        if task is not None and task is not asyncio.current_task():
            self.task = None  # tells the task that this was meant
            task.cancel()
