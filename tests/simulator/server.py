"""The PBX on the network: one server that can go down and come back on the same port."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime
from http import HTTPStatus
import json
from pathlib import Path
import random
import tempfile
import time
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from .access import RECORD
from .control import ControlRoutes
from .errors import ApiError, no_route
from .faults import DATE_OFF_BY, Dropped, Fault, FaultBook, FaultKind, misbehave
from .live import LiveServer
from .model import RequestRecord
from .phone import routes as phone_routes
from .push import Pusher
from .reply import html, json_answer
from .routes_accounts import AccountRoutes
from .routes_jwt import JwtRoutes
from .routes_messages import MessageRoutes
from .routes_subscriptions import SubscriptionRoutes
from .state import Pbx
from .tls import TlsDoor, make_certificate

BASE = "/ns-api/v2"
BODY_LIMIT = 25 * 1024 * 1024
UNRECORDED = ("/_sim", "/phone")
SHUTDOWN_SECONDS = 0.1
TOO_LARGE_PAGE = "<html><head><title>413</title></head><body><h1>Request Entity Too Large</h1></body></html>\n"

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Simulator(Pbx):
    """A NetSapiens PBX on this machine."""

    def __init__(
        self, *, tls: bool = False, host: str = "127.0.0.1", port: int = 0, live_port: int | None = None
    ) -> None:
        super().__init__()
        self.host = host
        self.port = port
        self.connections = 0
        self.tokens_in_flight_peak = 0
        self.ssl_cafile: str | None = None
        self._tls = tls
        self._tls_door: TlsDoor | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._tokens_in_flight = 0
        self.live: LiveServer | None = None
        self._live_port = live_port
        self._fault_book = FaultBook()
        self._pusher = Pusher(self)
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    # --- life -------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and forget the certificate."""
        await self.stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
            self._tls_door = None

    async def start(self) -> None:
        """Listen; after a stop on the same port and with everything it knew."""
        if self._server is not None:
            return
        if self._tls and self._tls_door is None:
            self._folder = tempfile.TemporaryDirectory(prefix="netsapiens-simulator-")
            cafile, context = make_certificate(Path(self._folder.name))
            self.ssl_cafile, self._tls_door = str(cafile), TlsDoor(context)
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self.host, self.port, reuse_address=True, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"{'https' if self._tls else 'http'}://{shown}:{self.port}"
        self._pusher.start()
        if self._live_port is not None:
            await self.start_live(self._live_port)

    async def start_live(self, port: int = 0, *, ping_interval: float = 25, ping_timeout: float = 20) -> LiveServer:
        """Start the live server, beside the PBX."""
        if self.live is None:
            pings = {"ping_interval": ping_interval, "ping_timeout": ping_timeout}
            self.live = LiveServer(self, self.host, port, tls=self._tls_door, **pings)
        await self.live.start()
        return self.live

    async def stop(self) -> None:
        """Go down as in a power cut: every connection is gone, the state stays."""
        if self._server is None or self._runner is None:
            return
        server, runner = self._server, self._runner
        self._server = self._runner = None
        await self._pusher.stop()
        if self.live is not None:
            await self.live.stop()
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        await asyncio.sleep(0)  # what was accepted a moment ago is a connection before the server is closed
        server.close()
        if self._tls_door is not None:
            self._tls_door.close()
        for connection in list(runner.server.connections if runner.server is not None else ()):
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()
        await server.wait_closed()

    def _accept(self) -> asyncio.Protocol:
        self.connections += 1
        return self._tls_door.accept(self._protocol) if self._tls_door is not None else self._protocol()

    def _protocol(self) -> asyncio.Protocol:
        if self._runner is None or self._runner.server is None:
            return _GoingDown()
        return self._runner.server()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._middleware], client_max_size=BODY_LIMIT)
        api = (
            *AccountRoutes(self).routes(),
            *MessageRoutes(self).routes(),
            *JwtRoutes(self).routes(),
            *SubscriptionRoutes(self).routes(),
        )
        app.add_routes(web.RouteDef(r.method, BASE + r.path, r.handler, r.kwargs) for r in api)
        app.add_routes([web.get("/ns-api/", self._read_media), *ControlRoutes(self).routes(), *phone_routes()])
        app.on_response_prepare.append(self._stamp)
        return app

    # --- faults -----------------------------------------------------------------

    def fault(
        self,
        kind: FaultKind | str,
        *,
        path: str = "",
        method: str | None = None,
        times: int | None = 1,
        probability: float = 1.0,
        seed: int | None = None,
        **details: Any,
    ) -> Fault:
        """Misbehave for the next `times` requests whose path contains `path` (None = until cleared)."""
        kind = FaultKind(kind)
        fault = Fault(kind, path or kind.default_path, method, times, probability, details)
        if seed is not None:
            fault.dice = random.Random(seed)
        self._fault_book.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Behave again; the counts stay."""
        self._fault_book.faults.clear()

    @property
    def faults(self) -> list[Fault]:
        """The faults that are still to strike."""
        return self._fault_book.faults

    @property
    def fault_counts(self) -> Counter[str]:
        """How often each kind struck."""
        return self._fault_book.counts

    # --- requests ---------------------------------------------------------------

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(UNRECORDED):
            return await handler(request)
        record = RequestRecord(request.method, request.path, dict(request.query), time.monotonic())
        record.headers = dict(request.headers)
        request[RECORD] = record
        self.requests.append(record)
        is_token = request.path.endswith("/tokens")
        self._tokens_in_flight += is_token
        self.tokens_in_flight_peak = max(self.tokens_in_flight_peak, self._tokens_in_flight)
        try:
            answer = await self._answer(request, record, handler)
        finally:
            self._tokens_in_flight -= is_token
        if not isinstance(answer, Dropped):
            record.status = answer.status
        return answer

    async def _answer(self, request: web.Request, record: RequestRecord, handler: Handler) -> web.StreamResponse:
        try:
            await _read_body(request, record)
        except web.HTTPRequestEntityTooLarge:
            return html(TOO_LARGE_PAGE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

        async def carry_out() -> web.StreamResponse:
            return await _carry_out(request, handler)

        fault = self._fault_book.strike(record)
        if fault is None:
            return await carry_out()
        return await misbehave(fault, request, record, carry_out)

    async def _stamp(self, request: web.Request, answer: web.StreamResponse) -> None:
        off_by = timedelta(seconds=request.get(DATE_OFF_BY, 0.0))
        answer.headers["Date"] = format_datetime(self.now() + off_by, usegmt=True) if self.shows_clock else "unknown"
        answer.headers["Server"] = "Apache"

    async def _read_media(self, request: web.Request) -> web.Response:
        """Serve the old-style media link; its signature is all the auth there is."""
        query = request.query
        if (query.get("object"), query.get("action")) != ("message", "read_media"):
            raise no_route()
        message = self.media_by_link(query.get("id", ""), query.get("time", ""), query.get("auth", ""))
        if message is None:
            raise ApiError(HTTPStatus.FORBIDDEN, "Forbidden")
        return web.Response(body=message.media, headers={"Content-Type": message.mime_type or "image/png"})


class _GoingDown(asyncio.Protocol):
    """Ends a connection that was accepted in the moment in which the PBX goes down."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be gone."""
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def _read_body(request: web.Request, record: RequestRecord) -> None:
    raw = await request.read()
    if request.content_type == "application/x-www-form-urlencoded":
        record.form = {key: str(value) for key, value in (await request.post()).items()}
        return
    try:
        record.body = json.loads(raw) if raw else None
    except ValueError:
        record.body = None


async def _carry_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as err:
        return json_answer(err.body, err.status)
    except web.HTTPNotFound, web.HTTPMethodNotAllowed:
        error = no_route()
        return json_answer(error.body, error.status)
