"""Follows what is announced and what polling finds: a proof, with the timers that it needs."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from homeassistant.core import HomeAssistant, callback

from .proof import Proof
from .received import ReceivedMessage
from .timing import ProofTiming

_SECOND = timedelta(seconds=1)  # to which messages are dated


class ProofWatch:
    """Whether the PBX announces the texts that come in from some time on.

    Parameters:
        timing: what counts as announced.
        on_missed: called where a text was not announced.

    Attributes:
        since: by the PBX's clock, when announcing began; None where it has not, so that nothing counts as missed.
    """

    def __init__(self, hass: HomeAssistant, timing: ProofTiming, on_missed: Callable[[], None]) -> None:
        self._loop = hass.loop
        self._timing = timing
        self._on_missed = on_missed
        self._proof = Proof(timing)
        self._settling: set[asyncio.TimerHandle] = set()
        self.since: datetime | None = None

    @property
    def is_proven(self) -> bool:
        """Whether a text was announced."""
        return self._proof.is_proven

    @property
    def is_deaf(self) -> bool:
        """Whether so many texts in a row were not announced that none is expected to be."""
        return self._proof.is_deaf

    @property
    def missed(self) -> int:
        """How many texts in a row only a poll found."""
        return self._proof.missed

    @callback
    def async_announced(self) -> None:
        """Learn that something was announced."""
        self._proof.announced(self._loop.time())

    @callback
    def async_text_went_out(self) -> None:
        """Expect that a text of ours is announced as well."""
        self._proof.text_went_out(self._loop.time())

    @callback
    def async_found(self, received: ReceivedMessage) -> None:
        """Learn that a poll found a message, and see whether it is announced."""
        if self.since is None or received.timestamp < self.since - _SECOND:
            return
        self._proof.found(self._loop.time())

        def settle() -> None:
            """Count it as missed, where no announcement came."""
            self._settling.discard(timer)
            before = self._proof.missed
            self._proof.settle(self._loop.time())
            if self._proof.missed > before:
                self._on_missed()

        timer = self._loop.call_later(self._timing.after, settle)
        self._settling.add(timer)

    @callback
    def async_cancel(self) -> None:
        """Let nothing count as missed any more."""
        for timer in self._settling:
            timer.cancel()
        self._settling.clear()
