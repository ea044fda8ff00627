"""The one way to the PBX: a rate limiter, a circuit breaker, and turns for those that wait."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextvars import ContextVar
from dataclasses import dataclass
import time
import weakref

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..api import NetsapiensError
from .circuit_breaker import CircuitBreaker, CircuitTiming, Permit
from .fair_queue import READING, Turns
from .rate_limiter import RateLimit, RateLimiter

_RATE = RateLimit()
_CIRCUIT = CircuitTiming()
_OUTER: ContextVar[Permit | None] = ContextVar("netsapiens_permit", default=None)
"""The permit of the request that asks for a further one, such as a token."""


@dataclass(frozen=True, slots=True)
class ThrottleTiming:
    """The timing of an account's requests.

    Attributes:
        rate: how many requests may go.
        circuit: how long the PBX is left alone when it is away.
    """

    rate: RateLimit = _RATE
    circuit: CircuitTiming = _CIRCUIT


THROTTLE_TIMING: HassKey[ThrottleTiming] = HassKey("netsapiens_throttle_timing")
"""Where another timing is kept; it holds for throttles that are created later."""


@callback
def create_throttle(hass: HomeAssistant) -> Throttle:
    """Return a throttle with the timing that ``hass.data`` holds, or the default one."""
    return Throttle(hass.data.get(THROTTLE_TIMING))


class Throttle:
    """Lets the requests of one account through.

    Callers take turns. While the PBX is away, one request at a time is the probe; the others wait for what it finds.

    Parameters:
        timing: how many requests may go, and how long the PBX is left alone when it is away.
        clock: gives the seconds since any moment; it must not go back.
    """

    def __init__(self, timing: ThrottleTiming | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        timing = timing or ThrottleTiming()
        self.breaker = CircuitBreaker(timing.circuit, clock)
        self._limiter = RateLimiter(timing.rate, clock)
        self._turns = Turns()
        self._timer: asyncio.TimerHandle | None = None
        self._last_error: Callable[[], NetsapiensError | None] = lambda: None

    @property
    def is_away(self) -> bool:
        """Whether the PBX was away when it was last asked."""
        return self.breaker.is_away

    async def run[ResultT](
        self,
        call: Callable[[], Awaitable[ResultT]],
        caller: Hashable = READING,
        *,
        fresh: bool = False,
        may_fail: bool = False,
    ) -> ResultT:
        """Make a request when its turn has come.

        A request that needs a further one, such as a token, may call this for it, so that it has a turn of its own.

        Parameters:
            call: makes the request.
            caller: whom it is for; callers take turns.
            fresh: whether it is a message's first attempt, so that a new caller passes those that wait.
            may_fail: whether a failure says nothing of the PBX's health, so that texts must not wait for it.

        Raises:
            NetsapiensError: the request's own.
        """
        if (outer := _OUTER.get()) is not None:
            self.breaker.release(outer)  # where it is the probe: the further request finds out now
        permit = await self._turn(caller, fresh)
        mark = _OUTER.set(permit)
        try:
            result = await call()
        except NetsapiensError as err:
            # That of a token call is raised by all that waited for it, and counts once.
            if not may_fail and self._last_error() is not err:
                self._last_error = weakref.ref(err)
                self.breaker.note_failure(err, permit)
            raise
        else:
            self.breaker.note_success()
            return result
        finally:
            _OUTER.reset(mark)
            self._end_turn(permit)

    @callback
    def hurry(self) -> None:
        """End the wait for a PBX that is away: somebody asked for an attempt now."""
        self.breaker.end_wait()
        self._grant()

    async def _turn(self, caller: Hashable, fresh: bool) -> Permit:
        """Wait for a turn."""
        if not self._turns and self._wait(self._turns.may_wait_alone(caller, fresh=fresh)) <= 0:  # as is usual
            self._turns.go_alone(caller, fresh=fresh)
            return self._admit()
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._turns.add(waiter, caller, fresh=fresh)
        self._grant()
        try:
            return await waiter
        except asyncio.CancelledError:
            self._turns.discard(waiter, caller)
            if waiter.done() and not waiter.cancelled():
                self.breaker.release(waiter.result())  # the turn had just come
            self._grant()
            raise

    def _end_turn(self, permit: Permit) -> None:
        """Let the next ones go."""
        self.breaker.release(permit)
        if self._turns:
            self._grant()

    def _grant(self) -> None:
        """Let all go that may go now, and come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._turns:
            if (wait := self._wait(self._turns.may_wait)) > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._grant)
                return
            waiter = self._turns.pop()
            if not waiter.cancelled():  # else its task has not run since
                waiter.set_result(self._admit())

    def _wait(self, is_backlog: bool) -> float:
        """Return in how many seconds the next request may go; 0 for now."""
        return max(self.breaker.wait(), self._limiter.wait(is_backlog=is_backlog))

    def _admit(self) -> Permit:
        """Let a request go now."""
        self._limiter.take()
        return self.breaker.admit()
