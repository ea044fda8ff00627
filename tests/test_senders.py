"""The number that a message is sent from: exactly the one that was typed, wherever the home is."""

from functools import cache

from homeassistant.exceptions import ServiceValidationError
import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType
import pytest

from custom_components.netsapiens.api.models import Account, SmsNumber
from custom_components.netsapiens.const import CONF_FROM_NUMBER
from custom_components.netsapiens.flow_forms import with_shown_sender
from custom_components.netsapiens.pbx.facts import AccountFacts
from custom_components.netsapiens.phone import international, parse_sender
from custom_components.netsapiens.phone_metadata import load_metadata
from custom_components.netsapiens.senders import SendingAccount, sender_of

HOMES = ["US", "DE", "AT", "IT", "ID"]


@cache
def every_number() -> list[str]:
    """Return example numbers of every country, and some that are only as long as one: digits with country code."""
    load_metadata()
    examples = (
        phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
        for region in phonenumbers.SUPPORTED_REGIONS
    )
    written = {phonenumbers.format_number(number, PhoneNumberFormat.E164) for number in examples if number}
    return [*sorted(number.removeprefix("+") for number in written), "491512345678", "3546111234", "62812345678"]


def account_with(own: str | None, home: str, *listed: str) -> SendingAccount:
    """Return an account with a sender number that is kept, and those that the PBX lists."""
    account = Account("1001@acme.example", "1001", "acme.example", "1001@acme.example", "", "")
    numbers = {number: SmsNumber(number, "1001", None, None) for number in listed}
    return SendingAccount(AccountFacts(account, "44.1.2", numbers), own, home)


@pytest.mark.parametrize("home", HOMES)
def test_a_sender_goes_out_as_it_was_typed(home: str) -> None:
    """Its digits are never read again as a number of the home's country, whether the PBX lists it or not."""
    for number in every_number():
        typed = international(number)
        kept = parse_sender(typed, home)
        assert kept == number
        for asked in (None, typed, f"+{number}", number):  # a template makes an int of the third, which is the last
            assert sender_of(account_with(kept, home), asked, ()) == number, (home, asked)
            assert sender_of(account_with(None, home, number), asked or typed, ()) == number, (home, asked)
            assert sender_of(account_with("18585550199", home), asked or kept, (kept,)) == number, (home, asked)


@pytest.mark.parametrize("home", HOMES)
def test_a_form_that_is_saved_again_keeps_the_sender(home: str) -> None:
    """What the options show of it is what is kept of it."""
    for number in every_number():
        shown = with_shown_sender({CONF_FROM_NUMBER: number}, {}, home)[CONF_FROM_NUMBER]
        assert parse_sender(shown, home) == number, (home, shown)


@pytest.mark.parametrize(
    ("own", "listed", "asked", "sender"),
    [
        ("18585550199", ["8585550199"], None, "8585550199"),
        ("8585550199", [], None, "18585550199"),
        ("(858) 555-0199", [], None, "18585550199"),
        ("6505550199", ["6505550199"], None, "6505550199"),
        ("18585550199", ["18585550199", "8585550199"], "858 555 0199", "18585550199"),
        ("5215512345678", ["5215512345678"], None, "5215512345678"),
        ("12345", [], None, "12345"),
        ("12345", [], "12345", "12345"),
        ("18585550199", ["8585550198"], "+1 858-555-0198", "8585550198"),
    ],
)
def test_a_listed_sender_goes_out_as_the_pbx_lists_it(own: str, listed: list[str], asked: str, sender: str) -> None:
    """Which may be without its country code."""
    assert sender_of(account_with(own, "US", *listed), asked, ()) == sender


@pytest.mark.parametrize(
    ("own", "asked", "key"),
    [
        (None, None, "no_sender"),
        (None, "858 555 0199", "no_sender_listed"),
        ("no number", None, "foreign_sender"),
        ("no number", "858 555 0199", "foreign_sender"),
        ("1002", None, "foreign_sender"),
        ("18585550199", "+1 858-555-0198", "foreign_sender"),
        ("18585550199", "1002", "foreign_sender"),
        ("18585550199", "no number", "foreign_sender"),
    ],
)
def test_no_other_number_is_a_sender(own: str | None, asked: str | None, key: str) -> None:
    """A text never goes out from a number that is not ours."""
    with pytest.raises(ServiceValidationError) as caught:
        sender_of(account_with(own, "US"), asked, ())
    assert caught.value.translation_key == key
