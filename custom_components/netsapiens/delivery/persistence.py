"""When the rows of messages are written, and what is done is taken off the disk."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import batched
import logging
import time

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.async_ import create_eager_task
from homeassistant.util.file import WriteError

from ..errors import log_unexpected
from .deadline import Deadline
from .entry import QueueEntry
from .outcomes import Outcomes
from .results import error
from .rows import KeptMessage, row_of
from .spool import Spool
from .state import Event
from .timing import QueueTiming

_LOGGER = logging.getLogger(__name__)

BATCH = 200  # messages that are worked on before others may run


class Persistence:
    """Keeps the messages of the queue in the spool.

    Those who ask while a write is under way share the next one.

    Parameters:
        spool: their files.
        outcomes: is given what became of each write.
        timing: how long to wait before what is done is deleted, and between attempts to write.
        pbx_now: the time by the PBX's clock, seconds since 1970; None where it is not known for sure.

    Attributes:
        writable: whether the disk took the last write.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        spool: Spool,
        outcomes: Outcomes,
        timing: QueueTiming,
        pbx_now: Callable[[], float | None],
    ) -> None:
        self._hass = hass
        self._spool = spool
        self._outcomes = outcomes
        self._timing = timing
        self._pbx_now = pbx_now
        self._pending: dict[QueueEntry, bool] = {}  # whether the row is written even if the disk has the same
        self._written: asyncio.Future[None] | None = None  # done when what is pending has been written, or failed
        self._writer: asyncio.Task[None] | None = None
        self._refused: dict[QueueEntry, None] = {}  # what the disk did not take
        self._failures = 0  # in a row
        self.writable = asyncio.Event()
        self.writable.set()
        self._done: list[str] = []
        self._outdated: dict[QueueEntry, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tidying: set[asyncio.Task[None]] = set()
        self._is_stopped = self._is_abandoned = False

    # --- writing ---------------------------------------------------------------------

    async def async_persist(self, entries: Iterable[QueueEntry], *, rewrite: bool = False) -> None:
        """Write the rows of messages that the disk does not hold as they are. What came of it is in their states.

        Parameters:
            entries: which.
            rewrite: write also those whose baseline the disk has.
        """
        for batch in batched(() if self._is_abandoned else entries, BATCH, strict=False):
            for entry in batch:
                self._pending[entry] = self._pending.get(entry, False) or rewrite
            if self._written is None:
                self._written = self._hass.loop.create_future()
            written = self._written
            if self._writer is None or self._writer.done():
                self._writer = create_eager_task(self._write_pending(), name="netsapiens spool", loop=self._hass.loop)
            await asyncio.shield(written)

    async def _write_pending(self) -> None:
        """Write until nothing is pending."""
        while self._pending and self._written is not None:
            pending, self._pending = self._pending, {}
            written, self._written = self._written, None
            try:
                await self._write(pending)
            finally:
                written.set_result(None)

    async def _write(self, pending: dict[QueueEntry, bool]) -> None:
        """Write a batch: all that is new together, and each changed row."""
        new: list[QueueEntry] = []
        changed: list[QueueEntry] = []
        for entry, rewrite in pending.items():
            if entry.is_unsaved:
                new.append(entry)
            elif entry.spool_id is not None and (rewrite or self._is_changed(entry)):
                changed.append(entry)
        writes: list[Awaitable[None]] = [self._update(entry) for entry in changed]
        if new:
            writes.append(self._add(new))
        await asyncio.gather(*writes)

    def _is_changed(self, entry: QueueEntry) -> bool:
        """Whether the disk holds another baseline than a message that still waits."""
        return not entry.delivery.is_done and entry.delivery.stored_baseline != entry.delivery.baseline

    async def _add(self, entries: Sequence[QueueEntry]) -> None:
        """Write new messages with their media."""
        baselines = [entry.delivery.baseline for entry in entries]
        self._apply(entries, Event.PERSISTING)
        try:
            rows = [
                (self._row_of(entry), media.content if (media := entry.message.media) else None) for entry in entries
            ]
            ids = await self._spool.async_add(rows)
        except Exception as err:  # noqa: BLE001 - whatever it is, they are not on disk
            self._apply(entries, Event.PERSIST_FAILED)
            self._not_written(err)
            return
        for entry, spool_id, baseline in zip(entries, ids, baselines, strict=True):
            entry.spool_id = spool_id
            self._outcomes.apply(entry, Event.PERSISTED, baseline=baseline)
            entry.release_media()
            if entry.delivery.is_done:  # meanwhile
                self.discard(entry)
        self._was_written()

    async def _update(self, entry: QueueEntry) -> None:
        """Write the row of one message anew."""
        baseline, spool_id = entry.delivery.baseline, entry.spool_id or ""
        self._apply([entry], Event.PERSISTING)
        try:
            await self._spool.async_update(spool_id, self._row_of(entry))
        except Exception as err:  # noqa: BLE001 - the disk holds what it held before
            self._apply([entry], Event.PERSIST_FAILED)
            if isinstance(err.__cause__, FileNotFoundError):
                log_unexpected(_LOGGER, "keeping a text on disk: somebody deleted its file", err.__cause__)
                self._apply([entry], Event.UNEXPECTED)
            else:
                self._refused[entry] = None
                self._not_written(err)
            return
        self._outcomes.apply(entry, Event.PERSISTED, baseline=baseline)
        self._was_written()

    @callback
    def _apply(self, entries: Iterable[QueueEntry], event: Event) -> None:
        """Let the same happen to several messages."""
        for entry in entries:
            self._outcomes.apply(entry, event)

    def _row_of(self, entry: QueueEntry) -> dict[str, object]:
        """Return a message's row, as it is now."""
        left = entry.deadline - self._hass.loop.time()
        if (pbx := self._pbx_now()) is not None:
            entry.until_pbx = pbx + left
        deadline = Deadline(time.time() + left, left, entry.until_pbx, entry.reprieved)
        return row_of(KeptMessage(entry.message, entry.number, deadline, entry.delivery.baseline, entry.refusal))

    # --- a disk that takes nothing ---------------------------------------------------

    @callback
    def _was_written(self) -> None:
        """Let those go on that wait for the disk."""
        self._failures = 0
        self._refused.clear()
        self.writable.set()

    @callback
    def _not_written(self, err: Exception) -> None:
        """Try again after a while, longer each time; log only the first failure of several in a row."""
        cause = err.__cause__ if isinstance(err, HomeAssistantError) else err
        if not self._failures and isinstance(cause, (OSError, WriteError)):
            _LOGGER.error("%s", error("not_kept"))
        elif not self._failures and cause is not None:
            log_unexpected(_LOGGER, "keeping texts on disk", cause)
        self.writable.clear()
        self._tidy_in(self._timing.tidy_delay + self._timing.retry.wait(self._failures))
        self._failures += 1

    async def _probe(self) -> None:
        """See with one message that waits for it whether the disk takes something again."""
        waiting = next((entry for entry in self._refused if entry.is_waiting), None)
        if waiting is None:
            self.writable.set()
        else:
            await self.async_persist([waiting], rewrite=True)

    # --- what is done ----------------------------------------------------------------

    @callback
    def discard(self, entry: QueueEntry) -> None:
        """Take a message off the disk that has ended, if it is there; soon."""
        if entry.spool_id is not None:
            self._done.append(entry.spool_id)
            self._tidy_in(self._timing.tidy_delay)

    @callback
    def refresh(self, entry: QueueEntry) -> None:
        """Write down soon that a message is surely not accepted, where the disk says that it may be."""
        if entry.spool_id is not None and self._is_changed(entry):
            self._outdated[entry] = None
            self._tidy_in(self._timing.tidy_delay)

    @callback
    def _tidy_in(self, seconds: float) -> None:
        """Tidy after a while, unless that is planned."""
        if self._timer is None and not self._is_stopped:
            self._timer = self._hass.loop.call_later(seconds, self.tidy_now)

    @callback
    def tidy_now(self) -> None:
        """Tidy at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tidying = create_eager_task(self._tidy(), name="netsapiens spool tidy", loop=self._hass.loop)
        if not tidying.done():
            self._tidying.add(tidying)
            tidying.add_done_callback(self._tidying.discard)

    async def _tidy(self) -> None:
        """Delete what is done, and write what is outdated; where the disk took nothing, see whether it does."""
        await self._delete_done()
        outdated, self._outdated = self._outdated, {}
        await self.async_persist(entry for entry in outdated if self._is_changed(entry))
        if not self.writable.is_set():
            await self._probe()

    async def _delete_done(self) -> None:
        """Delete the files of what is done; where that fails, they stay for another time."""
        done, self._done = self._done, []
        if not done:
            return
        try:
            await self._spool.async_discard(done)
        except HomeAssistantError as err:
            self._done += done
            self._not_written(err)

    # --- the end ---------------------------------------------------------------------

    @callback
    def stop(self) -> None:
        """Plan nothing any more. What is asked for is still written."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @callback
    def abandon(self) -> None:
        """Write nothing any more."""
        self._is_abandoned = True
        self.stop()

    async def async_finish(self) -> None:
        """Delete what is done; return once nothing is under way any more."""
        if self._tidying:
            await asyncio.wait(self._tidying)
        await self._delete_done()
        if self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])
