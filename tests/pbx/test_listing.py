"""Lists that are cut without a word."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.netsapiens.pbx.listing import reaches, read_since

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    name: str
    time: datetime | None


def rows(count: int) -> list[Row]:
    """Rows a minute apart, the newest first."""
    return [Row(f"row {number}", NOW - timedelta(minutes=number)) for number in range(count)]


class Pbx:
    """Gives a list in pages of 1,000."""

    def __init__(self, all_rows: list[Row], *, knows_start: bool = True, between: list[Row] | None = None) -> None:
        self.rows = all_rows
        self.knows_start = knows_start
        self.between = between or []
        self.asked: list[int] = []

    async def page(self, start: int) -> list[Row]:
        self.asked.append(start)
        first = start if self.knows_start else 0
        answer = self.rows[first : first + 1000]
        self.rows = self.between + self.rows
        return answer

    async def read(self, minutes: int) -> tuple[list[Row], bool]:
        return await read_since(self.page, lambda row: row.time, NOW - timedelta(minutes=minutes))


@pytest.mark.parametrize("count", [0, 1, 999])
@pytest.mark.parametrize("newest_first", [True, False])
async def test_short_list_is_one_request(count: int, newest_first: bool) -> None:
    """In either order."""
    pbx = Pbx(rows(count)[:: 1 if newest_first else -1])
    found, is_complete = await pbx.read(10)
    assert (len(found), is_complete, pbx.asked) == (count, True, [0])


async def test_newest_first_is_read_as_far_as_needed() -> None:
    """A list in that order need not be read to its end."""
    pbx = Pbx(rows(5000))
    assert (await pbx.read(10))[1]
    assert pbx.asked == [0]
    pbx.asked.clear()
    found, is_complete = await pbx.read(1500)
    assert (len(found), is_complete, pbx.asked) == (2000, True, [0, 1000])


@pytest.mark.parametrize("count", [1000, 1001, 2000, 4321])
async def test_any_other_order_is_read_whole(count: int) -> None:
    """The newest may be anywhere."""
    pbx = Pbx(rows(count)[::-1])
    found, is_complete = await pbx.read(10)
    assert (found, is_complete) == (pbx.rows, True)
    assert pbx.asked == [number * 1000 for number in range(count // 1000 + 1)]


async def test_one_out_of_order_is_no_order() -> None:
    """The last row alone says nothing."""
    shuffled = rows(1500)
    shuffled[3], shuffled[999] = shuffled[999], shuffled[3]
    shuffled[700], shuffled[1400] = shuffled[1400], shuffled[700]
    found, is_complete = await Pbx(shuffled).read(10)
    assert (len(found), is_complete) == (1500, True)


@pytest.mark.parametrize("between", [0, 1, 7])
async def test_start_is_ignored(between: int) -> None:
    """Also where something came in between the pages."""
    new = [Row(f"new {number}", NOW) for number in range(between)]
    pbx = Pbx(rows(1500)[::-1], knows_start=False, between=new)
    found, is_complete = await pbx.read(10)
    assert not is_complete
    assert len(set(found)) == len(found) == 1000
    assert pbx.asked == [0, 1000]


async def test_start_is_ignored_but_it_is_not_needed() -> None:
    """A PBX that knows no pages still gives its first."""
    pbx = Pbx(rows(1500), knows_start=False)
    assert (await pbx.read(10))[1]


async def test_what_moves_to_the_next_page_is_there_once() -> None:
    """A row that a new one pushes on is not listed twice."""
    pbx = Pbx(rows(2500), between=[Row("new", NOW)])
    found, is_complete = await pbx.read(10_000)
    assert is_complete
    assert sorted({row.name for row in found}) == sorted(row.name for row in found)
    assert {row.name for row in found} == {row.name for row in rows(2500)}


async def test_there_is_an_end() -> None:
    """No list is read for ever, and it is said that it was cut."""
    pbx = Pbx(rows(50_000))
    found, is_complete = await pbx.read(100_000)
    assert (len(found), is_complete, len(pbx.asked)) == (10_000, False, 10)


def test_reaches() -> None:
    """Whether a list goes back far enough is known by its oldest row, in the order that counts."""
    since = NOW - timedelta(minutes=5)
    assert not reaches([], lambda row: row.time, since)
    assert not reaches(rows(5), lambda row: row.time, since)
    assert reaches(rows(10), lambda row: row.time, since)
    assert not reaches(rows(10)[::-1], lambda row: row.time, since)
    same = [Row(str(number), NOW - timedelta(minutes=9)) for number in range(3)]
    assert not reaches(same, lambda row: row.time, since)  # in whatever order they are
