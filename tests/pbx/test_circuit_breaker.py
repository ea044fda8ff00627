"""Whether the PBX is away, and who finds out when it is back."""

from collections import Counter
import random

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
import pytest

from custom_components.netsapiens.api import (
    NetsapiensAuthError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensRateLimitError,
    NetsapiensRequestError,
    NetsapiensServerError,
)
from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitBreaker, CircuitState, CircuitTiming, Permit

from .test_rate_limiter import Clock

TIMING = CircuitTiming(
    away=Backoff(2.0, 60.0, jitter=0), refused=Backoff(15.0, 300.0, jitter=0), unclear_failures=5, probe_within=5.0
)
AWAY = NetsapiensConnectionError("away")
LONGEST_ASKED = 3600.0
FAILURES = [
    AWAY,
    NetsapiensConnectionError("cut off", maybe_done=True),
    NetsapiensServerError("broken"),
    NetsapiensAuthError("refused"),
    NetsapiensRateLimitError("too many"),
    NetsapiensRateLimitError("too many", retry_after=LONGEST_ASKED),
    NetsapiensServerError("overloaded", retry_after=LONGEST_ASKED),
    NetsapiensRequestError(400, "no"),
    NetsapiensRequestError(401, "no"),
]


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    """A circuit breaker that is closed."""
    return CircuitBreaker(TIMING, clock)


def fail(breaker: CircuitBreaker, err: NetsapiensError = AWAY) -> None:
    """Make a request that fails."""
    permit = breaker.admit()
    breaker.note_failure(err, permit)
    breaker.release(permit)


def test_it_opens_half_opens_and_closes(breaker: CircuitBreaker, clock: Clock) -> None:
    """One failure of a PBX that is away stops all; one success lets all go."""
    assert breaker.state is CircuitState.CLOSED
    fail(breaker)
    assert breaker.state is CircuitState.OPEN
    assert breaker.wait() == 2
    clock.now += 2
    assert breaker.state is CircuitState.HALF_OPEN
    assert breaker.wait() == 0
    fail(breaker)
    assert breaker.wait() == 4, "longer with each failure"
    clock.now += 4
    breaker.admit()
    breaker.note_success()
    assert breaker.state is CircuitState.CLOSED
    assert not breaker.is_away


def test_one_probe_at_a_time(breaker: CircuitBreaker, clock: Clock) -> None:
    """While one finds out, the others wait."""
    fail(breaker)
    clock.now += 2
    probe = breaker.admit()
    assert breaker.wait() == 5
    clock.now += 1
    assert breaker.wait() == 4
    breaker.release(probe)
    assert breaker.wait() == 0


def test_a_slow_probe_holds_nobody_up(breaker: CircuitBreaker, clock: Clock) -> None:
    """Such as the upload of a picture."""
    fail(breaker)
    clock.now += 2
    upload = breaker.admit()
    clock.now += 5
    assert breaker.wait() == 0
    quick = breaker.admit()
    breaker.release(upload)
    assert breaker.wait() == 5, "the end of the former probe does not end the later one"
    breaker.note_success()
    breaker.release(quick)
    assert breaker.state is CircuitState.CLOSED


def test_requests_that_went_together_count_as_one_failure(breaker: CircuitBreaker) -> None:
    """Ten that fail in one moment do not make ten times the wait."""
    together = [breaker.admit() for _ in range(10)]
    for permit in together:
        breaker.note_failure(AWAY, permit)
    assert breaker.wait() == 2


@pytest.mark.parametrize(
    "err",
    [
        NetsapiensRateLimitError("too many", retry_after=30),
        NetsapiensServerError("overloaded", retry_after=30),
        NetsapiensServerError("overloaded", maybe_done=False, retry_after=30),
    ],
)
def test_a_wait_that_was_asked_for_outlives_the_success_of_another(
    breaker: CircuitBreaker, err: NetsapiensError
) -> None:
    """What the PBX asks for is kept to."""
    fail(breaker, err)
    breaker.note_success()
    assert breaker.wait() == 32
    breaker.end_wait()
    assert breaker.state is CircuitState.CLOSED


def test_refused_credentials_wait_longer(breaker: CircuitBreaker) -> None:
    """They do not get better by themselves."""
    fail(breaker, NetsapiensAuthError("refused"))
    assert breaker.wait() == 30


@pytest.mark.parametrize("err", [NetsapiensServerError("broken"), NetsapiensConnectionError("cut", maybe_done=True)])
def test_unclear_failures_open_it_once_there_are_many_in_a_row(breaker: CircuitBreaker, err: NetsapiensError) -> None:
    """A failure that may be of one request alone stops nobody else at first."""
    for _ in range(4):
        fail(breaker, err)
    breaker.note_success()
    for _ in range(4):
        fail(breaker, err)
    assert breaker.state is CircuitState.CLOSED
    fail(breaker, err)
    assert breaker.state is CircuitState.OPEN


HOMES = 4000


def back_at(clock: Clock, away_for: float, polled_every: float) -> float:
    """Return when the first request of a home succeeds that polled at any time before, with the timing as it is."""
    clock.now = random.uniform(0, polled_every)
    breaker = CircuitBreaker(CircuitTiming(), clock)
    while clock.now < away_for:
        fail(breaker)
        clock.now += breaker.wait()
    return clock.now - away_for


@pytest.mark.parametrize("away_for", [60.0, 300.0, 3600.0])
def test_homes_come_back_one_after_the_other(clock: Clock, away_for: float) -> None:
    """A home asks a PBX that was away at a time of its own: in no second do more than poll it anyway, about 1 in 30."""
    random.seed(1)
    back = [back_at(clock, away_for, 30.0) for _ in range(HOMES)]
    in_a_second = Counter(int(when) for when in back)
    assert max(in_a_second.values()) <= HOMES / 25
    assert max(back) <= 60


def test_one_failure_costs_a_moment(clock: Clock) -> None:
    """A text must not wait long because of one connection that failed."""
    for _ in range(100):
        breaker = CircuitBreaker(CircuitTiming(), clock)
        fail(breaker)
        assert 0 < breaker.wait() <= 2


class EveryOrder(RuleBasedStateMachine):
    """Requests that go, fail, succeed and are given up, in any order and at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = CircuitBreaker(TIMING, self.clock)
        self.under_way: list[Permit] = []
        self.probed_at: list[float] = []

    @precondition(lambda self: self.breaker.wait() == 0)
    @rule()
    def go(self) -> None:
        """Make a request."""
        if self.breaker.state is CircuitState.HALF_OPEN:
            self.probed_at.append(self.clock.now)
        self.under_way.append(self.breaker.admit())
        if self.breaker.state is CircuitState.HALF_OPEN:
            assert self.breaker.wait() > 0, "another one goes beside the probe"

    def _end(self, number: int) -> Permit:
        return self.under_way.pop(number % len(self.under_way))

    @precondition(lambda self: self.under_way)
    @rule(number=st.integers(0, 1000))
    def succeed(self, number: int) -> None:
        """End one with an answer."""
        permit = self._end(number)
        self.breaker.note_success()
        self.breaker.release(permit)
        assert not self.breaker.is_away

    @precondition(lambda self: self.under_way)
    @rule(number=st.integers(0, 1000), err=st.sampled_from(FAILURES))
    def fail(self, number: int, err: NetsapiensError) -> None:
        """End one with a failure."""
        permit = self._end(number)
        self.breaker.note_failure(err, permit)
        self.breaker.release(permit)
        if err is AWAY:
            assert self.breaker.is_away or permit.failures > 0

    @precondition(lambda self: self.under_way)
    @rule(number=st.integers(0, 1000))
    def give_up(self, number: int) -> None:
        """End one without having learned anything."""
        self.breaker.release(self._end(number))

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    @rule()
    def hurry(self) -> None:
        """Ask for an attempt now."""
        self.breaker.end_wait()
        assert self.breaker.state is not CircuitState.OPEN

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        """Whatever is under way, a request may go after a limited time."""
        assert 0 <= self.breaker.wait() <= LONGEST_ASKED + TIMING.refused.longest + TIMING.refused.first

    @invariant()
    def closed_lets_all_go(self) -> None:
        """Only a PBX that is away or asked to wait holds requests up."""
        if self.breaker.state is CircuitState.CLOSED:
            assert self.breaker.wait() == 0


TestEveryOrder = EveryOrder.TestCase
TestEveryOrder.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
