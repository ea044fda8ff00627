"""The signals of an account's parts to its entities, sent by Home Assistant's dispatcher."""

from homeassistant.config_entries import ConfigEntry
from homeassistant.util.signal_type import SignalType

from .const import DOMAIN
from .delivery.results import FailedMessage
from .outgoing import OutgoingMessage
from .receiving.received import ReceivedMessage


def recipients_changed(entry: ConfigEntry) -> SignalType[()]:
    """Return the signal that an account's recipients changed."""
    return SignalType(f"{DOMAIN}_recipients_{entry.entry_id}")


def opt_outs_changed(entry: ConfigEntry) -> SignalType[()]:
    """Return the signal that somebody opted out of an account's texts, or in again."""
    return SignalType(f"{DOMAIN}_opt_outs_{entry.entry_id}")


def media_changed(entry: ConfigEntry) -> SignalType[()]:
    """Return the signal that what is kept of the media that came in changed."""
    return SignalType(f"{DOMAIN}_media_{entry.entry_id}")


def message_sent(entry: ConfigEntry, recipient_id: str | None) -> SignalType[()]:
    """Return the signal that the PBX took a message to a recipient; None for those of the whole account."""
    return SignalType(f"{DOMAIN}_sent_{entry.entry_id}_{recipient_id}")


def message_out(entry: ConfigEntry) -> SignalType[OutgoingMessage]:
    """Return the signal that the PBX took a message, whomever it is for."""
    return SignalType(f"{DOMAIN}_out_{entry.entry_id}")


def message_failed(entry: ConfigEntry, recipient_id: str | None) -> SignalType[FailedMessage]:
    """Return the signal that a queued message to a recipient failed; None for those of the whole account."""
    return SignalType(f"{DOMAIN}_failed_{entry.entry_id}_{recipient_id}")


def message_received(entry: ConfigEntry, recipient_id: str | None) -> SignalType[ReceivedMessage, str | None]:
    """Return the signal that a recipient texted us, with their name; None for all that text the account."""
    return SignalType(f"{DOMAIN}_received_{entry.entry_id}_{recipient_id}")
