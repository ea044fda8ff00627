"""What the PBX's answer to a request means."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
import json
import re
from typing import Any, NamedTuple

from .exceptions import (
    NetsapiensConnectionError,
    NetsapiensRateLimitError,
    NetsapiensRequestError,
    NetsapiensServerError,
)
from .redaction import shown
from .values import as_text

_LONGEST_RETRY_AFTER = 3600.0  # seconds; nobody means a year
_LARGE = 256 * 1024  # bytes; longer answers are parsed in a thread, as 10 MiB take half a second
_HUGE = 2 * 1024 * 1024  # bytes; a thread would hold up all others for long

_UNKNOWN_ROUTE = "no route found"  # in small letters
_BLANKS = re.compile(r"[ \t\n\r]*")
_ERROR_CODE = re.compile(r"[45][0-9]{2}")


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: the HTTP status, or the ``code`` in the body of a 2xx that is none.
        data: the parsed JSON; None for an empty body; the text itself where it is neither.
        is_json: whether the body was JSON (an empty one is not).
        is_html: whether a web page came instead of an answer of the API.
        retry_after: seconds to wait, where the PBX said so.
    """

    status: int
    data: Any
    is_json: bool
    is_html: bool
    retry_after: float | None

    def __repr__(self) -> str:
        """Return its status: what it says is private."""
        return f"Answer({self.status})"


async def parsed(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Read status, headers and body; a large body never in the event loop."""
    if len(body) <= _LARGE:
        return _parse(status, headers, body)
    return await asyncio.to_thread(_parse, status, headers, body)


def _parse(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Read status, headers and body."""
    stripped = body.strip()
    is_json, data = _json(stripped)
    kind = headers.get("Content-Type", "").lower()
    is_html = not is_json and bool(stripped) and ("html" in kind or stripped.startswith(b"<"))
    if 200 <= status < 300 and is_json:  # noqa: PLR2004
        status = _in_band_code(data) or status
    return Answer(status, data, is_json, is_html, retry_after_of(headers))


def _json(body: bytes) -> tuple[bool, Any]:
    """Return whether the body is JSON, and what it says."""
    if not body:
        return False, None
    try:
        return True, json.loads(body) if len(body) <= _HUGE else _loads_by_rows(body)
    except (ValueError, RecursionError):
        return False, body.decode(errors="replace")


def _loads_by_rows(body: bytes) -> Any:
    """Return what JSON says, as ``json.loads``. That lets no other thread run meanwhile, so a list is read by rows.

    Raises:
        ValueError: it is no JSON.
    """
    text = body.decode(json.detect_encoding(body), "surrogatepass")
    at = _next(text, 0)
    if not text.startswith("[", at):
        return json.loads(text)
    found: list[Any] = []
    decode = json.JSONDecoder().raw_decode
    at = _next(text, at + 1)
    while found or not text.startswith("]", at):
        row, at = decode(text, at)
        found.append(row)
        at = _next(text, at)
        if not text.startswith(",", at):
            break
        at = _next(text, at + 1)
    if not text.startswith("]", at) or _next(text, at + 1) != len(text):
        raise ValueError("there is more than a list, or less")
    return found


def _next(text: str, start: int) -> int:
    """Return where the next character of JSON stands that is no blank."""
    blanks = _BLANKS.match(text, start)
    return start if blanks is None else blanks.end()


def _in_band_code(data: Any) -> int | None:
    """Return the error code that a 200 carries in its body, if any: an object's, or that of a list's only row."""
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict):
        return None
    code = as_text(data.get("code")).strip()
    return int(code) if _ERROR_CODE.fullmatch(code) else None


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds an answer asks to wait, an hour at the most; None where it does not say.

    A Retry-After is a number of seconds, or a date by the clock that the answer's own ``Date`` shows.
    """
    retry_after = headers.get("Retry-After")
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_RETRY_AFTER)
    date = http_date(text)
    if date is None:
        return None
    now = http_date(headers.get("Date")) or datetime.now(UTC)
    return min(max(0.0, (date - now).total_seconds()), _LONGEST_RETRY_AFTER)


@lru_cache(maxsize=16)  # a busy second's answers all have the same
def http_date(text: str | None) -> datetime | None:
    """Read a header's date, which is in UTC whether it says so or not; None where it is none."""
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def reason_of(answer: Answer, private: Iterable[str] = ()) -> str:
    """Return the PBX's own words for a refusal, fit to be shown and logged; empty where they are not.

    Parameters:
        answer: what came back.
        private: texts of which nothing may stand in it: secrets, the message, the media.
    """
    return shown(_words_of(answer), private)


def _words_of(answer: Answer) -> str:
    """Return what the PBX says of a refusal."""
    data = answer.data
    if isinstance(data, list) and data:
        data = data[0]
    if isinstance(data, dict):
        found = (as_text(data.get(key)) for key in ("error_description", "message", "error"))
        return next((text for text in found if text.strip()), "")
    return data if isinstance(data, str) and not answer.is_html else ""


def check(answer: Answer, private: Iterable[str] = ()) -> Any:
    """Return what a successful answer says.

    Raises:
        NetsapiensConnectionError: a redirect, so something else than the PBX answers there.
        NetsapiensRateLimitError: 429, or a 403 without JSON, as firewalls in front of a PBX give.
        NetsapiensRequestError: the PBX refuses; ``status`` and ``reason`` say what.
        NetsapiensServerError: the PBX failed, or a web page came back.
    """
    status = answer.status
    if 300 <= status < 400:  # noqa: PLR2004
        raise NetsapiensConnectionError("the address answers with a redirect to another one")
    if status == 429:  # noqa: PLR2004
        raise NetsapiensRateLimitError("too many requests", retry_after=answer.retry_after)
    if status == 403 and not answer.is_json:  # noqa: PLR2004
        raise NetsapiensRateLimitError("a firewall turned the request away", retry_after=answer.retry_after)
    if status >= 500 or status < 200 or status == 408:  # noqa: PLR2004
        raise NetsapiensServerError(f"the PBX failed with status {status}", retry_after=answer.retry_after)
    if status >= 400:  # noqa: PLR2004
        refusal = NetsapiensRequestError(
            status, reason_of(answer, private), unknown_route=_UNKNOWN_ROUTE in _words_of(answer).lower()
        )
        # A 404 of the API is JSON; any other one comes from something else and says nothing of the record.
        other_404 = status == 404 and not answer.is_json and not refusal.unknown_route  # noqa: PLR2004
        if (answer.is_html and status not in {401, 413}) or other_404:
            raise NetsapiensServerError(f"a web page with status {status} came instead of an answer")
        raise refusal
    if answer.is_html:
        raise NetsapiensServerError("a web page came instead of an answer")
    return answer.data
