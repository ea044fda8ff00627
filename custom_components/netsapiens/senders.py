"""The number that a message is sent from."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, NoReturn

from .api.models import SmsNumber
from .errors import refuse
from .outgoing import label_of
from .pbx.facts import AccountFacts
from .phone import InvalidNumberError, international, is_same_number, mask, parse_sender, readings


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
    wanted = asked or account.from_number
    if not wanted:
        refuse("no_sender")
    if wanted in account.facts.numbers:
        return wanted
    kept = [account.from_number, *trusted] if account.from_number else trusted
    own = [digits for number in kept if (digits := _kept(number, account.region)) is not None]
    if not asked:
        number = _kept(wanted, account.region)
    else:
        number = _meant(asked, [*account.facts.numbers, *own], account.region)
    if number is None:
        _refuse_sender(wanted, [*account.facts.numbers, *kept])
    return account.facts.listed(number, account.region) or number


def _kept(number: str, region: str | None) -> str | None:
    """Return the digits of a number that is kept, with the country code that it had when it was typed."""
    try:
        return parse_sender(international(number), region)
    except InvalidNumberError:
        return None


def _meant(asked: str, known: Collection[str], region: str | None) -> str | None:
    """Return the one of our numbers that a number means, as people or templates write it; None where it is none."""
    meant = readings(asked, region)
    exact = next((number for number in meant if number in known), None)
    return exact or next((own for number in meant for own in known if is_same_number(own, number, region)), None)


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
