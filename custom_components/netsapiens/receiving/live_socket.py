"""One Socket.IO connection to a PBX, with Home Assistant's own session.

What the server sends is never trusted, kept or logged: an event is a reason to look, whatever it holds.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
import logging
import math
from typing import Any

import aiohttp
from engineio.base_client import connected_clients
import socketio
from socketio.packet import BINARY_EVENT, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, Packet

from .timing import LiveTiming

_MOST_READ = 64 * 1024  # characters of a packet; what is longer is an event
_MOST_TAKEN = 1024 * 1024  # bytes of a frame; what is longer ends the connection
_MINUTE = 60.0  # within which a server that is gone without a word has to be noticed
_COMPLETE = "Complete"  # in the status of a subscription
_KNOWN = {CONNECT, DISCONNECT, EVENT, CONNECT_ERROR}

# The libraries log what they send and receive: the JWT and texts. Nobody can enable a logger that nobody can get at.
_SILENT = logging.Logger("netsapiens.live")  # noqa: LOG001
_SILENT.disabled = True


class LiveUnreachableError(Exception):
    """There is no Socket.IO server at this address, or the connection ended."""


class LiveRefusedError(Exception):
    """The server answered, and refused the subscription."""


class LiveSocket:
    """A connection to one server.

    Parameters:
        session: to connect with; it is never closed here.
        verify_ssl: False accepts any certificate.
        timing: how long to wait for the server.
        on_event: called for each event.
        on_end: called when the connection ended.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        timing: LiveTiming,
        *,
        verify_ssl: bool,
        on_event: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self._timing = timing
        self._on_event, self._on_end = on_event, on_end
        self._session = _Session(session, verify_ssl=verify_ssl)
        self._client = socketio.AsyncClient(
            http_session=self._session,
            reconnection=False,
            handle_sigint=False,
            logger=_SILENT,
            engineio_logger=_SILENT,
            serializer=_LenientPacket,
            websocket_extra_options={"max_msg_size": _MOST_TAKEN},
        )
        self._client.on("*", self._event)
        self._client.on("status", self._status)
        self._subscribed: asyncio.Future[None] | None = None
        self._end: LiveUnreachableError | LiveRefusedError | None = None

    async def connect(self, url: str) -> None:
        """Connect.

        Parameters:
            url: the server's, ``https://host[:port]``.

        Raises:
            LiveUnreachableError: there is no Socket.IO server, or its certificate is not trusted.
        """
        try:
            async with asyncio.timeout(self._timing.connect_within):
                await self._client.connect(url, transports=["websocket"], wait_timeout=self._timing.connect_within)
        except Exception as err:  # noqa: BLE001
            # Whatever else answers there makes the library fail in ways of its own; their words may hold anything.
            raise LiveUnreachableError(type(err).__name__) from None
        self._client.eio.read_loop_task.add_done_callback(lambda _: self._ended(LiveUnreachableError("ended")))

    async def subscribe(self, request: dict[str, str]) -> None:
        """Subscribe, or do so again with a newer JWT, and wait until the server says that this is complete.

        Parameters:
            request: what is subscribed to, by whom.

        Raises:
            LiveRefusedError: the server refuses, or does not answer.
            LiveUnreachableError: the connection ended.
        """
        self.check()
        self._subscribed = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timing.status_within):
                await self._client.emit("subscribe", request)
                await self._subscribed
        except TimeoutError:
            raise LiveRefusedError("no status") from None
        except socketio.exceptions.SocketIOError:
            raise LiveUnreachableError("ended") from None
        finally:
            self._subscribed = None

    @property
    def check_in(self) -> float:
        """Seconds after which to subscribe again, where pings are too seldom to find it dead; else infinite."""
        engine = self._client.eio
        return self._timing.silence if engine.ping_interval + engine.ping_timeout > _MINUTE else math.inf

    def check(self) -> None:
        """Raise why the connection ended, if it did.

        Raises:
            LiveRefusedError: the server took the subscription back.
            LiveUnreachableError: the connection is gone.
        """
        if self._end is not None:
            raise self._end

    async def close(self) -> None:
        """Close the connection, whatever state it is in; nothing of it is left behind."""
        engine = self._client.eio
        with suppress(Exception):
            async with asyncio.timeout(self._timing.close_within):
                await self._client.disconnect()
        tasks = [task for task in (engine.read_loop_task, engine.write_loop_task) if task and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._timing.close_within)
        await self._session.end(self._timing.close_within)
        engine.http = None  # it would close it when it is dropped
        with suppress(ValueError):
            connected_clients.remove(engine)

    def _event(self, *_: object) -> None:
        """Pass on that there was an event."""
        self._on_event()

    def _status(self, *data: object) -> None:
        """Read how the subscription went."""
        said = data[0] if data else None
        if isinstance(said, list) and len(said) == 1:
            said = said[0]
        if isinstance(said, dict):
            said = said.get("status")
        is_complete = isinstance(said, str) and _COMPLETE in said
        if not is_complete:
            self._ended(LiveRefusedError("refused"))
        elif self._subscribed is not None and not self._subscribed.done():
            self._subscribed.set_result(None)

    def _ended(self, why: LiveUnreachableError | LiveRefusedError) -> None:
        """Note that the connection is of no more use."""
        self._end = self._end or why
        if self._subscribed is not None and not self._subscribed.done():
            self._subscribed.set_exception(self._end)
        self._on_end()


class _Session:
    """Home Assistant's session as the library uses it: with our TLS settings, and never closed.

    It knows the socket, which the library forgets where the server's first words are not those it expects.
    """

    closed = False

    def __init__(self, session: aiohttp.ClientSession, *, verify_ssl: bool) -> None:
        self._session = session
        self._verify_ssl = verify_ssl
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def ws_connect(self, url: str, **options: Any) -> aiohttp.ClientWebSocketResponse:
        """Open the socket."""
        self._socket = await self._session.ws_connect(url, **options, ssl=self._verify_ssl)
        return self._socket

    async def end(self, within: float) -> None:
        """Close the socket, if it is still open."""
        if self._socket is not None and not self._socket.closed:
            with suppress(Exception):
                async with asyncio.timeout(within):
                    await self._socket.close()

    async def close(self) -> None:
        """Leave Home Assistant's session open."""


class _LenientPacket(Packet):  # type: ignore[misc]
    """A packet that can be read whatever was sent: what is no packet is an event without a name."""

    data: Any
    namespace: Any
    id: Any

    def __init__(
        self,
        packet_type: int = EVENT,
        data: Any = None,
        namespace: str | None = None,
        id: int | None = None,  # noqa: A002 - the library's name
        binary: bool | None = None,
        encoded_packet: Any = None,
    ) -> None:
        super().__init__(packet_type, data, namespace, id, binary)
        if encoded_packet is None or self._is_read(encoded_packet):
            return
        self.packet_type, self.data, self.namespace, self.id = EVENT, [""], None, None

    def _is_read(self, encoded: Any) -> bool:
        """Read what was sent; return whether that can be handled."""
        if not isinstance(encoded, str) or not encoded or len(encoded) > _MOST_READ:
            return False
        try:
            self.decode(encoded)
        except Exception:  # noqa: BLE001 - it may be anything
            return False
        if self.packet_type == BINARY_EVENT:
            self.packet_type = EVENT  # its attachments are not waited for
        if self.packet_type == CONNECT and not isinstance(self.data, dict):
            self.data = None
        if self.packet_type == EVENT and not (
            isinstance(self.data, list) and self.data and isinstance(self.data[0], str)
        ):
            return False
        return self.packet_type in _KNOWN and self.namespace in {None, "/"}
