"""A real Home Assistant, run as a process of its own.

The unit tests run inside Home Assistant's test double. What only shows in the real thing - that it boots with the
integration, that the forms work over REST, that a text survives a restart or a kill - is asked of this one:

    async with RealHome(extra=AUTOMATION_YAML) as home:
        form = await home.start_flow("netsapiens")
        answer = await home.call("netsapiens", "send_message", {...}, response=True)

It listens on a free port of the loopback interface, installs nothing and never reaches for the internet.
"""

import asyncio
import atexit
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
import contextlib
import json
import os
from pathlib import Path
import re
import shutil
import signal
import socket
import tempfile
import time
from typing import Any, NamedTuple, Self

import aiohttp
import yaml

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-demo" / "bin" / "python"
INTEGRATION = ROOT / "custom_components" / "netsapiens"
BLUEPRINTS = ROOT / "blueprints"
INCLUDES = """
automation: !include automations.yaml
script: !include scripts.yaml
"""

USERNAME = "demo"
PASSWORD = "demo-demo"  # of a house that exists for a minute, on the loopback interface
HOST = "127.0.0.1"

# What a default Home Assistant would do on the internet is switched off before its first start.
ONBOARDED = ["core_config", "analytics", "integration"]  # these steps fetch; `user` is done over REST
# What it would like of the system (ffmpeg, a JPEG library) and does without; two pages of log at every start.
MISSED = {"haffmpeg": "critical", "homeassistant.components.camera.img_util": "critical"}
TOKEN_LIFE = 20 * 60  # seconds; Home Assistant says 30 minutes

type Json = Any


class Answer(NamedTuple):
    """What Home Assistant's REST API answered."""

    status: int
    body: Json


class RealHomeError(Exception):
    """Home Assistant did not start, or answered what no test of the good path expects."""

    def __init__(self, message: str, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class Events:
    """The events of one subscription, in order. Subscribed from the start: nothing is missed in between."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket_

    async def next(self, timeout: float = 10) -> dict[str, Json]:
        """Return the next event: `event_type`, `data`, `context`, …"""
        async with asyncio.timeout(timeout):
            while True:
                message = await self._socket.receive_json()
                if message["type"] == "event":
                    return message["event"]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Json]:
        return await self.next(timeout=3600)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just left is fine
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def merged(base: Mapping[str, Json], extra: Mapping[str, Json]) -> dict[str, Json]:
    """Return both configurations in one: mappings are joined, lists are chained, else `extra` wins."""
    result = dict(base)
    for key, value in extra.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            result[key] = old + value
        else:
            result[key] = value
    return result


class RealHome:
    """A Home Assistant with the integration, from an empty config dir (or a kept one) to its clean end."""

    def __init__(
        self,
        *,
        extra: str = "",
        log_level: str = "debug",
        config_dir: Path | None = None,
        port: int | None = None,
        python: Path = PYTHON,
        env: Mapping[str, str] | None = None,
        start_timeout: float = 120,
        editable: bool = False,
    ) -> None:
        """Prepare a house; nothing runs before `start`.

        `extra` is YAML for configuration.yaml, an automation for instance. `config_dir` is kept when it is given, and
        its configuration.yaml is left as it is when it has one; else a temporary folder is used and removed.
        `log_level` is the integration's and the notify domain's. `editable` includes the files that Home Assistant's
        editors save automations and scripts to, and copies the blueprints of this repository.
        """
        self.python = python
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._temporary = config_dir is None
        self.config_dir = config_dir or Path(tempfile.mkdtemp(prefix="real-home-"))
        self._extra = extra
        self._log_level = log_level
        self._editable = editable
        self._env = dict(env or {})
        self._start_timeout = start_timeout
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._refresh_token: str | None = None
        self._access_token = ""
        self._token_until = 0.0
        self.started_in = 0.0
        self._write_config()

    # --- the process ------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def running(self) -> bool:
        """Return whether the process is alive."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start Home Assistant on this config dir, the first time or again, and sign in."""
        if self.running:
            raise RealHomeError("This Home Assistant is already running")
        if not self.python.exists():
            raise RealHomeError(f"{self.python} is missing: run scripts/setup demo")
        began = time.monotonic()
        if not port_is_free(self.port):  # another house's answers would be mistaken for ours
            raise RealHomeError(f"Port {self.port} is taken")
        with self._capture_path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                str(self.python),
                *("-m", "homeassistant", "-c", str(self.config_dir), "--skip-pip", "--log-no-color"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.config_dir,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C is this process's business, which then ends the house in order
            )
        atexit.register(self._end_now)
        try:
            async with asyncio.timeout(self._start_timeout):
                await self._wait(self._answers)
                await self._sign_in()
                await self._wait(self._is_running)
        except TimeoutError as err:
            raise RealHomeError(f"Home Assistant did not start in time:\n{self.log_tail()}") from err
        self.started_in = time.monotonic() - began

    async def stop(self) -> None:
        """End Home Assistant as a user does: it saves its things and goes."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End Home Assistant as a power cut does: between two instructions.

        It writes a new entry to disk a second after it was made, so one that is younger is lost, as in any house.
        """
        await self._end(signal.SIGKILL)

    async def wait(self) -> int:
        """Return the exit status when Home Assistant has ended by itself: 100 asks to be started again."""
        if self._process is None:
            raise RealHomeError("No Home Assistant was started")
        status = await self._process.wait()
        await self._end(signal.SIGKILL)
        return status

    async def restart(self) -> None:
        """Stop and start again on the same config dir."""
        await self.stop()
        await self.start()

    async def close(self) -> None:
        """Stop what runs and leave nothing behind."""
        try:
            await self.stop()
        finally:
            if self._temporary:
                await asyncio.to_thread(shutil.rmtree, self.config_dir, ignore_errors=True)

    async def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        try:
            if process is not None:
                await _end_process(process, number)
                atexit.unregister(self._end_now)
        finally:
            if self._session is not None:  # its kept connections lead nowhere from now on
                await self._session.close()
                self._session = None

    def _end_now(self) -> None:
        """Leave no process behind when the interpreter ends without coming by `close`."""
        if self._process is not None:
            kill_group(self._process.pid)
        if self._temporary:
            shutil.rmtree(self.config_dir, ignore_errors=True)

    async def _wait(self, ready: Callable[[], Awaitable[bool]]) -> None:
        while not await ready():
            if not self.running:
                raise RealHomeError(f"Home Assistant ended while it started:\n{self.log_tail()}")
            await asyncio.sleep(0.1)

    async def _answers(self) -> bool:
        """Return whether the part that signs users in is there: the web server opens some seconds earlier."""
        with contextlib.suppress(aiohttp.ClientError):
            async with self._web.get("/auth/providers") as response:
                return response.status != 404
        return False

    async def _is_running(self) -> bool:
        return (await self.get("/api/config")).body["state"] == "RUNNING"

    # --- the config dir -----------------------------------------------------------------

    @property
    def _capture_path(self) -> Path:
        return self.config_dir / "output.log"

    def _write_config(self) -> None:
        self.config_dir.mkdir(parents=True, exist_ok=True)
        components = self.config_dir / "custom_components"
        components.mkdir(exist_ok=True)
        link = components / INTEGRATION.name
        if not link.exists() or not link.samefile(INTEGRATION):
            link.unlink(missing_ok=True)
            link.symlink_to(INTEGRATION, target_is_directory=True)
        self._seed("http", {"stable": self._http(), "pending": None, "yaml_migration_done": True}, 2)
        self._seed("onboarding", {"done": ONBOARDED}, 4, keep=True)
        self._seed("core.config_entries", {"entries": [_MARKETPLACE]}, 1, minor_version=5, keep=True)
        path = self.config_dir / "configuration.yaml"
        if path.exists():  # a person's own, but for the port, which may be another one today
            url = re.compile(r"(?m)^( *(?:internal|external)_url: ).*$")
            text = url.sub(rf"\g<1>{self.url}", path.read_text(encoding="utf-8"))
        else:
            extra = yaml.safe_load(self._extra) or {}
            text = yaml.safe_dump(merged(self._yaml(), extra), sort_keys=False, allow_unicode=True)
            text += INCLUDES if self._editable else ""
        path.write_text(text, encoding="utf-8")
        if self._editable:
            for name in ("automations.yaml", "scripts.yaml"):
                if not (file := self.config_dir / name).exists():
                    file.write_text("[]\n" if name == "automations.yaml" else "{}\n", encoding="utf-8")
            shutil.copytree(BLUEPRINTS, self.config_dir / "blueprints", dirs_exist_ok=True)

    def _yaml(self) -> dict[str, Json]:
        """Return configuration.yaml, less what the caller adds."""
        # No recorder, history or discovery: only what is named here and what Home Assistant always loads.
        return {
            "homeassistant": {
                "name": "Demo",
                "country": "US",
                "currency": "USD",
                "unit_system": "us_customary",
                "time_zone": "America/Los_Angeles",
                "latitude": 32.87,
                "longitude": -117.23,
                "elevation": 0,
                "internal_url": self.url,
            },
            "api": None,
            "config": None,
            "frontend": None,
            "onboarding": None,
            "logger": {
                "default": "warning",
                "logs": {
                    "custom_components.netsapiens": self._log_level,
                    "homeassistant.components.notify": self._log_level,
                    **MISSED,
                },
            },
        }

    def _http(self) -> dict[str, Json]:
        """Return the web server's settings, which `http:` in YAML would only put on trial for five minutes."""
        return {
            "server_host": [HOST],
            "server_port": self.port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": False,
            "ssl_profile": "intermediate",
            "use_x_frame_options": True,
        }

    def _seed(self, key: str, data: Json, version: int, *, minor_version: int = 1, keep: bool = False) -> None:
        """Write one of Home Assistant's stores; with `keep` only where there is none."""
        path = self.config_dir / ".storage" / key
        if keep and path.exists():
            return
        path.parent.mkdir(exist_ok=True)
        content = {"version": version, "minor_version": minor_version, "key": key, "data": data}
        path.write_text(json.dumps(content), encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        """Return the process's environment: nothing of the caller's Python or proxies leaks into the house."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.config_dir), "PYTHONUNBUFFERED": "1", **self._env}

    # --- signing in ---------------------------------------------------------------------

    @property
    def _web(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(self.url, timeout=aiohttp.ClientTimeout(total=90))
        return self._session

    @property
    def _client_id(self) -> str:
        return f"{self.url}/"

    async def _sign_in(self) -> None:
        if self._refresh_token is not None:  # kept over a restart
            self._token_until = 0
            return
        code = await self._onboard() or await self._log_in()
        await self._fetch_token({"grant_type": "authorization_code", "code": code})

    async def _onboard(self) -> str | None:
        """Create the first user; None where there is one already."""
        user = {"name": "Demo", "username": USERNAME, "password": PASSWORD, "language": "en"}
        answer = await self._plain("/api/onboarding/users", {**user, "client_id": self._client_id})
        return answer.body["auth_code"] if answer.status == 200 else None

    async def _log_in(self, username: str = USERNAME) -> str:
        flow = await self._plain(
            "/auth/login_flow",
            {"client_id": self._client_id, "handler": ["homeassistant", None], "redirect_uri": self._client_id},
        )
        answer = await self._plain(
            f"/auth/login_flow/{flow.body['flow_id']}",
            {"client_id": self._client_id, "username": username, "password": PASSWORD},
        )
        if answer.status != 200 or "result" not in answer.body:
            raise RealHomeError("The demo's user could not sign in", answer)
        return answer.body["result"]

    async def _plain(self, path: str, data: Mapping[str, Json]) -> Answer:
        async with self._web.post(path, json=data) as response:
            return await _answer(response)

    async def _fetch_token(self, grant: Mapping[str, str]) -> None:
        async with self._web.post("/auth/token", data={"client_id": self._client_id, **grant}) as response:
            answer = await _answer(response)
        if answer.status != 200:
            raise RealHomeError("Home Assistant gave no token", Answer(answer.status, None))
        self._access_token = answer.body["access_token"]
        self._refresh_token = answer.body.get("refresh_token", self._refresh_token)
        self._token_until = time.monotonic() + TOKEN_LIFE

    async def _token(self) -> str:
        if time.monotonic() > self._token_until and self._refresh_token is not None:
            await self._fetch_token({"grant_type": "refresh_token", "refresh_token": self._refresh_token})
        return self._access_token

    async def add_users(self, policies: Mapping[str, Json]) -> None:
        """Add users who may do what their policies say. Home Assistant has no page for that, so it is restarted."""
        for name in policies:
            user = (await self.command("config/auth/create", name=name, group_ids=["system-users"]))["user"]["id"]
            login = {"username": name, "password": PASSWORD}
            await self.command("config/auth_provider/homeassistant/create", user_id=user, **login)
        await self.stop()
        path = self.config_dir / ".storage" / "auth"
        stored = json.loads(path.read_text(encoding="utf-8"))
        for name, policy in policies.items():
            stored["data"]["groups"].append({"id": name, "name": name, "policy": policy})
            next(user for user in stored["data"]["users"] if user["name"] == name)["group_ids"] = [name]
        path.write_text(json.dumps(stored), encoding="utf-8")
        await self.start()

    async def login_of(self, username: str) -> dict[str, Json]:
        """Return the tokens that a browser keeps of a user who was added."""
        grant = {"grant_type": "authorization_code", "code": await self._log_in(username)}
        async with self._web.post("/auth/token", data={"client_id": self._client_id, **grant}) as response:
            answer = await _answer(response)
        return {"expires_in": TOKEN_LIFE, **self._expect(answer)}

    async def browser_login(self) -> dict[str, Json]:
        """Return the tokens that a browser keeps of a user who signed in."""
        return {"access_token": await self._token(), "refresh_token": self._refresh_token, "expires_in": TOKEN_LIFE}

    # --- REST ---------------------------------------------------------------------------

    async def request(self, method: str, path: str, data: Json = None) -> Answer:
        """Send one request as the demo's user and return what came back, good or bad."""
        headers = {"Authorization": f"Bearer {await self._token()}"}
        body = {} if data is None else {"json": data}
        async with self._web.request(method, path, headers=headers, **body) as response:
            return await _answer(response)

    async def get(self, path: str) -> Answer:
        """GET a path such as /api/states/notify.ann."""
        return await self.request("GET", path)

    async def post(self, path: str, data: Json = None) -> Answer:
        """POST JSON to a path."""
        return await self.request("POST", path, data)

    async def delete(self, path: str) -> Answer:
        """DELETE a path, /api/config/config_entries/entry/<id> for instance."""
        return await self.request("DELETE", path)

    async def call(
        self, domain: str, action: str, data: Mapping[str, Json] | None = None, response: bool = False
    ) -> Answer:
        """Perform an action and wait for its end.

        With `response`, the body's `service_response` holds the answer. A refusal is status 400 or 500 and a `message`.
        """
        query = "?return_response" if response else ""
        return await self.post(f"/api/services/{domain}/{action}{query}", dict(data or {}))

    async def fire(self, event_type: str, data: Mapping[str, Json] | None = None) -> None:
        """Put an event on the bus, so that an automation that waits for it runs."""
        self._expect(await self.post(f"/api/events/{event_type}", dict(data or {})))

    async def states(self) -> dict[str, dict[str, Json]]:
        """Return all states by entity id."""
        return {state["entity_id"]: state for state in self._expect(await self.get("/api/states"))}

    async def entries(self, domain: str) -> list[dict[str, Json]]:
        """Return an integration's config entries as the settings page shows them."""
        return self._expect(await self.get(f"/api/config/config_entries/entry?domain={domain}"))

    async def wait_for(self, check: Callable[[], Awaitable[bool]], timeout: float = 10) -> bool:
        """Return whether `check` came true in time, asking ten times a second."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if await check():
                return True
            await asyncio.sleep(0.1)
        return await check()

    # --- forms --------------------------------------------------------------------------

    async def start_flow(self, handler: str, entry_id: str | None = None) -> dict[str, Json]:
        """Open an integration's form; with an entry's id the one that reconfigures it."""
        data = {"handler": handler, **({"entry_id": entry_id} if entry_id else {})}
        return self._expect(await self.post("/api/config/config_entries/flow", data))

    async def flow(self, flow_id: str) -> dict[str, Json]:
        """Return the form where a flow stands, such as a reauth that the integration started."""
        return self._expect(await self.get(f"/api/config/config_entries/flow/{flow_id}"))

    async def flow_step(self, flow_id: str, data: Mapping[str, Json]) -> dict[str, Json]:
        """Submit a form; what comes next is a form (with `errors`, maybe), an `abort` or a `create_entry`."""
        return self._expect(await self.post(f"/api/config/config_entries/flow/{flow_id}", dict(data)))

    async def start_options_flow(self, entry_id: str) -> dict[str, Json]:
        """Open an entry's options."""
        return self._expect(await self.post("/api/config/config_entries/options/flow", {"handler": entry_id}))

    async def options_step(self, flow_id: str, data: Mapping[str, Json]) -> dict[str, Json]:
        """Submit a form of the options."""
        return self._expect(await self.post(f"/api/config/config_entries/options/flow/{flow_id}", dict(data)))

    async def start_subentry_flow(
        self, entry_id: str, subentry_type: str = "recipient", subentry_id: str | None = None
    ) -> dict[str, Json]:
        """Open the form that adds a subentry; with a subentry's id the one that reconfigures it."""
        data = {"handler": [entry_id, subentry_type], **({"subentry_id": subentry_id} if subentry_id else {})}
        return self._expect(await self.post("/api/config/config_entries/subentries/flow", data))

    async def subentry_step(self, flow_id: str, data: Mapping[str, Json]) -> dict[str, Json]:
        """Submit a subentry's form."""
        return self._expect(await self.post(f"/api/config/config_entries/subentries/flow/{flow_id}", dict(data)))

    async def subentries(self, entry_id: str) -> list[dict[str, Json]]:
        """Return an entry's subentries."""
        return await self.command("config_entries/subentries/list", entry_id=entry_id)

    async def delete_subentry(self, entry_id: str, subentry_id: str) -> None:
        """Remove a subentry, as the settings page does."""
        await self.command("config_entries/subentries/delete", entry_id=entry_id, subentry_id=subentry_id)

    async def flows_in_progress(self) -> list[dict[str, Json]]:
        """Return the flows that Home Assistant opened itself, a reauth for instance."""
        return await self.command("config_entries/flow/progress")

    # --- websocket ----------------------------------------------------------------------

    async def command(self, command: str, **fields: Json) -> Json:
        """Perform one websocket command and return its result."""
        async with self._socket() as socket_:
            return await _command(socket_, {"type": command, **fields})

    @contextlib.asynccontextmanager
    async def subscribe_events(self, event_type: str) -> AsyncIterator[Events]:
        """Listen to the bus: `async with home.subscribe_events("x") as events: await events.next()`."""
        async with self._socket() as socket_:
            await _command(socket_, {"type": "subscribe_events", "event_type": event_type})
            yield Events(socket_)

    @contextlib.asynccontextmanager
    async def _socket(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        token = await self._token()
        async with self._web.ws_connect("/api/websocket", max_msg_size=0) as socket_:
            await socket_.receive_json()
            await socket_.send_json({"type": "auth", "access_token": token})
            if (await socket_.receive_json())["type"] != "auth_ok":
                raise RealHomeError("The websocket refused the token")
            yield socket_

    # --- the log ------------------------------------------------------------------------

    def log_text(self) -> str:
        """Return all that every start of this house wrote: home-assistant.log's lines and what is printed beside it."""
        try:
            return self._capture_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of the log."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    @staticmethod
    def _expect(answer: Answer) -> Json:
        if answer.status not in (200, 201):
            raise RealHomeError(f"Home Assistant answered {answer.status}: {answer.body}", answer)
        return answer.body


# It is part of every default set-up and fetches a catalogue; "a disabled entry counts", says its code.
_MARKETPLACE: dict[str, Json] = {
    "created_at": "2026-01-01T00:00:00+00:00",
    "data": {},
    "disabled_by": "user",
    "discovery_keys": {},
    "domain": "marketplace",
    "entry_id": "00000000000000000000000000",
    "minor_version": 1,
    "modified_at": "2026-01-01T00:00:00+00:00",
    "options": {},
    "pref_disable_new_entities": False,
    "pref_disable_polling": False,
    "source": "system",
    "subentries": [],
    "title": "Marketplace",
    "unique_id": None,
    "version": 1,
}


async def _end_process(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        if process.returncode is None:
            process.send_signal(number)
        async with asyncio.timeout(30):
            await process.wait()
    finally:
        kill_group(process.pid)  # what it started, and itself when it would not go
        await process.wait()


def kill_group(pid: int) -> None:
    """End a process that was started in a session of its own, and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    """Read an answer: JSON as what it says, text as text, a picture as its bytes."""
    if response.content_type == "application/json":
        text = await response.text()
        return Answer(response.status, json.loads(text) if text else None)
    if response.content_type.startswith("text/"):
        return Answer(response.status, await response.text())
    return Answer(response.status, await response.read())


async def _command(socket_: aiohttp.ClientWebSocketResponse, message: Mapping[str, Json]) -> Json:
    await socket_.send_json({"id": 1, **message})
    while True:
        answer = await socket_.receive_json()
        if answer["type"] == "result":
            break
    if not answer["success"]:
        raise RealHomeError(f"Home Assistant refused {message['type']}: {answer['error']}")
    return answer["result"]
