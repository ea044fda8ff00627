"""Text with Home Assistant through a NetSapiens PBX."""

import logging

from homeassistant.components import persistent_notification
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.translation import async_get_translations
from homeassistant.helpers.typing import ConfigType

from .account import NetsapiensConfigEntry
from .changes import Changes
from .const import DOMAIN
from .delivery.store import QueueStore
from .entity import version_shown
from .issues import check_options, check_recipients, check_sender, clear_all
from .markdown import plain
from .notify_actions import NamedActions
from .pbx.store import FactsStore
from .phone import async_load_metadata, load_metadata
from .receiving.push import async_end_push
from .receiving.store import CheckpointStore
from .runtime import async_begin, async_end, async_forget, async_give_up, async_park, label_in
from .services import async_setup_services

_LOGGER = logging.getLogger(__name__)

PLATFORMS = [Platform.EVENT, Platform.NOTIFY, Platform.SENSOR]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the action."""
    async_setup_services(hass)

    @callback
    def load(_hass: HomeAssistant) -> None:
        """Be ready to read numbers; whoever has to read some before waits for it."""
        hass.async_add_executor_job(load_metadata)

    async_at_started(hass, load)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> bool:
    """Sign in to an account, open its doors, and take up what waited to be sent."""
    entry.runtime_data = await async_begin(hass, entry)
    try:
        await _async_open(hass, entry)
    except BaseException:
        await async_give_up(entry.runtime_data)
        raise
    return True


async def _async_open(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Open an account's doors."""
    account = entry.runtime_data
    actions = NamedActions(hass, entry)
    entry.async_on_unload(entry.add_update_listener(Changes(entry, actions).async_apply))
    _follow_facts(hass, entry)
    check_options(hass, entry)
    check_recipients(hass, entry)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    entry.async_on_unload(actions.async_remove)
    actions.async_update()
    _report(hass, entry)
    account.receiver.async_start()


@callback
def _report(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Tell what becomes of texts; of failures only once automations listen."""
    account = entry.runtime_data
    account.queue.async_report_sent(account.tell_sent)

    async def report_failures(_hass: HomeAssistant) -> None:
        await async_load_metadata(hass)  # events show numbers as people read them
        account.queue.async_report_failures(account.tell_failure)

    entry.async_on_unload(async_at_started(hass, report_failures))


def _follow_facts(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Show and keep what the PBX says of the account."""
    account, devices, store = entry.runtime_data, dr.async_get(hass), FactsStore(hass, entry.entry_id)
    coordinator = account.coordinator

    @callback
    def take_over() -> None:
        """Show and keep what the PBX says now. This listener also keeps the coordinator polling."""
        if coordinator.last_update_success:
            devices.async_update_device(account.device_id, sw_version=version_shown(coordinator.data))
            check_sender(hass, entry, coordinator.data)
            entry.async_create_task(hass, store.async_save(coordinator.data))

    entry.async_on_unload(coordinator.async_add_listener(take_over))
    take_over()


async def async_unload_entry(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> bool:
    """Close an account's doors. What was asked for goes on: this may be a reload."""
    account = entry.runtime_data
    await account.receiver.async_stop()  # first: what it tells must still be heard
    account.queue.async_hold_reports()
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        _report(hass, entry)
        account.receiver.async_start()
        return False
    await async_park(hass, entry)
    return True


async def async_remove_entry(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete what is kept of an account, and say what will not be sent any more."""
    if hasattr(entry, "runtime_data"):  # it could not be unloaded
        await async_give_up(entry.runtime_data)
    await async_end(hass, entry.entry_id)
    store = QueueStore(hass, entry.entry_id, label_in(entry))
    dropped, _ = await store.async_load()
    if dropped:
        _LOGGER.warning("%s waiting texts of the removed account %s were dropped", len(dropped), entry.title)
        persistent_notification.async_create(
            hass,
            await _async_dropped(hass, entry, len(dropped)),
            title="NetSapiens",
        )
    await store.async_remove()
    await FactsStore(hass, entry.entry_id).async_remove()
    await CheckpointStore(hass, entry.entry_id).async_remove()
    await async_end_push(hass, entry.data)
    async_forget(hass, entry.entry_id)
    clear_all(hass, entry)


async def _async_dropped(hass: HomeAssistant, entry: ConfigEntry, count: int) -> str:
    """Return how many texts were dropped with an account, in Home Assistant's language."""
    words = await async_get_translations(hass, hass.config.language, "common", {DOMAIN})
    sentence = words[f"component.{DOMAIN}.common.dropped_{'one' if count == 1 else 'several'}"]
    return sentence.format(count=count, account=plain(entry.title))
