"""What happened to texts, as event entities: one for the account and one for each recipient."""

from homeassistant.components.event import EventEntity
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import NetsapiensConfigEntry
from .const import EVENT_FAILED, EVENT_RECEIVED
from .delivery.results import FailedMessage
from .entity import AccountEntity, RecipientEntity, async_add_for_recipients
from .errors import safe
from .phone import from_pbx, international
from .receiving.received import ReceivedMessage
from .signals import message_failed, message_received

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: NetsapiensConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's entity and its recipients'."""
    async_add_entities([AccountMessages(entry)])
    async_add_for_recipients(hass, entry, async_add_entities, RecipientMessages)


class _Messages(EventEntity, Entity):
    """Fires for the messages of an account, or of one recipient."""

    _attr_event_types = [EVENT_RECEIVED, EVENT_FAILED]  # noqa: RUF012 - as the base class has it
    _attr_translation_key = "messages"
    _entry: NetsapiensConfigEntry

    @callback
    def _fire_failed(self, failed: FailedMessage) -> None:
        """Report a text that was answered ``queued`` and never got out."""
        message = failed.message
        recipient = self._entry.subentries.get(message.recipient_id or "")
        self._trigger_event(
            EVENT_FAILED,
            {
                "message": message.text,
                "destination": [international(number) for number in message.destination],
                "recipient": recipient.title if recipient else None,
                "from_number": message.from_number and from_pbx(message.from_number, self.hass.config.country),
                "message_type": message.message_type,
                "messagesession": message.messagesession,
                "reason": failed.reason,
                "error": failed.error,
                "timestamp": failed.timestamp.isoformat(),
            },
        )
        self.async_write_ha_state()

    @callback
    def _fire_received(self, received: ReceivedMessage, recipient: str | None) -> None:
        """Report a message that came in."""
        region = self.hass.config.country
        self._trigger_event(
            EVENT_RECEIVED,
            {
                "message": received.text,
                "from_number": received.shown(received.from_number, region),
                "to_number": received.shown(received.to_number, region),
                "recipient": recipient,
                "contact": self._contact_of(received.from_number),
                "message_type": received.message_type,
                "messagesession": received.messagesession,
                "message_id": received.message_id,
                "timestamp": received.timestamp.isoformat(),
                "participants": [received.shown(number, region) for number in received.participants],
                "media_type": received.media_type,
                "media_content_id": received.media_content_id,
                "is_answer": received.is_answer,
            },
        )
        self.async_write_ha_state()

    def _contact_of(self, number: str) -> str | None:
        """Return what the PBX's contacts call a number; the next message has what is newer."""
        contacts = self._entry.runtime_data.contacts
        contacts.async_refresh()
        return contacts.name_of(number)

    @callback
    def _listen(self, recipient_id: str | None) -> None:
        """Fire for failures and for what comes in."""
        failed, received = message_failed(self._entry, recipient_id), message_received(self._entry, recipient_id)
        self.async_on_remove(async_dispatcher_connect(self.hass, failed, safe(self._fire_failed)))
        self.async_on_remove(async_dispatcher_connect(self.hass, received, safe(self._fire_received)))


class AccountMessages(_Messages, AccountEntity):
    """Fires for all messages of an account."""

    def __init__(self, entry: NetsapiensConfigEntry) -> None:
        super().__init__(entry, "messages")

    async def async_added_to_hass(self) -> None:
        """Fire for all of them."""
        await super().async_added_to_hass()
        self._listen(None)


class RecipientMessages(_Messages, RecipientEntity):
    """Fires for the messages of one recipient."""

    def __init__(self, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> None:
        super().__init__(entry, recipient, "messages")

    async def async_added_to_hass(self) -> None:
        """Fire for those to and from the recipient."""
        await super().async_added_to_hass()
        self._listen(self._recipient_id)
