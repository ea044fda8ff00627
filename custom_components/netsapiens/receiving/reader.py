"""What the PBX lists -> an account's conversations, and the inbound messages of each, oldest first."""

from collections.abc import Sequence
from datetime import datetime
import logging
from typing import NamedTuple

from ..api import Message, MessageAPI, MessageSession, NetsapiensRequestError
from ..api.messages import MAX_ROWS
from ..pbx.coordinator import NetsapiensCoordinator
from ..pbx.facts import shared_senders
from ..pbx.listing import reaches, read_since
from ..phone import is_same_number
from .dated import dated, is_last_of
from .message_keys import MessageKeys
from .received import ListedBetween, OurText

_LOGGER = logging.getLogger(__name__)

_UNAUTHORIZED = 401
_NOT_ITS_DOMAIN = {_UNAUTHORIZED, 403, 404}  # statuses of another user's conversations that the login may not see
_ASK_AGAIN = 1800.0  # seconds, where they are not shown: each 401 costs a token
_FEW = 100  # messages; mostly enough of a conversation
_LONG = 256 * 1024  # characters of so many messages; then larger pages would be too large to be taken
MESSAGE_KINDS = {"sms", "mms", "chat", "chat-media"}  # the PBX's other chat-… kinds are notes on a conversation
_NEXT_TO = 8  # of our own texts before a message, and behind it, tell what it may answer

MOST_ROWS = 10_000  # messages a poll
MOST_TEXT = 32 * 1024 * 1024  # characters a poll


class Inbound(NamedTuple):
    """An inbound message as the PBX lists it.

    Attributes:
        at: its time.
        key: what it is known by.
        listed: its position in the conversation as the PBX orders it; the newest has the highest.
        row: the message.
        session: its conversation.
        between: where it stands among our own messages.
        is_guess: whether the PBX gave it no time, so that only its position tells whether it is new.
    """

    at: datetime
    key: str
    listed: int
    row: Message
    session: MessageSession
    between: ListedBetween
    is_guess: bool = False


class Reader:
    """Reads an account's conversations, and those of others in its domain that it sends from.

    Parameters:
        coordinator: the account.

    Attributes:
        rows: how many messages were read in this poll.
        text: how many characters they had.
        requests: how many that took.
    """

    def __init__(self, coordinator: NetsapiensCoordinator) -> None:
        self._coordinator = coordinator
        self._api = MessageAPI(coordinator.api)
        self._not_shown: dict[str, float] = {}  # users whose conversations are not shown, and when to ask again
        self._newest_first = True
        self.rows = self.text = self.requests = 0

    def begin_poll(self) -> None:
        """Count anew what is read."""
        self.rows = self.text = self.requests = 0

    @property
    def is_spent(self) -> bool:
        """Whether as much was read as one poll may."""
        return self.rows >= MOST_ROWS or self.text >= MOST_TEXT

    async def settle_clock(self) -> None:
        """See that the PBX's clock is known for sure.

        Raises:
            NetsapiensError: the PBX could not be asked.
        """
        if self._api.needs_clock:
            await self._coordinator.throttle.run(self._api.settle_clock)

    # --- conversations ---------------------------------------------------------------

    async def sessions(self, since: datetime) -> tuple[list[MessageSession], bool]:
        """Return the conversations, the last active last, and whether the account's own are all there.

        That is one request, unless there are over 1,000 that are not listed newest first. One that got a message
        between two pages may be on both.

        Raises:
            NetsapiensError: they could not be read.
        """
        sessions, whole = await self._sessions_of(None, since)
        shared = [
            session
            for owner, senders in self._shared_senders().items()
            for session in await self._shared_sessions(owner, senders, since)
        ]
        if shared:
            sessions = sorted([*sessions, *shared], key=lambda row: row.listed_time or since, reverse=True)
        rows = [session for session in sessions if session.id]
        if len({session.id for session in rows}) < len(rows):
            newest: dict[str, MessageSession] = {}
            for session in sorted(rows, key=lambda row: row.listed_time or since):
                newest.pop(session.id, None)  # so that it takes the position of its last row
                newest[session.id] = session
            rows = list(newest.values())
        times = [time for session in rows if (time := session.listed_time) is not None]
        # As with messages: what was active in the same second is in the PBX's order.
        return (rows[::-1] if not times or times[0] >= times[-1] else rows), whole

    async def _sessions_of(self, user: str | None, since: datetime) -> tuple[list[MessageSession], bool]:
        """Return a user's conversations as the PBX lists them, and whether they are all."""

        async def page(start: int) -> list[MessageSession]:
            """Return a page of the list."""
            self.requests += 1
            return await self._coordinator.throttle.run(
                lambda: self._api.get_messagesessions(limit=MAX_ROWS, start=start, user=user)
            )

        return await read_since(page, lambda session: session.listed_time, since)

    async def _shared_sessions(self, owner: str, senders: set[str], since: datetime) -> list[MessageSession]:
        """Return another user's conversations with the chosen senders, and no others: the rest is private."""
        now = self._coordinator.hass.loop.time()
        if self._not_shown.get(owner, 0.0) > now:
            return []
        try:
            sessions, _ = await self._sessions_of(owner, since)
        except NetsapiensRequestError as err:
            if err.status not in _NOT_ITS_DOMAIN:
                raise
            _LOGGER.debug("Another user's conversations are not shown: %s", err.status)
            self._not_shown[owner] = now + _ASK_AGAIN
            return []
        return [session for session in sessions if any(self._is_same(session.sms_number, one) for one in senders)]

    def _shared_senders(self) -> dict[str, set[str]]:
        """Return the chosen sender numbers that are other users', by their owners."""
        coordinator = self._coordinator
        return shared_senders(coordinator.config_entry, coordinator.data, coordinator.hass.config.country)

    def _is_same(self, one: str, other: str) -> bool:
        """Whether two numbers of the PBX are the same line."""
        return is_same_number(one, other, self._coordinator.hass.config.country)

    # --- messages --------------------------------------------------------------------

    async def messages(self, session: MessageSession, since: datetime) -> list[Inbound]:
        """Return a conversation's inbound messages since a time, oldest first, and older ones that come along.

        There are none where the PBX does not show the conversation.

        Raises:
            NetsapiensError: it could not be read.
        """
        try:
            rows = await self._page(session, _FEW, 0)
        except NetsapiensRequestError as err:
            if err.status == _UNAUTHORIZED:
                raise
            _LOGGER.debug("A conversation is not shown: %s", err.status)  # deleted in between, most likely
            return []
        if len(rows) >= _FEW and not reaches(rows, _time_of, since):
            size = MAX_ROWS if _length(rows) < _LONG else _FEW
            read = 0

            async def page(start: int) -> list[Message]:
                """Return the next page; an empty one where the conversation alone is more than a poll may read."""
                nonlocal read
                if read >= MOST_TEXT:
                    _LOGGER.warning("A conversation is too long to be read whole")
                    return []
                found = await self._page(session, size, start)
                read += _length(found)
                return found

            rows, _ = await read_since(page, _time_of, since, size)
        self._learn_order(session, rows)
        return self._inbound(session, rows[::-1] if self._newest_first else rows)

    async def _page(self, session: MessageSession, size: int, start: int) -> list[Message]:
        """Return a page of a conversation's messages."""
        self.requests += 1
        rows = await self._coordinator.throttle.run(
            lambda: self._api.get_messages(session.id, limit=size, start=start, user=session.owner)
        )
        self.rows += len(rows)
        self.text += _length(rows)
        return rows

    def _learn_order(self, session: MessageSession, rows: Sequence[Message]) -> None:
        """Learn at which end the PBX lists the newest message: the latest one, and the conversation's last.

        Where these two disagree, the PBX's clock was put back, or the conversation was listed a while before.
        """
        times = [row.time for row in rows if row.time is not None]
        if not rows or (times and times[0] == times[-1]):
            return
        is_first, is_last = (is_last_of(session, row) for row in (rows[0], rows[-1]))
        by_time = times[0] > times[-1] if times else (is_first or not is_last)
        if is_first in {is_last, by_time} and (times or is_first != is_last):
            self._newest_first = by_time

    def _inbound(self, session: MessageSession, rows: Sequence[Message]) -> list[Inbound]:
        """Return the inbound ones of messages that are in the PBX's order; those of one second stay in it."""
        account = self._coordinator.data.account
        keys = MessageKeys(session.id)
        found = []
        all_dated = dated(session, rows, self._coordinator.api.now())
        outbound = [row.is_outbound(account, session.sms_number, self._is_same) for _, _, row, _ in all_dated]
        ours = [OurText(row.text, at) for (at, _, row, _), is_out in zip(all_dated, outbound, strict=True) if is_out]
        passed = 0  # of ours
        read_at = self._coordinator.hass.loop.time()
        for (at, listed, row, is_guess), is_out in zip(all_dated, outbound, strict=True):
            if is_out:
                passed += 1
                continue
            if row.type not in MESSAGE_KINDS:
                continue
            before, after = ours[max(passed - _NEXT_TO, 0) : passed], ours[passed : passed + _NEXT_TO]
            between = ListedBetween(tuple(before), tuple(after), read_at)
            found.append(Inbound(at, keys.next(row), listed, row, session, between, is_guess))
        return found


def _length(rows: Sequence[Message]) -> int:
    """Return how many characters messages have."""
    return sum(len(row.text) for row in rows)


def _time_of(row: Message) -> datetime | None:
    """Return a message's time."""
    return row.time
