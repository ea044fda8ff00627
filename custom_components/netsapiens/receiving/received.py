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
    dialed = "" if row.type.startswith("chat") or "," in row.dialed else number_of(row.dialed)
    to_number = session.sms_number or dialed or account.user
    listed_in_it = row.participants or session.remotes
    others = [one for one in listed_in_it if not _is_us(one, to_number, account, region)]
    return ReceivedMessage(
        text=row.text,
        from_number=row.from_number or account.without_domain(row.from_user_id),
        to_number=to_number,
        message_type=row.type,
        messagesession=session.id,
        message_id=row.id or None,
        timestamp=at,
        participants=listed_in_it if len(others) > 1 else (),
        media_type=row.media_type or None,
        media=media_id_of(entry_id, session, row),
        listed=listed,
    )


def _is_us(participant: str, to_number: str, account: Account, region: str | None) -> bool:
    """Whether somebody in a conversation is the account itself, which some PBXs list with the other one of two."""
    inside = account.without_domain(participant)
    return inside == account.user or participant == account.uid or is_same_number(participant, to_number, region)
