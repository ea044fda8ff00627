"""What a loaded account consists of."""

from dataclasses import dataclass, field

from homeassistant.config_entries import ConfigEntry
from homeassistant.helpers.dispatcher import async_dispatcher_send

from .address_book import AddressBook
from .contacts import ContactBook
from .conversations import Conversations
from .delivery.queue import DeliveryQueue
from .pbx.coordinator import NetsapiensCoordinator
from .receiving.opt_outs import OptOuts
from .receiving.pictures import Pictures
from .receiving.poller import Poller
from .receiving.questions import Questions
from .receiving.receiver import Receiver
from .refusals import Refusals
from .reports import Reports
from .signals import media_changed


@dataclass(slots=True)
class NetsapiensData:
    """The parts of a loaded account.

    Attributes:
        coordinator: the login and what the account has.
        queue: the way out.
        device_id: the account's device.
        addresses: whose number is whose.
        conversations: whom the account's conversations are with.
        opt_outs: who opted out of texts.
        refusals: what follows from that.
        questions: those that wait for an answer.
        contacts: the PBX's contacts.
        pictures: the media that comes in.
        reports: what becomes of messages, for the entities.
        receiver: the way in.
    """

    coordinator: NetsapiensCoordinator
    queue: DeliveryQueue
    device_id: str
    addresses: AddressBook = field(init=False)
    conversations: Conversations = field(init=False)
    opt_outs: OptOuts = field(init=False)
    refusals: Refusals = field(init=False)
    questions: Questions = field(init=False)
    contacts: ContactBook = field(init=False)
    pictures: Pictures = field(init=False)
    reports: Reports = field(init=False)
    receiver: Receiver = field(init=False)

    def __post_init__(self) -> None:
        """Make what needs the others."""
        hass, entry = self.coordinator.hass, self.coordinator.config_entry
        self.addresses = AddressBook(hass, entry)
        self.conversations = Conversations(self.coordinator)
        self.opt_outs = OptOuts(hass, entry, lambda: self.coordinator.data.numbers)
        self.refusals = Refusals(self.coordinator, self.opt_outs, self.addresses, self.queue.async_refuse_waiting)
        self.questions = Questions(
            self.coordinator, lambda: self.poller, self.queue.async_refuse_waiting, self.opt_outs.opts_out
        )
        self.contacts = ContactBook(self.coordinator)
        self.pictures = Pictures(self.coordinator, lambda: async_dispatcher_send(hass, media_changed(entry)))
        self.reports = Reports(
            hass,
            entry,
            self.addresses,
            self.conversations,
            self.opt_outs,
            self.questions,
            self._text_went_out,
            self.pictures,
        )
        self.receiver = Receiver(self.coordinator, self.reports.received, self.opt_outs, self.pictures)

    def _text_went_out(self) -> None:
        """Let the way in know that an answer is likely."""
        self.receiver.async_text_went_out()

    @property
    def poller(self) -> Poller | None:
        """What polls for messages, unless it is switched off."""
        return self.receiver.poller


type NetsapiensConfigEntry = ConfigEntry[NetsapiensData]
