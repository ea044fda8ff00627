"""Door 1: a notify entity for each recipient."""

from typing import override

from homeassistant.components.notify import NotifyEntity, NotifyEntityFeature
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import NetsapiensConfigEntry
from .compose import SendRequest
from .const import SUBENTRY_RECIPIENT
from .entity import RecipientEntity
from .sending import async_send

# The outbox keeps the order and the pace; a text that hangs must not hold up the next one here.
PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: NetsapiensConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the recipients of an account."""
    for recipient in entry.get_subentries_of_type(SUBENTRY_RECIPIENT):
        async_add_entities([NetsapiensNotifyEntity(entry, recipient)], config_subentry_id=recipient.subentry_id)


class NetsapiensNotifyEntity(RecipientEntity, NotifyEntity):
    """Texts one recipient. Always available: Home Assistant skips what is not, and a text must not be skipped."""

    _attr_name = None
    _attr_supported_features = NotifyEntityFeature.TITLE
    _attr_translation_key = "recipient"

    def __init__(self, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> None:
        super().__init__(entry, recipient, "notify")

    @override
    async def async_added_to_hass(self) -> None:
        """Show the texts that come through the other doors as well."""
        await super().async_added_to_hass()
        self._entry.runtime_data.on_texted[self._recipient.subentry_id] = self._async_record_notification

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Text the recipient; the title becomes the first line."""
        await async_send(
            self.hass, [(self._entry, SendRequest(recipients=[self._recipient], message=message, title=title))]
        )
