"""The one call behind every entry point: the rules, then the words, then each picture as it comes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from copy import replace
from datetime import timedelta

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.async_ import create_eager_task

from .account import NetsapiensConfigEntry, NetsapiensData
from .addressing import async_addressed
from .const import DOMAIN
from .delivery.results import SentMessage, spool_full
from .issues import clear_hourly_limit, raise_hourly_limit
from .media.load import async_load_media, async_word_for
from .media.sources import async_check_permissions, async_check_sources, read_sources
from .messages import check_one_conversation, compose
from .outgoing import Conversation, Media, OutgoingMessage
from .phone_metadata import async_load_metadata
from .prepared_send import PreparedSend
from .recipients import is_damaged
from .refusals import OptedOutError
from .request import SendRequest, attached_media
from .segments import plain_where_cheaper
from .senders import SendingAccount
from .settings import read_settings


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
    calls = await async_try(hass, requests, context)
    if (err := error_of(calls)) is not None:
        raise err
    return [result for call in calls for _, result in call.results if isinstance(result, SentMessage)]


async def async_try(
    hass: HomeAssistant,
    requests: Sequence[tuple[NetsapiensConfigEntry, SendRequest]],
    context: Context | None = None,
) -> list[PreparedSend]:
    """Send what was asked for, as `async_send`; return each call, whose parts say what became of it.

    Parameters:
        requests: what to send, with the account to send it through.
        context: the call's.

    Raises:
        HomeAssistantError: a rule is broken, and nothing was sent.
    """
    calls = await async_prepare(hass, requests, context)
    for call in calls:
        check_limit(hass, call)
        check_space(call)
    if len(calls) == 1:  # as is usual; needs no task of its own
        await async_send_prepared(hass, calls[0])
    else:
        # Each begins at once: of what was checked, nothing else may be sent in between.
        await asyncio.gather(*[create_eager_task(async_send_prepared(hass, call), loop=hass.loop) for call in calls])
    return calls


def error_of(calls: Sequence[PreparedSend]) -> HomeAssistantError | None:
    """Return the one error that says what did not get out, and why; None where all did."""
    return _summary(calls) if any(call.lost or _failed(call) for call in calls) else None


async def async_prepare(
    hass: HomeAssistant,
    requests: Sequence[tuple[NetsapiensConfigEntry, SendRequest]],
    context: Context | None = None,
) -> list[PreparedSend]:
    """Check every rule of what was asked for, and return what there is to send; nothing goes out.

    Parameters:
        requests: what to send, with the account to send it through.
        context: the call's, whose user must be allowed to see the cameras and images that it names.

    Raises:
        ServiceValidationError: a rule is broken.
        Unauthorized: the caller may not see some media.
        HomeAssistantError: the PBX could not be asked for a conversation.
    """
    await async_load_metadata(hass)
    calls = [await _prepare(hass, entry, request, context) for entry, request in requests]
    conversations = [conversation for call in calls for conversation in call.conversations]
    if any(call.request.messagesession is not None for call in calls):
        check_one_conversation(conversations)
    for call in calls:
        _leave_out_opted_out(call)
    return calls


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
) -> PreparedSend:
    """Check the rules of a request, and return what it makes."""
    account = _account_of(entry)
    request = await async_addressed(account, request)
    sources = read_sources(hass, request.sources)
    check_sources = async_check_permissions if request.are_sources_optional else async_check_sources
    await check_sources(hass, sources, context)
    attached = attached_media(request)
    settings = read_settings(entry)
    sending = SendingAccount(account.coordinator.data, settings.from_number, hass.config.country)
    conversations = compose(sending, request, has_media=bool(attached or sources))
    if settings.plain_characters and not (settings.words_with_picture and (attached or sources)):
        conversations = [_with_plain_words(one) for one in conversations]
    return PreparedSend(entry, account, settings, request, attached, sources, conversations)


def _with_plain_words(conversation: Conversation) -> Conversation:
    """Return what a conversation gets, its words in plain characters where they are billed by their length."""
    words = conversation.words
    if words is None or words.message_type != "sms":
        return conversation
    return replace(conversation, words=replace(words, text=plain_where_cheaper(words.text)))


async def async_send_prepared(hass: HomeAssistant, call: PreparedSend) -> None:
    """Send what a call makes; its results say what became of it."""
    if not call.conversations:
        return
    keep_for = call.keep_for
    if not call.media:  # as is usual; needs no task of its own
        results = await _send_batch(call.account, call.words, keep_for)
        call.results = list(zip(call.words, results, strict=True))
        return
    batches: list[list[OutgoingMessage]] = []
    size = call.most_bytes if keep_for else 0
    async with asyncio.TaskGroup() as group:
        tasks = []
        with call.account.queue.expected.expect(call.messages, size) as expected:
            async for batch in _batches(hass, call):
                batches.append(batch)
                expected.came(batch)
                send = _send_batch(call.current_account, batch, keep_for)
                tasks.append(group.create_task(send, eager_start=True))  # in the queue before the next media is loaded
    answers = [zip(batch, task.result(), strict=True) for batch, task in zip(batches, tasks, strict=True)]
    call.results = [pair for pairs in zip(*answers, strict=True) for pair in pairs]


async def _send_batch(
    account: NetsapiensData, batch: Sequence[OutgoingMessage], keep_for: timedelta
) -> list[SentMessage | HomeAssistantError]:
    """Send messages, but for those to somebody who opted out meanwhile."""
    errors = [account.refusals.error_of(message) for message in batch]
    going = [message for message, err in zip(batch, errors, strict=True) if err is None]
    results = iter(await account.queue.async_send(going, keep_for) if going else ())
    return [next(results) if err is None else err for err in errors]


async def _batches(hass: HomeAssistant, call: PreparedSend) -> AsyncIterator[list[OutgoingMessage]]:
    """Yield the messages as soon as each can go, a list with one for each conversation at a time."""
    waiting = call.words if call.settings.words_with_picture else []
    if call.words and not waiting:
        yield call.words
    async for name, media in _media(hass, call):
        carries = bool(waiting)
        text = waiting[0].text if waiting else name
        waiting = []
        yield [
            replace(
                one.media,
                text=text,
                media=media,
                reference=one.words.reference if carries and one.words else None,
                is_named=not carries,
            )
            for one in call.conversations
            if one.media is not None
        ]
    if waiting:  # no media could be had to carry them
        yield waiting


async def _media(hass: HomeAssistant, call: PreparedSend) -> AsyncIterator[tuple[str, Media]]:
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


def check_limit(hass: HomeAssistant, call: PreparedSend) -> None:
    """Stop an automation that is stuck in a loop.

    Raises:
        HomeAssistantError: the account's limit is reached.
    """
    limit = read_settings(call.entry).hourly_limit  # as it is now: a question may have waited for its turn
    if not limit or call.account.queue.taken_last_hour + call.messages <= limit:
        clear_hourly_limit(hass, call.entry)
        return
    raise_hourly_limit(hass, call.entry, limit)
    raise HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="hourly_limit",
        translation_placeholders={"limit": str(limit)},
    )


def check_space(call: PreparedSend) -> None:
    """Take nothing that could not wait if it had to.

    Raises:
        HomeAssistantError: too much waits already, or would.
    """
    queue = call.account.queue
    if call.keep_for and not queue.has_space_for(call.most_bytes):
        raise spool_full(queue.space)


def _leave_out_opted_out(call: PreparedSend) -> None:
    """Leave out the conversations with somebody who opted out."""
    going = []
    for one in call.conversations:
        message = one.words or one.media
        if message is not None and (err := call.account.refusals.error_of(message)) is not None:
            call.refused.append((message.label, err))
        else:
            going.append(one)
    call.conversations = going


def left_out(call: PreparedSend) -> list[tuple[str, HomeAssistantError]]:
    """Return who gets nothing before anything is sent: recipients that cannot be read, and who opted out; with why."""
    return [(one.title, _damaged(one)) for one in call.request.recipients if is_damaged(one)] + call.refused


def _failed(call: PreparedSend) -> list[tuple[str, HomeAssistantError]]:
    """Return who did not get a message, and why."""
    return left_out(call) + [
        (message.label, result) for message, result in call.results if isinstance(result, HomeAssistantError)
    ]


def _damaged(recipient: ConfigSubentry) -> HomeAssistantError:
    """Return the error of a recipient that cannot be read, and that got nothing while others did."""
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="recipient_damaged",
        translation_placeholders={"recipient": recipient.title},
    )


def _summary(calls: Sequence[PreparedSend]) -> HomeAssistantError:
    """Return the one error that says what did not get out, and why."""
    failed = [pair for call in calls for pair in _failed(call)]
    lost = {str(err): err for call in calls for err in call.lost}  # two accounts may want the same picture
    unsent = len(failed) + sum(len(call.lost) * len(call.conversations) for call in calls)
    total = unsent + sum(isinstance(result, SentMessage) for call in calls for _, result in call.results)
    errors = [*(err for _, err in failed), *lost.values()]
    opted_out = [err for err in errors if isinstance(err, OptedOutError)]
    if len(opted_out) == len(errors):
        return OptedOutError([refusal for err in opted_out for refusal in err.refusals])
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
