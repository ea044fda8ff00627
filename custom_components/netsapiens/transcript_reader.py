"""The messages with one recipient as the PBX lists them: the newest first, and older ones as they are asked for."""

import asyncio
from bisect import insort
from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial

from homeassistant.config_entries import ConfigSubentry

from .account import NetsapiensConfigEntry
from .address_book import people_of
from .api import MessageSession, NetsapiensConnectionError, NetsapiensError
from .phone import is_same_number
from .receiving.pages import DatedMessage, MessagePages
from .recipients import DamagedRecipientError, read_recipient
from .transcript import Listed, listed_order

_LEAST = 30  # messages that are read at first
_FOLLOWED = 3  # conversations that are read again, the last active ones
_EARLIEST = datetime.min.replace(tzinfo=UTC)


class TranscriptReader:
    """Reads the conversations with a recipient, and keeps what was read.

    Parameters:
        entry: the account; it must be loaded.
        recipient: with whom.

    Attributes:
        rows: what was read; oldest first, without a gap.
        error: why the PBX could not be read the last time, or None.
    """

    def __init__(self, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> None:
        self._account = entry.runtime_data
        self._recipient = recipient
        self._pages: MessagePages | None = None
        self._newest = self._oldest = 0  # what orders the messages of one second
        self._reading = asyncio.Lock()
        self.rows: list[Listed] = []
        self.error: NetsapiensError | None = None

    @property
    def is_begun(self) -> bool:
        """Whether the newest messages were read."""
        return self._pages is not None

    def newest(self, count: int) -> tuple[list[Listed], bool]:
        """Return so many of the newest messages that were read, oldest first, and whether there are older ones."""
        start = max(len(self.rows) - count, 0)
        return self.rows[start:], self._has_before(start)

    async def async_read_first(self, count: int) -> None:
        """Read so many of the newest messages, if there are. Where the PBX is away `error` says so.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
        """
        if self._is_away:
            self.error = NetsapiensConnectionError("the PBX is away")
            return
        async with self._reading:
            if self._pages is None:
                await self._begin()
        if len(self.rows) < count and self.error is None:
            try:
                await self.async_before(self.rows[0].key if self.rows else None, count - len(self.rows))
            except NetsapiensError as err:
                self.error = err

    async def async_before(self, key: str | None, count: int) -> tuple[list[Listed], bool]:
        """Return messages before one, oldest first, and whether there are more.

        Parameters:
            key: of the oldest message that is shown, or None where none is.
            count: how many at the most.

        Raises:
            NetsapiensError: the PBX could not be asked.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
        """
        end = self._index(key)
        if end < count and self._has_before(0):
            if self._is_away:  # else it is waited for until it is back
                raise NetsapiensConnectionError("the PBX is away")
            async with self._reading:
                end = self._index(key)
                if end < count and self._pages is not None and not self._pages.is_exhausted:
                    older = await self._pages.next(count - end)
                    self.rows[:0] = reversed([self._listed(one, older=True) for one in older])
                end = self._index(key)
        start = max(end - count, 0)
        return self.rows[start:end], self._has_before(start)

    async def async_read_new(self, changed: Collection[str]) -> None:
        """Read what is new; waits for a PBX that is away.

        Parameters:
            changed: the conversations where something happened.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
        """
        async with self._reading:
            if self._pages is None:
                await self._begin()
                return
            since = self.rows[0].at if self.rows else _EARLIEST
            try:
                for messagesession in await self._followed(self._pages, changed):
                    for one in reversed(await self._pages.newest(messagesession, since)):
                        insort(self.rows, self._listed(one), key=listed_order)
            except NetsapiensError as err:
                self.error = err
            else:
                self.error = None

    # --- parts of these --------------------------------------------------------------

    @property
    def _is_away(self) -> bool:
        """Whether the PBX is away, so that a request would wait for it."""
        return self._account.coordinator.throttle.is_away

    def _index(self, key: str | None) -> int:
        """Return which of the messages has a key; the number of messages where none has."""
        return next((number for number, one in enumerate(self.rows) if one.key == key), len(self.rows))

    def _has_before(self, start: int) -> bool:
        """Whether there is a message before the one at this index."""
        return start > 0 or (self._pages is not None and not self._pages.is_exhausted)

    async def _begin(self) -> None:
        """Find the conversations with the recipient, and read their newest messages."""
        try:
            pages = MessagePages(self._account.coordinator, await self._sessions())
            first = await pages.next(_LEAST)
        except NetsapiensError as err:
            self.error = err
            return
        self._pages, self.error = pages, None
        self.rows = [self._listed(one) for one in reversed(first)]

    async def _sessions(self) -> list[MessageSession]:
        """Return the conversations with the recipient and nobody else."""
        try:
            people = people_of(read_recipient(self._recipient), self._account.coordinator.hass.config.country)
        except DamagedRecipientError:
            return []
        return await self._account.conversations.async_with(people)

    async def _followed(self, pages: MessagePages, changed: Collection[str]) -> list[str]:
        """Return the conversations that are read again: those that changed, and the last active ones."""
        if not set(changed).issubset(pages.messagesessions):  # a conversation began
            for session in await self._sessions():
                pages.add(session)
        known = pages.messagesessions
        return list(dict.fromkeys([*(one for one in known if one in changed), *known[:_FOLLOWED]]))

    def _listed(self, one: DatedMessage, *, older: bool = False) -> Listed:
        """Return a message with what orders it: messages are read from the newest back, then those that are newer."""
        if older:
            self._oldest -= 1
        else:
            self._newest += 1
        coordinator = self._account.coordinator
        is_same = partial(is_same_number, region=coordinator.hass.config.country)
        outbound = one.row.is_outbound(coordinator.data.account, one.session.sms_number, is_same)
        return Listed(one.key, one.at, self._oldest if older else self._newest, one.row, one.session, outbound)
