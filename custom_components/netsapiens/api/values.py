"""Single values of the PBX's answers, made into Python's.

The PBX casts digit-only strings to JSON numbers, returns one row as a bare object, and knows two endings for every
time (``-datetime`` and ``-timestamp``): all of that ends here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
import json
import math
import re
from typing import Any

from .exceptions import NetsapiensEmptyAnswerError, NetsapiensServerError

_DIGITS = re.compile(r"[0-9]+")
_PUT_IN_NUMBERS = re.compile(r"[+0-9\s().\-/]+")  # what a number of a PBX holds; with anything else it is a name
_MAX_BITS = 1024  # no number or id is longer, and Python refuses to write out the longest
_SECONDS = re.compile(r"[0-9]{9,10}(\.[0-9]{1,9})?")  # since 1970
_MILLISECONDS = re.compile(r"[0-9]{12,13}")  # likewise
_IN_UTC = re.compile(r"\s+(UTC|GMT)$")
_NOT_A_ROW = {"code", "error"}  # the keys of an object that says how a call went; no record has them


def as_text(value: object) -> str:
    """Return a value of the PBX as the text it stands for: 18585550100 and "18585550100" are the same."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int):
        return str(value) if value.bit_length() < _MAX_BITS else ""
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value.is_integer() else str(value)
    return ""


def as_words(value: object) -> str:
    """Return what a message says: words that are JSON by chance come back as what they stand for."""
    if not isinstance(value, bool | list | dict):
        return as_text(value)
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def as_flag(value: object) -> bool:
    """Return a yes or no of the PBX, in any of its spellings."""
    return value is True or as_text(value).strip().lower() in {"1", "yes", "true"}


def as_known_flag(value: object) -> bool | None:
    """Return a yes or no of the PBX; None where it does not say."""
    return None if value is None or value == "" else as_flag(value)


def read_time(value: object) -> tuple[datetime | None, bool]:
    """Return a time of the PBX in UTC, None where it is no time; and whether it was bare: one without a zone is UTC.

    Seconds and milliseconds since 1970 are a time, too, and so are dates with slashes and those that end in "UTC".
    """
    text = as_text(value).strip()
    try:
        if _SECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(float(text)), UTC), False
        if _MILLISECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text) // 1000, UTC), False
        time = datetime.fromisoformat(_IN_UTC.sub("+00:00", text.replace("/", "-")))
        if time.tzinfo is UTC:
            return time, False
        if time.tzinfo is None:
            return time.replace(tzinfo=UTC), True
        return time.astimezone(UTC), False
    except (ValueError, OverflowError):
        return None, False


def as_time(value: object) -> datetime | None:
    """Return a time of the PBX in UTC, as ``read_time``."""
    return read_time(value)[0]


def is_digits(text: str) -> bool:
    """Whether a text is made of the digits 0 to 9 and nothing else."""
    return text.isascii() and text.isdigit()


def number_of(value: object) -> str:
    """Return a number of the PBX as its digits, without what stands between them.

    What is no number, such as the sender AMAZON or an e-mail address, is returned as the PBX gives it: the digits of
    ``bob123@gmail.com`` are not extension 123.
    """
    text = as_text(value).strip()
    if is_digits(text) or not _PUT_IN_NUMBERS.fullmatch(text):
        return text
    return "".join(_DIGITS.findall(text)) or text


def same_number(one: str, other: str) -> bool:
    """Whether two numbers of the PBX are the same line, one of them maybe without its country code.

    A name is the same as itself only.
    """
    one, other = number_of(one), number_of(other)
    # An extension or a short code has no country code.
    if min(len(one), len(other)) < 10 or not (is_digits(one) and is_digits(other)):  # noqa: PLR2004
        return bool(one) and one == other
    return one.endswith(other) or other.endswith(one)


def rows(answer: object, keys: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a list answer, whose single row may come as a bare object.

    What is not known for a record is not skipped, and nothing at all is no empty list: a message that is not seen there
    would be sent once more.

    Parameters:
        answer: what the PBX says.
        keys: a row has at least one of these, by which it is known for a record of the list.

    Raises:
        NetsapiensEmptyAnswerError: nothing at all came.
        NetsapiensServerError: the answer is no list of records.
    """
    if answer in (None, "", {}):
        raise NetsapiensEmptyAnswerError("the answer is empty, and no list")
    for row in answer if isinstance(answer, list) else [answer]:
        if not isinstance(row, dict) or row.keys().isdisjoint(keys) or not row.keys().isdisjoint(_NOT_A_ROW):
            raise NetsapiensServerError("the answer is not a list of records")
        yield row


def either(row: Mapping[str, Any], key: str) -> object:
    """Return a time of a row under either of its two names."""
    return row.get(f"{key}datetime") or row.get(f"{key}timestamp")
