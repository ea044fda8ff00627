"""What it takes to start: importing the integration and setting up one account, beside core's ntfy and telegram_bot.

Imports are timed in processes that have loaded all of Home Assistant's own that any of them needs, as most homes have
it. Set-ups are timed in a Home Assistant that runs in a process of its own, each with one account and one recipient,
topic or chat, against a local server: the first one of a process, with all that comes with it, and those after it.
Whichever goes first takes turns. What ntfy asks the internet for, its newest release, it is given.
"""

import asyncio
from collections.abc import Sequence
import importlib
import json
import logging
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiohttp import web
from bench_speed import SENDER, account_of, answer_as_pbx, entry_of, environment, house, serve, server, table, yes
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.setup import async_setup_component

OURS, NTFY, TELEGRAM = "netsapiens", "ntfy", "telegram_bot"
DOMAINS = (OURS, NTFY, TELEGRAM)
MODULES = {
    OURS: ("custom_components.netsapiens", ("event", "notify", "sensor", "config_flow", "diagnostics", "repairs")),
    NTFY: ("homeassistant.components.ntfy", ("event", "notify", "sensor", "update", "config_flow", "diagnostics")),
    TELEGRAM: ("homeassistant.components.telegram_bot", ("event", "notify", "config_flow", "diagnostics")),
}
ROUNDS, HOUSES, SETUPS = 15, 6, 10
# What any of them wants set up, so that the first one does not pay for all.
COMMON = ("media_source", "webhook", "notify", "event", "sensor", "update")
BAR = 1.0

# One interpreter, forked for each import: what was there before is the same for all of them.
IMPORT = """
import importlib, json, os, sys, time
import homeassistant.bootstrap
before, packages = json.loads(sys.stdin.read())
for name in before:
    importlib.import_module(name)
for modules in packages:
    reader, writer = os.pipe()
    if not os.fork():
        began = time.perf_counter()
        for name in modules:
            importlib.import_module(name)
        os.write(writer, json.dumps([time.perf_counter() - began, [*sys.modules]]).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as answer:
        print(answer.read())
    os.wait()
"""

type Times = dict[str, list[float]]


class Row(NamedTuple):
    """A row of the table."""

    name: str
    times: Times

    def ratio(self, other: str) -> float:
        """Return the median of the rounds' ratios."""
        return statistics.median(x / y for x, y in zip(self.times[OURS], self.times[other], strict=True))

    @property
    def cells(self) -> list[str]:
        """What the table shows."""
        took = [f"{statistics.median(self.times[domain]) * 1000:.1f}" for domain in DOMAINS]
        ratios = [f"{self.ratio(other):.2f}" for other in DOMAINS[1:]]
        return [self.name, *ratios, f"at most {BAR}", yes(self.reached), *took]

    @property
    def reached(self) -> bool:
        """Whether the bar was reached."""
        return all(self.ratio(other) <= BAR for other in DOMAINS[1:])


def order(turn: int) -> tuple[str, ...]:
    """Return who goes first, and who after that."""
    first = turn % len(DOMAINS)
    return DOMAINS[first:] + DOMAINS[:first]


def child(*arguments: str, given: object) -> list[Any]:
    """Return what a fresh process says, line by line."""
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, input=json.dumps(given), stdout=subprocess.PIPE, text=True, env=environment(), check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- imports ------------------------------------------------------------------------


def modules_of(domain: str) -> list[str]:
    """Return the modules of an integration."""
    package, parts = MODULES[domain]
    return [package, *(f"{package}.{part}" for part in parts)]


def imported(before: Sequence[str], domains: Sequence[str]) -> list[tuple[float, set[str]]]:
    """Import integrations, each anew; return how long it takes, and what is loaded then."""
    packages = [modules_of(domain) if domain else [] for domain in domains]
    return [(seconds, set(names)) for seconds, names in child("-c", IMPORT, given=[before, packages])]


def import_in_turn(before: Sequence[str]) -> Times:
    """Return how long the imports take."""
    turns = [domain for turn in range(ROUNDS) for domain in order(turn)]
    times: Times = {domain: [] for domain in DOMAINS}
    for domain, (seconds, _) in zip(turns, imported(before, turns), strict=True):
        times[domain].append(seconds)
    return times


def needed_of_core() -> list[str]:
    """Return the modules of Home Assistant itself that any of them imports."""
    there, *loaded = [names for _, names in imported([], ["", *DOMAINS])]
    own = tuple(package for package, _ in MODULES.values())
    needed = set().union(*loaded) - there
    return sorted(name for name in needed if name.startswith("homeassistant.") and not name.startswith(own))


# --- set-ups ------------------------------------------------------------------------


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer as ntfy and Telegram do, else as a PBX."""
    if request.path.endswith("/getMe"):
        return web.json_response({"ok": True, "result": {"id": 1, "is_bot": True, "first_name": "B", "username": "b"}})
    if request.path.endswith("/ws"):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        return socket
    if request.path == "/v1/account":
        kinds = ("messages", "emails", "calls", "reservations", "attachment_total_size")
        stats = dict.fromkeys([*kinds, *(f"{kind}_remaining" for kind in kinds)], 0)
        return web.json_response({"username": "1001", "stats": stats})
    if request.path == "/v1/version":
        return web.json_response({"version": "2.17.0", "commit": "c", "date": "2026-01-01"})
    return await answer_as_pbx(request)


def entries(url: str, plain: str) -> dict[str, ConfigEntry]:
    """Return an account of each, not added yet; Telegram's bot speaks to a server without a certificate."""
    ann: Any = {"subentry_type": "recipient", "title": "Ann", "unique_id": None}
    news: Any = {"subentry_type": "topic", "title": "News", "unique_id": "news", "data": {"topic": "news"}}
    chat: Any = {"subentry_type": "allowed_chat_ids", "title": "Ann", "unique_id": "2", "data": {"chat_id": 2}}
    ntfy = {"url": f"{url}/", "username": None, "token": "t", "verify_ssl": False}
    bot = {"platform": "broadcast", "api_key": "1:t", "api_endpoint": plain}
    return {
        OURS: account_of(url, recipients=[{**ann, "data": {"destination": [SENDER], "group": False}}]),
        NTFY: entry_of(NTFY, "127.0.0.1", data=ntfy, subentries_data=[news]),
        TELEGRAM: entry_of(
            TELEGRAM, "bot", data=bot, options={"parse_mode": "markdown"}, subentries_data=[chat], minor_version=3
        ),
    }


async def in_a_house(urls: Sequence[str], turn: int, before: Sequence[str]) -> tuple[dict[str, float], Times]:
    """Return how long the first set-up of each takes, and each further one."""
    async with house() as hass:
        await hass.async_add_executor_job(prepare, before)
        spare_the_internet(hass)
        for domain in COMMON:
            assert await async_setup_component(hass, domain, {})
        await hass.async_block_till_done()
        ready = entries(*urls)
        assert not sys.modules.keys() & {package for package, _ in MODULES.values()}
        first = {}
        for domain in order(turn):
            began = time.perf_counter()
            await hass.config_entries.async_add(ready[domain])
            await hass.async_block_till_done()
            first[domain] = time.perf_counter() - began
            assert ready[domain].state is ConfigEntryState.LOADED
        again: Times = {domain: [] for domain in DOMAINS}
        for number in range(SETUPS):
            for domain in order(turn + number):
                again[domain].append(await set_up_again(hass, ready[domain]))
        return first, again


def prepare(before: Sequence[str]) -> None:
    """Import what any of them needs of Home Assistant."""
    for name in before:
        importlib.import_module(name)


def spare_the_internet(hass: HomeAssistant) -> None:
    """Give ntfy its newest release, which it would ask the internet for."""
    known = DataUpdateCoordinator[Any](hass, logging.getLogger(__name__), config_entry=None, name=NTFY)
    known.data = SimpleNamespace(tag_name="v2.17.0", name="v2.17.0", html_url="", body="")
    hass.data[NTFY] = known


async def set_up_again(hass: HomeAssistant, entry: ConfigEntry) -> float:
    """Return how long it takes to set an entry up once more."""
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
    began = time.perf_counter()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return time.perf_counter() - began


async def run() -> bool:
    """Print the table; return whether every bar was reached."""
    before = await asyncio.to_thread(needed_of_core)
    imports = await asyncio.to_thread(import_in_turn, before)
    first: Times = {domain: [] for domain in DOMAINS}
    again: Times = {domain: [] for domain in DOMAINS}
    with server(__file__) as url, server(__file__, "http") as plain:
        for turn in range(HOUSES):
            ((once, more),) = await asyncio.to_thread(child, __file__, "house", given=[[url, plain], turn, before])
            for domain in DOMAINS:
                first[domain].append(once[domain])
                again[domain] += more[domain]
    rows = [
        Row("import, all of Home Assistant's own loaded", imports),
        Row("first set-up after a start, imports included", first),
        Row("further set-ups", again),
    ]
    head = " | ".join([*(f"of {other}" for other in DOMAINS[1:]), "Bar", "", *(f"{domain}, ms" for domain in DOMAINS)])
    table(f"Step | {head}", (row.cells for row in rows))
    print(f"\nMedians of {ROUNDS} imports, {HOUSES} first and {SETUPS * HOUSES} further set-ups, in turn.")
    return all(row.reached for row in rows)


async def furnished() -> None:
    """Measure in a house, and print what came of it."""
    print(json.dumps(await in_a_house(*json.loads(sys.stdin.read()))))


if __name__ == "__main__":
    asyncio.run(serve(answer, sys.argv[2]) if sys.argv[1:2] == ["serve"] else furnished())
