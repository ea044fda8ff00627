"""The transport: one request to the PBX over HTTP.

Connections are kept, unless one broke: a session a client, never one a call. Redirects are never followed, since they
would carry the credentials to another host.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import MAXYEAR
import json
import logging
import re
import time
from typing import Any

import aiohttp
from yarl import URL

from .answers import Answer, http_date, parsed
from .clock import PbxClock
from .exceptions import (
    NetsapiensConnectionError,
    NetsapiensServerError,
    NetsapiensTimeoutError,
    NetsapiensTLSError,
)
from .redaction import without_numbers
from .session import OwnSessions
from .url import normalise_base_url

_LOGGER = logging.getLogger(__name__)

MAX_ANSWER = 10 * 1024 * 1024  # bytes; a thousand conversations are well under one MiB
TIMEOUT = aiohttp.ClientTimeout(total=12, connect=8)
UPLOAD_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)

_FRESH_FOR = 60.0  # seconds without kept connections once one broke: some PBXs silently close them

_JSON = "application/json"
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ID = re.compile(r"[0-9A-Za-z_%-]{20,}")  # of a conversation, or of a subscription, which is secret


class Transport:
    """Sends requests to one PBX.

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
        headers, data = self._headers(token), None
        if body is not None:
            data = _to_json(body).encode(errors="replace")
            headers["Content-Type"] = _JSON
        url = URL(self._root + path, encoded=True)
        session = await self._client()
        started = time.monotonic()
        try:
            async with session.request(
                method,
                url.update_query(params) if params else url,
                data=data,
                headers=headers,
                timeout=timeout or self._timeout,
                allow_redirects=False,
                raise_for_status=False,
                ssl=self._verify_ssl,
            ) as response:
                at = self.clock.monotonic()
                answer = await parsed(response.status, response.headers, await _read(response))
                self._note_clock(answer, response.headers.get("Date"), at)
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            broken = _connection_error(err)
            if broken.maybe_done and not isinstance(broken, NetsapiensTimeoutError):
                self._fresh_until = time.monotonic() + _FRESH_FOR
            # From None: aiohttp's errors carry the request, and with it the token.
            raise broken from None
        finally:
            _log(method, path, started)
        return answer

    def _headers(self, token: str | None) -> dict[str, str]:
        """Return the headers of a request; the connection is not kept for a while after one broke."""
        headers = {"Accept": _JSON}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if time.monotonic() < self._fresh_until:
            headers["Connection"] = "close"
        return headers

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
        shown = http_date(date)
        if shown is not None and shown.year < MAXYEAR and answer.is_json and answer.status < 500:  # noqa: PLR2004
            self.clock.note(shown, at)


def _log(method: str, path: str, started: float) -> None:
    """Log a request, without the numbers and secrets of its path."""
    if _LOGGER.isEnabledFor(logging.DEBUG):
        call = without_numbers(_ID.sub("…", path.rpartition("/")[2]))
        _LOGGER.debug("%s %s took %.3f s", method, call, time.monotonic() - started)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the body, as long as it has a sane length. A refusal is one without its words, too."""
    body = bytearray()
    try:
        while not response.content.at_eof():
            body += await response.content.readany()
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
