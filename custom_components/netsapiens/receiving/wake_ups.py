"""A rate limiter for polls that are asked for from outside: a flood must not use up the requests that texts need."""

import asyncio

from homeassistant.core import HomeAssistant, callback

from ..pbx.rate_limiter import RateLimit, RateLimiter
from .poller import Poller

# Each leads to polls until the next one. What is followed by a message does not count.
_RATE = RateLimit(burst=5, per_second=0.5, spare=0)


class WakeUps:
    """Polls when something is announced, and later where too much is.

    Parameters:
        poller: what is to poll.
    """

    def __init__(self, hass: HomeAssistant, poller: Poller) -> None:
        self._loop = hass.loop
        self._poller = poller
        self._reported = 0
        self._limiter = RateLimiter(_RATE, self._loop.time)
        self._timer: asyncio.TimerHandle | None = None

    @callback
    def async_ask(self) -> None:
        """Poll at once, or as soon as the rate allows."""
        if (reported := self._poller.inbox.reported) > self._reported:
            self._reported = reported
            self._limiter = RateLimiter(_RATE, self._loop.time)
            self.async_cancel()
        if self._timer is not None:
            return
        if (wait := self._limiter.wait()) > 0:
            self._timer = self._loop.call_later(wait, self._poll)
        else:
            self._poll()

    @callback
    def async_cancel(self) -> None:
        """Forget a poll that waits for its time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @callback
    def _poll(self) -> None:
        """Poll."""
        self._timer = None
        self._limiter.take()
        self._poller.poll_soon()
