"""Reading lists that the PBX cuts without saying so."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

from ..api.messages import MAX_ROWS

_MOST_PAGES = 10
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


async def read_enough[RowT](
    page: Callable[[int, int], Awaitable[list[RowT]]],
    first: int,
    is_enough: Callable[[list[RowT]], bool],
    time_of: Callable[[RowT], datetime | None],
    since: datetime,
) -> tuple[list[RowT], bool]:
    """Return the first rows of a list where these are enough, else all since a time; and whether none is missing.

    Parameters:
        page: gives up to so many rows, from an offset on.
        first: how many rows to begin with.
        is_enough: whether no more rows are needed.
        time_of: gives a row's time.
        since: older rows may be missing.
    """
    rows = await page(first, 0)
    if len(rows) < first or is_enough(rows):
        return rows, True
    return await read_since(partial(page, MAX_ROWS), time_of, since)


async def read_since[RowT](
    page: Callable[[int], Awaitable[list[RowT]]],
    time_of: Callable[[RowT], datetime | None],
    since: datetime,
    size: int = MAX_ROWS,
) -> tuple[list[RowT], bool]:
    """Return all rows since a time, and whether the list is surely complete.

    Parameters:
        page: gives up to ``size`` rows from an offset on.
        time_of: gives a row's time.
        since: older rows may be missing.
        size: rows a page.
    """
    last = await page(0)
    rows = list(last)
    for number in range(1, _MOST_PAGES):
        if len(last) < size or reaches(rows, time_of, since):
            return rows, True
        last = await page(size * number)
        # What came in between moves rows on to the next page.
        known = set(rows)
        new = [row for row in last if row not in known]
        if len(last) >= size and len(new) < size / 2:
            return rows, False  # it does not know `start`
        rows += new
    return rows, len(last) < size or reaches(rows, time_of, since)


def reaches[RowT](rows: list[RowT], time_of: Callable[[RowT], datetime | None], since: datetime) -> bool:
    """Whether rows that come newest first go back to a time. That they come so is usual, not promised."""
    times = [time_of(row) or _LONG_AGO for row in rows]
    if not times or times[-1] >= since or times[0] == times[-1]:
        return False
    return all(one >= other for one, other in pairwise(times))
