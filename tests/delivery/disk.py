"""The disk as tests want it: what the spool holds, and a disk that is slow, or full."""

import asyncio
import json
from pathlib import Path
import time
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.util.file import WriteError
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.helpers import until


def spool_path(hass: HomeAssistant, entry: MockConfigEntry) -> Path:
    """Return the folder of an account's waiting messages."""
    return Path(hass.config.path(".storage", f"netsapiens.{entry.entry_id}.spool"))


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Return the rows that a spool holds, in the order of the queue."""
    rows = []
    for path in folder.glob("*.json"):
        try:
            rows.append(json.loads(path.read_text())["message"])
        except FileNotFoundError:
            continue  # done in this moment
    return sorted(rows, key=lambda row: row["number"])


def change_rows(folder: Path, **changes: Any) -> None:
    """Change something in each row of a spool."""
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text())
        content["message"] |= changes
        path.write_text(json.dumps(content))


class Disk:
    """A disk that may be full, or slow.

    Attributes:
        refused: how many writes of waiting messages it did not take.
        writes: how many messages each write had, of those it was given.
        seconds: how long each write takes.
        error: what a full disk says.
    """

    def __init__(self) -> None:
        self.is_full = False
        self.refused = 0
        self.writes: list[int] = []
        self.seconds = 0.0
        self.error: Exception = WriteError("No space left on device")

    def write(self, messages: int) -> None:
        """Take a write, or not."""
        self.writes.append(messages)
        time.sleep(self.seconds)
        if self.is_full:
            self.refused += 1
            raise self.error


async def fill(disk: Disk, hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Fill the disk while it says of each waiting text that no attempt is under way.

    An attempt that was written down before may be made.
    """
    folder = spool_path(hass, entry)

    def is_untried() -> bool:
        return all(row["since"] is None for row in rows_in(folder))

    while True:
        await until(is_untried)
        disk.is_full = True
        await asyncio.sleep(0.1)  # a write under way ends
        if is_untried():
            return
        disk.is_full = False
