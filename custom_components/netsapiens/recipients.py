"""What a recipient's subentry holds. Storage that was edited or restored by hand may hold anything."""

from collections.abc import Iterator
from typing import NamedTuple

from homeassistant.config_entries import ConfigEntry, ConfigSubentry

from .const import CONF_DESTINATION, CONF_FROM_NUMBER, CONF_GROUP, SUBENTRY_RECIPIENT


class DamagedRecipientError(ValueError):
    """A recipient's data cannot be read."""


class RecipientData(NamedTuple):
    """A recipient as it was set up.

    Attributes:
        destination: its numbers, as they are kept; at least one.
        group: whether they are texted in one conversation.
        from_number: its own sender number, if it has one.
    """

    destination: tuple[str, ...]
    group: bool
    from_number: str | None


def read_recipient(recipient: ConfigSubentry) -> RecipientData:
    """Return what a recipient holds.

    Raises:
        DamagedRecipientError: it holds something else.
    """
    destination = recipient.data.get(CONF_DESTINATION)
    group, from_number = recipient.data.get(CONF_GROUP, False), recipient.data.get(CONF_FROM_NUMBER) or None
    numbers = [number for number in destination if isinstance(number, str)] if isinstance(destination, list) else []
    if not numbers or destination != numbers or not isinstance(group, bool):
        raise DamagedRecipientError("the numbers cannot be read")
    if from_number is not None and not isinstance(from_number, str):
        raise DamagedRecipientError("the sender number cannot be read")
    return RecipientData(tuple(numbers), group, from_number)


def is_damaged(recipient: ConfigSubentry) -> bool:
    """Whether a recipient cannot be read."""
    try:
        read_recipient(recipient)
    except DamagedRecipientError:
        return True
    return False


def readable_recipients(entry: ConfigEntry) -> Iterator[tuple[ConfigSubentry, RecipientData]]:
    """Yield an account's recipients, each with what it holds; those that cannot be read are passed over."""
    for recipient in entry.get_subentries_of_type(SUBENTRY_RECIPIENT):
        try:
            yield recipient, read_recipient(recipient)
        except DamagedRecipientError:
            continue
