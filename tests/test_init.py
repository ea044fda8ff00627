"""Setting up, unloading, reloading."""

from collections.abc import Generator
import threading
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from phonenumbers import PhoneMetadata
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens import PLATFORMS, phone, phone_metadata
from custom_components.netsapiens.const import DOMAIN
from tests.conftest import AddAccount, recipient
from tests.helpers import until
from tests.simulator import Simulator

ANN, BOB = "18585550123", "18585550124"


async def test_the_action_is_there_without_an_account(hass: HomeAssistant) -> None:
    """Automations are checked before accounts are loaded."""
    assert await async_setup_component(hass, DOMAIN, {})
    assert hass.services.has_service(DOMAIN, "send_message")
    assert not hass.services.has_service("notify", "netsapiens")


async def test_countries_are_read_outside_the_event_loop(hass: HomeAssistant) -> None:
    """All countries' rules take a while to read."""
    threads: list[threading.Thread] = []

    def load() -> None:  # a Mock would be called in the event loop by the test's Home Assistant
        threads.append(threading.current_thread())

    with patch("custom_components.netsapiens.phone_metadata.load_metadata", load):
        assert await async_setup_component(hass, DOMAIN, {})
        await until(lambda: threads)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


@pytest.fixture
def nothing_loaded() -> Generator[list[threading.Thread]]:
    """Countries are not read when Home Assistant starts; the threads in which they are then."""
    threads: list[threading.Thread] = []
    phone.parse_destination.cache_clear()
    phone.parse_sender.cache_clear()
    phone_metadata.library.cache_clear()
    with (
        patch("custom_components.netsapiens.async_load_metadata_at_start", lambda hass: None),
        patch.object(PhoneMetadata, "load_all", lambda: threads.append(threading.current_thread())),
    ):
        yield threads
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_the_first_texts_wait_for_the_countries_and_keep_their_order(
    hass: HomeAssistant, pbx: Simulator, nothing_loaded: list[threading.Thread], add_account: AddAccount
) -> None:
    """Texts right after a start are neither lost nor mixed up."""
    await add_account(recipient("Ann", ANN), options={"from_number": "18585550199", "incoming": "off"})
    for number in range(5):
        data = {"message": f"Text {number}"}
        hass.async_create_task(hass.services.async_call("notify", "netsapiens_ann", data, blocking=True))
    await hass.async_block_till_done()
    assert [message.text for message in pbx.messages] == [f"Text {number}" for number in range(5)]


async def test_the_first_message_waits_for_the_countries(
    hass: HomeAssistant, pbx: Simulator, nothing_loaded: list[threading.Thread], entry: MockConfigEntry
) -> None:
    """Nor is one that comes in."""
    poller = entry.runtime_data.poller
    await until(lambda: poller.checkpoint is not None)
    await pbx.receive(from_number=ANN, text="Hi")
    poller.poll_soon()
    await until(lambda: hass.states.get("event.ann_messages").attributes.get("message") == "Hi")  # type: ignore[union-attr]


async def test_the_first_dialog_waits_for_the_countries(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], nothing_loaded: list[threading.Thread]
) -> None:
    """A dialog reads numbers as well."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=("18585550199", "18585550198"))
    flows = hass.config_entries.flow
    flow = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    form = await flows.async_configure(flow["flow_id"], {"next_step_id": "sign_in"})
    await flows.async_configure(form["flow_id"], account)
    made = await flows.async_configure(form["flow_id"], {"from_number": "(858) 555-0198"})
    assert made["options"] == {"from_number": "18585550198"}


async def test_setup_unload_and_reload(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """What an account adds goes and comes with it."""
    assert entry.state is ConfigEntryState.LOADED
    devices = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    assert sorted(str(device.name) for device in devices) == ["1001@acme.example", "Ann"]

    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED  # type: ignore[comparison-overlap]
    assert not hass.services.has_service("notify", "netsapiens")
    assert not hass.services.has_service("notify", "netsapiens_ann")
    assert hass.services.has_service(DOMAIN, "send_message")
    assert entry.update_listeners == []

    for _ in range(2):
        assert await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        assert entry.state is ConfigEntryState.LOADED
        assert len(entry.update_listeners) == 1
    assert len(dr.async_entries_for_config_entry(device_registry, entry.entry_id)) == 2
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True)
    assert [message.destination for message in pbx.messages] == [[ANN]]


async def test_an_unload_that_fails_stops_nothing(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The account goes on as before."""
    entry = await add_account(options={"from_number": pbx.numbers[0], "incoming": "off"})
    with patch.object(hass.config_entries, "async_unload_platforms", return_value=False):
        assert not await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.FAILED_UNLOAD
    await hass.services.async_call("notify", "netsapiens", {"message": "Hi", "target": ANN}, blocking=True)
    assert [message.destination for message in pbx.messages] == [[ANN]]
    await entry.runtime_data.coordinator.async_shutdown()
    assert await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def test_an_account_that_cannot_be_unloaded_is_removed(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Its queue ends as well: nothing is sent through an account that is gone."""
    entry = await add_account(options={"from_number": pbx.numbers[0], "incoming": "off"})
    queue = entry.runtime_data.queue
    with patch.object(hass.config_entries, "async_unload_platforms", return_value=False):
        await hass.config_entries.async_remove(entry.entry_id)
    assert queue.is_stopped
    assert hass.config_entries.async_get_entry(entry.entry_id) is None


async def test_two_accounts_do_not_mix(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Each sends and shows its own."""
    pbx.add_user("1002@acme.example", numbers=["18585550198"])
    first = await add_account(recipient("Ann", ANN))
    second = await add_account(recipient("Bob", BOB), login="1002@acme.example", action="netsapiens_two")
    assert await hass.config_entries.async_unload(first.entry_id)
    await hass.services.async_call("notify", "netsapiens_two_bob", {"message": "Hi"}, blocking=True)
    assert [message.from_number for message in pbx.messages] == ["18585550198"]
    assert second.state is ConfigEntryState.LOADED
    assert second.runtime_data.coordinator.api is not None


async def test_removed(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """Nothing is left in registries, states or actions."""
    assert await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert dr.async_entries_for_config_entry(device_registry, entry.entry_id) == []
    assert not [one for one in hass.states.async_all() if one.entity_id.startswith("notify.")]
