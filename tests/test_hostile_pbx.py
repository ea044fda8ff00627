"""A PBX whose lists and answers have no end, swell or crawl, and a flood of texts: the account goes on."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
import contextlib
import time
import tracemalloc
from typing import Any
import zlib

import aiohttp
from aiohttp import web
from aiohttp.compression_utils import HAS_BROTLI, HAS_ZSTD
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.api.transport import MAX_ANSWER
from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitTiming
from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from custom_components.netsapiens.receiving.timing import RECEIVING_TIMING, ReceivingTiming
from tests.conftest import AddAccount, EntityEvents
from tests.delivery.quick import QUICK, set_timing
from tests.delivery.test_queue import QUEUED, crash, hass_storage, on_disk, send, texts  # noqa: F401
from tests.helpers import until
from tests.receiving.test_poller import ANN, BOB
from tests.simulator import FaultKind, RequestRecord, Simulator

MIB = 1024 * 1024
GIB = 1024 * MIB
MOST = 100 * MIB  # far above the limit of one answer, far below a gigabyte
LISTS = "/messagesessions"

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

pytestmark = pytest.mark.usefixtures("quick_inbox")


class HostilePbx(Simulator):
    """A PBX that answers some requests with whatever bytes a test wants.

    Attributes:
        hostile: answers the requests that `strikes` says; None behaves.
        ended: how many hostile answers came to their end, each with how many bytes of it could be sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hostile: Callable[[web.StreamResponse], Awaitable[None]] | None = None
        self.strikes: Callable[[RequestRecord], bool] = lists_of("1001")
        self.accepts = False
        self.headers: dict[str, str] = {}
        self.under_way = 0
        self.ended: list[int] = []

    async def _answer(self, request: web.Request, record: RequestRecord, handler: Handler) -> web.StreamResponse:
        hostile = self.hostile
        if hostile is None or not self.strikes(record):
            return await super()._answer(request, record, handler)
        if self.accepts:
            await super()._answer(request, record, handler)
        answer = _Counted(headers={"Content-Type": "application/json", **self.headers})
        self.under_way += 1
        try:
            await answer.prepare(request)
            with contextlib.suppress(ConnectionError):
                await hostile(answer)
        finally:
            self.under_way -= 1
            self.ended.append(answer.sent)
        return answer


class _Counted(web.StreamResponse):
    """An answer that counts its bytes."""

    sent = 0

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await super().write(data)
        self.sent += len(data)


def lists_of(user: str) -> Callable[[RequestRecord], bool]:
    """Strike a user's list of conversations."""
    return lambda record: record.method == "GET" and record.path.endswith(f"/{user}{LISTS}")


@pytest.fixture
async def pbx(socket_enabled: None) -> AsyncGenerator[HostilePbx]:
    """A PBX that can be hostile."""
    async with HostilePbx() as simulator:
        yield simulator
        simulator.hostile = None
        await until(lambda: not simulator.under_way)  # a drip sees a byte later that its client is gone


@pytest.fixture(autouse=True)
def _quick(hass: HomeAssistant, request: pytest.FixtureRequest) -> None:
    """Wait a fraction of what is waited in life, and hold nothing back."""
    hass.data[THROTTLE_TIMING] = ThrottleTiming(
        rate=RateLimit(per_second=10_000.0), circuit=CircuitTiming(away=Backoff(0.05, 0.2))
    )
    marker = request.node.get_closest_marker("timing")
    set_timing(hass, **QUICK | {"answer_within": 10.0} | (marker.kwargs if marker else {}))


@pytest.fixture
def peak() -> Generator[Callable[[], int]]:
    """Return the most memory that was taken since the test began, in bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


async def goes_on(pbx: HostilePbx, entity_events: EntityEvents) -> None:
    """Let the PBX behave again: what came in meanwhile is reported."""
    await pbx.receive(from_number=ANN, text="Meanwhile")
    pbx.hostile = None
    await until(lambda: entity_events.texts() == ["Meanwhile"], within=30)


# --- too much ------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(GIB)}], ids=["endless", "gigabyte"])
async def test_a_list_without_end(
    hass: HomeAssistant,
    pbx: HostilePbx,
    entry: MockConfigEntry,
    entity_events: EntityEvents,
    peak: Callable[[], int],
    headers: dict[str, str],
) -> None:
    """Each poll stops reading it, and the next one comes all the same."""
    await until(lambda: entry.runtime_data.poller.checkpoint is not None)
    row = b'{"messagesession-id": "' + b"x" * 65536 + b'"},'

    async def endless(answer: web.StreamResponse) -> None:
        await answer.write(b"[")
        for _ in range(GIB // len(row)):
            await answer.write(row)

    pbx.headers = headers
    pbx.hostile = endless
    await until(lambda: len(pbx.ended) >= 3, within=40)
    assert (await send(hass, "Out all the same"))["status"] == "sent"
    await goes_on(pbx, entity_events)
    assert all(MAX_ANSWER < sent < MOST for sent in pbx.ended[:3])
    assert peak() < MOST


def deflated(form: int) -> bytes:
    """Return blanks that swell to 200 MiB."""
    packer = zlib.compressobj(1, zlib.DEFLATED, form)
    return b"".join([*(packer.compress(b" " * MIB) for _ in range(200)), packer.flush()])


def zstd() -> bytes:
    """Return the same for zstd, where Python and aiohttp have it; else what cannot be read."""
    if not HAS_ZSTD:
        return b"\x28\xb5\x2f\xfd" * MIB
    from compression.zstd import ZstdCompressor

    packer = ZstdCompressor()
    return b"".join([*(packer.compress(b" " * MIB) for _ in range(200)), packer.flush()])


def brotli() -> bytes:
    """Return the same for Brotli, where a package for it is installed; else what cannot be read."""
    if not HAS_BROTLI:
        return b"\x0b\x02\x80" * MIB
    from brotli import Compressor

    packer = Compressor(quality=1)
    return b"".join([*(packer.process(b" " * MIB) for _ in range(200)), packer.finish()])


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", lambda: deflated(31)),
        ("deflate", lambda: deflated(15)),
        ("deflate", lambda: deflated(-15)),
        ("zstd", zstd),
        ("br", brotli),
    ],
    ids=["gzip", "deflate", "raw deflate", "zstd", "br"],
)
async def test_a_list_that_swells(
    hass: HomeAssistant,
    pbx: HostilePbx,
    entry: MockConfigEntry,
    entity_events: EntityEvents,
    peak: Callable[[], int],
    encoding: str,
    bomb: Callable[[], bytes],
) -> None:
    """Unpacking stops at the same length, in whatever way it was packed."""
    await until(lambda: entry.runtime_data.poller.checkpoint is not None)
    body = bomb()

    async def swelling(answer: web.StreamResponse) -> None:
        await answer.write(body)

    pbx.headers = {"Content-Encoding": encoding}
    pbx.hostile = swelling
    await until(lambda: len(pbx.ended) >= 3, within=40)
    assert (await send(hass, "Out all the same"))["status"] == "sent"
    await goes_on(pbx, entity_events)
    assert peak() < MOST


# --- too slow ------------------------------------------------------------------------


async def drip(answer: web.StreamResponse) -> None:
    """Send blanks without end, one a second."""
    while True:
        await answer.write(b" ")
        await asyncio.sleep(1)


def drip_until(ends: asyncio.Event) -> Callable[[web.StreamResponse], Awaitable[None]]:
    """Return what does the same until it is told to end."""

    async def drip_on(answer: web.StreamResponse) -> None:
        while not ends.is_set():
            await answer.write(b" ")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ends.wait(), 1)

    return drip_on


def limit_exchanges(entry: MockConfigEntry, seconds: float) -> None:
    """Let an account's exchanges take so many seconds, where it is twelve in life."""
    entry.runtime_data.coordinator.api._transport._timeout = aiohttp.ClientTimeout(total=seconds)


async def test_a_list_that_comes_a_byte_a_second(
    hass: HomeAssistant, pbx: HostilePbx, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """It ends by the timeout. Meanwhile texts go out, and another account at the same PBX receives."""
    pbx.add_user("1002@acme.example", numbers=["18585550198"])
    first, second = await add_account(), await add_account(login="1002@acme.example")
    for account in (first, second):
        await until(lambda account=account: account.runtime_data.poller.checkpoint is not None)
    limit_exchanges(first, 60)
    ends = asyncio.Event()
    pbx.hostile = drip_until(ends)
    await until(lambda: pbx.under_way)
    row = await send(hass, "Not held up", config_entry_id=first.entry_id)
    assert row["status"] == "sent"
    await pbx.receive(from_number=ANN, to_number="18585550198", text="Not held up either")
    await until(lambda: entity_events.texts("event.1002_acme_example_messages") == ["Not held up either"])
    assert pbx.ended == []
    limit_exchanges(first, 1)  # from the next one on
    pbx.hostile = drip
    ends.set()
    await until(lambda: len(pbx.ended) >= 3, within=40)
    assert max(pbx.ended) < 20
    await goes_on(pbx, entity_events)


async def test_an_answer_to_a_text_that_comes_a_byte_a_second(
    hass: HomeAssistant, pbx: HostilePbx, entry: MockConfigEntry
) -> None:
    """It holds up nobody else's text; the text was taken, which the lists show, and is not sent again."""
    limit_exchanges(entry, 60)
    pbx.strikes = lambda record: record.path.endswith("/messages") and record.method == "POST" and not pbx.under_way
    pbx.accepts = True
    ends = asyncio.Event()
    pbx.hostile = drip_until(ends)
    crawling = asyncio.create_task(send(hass, "To Ann"))
    await until(lambda: pbx.under_way)
    assert (await send(hass, "To Bob", destination=BOB))["status"] == "sent"
    assert pbx.ended == []
    limit_exchanges(entry, 1)  # from the next one on
    pbx.hostile = drip
    ends.set()
    await crawling
    assert (await send(hass, "To Ann again"))["status"] in {"sent", "queued"}
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await until(lambda: len(pbx.ended) == 2)  # seen a byte later
    await asyncio.sleep(0.7)  # a second copy would come by now
    assert texts(pbx) == ["To Ann", "To Bob", "To Ann again"]


# --- too many ------------------------------------------------------------------------


@pytest.mark.timing(answer_within=40.0)
async def test_five_hundred_texts_in_one_call(hass: HomeAssistant, pbx: HostilePbx, add_account: AddAccount) -> None:
    """As many as an hour's limit lets through; a second call follows to half of the people, and some requests fail."""
    hass.data[RECEIVING_TIMING] = ReceivingTiming()  # ten polls a second of 500 conversations take a core
    later = 0.0
    set_timing(hass, **QUICK | {"answer_within": 10.0}, clock=lambda: time.monotonic() + later)
    await add_account()
    people = [f"1858556{number:04}" for number in range(500)]
    again = people[::2]
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST", times=10, probability=0.05, seed=1)
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST", times=10, probability=0.05, seed=2)
    first = asyncio.create_task(call(hass, people, "First"))
    await until(lambda: pbx.messages)
    later = 3601.0
    second = asyncio.create_task(call(hass, again, "Second"))
    assert len(await first) == len(people)
    assert len(await second) == len(again)
    await until(lambda: hass.states.get(QUEUED).state == "0", within=30)
    await asyncio.sleep(0.7)  # second copies would come by now
    arrived: defaultdict[str, list[str]] = defaultdict(list)
    for message in pbx.messages:
        arrived[message.destination[0]].append(message.text)
    assert pbx.fault_counts[FaultKind.DROP_AFTER] == pbx.fault_counts[FaultKind.DROP_BEFORE] == 10
    assert arrived == {person: ["First", "Second"] if person in set(again) else ["First"] for person in people}


async def call(hass: HomeAssistant, people: list[str], message: str) -> list[dict[str, Any]]:
    """Send a text to many people in one call; return the rows of its answer."""
    data = {"destination": people, "message": message}
    answer = await hass.services.async_call(DOMAIN, "send_message", data, blocking=True, return_response=True)
    assert answer is not None
    rows: list[dict[str, Any]] = answer["messages"]
    return rows


# --- a clock that is set back --------------------------------------------------------


@pytest.mark.timing(answer_within=0.6)
@pytest.mark.parametrize("restarts", [False, True], ids=["running", "killed"])
@pytest.mark.parametrize("hours", [3, 24 * 365])
async def test_the_wall_clock_is_set_back_while_texts_wait(
    hass: HomeAssistant,
    pbx: HostilePbx,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    restarts: bool,
    hours: int,
) -> None:
    """Two of them were taken without an answer; all are out once and in order, before and after a kill."""
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST", times=2)
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", code=503, times=None)
    pbx.fault(FaultKind.STATUS, path="/messages", method="GET", code=503, times=None)
    calls = [send(hass, f"Text {number}", destination=person) for number in range(3) for person in (ANN, BOB)]
    assert {row["status"] for row in await asyncio.gather(*calls)} == {"queued"}
    assert len(pbx.messages) == 2
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - hours * 3600)
    assert (await send(hass, "Text 3"))["status"] == "queued"  # the file is written by the clock that is set back
    assert len(on_disk(hass, entry)) == 7
    if restarts:
        await crash(hass, entry)
    pbx.clear_faults()
    if restarts:
        await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: on_disk(hass, entry) == [])
    await asyncio.sleep(0.7)  # second copies would come by now
    for person, count in ((ANN, 4), (BOB, 3)):
        arrived = [message.text for message in pbx.messages if message.destination == [person]]
        assert arrived == [f"Text {number}" for number in range(count)]
