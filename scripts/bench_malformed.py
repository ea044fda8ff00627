"""Malformed inputs: answers that no PBX should give, and texts that nobody should type.

Half of them are answers to the client over real HTTP, half go straight to what reads numbers, addresses and records.
Whatever comes, only the client's own errors may come out, and no error may say a secret, a number or a text. Every
input is made from the seed and its own number alone.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
import contextlib
from dataclasses import asdict, dataclass
from datetime import datetime
import gzip
import ipaddress
import json
import logging
import random
import sys
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit
import zlib

import aiohttp

from custom_components.netsapiens.api import (
    MessageAPI,
    NetsapiensAPI,
    NetsapiensError,
    NetsapiensServerError,
    NetsapiensURLError,
    NumberAPI,
    normalise_base_url,
)
from custom_components.netsapiens.api.models import Account, Message, MessageSession, SmsNumber, rows
from custom_components.netsapiens.phone import (
    InvalidNumberError,
    load_metadata,
    parse_destination,
    parse_sender,
    to_store,
)

WORKERS = 8
SHOWN = 20  # broken ones with their reproduction
LONGEST_SHOWN = 600
PATIENCE = 15.0  # seconds for one call

SECRET, PASSWORD, TOKEN = "s3cr3t-of-the-client", "p4ssw0rd-of-ann", "0123456789abcdef-token"
TEXT, NUMBER = "The key is under the blue flower pot", "18585550123"
PRIVATE = (SECRET, PASSWORD, TOKEN, TEXT, NUMBER)
SESSION = "h" + "0" * 39

GOOD_TOKEN: dict[str, Any] = {
    "username": "1001@acme.example",
    "user": "1001",
    "domain": "acme.example",
    "uid": "1001@acme.example",
    "access_token": TOKEN,
    "refresh_token": "fedcba9876543210",
    "expires_in": 3600,
}
KEYS = (
    *("id", "timestamp", "datetime", "type", "domain", "direction", "dialed", "text", "status", "from-number"),
    *("from-user-id", "terminating-number", "media-type", "media-size", "file-access-url ", "number", "dest", "code"),
    *("messagesession-id", "messagesession-remote", "messagesession-sms-number", "messagesession-participants"),
    *("messagesession-last-datetime", "messagesession-last-timestamp", "messagesession-last-message"),
    *("mms-capable", "group-mms-capable", "access_token", "refresh_token", "expires_in", "user", "uid", "login"),
    *(
        "username",
        "scope",
        "apiversion",
        "mfa_type",
        "mfa_vendor",
        "user_scope",
        "error",
        "error_description",
        "message",
    ),
)
ODD_TEXTS = (
    *("", " ", "\x00", "\r\n", "NaN", "null", "1e999", "-0", "0012", "true", "yes", "None", "\ud800", "\udfff\ud800"),
    *(
        "9" * 400,
        "٣٤٥",
        "①②③",
        "\uff11\uff18\uff15\uff18",
        "²",
        "א\u202e12",
        "😀" * 20,
        "a" * 5000,
        "%00%ff",
        "../../..",
        "<b>",
        "\u2028",
    ),
    *("2026-13-45 99:99:99", "0000-00-00 00:00:00", "9999-12-31T23:59:59-23:59", "0001-01-01 00:00:00+23:59"),
    *("2026-11-23 12:00:00", "No Route Found [92]", "server_error", "invalid_grant", "orig", "term", *PRIVATE),
)
ODD_NUMBERS = (
    *(0, -1, 1, 12, 200, 404, 18585550123, 2**63, -(2**64), 1e308, -0.0, 0.1, 5e-324, 1e22),
    *(float("nan"), float("inf"), float("-inf")),
)
STATUSES = (
    (200,) * 24
    + (202,) * 4
    + (400, 401, 403, 404) * 2
    + (
        *(201, 204, 206, 299, 301, 302, 304, 307, 402, 405, 408, 409, 413, 422, 429, 429, 431, 451, 500, 500, 502, 503),
        *(504, 599, 100, 101, 103, 199, 600, 999),
    )
)
HEAD_LINES = (
    *("Date: yesterday", "Date: Mon, 99 Foo 99999 99:99:99 GMT", "Date: Fri, 31 Dec 9999 23:59:59 GMT"),
    *("Date: Mon, 01 Jan 0001 00:00:00 +2359", "Date: Mon, 23 Nov 2026 12:00:00 +99999999999", "Date:", "Date: 0"),
    *("Retry-After: soon", "Retry-After: -5", "Retry-After: " + "9" * 400, "Retry-After: 1.5", "Retry-After: ²"),
    *("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", "Retry-After: Mon, 01 Jan 0001 00:00:00 GMT", "Retry-After:"),
    *("Set-Cookie: =;;;=", "Set-Cookie: a=b; expires=never; path=\x7f", "Location: http://[::1", "Location: //"),
    *("Content-Encoding: gzip", "Content-Encoding: deflate", "Content-Encoding: br", "Content-Encoding: unheard-of"),
    *("Content-Language: é", "X-Long: " + "x" * 9000, "X-Empty:", "Connection: close", "Connection: upgrade"),
    *("Link: <>; rel=", "WWW-Authenticate: Bearer error=", "Server: \x01", "no colon", ": no name", "Upgrade: h2c"),
)
KINDS = (
    *("application/json", "application/json; charset=utf-8", "application/json; charset=utf-16", "text/html"),
    *("text/html; charset=unheard-of", "text/plain", "", ";;;", "application/octet-stream", "multipart/mixed", "é/é"),
)
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-7")

type Dice = random.Random


@dataclass(frozen=True, slots=True)
class Broken:
    """An input that something tripped over."""

    number: int
    what: str
    given: str
    problem: str


class Result(NamedTuple):
    """What was tried, and what came of it."""

    name: str
    outcome: str
    broken: Broken | None


class WrongError(Exception):
    """What came out is not what the documentation says."""


# --- making them --------------------------------------------------------------------------


def odd_text(dice: Dice) -> str:
    """Return any text."""
    match dice.randrange(5):
        case 0 | 1:
            return dice.choice(ODD_TEXTS)
        case 2:
            return "".join(chr(dice.randrange(0x20, 0x7F)) for _ in range(dice.randrange(40)))
        case 3:
            return "".join(chr(dice.choice((dice.randrange(0x300), dice.randrange(0x11_0000)))) for _ in range(12))
        case _:
            return dice.choice(ODD_TEXTS) + dice.choice((" ", "", ",", "@", "+", "-")) + dice.choice(ODD_TEXTS)


def odd_value(dice: Dice, depth: int = 0) -> Any:
    """Return any value that JSON, or Python's idea of it, can hold."""
    kind = dice.randrange(14 if depth < 4 else 9)
    if kind > 10:
        return odd_record(dice, depth + 1)
    if kind > 8:
        return [odd_value(dice, depth + 1) for _ in range(dice.randrange(5))]
    if kind > 3:
        return odd_text(dice)
    return dice.choice((None, True, False, *ODD_NUMBERS, 10 ** dice.randrange(1, 600)))


def odd_record(dice: Dice, depth: int = 0) -> dict[str, Any]:
    """Return a record with the API's names and any values."""
    record = {dice.choice(KEYS): odd_value(dice, depth + 1) for _ in range(dice.randrange(12))}
    if dice.random() < 0.2:
        record[odd_text(dice)] = odd_value(dice, depth + 1)
    return record


def odd_token(dice: Dice) -> dict[str, Any]:
    """Return a token's answer with a few things wrong."""
    answer = dict(GOOD_TOKEN)
    for key in dice.sample(list(answer), dice.randrange(1, 5)):
        if dice.random() < 0.3:
            del answer[key]
        else:
            answer[key] = odd_value(dice, 2)
    return answer | (odd_record(dice, 2) if dice.random() < 0.2 else {})


def _no_json(dice: Dice) -> bytes:
    """Return a body that is no JSON, or more of it than anybody can read."""
    depth = dice.choice((5, 500, 990, 5000))
    opening = dice.choice((b"[", b'{"a":', b'[{"text":', b"(", b'"'))
    page = f"<html><body><h1>{odd_text(dice)}</h1><p>{SECRET} {TEXT}</p></body></html>"
    return dice.choice(
        (
            b"",
            dice.randbytes(dice.randrange(200)),
            page.encode(errors="replace"),
            opening * dice.choice((10, 900, 1100, 20_000)),
            b"[" * depth + b"1" + b"]" * depth,
            b'[{"id":' + b"9" * dice.choice((20, 309, 4299, 4301, 20_000)) + b"}]",
        )
    )


def odd_body(dice: Dice) -> bytes:
    """Return the body of an answer."""
    if dice.random() < 0.35:
        return _no_json(dice)
    records = [odd_record(dice) for _ in range(dice.randrange(6))]
    single = records[0] if records else {}
    value = dice.choice((odd_token(dice), odd_token(dice), odd_value(dice), records, records, records, single))
    body = json.dumps(value, ensure_ascii=dice.random() < 0.5).encode(dice.choice(ENCODINGS), errors="replace")
    if dice.random() < 0.12:
        return body[: dice.randrange(len(body) + 1)]
    if dice.random() < 0.12:
        return body + dice.choice((b"\x00", b"}", b"\n\n", b",", b"garbage", body))
    return body


def _plain(_: Dice, body: bytes) -> tuple[list[str], bytes]:
    return [f"Content-Length: {len(body)}"], body


def _lying(dice: Dice, body: bytes) -> tuple[list[str], bytes]:
    sizes = (len(body) + dice.randrange(1, 999), len(body) // 2, -1, "many", "", "1, 1", "9" * 30, "0x10")
    return [f"Content-Length: {dice.choice(sizes)}"], body


def _silent(_: Dice, body: bytes) -> tuple[list[str], bytes]:
    return [], body


def _chunked(dice: Dice, body: bytes) -> tuple[list[str], bytes]:
    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    bad = dice.choice((b"zz\r\n", b"-5\r\n", b"ffffffffffffffff\r\n")) + body
    return ["Transfer-Encoding: chunked"], dice.choice((whole, whole, whole[: len(whole) // 2], bad))


def _zipped(dice: Dice, body: bytes) -> tuple[list[str], bytes]:
    name, packed = dice.choice((("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))))
    packed = packed[: dice.choice((len(packed), len(packed), len(packed) // 2))]
    return [f"Content-Encoding: {name}", f"Content-Length: {len(packed)}"], packed


FORMS = (_plain, _plain, _plain, _plain, _lying, _lying, _silent, _chunked, _zipped)


def odd_answer(dice: Dice) -> bytes:
    """Return all that a server sends in answer to one request."""
    if dice.random() < 0.03:
        return dice.choice(
            (b"", b"\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", dice.randbytes(60), b"HTTP/9.9 200 OK")
        )
    body = odd_body(dice)
    if dice.random() < 0.001:
        body = b'[{"text":"' + b"x" * (11 * 1024 * 1024) + b'"}]'
    lines, body = dice.choice(FORMS)(dice, body)
    status = dice.choice(STATUSES)
    version = dice.choice(("1.1", "1.1", "1.1", "1.0"))
    head = [f"HTTP/{version} {status} {dice.choice(('OK', '', 'Ünwell', 'x' * 300))}", *lines]
    if kind := dice.choice((*KINDS, KINDS[0], KINDS[0])):
        head.append(f"Content-Type: {kind}")
    head += dice.sample(HEAD_LINES, dice.choice((0, 0, 0, 1, 2)))
    return "\r\n".join(head).encode("latin-1", errors="replace") + b"\r\n\r\n" + body


def odd_number(dice: Dice) -> str:
    """Return what somebody might type where a number belongs."""
    match dice.randrange(6):
        case 0:
            return odd_text(dice)
        case 1:
            return "".join(dice.choice("0123456789+-() .xX#*/,;") for _ in range(dice.randrange(24)))
        case 2:
            zero = dice.choice((0x30, 0x660, 0x966, 0xFF10, 0x1D7CE, 0x2460, 0x1F100))
            return "".join(chr(zero + dice.randrange(10)) for _ in range(dice.randrange(3, 14)))
        case _:
            digits = list(
                dice.choice(("+1 (858) 555-0123", "tel:+18585550123", "858-555-0123", "+442079460123", "1001"))
            )
            for _ in range(dice.randrange(4)):
                digits.insert(dice.randrange(len(digits) + 1), dice.choice((odd_text(dice)[:3], "0", "+", " ", "a")))
            return "".join(digits)


def odd_url(dice: Dice) -> str:
    """Return what somebody might paste where an address belongs."""
    if dice.random() < 0.2:
        return odd_text(dice)
    scheme = dice.choice(("", "", "https://", "http://", "HTTPS://", "ftp://", "//", "https:/", "javascript:", "://"))
    hosts = ("pbx.example.com", "localhost", "127.0.0.1", "[::1]", "[::", "10.0.0.1", "999.1.1.1", "bücher.example", "")
    host = dice.choice(
        (*hosts, "a" * 300, "-x-.example", "user:pw@pbx.example", "127.1", "0x7f.1", odd_text(dice)[:20])
    )
    port = dice.choice(("", "", ":443", ":0", ":99999", ":-1", ":x", ":\uff18\uff10", ":", ":0080"))
    return scheme + host + port + dice.choice(("", "/", "/ns-api", "/ns-api/v2/", "/other", "?q", "#f", "/ns-api/../x"))


# --- trying them --------------------------------------------------------------------------


def shown(given: object) -> str:
    """Return an input as it can be pasted into a test."""
    text = repr(given)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text)} characters)"


def expect(holds: object, what: str) -> None:
    """Raise where something does not hold."""
    if not holds:
        raise WrongError(what)


def check_fields(record: object) -> None:
    """Check that a record's fields have the kinds that they promise."""
    for name, value in asdict(record).items():  # type: ignore[call-overload]
        expect(value is None or isinstance(value, (str, bool, tuple, datetime)), f"{name} is {type(value).__name__}")
        expect(not isinstance(value, datetime) or value.tzinfo, f"{name} has no time zone")


class Reader(NamedTuple):
    """What reads one kind of input, and the only error that it may give."""

    name: str
    make: Callable[[Dice], Any]
    read: Callable[[Any], None]
    error: type[Exception]


REGIONS = (None, "US", "GB", "DE", "XX", "it")
TYPES = (None, None, "sms", "mms", "chat", "chat-media")


def read_destination(given: tuple[str, str | None, str | None]) -> None:
    """Read a destination, as it is typed and as it is stored."""
    text, region, message_type = given
    found = parse_destination(text, region, message_type)
    expect(found.is_extension or (found.number.isascii() and found.number.isdigit()), f"gave {found}")
    number = parse_destination(text, region).number
    expect(parse_destination(to_store(text, region), region).number == number, "means another one when stored")


def read_sender(given: tuple[str, str | None]) -> None:
    """Read a sender number."""
    number = parse_sender(*given)
    expect(number.isascii() and number.isdigit(), f"gave {number!r}")


def read_url(text: str) -> None:
    """Read an address."""
    url = normalise_base_url(text)
    expect(normalise_base_url(url) == url, f"gave {url!r}, which is read as another one")
    host = urlsplit(url).hostname or ""
    loopback = host == "localhost" or _is_loopback(host)
    expect(url.startswith("https://") or loopback, f"gave {url!r}, which sends secrets in clear")


def read_records(answer: object) -> None:
    """Read the records of an answer."""
    for row in rows(answer):
        for read in (Message.from_row, MessageSession.from_row, SmsNumber.from_row):
            if (record := read(row)) is not None:
                check_fields(record)
        check_fields(Account.from_token(row, "1001@acme.example"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


READERS = (
    Reader(
        "parse_destination",
        lambda dice: (odd_number(dice), dice.choice(REGIONS), dice.choice(TYPES)),
        read_destination,
        InvalidNumberError,
    ),
    Reader("parse_sender", lambda dice: (odd_number(dice), dice.choice(REGIONS)), read_sender, InvalidNumberError),
    Reader("normalise_base_url", odd_url, read_url, NetsapiensURLError),
    Reader(
        "records",
        lambda dice: dice.choice((odd_value(dice), [odd_record(dice) for _ in range(dice.randrange(4))])),
        read_records,
        NetsapiensServerError,
    ),
)


def try_direct(seed: int, number: int) -> Result:
    """Give one input straight to what reads it."""
    dice = random.Random(f"{seed}:{number}")
    reader = dice.choice(READERS)
    given = reader.make(dice)
    try:
        reader.read(given)
    except reader.error as err:
        return Result(reader.name, type(err).__name__, None)
    except Exception as err:  # noqa: BLE001 - whatever else comes out is the finding
        return Result(reader.name, "", Broken(number, reader.name, shown(given), f"{type(err).__name__}: {err}"))
    return Result(reader.name, "was understood", None)


# --- over HTTP ----------------------------------------------------------------------------


class BadPbx:
    """Answers every call with one prepared answer; those for a token with a good one, unless that is the trial."""

    def __init__(self) -> None:
        self.answer = b""
        self.spoils_tokens = False
        self._server: asyncio.Server | None = None
        body = json.dumps(GOOD_TOKEN).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._token = head.encode() + body

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            self._server.close_clients()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
                )
                await reader.readexactly(int(length.partition(b":")[2]))
                good = head.split(b" ", 2)[1].endswith(b"/tokens") and not self.spoils_tokens
                writer.write(self._token if good else self.answer)
                await writer.drain()
                if not good:
                    break
        writer.close()


class Worker:
    """Tries one answer after the other on the client."""

    def __init__(self, url: str, pbx: BadPbx, session: aiohttp.ClientSession) -> None:
        self._pbx = pbx
        self._session = session
        self._config = {
            "base_url": url,
            "client_id": "example-client",
            "client_secret": SECRET,
            "username": "1001@acme.example",
            "password": PASSWORD,
        }
        self._calls: dict[str, Callable[[NetsapiensAPI], Awaitable[None]]] = {
            "get_token": self._get_token,
            "get_version": self._get_version,
            "get_numbers": self._get_numbers,
            "send_message": self._send_message,
            "get_messages": self._get_messages,
            "get_messagesessions": self._get_messagesessions,
        }

    async def attempt(self, seed: int, number: int) -> Result:
        """Give one answer to one call."""
        dice = random.Random(f"{seed}:{number}")
        name = dice.choice(list(self._calls))
        self._pbx.answer = odd_answer(dice)
        self._pbx.spoils_tokens = name == "get_token"
        outcome, problem = "was understood", ""
        async with NetsapiensAPI(self._config, self._session) as api:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._calls[name](api)
            except NetsapiensError as err:
                kinds = (kind.__name__ for kind in type(err).__mro__)
                outcome, said = next(kind for kind in kinds if not kind.startswith("_")), f"{err!s} {err!r}"
                if any(private in said for private in PRIVATE if private != TEXT or name == "send_message"):
                    problem = f"the error says what is private: {said}"
            except TimeoutError:
                problem = f"no end within {PATIENCE:.0f} s"
            except Exception as err:  # noqa: BLE001 - whatever else comes out is the finding
                problem = f"{type(err).__name__}: {err}"
        return Result(name, outcome, Broken(number, name, shown(self._pbx.answer), problem) if problem else None)

    async def _get_token(self, api: NetsapiensAPI) -> None:
        answer = await api.get_token()
        expect(isinstance(answer, dict) and answer["api_url"] == self._config["base_url"], "no answer of a token call")
        expect(time.strptime(answer["expires_at"], "%Y-%m-%d %H:%M:%S"), "no expires_at")
        expect(api.token_life > 0, "a token that never lived")
        check_fields(api.account)
        await api.user_path()

    async def _get_version(self, api: NetsapiensAPI) -> None:
        expect(isinstance(await api.get_version(), str), "the version is no text")

    async def _get_numbers(self, api: NetsapiensAPI) -> None:
        for row in await NumberAPI(api).get_numbers():
            check_fields(row)
            expect(row.number.isascii() and row.number.isdigit(), f"{row.number!r} is no number")

    async def _send_message(self, api: NetsapiensAPI) -> None:
        answer = await MessageAPI(api).send_message("sms", TEXT, NUMBER, "18585550199", SESSION)
        expect(isinstance(answer, dict) and answer["messagesession-id"] == SESSION, "another conversation")

    async def _get_messages(self, api: NetsapiensAPI) -> None:
        for row in await MessageAPI(api).get_messages(SESSION):
            check_fields(row)

    async def _get_messagesessions(self, api: NetsapiensAPI) -> None:
        for row in await MessageAPI(api).get_messagesessions():
            check_fields(row)


# --- the part -----------------------------------------------------------------------------


class Tally:
    """What was tried, and what came of it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.tried: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.broken: list[Broken] = []
        self._said = time.monotonic()

    def note(self, result: Result) -> None:
        """Count one input."""
        self.tried[result.name] += 1
        if result.broken is not None:
            self.broken.append(result.broken)
        else:
            self.outcomes[result.outcome] += 1
        if time.monotonic() - self._said > 10:
            self._said = time.monotonic()
            print(f"{self.tried.total()} of {self.count} malformed inputs tried", file=sys.stderr, flush=True)

    def show(self, seed: int, seconds: float) -> None:
        """Print the tables."""
        print(f"## Malformed inputs (`--malformed {self.count} --seed {seed}`)\n")
        print("| given to | inputs |\n|---|--:|")
        for name, tried in sorted(self.tried.items()):
            print(f"| `{name}` | {tried:,} |")
        print("\n| outcome | inputs |\n|---|--:|")
        for name, tried in self.outcomes.most_common():
            print(f"| {name if ' ' in name else f'`{name}`'} | {tried:,} |")
        print(f"| **broke anything** | **{len(self.broken)}** |")
        print(f"| tried in all, in {seconds:.0f} s | {self.tried.total():,} |\n", flush=True)


async def over_http(numbers: list[int], seed: int, tally: Tally) -> None:
    """Try answers, several at a time."""

    async def work() -> None:
        pbx = BadPbx()
        async with pbx as url, aiohttp.ClientSession() as session:
            worker = Worker(url, pbx, session)
            while numbers:
                tally.note(await worker.attempt(seed, numbers.pop()))

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


async def run(count: int, seed: int) -> bool:
    """Run this part; return whether nothing broke."""
    began = time.monotonic()
    load_metadata()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # connections that end as the trial wants it
    tally = Tally(count)
    for number in range(count // 2):
        tally.note(try_direct(seed, number))
    await over_http(list(range(count // 2, count)), seed, tally)
    for broken in tally.broken[:SHOWN]:
        print(f"\nbroken, input {broken.number}: {broken.what}: {broken.problem}\n  {broken.given}", file=sys.stderr)
    tally.show(seed, time.monotonic() - began)
    return not tally.broken and tally.tried.total() == count
