"""A circuit breaker: while the PBX is away, single requests (probes) find out when it is back."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
import time

from ..api import (
    NetsapiensAuthError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensRequestError,
)
from .backoff import Backoff

_UNAUTHORIZED = 401
# A single failure costs a moment, and 10,000 homes are spread well a minute later already: scripts/bench_spread.py.
_AWAY = Backoff(2.0, 60.0, jitter=0.75, factor=4.0)
_REFUSED = Backoff(15.0, 300.0)


class CircuitState(Enum):
    """Whether requests may go."""

    CLOSED = "closed"
    """The PBX answers: all go."""
    OPEN = "open"
    """The PBX is away, or asked to wait: none goes before the wait is over."""
    HALF_OPEN = "half_open"
    """The wait is over: one request at a time is the probe."""


@dataclass(frozen=True, slots=True)
class CircuitTiming:
    """How long the circuit stays open.

    Attributes:
        away: waits while the PBX cannot be reached.
        refused: waits after refused credentials, a login that operators lock after some attempts. The first wait is
            kept in any case.
        unclear_failures: how many failures in a row mean that the PBX is away, whatever they were.
        probe_within: seconds for which other requests wait for a probe. One that takes longer, such as the upload of
            a picture, goes on, and the next request is a probe as well.
    """

    away: Backoff = _AWAY
    refused: Backoff = _REFUSED
    unclear_failures: int = 5
    probe_within: float = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """The permission to make one request.

    Attributes:
        failures: how often the PBX had been away in a row when it was given.
    """

    failures: int


class CircuitBreaker:
    """Learns from how requests end whether the PBX is away.

    Parameters:
        timing: how long the circuit stays open.
        clock: gives the seconds since any moment; it must not go back.
    """

    def __init__(self, timing: CircuitTiming, clock: Callable[[], float] = time.monotonic) -> None:
        self._timing = timing
        self._clock = clock
        self._failures = 0  # since the PBX was last reached
        self._unclear = 0  # failures in a row that do not say whether it is away
        self._open_until = 0.0
        self._probe: Permit | None = None
        self._probe_until = 0.0

    @property
    def is_away(self) -> bool:
        """Whether the PBX was away when it was last asked."""
        return self._failures > 0

    @property
    def state(self) -> CircuitState:
        """Whether requests may go now."""
        if self._clock() < self._open_until:
            return CircuitState.OPEN
        return CircuitState.HALF_OPEN if self._failures else CircuitState.CLOSED

    def wait(self) -> float:
        """Return in how many seconds the next request may go, as far as is known now; 0 for now."""
        match self.state:
            case CircuitState.OPEN:
                return self._open_until - self._clock()
            case CircuitState.HALF_OPEN if self._probe is not None:
                return max(0.0, self._probe_until - self._clock())
            case _:
                return 0.0

    def admit(self) -> Permit:
        """Let a request go now. While the circuit is half open, it is the probe."""
        permit = Permit(self._failures)
        if self.state is CircuitState.HALF_OPEN:
            self._probe, self._probe_until = permit, self._clock() + self._timing.probe_within
        return permit

    def release(self, permit: Permit) -> None:
        """Note that a request is over, however it ended: if it was the probe, another one may be it."""
        if self._probe is permit:
            self._probe = None

    def note_success(self) -> None:
        """Note that the PBX answered. A wait that it asked for is kept."""
        self._failures = self._unclear = 0

    def note_failure(self, err: NetsapiensError, permit: Permit) -> None:
        """Learn from a failure whether the PBX is away, and for how long to leave it alone.

        Parameters:
            err: the failure.
            permit: the request's.
        """
        match err:
            case NetsapiensRequestError() if err.status != _UNAUTHORIZED:
                self.note_success()  # it answered, though with a refusal
            case NetsapiensAuthError():
                self._open(permit, self._timing.refused, at_least=self._timing.refused.first)
            case NetsapiensError(asks_to_wait=True):
                self._open(permit, self._timing.away, at_least=err.retry_after or 0.0)
            case NetsapiensConnectionError() if not err.maybe_done:
                self._open(permit, self._timing.away)
            case _:
                self._unclear += 1
                if self._unclear >= self._timing.unclear_failures:
                    self._open(permit, self._timing.away)

    def open_for(self, seconds: float) -> None:
        """Let no request go for so many seconds."""
        self._open_until = max(self._open_until, self._clock() + seconds)

    def end_wait(self) -> None:
        """Let the next request go now; if the PBX is away, as a probe."""
        self._open_until = 0.0

    def _open(self, permit: Permit, backoff: Backoff, at_least: float = 0.0) -> None:
        """Open the circuit. Requests that went out together fail together: only the first of them counts."""
        wait = at_least
        if self._failures == permit.failures:
            wait += backoff.wait(self._failures)
            self._failures += 1
        self.open_for(wait)
