"""The live server as the vendor's is built: Node's ``socket.io``, in a process of its own."""

import asyncio
import contextlib
import json
from pathlib import Path
import shutil
import signal
from typing import TYPE_CHECKING, Any, Self

from . import render
from .model import StoredMessage

if TYPE_CHECKING:
    from .state import Pbx

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(__file__).parent / "node" / "server.js"
MODULES = ROOT / ".tools" / "socket.io" / "node_modules"
NODE = shutil.which("node") or shutil.which("node", path=ROOT / ".tools" / "node" / "bin")
START_WITHIN = 20.0


def why_not() -> str | None:
    """Say why there is no such server here; None where there is one."""
    return None if NODE is not None and MODULES.is_dir() else "scripts/setup_npm has not fetched Node's socket.io"


class NodeLiveServer:
    """Tells those who subscribed that a message came in; the server in Node's process knows nothing of the PBX.

    Attributes:
        port: where it listens.
        connected: how many connections there were.
        subscriptions: what was asked for, the newest last.
    """

    def __init__(self, pbx: Pbx, *, ping_interval: float = 25, ping_timeout: float = 20) -> None:
        self._pbx = pbx
        self._pings = [str(round(1000 * seconds)) for seconds in (ping_interval, ping_timeout)]
        self._subscribers: dict[str, dict[str, Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._listens = asyncio.Event()
        self.port = 0
        self.connected = 0
        self.subscriptions: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def subscribed(self) -> int:
        """How many are subscribed now."""
        return len(self._subscribers)

    # --- life -------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop on the same port."""
        assert NODE is not None
        self._listens.clear()
        self._process = await asyncio.create_subprocess_exec(
            *(NODE, str(SERVER), str(self.port), *self._pings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"NODE_PATH": str(MODULES)},
        )
        self._reader = asyncio.get_running_loop().create_task(self._read(self._process))
        async with asyncio.timeout(START_WITHIN):
            await self._listens.wait()
        self._pbx.watchers.add(self._announce)

    async def stop(self) -> None:
        """Be gone at once."""
        self._pbx.watchers.discard(self._announce)
        process, self._process = self._process, None
        if process is None or self._reader is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await self._reader
        assert process.stdin is not None
        process.stdin.close()
        self._subscribers.clear()

    # --- faults -----------------------------------------------------------------

    def fall_silent(self) -> None:
        """Stand still: every connection stays, and nothing comes."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Do all that was left undone meanwhile."""
        self._signal(signal.SIGCONT)

    async def kick(self) -> None:
        """Disconnect everybody, as Socket.IO does."""
        self._to_all("kick")

    def drop(self) -> None:
        """End every connection without a word of Socket.IO."""
        self._to_all("drop")

    async def emit(self, event: str, data: object = None, *, binary: bool = False) -> None:
        """Send an event to everybody who subscribed."""
        self._to_all("emitBinary" if binary else "emit", event=event, data=data)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    # --- what clients do --------------------------------------------------------

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Do the PBX's part of what clients do."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            said = json.loads(line)
            match said["on"]:
                case "listen":
                    self.port = said["port"]
                    self._listens.set()
                case "connect":
                    self.connected += 1
                case "subscribe":
                    self._subscribe(said["id"], said["request"])
                case "disconnect":
                    self._subscribers.pop(said["id"], None)

    def _subscribe(self, client: str, request: dict[str, Any]) -> None:
        self.subscriptions.append(request)
        user = self._pbx.jwt_book.user_of(request.get("bearer"))
        is_own = user is not None and (user.user, user.domain) == (request.get("user"), request.get("domain"))
        if self._pbx.live_silent:
            return
        if is_own and not self._pbx.live_refuses:
            self._subscribers[client] = request
            self._do("emit", id=client, event="status", data={"status": "Subscription Complete"})
        else:
            self._do("emit", id=client, event="status", data={"status": "Unauthorized"})

    def _announce(self, message: StoredMessage) -> None:
        """Send the event of a message to the subscribers of its user."""
        for client, request in self._subscribers.items():
            if (request["user"], request["domain"]) == (message.user, message.domain):
                self._do("emit", id=client, event=self._pbx.live_event, data=render.message_event(message))

    def _to_all(self, what: str, **details: object) -> None:
        for client in list(self._subscribers):
            self._do(what, id=client, **details)

    def _do(self, what: str, **details: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps({"do": what, **details}) + "\n").encode())
