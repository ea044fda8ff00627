"""What the spool does in the executor: rows and media, written, read and deleted."""

from collections.abc import Sequence
import logging
import os
from pathlib import Path
import re
import shutil
import time
from typing import Any, NamedTuple

from homeassistant.helpers.json import save_json
from homeassistant.util import dt as dt_util
from homeassistant.util.file import write_utf8_file
from homeassistant.util.json import json_loads_object

from ..storage import DAMAGE, VERSION

_LOGGER = logging.getLogger(__name__)

_NAME = re.compile(r"(\d{12})\.(json|media)", re.ASCII)
DAMAGED = "*.damaged.*"  # the names of what was set aside
_BULK = 20  # files; so many are flushed faster when all that the system has to write is written first
_TEMPORARY = "tmp"  # how the names begin that Home Assistant's helpers write to first


class SpooledMessage(NamedTuple):
    """A message as it lies in the spool.

    Attributes:
        id: names its files. Ids sort in the order in which the messages came.
        row: what describes it, as JSON has it.
        media_size: bytes of its media; 0 where it has none.
    """

    id: str
    row: dict[str, Any]
    media_size: int


class SpoolFiles:
    """The files of an account's waiting messages.

    Parameters:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._next = int(time.time())  # behind all that was ever counted, in case the folder cannot be read

    def add(self, messages: Sequence[tuple[dict[str, Any], bytes | None]]) -> dict[str, tuple[int, int]]:
        """Write new messages; return their ids with the sizes of their files. After a failure none of them is left.

        They are flushed to disk together, which costs far less than one by one. Nobody counts on them before that.
        """
        paths: list[Path] = []
        ids: list[str] = []
        try:
            self._make_folder()
            for row, media in messages:
                ids.append(message_id := self._free_id())
                if media is not None:
                    paths.append(self._media(message_id))
                    write_utf8_file(str(paths[-1]), media, private=True, mode="wb")
                paths.append(self._row(message_id))
                _save_row(paths[-1], row, len(media or b""), flush=False)
            if len(paths) > _BULK:
                os.sync()
            for path in paths:
                _flush(path)
            _flush(self.folder)
        except Exception:
            for path in paths:
                path.unlink(missing_ok=True)
            raise
        return {
            message_id: (self._row(message_id).stat().st_size, len(media or b""))
            for message_id, (_, media) in zip(ids, messages, strict=True)
        }

    def update(self, message_id: str, row: dict[str, Any], media_size: int) -> int:
        """Replace a row; return its size. The old one is left as it is where that fails."""
        path = self._row(message_id)
        path.stat()  # raises where the message is done: it may not come back
        _save_row(path, row, media_size, flush=True)
        return path.stat().st_size

    def read_media(self, message_id: str, size: int) -> bytes | None:
        """Return the media of a message, if it is all there."""
        if not size:
            return None
        try:
            media = self._media(message_id).read_bytes()
        except OSError as err:
            problem = err.strerror
        else:
            if len(media) == size:
                return media
            problem = "it is not all there"
        _LOGGER.warning("The media of a waiting text cannot be read: %s", problem)
        return None

    def discard(self, message_ids: list[str]) -> None:
        """Delete messages, the row first: media without one is deleted when the spool is loaded."""
        for message_id in message_ids:
            self._row(message_id).unlink(missing_ok=True)
            self._media(message_id).unlink(missing_ok=True)
        if message_ids and self.folder.is_dir():
            _flush(self.folder)

    def set_aside(self, message_id: str) -> str:
        """Rename the files of a message; return the new name of its row."""
        suffix = f".damaged.{dt_util.utcnow():%Y%m%dT%H%M%S}"
        row, media = self._row(message_id), self._media(message_id)
        aside = row.with_name(row.name + suffix)
        row.replace(aside)
        if media.exists():
            media.replace(media.with_name(media.name + suffix))
        return aside.name

    def remove(self) -> None:
        """Delete the folder."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def load(self) -> tuple[list[SpooledMessage], dict[str, tuple[int, int]], int, list[str]]:
        """Read the folder.

        Returns:
            The messages, the sizes of their files and their sum, and what was set aside.
        """
        rows, media = self._scan()
        messages: list[SpooledMessage] = []
        sizes: dict[str, tuple[int, int]] = {}
        damaged: list[str] = []
        total, number = 0, 0
        for message_id in sorted(rows):  # as numbers: they have leading zeros
            number = int(message_id) + 1
            try:
                message, row_size = self._load_row(message_id, media.get(message_id, 0))
            except DAMAGE:
                damaged.append(self.set_aside_quietly(message_id))
            else:
                messages.append(message)
                sizes[message_id] = (row_size, message.media_size)
                total += row_size + message.media_size
        for message_id in media.keys() - rows:
            number = max(number, int(message_id) + 1)
            self._media(message_id).unlink(missing_ok=True)
        self._next = number
        return messages, sizes, total, damaged

    def _scan(self) -> tuple[set[str], dict[str, int]]:
        """Return the ids of the rows, and of the media with their sizes; delete temporary files."""
        rows: set[str] = set()
        media: dict[str, int] = {}
        if not self.folder.is_dir():
            return rows, media
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.startswith(_TEMPORARY):
                    Path(entry.path).unlink(missing_ok=True)
                elif (name := _NAME.fullmatch(entry.name)) is None:
                    continue
                elif name[2] == "json":
                    rows.add(name[1])
                else:
                    media[name[1]] = entry.stat().st_size
        return rows, media

    def _load_row(self, message_id: str, media_size: int) -> tuple[SpooledMessage, int]:
        """Return a message and the size of its row; one of DAMAGE where its files are damaged."""
        data = self._row(message_id).read_bytes()
        content: dict[str, Any] = json_loads_object(data)
        if content["version"] != VERSION or content["media_size"] != media_size:
            raise ValueError("another version, or its media is not all there")
        if not isinstance(content["message"], dict):
            raise TypeError("no message")
        return SpooledMessage(message_id, content["message"], media_size), len(data)

    def set_aside_quietly(self, message_id: str) -> str:
        """Set a message aside; where that fails, it stays and is reported under its own name."""
        try:
            return self.set_aside(message_id)
        except OSError as err:
            _LOGGER.warning("A damaged file could not be set aside: %s", err.strerror)
            return self._row(message_id).name

    def _make_folder(self) -> None:
        """Make the folder, for Home Assistant's user alone."""
        if not self.folder.is_dir():
            self.folder.parent.mkdir(exist_ok=True)
            self.folder.mkdir(mode=0o700)
            _flush(self.folder.parent)

    def _free_id(self) -> str:
        """Return the next id under which there is nothing: what waits is never written over."""
        while True:
            message_id = f"{self._next:012d}"
            self._next += 1
            if not any(map(_is_there, (self._row(message_id), self._media(message_id)))):
                return message_id

    def _row(self, message_id: str) -> Path:
        """Return the file of a row."""
        return self.folder / f"{message_id}.json"

    def _media(self, message_id: str) -> Path:
        """Return the file of a message's media."""
        return self.folder / f"{message_id}.media"


def _save_row(path: Path, row: dict[str, Any], media_size: int, *, flush: bool) -> None:
    """Write a row under its name in one step."""
    content = {"version": VERSION, "media_size": media_size, "message": row}
    save_json(str(path), content, private=True, atomic_writes=flush)


def _is_there(path: Path) -> bool:
    """Whether there is a file; raises where that cannot be told, which `Path.exists` takes for none."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _flush(path: Path) -> None:
    """Have a file or a folder on the disk itself when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
