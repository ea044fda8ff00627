"""Whom a conversation is with, and who has texted us: what the PBX's own list says."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
import time

from .api import Account, MessageAPI, MessageSession, NetsapiensError, NetsapiensRequestError, NetsapiensTimeoutError
from .api.messages import MAX_ROWS
from .api.models import number_of, same_number
from .messages import ExistingConversation
from .pbx.coordinator import NetsapiensCoordinator
from .phone import from_pbx
from .receiving.received import ReceivedMessage

_ASK_WITHIN = 10.0  # seconds; after that, what came in since the start has to do
_ASK_AGAIN = 30.0  # seconds after it could not be asked
_SENDERS_FOR = 600.0  # seconds for which the list of who texted us serves
_MOST = 1000  # conversations that are remembered
_MOST_PAGES = 10
_BATCH = 200  # conversations that are looked at before others may run


class Conversations:
    """The conversations of an account.

    Parameters:
        coordinator: the account.
        shared_senders: gives the sender numbers that are other users' of the domain, by their owners.
    """

    def __init__(
        self, coordinator: NetsapiensCoordinator, shared_senders: Callable[[], Mapping[str, Collection[str]]]
    ) -> None:
        self._coordinator = coordinator
        self._shared_senders = shared_senders
        self._api = MessageAPI(coordinator.api)
        self._latest: OrderedDict[str, ExistingConversation] = OrderedDict()  # by id; those that a message came in on
        self._senders: frozenset[str] = frozenset()
        self._senders_until = 0.0

    def remember(self, received: ReceivedMessage) -> None:
        """Remember the conversation of a message that came in, for an answer while the PBX is away."""
        account = self._coordinator.data.account
        our_number = None if received.message_type.startswith("chat") else received.to_number
        others = _others_of(received.participants, our_number, account) or (received.from_number,)
        self._latest[received.messagesession] = ExistingConversation(received.messagesession, others, our_number)
        self._latest.move_to_end(received.messagesession)
        if len(self._latest) > _MOST:
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
            async with asyncio.timeout(_ASK_WITHIN):
                return await self._find_listed(messagesession) or known
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
                async with asyncio.timeout(_ASK_WITHIN):
                    rows = await self._page(None, 0)
            except NetsapiensError, TimeoutError:
                self._senders_until = time.monotonic() + _ASK_AGAIN  # the next texts must not wait for it as well
                return asked & self._senders
            self._senders = frozenset(self._digits(number_of(remote)) for row in rows for remote in row.remotes)
            self._senders_until = time.monotonic() + _SENDERS_FOR
        return asked & self._senders

    def _digits(self, number: str) -> str:
        """Return a number that the PBX gave as digits with country code; a name as it is."""
        return number_of(from_pbx(number, self._coordinator.hass.config.country))

    async def async_all_with(self, is_with: Callable[[ExistingConversation], bool]) -> list[MessageSession]:
        """Return the conversations that a check picks: of the login, and of others whose numbers we send from.

        Raises:
            NetsapiensError: the PBX could not be asked.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions
        """
        account = self._coordinator.data.account
        found = []
        own: dict[str | None, Collection[str]] = {None: ()}
        for owner, senders in (own | dict(self._shared_senders())).items():
            try:
                rows = await self._all_pages(owner)
            except NetsapiensRequestError:
                if owner is None:
                    raise
                continue  # the login may not see that user's
            for number, row in enumerate(rows):
                if number % _BATCH == _BATCH - 1:
                    await asyncio.sleep(0)
                ours = owner is None or any(same_number(row.sms_number, sender) for sender in senders)
                if ours and is_with(conversation_of(row, account)):
                    found.append(row)
        return found

    async def _all_pages(self, owner: str | None) -> list[MessageSession]:
        """Return a user's conversations."""
        found: list[MessageSession] = []
        for page in range(_MOST_PAGES):
            rows = await self._page(owner, page * MAX_ROWS)
            found += rows
            if len(rows) < MAX_ROWS:
                break
        return found

    async def _find_listed(self, messagesession: str) -> ExistingConversation | None:
        """Return a conversation that the PBX lists: of the login, or of another user with a number we send from."""
        account = self._coordinator.data.account
        if (row := await self._find_row(None, messagesession)) is not None:
            return conversation_of(row, account)
        for owner, senders in self._shared_senders().items():
            try:
                row = await self._find_row(owner, messagesession)
            except NetsapiensRequestError:
                continue  # the login may not see that user's
            if row is not None and any(same_number(row.sms_number, sender) for sender in senders):
                return conversation_of(row, account)
        return None

    async def _find_row(self, owner: str | None, messagesession: str) -> MessageSession | None:
        """Return the row of a conversation in a user's list."""
        for page in range(_MOST_PAGES):
            rows = await self._page(owner, page * MAX_ROWS)
            if (found := next((row for row in rows if row.id == messagesession), None)) is not None:
                return found
            if len(rows) < MAX_ROWS:
                break
        return None

    async def _page(self, owner: str | None, start: int) -> list[MessageSession]:
        """Return one page of a user's conversations."""
        return await self._coordinator.throttle.run(
            lambda: self._api.get_messagesessions(limit=MAX_ROWS, start=start, user=owner)
        )


def conversation_of(row: MessageSession, account: Account) -> ExistingConversation:
    """Return a conversation from its row in the list."""
    our_number = row.sms_number or None
    return ExistingConversation(row.id, _others_of(row.remotes or row.participants, our_number, account), our_number)


def _others_of(everybody: Collection[str], our_number: str | None, account: Account) -> tuple[str, ...]:
    """Return everybody but us, each once; users of our own domain without it, as they are texted."""
    if our_number is not None:
        return tuple(dict.fromkeys(number_of(one) for one in everybody if not same_number(number_of(one), our_number)))
    users = (one.removesuffix(f"@{account.domain}") for one in everybody)
    return tuple(dict.fromkeys(user for user in users if user not in {account.user, account.uid}))
