"""What happened to texts, as event entities: one for the account and one for each recipient."""

from datetime import datetime

from homeassistant.components.event import EventEntity
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, restore_state
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import NetsapiensConfigEntry
from .api.models import as_time
from .const import SUBENTRY_RECIPIENT
from .entity import AccountEntity, RecipientEntity
from .inbox import ReceivedMessage
from .outbox import FailedMessage
from .phone import from_pbx

PARALLEL_UPDATES = 0

EVENT_RECEIVED = "received"
EVENT_FAILED = "failed"


async def async_setup_entry(
    hass: HomeAssistant,
    entry: NetsapiensConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's entity and its recipients'."""
    async_add_entities([AccountMessages(entry)])
    for recipient in entry.get_subentries_of_type(SUBENTRY_RECIPIENT):
        async_add_entities([RecipientMessages(entry, recipient)], config_subentry_id=recipient.subentry_id)


@callback
def newest_received(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> datetime | None:
    """Return the time of the newest message that the account's event entities are known to have shown."""
    states = restore_state.async_get(hass).last_states
    times = []
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        stored = states.get(entity.entity_id)
        kept = stored.extra_data.as_dict() if stored is not None and stored.extra_data is not None else {}
        if kept.get("last_event_type") == EVENT_RECEIVED and isinstance(kept.get("last_event_attributes"), dict):
            times.append(as_time(kept["last_event_attributes"].get("timestamp")))
    return max((time for time in times if time is not None), default=None)


class _Messages(EventEntity, Entity):
    """Fires for the messages of an account, or of one recipient."""

    _attr_event_types = [EVENT_RECEIVED, EVENT_FAILED]  # noqa: RUF012 - as the base class has it
    _attr_translation_key = "messages"
    _entry: NetsapiensConfigEntry

    @callback
    def _fire_failed(self, failed: FailedMessage) -> None:
        """Tell of a text that was answered ``queued`` and never got out."""
        message = failed.message
        recipient = self._entry.subentries.get(message.recipient_id or "")
        self._trigger_event(
            EVENT_FAILED,
            {
                "message": message.text,
                "destination": list(message.destination),
                "recipient": recipient.title if recipient else None,
                "from_number": message.from_number,
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
        """Tell of a message that came in."""
        sender = received.from_number
        if not received.message_type.startswith("chat"):
            sender = from_pbx(sender, self.hass.config.country)
        self._trigger_event(
            EVENT_RECEIVED,
            {
                "message": received.text,
                "from_number": sender,
                "to_number": received.to_number,
                "recipient": recipient,
                "message_type": received.message_type,
                "messagesession": received.messagesession,
                "message_id": received.message_id,
                "timestamp": received.timestamp.isoformat(),
                "participants": list(received.participants),
                "media_type": received.media_type,
                "media_url": received.media_url,
            },
        )
        self.async_write_ha_state()

    @callback
    def _listen(self, recipient_id: str | None) -> None:
        """Hear of failures and of what came in."""
        self._entry.runtime_data.on_failed[recipient_id] = self._fire_failed
        self._entry.runtime_data.on_received[recipient_id] = self._fire_received


class AccountMessages(_Messages, AccountEntity):
    """Fires for all messages of an account."""

    def __init__(self, entry: NetsapiensConfigEntry) -> None:
        super().__init__(entry, "messages")

    async def async_added_to_hass(self) -> None:
        """Hear of all failures."""
        await super().async_added_to_hass()
        self._listen(None)


class RecipientMessages(_Messages, RecipientEntity):
    """Fires for the messages of one recipient."""

    def __init__(self, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> None:
        super().__init__(entry, recipient, "messages")

    async def async_added_to_hass(self) -> None:
        """Hear of the failures of texts to the recipient."""
        await super().async_added_to_hass()
        self._listen(self._recipient.subentry_id)
