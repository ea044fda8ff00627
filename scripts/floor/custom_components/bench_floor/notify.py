"""A notify entity for each recipient."""

from homeassistant.components.notify import NotifyEntity
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from . import Bare


class BareNotify(Bare, NotifyEntity):
    """Sends nothing."""


async def async_setup_entry(
    hass: HomeAssistant, entry: ConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add them."""
    for recipient in entry.subentries.values():
        async_add_entities([BareNotify(recipient, "notify")], config_subentry_id=recipient.subentry_id)
