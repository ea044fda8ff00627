"""Whether a text came in after the PBX took a question."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.receiving.received import ListedBetween, OurText, ReceivedMessage
from custom_components.netsapiens.receiving.taken import Taken, came_after, is_listed_after

NOON = datetime(2026, 11, 27, 12, 0, 0, 700_000, UTC)
QUESTION = Taken("Close it?", NOON, 100.0, NOON + timedelta(seconds=0.3), 0.0)


def text(
    seconds: float,
    before: str = "",
    after: str = "",
    read_at: float = 110.0,
    *,
    ours: float | None = None,
    listed: bool = True,
) -> Any:
    """Return a text that the PBX lists so many seconds after noon, next to texts of ours of that or a given time."""
    at = NOON.replace(microsecond=0) + timedelta(seconds=seconds)
    ours_at = at if ours is None else NOON.replace(microsecond=0) + timedelta(seconds=ours)
    before_it, after_it = [(OurText(one, ours_at),) if one else () for one in (before, after)]
    between = ListedBetween(before_it, after_it, read_at)
    return ReceivedMessage("1", "1", "2", "sms", "s", None, at, (), None, None, listed=between if listed else None)


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (text(60), True),
        (text(60, after="Close it?"), True),  # the same question once more
        (text(-60), False),
        (text(-60, before="Close it?"), False),  # the same question before
        (text(0), True),  # in another conversation, within the second
        (text(0, before="Close it? "), True),
        (text(0, after="Close it?"), False),
        (text(0, before="Close it?", after="Close it?"), False),
        (text(1, after="Something else"), True),
        (text(-2, before="Close it?"), True),  # by a clock that is behind
        (text(-2, before="Close it?", ours=-10), False),  # the same question before
        (text(2, before="Close it?", ours=-10), True),
        (text(-3), False),
        (text(0, listed=False), True),
        (text(60, read_at=99.0), False),  # it was listed before the question was sent
    ],
)
def test_close_to_the_moment_the_order_decides(received: ReceivedMessage, expected: bool) -> None:
    """Before and after by time; within seconds by the PBX's own order."""
    assert came_after(QUESTION, received, 0.0) is expected


def test_a_queued_question_was_taken_by_its_last_attempt() -> None:
    """What came while it was queued is no answer."""
    queued = Taken("Close it?", NOON, 100.0, NOON + timedelta(hours=1), 0.0)
    assert not came_after(queued, text(1800), 0.0)
    assert came_after(queued, text(3590, before="Close it?"), 0.0)


@given(st.floats(-7200, 7200))
def test_a_clock_that_was_set_changes_nothing(jump: float) -> None:
    """Where the PBX's clock is set while a question waits, its texts are as late as they were."""
    for seconds in (-60, 60):
        assert came_after(QUESTION, text(seconds + jump), jump) is (seconds > 0)


def test_listed_after() -> None:
    """Only an order that says so is taken for one."""
    assert is_listed_after(QUESTION, text(0, before="Close it?"), 0.0)
    assert not is_listed_after(QUESTION, text(0), 0.0)
    assert not is_listed_after(QUESTION, text(0, before="Close it?", after="Close it?"), 0.0)
    assert not is_listed_after(QUESTION, text(0, listed=False), 0.0)


@pytest.mark.parametrize("seconds", [-60, 0, 60])
def test_the_same_question_before_is_another_one(seconds: float) -> None:
    """While this one is sent, a text may still answer the one before."""
    assert not is_listed_after(QUESTION, text(seconds, before="Close it?", ours=-60), 0.0)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_the_same_question_before_a_clock_was_set(jump: float) -> None:
    """It is not taken for this one, whichever way the PBX's clock was set while this one is sent."""
    assert not is_listed_after(QUESTION, text(60 + jump, before="Close it?", ours=-60), jump)
    assert not is_listed_after(QUESTION, text(60 + jump, before="Close it?", ours=-60 + jump), jump)
    assert not came_after(QUESTION, text(jump, after="Close it?"), jump)
