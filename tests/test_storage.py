"""Files that are damaged are set aside."""

from pathlib import Path

from homeassistant.core import HomeAssistant
import pytest

from custom_components.netsapiens.storage import async_set_aside


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
