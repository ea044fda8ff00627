"""Text with Home Assistant through a NetSapiens PBX."""

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType

from .account import NetsapiensConfigEntry
from .ask import async_setup_ask
from .card import async_add_card
from .changes import Changes
from .const import DOMAIN
from .facts import async_follow_facts
from .feeds import async_follow_account
from .get_messages import async_setup_get_messages
from .issues import check_options, check_recipients
from .media_view import MediaView
from .notify_actions import NamedActions
from .phone_metadata import async_load_metadata_at_start
from .removal import async_remove_account
from .runtime import async_begin, async_give_up, async_park
from .services import async_setup_services
from .websocket import async_setup_websocket

PLATFORMS = [Platform.BINARY_SENSOR, Platform.EVENT, Platform.IMAGE, Platform.NOTIFY, Platform.SENSOR]
CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, the address of what came with texts, and the commands of the conversation card."""
    async_setup_services(hass)
    async_setup_ask(hass)
    async_setup_get_messages(hass)
    hass.http.register_view(MediaView)
    async_setup_websocket(hass)
    async_load_metadata_at_start(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> bool:
    """Sign in to an account, add its entities and actions, and take up what waited to be sent."""
    entry.runtime_data = await async_begin(hass, entry)
    try:
        await _async_open(hass, entry)
    except BaseException:
        await async_give_up(entry.runtime_data)
        raise
    return True


async def _async_open(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Add an account's entities and actions, then start to report and to receive."""
    account = entry.runtime_data
    entry.async_on_unload(await account.refusals.async_start())
    actions = NamedActions(hass, entry)
    entry.async_on_unload(entry.add_update_listener(Changes(entry, actions).async_apply))
    async_follow_facts(hass, entry)
    check_options(hass, entry)
    check_recipients(hass, entry)
    await account.pictures.async_start()
    account.contacts.async_start()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    entry.async_on_unload(actions.async_remove)
    actions.async_update()
    entry.async_on_unload(async_follow_account(hass, entry))
    entry.async_on_unload(account.reports.async_follow(account.queue))
    await async_add_card(hass)
    account.receiver.async_start()
    entry.async_on_unload(account.questions.async_start())


async def async_unload_entry(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> bool:
    """Take an account's entities away. What was asked for goes on: this may be a reload."""
    account = entry.runtime_data
    await account.receiver.async_stop()  # first: what it reports must still be heard
    await account.pictures.async_stop()
    await account.contacts.async_stop()
    account.reports.async_hold()
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        account.reports.async_follow(account.queue)
        account.receiver.async_start()
        return False
    await async_park(hass, entry)
    return True


async def async_remove_entry(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete what is kept of an account."""
    await async_remove_account(hass, entry)
