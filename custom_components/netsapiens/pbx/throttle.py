"""When the next request may go: a pace that trips no firewall, and growing waits while the PBX is away."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
import random
import time

from homeassistant.core import callback

from ..api import (
    NetsapiensAuthError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensRateLimitError,
    NetsapiensRequestError,
)
from .fair_queue import READING, Turns

_BURST = 30  # requests at once without waiting
_RATE = 10.0  # then so many a second; some operators' firewalls block at 15
_TINY = 1e-6  # of a request; a timer may ring that much early
_SPARE = 5  # of the burst, which a backlog leaves to others
_STREAK = 5  # so many failures in a row mean that the PBX is away, whatever they were
_FIRST_WAIT = 2.0  # seconds; doubles with each failure
_LONGEST_WAIT = 60.0
_REFUSED_WAIT = 15.0  # for refused credentials, which operators lock after some tries
_LONGEST_REFUSED_WAIT = 300.0


def jittered(first: float, longest: float, failures: int) -> float:
    """Return a wait that grows with the failures, anywhere up to its limit: homes that wait must not come in step."""
    return random.uniform(0, min(longest, first * 2 ** min(failures, 16)))  # noqa: S311


class Throttle:
    """Lets the requests of one account through.

    Callers take turns. While the PBX is away, one request at a time goes to see whether it is back; the others wait for
    what it finds.
    """

    def __init__(self) -> None:
        self._turns = Turns()
        self._timer: asyncio.TimerHandle | None = None
        self._is_probing = False
        self._allowance = float(_BURST)
        self._counted_at = time.monotonic()
        self._not_before = 0.0
        self._away = 0  # failures since the PBX was last reached
        self._streak = 0

    @property
    def is_away(self) -> bool:
        """Whether the PBX was away when it was last asked."""
        return self._away > 0

    async def run[ResultT](
        self, call: Callable[[], Awaitable[ResultT]], caller: Hashable = READING, *, fresh: bool = False
    ) -> ResultT:
        """Make a call when its turn has come.

        Parameters:
            call: what makes the request.
            caller: whom it is for; callers take turns.
            fresh: whether it is a text's first attempt, so that a new caller passes those that wait.

        Raises:
            NetsapiensError: the call's own.
        """
        away = await self._turn(caller, fresh)
        try:
            result = await call()
        except NetsapiensError as err:
            self._note(err, away)
            raise
        else:
            self._away = self._streak = 0
            return result
        finally:
            self._end_turn(away)

    @callback
    def hurry(self) -> None:
        """End the pause: somebody asked for a try now."""
        self._not_before = 0.0
        self._grant()

    async def _turn(self, caller: Hashable, fresh: bool) -> int:
        """Wait for a turn; return how many failures there were since the PBX was last reached."""
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._turns.add(waiter, caller, fresh=fresh)
        self._grant()
        try:
            return await waiter
        except asyncio.CancelledError:
            self._turns.discard(waiter, caller)
            if waiter.done() and not waiter.cancelled():
                self._end_turn(waiter.result())  # it had just been given
            self._grant()
            raise

    def _end_turn(self, away: int) -> None:
        """Let the next one go where one request at a time sees whether the PBX is back."""
        if away:
            self._is_probing = False
        self._grant()

    def _grant(self) -> None:
        """Give as many turns as may be given now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._turns and not (self._away and self._is_probing):
            if (wait := self._wait()) > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._grant)
                return
            waiter = self._turns.pop()
            if waiter.cancelled():
                continue  # its task has not run since
            self._allowance -= 1
            self._is_probing = self._away > 0
            waiter.set_result(self._away)

    def _wait(self) -> float:
        """Return how many seconds the next turn has to wait, for the pause to end and for the rate limit."""
        now = time.monotonic()
        if self._not_before > now:
            return self._not_before - now
        self._allowance = min(_BURST, self._allowance + (now - self._counted_at) * _RATE)
        self._counted_at = now
        needed = 1 + _SPARE if self._turns.may_wait else 1
        short = needed - self._allowance
        return short / _RATE if short > _TINY else 0.0

    def _note(self, err: NetsapiensError, away: int) -> None:
        """Learn from a failure whether the PBX is away, and for how long to leave it alone.

        Calls that went out together fail together: only the first of them counts.
        """
        asked = 0.0
        first, longest = _FIRST_WAIT, _LONGEST_WAIT
        match err:
            case NetsapiensRequestError() if err.status != 401:  # noqa: PLR2004
                self._away = self._streak = 0
                return
            case NetsapiensAuthError():
                first, longest = _REFUSED_WAIT, _LONGEST_REFUSED_WAIT
                asked = first
            case NetsapiensRateLimitError():
                asked = err.retry_after or 0.0
            case NetsapiensConnectionError() if not err.maybe_done:
                pass
            case _:
                self._streak += 1
                if self._streak < _STREAK:
                    return
        wait = asked
        if self._away == away:
            wait += jittered(first, longest, away)
            self._away += 1
        self._not_before = max(self._not_before, time.monotonic() + wait)
