"""What the tests of the way out share."""

from typing import Any

from homeassistant.helpers.storage import Store
from homeassistant.util.file import WriteError
import pytest

from custom_components.netsapiens.delivery.spool_files import SpoolFiles
from tests.delivery.disk import Disk


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk of Home Assistant's own files."""
    disk = Disk()
    original, add, update = Store._async_write_data, SpoolFiles.add, SpoolFiles.update

    async def write(self: Any, data: Any) -> None:
        if disk.is_full:
            raise WriteError("No space left on device")
        await original(self, data)

    def add_here(self: Any, messages: Any) -> Any:
        disk.write(len(messages))
        return add(self, messages)

    def update_here(self: Any, *args: Any) -> Any:
        disk.write(1)
        return update(self, *args)

    monkeypatch.setattr(Store, "_async_write_data", write)
    monkeypatch.setattr(SpoolFiles, "add", add_here)
    monkeypatch.setattr(SpoolFiles, "update", update_here)
    return disk
