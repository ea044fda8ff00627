"""Pictures that were not fetched yet when Home Assistant stopped, or was killed."""

# ruff: noqa: F811 - fixtures of another module

from datetime import timedelta
import json
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.conftest import close
from tests.helpers import entity_of, until
from tests.pictures import BLUE, RED
from tests.receiving.test_pictures import (  # noqa: F401 - fixtures
    ANN,
    ANNS,
    _quick,
    fetches,
    hass_storage,
    kept,
    looking,
)
from tests.simulator import Simulator

pytestmark = pytest.mark.usefixtures("quick_inbox")


def index_of(hass: HomeAssistant, entry: MockConfigEntry) -> Path:
    """Return the index of an account's media."""
    return Path(hass.config.path(".storage", f"netsapiens.media.{entry.entry_id}"))


def waiting(hass: HomeAssistant, entry: MockConfigEntry) -> list[Any]:
    """Return what waits by the index on disk."""
    path = index_of(hass, entry)
    return json.loads(path.read_text())["data"]["waiting"] if path.exists() else []


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set an account up again."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


async def assert_nothing_waited(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Assert that after a start only what comes in then is fetched, which waits behind the sender's others."""
    before = len(fetches(pbx))
    await start(hass, entry)
    await pbx.receive(from_number=ANN, text="Next", media=BLUE)
    await until(lambda: kept(entry))
    assert len(fetches(pbx)) == before + 1


@pytest.mark.parametrize("is_killed", [True, False])
async def test_they_are_fetched_after_the_next_start(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, is_killed: bool
) -> None:
    """What was under way, and what waited for its turn; each once."""
    pbx.fault("hang", path="read_media", times=None)
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await pbx.receive(from_number=ANN, text="2", media=BLUE)
    await until(lambda: len(waiting(hass, looking)) == 2)
    await until(lambda: fetches(pbx))
    on_disk = index_of(hass, looking).read_bytes()
    await close(hass, looking)
    if is_killed:
        index_of(hass, looking).write_bytes(on_disk)
    pbx.clear_faults()
    before = len(fetches(pbx))
    await start(hass, looking)
    await until(lambda: len(kept(looking)) == 2)
    await until(lambda: (image := entity_of(hass, ANNS)) is not None and image.image() == BLUE)
    await until(lambda: waiting(hass, looking) == [])
    assert len(fetches(pbx)) == before + 2


async def test_one_that_cannot_be_had_is_given_up(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """Its attempts count through restarts, and after the last one no start tries it again."""
    pbx.fault("status", path="read_media", code=503, times=None)
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: "is not kept" in caplog.text)
    await until(lambda: waiting(hass, looking) == [])
    assert len(fetches(pbx)) == 3
    await close(hass, looking)
    pbx.clear_faults()
    await assert_nothing_waited(hass, pbx, looking)


@pytest.mark.parametrize("change", ["old", "unwanted", "damaged"])
async def test_what_is_not_fetched_any_more(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, change: str
) -> None:
    """What waited for a day, which may be what ends Home Assistant each time; and what is not to be kept now."""
    pbx.fault("hang", path="read_media", times=None)
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: len(waiting(hass, looking)) == 1)
    await close(hass, looking)
    path = index_of(hass, looking)
    content = json.loads(path.read_text())
    [row] = content["data"]["waiting"]
    if change == "old":
        row["reported_at"] = (dt_util.utcnow() - timedelta(hours=25)).isoformat()
    elif change == "damaged":
        content["data"]["waiting"] = [7, {}, {**row, "id": "x"}, {**row, "failures": None}]
    else:
        options = {**looking.options, "save_pictures": "nobody"}
        hass.config_entries.async_update_entry(looking, options=options)
    path.write_text(json.dumps(content))
    pbx.clear_faults()
    if change == "unwanted":
        before = len(fetches(pbx))
        await start(hass, looking)
        assert looking.runtime_data.pictures.diagnostics == {"kept": 0, "waiting": 0}
        assert len(fetches(pbx)) == before
    else:
        await assert_nothing_waited(hass, pbx, looking)


async def test_they_go_with_the_account(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Nothing is left that waits."""
    pbx.fault("hang", path="read_media", times=None)
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: len(waiting(hass, looking)) == 1)
    assert await hass.config_entries.async_remove(looking.entry_id)
    await hass.async_block_till_done()
    assert not index_of(hass, looking).exists()
