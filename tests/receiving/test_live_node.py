"""The live connection with a real Socket.IO server: Node's, of which the vendor's own is made.

What the simulated server plays as well is played with both, so that the one is held against the other.
"""

import asyncio
from collections.abc import AsyncGenerator
import json
import statistics
import time

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.conftest import AddAccount, EntityEvents, recipient
from tests.helpers import until, until_idle
from tests.receiving import test_live
from tests.receiving.test_live import QUICK, connected, lists, options_of, set_timing, state_of
from tests.receiving.test_poller import ANN
from tests.simulator import Simulator
from tests.simulator.live import LiveServer
from tests.simulator.live_node import MODULES, NodeLiveServer, why_not

_NEEDS_NODE = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

node_alone = pytest.mark.parametrize("server", [pytest.param("node", marks=_NEEDS_NODE)], indirect=True)

_quiet, entity_events = test_live._quiet, test_live.entity_events

type Server = LiveServer | NodeLiveServer


@pytest.fixture(autouse=True)
def _timing(hass: HomeAssistant) -> None:
    """Connect at once, and poll so seldom that what is quick was announced."""
    set_timing(hass)


@pytest.fixture(params=["simulated", pytest.param("node", marks=_NEEDS_NODE)])
async def server(pbx: Simulator, request: pytest.FixtureRequest) -> AsyncGenerator[Server]:
    """The PBX's live server: simulated, or in a process of Node."""
    if request.param == "node":
        async with NodeLiveServer(pbx, ping_interval=0.5, ping_timeout=0.5) as node:
            yield node
        return
    simulated = await pbx.start_live(ping_interval=1.5, ping_timeout=1.5)
    yield simulated
    await simulated.stop()


@pytest.fixture
async def live(pbx: Simulator, server: Server, add_account: AddAccount, entity_events: EntityEvents) -> MockConfigEntry:
    """An account with its connection."""
    entry = await connected(await add_account(recipient("Ann", ANN), options=options_of(server.url)))
    await until_idle(pbx, 0.9)
    return entry


# --- with Node alone -----------------------------------------------------------------


@_NEEDS_NODE
def test_the_version() -> None:
    """What is installed is what is pinned: a release 4 of the library."""
    package = json.loads((MODULES / "socket.io" / "package.json").read_text(encoding="utf-8"))
    recipe = json.loads((MODULES.parent / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == recipe["dependencies"]["socket.io"]
    assert package["version"].startswith("4.")


@node_alone
async def test_a_text_is_an_event_at_once(pbx: Simulator, live: MockConfigEntry, entity_events: EntityEvents) -> None:
    """From a text's arrival at the PBX to the event it takes under half a second, by its announcement alone."""
    took = []
    for number in range(10):
        began = time.monotonic()
        await pbx.receive(from_number=ANN, text=f"Text {number}")
        await until(lambda number=number: f"Text {number}" in entity_events.texts())
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.4)  # polls keep a pause
    assert statistics.median(took) < 0.5
    assert entity_events.texts() == [f"Text {number}" for number in range(10)]
    assert state_of(live) == "proven"


@node_alone
async def test_a_binary_event(pbx: Simulator, server: NodeLiveServer, live: MockConfigEntry) -> None:
    """An event with an attachment, which follows in a frame of its own, is a reason to look."""
    before = lists(pbx)
    await server.emit("chat", [1, 2, 3], binary=True)
    await until(lambda: lists(pbx) > before)
    assert server.connected == 1


# --- with both ------------------------------------------------------------------------


async def test_what_is_asked_for(pbx: Simulator, server: Server, live: MockConfigEntry) -> None:
    """The subscription is the one object that the vendor's load tester sends, with a JWT of its own and our name."""
    [request] = server.subscriptions
    assert request.pop("bearer") in pbx.jwt_book.live
    assert request == {"type": "chat", "user": "1001", "domain": "acme.example", "application": "home-assistant"}


@pytest.mark.parametrize("event", ["chat", "message", "sms-new", "9", "*"])
async def test_any_event_is_a_reason_to_look(
    pbx: Simulator, live: MockConfigEntry, entity_events: EntityEvents, event: str
) -> None:
    """Which event a text makes is not known, so every one counts."""
    pbx.live_event = event
    await pbx.receive(from_number=ANN, text="ARM")
    await until(lambda: entity_events.texts() == ["ARM"])


async def test_kicked(pbx: Simulator, server: Server, live: MockConfigEntry, entity_events: EntityEvents) -> None:
    """What came in while the connection was gone is read when it is back, once."""
    await server.kick()
    await until(lambda: state_of(live) == "connecting")
    await pbx.receive(from_number=ANN, text="Meanwhile")
    await connected(live)
    await until(lambda: entity_events.texts() == ["Meanwhile"])
    await pbx.receive(from_number=ANN, text="After")
    await until(lambda: entity_events.texts() == ["Meanwhile", "After"])


async def test_dropped(pbx: Simulator, server: Server, live: MockConfigEntry, entity_events: EntityEvents) -> None:
    """A connection that breaks comes back."""
    server.drop()
    await until(lambda: server.connected == 2)
    await connected(live)
    await pbx.receive(from_number=ANN, text="After")
    await until(lambda: entity_events.texts() == ["After"])


async def test_gone(pbx: Simulator, server: Server, live: MockConfigEntry, entity_events: EntityEvents) -> None:
    """A server that goes down is connected to again when it is back."""
    await server.stop()
    await until(lambda: state_of(live) == "unreachable")
    await pbx.receive(from_number=ANN, text="Meanwhile")
    await server.start()
    await connected(live)
    await until(lambda: entity_events.texts() == ["Meanwhile"])


async def test_silent(pbx: Simulator, server: Server, live: MockConfigEntry, entity_events: EntityEvents) -> None:
    """A server that is gone without a word is noticed by its ping; what came meanwhile is read at the next one."""
    server.fall_silent()
    await pbx.receive(from_number=ANN, text="Meanwhile")
    await until(lambda: server.connected >= 2 or state_of(live) not in {"connected", "proven"})
    server.go_on()
    await until(lambda: server.connected >= 2)
    await connected(live)
    await until(lambda: entity_events.texts() == ["Meanwhile"])


async def test_refused(
    hass: HomeAssistant, pbx: Simulator, server: Server, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """A JWT that is refused is replaced at the next attempt; texts are polled meanwhile."""
    pbx.live_refuses = True
    set_timing(hass, QUICK)
    entry = await add_account(options=options_of(server.url))
    await until(lambda: len(server.subscriptions) >= 2)
    await until(lambda: state_of(entry) == "refused")
    assert server.subscriptions[0]["bearer"] != server.subscriptions[1]["bearer"]
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"])
    pbx.live_refuses = False
    await connected(entry)


async def test_a_jwt_is_renewed_without_a_gap(
    pbx: Simulator, server: Server, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Ahead of its end the JWT is renewed by its refresh token, and goes into a subscription on the same connection."""
    pbx.jwt_life = 4
    entry = await connected(await add_account(options=options_of(server.url)))
    await until(lambda: len(server.subscriptions) >= 3)
    assert server.connected == 1
    assert state_of(entry) == "connected"
    assert len({request["bearer"] for request in server.subscriptions}) >= 3
    bodies = [record.body for record in pbx.requests_to("/jwt")]
    assert ["refresh" in body for body in bodies] == [False, *[True] * (len(bodies) - 1)]
