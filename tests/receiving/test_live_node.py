"""The live connection with a real Socket.IO server: Node's, of which the vendor's own is made."""

import asyncio
from collections.abc import AsyncGenerator
import json
import statistics
import time

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.conftest import AddAccount, Told, recipient
from tests.helpers import until, until_idle
from tests.receiving.test_live import QUICK, connected, lists, options_of, set_timing, state_of
from tests.receiving.test_poller import ANN
from tests.simulator import Simulator
from tests.simulator.live_node import MODULES, NodeLiveServer, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture(autouse=True)
def _timing(hass: HomeAssistant) -> None:
    """Connect at once, and poll so seldom that what is quick was announced."""
    set_timing(hass)


@pytest.fixture
async def server(pbx: Simulator) -> AsyncGenerator[NodeLiveServer]:
    """The PBX's live server, in a process of Node."""
    async with NodeLiveServer(pbx, ping_interval=0.5, ping_timeout=0.5) as server:
        yield server


@pytest.fixture
async def live(pbx: Simulator, server: NodeLiveServer, add_account: AddAccount, told: Told) -> MockConfigEntry:
    """An account with its connection."""
    entry = await connected(await add_account(recipient("Ann", ANN), options=options_of(server.url)))
    await until_idle(pbx, 0.9)
    return entry


def test_the_version() -> None:
    """What is installed is what is pinned: a release 4 of the library."""
    package = json.loads((MODULES / "socket.io" / "package.json").read_text(encoding="utf-8"))
    recipe = json.loads((MODULES.parent / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == recipe["dependencies"]["socket.io"]
    assert package["version"].startswith("4.")


async def test_a_text_is_an_event_at_once(pbx: Simulator, live: MockConfigEntry, told: Told) -> None:
    """From a text's arrival at the PBX to the event it takes under half a second, by its announcement alone."""
    took = []
    for number in range(10):
        began = time.monotonic()
        await pbx.receive(from_number=ANN, text=f"Text {number}")
        await until(lambda number=number: f"Text {number}" in told.texts())
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.4)  # polls keep a pause
    assert statistics.median(took) < 0.5
    assert told.texts() == [f"Text {number}" for number in range(10)]
    assert state_of(live) == "proven"


async def test_what_is_asked_for(pbx: Simulator, server: NodeLiveServer, live: MockConfigEntry) -> None:
    """The subscription arrives as the one object that the vendor's load tester sends."""
    [request] = server.subscriptions
    assert request.pop("bearer") in pbx.jwt_book.live
    assert request == {"type": "chat", "user": "1001", "domain": "acme.example", "application": "home-assistant"}


@pytest.mark.parametrize("event", ["chat", "message", "9", "message-new", "*"])
async def test_any_event_is_a_reason_to_look(pbx: Simulator, live: MockConfigEntry, told: Told, event: str) -> None:
    """Which event a text makes is not known, so every one counts."""
    pbx.live_event = event
    await pbx.receive(from_number=ANN, text="ARM")
    await until(lambda: told.texts() == ["ARM"])


async def test_a_binary_event(pbx: Simulator, server: NodeLiveServer, live: MockConfigEntry) -> None:
    """An event with an attachment, which follows in a frame of its own, is a reason to look."""
    before = lists(pbx)
    server.emit("chat", [1, 2, 3], binary=True)
    await until(lambda: lists(pbx) > before)
    assert server.connected == 1


async def test_kicked(pbx: Simulator, server: NodeLiveServer, live: MockConfigEntry, told: Told) -> None:
    """What came in while the connection was gone is read when it is back, once."""
    server.kick()
    await until(lambda: state_of(live) == "connecting")
    await pbx.receive(from_number=ANN, text="Meanwhile")
    await connected(live)
    await until(lambda: told.texts() == ["Meanwhile"])
    await pbx.receive(from_number=ANN, text="After")
    await until(lambda: told.texts() == ["Meanwhile", "After"])


async def test_dropped(pbx: Simulator, server: NodeLiveServer, live: MockConfigEntry, told: Told) -> None:
    """A connection that breaks comes back."""
    server.drop()
    await until(lambda: server.connected == 2)
    await connected(live)
    await pbx.receive(from_number=ANN, text="After")
    await until(lambda: told.texts() == ["After"])


async def test_gone(pbx: Simulator, server: NodeLiveServer, live: MockConfigEntry, told: Told) -> None:
    """A server that goes down is connected to again when it is back."""
    await server.stop()
    await until(lambda: state_of(live) == "unreachable")
    await pbx.receive(from_number=ANN, text="Meanwhile")
    await server.start()
    await connected(live)
    await until(lambda: told.texts() == ["Meanwhile"])


async def test_silent(pbx: Simulator, server: NodeLiveServer, live: MockConfigEntry, told: Told) -> None:
    """A server that stands still sends no ping, by which it is noticed; what came meanwhile is read at the next."""
    server.fall_silent()
    await pbx.receive(from_number=ANN, text="Meanwhile")
    await until(lambda: state_of(live) not in {"connected", "proven"})
    assert told.texts() == []
    server.go_on()
    await until(lambda: server.connected >= 2)
    await connected(live)
    await until(lambda: told.texts() == ["Meanwhile"])


async def test_refused(
    hass: HomeAssistant, pbx: Simulator, server: NodeLiveServer, add_account: AddAccount, told: Told
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
    await until(lambda: told.texts() == ["Polled"])
    pbx.live_refuses = False
    await connected(entry)


async def test_a_jwt_is_renewed_without_a_gap(
    pbx: Simulator, server: NodeLiveServer, add_account: AddAccount, told: Told
) -> None:
    """A newer JWT goes into another subscription on the same connection."""
    pbx.jwt_life = 4
    entry = await connected(await add_account(options=options_of(server.url)))
    await until(lambda: len(server.subscriptions) >= 2)
    assert server.connected == 1
    assert state_of(entry) == "connected"
    assert len({request["bearer"] for request in server.subscriptions}) == len(server.subscriptions)
