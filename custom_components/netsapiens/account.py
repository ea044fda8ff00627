"""What a loaded account consists of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import callback

from .api.models import same_number
from .const import CONF_DESTINATION, SUBENTRY_RECIPIENT
from .coordinator import NetsapiensCoordinator
from .inbox import Inbox, ReceivedMessage
from .outbox import FailedMessage, Outbox
from .phone import InvalidNumberError, parse_destination

_ENDING = 4  # digits; there is no shorter number but an extension, which is its own ending


@dataclass(slots=True)
class NetsapiensData:
    """The parts of a loaded account.

    Attributes:
        coordinator: the login and what the account has.
        outbox: the way out.
        device_id: the account's device.
        inbox: the way in, unless it is switched off.
        on_texted: called, by recipient, when a text to them was taken.
        on_failed: called, by recipient (None for all), when a text that was answered ``queued`` is given up.
        on_received: called, by recipient (None for all), with each message that came in and the sender's name, if it
            is a recipient.
        _by_ending: the recipients, by the last digits of their numbers, once they were asked for.
        _indexed: of which recipients that is.
    """

    coordinator: NetsapiensCoordinator
    outbox: Outbox
    device_id: str
    inbox: Inbox | None = None
    on_texted: dict[str, Callable[[], None]] = field(default_factory=dict)
    on_failed: dict[str | None, Callable[[FailedMessage], None]] = field(default_factory=dict)
    on_received: dict[str | None, Callable[[ReceivedMessage, str | None], None]] = field(default_factory=dict)
    _by_ending: dict[str, list[ConfigSubentry]] = field(default_factory=dict)
    _indexed: Mapping[str, ConfigSubentry] | None = None

    @callback
    def tell_failure(self, failed: FailedMessage) -> None:
        """Tell the account's and the recipient's event entity of a text that was given up."""
        for listener in {None, failed.message.recipient_id} & self.on_failed.keys():
            self.on_failed[listener](failed)

    @callback
    def tell_received(self, received: ReceivedMessage) -> None:
        """Tell the account's event entity of a message that came in, and those of the recipients whose number it is."""
        senders = self._senders_of(received)
        name = senders[0].title if senders else None
        for recipient_id in (None, *(recipient.subentry_id for recipient in senders)):
            if recipient_id in self.on_received:
                self.on_received[recipient_id](received, name)

    def _senders_of(self, received: ReceivedMessage) -> list[ConfigSubentry]:
        """Return the recipients whose number a message came from.

        They are looked up by the last digits: to read every recipient's numbers anew takes seconds where there are
        thousands.
        """
        entry, region = self.coordinator.config_entry, self.coordinator.hass.config.country
        if self._indexed is not entry.subentries:
            self._indexed, self._by_ending = entry.subentries, {}
            for recipient in entry.get_subentries_of_type(SUBENTRY_RECIPIENT):
                for ending in {_ending(text, region) for text in recipient.data[CONF_DESTINATION]}:
                    self._by_ending.setdefault(ending, []).append(recipient)
        candidates = self._by_ending.get(received.from_number[-_ENDING:], [])
        return [recipient for recipient in candidates if _is_from(received, recipient, region)]


def _ending(text: str, region: str | None) -> str:
    """Return the last digits of a number as it is kept, which are those of the number as the PBX wants it."""
    if text.isascii() and text.removeprefix("+").isdigit():
        return text[-_ENDING:]
    try:
        return parse_destination(text, region).number[-_ENDING:]
    except InvalidNumberError:
        return ""


def _is_from(received: ReceivedMessage, recipient: ConfigSubentry, region: str | None) -> bool:
    """Whether a message came from one of a recipient's numbers."""
    for text in recipient.data[CONF_DESTINATION]:
        try:
            number = parse_destination(text, region).number
        except InvalidNumberError:
            continue
        sender = received.from_number  # user@domain for one of another domain
        if number == sender or (sender.isdigit() and same_number(number, sender)):
            return True
    return False


type NetsapiensConfigEntry = ConfigEntry[NetsapiensData]
