"""What becomes of messages, reported to the entities."""

from collections.abc import Callable
import logging

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.start import async_at_started

from .address_book import AddressBook
from .const import DOMAIN
from .conversations import Conversations
from .delivery.queue import DeliveryQueue
from .delivery.results import FailedMessage
from .errors import call_safely, log_unexpected
from .outgoing import OutgoingMessage
from .phone_metadata import async_load_metadata
from .receiving.opt_outs import OptOuts
from .receiving.pictures import Pictures
from .receiving.questions import Questions
from .receiving.received import ReceivedMessage
from .signals import message_failed, message_out, message_received, message_sent

_LOGGER = logging.getLogger(__name__)


def _nothing() -> None:
    """End a wait that there is not."""


class Reports:
    """Reports an account's messages: to its own entities first, then to those of the recipients.

    Parameters:
        entry: the account.
        addresses: whose number is whose.
        conversations: remembers who texted us.
        opt_outs: learns who opts out of texts.
        questions: those that wait for an answer.
        text_went_out: called when the PBX took a message.
        pictures: keeps what comes with a message.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        addresses: AddressBook,
        conversations: Conversations,
        opt_outs: OptOuts,
        questions: Questions,
        text_went_out: Callable[[], None],
        pictures: Pictures,
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._addresses = addresses
        self._conversations = conversations
        self._opt_outs = opt_outs
        self._questions = questions
        self._text_went_out = text_went_out
        self._pictures = pictures
        self._queue: DeliveryQueue | None = None
        self._end_wait: CALLBACK_TYPE = _nothing

    @callback
    def async_follow(self, queue: DeliveryQueue) -> CALLBACK_TYPE:
        """Report what the queue sends from now on, and failures once automations listen; return what ends that."""
        self._queue = queue
        queue.async_report_sent(self.sent)

        async def report_failures(_hass: HomeAssistant) -> None:
            """Report failures from now on, and those from before."""
            await async_load_metadata(self._hass)  # events show numbers as people read them
            if self._queue is queue:
                queue.async_report_failures(self.failed)

        self._end_wait = async_at_started(self._hass, report_failures)
        return self.async_hold

    @callback
    def async_hold(self) -> None:
        """Report nothing any more: what comes up is held back until somebody follows again."""
        self._end_wait()
        self._end_wait = _nothing
        if self._queue is not None:
            self._queue.async_hold_reports()
            self._queue = None

    @callback
    def sent(self, message: OutgoingMessage) -> None:
        """Report a message that the PBX took, also to the recipient's notify entity."""
        self._text_went_out()
        if message.reference is not None:
            call_safely(self._questions.async_sent, message.reference)
        async_dispatcher_send(self._hass, message_out(self._entry), message)
        async_dispatcher_send(self._hass, message_sent(self._entry, None))
        if message.recipient_id is not None:
            async_dispatcher_send(self._hass, message_sent(self._entry, message.recipient_id))

    @callback
    def failed(self, failed: FailedMessage) -> None:
        """Report a message that failed after it was queued, unless it is of a question that has ended."""
        if self._questions.is_over(failed.message):
            return
        if failed.message.reference is not None:
            error = HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="question_not_sent",
                translation_placeholders={"error": failed.error},
            )
            call_safely(self._questions.async_failed, failed.message.reference, error)
        async_dispatcher_send(self._hass, message_failed(self._entry, None), failed)
        if (recipient_id := failed.message.recipient_id) is not None:
            async_dispatcher_send(self._hass, message_failed(self._entry, recipient_id), failed)

    @callback
    def received(self, received: ReceivedMessage) -> None:
        """Report a message that came in, also to the recipients whose number it is from."""
        self._conversations.remember(received)
        call_safely(self._opt_outs.received, received)
        try:
            senders = self._addresses.recipients_with(received.from_number)
        except Exception as err:  # noqa: BLE001
            # Whoever it is from, the account's event reports it.
            log_unexpected(_LOGGER, "looking for the sender of a message", err)
            senders = []
        received = self._for_question(received)
        recipient_ids = tuple(sender.subentry_id for sender in senders)
        for recipient_id in (None, *recipient_ids):
            sender = self._addresses.recipient_with(received.from_number, recipient_id) if senders else None
            name = sender.title if sender else None
            async_dispatcher_send(self._hass, message_received(self._entry, recipient_id), received, name)
        self._pictures.take(received, recipient_ids)

    def _for_question(self, received: ReceivedMessage) -> ReceivedMessage:
        """Return a message that came in, with whether a question was waiting for it."""
        try:
            return self._questions.async_received(received)
        except Exception as err:  # noqa: BLE001
            # Its event is fired all the same.
            log_unexpected(_LOGGER, "looking for the question that a message answers", err)
            return received
