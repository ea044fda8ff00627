"""The one call behind every entry point: the rules, then the words, then each picture as it comes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .account import NetsapiensConfigEntry, NetsapiensData
from .addressing import async_addressed
from .const import DOMAIN, PICTURE_TEXT_TOGETHER
from .delivery.queue import SentMessage
from .issues import clear_hourly_limit, raise_hourly_limit
from .media.load import async_load_media, async_word_for
from .media.sources import Source, async_check_sources, read_sources
from .messages import (
    Conversation,
    Media,
    OutgoingMessage,
    SendRequest,
    attached_media,
    check_one_conversation,
    compose,
)
from .phone import async_load_metadata
from .recipients import is_damaged
from .segments import plain_where_cheaper
from .settings import read_settings


@dataclass(slots=True)
class _Call:
    """What was asked of one account, and what became of it.

    Attributes:
        account: the account's parts when it was asked.
        together: whether the first picture carries the words.
        attached: the media that is there already.
        sources: where the rest of it is.
        conversations: what each conversation gets; one or more.
        results: each message with what became of it, one conversation after the other.
        lost: why media could not be had.
    """

    entry: NetsapiensConfigEntry
    account: NetsapiensData
    request: SendRequest
    together: bool
    attached: Sequence[Media]
    sources: Sequence[Source]
    conversations: Sequence[Conversation]
    results: list[tuple[OutgoingMessage, SentMessage | HomeAssistantError]] = field(default_factory=list)
    lost: list[HomeAssistantError] = field(default_factory=list)

    @property
    def words(self) -> list[OutgoingMessage]:
        """The words to each conversation; empty where there are none."""
        return [one.words for one in self.conversations if one.words is not None]

    @property
    def messages(self) -> int:
        """How many messages it makes at the most."""
        media = len(self.attached) + len(self.sources)
        alone = bool(self.words) and not (media and self.together)
        return len(self.conversations) * (media + alone)

    @property
    def current_account(self) -> NetsapiensData:
        """The account's parts now: it may have been reloaded while a picture was loaded."""
        return self.entry.runtime_data if self.entry.state is ConfigEntryState.LOADED else self.account


async def async_send(
    hass: HomeAssistant,
    requests: Sequence[tuple[NetsapiensConfigEntry, SendRequest]],
    context: Context | None = None,
) -> list[SentMessage]:
    """Send what was asked for, each request through its account.

    Every rule is checked for all of them before anything goes out. Words do not wait for pictures, unless the account's
    option says that a picture carries them. What fails does not keep the others back.

    Parameters:
        requests: what to send, with the account to send it through.
        context: the call's, whose user must be allowed to see the cameras and images that it names.

    Returns:
        What became of each message: of one conversation after the other, the words before the pictures.

    Raises:
        ServiceValidationError: a rule is broken, and nothing was sent; or the only thing to send cannot be had.
        Unauthorized: the caller may not see some media; nothing was sent.
        HomeAssistantError: names those that got nothing or not all, and why.
    """
    await async_load_metadata(hass)
    calls = [await _prepare(hass, entry, request, context) for entry, request in requests]
    conversations = [conversation for call in calls for conversation in call.conversations]
    for call in calls:
        check_one_conversation(call.request.messagesession, conversations)
    for call in calls:
        _check_limit(hass, call)
    if len(calls) == 1:  # as is usual; needs no task of its own
        await _send(hass, calls[0])
    else:
        await asyncio.gather(*(_send(hass, call) for call in calls))
    if any(call.lost or _failed(call) for call in calls):
        raise _summary(calls)
    return [result for call in calls for _, result in call.results if isinstance(result, SentMessage)]


def _account_of(entry: NetsapiensConfigEntry) -> NetsapiensData:
    """Return the parts of an account.

    Raises:
        HomeAssistantError: it is not loaded.
    """
    if not hasattr(entry, "runtime_data"):
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="stopped")
    return entry.runtime_data


async def _prepare(
    hass: HomeAssistant, entry: NetsapiensConfigEntry, request: SendRequest, context: Context | None
) -> _Call:
    """Check the rules of a request, and return what it makes."""
    account = _account_of(entry)
    request = await async_addressed(account, request)
    sources = read_sources(hass, request.sources)
    await async_check_sources(hass, sources, context)
    attached = attached_media(request)
    conversations = compose(account.coordinator, request, has_media=bool(attached or sources))
    settings = read_settings(entry)
    together = settings.picture_text == PICTURE_TEXT_TOGETHER
    if settings.plain_characters and not (together and (attached or sources)):
        conversations = [_with_plain_words(one) for one in conversations]
    return _Call(entry, account, request, together, attached, sources, conversations)


def _with_plain_words(conversation: Conversation) -> Conversation:
    """Return what a conversation gets, its words in plain characters where they are billed by their length."""
    words = conversation.words
    if words is None or words.message_type != "sms":
        return conversation
    return replace(conversation, words=replace(words, text=plain_where_cheaper(words.text)))


async def _send(hass: HomeAssistant, call: _Call) -> None:
    """Send what a call makes, and note what becomes of it."""
    keep_for = _keep_for(call)
    if not call.attached and not call.sources:  # as is usual; needs no task of its own
        results = await call.account.queue.async_send(call.words, keep_for)
        call.results = list(zip(call.words, results, strict=True))
        return
    batches: list[list[OutgoingMessage]] = []
    async with asyncio.TaskGroup() as group:
        tasks = []
        async for batch in _batches(hass, call):
            batches.append(batch)
            send = call.current_account.queue.async_send(batch, keep_for)
            tasks.append(group.create_task(send, eager_start=True))  # in the queue before the next media is loaded
    answers = [zip(batch, task.result(), strict=True) for batch, task in zip(batches, tasks, strict=True)]
    call.results = [pair for pairs in zip(*answers, strict=True) for pair in pairs]


async def _batches(hass: HomeAssistant, call: _Call) -> AsyncIterator[list[OutgoingMessage]]:
    """Yield the messages as soon as each can go, a list with one for each conversation at a time."""
    waiting = call.words if call.together else []
    if call.words and not waiting:
        yield call.words
    async for name, media in _media(hass, call):
        text = waiting[0].text if waiting else name
        waiting = []
        yield [replace(one.media, text=text, media=media) for one in call.conversations if one.media is not None]
    if waiting:  # no media could be had to carry them
        yield waiting


async def _media(hass: HomeAssistant, call: _Call) -> AsyncIterator[tuple[str, Media]]:
    """Yield the media of a call with what each is called, and note what cannot be had."""
    for media in call.attached:
        yield await async_word_for(hass, media.mime_type), media
    for source in call.sources:  # one after the other: each may be large
        try:
            media = await async_load_media(hass, source, read_settings(call.entry).mms_limit_kb)
        except HomeAssistantError as err:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError from err  # Home Assistant's cameras take it for a failure
            call.lost.append(err)
        else:
            yield source.name or await async_word_for(hass, media.mime_type), media


def _keep_for(call: _Call) -> timedelta:
    """Return how long to keep trying: as asked, else as the account's option says."""
    return read_settings(call.entry).keep_for if call.request.keep_for is None else call.request.keep_for


def _check_limit(hass: HomeAssistant, call: _Call) -> None:
    """Stop an automation that runs in a circle.

    Raises:
        HomeAssistantError: the account's limit is reached.
    """
    queue = call.account.queue
    if queue.has_room_for(call.messages):
        clear_hourly_limit(hass, call.entry)
        return
    raise_hourly_limit(hass, call.entry, queue.hourly_limit)
    raise HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="hourly_limit",
        translation_placeholders={"limit": str(queue.hourly_limit)},
    )


def _failed(call: _Call) -> list[tuple[str, HomeAssistantError]]:
    """Return who did not get a message, and why."""
    damaged = [(one.title, _damaged(one)) for one in call.request.recipients if is_damaged(one)]
    return damaged + [
        (message.label, result) for message, result in call.results if isinstance(result, HomeAssistantError)
    ]


def _damaged(recipient: ConfigSubentry) -> HomeAssistantError:
    """Return the error of a recipient that cannot be read, and that got nothing while others did."""
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="recipient_damaged",
        translation_placeholders={"recipient": recipient.title},
    )


def _summary(calls: Sequence[_Call]) -> HomeAssistantError:
    """Return the one error that says what did not get out, and why."""
    failed = [pair for call in calls for pair in _failed(call)]
    lost = {str(err): err for call in calls for err in call.lost}  # two accounts may want the same picture
    unsent = len(failed) + sum(len(call.lost) * len(call.conversations) for call in calls)
    total = unsent + sum(isinstance(result, SentMessage) for call in calls for _, result in call.results)
    errors = [*(err for _, err in failed), *lost.values()]
    if unsent == total and len(errors) == 1:
        return errors[0]
    details = "; ".join([*(f"{label}: {err}" for label, err in failed), *lost])
    if not failed and any(call.words for call in calls):
        return HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="words_without_picture",
            translation_placeholders={"details": details},
        )
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="some_failed",
        translation_placeholders={"failed": str(unsent), "total": str(total), "details": details},
    )
