"""What is left to do when an account is removed."""

import logging

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from .delivery.store import QueueStore
from .issues import clear_all, raise_texts_dropped
from .outgoing_log import async_forget_log
from .pbx.store import FactsStore
from .receiving.pictures_store import async_remove_media
from .receiving.push import async_end_push
from .receiving.store import CheckpointStore
from .runtime import async_end, async_forget, async_give_up, label_in

_LOGGER = logging.getLogger(__name__)


async def async_remove_account(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete what is kept of an account, and say what will not be sent any more."""
    if hasattr(entry, "runtime_data"):  # it could not be unloaded
        await async_give_up(entry.runtime_data)
    await async_end(hass, entry.entry_id)
    clear_all(hass, entry)
    store = QueueStore(hass, entry.entry_id, label_in(entry))
    dropped, _ = await store.async_load()
    if dropped:
        _LOGGER.warning("%s waiting texts of the removed account %s were dropped", len(dropped), entry.title)
        raise_texts_dropped(hass, entry, len(dropped))
    await store.async_remove()
    await FactsStore(hass, entry.entry_id).async_remove()
    await CheckpointStore(hass, entry.entry_id).async_remove()
    await async_remove_media(hass, entry.entry_id)
    await async_end_push(hass, entry.data)
    async_forget(hass, entry.entry_id)
    async_forget_log(hass, entry.entry_id)
