"""One exchange with the PBX over HTTP, and what its answer means.

Connections are kept, unless one broke: a session a client, never one a call. Redirects are never followed, since they
would carry the credentials to another host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import MAXYEAR, UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
import json
import logging
import re
import time
from typing import Any

import aiohttp
from yarl import URL

from .clock import PbxClock
from .exceptions import (
    NetsapiensConnectionError,
    NetsapiensRateLimitError,
    NetsapiensRequestError,
    NetsapiensServerError,
    NetsapiensTimeoutError,
    NetsapiensTLSError,
)
from .models import as_text
from .redaction import shown, without_numbers
from .session import OwnSessions
from .url import normalise_base_url

_LOGGER = logging.getLogger(__name__)

_LONGEST_RETRY_AFTER = 3600.0  # seconds; nobody means a year
MAX_ANSWER = 10 * 1024 * 1024  # bytes; a thousand conversations are well under one MiB
_LARGE = 256 * 1024  # bytes; longer answers are parsed in a thread, as 10 MiB take half a second
_HUGE = 2 * 1024 * 1024  # bytes; a thread would hold up all others for long
TIMEOUT = aiohttp.ClientTimeout(total=12, connect=8)
UPLOAD_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)

_FRESH_FOR = 60.0  # seconds without kept connections once one broke: some PBXs close them without a word

_JSON = "application/json"
_UNKNOWN_ROUTE = "no route found"  # in small letters
_ID = re.compile(r"[0-9A-Za-z_%-]{20,}")  # of a conversation, or of a subscription, which is secret
_BLANKS = re.compile(r"[ \t\n\r]*")
_ERROR_CODE = re.compile(r"[45][0-9]{2}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status, or the ``code`` in the body of a 2xx that is none.
        data: the parsed JSON; None for an empty body; the text itself where it is neither.
        is_json: whether the body was JSON (an empty one is not).
        is_html: whether a web page came instead of an answer of the API.
        retry_after: seconds to wait, where the PBX said so.
    """

    status: int
    data: Any = field(repr=False)
    is_json: bool
    is_html: bool
    retry_after: float | None


class Connection:
    """The way to one PBX.

    Parameters:
        base_url: see ``normalise_base_url``, whose errors it raises.
        verify_ssl: False accepts any certificate.
        session: used and never closed; without one, an own session is made on first use, one for each event loop.
        timeout: how long an exchange may take.
    """

    def __init__(
        self,
        base_url: str,
        *,
        verify_ssl: bool = True,
        session: aiohttp.ClientSession | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
    ) -> None:
        self.url = normalise_base_url(base_url)
        self._root = f"{self.url}/ns-api/v2/"
        self._verify_ssl = verify_ssl
        self._session = session
        self._timeout = timeout
        self._own = OwnSessions()
        self._closed = False
        self.clock = PbxClock()
        self._fresh_until = 0.0

    async def close(self) -> None:
        """Close the session, if it is our own; it is not opened again."""
        self._closed = True
        await self._own.close()

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        token: str | None = None,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp's own kind, with its phases
    ) -> Answer:
        """Send one request below ``/ns-api/v2/`` and return its answer, whatever its status.

        Parameters:
            method: GET, POST, PUT or DELETE.
            path: without a leading slash, already quoted.
            body: sent as JSON.
            params: the query.
            token: the bearer token; none for the calls that need none.
            timeout: how long it may take, where not as long as any other.

        Raises:
            NetsapiensConnectionError: and its kinds; ``maybe_done`` says whether the request may have gone out.
            NetsapiensServerError: an answer over 10 MiB, or one that was cut off.
        """
        headers = {"Accept": _JSON}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
            headers["Content-Type"] = _JSON
        if time.monotonic() < self._fresh_until:
            headers["Connection"] = "close"
        url = URL(self._root + path, encoded=True)
        if params:
            url = url.with_query(params)
        session = await self._client()
        started = time.monotonic()
        try:
            async with session.request(
                method,
                url,
                data=data,
                headers=headers,
                timeout=timeout or self._timeout,
                allow_redirects=False,
                raise_for_status=False,
                ssl=self._verify_ssl,
            ) as response:
                at = self.clock.monotonic()
                answer = await _parsed(response.status, response.headers, await _read(response))
                self._note_clock(answer, response.headers.get("Date"), at)
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            broken = _connection_error(err)
            if broken.maybe_done and not isinstance(broken, NetsapiensTimeoutError):
                self._fresh_until = time.monotonic() + _FRESH_FOR
            # From None: aiohttp's errors carry the request, and with it the token.
            raise broken from None
        finally:
            call = without_numbers(_ID.sub("…", path.rpartition("/")[2]))
            _LOGGER.debug("%s %s took %.3f s", method, call, time.monotonic() - started)
        return answer

    async def _client(self) -> aiohttp.ClientSession:
        """Return the session to use."""
        if self._closed and self._session is None:
            raise NetsapiensConnectionError("the session is closed")
        session = self._session or await self._own.current()
        if session.closed:
            raise NetsapiensConnectionError("the session is closed")
        return session

    def _note_clock(self, answer: Answer, date: str | None, at: float) -> None:
        """Learn what the PBX's clock showed; error pages may come from something else."""
        shown = _http_date(date)
        if shown is not None and shown.year < MAXYEAR and answer.is_json and answer.status < 500:  # noqa: PLR2004
            self.clock.note(shown, at)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the body, as long as it has a sane length. A refusal is one without its words, too."""
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_ANSWER:
                response.close()
                raise NetsapiensServerError("the answer is over 10 MiB")
    except aiohttp.ClientPayloadError:
        if response.status >= 400:  # noqa: PLR2004
            return b""
        raise NetsapiensServerError("the answer was cut off") from None
    return bytes(body)


def _connection_error(err: Exception) -> NetsapiensConnectionError:
    """Turn what aiohttp raises into our own error, which says whether the request may have gone out."""
    match err:
        case aiohttp.ConnectionTimeoutError():
            return NetsapiensTimeoutError("the PBX could not be reached in time")
        case TimeoutError():
            return NetsapiensTimeoutError("the PBX did not answer in time", maybe_done=True)
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return NetsapiensTLSError("the PBX's certificate was not accepted")
        case aiohttp.ClientConnectorError() | aiohttp.InvalidURL():
            return NetsapiensConnectionError("the PBX could not be reached")
        case _:
            return NetsapiensConnectionError("the connection broke before the answer", maybe_done=True)


async def _parsed(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
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
    if 200 <= status < 300 and is_json and isinstance(data, dict):  # noqa: PLR2004
        status = _in_band_code(data) or status
    return Answer(status, data, is_json, is_html, _seconds(headers.get("Retry-After")))


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


def _in_band_code(data: Mapping[str, Any]) -> int | None:
    """Return the error code that a 200 carries in its body, if any."""
    code = as_text(data.get("code")).strip()
    return int(code) if _ERROR_CODE.fullmatch(code) else None


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After, which is a number of seconds or a date."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_RETRY_AFTER)
    date = _http_date(text)
    return None if date is None else min(max(0.0, date.timestamp() - time.time()), _LONGEST_RETRY_AFTER)


@lru_cache(maxsize=16)  # a busy second's answers all have the same
def _http_date(text: str | None) -> datetime | None:
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
        raise NetsapiensServerError(f"the PBX failed with status {status}")
    if status >= 400:  # noqa: PLR2004
        refusal = NetsapiensRequestError(
            status, reason_of(answer, private), unknown_route=_UNKNOWN_ROUTE in _words_of(answer).lower()
        )
        # A 404 of the API is JSON; any other one says nothing of the record that was asked for.
        foreign_404 = status == 404 and not answer.is_json and not refusal.unknown_route  # noqa: PLR2004
        if (answer.is_html and status not in {401, 413}) or foreign_404:
            raise NetsapiensServerError(f"a web page with status {status} came instead of an answer")
        raise refusal
    if answer.is_html:
        raise NetsapiensServerError("a web page came instead of an answer")
    return answer.data
