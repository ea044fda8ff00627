"""A question to one or several people: whom it was put to, and how it ends. The first answer counts."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
import logging
from typing import TYPE_CHECKING, NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.async_ import create_eager_task
from homeassistant.util.ulid import ulid_now

from ..errors import log_unexpected
from ..outgoing import OutgoingMessage
from .answers import AnswerMatcher, Match
from .received import ReceivedMessage
from .taken import Taken

if TYPE_CHECKING:
    from .sentence_templates import SentenceTemplates

_LOGGER = logging.getLogger(__name__)


class AskState(StrEnum):
    """How far a question to one conversation is."""

    WAITING = "waiting"  # until an earlier question to the same person has ended
    SENDING = "sending"  # until the PBX takes it
    ASKED = "asked"  # answers count
    ENDED = "ended"


@dataclass(slots=True, eq=False)
class Ask:
    """A question to one conversation: to one person, or to a group.

    Attributes:
        question: what is asked.
        message: the words that ask it.
        persons: who may answer: numbers in digits, or users of the PBX.
        ours: our number that asks, in digits; empty for a chat.
        reference: what the message is known by on its way out.
        state: how far it is.
        turn: set once no earlier question to one of them waits.
        taken: when the PBX took it; before, when sending began; None before that.
        error: why it ended without an answer; None where its time was up.
        early: texts that answer it, from before it was known that the PBX had taken it.
        has_picture: whether a picture goes with it as a message of its own.
    """

    question: Question
    message: OutgoingMessage
    persons: frozenset[str]
    ours: str
    reference: str = field(default_factory=ulid_now)
    state: AskState = AskState.WAITING
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    taken: Taken | None = None
    error: HomeAssistantError | None = None
    early: list[ReceivedMessage] = field(default_factory=list)
    has_picture: bool = False

    @property
    def may_be_queued(self) -> bool:
        """Whether something of it may still wait to be sent."""
        return self.state is AskState.SENDING or (self.state is AskState.ASKED and self.has_picture)


class Answer(NamedTuple):
    """An answer to a question.

    Attributes:
        ask: where it was asked.
        received: the text.
        match: which answer that is.
    """

    ask: Ask
    received: ReceivedMessage
    match: Match


class Question:
    """A question that waits for its first answer.

    Parameters:
        matcher: which texts are answers.
        timeout: seconds that each conversation has for its answer, once the PBX took the question.
        not_understood: called with the conversation where a text is none; once a person.

    Attributes:
        asks: the conversations that it is put to.
        outcome: the first answer; None once no conversation waits any more.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        matcher: AnswerMatcher,
        timeout: float,
        not_understood: Callable[[Ask], None],
    ) -> None:
        self._hass = hass
        self._matcher = matcher
        self._not_understood = not_understood
        self._texts: deque[tuple[Ask, ReceivedMessage]] = deque()
        self._matching: asyncio.Task[None] | None = None
        self._templates: SentenceTemplates | None = None
        self._asked_again: set[str] = set()
        self.timeout = timeout
        self.asks: list[Ask] = []
        self.outcome: asyncio.Future[Answer | None] = hass.loop.create_future()

    @property
    def is_matching(self) -> bool:
        """Whether a text is being matched."""
        return self._matching is not None and not self._matching.done()

    @callback
    def async_take(self, ask: Ask, received: ReceivedMessage) -> None:
        """Match a text that came in while a conversation was asked; one after the other, so that the first counts."""
        self._texts.append((ask, received))
        if not self.is_matching:
            self._matching = create_eager_task(self._match_all(), name="netsapiens answer", loop=self._hass.loop)

    @callback
    def async_check_end(self) -> None:
        """End where no conversation waits any more."""
        if not self.outcome.done() and all(ask.state is AskState.ENDED for ask in self.asks):
            self.outcome.set_result(None)

    async def _match_all(self) -> None:
        """Match the texts that came in."""
        while self._texts and not self.outcome.done():
            ask, received = self._texts.popleft()
            try:
                match = await self._match(received.text)
            except Exception as err:  # noqa: BLE001
                log_unexpected(_LOGGER, "matching an answer", err)
                continue
            if self.outcome.done() or ask.state is not AskState.ASKED:
                continue
            if match is not None:
                self.outcome.set_result(Answer(ask, received, match))
            elif received.from_number not in self._asked_again:
                self._asked_again.add(received.from_number)
                self._not_understood(ask)

    async def _match(self, text: str) -> Match | None:
        """Return the answer that a text is; sentence templates are matched in a thread, since that takes a while."""
        match = self._matcher.match(text)
        rest = self._matcher.without_pin(text)
        if match is not None or rest is None or not self._matcher.has_templates:
            return match
        return await self._hass.async_add_executor_job(self._match_templates, rest)

    def _match_templates(self, text: str) -> Match | None:
        """Return the answer whose sentence template a text matches; in a thread."""
        if self._templates is None:
            try:
                from .sentence_templates import SentenceTemplates  # noqa: PLC0415 - it comes with `conversation`
            except ImportError:
                return None
            self._templates = SentenceTemplates(self._matcher.choices, self._hass.config.language)
        return self._templates.match(text)
