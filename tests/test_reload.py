"""What is asked for while an account is reloaded or changed goes out, once, and disturbs nobody else."""

import asyncio
from datetime import timedelta
import time
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState, ConfigSubentry
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitTiming
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from tests.conftest import AddAccount, close, recipient
from tests.delivery.quick import send_quickly
from tests.delivery.test_queue import MESSAGES, QUEUED, hass_storage, on_disk, send, texts  # noqa: F401
from tests.helpers import until
from tests.simulator import FaultKind, Simulator

ANN, BOB, EVE = "18585550123", "18585550124", "18585550125"
OWN = "18585550199"


@pytest.fixture(autouse=True)
def _quick(hass: HomeAssistant) -> None:
    """Wait a twentieth of what is waited in life; the order of things stays."""
    send_quickly(hass, answer_within=1.0)


@pytest.fixture
async def family(add_account: AddAccount) -> MockConfigEntry:
    """An account with Ann and Bob."""
    return await add_account(recipient("Ann", ANN, recipient_id="ann"), recipient("Bob", BOB, recipient_id="bob"))


async def say(hass: HomeAssistant, message: str = "Hi", name: str = "ann") -> None:
    """Call notify.send_message."""
    data = {"entity_id": f"notify.{name}", "message": message}
    await hass.services.async_call("notify", "send_message", data, blocking=True)


def eve() -> ConfigSubentry:
    """Return a further recipient."""
    return ConfigSubentry(
        data=MappingProxyType({"destination": [EVE], "group": False}),
        subentry_id="eve",
        subentry_type="recipient",
        title="Eve",
        unique_id=None,
    )


def change(hass: HomeAssistant, entry: MockConfigEntry, what: str) -> None:
    """Change something of an account as its dialogs do."""
    entries = hass.config_entries
    match what:
        case "add":
            entries.async_add_subentry(entry, eve())
        case "rename":
            entries.async_update_subentry(entry, entry.subentries["bob"], title="Robert")
        case "number":
            data = {"destination": [EVE], "group": False}
            entries.async_update_subentry(entry, entry.subentries["bob"], data=data)
        case "remove":
            entries.async_remove_subentry(entry, "bob")
        case "options":
            entries.async_update_entry(entry, options={**entry.options, "hourly_limit": 7})
        case "title":
            entries.async_update_entry(entry, title="Home")


# --- without a reload ----------------------------------------------------------------


@pytest.mark.parametrize("what", ["add", "rename", "number", "remove", "options", "title"])
async def test_a_change_disturbs_nobody_else(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, what: str
) -> None:
    """No change of options, names or recipients interrupts a text or a state."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.5)
    under_way = asyncio.create_task(send(hass, "Under way", destination="18585550190", keep_for=0))
    await until(lambda: pbx.fault_counts["slow"])
    account = family.runtime_data
    changed = async_capture_events(hass, "state_changed")
    change(hass, family, what)
    for _ in range(3):
        await say(hass, "At once")
    await hass.async_block_till_done()
    ours = {event.data["entity_id"] for event in changed if event.data["entity_id"].endswith("ann_messages")}
    assert ours == set()
    anns = [event.data["new_state"] for event in changed if event.data["entity_id"] == "notify.ann"]
    assert all(state.state not in {"unavailable", STATE_UNKNOWN} for state in anns)
    assert family.runtime_data is account
    assert (await under_way)["status"] == "sent"
    assert texts(pbx) == ["At once"] * 3 + ["Under way"]


async def test_a_recipient_is_added(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """It can be texted and heard at once."""
    change(hass, family, "add")
    await hass.async_block_till_done()
    await say(hass, "Hello", "eve")
    await hass.services.async_call("notify", "netsapiens_eve", {"message": "Hello"}, blocking=True)
    assert [message.destination for message in pbx.messages] == [[EVE]] * 2
    poller = family.runtime_data.poller
    await until(lambda: poller.checkpoint is not None)
    await pbx.receive(from_number=EVE, text="Hi")
    poller.poll_soon()
    await until(lambda: hass.states.get("event.eve_messages").attributes.get("message") == "Hi")  # type: ignore[union-attr]


async def test_a_recipient_is_changed(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """Names and numbers count at once, and the entities stay."""
    poller = family.runtime_data.poller
    await until(lambda: poller.checkpoint is not None)
    await pbx.receive(from_number=BOB, text="Index me")
    poller.poll_soon()
    await until(lambda: hass.states.get("event.bob_messages").attributes.get("message"))  # type: ignore[union-attr]
    change(hass, family, "rename")
    change(hass, family, "number")
    await hass.async_block_till_done()
    await say(hass, "Hello", "bob")
    await hass.services.async_call("notify", "netsapiens_robert", {"message": "Hello"}, blocking=True)
    assert not hass.services.has_service("notify", "netsapiens_bob")
    assert [message.destination for message in pbx.messages[-2:]] == [[EVE]] * 2
    devices = dr.async_entries_for_config_entry(device_registry, family.entry_id)
    assert sorted(str(device.name) for device in devices) == ["1001@acme.example", "Ann", "Robert"]
    state = hass.states.get("notify.bob")
    assert state is not None
    assert state.name == "Robert"
    await pbx.receive(from_number=EVE, text="From my new number")
    poller.poll_soon()
    await until(
        lambda: hass.states.get("event.bob_messages").attributes.get("message") == "From my new number"  # type: ignore[union-attr]
    )
    assert hass.states.get(MESSAGES).attributes["recipient"] == "Robert"


async def test_a_recipient_is_removed(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """All that was its is gone, and nothing else."""
    change(hass, family, "remove")
    await hass.async_block_till_done()
    assert hass.states.get("notify.bob") is None
    assert hass.states.get("event.bob_messages") is None
    assert not hass.services.has_service("notify", "netsapiens_bob")
    assert "bob" not in family.data["recipient_actions"]
    assert len(dr.async_entries_for_config_entry(device_registry, family.entry_id)) == 2
    signals = hass.data["dispatcher"].items()
    heard = [signal for signal, listeners in signals if listeners and "_received_" in str(signal)]
    assert sorted(str(signal).rpartition("_")[2] for signal in heard) == ["None", "ann"]
    change(hass, family, "add")
    await hass.async_block_till_done()
    await say(hass, "Hello", "eve")
    assert texts(pbx) == ["Hello"]


async def test_options_are_live(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """The next text goes by them."""
    pbx.users["1001@acme.example"].numbers.append(type(pbx.users["1001@acme.example"].numbers[0])("18585550198"))
    await family.runtime_data.coordinator.async_refresh()
    await send(hass, "One")
    options = {"from_number": "18585550198", "hourly_limit": 2, "incoming": "off"}
    hass.config_entries.async_update_entry(family, options=options)
    await until(lambda: family.runtime_data.poller is None)
    await send(hass, "Two")
    assert [message.from_number for message in pbx.messages] == [OWN, "18585550198"]
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Three")
    assert raised.value.translation_key == "hourly_limit"
    hass.config_entries.async_update_entry(family, options={**options, "incoming": "poll"})
    await until(lambda: family.runtime_data.poller is not None and family.runtime_data.poller.checkpoint is not None)


async def test_a_text_that_only_waits_is_not_shown_as_sent(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry
) -> None:
    """It is, once it went out."""
    await pbx.stop()
    await say(hass)
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi again"}, blocking=True)
    assert hass.states.get(QUEUED).state == "2"
    assert hass.states.get("notify.ann").state == STATE_UNKNOWN  # type: ignore[union-attr]
    before = dt_util.utcnow().isoformat()
    await pbx.start()
    await until(lambda: hass.states.get("notify.ann").state > before)  # type: ignore[union-attr]
    await until(lambda: len(pbx.messages) == 2)


# --- with one ------------------------------------------------------------------------


@pytest.mark.parametrize("keep_for", [0, 60])
async def test_a_reload_while_a_request_hangs(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, keep_for: int
) -> None:
    """It is quick; the one under way goes on, what comes meanwhile goes out, and each caller hears the truth."""
    before = family.runtime_data
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.8)
    under_way = asyncio.create_task(send(hass, "Under way", keep_for=keep_for))
    await until(lambda: pbx.fault_counts["slow"])
    behind = asyncio.create_task(send(hass, "Behind", keep_for=keep_for))
    await asyncio.sleep(0)
    began = time.monotonic()
    assert await hass.config_entries.async_reload(family.entry_id)
    assert time.monotonic() - began < 0.5
    assert family.runtime_data is not before
    assert family.runtime_data.queue is before.queue
    assert family.runtime_data.coordinator.api is before.coordinator.api
    await say(hass, "To Bob", "bob")
    await say(hass, "To Ann")
    assert (await under_way)["status"] == (await behind)["status"] == "sent"
    assert texts(pbx) == ["To Bob", "Under way", "Behind", "To Ann"]
    assert hass.states.get("notify.ann").state > dt_util.utc_from_timestamp(0).isoformat()  # type: ignore[union-attr]


async def test_reloads_one_after_the_other(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """A text that is under way goes out once."""
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", accept=True, seconds=0.4)
    call = asyncio.create_task(send(hass, "Alarm"))
    await until(lambda: len(pbx.messages) == 1)
    for _ in range(4):
        assert await hass.config_entries.async_reload(family.entry_id)
    assert (await call)["status"] in {"sent", "queued"}
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.7)
    assert texts(pbx) == ["Alarm"]


async def test_a_reload_tries_at_once(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """Somebody who presses Reload does not want to wait for the next attempt."""
    await close(hass, family)
    hass.data[THROTTLE_TIMING] = ThrottleTiming(circuit=CircuitTiming(away=Backoff(300.0, 300.0, jitter=0)))
    assert await hass.config_entries.async_setup(family.entry_id)
    await pbx.stop()
    assert (await send(hass))["status"] == "queued"
    await pbx.start()
    await asyncio.sleep(0.3)
    assert texts(pbx) == []
    assert await hass.config_entries.async_reload(family.entry_id)
    await until(lambda: texts(pbx) == ["Hi"])


async def test_other_credentials(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """What waits for the old ones goes with the new ones."""
    pbx.users["1001@acme.example"].password = "changed"
    pbx.revoke_tokens(refresh=True)
    call = asyncio.create_task(send(hass, "One", destination=[ANN]))
    await until(hass.config_entries.flow.async_progress)
    api = family.runtime_data.coordinator.api
    hass.config_entries.async_update_entry(family, data={**family.data, "password": "changed"})
    await until(lambda: family.state is ConfigEntryState.LOADED and family.runtime_data.coordinator.api is not api)
    await until(lambda: texts(pbx) == ["One"])
    await call
    await until(lambda: hass.states.get(QUEUED).state == "0")


async def test_other_credentials_while_a_request_is_under_way(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry
) -> None:
    """That the old ones are refused in the end says nothing of the new ones: nobody is asked to sign in again."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.5)
    call = asyncio.create_task(send(hass, "One", keep_for=60))
    await until(lambda: pbx.fault_counts["slow"])
    api = family.runtime_data.coordinator.api
    pbx.users["1001@acme.example"].password = "changed"
    pbx.revoke_tokens(refresh=True)
    hass.config_entries.async_update_entry(family, data={**family.data, "password": "changed"})
    await until(lambda: family.state is ConfigEntryState.LOADED and family.runtime_data.coordinator.api is not api)
    assert texts(pbx) == []
    await call
    await until(lambda: texts(pbx) == ["One"])
    assert hass.config_entries.flow.async_progress() == []


async def test_a_failure_during_a_reload_is_told_afterwards(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry
) -> None:
    """Nobody listened before."""
    await pbx.stop()
    await send(hass, "Alarm", keep_for=1.2)
    assert await hass.config_entries.async_unload(family.entry_id)
    await asyncio.sleep(0.5)
    assert [row["text"] for row in on_disk(hass, family)] == ["Alarm"]
    assert await hass.config_entries.async_setup(family.entry_id)
    await until(lambda: hass.states.get(MESSAGES).attributes.get("reason") == "expired")
    await until(lambda: on_disk(hass, family) == [])


async def test_a_failure_while_the_entities_go_away_is_told_afterwards(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry
) -> None:
    """Also in the middle of it."""
    genuine = hass.config_entries.async_unload_platforms

    async def slow(*args: Any) -> bool:
        done = await genuine(*args)
        await until(lambda: family.runtime_data.queue.queued == 0)
        return done

    await pbx.stop()
    await send(hass, "Alarm", keep_for=1.2)
    with patch.object(hass.config_entries, "async_unload_platforms", slow):
        assert await hass.config_entries.async_reload(family.entry_id)
    await until(lambda: hass.states.get(MESSAGES).attributes.get("reason") == "expired")


@pytest.mark.parametrize("loaded", ["as the entities have gone", "once all has gone"])
async def test_a_failure_is_not_told_to_an_account_that_is_unloaded_as_it_begins_to_listen(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, loaded: str
) -> None:
    """It waits for the rules of numbers, and an unload may come first: what failed is told after the next set-up."""
    await pbx.stop()
    rules, genuine = asyncio.Event(), hass.config_entries.async_unload_platforms
    queue = family.runtime_data.queue

    async def wait(_hass: HomeAssistant) -> None:
        await rules.wait()

    async def unload(*args: Any) -> bool:
        done = await genuine(*args)
        if loaded == "as the entities have gone":
            rules.set()
            await asyncio.sleep(0.05)
        return done

    with patch("custom_components.netsapiens.reports.async_load_metadata", wait):
        assert await hass.config_entries.async_reload(family.entry_id)  # from now on nobody listens
        await send(hass, "Alarm", keep_for=1.2)
        await until(lambda: queue.queued == 0)
        with patch.object(hass.config_entries, "async_unload_platforms", unload):
            assert await hass.config_entries.async_unload(family.entry_id)
        rules.set()
        await asyncio.sleep(0.05)
    assert await hass.config_entries.async_setup(family.entry_id)
    await until(lambda: hass.states.get(MESSAGES).attributes.get("reason") == "expired")
    await until(lambda: on_disk(hass, family) == [])


async def test_sent_during_a_reload_is_shown_afterwards(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry
) -> None:
    """The state is not lost."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.3)
    call = asyncio.create_task(say(hass))
    await until(lambda: pbx.fault_counts["slow"])
    assert await hass.config_entries.async_unload(family.entry_id)
    await until(lambda: texts(pbx) == ["Hi"])
    await call
    assert await hass.config_entries.async_setup(family.entry_id)
    await until(lambda: hass.states.get("notify.ann").state != STATE_UNKNOWN)  # type: ignore[union-attr]


async def test_sending_while_it_is_not_loaded_is_an_error(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry
) -> None:
    """Not a success of which nothing comes."""
    assert await hass.config_entries.async_unload(family.entry_id)
    with pytest.raises(HomeAssistantError):
        await send(hass)


# --- an account that does not come back ----------------------------------------------


async def test_unloaded_for_good(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """What waits is on disk after a minute, and goes out when the account is back."""
    queue = family.runtime_data.queue
    await pbx.stop()
    await send(hass, "Alarm")
    assert await hass.config_entries.async_unload(family.entry_id)
    assert not queue.is_stopped
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
    await until(lambda: queue.is_stopped and not hass.data["netsapiens_parked"])
    assert [row["text"] for row in on_disk(hass, family)] == ["Alarm"]
    await pbx.start()
    await asyncio.sleep(0.5)
    assert texts(pbx) == []
    assert await hass.config_entries.async_setup(family.entry_id)
    assert family.runtime_data.queue is not queue
    await until(lambda: texts(pbx) == ["Alarm"])


async def test_there_is_never_a_second_queue(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """It is set up again while the former queue ends: that is waited for."""
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", accept=True, seconds=0.6)
    assert (await asyncio.gather(send(hass, "Alarm"), _until_hanging(pbx)))[0]["status"] in {"sent", "queued"}
    queue = family.runtime_data.queue
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", accept=True, seconds=0.6)
    call = asyncio.create_task(send(hass, "Fire"))
    await until(lambda: texts(pbx)[-1:] == ["Fire"])
    assert await hass.config_entries.async_unload(family.entry_id)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
    await until(lambda: queue.is_stopped)
    assert await hass.config_entries.async_setup(family.entry_id)
    assert queue._backlog._scheduler.active == []
    assert family.runtime_data.queue is not queue
    assert (await call)["status"] == "queued"
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["Alarm", "Fire"]


async def _until_hanging(pbx: Simulator) -> None:
    """Wait until a request hangs."""
    await until(lambda: pbx.fault_counts["hang"])


async def test_disabled(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """What is under way comes to its end at once, and the rest waits on disk."""
    queue = family.runtime_data.queue
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.3)
    under_way = asyncio.create_task(send(hass, "Under way"))
    await until(lambda: pbx.fault_counts["slow"])
    behind = asyncio.create_task(send(hass, "Behind"))
    await asyncio.sleep(0)
    await hass.config_entries.async_set_disabled_by(family.entry_id, ConfigEntryDisabler.USER)
    assert queue.is_stopped
    assert ((await under_way)["status"], (await behind)["status"]) == ("sent", "queued")
    assert texts(pbx) == ["Under way"]
    await hass.config_entries.async_set_disabled_by(family.entry_id, None)
    await until(lambda: texts(pbx) == ["Under way", "Behind"])


async def test_removed(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """What is under way comes to its end, and the rest is counted and gone."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.3)
    under_way = asyncio.create_task(send(hass, "Under way"))
    await until(lambda: pbx.fault_counts["slow"])
    behind = asyncio.create_task(send(hass, "Behind"))
    await asyncio.sleep(0)
    await hass.config_entries.async_remove(family.entry_id)
    assert (await under_way)["status"] == "sent"
    await behind
    assert "1 waiting texts of the removed account" in caplog.text
    assert on_disk(hass, family) == []
    await asyncio.sleep(0.3)
    assert texts(pbx) == ["Under way"]


async def test_a_set_up_that_fails_leaves_the_queue_stopped(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry
) -> None:
    """Nothing is sent by an account that did not load."""
    queue = family.runtime_data.queue
    await pbx.stop()
    await send(hass, "Alarm")
    with patch.object(hass.config_entries, "async_forward_entry_setups", side_effect=RuntimeError):
        assert not await hass.config_entries.async_reload(family.entry_id)
    assert family.state is ConfigEntryState.SETUP_ERROR
    assert queue.is_stopped
    assert [row["text"] for row in on_disk(hass, family)] == ["Alarm"]
    await pbx.start()
    await asyncio.sleep(0.3)
    assert texts(pbx) == []
    assert await hass.config_entries.async_reload(family.entry_id)
    await until(lambda: texts(pbx) == ["Alarm"])


async def test_a_start_that_fails_keeps_what_waits(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry
) -> None:
    """And nothing of it goes on."""
    await pbx.stop()
    await send(hass, "Alarm")
    await close(hass, family)
    with patch.object(hass.config_entries, "async_forward_entry_setups", side_effect=RuntimeError):
        assert not await hass.config_entries.async_setup(family.entry_id)
    assert [row["text"] for row in on_disk(hass, family)] == ["Alarm"]
    assert hass.data["netsapiens_parked"] == {}


async def test_recent_texts_outlive_a_close(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """What was sent a moment ago still tells equal ones apart."""
    await send(hass, "Alarm")
    await close(hass, family)
    assert await hass.config_entries.async_setup(family.entry_id)
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    await send(hass, "Alarm")
    await until(lambda: texts(pbx) == ["Alarm"] * 2)
