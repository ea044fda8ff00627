"""Who opted out of texts from which of our numbers: learned from what people text, and kept with the account."""

import asyncio
from collections.abc import Callable, Iterable

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from ..errors import call_safely
from ..phone import digits_from_pbx, is_same_number
from ..recipients import readable_recipients
from ..settings import read_settings
from .opt_out_store import EVERY_NUMBER, OptOut, OptOutStore
from .opt_out_words import is_opt_in_word, is_opt_out_word
from .received import ReceivedMessage


class OptOuts:
    """Who opted out of an account's texts. With the account's option off, nobody counts as opted out.

    Parameters:
        entry: the account.
        listed: gives the numbers that the PBX lists as ours.
    """

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, listed: Callable[[], Iterable[str]] = lambda: ()
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._listed = listed
        self._store = OptOutStore(hass, entry.entry_id)
        self._opted_out: dict[OptOut, None] = {}  # in the order in which they came
        self._listeners: list[CALLBACK_TYPE] = []
        self._changes = self._saved = 0
        self._saving = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether the account's option says that opting out counts."""
        return read_settings(self._entry).opt_out

    def opts_out(self, text: str) -> bool:
        """Whether a text asks for no more texts, and the account's option says that this counts.

        Parameters:
            text: all that somebody texted.
        """
        return self.is_on and is_opt_out_word(text)

    @property
    def current(self) -> list[OptOut]:
        """Who is opted out now, the longest first; nobody where the option is off."""
        return list(self._opted_out) if self.is_on else []

    async def async_load(self) -> str | None:
        """Read who opted out before.

        Returns:
            Where the file was damaged, the name under which it was set aside; else None.
        """
        opted_out, aside = await self._store.async_load()
        self._opted_out = dict.fromkeys(opted_out)
        if aside is not None and opted_out:
            self._changes += 1  # what could be read must not get lost with the next restart
        return aside

    async def async_save(self) -> None:
        """Have on disk who opted out, unless it is there.

        Raises:
            HomeAssistantError: it could not be written.
        """
        async with self._saving:
            if (changes := self._changes) != self._saved:
                await self._store.async_save(list(self._opted_out))
                self._saved = changes

    @callback
    def async_listen(self, listener: CALLBACK_TYPE) -> Callable[[], None]:
        """Call the listener when somebody opts out or in; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def received(self, received: ReceivedMessage) -> None:
        """Learn from a message that came in. Whoever calls this saves before the message counts as reported."""
        if not received.from_number or not self.is_on:
            return
        is_out = is_opt_out_word(received.text)
        if not is_out and not is_opt_in_word(received.text):
            return
        one = OptOut(self._texted(received), self._digits(received.from_number))
        # Somebody who opts in wants texts, also if they opted out of those from a number that is not known.
        for changed in (one,) if is_out else _same(one):
            if is_out != (changed in self._opted_out):
                self._set(changed, is_out)

    async def async_opt_in(self, one: OptOut) -> None:
        """Let somebody get texts again, and have that on disk.

        Raises:
            HomeAssistantError: it could not be written, so they are opted out as before.
        """
        if one not in self._opted_out:
            return
        self._set(one, is_out=False)
        try:
            await self.async_save()
        except HomeAssistantError:
            self._set(one, is_out=True)
            raise

    def among(self, from_number: str | None, numbers: Iterable[str]) -> list[OptOut]:
        """Return who of several opted out of texts from one of our numbers.

        Parameters:
            from_number: our number, as the PBX gives it; None for a chat.
            numbers: theirs, as the PBX gives them.
        """
        if not self._opted_out or not self.is_on:
            return []
        ours = self._digits(from_number) if from_number else ""
        asked = dict.fromkeys(one for number in numbers for one in _same(OptOut(ours, self._digits(number))))
        return [one for one in asked if one in self._opted_out]

    def _texted(self, received: ReceivedMessage) -> str:
        """Return to which of our numbers a message came, as it is kept."""
        if received.message_type.startswith("chat"):
            return ""
        chosen = (data.from_number for _, data in readable_recipients(self._entry))
        ours = (*self._listed(), read_settings(self._entry).from_number, *chosen)
        region = self._hass.config.country
        is_known = any(number and is_same_number(received.to_number, number, region) for number in ours)
        return self._digits(received.to_number) if is_known else EVERY_NUMBER

    def _digits(self, number: str) -> str:
        """Return a number as digits with country code, which the PBX leaves out of some; a name in one case."""
        return digits_from_pbx(number, self._hass.config.country).casefold()

    def _set(self, one: OptOut, is_out: bool) -> None:
        """Take over that somebody opted out or in."""
        if is_out:
            self._opted_out[one] = None
        else:
            del self._opted_out[one]
        self._changes += 1
        for listener in list(self._listeners):
            call_safely(listener)


def _same(one: OptOut) -> tuple[OptOut, ...]:
    """Return under what an opt-out may be kept: that from a number of ours also as one from all of them."""
    return (one, OptOut(EVERY_NUMBER, one.theirs)) if one.ours not in {"", EVERY_NUMBER} else (one,)
