"""What a caller asks for -> the messages to send, or a translated reason why not.

Every rule is checked here, before anything goes out.
"""

from collections.abc import Iterable, Sequence
from copy import replace
from typing import NamedTuple, NoReturn

from homeassistant.config_entries import ConfigSubentry

from .api.messages import is_session_id
from .api.values import is_digits
from .errors import refuse
from .outgoing import Conversation, OutgoingMessage, label_of, stable_session_id
from .phone import (
    Destination,
    InvalidNumberError,
    digits_from_pbx,
    from_pbx,
    is_name,
    is_phone_number,
    mask,
    parse_destination,
    shown_name,
)
from .recipients import DamagedRecipientError, read_recipient
from .request import ExistingConversation, SendRequest, text_of
from .senders import SendingAccount, check_mms, sender_of

_TYPES = ("sms", "mms", "chat", "chat-media")
_CHAT = ("chat", "chat-media")
_WITH_MEDIA = ("mms", "chat-media")
_MOST_DIGITS_SHOWN = 7  # in an error: a number without its area code
_MOST_CHARACTERS_SHOWN = 16
_MOST_DIGITS_EXTENSION = 4  # more are a short code or a phone number
_FOR_WORDS = {"mms": "sms", "chat-media": "chat"}  # what words go as that stand beside media


class _Party(NamedTuple):
    """Who takes part in one conversation, and from which number it is asked for.

    Attributes:
        from_number: as asked for, or the recipient's own; None for the account's.
        trusted: numbers of ours that the PBX may not list: the recipient's own, or ours in a conversation.
    """

    destinations: tuple[Destination, ...]
    from_number: str | None
    recipient: ConfigSubentry | None
    trusted: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """The destinations' numbers."""
        return tuple([destination.number for destination in self.destinations])

    @property
    def label(self) -> str:
        """Whom a person would say it is for."""
        return self.recipient.title if self.recipient else label_of(self.numbers)


def compose(account: SendingAccount, request: SendRequest, *, has_media: bool = False) -> list[Conversation]:
    """Return what each conversation gets that the request makes.

    Parameters:
        account: the account to send through.
        request: what was asked for.
        has_media: whether media goes with it, there already or still to be loaded.

    Raises:
        ServiceValidationError: a rule is broken; nothing was sent.
    """
    text = text_of(request)
    if not text and not has_media:
        refuse("nothing_to_send")
    if request.message_type is not None and request.message_type not in _TYPES:
        refuse("invalid_message_type", types=", ".join(_TYPES))
    parties = _parties(account, request)
    if not parties and request.recipients:
        refuse("recipient_damaged", recipient=request.recipients[0].title)
    if not parties:
        refuse("nobody_to_send_to")
    if request.messagesession is not None and not is_session_id(request.messagesession):
        refuse("invalid_messagesession")
    messages = [_message(account, request, party, text, has_media=has_media) for party in parties]
    conversations = {one.key: one for one in [_conversation(message, has_media=has_media) for message in messages]}
    if request.messagesession is not None:
        check_one_conversation(conversations.values())
    return list(conversations.values())


def check_one_conversation(conversations: Iterable[Conversation]) -> None:
    """Refuse to send in a given conversation what makes several.

    Raises:
        ServiceValidationError: it is so.
    """
    if len({one.key for one in conversations}) > 1:
        refuse("messagesession_for_several")


def is_mixed(destinations: Iterable[Destination]) -> bool:
    """Whether there are both phone numbers and extensions, which cannot be one group."""
    return len({destination.is_extension for destination in destinations}) > 1


def numbers_in(texts: Sequence[str], region: str | None) -> list[str]:
    """Return whom texts name as somebody to text with, or somebody who texts under a name in place of a number.

    Parameters:
        texts: as people write them.
        region: the country (ISO 3166, two letters) whose national numbers are meant.

    Returns:
        Digits with country code, extensions, or names in lower case.

    Raises:
        ServiceValidationError: one is none of these.
    """
    found = []
    for position, text in enumerate(texts, 1):
        try:
            found.append(parse_destination(text, region).number)
        except InvalidNumberError:
            if not is_name(text):
                _refuse_number(text, position if len(texts) > 1 else None, len(texts))
            found.append(text.strip().casefold())
    return found


def _parties(account: SendingAccount, request: SendRequest) -> list[_Party]:
    """Return who is to be texted: the destinations, then the recipients."""
    destinations = _destinations(account, request.destinations, request.message_type)
    groups = [destinations] if request.group and destinations else [(one,) for one in destinations]
    parties = [_Party(group, request.from_number, None) for group in groups]
    for recipient in request.recipients:
        try:
            data = read_recipient(recipient)
        except DamagedRecipientError:
            continue
        numbers = _destinations(account, data.destination, request.message_type)
        from_number = request.from_number or data.from_number
        groups = [numbers] if data.group else [(one,) for one in numbers]
        trusted = (data.from_number,) if data.from_number else ()
        parties += [_Party(group, from_number, recipient, trusted) for group in groups]
    if not parties and request.conversation is not None:
        parties = [_answering(request, request.conversation, account.region)]
    return parties


def _answering(request: SendRequest, conversation: ExistingConversation, region: str | None) -> _Party:
    """Return who takes part in a conversation that is answered in."""
    recipient = conversation.recipient
    if conversation.is_chat:
        users = tuple(Destination(user, is_extension=True) for user in conversation.others)
        return _Party(users, request.from_number, recipient)
    numbers = tuple(dict.fromkeys(digits_from_pbx(other, region) for other in conversation.others))
    for number in numbers:
        if not is_digits(number):
            refuse("sender_without_number", sender=shown_name(number))
    chosen = read_recipient(recipient).from_number if recipient else None
    ours = from_pbx(conversation.from_number or "", region) or chosen
    destinations = tuple(Destination(number, is_extension=False) for number in numbers)
    return _Party(destinations, request.from_number or ours, recipient, (ours,) if ours else ())


def _destinations(account: SendingAccount, numbers: Iterable[str], message_type: str | None) -> tuple[Destination, ...]:
    """Return the destinations that numbers as people write them mean, each once."""
    texts = list(numbers)
    found: dict[str, Destination] = {}
    for position, text in enumerate(texts, 1):
        try:
            destination = parse_destination(text, account.region, message_type)
        except InvalidNumberError:
            _refuse_number(text, position if len(texts) > 1 else None, len(texts))
        found[destination.number] = destination
    return tuple(found.values())


def _refuse_number(text: str, position: int | None, count: int) -> NoReturn:
    """Raise the translated error of what cannot be texted: a name, as some senders have one, or a wrong number."""
    which = "" if position is None else f" ({position}/{count})"
    if is_name(text):
        refuse("sender_without_number", sender=f"{shown_name(text)}{which}")
    refuse("invalid_number", number=f"{_as_typed(text)}{which}")


def _as_typed(text: str) -> str:
    """Return what was typed where a number should be: as it is where it is short and no number, else the end of it."""
    digits = sum(char.isdigit() for char in text)
    return text.strip() if digits <= _MOST_DIGITS_SHOWN and len(text) <= _MOST_CHARACTERS_SHOWN else mask(text)


def _check_reach(destination: Destination, message_type: str) -> None:
    """Refuse a type of message that does not reach a destination: chats stay inside the PBX, and MMS outside."""
    number = destination.number
    if message_type in _CHAT and (not destination.is_extension or is_phone_number(number)):
        refuse("chat_to_phone_number", message_type=message_type, number=mask(number))
    if message_type == "mms" and len(number) <= _MOST_DIGITS_EXTENSION:
        refuse("mms_to_extension", number=mask(number))


def _message(
    account: SendingAccount, request: SendRequest, party: _Party, text: str, *, has_media: bool
) -> OutgoingMessage:
    """Return the message to one party, its media left open."""
    numbers = party.numbers
    message_type = _type_of(request.message_type, party, has_media=has_media)
    from_number = None if message_type in _CHAT else sender_of(account, party.from_number, party.trusted)
    session = request.messagesession or stable_session_id(account.facts.account.uid, from_number, numbers)
    recipient_id = party.recipient.subentry_id if party.recipient else None
    if message_type == "mms" and from_number is not None:
        check_mms(account, from_number, group=len(numbers) > 1)
    owner = account.facts.owner_of(from_number or "")
    return OutgoingMessage(numbers, message_type, text, from_number, session, None, recipient_id, party.label, owner)


def _conversation(message: OutgoingMessage, *, has_media: bool) -> Conversation:
    """Return what the conversation of a message gets."""
    if not has_media:
        return Conversation(message, None)
    words = replace(message, message_type=_FOR_WORDS[message.message_type]) if message.text.strip() else None
    return Conversation(words, message)


def _type_of(asked: str | None, party: _Party, *, has_media: bool) -> str:
    """Return the kind of message: as asked, else by media and destination."""
    if asked is not None:
        if has_media and asked not in _WITH_MEDIA:
            refuse("type_without_media", message_type=asked)
        for destination in party.destinations:
            _check_reach(destination, asked)
        return asked
    if len(party.destinations) > 1 and is_mixed(party.destinations):
        refuse("mixed_group")
    if party.destinations[0].is_extension:
        return "chat-media" if has_media else "chat"
    return "mms" if has_media else "sms"
