"""The files of the messages that wait: a small one for each, and its media beside it.

A message's row is written again when its state changes, its media never. What is done is unlinked. All writes of an
account go through one queue, so that they keep their order and those that come together share a job of the executor.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
import logging
from pathlib import Path
from typing import Any, NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import STORAGE_DIR

from ..const import DOMAIN
from .spool_files import SpooledMessage, SpoolFiles

_LOGGER = logging.getLogger(__name__)

SPOOL_LIMIT = 200_000_000  # bytes


class SpoolContents(NamedTuple):
    """What a spool held when it was loaded.

    Attributes:
        messages: in the order in which they came.
        damaged: the names under which damaged files were set aside, one for each message.
    """

    messages: list[SpooledMessage]
    damaged: list[str]


class _Write(NamedTuple):
    """A change that waits for its turn, and who waits for it."""

    job: Callable[[], object]
    ended: asyncio.Future[object]


class Spool:
    """The files of an account's waiting messages. What is there already stays, also where it could not be loaded.

    Parameters:
        entry_id: the account's.
        limit: how many bytes may wait.

    Attributes:
        limit: the same.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str, limit: int = SPOOL_LIMIT) -> None:
        self._hass = hass
        self._files = SpoolFiles(Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry_id}.spool")))
        self.limit = limit
        self._sizes: dict[str, tuple[int, int]] = {}  # bytes of each message's row and media
        self._size = 0
        self._waiting: list[_Write] = []
        self._is_writing = False

    @property
    def path(self) -> Path:
        """The folder."""
        return self._files.folder

    def has_room_for(self, size: int) -> bool:
        """Whether so many bytes may be added."""
        return self._size + size <= self.limit

    async def async_load(self) -> SpoolContents:
        """Return the messages that wait. Damaged files are set aside, and what a kill left half done is deleted.

        Raises:
            HomeAssistantError: the folder cannot be read.
        """
        messages, self._sizes, self._size, damaged = await self._run(self._files.load)
        if damaged:
            _LOGGER.warning("%s waiting texts cannot be read", len(damaged))
        return SpoolContents(messages, damaged)

    async def async_add(self, messages: Sequence[tuple[dict[str, Any], bytes | None]]) -> list[str]:
        """Add messages; they are on disk when this returns, all or none.

        Parameters:
            messages: the row of each, and its media.

        Returns:
            Their ids.

        Raises:
            HomeAssistantError: they could not be written.
        """
        room = sum(len(media or b"") for _, media in messages)
        self._size += room  # so that others do not take it meanwhile
        try:
            sizes: dict[str, tuple[int, int]] = await self._run(partial(self._files.add, messages))
        finally:
            self._size -= room
        for message_id, size in sizes.items():
            self._resize(message_id, size)
        return list(sizes)

    async def async_update(self, message_id: str, row: dict[str, Any]) -> None:
        """Write the row of a message anew; it is on disk when this returns.

        Raises:
            HomeAssistantError: it could not be written, or the message is not in the spool any more.
        """
        media_size = self._sizes.get(message_id, (0, 0))[1]
        row_size = await self._run(partial(self._files.update, message_id, row, media_size))
        if message_id in self._sizes:
            self._resize(message_id, (row_size, media_size))

    async def async_read_media(self, message_id: str) -> bytes | None:
        """Return the media of a message; None where it has none, or where it cannot be read any more."""
        return await self._hass.async_add_executor_job(
            self._files.read_media, message_id, self._sizes.get(message_id, (0, 0))[1]
        )

    async def async_discard(self, message_ids: Iterable[str]) -> None:
        """Delete messages that are done.

        Raises:
            HomeAssistantError: they could not be deleted.
        """
        ids = list(message_ids)
        await self._run(partial(self._files.discard, ids))
        self._forget(ids)

    async def async_set_aside(self, message_id: str) -> str:
        """Keep the files of a message that makes no sense under another name, where that can be; return the name."""
        name: str = await self._run(partial(self._files.set_aside_quietly, message_id))
        self._forget([message_id])
        return name

    async def async_remove(self) -> None:
        """Delete the folder with all that is in it."""
        await self._run(self._files.remove)
        self._forget(list(self._sizes))

    @callback
    def _resize(self, message_id: str, size: tuple[int, int]) -> None:
        """Note how large a message's files are."""
        self._size += sum(size) - sum(self._sizes.get(message_id, (0, 0)))
        self._sizes[message_id] = size

    @callback
    def _forget(self, message_ids: Iterable[str]) -> None:
        """Note that messages are gone."""
        for message_id in message_ids:
            self._size -= sum(self._sizes.pop(message_id, (0, 0)))

    async def _run(self, job: Callable[[], Any]) -> Any:
        """Run a job after those that were asked for before, also where its caller is cancelled.

        Raises:
            HomeAssistantError: it failed.
        """
        write = _Write(job, self._hass.loop.create_future())
        self._waiting.append(write)
        if not self._is_writing:
            self._write_next()
        result = await asyncio.shield(write.ended)
        if isinstance(result, Exception):
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="not_kept") from result
        return result

    @callback
    def _write_next(self) -> None:
        """Write all that waits, in one job of the executor."""
        writes, self._waiting = self._waiting, []
        self._is_writing = bool(writes)
        if not writes:
            return
        try:
            # Not as a job that Home Assistant keeps track of: it stops waiting for those when it ends, done or not.
            done = self._hass.loop.run_in_executor(None, _run_all, [write.job for write in writes])
        except RuntimeError as err:  # Home Assistant has ended
            self._is_writing = False
            for write in writes:
                write.ended.set_result(err)
        else:
            done.add_done_callback(partial(self._written, writes))

    @callback
    def _written(self, writes: list[_Write], done: asyncio.Future[list[object]]) -> None:
        """Answer those who waited for some writes, and write what came meanwhile."""
        results = [asyncio.InvalidStateError()] * len(writes) if done.cancelled() else done.result()
        for write, result in zip(writes, results, strict=True):
            write.ended.set_result(result)
        self._write_next()


def _run_all(jobs: list[Callable[[], object]]) -> list[object]:
    """Run jobs, each whatever became of the others; return what each returned or raised."""
    results: list[object] = []
    for job in jobs:
        try:
            results.append(job())
        except Exception as err:  # noqa: BLE001 - raised again where it is waited for
            results.append(err)
    return results
