"""Keeps media that came in: files in the configuration folder, and an index that says what they are."""

from collections import OrderedDict
from collections.abc import Iterable
from copy import replace
from datetime import UTC, datetime
import hashlib
import logging
from pathlib import Path
import shutil
from typing import Any, Final, NamedTuple

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store

from ..const import DOMAIN
from ..media_kinds import ENDINGS, is_picture
from ..storage import DAMAGE, VERSION, text_of
from .pictures_errors import PictureError, PictureReason
from .pictures_fetch import FetchedMedia
from .pictures_id import MediaId

_LOGGER = logging.getLogger(__name__)

MOST_KEPT: Final = 100  # files
MOST_OPENED: Final = 20  # files of what is not kept, until others are opened
_LONG_AGO: Final = datetime.fromtimestamp(0, UTC)


class Origin(NamedTuple):
    """Who sent media.

    Attributes:
        sender: digits, the user of an extension, or a name.
        recipient_ids: the recipients whose number that was; empty for a stranger.
        reported_at: when its message was reported, by our clock.
    """

    sender: str
    recipient_ids: tuple[str, ...] = ()
    reported_at: datetime = _LONG_AGO


class StoredMedia(NamedTuple):
    """Media in a file.

    Attributes:
        media_id: its id.
        kind: its MIME type, by its bytes.
        origin: who sent it; None where it was opened without being kept.
        stored_at: when it was written.
    """

    media_id: MediaId
    kind: str
    origin: Origin | None
    stored_at: datetime

    @property
    def file(self) -> str:
        """The name of its file."""
        digest = hashlib.sha256(self.media_id.identifier.encode()).hexdigest()
        return f"{digest[:40]}.{ENDINGS[self.kind]}"

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture."""
        return is_picture(self.kind)

    @property
    def age(self) -> tuple[int, datetime]:
        """What tells which of two is newer: when it came in by the PBX, to the second, then when it was reported."""
        return self.media_id.at, self.origin.reported_at if self.origin is not None else self.stored_at


class MediaStore:
    """The media of one account, on disk: the newest that came in, and a few that were opened.

    Parameters:
        entry_id: the account's.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._entry_id = entry_id
        self._store = _index_of(hass, entry_id)
        self._folder = _folder_of(hass, entry_id)
        self._kept: dict[MediaId, StoredMedia] = {}
        self._opened: OrderedDict[MediaId, StoredMedia] = OrderedDict()

    async def async_load(self) -> None:
        """Read what is kept; delete files that the index does not name, and drop what has no file."""
        try:
            data = await self._store.async_load()
            rows = data["media"] if data is not None else []
            stored = [one for row in rows if (one := _stored_of(row, self._entry_id)) is not None]
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
        await self._async_save()
        await self._async_delete(dropped)

    async def _async_delete(self, dropped: list[StoredMedia]) -> None:
        """Delete the files of media that was dropped."""
        if dropped:
            await self._hass.async_add_executor_job(_delete, [self.path_of(one) for one in dropped])

    async def _async_save(self) -> None:
        """Write the index. Where that fails, which Store logs, the files are deleted at the next start."""
        await self._store.async_save({"media": [_row_of(one) for one in self._kept.values()]})


async def async_remove_media(hass: HomeAssistant, entry_id: str) -> None:
    """Delete all media of an account."""
    await _index_of(hass, entry_id).async_remove()
    await hass.async_add_executor_job(_remove_folder, _folder_of(hass, entry_id))


def _index_of(hass: HomeAssistant, entry_id: str) -> Store[dict[str, Any]]:
    """Return the index of an account's media."""
    return Store(hass, VERSION, f"{DOMAIN}.media.{entry_id}", private=True, atomic_writes=True)


def _folder_of(hass: HomeAssistant, entry_id: str) -> Path:
    """Return the folder of an account's media."""
    return Path(hass.config.path(DOMAIN, entry_id))


def _row_of(stored: StoredMedia) -> dict[str, Any]:
    """Return media as the index has it."""
    origin = stored.origin or Origin("")
    return {
        "id": stored.media_id.identifier,
        "kind": stored.kind,
        "sender": origin.sender,
        "recipients": list(origin.recipient_ids),
        "reported_at": origin.reported_at.isoformat(),
        "stored_at": stored.stored_at.isoformat(),
    }


def _stored_of(row: dict[str, Any], entry_id: str) -> StoredMedia | None:
    """Return media from its row of the index; None where the row is damaged, which costs no other one."""
    try:
        media_id, kind = MediaId.parse(text_of(row["id"])), text_of(row["kind"])
        reported_at, stored_at = (_time_of(row[key]) for key in ("reported_at", "stored_at"))
        origin = Origin(text_of(row["sender"]), tuple(text_of(one) for one in row["recipients"]), reported_at)
    except DAMAGE:
        return None
    if media_id is None or media_id.entry_id != entry_id or kind not in ENDINGS:
        return None
    return StoredMedia(media_id, kind, origin, stored_at)


def _time_of(value: object) -> datetime:
    """Return a time that was kept; one of DAMAGE where it is none."""
    return datetime.fromisoformat(text_of(value)).astimezone(UTC)


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
