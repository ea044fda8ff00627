"""How many texts wait to be sent, and how many the PBX took."""

import logging
from typing import override

from homeassistant.components.sensor import RestoreSensor, SensorEntity, SensorStateClass
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import NetsapiensConfigEntry
from .entity import AccountEntity
from .errors import safe
from .signals import message_sent

PARALLEL_UPDATES = 0

_LOGGER = logging.getLogger(__name__)
_COOLDOWN = 1.0  # seconds; of many texts in a row, the state is not written for each


async def async_setup_entry(
    hass: HomeAssistant,
    entry: NetsapiensConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's sensors."""
    async_add_entities([QueuedMessages(entry), SentMessages(entry)])


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


class SentMessages(AccountEntity, RestoreSensor):
    """Counts the texts that the PBX took, those that had to wait too. Goes on after a restart."""

    _attr_native_value: int
    _attr_state_class = SensorStateClass.TOTAL_INCREASING
    _attr_translation_key = "sent_messages"

    def __init__(self, entry: NetsapiensConfigEntry) -> None:
        super().__init__(entry, "sent_messages")
        self._attr_native_value = 0

    @override
    async def async_added_to_hass(self) -> None:
        """Go on from the last count, and follow what the PBX takes."""
        await super().async_added_to_hass()
        last = await self.async_get_last_sensor_data()
        if last is not None and isinstance(last.native_value, int) and last.native_value > 0:
            self._attr_native_value = last.native_value
        write = Debouncer(
            self.hass,
            _LOGGER,
            cooldown=_COOLDOWN,
            immediate=True,
            function=safe(self.async_write_ha_state),
            background=True,
        )
        self.async_on_remove(write.async_shutdown)

        @callback
        def count() -> None:
            """Count one more text."""
            self._attr_native_value += 1
            write.async_schedule_call()

        signal = message_sent(self._entry, None)
        self.async_on_remove(async_dispatcher_connect(self.hass, signal, safe(count)))
