"""What the operator of a PBX sees: what a home costs, and how 10,000 homes come back after an outage.

`python scripts/bench_operator.py` runs it alone. Each home is a real Home Assistant that reaches the tests' simulator
through a proxy which counts connections and bytes, over TLS, as they are on the wire.
"""

import argparse
import asyncio
from collections import Counter
import contextlib
from copy import replace
from dataclasses import dataclass, field
from pathlib import Path
import re
import sys
import time
from typing import Self

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the house and the PBX are the tests'

from bench_faults import say
from bench_inbox import fill
from bench_speed import table
import bench_spread

from tests.real_home import HOST, RealHome, RealHomeError, free_port
from tests.simulator import RequestRecord, Simulator

MINUTES = 10.0  # of the idle stretch
CONVERSATIONS = 20
START_LASTS = 20.0  # seconds from when the account is loaded: the first poll, and those that follow a connection
SETTLES_IN = 75.0  # seconds after a text until polls are as seldom as ever
QUESTION_LASTS = 120.0
MOST_REQUESTS = {"poll": 140, "live": 45, "push": 45, "off": 10}  # an idle hour
ANN = "12125550123"
SCRIPT = f"""
script:
  ask:
    sequence:
      - action: netsapiens.ask_question
        data:
          destination: "{ANN}"
          question: The garage is open. Close it?
          answers:
            - id: close
              sentences: ["Close it"]
          timeout: "00:05:00"
        response_variable: answer
"""


@dataclass(frozen=True)
class Traffic:
    """What went through, on one port or on several."""

    connections: int = 0
    sent: int = 0
    received: int = 0

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(self.connections - other.connections, self.sent - other.sent, self.received - other.received)


class Proxy:
    """Passes TCP connections on and counts them and their bytes, as Home Assistant sends and receives them."""

    def __init__(self, port: int) -> None:
        self.traffic = Traffic()
        self.port = 0
        self._to = port
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            self._server.close_clients()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.traffic = replace(self.traffic, connections=self.traffic.connections + 1)
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self._to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            self._pass_on(reader, far_writer, sent=True), self._pass_on(far_reader, writer, sent=False)
        )

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, sent: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                up, down = (len(chunk), 0) if sent else (0, len(chunk))
                traffic = self.traffic
                self.traffic = Traffic(traffic.connections, traffic.sent + up, traffic.received + down)
                writer.write(chunk)
                await writer.drain()
        writer.close()


@dataclass
class Cost:
    """What a stretch of time cost the PBX."""

    seconds: float
    requests: Counter[str]
    api: Traffic
    live: Traffic


@dataclass
class Costs:
    """What a home cost."""

    incoming: str
    parts: dict[str, Cost] = field(default_factory=dict)
    agents: set[str] = field(default_factory=set)

    @property
    def an_hour(self) -> float:
        """Requests of an idle hour."""
        idle = self.parts["idle"]
        return idle.requests.total() * 3600 / idle.seconds


def kind(record: RequestRecord) -> str:
    """Return what a request was, without what differs between homes."""
    path = re.sub(r"domains/[^/]+/users/[^/]+", "…", record.path.removeprefix("/ns-api/v2/"))
    return f"{record.method} {re.sub(r'(messagesessions|subscriptions)/[^/]+', r'\1/{id}', path)}"


class Meter:
    """A PBX, and the two ways to it."""

    def __init__(self, pbx: Simulator, api: Proxy, live: Proxy) -> None:
        self.pbx, self._api, self._live = pbx, api, live
        self._began = time.monotonic()
        self._requests, self._was = 0, (Traffic(), Traffic())

    def reset(self) -> None:
        """Count from now on."""
        self._began, self._requests = time.monotonic(), len(self.pbx.requests)
        self._was = self._api.traffic, self._live.traffic

    def read(self) -> Cost:
        """Return what there was since then."""
        api, live = self._was
        requests = Counter(kind(record) for record in self.pbx.requests[self._requests :])
        took = time.monotonic() - self._began
        return Cost(took, requests, self._api.traffic - api, self._live.traffic - live)


# --- a home ------------------------------------------------------------------------------


def house(incoming: str) -> RealHome:
    """Return a Home Assistant with the script that asks; the PBX can reach it where it is to push."""
    port = free_port()
    url = f"homeassistant:\n  external_url: http://{HOST}:{port}\n" if incoming == "push" else ""
    return RealHome(extra=f"{SCRIPT}{url}", log_level="warning", port=port)


async def set_up(home: RealHome, pbx: Simulator, incoming: str, api: Proxy, live: Proxy) -> None:
    """Sign in through the forms, and choose how messages come in."""
    flow = await home.start_flow("netsapiens")
    flow = await home.flow_step(flow["flow_id"], {"next_step_id": "sign_in"})
    account = {**pbx.account, "base_url": f"https://{HOST}:{api.port}", "verify_ssl": False}
    flow = await home.flow_step(flow["flow_id"], account)
    if flow["type"] != "create_entry":
        raise RealHomeError(f"The account was not accepted: {flow.get('errors') or flow}")
    form = await home.start_options_flow(flow["result"]["entry_id"])
    defaults = {field["name"]: field["default"] for field in form["data_schema"] if "default" in field}
    chosen = {"from_number": pbx.numbers[0], "incoming": incoming, "live_url": f"https://{HOST}:{live.port}"}
    form = await home.options_step(form["flow_id"], {**defaults, **chosen})
    if form["type"] != "create_entry":
        raise RealHomeError(f"The options were not accepted: {form.get('errors')}")
    await asyncio.sleep(4)  # Home Assistant saves what is new after a second


async def until_quiet(pbx: Simulator) -> None:
    """Let a text in, so that what announces texts is proven; wait until polls are as seldom as ever."""
    await pbx.receive(from_number=ANN, text="The pump in the cellar is on. 12 °C")
    await asyncio.sleep(SETTLES_IN)


async def is_loaded(home: RealHome) -> bool:
    """Return whether the account is."""
    return [entry["state"] for entry in await home.entries("netsapiens")] == ["loaded"]


async def start(home: RealHome, meter: Meter) -> Cost:
    """Start Home Assistant once more; return what that costs."""
    await home.stop()
    meter.reset()
    await home.start()
    if not await home.wait_for(lambda: is_loaded(home), 60):
        raise RealHomeError(f"The account was not loaded:\n{home.log_tail()}")
    await asyncio.sleep(START_LASTS)
    return meter.read()


async def ask(home: RealHome, meter: Meter) -> Cost:
    """Ask a question that nobody answers; return what its first minutes cost, with the question itself."""
    meter.reset()
    await home.call("script", "turn_on", {"entity_id": "script.ask"})
    await asyncio.sleep(QUESTION_LASTS)
    cost = meter.read()
    if cost.requests["POST …/messagesessions/{id}/messages"] != 1:
        raise RealHomeError(f"The question was not asked:\n{home.log_tail()}")
    return cost


async def measure(incoming: str, minutes: float, starting: asyncio.Lock, all_started: asyncio.Barrier) -> Costs:
    """Measure one home."""
    costs = Costs(incoming)
    async with contextlib.AsyncExitStack() as stack:
        async with starting:  # one at a time: a start takes a whole core
            pbx = await stack.enter_async_context(Simulator(tls=True))
            server = await pbx.start_live()
            api = await stack.enter_async_context(Proxy(pbx.port))
            live = await stack.enter_async_context(Proxy(server.port))
            await fill(pbx, CONVERSATIONS)
            home = await stack.enter_async_context(house(incoming))
            await set_up(home, pbx, incoming, api, live)
            meter = Meter(pbx, api, live)
            costs.parts["start"] = await start(home, meter)
        await all_started.wait()
        say(f"{incoming}: started; {minutes:g} idle minutes follow")
        await until_quiet(pbx)
        meter.reset()
        await asyncio.sleep(minutes * 60)
        costs.parts["idle"] = meter.read()
        if incoming in {"poll", "live"}:
            costs.parts["question"] = await ask(home, meter)
        costs.agents = {record.headers.get("User-Agent", "none") for record in pbx.requests}
        say(f"{incoming}: measured")
    return costs


# --- what is printed ---------------------------------------------------------------------


def row(name: str, cost: Cost, times: float = 1.0) -> list[str]:
    """Return a table's row."""
    row = [name, f"{cost.requests.total() * times:.0f}"]
    for port in (cost.api, cost.live):
        row += [f"{port.connections * times:.0f}", f"{port.sent * times / 1000:.0f}"]
        row += [f"{port.received * times / 1000:.0f}"]
    return row


def show(found: list[Costs], minutes: float) -> None:
    """Print the tables."""
    question = f"a question, {QUESTION_LASTS / 60:g} minutes"
    rows = []
    for costs in found:
        way, idle = f"`{costs.incoming}`", costs.parts["idle"]
        rows.append(row(f"{way}, a start", costs.parts["start"]))
        rows.append(row(f"{way}, an idle hour", idle, 3600 / idle.seconds))
        if "question" in costs.parts:
            rows.append(row(f"{way}, {question}", costs.parts["question"]))
    port = "connections | kB sent | kB received"
    table(f" | Requests | API: {port} | Live: {port}", rows)
    print(f"\nAn idle hour is scaled from {minutes:g} measured minutes. As measured, the requests were:\n")
    for costs in found:
        for part, cost in costs.parts.items():
            calls = ", ".join(f"{count} {name}" for name, count in cost.requests.most_common())
            print(f"- `{costs.incoming}`, {part}: {calls or 'none'}")
    print(f"\nUser-Agent: {', '.join(sorted(set().union(*(costs.agents for costs in found))))}\n")


async def homes(minutes: float) -> bool:
    """Measure four homes, one for each way in; return whether every bar was reached."""
    starting, all_started = asyncio.Lock(), asyncio.Barrier(len(MOST_REQUESTS))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(measure(way, minutes, starting, all_started)) for way in MOST_REQUESTS]
    found = [task.result() for task in tasks]
    show(found, minutes)
    return all(costs.an_hour <= MOST_REQUESTS[costs.incoming] for costs in found)


async def run(minutes: float = MINUTES) -> bool:
    """Print what the operator sees; return whether every bar was reached."""
    reached = [await asyncio.to_thread(bench_spread.run)]
    if minutes > 0:
        reached.append(await homes(minutes))
    return all(reached)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the operator of a PBX sees.")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long the idle stretch is; 0: no homes")
    sys.exit(0 if asyncio.run(run(parser.parse_args().minutes)) else 1)
