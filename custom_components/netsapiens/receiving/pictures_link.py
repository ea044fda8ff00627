"""A fresh link to media: its message read again, since a link serves for a while only."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from ..api import Message, MessageAPI, NetsapiensRequestError
from ..pbx.coordinator import NetsapiensCoordinator
from ..pbx.facts import shared_senders
from ..pbx.listing import read_enough
from ..phone import is_same_number
from ..phone_metadata import async_load_metadata
from .message_keys import is_zone_apart
from .pictures_errors import PictureError, PictureReason
from .pictures_id import MediaId

_FEW = 100  # messages; mostly enough of a conversation
_EARLIER = timedelta(days=1)  # as far as zones can move a time


async def async_fresh_link(coordinator: NetsapiensCoordinator, media_id: MediaId) -> str:
    """Return a fresh link to media.

    Parameters:
        coordinator: the account.
        media_id: which.

    Raises:
        PictureError: the PBX no longer lists its message, or gives no link.
        NetsapiensError: the PBX could not be asked.

    API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
    """
    await async_load_metadata(coordinator.hass)  # numbers are compared
    region = coordinator.hass.config.country
    shared = shared_senders(coordinator.config_entry, coordinator.data, region)
    if media_id.owner is not None and media_id.owner not in shared:
        raise PictureError(PictureReason.NOT_FOUND)  # another user's, which is private
    try:
        row = await _find(coordinator, media_id)
    except NetsapiensRequestError as err:
        raise PictureError(PictureReason.NOT_FOUND) from err
    if row is None or (media_id.owner is not None and not _is_with(row, shared[media_id.owner], region)):
        raise PictureError(PictureReason.NOT_FOUND)
    if not row.media_url:
        raise PictureError(PictureReason.UNAVAILABLE)
    return row.media_url


async def _find(coordinator: NetsapiensCoordinator, media_id: MediaId) -> Message | None:
    """Return the message: it is mostly among the last ones."""
    api = MessageAPI(coordinator.api)

    async def page(size: int, start: int) -> list[Message]:
        """Return a page of the conversation."""
        read = partial(api.get_messages, media_id.messagesession, limit=size, start=start, user=media_id.owner)
        return await coordinator.throttle.run(read)

    def is_there(rows: list[Message]) -> bool:
        """Whether it is among some rows."""
        return _match(rows, media_id) is not None

    since = datetime.fromtimestamp(media_id.at, UTC) - _EARLIER
    rows, _ = await read_enough(page, _FEW, is_there, lambda row: row.time, since)
    return _match(rows, media_id)


def _match(rows: list[Message], media_id: MediaId) -> Message | None:
    """Return the message that an id stands for. Ids may be missing or equal; then its time tells."""
    found = list(_candidates(rows, media_id))
    return min(found, key=lambda one: one[0])[1] if found else None


def _candidates(rows: list[Message], media_id: MediaId) -> Iterator[tuple[float, Message]]:
    """Yield the messages that it may be, each with how many seconds its time is off."""
    for row in rows:
        if row.id != media_id.message_id or not (row.media_url or row.media_type):
            continue
        off = abs(int(row.time.timestamp()) - media_id.at) if row.time is not None else media_id.at
        if row.id or is_zone_apart(off):
            yield off, row


def _is_with(row: Message, senders: set[str], region: str | None) -> bool:
    """Whether a message of another user is with one of the numbers of theirs that we send from."""
    return any(is_same_number(ours, one, region) for ours in (row.dialed, row.from_number) for one in senders)
