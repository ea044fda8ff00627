"""Numbers as people write them -> as the PBX wants them."""

from pathlib import Path
import subprocess
import sys
import time

from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template
from hypothesis import example, given, settings, strategies as st
import phonenumbers
from phonenumbers import PhoneNumberType
import pytest

from custom_components.netsapiens.phone import (
    Destination,
    InvalidNumberError,
    from_pbx,
    international,
    is_name,
    is_same_number,
    mask,
    national,
    parse_destination,
    parse_sender,
    readings,
    shown_name,
    split_numbers,
    to_store,
)
from custom_components.netsapiens.phone_metadata import load_metadata

ROOT = Path(__file__).resolve().parent.parent
RLM, LRE, PDF, ZWSP, NBSP, HYPHEN = "\u200f", "\u202a", "\u202c", "\u200b", "\u00a0", "\u2011"
FULL_WIDTH = str.maketrans("0123456789+()", "".join(chr(ord(char) + 0xFEE0) for char in "0123456789+()"))
ARABIC = str.maketrans("0123456789", "".join(chr(0x0660 + digit) for digit in range(10)))


@pytest.mark.parametrize(
    ("region", "text", "number"),
    [
        (None, "8585550123", "18585550123"),
        ("US", "8585550123", "18585550123"),
        ("US", "18585550123", "18585550123"),
        ("US", "+18585550123", "18585550123"),
        ("US", "(858) 555-0123", "18585550123"),
        ("US", "1 (858) 555-0123", "18585550123"),
        ("US", " 858.555.0123 ", "18585550123"),
        ("US", "858/555/0123", "18585550123"),
        ("US", f"858{NBSP}555{HYPHEN}0123", "18585550123"),
        ("US", f"{LRE}+1 858 555 0123{PDF}", "18585550123"),
        ("US", f"{RLM}858{ZWSP}5550123", "18585550123"),
        ("US", "+1 (858) 555-0123".translate(FULL_WIDTH), "18585550123"),
        ("US", "8585550123".translate(ARABIC), "18585550123"),
        ("US", "+442079460958".translate(ARABIC), "442079460958"),
        ("US", "tel:+1-858-555-0123", "18585550123"),
        ("US", "TEL: 858 555 0123", "18585550123"),
        ("US", "sms:+18585550123", "18585550123"),
        ("US", "1-800-FLOWERS", "18003569377"),
        ("US", "(800) flowers", "18003569377"),
        ("US", "858-555-0CAB", "18585550222"),
        ("US", "858 555 0123".ljust(64, "-"), "18585550123"),
        ("US", "011 44 20 7946 0958", "442079460958"),
        ("US", "+44 (0)20 7946 0958", "442079460958"),
        ("US", "(+44) 20 7946 0958", "442079460958"),
        ("US", "442079460958", "442079460958"),
        ("US", "61412345678", "61412345678"),
        ("CA", "416-555-0123", "14165550123"),
        ("GB", "020 7946 0958", "442079460958"),
        ("GB", "07400 123456", "447400123456"),
        ("GB", "447400123456", "447400123456"),
        ("GB", "0044 7400 123456", "447400123456"),
        ("GB", "+1 858 555 0123", "18585550123"),
        ("GB", "18585550123", "18585550123"),
        ("GB", "4722345678", "4722345678"),  # as long as one of the country, but none
        ("DE", "030 901820", "4930901820"),
        ("DE", "0151/234 567 89", "4915123456789"),
        ("DE", "4930901820", "4930901820"),
        ("DE", "+1 858 555 0123", "18585550123"),
        ("AU", "0412 345 678", "61412345678"),
        ("AU", "(02) 9876 5432", "61298765432"),
        ("AU", "61412345678", "61412345678"),
        ("AU", "0011 1 858 555 0123", "18585550123"),
        ("NO", "22 34 56 78", "4722345678"),
        ("NO", "4722345678", "4722345678"),
        ("IT", "02 1234 5678", "390212345678"),
        ("MX", "55 1234 5678", "525512345678"),
        ("MX", "+52 1 55 1234 5678", "525512345678"),  # as it was written until 2020, and as PBXs still give it
        ("MX", "5215512345678", "525512345678"),
        ("US", "+52 1 55 1234 5678", "525512345678"),
        ("US", "011 52 1 55 1234 5678", "525512345678"),
        ("US", "5215512345678", "525512345678"),
        ("MX", "15512345678", "15512345678"),  # in New Jersey
        ("BR", "(11) 91234-5678", "5511912345678"),
        ("BR", "4004-1234", "5540041234"),
    ],
)
def test_phone_numbers(region: str | None, text: str, number: str) -> None:
    """What people write is the number that they mean, in their country."""
    assert parse_destination(text, region) == Destination(number, is_extension=False)
    assert parse_sender(text, region) == number


@pytest.mark.parametrize(
    ("text", "number", "is_extension"),
    [
        ("101", "101", True),
        (" 1002 ", "1002", True),
        ("0012", "0012", True),
        ("1002".translate(FULL_WIDTH), "1002", True),
        ("12345", "12345", False),
        ("262966", "262966", False),
        (" 262966\n", "262966", False),
    ],
)
@pytest.mark.parametrize("region", ["US", "DE", "IT"])
def test_short_ones(region: str, text: str, number: str, is_extension: bool) -> None:
    """Extensions and short codes are told apart by their length and country."""
    assert parse_destination(text, region) == Destination(number, is_extension=is_extension)


@pytest.mark.parametrize("text", ["555-01", "262 966", "26-29-66", "10-02", "10 02", "(1002)", "262.966", "1 0 1"])
@pytest.mark.parametrize("region", ["US", "DE", "IT"])
def test_a_piece_of_a_number_is_none(region: str, text: str) -> None:
    """Nothing is guessed from half of a number."""
    with pytest.raises(InvalidNumberError):
        parse_destination(text, region)
    with pytest.raises(InvalidNumberError):
        parse_sender(text, region)


@pytest.mark.parametrize(
    ("text", "message_type", "destination"),
    [
        ("1002", "sms", Destination("1002", is_extension=False)),
        ("1002", "mms", Destination("1002", is_extension=False)),
        ("1002", "chat", Destination("1002", is_extension=True)),
        ("12345", "chat", Destination("12345", is_extension=True)),
        ("1002@acme.example", "chat-media", Destination("1002@acme.example", is_extension=True)),
        ("ann.smith", "chat", Destination("ann.smith", is_extension=True)),
        ("12345", "sms", Destination("12345", is_extension=False)),
        ("858 555 0123", "mms", Destination("18585550123", is_extension=False)),
    ],
)
def test_the_message_type_overrides(text: str, message_type: str, destination: Destination) -> None:
    """Somebody who says chat means an extension."""
    assert parse_destination(text, "US", message_type) == destination


BAD = [
    "2430095018011",  # two trunk zeros: read again, it would be another number
    "",
    " ",
    "+",
    "()",
    "7",
    "12",
    "555-0123",
    "555 01234",
    "+1 858 555 012",
    "+1 858 555 01234",
    "858 555 0123 x12",
    "858-555-0123 ext. 12",
    "tel:+18585550123;ext=12",
    "858 555 0123,,12#",
    "858 555 0123 home",
    "858 555 01AB",
    "858 555 0123".ljust(65, "-"),
    "Ann 858 555 0123",
    "Ann",
    "858 555 O123",
    "858 555 0123 or 858 555 0124",
    "8585550123@acme.example",
    "0412 345 678",
    "*67 858 555 0123",
    "8585550123.0",
    "18585550123.0",
    "1002.0",
    "1e10",
    "\ud83d\udcde",
    "\N{TELEPHONE RECEIVER}8585550123",
    "{{ number }}",
    "None",
    "1" * 65,
    "1" * 10_000,
]


@pytest.mark.parametrize("text", BAD)
def test_not_a_number(text: str) -> None:
    """What is none is an error, and never somebody's number."""
    with pytest.raises(InvalidNumberError):
        parse_destination(text, "US")
    with pytest.raises(InvalidNumberError):
        parse_sender(text, "US")


@pytest.mark.parametrize(
    "text",
    [
        "858 555 O123",
        "030 901820 (home)",
        "030 901820 ext",
        "30901820.0",
        "1002.0",
        "*31#030901820",
        "Ann 030 901820",
        "030 901820 oder 030 901821",
    ],
)
def test_no_length_gives_a_slip_away_in_germany(text: str) -> None:
    """Its numbers have any length: what stands beside one would become part of it, and reach somebody else."""
    with pytest.raises(InvalidNumberError):
        parse_destination(text, "DE")


@pytest.mark.parametrize("text", ["91234-5678", "912345678", "3456-7890", "+55 91234-5678"])
def test_a_number_without_its_area_code_is_none(text: str) -> None:
    """In Brazil it is long enough to be taken for another one."""
    with pytest.raises(InvalidNumberError):
        parse_destination(text, "BR")


@pytest.mark.parametrize("text", ["1002", "101"])
def test_an_extension_is_no_sender(text: str) -> None:
    """Texts come from a phone number."""
    with pytest.raises(InvalidNumberError):
        parse_sender(text, "US")


@pytest.mark.parametrize(
    ("text", "region", "stored"),
    [
        ("858 555 0123", "US", "+1 858-555-0123"),
        ("1002", "US", "1002"),
        ("12345", "US", "12345"),
        ("+44 20 7946 0958", "US", "+44 20 7946 0958"),
        ("+47 22 34 56 78", "US", "+47 22 34 56 78"),
        ("22 34 56 78", "NO", "+47 22 34 56 78"),
        ("+1 858 555 0123", "DE", "+1 858-555-0123"),
        ("030 901820", "DE", "+49 30 901820"),
    ],
)
def test_what_is_stored_means_the_same_again(text: str, region: str, stored: str) -> None:
    """What is kept of a number is what was meant when it was typed."""
    assert to_store(text, region) == stored
    assert parse_destination(stored, region) == parse_destination(text, region)


@pytest.mark.parametrize(
    ("number", "region", "shown"),
    [
        ("18585550123", "US", "+1 858-555-0123"),
        ("18585550123", None, "+1 858-555-0123"),
        ("18585550123", "DE", "+1 858-555-0123"),
        ("8585550123", "US", "+1 858-555-0123"),
        ("6505550123", "US", "+1 650-555-0123"),
        ("4930901820", "DE", "+49 30 901820"),
        ("4915112345678", "DE", "+49 1511 2345678"),
        ("15123456789", "DE", "+1 512-345-6789"),
        ("4792345678", "US", "+47 92 34 56 78"),
        ("436641234567", "DE", "+43 664 1234567"),
        ("5215512345678", "MX", "+52 55 1234 5678"),
        ("5215512345678", "US", "+52 55 1234 5678"),
        ("12345", "DE", "12345"),
        ("999", "US", "999"),
        ("1", "US", "1"),
        ("1234567", "US", "1234567"),
        ("anonymous", "US", "anonymous"),
        ("O2", "US", "O2"),
        ("1002@other.example", "US", "1002@other.example"),
        ("", "US", ""),
    ],
)
def test_what_the_pbx_gave_is_shown_internationally(number: str, region: str | None, shown: str) -> None:
    """So that it can be used everywhere."""
    assert from_pbx(number, region) == shown


@pytest.mark.parametrize(
    ("one", "other", "region", "same"),
    [
        ("18585550123", "(858) 555-0123", "US", True),
        ("18585550123", "8585550123", "GB", True),  # the home's country may not be the PBX's
        ("447700900123", "07700900123", "GB", True),
        ("447700900123", "07700900123", "FR", False),
        ("447700900123", "07710900123", "GB", False),
        ("6591230123", "91230123", "SG", True),
        ("4591230123", "91230123", "SG", False),
        ("4915112345678", "015112345678", "DE", True),
        ("24123", "24123", "US", True),
        ("18585550123", "0123", "US", False),
        ("AMAZON", "AMAZON", "US", True),
        ("AMAZON", "AMAZON2", "US", False),
        ("", "", "US", False),
        ("", "18585550123", "US", False),
    ],
)
def test_two_spellings_of_a_number(one: str, other: str, region: str, same: bool) -> None:
    """The PBX may write a number in one list with its country code, and in another as people at home do."""
    assert is_same_number(one, other, region) is same
    assert is_same_number(other, one, region) is same


@pytest.mark.parametrize(
    ("text", "region", "form"),
    [
        ("18585550124", "US", "(858) 555-0124"),
        ("+1 858-555-0124", None, "(858) 555-0124"),
        ("+1 416-555-0124", "US", "(416) 555-0124"),
        ("+1 858-555-0124", "DE", "+1 858-555-0124"),
        ("+49 30 901820", "DE", "030 901820"),
        ("+49 30 901820", "US", "+49 30 901820"),
        ("+44 20 7946 0958", "GB", "020 7946 0958"),
        ("1002", "US", "1002"),
        ("12345", "US", "12345"),
        ("anonymous", "US", "anonymous"),
        ("", "US", ""),
    ],
)
def test_a_form_shows_a_number_as_people_at_home_write_it(text: str, region: str | None, form: str) -> None:
    """And what is shown can be typed again."""
    assert national(text, region) == form


@pytest.mark.parametrize(
    ("text", "region", "found"),
    [
        ("4915112345678", "DE", ("494915112345678", "4915112345678")),
        ("18585550123", "DE", ("4918585550123", "18585550123")),
        ("4792345678", "US", ("14792345678", "4792345678")),
        ("18585550123", "US", ("18585550123",)),
        ("+4915112345678", "DE", ("4915112345678",)),
        ("858-555-0123", "US", ("18585550123",)),
        ("1002", "DE", ("1002",)),
        ("AMAZON", "DE", ()),
    ],
)
def test_bare_digits_may_be_two_numbers(text: str, region: str, found: tuple[str, ...]) -> None:
    """Both readings are known, to ask whose it is."""
    assert readings(text, region) == found


@pytest.mark.parametrize("text", ["AMAZON", "O2", "Bank24", "bob123@gmail.com", "hello", "Ann"])
def test_a_name_is_no_slip_in_a_number(text: str) -> None:
    """A sender that is a name is told as that."""
    assert is_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "555-0123",
        "858 555 O123",
        "",
        "?",
        "555 01AB",
        "Ann 858 555 0123",
        "The code of the garage is 4711",
        f"{'a' * 60}@acme.example",
    ],
)
def test_a_slip_in_a_number_is_no_name(text: str) -> None:
    """A number with a typing mistake is told as that."""
    assert not is_name(text)


@pytest.mark.parametrize(
    ("text", "shown"), [("AMAZON", "AMAZON"), ("bob123@gmail.com", "…@gmail.com"), ("a" * 30, "a" * 20 + "…")]
)
def test_a_name_in_an_error(text: str, shown: str) -> None:
    """It is shown as far as it can be no number."""
    assert shown_name(text) == shown


def test_split_numbers() -> None:
    """Several numbers in a field are told apart, and a pause in one is not."""
    assert split_numbers(" 1002, 1003;1004\n1005 ") == ["1002", "1003", "1004", "1005"]
    assert split_numbers(["1002,1003", "", " , ", "1004"]) == ["1002", "1003", "1004"]
    assert split_numbers("") == []
    assert split_numbers("858 555 0123;858 555 0124\r\n8585550125;18585550126") == [
        *("858 555 0123", "858 555 0124", "8585550125", "18585550126")
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("8585550123,,123", "8585550123,,123#", "8585550123,;123", "858 555 0123 ,,, 123", "8585550123;123"),
        *("(858) 555-0123;1002#", "8585550123p123", "8585550123w123", "8585550123;123,8585550124"),
    ],
)
def test_what_is_dialled_after_a_pause_is_nobody(text: str) -> None:
    """Neither the number nor what comes behind it may be texted: the latter is the extension of somebody else."""
    (part, *_) = split_numbers([text, "8585550125"])
    assert part == text
    for region in ("US", "DE", "GB"):
        with pytest.raises(InvalidNumberError):
            parse_destination(part, region)
    assert split_numbers(f"{text}\n8585550125")[-1] == "8585550125"


@pytest.mark.parametrize("unit", ["1", "1 ", "1;", "1,", ";", " ", "1234567;1", "(1)\n"])
def test_numbers_are_split_in_no_time(unit: str) -> None:
    """However long the field is."""

    def measure(count: int) -> float:
        text = unit * count
        began = time.thread_time()
        split_numbers(text)
        return time.thread_time() - began

    few = min(measure(10_000) for _ in range(3))
    assert min(measure(100_000) for _ in range(3)) < 30 * few + 0.5  # a square would take seconds


@pytest.mark.parametrize(
    ("text", "masked"), [("18585550123", "…0123"), ("+1 (858) 555-01 23", "…0123"), ("12", "…12"), ("Ann", "…")]
)
def test_mask(text: str, masked: str) -> None:
    """What is shown of a number tells it apart and no more."""
    assert mask(text) == masked


SPELLINGS = st.text(st.sampled_from("0123456789+-() ./xXeEaA#*;,:@telsm\u0661\uff11\u200e\u00a0"), max_size=24)
ANY_TEXT = st.one_of(st.text(max_size=70), SPELLINGS)
REGIONS = st.sampled_from([None, "US", "GB", "DE", "AU", "NO", "IT", "BR"])


@settings(max_examples=150, deadline=None, database=None)
@given(ANY_TEXT, REGIONS)
@example("+47 22 34 56 78", "US")
@example("+1 858 555 0123", "DE")
@example("\u00b2\u00b2\u00b2\u00b2", "US")
def test_any_text_is_a_number_or_an_error(text: str, region: str | None) -> None:
    """And a number is digits, whatever was written."""
    try:
        destination = parse_destination(text, region)
    except InvalidNumberError:
        return
    number = destination.number
    assert number.isascii()
    assert number.isdigit()
    assert destination.is_extension == (len(number) in (3, 4))
    if len(number) > 6:
        assert number[0] != "0"
        assert len(number) <= 17
        assert parse_destination(f"+{number}", region) == destination
    assert parse_destination(to_store(text, region), region) == destination


@settings(max_examples=100, deadline=None, database=None)
@given(ANY_TEXT, REGIONS)
def test_any_text_is_a_sender_or_an_error(text: str, region: str | None) -> None:
    """The same for senders."""
    try:
        number = parse_sender(text, region)
    except InvalidNumberError:
        return
    assert number.isascii()
    assert number.isdigit()
    assert len(number) >= 5
    assert parse_destination(text, region).number == number


@settings(max_examples=100, deadline=None, database=None)
@given(st.integers(2_000_000_000, 9_999_999_999), st.sampled_from(["", "1", "+1", "+1 ", "1-", "tel:+1-"]))
def test_parsing_a_result_again_gives_the_same(national: int, prefix: str) -> None:
    """Nothing changes by being stored."""
    number = parse_destination(f"{prefix}{national}" if prefix else str(national), "US").number
    assert number == f"1{national}" or not prefix
    assert parse_destination(number, "US").number == number


@settings(max_examples=60, deadline=None, database=None)
@given(st.text(max_size=30), st.sampled_from(["chat", "chat-media", "sms", "mms"]))
def test_any_text_with_a_type(text: str, message_type: str) -> None:
    """A type makes no other text a number."""
    try:
        destination = parse_destination(text, "US", message_type)
    except InvalidNumberError:
        return
    assert destination.number.isascii()
    assert not set(destination.number) & set(" \n\"'\\/,")
    if message_type in ("sms", "mms"):
        assert destination.number.isdigit()
        assert not destination.is_extension


def _every_number() -> list[str]:
    """Return example numbers of every country, digits with country code."""
    load_metadata()
    found = (
        phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
        for region in phonenumbers.SUPPORTED_REGIONS
    )
    return sorted({phonenumbers.format_number(number, 0).removeprefix("+") for number in found if number})


@pytest.mark.timeout(240)
def test_a_number_survives_every_country_and_a_template(hass: HomeAssistant) -> None:
    """What an event says, through a template, means the same number as a destination, wherever the home is."""
    through = Template("{{ number }}", hass)
    for number in _every_number():
        attribute = international(number)
        assert through.async_render({"number": attribute}) == attribute
        for region in phonenumbers.SUPPORTED_REGIONS:
            assert from_pbx(number, region) == attribute, region
            # What a form shows, too, means the same number when it is sent back.
            form = national.__wrapped__(attribute, region)
            assert parse_destination.__wrapped__(form, region).number == number, region
            # Not through the cache: there are more numbers than it holds.
            assert parse_destination.__wrapped__(attribute, region).number == number, region


def test_nothing_is_read_from_disk_while_parsing() -> None:
    """Whatever a number needs must be there once load_metadata() ran: the event loop parses."""
    program = """
import builtins, io, sys
from custom_components.netsapiens import phone, phone_metadata
phone_metadata.load_metadata()
known = set(sys.modules)
def refuse(*args, **kwargs):
    raise AssertionError(f"reads {args[0]}")
builtins.open = io.open = refuse
for region in ("US", "GB", "DE", "AU", "NO", "BR", "ZW"):
    for text in ("+80012345678", "+8835101234567", "+8818585550123", "0412345678", "8585550123", "1-800-FLOWERS"):
        try:
            phone.parse_destination(text, region)
        except phone.InvalidNumberError:
            pass
late = sorted(set(sys.modules) - known)
assert not late, late
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=50)
