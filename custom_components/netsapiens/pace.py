"""When the next request may go: a pace that trips no firewall, and growing waits while the PBX is away."""

import asyncio
from collections.abc import Awaitable, Callable
import random
import time

from homeassistant.core import callback

from .api import (
    NetsapiensAuthError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensRateLimitError,
    NetsapiensRequestError,
)

_BURST = 30  # requests at once without waiting
_RATE = 10.0  # then so many a second; some operators' firewalls block at 15
_STREAK = 5  # so many failures in a row mean that the PBX is away, whatever they were
_FIRST_WAIT = 2.0  # seconds; doubles with each failure
_LONGEST_WAIT = 60.0
_REFUSED_WAIT = 15.0  # for refused credentials, which operators lock after some tries
_LONGEST_REFUSED_WAIT = 300.0


def jittered(first: float, longest: float, failures: int) -> float:
    """Return a wait that grows with the failures, anywhere up to its limit: homes that wait must not come in step."""
    return random.uniform(0, min(longest, first * 2 ** min(failures, 16)))  # noqa: S311


class Gate:
    """Lets the requests of one account through.

    While the PBX is away, one request at a time goes to see whether it is back; the others wait for what it finds.
    """

    def __init__(self) -> None:
        self._door = asyncio.Lock()
        self._allowance = float(_BURST)
        self._counted_at = time.monotonic()
        self._not_before = 0.0
        self._hurried = asyncio.Event()
        self._away = 0  # failures since the PBX was last reached
        self._streak = 0

    @property
    def is_away(self) -> bool:
        """Whether the PBX was away when it was last asked."""
        return self._away > 0

    async def run[ResultT](self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Make a call when its turn has come.

        Raises:
            NetsapiensError: the call's own.
        """
        await self._door.acquire()
        held = True
        away = self._away
        try:
            await self._wait()
            away = self._away
            if not self._away:
                self._door.release()
                held = False
            result = await call()
        except NetsapiensError as err:
            self._note(err, away)
            raise
        else:
            self._away = self._streak = 0
            return result
        finally:
            if held:
                self._door.release()

    @callback
    def hurry(self) -> None:
        """End the pause: somebody asked for a try now."""
        self._not_before = 0.0
        self._hurried.set()
        self._hurried.clear()

    async def _wait(self) -> None:
        """Wait for the pause to end, and for the pace."""
        while (pause := self._not_before - time.monotonic()) > 0:  # it may grow meanwhile
            try:
                async with asyncio.timeout(pause):
                    await self._hurried.wait()
            except TimeoutError:
                pass
        now = time.monotonic()
        self._allowance = min(_BURST, self._allowance + (now - self._counted_at) * _RATE)
        self._counted_at = now
        self._allowance -= 1
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / _RATE)

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
