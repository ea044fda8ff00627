"""A full disk is no fault of the PBX: what can go goes, what comes in is reported, the rest waits for room."""

import asyncio
from collections.abc import Iterator
import contextlib
import logging
from pathlib import Path
import subprocess
import tempfile

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.conftest import EntityEvents
from tests.delivery.disk import Disk, fill, rows_in
from tests.delivery.test_queue import _quick, hass_storage, on_disk, send, texts  # noqa: F401
from tests.helpers import until, until_idle
from tests.real_home import PYTHON, RealHome
from tests.receiving.conftest import looking  # noqa: F401
from tests.simulator import FaultKind, Simulator

ANN, BOB = "18585550123", "18585550124"


async def one_waits(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk) -> None:
    """Let a text wait on a disk that is full from now on, and the PBX be back."""
    await pbx.stop()
    assert (await send(hass, "Waits"))["status"] == "queued"
    await fill(disk, hass, entry)
    await pbx.start()


async def test_one_that_waits_does_not_make_the_pbx_away(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk holds up those that have to be written, and nobody else."""
    await one_waits(hass, pbx, entry, disk)
    queue = entry.runtime_data.queue
    refused = disk.refused
    await until(lambda: disk.refused > refused + 1)  # the first in a row is logged
    caplog.clear()
    for number in range(8):
        assert (await send(hass, f"Fresh {number}", destination=BOB))["status"] == "sent"
    assert not queue.is_away
    assert texts(pbx) == [f"Fresh {number}" for number in range(8)]
    disk.is_full = False
    await until(lambda: "Waits" in texts(pbx))
    await until(lambda: on_disk(hass, entry) == [])
    assert texts(pbx).count("Waits") == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR and "netsapiens" in record.name]


async def test_the_log_says_once_that_texts_cannot_be_kept(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it is tried, the log has one line until it works again."""
    await one_waits(hass, pbx, entry, disk)
    await until(lambda: disk.refused >= 3, within=20)
    said = [one for one in caplog.records if one.name.endswith(".persistence") and one.levelno == logging.ERROR]
    assert len(said) == 1
    disk.is_full = False
    await until(lambda: texts(pbx) == ["Waits"])


async def test_writes_are_not_tried_without_end(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """However many wait, one write at a time sees whether there is room, and the rate limiter is left alone."""
    await pbx.stop()
    await asyncio.gather(*(send(hass, "Waits", destination=f"1858555{number:04}") for number in range(30)))
    disk.is_full = True
    await pbx.start()
    await until(lambda: disk.refused)
    await entry.runtime_data.coordinator.async_refresh()  # the PBX is back
    await asyncio.sleep(1)
    assert disk.refused < 60
    assert (await asyncio.wait_for(send(hass, "Fresh", destination=BOB), 1))["status"] == "sent"
    disk.is_full = False
    await until(lambda: texts(pbx).count("Waits") == 30)


async def test_a_fresh_text_is_tried_again_while_its_caller_waits(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """Who still waits for the answer needs no disk."""
    disk.is_full = True
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", code=503)
    assert (await send(hass, "Alarm"))["status"] == "sent"
    assert texts(pbx) == ["Alarm"]


async def test_a_fresh_text_that_cannot_go_says_why(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """A text that can be neither sent nor kept is an error at once, and is not sent later."""
    await until_idle(pbx)  # a text on a connection that breaks with another request may have arrived
    await pbx.stop()
    disk.is_full = True
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Alarm")
    assert raised.value.translation_key == "not_kept"
    await pbx.start()
    disk.is_full = False
    await asyncio.sleep(0.5)
    assert texts(pbx) == []


async def test_one_that_may_have_arrived_says_so(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """An automation that repeats what was not kept would text it twice."""
    disk.is_full = True
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST", times=None)
    pbx.fault(FaultKind.DROP_BEFORE, path="/messagesessions", method="GET", times=None)
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Arrived")
    assert raised.value.translation_key == "unconfirmed"
    assert texts(pbx) == ["Arrived"]


@pytest.mark.timing(answer_within=2.0)
async def test_one_that_the_disk_holds_already_is_queued(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """It goes out later, whatever its caller is answered."""
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST", times=None)
    sending = asyncio.create_task(send(hass, "Kept"))
    await until(lambda: on_disk(hass, entry))
    disk.is_full = True
    assert (await sending)["status"] == "queued"
    pbx.clear_faults()
    disk.is_full = False
    await until(lambda: texts(pbx) == ["Kept"])
    await until(lambda: entry.runtime_data.queue.queued == 0)
    assert texts(pbx) == ["Kept"]


@pytest.mark.usefixtures("quick_inbox")
async def test_what_comes_in_is_reported_once(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,  # noqa: F811
    entity_events: EntityEvents,
    disk: Disk,
) -> None:
    """A disk that takes nothing makes no text come in twice."""
    await one_waits(hass, pbx, looking, disk)
    for number in range(3):
        await pbx.receive(from_number=ANN, text=f"In {number}")
        await until(lambda number=number: f"In {number}" in entity_events.texts())
    await asyncio.sleep(0.5)
    assert entity_events.texts() == ["In 0", "In 1", "In 2"]
    disk.is_full = False
    await until(lambda: texts(pbx) == ["Waits"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["In 0", "In 1", "In 2"]


@contextlib.contextmanager
def small_disk() -> Iterator[Path]:
    """A folder on a disk of its own; skips where none can be mounted."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder],
                check=True,
                capture_output=True,
            )
        except OSError, subprocess.CalledProcessError:
            pytest.skip("no disk can be mounted here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=False)


@pytest.mark.timeout(240)
@pytest.mark.skipif(not PYTHON.exists(), reason="scripts/setup demo was not run")
async def test_a_real_home_assistant_on_a_full_disk() -> None:
    """The same in a process of its own, on a disk that is full indeed."""
    with small_disk() as config_dir:
        async with Simulator() as pbx, RealHome(config_dir=config_dir) as home:
            flow = await home.start_flow("netsapiens")
            flow = await home.flow_step(flow["flow_id"], {"next_step_id": "sign_in"})
            flow = await home.flow_step(flow["flow_id"], {**pbx.account, "verify_ssl": True})
            assert flow["type"] == "create_entry"
            await asyncio.sleep(3)  # Home Assistant saves what is new after a second

            async def text(destination: str, words: str) -> str:
                data = {"destination": destination, "message": words}
                answer = await home.call("netsapiens", "send_message", data, response=True)
                if answer.status != 200:
                    return "failed"
                status: str = answer.body["service_response"]["messages"][0]["status"]
                return status

            await pbx.stop()
            assert await text(ANN, "Waits") == "queued"
            ballast = config_dir / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * 4096)
            await pbx.start()
            async with asyncio.timeout(45):
                while await text(BOB, "Fresh") != "sent":
                    await asyncio.sleep(1)
            for number in range(8):
                assert await text(BOB, f"Fresh {number}") == "sent"
            async with home.subscribe_events("state_changed") as events:
                await pbx.receive(from_number=BOB, text="Comes in")
                async with asyncio.timeout(50):
                    async for event in events:
                        state = event["data"]["new_state"]
                        if state and state["attributes"].get("message") == "Comes in":
                            break
            assert "Waits" not in texts(pbx)
            ballast.unlink()
            async with asyncio.timeout(45):
                while "Waits" not in texts(pbx):
                    await asyncio.sleep(0.2)
            await asyncio.sleep(3)
            assert texts(pbx).count("Waits") == 1
            [path] = config_dir.glob(".storage/netsapiens.*.spool")
            assert rows_in(path) == []
