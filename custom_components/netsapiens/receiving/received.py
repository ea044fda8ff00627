"""A message that came in, as it is reported."""

from datetime import datetime
from typing import NamedTuple

from ..api import Account, Message, MessageSession
from ..api.values import number_of
from ..phone import from_pbx, is_same_number
from .pictures_id import MediaId, media_id_of


class OurText(NamedTuple):
    """A text of ours as the PBX lists it.

    Attributes:
        text: what it says.
        at: its time, by the PBX's clock.
    """

    text: str
    at: datetime


class ListedBetween(NamedTuple):
    """Where a message that came in stands among ours in the PBX's list of its conversation.

    Attributes:
        before: the last of our texts that are listed before it.
        after: the first of our texts that are listed after it.
        read_at: when the list was read, by the event loop's clock.
    """

    before: tuple[OurText, ...]
    after: tuple[OurText, ...]
    read_at: float


class ReceivedMessage(NamedTuple):
    """A message that came in.

    Attributes:
        text: what it says; may be empty where there is media.
        from_number: digits, mostly with country code; the user of an extension; or the name of a sender that is
            no number.
        to_number: our number, or our extension.
        message_type: ``sms``, ``mms``, ``chat`` or ``chat-media``.
        messagesession: its conversation.
        message_id: the PBX's id; None where it gave none.
        timestamp: by the PBX's clock.
        participants: of a group; empty otherwise.
        media_type: MIME type of what came with it, or None.
        media: the id of what came with it, or None.
        is_answer: whether a question of ours was waiting for this text.
        listed: where it stands among our own texts; None where that is not known.
    """

    text: str
    from_number: str
    to_number: str
    message_type: str
    messagesession: str
    message_id: str | None
    timestamp: datetime
    participants: tuple[str, ...]
    media_type: str | None
    media: MediaId | None
    is_answer: bool = False
    listed: ListedBetween | None = None

    @property
    def media_content_id(self) -> str | None:
        """The id of what came with it as actions, players and AI tasks take it; None where nothing did."""
        return self.media.content_id if self.media is not None else None

    def shown(self, number: str, region: str | None) -> str:
        """Return a number of the message as people read it; a user of the PBX as it is.

        Parameters:
            number: as the PBX gives it.
            region: the country (ISO 3166, two letters) whose national numbers are meant.
        """
        return number if self.message_type.startswith("chat") else from_pbx(number, region)


def received_message(
    row: Message,
    session: MessageSession,
    at: datetime,
    account: Account,
    entry_id: str,
    region: str | None,
    listed: ListedBetween | None = None,
) -> ReceivedMessage:
    """Return a message as it is reported.

    Parameters:
        row: the message.
        session: its conversation.
        at: its time.
        account: who we are.
        entry_id: the account's.
        region: the country (ISO 3166, two letters) of the home.
        listed: where it stands among our own texts.
    """
    others = _others_in(row, session, account, region)
    return ReceivedMessage(
        text=row.text,
        from_number=sender_of(row, session, account, region),
        to_number=_our_number(row, session, account),
        message_type=row.type,
        messagesession=session.id,
        message_id=row.id or None,
        timestamp=at,
        participants=_listed_in(row, session) if len(others) > 1 else (),
        media_type=row.media_type or None,
        media=media_id_of(entry_id, session, row),
        listed=listed,
    )


def sender_of(row: Message, session: MessageSession, account: Account, region: str | None) -> str:
    """Return who wrote a message that came in: a number, a name, or a user; empty where that is not known.

    Where the PBX does not say it, a text is from the only other one in its conversation.

    Parameters:
        row: the message.
        session: its conversation.
        account: who we are.
        region: the country (ISO 3166, two letters) of the home.
    """
    if row.from_number or row.from_user_id:
        return row.from_number or account.without_domain(row.from_user_id)
    others = _others_in(row, session, account, region)
    came_in = row.direction == "orig"  # of a chat that is not known, so it may be ours
    return number_of(others[0]) if came_in and len(others) == 1 else ""


def _our_number(row: Message, session: MessageSession, account: Account) -> str:
    """Return our number, or our extension."""
    dialed = "" if row.type.startswith("chat") or "," in row.dialed else number_of(row.dialed)
    return session.sms_number or dialed or account.user


def _listed_in(row: Message, session: MessageSession) -> tuple[str, ...]:
    """Return who takes part in a conversation, as the PBX lists them."""
    return row.participants or session.remotes


def _others_in(row: Message, session: MessageSession, account: Account, region: str | None) -> list[str]:
    """Return who takes part in a conversation beside us."""
    ours = _our_number(row, session, account)
    return [one for one in _listed_in(row, session) if not _is_us(one, ours, account, region)]


def _is_us(participant: str, to_number: str, account: Account, region: str | None) -> bool:
    """Whether somebody in a conversation is the account itself, which some PBXs list with the other one of two."""
    inside = account.without_domain(participant)
    return inside == account.user or participant == account.uid or is_same_number(participant, to_number, region)
