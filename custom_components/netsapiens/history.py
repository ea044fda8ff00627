"""Past messages, as the PBX keeps them: the latest of several conversations, oldest first."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
import logging
from typing import NamedTuple

from .account import NetsapiensData
from .api import Message, MessageAPI, MessageSession, NetsapiensRequestError
from .api.messages import MAX_ROWS
from .pbx.listing import reaches, read_enough
from .phone import is_same_number
from .receiving.dated import is_last_of
from .receiving.reader import MESSAGE_KINDS

_LOGGER = logging.getLogger(__name__)

MOST_MESSAGES = 500  # that can be asked for at once

_FEW = 100  # rows, mostly enough of a conversation
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_ZONES = timedelta(days=1)  # by so much a conversation's time may differ from its messages', which have no zone


class PastMessage(NamedTuple):
    """A message in a conversation.

    Attributes:
        row: the message.
        session: its conversation.
        is_outbound: whether we sent it.
    """

    row: Message
    session: MessageSession
    is_outbound: bool


async def async_past_messages(
    account: NetsapiensData, sessions: Sequence[MessageSession], limit: int
) -> list[PastMessage]:
    """Return the latest messages of several conversations, oldest first.

    The conversation that was active last is read first, and those that can hold no later message not at all.

    Parameters:
        account: whose.
        sessions: the conversations.
        limit: how many messages at the most; 1 or more.

    Raises:
        NetsapiensError: the PBX could not be asked.

    API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
    """
    found: list[tuple[datetime, PastMessage]] = []
    for session in sorted(sessions, key=lambda one: (one.last_time is None, one.last_time or _LONG_AGO), reverse=True):
        last = session.last_time
        if len(found) >= limit and last is not None and last < found[0][0] - _ZONES:
            break
        found += await _messages_of(account, session, limit)
        found.sort(key=lambda one: one[0])  # stable: messages of one second stay in the PBX's order
        found = found[-limit:]
    return [message for _, message in found]


async def _messages_of(
    account: NetsapiensData, session: MessageSession, limit: int
) -> list[tuple[datetime, PastMessage]]:
    """Return a conversation's messages, oldest first, each with the time to sort it by."""
    try:
        rows = await _rows_of(account, session, limit)
    except NetsapiensRequestError as err:
        if not err.no_record:
            raise
        return []  # deleted in between
    us = account.coordinator.data.account
    is_same = partial(is_same_number, region=account.coordinator.hass.config.country)
    at, found = _LONG_AGO, []
    for row in rows[::-1] if _is_newest_first(session, rows) else rows:
        at = row.time or at  # one without a time follows the one before it
        if row.type in MESSAGE_KINDS:
            found.append((at, PastMessage(row, session, row.is_outbound(us, session.sms_number, is_same))))
    return found


async def _rows_of(account: NetsapiensData, session: MessageSession, limit: int) -> list[Message]:
    """Return a conversation's rows as the PBX lists them: the latest ones at least, however it orders them."""
    api, throttle = MessageAPI(account.coordinator.api), account.coordinator.throttle

    async def page(size: int, start: int) -> list[Message]:
        """Return one page of it."""
        return await throttle.run(lambda: api.get_messages(session.id, limit=size, start=start, user=session.owner))

    def is_enough(rows: list[Message]) -> bool:
        """Whether these are surely the latest, and as many as are asked for."""
        is_latest = reaches(rows, _time_of, _time_of(rows[0]) or _LONG_AGO)
        return is_latest and sum(row.type in MESSAGE_KINDS for row in rows) >= limit

    first = _FEW if limit <= _FEW else MAX_ROWS
    rows, complete = await read_enough(page, first, is_enough, _time_of, _LONG_AGO)
    if not complete and not _is_newest_first(session, rows):
        _LOGGER.warning("A conversation is too long to read its latest messages")
    return rows


def _is_newest_first(session: MessageSession, rows: Sequence[Message]) -> bool:
    """Whether rows come with the newest first, as is usual; where their times are equal, by the conversation's last."""
    times = [row.time for row in rows if row.time is not None]
    if times and times[0] != times[-1]:
        return times[0] > times[-1]
    return not rows or is_last_of(session, rows[0]) or not is_last_of(session, rows[-1])


def _time_of(row: Message) -> datetime | None:
    """Return a message's time."""
    return row.time
