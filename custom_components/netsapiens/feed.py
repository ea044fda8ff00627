"""One conversation that is being looked at: what the PBX lists of it and what waits here, kept up to date."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
import logging

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.util.hass_dict import HassKey

from .account import NetsapiensConfigEntry
from .address_book import addressee_of
from .api import NetsapiensError
from .delivery.results import WaitingMessage
from .errors import call_safely, log_unexpected, safe
from .outgoing import OutgoingMessage
from .outgoing_log import async_log_of
from .pbx.backoff import jitter
from .receiving.received import ReceivedMessage
from .signals import message_out, message_received, opt_outs_changed, recipients_changed
from .transcript import Listed, Own, Status, merged, shown_from
from .transcript_reader import TranscriptReader

_LOGGER = logging.getLogger(__name__)

_LIVE = 200  # the newest messages, among which those are looked for that we sent
_SPREAD = 0.2


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

type Subscriber = Callable[[list[Listed | Own] | None], None]


class Feed:
    """A conversation with a recipient, shared by all that look at it.

    Parameters:
        entry: the account; it must be loaded.
        recipient: with whom.
        on_close: called when nobody looks any more, or the account is unloaded.

    Raises:
        DamagedRecipientError: the recipient's data cannot be read.
    """

    def __init__(
        self, hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient: ConfigSubentry, on_close: CALLBACK_TYPE
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._account = entry.runtime_data
        self._recipient = recipient
        self._known = recipient.title, recipient.data  # Home Assistant changes a subentry in place
        self._addressee = addressee_of(recipient, hass.config.country)
        self._on_close = on_close
        self._timing = hass.data.get(FEED_TIMING, FeedTiming())
        self._reader = TranscriptReader(entry, recipient)
        self._changed_sessions: set[str] = set()
        self._subscribers: list[Subscriber] = []
        self._forget: list[CALLBACK_TYPE] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    # --- who looks ---------------------------------------------------------------------

    @callback
    def async_subscribe(self, subscriber: Subscriber) -> CALLBACK_TYPE:
        """Pass on the newest messages at each change, and None at the end; return what ends that."""
        if not self._subscribers:
            self._follow()
        self._subscribers.append(subscriber)

        @callback
        def unsubscribe() -> None:
            """Look no more; the last one closes it."""
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)
            if not self._subscribers:
                self.async_close()

        return unsubscribe

    def _follow(self) -> None:
        """Keep up to date from now on."""
        hass, entry = self._hass, self._entry
        received = message_received(entry, self._recipient.subentry_id)
        self._forget = [
            async_dispatcher_connect(hass, received, safe(self._received)),
            async_dispatcher_connect(hass, message_out(entry), safe(self._sent)),
            async_dispatcher_connect(hass, opt_outs_changed(entry), safe(self._changed)),
            async_dispatcher_connect(hass, recipients_changed(entry), safe(self._recipients_changed)),
            async_log_of(hass, entry.entry_id).async_listen(self._changed),
            self._account.queue.async_listen(self._changed),
        ]
        self._read_after_interval()

    @callback
    def async_close(self) -> None:
        """End it: nobody looks any more, or the account is unloaded."""
        if self._is_closed:
            return
        self._is_closed = True
        for forget in self._forget:
            forget()
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        subscribers, self._subscribers, self._forget = self._subscribers, [], []
        self._on_close()
        for subscriber in subscribers:
            call_safely(subscriber, None)

    # --- what there is -----------------------------------------------------------------

    @property
    def error(self) -> NetsapiensError | None:
        """Why the PBX could not be read, or None."""
        return self._reader.error

    @property
    def opted_out(self) -> bool:
        """Whether the recipient wants no texts from the number that it is texted from."""
        return bool(self._account.refusals.opted_out(self._recipient))

    @property
    def is_begun(self) -> bool:
        """Whether the PBX's lists were read."""
        return self._reader.is_begun

    def newest(self) -> list[Listed | Own]:
        """Return the newest messages, oldest first, each once."""
        listed, has_older = self._reader.newest(_LIVE)
        return merged(listed, self._own(), has_older=has_older)

    def first(self, count: int) -> tuple[list[Listed | Own], Listed | None, bool]:
        """Return what a card shows first, the oldest listed message of it, and whether there are older ones.

        Parameters:
            count: how many of those that the PBX lists, 200 at the most.
        """
        listed, has_older = self._reader.newest(count)
        oldest = listed[0] if listed else None
        return shown_from(self.newest(), oldest), oldest, has_older

    async def async_read_first(self, count: int) -> None:
        """Read what a card shows first. Where the PBX is away, that follows once it is back.

        Parameters:
            count: how many messages.
        """
        await self._reader.async_read_first(count)
        if self.error is not None and not self._tasks:
            self._call_later("soon", self._timing.soon, self._read)

    async def async_before(self, key: str | None, count: int) -> tuple[list[Listed], bool]:
        """Return up to so many messages before one, oldest first, and whether there are more.

        Parameters:
            key: of the oldest message that is shown, or None where none is.
            count: how many.

        Raises:
            NetsapiensError: the PBX could not be asked.
        """
        return await self._reader.async_before(key, count)

    def _own(self) -> list[Own]:
        """Return our messages to the recipient that are not surely in the PBX's lists."""
        known = async_log_of(self._hass, self._entry.entry_id).to(self._addressee)
        waiting = [_own_of(one) for one in self._account.queue.waiting(self._is_to_them)]
        first = next((number for number, one in enumerate(known) if one.status is Status.SENDING), len(known))
        return [*known[:first], *waiting, *known[first:]]

    def _is_to_them(self, message: OutgoingMessage) -> bool:
        """Whether a message is for the recipient, by whichever way it was sent."""
        return self._addressee.gets(message.recipient_id, message.destination)

    # --- keeping up ----------------------------------------------------------------------

    @callback
    def _received(self, received: ReceivedMessage, _recipient: str | None) -> None:
        """Read what came in."""
        self._read_soon(received.messagesession)

    @callback
    def _sent(self, message: OutgoingMessage) -> None:
        """Read what went out, if it is to the recipient."""
        if self._is_to_them(message):
            self._read_soon(message.messagesession)

    @callback
    def _read_soon(self, messagesession: str) -> None:
        """Read what is new in a conversation, and once more, since lists lag."""
        self._changed_sessions.add(messagesession)
        self._call_later("soon", self._timing.soon, self._read)
        self._call_later("lag", self._timing.soon + self._timing.lag, self._read_last)

    @callback
    def _read_last(self) -> None:
        """Read what is new for the last time, until more happens."""
        self._read(is_last=True)

    @callback
    def _read_after_interval(self) -> None:
        """Read what is new after a while, again and again."""
        self._call_later("interval", self._timing.interval * jitter(_SPREAD), self._read_again)

    @callback
    def _read_again(self) -> None:
        """Read what is new, unless that is being read, or waits for a PBX that is away."""
        self._read_after_interval()
        if not self._tasks:
            self._read()

    @callback
    def _read(self, *, is_last: bool = False) -> None:
        """Read what is new in the background; after the last time, the conversations that changed are forgotten."""

        async def read() -> None:
            """Read, and pass on what came of it."""
            changed = {*self._changed_sessions}
            if is_last:
                self._changed_sessions.clear()  # before it is read: others may change meanwhile
            try:
                await self._reader.async_read_new(changed)
            except Exception as err:  # noqa: BLE001 - the next one must be read
                log_unexpected(_LOGGER, "reading a conversation", err)
            if self.error is not None:
                self._changed_sessions |= changed
            self._changed()

        task = self._hass.async_create_background_task(read(), "netsapiens conversation")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @callback
    def _recipients_changed(self) -> None:
        """End where the recipient is another now, or gone: whoever looks begins anew."""
        recipient = self._entry.subentries.get(self._recipient.subentry_id)
        if recipient is None or (recipient.title, recipient.data) != self._known:
            self.async_close()

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
            call_safely(subscriber, newest)

    @callback
    def _call_later(self, name: str, delay: float, listener: Callable[[], None]) -> None:
        """Call a listener after so many seconds, in place of an earlier call of this name."""
        if self._is_closed:
            return
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

        @callback
        def call() -> None:
            """Call it, as what no longer waits."""
            self._timers.pop(name, None)
            listener()

        self._timers[name] = self._hass.loop.call_later(delay, call)


def _own_of(waiting: WaitingMessage) -> Own:
    """Return a message that waits, as it is shown."""
    message = waiting.message
    return Own(
        f"w{waiting.number}",
        waiting.until,
        Status.WAITING,
        message.words,
        media_type=message.media.mime_type if message.media else None,
        media_name=message.media_name,
        listed_since=waiting.listed_since,
    )
