"""Whether a recipient opted out of texts."""

from typing import override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import NetsapiensConfigEntry
from .entity import RecipientEntity, async_add_for_recipients
from .errors import safe
from .signals import opt_outs_changed

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: NetsapiensConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the recipients' entities."""
    async_add_for_recipients(hass, entry, async_add_entities, OptedOut)


class OptedOut(RecipientEntity, BinarySensorEntity):
    """On where somebody of a recipient opted out of texts from the number that the recipient is texted from."""

    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_entity_registry_enabled_default = False
    _attr_translation_key = "opted_out"

    def __init__(self, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> None:
        super().__init__(entry, recipient, "opted_out")

    @override
    async def async_added_to_hass(self) -> None:
        """Follow who opts out and in, and what changes of the recipient."""
        await super().async_added_to_hass()
        signal = opt_outs_changed(self._entry)
        self.async_on_remove(async_dispatcher_connect(self.hass, signal, safe(self._write)))

    @callback
    def _write(self) -> None:
        """Show it."""
        self.async_write_ha_state()

    @property
    @override
    def is_on(self) -> bool | None:
        """Return whether a text to the recipient would be refused; None where its numbers cannot be read."""
        recipient = self._entry.subentries.get(self._recipient_id)
        return None if recipient is None else self._entry.runtime_data.refusals.opted_out(recipient)
