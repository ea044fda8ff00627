"""Texts through faults, restarts and kills: how many arrived once, twice, or never.

The PBX (the tests' simulator) lives in this process, so that it outlives Home Assistant's kills and shows what really
arrived. A ledger holds what the caller of each text was told, and is held against that.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
import contextlib
from copy import replace
from dataclasses import dataclass, field
from enum import StrEnum
import json
from pathlib import Path
import random
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple, Self

import aiohttp
from aiohttp import web

from tests.pictures import RED
from tests.real_home import ROOT, Answer, RealHome, RealHomeError
from tests.simulator import Fault, FaultKind, RequestRecord, Simulator
from tests.simulator.faults import FaultBook, drop

FAULTY = 1 / 3  # of all requests
CALLERS = 24  # at a time
BACKLOG = 100  # so many may wait in Home Assistant before further ones are asked for
EQUAL_TEXTS = 50
CROWD = 300  # texts of one call: more than go out in its 10 s, so that a backlog waits while single texts go
TEXTS_A_CROWD = 250
CROWD_KEPT_FOR = 1800  # seconds
PICTURE = "/local/pump.jpg"
LONGEST_LAG = 2.0  # seconds until the PBX's lists show a message
LATENCY = (0.01, 0.12)  # seconds on the way there, and again on the way back
TOKEN_LIFE = 60.0
HOUR = 3600.0
STORM_AFTER = 180  # seconds at the most that the storm goes on when nothing new is asked for any more
DRAIN_WITHIN = 900.0
DISK_SIZE = "8m"
ROOM_FOR, FULL_FOR = (8.0, 25.0), (3.0, 12.0)  # seconds
SETTLE = 15.0  # seconds in which a second copy would still come
AREA_CODES = ("206", "212", "305", "312", "415", "617", "702", "858")
CASTS = ("0012", "12", "012", "00012", "120", "0120")
ANN, CREW = ("18585550123",), ("18585550131", "18585550132", "18585550133")
RECIPIENTS = {"Ann": ANN, "Crew": CREW}
ACCOUNT_EVENT = "event.1001_acme_example_messages"
QUEUE = "sensor.1001_acme_example_queued_messages"
TRANSLATIONS = ROOT / "custom_components" / "netsapiens" / "translations" / "en.json"
BROKEN_OFF = (aiohttp.ClientError, OSError, RealHomeError, RuntimeError, TypeError, ValueError)


def say(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr, flush=True)


# --- the PBX ------------------------------------------------------------------------------


class Kind(NamedTuple):
    """One way to go wrong, and how often it is taken."""

    name: str
    weight: float
    kind: FaultKind
    details: dict[str, Any] = {}  # noqa: RUF012 - never changed


_JSON_500 = {"code": 500}
_HTML_502 = {"code": 502, "html": True, "message": "Bad Gateway"}
_JSON_503 = {"code": 503, "message": "Service Unavailable"}
_HTML_503 = {"code": 503, "html": True}

BROKEN_KINDS = (
    Kind("connection closed before it was taken", 14, FaultKind.DROP_BEFORE),
    Kind("connection closed after it was taken", 14, FaultKind.DROP_AFTER),
    Kind("500, before", 6, FaultKind.STATUS, _JSON_500),
    Kind("500, after", 6, FaultKind.STATUS, {**_JSON_500, "accept": True}),
    Kind("502 web page, before", 5, FaultKind.STATUS, _HTML_502),
    Kind("502 web page, after", 5, FaultKind.STATUS, {**_HTML_502, "accept": True}),
    Kind("503, before", 5, FaultKind.STATUS, _JSON_503),
    Kind("503 web page, after", 5, FaultKind.STATUS, {**_HTML_503, "accept": True}),
    Kind("429 with Retry-After", 8, FaultKind.RATE_LIMIT, {"retry_after": 1}),
    Kind("403 web page of a firewall", 8, FaultKind.FORBIDDEN_HTML),
    Kind("answer cut off", 10, FaultKind.TRUNCATE),
    Kind("no answer, not taken", 2.5, FaultKind.HANG),
    Kind("no answer, but taken", 2.5, FaultKind.HANG, {"accept": True}),
)
# Carried out and answered, but with a `Date` of one answer that is off by seconds; the next one is right again.
DATE_KINDS = (
    Kind("`Date` 5 hours ahead", 4, FaultKind.WRONG_DATE, {"seconds": 5 * HOUR}),
    Kind("`Date` 2 days ahead", 4, FaultKind.WRONG_DATE, {"seconds": 48 * HOUR}),
    Kind("`Date` of 1970", 4, FaultKind.WRONG_DATE, {"seconds": -time.time()}),
    Kind("`Date` 26 hours behind", 4, FaultKind.WRONG_DATE, {"seconds": -26 * HOUR}),
)
COMMON_KINDS = (*BROKEN_KINDS, *DATE_KINDS)
CALL_KINDS = (*COMMON_KINDS, Kind("401", 9, FaultKind.UNAUTHORIZED))
REFRESH_KINDS = (*COMMON_KINDS, Kind("refresh token refused", 12, FaultKind.REFRESH_REFUSED))


class Storm(FaultBook):
    """Lets a share of all requests go wrong, while it blows."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.blows = False
        self.struck: Counter[str] = Counter()
        self.named: dict[int, str] = {}  # by the record's identity; records are kept as long as the PBX
        self._dice = dice

    def strike(self, record: RequestRecord) -> Fault | None:
        """Return the fault that hits this request, if any."""
        if not self.blows or self._dice.random() >= FAULTY:
            return None
        kinds: tuple[Kind, ...] = CALL_KINDS
        if record.path.endswith("/tokens"):
            body = record.body if isinstance(record.body, dict) else {}
            kinds = REFRESH_KINDS if body.get("grant_type") == "refresh_token" else COMMON_KINDS
        chosen = self._dice.choices(kinds, [kind.weight for kind in kinds])[0]
        self.struck[chosen.name] += 1
        self.named[id(record)] = chosen.name
        return Fault(chosen.kind, details=chosen.details)


class DistantPbx(Simulator):
    """A PBX at the other end of the country, in a storm."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.storm = Storm(dice)
        self.sends_under_way = 0
        self.revocations = 0
        self._fault_book = self.storm
        self._dice = dice

    async def _answer(self, request: web.Request, record: RequestRecord, handler: Any) -> web.StreamResponse:
        sending = request.method == "POST" and not record.path.endswith("/tokens")
        self.sends_under_way += sending
        try:
            await request.read()  # what is here whole is carried out, even if the caller dies meanwhile
            await asyncio.sleep(self._dice.uniform(*LATENCY))
            answer = await super()._answer(request, record, handler)
            await asyncio.sleep(self._dice.uniform(*LATENCY))
        except ConnectionError, web.RequestPayloadError:
            return drop(request)
        finally:
            self.sends_under_way -= sending
        return answer

    async def change(self) -> None:
        """Be now one, now another of the PBXs that are out there; let go of tokens now and then."""
        while True:
            await asyncio.sleep(self._dice.uniform(1, 8))
            self.lag = self._dice.choice((0.0, self._dice.uniform(0, LONGEST_LAG), LONGEST_LAG))
            self.accept_body = self._dice.choice(("accepted", "message", "list", "empty", "text"))
            self.newest_first = self._dice.random() < 0.8
            self.bare_single = self._dice.random() < 0.3
            if self._dice.random() < 0.1:
                self.file_under_own_id = not self.file_under_own_id
            if self._dice.random() < 0.1:
                self.revocations += 1
                self.revoke_tokens(refresh=self._dice.random() < 0.5)


# --- the disk -----------------------------------------------------------------------------


class SmallDisk:
    """The disk of Home Assistant's own files, `.storage`, that can be filled to the last byte."""

    def __init__(self, config_dir: Path) -> None:
        self.fillings = 0
        self.is_mounted = False
        self._folder = config_dir / ".storage"
        self._ballast = self._folder / "ballast"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE},mode=700", "tmpfs", str(self._folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except OSError, subprocess.CalledProcessError:
            say("No disk can be mounted here (that takes root): none will be full")
        else:
            self.is_mounted = True
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_mounted:
            return
        self.empty()
        with tempfile.TemporaryDirectory() as copy:  # what is under the mount is kept where the config dir is
            shutil.copytree(self._folder, copy, dirs_exist_ok=True)
            subprocess.run(["umount", "-l", str(self._folder)], check=False)
            shutil.copytree(copy, self._folder, dirs_exist_ok=True)

    def fill(self) -> None:
        """Take all that is left."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * size)

    def empty(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    async def fill_now_and_then(self, dice: random.Random, storm: Storm) -> None:
        """Be full for some seconds, as long as the storm blows."""
        while self.is_mounted:
            await asyncio.sleep(dice.uniform(*ROOM_FOR))
            if not storm.blows:
                continue
            self.fillings += 1
            until = time.monotonic() + dice.uniform(*FULL_FOR)
            try:
                while storm.blows and time.monotonic() < until:
                    self.fill()  # again and again: a file that got smaller left room
                    await asyncio.sleep(0.1)
            finally:
                self.empty()


# --- the ledger ---------------------------------------------------------------------------


class Told(StrEnum):
    """What the caller of a text knows of it."""

    SENT = "sent"
    QUEUED = "queued"
    TAKEN = "sent or queued"  # by an action that answers nothing
    NOT_SENT = "not sent"
    UNCONFIRMED = "unconfirmed"
    NO_ANSWER = "no answer"

    @property
    def is_promise(self) -> bool:
        """Whether it has to arrive."""
        return self in (Told.SENT, Told.QUEUED, Told.TAKEN)


def error_text(key: str) -> str:
    """Return how Home Assistant words an error of the integration, without the full stop."""
    message: str = json.loads(TRANSLATIONS.read_text())["exceptions"][key]["message"]
    return message.rstrip(".")


def dialled(number: str) -> str:
    """Return a number, as Home Assistant shows it, as the PBX has it."""
    return "".join(filter(str.isdigit, number))


@dataclass(slots=True)
class Text:
    """One text on its way to one conversation."""

    destination: tuple[str, ...]
    text: str
    told: Told | None = None
    error: str = ""
    asked_at: float = 0.0
    answered_at: float = 0.0

    @property
    def key(self) -> tuple[tuple[str, ...], str]:
        """What it has in common with its equals."""
        return tuple(sorted(self.destination)), self.text


@dataclass(slots=True)
class Call:
    """One action, and the texts that it makes."""

    domain: str
    action: str
    data: dict[str, Any]
    texts: list[Text]
    response: bool = False
    picture: bool = False

    def with_picture(self) -> Call:
        """Return the same call with a picture, which carries the words."""
        return replace(self, data={**self.data, "media": [PICTURE]}, picture=True)

    @property
    def is_crowd(self) -> bool:
        """Whether it makes a backlog; it comes on top of the texts that were asked for."""
        return len(self.texts) == CROWD

    def again(self, number: int) -> Call:
        """Return the same call for another text, in place of one that nobody answered."""
        new = self.texts[0].text
        if new.startswith("Text "):
            new = text_of(number)
        texts = [Text(text.destination, new) for text in self.texts]
        return replace(self, data={**self.data, "message": new}, texts=texts)


def text_of(number: int) -> str:
    """Return a text that is like no other."""
    return f"Text {number:05}: the pump in the cellar is on. 12 °C"


@dataclass(slots=True)
class Verdict:
    """What became of the texts."""

    once: int = 0
    twice: int = 0
    lost: int = 0
    failed: int = 0
    falsely_failed: int = 0
    unknown_arrived: int = 0
    unknown: int = 0
    wrong: list[tuple[str, tuple[tuple[str, ...], str]]] = field(default_factory=list)


class Ledger:
    """What every caller was told, and what Home Assistant reported failed later."""

    def __init__(self) -> None:
        self.texts: list[Text] = []
        self.failures: dict[tuple[Any, ...], tuple[tuple[tuple[str, ...], str], str]] = {}

    def note_failure(self, attributes: dict[str, Any]) -> None:
        """Note a failed event; one that is seen again after a restart is the same one."""
        destination, text = tuple(map(dialled, attributes["destination"])), attributes["message"]
        key = (tuple(sorted(destination)), text)
        self.failures[attributes["timestamp"], key] = key, attributes["reason"]

    @property
    def promised(self) -> int:
        """How many texts have to arrive."""
        return sum(text.told is not None and text.told.is_promise for text in self.texts) - len(self.failures)

    def judge(self, arrived: Counter[tuple[tuple[str, ...], str]]) -> Verdict:
        """Hold what was told against what arrived. Equal texts can only be counted together."""
        groups: dict[tuple[tuple[str, ...], str], list[Text]] = defaultdict(list)
        for text in self.texts:
            groups[text.key].append(text)
        failed: dict[tuple[tuple[str, ...], str], Counter[str]] = defaultdict(Counter)
        for key, reason in self.failures.values():
            failed[key][reason] += 1
        verdict = Verdict()
        for key in groups.keys() | arrived.keys():
            _judge_equals(verdict, key, groups.get(key, []), failed[key], arrived[key])
        return verdict


def _judge_equals(
    verdict: Verdict, key: tuple[tuple[str, ...], str], texts: list[Text], failed: Counter[str], arrived: int
) -> None:
    """Judge the texts that have the same words and destination."""
    unconfirmed = failed["unconfirmed"]
    surely_failed = failed.total() - unconfirmed
    must = max(0, sum(text.told is not None and text.told.is_promise for text in texts) - failed.total())
    may = sum(text.told in (Told.NO_ANSWER, Told.UNCONFIRMED) for text in texts) + unconfirmed
    must_not = sum(text.told is Told.NOT_SENT for text in texts) + surely_failed
    surplus = max(0, arrived - must - may)
    false = min(surplus, must_not)
    lost = max(0, must - arrived)
    verdict.once += min(arrived, must)
    verdict.lost += lost
    verdict.twice += surplus - false
    verdict.failed += must_not
    verdict.falsely_failed += false
    verdict.unknown += may
    verdict.unknown_arrived += min(may, max(0, arrived - must))
    for name, count in (("lost", lost), ("twice", surplus - false), ("falsely reported failed", false)):
        if count:
            verdict.wrong.append((name, key))


# --- what is sent -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    texts: int
    seed: int
    restarts: int
    keep: Path | None = None
    pictures: bool = False

    @property
    def kills(self) -> int:
        """How many of the restarts are SIGKILL."""
        return (self.restarts + 1) // 2

    @property
    def storm_after(self) -> int:
        """How many seconds the storm goes on when nothing new is asked for any more."""
        return min(STORM_AFTER, self.texts // 4)

    @property
    def crowds(self) -> int:
        """How many calls make a backlog."""
        return (self.texts + TEXTS_A_CROWD // 2) // TEXTS_A_CROWD

    @property
    def equal(self) -> int:
        """How many texts are the same, to the same number."""
        return min(EQUAL_TEXTS, self.texts // 6)


def spoken(number: str) -> str:
    """Return a number as a person types it."""
    return f"({number[1:4]}) {number[4:7]}-{number[7:]}"


class Writer:
    """Makes up the calls."""

    def __init__(self, plan: Plan, dice: random.Random) -> None:
        self._dice = dice
        self._numbers = [f"1{dice.choice(AREA_CODES)}55501{number:02}" for number in range(40, 80)]
        self.written = 0
        calls = [self._plain(self._numbers[0], "The door bell rings.") for _ in range(plan.equal)]
        calls += [self._plain(self._numbers[1], dice.choice(CASTS)) for _ in range(plan.texts // 50)]
        missing = plan.texts - len(calls)
        while missing:
            call = self._any(at_most=missing)
            calls.append(call)
            missing -= len(call.texts)
        if plan.pictures:
            able = [i for i, call in enumerate(calls) if call.action == "send_message" and call.domain == "netsapiens"]
            for i in dice.sample(able, min(len(able), len(calls) // 5)):
                calls[i] = calls[i].with_picture()
        dice.shuffle(calls)
        for number in range(plan.crowds):
            early = (number + 0.75) / plan.crowds  # the last come first
            calls.insert(int(len(calls) * early), self._crowd())
        self.calls = calls

    def number(self) -> int:
        """Count the texts that are like no other."""
        self.written += 1
        return self.written

    def _any(self, at_most: int) -> Call:
        text = text_of(self.number())
        doors = {"number": 66, "group": 10, "several": 4, "unkept": 5, "entity": 8, "named": 7}
        door = self._dice.choices(list(doors), list(doors.values()))[0]
        match door:
            case "group":
                return self._several(text, self._dice.randint(2, 3), group=True)
            case "several" if at_most > 1:
                return self._several(text, 2, group=False)
            case "unkept":
                return self._plain(self._dice.choice(self._numbers[2:]), text, keep_for=0)
            case "entity":
                name = self._dice.choice(list(RECIPIENTS))
                data = {"entity_id": f"notify.{name.lower()}", "message": text}
                return Call("notify", "send_message", data, [Text(RECIPIENTS[name], text)])
            case "named":
                return self._named(text)
            case _:
                return self._plain(self._dice.choice(self._numbers[2:]), text)

    def _named(self, text: str) -> Call:
        name = self._dice.choice(["", *RECIPIENTS])
        if name:
            return Call("notify", f"netsapiens_{name.lower()}", {"message": text}, [Text(RECIPIENTS[name], text)])
        number = self._dice.choice(self._numbers[2:])
        data = {"message": text, "target": [spoken(number)]}
        return Call("notify", "netsapiens", data, [Text((number,), text)])

    def _crowd(self) -> Call:
        text = text_of(self.number())
        everybody = [f"1{code}55501{number:02}" for code in AREA_CODES for number in range(100)]
        numbers = self._dice.sample(everybody, CROWD)
        data = {"destination": numbers, "message": text, "keep_for": CROWD_KEPT_FOR}
        return Call("netsapiens", "send_message", data, [Text((number,), text) for number in numbers], response=True)

    def _plain(self, number: str, text: str, **fields: Any) -> Call:
        data = {"destination": spoken(number), "message": text, **fields}
        return Call("netsapiens", "send_message", data, [Text((number,), text)], response=True)

    def _several(self, text: str, count: int, *, group: bool) -> Call:
        numbers = self._dice.sample(self._numbers[2:], count)
        data = {"destination": [spoken(number) for number in numbers], "message": text, "group": group}
        parties = [tuple(numbers)] if group else [(number,) for number in numbers]
        return Call("netsapiens", "send_message", data, [Text(party, text) for party in parties], response=True)


# --- the run ------------------------------------------------------------------------------


class FaultRun:
    """A house, a PBX in a storm, and everybody who wants something of them."""

    def __init__(self, plan: Plan, home: RealHome, pbx: DistantPbx, disk: SmallDisk, dice: random.Random) -> None:
        self.plan = plan
        self.home = home
        self.pbx = pbx
        self.disk = disk
        self.ledger = Ledger()
        self.restarts: Counter[str] = Counter()
        self.kills_while_sending = 0
        self.slow_stops = 0
        self.crowds = 0
        self.pictured: set[tuple[tuple[str, ...], str]] = set()
        self.left_by_storm = "0"
        self.began = time.monotonic()
        self.moments: list[tuple[float, str]] = []
        self._dice = dice
        self._writer = Writer(plan, dice)
        self._up = asyncio.Event()
        self._answered = 0
        self._asking = 0
        self._queued: str = "?"
        self._unconfirmed = error_text("unconfirmed")

    # --- the house ---

    async def set_up(self) -> None:
        """Sign in through the forms, set the options, add two recipients."""
        home, pbx = self.home, self.pbx
        flow = await home.start_flow("netsapiens")
        if flow["type"] == "menu":
            flow = await home.flow_step(flow["flow_id"], {"next_step_id": "sign_in"})
        flow = await home.flow_step(flow["flow_id"], {**pbx.account, "verify_ssl": True})
        if flow["type"] != "create_entry":
            raise RealHomeError(f"The account was not accepted: {flow.get('errors') or flow}")
        entry_id = flow["result"]["entry_id"]
        await self._until_there(ACCOUNT_EVENT)
        for name, numbers in RECIPIENTS.items():
            form = await home.start_subentry_flow(entry_id)
            data = {"name": name, "destination": list(numbers), "group": len(numbers) > 1}
            await home.subentry_step(form["flow_id"], data)
            await self._until_there(f"notify.{name.lower()}")
        form = await home.start_options_flow(entry_id)
        defaults = {row["name"]: row["default"] for row in form["data_schema"] if "default" in row}
        options = {**defaults, "from_number": pbx.numbers[0], "keep_undelivered": 120, "hourly_limit": 0}
        options["picture_text"] = "together"  # else two messages with different words
        form = await home.options_step(form["flow_id"], options)
        if form["type"] != "create_entry":
            raise RealHomeError(f"The options were not accepted: {form.get('errors')}")
        await asyncio.sleep(3)  # Home Assistant saves what is new after a second
        await self._until_there("notify.crew")

    async def _until_there(self, entity_id: str) -> None:
        async def is_there() -> bool:
            return (await self.home.states()).get(entity_id, {}).get("state") not in (None, "unavailable")

        if not await self.home.wait_for(is_there, timeout=30):
            raise RealHomeError(f"{entity_id} did not appear:\n{self.home.log_tail()}")

    # --- everybody ---

    async def go(self) -> Verdict:
        """Run until everything has come to its end, and judge."""
        self.pbx.storm.blows = True
        self._up.set()
        async with asyncio.TaskGroup() as group:
            works = (self.pbx.change(), self._listen(), self._watch(), self._report())
            filling = self.disk.fill_now_and_then(self._dice, self.pbx.storm)
            others = [group.create_task(work) for work in (*works, filling)]
            restarts = group.create_task(self._restart_all())
            callers = [group.create_task(self._call_on()) for _ in range(CALLERS)]
            await asyncio.wait([restarts, *callers])
            await self._drain()
            for task in others:
                task.cancel()
        return self.ledger.judge(self.arrived())

    def arrived(self) -> Counter[tuple[tuple[str, ...], str]]:
        """Count what the PBX took."""
        return Counter((tuple(sorted(message.destination)), message.text) for message in self.pbx.messages)

    async def _call_on(self) -> None:
        """Ask for one text after the other."""
        calls = self._writer.calls
        while calls or self._asking:
            most = BACKLOG + CROWD * self.crowds
            if not calls or self.ledger.promised - len(self.pbx.messages) > most or not self._up.is_set():
                await asyncio.sleep(0.2)
                continue
            call = calls.pop()
            self._asking += 1
            try:
                await self._call(call)
            finally:
                self._asking -= 1

    async def _call(self, call: Call) -> None:
        """Make a call, and enter what was answered; one that nobody answered is made up for by another one."""
        asked_at = time.monotonic()
        self.ledger.texts += call.texts
        if call.picture:
            self.pictured.update(text.key for text in call.texts)
        try:
            answer = await self.home.call(call.domain, call.action, call.data, response=call.response)
        except (*BROKEN_OFF, TimeoutError) as err:
            answer = Answer(0, type(err).__name__)
        for text in call.texts:
            text.asked_at, text.answered_at = asked_at, time.monotonic()
            text.told, text.error = self._told(call, text, answer)
        if answer.status == 200 and call.is_crowd:
            self.crowds += 1
        elif answer.status and not call.is_crowd:
            self._answered += len(call.texts)
        else:  # nor does a crowd make a backlog if an error tells nothing of most of it
            self._writer.calls.append(call.again(self._writer.number()))

    def _told(self, call: Call, text: Text, answer: Answer) -> tuple[Told, str]:
        """Return what an answer says of a text."""
        if answer.status == 0:
            return Told.NO_ANSWER, str(answer.body)
        if answer.status != 200:
            error = answer.body.get("message", "") if isinstance(answer.body, dict) else str(answer.body)
            if len(call.texts) > 1 or error.rstrip(".") == self._unconfirmed:
                return Told.UNCONFIRMED, error  # of several, some may have arrived
            return Told.NOT_SENT, error
        if not call.response:
            return Told.TAKEN, ""
        rows = answer.body["service_response"]["messages"]
        row = next(row for row in rows if sorted(map(dialled, row["destination"])) == sorted(text.destination))
        return Told(row["status"]), ""

    async def _listen(self) -> None:
        """Hear of failures, whenever Home Assistant is there."""
        while True:
            with contextlib.suppress(*BROKEN_OFF, KeyError):
                async with self.home.subscribe_events("state_changed") as events:
                    async for event in events:
                        self._note_state(event["data"].get("new_state"))
            await asyncio.sleep(0.1)

    async def _watch(self) -> None:
        """Look at the states as well: an event may have come before anybody listened."""
        while True:
            await asyncio.sleep(2)
            if self._up.is_set():
                with contextlib.suppress(*BROKEN_OFF):
                    states = await self.home.states()
                    self._note_state(states.get(ACCOUNT_EVENT))
                    self._queued = states.get(QUEUE, {}).get("state", "?")

    def _note_state(self, state: dict[str, Any] | None) -> None:
        attributes = (state or {}).get("attributes", {})
        if state and state["entity_id"] == ACCOUNT_EVENT and attributes.get("event_type") == "failed":
            self.ledger.note_failure(attributes)

    async def _restart_all(self) -> None:
        """Restart now and then, the last time or two when nothing new is asked for any more."""
        kinds = ["kill"] * self.plan.kills + ["stop"] * (self.plan.restarts - self.plan.kills)
        self._dice.shuffle(kinds)
        at_the_end = self.plan.restarts // 8
        for number, kind in enumerate(kinds):
            due = self.plan.texts * (number + 0.7) / (self.plan.restarts - at_the_end)
            while self._answered < due and (self._writer.calls or self._asking):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(self._dice.uniform(0, 4))
            if kind == "kill" and self._dice.random() < 0.7:
                await self._until_sending()
            await self._restart(kind)

    async def _until_sending(self) -> None:
        """Wait for a moment in which the PBX has a text in its hands."""
        until = time.monotonic() + 20
        while not self.pbx.sends_under_way and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await asyncio.sleep(self._dice.uniform(0, LATENCY[1]))

    async def _restart(self, kind: str) -> None:
        self._up.clear()
        self.moments.append((time.monotonic(), kind))
        self.kills_while_sending += kind == "kill" and self.pbx.sends_under_way > 0
        try:
            await (self.home.kill() if kind == "kill" else self.home.stop())
        except TimeoutError:
            self.slow_stops += 1
        self.moments.append((time.monotonic(), "down"))
        await self.home.start()
        self.moments.append((time.monotonic(), "up"))
        self.restarts[kind] += 1
        await self.home.states()  # with a new token, which the callers then share
        self._up.set()

    async def _drain(self) -> None:
        """Wait until nothing waits any more."""
        began, quiet = time.monotonic(), 0.0
        self._queued = "?"
        while time.monotonic() < began + DRAIN_WITHIN and quiet < SETTLE:
            await asyncio.sleep(1)
            if self.pbx.storm.blows and time.monotonic() > began + self.plan.storm_after:
                self.pbx.storm.blows = False
                self.left_by_storm = self._queued
            quiet = quiet + 1 if self._queued == "0" and not self.pbx.sends_under_way else 0.0

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(10)
            say(
                f"[{time.monotonic() - self.began:5.0f} s] {self._answered} of {self.plan.texts} answered, "
                f"{len(self.pbx.messages)} arrived, {self._queued} wait; {len(self.pbx.requests)} requests, "
                f"{self.pbx.storm.struck.total()} faulty; {self.restarts.total()} restarts"
            )


# --- the outcome --------------------------------------------------------------------------


def number(value: int) -> str:
    """Return a number as people read it."""
    return f"{value:,}"


def table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a Markdown table."""
    yield f"| {head[0]} | {head[1]} |"
    yield "|---|--:|"
    yield from (f"| {name} | {value} |" for name, value in rows)
    yield ""


def delays(run: FaultRun) -> list[float]:
    """Return how long it took until the PBX took each text that is like no other, the shortest first."""
    taken = {_key(message): message.at for message in run.pbx.messages}
    texts = [text for text in run.ledger.texts if text.text.startswith("Text ") and text.told is not Told.NO_ANSWER]
    return sorted(taken[text.key] - text.asked_at for text in texts if text.key in taken)


def show(run: FaultRun, verdict: Verdict, version: str) -> None:
    """Print the tables."""
    plan, pbx, texts = run.plan, run.pbx, run.ledger.texts
    told = Counter(text.told for text in texts)
    answered = len(texts) - told[Told.NO_ANSWER]
    struck, requests = pbx.storm.struck, len(pbx.requests)
    duration = time.monotonic() - run.began
    waits = delays(run)
    not_kept = error_text("not_kept")
    refused = sum(text.told is Told.NOT_SENT and text.error.rstrip(".") == not_kept for text in texts)
    marks = (len(waits) // 2, len(waits) * 95 // 100, -1)
    rows = [
        ("texts asked for and answered", number(answered)),
        ("- of them equal, to one number", str(plan.equal)),
        (f"- on top, in calls that make a backlog of {CROWD}", number(run.crowds * CROWD)),
        ("- answered `sent`", number(told[Told.SENT])),
        ("- answered `queued`", number(told[Told.QUEUED])),
        ("- answered by an action without a response", number(told[Told.TAKEN])),
        ("requests to the PBX", number(requests)),
        ("- of them faulty", f"{number(struck.total())} ({struck.total() / max(1, requests):.0%})"),
        ("restarts survived", str(run.restarts["stop"])),
        ("- that took over 30 s to stop", str(run.slow_stops)),
        ("SIGKILLs survived", str(run.restarts["kill"])),
        ("- of them with a send under way", str(run.kills_while_sending)),
        ("accepted exactly once", number(verdict.once)),
        ("**accepted twice**", f"**{verdict.twice}**"),
        ("**lost**", f"**{verdict.lost}**"),
        ("times that the disk was full", str(run.disk.fillings) if run.disk.is_mounted else "not possible here"),
        ("reported failed, or refused by an error", str(verdict.failed)),
        ("- of them refused as they could not be kept on the full disk", str(refused)),
        ("- but arrived", str(verdict.falsely_failed)),
        ("reported unconfirmed, or their call cut off by a restart", str(verdict.unknown)),
        ("- of them arrived, once", str(verdict.unknown_arrived)),
        (
            "until it was accepted: half of them, 95 %, all",
            " / ".join(f"{waits[i]:.0f} s" for i in marks) if waits else "-",
        ),
        (f"still waiting when the faults ended, {plan.storm_after} s after the last was asked for", run.left_by_storm),
        ("duration", f"{duration / 60:.0f} min {duration % 60:02.0f} s"),
    ]
    print(
        f"## Faults (`--faults {plan.texts} --seed {plan.seed} --restarts {plan.restarts}"
        f"{' --pictures' * plan.pictures}`, Home Assistant {version})\n"
    )
    if plan.pictures:
        taken = sum(message.media is not None for message in pbx.messages)
        rows += [
            ("accepted with a picture", number(taken)),
            ("- of those due, arrived without", str(without_picture(run))),
        ]
    print("\n".join(table(("", "texts"), rows)))
    print("\n".join(table(("faults injected", "requests"), [(name, number(n)) for name, n in struck.most_common()])))
    print(f"Tokens were revoked {pbx.revocations} times.\n", flush=True)


def explain(run: FaultRun, verdict: Verdict) -> None:
    """Say on stderr what is known of the texts that went wrong."""
    for name, key in verdict.wrong:
        destination, words = key
        say(f"\n{name}: {words!r} to {', '.join(destination)}")
        events: list[tuple[float, str]] = [
            (text.asked_at, f"asked; after {text.answered_at - text.asked_at:.2f} s told {text.told}: {text.error}")
            for text in run.ledger.texts
            if text.key == key
        ]
        events += [
            (message.at, f"TAKEN in {message.messagesession}") for message in run.pbx.messages if _key(message) == key
        ]
        first, last = min(at for at, _ in events), max(at for at, _ in events) + 60
        sessions = {m.requested_session for m in run.pbx.messages if tuple(sorted(m.destination)) == destination}
        sessions |= {m.messagesession for m in run.pbx.messages if tuple(sorted(m.destination)) == destination}
        for record in run.pbx.requests:
            ours = isinstance(record.body, dict) and record.body.get("message") == words
            look = record.method == "GET" and any(session and session in record.path for session in sessions)
            if ours or (look and first <= record.at <= last):
                fault = run.pbx.storm.named.get(id(record), "-")
                events.append((record.at, f"{record.method} {record.path[-60:]} -> {record.status} fault: {fault}"))
        events += [(at, f"Home Assistant: {what}") for at, what in run.moments if first <= at <= last]
        events += [
            (0.0, f"failure reported: {why} {when}") for (when, *_), (k, why) in run.ledger.failures.items() if k == key
        ]
        for at, what in sorted(events):
            say(f"  {at - run.began:9.3f}  {what}")


def without_picture(run: FaultRun) -> int:
    """Count the texts that are like no other and arrived without the picture they should carry."""
    arrived = {_key(message) for message in run.pbx.messages if message.media is None}
    return sum(key in arrived for key in run.pictured if key[1].startswith("Text "))


def _key(message: Any) -> tuple[tuple[str, ...], str]:
    return tuple(sorted(message.destination)), message.text


async def run(plan: Plan) -> bool:
    """Run this part; return whether the bar was reached."""
    dice = random.Random(plan.seed)
    pbx = DistantPbx(dice)
    pbx.token_life = TOKEN_LIFE
    pbx.clock_offset = dice.uniform(-120, 120)
    keep = plan.keep.resolve() if plan.keep else None
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-faults-")))
        disk = stack.enter_context(SmallDisk(folder))
        (folder / "www").mkdir(exist_ok=True)
        (folder / "www" / Path(PICTURE).name).write_bytes(RED)
        return await _run_on(plan, pbx, disk, folder, dice)


async def _run_on(plan: Plan, pbx: DistantPbx, disk: SmallDisk, folder: Path, dice: random.Random) -> bool:
    """Run Home Assistant in this folder, judge and show."""
    async with pbx, RealHome(config_dir=folder, log_level="debug" if plan.keep else "warning") as home:
        version = (await home.get("/api/config")).body["version"]
        say(f"Home Assistant {version} and the PBX are there; {plan.texts} texts, seed {plan.seed}")
        this = FaultRun(plan, home, pbx, disk, dice)
        await this.set_up()
        verdict = await this.go()
        if not plan.keep and (tracebacks := home.log_text().count("Traceback (most recent call last)")):
            say(f"{tracebacks} tracebacks are in Home Assistant's log; --keep DIR keeps it")
    explain(this, verdict)
    show(this, verdict, version)
    return (
        verdict.lost == verdict.twice == verdict.falsely_failed == without_picture(this) == 0
        and this.restarts.total() >= plan.restarts
        and this.restarts["kill"] >= plan.kills
    )
