"""The ids of media that came in or went out: what finds it again at the PBX, also after a restart."""

from typing import NamedTuple, Self
from urllib.parse import quote, unquote

from ..api import Message, MessageSession
from ..const import DOMAIN
from ..media_kinds import may_be_media

_NO_ID = "~"  # stands for the id of a message that the PBX gave none
_PARTS = (4, 5)
_LONGEST = 1000  # characters; an id stands in states, and no PBX's is a tenth of it


class MediaId(NamedTuple):
    """The id of what came with a message.

    Attributes:
        entry_id: the account's.
        messagesession: the message's conversation.
        at: the message's time by the PBX, in seconds since 1970; 0 where it gave none.
        message_id: the PBX's; may be empty.
        owner: the user whose conversation it is; None for the login's own.
    """

    entry_id: str
    messagesession: str
    at: int
    message_id: str
    owner: str | None = None

    @property
    def identifier(self) -> str:
        """The id below ``media-source://netsapiens/``."""
        parts = [self.entry_id, self.messagesession, str(self.at), self.message_id or _NO_ID]
        return "/".join(quote(part, safe="", errors="replace") for part in parts + ([self.owner] if self.owner else []))

    @property
    def content_id(self) -> str:
        """The id as actions, players and AI tasks take it."""
        return f"media-source://{DOMAIN}/{self.identifier}"

    @classmethod
    def parse(cls, identifier: str) -> Self | None:
        """Return the id that an identifier stands for; None where it is none."""
        parts = [unquote(part) for part in identifier.split("/")]
        if len(parts) not in _PARTS or not all(parts):
            return None
        entry_id, messagesession, at, message_id, *owner = parts
        if not at.isascii() or not at.isdigit() or len(at) > len(str(2**40)):
            return None
        return cls(
            entry_id, messagesession, int(at), "" if message_id == _NO_ID else message_id, owner[0] if owner else None
        )


def media_id_of(entry_id: str, session: MessageSession, row: Message) -> MediaId | None:
    """Return the id of what comes with a message; None where nothing does, or nothing that may be shown.

    Parameters:
        entry_id: the account's.
        session: the message's conversation.
        row: the message.
    """
    if not (row.media_url or row.media_type) or not may_be_media(row.media_type):
        return None
    at = max(0, int(row.time.timestamp())) if row.time is not None else 0
    media_id = MediaId(entry_id, session.id, at, row.id, session.owner)
    return media_id if len(media_id.identifier) <= _LONGEST else None
