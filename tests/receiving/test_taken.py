"""Whether a text came in after the PBX took a question."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.receiving.received import ListedBetween, ReceivedMessage
from custom_components.netsapiens.receiving.taken import Taken, came_after, is_listed_before

NOON = datetime(2026, 11, 27, 12, 0, 0, 700_000, UTC)
QUESTION = Taken("Close it?", NOON, 100.0, NOON + timedelta(seconds=0.3), 0.0)


def text(seconds: float, before: str = "", after: str = "", read_at: float = 110.0, *, listed: bool = True) -> Any:
    """Return a text that the PBX lists so many seconds after noon."""
    between = ListedBetween((before,) if before else (), (after,) if after else (), read_at)
    at = NOON.replace(microsecond=0) + timedelta(seconds=seconds)
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


def test_listed_before() -> None:
    """Only an order that says so is taken for one."""
    assert is_listed_before("Close it?", text(0, before="Close it?"))
    assert not is_listed_before("Close it?", text(0))
    assert not is_listed_before("Close it?", text(0, before="Close it?", after="Close it?"))
    assert not is_listed_before("Close it?", text(0, listed=False))
