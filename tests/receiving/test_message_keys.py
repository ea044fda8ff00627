"""What messages are known by: the same whenever they are read, and each its own."""

from copy import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.api import Message
from custom_components.netsapiens.receiving.message_keys import MessageKeys

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PAGE = 100


def listed(ages: list[timedelta], row_id: str | None = None) -> list[Message]:
    """Return equal messages as a PBX lists them that gives times without a zone, oldest first."""
    return [
        Message.from_row(
            {"id": row_id, "type": "sms", "text": "OK", "timestamp": (NOW - age).strftime("%Y-%m-%d %H:%M:%S")}
        )
        for age in ages
    ]


def keys_of(rows: list[Message]) -> list[str]:
    """Return what the messages of a page are known by."""
    keys = MessageKeys("session")
    return [keys.next(row) for row in rows]


@pytest.mark.parametrize("minutes", [15, 60, 24 * 60])
def test_equal_texts_without_ids_are_each_their_own(minutes: int) -> None:
    """Also where there are more of them than a page has, each at the same second of a quarter of an hour."""
    rows = listed([timedelta(minutes=minutes * number) for number in range(PAGE + 5, 0, -1)])
    pages = [rows[start : start + PAGE] for start in range(6)]
    known = dict(zip(rows, keys_of(rows), strict=True))
    assert len(set(known.values())) == len(rows)
    for page in pages:
        assert keys_of(page) == [known[row] for row in page]


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(-56, 56), st.sampled_from([None, "7"]))
def test_the_zone_of_bare_times_becomes_known(ages: list[int], quarters: int, row_id: str | None) -> None:
    """That changes no key, whether there are ids or not, and equal ones of one second differ."""
    rows = listed([timedelta(seconds=age) for age in sorted(ages, reverse=True)], row_id)
    zone = timedelta(minutes=15 * quarters)
    corrected = [replace(row, time=row.time - zone) for row in rows if row.time is not None]
    assert keys_of(rows) == keys_of(corrected)
    assert len(set(keys_of(rows))) == len(rows)
