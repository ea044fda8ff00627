"""The messages that have not ended: their order, their time, the disk, and who delivers them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
from homeassistant.util.async_ import create_eager_task

from ..outgoing import OutgoingMessage
from ..pbx.coordinator import NetsapiensCoordinator
from .delivery import Deliverer
from .entry import Call, QueueEntry
from .expiry import Expiry
from .held_reports import HeldReports
from .outcomes import Outcomes
from .persistence import BATCH, Persistence
from .reconcile import RecentSends
from .results import SentMessage, WaitingMessage, error
from .scheduler import Scheduler
from .spool import Spool
from .state import Event, State
from .timing import QueueTiming


class Backlog:
    """The messages of an account that have not ended.

    Parameters:
        coordinator: the account.
        spool: where they are kept.
        history: the account's messages that ended lately.
        timing: how long to wait.

    Attributes:
        outcomes: what becomes of them, with their counts.
        reports: who hears of it.
        expiry: their deadlines.
        persistence: their rows on disk.
        deliverer: what sends them.
    """

    def __init__(
        self, coordinator: NetsapiensCoordinator, spool: Spool, history: RecentSends, timing: QueueTiming
    ) -> None:
        hass: HomeAssistant = coordinator.hass
        self._loop = hass.loop
        self._timing = timing
        self.reports = HeldReports(self._discard, timing.report_after)
        self.outcomes = Outcomes(history, self.reports, self._leave, self._discard)
        self.expiry = Expiry(hass.loop, self._expire)
        self.persistence = Persistence(hass, spool, self.outcomes, timing, self._pbx_now)
        self.deliverer = Deliverer(
            hass,
            history=history,
            spool=spool,
            persistence=self.persistence,
            outcomes=self.outcomes,
            reports=self.reports,
            expiry=self.expiry,
            timing=timing,
        )
        self.deliverer.use(coordinator)
        self._scheduler = Scheduler(self._deliver, timing.active)
        self._entries: dict[QueueEntry, None] = {}  # in the order in which they came
        self._running: set[asyncio.Task[Any]] = set()
        self._coming: set[Call] = set()  # whose messages are not all here yet
        self.is_stopped = False

    def __iter__(self) -> Iterator[QueueEntry]:
        """Yield the messages in the order in which they came."""
        return iter(self._entries)

    @property
    def first_deadline(self) -> datetime | None:
        """When the first of the messages that wait is given up; None where none waits."""
        deadlines = [entry.deadline for entry in self._entries if entry.is_waiting]
        return self._time_of(min(deadlines)) if deadlines else None

    def waiting(self, predicate: Callable[[OutgoingMessage], bool]) -> list[WaitingMessage]:
        """Return those of the messages that wait for which a check holds, in the order in which they came."""
        found = []
        for entry in self._entries:
            if entry.is_waiting and predicate(entry.message):
                baseline = entry.delivery.baseline if entry.delivery.may_be_accepted else None
                since = baseline.since if baseline else None
                found.append(WaitingMessage(entry.number, entry.message, self._time_of(entry.deadline), since))
        return found

    def _time_of(self, deadline: float) -> datetime:
        """Return the time that the loop's clock will show."""
        return dt_util.utcnow() + timedelta(seconds=deadline - self._loop.time())

    @callback
    def add(self, entry: QueueEntry) -> None:
        """Put a message at the end."""
        self._entries[entry] = None
        self.outcomes.count(entry)
        if entry.delivery.is_done:  # when it was read from disk
            self.outcomes.end(entry)
        elif entry.call is not None and (refusal := entry.call.refusal_of(entry.message)) is not None:
            self._refuse(entry, refusal)
        elif not self.is_stopped:
            self._scheduler.add(entry)
            if not entry.delivery.is_done:
                self.expiry.add(entry)  # while its request is under way

    @contextmanager
    def coming(self, call: Call) -> Iterator[None]:
        """Let what is refused meanwhile count for those messages of a call that are still to come."""
        self._coming.add(call)
        try:
            yield
        finally:
            self._coming.remove(call)

    @callback
    def restart(self) -> None:
        """Let all begin anew that are active and have no request under way: the login is another one."""
        for entry in list(self._entries):
            if entry.task is not None and entry.delivery.state is not State.ATTEMPTING:
                self._scheduler.restart(entry)

    def spawn[ResultT](self, work: Coroutine[Any, Any, ResultT], name: str) -> asyncio.Task[ResultT]:
        """Start a task that is no background task of Home Assistant's, which cancels those before its stop event."""
        task = create_eager_task(work, name=name, loop=self._loop)
        if not task.done():
            self._running.add(task)  # the loop itself does not hold it
            task.add_done_callback(self._running.discard)
        return task

    # --- promises --------------------------------------------------------------------

    async def async_keep(self, entries: Sequence[QueueEntry]) -> None:
        """Answer what has not ended: ``queued``, once it is on disk."""
        await self._async_save(entries)
        for number, entry in enumerate(entries):
            if entry.answer is None:
                self._promise(entry)
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)

    @callback
    def _promise(self, entry: QueueEntry) -> None:
        """Answer ``queued`` where the disk holds a message, else why not."""
        if entry.delivery.stored:
            self.outcomes.apply(entry, Event.PROMISED)
            entry.answer_with(SentMessage(entry.message, "queued"))
            self._scheduler.release(entry)
            return
        key = "unconfirmed" if entry.delivery.may_be_accepted else "not_kept" if entry.delivery.keep else "stopped"
        self.outcomes.apply(entry, Event.GIVEN_UP, err=error(key))

    async def _async_save(self, entries: Iterable[QueueEntry]) -> None:
        """Have on disk what may have to be kept."""
        await self.persistence.async_persist([entry for entry in entries if entry.is_unsaved])

    @callback
    def refuse(self, predicate: Callable[[OutgoingMessage], bool], err: HomeAssistantError) -> None:
        """End messages that may not be sent any more; one that may have been accepted is looked up first."""
        for call in self._coming:
            call.refuse(predicate, err)
        refused = dict.fromkeys(entry for entry in self._entries if predicate(entry.message))
        if not refused:
            return
        for entry in refused:
            self._refuse(entry, err)
        held = [entry for entry in self.reports.held if entry in refused]
        on_disk = [entry for entry in refused if entry.spool_id is not None and not entry.delivery.is_done] + held
        # A kill from now on must not send them.
        self.persistence.tidy_now()
        self.spawn(self.persistence.async_persist(on_disk, rewrite=True), "netsapiens opt-out")

    @callback
    def _refuse(self, entry: QueueEntry, err: HomeAssistantError) -> None:
        """End a message that may not be sent any more."""
        entry.refusal = err
        self.outcomes.apply(entry, Event.OPTED_OUT)

    # --- what the parts call ---------------------------------------------------------

    @callback
    def _deliver(self, entry: QueueEntry) -> asyncio.Task[None]:
        """Begin to deliver a message; who holds the task is the scheduler."""
        return create_eager_task(self.deliverer.deliver(entry), name="netsapiens message", loop=self._loop)

    def _pbx_now(self) -> float | None:
        """Return the time by the PBX's clock, where it is known."""
        return self.deliverer.pbx_now()

    @callback
    def _expire(self, entry: QueueEntry) -> None:
        """Let a message's time be up."""
        self.outcomes.apply(entry, Event.DEADLINE)

    @callback
    def _leave(self, entry: QueueEntry) -> None:
        """Forget a message that has ended, and let the next one go."""
        self._entries.pop(entry, None)
        self.expiry.remove(entry)
        self._scheduler.remove(entry)

    @callback
    def _discard(self, entry: QueueEntry) -> None:
        """Take a message off the disk that nothing is to be reported of any more."""
        self.persistence.discard(entry)

    # --- the end ---------------------------------------------------------------------

    async def async_stop(self) -> None:
        """Give the requests under way a while to end, and keep what has not come to its end."""
        self._begin_to_stop()
        await self._async_save(self._entries)  # first of all: whoever stops this process may not wait any longer
        await self._end_deliveries()
        for entry in [entry for entry in self._entries if not entry.delivery.keep]:
            self._promise(entry)
        await self.async_keep(list(self._entries))
        self.reports.report_all_sent()  # none may still be due when this is over
        await self.persistence.async_finish()

    async def async_abandon(self) -> None:
        """End as a process does that is killed: nothing is written any more, nothing is waited for."""
        self._begin_to_stop()
        self.persistence.abandon()
        self.reports.end_wait()
        tasks = self._scheduler.active
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @callback
    def _begin_to_stop(self) -> None:
        """Let nothing new begin."""
        self.is_stopped = self.deliverer.is_stopped = True
        self._scheduler.stop()
        self.expiry.stop()
        self.persistence.stop()

    async def _end_deliveries(self) -> None:
        """Give the requests under way a while. The outcome of what is cut off then is unknown."""
        for entry in self._entries:
            if entry.delivery.state is not State.ATTEMPTING:
                entry.cancel()
        tasks = self._scheduler.active
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._timing.stop_within)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
