"""One request: what each kind of failure is called, and whether the message may be on its way all the same."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
import gzip
import time
import tracemalloc
from typing import Any

import aiohttp
import pytest

from custom_components.netsapiens.api import (
    ContactAPI,
    MessageAPI,
    NetsapiensAPI,
    NetsapiensConnectionError,
    NetsapiensEmptyAnswerError,
    NetsapiensError,
    NetsapiensRateLimitError,
    NetsapiensRequestError,
    NetsapiensServerError,
    NetsapiensTimeoutError,
    NumberAPI,
    SubscriptionAPI,
)
from custom_components.netsapiens.api.answers import _parse
from custom_components.netsapiens.api.transport import MAX_ANSWER
from tests.helpers import until
from tests.simulator import FaultKind, Simulator

from .conftest import MESSAGE, NUMBER, OUTSIDE, PASSWORD, SECRET, SESSION, Fails, grants, sms
from .raw import Raw, http

SHORT = aiohttp.ClientTimeout(total=0.3)
SEND = f"/messagesessions/{SESSION}/messages"
ECHO = f"{MESSAGE} {PASSWORD} {SECRET} {NUMBER} {OUTSIDE}"


@pytest.fixture
async def hasty(pbx: Simulator) -> AsyncGenerator[MessageAPI]:
    """A sender that does not wait long, with a token at hand."""
    async with NetsapiensAPI(pbx.account, timeout=SHORT) as api:
        await api.get_token()
        yield MessageAPI(api)


@pytest.mark.parametrize(
    ("kind", "details", "error", "maybe_done"),
    [
        # It may have been carried out: nobody knows.
        (FaultKind.DROP_BEFORE, {}, NetsapiensConnectionError, True),
        (FaultKind.DROP_AFTER, {}, NetsapiensConnectionError, True),
        (FaultKind.HANG, {}, NetsapiensTimeoutError, True),
        (FaultKind.HANG, {"accept": True}, NetsapiensTimeoutError, True),
        (FaultKind.TRUNCATE, {}, NetsapiensServerError, True),
        (FaultKind.STATUS, {"code": 500, "message": ECHO}, NetsapiensServerError, True),
        (FaultKind.STATUS, {"code": 502, "html": True}, NetsapiensServerError, True),
        (FaultKind.STATUS, {"code": 503, "html": True}, NetsapiensServerError, True),
        (FaultKind.STATUS, {"code": 408, "message": ECHO}, NetsapiensServerError, True),
        (FaultKind.STATUS, {"code": 200, "html": True}, NetsapiensServerError, True),
        (FaultKind.STATUS, {"code": 202, "html": True}, NetsapiensServerError, True),
        (FaultKind.BODY, {"body": "<?xml version='1.0'?><x/>"}, NetsapiensServerError, True),
        (FaultKind.BODY, {"body": '{"code": 500, "message": "x"}'}, NetsapiensServerError, True),
        # It was not: it was refused, or never got to the PBX.
        (FaultKind.BODY, {"body": '{"code": 400, "message": "x"}'}, NetsapiensRequestError, False),
        (FaultKind.BODY, {"body": '{"code": "404"}', "status": 202}, NetsapiensRequestError, False),
        (FaultKind.BODY, {"body": '{"code": 429}'}, NetsapiensRateLimitError, False),
        (FaultKind.REDIRECT, {"code": 301}, NetsapiensConnectionError, False),
        (FaultKind.REDIRECT, {"code": 302}, NetsapiensConnectionError, False),
        (FaultKind.REDIRECT, {"code": 307}, NetsapiensConnectionError, False),
        (FaultKind.REDIRECT, {"code": 308}, NetsapiensConnectionError, False),
        (FaultKind.RATE_LIMIT, {}, NetsapiensRateLimitError, False),
        (FaultKind.FORBIDDEN_HTML, {}, NetsapiensRateLimitError, False),
        (FaultKind.BODY, {"status": 403, "body": "Forbidden"}, NetsapiensRateLimitError, False),
        (FaultKind.BODY, {"status": 403, "body": ""}, NetsapiensRateLimitError, False),
        (FaultKind.STATUS, {"code": 403, "message": ECHO}, NetsapiensRequestError, False),
        (FaultKind.STATUS, {"code": 400, "message": ECHO}, NetsapiensRequestError, False),
        (FaultKind.STATUS, {"code": 404, "message": ECHO}, NetsapiensRequestError, False),
        (FaultKind.STATUS, {"code": 409, "message": ECHO}, NetsapiensRequestError, False),
        (FaultKind.STATUS, {"code": 413, "html": True}, NetsapiensRequestError, False),
        (FaultKind.STATUS, {"code": 404, "html": True}, NetsapiensServerError, True),
        (FaultKind.STATUS, {"code": 400, "html": True}, NetsapiensServerError, True),
        (FaultKind.BODY, {"status": 404, "body": "404 page not found"}, NetsapiensServerError, True),
        (FaultKind.BODY, {"status": 404, "body": ""}, NetsapiensServerError, True),
        (FaultKind.BODY, {"status": 400, "body": ECHO}, NetsapiensRequestError, False),
        (FaultKind.NO_ROUTE, {}, NetsapiensRequestError, False),
    ],
)
async def test_failing_send(
    pbx: Simulator,
    hasty: MessageAPI,
    fails: Fails,
    kind: FaultKind,
    details: dict[str, Any],
    error: type[NetsapiensError],
    maybe_done: bool,
) -> None:
    """A message goes out once, whatever happens: one request, never a second one of our own accord."""
    fault = pbx.fault(kind, path=SEND, **details)
    with fails(error, maybe_done=maybe_done):
        await hasty.send_message(**sms(messagesession=SESSION))
    assert len(pbx.requests_to(SEND)) == 1
    assert len(pbx.messages) == (1 if fault.accepts else 0)
    assert grants(pbx) == ["password"]
    # The failure leaves nothing behind that the next one could trip over.
    await hasty.send_message(**sms(messagesession=SESSION))


async def test_away(pbx: Simulator, hasty: MessageAPI, fails: Fails) -> None:
    """Nobody listens: surely not carried out. Back again: the token is still good."""
    await pbx.stop()
    with fails(NetsapiensConnectionError):
        await hasty.send_message(**sms())
    await pbx.start()
    await hasty.send_message(**sms())
    assert grants(pbx) == ["password"]


async def test_kept_connection_that_was_closed(pbx: Simulator, hasty: MessageAPI) -> None:
    """A restart of the PBX between two messages is not noticed."""
    await hasty.send_message(**sms())
    await pbx.stop()
    await pbx.start()
    await hasty.send_message(**sms())
    assert len(pbx.messages) == 2


async def test_timeout_of_one_request(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """A caller that has less time gets its error within that, and as one that may have been done."""
    pbx.fault(FaultKind.HANG, path="/smsnumbers")
    with fails(NetsapiensTimeoutError, maybe_done=True):
        await api.request("GET", "domains/~/users/~/smsnumbers", timeout=SHORT)


async def test_cancelled_request(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A cancellation stays one."""
    fault = pbx.fault(FaultKind.HANG, path=SEND)
    task = asyncio.create_task(MessageAPI(api).send_message(**sms(messagesession=SESSION)))
    await until(lambda: fault.struck)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("kind", "details", "unknown"),
    [
        (FaultKind.NO_ROUTE, {}, True),
        (FaultKind.STATUS, {"code": 400, "message": "no route found [92]"}, True),
        (FaultKind.STATUS, {"code": 404, "message": "Messagesession not found"}, False),
        (FaultKind.STATUS, {"code": 404, "message": ""}, False),
    ],
)
async def test_unknown_route(
    pbx: Simulator, api: NetsapiensAPI, fails: Fails, kind: FaultKind, details: dict[str, Any], unknown: bool
) -> None:
    """A missing call is not a missing record."""
    pbx.fault(kind, path="/messages", **details)
    with fails(NetsapiensRequestError) as caught:
        await MessageAPI(api).get_messages(SESSION)
    err = caught.value
    assert isinstance(err, NetsapiensRequestError)
    assert err.unknown_route is unknown
    assert err.status == details.get("code", 404)


async def test_request_error_says_status_and_reason(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """A refusal says what a person needs to understand it."""
    with fails(NetsapiensRequestError) as caught:
        await MessageAPI(api).send_message(**sms(from_number=OUTSIDE))
    assert (caught.value.status, caught.value.reason) == (400, "Invalid from-number")  # type: ignore[attr-defined]
    assert str(caught.value) == "400: Invalid from-number"


@pytest.mark.parametrize("body", ["5", '"x"', "[5]", "Accepted", '{"code": 202}', '{"error": "x"}', "[[]]"])
async def test_not_a_list(pbx: Simulator, api: NetsapiensAPI, fails: Fails, body: str) -> None:
    """What is no list of records is not taken for an empty one: a message would be sent twice."""
    pbx.fault(FaultKind.BODY, path="/messages", body=body)
    with fails(NetsapiensServerError, maybe_done=True):
        await MessageAPI(api).get_messages(SESSION)


async def test_empty_list(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A conversation without messages is no error."""
    pbx.fault(FaultKind.BODY, path="/messages", body="[]")
    assert await MessageAPI(api).get_messages(SESSION) == []


@pytest.mark.parametrize("body", ["{}", "null", ""])
async def test_nothing_at_all_is_no_empty_list(pbx: Simulator, api: NetsapiensAPI, fails: Fails, body: str) -> None:
    """What is not seen there would be sent once more. Contacts and subscriptions are not counted: nothing is none."""
    pbx.fault(FaultKind.BODY, path="/messages", body=body)
    with fails(NetsapiensEmptyAnswerError, maybe_done=True):
        await MessageAPI(api).get_messages(SESSION)
    pbx.fault(FaultKind.BODY, path="/smsnumbers", body=body)
    with fails(NetsapiensEmptyAnswerError, maybe_done=True):
        await NumberAPI(api).get_numbers()
    for path, read in (
        ("/contacts", ContactAPI(api).get_contacts),
        ("/subscriptions", SubscriptionAPI(api).get_subscriptions),
    ):
        pbx.fault(FaultKind.BODY, path=path, body=body)
        assert await read() == []


@pytest.mark.parametrize(
    "body",
    [
        '{"message": "Please try again later"}',
        '{"success": false, "message": "busy"}',
        '{"status": "error", "message": "busy"}',
        '{"timestamp": "2026-01-02T03:04:05Z", "status": 503, "title": "Service Unavailable", "id": "r-1"}',
        '{"errors": ["busy"]}',
        '{"total": 0}',
        '{"data": []}',
        '{"messages": [{"direction": "term", "text": "Hi"}]}',
        '{"0": {"direction": "term", "text": "Hi"}}',
        "[{}]",
        "[null]",
        '[{"message": "busy"}]',
        '[{"error": "busy"}]',
        '[{"direction": "term", "number": "1", "messagesession-id": "1", "company": "x", "model": "message"}, {}]',
        '[{"direction": "term", "messagesession-id": "1", "number": "1", "company": "x", "model": "m", "error": "x"}]',
    ],
)
async def test_what_is_no_record_is_never_taken_for_one(
    pbx: Simulator, api: NetsapiensAPI, fails: Fails, body: str
) -> None:
    """Only what is known for a record of a list is one: else a message would count as not there, and go out twice."""
    lists: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("/messages", lambda: MessageAPI(api).get_messages(SESSION)),
        ("/messagesessions", MessageAPI(api).get_messagesessions),
        ("/smsnumbers", NumberAPI(api).get_numbers),
        ("/contacts", ContactAPI(api).get_contacts),
        ("/subscriptions", SubscriptionAPI(api).get_subscriptions),
    ]
    for path, read in lists:
        pbx.fault(FaultKind.BODY, path=path, body=body)
        with fails(NetsapiensServerError, maybe_done=True):
            await read()


@pytest.mark.parametrize("form", ["[%s]", "%s"])
async def test_a_record_that_lacks_most_of_what_is_documented(pbx: Simulator, api: NetsapiensAPI, form: str) -> None:
    """Some PBXs leave fields out; one row may come without its list."""
    pbx.fault(FaultKind.BODY, path="/messages", body=form % '{"direction": "term", "text": 5}')
    assert [row.text for row in await MessageAPI(api).get_messages(SESSION)] == ["5"]
    pbx.fault(FaultKind.BODY, path="/messagesessions", body=form % '{"messagesession-id": "x1"}')
    assert [row.id for row in await MessageAPI(api).get_messagesessions()] == ["x1"]
    pbx.fault(FaultKind.BODY, path="/smsnumbers", body=form % '{"number": 18585550100}')
    assert [row.number for row in await NumberAPI(api).get_numbers()] == ["18585550100"]
    pbx.fault(FaultKind.BODY, path="/contacts", body=form % '{"phonenumber-cell": 18585550100}')
    assert [row.numbers for row in await ContactAPI(api).get_contacts()] == [("18585550100",)]
    pbx.fault(FaultKind.BODY, path="/subscriptions", body=form % '{"id": "x1", "model": "message"}')
    assert [row.id for row in await SubscriptionAPI(api).get_subscriptions()] == ["x1"]


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        (5, 5, 5),
        ("0", 0, 0),
        (" 7 ", 7, 7),
        ("9" * 300, 3600, 3600),
        ("Fri, 31 Dec 9000 23:59:59 GMT", 3600, 3600),
        (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 3400, 3600),
        (format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True), 0, 0),
        ((datetime.now(UTC) + timedelta(hours=1)).strftime("%a %b %d %H:%M:%S %Y"), 3400, 3600),
        ("Fri, 31 Dec 9999 23:59:59 -1400", None, None),
        ("-5", None, None),
        ("1.5", None, None),
        ("soon", None, None),
        ("", None, None),
    ],
    ids=range(13),
)
async def test_retry_after(
    pbx: Simulator, api: NetsapiensAPI, fails: Fails, given: object, low: float | None, high: float | None
) -> None:
    """Seconds, or a date, which is in UTC whether it says so or not."""
    pbx.fault(FaultKind.RATE_LIMIT, path="/messages", retry_after=given)
    with fails(NetsapiensRateLimitError) as caught:
        await MessageAPI(api).get_messages(SESSION)
    seconds = caught.value.retry_after  # type: ignore[attr-defined]
    assert (seconds is None) is (low is None)
    if seconds is not None and low is not None and high is not None:
        assert low <= seconds <= high


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ({"code": 503, "retry_after": 40}, 40),
        ({"code": 503, "html": True, "retry_after": 40}, 40),
        ({"code": 502, "html": True, "retry_after": "9" * 300}, 3600),
        ({"code": 503}, None),
    ],
)
async def test_retry_after_of_a_pbx_that_is_overloaded(
    pbx: Simulator, api: NetsapiensAPI, fails: Fails, fault: dict[str, Any], seconds: float | None
) -> None:
    """It is as good as that of a 429, also where a proxy answers with a page."""
    pbx.fault(FaultKind.STATUS, path="/messages", **fault)
    with fails(NetsapiensServerError, maybe_done=True) as caught:
        await MessageAPI(api).get_messages(SESSION)
    assert caught.value.retry_after == seconds  # type: ignore[attr-defined]
    assert caught.value.asks_to_wait is (seconds is not None)  # type: ignore[attr-defined]


async def test_retry_after_of_the_version(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """A PBX that fails to say its version has none; one that asks to wait is asked later."""
    pbx.fault(FaultKind.BODY, path="/tokens", body='{"access_token":"t","user":"1001","domain":"acme.example"}')
    pbx.fault(FaultKind.STATUS, path="/version", code=503)
    assert await api.get_version() == ""
    pbx.fault(FaultKind.STATUS, path="/version", code=503, retry_after=40)
    with fails(NetsapiensServerError, maybe_done=True) as caught:
        await api.get_version()
    assert caught.value.retry_after == 40  # type: ignore[attr-defined]


@pytest.mark.parametrize("hours", [-5, 5])
async def test_date_of_a_pbx_whose_clock_is_wrong(pbx: Simulator, api: NetsapiensAPI, fails: Fails, hours: int) -> None:
    """A date is by that clock, which the same answer shows."""
    pbx.clock_offset = hours * 3600.0
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours, seconds=30), usegmt=True)
    pbx.fault(FaultKind.RATE_LIMIT, path="/messages", retry_after=date)
    with fails(NetsapiensRateLimitError) as caught:
        await MessageAPI(api).get_messages(SESSION)
    assert 20 <= caught.value.retry_after <= 31  # type: ignore[attr-defined]


def test_date_without_a_clock_to_read_it_by() -> None:
    """Ours has to do then."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    for shown in ({}, {"Date": "not a date"}):
        found = _parse(429, {"Retry-After": date, **shown}, b"").retry_after
        assert found is not None
        assert 20 <= found <= 31


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zones to set")
async def test_dates_without_a_zone(
    pbx: Simulator, api: NetsapiensAPI, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not in the zone of the house."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        date = (datetime.now(UTC) + timedelta(hours=1)).strftime("%a %b %d %H:%M:%S %Y")
        pbx.fault(FaultKind.RATE_LIMIT, path="/messages", retry_after=date)
        with fails(NetsapiensRateLimitError) as caught:
            await MessageAPI(api).get_messages(SESSION)
        assert 3400 <= caught.value.retry_after <= 3600  # type: ignore[attr-defined]
    finally:
        monkeypatch.undo()
        time.tzset()


# --- answers that no PBX should give ------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "maybe_done"),
    [
        (b"", NetsapiensConnectionError, True),
        (b"HELLO\r\n\r\n", NetsapiensConnectionError, True),
        (b"HTTP/1.1 nonsense\r\n\r\n", NetsapiensConnectionError, True),
        (f"{PASSWORD} {NUMBER}\r\n\r\n".encode(), NetsapiensConnectionError, True),
        (f"HTTP/1.1 200 OK\r\n{PASSWORD} {NUMBER}\r\n\r\n".encode(), NetsapiensConnectionError, True),
        (b"HTTP/9.9 200 OK\r\n\r\n", NetsapiensConnectionError, True),
        (b"\x16\x03\x01\x00\x00", NetsapiensConnectionError, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", NetsapiensConnectionError, True),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", NetsapiensConnectionError, True),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", NetsapiensConnectionError, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", NetsapiensConnectionError, True),
        (http("202 Accepted", b'{"code":202', length=500), NetsapiensServerError, True),
        (http("202 Accepted", b"", length=5), NetsapiensServerError, True),
        (http("200 OK", b"not gzip", "Content-Encoding: gzip"), NetsapiensServerError, True),
        (http("500 Oops", b"<htm", length=500), NetsapiensServerError, True),
        (http("404 Gone", b'{"code":4', length=500), NetsapiensServerError, True),
        (http("400 Bad", b'{"code":4', length=500), NetsapiensRequestError, False),
        (http("429 Slow down", b"{", "Retry-After: 5", length=500), NetsapiensRateLimitError, False),
        (http("403 No", b"<html", length=500), NetsapiensRateLimitError, False),
        (http("304 Not Modified"), NetsapiensConnectionError, False),
        (http("600 Whatever"), NetsapiensServerError, True),
        (http("999 Whatever"), NetsapiensServerError, True),
        (http("200 OK", b"[" * 200_000), None, False),
        (http("200 OK", b'{"code": ' + b"4" * 5000 + b"}"), None, False),
        (http("200 OK", b'{"code": "000000404' + b"1" * 5000 + b'"}'), None, False),
        (http("200 OK", b'{"id": "\\ud83d"}'), None, False),
        (http("200 OK", b"\xff\xfe\xfd"), None, False),
        (http("200 OK", b"{}", "Date: Fri, 31 Dec 9999 23:59:59 GMT"), None, False),
        (http("200 OK", b"{}", "Date: Sun, 02 Jan 0100 00:00:00 +2359"), None, False),
        (http("200 OK", b"{}", "Date: soon", "Content-Type: ;;;=x"), None, False),
    ],
)
async def test_garbage(answer: bytes, error: type[NetsapiensError] | None, maybe_done: bool, fails: Fails) -> None:
    """Nothing but our own errors comes out."""
    async with Raw(answer) as raw, NetsapiensAPI(raw.account) as api:
        if error is None:
            sent = await MessageAPI(api).send_message(**sms(messagesession=SESSION))
            assert sent["messagesession-id"] == SESSION
        else:
            with fails(error, maybe_done=maybe_done):
                await MessageAPI(api).send_message(**sms(messagesession=SESSION))
        assert isinstance(api.now(), datetime)
        assert len(raw.heads) == 2


async def test_cut_401(fails: Fails) -> None:
    """The status is enough to ask for a new token, once."""
    async with Raw(http("401 Unauthorized", b'{"code"', length=500)) as raw, NetsapiensAPI(raw.account) as api:
        with fails(NetsapiensRequestError) as caught:
            await MessageAPI(api).send_message(**sms())
    assert caught.value.status == 401  # type: ignore[attr-defined]
    assert ["/tokens" in head for head in raw.heads] == [True, False, True, False]


async def test_answer_without_end(fails: Fails) -> None:
    """The reading stops at 10 MiB, and so does the memory."""
    written = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        while not writer.is_closing():
            writer.write(chunk)
            await writer.drain()
            written += len(chunk)

    async with Raw(endless) as raw, NetsapiensAPI(raw.account) as api:
        with fails(NetsapiensServerError, maybe_done=True) as caught:
            await MessageAPI(api).get_messages(SESSION)
        await until(lambda: not [task for task in raw._tasks if not task.done()] or written > 1 << 30)
    assert str(caught.value) == "the answer is over 10 MiB"
    assert MAX_ANSWER < written < 10 * MAX_ANSWER


async def test_eleven_mebibytes(fails: Fails) -> None:
    """An answer that is too large is given up before it fills the memory."""
    body = b'"' + b"x" * (11 * 1024 * 1024) + b'"'
    async with Raw(http("200 OK", body)) as raw, NetsapiensAPI(raw.account) as api:
        with fails(NetsapiensServerError, maybe_done=True):
            await MessageAPI(api).get_messages(SESSION)


async def test_nine_mebibytes() -> None:
    """An answer just below that is read whole."""
    body = b'[{"direction": "term", "text": "' + b"x" * (9 * 1024 * 1024) + b'"}]'
    async with Raw(http("200 OK", body)) as raw, NetsapiensAPI(raw.account) as api:
        (message,) = await MessageAPI(api).get_messages(SESSION)
        assert len(message.text) == 9 * 1024 * 1024


async def test_zipped_bomb(fails: Fails) -> None:
    """What swells when it is unpacked is cut off too."""
    bomb = gzip.compress(b" " * (200 * 1024 * 1024), compresslevel=1)
    async with Raw(http("200 OK", bomb, "Content-Encoding: gzip")) as raw, NetsapiensAPI(raw.account) as api:
        await api.get_token()
        tracemalloc.start()
        try:
            with fails(NetsapiensServerError, maybe_done=True):
                await MessageAPI(api).get_messages(SESSION)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8 * MAX_ANSWER


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["/tokens", "/smsnumbers", SEND])
async def test_redirects_are_not_followed(pbx: Simulator, fails: Fails, path: str, code: int) -> None:
    """The other host never sees a credential, a token or a message."""
    async with Raw() as other, NetsapiensAPI(pbx.account) as api:
        pbx.fault(FaultKind.REDIRECT, path=path, code=code, location=f"{other.url}/ns-api/v2{path}")
        with fails(NetsapiensConnectionError):
            if path == SEND:
                await MessageAPI(api).send_message(**sms(messagesession=SESSION))
            else:
                await api.request("GET", "domains/~/users/~/smsnumbers")
        assert not other.heads


async def test_slow_handshake(fails: Fails) -> None:
    """Who is not through with TLS has not sent anything."""
    accepted = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read()
        await asyncio.sleep(0)
        while not reader.at_eof():
            await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    config = {
        "base_url": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        "client_id": "example",
        "client_secret": SECRET,
        "username": "1001@acme.example",
        "password": PASSWORD,
    }
    async with NetsapiensAPI(config, timeout=aiohttp.ClientTimeout(total=20, connect=0.3)) as api:
        with fails(NetsapiensTimeoutError) as caught:
            await api.get_token()
        assert str(caught.value) == "the PBX could not be reached in time"
    assert accepted.is_set()
    server.close()
    await server.wait_closed()


async def test_message_waiting_for_a_connection(pbx: Simulator, fails: Fails) -> None:
    """Time that ran out in the queue for a connection is no doubt about the message."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        timeout = aiohttp.ClientTimeout(total=20, connect=0.3)
        api = NetsapiensAPI(pbx.account, session, timeout=timeout)
        await api.get_token()
        hang = pbx.fault(FaultKind.HANG, path="/smsnumbers")
        first = asyncio.create_task(api.request("GET", "domains/~/users/~/smsnumbers"))
        await until(lambda: hang.struck)
        with fails(NetsapiensTimeoutError):
            await MessageAPI(api).send_message(**sms())
        assert not pbx.messages
        first.cancel()
        await asyncio.wait([first])
