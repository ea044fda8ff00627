"""The live connection: the PBX's own Socket.IO server says at once that something came in.

The vendor documents none of it. An event is a reason to poll and nothing else, and whether there are any for texts is
proven by what polling finds.
"""

import asyncio
from enum import StrEnum
import logging
import random
from typing import override

from homeassistant.core import callback

from ..api import NetsapiensAuthError, NetsapiensError, NetsapiensNoUserError, NetsapiensRequestError
from ..errors import log_unexpected
from ..pbx.coordinator import NetsapiensCoordinator
from ..pbx.login import session_of
from ..settings import read_settings
from .announcer import Announcer
from .live_address import LiveAddresses
from .live_backoff import LiveBackoff
from .live_jwt import LiveJwt
from .live_socket import LiveRefusedError, LiveSocket, LiveUnreachableError
from .poller import Poller
from .proof_watch import ProofWatch
from .received import ReceivedMessage
from .timing import LiveTiming
from .wake_ups import WakeUps

_LOGGER = logging.getLogger(__name__)

_APPLICATION = "home-assistant"


class LiveState(StrEnum):
    """What is known of the live connection."""

    CONNECTING = "connecting"
    CONNECTED = "connected"  # whether texts are announced is not known yet
    PROVEN = "proven"
    DEAF = "deaf"  # texts are not announced
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class Live(Announcer):
    """Keeps one live connection for an account, where there is a server for it.

    Parameters:
        coordinator: the account.
        poller: what is to poll.
        timing: when to connect, and what proves that it is of use.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, poller: Poller, timing: LiveTiming) -> None:
        self._hass = coordinator.hass
        self._coordinator = coordinator
        self._poller = poller
        self._timing = timing
        self._wake_ups = WakeUps(self._hass, poller)
        self._jwt = LiveJwt(coordinator, timing)
        self._addresses = LiveAddresses(coordinator, None)
        self._backoff = LiveBackoff(timing)
        self._wake = asyncio.Event()  # set while the connection, or the wait for it, is to be looked at
        self._state = LiveState.CONNECTING
        self._proof: ProofWatch | None = None  # of the connection that is up
        self._task: asyncio.Task[None] | None = None
        self._events = self._connections = 0

    @property
    def state(self) -> LiveState:
        """What is known of the connection."""
        if self._proof is None:
            return self._state
        return LiveState.PROVEN if self._proof.is_proven else LiveState.CONNECTED

    @property
    @override
    def is_proven(self) -> bool:
        """Whether texts are announced; after one that was not, the next must not be late."""
        return self._proof is not None and self._proof.is_proven and not self._proof.missed

    @property
    @override
    def diagnostics(self) -> dict[str, int | str]:
        """The state, and how often something happened since the account was loaded."""
        return {
            "state": self.state.value,
            "connections": self._connections,
            "events": self._events,
            "missed_in_a_row": self._proof.missed if self._proof else 0,
        }

    @override
    @callback
    def async_start(self) -> None:
        """Connect in a moment, and again whenever the connection is gone."""
        self._task = self._hass.async_create_background_task(self._run(), "netsapiens live", eager_start=False)

    @override
    async def async_stop(self) -> None:
        """Disconnect."""
        self._wake_ups.async_cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    @override
    @callback
    def async_check(self) -> None:
        """Connect anew where the options name another address."""
        self._wake.set()

    @override
    @callback
    def async_found(self, received: ReceivedMessage) -> None:
        """Learn whether a message that a poll found had been announced; it came in while the connection was up."""
        if self._proof is not None:
            self._proof.async_found(received)

    @override
    @callback
    def async_text_went_out(self) -> None:
        """Expect that a text of ours is announced as well."""
        if self._proof is not None:
            self._proof.async_text_went_out()

    # --- the connection --------------------------------------------------------------

    async def _run(self) -> None:
        """Keep a connection."""
        await asyncio.sleep(random.uniform(0, self._timing.start_within))  # noqa: S311
        while True:
            if self._is_elsewhere:
                self._addresses = LiveAddresses(
                    self._coordinator, read_settings(self._coordinator.config_entry).live_url
                )
                self._backoff.reset()
            self._enter(LiveState.CONNECTING)
            began = self._hass.loop.time()
            state = await self._try()
            if state is LiveState.CONNECTING and self._hass.loop.time() - began < self._timing.steady:
                state = LiveState.UNREACHABLE  # what was there for a moment only is not likely to come back soon
            self._enter(state)
            await self._rest(self._wait())

    @property
    def _is_elsewhere(self) -> bool:
        """Whether the options name another address than the one that is used."""
        return read_settings(self._coordinator.config_entry).live_url != self._addresses.chosen

    def _enter(self, state: LiveState) -> None:
        """Note a state; the log has a line where it is another one."""
        if state is not self._state:
            _LOGGER.debug("The live connection is %s", state.value)
        self._state = state

    def _wait(self) -> float:
        """Return how many seconds to wait for the next attempt."""
        match self._state:
            case LiveState.DEAF:
                return self._backoff.deaf()
            case LiveState.CONNECTING:
                return self._backoff.lost()
            case _:
                return self._backoff.failed()

    async def _rest(self, wait: float) -> None:
        """Wait for the next attempt, unless the options name another address."""
        try:
            async with asyncio.timeout(wait):
                while not self._is_elsewhere:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            pass

    async def _try(self) -> LiveState:
        """Connect, and keep the connection until its end; return what there is to say of it then."""
        before, state = self._connections, LiveState.UNREACHABLE
        try:
            async for address in self._addresses.candidates():
                try:
                    return await self._serve(address)
                except LiveUnreachableError:
                    if self._connections > before:
                        return LiveState.CONNECTING  # it was up: it is likely to come back
                except LiveRefusedError:
                    self._jwt.forget()
                    state = LiveState.REFUSED  # unless another one takes it
                    if self._connections > before:
                        return state
        except NetsapiensAuthError, NetsapiensNoUserError, NetsapiensRequestError:
            self._jwt.forget()
            return LiveState.REFUSED
        except NetsapiensError as err:
            # The PBX's wait is this connection's alone: texts need no JWT, and must not wait for one.
            self._backoff.asked_to_wait(err.retry_after or 0.0)
        except Exception as err:  # noqa: BLE001
            # A fault of ours must not end it: polling goes on, and the next attempt may go well.
            log_unexpected(_LOGGER, "the live connection", err)
        return state

    async def _serve(self, address: str) -> LiveState:
        """Connect to one address, and keep the connection until its end.

        Raises:
            LiveUnreachableError: there is no server, or the connection ended.
            LiveRefusedError: the server refuses.
            NetsapiensError: there is no JWT.
        """
        verify_ssl: bool = self._coordinator.login["verify_ssl"]
        session = session_of(self._hass, verify_ssl=verify_ssl, refuse_redirects=True)
        socket = LiveSocket(
            session, self._timing, verify_ssl=verify_ssl, on_event=self._announced, on_end=self._wake.set
        )
        try:
            await socket.connect(address)
            await self._subscribe(socket)
            self._connections += 1
            proof = self._proof = ProofWatch(self._hass, self._timing.proof, self._missed)
            proof.since = self._coordinator.api.now()
            _LOGGER.debug("The live connection is connected")
            self._poller.poll_once()
            return await self._hold(socket)
        finally:
            if self._proof is not None:
                self._proof.async_cancel()
                self._proof = None
                self._poller.async_replan()  # the backstop is too seldom now
            await socket.close()

    async def _subscribe(self, socket: LiveSocket) -> None:
        """Subscribe to the texts of the account's user."""
        bearer = await self._jwt.get()
        account = self._coordinator.api.account
        request = {"type": "chat", "user": account.user, "domain": account.domain}
        await socket.subscribe({**request, "bearer": bearer, "application": _APPLICATION})

    async def _hold(self, socket: LiveSocket) -> LiveState:
        """Keep the connection, with a JWT that lives."""
        while True:
            self._wake.clear()
            socket.check()  # first: it may have ended, and the options changed, while it was made
            if self._is_elsewhere:
                return LiveState.CONNECTING
            if self._proof is not None and self._proof.is_deaf:
                await self._subscribe(socket)  # a connection that is dead is not deaf
                return LiveState.DEAF
            try:
                async with asyncio.timeout(min(self._jwt.renew_in, socket.check_in)):
                    await self._wake.wait()
            except TimeoutError:
                await self._subscribe(socket)

    @callback
    def _missed(self) -> None:
        """Take up that a text was not announced: polling must not stay seldom, and the connection may be deaf."""
        self._poller.async_replan()
        if self._proof is not None and self._proof.is_deaf:
            self._wake.set()

    @callback
    def _announced(self) -> None:
        """Poll: something may have come in."""
        self._events += 1
        if self._proof is not None:
            self._proof.async_announced()
        self._wake_ups.async_ask()
