"""The one path out: what to send -> accepted by the PBX, exactly once.

Messages of one conversation, or of the same sender and destinations, share a lane and go one at a time and in order;
others go side by side. What the PBX did not clearly take or refuse is looked up before it is sent again, and what
cannot be sent now is kept on disk until its time is up.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
import logging
import time
from typing import Any

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
from homeassistant.util.async_ import create_eager_task

from ..api import (
    MessageAPI,
    NetsapiensError,
    NetsapiensRequestError,
)
from ..api.models import as_text
from ..const import DOMAIN
from ..errors import call_safely, log_unexpected, translated
from ..messages import OutgoingMessage
from ..pbx.backoff import Backoff
from ..pbx.coordinator import NetsapiensCoordinator
from ..settings import read_settings
from .deadline import Deadline, time_left
from .ready import ReadyMessages
from .reconcile import Baseline, RecentSends, Reconciler, ordering_keys
from .store import KeptMessage, QueueStore

_LOGGER = logging.getLogger(__name__)

_ANSWER_WITHIN = 10.0  # seconds that an action waits for a clear end before it answers `queued`
_LOOKS = (1.0, 3.0, 6.0, 10.0)  # seconds after a failure; a PBX's lists lag
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 10.0  # seconds between the tries of one message; the throttle waits out an outage
_TIDY_DELAY = 1.0  # seconds until what is done is taken off the disk; a kill before that costs one look
_LONGEST_KEEP = 7 * 86400.0
_HOUR = 3600.0
_ACTIVE = 100  # messages that wait for the PBX at once; the rest of a backlog waits for them
_AT_ONCE = 10  # of a call are active in any case, while it waits: an alarm passes a backlog
_BATCH = 200  # messages that are taken up before others may run
_STOP_WITHIN = 15.0  # seconds; an exchange takes 12 at the most, but for the upload of a picture

EXPIRED = "expired"
REFUSED = "refused"
UNEXPECTED = "unexpected"
UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class SentMessage:
    """What became of a message.

    Attributes:
        message: what was to be sent.
        status: ``sent``, or ``queued`` where it is kept and tried again.
        message_id: the PBX's id, where it gave one.
    """

    message: OutgoingMessage
    status: str
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """A message that was answered ``queued`` and never got out.

    Attributes:
        message: which.
        reason: ``expired``, ``refused``, ``unconfirmed`` or ``unexpected``.
        error: the reason in words.
        timestamp: when it was given up.
    """

    message: OutgoingMessage
    reason: str
    error: str
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that was answered ``queued`` and is not out yet.

    Attributes:
        key: what it is known by while Home Assistant runs.
        message: which.
        until: when its time is up.
        listed_since: by the PBX's clock, from when on the PBX may list it; None where it surely does not.
    """

    key: str
    message: OutgoingMessage
    until: datetime
    listed_since: datetime | None


class _Call:
    """Who waits until all of several messages were answered. Woken in one step, where `asyncio.wait` takes two."""

    def __init__(self, messages: int) -> None:
        self._left = messages
        self._all = asyncio.get_running_loop().create_future()

    def note(self) -> None:
        """Note that one more was answered."""
        self._left -= 1
        if not self._left and not self._all.done():
            self._all.set_result(None)

    async def wait(self, within: float | None) -> None:
        """Wait for all, so many seconds at the most."""
        try:
            async with asyncio.timeout(within):
                await self._all
        except TimeoutError:
            pass


@dataclass(slots=True, eq=False)
class _Item:
    """A message on its way.

    Attributes:
        deadline: when its time is up, by the loop's clock.
        keep: whether it is tried again.
        call: who waits for it; None where nobody does any more.
        answer: what its caller was told.
        on_disk: whether it was answered ``queued``, or is about to be.
        trace: set before its first try; from then on it can be told from its equals.
        stored: whether the disk holds it, so that it is sent again after a kill unless the attempt is written down.
        noted: whether the disk says that it may be out.
        in_doubt: a try is under way, or ended without a clear answer and was not cleared up yet.
        failed_at: when that was, by the loop's clock.
        failures: how often it had to wait for the next try.
        at_once: whether it is active however many others are.
        until_pbx: when its time is up by the PBX's clock, seconds since 1970, as far as that was known.
        reprieved: whether it was given the time that was left once more, after a clock that jumped.
    """

    message: OutgoingMessage
    deadline: float
    keep: bool
    call: _Call | None = None
    answer: SentMessage | HomeAssistantError | None = None
    on_disk: bool = False
    trace: Baseline | None = None
    stored: bool = False
    noted: bool = False
    in_doubt: bool = False
    failed_at: float = 0.0
    failures: int = 0
    at_once: bool = False
    until_pbx: float | None = None
    reprieved: bool = False
    task: asyncio.Task[None] | None = None

    def tell(self, answer: SentMessage | HomeAssistantError) -> None:
        """Tell the caller what became of it, if that was not told yet."""
        if self.answer is None:
            self.answer = answer
            if self.call is not None:
                self.call.note()

    @property
    def caller(self) -> Hashable:
        """Who takes the turns at the rate limiter: its call, or all that are kept together."""
        return self.call or "kept"

    @property
    def is_fresh(self) -> bool:
        """Whether it was never tried."""
        return not (self.on_disk or self.failed_at)

    @property
    def needs_disk(self) -> bool:
        """Whether its next attempt has to be written down first: it is promised, or would be sent after a kill."""
        return not self.noted and (self.stored or (self.on_disk and self.answer is not None))


class _NotOnDiskError(Exception):
    """An attempt could not be written down, so it is not made. Nothing is known of the PBX by that."""


class DeliveryQueue:
    """Sends an account's messages, and keeps those that cannot go now.

    Parameters:
        coordinator: the account.
        store: where the messages are kept.
        history: the account's messages that ended lately.

    Attributes:
        stop_within: seconds that requests under way are given to end when the queue stops.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, store: QueueStore, history: RecentSends) -> None:
        self._hass: HomeAssistant = coordinator.hass
        self._store = store
        self._history = history
        self._use(coordinator)
        self.stop_within = _STOP_WITHIN
        self._items: dict[_Item, asyncio.TimerHandle] = {}  # in the order in which they came, each with its end
        self._lanes: dict[str, dict[_Item, None]] = {}
        self._ready: ReadyMessages[_Item] = ReadyMessages()
        self._unsure: dict[_Item, Deadline] = {}  # whose time left is to be had from the PBX's clock
        self._loaded_at = 0.0  # by the loop's clock
        self._queued = 0
        self._running: set[asyncio.Task[Any]] = set()
        self._deliveries: set[asyncio.Task[None]] = set()  # what is active; also of messages that ended meanwhile
        self._in_flight: dict[asyncio.Task[Exception | None], _Item] = {}
        self._stopped = False
        self._stopping: asyncio.Task[None] | None = None
        self._forget_stop: CALLBACK_TYPE | None = None
        self._listeners: list[Callable[[], None]] = []
        self._report: Callable[[FailedMessage], None] | None = None
        self._unreported: list[tuple[_Item, FailedMessage]] = []
        self._report_sent: Callable[[OutgoingMessage], None] | None = None
        self._unreported_sent: list[OutgoingMessage] = []
        self._taken: deque[float] = deque()
        self._write_lock = asyncio.Lock()
        self._changes = self._written = 0
        self._write_failures = 0  # in a row
        self._writable = asyncio.Event()
        self._writable.set()
        self._tidy_timer: asyncio.TimerHandle | None = None

    @callback
    def _use(self, coordinator: NetsapiensCoordinator) -> None:
        """Send through this coordinator from now on."""
        self._coordinator = coordinator
        self._api = MessageAPI(coordinator.api)
        self._throttle = coordinator.throttle
        self._reconciler = Reconciler(self._api, self._throttle, lambda: coordinator.data.account)

    # --- what the account asks -------------------------------------------------------

    @property
    def queued(self) -> int:
        """How many messages wait."""
        return self._queued

    @property
    def first_deadline(self) -> datetime | None:
        """When the first of the messages that wait is given up; None where none waits."""
        waiting = [item.deadline for item in self._items if item.on_disk]
        return dt_util.utcnow() + timedelta(seconds=min(waiting) - self._hass.loop.time()) if waiting else None

    def waiting(self) -> list[WaitingMessage]:
        """Return the messages that were answered ``queued``, in the order in which they came."""
        now, loop_now = dt_util.utcnow(), self._hass.loop.time()
        return [
            WaitingMessage(
                str(id(item)),
                item.message,
                now + timedelta(seconds=item.deadline - loop_now),
                item.trace.since if item.trace is not None and item.in_doubt else None,
            )
            for item in self._items
            if item.on_disk and item.answer is not None
        ]

    @property
    def is_away(self) -> bool:
        """Whether the PBX was away when it was last asked."""
        return self._throttle.is_away

    @property
    def is_stopped(self) -> bool:
        """Whether it takes no messages any more."""
        return self._stopped

    @property
    def hourly_limit(self) -> int:
        """How many messages an hour are taken; 0 = any."""
        return read_settings(self._coordinator.config_entry).hourly_limit

    @property
    def taken_last_hour(self) -> int:
        """How many messages were taken within the last hour."""
        while self._taken and self._taken[0] < time.monotonic() - _HOUR:
            self._taken.popleft()
        return len(self._taken)

    def has_room_for(self, messages: int) -> bool:
        """Whether so many messages may be taken now."""
        return not self.hourly_limit or self.taken_last_hour + messages <= self.hourly_limit

    @callback
    def async_listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener when the number of waiting messages changes; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def async_report_failures(self, report: Callable[[FailedMessage], None]) -> None:
        """Report failures from now on, and those that came up while nobody listened."""
        self._report = report
        unreported, self._unreported = self._unreported, []
        for item, failed in unreported:
            self._tell(item, failed)

    @callback
    def async_report_sent(self, report: Callable[[OutgoingMessage], None]) -> None:
        """Report each message that the PBX takes from now on, or took while nobody listened."""
        self._report_sent = report
        unreported, self._unreported_sent = self._unreported_sent, []
        for message in unreported:
            call_safely(report, message)

    @callback
    def async_hold_reports(self) -> None:
        """Hold back what there is to report until somebody listens again."""
        self._report = self._report_sent = None

    async def async_load(self) -> str | None:
        """Take up the messages that were kept, and see that none is lost when Home Assistant stops.

        Returns:
            Where the file was damaged, the name under which it was set aside; else None.
        """

        async def stop(_event: Event) -> None:
            self._forget_stop = None
            await self.async_stop()

        self._forget_stop = self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)
        kept, aside = await self._store.async_load()
        self._loaded_at = self._hass.loop.time()
        items = []
        for number, message in enumerate(kept):
            items.append(item := self._item_of(message))
            self._enqueue(item)
            if number % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)
        if aside is not None or any(item.reprieved for item in items):
            await self._save_quietly()
        return aside

    @callback
    def async_attach(self, coordinator: NetsapiensCoordinator) -> None:
        """Go on with the coordinator that follows the former one at a reload.

        Requests under way come to their end. Where the login is another one, what waits is tried with it at once.
        """
        is_other_login = coordinator.api is not self._coordinator.api
        self._use(coordinator)
        if not is_other_login:
            return
        under_way = set(self._in_flight.values())
        for item in list(self._items):
            if item.task is not None and item not in under_way:
                self._withdraw(item)

    # --- sending ---------------------------------------------------------------------

    async def async_send(
        self, messages: Sequence[OutgoingMessage], keep_for: timedelta
    ) -> list[SentMessage | HomeAssistantError]:
        """Send messages. Waits up to 10 s for a clear end; where nothing is to be kept, until there is one.

        Parameters:
            messages: what to send; one or more.
            keep_for: how long to keep trying; nothing, where a message is not to be kept at all.

        Returns:
            For each message what became of it, or the translated error that says why it was not sent.
        """
        if self._stopped:
            return [_error("stopped") for _ in messages]
        seconds = min(keep_for.total_seconds(), _LONGEST_KEEP)
        deadline = self._hass.loop.time() + (seconds or _ANSWER_WITHIN)
        call = _Call(len(messages))
        items = [
            _Item(message, deadline, seconds > 0, call, at_once=number < _AT_ONCE)
            for number, message in enumerate(messages)
        ]
        self._taken.extend([time.monotonic()] * len(items))
        for item in items:
            self._enqueue(item)
        try:
            await call.wait(_ANSWER_WITHIN if seconds else None)
        finally:
            # Also where the caller was stopped while it waited: its messages stay, and their failure is told of.
            if pending := [item for item in items if item.answer is None]:
                await asyncio.shield(self._keep(pending))
        return [item.answer for item in items if item.answer is not None]

    async def _keep(self, items: list[_Item]) -> None:
        """Answer ``queued``, once the messages are on disk."""
        self._mark_kept(*items)
        try:
            await self._save()
        except HomeAssistantError as err:
            # What the disk holds from before is sent all the same; what may have arrived must not be repeated.
            for item in [item for item in items if not item.stored]:
                self._finish(item, _error("unconfirmed") if item.in_doubt else err, UNCONFIRMED)
        for item in items:
            item.tell(SentMessage(item.message, "queued"))
            self._make_way(item)

    # --- lanes -----------------------------------------------------------------------

    @callback
    def _enqueue(self, item: _Item) -> None:
        """Put a message at the end of its lanes."""
        self._items[item] = self._hass.loop.call_at(item.deadline, self._time_up_waiting, item)
        for key in ordering_keys(item.message):
            self._lanes.setdefault(key, {})[item] = None
        if item.on_disk:
            self._count(1)
        self._start_if_first(item)

    @callback
    def _start_if_first(self, item: _Item) -> None:
        """Let a message go, once it is the first of its lanes."""
        if self._stopped or item.task is not None:
            return
        if not all(next(iter(self._lanes[key])) is item for key in ordering_keys(item.message)):
            return
        if item.at_once or len(self._deliveries) < _ACTIVE:
            self._start(item)
        else:
            self._ready.add(item, item.caller)

    @callback
    def _start(self, item: _Item) -> None:
        """Make a message active."""
        self._ready.discard(item, item.caller)
        item.task = self._spawn(self._deliver(item), "netsapiens message")
        self._deliveries.add(item.task)
        item.task.add_done_callback(self._delivered)

    @callback
    def _delivered(self, delivery: asyncio.Task[None]) -> None:
        """Let the next messages become active."""
        self._deliveries.discard(delivery)
        while self._ready and len(self._deliveries) < _ACTIVE and not self._stopped:
            self._start(self._ready.pop())

    @callback
    def _make_way(self, item: _Item) -> None:
        """Let a message whose caller has its answer wait with the backlog, where too many are active."""
        item.at_once = False
        idle = item.task is not None and not item.in_doubt and item not in self._in_flight.values()
        if idle and item in self._items and len(self._deliveries) > _ACTIVE:
            self._withdraw(item)

    @callback
    def _withdraw(self, item: _Item) -> None:
        """Let a message begin anew that is active, and has no request under way."""
        if item.task is not None:
            item.task.cancel()
            item.task = None
        self._start_if_first(item)

    def _spawn[ResultT](self, work: Coroutine[Any, Any, ResultT], name: str) -> asyncio.Task[ResultT]:
        """Start a task that is no background task of Home Assistant's, which cancels those before its stop event."""
        task = create_eager_task(work, name=name, loop=self._hass.loop)
        self._running.add(task)  # the loop itself does not hold it
        task.add_done_callback(self._running.discard)
        return task

    @callback
    def _time_up_waiting(self, item: _Item) -> None:
        """Give up a message that never came to its turn."""
        if item.task is None and not item.in_doubt:
            self._give_up(item)

    @callback
    def _leave(self, item: _Item) -> None:
        """Take a message out of its lanes, and let the next one go."""
        self._items.pop(item).cancel()
        self._unsure.pop(item, None)
        self._ready.discard(item, item.caller)
        for key in ordering_keys(item.message):
            lane = self._lanes[key]
            del lane[item]
            if not lane:
                del self._lanes[key]
            else:
                self._start_if_first(next(iter(lane)))

    # --- one message -----------------------------------------------------------------

    async def _deliver(self, item: _Item) -> None:
        """Bring a message to its end, also where something breaks that nobody foresaw: the next one must go."""
        try:
            await self._try_until_its_end(item)
        except (Exception, asyncio.CancelledError) as err:
            ours = self._stopped or item.task is not asyncio.current_task()
            if isinstance(err, asyncio.CancelledError) and ours:
                raise  # the queue stops, or the message begins anew
            log_unexpected(_LOGGER, "sending a text", err)
            if item.in_doubt:
                self._finish(item, _error("unconfirmed"), UNCONFIRMED)
            else:
                self._finish(item, _error("unexpected"), UNEXPECTED)

    async def _try_until_its_end(self, item: _Item) -> None:
        """Try to send a message until it is clear what became of it."""
        while item in self._items and not self._stopped:
            api = self._coordinator.api
            if item.in_doubt and item.trace is not None and not await self._clear_up(item, item.trace):
                continue
            if self._is_late(item):
                self._give_up(item)
                return
            try:
                async with asyncio.timeout_at(item.deadline) as limit:
                    await self._prepare(item)
                    if not self._is_late(item):  # by the PBX's clock as well
                        await self._throttle.run(lambda: self._try(item, limit), item.caller, fresh=item.is_fresh)
            except _NotOnDiskError:
                continue  # once there is room
            except TimeoutError:
                if not limit.expired():
                    raise
            except NetsapiensError as err:
                if api is self._coordinator.api:  # else it says nothing of the login that is used now
                    self._coordinator.note_failure(err)
                await self._after_failure(item, err)

    def _is_late(self, item: _Item) -> bool:
        """Whether a message's time is up."""
        return self._hass.loop.time() >= item.deadline

    async def _prepare(self, item: _Item) -> None:
        """Sign in if need be, so that the PBX's clock is known; count what may be taken for the message later."""
        if item.needs_disk:
            await self._writable.wait()  # not as one of those that wait for the PBX
        api = self._coordinator.api
        await self._coordinator.async_ensure_token(item.caller, fresh=item.is_fresh)
        if not api.clock.is_settled:
            await self._throttle.run(self._api.settle_clock, item.caller, fresh=item.is_fresh)
        self._correct_deadlines()
        if item.trace is None and not self._is_late(item):
            trace, certain = self._history.trace(item.message, api.now())
            if not certain:
                item.trace = await self._reconciler.baseline(item.message, trace.since, item.caller)

    def _pbx_now(self) -> float | None:
        """Return the time by the PBX's clock, seconds since 1970; None where it is not known for sure."""
        api = self._coordinator.api
        return api.now().timestamp() if api.clock.is_settled else None

    @callback
    def _correct_deadlines(self) -> None:
        """Once the PBX's clock is known: have from it how much time the texts have left that were kept."""
        if not self._unsure or (pbx := self._pbx_now()) is None:
            return
        unsure, self._unsure = self._unsure, {}
        now, wall = self._hass.loop.time(), time.time()
        for item, deadline in unsure.items():
            left, item.reprieved = time_left(deadline, wall, pbx)
            item.deadline = min(now + left, self._loaded_at + deadline.left)
            self._items[item].cancel()
            self._items[item] = self._hass.loop.call_at(item.deadline, self._time_up_waiting, item)

    async def _try(self, item: _Item, limit: asyncio.Timeout) -> None:
        """Send a message once; how that ends is noted even if nobody waits for it any more."""
        if item.trace is None:
            item.trace = self._history.trace(item.message, self._coordinator.api.now())[0]
        if item.on_disk and not item.noted:
            await self._note_try(item)
        if item not in self._items or self._stopped or self._is_late(item):
            return  # its time was up while it waited for its turn
        limit.reschedule(None)  # from here on it has to come to its end
        request = self._spawn(self._send(item, item.trace), "netsapiens request")
        self._in_flight[request] = item
        request.add_done_callback(self._in_flight.pop)
        if (err := await asyncio.shield(request)) is not None:
            raise err

    async def _note_try(self, item: _Item) -> None:
        """Note on disk that a message may be out from now on: a kill in between must not send it twice.

        One that the disk does not hold, and whose caller still waits, may go without.

        Raises:
            _NotOnDiskError: the disk is full, for instance.
        """
        if await self._save_quietly():
            item.noted = True
        elif item.needs_disk:
            if not item.failed_at:
                item.trace = None  # it was not sent: the next attempt is a first one
            raise _NotOnDiskError

    async def _send(self, item: _Item, trace: Baseline) -> Exception | None:
        """Make the request, and note how it ended."""
        message, media = item.message, item.message.media
        item.in_doubt = True  # until there is a clear answer, also where the request is cut off or breaks
        try:
            answer = await self._api.send_message(
                message.message_type,
                message.text,
                message.destination[0] if len(message.destination) == 1 else message.destination,
                message.from_number,
                message.messagesession,
                data=media.data if media else None,
                mime_type=media.mime_type if media else None,
                size=media.size if media else None,
                user=message.owner,
            )
            self._accepted(item, trace, as_text(answer.get("id")) or None)
        except NetsapiensError as err:
            self._not_accepted(item, err)
            return err
        except Exception as err:  # noqa: BLE001 - whoever waits for the request ends the message
            return err
        return None

    @callback
    def _not_accepted(self, item: _Item, err: NetsapiensError) -> None:
        """Note whether the message may be out all the same."""
        item.in_doubt = err.maybe_done
        if err.maybe_done:
            item.failed_at = self._hass.loop.time()
        elif _is_refusal(err):
            self._finish(item, translated(err, HomeAssistantError), REFUSED)
        elif not item.failed_at:
            # It surely is not, and never was: the next try is a first one.
            item.trace = None
            if item.noted:
                item.noted = False
                self._tidy()

    async def _after_failure(self, item: _Item, err: NetsapiensError) -> None:
        """Decide what a failed try means for the message."""
        if item not in self._items:
            return  # refused
        if item.keep and not item.on_disk:
            self._mark_kept(item)
            await self._save_quietly()
        if item.in_doubt:
            return  # it is looked up next
        if not item.keep:
            self._finish(item, translated(err, HomeAssistantError))
        elif not self._throttle.is_away:
            await self._pause(item)

    async def _pause(self, item: _Item) -> None:
        """Wait before the next try, longer each time."""
        item.failures += 1
        wait = Backoff(_FIRST_WAIT, _LONGEST_WAIT).wait(item.failures)
        await asyncio.sleep(min(wait, item.deadline - self._hass.loop.time()))

    async def _clear_up(self, item: _Item, trace: Baseline) -> bool:
        """Look whether a message in doubt arrived; return whether it may be tried again."""
        arrived = await self._look(item, trace)
        if item not in self._items:
            return False
        if arrived:
            self._accepted(item, trace, None)
            return False
        if arrived is None:
            if self._is_late(item) or not item.keep:
                self._finish(item, _error("unconfirmed"), UNCONFIRMED)
            else:
                await self._pause(item)
            return False
        item.in_doubt = False
        item.failures = 0
        if not item.keep:
            self._finish(item, _error("not_taken"))
        return item.keep

    async def _look(self, item: _Item, trace: Baseline) -> bool | None:
        """Look for a message that may have arrived, for as long as the PBX's lists may lag.

        Returns:
            True where it is there, False where it surely is not, None where the PBX did not say.
        """
        clock = self._hass.loop.time
        for after in _LOOKS:
            due = item.failed_at + after
            last = after == _LOOKS[-1]
            if not last and clock() > due + 1:
                continue  # long past: only the last look still tells something new
            await asyncio.sleep(due - clock())
            try:
                async with asyncio.timeout_at(max(item.deadline, due) + _ANSWER_WITHIN):
                    found = await self._reconciler.count(item.message, trace, item.caller)
            except TimeoutError:
                return None
            except NetsapiensError as err:
                self._coordinator.note_failure(err)
                if last:
                    return None
                continue
            self._coordinator.note_success()
            if found > trace.known:
                return True
        return False

    # --- ends ------------------------------------------------------------------------

    @callback
    def _accepted(self, item: _Item, trace: Baseline, message_id: str | None) -> None:
        """Note that the PBX has the message."""
        call_safely(partial(self._history.note, item.message, trace, accepted=True))
        if self._report_sent is None:
            self._unreported_sent.append(item.message)
        else:
            call_safely(self._report_sent, item.message)
        if item not in self._items:
            return
        self._coordinator.note_success()
        self._end(item, SentMessage(item.message, "sent", message_id))

    @callback
    def _give_up(self, item: _Item) -> None:
        """Note that a message's time is up."""
        self._finish(item, _error("expired"), EXPIRED)

    @callback
    def _finish(self, item: _Item, err: HomeAssistantError, reason: str = EXPIRED) -> None:
        """Note that a message did not get out, or not surely; tell of it where its caller has gone."""
        if item not in self._items:
            return
        if reason == UNCONFIRMED and item.trace is not None:
            call_safely(partial(self._history.note, item.message, item.trace, accepted=False))
        told = item.answer is not None
        on_disk = item.on_disk
        self._end(item, err)
        if told and on_disk:
            failed = FailedMessage(item.message, reason, str(err), dt_util.utcnow())
            self._tell(item, failed)

    @callback
    def _tell(self, item: _Item, failed: FailedMessage) -> None:
        """Report a failure; until somebody listens it stays on disk."""
        if self._report is None:
            self._unreported.append((item, failed))
            return
        call_safely(self._report, failed)
        self._tidy()

    @callback
    def _end(self, item: _Item, result: SentMessage | HomeAssistantError) -> None:
        """Take a message out of the queue."""
        self._leave(item)
        item.tell(result)
        if item.on_disk:
            self._count(-1)
            self._tidy()

    # --- disk ------------------------------------------------------------------------

    @callback
    def _mark_kept(self, *items: _Item) -> None:
        """Count messages among the waiting ones."""
        new = [item for item in items if not item.on_disk and item in self._items]
        for item in new:
            item.on_disk = True
        if new:
            self._count(len(new))

    @callback
    def _count(self, change: int) -> None:
        """Keep the number of waiting messages, and tell of it."""
        self._queued += change
        for listener in list(self._listeners):
            call_safely(listener)

    @callback
    def _tidy(self) -> None:
        """Take what is done off the disk, soon."""
        if self._tidy_timer is None and not self._stopped:
            self._tidy_timer = self._hass.loop.call_later(_TIDY_DELAY, self._tidy_now)

    @callback
    def _tidy_now(self) -> None:
        """Take what is done off the disk."""
        self._tidy_timer = None
        self._spawn(self._save_quietly(), "netsapiens outbox")

    async def _save_quietly(self) -> bool:
        """Save where nobody is there to be told of a failure, which is logged; return whether it was saved."""
        try:
            await self._save()
        except HomeAssistantError:
            return False
        return True

    async def _save(self) -> None:
        """Have all that waits on disk when this returns; those who ask meanwhile share one write.

        Raises:
            HomeAssistantError: it could not be written.
        """
        self._changes += 1
        # Shielded: a write that nobody waits for any more must still come before the next one.
        await asyncio.shield(self._spawn(self._write(self._changes), "netsapiens outbox"))

    async def _write(self, change: int) -> None:
        """Write, unless somebody else has written this change as well."""
        async with self._write_lock:
            if self._written >= change:
                return
            upto = self._changes
            kept = [item for item in self._items if item.on_disk]
            kept += [item for item, _ in self._unreported]
            now, wall, pbx = self._hass.loop.time(), time.time(), self._pbx_now()
            try:
                await self._store.async_save([_kept(item, now, wall, pbx) for item in kept])
            except HomeAssistantError as err:
                self._not_written(err)
                raise
            except Exception as err:  # noqa: BLE001
                log_unexpected(_LOGGER, "keeping texts on disk", err)
                failure = _error("not_kept")
                self._not_written(failure)
                raise failure from None
            self._written = upto
            self._write_failures = 0
            self._writable.set()
            for item in kept:
                item.stored = True

    @callback
    def _not_written(self, err: HomeAssistantError) -> None:
        """Try again after a while, longer each time; log only the first failure of several in a row."""
        if not self._write_failures:
            _LOGGER.error("%s", err)
        self._write_failures += 1
        self._writable.clear()
        if self._tidy_timer is None and not self._stopped:
            wait = _TIDY_DELAY + Backoff(_FIRST_WAIT, _LONGEST_WAIT).wait(self._write_failures)
            self._tidy_timer = self._hass.loop.call_later(wait, self._tidy_now)

    def _item_of(self, kept: KeptMessage) -> _Item:
        """Return a message that was kept. One that was tried may have arrived."""
        now = self._hass.loop.time()
        tried = kept.trace is not None
        pbx = self._pbx_now()
        left, reprieved = time_left(kept.deadline, time.time(), pbx)
        item = _Item(
            kept.message,
            now + min(left, _LONGEST_KEEP),
            keep=True,
            answer=SentMessage(kept.message, "queued"),
            on_disk=True,
            trace=kept.trace,
            stored=True,
            noted=tried,
            in_doubt=tried,
            failed_at=now if tried else 0.0,
            until_pbx=kept.deadline.until_pbx,
            reprieved=reprieved,
        )
        if pbx is None and item.until_pbx is not None:
            self._unsure[item] = kept.deadline
        return item

    # --- the end ---------------------------------------------------------------------

    async def async_stop(self) -> None:
        """Give the requests under way a while to end, and keep what has not come to its end. Return once it is done."""
        if self._stopping is None:
            self._stopping = self._spawn(self._stop(), "netsapiens stop")
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        """End."""
        self._stopped = True
        if self._forget_stop is not None:
            self._forget_stop()
        if self._tidy_timer is not None:
            self._tidy_timer.cancel()
        for timer in self._items.values():
            timer.cancel()
        self._mark_kept(*(item for item in self._items if item.keep))
        await self._save_quietly()  # first of all: whoever stops this process may not wait any longer
        await self._end_tasks()
        for item in [item for item in self._items if not item.keep]:
            reason = UNCONFIRMED if item.in_doubt else EXPIRED
            self._finish(item, _error("unconfirmed" if item.in_doubt else "stopped"), reason)
        await self._keep([item for item in self._items if item.answer is None])
        await self._save_quietly()

    async def _end_tasks(self) -> None:
        """Let nothing new begin, and give the requests under way a while. What is cut off then stays in doubt."""
        tasks: list[asyncio.Task[Any]] = [*self._deliveries]
        for task in tasks:
            task.cancel()
        if self._in_flight:
            _, late = await asyncio.wait(self._in_flight, timeout=self.stop_within)
            for request in late:
                request.cancel()
            tasks += late
        if tasks:
            await asyncio.wait(tasks)


def _kept(item: _Item, now: float, wall: float, pbx: float | None) -> KeptMessage:
    """Return a message as it is kept.

    Parameters:
        item: the message.
        now: the loop's clock.
        wall: the time of day, which outlives a restart, seconds since 1970.
        pbx: the same by the PBX's clock, where it is known.
    """
    left = item.deadline - now
    if pbx is not None:
        item.until_pbx = pbx + left
    return KeptMessage(item.message, Deadline(wall + left, left, item.until_pbx, item.reprieved), item.trace)


def _is_refusal(err: NetsapiensError) -> bool:
    """Whether the PBX refused this very message. A 401 is about the login, and passes."""
    return isinstance(err, NetsapiensRequestError) and err.status != 401  # noqa: PLR2004


def _error(key: str) -> HomeAssistantError:
    """Return a translated error."""
    return HomeAssistantError(translation_domain=DOMAIN, translation_key=key)
