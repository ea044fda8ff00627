"""Malformed answers: only the client's own errors come out, none says what is private, and records keep their types."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
import gzip
import ipaddress
import json
import logging
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.netsapiens.api import (
    MessageAPI,
    NetsapiensAPI,
    NetsapiensError,
    NetsapiensServerError,
    NetsapiensURLError,
    NumberAPI,
    normalise_base_url,
)
from custom_components.netsapiens.api.models import (
    MESSAGE_KEYS,
    NUMBER_KEYS,
    SESSION_KEYS,
    Account,
    Message,
    MessageSession,
    SmsNumber,
)
from custom_components.netsapiens.api.values import rows

from .conftest import PASSWORD, SECRET
from .raw import TOKEN, Raw

TEXT, NUMBER, SESSION = "The key is under the blue flower pot", "18585550123", "h" + "0" * 39
PATIENCE = 15.0  # seconds for one call
SHORT = aiohttp.ClientTimeout(total=0.3)  # of a request whose answer does not end

KEYS = st.sampled_from(
    [
        "id",
        "timestamp",
        "datetime",
        "type",
        "domain",
        "direction",
        "dialed",
        "text",
        "status",
        "from-number",
        "from-user-id",
        "terminating-number",
        "media-type",
        "media-size",
        "file-access-url",
        "number",
        "dest",
        "code",
        "messagesession-id",
        "messagesession-remote",
        "messagesession-sms-number",
        "messagesession-participants",
        "messagesession-last-datetime",
        "messagesession-last-timestamp",
        "messagesession-last-message",
        "mms-capable",
        "group-mms-capable",
        "access_token",
        "refresh_token",
        "expires_in",
        "user",
        "uid",
        "login",
        "username",
        "scope",
        "apiversion",
        "mfa_type",
        "user_scope",
        "error",
        "message",
    ]
)
TEXTS = st.text(max_size=40) | st.sampled_from(
    [
        "",
        "\x00",
        "NaN",
        "1e999",
        "9" * 400,
        "٣٤٥",
        "²",
        "\uff11\uff18",
        "א\u202e12",
        "%00%ff",
        "../../..",
        "<b>",
        "2026-13-45 99:99:99",
        "0000-00-00 00:00:00",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01 00:00:00+23:59",
        "2026-11-23 12:00:00",
        "No Route Found [92]",
        "server_error",
        "orig",
        "term",
        SECRET,
        PASSWORD,
        TEXT,
        NUMBER,
    ]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**600) | TEXTS
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | TEXTS, inner, max_size=8),
    max_leaves=12,
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=12)
TOKENS = st.dictionaries(st.sampled_from(list(TOKEN)), VALUES, max_size=3).map(lambda wrong: {**TOKEN, **wrong})
ANSWERS = VALUES | RECORDS | st.lists(RECORDS, max_size=5) | TOKENS
DEEP = [b"[" * depth + b"1" + b"]" * depth for depth in (5, 500, 5000)]
NO_JSON = st.binary(max_size=200) | st.sampled_from(
    [*DEEP, b"", b'[{"text":' * 1100, b'[{"id":' + b"9" * 4301 + b"}]", f"<html>{SECRET} {TEXT}".encode()]
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-7"])
STATUSES = st.sampled_from(
    [200] * 12 + [202, 204, 206, 302, 304, 400, 401, 403, 404, 409, 413, 429, 500, 503, 100, 999]
)
HEAD_LINES = st.sampled_from(
    [
        "Date: yesterday",
        "Date: Fri, 31 Dec 9999 23:59:59 GMT",
        "Date: Mon, 01 Jan 0001 00:00:00 +2359",
        "Date:",
        "Retry-After: soon",
        "Retry-After: -5",
        "Retry-After: " + "9" * 400,
        "Retry-After: ²",
        "Retry-After:",
        "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT",
        "Set-Cookie: =;;;=",
        "Location: http://[::1",
        "no colon",
        "Content-Encoding: gzip",
        "Content-Encoding: unheard-of",
        "X-Long: " + "x" * 9000,
        "Connection: upgrade",
    ]
)
KINDS = st.sampled_from(["application/json"] * 4 + ["application/json; charset=utf-16", "text/html", "", ";;;", "é/é"])


@st.composite
def http_answers(draw: st.DrawFn) -> bytes:
    """Draw all that a server sends in answer to one request."""
    if draw(st.integers(0, 30)) == 0:
        return draw(st.sampled_from([b"", b"\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/9.9 200 OK"]))
    body = draw(NO_JSON | st.builds(_encoded, ANSWERS, ENCODINGS))
    body = body[: draw(st.sampled_from([len(body)] * 4 + [len(body) // 2]))]
    lines, body = draw(st.sampled_from(FORMS))(body)
    head = [
        f"HTTP/1.1 {draw(STATUSES)} OK",
        *lines,
        f"Content-Type: {draw(KINDS)}",
        *draw(st.lists(HEAD_LINES, max_size=2)),
    ]
    return "\r\n".join(head).encode("latin-1", errors="replace") + b"\r\n\r\n" + body


def _encoded(value: object, encoding: str) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(encoding, errors="replace")


def _zipped(body: bytes) -> tuple[list[str], bytes]:
    packed = gzip.compress(body)
    return ["Content-Encoding: gzip", f"Content-Length: {len(packed)}"], packed


FORMS: list[Callable[[bytes], tuple[list[str], bytes]]] = [
    lambda body: ([f"Content-Length: {len(body)}"], body),
    lambda body: ([f"Content-Length: {len(body)}"], body),
    lambda body: ([f"Content-Length: {len(body) + 9}"], body),
    lambda body: (["Content-Length: many"], body),
    lambda body: ([], body),
    lambda body: (
        ["Transfer-Encoding: chunked"],
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n",
    ),
    lambda body: (["Transfer-Encoding: chunked"], b"zz\r\n" + body),
    _zipped,
    lambda body: (_zipped(body)[0], _zipped(body)[1][:-9]),
]


def check_fields(record: Any) -> None:
    """Check that a record's fields have the types that they promise."""
    for name, value in record._asdict().items():
        assert value is None or isinstance(value, str | bool | tuple | datetime), name
        assert not isinstance(value, datetime) or value.tzinfo, name


@settings(max_examples=150, deadline=None)
@given(ANSWERS)
def test_records_keep_their_types(answer: object) -> None:
    """Whatever the PBX lists, a record's fields are what they promise, or the answer is refused."""
    try:
        found = list(rows(answer, MESSAGE_KEYS | SESSION_KEYS | NUMBER_KEYS))
    except NetsapiensServerError:
        return
    for row in found:
        for read in (Message.from_row, MessageSession.from_row, SmsNumber.from_row):
            if (record := read(row)) is not None:
                check_fields(record)
        check_fields(Account.from_token(row, "1001@acme.example"))


HOSTS = ["pbx.example.com", "localhost", "127.0.0.1", "[::1]", "[::", "999.1.1.1", "bücher.example", "", "a" * 300]
URLS = TEXTS | st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "https://", "http://", "HTTPS://", "ftp://", "//", "https:/", "javascript:", "://"]),
    st.sampled_from([*HOSTS, "-x-.example", "user:pw@pbx.example", "127.1", "0x7f.1"]) | TEXTS,
    st.sampled_from(["", ":443", ":0", ":99999", ":-1", ":x", ":\uff18\uff10", ":", ":0080"]),
    st.sampled_from(["", "/", "/ns-api/v2/", "/other", "?q", "#f", "/ns-api/../x"]),
)


@settings(max_examples=150, deadline=None)
@given(URLS)
def test_an_address_is_one_that_keeps_secrets(text: str) -> None:
    """What is taken for an address is read as the same one again, and is https unless it is this machine."""
    try:
        url = normalise_base_url(text)
    except NetsapiensURLError:
        return
    assert normalise_base_url(url) == url
    host = urlsplit(url).hostname or ""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    assert url.startswith("https://") or is_loopback


async def _numbers(api: NetsapiensAPI) -> None:
    for row in await NumberAPI(api).get_numbers():
        check_fields(row)
        assert row.number.isascii()
        assert row.number.isdigit()


async def _send(api: NetsapiensAPI) -> None:
    answer = await MessageAPI(api).send_message("sms", TEXT, NUMBER, "18585550199", SESSION)
    assert answer["messagesession-id"]


async def _messages(api: NetsapiensAPI) -> None:
    for row in await MessageAPI(api).get_messages(SESSION):
        check_fields(row)


async def _sessions(api: NetsapiensAPI) -> None:
    for row in await MessageAPI(api).get_messagesessions():
        check_fields(row)


async def _version(api: NetsapiensAPI) -> None:
    assert isinstance(await api.get_version(), str)


async def _sign_in(api: NetsapiensAPI) -> None:
    answer = await api.get_token()
    assert datetime.strptime(answer["expires_at"], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - only its form counts
    assert api.token_life > 0
    check_fields(api.account)
    await api.user_path()


async def _attempt(call: Callable[[NetsapiensAPI], Awaitable[None]], answer: bytes, token: Any) -> None:
    """Give one answer to one call."""
    async with Raw(answer, token) as raw, NetsapiensAPI(raw.account, timeout=SHORT) as api:
        try:
            async with asyncio.timeout(PATIENCE):
                await call(api)
        except NetsapiensError as err:
            said = f"{err!s} {err!r}"
        else:
            said = ""
    # Of an answer's own words only a sent text can be known; the login's secrets always are.
    private = [SECRET, PASSWORD, TOKEN["access_token"], NUMBER, *([TEXT] if call is _send else [])]
    assert not [one for one in private if one in said]


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Let the client reach the server of the test."""


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([_numbers, _send, _messages, _sessions, _version]), http_answers())
def test_any_answer_to_a_call(call: Callable[[NetsapiensAPI], Awaitable[None]], answer: bytes) -> None:
    """Each call understands an answer or raises an error of the client, without what is private, and ends."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # connections that end as the test wants it
    asyncio.run(_attempt(call, answer, TOKEN))


@settings(max_examples=100, deadline=None)
@given(http_answers())
def test_any_answer_to_a_token_call(answer: bytes) -> None:
    """Signing in gives a token that can be used, or an error of the client."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    asyncio.run(_attempt(_sign_in, b"", answer))
