"""What comes in: what a poll costs, how soon a text is an event, and whether all of a flood arrives through kills.

`python scripts/bench_inbox.py` runs it alone. The PBX (the tests' simulator) lives in this process, so that it outlives
Home Assistant's kills.
"""

import asyncio
from collections import Counter
import json
from pathlib import Path
import statistics
import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the house and the PBX are the tests'

import aiohttp
from aiohttp import web
from bench_faults import say
from bench_house import house, live_server, noted, set_up, table, until_told, witnessed
import bench_latency
from bench_speed import entry_of
from homeassistant.core import HomeAssistant

from custom_components.netsapiens.api import Account, NetsapiensAPI
from custom_components.netsapiens.pbx.facts import AccountFacts
from custom_components.netsapiens.pbx.throttle import Throttle
from custom_components.netsapiens.receiving.inbox import Inbox, PollResult
from custom_components.netsapiens.receiving.poller import Poller
from custom_components.netsapiens.receiving.store import CheckpointStore
from custom_components.netsapiens.receiving.timing import PollTiming
from tests.real_home import RealHomeError
from tests.simulator import FaultKind, RequestRecord, Simulator

CONVERSATIONS = (10, 100, 1000, 5000)
ROUNDS = 25
MOST_TIMES = 1.3  # of the bare request, at 1,000 conversations
FLOOD, FLOOD_SECONDS, SENDERS = 500, 10.0, 25
KILL_AT = (3.0, 7.0)
ARRIVE_WITHIN = 240.0


class CountingPbx(Simulator):
    """A PBX that counts what it gives out."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    async def _answer(self, request: web.Request, record: RequestRecord, handler: Any) -> web.StreamResponse:
        answer = await super()._answer(request, record, handler)
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            self.given += len(answer.body)
        return answer


# --- what a poll costs -----------------------------------------------------------------


class Cost:
    """One figure of each kind for every round."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        self.bytes: list[int] = []
        self.seconds: list[float] = []

    def __str__(self) -> str:
        return f"{max(self.requests)} request{'s'[: max(self.requests) != 1]}, {1000 * self.median:.1f} ms"

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.seconds)


class LonePoller:
    """A poller without a house around it."""

    def __init__(self, hass: HomeAssistant, pbx: CountingPbx, session: aiohttp.ClientSession) -> None:
        self.pbx, self.session = pbx, session
        self.told: list[str] = []
        self.api = NetsapiensAPI({**pbx.account, "verify_ssl": True}, session)
        account = Account("1001@acme.example", "1001", "acme.example", "1001@acme.example", "Basic User", "")
        self._coordinator: Any = SimpleNamespace(
            hass=hass,
            api=self.api,
            throttle=Throttle(),
            async_ensure_token=self.api.get_token,
            data=AccountFacts(account, "", {}),
            config_entry=entry_of("netsapiens", "bench"),
        )
        inbox = Inbox(
            self._coordinator,
            CheckpointStore(hass, "bench"),
            lambda received: self.told.append(received.text),
            lambda _old: None,
            lambda _cut: None,
            lambda _file: None,
            PollTiming(),
        )
        self.poller = Poller(self._coordinator, inbox, PollTiming())

    def let_pass(self, seconds: float) -> None:
        """Let time pass, by the PBX's clock and by ours."""
        self.pbx.clock_offset += seconds
        before = self.api.clock.monotonic
        self.api.clock.monotonic = lambda: before() + seconds

    async def look(self, cost: Cost | None = None) -> None:
        """Look once, as at a poll."""
        self._coordinator.throttle = Throttle()
        await self._measured(cost, lambda: self.poller.inbox.poll(PollTiming().interval))

    async def bare(self, cost: Cost) -> None:
        """Ask for the same list with nothing around the request."""
        token = (await self.api.get_token())["access_token"]
        url = f"{self.pbx.url}/ns-api/v2/domains/acme.example/users/1001/messagesessions"

        async def ask() -> None:
            headers = {"Authorization": f"Bearer {token}"}
            async with self.session.get(url, params={"limit": "1000"}, headers=headers) as answer:
                json.loads(await answer.read())

        await self._measured(cost, ask)

    async def _measured(self, cost: Cost | None, what: Any) -> None:
        requests, given, began = len(self.pbx.requests), self.pbx.given, time.perf_counter()
        result = await what()
        if isinstance(result, PollResult) and result.failure is not None:
            raise result.failure
        if cost is not None:
            cost.seconds.append(time.perf_counter() - began)
            cost.requests.append(len(self.pbx.requests) - requests)
            cost.bytes.append(self.pbx.given - given)


async def fill(pbx: Simulator, count: int) -> None:
    """Fill the PBX with conversations of the last weeks."""
    for number in range(count):
        pbx.clock_offset = -30 * 86400.0 + number * 60
        await pbx.receive(from_number=f"1212{number:07}", text=f"The pump in the cellar is on, {number}. 12 °C")
    pbx.clock_offset = 0.0


async def polls(count: int, folder: str) -> tuple[bool, list[str]]:
    """Measure at so many conversations; return whether the bar was reached, and the table's row."""
    hass = HomeAssistant(folder)
    nothing, bare, new = Cost(), Cost(), Cost()
    async with CountingPbx() as pbx, aiohttp.ClientSession() as session:
        await fill(pbx, count)
        poller = LonePoller(hass, pbx, session)
        await poller.look()
        for _ in range(ROUNDS):
            await poller.look(nothing)
            await poller.bare(bare)
        for number in range(ROUNDS):
            text = f"New {number}"
            await pbx.receive(from_number=f"1212{number % count:07}", text=text)
            await poller.look(new)
            if poller.told != [text]:
                raise RealHomeError(f"{poller.told} was told instead of {text}")
            poller.told.clear()
            poller.let_pass(300)  # what was just active is read again for a minute; not so in the next round
            await poller.look()
        await poller.api.close()
    await hass.async_stop(force=True)
    ratio, more = nothing.median / bare.median, statistics.median(nothing.bytes) / statistics.median(bare.bytes)
    reached = max(nothing.requests) == 1 and more <= MOST_TIMES and (count < 1000 or ratio <= MOST_TIMES)
    row = [f"{count:,}", str(nothing), f"{1000 * bare.median:.1f} ms", f"{ratio:.2f}", f"{more:.2f}", str(new)]
    return reached, row


# --- a flood ---------------------------------------------------------------------------


async def flood(incoming: str, seed: int) -> tuple[bool, list[str]]:
    """Let 500 messages in while a third of the reads fail and Home Assistant is killed twice."""
    may_repeat = 0
    async with Simulator() as pbx, live_server(pbx, incoming) as live_url, house(incoming) as home:
        await set_up(home, pbx, incoming, live_url)
        for kind, details, share in (
            (FaultKind.STATUS, {"code": 502, "html": True}, 0.12),
            (FaultKind.DROP_BEFORE, {}, 0.14),
            (FaultKind.TRUNCATE, {}, 0.12),
        ):
            fault: dict[str, Any] = {"method": "GET", "times": None, "probability": share, "seed": seed}
            pbx.fault(kind, path="messagesessions", **fault, **details)
        began = time.monotonic()

        async def receive() -> None:
            for number in range(FLOOD):
                await asyncio.sleep(max(0.0, began + number * FLOOD_SECONDS / FLOOD - time.monotonic()))
                await pbx.receive(from_number=f"1858555{number % SENDERS:04}", text=f"Flood {number}")

        async def kill() -> None:
            nonlocal may_repeat
            for at in KILL_AT:
                await asyncio.sleep(max(0.0, began + at - time.monotonic()))
                await home.kill()
                may_repeat += len({row["message_id"] for row in witnessed(home)}) - noted(home)
                await home.start()

        async with asyncio.TaskGroup() as group:
            group.create_task(receive())
            group.create_task(kill())
        texts = [f"Flood {number}" for number in range(FLOOD)]
        await until_told(home, texts, ARRIVE_WITHIN)
        took = time.monotonic() - began
        await asyncio.sleep(3)
        told = Counter(row["message"] for row in witnessed(home))
        tracebacks = home.log_text().count("Traceback (most recent call last)")
    struck, reads = pbx.fault_counts.total(), len(pbx.requests_to("messagesessions"))
    missing = sum(text not in told for text in texts)
    twice = sum(count - 1 for count in told.values())
    if tracebacks:
        say(f"{tracebacks} tracebacks are in Home Assistant's log")
    row = [incoming, str(FLOOD), f"{struck} of {reads}", str(len(KILL_AT)), str(missing)]
    row += [str(max(0, twice - may_repeat)), str(min(twice, may_repeat)), f"{took:.0f} s"]
    return missing == 0 and twice <= may_repeat, row


async def measure(seed: int) -> bool:
    """Run all of it; return whether the bars were reached."""
    reached, rows = [], []
    for count in CONVERSATIONS:
        with tempfile.TemporaryDirectory(prefix="bench-inbox-") as folder:
            good, row = await polls(count, folder)
        say(f"{count} conversations: {row}")
        reached.append(good)
        rows.append(row)
    header = ("conversations", "nothing new", "bare request", "times its time", "times its bytes", "one new message")
    print("\n".join(table(header, rows)))
    reached.append(await bench_latency.measure(seed))
    floods = []
    for incoming in ("poll", "live", "push"):
        good, row = await flood(incoming, seed)
        say(f"{incoming}: {row}")
        reached.append(good)
        floods.append(row)
    header = ("by", "messages in 10 s", "failed reads", "kills", "missing")
    print("\n".join(table((*header, "told twice", "told again, not noted before a kill", "after"), floods)), flush=True)
    return all(reached)


def run(args: Any = None) -> int:
    """Run it alone; return the exit status."""
    return 0 if asyncio.run(measure(int(getattr(args, "seed", 1)))) else 1


if __name__ == "__main__":
    sys.exit(run())
