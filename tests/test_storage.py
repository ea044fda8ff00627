"""Files that are damaged are set aside."""

import json
from pathlib import Path

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.storage import async_set_aside
from tests.conftest import close
from tests.fixtures import hass_storage  # noqa: F401
from tests.helpers import until


async def test_a_damaged_file_keeps_its_content(hass: HomeAssistant, tmp_path: Path) -> None:
    """It has another name then, which is returned, and the next save has its place."""
    path = tmp_path / "netsapiens.opt_outs.x"
    path.write_text("{")
    name = await async_set_aside(hass, path)
    assert not path.exists()
    assert (tmp_path / name).read_text() == "{"
    assert name.startswith("netsapiens.opt_outs.x.damaged.")


async def test_a_disk_that_does_not_rename(
    hass: HomeAssistant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file stays where it is, under the name that is returned; the log says so, and why."""
    path = tmp_path / ("x" * 250)  # the longer name is one too many for the disk
    path.write_text("{")
    assert await async_set_aside(hass, path) == path.name
    assert path.read_text() == "{"
    assert "could not be set aside: File name too long" in caplog.text


@pytest.mark.parametrize("kind", ["account", "inbox", "media", "opt_outs"])
@pytest.mark.parametrize("version", [0, -1, 2, "1", None])
async def test_a_version_that_never_was(
    hass: HomeAssistant, entry: MockConfigEntry, kind: str, version: object
) -> None:
    """Whichever file has it, the account loads and polls."""
    await close(hass, entry)
    key = f"netsapiens.{kind}.{entry.entry_id}"
    content = {"version": version, "minor_version": 1, "key": key, "data": {}}
    Path(hass.config.path(".storage", key)).write_text(json.dumps(content))
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    await until(entry.runtime_data.poller.ready.is_set)
