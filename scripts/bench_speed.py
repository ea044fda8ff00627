"""What a message costs: bare aiohttp, the client, the action in Home Assistant, and a connection for each message.

All of them post the same body over TLS to one light server in a process of its own, round by round in turn. The rate
limiter of an account (30 at once, then 10 a second) stays on: a round is shorter than what may go at once, and the next
one waits until that has filled up again. The action is also compared with core's ``rest_command``: each runs as 25
actions of one script, as people use them.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
import contextlib
import json
import logging
import os
from pathlib import Path
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from types import MappingProxyType
from typing import Any

import aiohttp
from aiohttp import web
from homeassistant import bootstrap, config_entries
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.runner import RuntimeConfig

from tests.real_home import HOST, free_port
from tests.simulator.tls import make_certificate

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 16  # each of the four orders twice in both directions
A_ROUND = 25  # messages; below the 30 that may go at once
REFILL = 3.0  # seconds
AT_ONCE = 100
OF_REST_COMMAND = 1.3
DESTINATION, SENDER = "18585550123", "18585550199"
TOKEN = {
    "access_token": "0123456789abcdef0123456789abcdef",
    "refresh_token": "fedcba9876543210fedcba9876543210",
    "expires_in": 36000,
    "user": "1001",
    "domain": "acme.example",
    "uid": "1001@acme.example",
    "scope": "Basic User",
    "apiversion": "Version: 45.0",
}
MESSAGES = f"/ns-api/v2/domains/acme.example/users/1001/messagesessions/{'s' * 32}/messages"

type Send = Callable[[int], Awaitable[object]]
type Script = Callable[[], Awaitable[object]]
type Times = dict[str, list[float]]


# --- the server ---------------------------------------------------------------------


async def answer_as_pbx(request: web.Request) -> web.Response:
    """Answer as a PBX does, and do nothing."""
    if request.path.endswith("/tokens"):
        return web.json_response(TOKEN)
    if request.path.endswith("/smsnumbers"):
        return web.json_response([{"number": SENDER, "application": "user", "dest": "1001", "mms-capable": True}])
    if request.method == "POST":
        await request.json()
        return web.json_response({"code": 202, "message": "Accepted"}, status=202)
    return web.json_response([])


async def serve(answer: Callable[[web.Request], Awaitable[web.StreamResponse]], scheme: str = "https") -> None:
    """Serve until killed; the port is the first line of the output."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    with tempfile.TemporaryDirectory() as folder:
        _, context = make_certificate(Path(folder))
    await web.TCPSite(runner, HOST, 0, ssl_context=context if scheme == "https" else None).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def environment() -> dict[str, str]:
    """Return the environment of a process that finds the integration."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def server(script: str = __file__, scheme: str = "https") -> Any:
    """Run a script's server in a process of its own; yield its address."""
    command = [sys.executable, script, "serve", scheme]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert process.stdout is not None
        yield f"{scheme}://{HOST}:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


def login(url: str) -> dict[str, Any]:
    """Return what signs in to the server."""
    login = {"base_url": url, "client_id": "i", "client_secret": "s", "username": "u", "password": "p"}
    return {**login, "verify_ssl": False}


def entry_of(domain: str, title: str, **fields: Any) -> ConfigEntry:
    """Return an entry that is not added yet."""
    known: dict[str, Any] = {"version": 1, "minor_version": 1, "source": "user", "discovery_keys": MappingProxyType({})}
    empty: dict[str, Any] = {"data": {}, "options": {}, "subentries_data": (), "unique_id": title}
    return ConfigEntry(domain=domain, title=title, **{**known, **empty, **fields})


def account_of(url: str, title: str = "1001", recipients: Sequence[ConfigSubentryData] = ()) -> ConfigEntry:
    """Return an account without a limit, which does not look for messages."""
    action = "netsapiens" if title == "1001" else f"netsapiens_{title}"
    options = {"from_number": SENDER, "hourly_limit": 0, "incoming": "off"}
    data = {**login(url), "action": action}
    return entry_of("netsapiens", title, data=data, options=options, subentries_data=recipients)


def table(head: str, rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n| {head} |")
    print("|---" * (head.count("|") + 1) + "|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def yes(reached: bool) -> str:
    """Return what a table says of a bar."""
    return "yes" if reached else "no"


# --- the four ways ------------------------------------------------------------------


def trusting() -> ssl.SSLContext:
    """Return a context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _body(number: int) -> dict[str, Any]:
    return {"type": "sms", "message": f"Text {number}", "destination": DESTINATION, "from-number": SENDER}


async def _post(session: aiohttp.ClientSession, url: str, number: int) -> None:
    headers = {"Authorization": f"Bearer {TOKEN['access_token']}"}
    async with session.post(url + MESSAGES, json=_body(number), headers=headers) as answer:
        assert answer.status == 202
        await answer.json()


@contextlib.asynccontextmanager
async def bare(url: str) -> AsyncGenerator[Send]:
    """(a) One aiohttp session whose connections are kept."""
    connector = aiohttp.TCPConnector(ssl=trusting())
    async with aiohttp.ClientSession(connector=connector) as session:
        yield lambda number: _post(session, url, number)


@contextlib.asynccontextmanager
async def anew(url: str) -> AsyncGenerator[Send]:
    """(d) A session, and so a connection, for each message."""

    async def send(number: int) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting())) as session:
            await _post(session, url, number)

    yield send


@contextlib.asynccontextmanager
async def client(url: str) -> AsyncGenerator[Send]:
    """(b) The client."""
    # Here, since what the import takes is measured as well.
    from custom_components.netsapiens.api import MessageAPI, NetsapiensAPI  # noqa: PLC0415

    async with MessageAPI(NetsapiensAPI(login(url))) as messages:
        yield lambda number: messages.send_message("sms", f"Text {number}", DESTINATION, SENDER, "s" * 32)


def _furnish(folder: Path, more: str) -> None:
    """Make the configuration of a Home Assistant that has the integration."""
    words = f"homeassistant:\n  name: Bench\nhttp:\n  server_host: {HOST}\n  server_port: {free_port()}\n"
    (folder / "configuration.yaml").write_text(words + more, encoding="utf-8")
    (folder / "custom_components").symlink_to(ROOT / "custom_components")


@contextlib.asynccontextmanager
async def house(more: str = "") -> AsyncGenerator[HomeAssistant]:
    """Run a Home Assistant in this process that has the integration, and more in its configuration."""
    logging.disable(logging.CRITICAL)  # what it misses of the system is pages long
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        _furnish(Path(folder), more)
        hass = await bootstrap.async_setup_hass(RuntimeConfig(config_dir=folder, skip_pip=True, safe_mode=False))
        assert hass is not None
        sys.excepthook = sys.__excepthook__  # Home Assistant's would only log it
        await hass.async_start()
        try:
            yield hass
        finally:
            await hass.async_stop(force=True)


@contextlib.asynccontextmanager
async def actions(url: str) -> AsyncGenerator[tuple[Send, Script, Script]]:
    """(c) The action ``netsapiens.send_message`` in a Home Assistant that runs in this process.

    Yields what sends one message; and what runs a script that sends 25, with the action and with ``rest_command``.
    """
    async with house(_scripts(url)) as hass:
        await _add_account(hass, url)

        def script(name: str) -> Script:
            return lambda: hass.services.async_call("script", name, blocking=True)

        async def send(number: int) -> None:
            data = {"destination": DESTINATION, "message": f"Text {number}"}
            answer: Any = await hass.services.async_call(
                "netsapiens", "send_message", data, blocking=True, return_response=True
            )
            assert answer["messages"][0]["status"] == "sent"

        yield send, script("ours"), script("core")


def _scripts(url: str) -> str:
    """Return the configuration of two scripts that send 25 messages: by the action, and by ``rest_command``."""
    body = json.dumps({**_body(0), "message": "{{ text }}"})
    post = {
        "url": url + MESSAGES,
        "method": "post",
        "verify_ssl": False,
        "content_type": "application/json",
        "headers": {"Authorization": f"Bearer {TOKEN['access_token']}"},
        "payload": body,
    }

    def repeated(action: str, data: dict[str, str]) -> dict[str, Any]:
        return {"sequence": [{"repeat": {"count": A_ROUND, "sequence": [{"action": action, "data": data}]}}]}

    text = "Text {{ repeat.index }}"
    scripts = {
        "ours": repeated("netsapiens.send_message", {"destination": DESTINATION, "message": text}),
        "core": repeated("rest_command.post", {"text": text}),
    }
    return f"rest_command: {json.dumps({'post': post})}\nscript: {json.dumps(scripts)}\n"


async def _add_account(hass: HomeAssistant, url: str) -> None:
    """Set up the account, without a limit and without looking for messages."""
    flow = await hass.config_entries.flow.async_init("netsapiens", context={"source": config_entries.SOURCE_USER})
    form = await hass.config_entries.flow.async_configure(flow["flow_id"], {"next_step_id": "sign_in"})
    made = await hass.config_entries.flow.async_configure(form["flow_id"], login(url))
    entry = made["result"]
    hass.config_entries.async_update_entry(entry, options={**entry.options, "hourly_limit": 0, "incoming": "off"})
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


# --- measuring ----------------------------------------------------------------------


async def one_after_the_other(send: Send, numbers: range) -> float:
    """Return the milliseconds that a message takes."""
    start = time.perf_counter()
    for number in numbers:
        await send(number)
    return (time.perf_counter() - start) / len(numbers) * 1000


async def _at_once(send: Send, numbers: range) -> float:
    """Return the milliseconds that a message takes, of so many together."""
    start = time.perf_counter()
    await asyncio.gather(*(send(number) for number in numbers))
    return (time.perf_counter() - start) / len(numbers) * 1000


async def _measure(url: str) -> tuple[Times, Times, Times]:
    """Return the times of each way, round by round: one after the other, at once, and from a script."""
    async with contextlib.AsyncExitStack() as stack:
        ways = {"a": bare, "b": client, "d": anew}
        senders: dict[str, Send] = {name: await stack.enter_async_context(way(url)) for name, way in ways.items()}
        senders["c"], *both = await stack.enter_async_context(actions(url))
        scripts: dict[str, Script] = dict(zip(("ours", "core"), both, strict=True))
        for send in senders.values():
            await send(0)
        serial: Times = {name: [] for name in senders}
        parallel: Times = {name: [] for name in senders if name != "c"}
        from_script: Times = {name: [] for name in scripts}
        for turn in range(ROUNDS):
            await asyncio.sleep(REFILL)
            numbers = range(1 + turn * A_ROUND, 1 + (turn + 1) * A_ROUND)
            order = list(senders)[turn % 4 :] + list(senders)[: turn % 4]
            await one_after_the_other(senders["a"], numbers)  # not measured: what comes first after a pause is slower
            for name in order if turn % 8 < 4 else reversed(order):
                serial[name].append(await one_after_the_other(senders[name], numbers))
            for name, times in parallel.items():
                times.append(await _at_once(senders[name], range(AT_ONCE)))
            await asyncio.sleep(REFILL)
            await scripts["core"]()  # likewise
            for name in sorted(scripts, reverse=turn % 2 == 1):
                started = time.perf_counter()
                await scripts[name]()
                from_script[name].append((time.perf_counter() - started) / A_ROUND * 1000)
        return serial, parallel, from_script


def _ratio(times: Times, one: str, other: str) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(x / y for x, y in zip(times[one], times[other], strict=True))


async def run() -> bool:
    """Print the table; return whether every bar was reached."""
    with server() as url:
        serial, parallel, from_script = await _measure(url)
    b, c, d = (_ratio(serial, name, "a") for name in "bcd")
    script = _ratio(from_script, "ours", "core")
    rows = [
        ("(a) bare aiohttp, a kept connection", "1", "", True, serial["a"], parallel["a"]),
        ("(b) the client", f"{b:.2f}", "at most 1.15", b <= 1.15, serial["b"], parallel["b"]),
        ("(c) `netsapiens.send_message`", f"{c:.2f}", "at most 1.8", c <= 1.8, serial["c"], None),
        (
            "(d) a new connection for each message",
            f"{d:.2f}",
            f"(b) at least 6 times faster: {d / b:.1f}",
            d / b >= 6,
            serial["d"],
            parallel["d"],
        ),
    ]
    at_once = [f"{statistics.median(row[5]):.2f}" if row[5] else "rate-limited" for row in rows]
    table(
        f"Way | of (a), one after the other | Bar | | ms a message | ms a message, {AT_ONCE} at once",
        (
            (name, ratio, bar, yes(reached), f"{statistics.median(times):.2f}", together)
            for (name, ratio, bar, reached, times, _), together in zip(rows, at_once, strict=True)
        ),
    )
    table(
        f"{A_ROUND} times from a script | of `rest_command` | Bar | | ms a message",
        [
            ("core's `rest_command`", "1", "", "yes", f"{statistics.median(from_script['core']):.2f}"),
            (
                "`netsapiens.send_message`",
                f"{script:.2f}",
                f"at most {OF_REST_COMMAND}",
                yes(script <= OF_REST_COMMAND),
                f"{statistics.median(from_script['ours']):.2f}",
            ),
        ],
    )
    print(f"\nMedians of {ROUNDS} rounds of {A_ROUND} messages over TLS, in turn. Python {sys.version.split()[0]}.")
    return all(row[3] for row in rows) and script <= OF_REST_COMMAND


if __name__ == "__main__" and sys.argv[1:2] == ["serve"]:
    asyncio.run(serve(answer_as_pbx, sys.argv[2]))
