"""Messages of a conversation -> what the card gets of them."""

from collections.abc import Iterable
from typing import Any

from .account import NetsapiensConfigEntry
from .media_names import is_media_name
from .phone import from_pbx, international
from .receiving.pictures_id import media_id_of
from .receiving.received import sender_of
from .recipients import read_recipient
from .transcript import Listed, Own, Status

_LAST_OF_SECOND = 10**9


def rows_of(entry: NetsapiensConfigEntry, shown: Iterable[Listed | Own]) -> list[dict[str, Any]]:
    """Return messages as the card gets them.

    Each has ``key``, ``status``, ``at`` (as ISO 8601), ``order`` (three numbers by which they are sorted), ``text``,
    ``sender`` (who wrote it, of those that came in), ``media_type``, ``media_content_id``, ``media_name`` (of what we
    sent without words, which the PBX lists with this as its text), and of ours ``reason``, ``error``,
    ``translation_key``, ``placeholders`` and ``can_retry``.

    Parameters:
        entry: the account.
        shown: the messages, oldest first.
    """
    return [
        _listed_row(entry, one) if isinstance(one, Listed) else _own_row(one, number)
        for number, one in enumerate(shown)
    ]


def _listed_row(entry: NetsapiensConfigEntry, listed: Listed) -> dict[str, Any]:
    """Return a message that the PBX lists."""
    row, media = listed.row, media_id_of(entry.entry_id, listed.session, listed.row)
    is_name = listed.is_outbound and listed.has_media and is_media_name(entry, row.text)
    return {
        "key": listed.key,
        "status": Status.SENT if listed.is_outbound else Status.RECEIVED,
        "at": listed.at.isoformat(),
        "order": [0, listed.at.timestamp(), listed.order],
        "text": "" if is_name else row.text,
        "sender": None if listed.is_outbound else _name_of(entry, listed),
        "media_type": row.media_type or ("image/*" if listed.has_media else None),
        "media_content_id": media.content_id if media is not None else None,
        "media_name": row.text if is_name else None,
    }


def _name_of(entry: NetsapiensConfigEntry, listed: Listed) -> str:
    """Return who wrote a message: the name of the recipient with that number, else the number."""
    row, account = listed.row, entry.runtime_data
    region = account.coordinator.hass.config.country
    number = sender_of(row, listed.session, account.coordinator.data.account, region)
    alone = (one for one in account.addresses.recipients_with(number) if len(read_recipient(one).destination) == 1)
    if (recipient := next(alone, None)) is not None:
        return recipient.title
    if row.type.startswith("chat"):
        return number
    return international(from_pbx(number, region))


def _own_row(own: Own, number: int) -> dict[str, Any]:
    """Return a message of ours that the PBX does not list."""
    pending = own.status in {Status.SENDING, Status.WAITING}
    return {
        "key": own.key,
        "status": own.status,
        "at": own.at.isoformat(),
        "order": [1, number, 0] if pending else [0, own.at.timestamp(), _LAST_OF_SECOND],
        "text": own.text,
        "sender": None,
        "media_type": own.media_type,
        "media_content_id": own.media_content_id,
        "media_name": own.media_name,
        "reason": own.reason,
        "error": own.error,
        "translation_key": own.translation_key,
        "placeholders": own.placeholders,
        "can_retry": own.can_retry,
    }
