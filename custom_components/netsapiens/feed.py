"""One conversation that is being looked at: what the PBX lists of it and what waits here, kept up to date."""

import asyncio
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
import logging
import random

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.util.hass_dict import HassKey

from .account import NetsapiensConfigEntry
from .addressing import is_with
from .api import NetsapiensError
from .delivery.queue import WaitingMessage
from .errors import log_unexpected, safe
from .messages import ExistingConversation, OutgoingMessage
from .outgoing_log import async_log_of
from .receiving.pages import DatedMessage, MessagePages
from .receiving.received import ReceivedMessage
from .recipients import DamagedRecipientError, read_recipient
from .signals import message_failed, message_out, message_received
from .transcript import Listed, Own, Status, is_outbound, listed_order, merged

_LOGGER = logging.getLogger(__name__)

_LEAST = 30  # messages that are read at first
_LIVE = 200  # the newest messages, among which those are looked for that we sent
_FOLLOWED = 3  # conversations that are read again, the last active ones
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FeedTiming:
    """How often a conversation is read that is being looked at.

    Attributes:
        interval: seconds; what somebody sent from another phone of the account shows within it.
        soon: seconds after a message came in or went out.
        lag: seconds after that for a second look, since a PBX's lists lag.
        together: seconds within which changes are passed on as one.
    """

    interval: float = 60.0
    soon: float = 0.2
    lag: float = 5.0
    together: float = 0.05


FEED_TIMING: HassKey[FeedTiming] = HassKey("netsapiens_feed_timing")
_FEEDS: HassKey[dict[tuple[str, str], Feed]] = HassKey("netsapiens_feeds")

type Subscriber = Callable[[list[Listed | Own] | None], None]


class Feed:
    """A conversation with a recipient, shared by all that look at it.

    Parameters:
        entry: the account; it must be loaded.
        recipient: with whom.

    Attributes:
        error: why the PBX could not be read, or None.
    """

    def __init__(self, hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> None:
        self._hass = hass
        self._entry = entry
        self._account = entry.runtime_data
        self._recipient_id = recipient.subentry_id
        self._timing = hass.data.get(FEED_TIMING, FeedTiming())
        self._pages: MessagePages | None = None
        self._rows: list[Listed] = []  # oldest first, without a gap
        self._newest = self._oldest = 0  # what orders the messages of one second
        self._due: set[str] = set()  # conversations that changed
        self._reading = asyncio.Lock()
        self._subscribers: list[Subscriber] = []
        self._forget: list[CALLBACK_TYPE] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.error: NetsapiensError | None = None

    # --- who looks ---------------------------------------------------------------------

    @callback
    def async_subscribe(self, subscriber: Subscriber) -> CALLBACK_TYPE:
        """Pass on the newest messages at each change, and None at the end; return what ends that."""
        if not self._subscribers:
            self._follow()
        self._subscribers.append(subscriber)

        @callback
        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)
            if not self._subscribers:
                self.async_close()

        return unsubscribe

    def _follow(self) -> None:
        """Keep up to date from now on."""
        hass, entry = self._hass, self._entry
        received = message_received(entry, self._recipient_id)
        self._forget = [
            async_dispatcher_connect(hass, received, safe(self._received)),
            async_dispatcher_connect(hass, message_out(entry), safe(self._sent)),
            async_log_of(hass, entry.entry_id).async_listen(self._changed),
            self._account.queue.async_listen(self._changed),
        ]
        self._call_later("interval", self._timing.interval * random.uniform(0.8, 1.2), self._read_again)  # noqa: S311

    @callback
    def async_close(self) -> None:
        """End it: nobody looks any more, or the account is unloaded."""
        self._is_closed = True
        for forget in self._forget:
            forget()
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        subscribers, self._subscribers, self._forget = self._subscribers, [], []
        feeds = self._hass.data.get(_FEEDS, {})
        if feeds.get((self._entry.entry_id, self._recipient_id)) is self:
            del feeds[self._entry.entry_id, self._recipient_id]
        for subscriber in subscribers:
            subscriber(None)

    # --- what there is -----------------------------------------------------------------

    def newest(self) -> list[Listed | Own]:
        """Return the newest messages, oldest first, each once."""
        return merged(self._rows[-_LIVE:], self._own())

    async def async_first(self, count: int) -> tuple[list[Listed | Own], bool]:
        """Return the newest messages as a card shows them first, and whether there are older ones.

        Where the PBX is away it is what is known; `error` says why.

        Parameters:
            count: how many of those that the PBX lists.
        """
        async with self._reading:
            if self._pages is None:
                await self._begin()
        if len(self._rows) < count and self.error is None:
            await self._read_back(count)
        start = max(len(self._rows) - count, 0)
        return merged(self._rows[start:], self._own()), self._has_before(start)

    async def _read_back(self, count: int) -> None:
        """Read until there are so many messages, if there are."""
        try:
            await self.async_before(self._rows[0].key if self._rows else None, count - len(self._rows))
        except NetsapiensError as err:
            self.error = err

    async def async_before(self, key: str | None, count: int) -> tuple[list[Listed], bool]:
        """Return up to so many messages before one, oldest first, and whether there are more.

        Parameters:
            key: of the oldest message that is shown, or None where none is.
            count: how many.

        Raises:
            NetsapiensError: the PBX could not be asked.
        """
        async with self._reading:
            end = next((number for number, one in enumerate(self._rows) if one.key == key), len(self._rows))
            if end < count and self._pages is not None and not self._pages.is_exhausted:
                older = await self._pages.next(count - end)
                self._rows[:0] = reversed([self._listed(one, older=True) for one in older])
                end += len(older)
        start = max(end - count, 0)
        return self._rows[start:end], self._has_before(start)

    def _has_before(self, start: int) -> bool:
        """Whether there is a message before the one at this index."""
        return start > 0 or (self._pages is not None and not self._pages.is_exhausted)

    def _own(self) -> list[Own]:
        """Return our messages to the recipient that are not surely in the PBX's lists."""
        known = [
            one.own
            for one in async_log_of(self._hass, self._entry.entry_id).all()
            if one.recipient_id == self._recipient_id
        ]
        waiting = [
            _own_of(one) for one in self._account.queue.waiting() if one.message.recipient_id == self._recipient_id
        ]
        first = next((number for number, one in enumerate(known) if one.status is Status.SENDING), len(known))
        return [*known[:first], *waiting, *known[first:]]

    # --- reading -----------------------------------------------------------------------

    async def _begin(self) -> None:
        """Find the conversations with the recipient, and read their newest messages."""
        try:
            sessions = await self._account.conversations.async_all_with(self._is_ours)
            pages = MessagePages(self._account.coordinator, sessions)
            first = await pages.next(_LEAST)
        except NetsapiensError as err:
            self.error = err
            return
        self._pages, self.error = pages, None
        self._rows = [self._listed(one) for one in reversed(first)]

    def _is_ours(self, conversation: ExistingConversation) -> bool:
        """Whether a conversation is with the recipient and nobody else."""
        recipient = self._entry.subentries.get(self._recipient_id)
        if recipient is None or not conversation.others:
            return False
        candidates = self._account.addresses.recipients_with(conversation.others[0])
        if not any(one.subentry_id == self._recipient_id for one in candidates):
            return False
        try:
            data = read_recipient(recipient)
            if data.group and len(conversation.others) != len(data.destination):
                return False  # with one of them alone
            return is_with(data, conversation, self._hass.config.country)
        except DamagedRecipientError:
            return False

    async def _read_new(self) -> None:
        """Read what is new in the conversations."""
        async with self._reading:
            if self._pages is None:
                await self._begin()
                return
            since = self._rows[0].at if self._rows else _EARLIEST
            try:
                for messagesession in await self._followed(self._pages):
                    found = await self._pages.newest(messagesession, since)
                    for one in reversed(found):
                        insort(self._rows, self._listed(one), key=listed_order)
            except NetsapiensError as err:
                self.error = err
            else:
                self.error = None

    async def _followed(self, pages: MessagePages) -> list[str]:
        """Return the conversations that are read again: those that changed, and the last active ones."""
        if not self._due.issubset(pages.messagesessions):  # a conversation began
            for session in await self._account.conversations.async_all_with(self._is_ours):
                pages.add(session)
        known = pages.messagesessions
        return list(dict.fromkeys([*(one for one in known if one in self._due), *known[:_FOLLOWED]]))

    def _listed(self, one: DatedMessage, *, older: bool = False) -> Listed:
        """Return a message with what orders it: messages are read from the newest back, then those that are newer."""
        if older:
            self._oldest -= 1
        else:
            self._newest += 1
        account, session = self._account.coordinator.data.account, one.session
        outbound = is_outbound(one.row, account, session.owner)
        return Listed(one.key, one.at, self._oldest if older else self._newest, one.row, session, outbound)

    # --- keeping up ----------------------------------------------------------------------

    @callback
    def _received(self, received: ReceivedMessage, _recipient: str | None) -> None:
        """Read what came in."""
        self._read_soon(received.messagesession)

    @callback
    def _sent(self, message: OutgoingMessage) -> None:
        """Read what went out, if it can be to the recipient."""
        numbers = {
            one.subentry_id for number in message.destination for one in self._account.addresses.recipients_with(number)
        }
        if self._recipient_id in {message.recipient_id, *numbers}:
            self._read_soon(message.messagesession)

    @callback
    def _read_soon(self, messagesession: str) -> None:
        """Read what is new in a conversation, and once more, since lists lag."""
        self._due.add(messagesession)
        self._call_later("soon", self._timing.soon, self._read)
        self._call_later("lag", self._timing.soon + self._timing.lag, self._read_last)

    @callback
    def _read_last(self) -> None:
        """Read what is new for the last time, until more happens."""
        self._read(is_last=True)

    @callback
    def _read_again(self) -> None:
        """Read what is new, and again after a while; not while the PBX is away."""
        self._call_later("interval", self._timing.interval * random.uniform(0.8, 1.2), self._read_again)  # noqa: S311
        if not self._account.coordinator.throttle.is_away:
            self._read()

    @callback
    def _read(self, *, is_last: bool = False) -> None:
        """Read what is new in the background; after the last time, the conversations that changed are forgotten."""

        async def read() -> None:
            try:
                await self._read_new()
            except Exception as err:  # noqa: BLE001 - the next one must be read
                log_unexpected(_LOGGER, "reading a conversation", err)
            if is_last:
                self._due.clear()
            self._changed()

        task = self._hass.async_create_background_task(read(), "netsapiens conversation")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @callback
    def _changed(self) -> None:
        """Pass on what is new, soon: of several changes, one may undo the other."""
        if "changed" not in self._timers:
            self._call_later("changed", self._timing.together, self._pass_on)

    @callback
    def _pass_on(self) -> None:
        """Pass on the newest messages."""
        newest = self.newest()
        for subscriber in list(self._subscribers):
            subscriber(newest)

    @callback
    def _call_later(self, name: str, delay: float, listener: Callable[[], None]) -> None:
        """Call a listener after so many seconds, in place of an earlier call of this name."""
        if self._is_closed:
            return
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

        @callback
        def call() -> None:
            self._timers.pop(name, None)
            listener()

        self._timers[name] = self._hass.loop.call_later(delay, call)


def _own_of(waiting: WaitingMessage) -> Own:
    """Return a message that waits, as it is shown."""
    message = waiting.message
    return Own(
        f"w{waiting.key}",
        waiting.until,
        Status.WAITING,
        message.text,
        media_type=message.media.mime_type if message.media else None,
        listed_since=waiting.listed_since,
    )


@callback
def async_feed_of(hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> Feed:
    """Return the conversation with a recipient, the same for all that look at it."""
    feeds = hass.data.setdefault(_FEEDS, {})
    key = entry.entry_id, recipient.subentry_id
    if key not in feeds:
        feeds[key] = Feed(hass, entry, recipient)
    return feeds[key]


@callback
def async_open_feed(hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> Feed | None:
    """Return the conversation with a recipient if somebody looks at it."""
    return hass.data.get(_FEEDS, {}).get((entry.entry_id, recipient.subentry_id))


@callback
def async_follow_account(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> CALLBACK_TYPE:
    """Keep what an account sends and what fails, for those that look; return what ends that and all that they see."""
    log, api = async_log_of(hass, entry.entry_id), entry.runtime_data.coordinator.api
    forget = [
        async_dispatcher_connect(hass, message_out(entry), safe(lambda message: log.async_sent(message, api.now()))),
        async_dispatcher_connect(
            hass, message_failed(entry, None), safe(lambda failed: log.async_failed(failed, api.now()))
        ),
    ]

    @callback
    def end() -> None:
        for one in forget:
            one()
        for feed in [feed for (owner, _), feed in hass.data.get(_FEEDS, {}).items() if owner == entry.entry_id]:
            feed.async_close()

    return end
