"""A notify entity for each recipient."""

from typing import override

from homeassistant.components.notify import NotifyEntity, NotifyEntityFeature
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import NetsapiensConfigEntry
from .const import DOMAIN
from .entity import RecipientEntity, async_add_for_recipients
from .errors import safe
from .request import SendRequest
from .sending import async_send
from .signals import message_sent

# The queue keeps the order and the rate; a text that hangs must not hold up the next one here.
PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: NetsapiensConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the recipients of an account."""
    async_add_for_recipients(hass, entry, async_add_entities, NetsapiensNotifyEntity)


class NetsapiensNotifyEntity(RecipientEntity, NotifyEntity):
    """Texts one recipient. Always available: Home Assistant skips what is not, and a text must not be skipped."""

    _attr_name = None
    _attr_supported_features = NotifyEntityFeature.TITLE
    _attr_translation_key = "recipient"

    def __init__(self, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> None:
        super().__init__(entry, recipient, "notify")

    @override
    async def async_added_to_hass(self) -> None:
        """Show each text that the PBX took, through whichever entry point it came."""
        await super().async_added_to_hass()
        signal = message_sent(self._entry, self._recipient_id)
        self.async_on_remove(async_dispatcher_connect(self.hass, signal, safe(self._record_sent)))

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Text the recipient; the title becomes the first line."""
        recipient = self._entry.subentries.get(self._recipient_id)
        if recipient is None:  # removed a moment ago
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="not_a_recipient",
                translation_placeholders={"target": self.entity_id},
            )
        await async_send(self.hass, [(self._entry, SendRequest(recipients=[recipient], message=message, title=title))])

    @callback  # type: ignore[misc]
    @override
    def _async_record_notification(self) -> None:
        """Record nothing.

        Home Assistant calls this after each text that it handed over, also where it only waits, and has no other way
        to leave one out. It is final for type checkers only; without it, a text would count as sent too early.
        """

    @callback
    def _record_sent(self) -> None:
        """Record a text that the PBX took."""
        super()._async_record_notification()
