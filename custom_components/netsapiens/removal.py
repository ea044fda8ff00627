"""What is left to do when an account is removed."""

import logging

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .account import NetsapiensConfigEntry
from .card import async_remove_card
from .delivery.spool import Spool
from .issues import clear_all, raise_texts_dropped
from .outgoing_log import async_forget_log
from .pbx.store import FactsStore
from .receiving.opt_out_store import OptOutStore
from .receiving.pictures_store import async_remove_media
from .receiving.push import async_end_push
from .receiving.store import CheckpointStore
from .runtime import async_end, async_forget, async_give_up

_LOGGER = logging.getLogger(__name__)


async def async_remove_account(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Delete what is kept of an account, and say what will not be sent any more."""
    if hasattr(entry, "runtime_data"):  # it could not be unloaded
        await async_give_up(entry.runtime_data)
    await async_end(hass, entry.entry_id)
    clear_all(hass, entry)
    await _async_drop_waiting(hass, entry)
    await FactsStore(hass, entry.entry_id).async_remove()
    await CheckpointStore(hass, entry.entry_id).async_remove()
    await OptOutStore(hass, entry.entry_id).async_remove()
    await async_remove_media(hass, entry.entry_id)
    await async_end_push(hass, entry.data)
    async_forget(hass, entry.entry_id)
    async_forget_log(hass, entry.entry_id)
    async_remove_card(hass)


async def _async_drop_waiting(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Delete the texts that waited, and say how many."""
    spool = Spool(hass, entry.entry_id)
    try:
        dropped = len((await spool.async_load()).messages)
        await spool.async_remove()
    except HomeAssistantError as err:
        _LOGGER.warning("The waiting texts of the removed account %s could not be deleted: %s", entry.title, err)
        return
    if dropped:
        _LOGGER.warning("%s waiting texts of the removed account %s were dropped", dropped, entry.title)
        raise_texts_dropped(hass, entry, dropped)
