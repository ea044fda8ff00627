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
import unicodedata

from homeassistant.config_entries import ConfigSubentry
from homeassistant.exceptions import ServiceValidationError

from .api.messages import is_session_id
from .api.models import SmsNumber, is_digits, same_number
from .const import DOMAIN
from .pbx.coordinator import NetsapiensCoordinator
from .phone import (
    Destination,
    InvalidNumberError,
    international,
    is_name,
    mask,
    parse_destination,
    parse_sender,
    shown_name,
)
from .recipients import DamagedRecipientError, read_recipient
from .settings import read_settings

_TYPES = ("sms", "mms", "chat", "chat-media")
_CHAT = ("chat", "chat-media")
_WITH_MEDIA = ("mms", "chat-media")
# Beside blanks, control and format characters: fillers, an empty Braille pattern, and what only changes its neighbour.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(map(chr, range(0xFE00, 0xFE10)))
_MOST_DIGITS_SHOWN = 7  # in an error: a number without its area code
_MOST_CHARACTERS_SHOWN = 16
_MOST_DIGITS_CHAT = 6  # of an extension, where a message is asked to be a chat
_MOST_DIGITS_EXTENSION = 4  # else; more are a short code or a phone number
_FOR_WORDS = {"mms": "sms", "chat-media": "chat"}  # what words go as that stand beside media
_MIME_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or the like.

    Attributes:
        content: None while only the disk holds it.
        mime_type: e.g. ``image/jpeg``.
        size: bytes.
    """

    content: bytes | None
    mime_type: str
    size: int


@dataclass(frozen=True, slots=True)
class ExistingConversation:
    """One conversation, for an answer in it.

    Attributes:
        id: the PBX's id of it.
        others: everybody in it but us: digits, the user of an extension, or the name of a sender that is no number.
        from_number: our number in it, digits; None for a chat.
        recipient: the recipient that it is with, if it is with one.
    """

    id: str
    others: tuple[str, ...]
    from_number: str | None
    recipient: ConfigSubentry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """What a door was asked for; the fields are those of ``netsapiens.send_message``.

    Attributes:
        destinations: numbers as people write them, each texted privately unless ``group``.
        recipients: each texted in the way it is configured.
        conversation: to answer in, where neither a destination nor a recipient is named.
        sources: where media is: what the media selector gives, or a text. Each is a message of its own.
    """

    destinations: Sequence[str] = ()
    recipients: Sequence[ConfigSubentry] = ()
    conversation: ExistingConversation | None = None
    message: str | None = None
    title: str | None = None
    group: bool = False
    from_number: str | None = None
    message_type: str | None = None
    messagesession: str | None = None
    data: str | None = None
    mime_type: str | None = None
    sources: Sequence[str | Mapping[str, Any]] = ()
    keep_for: timedelta | None = None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message, ready to go.

    Attributes:
        destination: digits with country code, short codes or extensions; several are one group.
        message_type: ``sms``, ``mms``, ``chat`` or ``chat-media``.
        text: what it says; beside media the words that go with it, or its name. Never empty.
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
class Conversation:
    """What one conversation gets.

    Attributes:
        words: the words as a message of their own; None where there are none.
        media: the message that each media becomes, media and text still to be filled in; None where there is none.
    """

    words: OutgoingMessage | None
    media: OutgoingMessage | None

    @property
    def key(self) -> tuple[str, str | None, tuple[str, ...]] | None:
        """What makes it another conversation: its id, the sender, and who takes part."""
        message = self.media or self.words
        return (message.messagesession, message.from_number, message.destination) if message else None


@dataclass(frozen=True, slots=True)
class _Party:
    """Who takes part in one conversation, and from which number it is asked for.

    Attributes:
        trusted: a number of ours by the PBX's own list of conversations.
    """

    destinations: tuple[Destination, ...]
    from_number: str | None
    recipient: ConfigSubentry | None
    trusted: str | None = None

    @property
    def numbers(self) -> tuple[str, ...]:
        """The destinations' numbers."""
        return tuple(destination.number for destination in self.destinations)

    @property
    def label(self) -> str:
        """Whom a person would say it is for."""
        return self.recipient.title if self.recipient else label_of(self.numbers)


def compose(coordinator: NetsapiensCoordinator, request: SendRequest, *, has_media: bool = False) -> list[Conversation]:
    """Return what each conversation gets that the request makes.

    Parameters:
        coordinator: the account.
        request: what was asked for.
        has_media: whether media goes with it, there already or still to be loaded.

    Raises:
        ServiceValidationError: a rule is broken; nothing was sent.
    """
    text = _text_of(request)
    if not text and not has_media:
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
    messages = [_message(coordinator, request, party, text, has_media=has_media) for party in parties]
    conversations = {one.key: one for one in (_conversation(message, has_media=has_media) for message in messages)}
    check_one_conversation(request.messagesession, conversations.values())
    return list(conversations.values())


def check_one_conversation(messagesession: str | None, conversations: Iterable[Conversation]) -> None:
    """Refuse a given conversation for a call that makes several.

    Raises:
        ServiceValidationError: it is so.
    """
    if messagesession is not None and len({one.key for one in conversations}) > 1:
        _refuse("messagesession_for_several")


def is_mixed(destinations: Iterable[Destination]) -> bool:
    """Whether there are both phone numbers and extensions, which cannot be one group."""
    return len({destination.is_extension for destination in destinations}) > 1


def attached_media(request: SendRequest) -> list[Media]:
    """Return the media that came as base64, if any did.

    Raises:
        ServiceValidationError: it is not base64, or of no kind.
    """
    if request.data is None:
        if request.mime_type is not None:
            _refuse("mime_type_without_data")
        return []
    mime_type = (request.mime_type or "").strip().lower()
    if not _MIME_TYPE.fullmatch(mime_type):
        _refuse("invalid_mime_type")
    try:
        content = base64.b64decode("".join(request.data.split()), validate=True)  # it is often wrapped
    except binascii.Error, ValueError:
        _refuse("invalid_data")
    if not content:
        _refuse("invalid_data")
    return [Media(content, mime_type, len(content))]


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
    """Return the text, the title as its first line; empty where nothing of it can be seen."""
    text = "\n".join(part for part in (request.title, request.message) if part and _is_visible(part))
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse("invalid_text")
    return text


def _is_visible(text: str) -> bool:
    """Whether a text has a character that a phone shows."""
    return any(
        not char.isspace() and char not in _INVISIBLE and unicodedata.category(char) not in {"Cc", "Cf"}
        for char in text
    )


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
    if not parties and request.conversation is not None:
        parties = [_answering(request, request.conversation)]
    return parties


def _answering(request: SendRequest, conversation: ExistingConversation) -> _Party:
    """Return who takes part in a conversation that is answered in."""
    is_chat = conversation.from_number is None
    for other in conversation.others:
        if not is_chat and not is_digits(other):
            _refuse("sender_without_number", sender=shown_name(other))
    destinations = tuple(Destination(other, is_extension=is_chat) for other in conversation.others)
    ours = international(conversation.from_number or "") or None
    return _Party(destinations, request.from_number or ours, conversation.recipient, ours)


def _destinations(
    coordinator: NetsapiensCoordinator, numbers: Iterable[str], message_type: str | None
) -> tuple[Destination, ...]:
    """Return the destinations that numbers as people write them mean, each once."""
    region = coordinator.hass.config.country
    texts = list(numbers)
    found: dict[str, Destination] = {}
    for position, text in enumerate(texts, 1):
        try:
            destination = parse_destination(text, region, message_type)
        except InvalidNumberError:
            _refuse_number(text, position if len(texts) > 1 else None, len(texts))
        found[destination.number] = destination
    return tuple(found.values())


def _refuse_number(text: str, position: int | None, count: int) -> NoReturn:
    """Raise the translated error of what cannot be texted: a name, as some senders have one, or a wrong number."""
    which = "" if position is None else f" ({position}/{count})"
    if is_name(text):
        _refuse("sender_without_number", sender=f"{shown_name(text)}{which}")
    _refuse("invalid_number", number=f"{_as_typed(text)}{which}")


def _as_typed(text: str) -> str:
    """Return what was typed where a number should be: as it is where it is short and no number, else the end of it."""
    digits = sum(char.isdigit() for char in text)
    return text.strip() if digits <= _MOST_DIGITS_SHOWN and len(text) <= _MOST_CHARACTERS_SHOWN else mask(text)


def _check_reach(destination: Destination, message_type: str) -> None:
    """Refuse a type of message that does not reach a destination: chats stay inside the PBX, and MMS outside."""
    number = destination.number
    is_phone_number = not destination.is_extension or (number.isdigit() and len(number) > _MOST_DIGITS_CHAT)
    if message_type in _CHAT and is_phone_number:
        _refuse("chat_to_phone_number", message_type=message_type, number=mask(number))
    if message_type == "mms" and len(number) <= _MOST_DIGITS_EXTENSION:
        _refuse("mms_to_extension", number=mask(number))


def _message(
    coordinator: NetsapiensCoordinator, request: SendRequest, party: _Party, text: str, *, has_media: bool
) -> OutgoingMessage:
    """Return the message to one party, its media left open."""
    message_type = _type_of(request.message_type, party, has_media=has_media)
    from_number = None if message_type in _CHAT else _sender(coordinator, party)
    session = request.messagesession or stable_session_id(coordinator.data.account.uid, from_number, party.numbers)
    recipient_id = party.recipient.subentry_id if party.recipient else None
    if message_type == "mms" and from_number is not None:
        _check_mms(coordinator, from_number, group=len(party.numbers) > 1)
    owner = coordinator.data.owner_of(from_number or "")
    return OutgoingMessage(
        party.numbers, message_type, text, from_number, session, None, recipient_id, party.label, owner
    )


def _conversation(message: OutgoingMessage, *, has_media: bool) -> Conversation:
    """Return what the conversation of a message gets."""
    if not has_media:
        return Conversation(message, None)
    words = replace(message, message_type=_FOR_WORDS[message.message_type]) if message.text.strip() else None
    return Conversation(words, message)


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
        for destination in party.destinations:
            _check_reach(destination, asked)
        return asked
    if is_mixed(party.destinations):
        _refuse("mixed_group")
    if party.destinations[0].is_extension:
        return "chat-media" if has_media else "chat"
    return "mms" if has_media else "sms"


def _sender(coordinator: NetsapiensCoordinator, party: _Party) -> str:
    """Return the number to send from, as the PBX lists it."""
    configured = read_settings(coordinator.config_entry).from_number
    asked = party.from_number or configured
    if not asked:
        _refuse("no_sender")
    of_recipient = read_recipient(party.recipient).from_number if party.recipient else None
    trusted = [own for own in (configured, party.trusted, of_recipient) if own]
    try:
        number = parse_sender(asked, coordinator.hass.config.country)
    except InvalidNumberError:
        _refuse_sender(asked, [*coordinator.data.numbers, *trusted])
    listed = coordinator.data.listed(number)
    if listed is not None:
        return listed
    if not any(same_number(own, number) for own in trusted):
        _refuse_sender(asked, [*coordinator.data.numbers, *trusted])
    return number


def _refuse_sender(asked: str, own: Iterable[str]) -> NoReturn:
    """Refuse a sender number that is not the account's, and name those that are."""
    if numbers := label_of(sorted(set(own))):
        _refuse("foreign_sender", number=mask(asked), numbers=numbers)
    _refuse("no_sender_listed", number=mask(asked))
