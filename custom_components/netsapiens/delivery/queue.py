"""The one path out: what to send -> accepted by the PBX, exactly once.

Messages of one conversation, or of the same sender and destinations, go one at a time and in order; others go side by
side. What the PBX did not clearly accept or refuse is looked up before it is sent again, and what cannot be sent now is
kept on disk until its time is up.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import batched
import logging
import time

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from ..outgoing import OutgoingMessage
from ..pbx.coordinator import NetsapiensCoordinator
from ..storage import DAMAGE
from .backlog import Backlog
from .deadline import time_left
from .entry import Call, QueueEntry, size_of
from .expected import AllExpected
from .hourly_limit import HourlyLimit
from .persistence import BATCH
from .reconcile import Baseline, RecentSends
from .results import Answer, FailedMessage, SentMessage, WaitingMessage, error, spool_full
from .rows import KeptMessage, kept_of
from .spool import Spool, SpoolContents
from .state import Delivery
from .timing import timing_of

_LOGGER = logging.getLogger(__name__)

_LONGEST_KEEP = 7 * 86400.0  # seconds

type Labels = Callable[[str | None], str | None]


def _nothing() -> None:
    """End a listener that there is not."""


class DeliveryQueue:
    """Sends an account's messages, and keeps those that cannot go now.

    Attributes:
        expected: what calls will put into it once their media is loaded, which counts for its limits.

    Parameters:
        coordinator: the account.
        spool: where the messages are kept.
        history: the account's messages that ended lately.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, spool: Spool, history: RecentSends) -> None:
        self._hass: HomeAssistant = coordinator.hass
        self._coordinator = coordinator
        self._spool = spool
        self._timing = timing_of(self._hass)
        self._backlog = Backlog(coordinator, spool, history, self._timing)
        self._limit = HourlyLimit(self._timing.clock)
        self.expected = AllExpected()
        self._next_number = 0
        self._stopping: asyncio.Task[None] | None = None
        self._forget_stop: CALLBACK_TYPE = _nothing

    # --- what the account asks -------------------------------------------------------

    @property
    def queued(self) -> int:
        """How many messages wait."""
        return self._backlog.outcomes.queued

    @property
    def first_deadline(self) -> datetime | None:
        """When the first of the messages that wait is given up; None where none waits."""
        return self._backlog.first_deadline

    def waiting(self, predicate: Callable[[OutgoingMessage], bool]) -> list[WaitingMessage]:
        """Return those of the messages that wait for which a check holds, in the order in which they came."""
        return self._backlog.waiting(predicate)

    @property
    def is_away(self) -> bool:
        """Whether the PBX was away when it was last asked."""
        return self._coordinator.throttle.is_away

    @property
    def is_stopped(self) -> bool:
        """Whether it takes no messages any more."""
        return self._backlog.is_stopped

    @property
    def taken_last_hour(self) -> int:
        """How many messages were taken within the last hour, or will be taken once their media is loaded."""
        return self._limit.taken + self.expected.messages

    @property
    def space(self) -> int:
        """How many bytes may wait."""
        return self._spool.limit

    def has_space_for(self, size: int) -> bool:
        """Whether so many bytes may wait beside what waits already, or may have to."""
        return self._spool.has_room_for(self._backlog.outcomes.unsaved + self.expected.size + size)

    @callback
    def async_listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener soon after the number of waiting messages changed; return what ends that."""
        return self._backlog.outcomes.listen(listener)

    @callback
    def async_report_failures(self, report: Callable[[FailedMessage], None]) -> None:
        """Report failures from now on, and those that came up while nobody listened."""
        self._backlog.reports.listen_failed(report)

    @callback
    def async_report_sent(self, report: Callable[[OutgoingMessage], None]) -> None:
        """Report each message that the PBX accepts from now on, or accepted while nobody listened."""
        self._backlog.reports.listen_sent(report)

    @callback
    def async_hold_reports(self) -> None:
        """Hold back what there is to report until somebody listens again."""
        self._backlog.reports.hold()

    @callback
    def async_attach(self, coordinator: NetsapiensCoordinator) -> None:
        """Go on with the coordinator that follows the former one at a reload.

        Requests under way come to their end. Where the login is another one, what waits is tried with it at once.
        """
        is_other_login = coordinator.api is not self._coordinator.api
        self._coordinator = coordinator
        self._backlog.deliverer.use(coordinator)
        if is_other_login:
            self._backlog.restart()

    @callback
    def async_refuse_waiting(self, predicate: Callable[[OutgoingMessage], bool], err: HomeAssistantError) -> None:
        """End the messages that wait for somebody who wants no texts any more.

        One that may have been accepted already is looked up first; it is never sent again.

        Parameters:
            predicate: whether a message is one of those.
            err: what callers get and events report, a translated error of this integration.
        """
        self._backlog.refuse(predicate, err)

    # --- what was kept ---------------------------------------------------------------

    async def async_load(self, label: Labels) -> list[str]:
        """Take up the messages that were kept, and see that none is lost when Home Assistant stops.

        Parameters:
            label: gives a recipient's name, which is not kept.

        Returns:
            The names under which what was damaged is set aside.
        """

        async def stop(_event: Event) -> None:
            """Keep what waits."""
            self._forget_stop = _nothing
            await self.async_stop()

        self._forget_stop = self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)
        try:
            contents = await self._spool.async_load()
        except HomeAssistantError as err:
            _LOGGER.error("The waiting texts cannot be read: %s", type(err.__cause__).__name__)  # noqa: TRY400
            self._next_number = int(time.time())  # behind them, once they can be read
            return ["*"]
        kept, damaged = await _read(self._spool, contents, label)
        entries = [self._restored(message, spool_id) for message, spool_id in kept]
        for number, entry in enumerate(entries):
            self._backlog.add(entry)
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)
        reprieved = [entry for entry in entries if entry.reprieved]
        await self._backlog.persistence.async_persist(reprieved, rewrite=True)
        return damaged

    def _restored(self, kept: KeptMessage, spool_id: str) -> QueueEntry:
        """Return a message that was kept. One that was tried may have been accepted."""
        now, pbx = self._hass.loop.time(), self._backlog.deliverer.pbx_now()
        left, reprieved = time_left(kept.deadline, time.time(), pbx)
        self._next_number = kept.number + 1
        entry = QueueEntry(
            kept.message,
            now + min(left, _LONGEST_KEEP),
            kept.number,
            Delivery.restored(kept.baseline, opted_out=kept.refusal is not None),
            answer=SentMessage(kept.message, "queued"),
            spool_id=spool_id,
            lost_at=now,
            until_pbx=kept.deadline.until_pbx,
            reprieved=reprieved,
            refusal=kept.refusal,
        )
        if pbx is None and entry.until_pbx is not None:
            self._backlog.expiry.add_unsure(entry, kept.deadline)
        return entry

    # --- sending ---------------------------------------------------------------------

    async def async_send(self, messages: Sequence[OutgoingMessage], keep_for: timedelta) -> list[Answer]:
        """Send messages. Waits up to 10 s for a clear end; where nothing is to be kept, until there is one.

        Parameters:
            messages: what to send; one or more.
            keep_for: how long to keep trying; nothing, where a message is not to be kept at all.

        Returns:
            For each message what became of it, or the translated error that says why it was not sent.

        API: POST /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
        """
        if self.is_stopped:
            return [error("stopped") for _ in messages]
        seconds = min(keep_for.total_seconds(), _LONGEST_KEEP)
        if seconds and not self.has_space_for(sum(map(size_of, messages))):
            return [spool_full(self.space) for _ in messages]
        call = Call(len(messages))
        entries: list[QueueEntry] = []
        first, *further = batched(messages, BATCH, strict=False)
        self._take(first, entries, call, seconds)
        self._limit.take(len(messages))
        taking = (
            self._backlog.spawn(self._take_further(further, entries, call, seconds), "netsapiens call")
            if further
            else None
        )
        try:
            if taking is not None:
                await asyncio.shield(taking)
            await call.wait(self._timing.answer_within if seconds else None)
        finally:
            # Also where the caller was stopped while it waited: its messages stay, and their failure is reported.
            if len(entries) < len(messages) or None in [entry.answer for entry in entries]:
                await asyncio.shield(self._backlog.spawn(self._keep(taking, entries), "netsapiens call"))
        return [entry.answer for entry in entries if entry.answer is not None]

    @callback
    def _take(self, messages: Sequence[OutgoingMessage], entries: list[QueueEntry], call: Call, seconds: float) -> None:
        """Put messages of a call into the queue."""
        deadline = self._hass.loop.time() + (seconds or self._timing.answer_within)
        for message in messages:
            at_once = len(entries) < self._timing.at_once
            delivery: Delivery[Baseline] = Delivery(keep=seconds > 0)
            entry = QueueEntry(message, deadline, self._next_number, delivery, call, at_once=at_once)
            self._next_number += 1
            entries.append(entry)
            self._backlog.add(entry)

    async def _take_further(
        self, batches: Sequence[Sequence[OutgoingMessage]], entries: list[QueueEntry], call: Call, seconds: float
    ) -> None:
        """Put the rest of a long call into the queue; others may run in between."""
        with self._backlog.coming(call):
            for messages in batches:
                await asyncio.sleep(0)
                self._take(messages, entries, call, seconds)

    async def _keep(self, taking: asyncio.Task[None] | None, entries: list[QueueEntry]) -> None:
        """Answer what has not ended."""
        if taking is not None and not taking.done():
            await asyncio.wait([taking])
        await self._backlog.async_keep(entries)

    # --- the end ---------------------------------------------------------------------

    async def async_stop(self) -> None:
        """Give the requests under way a while to end, and keep what has not come to its end. Return once it is done."""
        if self._stopping is None:
            self._forget_stop()
            self._stopping = self._backlog.spawn(self._backlog.async_stop(), "netsapiens stop")
        await asyncio.shield(self._stopping)

    async def async_abandon(self) -> None:
        """End as a process does that is killed: nothing is written any more, nothing is waited for. For tests."""
        self._forget_stop()
        await self._backlog.async_abandon()


async def _read(
    spool: Spool, contents: SpoolContents, label: Labels
) -> tuple[list[tuple[KeptMessage, str]], list[str]]:
    """Return the messages of the rows with their ids, in order, and the names of what was set aside."""
    kept: list[tuple[KeptMessage, str]] = []
    damaged = list(contents.damaged)
    for number, spooled in enumerate(contents.messages):
        try:
            kept.append((kept_of(spooled, label), spooled.id))
        except DAMAGE:
            damaged.append(await spool.async_set_aside(spooled.id))
        if number % BATCH == BATCH - 1:
            await asyncio.sleep(0)
    if len(damaged) > len(contents.damaged):
        _LOGGER.warning("%s waiting texts make no sense", len(damaged) - len(contents.damaged))
    kept.sort(key=lambda pair: pair[0].number)
    return kept, damaged
