"""What follows where somebody opted out: nothing goes to them, what waits is refused, and a repair issue names them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.dispatcher import async_dispatcher_send

from .address_book import AddressBook, numbers_of
from .const import DOMAIN
from .issues import OptedOutIssue, check_opt_outs, raise_opt_outs_damaged
from .outgoing import OutgoingMessage
from .pbx.coordinator import NetsapiensCoordinator
from .phone import InvalidNumberError, mask, parse_destination
from .phone_metadata import async_load_metadata
from .receiving.opt_out_store import EVERY_NUMBER, OptOut
from .receiving.opt_outs import OptOuts
from .recipients import DamagedRecipientError, read_recipient
from .settings import read_settings
from .signals import opt_outs_changed


class Refusal(NamedTuple):
    """Why a message does not go out: somebody whom it is for opted out.

    Attributes:
        who: as an error may name them: recipients by name, others by the last four digits.
        number: the last four digits of our number that they have to text.
    """

    who: str
    number: str


class OptedOutError(ServiceValidationError):
    """Names who opted out, and what they have to text to get texts again.

    Attributes:
        refusals: who, and from which numbers; one or more.
    """

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(
            translation_domain=DOMAIN,
            translation_key="opted_out",
            translation_placeholders={
                "recipients": ", ".join(dict.fromkeys(one.who for one in refusals)),
                "numbers": ", ".join(dict.fromkeys(one.number for one in refusals)),
            },
        )
        self.refusals = refusals


class Refusals:
    """Refuses an account's messages to people who opted out.

    Parameters:
        coordinator: the account.
        opt_outs: who opted out.
        addresses: whose number is whose.
        refuse_waiting: ends the waiting messages that a function names, with an error.
    """

    def __init__(
        self,
        coordinator: NetsapiensCoordinator,
        opt_outs: OptOuts,
        addresses: AddressBook,
        refuse_waiting: Callable[[Callable[[OutgoingMessage], bool], HomeAssistantError], None],
    ) -> None:
        self._hass: HomeAssistant = coordinator.hass
        self._entry: ConfigEntry = coordinator.config_entry
        self._coordinator = coordinator
        self._opt_outs = opt_outs
        self._addresses = addresses
        self._refuse_waiting = refuse_waiting

    async def async_start(self) -> CALLBACK_TYPE:
        """Read who opted out, before anything else can go to them, and follow that; return what ends it."""
        if (aside := await self._opt_outs.async_load()) is not None:
            raise_opt_outs_damaged(self._hass, self._entry, aside)
        if self._opt_outs.current:
            await async_load_metadata(self._hass)  # else nobody's numbers are looked at
        self.async_check()
        return self._opt_outs.async_listen(self.async_check)

    def error_of(self, message: OutgoingMessage) -> OptedOutError | None:
        """Return why a message must not go, where somebody whom it is for opted out; None where it may."""
        opted_out = self._opt_outs.among(message.from_number, message.destination)
        return OptedOutError([self._refusal(one, message.from_number) for one in opted_out]) if opted_out else None

    def opted_out(self, recipient: ConfigSubentry) -> bool | None:
        """Return whether a text to a recipient would be refused; None where its numbers cannot be read."""
        try:
            data = read_recipient(recipient)
            if not self._opt_outs.current:
                return False  # and no number has to be read
            region = self._hass.config.country
            destinations = [parse_destination(text, region) for text in data.destination]
        except DamagedRecipientError, InvalidNumberError:
            return None
        sender = data.from_number or read_settings(self._entry).from_number
        return any(
            self._opt_outs.among(None if one.is_extension else sender, [one.number])
            for one in destinations
            if one.is_extension or sender
        )

    @callback
    def async_check(self) -> None:
        """Show who is opted out now: also where recipients or options changed."""
        check_opt_outs(self._hass, self._entry, [self._issue(one) for one in self._opt_outs.current])
        async_dispatcher_send(self._hass, opt_outs_changed(self._entry))
        for one in self._opt_outs.current:
            self._refuse_waiting(partial(self._is_to, one), OptedOutError([self._refusal(one)]))

    def _is_to(self, one: OptOut, message: OutgoingMessage) -> bool:
        """Whether a message goes to somebody from the number whose texts they do not want."""
        return one in self._opt_outs.among(message.from_number, message.destination)

    def _refusal(self, one: OptOut, from_number: str | None = None) -> Refusal:
        """Return why nothing goes to somebody.

        Parameters:
            from_number: the number that they are texted from, where they opted out of all; None for the account's own.
        """
        default = from_number or read_settings(self._entry).from_number
        ours = default if one.ours == EVERY_NUMBER else one.ours
        return Refusal(self._name(one.theirs), mask(ours or self._coordinator.data.account.user))

    def _issue(self, one: OptOut) -> OptedOutIssue:
        """Return what the repair issue of somebody says."""
        shown = self._refusal(one)
        return OptedOutIssue(one.ours, one.theirs, shown.who, shown.number)

    def _name(self, number: str) -> str:
        """Return whom a person would say it is: a recipient's name, and which number where it has several."""
        region = self._hass.config.country
        recipients = self._addresses.recipients_with(number)
        numbers = {one.title: numbers_of(read_recipient(one), region) for one in recipients}
        alone = next((title for title, all_numbers in numbers.items() if len(all_numbers) == 1), None)
        if alone is not None:
            return alone
        shown = mask(number) if any(char.isdigit() for char in number) else number
        return f"{recipients[0].title} ({shown})" if recipients else shown
