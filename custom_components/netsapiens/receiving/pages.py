"""What was written with somebody, newest first and page by page, from all conversations with them."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
import logging
from typing import NamedTuple

from ..api import Message, MessageAPI, MessageSession, NetsapiensError, NetsapiensRequestError
from ..api.messages import MAX_ROWS
from ..pbx.coordinator import NetsapiensCoordinator
from .message_keys import MessageKeys
from .reader import MESSAGE_KINDS

_LOGGER = logging.getLogger(__name__)

_SMALL, _LARGE = 30, 100  # rows a page; the first is small, since mostly it is all that is looked at
_MOST_PAGES = 10  # of a list that gives the oldest first
_LATEST = datetime.max.replace(tzinfo=UTC)


class DatedMessage(NamedTuple):
    """A message with what it is known by.

    Attributes:
        at: its time.
        key: the same whenever the message is read.
        row: the message.
        session: its conversation.
    """

    at: datetime
    key: str
    row: Message
    session: MessageSession


@dataclass(slots=True)
class _Conversation:
    """How far one conversation was read.

    Attributes:
        bound: nothing that was not read yet is newer.
        start: how many rows were read.
        rows: what was read and not given out yet, newest first.
        is_done: whether it was read to its beginning.
        head: the first row of the first page; None before that was read.
    """

    session: MessageSession
    bound: datetime
    start: int = 0
    rows: deque[DatedMessage] = field(default_factory=deque)
    is_done: bool = False
    head: Message | None = None


class MessagePages:
    """Reads backwards through conversations. A conversation is read no further than is needed.

    Parameters:
        coordinator: the account.
        sessions: the conversations.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, sessions: Iterable[MessageSession]) -> None:
        self._coordinator = coordinator
        self._api = MessageAPI(coordinator.api)
        self._seen: set[str] = set()
        self._conversations: dict[str, _Conversation] = {}
        for session in sessions:
            self.add(session)

    @property
    def messagesessions(self) -> list[str]:
        """The ids of the conversations, the last active first."""
        by_time = sorted(self._conversations.values(), key=lambda one: one.session.last_time or _LATEST, reverse=True)
        return [one.session.id for one in by_time]

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was given out."""
        return all(one.is_done and not one.rows for one in self._conversations.values())

    def add(self, session: MessageSession) -> None:
        """Read a conversation as well, unless it is read already."""
        if session.id and session.id not in self._conversations:
            self._conversations[session.id] = _Conversation(session, session.last_time or _LATEST)

    async def next(self, count: int) -> list[DatedMessage]:
        """Return up to so many messages, the newest first, which are older than all that were returned before.

        Raises:
            NetsapiensError: the PBX could not be asked, and nothing was read yet that can be returned.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
        """
        found: list[DatedMessage] = []
        while len(found) < count and not self.is_exhausted:
            newest = max((one for one in self._conversations.values() if one.rows), key=_first_time, default=None)
            unread = max(
                (one for one in self._conversations.values() if not one.rows and not one.is_done),
                key=lambda one: one.bound,
                default=None,
            )
            if newest is not None and (unread is None or _first_time(newest) > unread.bound):
                found.append(newest.rows.popleft())
                continue
            if unread is None:
                break
            try:
                await self._read_on(unread)
            except NetsapiensError:
                if not found:
                    raise
                break
        return found

    async def newest(self, messagesession: str, since: datetime) -> list[DatedMessage]:
        """Return the messages of a conversation since a time that were not returned before, newest first.

        Parameters:
            messagesession: the conversation's id; one that was added.
            since: what is older is left for `next`.

        Raises:
            NetsapiensError: the PBX could not be asked.

        API: as `next`.
        """
        known = self._conversations[messagesession]
        rows = await self._page(known.session, _SMALL, 0)
        if known.start and len(rows) >= _SMALL and not self._meets(known.session, rows):
            rows = await self._page(known.session, MAX_ROWS, 0)  # more came in than a page holds
        unseen = [one for one in _dated(known.session, rows) if one.key not in self._seen]
        found = [one for one in unseen if one.at >= since]
        self._seen.update(one.key for one in found)
        if known.start:
            known.start += len(found)  # they moved the others down
        else:
            older = [one for one in unseen if one.at < since]
            self._seen.update(one.key for one in older)
            known.rows.extend(older)
            known.start, known.head = len(rows), next(iter(rows), None)
            known.bound = older[-1].at if older else min(known.bound, since)
        return found

    def _meets(self, session: MessageSession, rows: Sequence[Message]) -> bool:
        """Whether one of these rows was read before, so that nothing is missing in between."""
        return any(one.key in self._seen for one in _dated(session, rows))

    async def _read_on(self, conversation: _Conversation) -> None:
        """Read the next page of a conversation."""
        session = conversation.session
        size = _LARGE if conversation.start else _SMALL
        rows = await self._page(session, size, conversation.start)
        conversation.is_done = len(rows) < size
        if len(rows) >= size and not conversation.start and _is_ascending(rows):
            rows, conversation.is_done = await self._all(session), True
        fresh = self._fresh(session, rows)
        is_known = conversation.head in rows or any(row.type in MESSAGE_KINDS for row in rows)
        if not fresh and not conversation.is_done and is_known:
            rows, conversation.is_done = await self._page(session, MAX_ROWS, 0), True  # it does not know `start`
            fresh = self._fresh(session, rows)
        conversation.head = conversation.head or next(iter(rows), None)
        conversation.start += len(rows)
        conversation.rows.extend(fresh)
        if fresh:
            conversation.bound = min(conversation.bound, fresh[-1].at)

    async def _all(self, session: MessageSession) -> list[Message]:
        """Return all messages of a conversation that is listed oldest first, where only the end is of interest."""
        rows: list[Message] = []
        for _ in range(_MOST_PAGES):
            page = await self._page(session, MAX_ROWS, len(rows))
            rows += page
            if len(page) < MAX_ROWS:
                break
        return rows

    async def _page(self, session: MessageSession, size: int, start: int) -> list[Message]:
        """Return a page of a conversation; an empty one where the PBX does not show the conversation."""
        try:
            return await self._coordinator.throttle.run(
                lambda: self._api.get_messages(session.id, limit=size, start=start, user=session.owner)
            )
        except NetsapiensRequestError as err:
            if not err.no_record:
                raise
            _LOGGER.debug("A conversation is not shown: %s", err.status)  # deleted in between, most likely
            return []

    def _fresh(self, session: MessageSession, rows: Sequence[Message]) -> list[DatedMessage]:
        """Return those of the rows that were not seen before, newest first, and take them for seen."""
        fresh = [one for one in _dated(session, rows) if one.key not in self._seen]
        self._seen.update(one.key for one in fresh)
        return fresh


def _first_time(conversation: _Conversation) -> datetime:
    """Return the time of the newest message that was not given out."""
    return conversation.rows[0].at


def _is_ascending(rows: Sequence[Message]) -> bool:
    """Whether the oldest message is listed first."""
    times = [row.time for row in rows if row.time is not None]
    return bool(times) and times[0] < times[-1]


def _dated(session: MessageSession, rows: Sequence[Message]) -> list[DatedMessage]:
    """Return the messages of a page with what they are known by, newest first."""
    kinds = [(row.time, row) for row in rows if row.time is not None and row.type in MESSAGE_KINDS]
    if not _is_ascending(rows):
        kinds.reverse()
    kinds.sort(key=lambda one: one[0])
    keys = MessageKeys(session.id)
    return [DatedMessage(at, keys.next(row), row, session) for at, row in kinds][::-1]
