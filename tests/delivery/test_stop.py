"""Home Assistant stops: for real, not only its event."""

import asyncio
import json
import time
from typing import Any

from homeassistant.core import HassJob, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.receiving.checkpoint import Checkpoint
from custom_components.netsapiens.receiving.store import CheckpointStore
from tests.conftest import AddAccount
from tests.delivery.disk import Disk, rows_in
from tests.delivery.quick import set_timing
from tests.delivery.test_queue import on_disk, send, texts
from tests.fixtures import hass_storage  # noqa: F401
from tests.helpers import until
from tests.real_home import PYTHON, RealHome
from tests.receiving.test_poller import place_path
from tests.simulator import FaultKind, Simulator

ANN = "18585550123"


@pytest.fixture
def impatient(hass: HomeAssistant) -> None:
    """Give requests under way little time when the queue stops."""
    set_timing(hass, stop_within=0.3)


async def hang(pbx: Simulator, hass: HomeAssistant, **data: Any) -> asyncio.Task[dict[str, Any]]:
    """Send a text that the PBX takes without ever saying so."""
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", accept=True)
    call = asyncio.create_task(send(hass, "Alarm", **data))
    await until(lambda: texts(pbx) == ["Alarm"])
    return call


async def test_what_was_sent_just_before_is_reported(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """And nothing is due any more once it has stopped."""
    set_timing(hass, report_after=60.0)
    entry = await add_account(options={"from_number": pbx.numbers[0]})
    heard: list[str] = []
    entry.runtime_data.queue.async_report_sent(lambda message: heard.append(message.text))
    await send(hass, "Hi")
    assert heard == []
    await hass.async_stop(force=True)
    assert heard == ["Hi"]


async def test_a_request_under_way_comes_to_its_end(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Its caller hears how it ended."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.5, times=2)
    calls = [
        asyncio.create_task(send(hass, "Not kept", keep_for=0)),
        asyncio.create_task(send(hass, "Kept", destination="18585550124")),
    ]
    await until(lambda: pbx.fault_counts["slow"] == 2)
    behind = asyncio.create_task(send(hass, "Behind"))
    await asyncio.sleep(0)
    await hass.async_stop(force=True)
    assert [(await call)["status"] for call in calls] == ["sent", "sent"]
    assert (await behind)["status"] == "queued"
    assert sorted(texts(pbx)) == ["Kept", "Not kept"]
    assert [row["text"] for row in on_disk(hass, entry)] == ["Behind"]


@pytest.mark.usefixtures("impatient")
async def test_one_that_is_cut_off_may_have_arrived(
    hass: HomeAssistant, pbx: Simulator, impatient: None, entry: MockConfigEntry
) -> None:
    """A stop does not wait for ever, and says what is not known."""
    call = await hang(pbx, hass, keep_for=0)
    began = time.monotonic()
    await hass.async_stop(force=True)
    assert time.monotonic() - began < 5
    with pytest.raises(HomeAssistantError) as raised:
        await call
    assert raised.value.translation_key == "unconfirmed"


@pytest.mark.usefixtures("impatient")
async def test_one_that_is_cut_off_and_kept_is_looked_up_after_the_restart(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """What tells it from its duplicates is on disk."""
    call = await hang(pbx, hass)
    await hass.async_stop(force=True)
    assert (await call)["status"] == "queued"
    [row] = on_disk(hass, entry)
    assert row["text"] == "Alarm"
    assert row["since"] is not None, "what tells it from its duplicates"


async def test_while_the_account_is_reloaded(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Its queue is nobody's at that moment."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.5)
    call = asyncio.create_task(send(hass, "Under way", keep_for=0))
    await until(lambda: pbx.fault_counts["slow"])
    behind = asyncio.create_task(send(hass, "Behind"))
    await asyncio.sleep(0)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_stop(force=True)
    assert ((await call)["status"], (await behind)["status"]) == ("sent", "queued")
    assert [row["text"] for row in on_disk(hass, entry)] == ["Behind"]


async def test_a_text_at_shutdown_still_goes_out(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Automations that run when Home Assistant shuts down may text."""

    async def goodbye() -> None:
        await send(hass, "Going down")

    hass.async_add_shutdown_job(HassJob(goodbye))
    await hass.async_stop(force=True)
    assert texts(pbx) == ["Going down"]


async def test_the_disk_is_slow(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, disk: Disk) -> None:
    """A write under way is not cut off either, nor whoever waits for it."""
    set_timing(hass, answer_within=0.2)
    entry = await add_account()
    disk.seconds = 0.4
    await pbx.stop()
    call = asyncio.create_task(send(hass, "Alarm"))
    await until(lambda: disk.writes)
    await hass.async_stop(force=True)
    assert (await call)["status"] == "queued"
    assert [row["text"] for row in on_disk(hass, entry)] == ["Alarm"]


async def test_what_was_reported_is_written_down(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop in the middle of a write makes no text come in twice."""
    entry = await add_account()
    poller = entry.runtime_data.poller
    await until(lambda: poller.checkpoint is not None)
    await until(place_path(hass, entry).exists)
    before = place_path(hass, entry).read_text()
    original = CheckpointStore.async_save
    saving = asyncio.Event()

    async def save(self: CheckpointStore, place: Checkpoint) -> None:
        saving.set()
        await asyncio.sleep(0.4)
        await original(self, place)

    monkeypatch.setattr(CheckpointStore, "async_save", save)
    await pbx.receive(from_number=ANN, text="Hi")
    poller.poll_soon()
    await saving.wait()
    await hass.async_stop(force=True)
    after = place_path(hass, entry).read_text()
    assert len(json.loads(after)["data"]["seen"]) == len(json.loads(before)["data"]["seen"]) + 1


@pytest.mark.timeout(240)
@pytest.mark.skipif(not PYTHON.exists(), reason="scripts/setup demo was not run")
async def test_a_real_home_assistant_is_told_to_end() -> None:
    """Once with a request that ends in time, once with one that does not; each text arrives once."""
    async with Simulator() as pbx, RealHome() as home:
        flow = await home.start_flow("netsapiens")
        flow = await home.flow_step(flow["flow_id"], {"next_step_id": "sign_in"})
        flow = await home.flow_step(flow["flow_id"], {**pbx.account, "verify_ssl": True})
        assert flow["type"] == "create_entry"
        await asyncio.sleep(3)  # Home Assistant saves what is new after a second
        path = home.config_dir / ".storage" / f"netsapiens.{flow['result']['entry_id']}.spool"

        def waiting() -> list[dict[str, Any]]:
            return rows_in(path)

        for kind, text, seconds in ((FaultKind.SLOW, "Ends in time", 3), (FaultKind.HANG, "Has no answer", 3600)):
            pbx.fault(kind, path="/messages", method="POST", accept=True, seconds=seconds)
            data = {"destination": ANN, "message": text}
            call = asyncio.create_task(home.call("netsapiens", "send_message", data, response=True))
            async with asyncio.timeout(20):
                while not pbx.fault_counts[kind]:
                    await asyncio.sleep(0.05)
            began = time.monotonic()
            await home.stop()
            assert time.monotonic() - began < 30
            await asyncio.wait([call])
            call.exception()  # the web server goes down first
            assert [row["text"] for row in waiting()] == ([] if kind is FaultKind.SLOW else [text])
            assert "was still running" not in home.log_text()
            pbx.clear_faults()
            await home.start()
            async with asyncio.timeout(60):
                while waiting():
                    await asyncio.sleep(0.2)
        await asyncio.sleep(1)
        assert texts(pbx) == ["Ends in time", "Has no answer"]
