"""The simulator keeps its promises: checked over real HTTP, by nothing but what the PBX's documents say."""

import asyncio
import base64
from collections.abc import AsyncIterator
import contextlib
from email.utils import parsedate_to_datetime
import io
import json
from pathlib import Path
import signal
import ssl
import sys
import time
from typing import Any

import aiohttp
from aiohttp import web
import pytest

from .simulator import FaultKind, Simulator, SmsNumber

NUMBER = "18585550199"
OUTSIDE = "18585550123"
OTHER_OUTSIDE = "18585550124"
SESSION = "s" + "a1" * 16
ME = "/domains/~/users/~"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

pytestmark = pytest.mark.usefixtures("socket_enabled")


class Line:
    """A client without any cleverness."""

    def __init__(self, pbx: Simulator, session: aiohttp.ClientSession) -> None:
        self.pbx = pbx
        self.session = session
        self.token: dict[str, Any] = {}

    async def raw(self, method: str, path: str, **kwargs: Any) -> aiohttp.ClientResponse:
        answer = await self.session.request(method, self.pbx.url + path, allow_redirects=False, **kwargs)
        await answer.read()
        return answer

    async def sign_in(self, *, form: bool = False, **changes: Any) -> tuple[int, dict[str, Any]]:
        fields = {"grant_type": "password", **self.pbx.account, **changes}
        fields.pop("base_url")
        answer = await self.raw("POST", "/ns-api/v2/tokens", **{"data" if form else "json": fields})
        body = await answer.json()
        self.token = body if answer.status == 200 else self.token
        return answer.status, body

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token.get('access_token')}"}
        more = {} if body is None else {"json": body}
        answer = await self.raw(method, "/ns-api/v2" + path, headers=headers, params=query, **more)
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    async def send(self, body: dict[str, Any], session_id: str = SESSION) -> tuple[int, Any]:
        return await self.call("POST", f"{ME}/messagesessions/{session_id}/messages", body)


def sms(**changes: Any) -> dict[str, Any]:
    return {"type": "sms", "message": "Hi", "destination": OUTSIDE, "from-number": NUMBER, **changes}


def mms(**changes: Any) -> dict[str, Any]:
    media = {"data": base64.b64encode(PIXEL).decode(), "mime-type": "image/png", "size": len(PIXEL)}
    return sms(type="mms", **{**media, **changes})


@pytest.fixture
async def pbx(socket_enabled: None) -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def line(pbx: Simulator) -> AsyncIterator[Line]:
    async with aiohttp.ClientSession() as session:
        line = Line(pbx, session)
        await line.sign_in()
        yield line


async def test_tokens(pbx: Simulator, line: Line) -> None:
    """A token has the fields that a PBX gives."""
    assert {"uid", "login", "displayName", "territory", "scope", "refresh_token"} <= line.token.keys()
    assert line.token["apiversion"] == "Version: 45.0"
    assert line.token["expires_in"] == 3600
    assert len(line.token["access_token"]) == 32
    assert (await line.sign_in(form=True))[0] == 200
    assert (await line.sign_in(password="wrong"))[0] == 401
    assert (await line.sign_in(client_secret="wrong"))[0] == 400
    assert (await line.sign_in(grant_type="magic"))[0] == 400
    pbx.users[pbx.account["username"]].mfa = True
    status, challenge = await line.sign_in()
    assert (status, challenge["mfa_type"], "refresh_token" in challenge) == (200, "authenticator", False)
    assert (await line.call("GET", f"{ME}/smsnumbers"))[0] == 401


async def test_refresh_tokens_rotate(pbx: Simulator, line: Line) -> None:
    """Each serves once."""
    old = line.token
    status, new = await line.sign_in(grant_type="refresh_token", refresh_token=old["refresh_token"])
    assert status == 200
    assert new["refresh_token"] != old["refresh_token"]
    status, refused = await line.sign_in(grant_type="refresh_token", refresh_token=old["refresh_token"])
    assert (status, refused["error"]) == (400, "invalid_grant")
    line.token = old
    assert (await line.call("GET", f"{ME}/smsnumbers"))[0] == 200
    pbx.revoke_tokens(refresh=True)
    assert (await line.call("GET", f"{ME}/smsnumbers"))[0] == 401
    assert (await line.sign_in(grant_type="refresh_token", refresh_token=new["refresh_token"]))[0] == 400


async def test_tokens_end(pbx: Simulator, line: Line) -> None:
    """A token that has ended is refused as a PBX does."""
    pbx.token_life = 0.2
    await line.sign_in()
    assert (await line.call("GET", f"{ME}/smsnumbers"))[0] == 200
    await asyncio.sleep(0.25)
    status, body = await line.call("GET", f"{ME}/smsnumbers")
    assert (status, body["code"]) == (401, 401)
    assert "The access token provided has expired" in body["message"]


async def test_accounts_and_scopes(pbx: Simulator, line: Line) -> None:
    """Each sees its own, and an office manager the domain's."""
    pbx.add_user("1002@acme.example", numbers=["18585550198"])
    row = {"number": 18585550199, "application": "user", "domain": "acme.example", "dest": "1001"}
    more = {"carrier": "examplecarrier", "mms-capable": True, "group-mms-capable": True}
    assert await line.call("GET", f"{ME}/smsnumbers") == (200, [{**row, **more}])
    assert await line.call("GET", f"{ME}/smsnumbers/count") == (200, {"total": 1})
    assert (await line.call("GET", "/domains/acme.example/users/1001"))[1]["user-scope"] == "Basic User"
    assert (await line.call("GET", "/domains/acme.example/users/1002/smsnumbers"))[0] == 403
    assert (await line.call("GET", "/domains/other.example/users/1001/smsnumbers"))[0] == 401
    assert (await line.call("GET", "/domains/~/messagesessions"))[0] == 403
    assert await line.call("GET", "/nowhere") == (404, {"code": 404, "message": "No Route Found [92]"})
    pbx.first_user.scope = "Office Manager"
    assert len((await line.call("GET", "/domains/~/smsnumbers"))[1]) == 2
    pbx.bare_single, pbx.cast_numbers = True, False
    assert (await line.call("GET", f"{ME}/smsnumbers"))[1]["number"] == NUMBER
    line.token = {}
    assert (await line.call("GET", "/version"))[0] == 200


async def test_sends_are_taken(pbx: Simulator, line: Line) -> None:
    """A text is taken in either form."""
    assert await line.send(sms(message="00 12")) == (202, {"code": 202, "message": "Accepted"})
    assert await line.call("POST", f"{ME}/messages", sms()) == (200, {"code": 202, "message": "Accepted"})
    assert (await line.send(mms(destination=[OUTSIDE, OTHER_OUTSIDE])))[0] == 202
    assert (await line.send({"type": "chat", "message": "Hi", "destination": "1002"}, "c" * 32))[0] == 202
    first, second, third, chat = pbx.messages
    assert (first.text, first.from_number, first.destination, first.messagesession) == (
        *("00 12", NUMBER, [OUTSIDE]),
        SESSION,
    )
    assert len(second.messagesession) == 32
    assert (third.media, third.mime_type, third.size) == (PIXEL, "image/png", len(PIXEL))
    assert (chat.from_number, chat.destination) == (None, ["1002"])
    shapes = {"message": dict, "list": list, "empty": str, "text": str}
    for shape, kind in shapes.items():
        pbx.turn({"accept_body": shape})
        status, body = await line.send(sms())
        assert (status, type(body)) == (202, kind)


@pytest.mark.parametrize(
    "body",
    [
        "not an object",
        {"type": "sms", "message": "Hi", "from-number": NUMBER},
        sms(type="group-sms"),
        sms(message=""),
        sms(message=" \n"),
        mms(message=""),
        {"type": "chat-media", "message": "", "destination": "1002", "data": "AAEC", "mime-type": "image/png"},
        sms(message=5),
        sms(**{"from-number": None}),
        sms(**{"from-number": "18585550111"}),
        sms(destination="+18585550123"),
        sms(destination="1234"),
        sms(destination=[]),
        sms(destination=[OUTSIDE, 5]),
        {"type": "chat", "message": "Hi", "destination": OUTSIDE},
        mms(**{"mime-type": None}),
        mms(**{"mime-type": "application/pdf"}),
        mms(size=1),
        mms(data="***"),
    ],
)
async def test_sends_are_refused(pbx: Simulator, line: Line, body: Any) -> None:
    """What a PBX refuses is refused, and not kept."""
    status, answer = await line.send(body)
    assert status == 400
    assert (answer["code"], bool(answer["message"])) == (400, True)
    assert not pbx.messages


async def test_more_refusals(pbx: Simulator, line: Line) -> None:
    """So are ids and paths that are none."""
    assert (await line.send(sms(), "short"))[0] == 400
    assert (await line.send(sms(), "a-" * 20))[0] == 400
    headers = {"Authorization": f"Bearer {line.token['access_token']}"}
    path = f"/ns-api/v2{ME}/messagesessions/{SESSION}/messages"
    assert (await line.raw("POST", path, data=b"{", headers=headers)).status == 400
    assert (await line.raw("POST", path, data=io.BytesIO(b" " * (25 * 2**20 + 1)), headers=headers)).status == 413
    assert (await line.raw("POST", path, json=sms())).status == 401
    pbx.first_user.numbers = [SmsNumber(NUMBER, group_mms_capable=False)]
    assert (await line.send(mms(destination=[OUTSIDE, OTHER_OUTSIDE])))[0] == 400
    assert (await line.send(sms(destination=[OUTSIDE, OTHER_OUTSIDE])))[0] == 202
    pbx.first_user.numbers = [SmsNumber(NUMBER, mms_capable=False)]
    assert (await line.send(mms()))[0] == 400


async def test_lists(pbx: Simulator, line: Line) -> None:
    """Conversations and messages are listed as a PBX lists them."""
    await line.send(sms(message="0012"))
    answer = await pbx.receive(OUTSIDE, "Hello", media=PIXEL, mime_type="image/png")
    await pbx.receive_chat("1002", "Colleague")
    assert answer.messagesession == SESSION
    status, sessions = await line.call("GET", f"{ME}/messagesessions")
    assert status == 200
    assert [row["messagesession-last-message"] for row in sessions] == ["Colleague", "Hello"]
    assert sessions[1]["messagesession-remote"] == int(OUTSIDE)
    assert sessions[1]["messagesession-last-status"] == "unread"
    assert sessions[1]["messagesession-last-datetime"].endswith("+00:00")
    _, messages = await line.call("GET", f"{ME}/messagesessions/{SESSION}/messages")
    assert [(row["direction"], row["text"]) for row in messages] == [("orig", "Hello"), ("term", 12)]
    assert (messages[0]["from-number"], messages[0]["dialed"]) == (int(OUTSIDE), int(NUMBER))
    link = messages[0]["file-access-url "].removeprefix(pbx.url)
    assert await (await line.raw("GET", link)).read() == PIXEL
    assert (await line.raw("GET", link + "0")).status == 403
    pbx.newest_first, pbx.cast_numbers, pbx.key_suffix = False, False, "timestamp"
    _, messages = await line.call("GET", f"{ME}/messagesessions/{SESSION}/messages")
    assert [row["text"] for row in messages] == ["0012", "Hello"]
    assert "deleted-timestamp" in messages[0]
    assert (await line.call("GET", f"{ME}/messagesessions/{'b' * 32}/messages"))[0] == 404


async def test_the_words_of_an_mms_are_lost(pbx: Simulator, line: Line) -> None:
    """As some PBXs lose them."""
    pbx.loses_mms_text = True
    await line.send(sms(message="Look"))
    await line.send(mms(message="Door"))
    _, messages = await line.call("GET", f"{ME}/messagesessions/{SESSION}/messages")
    assert [(row["type"], row["text"]) for row in messages] == [("mms", ""), ("sms", "Look")]
    assert [row["messagesession-last-message"] for row in (await line.call("GET", f"{ME}/messagesessions"))[1]] == [""]
    assert [message.text for message in pbx.messages] == ["Look", "Door"]


async def test_a_send_without_words(pbx: Simulator, line: Line) -> None:
    """It is refused, with a picture as well."""
    answer = {"code": 400, "message": "Please include field message"}
    assert await line.send(mms(message="")) == (400, answer)


async def test_pages(pbx: Simulator, line: Line) -> None:
    """Lists are cut as a PBX cuts them."""
    for number in range(103):
        await pbx.receive(OUTSIDE, f"text {number}", messagesession=SESSION)
    path = f"{ME}/messagesessions/{SESSION}/messages"
    assert len((await line.call("GET", path))[1]) == 100
    assert len((await line.call("GET", path, limit=1000))[1]) == 103
    texts = [row["text"] for row in (await line.call("GET", path, start=100, limit=50))[1]]
    assert texts == ["text 2", "text 1", "text 0"]


async def test_lag_and_own_ids(pbx: Simulator, line: Line) -> None:
    """Lists may lag, and file under ids of their own."""
    pbx.lag, pbx.file_under_own_id = 0.2, True
    await line.send(sms())
    assert (await line.call("GET", f"{ME}/messagesessions"))[1] == []
    await asyncio.sleep(0.25)
    _, [session] = await line.call("GET", f"{ME}/messagesessions")
    assert session["messagesession-id"] == pbx.messages[0].messagesession != SESSION
    assert pbx.messages[0].requested_session == SESSION
    assert (await pbx.receive(OUTSIDE, "Hi")).messagesession == session["messagesession-id"]


async def test_sessions_change(pbx: Simulator, line: Line) -> None:
    """A conversation can be marked as read and deleted."""
    await pbx.receive(OUTSIDE, "Hi", messagesession=SESSION)
    path = f"{ME}/messagesessions/{SESSION}"
    assert (await line.call("PUT", path, {"messagesession-last-status": "read"}))[0] == 202
    status, [session] = await line.call("GET", path)
    assert (status, session["messagesession-last-status"]) == (200, "read")
    assert (await line.call("PUT", path, {"participants": "1002@acme.example"}))[0] == 400
    assert (await line.call("PUT", path + "/leave"))[0] == 400
    pbx.api_version = "44.1.2"
    assert await line.call("GET", path) == (404, {"code": 404, "message": "No Route Found [92]"})
    assert (await line.call("DELETE", path))[0] == 202
    assert (await line.call("GET", path + "/messages"))[0] == 404


async def test_groups(pbx: Simulator, line: Line) -> None:
    """A group is one conversation, with everybody in it."""
    await line.send(sms(destination=[OUTSIDE, OTHER_OUTSIDE]))
    await pbx.receive(OTHER_OUTSIDE, "From one of them", messagesession=SESSION)
    pbx.cast_numbers = False
    _, messages = await line.call("GET", f"{ME}/messagesessions/{SESSION}/messages")
    everyone = f"{OUTSIDE},{OTHER_OUTSIDE},{NUMBER}"
    assert [row["messagesession-participants"] for row in messages] == [everyone, everyone]
    _, [session] = await line.call("GET", f"{ME}/messagesessions")
    assert session["messagesession-remote"] == f"{OUTSIDE},{OTHER_OUTSIDE}"


async def test_chat_reaches_the_colleague(pbx: Simulator, line: Line) -> None:
    """A chat shows at both ends."""
    pbx.add_user("1002@acme.example", password="other")
    await line.send({"type": "chat", "message": "Hi", "destination": "1002"})
    await line.sign_in(username="1002@acme.example", password="other")
    _, [session] = await line.call("GET", f"{ME}/messagesessions")
    assert session["messagesession-id"] == SESSION
    assert session["messagesession-remote"] == "1001@acme.example"


async def test_subscriptions(pbx: Simulator, line: Line) -> None:
    """Events are posted, and failures counted."""
    received: asyncio.Queue[Any] = asyncio.Queue()
    status = 200

    async def hook(request: web.Request) -> web.Response:
        received.put_nowait(await request.json())
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    body = {"model": "message", "post-url": url, "domain": "acme.example", "user": "1001"}
    try:
        code, made = await line.call("POST", "/subscriptions", body)
        assert (code, made["status"], made["subscription-geo-support"]) == (200, "pending", "no")
        code, refused = await line.call("POST", "/domains/~/subscriptions", body)
        assert (code, list(refused)) == (409, ["message"])
        await pbx.receive(OUTSIDE, "Hi")
        [event] = await received.get()
        assert (event["from_num"], event["direction"], event["media_size"]) == (OUTSIDE, "orig", "0")
        pbx.push_form, pbx.push_names, status = "object", "v2", 500
        await line.send(sms(message="echo"))
        event = await received.get()
        assert (event["direction"], event["messagesession-id"]) == ("term", SESSION)
    finally:
        await runner.cleanup()
    path = f"/subscriptions/{made['id']}"
    for _ in range(100):
        if (row := (await line.call("GET", path))[1])["status"] == "error":
            break
        await asyncio.sleep(0.01)
    assert (row["status"], row["error-count"], row["posts-count"]) == ("error", 1, 2)
    change = {"error-count": 0, "subscription-expires-datetime": "2099-01-02 03:04:05"}
    assert (await line.call("PUT", path, change))[0] == 202
    _, [row] = await line.call("GET", "/subscriptions")
    assert (row["error-count"], row["subscription-expires-datetime"]) == (0, "2099-01-02T03:04:05+00:00")
    assert (await line.call("DELETE", path))[0] == 202
    assert pbx.subscriptions == []
    pbx.api_version = "44.1.2"
    assert (await line.call("POST", "/domains/~/subscriptions", body))[0] == 404
    pbx.subscription_refusal = 403
    assert (await line.call("POST", "/subscriptions", body))[0] == 403


@pytest.mark.parametrize(
    ("kind", "details", "status", "stored"),
    [
        (FaultKind.DROP_BEFORE, {}, None, 0),
        (FaultKind.DROP_AFTER, {}, None, 1),
        (FaultKind.HANG, {"seconds": 0.1, "accept": True}, None, 1),
        (FaultKind.HANG, {"seconds": 0.1}, None, 0),
        (FaultKind.TRUNCATE, {}, None, 1),
        (FaultKind.STATUS, {"code": 503, "html": True}, 503, 0),
        (FaultKind.STATUS, {"code": 500, "accept": True}, 500, 1),
        (FaultKind.UNAUTHORIZED, {}, 401, 0),
        (FaultKind.FORBIDDEN_HTML, {}, 403, 0),
        (FaultKind.RATE_LIMIT, {"retry_after": 2}, 429, 0),
        (FaultKind.SLOW, {"seconds": 0.05}, 202, 1),
        (FaultKind.REDIRECT, {"location": "https://pbx.example/"}, 302, 0),
        (FaultKind.BODY, {"body": b"<html>"}, 200, 0),
        (FaultKind.NO_ROUTE, {}, 404, 0),
    ],
)
async def test_faults(
    pbx: Simulator, line: Line, kind: FaultKind, details: dict[str, Any], status: int | None, stored: int
) -> None:
    """Each fault does what it says."""
    pbx.fault(kind, path="/messages", method="POST", **details)
    headers = {"Authorization": f"Bearer {line.token['access_token']}"}
    path = f"/ns-api/v2{ME}/messagesessions/{SESSION}/messages"
    if status is None:
        with pytest.raises(aiohttp.ClientError):
            await line.raw("POST", path, json=sms(), headers=headers)
    else:
        assert (await line.raw("POST", path, json=sms(), headers=headers)).status == status
    assert len(pbx.messages) == stored
    assert pbx.fault_counts == {kind: 1}
    assert (await line.send(sms()))[0] == 202


async def test_faults_of_tokens(pbx: Simulator, line: Line) -> None:
    """So do those of the sign-in."""
    pbx.fault(FaultKind.TOKEN_WITHOUT_ACCESS_TOKEN)
    assert await line.sign_in() == (200, {})
    pbx.fault(FaultKind.REFRESH_REFUSED)
    assert (await line.sign_in())[0] == 200
    assert (await line.sign_in(grant_type="refresh_token", refresh_token="x"))[1]["error"] == "invalid_grant"
    pbx.fault(FaultKind.OAUTH_ERROR, code=401)
    assert (await line.sign_in())[0] == 401
    pbx.fault(FaultKind.STATUS, times=None, probability=0.5, seed=7)
    statuses = [(await line.raw("GET", "/ns-api/v2/version")).status for _ in range(40)]
    assert set(statuses) == {200, 500}
    pbx.clear_faults()
    assert (await line.raw("GET", "/ns-api/v2/version")).status == 200


async def test_down_and_back(pbx: Simulator, line: Line) -> None:
    """It goes down with all connections, and comes back at its address."""
    url = pbx.url
    pbx.fault(FaultKind.HANG, path="/version")
    hung = asyncio.create_task(line.raw("GET", "/ns-api/v2/version"))
    while not pbx.fault_counts:
        await asyncio.sleep(0.01)
    started = time.monotonic()
    await pbx.stop()
    with pytest.raises(aiohttp.ClientError):
        await hung
    with pytest.raises(aiohttp.ClientError):
        await line.raw("GET", "/ns-api/v2/version")
    assert time.monotonic() - started < 2
    await pbx.start()
    assert pbx.url == url
    assert (await line.send(sms()))[0] == 202
    assert pbx.connections >= 2
    assert pbx.requests_to("/version")[0].status == 0
    assert pbx.requests_to("/messages")[0].body == sms()


async def test_clock(pbx: Simulator, line: Line) -> None:
    """Its clock may be wrong."""
    pbx.clock_offset = 7200
    answer = await line.raw("GET", "/ns-api/v2/version")
    assert 7100 < parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time() < 7300
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_tls() -> None:
    """It speaks TLS with a certificate of its own."""
    async with Simulator(tls=True) as pbx, aiohttp.ClientSession() as session:
        assert pbx.url.startswith("https://")
        assert pbx.ssl_cafile is not None
        context = await asyncio.to_thread(ssl.create_default_context, cafile=pbx.ssl_cafile)
        for host in ("127.0.0.1", "localhost"):
            url = f"{pbx.url}/ns-api/v2/version"
            async with session.get(url, ssl=context, server_hostname=host) as answer:
                assert answer.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(pbx.url)


async def test_control_surface_and_phone(pbx: Simulator, line: Line) -> None:
    """The phone in the browser sees and does what it should."""
    recorded = len(pbx.requests)
    events = await line.session.get(f"{pbx.url}/_sim/events")
    body = {"from_number": OUTSIDE, "text": "Hi", "media": base64.b64encode(PIXEL).decode()}
    made = await (await line.raw("POST", "/_sim/receive", json=body)).json()
    while not (entity_events := await events.content.readline()).startswith(b"data: "):
        pass
    assert json.loads(entity_events[6:]) == made
    events.close()
    assert await (await line.raw("GET", made["media_url"])).read() == PIXEL
    assert await (await line.raw("GET", "/_sim/inbound")).json() == [made]
    assert (await line.raw("POST", "/_sim/receive", json={"from_user": "1002", "text": "Hi"})).status == 200
    assert (await line.raw("POST", "/_sim/receive", json={"text": "Hi"})).status == 400
    assert (await line.raw("POST", "/_sim/settings", json={"lag": 1.5})).status == 200
    assert (await line.raw("POST", "/_sim/settings", json={"nope": 1})).status == 400
    assert pbx.lag == 1.5
    await line.raw("POST", "/_sim/fault", json={"kind": "status", "times": None, "code": 502})
    assert (await line.raw("GET", "/ns-api/v2/version")).status == 502
    state = await (await line.raw("GET", "/_sim/state")).json()
    assert state["fault_counts"] == {"status": 1}
    await line.raw("DELETE", "/_sim/fault")
    await line.raw("POST", "/_sim/password", json={"password": "new"})
    assert pbx.account["password"] == "new"
    await line.raw("POST", "/_sim/revoke", json={"refresh": True})
    assert not pbx.tokens
    page = await (await line.raw("GET", "/phone")).text()
    assert all(f'id="{name}"' in page for name in ("threads", "bubbles", "number", "text", "send"))
    assert "innerHTML" not in page
    assert (await (await line.raw("GET", "/phone/people")).json())["18585550123"] == "Ann"
    assert len(pbx.requests) == recorded + 1


async def test_alone() -> None:
    """It runs as a program by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulator", "--port", "0"),
        cwd=Path(__file__).parent.parent,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    greeting = json.loads(await process.stdout.readline())
    try:
        assert greeting["phone"] == f"{greeting['url']}/phone"
        async with aiohttp.ClientSession() as session, session.get(greeting["phone"]) as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_connection_in_the_moment_in_which_it_goes_down_ends() -> None:
    """None is left hanging."""
    async with Simulator() as pbx:
        runner, pbx._runner = pbx._runner, None
        reader, writer = await asyncio.open_connection("127.0.0.1", pbx.port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        pbx._runner = runner
