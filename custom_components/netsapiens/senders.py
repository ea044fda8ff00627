"""The number that a message is sent from."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

from .api.models import SmsNumber, same_number
from .errors import refuse
from .outgoing import label_of
from .pbx.facts import AccountFacts
from .phone import InvalidNumberError, mask, parse_sender


class SendingAccount(NamedTuple):
    """What the rules need to know of an account.

    Attributes:
        facts: who it is, and its numbers.
        from_number: the number to send from by default; None where there is none.
        region: Home Assistant's country, in which numbers without a country code are; None where it is not set.
    """

    facts: AccountFacts
    from_number: str | None
    region: str | None


def sender_of(account: SendingAccount, asked: str | None, trusted: Sequence[str]) -> str:
    """Return the number to send from, as the PBX lists it.

    Parameters:
        account: whose number it must be.
        asked: as people write it; None for the account's own.
        trusted: further numbers of ours, which the PBX may not list.

    Raises:
        ServiceValidationError: there is none, or it is not the account's.
    """
    asked = asked or account.from_number
    if not asked:
        refuse("no_sender")
    known = [account.from_number, *trusted] if account.from_number else trusted
    try:
        number = parse_sender(asked, account.region)
    except InvalidNumberError:
        _refuse_sender(asked, [*account.facts.numbers, *known])
    listed = account.facts.listed(number)
    if listed is not None:
        return listed
    if not any(same_number(own, number) for own in known):
        _refuse_sender(asked, [*account.facts.numbers, *known])
    return number


def check_mms(account: SendingAccount, from_number: str, *, group: bool) -> None:
    """Refuse a picture from a number that cannot send one, by the PBX's own list. What it does not say may work.

    Raises:
        ServiceValidationError: the number cannot.
    """

    def can(number: SmsNumber) -> bool:
        """Whether a number may send that, as far as the PBX says."""
        return number.mms_capable is not False and not (group and number.group_mms_capable is False)

    numbers = account.facts.numbers
    if from_number not in numbers or can(numbers[from_number]):
        return
    if others := label_of(number for number, facts in numbers.items() if can(facts)):
        refuse("sender_without_group_mms" if group else "sender_without_mms", number=mask(from_number), others=others)
    refuse(
        "sender_without_group_mms_nor_others" if group else "sender_without_mms_nor_others", number=mask(from_number)
    )


def _refuse_sender(asked: str, own: Iterable[str]) -> NoReturn:
    """Refuse a sender number that is not the account's, and name those that are."""
    if numbers := label_of(sorted(set(own))):
        refuse("foreign_sender", number=mask(asked), numbers=numbers)
    refuse("no_sender_listed", number=mask(asked))
