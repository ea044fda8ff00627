"""Messages that are ready to go, and what goes with them."""

from collections.abc import Iterable
from functools import lru_cache
import hashlib
from typing import NamedTuple

from .phone import mask


class Media(NamedTuple):
    """A picture or the like.

    Attributes:
        content: None while only the disk holds it.
        mime_type: e.g. ``image/jpeg``.
        size: bytes.
    """

    content: bytes | None
    mime_type: str
    size: int


class OutgoingMessage(NamedTuple):
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
        reference: what whoever waits for its end knows it by; after a restart nobody does, and it is not sent.
        goes_with: the reference of the question whose picture it is; likewise not kept.
        is_named: whether the text is only what the media is called, since the PBX wants some text beside it.
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
    reference: str | None = None
    goes_with: str | None = None
    is_named: bool = False

    @property
    def words(self) -> str:
        """What somebody wrote; empty where the text is only what the media is called."""
        return "" if self.is_named else self.text

    @property
    def media_name(self) -> str | None:
        """What the media is called where that is the text, or None."""
        return self.text if self.is_named else None


class Conversation(NamedTuple):
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


def label_of(numbers: Iterable[str]) -> str:
    """Return what may stand in an error or a log for numbers that have no name."""
    return _label(tuple(numbers))


@lru_cache(maxsize=1024)  # people text the same few
def _label(numbers: tuple[str, ...]) -> str:
    """Return what may stand in an error or a log for numbers."""
    return ", ".join([mask(number) for number in numbers])


@lru_cache(maxsize=1024)  # people text the same few
def stable_session_id(uid: str, from_number: str | None, numbers: tuple[str, ...]) -> str:
    """Return the id of the conversation that this account, sender and destinations always continue.

    A letter first: the PBX takes an id of digits for a number.
    """
    parts = "\n".join((uid, from_number or "", *sorted(numbers)))
    return f"h{hashlib.sha256(parts.encode()).hexdigest()[:39]}"
