"""What the PBX's contacts are called, for texts that come in and for the dialog of a recipient. Never on disk."""

import asyncio
from dataclasses import dataclass
from functools import partial
import logging
from typing import Final, NamedTuple

from homeassistant.core import callback
from homeassistant.util.hass_dict import HassKey

from .api import ContactAPI, NetsapiensError, NetsapiensRequestError
from .api.contacts import MAX_CONTACTS, Contact
from .api.values import is_digits, number_of
from .const import DOMAIN, INCOMING_OFF
from .pbx.coordinator import NetsapiensCoordinator
from .phone import (
    InvalidNumberError,
    digits_from_pbx,
    from_pbx,
    national,
    parse_destination,
    to_store,
)
from .phone_metadata import async_load_metadata
from .settings import read_settings

_LOGGER = logging.getLogger(__name__)

_MOST: Final = 5000
_ENDING: Final = 7  # digits, by which contacts are found; a number abroad may be written in several ways before them


@dataclass(frozen=True, slots=True)
class ContactTiming:
    """When contacts are read, in seconds.

    Attributes:
        interval: how old they may be.
        ask_again: until they may be asked for again after a failure.
        within: how long a dialog waits for them.
    """

    interval: float = 1800.0
    ask_again: float = 60.0
    within: float = 5.0


CONTACT_TIMING: HassKey[ContactTiming] = HassKey(f"{DOMAIN}_contact_timing")
"""Where another timing is kept; it holds for accounts that are set up later."""


class ContactChoice(NamedTuple):
    """A contact as the dialog of a recipient offers it.

    Attributes:
        label: what is shown, which is different from the others.
        name: the contact's name.
        number: as people at home write it.
    """

    label: str
    name: str
    number: str


class ContactBook:
    """The contacts of one account.

    Parameters:
        coordinator: the account.
    """

    def __init__(self, coordinator: NetsapiensCoordinator) -> None:
        self._hass = coordinator.hass
        self._coordinator = coordinator
        self._timing = self._hass.data.get(CONTACT_TIMING) or ContactTiming()
        self._contacts: list[Contact] = []
        self._by_ending: dict[str, list[tuple[str, str]]] = {}  # a number as it is written, and its contact's name
        self._due = 0.0  # by the loop's clock
        self._is_refused = False
        self._reading: asyncio.Task[None] | None = None

    @callback
    def async_start(self) -> None:
        """Read the contacts ahead of the first texts, unless none come in."""
        if read_settings(self._coordinator.config_entry).incoming != INCOMING_OFF:
            self.async_refresh()

    @callback
    def async_refresh(self) -> None:
        """Read the contacts in the background, unless they are fresh, or the PBX refused to show them."""
        if self._reading is not None or self._is_refused or self._hass.loop.time() < self._due:
            return
        self._reading = self._hass.async_create_background_task(self._read(), "netsapiens contacts")
        self._reading.add_done_callback(self._done)

    def _done(self, _task: asyncio.Task[None]) -> None:
        """Let them be read again."""
        self._reading = None

    async def _read(self) -> None:
        """Read them."""
        api = ContactAPI(self._coordinator.api)
        try:
            contacts = await self._pages(api)
        except NetsapiensRequestError as err:
            _LOGGER.debug("The PBX does not show its contacts: status %s", err.status)
            self._is_refused = True
        except NetsapiensError as err:
            _LOGGER.debug("The contacts could not be read: %s", type(err).__name__)
            # A PBX that asks to wait holds back texts, too.
            self._due = self._hass.loop.time() + (self._timing.interval if err.asks_to_wait else self._timing.ask_again)
        else:
            self._by_ending = await self._hass.async_add_executor_job(_indexed, contacts)
            self._contacts = contacts
            self._due = self._hass.loop.time() + self._timing.interval

    async def _pages(self, api: ContactAPI) -> list[Contact]:
        """Return the contacts, each once; every page is a request of its own to the rate limiter."""
        contacts: dict[Contact, None] = {}
        for start in range(0, _MOST, MAX_CONTACTS):
            found = await self._coordinator.throttle.run(partial(api.get_contacts, start=start))
            known = len(contacts)
            contacts |= dict.fromkeys(found)
            if len(found) < MAX_CONTACTS or len(contacts) == known:
                break  # the last page, or it does not know `start`
        return list(contacts)

    async def async_stop(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    @callback
    def name_of(self, number: str) -> str | None:
        """Return the name of the contact with a number, as far as they were read; None where there is none.

        Parameters:
            number: as the PBX gives it, or an extension.
        """
        if not is_digits(number):
            return None
        region = self._hass.config.country
        digits = digits_from_pbx(number, region)
        for written, name in self._by_ending.get(number[-_ENDING:], []):
            try:
                if digits in (number_of(written), parse_destination(written, region).number):
                    return name
            except InvalidNumberError:
                continue
        return None

    async def async_choices(self) -> list[ContactChoice]:
        """Return the contacts that can be texted, by name; where they cannot be had in time, those known from before.

        The PBX is asked each time, also after it refused: a person may just have added one there, or been allowed to.
        """
        self._due, self._is_refused = 0.0, False
        self.async_refresh()
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=self._timing.within)
        if not self._contacts:
            return []
        await async_load_metadata(self._hass)
        region = self._hass.config.country
        return await self._hass.async_add_executor_job(_choices_of, self._contacts, region)


# --- in the executor: there may be thousands --------------------------------------------


def _indexed(contacts: list[Contact]) -> dict[str, list[tuple[str, str]]]:
    """Return the contacts' numbers and names by the last digits of the numbers."""
    found: dict[str, list[tuple[str, str]]] = {}
    for contact in contacts:
        for number in contact.numbers if contact.name else ():
            digits = "".join(char for char in number if "0" <= char <= "9")
            if digits:
                found.setdefault(digits[-_ENDING:], []).append((number, contact.name))
    return found


def _choices_of(contacts: list[Contact], region: str | None) -> list[ContactChoice]:
    """Return what can be chosen: a contact with each number, each once."""
    found: dict[str, ContactChoice] = {}
    for contact in contacts:
        for written in contact.numbers:
            try:
                number = national(to_store(from_pbx(written, region), region), region)
            except InvalidNumberError:
                continue
            label = f"{contact.name} · {number}" if contact.name else number
            found.setdefault(label, ContactChoice(label, contact.name or number, number))
    return sorted(found.values(), key=lambda choice: choice.label.casefold())
