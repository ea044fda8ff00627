"""Pictures that come in where something is in the way: the PBX, the disk, the end of the account, a fault of ours."""

# ruff: noqa: F811 - fixtures of another module

import asyncio
from collections.abc import Iterator
import logging
from pathlib import Path
from typing import Any

from homeassistant.components.media_source import Unresolvable
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.receiving.pictures import PICTURE_TIMING, PictureTiming
from custom_components.netsapiens.receiving.pictures_store import MOST_OPENED, MediaStore
from tests.helpers import until
from tests.pictures import BLUE, GREEN, RED
from tests.receiving.test_pictures import (  # noqa: F401 - fixtures
    ANN,
    ANNS,
    BOB,
    EVE,
    _quick,
    behind_a_slow_one,
    fetches,
    files_of,
    hass_storage,
    kept,
    looking,
    reported,
    resolved,
    shown_in,
)
from tests.simulator import FaultKind, Simulator

pytestmark = pytest.mark.usefixtures("quick_inbox")


async def strangers(hass: HomeAssistant, pbx: Simulator, text: str, media: bytes = RED) -> str:
    """Let a stranger text a picture; return its id."""
    await pbx.receive(from_number=EVE, text=text, media=media)
    media_id = await reported(hass, text)
    assert media_id is not None
    return media_id


async def test_one_that_is_being_opened_when_its_turn_comes(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """It is not fetched a second time, and kept."""
    _, media_id = await behind_a_slow_one(hass, pbx, 1, 2)
    assert await resolved(hass, media_id) == ("image/jpeg", BLUE)
    await until(lambda: len(kept(looking)) == 2)
    assert len(fetches(pbx)) == 2
    assert len(files_of(hass, looking)) == 2


async def test_one_that_is_opened_before_it_is_kept(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """What is only opened makes room for others; once it is kept it does not."""
    _, media_id = await behind_a_slow_one(hass, pbx, 2)
    assert await resolved(hass, media_id) == ("image/jpeg", BLUE)
    assert kept(looking) == []
    await until(lambda: len(kept(looking)) == 2)
    for number in range(MOST_OPENED + 1):
        await resolved(hass, await strangers(hass, pbx, str(number)))
    before = len(fetches(pbx))
    assert await resolved(hass, media_id) == ("image/jpeg", BLUE)
    assert len(fetches(pbx)) == before


async def test_a_pbx_that_is_away_when_its_turn_comes(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """Its message cannot be read for a link then, which is tried again."""
    await behind_a_slow_one(hass, pbx, 2)
    hass.config_entries.async_update_entry(looking, options={**looking.options, "incoming": "off"})
    await until(lambda: looking.runtime_data.poller is None)  # which reads messages, too
    pbx.fault(FaultKind.FORBIDDEN_HTML, path="/messages", method="GET", times=1)
    before = len(pbx.requests)
    await until(lambda: len(kept(looking)) == 2)
    reads = [one for one in pbx.requests[before:] if one.path.endswith("/messages") and one.method == "GET"]
    assert [one.status for one in reads] == [403, 200]


@pytest.mark.parametrize("fault", [{"kind": "rate_limit"}, {"kind": "status", "code": 503, "html": True}])
async def test_a_pbx_that_asks_to_wait(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, fault: dict[str, Any]
) -> None:
    """Nothing is asked for before that, though other attempts come sooner; then the picture is kept."""
    pbx.fault(path="read_media", retry_after=2, **fault)
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: len(fetches(pbx)) == 1 and looking.runtime_data.coordinator.throttle.breaker.wait() > 0)
    began, before = hass.loop.time(), len(pbx.requests)
    await until(lambda: len(pbx.requests) > before)
    assert hass.loop.time() - began >= 1.8
    await until(lambda: len(kept(looking)) == 1)
    assert len(fetches(pbx)) == 2


async def test_a_pbx_that_asks_to_wait_when_one_is_opened(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """Whoever opens it is told to try again later."""
    media_id = await strangers(hass, pbx, "1")
    pbx.fault("rate_limit", path="read_media", retry_after=1)
    with pytest.raises(Unresolvable, match="Try again later"):
        await resolved(hass, media_id)
    assert await resolved(hass, media_id) == ("image/jpeg", RED)


def test_how_long_one_is_tried() -> None:
    """A PBX that is away for half an hour costs no picture, and one that stays away costs a dozen attempts."""
    timing = PictureTiming()
    waits = [timing.retry.wait(failures) for failures in range(timing.attempts - 1)]
    assert 1800 < sum(waits) < 4500


async def test_a_failure_that_stays(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """It is given up after as many attempts as the timing says, and logged then."""
    pbx.fault("status", path="read_media", code=503, times=None)
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: "is not kept" in caplog.text)
    await asyncio.sleep(0.5)
    assert len(fetches(pbx)) == 3
    assert caplog.text.count("is not kept") == 1


async def test_a_fault_of_ours_costs_one_picture(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged without anything private, and the next picture is kept."""

    async def broken(*_: Any) -> None:
        raise RuntimeError(ANN)

    with monkeypatch.context() as patch:
        patch.setattr(MediaStore, "async_add", broken)
        await pbx.receive(from_number=ANN, text="1", media=RED)
        await until(lambda: "fetching media" in caplog.text)
    assert ANN not in caplog.text
    await pbx.receive(from_number=ANN, text="2", media=BLUE)
    await until(lambda: len(kept(looking)) == 1)


async def test_a_message_without_a_link(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """The PBX says that a picture came but not where it is: whoever opens it is told to try again later."""
    received = await pbx.receive(from_number=EVE, text="1", media=RED)
    media_id = await reported(hass, "1")
    received.media = None
    with pytest.raises(Unresolvable, match="Try again later"):
        await resolved(hass, media_id)
    received.media = RED
    assert await resolved(hass, media_id) == ("image/jpeg", RED)


async def test_the_account_ends_while_one_is_opened(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """Whoever opens it gets an error, at once."""
    media_id = await strangers(hass, pbx, "1")
    pbx.fault(FaultKind.HANG, path="read_media", times=None)
    opening = hass.async_create_task(resolved(hass, media_id))
    await until(lambda: len(fetches(pbx)) == 1)
    assert await hass.config_entries.async_unload(looking.entry_id)
    with pytest.raises(Unresolvable, match="Try again later"):
        await opening


@pytest.mark.parametrize("who", [ANN, EVE])
async def test_a_file_that_somebody_deleted(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, who: str
) -> None:
    """It is fetched anew when it is opened, whether it was kept or only opened before."""
    await pbx.receive(from_number=who, text="1", media=RED)
    media_id = await reported(hass, "1")
    assert await resolved(hass, media_id) == ("image/jpeg", RED)
    for file in files_of(hass, looking):
        file.unlink()
    assert await resolved(hass, media_id) == ("image/jpeg", RED)
    assert len(fetches(pbx)) == 2


async def test_a_picture_that_is_gone_is_not_shown(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """After a restart without its file the entity has nothing to show, and shows the next one."""
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: hass.states.get(ANNS) is not None)
    for file in files_of(hass, looking):
        file.unlink()
    await hass.config_entries.async_reload(looking.entry_id)
    assert hass.states.get(ANNS).state == "unknown"
    assert await shown_in(hass, ANNS) is None
    await pbx.receive(from_number=ANN, text="2", media=BLUE)
    await until(lambda: hass.states.get(ANNS).state != "unknown")
    assert await shown_in(hass, ANNS) == BLUE


async def test_what_is_opened_again_stays(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Of what is only opened, the one that was opened longest ago makes room."""
    first = await strangers(hass, pbx, "first", GREEN)
    second = await strangers(hass, pbx, "second", BLUE)
    for media_id in (first, second, first):
        await resolved(hass, media_id)
    for number in range(MOST_OPENED - 1):
        await resolved(hass, await strangers(hass, pbx, str(number)))
    before = len(fetches(pbx))
    assert await resolved(hass, first) == ("image/jpeg", GREEN)
    assert len(fetches(pbx)) == before
    assert await resolved(hass, second) == ("image/jpeg", BLUE)
    assert len(fetches(pbx)) == before + 1


async def test_a_file_that_cannot_be_replaced_or_deleted(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """Opening it says what to check and leaves nothing unfinished; that it cannot make room keeps no other back."""
    media_id = await strangers(hass, pbx, "first")
    await resolved(hass, media_id)
    [file] = files_of(hass, looking)
    file.unlink()
    file.mkdir()
    with pytest.raises(Unresolvable, match="free space"):
        await resolved(hass, media_id)
    assert files_of(hass, looking) == [file]
    file.rmdir()
    await resolved(hass, media_id)
    file.unlink()
    file.mkdir()
    for number in range(MOST_OPENED + 1):
        await resolved(hass, await strangers(hass, pbx, str(number)))
    assert file.is_dir()
    assert len(files_of(hass, looking)) == MOST_OPENED + 1


async def test_an_index_that_cannot_be_written(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """The picture is shown all the same, and is not there after a restart: its file is nobody's then."""
    index = Path(hass.config.path(".storage", f"netsapiens.media.{looking.entry_id}"))
    index.mkdir()
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: hass.states.get(ANNS) is not None)
    assert await shown_in(hass, ANNS) == RED
    assert [one for one in caplog.records if one.levelno == logging.ERROR and "storage" in one.name]
    index.rmdir()
    await hass.config_entries.async_reload(looking.entry_id)
    assert kept(looking) == []


async def test_a_folder_that_cannot_be_read(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The account loads, and texts go both ways; what is kept is there again once the folder can be read."""
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: hass.states.get(ANNS) is not None)
    folder = files_of(hass, looking)[0].parent
    iterdir = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path == folder:
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuse)
        assert await hass.config_entries.async_reload(looking.entry_id)
        assert caplog.text.count("folder of the media that came in cannot be read") == 1
        await pbx.receive(from_number=ANN, text="2", media=BLUE)
        await until(lambda: len(kept(looking)) == 2)
    assert await hass.config_entries.async_reload(looking.entry_id)
    assert kept(looking) == ["image/jpeg", "image/jpeg"]


async def test_the_account_ends_before_another_attempt(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """No further one is made until it is set up again."""
    hass.data[PICTURE_TIMING] = PictureTiming(retry=Backoff(0.5, 0.5))
    await hass.config_entries.async_reload(looking.entry_id)
    await until(lambda: looking.runtime_data.poller and looking.runtime_data.poller.ready.is_set())
    pbx.fault("status", path="read_media", code=503, times=None)
    await pbx.receive(from_number=ANN, text="1", media=RED)
    media_id = await reported(hass, "1")
    await until(lambda: len(fetches(pbx)) == 1)
    await until(lambda: looking.runtime_data.pictures._later)
    assert await hass.config_entries.async_unload(looking.entry_id)
    await asyncio.sleep(1)
    assert len(fetches(pbx)) == 1
    pbx.clear_faults()
    assert await hass.config_entries.async_setup(looking.entry_id)
    assert await resolved(hass, media_id) == ("image/jpeg", RED)


async def test_another_accounts_pictures_stay(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """With an account go its own pictures, and not the folder where others are."""
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: len(files_of(hass, looking)) == 1)
    other = Path(hass.config.path("netsapiens", "other", "picture.jpg"))
    other.parent.mkdir()
    other.write_bytes(BLUE)
    assert await hass.config_entries.async_remove(looking.entry_id)
    assert files_of(hass, looking) == []
    assert other.read_bytes() == BLUE
