"""Media that comes in: fetched and kept as the option says, and what is not kept when it is opened."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
import logging
from pathlib import Path
from typing import Any

from homeassistant.const import CONF_VERIFY_SSL
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.start import async_at_started
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..api import NetsapiensError
from ..const import DOMAIN, SAVE_EVERYBODY, SAVE_NOBODY
from ..errors import log_unexpected
from ..pbx.backoff import Backoff
from ..pbx.coordinator import NetsapiensCoordinator
from ..settings import read_settings
from .pictures_errors import PictureError, PictureReason
from .pictures_fetch import FetchedMedia, MediaFetcher
from .pictures_id import MediaId
from .pictures_index import FetchJob, Origin, StoredMedia
from .pictures_link import async_fresh_link
from .pictures_queue import FetchQueue
from .pictures_store import MediaStore
from .received import ReceivedMessage

_LOGGER = logging.getLogger(__name__)

_WORKERS = 2  # each holds up to 10 MiB
_OPENED_AT_ONCE = 2  # likewise
_LONGEST_NAME = 100  # characters of a sender that is no number
_OLDEST = timedelta(days=1)  # what was reported before is not tried after a restart, whatever stops it each time
_RETRY = Backoff(5.0, 900.0, jitter=0.5)


@dataclass(frozen=True, slots=True)
class PictureTiming:
    """When media is fetched.

    Attributes:
        fetch_within: how many seconds one may take to be fetched.
        open_within: the same for who opens one, with the wait for the PBX.
        retry: waits after a failure that may pass.
        attempts: how often one that is to be kept is tried: over some 45 minutes, since each reads its message again.
    """

    fetch_within: float = 30.0
    open_within: float = 45.0
    retry: Backoff = _RETRY
    attempts: int = 12


PICTURE_TIMING: HassKey[PictureTiming] = HassKey(f"{DOMAIN}_picture_timing")
"""Where another timing is kept; it holds for accounts that are set up later."""


class Pictures:
    """The media of one account.

    Parameters:
        coordinator: the account.
        report: called whenever what is kept changed.

    Attributes:
        store: what is on disk.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, report: Callable[[], None]) -> None:
        self._hass: HomeAssistant = coordinator.hass
        self._coordinator = coordinator
        self._report = report
        self._timing = self._hass.data.get(PICTURE_TIMING) or PictureTiming()
        self._fetcher = MediaFetcher(self._hass, coordinator.api.api_url, verify_ssl=coordinator.login[CONF_VERIFY_SSL])
        self._queue = FetchQueue()
        self._end_wait: CALLBACK_TYPE | None = None
        self._workers: dict[MediaId, asyncio.Task[None]] = {}
        self._opening: dict[MediaId, asyncio.Task[StoredMedia]] = {}
        self._open_slots = asyncio.Semaphore(_OPENED_AT_ONCE)
        self._writing: set[asyncio.Task[Any]] = set()
        self._later: dict[FetchJob, asyncio.TimerHandle] = {}  # to be tried again
        self._logged: set[PictureReason] = set()
        self.store = MediaStore(self._hass, coordinator.config_entry.entry_id)

    # --- what comes in ------------------------------------------------------------------

    async def async_start(self) -> None:
        """Read what is kept; once automations listen, fetch what still waited at the last stop."""
        await self.store.async_load()
        self._end_wait = async_at_started(self._hass, self._fetch_waiting)

    @callback
    def _fetch_waiting(self, _hass: HomeAssistant) -> None:
        """Fetch what still waited when Home Assistant stopped, or the account was reloaded."""
        for job in self.store.waiting:
            is_fresh = job.origin.reported_at > dt_util.utcnow() - _OLDEST
            if is_fresh and self._is_wanted(job.origin.recipient_ids) and self.store.find(job.media_id) is None:
                self._queue.add(job)
        self._work()

    @callback
    def take(self, received: ReceivedMessage, recipient_ids: tuple[str, ...]) -> None:
        """Fetch what came with a message in the background, if it is to be kept.

        Parameters:
            received: the message, which was reported.
            recipient_ids: the recipients whose number it is from.
        """
        if received.media is None or not self._is_wanted(recipient_ids):
            return
        origin = Origin(received.from_number[:_LONGEST_NAME], recipient_ids, dt_util.utcnow())
        self._queue.add(FetchJob(received.media, origin))
        self._work()

    def _is_wanted(self, recipient_ids: tuple[str, ...]) -> bool:
        """Whether what these recipients send is to be kept, or a stranger where there are none."""
        option = read_settings(self._coordinator.config_entry).save_pictures
        return option != SAVE_NOBODY and (bool(recipient_ids) or option == SAVE_EVERYBODY)

    async def async_save(self) -> None:
        """Have on disk what waits to be fetched, so that a restart does not lose it."""
        await self.store.async_save_waiting([*self._queue.jobs, *self._later])

    def _work(self) -> None:
        """Start workers for what waits."""
        while len(self._workers) < _WORKERS and (job := self._queue.next()) is not None:
            task = self._spawn(self._process(job), "fetch media")
            self._workers[job.media_id] = task
            task.add_done_callback(partial(self._done, job))

    def _done(self, job: FetchJob, task: asyncio.Task[None]) -> None:
        """Go on with what waits."""
        self._workers.pop(job.media_id, None)
        self._queue.done(job)
        if not task.cancelled():
            self._work()

    async def _process(self, job: FetchJob) -> None:
        """Fetch media, and note on disk that it does not wait any more, or how often it failed."""
        await self._fetch_and_keep(job)
        self._queue.done(job)
        await self._finish(self.async_save())

    async def _fetch_and_keep(self, job: FetchJob) -> None:
        """Fetch media and keep it; try again later where that may help."""
        try:
            if (opening := self._opening.get(job.media_id)) is not None:
                await asyncio.wait([opening])
            if not await self.store.async_keep(job.media_id, job.origin):
                await self._write(job.media_id, await self._fetch(job.media_id), job.origin)
        except (PictureError, NetsapiensError) as err:
            self._failed(job, err)
        except Exception as err:  # noqa: BLE001
            log_unexpected(_LOGGER, "fetching media", err)
        else:
            self._logged.clear()
            self._report()

    def _failed(self, job: FetchJob, err: PictureError | NetsapiensError) -> None:
        """Try again later, or log once why media is not kept. Opened by its id, it is fetched anew."""
        if isinstance(err, NetsapiensError):
            self._coordinator.note_failure(err)
            err = PictureError(PictureReason.UNAVAILABLE)
        if err.may_pass and job.failures + 1 < self._timing.attempts:
            wait = self._timing.retry.wait(job.failures)
            again = job.failed()
            self._later[again] = self._hass.loop.call_later(wait, self._try_again, again)
            return
        level = logging.DEBUG if err.reason in self._logged else logging.WARNING
        self._logged.add(err.reason)
        _LOGGER.log(level, "What came with a text is not kept: %s", err)

    def _try_again(self, job: FetchJob) -> None:
        """Queue media once more."""
        del self._later[job]
        self._queue.add(job)
        self._work()

    # --- what is opened -----------------------------------------------------------------

    async def async_open(self, media_id: MediaId) -> tuple[StoredMedia, Path]:
        """Return media and its file; what is not on disk is fetched.

        Raises:
            PictureError: it cannot be had.
        """
        if (worker := self._workers.get(media_id)) is not None:
            await asyncio.wait([worker], timeout=self._timing.open_within)
        stored = self.store.find(media_id)
        if stored is not None:
            path = self.store.path_of(stored)
            if await self._hass.async_add_executor_job(path.is_file):
                return stored, path
            self.store.forget(stored)
        task = self._opening.get(media_id)
        if task is None:
            task = self._opening[media_id] = self._spawn(self._fetch_to_open(media_id), "open media")
            task.add_done_callback(partial(self._opened, media_id))
        await asyncio.wait([task], timeout=self._timing.open_within)
        if not task.done() or task.cancelled():
            raise PictureError(PictureReason.UNAVAILABLE)
        return task.result(), self.store.path_of(task.result())

    def _opened(self, media_id: MediaId, task: asyncio.Task[StoredMedia]) -> None:
        """Forget that media is being opened. Who gave up the wait does not ask why it failed."""
        self._opening.pop(media_id, None)
        if not task.cancelled():
            task.exception()

    async def _fetch_to_open(self, media_id: MediaId) -> StoredMedia:
        """Fetch media that somebody opens; nothing else is fetched of the account's at once but two of them."""
        async with self._open_slots:
            try:
                media = await self._fetch(media_id)
            except NetsapiensError as err:
                self._coordinator.note_failure(err)
                raise PictureError(PictureReason.UNAVAILABLE) from None
            return await self._write(media_id, media, None)

    # --- both ---------------------------------------------------------------------------

    async def _fetch(self, media_id: MediaId) -> FetchedMedia:
        """Return media by a fresh link; what is at the PBX itself goes through the rate limiter as all requests do.

        Raises:
            PictureError: it cannot be had.
            NetsapiensError: the PBX could not be asked for a link, or asks to wait.
        """
        url = self._fetcher.url_of(await async_fresh_link(self._coordinator, media_id))
        fetch = partial(self._fetcher.fetch, url, self._timing.fetch_within)
        return await (self._coordinator.throttle.run(fetch) if self._fetcher.is_pbx(url) else fetch())

    async def _write(self, media_id: MediaId, media: FetchedMedia, origin: Origin | None) -> StoredMedia:
        """Write media."""
        return await self._finish(self.store.async_add(media_id, media, origin))

    async def _finish[ResultT](self, write: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Write something; that comes to its end also where the account is closed in between."""
        writing = self._hass.async_create_task(write)
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        return await asyncio.shield(writing)

    def _spawn[ResultT](self, work: Coroutine[Any, Any, ResultT], name: str) -> asyncio.Task[ResultT]:
        """Start a task that Home Assistant's start and end do not wait for."""
        return self._hass.async_create_background_task(work, f"netsapiens {name}")

    async def async_stop(self) -> None:
        """Stop: what was not fetched yet is fetched after the next start."""
        if self._end_wait is not None:
            self._end_wait()
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()
        self._queue.clear()
        tasks = [*self._workers.values(), *self._opening.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._writing, return_exceptions=True)

    @property
    def diagnostics(self) -> dict[str, int]:
        """What helps to find a fault."""
        return {"kept": len(self.store.kept), "waiting": len(self._queue)}
