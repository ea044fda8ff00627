"""Lists that are cut without a word."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.netsapiens.api import NetsapiensRequestError
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

    def __init__(
        self,
        all_rows: list[Row],
        *,
        knows_start: bool = True,
        between: list[Row] | None = None,
        most: int = 1000,
        start_refused: int | None = None,
    ) -> None:
        self.rows = all_rows
        self.knows_start = knows_start
        self.between = between or []
        self.most = most
        self.start_refused = start_refused
        self.asked: list[int] = []

    async def page(self, start: int) -> list[Row]:
        self.asked.append(start)
        if start and self.start_refused is not None:
            raise NetsapiensRequestError(self.start_refused)
        first = start if self.knows_start else 0
        answer = self.rows[first : first + self.most]
        self.rows = self.between + self.rows
        return answer

    async def read(self, minutes: int, *, is_thorough: bool = False) -> tuple[list[Row], bool]:
        since = NOW - timedelta(minutes=minutes)
        return await read_since(
            self.page, lambda row: row.time, since, is_thorough=is_thorough, identity=lambda row: row.name
        )


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


@pytest.mark.parametrize(
    ("newest_first", "asked"), [(True, [0]), (False, [0, 100, 121])], ids=["newest first", "oldest first"]
)
async def test_a_page_that_the_pbx_cuts_short(newest_first: bool, asked: list[int]) -> None:
    """It is asked on, unless what it gave goes back far enough."""
    pbx = Pbx(rows(121)[:: 1 if newest_first else -1], most=100)
    found, is_complete = await pbx.read(10, is_thorough=True)
    assert (found, is_complete, pbx.asked) == (pbx.rows[: 100 if newest_first else None], True, asked)


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_a_short_page_that_comes_again_oldest_first(count: int) -> None:
    """What was cut off would be the newest rows, so nobody knows that they are all there."""
    pbx = Pbx(rows(150)[::-1], knows_start=False, most=count)
    found, is_complete = await pbx.read(10_000, is_thorough=True)
    assert (len(found), is_complete) == (count, count == 1)


@pytest.mark.parametrize("between", [0, 1])
@pytest.mark.parametrize("count", [1, 100])
async def test_a_short_page_that_comes_again(count: int, between: int) -> None:
    """So it does from a PBX that does not know `start`; each row counts once, whatever else of it has changed."""
    pbx = Pbx(rows(count), knows_start=False, between=[Row("new", NOW + timedelta(minutes=1))] * between)
    found, is_complete = await pbx.read(10_000, is_thorough=True)
    assert is_complete
    assert len({row.name for row in found}) == len(found) == count + between


@pytest.mark.parametrize("count", [100, 1000])
async def test_start_is_refused(count: int) -> None:
    """A short page is the whole list then; of a full one that is not known."""
    pbx = Pbx(rows(count), start_refused=400)
    if count < 1000:
        assert await pbx.read(10_000, is_thorough=True) == (pbx.rows, True)
    else:
        with pytest.raises(NetsapiensRequestError):
            await pbx.read(10_000, is_thorough=True)


async def test_a_short_page_that_comes_again_in_no_known_order() -> None:
    """Rows of one second, or without times, do not say which of them is the newest."""
    for time in (NOW, None):
        pbx = Pbx([Row("one", time), Row("two", time)], knows_start=False)
        assert not (await pbx.read(10_000, is_thorough=True))[1]


async def test_start_is_refused_oldest_first() -> None:
    """Then the newest may be missing."""
    pbx = Pbx(rows(150)[::-1], most=100, start_refused=400)
    assert await pbx.read(10_000, is_thorough=True) == (pbx.rows[:100], False)


async def test_a_further_page_that_the_login_may_not_read() -> None:
    """That says nothing of the list."""
    with pytest.raises(NetsapiensRequestError):
        await Pbx(rows(1), start_refused=401).read(10_000, is_thorough=True)


def test_reaches() -> None:
    """Whether a list goes back far enough is known by its oldest row, in the order that counts."""
    since = NOW - timedelta(minutes=5)
    assert not reaches([], lambda row: row.time, since)
    assert not reaches(rows(5), lambda row: row.time, since)
    assert reaches(rows(10), lambda row: row.time, since)
    assert not reaches(rows(10)[::-1], lambda row: row.time, since)
    same = [Row(str(number), NOW - timedelta(minutes=9)) for number in range(3)]
    assert not reaches(same, lambda row: row.time, since)  # in whatever order they are
