"""What the PBX says of an account, shown and kept."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.start import async_at_started

from .account import NetsapiensConfigEntry
from .entity import async_show_sender, version_shown
from .issues import check_hourly_limit, check_sender
from .pbx.store import FactsStore
from .phone_metadata import is_metadata_loaded


@callback
def async_follow_facts(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Show and keep what the PBX says of an account, until it is unloaded."""
    account, devices, store = entry.runtime_data, dr.async_get(hass), FactsStore(hass, entry.entry_id)
    coordinator = account.coordinator

    @callback
    def take_over() -> None:
        """Show and keep what the PBX says now. This listener also keeps the coordinator polling."""
        if coordinator.last_update_success:
            devices.async_update_device(account.device_id, sw_version=version_shown(coordinator.data))
            if is_metadata_loaded():  # else it is checked below
                check_sender(hass, entry, coordinator.data)
            check_hourly_limit(hass, entry, account.queue.taken_last_hour)  # seen now and then: the hour may be over
            entry.async_create_task(hass, store.async_save(coordinator.data))

    entry.async_on_unload(coordinator.async_add_listener(take_over))
    take_over()

    async def show_sender(_hass: HomeAssistant) -> None:
        """Show the number that texts come from, and whether the PBX lists it, once numbers can be read."""
        await async_show_sender(hass, entry)
        if entry.state is ConfigEntryState.LOADED:
            check_sender(hass, entry, coordinator.data)

    entry.async_on_unload(async_at_started(hass, show_sender))
