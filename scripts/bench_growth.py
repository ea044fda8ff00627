"""How cost grows: with recipients, with accounts, and with the texts that wait.

Each size runs in a Home Assistant of its own, in a process of its own, against one local server. The floor of
recipients is `bench_floor`: as many devices with the same two entities, which do nothing, in the same process. That of
texts that wait is as many plain files, and as many tasks that wait with a deadline. Memory of both
recipients and accounts is what the process grows by (RSS), that of waiting texts what Python counts (tracemalloc).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
import gc
import json
import os
from pathlib import Path
import statistics
import sys
import time
import tracemalloc
from typing import Any, NamedTuple

from bench_media import memory
from bench_setup import child, set_up_again
from bench_speed import (
    REFILL,
    SENDER,
    account_of,
    bare,
    entry_of,
    house,
    one_after_the_other,
    server,
    table,
    yes,
)
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

FLOOR = str(Path(__file__).resolve().parent / "floor")
RECIPIENTS = {10: 9, 4000: 3}  # how many, and how often their set-up is timed
ACCOUNTS = (1, 50)
QUEUED = (100, 10_000)
ROUNDS, A_ROUND = 5, 25  # texts; below the 30 that may go at once
MESSAGES, SETUPS = 200, 9
WRITES = 7
SENDERS = 10
BLOCK = 512  # bytes
WARM_UP = 10  # accounts before their memory is counted
GROWN, OF_FLOOR, OF_TASKS = 1.5, 2.0, 4.0
OF_FILES = {"write": 3.0, "read": 3.0}  # which are no messages yet

type Figures = dict[str, float]


class Row(NamedTuple):
    """A row of a table: a figure for each size, and what the largest one is compared with."""

    name: str
    figures: Sequence[float | None]
    of: str = ""
    ratio: float = 0.0
    bar: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the bar was reached."""
        return self.bar is None or self.ratio <= self.bar

    @property
    def cells(self) -> list[str]:
        """What the table shows."""
        figures = ["" if figure is None else f"{figure:.3g}" for figure in self.figures]
        if self.bar is None:
            return [self.name, *figures, "", "", ""]
        return [self.name, *figures, f"{self.ratio:.2f} of {self.of}", f"at most {self.bar}", yes(self.reached)]


def print_rows(what: str, sizes: Sequence[int], rows: Sequence[Row]) -> bool:
    """Print a table; return whether its bars were reached."""
    table(f"{what} | {' | '.join(f'{size:,}' for size in sizes)} | The largest | Bar | ", (row.cells for row in rows))
    return all(row.reached for row in rows)


def timed(began: float, many: int = 1) -> float:
    """Return the milliseconds since then, for each of so many."""
    return (time.perf_counter() - began) / many * 1000


# --- recipients ---------------------------------------------------------------------


def people(numbers: range) -> list[ConfigSubentryData]:
    """Return recipients."""
    data = [{"destination": [f"1212{5_550_000 + number}"], "group": False} for number in numbers]
    return [
        {"subentry_type": "recipient", "title": f"Person {number}", "unique_id": None, "data": one}
        for number, one in zip(numbers, data, strict=True)
    ]


def pair(url: str, title: str, count: int) -> dict[str, ConfigEntry]:
    """Return an account with so many recipients, and its floor, not added yet."""
    share = people(range(count))
    return {
        "ours": account_of(url, title, share),
        "floor": entry_of("bench_floor", title, subentries_data=share),
    }


async def add(hass: HomeAssistant, entry: ConfigEntry) -> float:
    """Return the milliseconds that the first set-up of an entry takes."""
    began = time.perf_counter()
    await hass.config_entries.async_add(entry)
    await hass.async_block_till_done()
    took = timed(began)
    assert entry.state is ConfigEntryState.LOADED
    return took


async def add_again(hass: HomeAssistant, entry: ConfigEntry) -> float:
    """Return the milliseconds that a further set-up of an entry takes."""
    return await set_up_again(hass, entry) * 1000


def resident() -> float:
    """Return how many megabytes the process has, without what can be freed."""
    gc.collect()
    return memory("VmRSS")


async def with_recipients(url: str, count: int) -> Figures:
    """Return what an account with so many recipients costs."""
    sys.path.append(FLOOR)
    async with house() as hass:
        for entry in pair(url, "first", 10).values():
            await add(hass, entry)
        times: dict[str, list[float]] = {}
        grown: Figures = {}
        for turn in range(RECIPIENTS[count]):
            kept = pair(url, f"turn {turn}", count)
            for kind, entry in sorted(kept.items(), reverse=turn % 2 == 1):
                before = resident()
                times.setdefault(f"first {kind}", []).append(await add(hass, entry) / count)
                grown.setdefault(kind, (resident() - before) / count * 1000)
                times.setdefault(f"again {kind}", []).append(await add_again(hass, entry) / count)
            if turn + 1 < RECIPIENTS[count]:
                for entry in kept.values():
                    await hass.config_entries.async_remove(entry.entry_id)
        figures = {name: statistics.median(found) for name, found in times.items()}
        figures |= {f"memory {kind}": megabytes for kind, megabytes in grown.items()}
        figures |= incoming(kept["ours"])
        return figures | await texting(hass, url, {"entity_id": [notify_of(hass, kept["ours"])]})


def incoming(entry: ConfigEntry) -> Figures:
    """Return what a message costs that comes in."""
    from custom_components.netsapiens.receiving.received import ReceivedMessage  # noqa: PLC0415 - what is loaded counts

    numbers = [recipient.data["destination"][0] for recipient in entry.subentries.values()]
    senders = numbers[:: len(numbers) // SENDERS]

    def receive(number: int) -> None:
        sender = senders[number % SENDERS]
        rest = (SENDER, "sms", "session", None, datetime.now(UTC), (), None, None)
        entry.runtime_data.reports.received(ReceivedMessage("Hi", sender, *rest))

    began = time.perf_counter()
    receive(0)
    opening = timed(began)
    began = time.perf_counter()
    for number in range(MESSAGES):
        receive(number)
    received = timed(began, MESSAGES)
    return {"opening": opening, "received": received}


def notify_of(hass: HomeAssistant, entry: ConfigEntry) -> str | None:
    """Return the notify entity of an account's first recipient."""
    unique_id = f"{entry.unique_id}_{next(iter(entry.subentries))}_notify"
    return er.async_get(hass).async_get_entity_id("notify", "netsapiens", unique_id)


async def texting(hass: HomeAssistant, url: str, to: dict[str, Any]) -> Figures:
    """Return the milliseconds that a text takes, and that of as many posts of bare aiohttp, in turn."""

    async def send(number: int) -> None:
        data = {**to, "message": f"Text {number}"}
        await hass.services.async_call("netsapiens", "send_message", data, blocking=True)

    times: dict[str, list[float]] = {"text": [], "post": []}
    async with bare(url) as post:
        await asyncio.gather(send(0), post(0))
        for turn in range(ROUNDS):
            await asyncio.sleep(REFILL)
            numbers = range(turn * A_ROUND, (turn + 1) * A_ROUND)
            for name, way in (("text", send), ("post", post)):
                times[name].append(await one_after_the_other(way, numbers))
    ratio = statistics.median(text / post for text, post in zip(times["text"], times["post"], strict=True))
    return {"text": ratio}


def recipients_table(found: dict[int, Figures]) -> bool:
    """Print what recipients cost; return whether the bars were reached."""
    few, most = found

    def row(name: str, key: str) -> Row:
        figures = [one[f"{key} ours"] for one in found.values()]
        growth = found[most][f"{key} ours"] / found[few][f"{key} ours"]
        of_core = found[most][f"{key} floor"] / found[few][f"{key} floor"]
        return Row(name, figures, f"{few:,}, beside the floor's", growth / of_core, GROWN)

    def of_few(name: str, key: str) -> Row:
        figures = [one[key] for one in found.values()]
        return Row(name, figures, f"{few:,}", found[most][key] / found[few][key], GROWN)

    def of_floor(name: str, key: str, sizes: Sequence[int] = tuple(found)) -> Row:
        ratios = [one[f"{key} ours"] / one[f"{key} floor"] if size in sizes else None for size, one in found.items()]
        return Row(name, ratios, "the floor", ratios[-1] or 0.0, OF_FLOOR)

    return print_rows(
        "Recipients",
        list(found),
        [
            row("first set-up, ms a recipient", "first"),
            of_floor("of bare entities", "first"),
            row("further set-ups, ms a recipient", "again"),
            of_floor("of bare entities", "again"),
            of_few("a message that comes in, ms", "received"),
            Row("the first one after a start, ms", [one["opening"] for one in found.values()]),
            of_few("a text to one of them, of a bare post", "text"),
            Row("memory, MB for 1,000", [None, found[most]["memory ours"]]),
            of_floor("of bare entities", "memory", (most,)),
        ],
    )


# --- accounts -----------------------------------------------------------------------


async def with_accounts(url: str) -> dict[str, Figures]:
    """Return, by how many there are, what accounts with one recipient cost, and the memory of one more."""
    sys.path.append(FLOOR)
    async with house() as hass:
        for entry in pair(url, "first", 1).values():
            await add(hass, entry)
        found: dict[str, Figures] = {}
        started = 0.0
        for number in range(max(ACCOUNTS)):
            if number == WARM_UP:
                started = resident()
            await add(hass, pair(url, f"account {number}", 1)["ours"])
            if number + 1 in ACCOUNTS:
                found[str(number + 1)] = await of_one(hass, url, number)
        return found | {"memory": {"account": (resident() - started) / (max(ACCOUNTS) - WARM_UP)}}


async def of_one(hass: HomeAssistant, url: str, number: int) -> Figures:
    """Return what one more account costs among so many, beside its floor, and a text through one."""
    times: dict[str, list[float]] = {}
    for turn in range(SETUPS):
        for kind, entry in sorted(pair(url, f"more {number} {turn}", 1).items(), reverse=turn % 2 == 1):
            times.setdefault(f"first {kind}", []).append(await add(hass, entry))
            times.setdefault(f"again {kind}", []).append(await add_again(hass, entry))
            await hass.config_entries.async_remove(entry.entry_id)
    first = next(iter(hass.config_entries.async_loaded_entries("netsapiens"))).entry_id
    figures = {name: statistics.median(found) for name, found in times.items()}
    return figures | await texting(hass, url, {"config_entry_id": first, "destination": SENDER})


def accounts_table(found: dict[str, Figures]) -> bool:
    """Print what accounts cost; return whether the bars were reached."""
    sizes = [found[str(count)] for count in ACCOUNTS]

    def row(name: str, figures: Sequence[float | None], ratios: list[float]) -> Row:
        return Row(name, figures, "one account", ratios[-1] / ratios[0], GROWN)

    rows = [
        row(name, [one[f"{key} ours"] for one in sizes], [one[f"{key} ours"] / one[f"{key} floor"] for one in sizes])
        for key, name in (("first", "first set-up of one more, ms"), ("again", "further set-ups of one, ms"))
    ]
    rows += [
        row("a text through one, of a bare post", [one["text"] for one in sizes], [one["text"] for one in sizes]),
        Row("memory, MB an account", [None, found["memory"]["account"]]),
    ]
    return print_rows("Accounts", ACCOUNTS, rows)


# --- texts that wait ----------------------------------------------------------------


async def with_queued(url: str, counts: Sequence[int], *, traced: bool) -> dict[str, Figures]:
    """Return what so many texts cost that wait while the PBX is away; traced, their memory alone."""
    async with house() as hass:
        await add(hass, account_of(url, "first"))
        from custom_components.netsapiens.delivery import timing  # noqa: PLC0415 - what is loaded counts

        hass.data[timing.QUEUE_TIMING] = timing.QueueTiming(answer_within=1.0)  # then it answers `queued`
        found: dict[str, Figures] = {}
        for count in counts:
            entry = account_of(url, str(count))
            await add(hass, entry)
            account = entry.runtime_data
            account.coordinator.throttle.breaker.open_for(3600)  # as in a long outage
            if traced:
                found[str(count)] = await memory_of(account.queue, count)
            else:
                queuing = await fill(account.queue, count)
                found[str(count)] = {"queuing": queuing, **await on_disk(hass, entry.entry_id)}
        return found


def text_of(number: int) -> Any:
    """Return a text to somebody of their own."""
    from custom_components.netsapiens.outgoing import OutgoingMessage  # noqa: PLC0415 - what is loaded counts

    destination, session = f"1212{number:07}", f"h{number:039}"
    return OutgoingMessage(
        (destination,), "sms", f"Text number {number}", SENDER, session, None, None, destination[-4:]
    )


async def fill(queue: Any, count: int) -> float:
    """Queue so many texts, each by a call of its own; return the milliseconds of the processor that each took."""
    began = time.process_time()
    await asyncio.gather(*(queue.async_send([text_of(number)], timedelta(hours=1)) for number in range(count)))
    assert queue.queued == count
    return (time.process_time() - began) / count * 1000


async def memory_of(queue: Any, count: int) -> Figures:
    """Return the megabytes of so many texts that wait, and of as many tasks that wait with a text and a deadline."""
    never = asyncio.Event()

    async def wait(_text: object, _answer: asyncio.Future[None]) -> None:
        async with asyncio.timeout(3600):
            await never.wait()

    def counted() -> float:
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / 1e6

    tracemalloc.start(1)
    before = counted()
    tasks = [asyncio.create_task(wait(text_of(number), asyncio.Future())) for number in range(count)]
    await asyncio.sleep(0.1)
    floor = counted() - before
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    del tasks, task
    before = counted()
    await fill(queue, count)
    return {"ours": counted() - before, "floor": floor}


async def on_disk(hass: HomeAssistant, entry_id: str) -> Figures:
    """Return what it costs to keep and to read the texts that wait, and what as many plain files take."""
    from custom_components.netsapiens.delivery.spool import Spool  # noqa: PLC0415 - what is loaded counts

    spool = Spool(hass, entry_id)
    kept = (await spool.async_load()).messages
    rows = [json.dumps(message.row).encode() for message in kept]
    folder = Path(hass.config.path("bench.floor"))

    async def write() -> None:
        other = Spool(hass, f"{entry_id}.bench")
        await other.async_add([(message.row, None) for message in kept])
        await other.async_remove()

    works: dict[str, Callable[[], Awaitable[Any]]] = {
        "write ours": write,
        "write floor": lambda: asyncio.to_thread(write_files, folder, rows),
        "read ours": spool.async_load,
        "read floor": lambda: asyncio.to_thread(read_files, folder),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(WRITES):
        for name, work in works.items():
            began = time.perf_counter()
            await work()
            times[name].append(timed(began, len(kept)) * 1000)
    figures = {name: statistics.median(found) for name, found in times.items()}
    return figures | {"disk": await asyncio.to_thread(disk, Path(hass.config.path(".storage")), entry_id)}


def write_files(folder: Path, rows: Sequence[bytes]) -> None:
    """Write rows, each into a file that is on disk then, as a kill must lose none."""
    folder.mkdir(exist_ok=True)
    for number, row in enumerate(rows):
        with (folder / str(number)).open("wb") as file:
            file.write(row)
            file.flush()
            os.fsync(file.fileno())


def read_files(folder: Path) -> list[Any]:
    """Read them."""
    return [json.loads(path.read_bytes()) for path in folder.iterdir()]


def disk(storage: Path, entry_id: str) -> float:
    """Return the megabytes that the files take of an account's texts that wait, by the blocks of the file system."""
    files = [path for path in storage.rglob("*") if entry_id in str(path) and path.is_file()]
    return sum(path.stat().st_blocks for path in files) * BLOCK / 1e6


def queued_table(sizes: Sequence[Figures], memory: Figures) -> bool:
    """Print what waiting texts cost; return whether the bars were reached."""
    few, most = sizes
    rows = [
        Row(
            "queuing, ms of the processor a text",
            [one["queuing"] for one in sizes],
            f"{QUEUED[0]:,}",
            most["queuing"] / few["queuing"],
            GROWN,
        )
    ]
    for key, name in (("write", "keeping all on disk, ms for 1,000"), ("read", "reading them, ms for 1,000")):
        figures = [one[f"{key} ours"] for one in sizes]
        rows.append(Row(name, figures, "plain files", most[f"{key} ours"] / most[f"{key} floor"], OF_FILES[key]))
    ratio = memory["ours"] / memory["floor"]
    rows.append(Row("memory, MB", [None, memory["ours"]], "waiting tasks", ratio, OF_TASKS))
    rows.append(Row("on disk, MB", [one["disk"] for one in sizes]))
    return print_rows("Texts that wait", QUEUED, rows)


# --- all of it ----------------------------------------------------------------------


async def run() -> bool:
    """Print the tables; return whether every bar was reached."""

    async def measured(*arguments: Any) -> Any:
        return (await asyncio.to_thread(child, __file__, given=arguments))[0]

    with server() as url:
        recipients = {count: await measured("recipients", url, count) for count in RECIPIENTS}
        accounts = await measured("accounts", url)
        queued = await measured("queued", url, QUEUED, False)
        (traced,) = (await measured("queued", url, QUEUED[-1:], True)).values()
    reached = [recipients_table(recipients), accounts_table(accounts), queued_table([*queued.values()], traced)]
    print("\nHow set-ups grow is told beside how bare entries grow, which are set up in turn with them.")
    print(f"Medians, each size in a Home Assistant of its own. Python {sys.version.split()[0]}.")
    return all(reached)


async def measure(part: str, *given: Any) -> Any:
    """Measure one part, in the process that is there for it."""
    if part == "recipients":
        return await with_recipients(*given)
    if part == "accounts":
        return await with_accounts(*given)
    return await with_queued(*given[:2], traced=given[2])


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(*json.loads(sys.stdin.read())))))
