"""Whose number is whose: an account's recipients, found by their numbers."""

from collections.abc import Iterable
from typing import NamedTuple

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant, callback

from .api.values import is_digits, number_of
from .phone import InvalidNumberError, digits_from_pbx, parse_destination
from .recipients import RecipientData, read_recipient, readable_recipients

_ENDING = 4  # digits; there is no shorter number but an extension, which is its own ending


class AddressBook:
    """Finds an account's recipients by the last digits of their numbers.

    To read every recipient's numbers anew for each message takes seconds where there are thousands.

    Parameters:
        entry: the account.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._by_ending: dict[str, list[tuple[ConfigSubentry, RecipientData]]] | None = None

    @callback
    def forget(self) -> None:
        """Read the recipients anew: they changed."""
        self._by_ending = None

    def recipients_with(self, number: str) -> list[ConfigSubentry]:
        """Return the recipients that have a number or extension, those first that name it best.

        That is a person rather than a group that they are in, and somebody who has no other number.

        Parameters:
            number: as the PBX gives it.
        """
        region = self._hass.config.country
        if self._by_ending is None:
            self._by_ending = self._indexed(region)
        digits = digits_from_pbx(number, region)
        candidates = self._by_ending.get(number[-_ENDING:], [])
        found = [(recipient, data) for recipient, data in candidates if digits in numbers_of(data, region)]
        found.sort(key=lambda one: (one[1].group, len(one[1].destination)))
        return [recipient for recipient, _ in found]

    def recipient_with(self, number: str, recipient_id: str | None = None) -> ConfigSubentry | None:
        """Return the recipient that a number names best.

        Parameters:
            number: as the PBX gives it.
            recipient_id: of a recipient that is preferred where it has that number, unless it is a group.
        """
        found = self.recipients_with(number)
        preferred = (one for one in found if one.subentry_id == recipient_id and not read_recipient(one).group)
        return next(preferred, next(iter(found), None))

    def _indexed(self, region: str | None) -> dict[str, list[tuple[ConfigSubentry, RecipientData]]]:
        """Return the recipients by the last digits of their numbers."""
        by_ending: dict[str, list[tuple[ConfigSubentry, RecipientData]]] = {}
        for recipient, data in readable_recipients(self._entry):
            for ending in {_ending(text, region) for text in data.destination}:
                by_ending.setdefault(ending, []).append((recipient, data))
        return by_ending


class Addressee(NamedTuple):
    """Whom messages are for: what distinguishes them from those for others.

    Attributes:
        recipient_id: the recipient's.
        people: who takes part in each conversation with them.
    """

    recipient_id: str
    people: frozenset[frozenset[str]]

    def gets(self, recipient_id: str | None, destination: Iterable[str]) -> bool:
        """Whether a message is for them.

        Parameters:
            recipient_id: the recipient's that it was for, if it was for one.
            destination: the numbers that it goes to.
        """
        return recipient_id == self.recipient_id or frozenset(destination) in self.people


def addressee_of(recipient: ConfigSubentry, region: str | None) -> Addressee:
    """Return whom messages to a recipient are for.

    Parameters:
        recipient: which.
        region: the home's country, as ISO 3166 names it.

    Raises:
        DamagedRecipientError: its data cannot be read.
    """
    return Addressee(recipient.subentry_id, frozenset(people_of(read_recipient(recipient), region)))


def numbers_of(recipient: RecipientData, region: str | None) -> list[str]:
    """Return a recipient's numbers as the PBX wants them; those that are none are left out.

    Parameters:
        recipient: whose.
        region: the home's country, as ISO 3166 names it.
    """
    numbers = []
    for text in recipient.destination:
        try:
            numbers.append(parse_destination(text, region).number)
        except InvalidNumberError:
            continue
    return numbers


def people_of(recipient: RecipientData, region: str | None) -> list[frozenset[str]]:
    """Return who takes part in each conversation with a recipient: all of a group, or one of its numbers.

    Parameters:
        recipient: which.
        region: the home's country, as ISO 3166 names it.
    """
    numbers = numbers_of(recipient, region)
    return [frozenset(numbers)] if recipient.group else [frozenset({number}) for number in numbers]


def _ending(text: str, region: str | None) -> str:
    """Return the last digits of a number as it is kept, which are those of the number as the PBX wants it."""
    if text.startswith("+") or is_digits(text):
        return number_of(text)[-_ENDING:]
    try:
        return parse_destination(text, region).number[-_ENDING:]
    except InvalidNumberError:
        return ""
