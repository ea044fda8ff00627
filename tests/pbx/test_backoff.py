"""Waits that grow with the failures, with jitter."""

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.pbx.backoff import Backoff


@given(first=st.floats(0.01, 100), longest=st.floats(0.01, 1000), failures=st.integers(0, 10**6))
def test_a_wait_never_exceeds_its_limit(first: float, longest: float, failures: int) -> None:
    """Whatever the numbers are."""
    assert 0 <= Backoff(first, longest).wait(failures) <= min(longest, first * 2 ** min(failures, 20))


def test_the_limit_doubles_until_the_longest() -> None:
    """The waits grow with the failures, up to the longest."""
    backoff = Backoff(2.0, 60.0, jitter=0)
    assert [backoff.wait(failures) for failures in range(7)] == [2, 4, 8, 16, 32, 60, 60]


def test_the_limit_grows_by_its_factor() -> None:
    """A wait may get long sooner than by doubling, and not longer than the longest."""
    backoff = Backoff(2.0, 60.0, jitter=0, factor=4)
    assert [backoff.wait(failures) for failures in range(5)] == [2, 8, 32, 60, 60]


def test_jitter_is_a_share_of_the_wait() -> None:
    """The rest of the wait is certain."""
    waits = [Backoff(8.0, 8.0, jitter=0.25).wait(0) for _ in range(300)]
    assert 6 <= min(waits) < 6.5
    assert 7.5 < max(waits) <= 8


def test_homes_do_not_wait_in_step() -> None:
    """A thousand homes do not come back to a PBX in one moment."""
    waits = [Backoff(60.0, 60.0).wait(3) for _ in range(1000)]
    assert sum(waits) / len(waits) == pytest.approx(30, abs=5)
    assert len(set(waits)) > 900
