"""An event entity for each recipient."""

from homeassistant.components.event import EventEntity
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from . import Bare


class BareEvent(Bare, EventEntity):
    """Never fires."""

    _attr_event_types = ["received"]  # noqa: RUF012 - as the base class has it


async def async_setup_entry(
    hass: HomeAssistant, entry: ConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add them."""
    for recipient in entry.subentries.values():
        async_add_entities([BareEvent(recipient, "messages")], config_subentry_id=recipient.subentry_id)
