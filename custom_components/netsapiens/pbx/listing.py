"""Reading lists that the PBX cuts without saying so."""

from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from itertools import pairwise

from ..api import NetsapiensRequestError
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
    *,
    is_thorough: bool = False,
    identity: Callable[[RowT], Hashable] = lambda row: row,
) -> tuple[list[RowT], bool]:
    """Return all rows since a time, and whether the list is surely complete.

    Parameters:
        page: gives up to ``size`` rows from an offset on.
        time_of: gives a row's time.
        since: older rows may be missing.
        size: rows a page.
        is_thorough: whether to ask on after a short page as well: some PBXs cut them shorter than they were asked to.
        identity: gives what makes a row the same where it is listed once more.
    """
    last = await page(0)
    rows = list(last)
    cut_from = 1 if is_thorough else size  # rows of a page that may not be the last one
    for _ in range(1, _MOST_PAGES):
        if len(last) < cut_from or reaches(rows, time_of, since):
            return rows, True
        try:
            last = await page(len(rows))
        except NetsapiensRequestError as err:
            if len(last) >= size or err.status != HTTPStatus.BAD_REQUEST:
                raise
            return rows, _is_newest_first(last, time_of)  # it does not know `start`, either
        # What came in between moves rows on to the next page.
        known = {identity(row) for row in rows}
        new = [row for row in last if identity(row) not in known]
        if len(last) >= size and len(new) < size / 2:
            return rows, False  # it does not know `start`
        if not new:  # the list has ended, or it comes again: where it was cut, the newest may be missing
            return rows, _is_newest_first(last, time_of)
        rows += new
    return rows, len(last) < cut_from or reaches(rows, time_of, since)


def reaches[RowT](rows: list[RowT], time_of: Callable[[RowT], datetime | None], since: datetime) -> bool:
    """Whether rows that come newest first go back to a time. That they come so is usual, not promised."""
    oldest = time_of(rows[-1]) or _LONG_AGO if len(rows) > 1 else since
    return oldest < since and _is_newest_first(rows, time_of)


def _is_newest_first[RowT](rows: list[RowT], time_of: Callable[[RowT], datetime | None]) -> bool:
    """Whether the newest row is known for the first one: no other follows a newer one, and not all have one time."""
    times = [time_of(row) or _LONG_AGO for row in rows]
    return len(times) < 2 or (times[0] > times[-1] and all(one >= other for one, other in pairwise(times)))  # noqa: PLR2004
