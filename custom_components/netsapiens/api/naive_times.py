"""The time zone of naive times: those that the PBX lists without one.

A core's clock is UTC, but not every PBX lists naive times in it. A conversation's row gives the time of its last
message with an offset from UTC; where the naive time of that message differs by a multiple of 15 minutes, that is the
zone's offset.
"""

from collections.abc import Sequence
from copy import replace
from datetime import datetime, timedelta
import logging
from typing import NamedTuple

from .models import Message, MessageSession, same_number

_LOGGER = logging.getLogger(__name__)

_UTC = timedelta(0)
_QUARTER = timedelta(minutes=15)
_MOST = timedelta(hours=14)  # there is no zone further from UTC
_NEAR = timedelta(seconds=2)
_ENOUGH = 2  # messages that agree
_MOST_CONVERSATIONS = 5000


class _Last(NamedTuple):
    """A conversation's last message, as the list of conversations shows it."""

    time: datetime
    text: int  # its hash: texts need not be kept
    sender: str

    def is_of(self, row: Message) -> bool:
        """Whether a row may be that message."""
        by = self.sender in {row.from_user_id, row.from_number} or same_number(self.sender, row.from_number)
        return by and hash(row.text) == self.text


class NaiveTimes:
    """Learns the zone of naive times, and puts them into UTC.

    Attributes:
        offset: what naive times are ahead of UTC; negative where they are behind.
        is_confirmed: whether several messages agreed on that.
    """

    def __init__(self) -> None:
        self.offset = _UTC
        self.is_confirmed = False
        self._last: dict[str, _Last] = {}
        self._own: dict[str, timedelta] = {}  # what a conversation's own last message showed
        self._evidence: list[tuple[tuple[str, datetime], timedelta]] = []  # by the newest messages

    def learn(self, sessions: list[MessageSession]) -> list[MessageSession]:
        """Return conversations with their times in UTC; remember when each had its last message."""
        if len(self._last) > _MOST_CONVERSATIONS:
            self._last.clear()
            self._own.clear()
        for session in sessions:
            if session.last_time is not None and not session.is_bare:
                self._last[session.id] = _Last(session.last_time, hash(session.last_message), session.last_sender)
        if not self.offset:
            return sessions
        return [
            replace(row, last_time=_earlier(row.last_time, self.offset)) if row.is_bare and row.last_time else row
            for row in sessions
        ]

    def corrected(self, session_id: str, rows: list[Message], *, is_first_page: bool) -> list[Message]:
        """Return a conversation's messages with their times in UTC.

        Parameters:
            session_id: the conversation's id.
            rows: its messages as listed.
            is_first_page: whether the newest are among them, from which the zone can be learned.
        """
        if is_first_page and (found := self._learn(session_id, rows)) is not None:
            self._own[session_id] = found
        offset = self._own.get(session_id, self.offset)
        if not offset:
            return rows
        return [row if row.bare_time is None else replace(row, time=_earlier(row.bare_time, offset)) for row in rows]

    def _learn(self, session_id: str, rows: Sequence[Message]) -> timedelta | None:
        """Return what naive times are ahead of UTC by a conversation's last message; None where it does not show it."""
        last = self._last.get(session_id)
        times = [(row, row.bare_time) for row in rows if row.bare_time is not None]
        if last is None or not times:
            return None
        found: timedelta | None = None
        # What is known already explains the same text best; else the last message is at one of the list's ends.
        if any(abs(time - last.time - self.offset) <= _NEAR for row, time in times if last.is_of(row)):
            found = self.offset
        else:
            ends = (_in_quarters(time - last.time) for row, time in (times[0], times[-1]) if last.is_of(row))
            ahead = {one for one in ends if one is not None}
            found = ahead.pop() if len(ahead) == 1 else None
        if found is not None:
            self._note((session_id, last.time), found)
        return found

    def _note(self, message: tuple[str, datetime], found: timedelta) -> None:
        """Take over what several messages agree on; a zone's summer ends, too."""
        if (message, found) in self._evidence:
            return
        # The newest messages show the zone of now, in whatever order they are read.
        self._evidence = sorted([*self._evidence, (message, found)], key=lambda one: one[0][1])[-_ENOUGH:]
        if len(self._evidence) < _ENOUGH or {one for _, one in self._evidence} != {found}:
            return
        self.is_confirmed = True
        if found != self.offset:
            self.offset = found
            self._own.clear()
            _LOGGER.info("The PBX lists times without a zone %s from UTC, which is allowed for", in_hours(found))


def _earlier(time: datetime, by: timedelta) -> datetime:
    """Return an earlier time, where there is one."""
    try:
        return time - by
    except OverflowError:
        return time


def _in_quarters(ahead: timedelta) -> timedelta | None:
    """Return a difference that is one of zones; None where it is none."""
    zone = round(ahead / _QUARTER) * _QUARTER
    return zone if abs(ahead - zone) <= _NEAR and abs(zone) <= _MOST else None


def in_hours(offset: timedelta) -> str:
    """Return an offset as ``+05:45``."""
    hours, minutes = divmod(round(abs(offset) / timedelta(minutes=1)), 60)
    return f"{'-' if offset < _UTC else '+'}{hours:02}:{minutes:02}"
