"""How 10,000 homes come back to a PBX that was away: in virtual time, by the integration's own code.

`python scripts/bench_spread.py [HOMES]` is it alone. Each home has the integration's poller, throttle with its circuit
breaker and, where it is asked for, live connection, with their default timing. The PBX and the network are left out: a
request is refused or answered after a moment, and the clock goes on to the next timer at once. What a home asks for
after its first request is left out as well, apart from polls.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
import gc
import logging
import math
import multiprocessing
from pathlib import Path
import random
import selectors
import sys
from types import SimpleNamespace
from typing import Any, override

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the integration

from bench_speed import table, yes

from custom_components.netsapiens.api import Account, NetsapiensConnectionError
from custom_components.netsapiens.pbx.facts import AccountFacts
from custom_components.netsapiens.pbx.throttle import Throttle
from custom_components.netsapiens.phone_metadata import load_metadata
from custom_components.netsapiens.receiving.inbox import PollResult
from custom_components.netsapiens.receiving.live import Live, LiveState
from custom_components.netsapiens.receiving.live_socket import LiveUnreachableError
from custom_components.netsapiens.receiving.poller import Poller
from custom_components.netsapiens.receiving.proof import Proof
from custom_components.netsapiens.receiving.timing import LiveTiming, PollTiming

HOMES = 10_000
HOUR, MINUTE = 3600.0, 60.0
EVENTS = {"an hour away": HOUR, "a restart of a minute": MINUTE}
STARTED_WITHIN, STEADY = 120.0, 300.0  # seconds until every home has started, and until the PBX goes
ROUND_TRIP = 0.05
POLLS_WATCHED = 300.0  # seconds in which all polls are counted; the homes stop polling then
LONGEST = 2 * HOUR  # in which the last connection is back
# Of the homes, at most in any one second; polls every 30 seconds alone are 3.3 %, and a connection leads to a poll.
MOST_FIRST, MOST_CONNECTIONS = {"poll": 0.04, "live": 0.06}, 0.035
ROWS, WIDTH = 16, 50


class VirtualSelector(selectors.DefaultSelector):
    """Lets the time until the next timer pass at once."""

    now = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0 if timeout is not None else None)
        if timeout and not events:
            self.now += timeout + 1e-6  # so that rounding leaves no timer a hair's breadth ahead
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock does not wait."""

    def __init__(self) -> None:
        self._virtual = VirtualSelector()
        super().__init__(self._virtual)

    @override
    def time(self) -> float:
        return self._virtual.now


@dataclass
class Pbx:
    """A PBX that is there or away, and remembers who came when since it was back."""

    is_away: bool = False
    back_at: float | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[float] = field(default_factory=list)
    first_requests: dict[int, float] = field(default_factory=dict)
    connections: dict[int, float] = field(default_factory=dict)

    async def ask(self, home: int) -> str:
        """Answer a home's request, with nothing in it."""
        await asyncio.sleep(ROUND_TRIP)
        if self.is_away:
            raise NetsapiensConnectionError("away")
        if self.back_at is not None:
            since = asyncio.get_running_loop().time() - self.back_at
            self.requests.append(since)
            self.first_requests.setdefault(home, since)
        return ""

    async def connect(self, home: int) -> None:
        """Take a home's live connection."""
        await asyncio.sleep(ROUND_TRIP)
        if self.is_away:
            raise LiveUnreachableError
        if self.back_at is not None:
            self.connections.setdefault(home, asyncio.get_running_loop().time() - self.back_at)

    def go(self) -> None:
        """Be away: every connection ends."""
        self.is_away = True
        self.gone.set()

    def come_back(self) -> None:
        """Be there again."""
        self.is_away, self.gone = False, asyncio.Event()
        self.back_at = asyncio.get_running_loop().time()


FACTS = AccountFacts(
    Account("1001@acme.example", "1001", "acme.example", "1001@acme.example", "Basic User", ""), "", {}
)


class Entry:
    """A config entry with the default options, and no recipients."""

    options: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def get_subentries_of_type(self, _subentry_type: str) -> tuple[()]:
        """Return none."""
        return ()


class VirtualLive(Live):
    """A live connection without a socket; it was proven before the outage, and is not yet proven again."""

    def __init__(self, coordinator: Any, poller: Poller, pbx: Pbx, number: int) -> None:
        super().__init__(coordinator, poller, LiveTiming())
        self._pbx, self._number = pbx, number

    @override
    async def _serve(self, address: str) -> LiveState:
        await self._pbx.connect(self._number)
        self._connections += 1
        self._proof = Proof(self._timing.proof)
        if self._pbx.back_at is None:
            self._proof.announced(self._hass.loop.time())
            self._proof.found(self._hass.loop.time())
        self._poller.poll_once()
        try:
            await self._pbx.gone.wait()
        finally:
            self._proof = None
        raise LiveUnreachableError


class Home:
    """One home: what is left of its account is the poller, the throttle and the live connection."""

    def __init__(self, number: int, pbx: Pbx, hass: Any, incoming: str) -> None:
        async def ask() -> str:
            return await pbx.ask(number)

        throttle = Throttle(clock=hass.loop.time)
        coordinator: Any = SimpleNamespace(
            hass=hass,
            throttle=throttle,
            config_entry=Entry(),
            data=FACTS,
            api=SimpleNamespace(api_url="https://pbx.example.com", get_hostname=ask),
            note_failure=lambda _: None,
            note_success=lambda: None,
        )

        async def poll(_interval: float) -> PollResult:
            await throttle.run(ask)
            return PollResult(failure=None, gets_on=False, is_behind=False, requests=1)

        async def nothing() -> None:
            pass

        inbox: Any = SimpleNamespace(poll=poll, load=nothing, finish=nothing, wake_up=asyncio.Event(), reported=0)
        self.poller = Poller(coordinator, inbox, PollTiming())
        self.live: VirtualLive | None = None
        if incoming == "live":
            self.live = VirtualLive(coordinator, self.poller, pbx, number)
            self.poller.announcer = self.live

    def start(self) -> None:
        """Poll, and connect."""
        self.poller.async_start()
        if self.live is not None:
            self.live.async_start()


async def outage(incoming: str, away_for: float, count: int) -> Pbx:
    """Let the PBX be away for so many seconds; return who came back when."""
    loop, pbx = asyncio.get_running_loop(), Pbx()
    tasks: set[asyncio.Task[Any]] = set()

    def create_task(coro: Any, _name: str, **_: object) -> asyncio.Task[Any]:
        tasks.add(task := loop.create_task(coro))
        return task

    hass = SimpleNamespace(loop=loop, data={}, async_create_background_task=create_task)
    homes = [Home(number, pbx, hass, incoming) for number in range(count)]
    for home in homes:
        loop.call_later(random.uniform(0, STARTED_WITHIN), home.start)
    await asyncio.sleep(STARTED_WITHIN + STEADY)
    pbx.go()
    await asyncio.sleep(away_for)
    pbx.come_back()
    await asyncio.sleep(POLLS_WATCHED)
    await asyncio.gather(*(home.poller.async_stop() for home in homes))
    if incoming == "live":
        await asyncio.sleep(LONGEST)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return pbx


# --- what is printed ---------------------------------------------------------------------


def busiest(times: Sequence[float]) -> int:
    """Return how many came in the busiest second."""
    return max(Counter(int(time) for time in times).values(), default=0)


def spread_of(name: str, times: Sequence[float], count: int) -> list[str]:
    """Return a table's row: how the first ones of all homes are spread."""
    ordered = sorted(times)
    share = busiest(ordered) / count
    seconds = [ordered[min(len(ordered), math.ceil(len(ordered) * part)) - 1] for part in (0.5, 0.95, 1.0)]
    return [name, *(f"{value:,.0f} s" for value in seconds), f"{busiest(ordered):,} ({share:.1%})"]


def histogram(name: str, times: Sequence[float]) -> str:
    """Return how many came in each stretch of time."""
    step = max(1, math.ceil(max(times) / ROWS))
    bins = Counter(int(time // step) for time in times)
    most = max(bins.values())
    lines = [
        f"{number * step:>6}-{(number + 1) * step:<5} s {bins[number]:>6,} {'#' * round(bins[number] / most * WIDTH)}"
        for number in range(max(bins) + 1)
    ]
    return "\n".join([f"{name}:", *lines, ""])


def measure(incoming: str, away_for: float, count: int) -> Pbx:
    """Let the PBX be away for so many seconds, in a process of its own; return who came back when."""
    logging.disable()
    load_metadata()  # a poller would wait for it in a thread, which virtual time does not wait for
    gc.disable()
    random.seed(1)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        pbx = runner.run(outage(incoming, away_for, count))
    pbx.gone = asyncio.Event()  # the one there was belongs to a loop
    return pbx


def run(count: int = HOMES) -> bool:
    """Print how the homes come back; return whether they are spread well enough."""
    rows, pictures, reached = [], [], True
    cases = [(event, away_for, way) for event, away_for in EVENTS.items() for way in ("poll", "live")]
    with ProcessPoolExecutor(len(cases), mp_context=multiprocessing.get_context("spawn")) as pool:
        found = [pool.submit(measure, way, away_for, count) for _, away_for, way in cases]
    for (event, _, way), future in zip(cases, found, strict=True):
        pbx = future.result()
        shown = [(f"{event}, `{way}`: first request", pbx.first_requests, MOST_FIRST[way])]
        if way == "live":
            shown.append((f"{event}, `live`: connection", pbx.connections, MOST_CONNECTIONS))
        for name, of_home, most in shown:
            times = [*of_home.values()]
            is_met = len(times) == count and busiest(times) <= most * count
            rows.append(
                [*spread_of(name, times, count), f"at most {most:.1%}", yes(is_met), f"{busiest(pbx.requests):,}"]
            )
            pictures.append(histogram(name, times))
            reached &= is_met
    head = f"{count:,} homes after | Median | 95 % | Last | Most in a second | Bar | | All requests, most in a second"
    table(head, rows)
    print("\n".join(["", *pictures]))
    return reached


if __name__ == "__main__":
    sys.exit(0 if run(int(sys.argv[1]) if len(sys.argv) > 1 else HOMES) else 1)
