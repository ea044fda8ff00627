"""Puts a question to people, each when it is their turn, and waits for the first answer."""

import asyncio
from collections.abc import Sequence
from copy import replace
from datetime import timedelta
import logging
from typing import NamedTuple

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.async_ import create_eager_task

from .account import NetsapiensConfigEntry
from .const import DOMAIN, INCOMING_OFF
from .delivery.results import SentMessage
from .errors import log_unexpected, refuse
from .outgoing import Conversation, OutgoingMessage
from .prepared_send import PreparedSend
from .receiving.answers import AnswerMatcher
from .receiving.question import Answer, Ask, AskState, Question
from .receiving.questions import Questions
from .request import SendRequest
from .sending import async_prepare, async_send_prepared, check_limit, check_space, left_out
from .settings import read_settings

_LOGGER = logging.getLogger(__name__)


class QuestionTerms(NamedTuple):
    """What counts as an answer.

    Attributes:
        matcher: which texts are answers.
        timeout: how long each person has, from when the PBX took the question.
        hint: what somebody is texted, once, whose text is no answer; None for nothing.
    """

    matcher: AnswerMatcher
    timeout: timedelta
    hint: str | None = None


async def async_ask(
    hass: HomeAssistant,
    requests: Sequence[tuple[NetsapiensConfigEntry, SendRequest]],
    terms: QuestionTerms,
    context: Context | None = None,
) -> tuple[NetsapiensConfigEntry, Answer] | None:
    """Ask, and return the first answer with the account that it came to; None where nobody answered in time.

    Every rule is checked before anything goes out. Who is being asked something else is asked when that has ended. Who
    cannot be asked does not keep the others from answering.

    Parameters:
        requests: the question as a text to send, with the account to send it through.
        terms: what counts as an answer.
        context: the call's, whose user must be allowed to see the cameras and images that it names.

    Raises:
        ServiceValidationError: a rule is broken, and nobody was asked.
        Unauthorized: the caller may not see some media; nobody was asked.
        HomeAssistantError: the question got to nobody, or the account was unloaded while it waited.
    """
    sends = await async_prepare(hass, requests, context)
    for send in sends:
        if send.entry.state is not ConfigEntryState.LOADED:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="stopped")
        if read_settings(send.entry).incoming == INCOMING_OFF:
            refuse("incoming_off", account=send.entry.title)
        _check_sentences(send, terms.matcher)
        check_limit(hass, send)
        check_space(send)
    asking = _Asking(hass, sends, terms)
    try:
        answer = await asking.async_first_answer()
    finally:
        asking.async_end()
    return None if answer is None else (asking.send_of(answer.ask).entry, answer)


def _check_sentences(send: PreparedSend, matcher: AnswerMatcher) -> None:
    """Check that no answer can be put only in words that opt out of texts, which they do not with a PIN beside them.

    Raises:
        ServiceValidationError: one can be.
    """
    opts_out = send.current_account.opt_outs.opts_out
    for choice in () if matcher.has_pin else matcher.choices:
        if all(opts_out(sentence) for sentence in choice.sentences):
            refuse("answer_opts_out", sentence=choice.sentences[0], account=send.entry.title)


class _Asking:
    """A question while it is asked.

    Parameters:
        sends: the question as it is sent, by account.
        terms: what counts as an answer.
    """

    def __init__(self, hass: HomeAssistant, sends: Sequence[PreparedSend], terms: QuestionTerms) -> None:
        self._hass = hass
        self._terms = terms
        self._question = Question(hass, terms.matcher, terms.timeout.total_seconds(), self._send_hint)
        self._asks: dict[Ask, _Part] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._problems = [problem for send in sends for problem in left_out(send)]
        for send in sends:
            questions = send.current_account.questions
            for words, media in [(one.words, one.media) for one in send.conversations if one.words is not None]:
                ask = questions.async_add(self._question, words, has_picture=media is not None)
                picture = None if media is None else replace(media, goes_with=ask.reference)
                self._asks[ask] = _Part(send, Conversation(ask.message, picture), questions)

    def send_of(self, ask: Ask) -> PreparedSend:
        """Return what a conversation's question is sent by."""
        return self._asks[ask].send

    async def async_first_answer(self) -> Answer | None:
        """Send to everybody whose turn it is, to the others later; return the first answer, None after all that time.

        Raises:
            HomeAssistantError: nobody could be asked.
        """
        if not self._asks:
            raise _summary(self._problems)
        at_once: dict[int, list[Ask]] = {}
        for ask, part in self._asks.items():
            if ask.turn.is_set():
                at_once.setdefault(id(part.send), []).append(ask)
            else:
                self._start_task(ask)
        for asks in at_once.values():
            self._start_task(*asks)
        answer = await self._question.outcome
        failed = [(ask.message.label, ask.error) for ask in self._asks if ask.error is not None]
        if answer is None and len(failed) == len(self._asks):
            raise _summary(failed)
        for label, error in [*failed, *self._problems]:
            _LOGGER.warning("A question was not sent completely to %s: %s", label, error)
        return answer

    def async_end(self) -> None:
        """Forget the question, so that the next ones go; who was not asked yet is not asked any more."""
        for task in self._tasks:
            task.cancel()
        by_account: dict[Questions, list[Ask]] = {}
        for ask, part in self._asks.items():
            by_account.setdefault(part.questions, []).append(ask)
        for questions, asks in by_account.items():
            questions.async_withdraw(asks)

    def _start_task(self, *asks: Ask) -> None:
        """Ask conversations of one account."""
        self._tasks.append(create_eager_task(self._ask(asks), name="netsapiens question", loop=self._hass.loop))

    async def _ask(self, asks: Sequence[Ask]) -> None:
        """Send the question to conversations of one account, when it is their turn."""
        for ask in asks:
            await ask.turn.wait()
        try:
            await self._send(asks)
        except HomeAssistantError as err:
            self._fail(asks, err)
        except Exception as err:  # noqa: BLE001
            log_unexpected(_LOGGER, "asking a question", err)
            self._fail(asks, HomeAssistantError(translation_domain=DOMAIN, translation_key="unexpected"))

    async def _send(self, asks: Sequence[Ask]) -> None:
        """Send the question; whether the PBX took what was queued is reported later.

        Raises:
            HomeAssistantError: the account's limit is reached.
        """
        first = self._asks[asks[0]]
        await first.questions.async_catch_up()
        asks = [ask for ask in asks if ask.state is AskState.WAITING]
        if not asks:
            return  # they ended as their turn came
        send = _part_of(first.send, [self._asks[ask].conversation for ask in asks])
        check_limit(self._hass, send)
        for ask in asks:
            first.questions.async_begin(ask)
        await async_send_prepared(self._hass, send)
        by_reference = {ask.reference: ask for ask in asks}
        for message, result in send.results:
            asked = by_reference.get(message.reference or "")
            if asked is None and isinstance(result, HomeAssistantError):
                self._problems.append((message.label, result))
            elif asked is not None and isinstance(result, HomeAssistantError):
                self._fail([asked], result)
            elif asked is not None and isinstance(result, SentMessage) and result.status == "sent":
                self._asks[asked].questions.async_sent(asked.reference)
        self._problems += [(asks[0].message.label, error) for error in send.lost]

    def _fail(self, asks: Sequence[Ask], error: HomeAssistantError) -> None:
        """End the question to conversations that will not get it."""
        for ask in asks:
            self._asks[ask].questions.async_end(ask, error)

    @callback
    def _send_hint(self, ask: Ask) -> None:
        """Text somebody whose text is no answer what is expected, if that was asked for."""
        if self._terms.hint is not None:
            entry = self._asks[ask].send.entry
            sending = self._send_text(self._asks[ask].send, replace(ask.message, text=self._terms.hint, reference=None))
            entry.async_create_background_task(self._hass, sending, "netsapiens hint")

    async def _send_text(self, send: PreparedSend, message: OutgoingMessage) -> None:
        """Send words in a question's conversation, for as long as they are of use; report in the log if that fails."""
        send = _part_of(send, [Conversation(message, None)])
        send.request = replace(send.request, keep_for=min(send.keep_for, self._terms.timeout))
        send.attached, send.sources = (), ()
        try:
            check_limit(self._hass, send)
            await async_send_prepared(self._hass, send)
            errors = [result for _, result in send.results if isinstance(result, HomeAssistantError)]
        except HomeAssistantError as err:
            errors = [err]
        label = message.label
        for error in errors:
            _LOGGER.warning("What a question expects was not texted to %s: %s", label, error)


class _Part(NamedTuple):
    """What a question to one conversation is sent by.

    Attributes:
        send: all that is sent through the account.
        conversation: what the conversation gets of it.
        questions: the account's.
    """

    send: PreparedSend
    conversation: Conversation
    questions: Questions


def _part_of(send: PreparedSend, conversations: Sequence[Conversation]) -> PreparedSend:
    """Return the part of what is sent that goes to some conversations, through the account as it is loaded now."""
    return replace(send, account=send.current_account, conversations=conversations, results=[], lost=[], refused=[])


def _summary(failed: Sequence[tuple[str, HomeAssistantError]]) -> HomeAssistantError:
    """Return the one error that says why nobody was asked."""
    if len(failed) == 1:
        return failed[0][1]
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="some_failed",
        translation_placeholders={
            "failed": str(len(failed)),
            "total": str(len(failed)),
            "details": "; ".join(f"{label}: {error}" for label, error in failed),
        },
    )
