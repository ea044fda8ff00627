"""Whom a conversation is with, and who has texted us: what the PBX's own list says."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import UTC, datetime
import time

from .api import Account, MessageAPI, MessageSession, NetsapiensError, NetsapiensRequestError, NetsapiensTimeoutError
from .api.messages import MAX_ROWS
from .api.values import number_of
from .participants import others_among
from .pbx.coordinator import NetsapiensCoordinator
from .pbx.facts import shared_senders
from .pbx.listing import read_since
from .phone import digits_from_pbx, is_phone_number, is_same_number
from .receiving.received import ReceivedMessage
from .request import ExistingConversation

_ASK_WITHIN = 10.0  # seconds
_ASK_AGAIN = 30.0  # seconds after it could not be asked
_SENDERS_FOR = 600.0  # seconds for which the list of who texted us serves
MOST_REMEMBERED = 1000  # conversations
_MOST_PAGES = 10
_ENDING = 4  # digits of a number, or letters of a name
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Conversations:
    """The conversations of an account.

    Parameters:
        coordinator: the account.
        ask_within: seconds to wait for the PBX; after that, what came in since the start has to do.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, ask_within: float = _ASK_WITHIN) -> None:
        self._coordinator = coordinator
        self._ask_within = ask_within
        self._api = MessageAPI(coordinator.api)
        self._latest: OrderedDict[str, ExistingConversation] = OrderedDict()  # by id; those that a message came in on
        self._senders: frozenset[str] = frozenset()
        self._senders_until = 0.0

    def remember(self, received: ReceivedMessage) -> None:
        """Remember the conversation of a message that came in, for an answer while the PBX is away."""
        account = self._coordinator.data.account
        is_chat = received.message_type.startswith("chat")
        # Where the PBX names no number of ours, we are the user.
        our_number = None if is_chat or received.to_number == account.user else received.to_number
        listed = others_among(received.participants, our_number, account, self._region, is_chat=is_chat)
        others = listed or (received.from_number,)
        conversation = ExistingConversation(received.messagesession, others, our_number, is_chat)
        self._latest[received.messagesession] = conversation
        self._latest.move_to_end(received.messagesession)
        if len(self._latest) > MOST_REMEMBERED:
            self._latest.popitem(last=False)

    async def async_find(self, messagesession: str) -> ExistingConversation | None:
        """Return a conversation as the PBX lists it; None where it lists none with this id.

        Where the PBX is away, the conversation of a message that came in since the start is returned as it was then.

        Raises:
            NetsapiensError: the PBX could not be asked.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions
        """
        known = self._latest.get(messagesession)
        if known is not None and self._coordinator.throttle.is_away:
            return known
        try:
            async with asyncio.timeout(self._ask_within):
                return await self._find_listed(messagesession, known) or known
        except TimeoutError:
            if known is None:
                raise NetsapiensTimeoutError("no answer when asked for a conversation") from None
        except NetsapiensError:
            if known is None:
                raise
        return known

    async def async_with_conversation(self, numbers: Collection[str]) -> set[str]:
        """Return which of these numbers, digits with country code, the account has a conversation with.

        Where the PBX cannot be asked, only messages that came in since the start count.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions
        """
        asked = set(numbers)
        if found := asked & {self._digits(other) for known in self._latest.values() for other in known.others}:
            return found
        if time.monotonic() >= self._senders_until and not self._coordinator.throttle.is_away:
            try:
                async with asyncio.timeout(self._ask_within):
                    rows = await self._page(None, 0)
            except NetsapiensError, TimeoutError:
                self._senders_until = time.monotonic() + _ASK_AGAIN  # the next texts must not wait for it as well
                return asked & self._senders
            self._senders = frozenset(self._digits(remote) for row in rows for remote in row.remotes)
            self._senders_until = time.monotonic() + _SENDERS_FOR
        return asked & self._senders

    def _digits(self, number: str) -> str:
        """Return a number that the PBX gave as digits with country code; a name as it is."""
        return digits_from_pbx(number, self._region)

    @property
    def _region(self) -> str | None:
        """The country (ISO 3166, two letters) of the home."""
        return self._coordinator.hass.config.country

    async def async_row(self, messagesession: str) -> MessageSession | None:
        """Return the row of a conversation: of the login, or of another user with a number we send from.

        Raises:
            NetsapiensError: the PBX could not be asked.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions
        """
        if (row := await self._find_row(None, messagesession)) is not None:
            return row
        async for row, senders in self._of_others(lambda owner: self._find_row(owner, messagesession)):
            if row is not None and self._is_of(row, senders):
                return row
        return None

    async def async_with(self, people: Collection[frozenset[str]]) -> list[MessageSession]:
        """Return the conversations with these people and nobody else, those of other users' numbers we send from too.

        Parameters:
            people: one number, or all of a group, for each kind of conversation: digits with country code, the users of
                extensions, or names in lower case.

        Raises:
            NetsapiensError: the PBX could not be asked.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions
        """
        endings = {number[-_ENDING:] for group in people for number in group}
        found = [row for row in await self._all_rows(None) if self._is_with(row, people, endings)]
        async for rows, senders in self._of_others(self._all_rows):
            found += [row for row in rows if self._is_of(row, senders) and self._is_with(row, people, endings)]
        newest = {row.id: row for row in found}  # one that got a message between two pages is on both
        return [row for messagesession, row in newest.items() if messagesession]

    def _is_with(self, row: MessageSession, people: Collection[frozenset[str]], endings: Collection[str]) -> bool:
        """Whether a conversation is with people. To read a number takes time: only where the endings fit."""
        others = _others_of_row(row, self._coordinator.data.account, self._region)
        if not others or any(other[-_ENDING:].casefold() not in endings for other in others):
            return False
        return frozenset(self._digits(other).casefold() for other in others) in people

    def _is_of(self, row: MessageSession, senders: Collection[str]) -> bool:
        """Whether a conversation is one of these numbers'."""
        return any(is_same_number(row.sms_number, sender, self._region) for sender in senders)

    async def _of_others[ReadT](
        self, read: Callable[[str], Awaitable[ReadT]]
    ) -> AsyncIterator[tuple[ReadT, Collection[str]]]:
        """Yield what is read of each other user whose numbers we send from, with those numbers."""
        entry, facts = self._coordinator.config_entry, self._coordinator.data
        for owner, senders in shared_senders(entry, facts, self._region).items():
            try:
                found = await read(owner)
            except NetsapiensRequestError:
                continue  # the login may not see that user's
            yield found, senders

    async def _find_listed(
        self, messagesession: str, known: ExistingConversation | None
    ) -> ExistingConversation | None:
        """Return a conversation that the PBX lists.

        Parameters:
            messagesession: its id.
            known: the same as a message came in on it; that says more where the PBX lists it without our number.
        """
        row = await self.async_row(messagesession)
        if row is None:
            return None
        if known is not None and not known.is_chat and not row.sms_number:
            return known
        return conversation_of(row, self._coordinator.data.account, self._region)

    async def _find_row(self, owner: str | None, messagesession: str) -> MessageSession | None:
        """Return the row of a conversation in a user's list."""
        for page in range(_MOST_PAGES):
            rows = await self._page(owner, page * MAX_ROWS)
            if (found := next((row for row in rows if row.id == messagesession), None)) is not None:
                return found
            if len(rows) < MAX_ROWS:
                break
        return None

    async def _all_rows(self, owner: str | None) -> list[MessageSession]:
        """Return all rows of a user's conversations, as far as the PBX lists them."""
        rows, _ = await read_since(lambda start: self._page(owner, start), lambda row: row.last_time, _LONG_AGO)
        return rows

    async def _page(self, owner: str | None, start: int) -> list[MessageSession]:
        """Return one page of a user's conversations."""
        return await self._coordinator.throttle.run(
            lambda: self._api.get_messagesessions(limit=MAX_ROWS, start=start, user=owner)
        )


def conversation_of(row: MessageSession, account: Account, region: str | None) -> ExistingConversation:
    """Return a conversation from its row in the list.

    Parameters:
        row: the conversation's.
        account: who we are.
        region: the country (ISO 3166, two letters) of the home.
    """
    others = _others_of_row(row, account, region)
    return ExistingConversation(row.id, others, row.sms_number or None, _is_chat(row))


def _others_of_row(row: MessageSession, account: Account, region: str | None) -> tuple[str, ...]:
    """Return everybody in a conversation but us."""
    everybody = row.remotes or row.participants
    return others_among(everybody, row.sms_number or None, account, region, is_chat=_is_chat(row))


def _is_chat(row: MessageSession) -> bool:
    """Whether a conversation stays inside the PBX: it is with users, and not with a phone number."""
    return not row.sms_number and not any(is_phone_number(number_of(one)) for one in row.remotes or row.participants)
