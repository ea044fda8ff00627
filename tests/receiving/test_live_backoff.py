"""When homes come back to a live server: not together, by the waits that are used in life."""

from collections import Counter
from collections.abc import Callable, Iterator
import random

import pytest

from custom_components.netsapiens.receiving.live_backoff import LiveBackoff
from custom_components.netsapiens.receiving.timing import LiveTiming

HOMES = 10_000
TIMING = LiveTiming()


@pytest.fixture(autouse=True)
def _dice() -> Iterator[None]:
    """Throw the same dice each time."""
    before = random.getstate()
    random.seed(15)
    yield
    random.setstate(before)


def attempts(first: Callable[[LiveBackoff], float], away: float) -> list[list[float]]:
    """When each home tries, in seconds after a restart began, until the server is back.

    Parameters:
        first: the first wait of a home.
        away: how long the restart takes.
    """
    homes = []
    for _ in range(HOMES):
        backoff = LiveBackoff(TIMING)
        tries = [first(backoff)]
        while tries[-1] < away:
            tries.append(tries[-1] + backoff.failed())
        homes.append(tries)
    return homes


@pytest.mark.parametrize("away", [0.0, 20.0, 90.0, 600.0])
@pytest.mark.parametrize("was_steady", [True, False])
def test_ten_thousand_homes_after_a_restart(away: float, was_steady: bool) -> None:
    """No second has more than a twentieth of the attempts of all homes, however long the restart takes."""
    homes = attempts(LiveBackoff.lost if was_steady else LiveBackoff.failed, away)
    seconds = Counter(int(at) for tries in homes for at in tries)
    assert max(seconds.values()) <= HOMES / 20
    back = [tries[-1] for tries in homes]
    assert max(back) - min(back) >= (59 if was_steady else 29)
    assert max(back) <= 4 * away + 60  # and nobody waits for long


def test_a_lost_connection_is_back_within_a_minute() -> None:
    """Who had a connection is back at any moment of the minute that follows, half of them within 30 seconds."""
    waits = [LiveBackoff(TIMING).lost() for _ in range(HOMES)]
    assert 0 <= min(waits) <= max(waits) <= 60
    assert 0.48 < sum(wait < 30 for wait in waits) / HOMES < 0.52


def test_failures_double_the_wait_up_to_an_hour() -> None:
    """The first new attempt comes after 30 seconds in the mean; after many failures it is an hour at the most."""
    backoffs = [LiveBackoff(TIMING) for _ in range(HOMES)]
    means = [sum(backoff.failed() for backoff in backoffs) / HOMES for _ in range(10)]
    assert means[:4] == pytest.approx([30, 60, 120, 240], rel=0.02)
    assert means[-1] == pytest.approx(2400, rel=0.02)
    assert max(backoff.failed() for backoff in backoffs) <= 3600


def test_a_good_connection_ends_a_row_of_failures() -> None:
    """After a connection that lasted, and at another address, the waits are short again."""
    backoff = LiveBackoff(TIMING)
    for start_anew in (backoff.lost, backoff.reset, backoff.deaf):
        for _ in range(8):
            backoff.failed()
        assert backoff.failed() > 45
        start_anew()
        assert backoff.failed() <= 45


def test_a_deaf_one_is_tried_again_after_a_day() -> None:
    """A day and up to a tenth of it, so that homes do not come together."""
    waits = [LiveBackoff(TIMING).deaf() for _ in range(HOMES)]
    assert 86_400 <= min(waits) < max(waits) <= 95_040
    assert max(waits) - min(waits) > 8_000
