"""From an automation in a real Home Assistant to a phone and back, on this machine alone.

A PBX (the tests' simulator) and Home Assistant 2026.11 start as processes of their own, the integration is set up
through its forms as a person would, and an automation sends two texts. One is replied to, and another automation
answers. Then a script asks a question, and does what the phone answers. The exit status is 0 only when each text
arrived exactly once, from the right number, to the right number, with the right words, and the answer in the
conversation of the reply.
"""

import argparse
import asyncio
import atexit
from collections.abc import AsyncIterator, Iterator
import contextlib
from dataclasses import dataclass, field
import json
from pathlib import Path
import signal
import sys
import tempfile
import textwrap
import time
from typing import Any, NamedTuple, Self

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the house and the PBX are the tests'

from scripts.demo_house import SENSORS, furnish  # noqa: E402
from tests.helpers import shown  # noqa: E402
from tests.real_home import (  # noqa: E402
    PASSWORD,
    USERNAME,
    Json,
    RealHome,
    RealHomeError,
    free_port,
    kill_group,
    port_is_free,
)

ANN = {"name": "Ann", "destination": "(858) 555-0123", "group": False}
ANN_NUMBER = "18585550123"
PLUMBER_NUMBER = "18585550177"
TITLE = "Water leak"
TO_ANN = "The sensor under the kitchen sink is wet. I closed the main valve."
TO_PLUMBER = "Kitchen sink is leaking at 12 Elm St. Can you come by today?"
FROM_ANN = "Is the valve still closed?"
ANSWER = "Yes, the main valve is closed."
QUESTION = "The sink is dry again. Open the valve?"

# The part of configuration.yaml that a user writes.
ACTIONS = f"""\
- action: notify.send_message
  target:
    entity_id: notify.ann
  data:
    title: {TITLE}
    message: {TO_ANN}
- action: netsapiens.send_message
  data:
    destination: +1 858-555-0177
    message: {TO_PLUMBER}
  response_variable: sent
"""
REPLY = f"""\
triggers:
  - trigger: event.received
    target:
      entity_id: event.ann_messages
    options:
      event_type: received
conditions: "{{{{ 'valve' in trigger.to_state.attributes.message }}}}"
actions:
  - action: netsapiens.send_message
    data:
      messagesession: "{{{{ trigger.to_state.attributes.messagesession }}}}"
      message: {ANSWER}
"""
ASK = f"""\
- action: netsapiens.ask_question
  target:
    entity_id: notify.ann
  data:
    question: {QUESTION}
    answers:
      - id: open
        sentences: Open it
      - id: leave
        sentences: Leave it
  response_variable: answer
- if: "{{{{ answer.id == 'open' }}}}"
  then:
    - event: demo_valve_opened
      event_data:
        by: "{{{{ answer.recipient }}}}"
"""
AUTOMATION = f"""\
automation demo:
  - id: demo_water_leak
    alias: Water leak
    triggers:
      - trigger: event
        event_type: demo_water_leak
    actions:
{textwrap.indent(ACTIONS, " " * 6)}
      - event: demo_sent
        event_data:
          messages: "{{{{ sent.messages }}}}"
  - id: demo_reply
    alias: Ann asks
    mode: queued
{textwrap.indent(REPLY, " " * 4)}
  - id: demo_question
    alias: Ask Ann
    triggers:
      - trigger: event
        event_type: demo_dry
    actions:
{textwrap.indent(ASK, " " * 6)}
"""
TOLD = ("message", "from_number", "to_number", "recipient", "message_type", "messagesession")
ANSWER_WITHIN = 45  # seconds; a text that was not announced is found by polling
RESTART = 100  # how Home Assistant exits when its own menu says restart


class DemoError(Exception):
    """The demo did not go as it should."""


class Text(NamedTuple):
    """What one text must look like when it arrives."""

    owner: str
    destination: str
    text: str


EXPECTED = [
    Text("Ann", ANN_NUMBER, f"{TITLE}\n{TO_ANN}"),
    Text("The plumber", PLUMBER_NUMBER, TO_PLUMBER),
]
EXPECTED_ANSWER = Text("Ann", ANN_NUMBER, ANSWER)
EXPECTED_QUESTION = Text("Ann", ANN_NUMBER, f"{QUESTION}\n1 Open it\n2 Leave it")


# --- the terminal -------------------------------------------------------------------------


@dataclass
class Transcript:
    """What the terminal shows: numbered steps, how long each took, and what was seen."""

    began: float = field(default_factory=time.monotonic)
    _steps: int = 0

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Time a step; the lines that are put into the list are shown below it."""
        self._steps += 1
        began = time.monotonic()
        lines: list[str] = []
        outcome = "failed after "
        try:
            yield lines
            outcome = ""
        finally:
            print(f"{self._steps:2}  {title:<58} {outcome}{time.monotonic() - began:5.2f} s")
            for line in lines:
                print(f"      {line}".rstrip())
            print(flush=True)


def form_lines(data: dict[str, Json], hidden: tuple[str, ...] = ()) -> list[str]:
    """Return a filled-in form, secrets as dots."""
    shown = {key: "•" * 8 if key in hidden else value for key, value in data.items()}
    return [f"{key:<14} {value}" for key, value in shown.items()]


def spoken(number: str) -> str:
    """Return an American number as people write it."""
    digits = number.lstrip("+")
    if len(digits) == 11 and digits.startswith("1"):
        return f"({digits[1:4]}) {digits[4:7]}-{digits[7:]}"
    return number


def bubble(message: dict[str, Json], note: str | None = None) -> list[str]:
    """Return a message as a phone shows it."""
    lines = [part for line in message["text"].splitlines() for part in textwrap.wrap(line, 44) or [""]]
    width = max(map(len, lines))
    return [
        f"╭─{'─' * width}─╮",
        *(f"│ {line:<{width}} │" for line in lines),
        f"╰┬{'─' * width}─╯",
        f" ╰ {note or f'{message["type"]} from {spoken(message["from_number"])}'}",
    ]


# --- the PBX ------------------------------------------------------------------------------


class Pbx:
    """The simulator as a process, and what its control surface shows."""

    def __init__(self, port: int, live_port: int) -> None:
        self._ports = ("--port", str(port), "--live-port", str(live_port))
        self._process: asyncio.subprocess.Process | None = None
        self._session = aiohttp.ClientSession()
        self.facts: dict[str, Json] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        if self._process is not None:
            kill_group(self._process.pid)
            await self._process.wait()
            atexit.unregister(self._kill)

    async def _start(self) -> None:
        with tempfile.TemporaryFile() as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.simulator", *self._ports),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                start_new_session=True,  # so that Ctrl-C reaches this process alone, which ends the others
            )
            atexit.register(self._kill)
            for _ in range(300):
                await asyncio.sleep(0.05)
                output.seek(0)
                printed = output.read().decode(errors="replace")
                ready = next((line for line in printed.splitlines(keepends=True) if line.startswith("{")), "")
                if ready.endswith("\n"):
                    self.facts = json.loads(ready)
                    return
                if self._process.returncode is not None:
                    break
        raise DemoError(f"The simulated PBX did not start:\n{printed}")

    def _kill(self) -> None:
        if self._process is not None:
            kill_group(self._process.pid)

    async def messages(self) -> list[dict[str, Json]]:
        """Return the texts that arrived at the PBX."""
        async with self._session.get(f"{self.facts['url']}/_sim/messages") as response:
            body: Any = await response.json()
        return body["messages"] if isinstance(body, dict) else body

    async def is_connected(self) -> bool:
        """Return whether somebody has the PBX announce messages on a live connection."""
        async with self._session.get(f"{self.facts['url']}/_sim/state") as response:
            return (await response.json())["live_subscribed"] > 0

    async def receive(self, from_number: str, text: str) -> dict[str, Json]:
        """Text in from a phone, and return the message."""
        body = {"from_number": from_number, "text": text}
        async with self._session.post(f"{self.facts['url']}/_sim/receive", json=body) as response:
            if response.status != 200:
                raise DemoError(f"the simulated phone could not text: {response.status}")
            return await response.json()

    @property
    def number(self) -> str:
        """Return the number that texts are to come from."""
        first = self.facts["numbers"][0]
        return first["number"] if isinstance(first, dict) else first

    @property
    def secrets(self) -> list[str]:
        """Return what nobody should see."""
        return [self.facts[key] for key in ("client_secret", "password") if key in self.facts]


# --- the steps ----------------------------------------------------------------------------


class Demo:
    """A PBX, a house and the way from one to the other."""

    def __init__(self, pbx: Pbx, home: RealHome, transcript: Transcript) -> None:
        self.pbx = pbx
        self.home = home
        self.transcript = transcript

    async def run(self) -> None:
        """Go all the way; raises where something is not as it should be."""
        if await self.home.entries("netsapiens"):
            with self.transcript.step("The account and Ann are there from the last time"):
                await self._until(self._has_entity, "notify.ann did not appear")
        else:
            await self._sign_in()
            await self._choose_live_server()
            await self._add_recipient()
        await self._automation()
        await self._check()
        await self._reply()
        await self._ask()

    async def _sign_in(self) -> None:
        data = {key: self.pbx.facts[key] for key in ("base_url", "client_id", "client_secret", "username", "password")}
        data["verify_ssl"] = True
        with self.transcript.step("Settings > Devices & services > Add > NetSapiens") as lines:
            flow = await self.home.start_flow("netsapiens")
            if flow["type"] == "menu":
                flow = await self.home.flow_step(flow["flow_id"], {"next_step_id": "sign_in"})
            lines.extend(form_lines(data, hidden=("client_secret", "password")))
            flow = await self.home.flow_step(flow["flow_id"], data)
            if flow["type"] == "form" and flow["step_id"] == "sender":
                sender = {"from_number": self.pbx.number}
                lines.extend(form_lines(sender))
                flow = await self.home.flow_step(flow["flow_id"], sender)
            lines.append(f"-> account {created(flow)['title']}")
            await self._until(self._is_loaded, "the account did not load")

    async def _choose_live_server(self) -> None:
        with self.transcript.step("The account > Options") as lines:
            entry = (await self.home.entries("netsapiens"))[0]
            flow = await self.home.start_options_flow(entry["entry_id"])
            data = {"live_url": self.pbx.facts["live_url"]}
            lines.extend([*form_lines(data), "(left empty in life: it is on port 8001 of the PBX)"])
            given = {"from_number": self.pbx.number, **defaults(flow), **data}
            created(await self.home.options_step(flow["flow_id"], given))
            await self._until(self.pbx.is_connected, "the live connection did not come up")

    async def _add_recipient(self) -> None:
        with self.transcript.step("The account > Add recipient") as lines:
            entry = (await self.home.entries("netsapiens"))[0]
            lines.extend(form_lines(ANN))
            flow = await self.home.start_subentry_flow(entry["entry_id"], "recipient")
            created(await self.home.subentry_step(flow["flow_id"], ANN))
            await self._until(self._has_entity, "notify.ann did not appear")
            lines.append("-> notify.ann")

    async def _automation(self) -> None:
        with self.transcript.step("The automation runs") as lines:
            lines.extend(ACTIONS.splitlines())
            async with self.home.subscribe_events("demo_sent") as events:
                await self.home.fire("demo_water_leak")
                try:
                    event = await events.next(timeout=30)
                except TimeoutError:
                    raise DemoError("the automation did not come to its end") from None
            rows = event["data"]["messages"]
            lines.extend(["", "netsapiens.send_message answered:"])
            lines.extend([f"  {key:<15} {value}" for row in rows for key, value in row.items()])
        self._check_answer(rows)

    def _check_answer(self, rows: list[dict[str, Json]]) -> None:
        wanted = {"destination": [shown(PLUMBER_NUMBER)], "from_number": shown(self.pbx.number), "status": "sent"}
        got = [{key: row.get(key) for key in wanted} for row in rows]
        if got != [wanted]:
            raise DemoError(f"netsapiens.send_message answered {got} instead of {[wanted]}")

    async def _check(self) -> None:
        with self.transcript.step("The phones") as lines:
            for _ in range(100):
                messages = await self.pbx.messages()
                if len(messages) >= len(EXPECTED):
                    break
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)  # a second copy would come now
            messages = await self.pbx.messages()
            for expected in EXPECTED:
                lines.append(f"{expected.owner}, {spoken(expected.destination)}")
                for message in messages:
                    if list(message["destination"]) == [expected.destination]:
                        lines.extend(bubble(message))
        problems = list(differences(messages, self.pbx.number, EXPECTED))
        if any(secret in self.home.log_text() for secret in self.pbx.secrets):
            problems.append("a secret is in Home Assistant's log")
        if problems:
            raise DemoError("; ".join(problems))

    async def _reply(self) -> None:
        before = len(await self.pbx.messages())
        with self.transcript.step("Ann replies, and an automation answers") as lines:
            if "automation.ann_asks" not in await self.home.states():
                raise DemoError("the kept config dir is of an older demo and has no automation that answers")
            await self._until(self.pbx.is_connected, "the live connection did not come up")
            lines.extend([*REPLY.splitlines(), ""])
            began = time.monotonic()
            received = await self.pbx.receive(ANN_NUMBER, FROM_ANN)
            lines.extend(bubble(received, f"from Ann, {spoken(ANN_NUMBER)}"))
            for _ in range(ANSWER_WITHIN * 50):
                if len(await self.pbx.messages()) > before:
                    break
                await asyncio.sleep(0.02)
            took = time.monotonic() - began
            await asyncio.sleep(0.5)  # a second copy would come now
            told = (await self.home.states())["event.ann_messages"]["attributes"]
            lines.append("event.ann_messages:")
            lines.extend(f"  {key:<15} {told.get(key)}" for key in ("event_type", *TOLD))
            answers = (await self.pbx.messages())[before:]
            for answer in answers:
                lines.extend(bubble(answer, f"{answer['type']} to Ann, in the same conversation"))
            lines.append(f"-> Ann had her answer after {took:.2f} s, over the live connection")
        problems = list(differences(answers, self.pbx.number, [EXPECTED_ANSWER]))
        wanted = {"message": FROM_ANN, "from_number": shown(ANN_NUMBER), "recipient": "Ann"}
        if {key: told.get(key) for key in wanted} != wanted:
            problems.append(f"event.ann_messages told {told} instead of {wanted}")
        if any(answer["requested_session"] != received["messagesession"] for answer in answers):
            problems.append("the answer is in another conversation")
        if problems:
            raise DemoError("; ".join(problems))

    async def _ask(self) -> None:
        before = len(await self.pbx.messages())

        async def arrived() -> bool:
            return len(await self.pbx.messages()) > before

        with self.transcript.step("A script asks Ann, and does what she answers") as lines:
            lines.extend([*ASK.splitlines(), ""])
            async with self.home.subscribe_events("demo_valve_opened") as events:
                await self.home.fire("demo_dry")
                await self._until(arrived, "the question did not arrive")
                questions = (await self.pbx.messages())[before:]
                for question in questions:
                    lines.extend(bubble(question))
                began = time.monotonic()
                lines.extend(bubble(await self.pbx.receive(ANN_NUMBER, "1"), f"from Ann, {spoken(ANN_NUMBER)}"))
                try:
                    event = await events.next(timeout=ANSWER_WITHIN)
                except TimeoutError:
                    raise DemoError("the script did not get the answer") from None
                took = time.monotonic() - began
            lines.append(f"-> the valve is opened {took:.2f} s later, as {event['data']['by']} wants it")
        if problems := list(differences(questions, self.pbx.number, [EXPECTED_QUESTION])):
            raise DemoError("; ".join(problems))

    async def _is_loaded(self) -> bool:
        return [entry["state"] for entry in await self.home.entries("netsapiens")] == ["loaded"]

    async def _has_entity(self) -> bool:
        return "notify.ann" in await self.home.states()

    async def _until(self, check: Any, problem: str) -> None:
        if not await self.home.wait_for(check, timeout=20):
            states = [(entry["state"], entry["reason"]) for entry in await self.home.entries("netsapiens")]
            raise DemoError(f"{problem} (the account: {states})")


def created(flow: dict[str, Json]) -> dict[str, Json]:
    """Return the result of a flow that came to its good end."""
    if flow["type"] != "create_entry":
        told = {key: flow.get(key) for key in ("type", "step_id", "errors", "reason") if flow.get(key)}
        raise DemoError(f"the form was not accepted: {told}")
    return flow


def defaults(flow: dict[str, Json]) -> dict[str, Json]:
    """Return what a form is filled with when it opens."""
    filled = {}
    for one in flow["data_schema"]:
        value = (one.get("description") or {}).get("suggested_value", one.get("default"))
        if value is not None:
            filled[one["name"]] = value
    return filled


def differences(messages: list[dict[str, Json]], sender: str, wanted: list[Text]) -> Iterator[str]:
    """Say what arrived otherwise than expected."""
    if len(messages) != len(wanted):
        yield f"{len(messages)} texts arrived instead of {len(wanted)}"
    for expected in wanted:
        found = [message for message in messages if list(message["destination"]) == [expected.destination]]
        if len(found) != 1:
            yield f"{expected.owner} got {len(found)} texts instead of one"
        for message in found:
            if message["text"] != expected.text:
                yield f"{expected.owner} got other words: {message['text']!r}"
            if message["from_number"] != sender:
                yield f"{expected.owner} got it from {message['from_number']} instead of {sender}"


# --- the frame ----------------------------------------------------------------------------


@dataclass
class Ports:
    """Where both listen. A kept config dir remembers it: the account in it names the PBX's address."""

    home: int
    pbx: int
    live: int
    moved: bool = False

    @classmethod
    def choose(cls, config_dir: Path | None) -> Self:
        """Return the ports of the last time where they are still free."""
        if config_dir is None:
            return cls(free_port(), 0, 0)
        memory = config_dir / "ports.json"
        last = {"home": 8123, "pbx": free_port(), "live": free_port()}
        if memory.exists():
            last |= json.loads(memory.read_text())
        ports = cls(*(last[key] if port_is_free(last[key]) else free_port() for key in ("home", "pbx", "live")))
        ports.moved = (ports.pbx, ports.live) != (last["pbx"], last["live"])
        config_dir.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({"home": ports.home, "pbx": ports.pbx, "live": ports.live}))
        return ports


@contextlib.asynccontextmanager
async def stage(ports: Ports, config_dir: Path | None, transcript: Transcript) -> AsyncIterator[Demo]:
    """Start both, say so, and end both whatever happens."""
    async with contextlib.AsyncExitStack() as stack:
        with transcript.step("A NetSapiens PBX answers (simulated)") as lines:
            pbx = await stack.enter_async_context(Pbx(ports.pbx, ports.live))
            lines.append(f"{pbx.facts['url']}, SMS number {spoken(pbx.number)}")
        with transcript.step("Home Assistant starts, with the integration") as lines:
            extra = AUTOMATION + SENSORS
            home = await stack.enter_async_context(
                RealHome(extra=extra, config_dir=config_dir, port=ports.home, editable=True)
            )
            version = (await home.get("/api/config")).body["version"]
            lines.append(f"{home.url}, Home Assistant {version}")
        if ports.moved:
            for entry in await home.entries("netsapiens"):
                await home.delete(f"/api/config/config_entries/entry/{entry['entry_id']}")
        yield Demo(pbx, home, transcript)


def show_failure(demo: Demo, err: Exception) -> None:
    """Say what is wrong and what Home Assistant says to it; no secret is printed."""
    text = f"Not as it should be: {err}\n\nThe end of Home Assistant's log:\n{demo.home.log_tail()}"
    for secret in demo.pbx.secrets:
        text = text.replace(secret, "••••••••")
    print(text, file=sys.stderr, flush=True)


async def keep(demo: Demo) -> None:
    """Leave both running for a person with a browser; the menu's restart takes up changed code."""
    phone = demo.pbx.facts["phone"]
    dashboard = await furnish(demo.home, phone)
    print(f"Home Assistant  {demo.home.url}   user {USERNAME}, password {PASSWORD}")
    print(f"The dashboard   {dashboard}")
    print(f"The phone       {phone}")
    print("""
Now try:
- Settings > Automations & scenes > Create automation: when binary_sensor.kitchen_sink turns on,
  then "Send a notification message" to Ann. The README's other recipes work as well, and the
  blueprints are on the same page.
- On the dashboard, make the sink leak or ring the doorbell, and look at the phone.
- On the phone, write a text as Ann: Home Assistant receives it.
- Delete the account under Settings > Devices & services > NetSapiens, then choose Add integration
  and sign in to the simulated PBX again:""")
    for key in ("base_url", "client_id", "client_secret", "username", "password"):
        print(f"    {key:<14} {demo.pbx.facts[key]}")
    print("Ctrl-C ends both.", flush=True)
    while await demo.home.wait() == RESTART:
        await demo.home.start()
        print("Home Assistant started again.", flush=True)
    raise DemoError("Home Assistant ended")


async def play(*, stay: bool, config_dir: Path | None) -> int:
    """Run the demo and return the exit status."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):  # a terminal that is closed ends both as well
            loop.add_signal_handler(number, task.cancel)
    transcript = Transcript()
    print("From an automation to a phone, and back. Nothing leaves this machine.\n", flush=True)
    async with stage(Ports.choose(config_dir), config_dir, transcript) as demo:
        status = 0
        try:
            await demo.run()
            seconds = time.monotonic() - transcript.began
            print(f"All four texts arrived, once, from the right number. {seconds:.1f} s in all.")
        except (DemoError, RealHomeError, TimeoutError, aiohttp.ClientError) as err:
            show_failure(demo, err)
            status = 1
        if stay:
            with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is how it is meant to end
                await keep(demo)
    return status


def main() -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--keep", action="store_true", help="leave both running for a browser, until Ctrl-C")
    parser.add_argument("--config", type=Path, metavar="DIR", help="a config dir that is kept between runs")
    options = parser.parse_args()
    config_dir = options.config.resolve() if options.config else None
    try:
        return asyncio.run(play(stay=options.keep, config_dir=config_dir))
    except KeyboardInterrupt:
        return 130
    except asyncio.CancelledError:
        return 143
    except (DemoError, RealHomeError) as err:
        print(err, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
