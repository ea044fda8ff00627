"""How soon a text that arrives at the PBX is an event, and an answer is with the script that asked: by polling, by the
live connection and by push; and how many requests an idle home makes beside each.

The PBX lives in this process; the live connection is made to its own server, and to Node's where that is installed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
import contextlib
from dataclasses import dataclass, field
import random
import statistics
import time

from bench_faults import say
from bench_house import LIVE, NODE, house, live_server, set_up, table, until_told, witnessed

from tests.helpers import until
from tests.real_home import RealHome, RealHomeError
from tests.simulator import Simulator
from tests.simulator.live_node import why_not

TEXTS, SENDERS = 200, 25
EACH = 1.0  # seconds between two texts where they are polled
QUESTIONS, HOUSES = 10, 3  # the houses that poll; more questions in one would use up its budget of fast polls
ANN = "18585550123"
NAMES = {"poll": "poll", LIVE: "live", NODE: "live, Node's `socket.io`", "push": "push"}
TEXT_BARS = {LIVE: (0.5, 1.5), NODE: (0.5, 1.5), "push": (0.5, 1.5)}  # seconds: median, 95 %
QUESTION_BARS = {"poll": 5.0, LIVE: 1.0, NODE: 1.0, "push": 1.0}  # seconds: each
IDLE_BAR = 120.0  # seconds a request beside a proven connection
IDLE_FOR = 600.0  # seconds at the least


@contextlib.asynccontextmanager
async def receiving(incoming: str) -> AsyncIterator[tuple[RealHome, Simulator]]:
    """Set up a house that receives in this way."""
    async with Simulator() as pbx, live_server(pbx, incoming) as live_url, house(incoming) as home:
        await set_up(home, pbx, incoming, live_url)
        yield home, pbx


def percentile(took: list[float], share: int) -> float:
    """Return what so many of a hundred do not exceed."""
    return statistics.quantiles(took, n=100, method="inclusive")[share - 1]


def seconds(value: float) -> str:
    """Write a time."""
    return f"{value:.2f} s"


# --- texts -----------------------------------------------------------------------------


async def texts(incoming: str, seed: int) -> list[float]:
    """Return how long texts took to be events, from before the PBX has them."""
    dice, began = random.Random(seed), {}
    async with receiving(incoming) as (home, pbx):
        for number in range(TEXTS):
            text = f"Text {number}"
            began[text] = time.time()
            await pbx.receive(from_number=f"1858555{number % SENDERS:04}", text=text)
            if incoming == "poll":
                await asyncio.sleep(dice.uniform(0.0, 2 * EACH))
            elif not await until_told(home, [text], 40):
                raise RealHomeError(f"{text} was not told")
            else:
                await asyncio.sleep(dice.uniform(0.0, 0.5))
        if not await until_told(home, began, 90):
            raise RealHomeError("Some texts were not told")
        told = [(row["message"], row["at"]) for row in witnessed(home)]
    if len(told) != TEXTS:
        raise RealHomeError(f"{len(told)} events were fired for {TEXTS} texts")
    return [at - began[text] for text, at in told]


# --- questions -------------------------------------------------------------------------


async def ask(home: RealHome, pbx: Simulator, dice: random.Random) -> float:
    """Ask a question and answer it after some time; return how long the answer took to be with who asked."""
    before = len(pbx.messages)
    data = {"destination": ANN, "question": "Close it?", "answers": [{"id": "yes", "sentences": ["Yes"]}]}
    call = asyncio.create_task(home.call("netsapiens", "ask_question", data, response=True))
    await until(lambda: len(pbx.messages) > before, within=30)
    await asyncio.sleep(dice.uniform(1.0, 7.0))
    began = time.monotonic()
    await pbx.receive(from_number=ANN, text="Yes")
    answer = await call
    took = time.monotonic() - began
    if answer.status != 200 or answer.body["service_response"]["id"] != "yes":
        raise RealHomeError("The answer did not arrive", answer)
    return took


async def questions(incoming: str, seed: int) -> list[float]:
    """Return how long answers took."""
    dice = random.Random(seed)
    async with receiving(incoming) as (home, pbx):
        if incoming != "poll":  # what is proven, as after the first text
            await pbx.receive(from_number=ANN, text="Hello")
            if not await until_told(home, ["Hello"], 40):
                raise RealHomeError("The first text was not told")
        await asyncio.sleep(5)
        return [await ask(home, pbx, dice) for _ in range(QUESTIONS)]


# --- idle ------------------------------------------------------------------------------


@dataclass
class Idle:
    """A house to which nobody texts, but for the one text that proves that texts are announced."""

    incoming: str
    requests: int = 0
    lasted: float = 0.0
    _end: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Count the requests until the end."""
        async with receiving(self.incoming) as (home, pbx):
            await pbx.receive(from_number=ANN, text="Hello")
            if not await until_told(home, ["Hello"], 60):
                raise RealHomeError("The text was not told")
            await asyncio.sleep(30)  # what follows an announcement is over
            before, began = len(pbx.requests), time.monotonic()
            await asyncio.sleep(IDLE_FOR)
            await self._end.wait()
            self.requests, self.lasted = len(pbx.requests) - before, time.monotonic() - began

    def end(self) -> None:
        """It was long enough."""
        self._end.set()

    @property
    def is_good(self) -> bool:
        """Whether the bar is reached; the first request may come as counting begins."""
        return self.incoming == "poll" or self.requests <= self.lasted // IDLE_BAR + 1

    def __str__(self) -> str:
        return f"{self.requests} in {self.lasted / 60:.1f} min"


# --- all of it -------------------------------------------------------------------------


async def all_texts(ways: list[str], seed: int) -> dict[str, list[float]]:
    """Measure texts in every way; what is polled needs little of the machine."""
    took = {}
    for way in ways:
        took[way] = await texts(way, seed)
        say(f"texts, {way}: median {seconds(statistics.median(took[way]))}")
    return took


async def all_questions(ways: list[str], seed: int) -> dict[str, list[float]]:
    """Measure questions in every way; several houses at a time, since they mostly wait."""
    took: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(HOUSES):
        rows = await asyncio.gather(*(questions(way, seed + turn) for way in ways))
        for way, row in zip(ways, rows, strict=True):
            took[way] += row
    say("questions: " + ", ".join(f"{way} at most {seconds(max(took[way]))}" for way in ways))
    return took


def rows_of(took: dict[str, list[float]], asked: dict[str, list[float]], idle: dict[str, Idle]) -> Iterator[list[str]]:
    """Yield the table's rows."""
    for way, times in took.items():
        row = [f"{NAMES[way]}: a text", str(len(times)), seconds(statistics.median(times))]
        yield [*row, seconds(percentile(times, 95)), seconds(max(times)), str(idle[way]) if way in idle else ""]
    for way, times in asked.items():
        row = [f"{NAMES[way]}: while a question waits", str(len(times)), seconds(statistics.median(times))]
        yield [*row, seconds(percentile(times, 95)), seconds(max(times)), ""]


def is_reached(took: dict[str, list[float]], asked: dict[str, list[float]], idle: dict[str, Idle]) -> bool:
    """Return whether every bar was reached."""
    return (
        all(
            statistics.median(took[way]) < bar and percentile(took[way], 95) < late
            for way, (bar, late) in TEXT_BARS.items()
            if way in took
        )
        and all(max(asked[way]) <= bar for way, bar in QUESTION_BARS.items() if way in asked)
        and all(one.is_good for one in idle.values())
    )


async def measure(seed: int) -> bool:
    """Print the table; return whether every bar was reached."""
    without = why_not()
    ways = ["poll", LIVE, *([] if without else [NODE]), "push"]
    if without:
        say(without)
    idle = {way: Idle(way) for way in ("poll", LIVE, "push")}
    async with asyncio.TaskGroup() as group:
        for one in idle.values():
            group.create_task(one.run())
        took = await all_texts(ways, seed)
        asked = await all_questions(ways, seed)
        for one in idle.values():
            one.end()
    header = ("by", "count", "median", "95 %", "worst", "requests of an idle home")
    print("\n".join(table(header, rows_of(took, asked, idle))), flush=True)
    return is_reached(took, asked, idle)
