"""Never more requests than the burst and the rate allow."""

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.pbx.rate_limiter import RateLimit, RateLimiter

LIMITS = st.builds(RateLimit, burst=st.integers(2, 40), per_second=st.floats(0.5, 100), spare=st.integers(0, 1))
# Each is a pause before somebody asks, and whether a backlog does.
REQUESTS = st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=120)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def sent_at(limiter: RateLimiter, clock: Clock, requests: list[tuple[float, bool]]) -> list[float]:
    """Make requests as soon as the limiter lets them; return when each went."""
    times = []
    for pause, is_backlog in requests:
        clock.now += pause
        for _ in range(3):  # rounding may leave a rest, as for a timer that rings early
            clock.now += limiter.wait(is_backlog=is_backlog)
        limiter.take()
        times.append(clock.now)
    return times


@given(limit=LIMITS, requests=REQUESTS)
def test_no_stretch_of_time_has_more_than_burst_and_rate(limit: RateLimit, requests: list[tuple[float, bool]]) -> None:
    """Whatever the requests and pauses are."""
    clock = Clock()
    times = sent_at(RateLimiter(limit, clock), clock, requests)
    for first, began in enumerate(times):
        for last in range(first, len(times)):
            allowed = limit.burst + limit.per_second * (times[last] - began)
            assert last - first + 1 <= allowed + 1e-3


@given(limit=LIMITS, requests=REQUESTS)
def test_nobody_waits_longer_than_the_rate_needs(limit: RateLimit, requests: list[tuple[float, bool]]) -> None:
    """It holds up nobody without need."""
    clock = Clock()
    limiter = RateLimiter(limit, clock)
    for pause, is_backlog in requests:
        clock.now += pause
        assert limiter.wait(is_backlog=is_backlog) <= (1 + limit.spare * is_backlog + 1e-3) / limit.per_second
        sent_at(limiter, clock, [(0, is_backlog)])


def test_a_backlog_leaves_a_part_of_the_burst_to_others() -> None:
    """An alarm goes at once beside a long backlog."""
    clock = Clock()
    limiter = RateLimiter(RateLimit(burst=30, per_second=10, spare=5), clock)
    for _ in range(25):
        assert limiter.wait(is_backlog=True) == 0
        limiter.take()
    assert limiter.wait(is_backlog=True) == pytest.approx(0.1)
    for _ in range(5):
        assert limiter.wait() == 0
        limiter.take()
    assert limiter.wait() == pytest.approx(0.1)
