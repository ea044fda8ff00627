"""What a loaded account consists of, and how every door sends through it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
import logging

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from .api.models import same_number
from .compose import SendRequest, check_one_conversation, compose
from .const import (
    CONF_KEEP_UNDELIVERED,
    CONF_MMS_LIMIT,
    DEFAULT_KEEP_UNDELIVERED,
    DEFAULT_MMS_LIMIT,
    DOMAIN,
)
from .coordinator import NetsapiensCoordinator
from .inbox import Inbox, ReceivedMessage
from .issues import clear_hourly_limit, raise_hourly_limit
from .media import async_load_media
from .outbox import FailedMessage, Outbox, SentMessage
from .phone import InvalidNumberError, async_load_metadata, parse_destination
from .recipients import RecipientData, is_damaged, readable_recipients

_LOGGER = logging.getLogger(__name__)

_ENDING = 4  # digits; there is no shorter number but an extension, which is its own ending


@dataclass(slots=True)
class NetsapiensData:
    """The parts of a loaded account.

    Attributes:
        coordinator: the login and what the account has.
        outbox: the way out.
        device_id: the account's device.
        inbox: the way in, unless it is switched off.
        on_texted: called, by recipient, when a text to them was taken.
        on_failed: called, by recipient (None for all), when a text that was answered ``queued`` is given up.
        on_received: called, by recipient (None for all), with each message that came in and the sender's name, if it
            is a recipient.
        _by_ending: the recipients, by the last digits of their numbers, once they were asked for.
        _indexed: of which recipients that is.
    """

    coordinator: NetsapiensCoordinator
    outbox: Outbox
    device_id: str
    inbox: Inbox | None = None
    on_texted: dict[str, Callable[[], None]] = field(default_factory=dict)
    on_failed: dict[str | None, Callable[[FailedMessage], None]] = field(default_factory=dict)
    on_received: dict[str | None, Callable[[ReceivedMessage, str | None], None]] = field(default_factory=dict)
    _by_ending: dict[str, list[tuple[ConfigSubentry, RecipientData]]] = field(default_factory=dict)
    _indexed: Mapping[str, ConfigSubentry] | None = None

    @callback
    def tell_failure(self, failed: FailedMessage) -> None:
        """Tell the account's and the recipient's event entity of a text that was given up."""
        for listener in {None, failed.message.recipient_id} & self.on_failed.keys():
            self.on_failed[listener](failed)

    @callback
    def tell_received(self, received: ReceivedMessage) -> None:
        """Tell the account's event entity of a message that came in, and those of the recipients whose number it is."""
        try:
            senders = self._senders_of(received)
        except Exception:
            # Whoever it is from, the account's event tells of it.
            _LOGGER.exception("Unexpected error while looking for the sender of a message")
            senders = []
        name = senders[0].title if senders else None
        for recipient_id in (None, *(recipient.subentry_id for recipient in senders)):
            if recipient_id not in self.on_received:
                continue
            try:
                self.on_received[recipient_id](received, name)
            except Exception:
                # One listener that fails must not keep the others from hearing of it.
                _LOGGER.exception("Unexpected error while telling of a message")

    def _senders_of(self, received: ReceivedMessage) -> list[ConfigSubentry]:
        """Return the recipients whose number a message came from.

        They are looked up by the last digits: to read every recipient's numbers anew takes seconds where there are
        thousands.
        """
        entry, region = self.coordinator.config_entry, self.coordinator.hass.config.country
        if self._indexed is not entry.subentries:
            self._indexed, self._by_ending = entry.subentries, {}
            for recipient, data in readable_recipients(entry):
                for ending in {_ending(text, region) for text in data.destination}:
                    self._by_ending.setdefault(ending, []).append((recipient, data))
        candidates = self._by_ending.get(received.from_number[-_ENDING:], [])
        return [recipient for recipient, data in candidates if _is_from(received, data, region)]


def _ending(text: str, region: str | None) -> str:
    """Return the last digits of a number as it is kept, which are those of the number as the PBX wants it."""
    if text.isascii() and text.removeprefix("+").isdigit():
        return text[-_ENDING:]
    try:
        return parse_destination(text, region).number[-_ENDING:]
    except InvalidNumberError:
        return ""


def _is_from(received: ReceivedMessage, recipient: RecipientData, region: str | None) -> bool:
    """Whether a message came from one of a recipient's numbers."""
    for text in recipient.destination:
        try:
            number = parse_destination(text, region).number
        except InvalidNumberError:
            continue
        sender = received.from_number  # user@domain for one of another domain
        if number == sender or (sender.isdigit() and same_number(number, sender)):
            return True
    return False


type NetsapiensConfigEntry = ConfigEntry[NetsapiensData]


async def async_send(
    hass: HomeAssistant,
    requests: Sequence[tuple[NetsapiensConfigEntry, SendRequest]],
    context: Context | None = None,
) -> list[SentMessage]:
    """Send what was asked for, each request through its account.

    Every rule is checked for all of them before anything goes out. A message that fails does not keep the others back.

    Parameters:
        requests: what to send, with the account to send it through.
        context: the call's, whose user must be allowed to see the cameras and images that it names.

    Raises:
        ServiceValidationError: a rule is broken; nothing was sent.
        Unauthorized: the caller may not see some media.
        HomeAssistantError: names those that got nothing, and why.
    """
    await async_load_metadata(hass)
    requests = [(entry, await _with_media(hass, entry, request, context)) for entry, request in requests]
    batches = [(entry.runtime_data, compose(entry.runtime_data.coordinator, request)) for entry, request in requests]
    for _, request in requests:
        check_one_conversation(request.messagesession, [message for _, messages in batches for message in messages])
    for (entry, _), (data, messages) in zip(requests, batches, strict=True):
        _check_limit(hass, entry, data.outbox, len(messages))
    sends = [
        data.outbox.async_send(messages, _keep_for(entry, request))
        for (entry, request), (data, messages) in zip(requests, batches, strict=True)
    ]
    # One alone, as is usual, needs no task of its own.
    answers = [await sends[0]] if len(sends) == 1 else await asyncio.gather(*sends)
    sent: list[SentMessage] = []
    failed = [(one.title, _damaged(one)) for _, request in requests for one in request.recipients if is_damaged(one)]
    for (data, messages), results in zip(batches, answers, strict=True):
        for message, result in zip(messages, results, strict=True):
            if isinstance(result, HomeAssistantError):
                failed.append((message.label, result))
                continue
            sent.append(result)
            if message.recipient_id in data.on_texted:
                data.on_texted[message.recipient_id]()
    if failed:
        raise _summary(failed, len(sent) + len(failed))
    return sent


async def _with_media(
    hass: HomeAssistant, entry: NetsapiensConfigEntry, request: SendRequest, context: Context | None
) -> SendRequest:
    """Return the request with the media that it names."""
    if not request.sources:
        return request
    limit = int(entry.options.get(CONF_MMS_LIMIT, DEFAULT_MMS_LIMIT))
    return replace(request, media=await async_load_media(hass, request.sources, limit, context))


def _keep_for(entry: NetsapiensConfigEntry, request: SendRequest) -> timedelta:
    """Return how long to keep trying: as asked, else as the account's option says."""
    if request.keep_for is not None:
        return request.keep_for
    return timedelta(minutes=entry.options.get(CONF_KEEP_UNDELIVERED, DEFAULT_KEEP_UNDELIVERED))


def _check_limit(hass: HomeAssistant, entry: NetsapiensConfigEntry, outbox: Outbox, messages: int) -> None:
    """Stop an automation that runs in a circle.

    Raises:
        HomeAssistantError: the account's limit is reached.
    """
    if outbox.has_room_for(messages):
        clear_hourly_limit(hass, entry)
        return
    raise_hourly_limit(hass, entry, outbox.hourly_limit)
    raise HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="hourly_limit",
        translation_placeholders={"limit": str(outbox.hourly_limit)},
    )


def _damaged(recipient: ConfigSubentry) -> HomeAssistantError:
    """Return the error of a recipient that cannot be read, and that got nothing while others did."""
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="recipient_damaged",
        translation_placeholders={"recipient": recipient.title},
    )


def _summary(failed: list[tuple[str, HomeAssistantError]], total: int) -> HomeAssistantError:
    """Return the one error that tells of all that failed."""
    if total == 1:
        return failed[0][1]
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="some_failed",
        translation_placeholders={
            "failed": str(len(failed)),
            "total": str(total),
            "details": "; ".join(f"{label}: {err}" for label, err in failed),
        },
    )
