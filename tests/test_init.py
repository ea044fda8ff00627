"""Setting up, unloading, reloading."""

import threading
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.const import DOMAIN
from tests.conftest import AddAccount, recipient
from tests.simulator import Simulator

ANN, BOB = "18585550123", "18585550124"


async def test_the_action_is_there_without_an_account(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    assert hass.services.has_service(DOMAIN, "send_message")
    assert not hass.services.has_service("notify", "netsapiens")


async def test_countries_are_read_outside_the_event_loop(hass: HomeAssistant) -> None:
    threads: list[threading.Thread] = []

    def load() -> None:  # a Mock would be called in the event loop by the test's Home Assistant
        threads.append(threading.current_thread())

    with patch("custom_components.netsapiens.load_metadata", load):
        assert await async_setup_component(hass, DOMAIN, {})
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_setup_unload_and_reload(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
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
    entry = await add_account(options={"from_number": pbx.numbers[0], "incoming": "off"})
    with patch.object(hass.config_entries, "async_unload_platforms", return_value=False):
        assert not await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.FAILED_UNLOAD
    await hass.services.async_call("notify", "netsapiens", {"message": "Hi", "target": ANN}, blocking=True)
    assert [message.destination for message in pbx.messages] == [[ANN]]


async def test_two_accounts_do_not_mix(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
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
    assert await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert dr.async_entries_for_config_entry(device_registry, entry.entry_id) == []
    assert not [one for one in hass.states.async_all() if one.entity_id.startswith("notify.")]
