"""What a loaded account consists of."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
import logging

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import callback

from .api.models import is_digits, number_of
from .conversations import Conversations
from .delivery.queue import DeliveryQueue, FailedMessage
from .errors import call_safely
from .messages import ExistingConversation, OutgoingMessage
from .pbx.coordinator import NetsapiensCoordinator
from .phone import InvalidNumberError, from_pbx, parse_destination, readings
from .receiving.poller import Poller
from .receiving.received import ReceivedMessage
from .receiving.receiver import Receiver
from .recipients import RecipientData, read_recipient, readable_recipients

_LOGGER = logging.getLogger(__name__)

_ENDING = 4  # digits; there is no shorter number but an extension, which is its own ending


@dataclass(slots=True)
class NetsapiensData:
    """The parts of a loaded account.

    Attributes:
        coordinator: the login and what the account has.
        queue: the way out.
        device_id: the account's device.
        conversations: whom the account's conversations are with.
        receiver: the way in.
        on_sent: called, by recipient, when the PBX took a text to them.
        on_failed: called, by recipient (None for all), when a text that was answered ``queued`` is given up.
        on_received: called, by recipient (None for all), with each message that came in and the sender's name, if it
            is a recipient.
        _by_ending: the recipients, by the last digits of their numbers, once they were asked for.
        _is_indexed: whether that is so.
    """

    coordinator: NetsapiensCoordinator
    queue: DeliveryQueue
    device_id: str
    conversations: Conversations = field(init=False)
    receiver: Receiver = field(init=False)
    on_sent: dict[str | None, Callable[[], None]] = field(default_factory=dict)
    on_failed: dict[str | None, Callable[[FailedMessage], None]] = field(default_factory=dict)
    on_received: dict[str | None, Callable[[ReceivedMessage, str | None], None]] = field(default_factory=dict)
    _by_ending: dict[str, list[tuple[ConfigSubentry, RecipientData]]] = field(default_factory=dict)
    _is_indexed: bool = False

    def __post_init__(self) -> None:
        """Make what needs the others."""
        self.receiver = Receiver(self.coordinator, self.tell_received)
        self.conversations = Conversations(
            self.coordinator, lambda: self.poller.foreign_senders if self.poller is not None else {}
        )

    @property
    def poller(self) -> Poller | None:
        """What looks for messages, unless it is switched off."""
        return self.receiver.poller

    @callback
    def tell_sent(self, message: OutgoingMessage) -> None:
        """Tell the recipient's notify entity of a text that the PBX took."""
        if message.recipient_id in self.on_sent:
            call_safely(self.on_sent[message.recipient_id])

    @callback
    def tell_failure(self, failed: FailedMessage) -> None:
        """Tell the account's and the recipient's event entity of a text that was given up."""
        for listener in {None, failed.message.recipient_id} & self.on_failed.keys():
            call_safely(self.on_failed[listener], failed)

    @callback
    def tell_received(self, received: ReceivedMessage) -> None:
        """Tell the account's event entity of a message that came in, and those of the recipients whose number it is."""
        self.conversations.remember(received)
        try:
            senders = self.recipients_with(received.from_number)
        except Exception:
            # Whoever it is from, the account's event tells of it.
            _LOGGER.exception("Unexpected error while looking for the sender of a message")
            senders = []
        name = senders[0].title if senders else None
        for recipient_id in (None, *(recipient.subentry_id for recipient in senders)):
            if recipient_id in self.on_received:
                call_safely(self.on_received[recipient_id], received, name)

    @callback
    def forget_index(self) -> None:
        """Look recipients up anew: they changed."""
        self._is_indexed = False

    def recipients_with(self, number: str) -> list[ConfigSubentry]:
        """Return the recipients that have a number or extension, as the PBX gives it.

        They are looked up by the last digits: to read every recipient's numbers anew takes seconds where there are
        thousands.
        """
        entry, region = self.coordinator.config_entry, self.coordinator.hass.config.country
        if not self._is_indexed:
            self._is_indexed, self._by_ending = True, {}
            for recipient, data in readable_recipients(entry):
                for ending in {_ending(text, region) for text in data.destination}:
                    self._by_ending.setdefault(ending, []).append((recipient, data))
        digits = number_of(from_pbx(number, region))
        candidates = self._by_ending.get(number[-_ENDING:], [])
        return [recipient for recipient, data in candidates if digits in _numbers(data, region)]

    async def async_conversation(self, messagesession: str) -> ExistingConversation | None:
        """Return the conversation with this id, and the recipient that it is with; None where there is none.

        Raises:
            NetsapiensError: the PBX could not be asked.
        """
        found = await self.conversations.async_find(messagesession)
        if found is None:
            return None
        region = self.coordinator.hass.config.country
        candidates = self.recipients_with(found.others[0]) if found.others else []
        recipient = next((one for one in candidates if _is_with(read_recipient(one), found, region)), None)
        return replace(found, recipient=recipient)

    async def async_destination(self, text: str) -> str:
        """Return a destination as it was meant: bare digits may be a number here, and another one abroad.

        They mean the one that is a recipient's, or that somebody with a conversation has, where that is exactly one.
        """
        numbers = readings(text, self.coordinator.hass.config.country)
        if len(numbers) <= 1:
            return text
        known = {number for number in numbers if self.recipients_with(number)}
        known = known or await self.conversations.async_with_conversation(numbers)
        return f"+{known.pop()}" if len(known) == 1 else text


def _ending(text: str, region: str | None) -> str:
    """Return the last digits of a number as it is kept, which are those of the number as the PBX wants it."""
    if text.startswith("+") or is_digits(text):
        return number_of(text)[-_ENDING:]
    try:
        return parse_destination(text, region).number[-_ENDING:]
    except InvalidNumberError:
        return ""


def _numbers(recipient: RecipientData, region: str | None) -> list[str]:
    """Return a recipient's numbers as the PBX wants them."""
    numbers = []
    for text in recipient.destination:
        try:
            numbers.append(parse_destination(text, region).number)
        except InvalidNumberError:
            continue
    return numbers


def _is_with(recipient: RecipientData, conversation: ExistingConversation, region: str | None) -> bool:
    """Whether a conversation is with a recipient and nobody else: all of a group, or one of its numbers."""
    numbers = _numbers(recipient, region)
    if len(conversation.others) > 1 and len(numbers) != len(conversation.others):
        return False
    return all(number_of(from_pbx(other, region)) in numbers for other in conversation.others)


type NetsapiensConfigEntry = ConfigEntry[NetsapiensData]
