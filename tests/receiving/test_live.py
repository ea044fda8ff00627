"""The live connection: an event within a moment, and polling as ever where there is no server for it."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from copy import replace
from dataclasses import fields
from datetime import timedelta
import logging
import time
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.pbx.coordinator import COORDINATOR_TIMING, CoordinatorTiming
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from custom_components.netsapiens.receiving.live_address import LiveAddresses
from custom_components.netsapiens.receiving.live_socket import LiveRefusedError, LiveSocket, LiveUnreachableError
from custom_components.netsapiens.receiving.timing import (
    RECEIVING_TIMING,
    LiveTiming,
    PollTiming,
    ProofTiming,
    ReceivingTiming,
)
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.helpers import until, until_idle
from tests.receiving.test_poller import ANN
from tests.simulator import Simulator
from tests.simulator.live import LiveServer

NUMBER = "18585550199"
PROOF = ProofTiming(before=2.0, after=0.3, echo=0.2)
LIVE = LiveTiming(
    start_within=0.0,
    connect_within=2.0,
    status_within=0.5,
    close_within=0.3,
    return_within=0.3,
    first_wait=0.4,
    longest_wait=1.0,
    steady=0.1,
    renew_ahead=(1.0, 1.5),
    proof=PROOF,
)
SLOW = PollTiming(interval=600.0, backstop_interval=600.0, follow_ups=(0.0, 0.6), active=0.0)
QUICK = replace(SLOW, interval=0.2)


@pytest.fixture(autouse=True)
def _timing(hass: HomeAssistant) -> None:
    """Connect at once, and poll so seldom that what is quick was announced."""
    set_timing(hass)


def set_timing(hass: HomeAssistant, poll: PollTiming = SLOW, **live: Any) -> None:
    """Set the timing of accounts that are set up from now on."""
    hass.data[RECEIVING_TIMING] = ReceivingTiming(poll=poll, live=replace(LIVE, **live))


@pytest.fixture
async def entity_events(hass: HomeAssistant) -> AsyncGenerator[EntityEvents]:
    """What the event entities reported; whatever happens to the connection, nothing twice."""
    entity_events = EntityEvents(hass)
    yield entity_events
    assert len(entity_events.texts()) == len(set(entity_events.texts()))


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever happens to the connection, nothing of ours is worth a warning: texts are polled."""
    yield
    ours = ("custom_components.", "netsapiens", "socketio", "engineio", "aiohttp.")
    records = [record for record in caplog.get_records("call") if record.name.startswith(ours)]
    assert [record.getMessage() for record in records if record.levelno >= logging.WARNING] == []


@pytest.fixture
async def server(pbx: Simulator) -> AsyncGenerator[LiveServer]:
    """The PBX's live server."""
    server = await pbx.start_live(ping_interval=1.5, ping_timeout=1.5)
    yield server
    await server.stop()


def options_of(server: LiveServer | str) -> dict[str, Any]:
    """The options of an account that uses this server."""
    return {"from_number": NUMBER, "incoming": "live", "live_url": server if isinstance(server, str) else server.url}


def state_of(entry: MockConfigEntry) -> Any:
    """What the diagnostics say of the connection."""
    return entry.runtime_data.receiver.diagnostics.get("live", {}).get("state")


async def connected(entry: MockConfigEntry) -> MockConfigEntry:
    """Wait until the connection is up, and the poll that follows is over."""
    await until(lambda: state_of(entry) in {"connected", "proven"})
    await until(entry.runtime_data.poller.ready.is_set)
    return entry


@pytest.fixture
async def live(
    pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> MockConfigEntry:
    """An account with its connection."""
    entry = await connected(await add_account(recipient("Ann", ANN), options=options_of(server)))
    await until_idle(pbx, 0.9)
    return entry


def lists(pbx: Simulator) -> int:
    """Count the polls."""
    return sum(record.path.endswith("/messagesessions") for record in pbx.requests if record.method == "GET")


# --- what it is for ------------------------------------------------------------------


async def test_a_text_is_an_event_at_once(pbx: Simulator, live: MockConfigEntry, entity_events: EntityEvents) -> None:
    """A text is reported although the next poll is far off, and proves that texts are announced."""
    began = time.monotonic()
    await pbx.receive(from_number=ANN, text="ARM")
    await until(lambda: entity_events.texts() == ["ARM"])
    assert time.monotonic() - began < 1
    assert state_of(live) == "proven"
    assert live.runtime_data.poller.is_announced


async def test_with_an_api_key(
    pbx: Simulator, server: LiveServer, hass: HomeAssistant, entity_events: EntityEvents
) -> None:
    """With an API key the JWT is delegated for the account's user."""
    key = pbx.add_key("nsd_").key
    data = {"base_url": pbx.url, "api_key": key, "domain": "acme.example", "user": "1001", "verify_ssl": True}
    entry = MockConfigEntry(
        domain="netsapiens",
        title="1001@acme.example",
        unique_id="1001@acme.example",
        data={**data, "action": "netsapiens"},
        options=options_of(server),
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await connected(entry)
    await pbx.receive(from_number=ANN, text="ARM")
    await until(lambda: entity_events.texts() == ["ARM"])


async def test_a_status_is_no_reason_to_look(pbx: Simulator, server: LiveServer, live: MockConfigEntry) -> None:
    """A status says how the subscription is, and nothing of texts."""
    before = lists(pbx)
    await server.emit("status", {"status": "Subscription Complete"})
    await asyncio.sleep(0.3)
    assert lists(pbx) == before


async def test_a_list_that_lags_is_looked_at_again(
    pbx: Simulator, live: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The event may come before the list shows the text, which is announced all the same."""
    pbx.lag = 0.2
    await pbx.receive(from_number=ANN, text="Late")
    await until(lambda: entity_events.texts() == ["Late"])
    assert state_of(live) == "proven"


def scaled(timing: Any, by: float) -> Any:
    """Return a timing with every time in it made shorter."""
    shorter: dict[str, Any] = {}
    for one in fields(timing):
        value = getattr(timing, one.name)
        if isinstance(value, float | timedelta):
            shorter[one.name] = value / by
        elif isinstance(value, tuple):
            shorter[one.name] = tuple(part / by for part in value)
    return replace(timing, **shorter)


async def test_an_hour_beside_a_proven_connection(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """In an hour, at three hundred times its pace, an idle home makes one request in two minutes at the most.

    All that an account asks for by itself is in it: polls, its token, and what it has.
    """
    pace = 300
    poll = replace(scaled(PollTiming(), pace), batch=0.0, active=0.0, apart=0.002)
    hass.data[RECEIVING_TIMING] = ReceivingTiming(poll=poll, live=LIVE)
    hass.data[COORDINATOR_TIMING] = replace(scaled(CoordinatorTiming(), pace), spread=0.1, start_within=8.0)
    pbx.token_life = 3600 / pace
    entry = await connected(await add_account(options=options_of(server)))
    await pbx.receive(from_number=ANN, text="ARM")
    await until(lambda: state_of(entry) == "proven")
    await asyncio.sleep(60 / pace)
    before = len(pbx.requests)
    await asyncio.sleep(3600 / pace)
    asked = [record.path.rpartition("/")[2] for record in pbx.requests[before:]]
    assert 20 <= asked.count("messagesessions") <= 30
    assert {"tokens", "smsnumbers"} <= set(asked)
    assert len(asked) <= 30, asked


async def test_idle_beside_a_proven_connection(
    pbx: Simulator, live: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Nothing is asked while nothing comes."""
    await pbx.receive(from_number=ANN, text="ARM")
    await until(lambda: entity_events.texts() == ["ARM"])
    await until_idle(pbx, 0.9)
    before = len(pbx.requests)
    await asyncio.sleep(1)
    assert len(pbx.requests) == before


async def test_live_is_the_default_and_finds_its_server(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], entity_events: EntityEvents
) -> None:
    """An account that never chose tries port 8001, asks which host it is, and goes on polling."""
    pbx.hostname = "localhost:1"  # no host
    set_timing(hass, QUICK)
    entry = MockConfigEntry(
        domain="netsapiens",
        title="1001@acme.example",
        unique_id="1001@acme.example",
        data={**account, "action": "netsapiens"},
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: state_of(entry) == "unreachable")
    await until(entry.runtime_data.poller.ready.is_set)
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"])
    assert len(pbx.requests_to("/jwt")) == 0
    assert len(pbx.requests_to("/version")) >= 1


async def test_a_connection_that_is_back_leads_to_one_poll(
    pbx: Simulator, server: LiveServer, live: MockConfigEntry
) -> None:
    """Thousands of homes connect again when a PBX is back: none of them polls more than once for that."""
    before, connections = lists(pbx), server.connected
    server.drop()
    await until(lambda: server.connected > connections and state_of(live) == "connected")
    await asyncio.sleep(0.9)
    assert lists(pbx) == before + 1


# --- floods and what is no event -------------------------------------------------------


async def test_a_flood_leads_to_few_looks(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, live: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """A thousand events a second lead to one look in 0.3 s at most, block nothing, and lose no text."""
    before, began = lists(pbx), time.monotonic()
    flood = asyncio.create_task(server.flood(2.0))
    await asyncio.sleep(0.5)
    await pbx.receive(from_number=ANN, text="In between")
    await flood
    looks, took = lists(pbx) - before, time.monotonic() - began
    assert 1 <= looks <= took / 0.3 + 1
    await until(lambda: entity_events.texts() == ["In between"], within=5)
    assert live.runtime_data.receiver.diagnostics["live"]["events"] > 10 * looks


@pytest.mark.parametrize(
    "packet",
    [
        "2{no json",
        "2[]",
        "2{}",
        "2[1]",
        "2" + "[" * 50_000,
        '2["' + "x" * 500_000 + '"]',
        "",
        "9",
        '51-["chat",{"_placeholder":true,"num":7}]',
        '599999999999-["chat"]',
        b"\x00\x01\x02",
        '0/other,{"sid":"x"}',
        "0[1]",
        '2/other,["chat"]',
        '3["unknown"]',
        '2123["chat"]',
        '4{"message":"no"}X',
    ],
)
async def test_what_is_no_packet_does_no_harm(
    pbx: Simulator,
    server: LiveServer,
    live: MockConfigEntry,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
    packet: str | bytes,
) -> None:
    """Whatever the server sends, the next text is reported and nothing is in the log."""
    await server.send_raw(packet)
    await server.emit("status", "Complete")
    await asyncio.sleep(0.1)
    await pbx.receive(from_number=ANN, text="After")
    await until(lambda: entity_events.texts() == ["After"])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING and "live" in record.name] == []
    assert "Traceback" not in caplog.text
    assert "never retrieved" not in caplog.text


async def test_an_event_before_the_subscription_is_complete(
    pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """An event that comes early is a reason to look, and proves nothing."""
    server.is_early = True
    entry = await connected(await add_account(options=options_of(server)))
    assert entry.runtime_data.receiver.diagnostics["live"]["events"] == 1
    assert state_of(entry) == "connected"


# --- what can go wrong -----------------------------------------------------------------


async def test_silent_with_lazy_pings(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Where the server pings seldom, ours notice it."""
    server = await pbx.start_live(ping_interval=300, ping_timeout=300)
    set_timing(hass, silence=0.5)
    entry = await connected(await add_account(options=options_of(server)))
    server.fall_silent()
    await until(lambda: server.connected == 2)
    await connected(entry)


async def test_a_subscription_that_never_completes(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """A server that does not answer the subscription counts as a refusal."""
    pbx.live_silent = True
    set_timing(hass, QUICK)
    entry = await add_account(options=options_of(server))
    await until(lambda: state_of(entry) == "refused")
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"])


async def test_a_subscription_that_is_taken_back(pbx: Simulator, server: LiveServer, live: MockConfigEntry) -> None:
    """A later status without the word is a refusal as well."""
    await server.emit("status", {"status": "Session expired"})
    await until(lambda: len(server.subscriptions) == 2)
    await connected(live)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
async def test_no_jwt(
    hass: HomeAssistant,
    pbx: Simulator,
    server: LiveServer,
    add_account: AddAccount,
    entity_events: EntityEvents,
    status: int,
) -> None:
    """Where the PBX gives no JWT, texts go in and out as ever, and nobody is asked to sign in again."""
    pbx.jwt_refusal = status
    hass.data[THROTTLE_TIMING] = ThrottleTiming()
    set_timing(hass, QUICK)
    entry = await add_account(recipient("Ann", ANN), options=options_of(server))
    await until(lambda: len(pbx.requests_to("/jwt")) >= 4)
    assert state_of(entry) in {"connecting", "refused" if status < 500 else "unreachable"}
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"])
    assert not entry.runtime_data.coordinator.throttle.is_away
    action = {"entity_id": "notify.ann", "message": "Hello"}
    await hass.services.async_call("notify", "send_message", action, blocking=True)
    assert hass.config_entries.flow.async_progress() == []


@pytest.mark.parametrize("fault", [{"kind": "rate_limit"}, {"kind": "status", "code": 503}])
@pytest.mark.parametrize("call", ["/jwt", "/version"])
async def test_a_pbx_that_asks_to_wait(
    pbx: Simulator,
    server: LiveServer,
    hass: HomeAssistant,
    add_account: AddAccount,
    entity_events: EntityEvents,
    call: str,
    fault: dict[str, Any],
) -> None:
    """It is not asked again before that for what the connection needs, though the backoff is short; texts go on."""
    set_timing(hass, QUICK)
    pbx.fault(path=call, retry_after=2, **fault)
    options = options_of(server) if call == "/jwt" else {"incoming": "live"}  # which asks for the server's host
    entry = await add_account(recipient("Ann", ANN), options=options)
    await until(lambda: len(pbx.requests_to(call)) == 1)
    began = hass.loop.time()
    await until(lambda: state_of(entry) == "unreachable")
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"])
    assert not entry.runtime_data.coordinator.throttle.is_away
    await until(lambda: len(pbx.requests_to(call)) == 2)
    assert hass.loop.time() - began >= 1.9


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://nowhere.invalid:8001"])
async def test_unreachable(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
    url: str,
) -> None:
    """Nobody there, or no such host: texts are polled, without a warning."""
    set_timing(hass, QUICK)
    entry = await add_account(options=options_of(url))
    await until(lambda: state_of(entry) == "unreachable")
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"])
    ours = [record for record in caplog.records if "netsapiens" in record.name and "loader" not in record.name]
    assert [record.getMessage() for record in ours if record.levelno >= logging.WARNING] == []


async def test_a_connection_that_never_lasts(
    pbx: Simulator, server: LiveServer, add_account: AddAccount, hass: HomeAssistant
) -> None:
    """What ends within a moment each time is not about to come back."""
    set_timing(hass, steady=60.0)
    entry = await connected(await add_account(options=options_of(server)))
    await server.stop()
    await until(lambda: state_of(entry) == "unreachable")


async def test_something_else_answers(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A web server that speaks no Socket.IO is no live server."""
    entry = await add_account(options=options_of(pbx.url))
    await until(lambda: state_of(entry) == "unreachable")


async def test_a_server_elsewhere(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount
) -> None:
    """A redirect is not followed: it may lead to a host without TLS, and the JWT would go there."""

    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(server.url + request.path_qs)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    async with TestServer(app) as elsewhere:
        entry = await add_account(options=options_of(str(elsewhere.make_url("")).rstrip("/")))
        await until(lambda: state_of(entry) == "unreachable")
        await asyncio.sleep(0.6)
        assert server.subscriptions == []


async def test_one_that_refuses_does_not_hide_the_other(
    pbx: Simulator, server: LiveServer, add_account: AddAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one host refuses, the next one is tried."""
    refusing = Simulator()
    refusing.live_refuses = True
    other = await refusing.start_live()

    async def both(_self: LiveAddresses) -> AsyncGenerator[str]:
        yield other.url
        yield server.url

    monkeypatch.setattr(LiveAddresses, "candidates", both)
    await connected(await add_account(options={"from_number": NUMBER, "incoming": "live"}))
    await other.stop()


async def test_a_wrong_first_word(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A WebSocket server that speaks something else is closed, and nothing of it is left."""
    closed = asyncio.Event()

    async def talk(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("Hello")
        async for _ in socket:
            pass
        closed.set()
        return socket

    app = aiohttp.web.Application()
    app.router.add_get("/socket.io/", talk)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    entry = await add_account(options=options_of(f"http://127.0.0.1:{runner.addresses[0][1]}"))
    await until(lambda: state_of(entry) == "unreachable")
    await until(closed.is_set)
    await runner.cleanup()


@pytest.mark.parametrize("verify_ssl", [True, False])
async def test_certificates(hass: HomeAssistant, entity_events: EntityEvents, verify_ssl: bool) -> None:
    """The live server's certificate is checked where the account's is, and only there; texts are polled then."""
    set_timing(hass, QUICK)
    async with Simulator(tls=True, live_port=0) as pbx:
        assert pbx.live is not None
        data = {**pbx.account, "verify_ssl": False, "action": "netsapiens"}
        entry = MockConfigEntry(
            domain="netsapiens",
            title="1001@acme.example",
            unique_id="1001@acme.example",
            data=data,
            options=options_of(pbx.live),
        )
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        if verify_ssl:
            await connected(entry)
            entry.runtime_data.coordinator.login["verify_ssl"] = True
            pbx.live.drop()
            await until(lambda: state_of(entry) == "unreachable")
        else:
            await connected(entry)
        await pbx.receive(from_number=ANN, text="ARM")
        await until(lambda: entity_events.texts() == ["ARM"])
        assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("core1.pbx.example", ["https://core1.pbx.example:8001"]),
        ("2001:db8::7", ["https://[2001:db8::7]:8001"]),
        ("127.0.0.1", []),
        ("", []),
        ("<html>", []),
        ("core1:8001", []),
        ("user@core1", []),
    ],
)
async def test_the_host_that_the_pbx_names(
    pbx: Simulator, add_account: AddAccount, named: str, expected: list[str]
) -> None:
    """After the account's own host the one that the PBX names is tried, by TLS, where it is another."""
    pbx.hostname = named
    entry = await add_account()
    addresses = LiveAddresses(entry.runtime_data.coordinator, None)
    assert [one async for one in addresses.candidates()] == ["http://127.0.0.1:8001", *expected]
    pbx.hostname = "core2.pbx.example"
    assert [one async for one in addresses.candidates()][1:] == ["https://core2.pbx.example:8001"]
    chosen = LiveAddresses(entry.runtime_data.coordinator, "https://live.pbx.example")
    assert [one async for one in chosen.candidates()] == ["https://live.pbx.example"]


@pytest.mark.parametrize("kind", ["version", "html"])
async def test_a_pbx_that_names_no_host(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], entity_events: EntityEvents, kind: str
) -> None:
    """Where it cannot be asked for its host, or names none, it is asked again later; texts are polled."""
    set_timing(hass, QUICK)
    if kind == "version":
        pbx.fault("status", path="/version", times=None, code=502)
    else:
        pbx.hostname = "<html>"
    data = {**account, "action": "netsapiens"}
    entry = MockConfigEntry(domain="netsapiens", title="1001@acme.example", unique_id="1001@acme.example", data=data)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: state_of(entry) == "unreachable")
    await until(lambda: len(pbx.requests_to("/version")) >= (2 if kind == "version" else 1))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"])


async def test_it_ends_while_the_status_is_waited_for(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """A connection that breaks in the middle of the subscription is no refusal; the next one is."""
    pbx.live_silent = True
    set_timing(hass, QUICK, status_within=30.0)
    entry = await add_account(options=options_of(server))
    await until(lambda: len(server.subscriptions) == 1)
    server.drop()
    await until(lambda: state_of(entry) == "unreachable")
    pbx.live_silent = False
    await connected(entry)


async def test_a_fault_of_ours(
    pbx: Simulator,
    server: LiveServer,
    add_account: AddAccount,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What nobody foresaw is in the log without its words, and the next attempt is made as ever."""
    faults = [ValueError("The safe opens with a spoon")]
    subscribe = LiveSocket.subscribe

    async def faulty(self: LiveSocket, request: dict[str, str]) -> None:
        if faults:
            raise faults.pop()
        await subscribe(self, request)

    monkeypatch.setattr(LiveSocket, "subscribe", faulty)
    entry = await connected(await add_account(options=options_of(server)))
    assert server.connected == 2
    assert "Unexpected error while the live connection" in caplog.text
    assert "spoon" not in caplog.text
    caplog.clear()  # it is worth an error
    await pbx.receive(from_number=ANN, text="ARM")
    await until(lambda: entity_events.texts() == ["ARM"])
    assert state_of(entry) == "proven"


async def test_subscribing_where_nothing_is_connected(hass: HomeAssistant) -> None:
    """A subscription over no connection is no refusal, which would cost a JWT."""
    session = async_get_clientsession(hass)
    socket = LiveSocket(session, LIVE, verify_ssl=True, on_event=lambda: None, on_end=lambda: None)
    with pytest.raises(LiveUnreachableError):
        await socket.subscribe({})
    await socket.close()
    assert not session.closed


@pytest.mark.parametrize(
    ("said", "is_complete"),
    [
        ({"status": "Subscription Complete"}, True),
        ([{"status": "Subscription Complete"}], True),
        ("Complete", True),
        (["Complete"], True),
        ('[{"status":"Complete"}]', True),
        ([{"status": "Unauthorized"}], False),
        ([], False),
        ([[{"status": "Complete"}]], False),
        (None, False),
    ],
)
async def test_a_status_in_every_form(hass: HomeAssistant, said: Any, is_complete: bool) -> None:
    """An object, a word, JSON, or an array of one of them."""
    ended: list[bool] = []
    socket = LiveSocket(
        async_get_clientsession(hass), LIVE, verify_ssl=True, on_event=lambda: None, on_end=lambda: ended.append(True)
    )
    socket._status(said)
    assert bool(ended) is not is_complete
    await socket.close()


async def test_why_a_connection_ended_first_counts(hass: HomeAssistant) -> None:
    """A server that takes the subscription back and hangs up refused: it is not asked again as one that was lost."""
    socket = LiveSocket(
        async_get_clientsession(hass), LIVE, verify_ssl=True, on_event=lambda: None, on_end=lambda: None
    )
    socket._status({"status": "Session expired"})
    socket._ended(LiveUnreachableError("ended"))
    with pytest.raises(LiveRefusedError):
        socket.check()
    await socket.close()


async def test_removed_before_home_assistant_has_started(
    hass: HomeAssistant, server: LiveServer, add_account: AddAccount
) -> None:
    """An account that is unloaded before automations listen never connects."""
    hass.set_state(CoreState.starting)
    entry = await add_account(options=options_of(server))
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.set_state(CoreState.running)
    hass.bus.async_fire("homeassistant_started")
    await asyncio.sleep(0.2)
    assert server.connected == 0


async def test_unloaded_while_the_server_is_silent(
    hass: HomeAssistant, server: LiveServer, live: MockConfigEntry
) -> None:
    """A server that does not answer any more holds up no unloading, and no task of the libraries is left."""
    server.fall_silent()
    assert await hass.config_entries.async_unload(live.entry_id)
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
    assert [name for name in names if "AsyncClient" in name] == []


# --- deaf --------------------------------------------------------------------------------


async def test_deaf(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """After three texts that only polling found, the connection is closed, and polling goes on."""
    set_timing(hass, QUICK)
    pbx.live_deaf = True
    entry = await connected(await add_account(options=options_of(server)))
    for number in range(3):
        await asyncio.sleep(0.5)
        assert state_of(entry) == "connected"
        await pbx.receive(from_number=ANN, text=f"Text {number}")
        await until(lambda number=number: len(entity_events.texts()) == number + 1)
    await until(lambda: state_of(entry) == "deaf")
    await until(lambda: server.subscribed == 0)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts()[-1] == "Polled")
    assert len(server.subscriptions) == 2  # asked once more before it was given up
    pbx.live_deaf = False
    await hass.config_entries.async_reload(entry.entry_id)
    await connected(entry)


async def test_deaf_is_tried_again(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """What was deaf is tried again later."""
    set_timing(hass, QUICK, deaf_wait=0.5)
    pbx.live_deaf = True
    entry = await connected(await add_account(options=options_of(server)))
    for number in range(3):
        await pbx.receive(from_number=ANN, text=f"Text {number}")
    await until(lambda: state_of(entry) == "deaf")
    pbx.live_deaf = False
    await connected(entry)
    assert len(entity_events.texts()) == 3


async def test_after_one_that_was_missed_the_next_is_polled(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """A proven connection that missed a text is not relied on: polling is as often as without one."""
    set_timing(hass, replace(SLOW, interval=0.2, backstop_interval=3.0))
    entry = await connected(await add_account(options=options_of(server)))
    await pbx.receive(from_number=ANN, text="Announced")
    await until(lambda: state_of(entry) == "proven")
    await asyncio.sleep(PROOF.before)  # else the next one may have been announced by that as well
    pbx.live_deaf = True
    await pbx.receive(from_number=ANN, text="Missed")
    await until(lambda: entry.runtime_data.receiver.diagnostics["live"]["missed_in_a_row"] == 1)
    before = lists(pbx)
    await until(lambda: lists(pbx) >= before + 5, within=5)
    assert state_of(entry) == "proven"


async def test_after_a_proven_connection_was_lost_polls_come_as_without_one(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """The wait until the next poll was worked out while texts were announced: it is worked out again."""
    set_timing(hass, replace(SLOW, interval=0.2, follow_ups=(0.0,)), return_within=60.0)
    entry = await connected(await add_account(options=options_of(server)))
    await pbx.receive(from_number=ANN, text="Announced")
    await until(lambda: state_of(entry) == "proven")
    await until_idle(pbx, 0.9)
    await server.stop()
    await until(lambda: state_of(entry) != "proven")
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Announced", "Polled"], within=5)


async def test_one_from_before_the_connection_was_not_missed(
    pbx: Simulator, server: LiveServer, live: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """It came while the server was down, so that nothing could announce it."""
    await server.stop()
    await until(lambda: state_of(live) == "unreachable")
    await pbx.receive(from_number=ANN, text="Before")
    await asyncio.sleep(2.2)  # messages are dated to the second
    await server.start()
    await connected(live)
    await until(lambda: entity_events.texts() == ["Before"])
    await asyncio.sleep(2 * PROOF.after)
    assert live.runtime_data.receiver.diagnostics["live"]["missed_in_a_row"] == 0


async def test_a_dead_connection_is_not_deaf(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Texts that came while the server was gone without a word do not count."""
    set_timing(hass, QUICK, status_within=0.3)
    entry = await connected(await add_account(options=options_of(server)))
    server.fall_silent()
    for number in range(3):
        await pbx.receive(from_number=ANN, text=f"Text {number}")
    await until(lambda: server.connected == 2)
    await connected(entry)
    await pbx.receive(from_number=ANN, text="After")
    await until(lambda: state_of(entry) == "proven")
    assert len(entity_events.texts()) == 4


async def test_our_own_texts_prove_nothing(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """The announcement of a text of ours is none of the answer that only a poll found."""
    set_timing(hass, QUICK)
    pbx.live_deaf = True
    entry = await connected(await add_account(recipient("Ann", ANN), options=options_of(server)))
    action = {"entity_id": "notify.ann", "message": "Shall I?"}
    await hass.services.async_call("notify", "send_message", action, blocking=True)
    await pbx.receive(from_number=ANN, text="Yes")
    await until(lambda: entity_events.texts() == ["Yes"])
    await asyncio.sleep(0.5)
    assert state_of(entry) == "connected"


# --- credentials, options, logs ------------------------------------------------------------


async def test_a_refused_refresh_token(pbx: Simulator, server: LiveServer, add_account: AddAccount) -> None:
    """Where the refresh token is refused, the password serves."""
    pbx.jwt_life = 4
    entry = await connected(await add_account(options=options_of(server)))
    pbx.jwt_book.refresh.clear()
    await until(lambda: len(server.subscriptions) == 2)
    assert state_of(entry) == "connected"
    assert server.connected == 1


async def test_a_refresh_token_serves_once(pbx: Simulator, server: LiveServer, add_account: AddAccount) -> None:
    """Also where its answer was lost, since the PBX may have taken it: the password serves next."""
    pbx.jwt_life = 4
    entry = await connected(await add_account(options=options_of(server)))
    pbx.fault("status", path="/jwt", code=503)
    await until(lambda: len(server.subscriptions) == 2)
    await connected(entry)
    assert ["refresh" in record.body for record in pbx.requests_to("/jwt")][:3] == [False, True, False]


async def test_a_new_password_reaches_it(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, live: MockConfigEntry
) -> None:
    """After the password was changed in the dialog, the connection is made with the new one."""
    pbx.first_user.password = "another-password"
    hass.config_entries.async_update_entry(live, data={**live.data, "password": "another-password"})
    await until(lambda: len(server.subscriptions) == 2)
    await connected(live)
    assert pbx.requests_to("/jwt")[-1].body["password"] == "another-password"


async def test_another_address(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount
) -> None:
    """Another address in the options is taken at once, without a reload."""
    set_timing(hass, first_wait=600.0, return_within=600.0)
    entry = await add_account(options=options_of("http://127.0.0.1:9"))
    await until(lambda: state_of(entry) == "unreachable")
    account = entry.runtime_data
    hass.config_entries.async_update_entry(entry, options=options_of(server))
    await connected(entry)
    hass.config_entries.async_update_entry(entry, options=options_of("http://127.0.0.1:9"))
    await until(lambda: state_of(entry) == "unreachable")
    assert entry.runtime_data is account


async def test_another_address_while_it_connects(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount
) -> None:
    """The change is not lost with what woke it before it had a connection to keep."""
    pbx.fault("slow", path="/jwt", seconds=0.5)
    entry = await add_account(options=options_of(server))
    await until(lambda: bool(pbx.requests_to("/jwt")))
    hass.config_entries.async_update_entry(entry, options=options_of("http://127.0.0.1:9"))
    await until(lambda: state_of(entry) == "unreachable")


@pytest.mark.parametrize("incoming", ["poll", "off"])
async def test_switched_off(hass: HomeAssistant, server: LiveServer, live: MockConfigEntry, incoming: str) -> None:
    """Another choice in the options ends the connection."""
    hass.config_entries.async_update_entry(live, options={**live.options, "incoming": incoming})
    await until(lambda: server.subscribed == 0)
    await until(lambda: live.runtime_data.receiver.diagnostics == {})


async def test_the_account_loads_while_nobody_answers(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """An address that takes connections and never answers keeps nobody waiting: loading, texts and unloading go on."""
    waiting: set[asyncio.BaseTransport] = set()

    class Hole(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            waiting.add(transport)
            self._transport = transport

        def connection_lost(self, exc: Exception | None) -> None:
            waiting.discard(self._transport)

    hole = await hass.loop.create_server(Hole, "127.0.0.1", 0)
    set_timing(hass, QUICK, connect_within=3600.0)
    url = f"http://127.0.0.1:{hole.sockets[0].getsockname()[1]}"
    entry = await add_account(recipient("Ann", ANN), options=options_of(url))
    assert entry.state is ConfigEntryState.LOADED
    await until(lambda: waiting)
    await until(entry.runtime_data.poller.ready.is_set)
    action = {"entity_id": "notify.ann", "message": "Hello"}
    await hass.services.async_call("notify", "send_message", action, blocking=True)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"])
    assert state_of(entry) == "connecting"
    assert len(waiting) == 1  # it is still the first attempt
    assert await hass.config_entries.async_unload(entry.entry_id)
    await until(lambda: not waiting)
    hole.close()


@pytest.mark.parametrize("incoming", ["poll", "live"])
async def test_loading_asks_for_nothing_more(
    hass: HomeAssistant, pbx: Simulator, server: LiveServer, add_account: AddAccount, incoming: str
) -> None:
    """Until an account is loaded the PBX gets the same requests with a live connection as without."""
    set_timing(hass, start_within=600.0)
    await add_account(options={**options_of(server), "incoming": incoming})
    asked = {record.path.rpartition("/")[2] for record in pbx.requests}
    assert {"tokens", "smsnumbers"} <= asked <= {"tokens", "smsnumbers", "messagesessions", "contacts"}
    assert server.connected == 0


async def test_nothing_private_is_logged(
    hass: HomeAssistant,
    pbx: Simulator,
    server: LiveServer,
    add_account: AddAccount,
    entity_events: EntityEvents,
    caplog: Any,
) -> None:
    """No JWT, password, text or number is in any log, whoever's and at whatever level; a refusal logs none either."""
    for library in ("socketio", "engineio", "aiohttp", "asyncio", "custom_components"):
        for name in (library, *(known for known in logging.root.manager.loggerDict if known.startswith(f"{library}."))):
            logging.getLogger(name).setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    pbx.jwt_life = 4
    entry = await connected(await add_account(recipient("Ann", ANN), options=options_of(server)))
    await pbx.receive(from_number=ANN, text="The safe opens with 4711 and a spoon")
    await until(entity_events.texts)
    await until(lambda: len(server.subscriptions) >= 2)
    await server.send_raw("2{The safe opens with 4711 and a spoon")
    await server.emit("status", {"status": "Refused, as the safe opens with a spoon"})
    await until(lambda: state_of(entry) == "refused")
    await connected(entry)
    pbx.jwt_refusal = 403
    await server.kick()
    await until(lambda: state_of(entry) == "refused" and len(pbx.requests_to("/jwt")) >= 3)
    assert await hass.config_entries.async_unload(entry.entry_id)
    lines = [f"{record.name} {record.getMessage()} {record.exc_text or ''}" for record in caplog.records]
    secrets = [*pbx.jwt_book.live, *pbx.jwt_book.refresh, pbx.first_user.password, pbx.client_secret, "eyJ"]
    assert [secret for secret in secrets if any(secret in line for line in lines)] == []
    texts = [line for line in lines if "spoon" in line or ANN[1:] in line]
    # Home Assistant's own log of all events on its bus, and the test plugin's of what is written to disk.
    assert [line for line in texts if not line.startswith(("homeassistant.core ", "pytest_"))] == []
    assert any(line.startswith("custom_components.netsapiens.receiving.live ") for line in lines)


async def test_the_session_stays_open_and_no_task_is_left(
    hass: HomeAssistant, server: LiveServer, live: MockConfigEntry
) -> None:
    """Home Assistant's own session outlives the connection, whose tasks end with it."""
    from engineio.base_client import connected_clients

    from custom_components.netsapiens.pbx.login import session_of

    session = session_of(hass, verify_ssl=True)
    assert await hass.config_entries.async_unload(live.entry_id)
    await until(lambda: server.subscribed == 0)
    assert not session.closed
    assert connected_clients == []
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
    assert [name for name in names if "AsyncClient" in name] == []
