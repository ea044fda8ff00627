"""What a caller asks for -> the messages to send, or a translated reason why not.

Every rule is checked here, before anything goes out.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
import hashlib
import re
from typing import Any, NoReturn

from homeassistant.config_entries import ConfigSubentry
from homeassistant.exceptions import ServiceValidationError

from .api.messages import is_session_id
from .api.models import SmsNumber, same_number
from .const import CONF_FROM_NUMBER, DOMAIN
from .coordinator import NetsapiensCoordinator
from .phone import Destination, InvalidNumberError, mask, parse_destination, parse_sender
from .recipients import DamagedRecipientError, read_recipient

_TYPES = ("sms", "mms", "chat", "chat-media")
_CHAT = ("chat", "chat-media")
_WITH_MEDIA = ("mms", "chat-media")
_MIME_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or the like.

    Attributes:
        data: base64, without line breaks.
        mime_type: e.g. ``image/jpeg``.
        size: bytes, decoded.
    """

    data: str
    mime_type: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """What a door was asked for; the fields are those of ``netsapiens.send_message``.

    Attributes:
        destinations: numbers as people write them, each texted privately unless ``group``.
        recipients: each texted in the way it is configured.
        sources: where media is: what the media selector gives, or a text.
        media: what was found there.
    """

    destinations: Sequence[str] = ()
    recipients: Sequence[ConfigSubentry] = ()
    message: str | None = None
    title: str | None = None
    group: bool = False
    from_number: str | None = None
    message_type: str | None = None
    messagesession: str | None = None
    data: str | None = None
    mime_type: str | None = None
    sources: Sequence[str | Mapping[str, Any]] = ()
    media: Sequence[Media] = ()
    keep_for: timedelta | None = None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message, ready to go.

    Attributes:
        destination: digits with country code, short codes or extensions; several are one group.
        message_type: ``sms``, ``mms``, ``chat`` or ``chat-media``.
        text: what it says; may be empty where there is media.
        from_number: as the PBX lists it; None for chat.
        messagesession: the conversation's id.
        media: what goes with it.
        recipient_id: the subentry that it is for, if it is for one.
        label: whom it is for, as errors and logs may say it: a recipient's name, or the last four digits.
        owner: the user whose number it is sent from; None for the account's own.
    """

    destination: tuple[str, ...]
    message_type: str
    text: str
    from_number: str | None
    messagesession: str
    media: Media | None
    recipient_id: str | None
    label: str
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class _Party:
    """Who takes part in one conversation, and from which number it is asked for."""

    destinations: tuple[Destination, ...]
    from_number: str | None
    recipient: ConfigSubentry | None

    @property
    def numbers(self) -> tuple[str, ...]:
        """The destinations' numbers."""
        return tuple(destination.number for destination in self.destinations)

    @property
    def label(self) -> str:
        """Whom a person would say it is for."""
        return self.recipient.title if self.recipient else label_of(self.numbers)


def compose(coordinator: NetsapiensCoordinator, request: SendRequest) -> list[OutgoingMessage]:
    """Return the messages that the request makes: one a conversation, and a further one for each further media.

    Raises:
        ServiceValidationError: a rule is broken; nothing was sent.
    """
    text = _text_of(request)
    media = [*_media_of(request), *request.media]
    if not text.strip() and not media:
        _refuse("nothing_to_send")
    if request.message_type is not None and request.message_type not in _TYPES:
        _refuse("invalid_message_type", types=", ".join(_TYPES))
    parties = _parties(coordinator, request)
    if not parties and request.recipients:
        _refuse("recipient_damaged", recipient=request.recipients[0].title)
    if not parties:
        _refuse("nobody_to_send_to")
    if request.messagesession is not None and not is_session_id(request.messagesession):
        _refuse("invalid_messagesession")
    conversations = {
        (message.messagesession, message.from_number, message.destination): message
        for message in (_message(coordinator, request, party, text, media) for party in parties)
    }
    check_one_conversation(request.messagesession, conversations.values())
    return [
        replace(message, text=words, media=item)
        for message in conversations.values()
        for words, item in _items(text, media)
    ]


def check_one_conversation(messagesession: str | None, messages: Iterable[OutgoingMessage]) -> None:
    """Refuse a given conversation for a call that makes several.

    Raises:
        ServiceValidationError: it is so.
    """
    conversations = {(message.messagesession, message.from_number, message.destination) for message in messages}
    if messagesession is not None and len(conversations) > 1:
        _refuse("messagesession_for_several")


def label_of(numbers: Iterable[str]) -> str:
    """Return what may stand in an error or a log for numbers that have no name."""
    return ", ".join(mask(number) for number in numbers)


def stable_session_id(uid: str, from_number: str | None, numbers: Iterable[str]) -> str:
    """Return the id of the conversation that this account, sender and destinations always continue.

    A letter first: the PBX takes an id of digits for a number.
    """
    parts = "\n".join((uid, from_number or "", *sorted(numbers)))
    return f"h{hashlib.sha256(parts.encode()).hexdigest()[:39]}"


def _refuse(key: str, **placeholders: str) -> NoReturn:
    """Raise the translated error of a broken rule."""
    raise ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders or None
    )


def _text_of(request: SendRequest) -> str:
    """Return the text, the title as its first line."""
    text = "\n".join(part for part in (request.title, request.message) if part)
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse("invalid_text")
    return text


def _items(text: str, media: Sequence[Media]) -> list[tuple[str, Media | None]]:
    """Return what each message of a conversation holds: the API takes one media a message, the text goes first."""
    return [(text, media[0] if media else None), *(("", further) for further in media[1:])]


def _media_of(request: SendRequest) -> list[Media]:
    """Return the media that came as base64, if any did."""
    if request.data is None:
        if request.mime_type is not None:
            _refuse("mime_type_without_data")
        return []
    mime_type = (request.mime_type or "").strip().lower()
    if not _MIME_TYPE.fullmatch(mime_type):
        _refuse("invalid_mime_type")
    data = "".join(request.data.split())  # base64 is often wrapped
    try:
        size = len(base64.b64decode(data, validate=True))
    except binascii.Error, ValueError:
        _refuse("invalid_data")
    if size == 0:
        _refuse("invalid_data")
    return [Media(data, mime_type, size)]


def _parties(coordinator: NetsapiensCoordinator, request: SendRequest) -> list[_Party]:
    """Return who is to be texted: the destinations, then the recipients."""
    destinations = _destinations(coordinator, request.destinations, request.message_type)
    groups = [destinations] if request.group and destinations else [(one,) for one in destinations]
    parties = [_Party(group, request.from_number, None) for group in groups]
    for recipient in request.recipients:
        try:
            data = read_recipient(recipient)
        except DamagedRecipientError:
            continue
        numbers = _destinations(coordinator, data.destination, request.message_type)
        from_number = request.from_number or data.from_number
        groups = [numbers] if data.group else [(one,) for one in numbers]
        parties += [_Party(group, from_number, recipient) for group in groups]
    return parties


def _destinations(
    coordinator: NetsapiensCoordinator, numbers: Iterable[str], message_type: str | None
) -> tuple[Destination, ...]:
    """Return the destinations that numbers as people write them mean, each once."""
    region = coordinator.hass.config.country
    found: dict[str, Destination] = {}
    for number in numbers:
        try:
            destination = parse_destination(number, region, message_type)
        except InvalidNumberError:
            _refuse("invalid_number", number=mask(number))
        found[destination.number] = destination
    return tuple(found.values())


def _message(
    coordinator: NetsapiensCoordinator, request: SendRequest, party: _Party, text: str, media: Sequence[Media]
) -> OutgoingMessage:
    """Return the first message of one conversation."""
    message_type = _type_of(request.message_type, party, has_media=bool(media))
    from_number = None if message_type in _CHAT else _sender(coordinator, party)
    session = request.messagesession or stable_session_id(coordinator.data.account.uid, from_number, party.numbers)
    recipient_id = party.recipient.subentry_id if party.recipient else None
    if message_type == "mms" and from_number is not None:
        _check_mms(coordinator, from_number, group=len(party.numbers) > 1)
    owner = coordinator.data.owner_of(from_number or "")
    return OutgoingMessage(
        party.numbers, message_type, text, from_number, session, None, recipient_id, party.label, owner
    )


def _check_mms(coordinator: NetsapiensCoordinator, from_number: str, *, group: bool) -> None:
    """Refuse a picture from a number that cannot send one, by the PBX's own list. What it does not say may work."""

    def can(number: SmsNumber) -> bool:
        return number.mms_capable is not False and not (group and number.group_mms_capable is False)

    numbers = coordinator.data.numbers
    if from_number not in numbers or can(numbers[from_number]):
        return
    if others := label_of(number for number, facts in numbers.items() if can(facts)):
        _refuse("sender_without_group_mms" if group else "sender_without_mms", number=mask(from_number), others=others)
    _refuse(
        "sender_without_group_mms_nor_others" if group else "sender_without_mms_nor_others", number=mask(from_number)
    )


def _type_of(asked: str | None, party: _Party, *, has_media: bool) -> str:
    """Return the kind of message: as asked, else by media and destination."""
    if asked is not None:
        if has_media and asked not in _WITH_MEDIA:
            _refuse("type_without_media", message_type=asked)
        return asked
    inside = {destination.is_extension for destination in party.destinations}
    if len(inside) > 1:
        _refuse("mixed_group")
    if True in inside:
        return "chat-media" if has_media else "chat"
    return "mms" if has_media else "sms"


def _sender(coordinator: NetsapiensCoordinator, party: _Party) -> str:
    """Return the number to send from, as the PBX lists it."""
    configured: str | None = coordinator.config_entry.options.get(CONF_FROM_NUMBER)
    asked = party.from_number or configured
    if not asked:
        _refuse("no_sender")
    try:
        number = parse_sender(asked, coordinator.hass.config.country)
    except InvalidNumberError:
        _refuse("foreign_sender", number=mask(asked))
    listed = coordinator.data.listed(number)
    if listed is not None:
        return listed
    trusted = [configured, read_recipient(party.recipient).from_number if party.recipient else None]
    if not any(own is not None and same_number(own, number) for own in trusted):
        _refuse("foreign_sender", number=mask(asked))
    return number
