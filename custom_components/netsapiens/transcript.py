"""A conversation as people read it: what the PBX lists, merged with what waits or failed here, each message once."""

from collections.abc import Sequence
from copy import replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from .api import Message, MessageSession
from .listed_text import text_key


class Status(StrEnum):
    """What became of a message."""

    RECEIVED = "received"
    SENT = "sent"
    SENDING = "sending"  # a call of the card is under way
    WAITING = "waiting"  # it was answered `queued`
    FAILED = "failed"


class Listed(NamedTuple):
    """A message that the PBX lists.

    Attributes:
        key: what it is known by, however often it is read.
        at: its time.
        order: orders the messages of one second; the newest has the highest.
        row: the message.
        session: its conversation.
        is_outbound: whether the account sent it.
    """

    key: str
    at: datetime
    order: int
    row: Message
    session: MessageSession
    is_outbound: bool

    @property
    def has_media(self) -> bool:
        """Whether it is a picture or the like."""
        return self.row.is_media_kind or bool(self.row.media_type)


class Own(NamedTuple):
    """A message of ours as we know of it.

    Attributes:
        key: what it is known by.
        at: when it was taken, sent or given up, by the PBX's clock.
        status: any but ``RECEIVED``.
        text: what it says; empty where it is a picture alone.
        media_type: MIME type of what goes with it, or None.
        media_content_id: the media source id of that, where it is known.
        media_name: what that is called, where the PBX lists this as its text, or None.
        listed_since: from when on the PBX may list it; None where it surely does not.
        reason: why it failed, as the event of a failed text says it, or None.
        error: the same in words.
        translation_key: of the error, where it has a translation.
        placeholders: what is filled in there.
        can_retry: whether it can be sent again as it was.
    """

    key: str
    at: datetime
    status: Status
    text: str
    media_type: str | None = None
    media_content_id: str | None = None
    media_name: str | None = None
    listed_since: datetime | None = None
    reason: str | None = None
    error: str | None = None
    translation_key: str | None = None
    placeholders: dict[str, str] | None = None
    can_retry: bool = False


def listed_order(listed: Listed) -> tuple[datetime, int]:
    """Return what orders messages that the PBX lists."""
    return listed.at, listed.order


def merged(listed: Sequence[Listed], own: Sequence[Own], *, has_older: bool = False) -> list[Listed | Own]:
    """Return the messages of a conversation, each once, oldest first.

    What the PBX lists stands as it is. A message of ours that may be one of those is left out where one of them can be
    it: it went out, says the same, and is not older. Each listed message is taken for one of ours at the most. What
    was sent stands by its time, and what is not out yet, last.

    Parameters:
        listed: what the PBX lists; oldest first.
        own: what we know of, in the order in which it was taken.
        has_older: whether the PBX lists older ones: what went out may be one of those then.
    """
    free = [(one, text_key(one.row.text)) for one in listed if one.is_outbound]
    unlisted: list[Own] = []
    for one in _without_words_that_went(own):
        match = _match(one, free)
        if match is not None:
            free.remove(match)
        elif not (has_older and _is_before(one, listed)):
            unlisted.append(one)
    settled: list[Listed | Own] = [*listed, *(one for one in unlisted if not _is_pending(one))]
    settled.sort(key=lambda one: (one.at, isinstance(one, Own), one.order if isinstance(one, Listed) else 0))
    return [*settled, *(one for one in unlisted if _is_pending(one))]


def shown_from(shown: Sequence[Listed | Own], first: Listed | None) -> list[Listed | Own]:
    """Return the messages from a listed one on, and all that are not out, whenever they were given up.

    Parameters:
        shown: a conversation.
        first: the message; None for the whole conversation.
    """
    if first is None:
        return list(shown)
    return [
        one
        for one in shown
        if (listed_order(one) >= listed_order(first) if isinstance(one, Listed) else not _is_before(one, [first]))
    ]


def _is_before(own: Own, listed: Sequence[Listed]) -> bool:
    """Whether a message went out before all that are listed here."""
    return own.status is Status.SENT and bool(listed) and (own.listed_since or own.at) < listed[0].at


def _is_pending(own: Own) -> bool:
    """Whether a message is not out yet."""
    return own.status in {Status.SENDING, Status.WAITING}


def _match(own: Own, free: Sequence[tuple[Listed, str]]) -> tuple[Listed, str] | None:
    """Return the first listed message that can be one of ours, with its text's key; None where none can be."""
    if own.listed_since is None:
        return None
    key, is_media = text_key(own.text), own.media_type is not None
    for row, row_key in free:
        if row.at >= own.listed_since and row.has_media == is_media and (is_media or row_key == key):
            return row, row_key
    return None


def _without_words_that_went(own: Sequence[Own]) -> list[Own]:
    """Return our messages without those under way of which a part shows on its own already.

    Words go out before the picture that is sent with them, and then are a message of their own.
    """
    shown = [(one.at, one.text) for one in own if one.status is not Status.SENDING and one.media_type is None]
    kept = []
    for one in own:
        went = one.status is Status.SENDING and any(at >= one.at and text == one.text for at, text in shown)
        if not went:
            kept.append(one)
        elif one.media_type is not None:
            kept.append(_without_text(one))
    return kept


def _without_text(own: Own) -> Own:
    """Return a message that is only the picture."""
    return replace(own, text="")
