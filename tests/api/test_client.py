"""The documented calls, as the documentation has them, over real HTTP."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
import json
import socket
import ssl
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
import pytest

from custom_components.netsapiens.api import (
    MessageAPI,
    NetsapiensAPI,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensRequestError,
    NetsapiensServerError,
    NetsapiensTLSError,
    NumberAPI,
    numbers as numbers_module,
)
from custom_components.netsapiens.api.messages import is_session_id
from tests.simulator import FaultKind, Simulator, SmsNumber

from .conftest import MESSAGE, NUMBER, OTHER_OUTSIDE, OUTSIDE, PASSWORD, SECRET, SESSION, Fails, grants, sms

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DATA = base64.b64encode(PIXEL).decode()


class Resolver(AbstractResolver):
    """Finds every host on this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0),
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
async def tls_pbx() -> AsyncGenerator[Simulator]:
    async with Simulator(tls=True) as simulator:
        simulator.first_user.password = PASSWORD
        simulator.client_secret = SECRET
        yield simulator


# --- signing in ---------------------------------------------------------------


async def test_get_token(pbx: Simulator, api: NetsapiensAPI) -> None:
    """The dict is the API's answer, and when it ends, and where it came from."""
    before = datetime.now(UTC).replace(microsecond=0)
    token = await api.get_token()
    after = datetime.now(UTC)

    assert token["access_token"] in pbx.tokens
    assert token["token_type"] == "Bearer"
    assert token["expires_in"] == 3600
    assert token["refresh_token"] in pbx.token_book.refresh
    assert token["displayName"] == "Ann Acme"
    assert token["api_url"] == pbx.url
    expires_at = datetime.strptime(token["expires_at"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert before + timedelta(hours=1) <= expires_at <= after + timedelta(hours=1)

    (call,) = pbx.requests_to("/tokens")
    assert (call.method, call.path, call.query) == ("POST", "/ns-api/v2/tokens", {})
    assert call.body == {
        "grant_type": "password",
        "client_id": pbx.client_id,
        "client_secret": SECRET,
        "username": "1001@acme.example",
        "password": PASSWORD,
    }
    assert "Authorization" not in call.headers


async def test_token_dict_is_the_callers_own(api: NetsapiensAPI) -> None:
    """What a caller does to the token that it got changes nothing for the next one."""
    token = await api.get_token()
    token.clear()
    assert (await api.get_token())["access_token"]


async def test_account(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """Who we are is known after the first token."""
    assert (api.token_life, api.token_left) == (0, 0)
    with fails(NetsapiensError):
        _ = api.account
    await api.get_token()
    account = api.account
    assert (account.uid, account.user, account.domain) == ("1001@acme.example", "1001", "acme.example")
    assert (account.login, account.scope, account.version) == ("1001@acme.example", "Basic User", "45.0")
    assert api.token_life == 3600
    assert 3500 < api.token_left <= 3600
    assert api.api_url == pbx.url


async def test_on_token(api: NetsapiensAPI) -> None:
    """It is told of each new token when the token is already there."""
    lives: list[float] = []
    api.on_token = lambda: lives.append(api.token_life)
    await api.get_token()
    await api.get_token()
    assert lives == [3600]


async def test_version(pbx: Simulator, api: NetsapiensAPI) -> None:
    """The token says it."""
    assert await api.get_version() == "45.0"
    assert not pbx.requests_to("/version")


@pytest.mark.parametrize(
    ("kind", "details", "expected"),
    [
        (None, {}, "44.1.2"),
        (FaultKind.NO_ROUTE, {}, ""),
        (FaultKind.STATUS, {"code": 404, "html": True}, ""),
        (FaultKind.STATUS, {"code": 500}, ""),
        (FaultKind.BODY, {"body": "[]"}, ""),
        (FaultKind.BODY, {"body": "{}"}, ""),
    ],
)
async def test_version_asked_for(
    pbx: Simulator, api: NetsapiensAPI, kind: FaultKind | None, details: dict[str, object], expected: str
) -> None:
    """Where the token does not say, the version call does, if there is one."""
    pbx.fault(FaultKind.BODY, path="/tokens", body='{"access_token":"t","user":"1001","domain":"acme.example"}')
    pbx.api_version = "44.1.2"
    if kind is not None:
        pbx.fault(kind, path="/version", **details)
    assert await api.get_version() == expected
    (call,) = pbx.requests_to("/version")
    assert "Authorization" not in call.headers


# --- sending ------------------------------------------------------------------


async def test_send_sms(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A new conversation, whose id the client chooses."""
    answer = await MessageAPI(api).send_message(
        message_type="sms", message=MESSAGE, destination=OUTSIDE, from_number=NUMBER
    )
    (sent,) = pbx.messages
    assert (sent.type, sent.text, sent.destination, sent.from_number) == ("sms", MESSAGE, [OUTSIDE], NUMBER)
    assert sent.requested_session == answer["messagesession-id"]
    assert is_session_id(answer["messagesession-id"])
    assert answer["messagesession-id"][0].isascii()
    assert answer["messagesession-id"][0].isalpha()

    (call,) = pbx.requests_to("/messagesessions")
    path = "/ns-api/v2/domains/acme.example/users/1001/messagesessions"
    assert (call.method, call.path) == ("POST", f"{path}/{answer['messagesession-id']}/messages")
    assert call.body == {"type": "sms", "message": MESSAGE, "destination": OUTSIDE, "from-number": NUMBER}
    assert call.headers["Authorization"] == f"Bearer {(await api.get_token())['access_token']}"


async def test_generated_ids_differ(pbx: Simulator, messages: MessageAPI) -> None:
    """Texts without a conversation of their own do not end up in one another's."""
    ids = {(await messages.send_message(**sms()))["messagesession-id"] for _ in range(5)}
    assert len(ids) == 5
    assert {message.messagesession for message in pbx.messages} == ids


async def test_send_in_conversation(pbx: Simulator, messages: MessageAPI) -> None:
    """The PBX answers 202."""
    answer = await messages.send_message(**sms(messagesession=SESSION))
    assert answer == {"code": 202, "message": "Accepted", "messagesession-id": SESSION}
    assert pbx.requests[-1].status == 202
    assert pbx.messages[0].messagesession == SESSION


async def test_send_mms(pbx: Simulator, messages: MessageAPI) -> None:
    """The size is sent as given."""
    await messages.send_message(
        **sms(message_type="mms", message="Picture", data=DATA, mime_type="image/png", size=len(PIXEL))
    )
    (sent,) = pbx.messages
    assert (sent.type, sent.media, sent.mime_type) == ("mms", PIXEL, "image/png")
    assert pbx.requests[-1].body["size"] == len(PIXEL)


async def test_size_is_counted(pbx: Simulator, messages: MessageAPI) -> None:
    """The PBX wants the size of the media in bytes, not that of its base64."""
    await messages.send_message(**sms(message_type="mms", data=DATA, mime_type="image/png"))
    assert pbx.requests[-1].body["size"] == len(PIXEL)


async def test_large_upload(pbx: Simulator, messages: MessageAPI) -> None:
    """A picture of three megabytes gets through whole."""
    data = base64.b64encode(b"x" * 3_000_000).decode()
    await messages.send_message(**sms(message_type="mms", data=data, mime_type="image/png"))
    assert pbx.messages[0].size == 3_000_000


async def test_send_chat(pbx: Simulator, messages: MessageAPI) -> None:
    """No sender's number in it."""
    await messages.send_message("chat", MESSAGE, "1002")
    assert pbx.requests[-1].body == {"type": "chat", "message": MESSAGE, "destination": "1002"}


async def test_list_is_one_group(pbx: Simulator, messages: MessageAPI) -> None:
    """One request, one message, one conversation."""
    await messages.send_message(**sms(destination=[OUTSIDE, OTHER_OUTSIDE]))
    (sent,) = pbx.messages
    assert sent.destination == [OUTSIDE, OTHER_OUTSIDE]
    assert len(pbx.requests_to("/messagesessions")) == 1


@pytest.mark.parametrize("destination", [(OUTSIDE,), [OUTSIDE], [int(OUTSIDE)]])
async def test_list_of_one(pbx: Simulator, messages: MessageAPI, destination: list[str]) -> None:
    """A list stays a list, and its numbers are text."""
    await messages.send_message(**sms(destination=destination))
    assert pbx.requests[-1].body["destination"] == [OUTSIDE]


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("form", ["accepted", "message", "list", "empty", "text"])
async def test_answer_forms(pbx: Simulator, messages: MessageAPI, form: str, status: int) -> None:
    """Each is a success and says the conversation."""
    pbx.turn({"accept_body": form, "send_status": status})
    answer = await messages.send_message(**sms(messagesession=SESSION))
    assert pbx.requests[-1].status == status
    assert answer["messagesession-id"] == SESSION
    if form in {"message", "list"}:
        assert answer["id"] == pbx.messages[0].id
    else:
        assert answer.keys() <= {"code", "message", "messagesession-id"}


@pytest.mark.parametrize("body", ["[]", "null", "{}", "5", '"ok"', "true", "[5]", "[[]]", " \n", "\ufeff{}"])
async def test_odd_answers(pbx: Simulator, messages: MessageAPI, body: str) -> None:
    """A success that says little or nothing of the message is a success, with the id that we gave."""
    pbx.fault(FaultKind.BODY, path="/messages", status=202, body=body)
    assert await messages.send_message(**sms(messagesession=SESSION)) == {"messagesession-id": SESSION}


async def test_no_conversations_yet(pbx: Simulator, messages: MessageAPI, fails: Fails) -> None:
    """A user who never texted has an empty list, and no error."""
    body = '{"code": 404, "message": "Record not found"}'
    pbx.fault(FaultKind.BODY, path="/messagesessions", status=404, body=body)
    assert await messages.get_messagesessions() == []
    pbx.fault(FaultKind.BODY, path="/messagesessions", status=404, body=body.replace("Record not", "No Route"))
    with fails(NetsapiensRequestError):
        await messages.get_messagesessions()


async def test_beyond_the_end_of_a_conversation(pbx: Simulator, messages: MessageAPI, fails: Fails) -> None:
    """There is nothing, also where the PBX calls that an error; without an offset, the conversation is missing."""
    pbx.fault(
        FaultKind.BODY, path="/messages", status=404, body='{"code": 404, "message": "Record not found"}', times=2
    )
    assert await messages.get_messages(SESSION, start=1000) == []
    with fails(NetsapiensRequestError):
        await messages.get_messages(SESSION)


@pytest.mark.parametrize(
    "error",
    [
        *({"error": "server_error", "error_description": "?"}, {"error": True}, {"errors": ["?"]}),
        *({"success": False, "message": "?"}, {"success": "false"}, {"status": "Error", "message": "?"}),
    ],
)
async def test_success_with_an_error_in_it(
    pbx: Simulator, messages: MessageAPI, fails: Fails, error: dict[str, Any]
) -> None:
    """Whether it was taken has to be looked up."""
    for body in (error, [error]):
        pbx.fault(FaultKind.BODY, path="/messages", body=json.dumps(body))
        with fails(NetsapiensServerError, maybe_done=True):
            await messages.send_message(**sms())


@pytest.mark.parametrize("fields", [{"success": True}, {"status": "sending"}, {"error": None, "errors": []}])
async def test_success_that_says_so(pbx: Simulator, messages: MessageAPI, fields: dict[str, Any]) -> None:
    """Such a field alone is no error."""
    pbx.fault(FaultKind.BODY, path="/messages", body=json.dumps([fields]))
    assert (await messages.send_message(**sms()))["messagesession-id"]


async def test_refusal_as_a_list(pbx: Simulator, messages: MessageAPI, fails: Fails) -> None:
    """A 200 with an error's code in its only row is refused as one that has it in an object."""
    pbx.fault(FaultKind.BODY, path="/messages", body='[{"code": 400, "message": "Invalid from-number"}]')
    with fails(NetsapiensRequestError) as refusal:
        await messages.send_message(**sms())
    assert str(refusal.value) == "400: Invalid from-number"


@pytest.mark.parametrize(
    "messagesession",
    [
        " ",
        "a" * 31,
        "a" * 31 + "-",
        "-" * 36,
        "a" * 32 + "\n",
        "\n" + "a" * 32,
        "a" * 32 + " ",
        "a" * 31 + "ä",
        "a" * 31 + "\u017f",
        "a" * 31 + "٣",
        "a" * 31 + "\u212a",
        "a" * 32 + "\0",
        "a" * 32 + "/..",
        "a" * 32 + "%",
        10**32,
    ],
)
async def test_bad_messagesession(pbx: Simulator, messages: MessageAPI, messagesession: str) -> None:
    """Nothing goes out, not even for a token."""
    with pytest.raises(ValueError, match="at least 32"):
        await messages.send_message(**sms(messagesession=messagesession))
    assert not pbx.requests


@pytest.mark.parametrize("messagesession", ["a" * 32, "A_9" * 11, "_" * 32, "7" * 64])
async def test_good_messagesession(pbx: Simulator, messages: MessageAPI, messagesession: str) -> None:
    """An id of the caller's own is used as it is, so that texts stay in one conversation."""
    answer = await messages.send_message(**sms(messagesession=messagesession))
    assert answer["messagesession-id"] == messagesession == pbx.messages[0].messagesession


@pytest.mark.parametrize("destination", ["", " ", [], (), [""], [OUTSIDE, ""], [None], True])
async def test_no_destination(pbx: Simulator, messages: MessageAPI, destination: str) -> None:
    """A text to nobody is refused before anything is sent."""
    with pytest.raises(ValueError, match="no destination"):
        await messages.send_message(**sms(destination=destination))
    assert not pbx.requests


@pytest.mark.parametrize("data", ["abc", "ab c", "a\nbcde", "ünïcode", "-_-_"])
async def test_bad_base64(pbx: Simulator, messages: MessageAPI, data: str) -> None:
    """Media that is no base64 is refused before anything is sent."""
    with pytest.raises(ValueError):
        await messages.send_message(**sms(message_type="mms", data=data, mime_type="image/png"))
    assert not pbx.requests


@pytest.mark.parametrize("destination", [int(OUTSIDE), [int(OUTSIDE), OTHER_OUTSIDE]])
async def test_numbers_that_are_numbers(pbx: Simulator, messages: MessageAPI, destination: int | list[int]) -> None:
    """As YAML and templates make them; the PBX wants text."""
    await messages.send_message(**sms(destination=destination, from_number=int(NUMBER)))
    body = pbx.requests[-1].body
    assert body["destination"] == ([OUTSIDE, OTHER_OUTSIDE] if isinstance(destination, list) else OUTSIDE)
    assert body["from-number"] == NUMBER


@pytest.mark.parametrize("empty", [None, ""])
async def test_empty_is_left_out(pbx: Simulator, messages: MessageAPI, empty: str | None) -> None:
    """An optional field that is empty is not sent: the PBX would take it for a value."""
    answer = await messages.send_message(
        "chat", MESSAGE, "1002", from_number=empty, messagesession=empty, data=empty, mime_type=empty, user=empty
    )
    assert pbx.requests[-1].body == {"type": "chat", "message": MESSAGE, "destination": "1002"}
    assert is_session_id(answer["messagesession-id"])


async def test_media_of_no_kind(pbx: Simulator, messages: MessageAPI, fails: Fails) -> None:
    """The PBX is not asked to take a MIME type of null."""
    with fails(NetsapiensRequestError):
        await messages.send_message(**sms(message_type="mms", data=DATA))
    assert "mime-type" not in pbx.requests[-1].body


@pytest.mark.parametrize("size", [None, 0, len(PIXEL)])
async def test_base64_with_line_breaks(pbx: Simulator, messages: MessageAPI, size: int | None) -> None:
    """As mail, PEM files and templates have it."""
    data = f" {DATA[:60]}\r\n{DATA[60:]}\n"
    await messages.send_message(**sms(message_type="mms", data=data, mime_type="image/png", size=size))
    assert pbx.messages[0].media == PIXEL
    assert {"data": DATA, "size": len(PIXEL)}.items() <= pbx.requests[-1].body.items()


OTHER_SESSION = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ({"messagesession-id": OTHER_SESSION}, OTHER_SESSION),
        ({"messagesession_id": OTHER_SESSION, "code": 202}, OTHER_SESSION),
        ({"messagesession-id": "", "messagesession_id": OTHER_SESSION}, OTHER_SESSION),
        ({"messagesession": OTHER_SESSION}, OTHER_SESSION),
        ({"messagesession": {"id": OTHER_SESSION}}, SESSION),
        ([{"messagesession-id": OTHER_SESSION}, {"messagesession-id": SESSION}], OTHER_SESSION),
        ({"messagesession-id": None}, SESSION),
        ({"messagesession-id": "short"}, SESSION),
        ({"messagesession-id": 10**40}, SESSION),
        ({"messagesession-id": [OTHER_SESSION]}, SESSION),
    ],
)
async def test_the_conversation_that_an_answer_names(
    pbx: Simulator, messages: MessageAPI, answer: object, named: str
) -> None:
    """It is believed, unless it is none: an id of digits may have lost some on the way."""
    pbx.fault(FaultKind.BODY, path="/messages", body=json.dumps(answer))
    assert (await messages.send_message(**sms(messagesession=SESSION)))["messagesession-id"] == named


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ({"id": "m-1"}, "m-1"),
        ({"id": 123}, "123"),
        ({"message_id": "m-1"}, "m-1"),
        ([{"id": None, "message_id": 123}], "123"),
        ({"id": "", "message_id": None}, ""),
        ({"code": 202}, None),
    ],
)
async def test_the_message_that_an_answer_names(
    pbx: Simulator, messages: MessageAPI, answer: object, named: str | None
) -> None:
    """PBXs give its id under several keys, or none."""
    pbx.fault(FaultKind.BODY, path="/messages", body=json.dumps(answer))
    assert (await messages.send_message(**sms())).get("id") == named


async def test_half_a_character(pbx: Simulator, messages: MessageAPI) -> None:
    """A lone surrogate, as cut emoji leave behind, does not keep the rest back."""
    await messages.send_message(**sms(message="Hi \ud83d"))
    assert pbx.messages[0].text == "Hi ?"


# --- reading ------------------------------------------------------------------


@pytest.mark.parametrize("bare_single", [False, True])
@pytest.mark.parametrize("cast_numbers", [False, True])
@pytest.mark.parametrize("suffix", ["datetime", "timestamp"])
async def test_reading(
    pbx: Simulator, messages: MessageAPI, suffix: str, cast_numbers: bool, bare_single: bool
) -> None:
    """What the PBX does to numbers, times and lists is undone."""
    pbx.turn({"key_suffix": suffix, "cast_numbers": cast_numbers, "bare_single": bare_single})
    received = await pbx.receive(OUTSIDE, "4")
    at = datetime.fromisoformat(f"{received.timestamp}+00:00")

    (conversation,) = await messages.get_messagesessions()
    assert (conversation.remotes, conversation.sms_number) == ((OUTSIDE,), NUMBER)
    assert (conversation.last_time, conversation.last_message, conversation.last_sender) == (at, "4", OUTSIDE)
    (message,) = await messages.get_messages(conversation.id)
    assert (message.text, message.from_number, message.time, message.direction) == ("4", OUTSIDE, at, "orig")
    assert message.messagesession == conversation.id
    assert message.id == received.id


async def test_media_url(pbx: Simulator, messages: MessageAPI) -> None:
    """The key with the trailing space."""
    received = await pbx.receive(OUTSIDE, media=PIXEL)
    (message,) = await messages.get_messages(received.messagesession)
    assert message.media_type == "image/png"
    assert message.media_url.startswith(f"{pbx.url}/ns-api/?")


async def test_pages(pbx: Simulator, messages: MessageAPI) -> None:
    """``start`` is sent only where it is needed."""
    for number in range(5):
        await pbx.receive(OUTSIDE, f"no. {number}", messagesession=SESSION)
    assert [row.text for row in await messages.get_messages(SESSION, limit=2)] == ["no. 4", "no. 3"]
    assert pbx.requests[-1].query == {"limit": "2"}
    assert [row.text for row in await messages.get_messages(SESSION, start=4)] == ["no. 0"]
    assert pbx.requests[-1].query == {"limit": "1000", "start": "4"}
    assert await messages.get_messagesessions(start=1, limit=1) == []
    assert pbx.requests[-1].query == {"limit": "1", "start": "1"}
    assert len(await messages.get_messages(SESSION, limit=None)) == 5
    assert len(await messages.get_messagesessions(limit=None)) == 1
    assert [record.query for record in pbx.requests[-2:]] == [{"limit": "1000"}] * 2


async def test_ids_of_the_pbx_are_quoted(pbx: Simulator, messages: MessageAPI) -> None:
    """Its own conversations can be named in any way."""
    strange = "a/b?c#d%2F ü"
    await pbx.receive(OUTSIDE, messagesession=strange)
    assert len(await messages.get_messages(strange)) == 1


async def test_numbers(pbx: Simulator, api: NetsapiensAPI) -> None:
    """All of them, once each, in order."""
    pbx.first_user.numbers = [SmsNumber(f"1858666{n:04}", mms_capable=n % 2 == 0) for n in range(150)]
    pbx.first_user.numbers.append(pbx.first_user.numbers[0])
    numbers = await NumberAPI(api).get_numbers()
    assert [row.number for row in numbers] == [row.number for row in pbx.first_user.numbers[:150]]
    assert [row.mms_capable for row in numbers[:2]] == [True, False]
    assert numbers[0].dest == "1001"


@pytest.mark.parametrize(("count", "shown", "pages"), [(2000, 2000, 3), (2001, 2001, 3), (3500, 3000, 3)])
async def test_more_numbers_than_a_page(
    pbx: Simulator, api: NetsapiensAPI, monkeypatch: pytest.MonkeyPatch, count: int, shown: int, pages: int
) -> None:
    """Page after page, and no endless list."""
    monkeypatch.setattr(numbers_module, "_MOST_PAGES", 3)
    pbx.first_user.numbers = [SmsNumber(f"1858666{n:04}") for n in range(count)]
    numbers = await NumberAPI(api).get_numbers()
    assert [row.number for row in numbers] == [row.number for row in pbx.first_user.numbers[:shown]]
    starts = [record.query.get("start") for record in pbx.requests_to("/smsnumbers")]
    assert starts == [None, "1000", "2000"][:pages]


async def test_own_user_is_asked_for_by_tildes_where_unknown(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A token that does not say whose it is still leads to our own user."""
    pbx.fault(FaultKind.BODY, path="/tokens", body='{"access_token": "t", "user": "1001"}')
    assert await api.user_path() == "domains/~/users/~"


async def test_user_is_quoted(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A user's name out of a token cannot lead to another path."""
    pbx.fault(FaultKind.BODY, path="/tokens", body='{"access_token": "t", "user": "../a b", "domain": "\\ud83d/ä"}')
    assert await api.user_path() == "domains/%3F%2F%C3%A4/users/..%2Fa%20b"


async def test_clock_of_the_pbx(pbx: Simulator, api: NetsapiensAPI) -> None:
    """Until it told its own time, ours stands in."""
    assert abs(api.now() - datetime.now(UTC)) < timedelta(seconds=30)
    pbx.clock_offset = -86400
    await api.get_token()
    assert abs(datetime.now(UTC) - timedelta(days=1) - api.now()) < timedelta(seconds=30)


# --- sessions and connections -------------------------------------------------


async def test_none_is_kept_once_one_broke(pbx: Simulator, messages: MessageAPI, fails: Fails) -> None:
    """A PBX that drops what comes on a kept connection would take no message ever."""
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages")
    with fails(NetsapiensConnectionError, maybe_done=True):
        await messages.send_message(**sms())
    before = pbx.connections
    for _ in range(3):
        await messages.send_message(**sms())
    assert pbx.connections == before + 3


async def test_connections_are_kept(pbx: Simulator, messages: MessageAPI) -> None:
    """Many texts cost one connection, not one each."""
    for _ in range(20):
        await messages.send_message(**sms())
    assert len(pbx.messages) == 20
    assert pbx.connections == 1


async def test_given_session_is_used_and_not_closed(pbx: Simulator, session: aiohttp.ClientSession) -> None:
    """Home Assistant's session serves all its integrations: it is never closed by one."""
    session.headers["X-Mine"] = "yes"
    async with NetsapiensAPI(pbx.account, session) as api:
        await MessageAPI(api).send_message(**sms())
    assert [record.headers.get("X-Mine") for record in pbx.requests] == ["yes", "yes"]
    assert not session.closed
    async with MessageAPI(NetsapiensAPI(pbx.account, session)) as messages:
        await messages.send_message(**sms())
    assert not session.closed
    assert pbx.connections == 1


async def test_own_session_is_closed(
    pbx: Simulator, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """Outside Home Assistant the client opens a session of its own, and leaves nothing open."""
    made: list[aiohttp.ClientSession] = []
    original = aiohttp.ClientSession.__init__

    def init(self: aiohttp.ClientSession, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", init)
    async with NetsapiensAPI(pbx.account) as api:
        assert not made
        await api.get_token()
        await MessageAPI(api).send_message(**sms())
    async with MessageAPI(NetsapiensAPI(pbx.account)) as messages:
        await messages.send_message(**sms())
    assert [session.closed for session in made] == [True, True]
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]


async def test_closed_is_closed(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """No new session is opened behind the back of who closed it."""
    await api.get_token()
    await api.close()
    await api.close()
    with fails(NetsapiensConnectionError):
        await MessageAPI(api).send_message(**sms())
    unused = NetsapiensAPI(pbx.account)
    await unused.close()
    with fails(NetsapiensConnectionError):
        await unused.get_token()


async def test_given_session_closed_by_its_owner(pbx: Simulator, session: aiohttp.ClientSession, fails: Fails) -> None:
    """A session that is gone is a connection error like any other."""
    api = NetsapiensAPI(pbx.account, session)
    await api.get_token()
    await session.close()
    with fails(NetsapiensConnectionError):
        await MessageAPI(api).send_message(**sms())


async def test_session_that_raises_for_status(pbx: Simulator) -> None:
    """A refusal is still read."""
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        api = NetsapiensAPI(pbx.account, session)
        await api.get_token()
        pbx.revoke_tokens()
        await MessageAPI(api).send_message(**sms())
    assert len(pbx.messages) == 1


@pytest.mark.parametrize("path", ["", "/ns-api", "/ns-api/v2/"])
async def test_localhost_by_name(pbx: Simulator, path: str) -> None:
    """Plain http, with what operators write behind the host."""
    url = f"http://localhost:{pbx.port}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Resolver())) as session:
        api = NetsapiensAPI({**pbx.account, "base_url": url + path}, session)
        assert (await api.get_token())["api_url"] == url


# --- TLS ----------------------------------------------------------------------


async def test_tls_with_given_session(tls_pbx: Simulator) -> None:
    """The session's own idea of what to trust holds."""
    context = ssl.create_default_context(cafile=tls_pbx.ssl_cafile)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        api = NetsapiensAPI(tls_pbx.account, session)
        assert (await api.get_token())["api_url"] == tls_pbx.url
        for _ in range(3):
            await MessageAPI(api).send_message(**sms())
    assert len(tls_pbx.messages) == 3
    assert tls_pbx.connections == 1


@pytest.mark.parametrize("base_url", ["127.0.0.1:{}", "https://127.0.0.1:{}/ns-api"])
async def test_tls_unverified(tls_pbx: Simulator, base_url: str) -> None:
    """A bare host means https."""
    config = {**tls_pbx.account, "base_url": base_url.format(tls_pbx.port), "verify_ssl": False}
    async with NetsapiensAPI(config) as api:
        await MessageAPI(api).send_message(**sms())
    assert len(tls_pbx.messages) == 1


async def test_tls_unverified_with_given_session(tls_pbx: Simulator, session: aiohttp.ClientSession) -> None:
    """A PBX with a self-signed certificate is reached through the given session as well."""
    api = NetsapiensAPI({**tls_pbx.account, "verify_ssl": False}, session)
    assert (await api.get_token())["access_token"]


@pytest.mark.parametrize("config", [{}, {"verify_ssl": True}])
async def test_untrusted_certificate(tls_pbx: Simulator, config: dict[str, bool], fails: Fails) -> None:
    """Refused, and no credential went out."""
    async with NetsapiensAPI({**tls_pbx.account, **config}) as api:
        with fails(NetsapiensTLSError):
            await api.get_token()
    assert not tls_pbx.requests


async def test_certificate_of_another_host(tls_pbx: Simulator, fails: Fails) -> None:
    """A trusted issuer is not enough."""
    context = ssl.create_default_context(cafile=tls_pbx.ssl_cafile)
    connector = aiohttp.TCPConnector(ssl=context, resolver=Resolver())
    async with aiohttp.ClientSession(connector=connector) as session:
        config = {**tls_pbx.account, "base_url": f"pbx.example:{tls_pbx.port}"}
        with fails(NetsapiensTLSError):
            await NetsapiensAPI(config, session).get_token()
    assert tls_pbx.connections == 1
    assert not tls_pbx.requests


async def test_https_to_a_plain_port(pbx: Simulator, fails: Fails) -> None:
    """What does not speak TLS gets no request, so no password goes out in the clear."""
    async with NetsapiensAPI({**pbx.account, "base_url": f"127.0.0.1:{pbx.port}"}) as api:
        with fails(NetsapiensTLSError):
            await api.get_token()
    assert not pbx.requests


async def test_many_senders_at_once(pbx: Simulator, messages: MessageAPI) -> None:
    """Each message once, and one token call for all."""
    await asyncio.gather(*(messages.send_message(**sms(message=f"no. {n}")) for n in range(100)))
    assert sorted(message.text for message in pbx.messages) == sorted(f"no. {n}" for n in range(100))
    assert grants(pbx) == ["password"]
    assert pbx.tokens_in_flight_peak == 1
