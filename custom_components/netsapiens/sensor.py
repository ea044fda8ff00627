"""How many texts wait to be sent."""

from typing import override

from homeassistant.components.sensor import SensorEntity, SensorStateClass
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import NetsapiensConfigEntry
from .entity import AccountEntity

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: NetsapiensConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's sensor."""
    async_add_entities([QueuedMessages(entry)])


class QueuedMessages(AccountEntity, SensorEntity):
    """Counts the texts that wait. Known even while the PBX is away, which is when it matters."""

    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_state_class = SensorStateClass.MEASUREMENT
    _attr_translation_key = "queued_messages"

    def __init__(self, entry: NetsapiensConfigEntry) -> None:
        super().__init__(entry, "queued_messages")

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the queue."""
        await super().async_added_to_hass()
        self.async_on_remove(self._entry.runtime_data.queue.async_listen(self.async_write_ha_state))

    @property
    @override
    def native_value(self) -> int:
        """Return how many wait."""
        return self._entry.runtime_data.queue.queued
