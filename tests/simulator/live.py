"""The live server: Socket.IO on a port of its own, as the vendor's load tester and portal speak it.

Which events it makes for texts is not known of the real one; here they have the name that is set.
"""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web
import socketio

from . import render
from .model import StoredMessage
from .tls import TlsDoor

if TYPE_CHECKING:
    from .state import Pbx

_CHUNK = 64 * 1024


class LiveServer:
    """Tells those who subscribed that a message came in.

    Attributes:
        port: where it listens.
        connected: how many connections there were.
        subscriptions: what was asked for, the newest last.
        is_early: whether there is an event before a subscription is complete.
    """

    def __init__(
        self,
        pbx: Pbx,
        host: str,
        port: int = 0,
        *,
        tls: TlsDoor | None = None,
        ping_interval: float = 25,
        ping_timeout: float = 20,
    ) -> None:
        self._pbx = pbx
        self.host, self.port = host, port
        self._tls = tls
        self._pings = (ping_interval, ping_timeout)
        self.connected = 0
        self.is_early = False
        self.subscriptions: list[dict[str, Any]] = []
        self._subscribers: dict[str, dict[str, Any]] = {}
        self._server: Any = None
        self._runner: web.AppRunner | None = None
        self._wire: Wire | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        """The address."""
        return f"{'http' if self._tls is None else 'https'}://{self.host}:{self.port}"

    @property
    def subscribed(self) -> int:
        """How many are subscribed now."""
        return len(self._subscribers)

    # --- life -------------------------------------------------------------------

    async def start(self) -> None:
        """Listen; after a stop on the same port."""
        silent = logging.Logger("live")  # noqa: LOG001
        silent.disabled = True
        interval, timeout = self._pings
        self._server = socketio.AsyncServer(
            async_mode="aiohttp",
            ping_interval=interval,
            ping_timeout=timeout,
            logger=silent,
            engineio_logger=silent,
            monitor_clients=False,
        )
        self._server.eio.start_background_task = self._spawn_for_library  # it leaves its pings behind
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("subscribe", self._subscribe)
        app = web.Application()
        self._server.attach(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, 0)
        await site.start()
        inner = self._runner.addresses[0][1]
        self._wire = Wire(self.host, self.port, inner, self._tls)
        self.port = await self._wire.start()
        self._pbx.watchers.add(self._announce)

    async def stop(self) -> None:
        """Be gone at once."""
        self._pbx.watchers.discard(self._announce)
        if self._wire is not None:
            await self._wire.stop()
            self._wire = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._subscribers.clear()
        if self._runner is not None:
            await self._server.shutdown()
            await self._runner.cleanup()
            self._runner = None

    # --- faults -----------------------------------------------------------------

    def fall_silent(self) -> None:
        """Say nothing any more on the connections that there are, without closing them."""
        assert self._wire is not None
        self._wire.cut()

    def go_on(self) -> None:
        """Talk again, where somebody still listens."""
        assert self._wire is not None
        self._wire.mend()

    def drop(self) -> None:
        """End every connection without a word of Socket.IO."""
        assert self._wire is not None
        self._wire.drop()

    async def kick(self) -> None:
        """Disconnect everybody, as Socket.IO does."""
        for sid in list(self._subscribers):
            await self._server.disconnect(sid)

    async def emit(self, event: str, *data: Any) -> None:
        """Send an event to everybody who subscribed."""
        for sid in list(self._subscribers):
            await self._server.emit(event, data, to=sid)

    async def send_raw(self, packet: str | bytes) -> None:
        """Send something as a packet that need not be one."""
        for sid in list(self._subscribers):
            engine = self._server.manager.eio_sid_from_sid(sid, "/")
            await self._server.eio.send(engine, packet)

    async def flood(self, seconds: float, per_second: int = 1000) -> None:
        """Send so many events a second."""
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        while (passed := loop.time() - began) < seconds:
            while sent < passed * per_second:
                await self.emit("presence", {"user": "1002", "state": "busy", "number": sent})
                sent += 1
            await asyncio.sleep(0.005)

    # --- what clients do --------------------------------------------------------

    async def _connect(self, _sid: str, _environ: dict[str, Any], _auth: Any = None) -> None:
        self.connected += 1

    async def _disconnect(self, sid: str, _reason: Any = None) -> None:
        self._subscribers.pop(sid, None)

    async def _subscribe(self, sid: str, request: Any) -> None:
        self.subscriptions.append(request)
        if self.is_early:
            await self._server.emit("presence", {}, to=sid)
        if self._pbx.live_silent:
            return
        user = self._pbx.jwt_book.user_of(request.get("bearer"))
        is_own = user is not None and (user.user, user.domain) == (request.get("user"), request.get("domain"))
        if self._pbx.live_refuses or not is_own:
            await self._server.emit("status", {"status": "Unauthorized"}, to=sid)
            return
        self._subscribers[sid] = request
        await self._server.emit("status", {"status": "Subscription Complete"}, to=sid)
        self._spawn(self._end_with_jwt(sid, request))

    async def _end_with_jwt(self, sid: str, request: dict[str, Any]) -> None:
        """Disconnect who has no newer JWT when this one ends."""
        await asyncio.sleep(max(0.0, self._pbx.jwt_book.live[request["bearer"]].left))
        if self._subscribers.get(sid) is request:
            await self._server.disconnect(sid)

    def _announce(self, message: StoredMessage) -> None:
        """Send the event of a message to the subscribers of its user."""
        if self._pbx.live_deaf and message in self._pbx.inbound:
            return
        event = render.message_event(message)
        for sid, request in self._subscribers.items():
            if (request["user"], request["domain"]) == (message.user, message.domain):
                self._spawn(self._server.emit(self._pbx.live_event, event, to=sid))

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _spawn_for_library(self, target: Any, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        return self._spawn(target(*args, **kwargs))


class Wire:
    """Carries bytes between the clients and the server, until it is cut."""

    def __init__(self, host: str, port: int, inner: int, tls: TlsDoor | None) -> None:
        self._host, self._port, self._inner = host, port, inner
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen; return the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._host, self._port, reuse_address=True)
        return int(self._server.sockets[0].getsockname()[1])

    def _accept(self) -> asyncio.Protocol:
        return self._protocol() if self._tls is None else self._tls.accept(self._protocol)

    def _protocol(self) -> asyncio.Protocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._carry)

    async def stop(self) -> None:
        """Be gone."""
        if self._server is not None:
            self._server.close()
        self.drop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Carry nothing any more on the connections that there are."""
        self._cut |= self._writers

    def mend(self) -> None:
        """Carry again."""
        self._cut.clear()

    def drop(self) -> None:
        """Abort the connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            inner_reader, inner_writer = await asyncio.open_connection(self._host, self._inner)
            pair = {writer, inner_writer}
            self._writers |= pair
            pumps = [self._pump(reader, inner_writer), self._pump(inner_reader, writer)]
            try:
                await asyncio.gather(*pumps, return_exceptions=True)
            finally:
                self._writers -= pair
                inner_writer.transport.abort()
                writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if writer not in self._cut:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            if writer not in self._cut:
                writer.close()
