"""Keeps media that came in: files in the configuration folder, and the index that says what they are."""

from collections import OrderedDict
from collections.abc import Iterable
from copy import replace
from datetime import UTC, datetime
import logging
from pathlib import Path
import shutil
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN
from ..storage import DAMAGE
from .pictures_errors import PictureError, PictureReason
from .pictures_fetch import FetchedMedia
from .pictures_id import MediaId
from .pictures_index import FetchJob, MediaIndex, Origin, StoredMedia

_LOGGER = logging.getLogger(__name__)

MOST_KEPT: Final = 100  # files
MOST_OPENED: Final = 20  # files of what is not kept, until others are opened


class MediaStore:
    """The media of one account, on disk: the newest that came in, and a few that were opened.

    Parameters:
        entry_id: the account's.

    Attributes:
        waiting: what waits to be fetched, as the index has it.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._index = MediaIndex(hass, entry_id)
        self._folder = _folder_of(hass, entry_id)
        self._kept: dict[MediaId, StoredMedia] = {}
        self._opened: OrderedDict[MediaId, StoredMedia] = OrderedDict()
        self.waiting: list[FetchJob] = []

    async def async_load(self) -> None:
        """Read what is kept and what waits; delete files that the index does not name, and drop what has no file."""
        try:
            stored, self.waiting = await self._index.async_load()
        except (HomeAssistantError, *DAMAGE) as err:
            _LOGGER.warning("The index of the media that came in cannot be read: %s", type(err).__name__)
            return
        there = named = {one.file for one in stored}
        try:
            there = await self._hass.async_add_executor_job(_clean, self._folder, named)
        except OSError as err:
            # It may be readable again later: what the index names must not get lost with the next save.
            _LOGGER.warning("The folder of the media that came in cannot be read: %s", type(err).__name__)
        self._kept = {one.media_id: one for one in stored if one.file in there}

    @property
    def kept(self) -> list[StoredMedia]:
        """What is kept, the newest first."""
        return sorted(self._kept.values(), key=lambda one: one.age, reverse=True)

    def newest_picture(self, recipient_id: str | None) -> StoredMedia | None:
        """Return the newest picture of a recipient, or of anybody; None where there is none."""
        found = (
            one
            for one in self._kept.values()
            if one.is_picture and one.origin and (recipient_id is None or recipient_id in one.origin.recipient_ids)
        )
        return max(found, key=lambda one: one.age, default=None)

    def find(self, media_id: MediaId) -> StoredMedia | None:
        """Return media that is on disk; None where it is not."""
        if media_id in self._opened:
            self._opened.move_to_end(media_id)
        return self._kept.get(media_id) or self._opened.get(media_id)

    def find_file(self, file: str) -> StoredMedia | None:
        """Return the media of a file; None where there is none of this name."""
        return next((one for one in (*self._kept.values(), *self._opened.values()) if one.file == file), None)

    def path_of(self, stored: StoredMedia) -> Path:
        """Return where the file of media is."""
        return self._folder / stored.file

    def forget(self, stored: StoredMedia) -> None:
        """Forget media whose file is gone."""
        for known in (self._kept, self._opened):
            if known.get(stored.media_id) == stored:
                del known[stored.media_id]

    async def async_add(self, media_id: MediaId, media: FetchedMedia, origin: Origin | None) -> StoredMedia:
        """Write media, and make room for it.

        Parameters:
            media_id: its id.
            media: its bytes and kind.
            origin: who sent it; None where it is only opened.

        Raises:
            PictureError: the disk did not take it.
        """
        stored = StoredMedia(media_id, media.kind, origin, datetime.now(UTC))
        try:
            await self._hass.async_add_executor_job(_write, self.path_of(stored), media.content)
        except OSError as err:
            raise PictureError(PictureReason.NOT_WRITTEN) from err
        if origin is not None:
            await self._async_keep(stored)
            return stored
        self._opened[media_id] = stored
        await self._async_delete([self._opened.popitem(last=False)[1] for _ in range(len(self._opened) - MOST_OPENED)])
        return stored

    async def async_keep(self, media_id: MediaId, origin: Origin) -> bool:
        """Keep media that is on disk already; return whether it is.

        Parameters:
            media_id: its id.
            origin: who sent it.
        """
        if (opened := self._opened.get(media_id)) is not None:
            await self._async_keep(replace(opened, origin=origin))
        return media_id in self._kept or opened is not None

    async def _async_keep(self, stored: StoredMedia) -> None:
        """Keep media, and drop the oldest where there is too much."""
        self._kept[stored.media_id] = stored
        self._opened.pop(stored.media_id, None)
        dropped = self.kept[MOST_KEPT:]
        for one in dropped:
            del self._kept[one.media_id]
        self.waiting = [job for job in self.waiting if job.media_id != stored.media_id]
        await self._async_save()
        await self._async_delete(dropped)

    async def _async_delete(self, dropped: list[StoredMedia]) -> None:
        """Delete the files of media that was dropped."""
        if dropped:
            await self._hass.async_add_executor_job(_delete, [self.path_of(one) for one in dropped])

    async def async_save_waiting(self, waiting: list[FetchJob]) -> None:
        """Have on disk what waits to be fetched.

        Parameters:
            waiting: all that does.
        """
        if set(waiting) != set(self.waiting):
            self.waiting = waiting
            await self._async_save()

    async def _async_save(self) -> None:
        """Write the index. Where that fails, the files are deleted at the next start."""
        await self._index.async_save(self._kept.values(), self.waiting)


async def async_remove_media(hass: HomeAssistant, entry_id: str) -> None:
    """Delete all media of an account."""
    await MediaIndex(hass, entry_id).async_remove()
    await hass.async_add_executor_job(_remove_folder, _folder_of(hass, entry_id))


def _folder_of(hass: HomeAssistant, entry_id: str) -> Path:
    """Return the folder of an account's media."""
    return Path(hass.config.path(DOMAIN, entry_id))


# --- the disk: in the executor ----------------------------------------------------------


def _write(path: Path, content: bytes | bytearray) -> None:
    """Write a file, which is there with all its bytes or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _delete(paths: Iterable[Path]) -> None:
    """Delete files; one that cannot be deleted is deleted at the next start."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue


def _clean(folder: Path, named: set[str]) -> set[str]:
    """Delete the files of a folder that the index does not name; return the names of the others.

    Raises:
        OSError: the folder is there, and cannot be read.
    """
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
    except FileNotFoundError, NotADirectoryError:
        return set()
    _delete(path for path in files if path.name not in named)
    return {path.name for path in files} & named


def _remove_folder(folder: Path) -> None:
    """Delete an account's folder, and the one around it where nothing else is in there."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.rmdir()
    except OSError:
        return
