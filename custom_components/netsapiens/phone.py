"""Numbers as people write them -> as the PBX wants them."""

from functools import lru_cache
import re
from typing import TYPE_CHECKING, Literal, NamedTuple
import unicodedata

from .api.values import is_digits, number_of, same_number
from .phone_metadata import library

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

DEFAULT_REGION = "US"

_SEPARATORS = re.compile(r"[,;]")
# What a telephone dials after a pause, such as an extension behind a company's number.
_PAUSE = re.compile(r"[,;]{2}|\d[\d\s().-]{5,20}\d;\d{1,4}#?\s*(?:[,;]|$)")
_EXTENSION_DIGITS = range(3, 5)
_SHORT_CODE_DIGITS = range(5, 7)
_ENDING = 4  # digits that a number has in each of its spellings
_LONGEST_SHORT_CODE = 6
_FEWEST_DIGITS = 7  # of a phone number
_LONGEST_NAME = 20  # characters; an alphanumeric sender has at most 11
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_MAX_LENGTH = 64  # characters of one number, with everything that people put between the digits
_INSIDE_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}(?:@[A-Za-z0-9.-]{1,64})?")
_CHAT = frozenset({"chat", "chat-media"})

_URI = re.compile(r"^(?:tel|sms):\s*", re.IGNORECASE)
_BETWEEN = r"\s().\-/\[\]~\u2010-\u2015\u2212"  # what people put between the digits
_SPELLING = re.compile(rf"[{_BETWEEN}]*\+*[\d{_BETWEEN}][\dA-Za-z{_BETWEEN}]*")
_PUT_BETWEEN = re.compile(f"[{_BETWEEN}]+")
_DECIMAL = re.compile(r"\d+\.0+")  # a number that YAML or a template took for a fraction
_LETTERS = re.compile(r"[A-Za-z]")
_FEWEST_LETTERS = 3  # fewer are a slip of the finger, and no word on the keys
_KEYPAD_COUNTRY = 1  # only there do numbers have one length, so that a note behind one cannot become part of it
_FIRST_AREA_CODE = 2_000_000_000
_MEXICO = 52
_MEXICAN_PREFIX = 10_000_000_000  # the 1 before ten digits, which mobiles there had until 2020 and PBXs still give
_REMEMBERED = 1024  # numbers; to read one took a quarter of the time that a text needs here


class InvalidNumberError(ValueError):
    """What was given is no number that can be texted."""


class Destination(NamedTuple):
    """Somebody who can be texted.

    Attributes:
        number: digits with country code, a short code, or an extension.
        is_extension: whether it is inside the PBX, where messages are chats.
    """

    number: str
    is_extension: bool


def split_numbers(value: str | list[str]) -> list[str]:
    """Return the numbers of a field in which people may have put several.

    Commas, semicolons and line ends separate them. A number with a pause (``,,``) stays as it is, and is none that can
    be texted: split, its end would be the extension of somebody else.

    Parameters:
        value: what a field holds; each text may hold several numbers.
    """
    texts = [value] if isinstance(value, str) else value
    lines = [line for text in texts for line in text.splitlines()]
    parts = [part for line in lines for part in ([line] if _PAUSE.search(line) else _SEPARATORS.split(line))]
    return [part.strip() for part in parts if part.strip()]


@lru_cache(maxsize=_REMEMBERED)
def parse_destination(text: str, region: str | None, message_type: str | None = None) -> Destination:
    """Return whom a number as people write it means.

    Parameters:
        text: any human spelling; 3 or 4 bare digits are an extension, 5 or 6 a short code.
        region: the country (ISO 3166, two letters) whose national numbers are meant; None is the US.
        message_type: ``chat`` and ``chat-media`` make an extension of what is no phone number, ``sms`` and ``mms``
            a short code of what would be an extension.

    Raises:
        InvalidNumberError: it is no such number.
    """
    cleaned = _clean(text)
    if message_type in _CHAT and _INSIDE_USER.fullmatch(cleaned):
        return Destination(cleaned, is_extension=True)
    if cleaned.isdigit() and len(cleaned) in _EXTENSION_DIGITS:
        return Destination(cleaned, is_extension=message_type is None or message_type in _CHAT)
    if cleaned.isdigit() and len(cleaned) in _SHORT_CODE_DIGITS:
        return Destination(cleaned, is_extension=False)
    return Destination(_with_country_code(cleaned, region or DEFAULT_REGION), is_extension=False)


@lru_cache(maxsize=_REMEMBERED)
def parse_sender(text: str, region: str | None) -> str:
    """Return a sender number as the PBX wants it.

    Raises:
        InvalidNumberError: it is neither a phone number nor a short code.
    """
    cleaned = _clean(text)
    if cleaned.isdigit() and len(cleaned) in _SHORT_CODE_DIGITS:
        return cleaned
    return _with_country_code(cleaned, region or DEFAULT_REGION)


def to_store(text: str, region: str | None) -> str:
    """Return a destination as it is kept and shown: the international form, or an extension or short code as it is.

    Raises:
        InvalidNumberError: it is no such number.
    """
    return international(parse_destination(text, region).number)


@lru_cache(maxsize=_REMEMBERED)
def international(number: str) -> str:
    """Return a number in the international form with spaces, ``+1 858-555-0123``.

    People read it, every country's Home Assistant reads it as the same number, and a template leaves it a text: of
    ``+18585550123`` it would make an int, without the plus.

    Parameters:
        number: digits with country code. Anything else, such as an extension, is returned as it is.
    """
    if not is_phone_number(number):
        return number
    found = _possible(f"+{number}", DEFAULT_REGION)
    return number if found is None else _formatted(found, "INTERNATIONAL")


@lru_cache(maxsize=_REMEMBERED)
def from_pbx(number: str, region: str | None) -> str:
    """Return a number that the PBX gave in the international form.

    It has its country code, mostly: one that no country has without, and this one has with, came without.

    Parameters:
        number: digits; what is no number, such as an extension or a sender's name, is returned as it is.
        region: the country (ISO 3166, two letters) whose national numbers may come without a code; None is the US.
    """
    if not is_phone_number(number):
        return number
    try:
        meant = parse_destination(number, region).number
    except InvalidNumberError:
        return number
    if meant == number:
        return international(number)
    abroad = _possible(f"+{number}", region or DEFAULT_REGION)
    return international(number if abroad is not None and library().is_valid_number(abroad) else meant)


def digits_from_pbx(number: str, region: str | None) -> str:
    """Return a number that the PBX gave as digits with country code, to compare it; a sender's name as it is.

    Parameters:
        number: in any of the PBX's spellings.
        region: the country (ISO 3166, two letters) whose national numbers may come without a code; None is the US.
    """
    return number_of(from_pbx(number_of(number), region))


def is_same_number(one: str, other: str, region: str | None) -> bool:
    """Whether two numbers of the PBX are the same line, either maybe as the home's country writes it.

    Parameters:
        one: in any of the PBX's spellings; a name is the same as itself only.
        other: likewise.
        region: the country (ISO 3166, two letters) whose national numbers may come without a code; None is the US.
    """
    if same_number(one, other):
        return True
    # To read a number takes time, so only where it may be the same.
    if not one or number_of(one)[-_ENDING:] != number_of(other)[-_ENDING:]:
        return False
    return digits_from_pbx(one, region) == digits_from_pbx(other, region)


@lru_cache(maxsize=_REMEMBERED)
def national(text: str, region: str | None) -> str:
    """Return a number as people at home write it: ``(858) 555-0123``, or the international form of one abroad.

    For dialogs, selects and device pages. Typed again, it means the same number. Templates get `international`.

    Parameters:
        text: a number as it is kept, in any spelling. Anything else, such as an extension, is returned as it is.
        region: the home's country (ISO 3166, two letters); None is the US.
    """
    home = region or DEFAULT_REGION
    try:
        digits = parse_destination(text, region).number
    except InvalidNumberError:
        return text
    found = _possible(f"+{digits}", home) if len(digits) > _LONGEST_SHORT_CODE else None
    if found is None:
        return text
    if found.country_code == library().country_code_for_region(home):
        written = _formatted(found, "NATIONAL")
        try:
            if parse_destination(written, region).number == digits:
                return written
        except InvalidNumberError:
            pass  # such as one that is too short without its country code
    return _formatted(found, "INTERNATIONAL")


@lru_cache(maxsize=_REMEMBERED)
def readings(text: str, region: str | None) -> tuple[str, ...]:
    """Return the numbers that bare digits may mean, with country code: first the one that is taken, then the other.

    A template makes ``4915112345678`` of ``+4915112345678``, which is a number in Germany and another one abroad.
    Returns one where there is no doubt, and none where it is no such number.
    """
    try:
        found = [parse_destination(text, region).number]
        cleaned = _clean(text)
    except InvalidNumberError:
        return ()
    if not is_phone_number(cleaned):
        return tuple(found)
    for spelling in (cleaned, f"+{cleaned}"):
        number = _possible(spelling, region or DEFAULT_REGION)
        if number is not None and (digits := _formatted(number, "E164").removeprefix("+")) not in found:
            found.append(digits)
    return tuple(found)


def is_phone_number(text: str) -> bool:
    """Whether a text is digits, and too many for an extension or a short code."""
    return is_digits(text) and len(text) > _LONGEST_SHORT_CODE


def is_name(text: str) -> bool:
    """Whether a text is a sender's name or an e-mail address, and no slip in a number or a text of another kind."""
    letters = sum(char.isalpha() for char in text)
    digits = sum(char.isdigit() for char in text)
    is_short_name = len(text) <= _LONGEST_NAME and (
        letters > digits or (text[:1].isalpha() and digits < _FEWEST_DIGITS)
    )
    return is_short_name or (len(text) <= _MAX_LENGTH and _ADDRESS.fullmatch(text) is not None)


def shown_name(text: str) -> str:
    """Return a sender's name as it may stand in an error or a log: of an e-mail address, where it is from."""
    name = "".join(char for char in text if char.isprintable()).strip()
    name = f"…{name[name.index('@') :]}" if "@" in name else name
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def last_digits(text: str) -> str:
    """Return the last four digits of a number."""
    return text[-4:] if is_digits(text) else "".join(char for char in text if char.isdigit())[-4:]


def mask(text: str) -> str:
    """Return a number as it may stand in an error or a log: its last four digits."""
    return f"…{last_digits(text)}"


def _clean(text: str) -> str:
    """Return the text in plain characters: full-width ones made narrow, marks of writing direction dropped."""
    if len(text) > _MAX_LENGTH:
        raise InvalidNumberError("too long for a number")
    plain = unicodedata.normalize("NFKC", text)
    plain = "".join(
        str(unicodedata.digit(char)) if char.isdigit() else char for char in plain if unicodedata.category(char) != "Cf"
    )
    return _URI.sub("", plain.strip(), count=1).strip()


def _with_country_code(text: str, region: str) -> str:
    """Return the digits of a phone number with its country code.

    A national number of the region, else one whose country code came without a plus, as the PBX itself gives them.
    """
    if not _SPELLING.fullmatch(text) or _DECIMAL.fullmatch(text) or _is_fragment(text):
        raise InvalidNumberError("not a phone number")
    tries = [text] if text.startswith("+") or not text.isdigit() else [text, f"+{text}"]
    possible = [number for one in tries if (number := _possible(one, region)) is not None]
    best = next((number for number in possible if library().is_valid_number(number)), None)
    best = best or next((number for number in possible if not _lacks_area_code(number)), None)
    if best is None:
        raise InvalidNumberError("not a phone number")
    found = _formatted(best, "E164")
    again = _possible(found, region)
    if again is None or _formatted(again, "E164") != found:
        raise InvalidNumberError("not a phone number")  # such as one with two trunk zeros: read again, it is another
    return found.removeprefix("+")


def _is_fragment(text: str) -> bool:
    """Whether the text has so few digits that it is a piece of a number, which some countries' rules would take."""
    return not text.startswith("+") and len(_PUT_BETWEEN.sub("", text)) <= _LONGEST_SHORT_CODE


def _formatted(number: PhoneNumber, form: Literal["E164", "INTERNATIONAL", "NATIONAL"]) -> str:
    """Return a phone number in one of the library's forms."""
    numbers = library()
    return str(numbers.format_number(number, getattr(numbers.PhoneNumberFormat, form)))


def _possible(text: str, region: str) -> PhoneNumber | None:
    """Return the text as a phone number of the right length, if it is one."""
    numbers = library()
    try:
        number: PhoneNumber = numbers.parse(text, region)
    except numbers.NumberParseException:
        return None
    _drop_mexican_prefix(number, text)
    possible = numbers.ValidationResult.IS_POSSIBLE
    if number.extension or numbers.is_possible_number_with_reason(number) != possible:
        return None
    return number if _is_plausible(number, len(_LETTERS.findall(text))) else None


def _drop_mexican_prefix(number: PhoneNumber, text: str) -> None:
    """Drop the former prefix of Mexico's mobiles, where it stands behind the country code."""
    national = number.national_number or 0
    if number.country_code != _MEXICO or not _FIRST_AREA_CODE <= national - _MEXICAN_PREFIX < _MEXICAN_PREFIX:
        return
    if "".join(char for char in text if char.isdigit()).endswith(f"{_MEXICO}{national}"):
        number.national_number = national - _MEXICAN_PREFIX


def _lacks_area_code(number: PhoneNumber) -> bool:
    """Whether a number that is none of the country's is as short as a mobile's there without its area code."""
    numbers = library()
    length = numbers.is_possible_number_for_type_with_reason(number, numbers.PhoneNumberType.MOBILE)
    return bool(length == numbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY)


def _is_plausible(number: PhoneNumber, letters: int) -> bool:
    """Whether a number of the right length can be meant, and the letters in it be keys of a telephone."""
    if number.country_code != _KEYPAD_COUNTRY:
        return not letters
    return (number.national_number or 0) >= _FIRST_AREA_CODE and (not letters or letters >= _FEWEST_LETTERS)
