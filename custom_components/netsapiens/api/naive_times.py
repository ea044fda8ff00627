"""The time zone of naive times: those that the PBX lists without one.

A core's clock is UTC, but not every PBX lists naive times in it. A conversation's row gives the time of its last
message with an offset from UTC; where the naive time of that message differs by a multiple of 15 minutes, that is the
zone's offset. Where that row's time is naive too, the PBX's clock tells: what changed since the list was read before
came in since then, so that only one zone may fit.
"""

from collections.abc import Mapping, Sequence
from copy import replace
from datetime import datetime, timedelta
import logging
from math import ceil, floor
from typing import NamedTuple

from .clock import PbxClock
from .models import Message, MessageSession
from .values import same_number

_LOGGER = logging.getLogger(__name__)

_UTC = timedelta(0)
ZONE_STEP = timedelta(minutes=15)
FURTHEST_ZONE = timedelta(hours=14)  # from UTC
_NEAR = timedelta(seconds=2)
_ENOUGH = 2  # messages that agree
_SUMMER = timedelta(hours=1)  # by which a zone changes
_LAG = timedelta(minutes=1)  # by which a message may be listed late
_AHEAD = timedelta(seconds=15)  # by which the PBX's clock may be ahead of what we know of it
_MOST_CONVERSATIONS = 5000


class _Last(NamedTuple):
    """A conversation's last message, as the list of conversations shows it."""

    time: datetime
    text: int  # its hash: texts need not be kept
    sender: str

    def is_of(self, row: Message) -> bool:
        """Whether a row may be that message."""
        return hash(row.text) == self.text and self._may_be_from(row)

    def _may_be_from(self, row: Message) -> bool:
        """Whether a row's sender may be this one: it may be empty, or a user without the domain."""
        user = self.sender.partition("@")[0]
        return user in {"", row.from_user_id.partition("@")[0]} or same_number(self.sender, row.from_number)


class _List(NamedTuple):
    """A list of conversations: when it was read (monotonic), their naive times, and the latest of these."""

    at: float
    times: Mapping[str, datetime]
    latest: datetime | None


class NaiveTimes:
    """Learns the zone of naive times, and puts them into UTC.

    Parameters:
        clock: the PBX's.

    Attributes:
        offset: what naive times are ahead of UTC; negative where they are behind.
        is_confirmed: whether several messages agreed on that.
    """

    def __init__(self, clock: PbxClock) -> None:
        self._clock = clock
        self.offset = _UTC
        self.is_confirmed = False
        self._is_restored = False
        self._lists: dict[str | None, _List] = {}  # each user's, as it was read last
        self._last: dict[str, _Last] = {}
        self._own: dict[str, timedelta] = {}  # what a conversation's own last message showed
        self._evidence: list[tuple[tuple[str, datetime], timedelta]] = []  # by the newest messages

    @property
    def zone(self) -> timedelta | None:
        """What naive times are ahead of UTC; None where it is not known."""
        return self.offset if self.is_confirmed or self._is_restored else None

    def knows_zone_of(self, session_id: str) -> bool:
        """Whether it is known in which zone a conversation's naive times are."""
        return self.zone is not None or session_id in self._own

    def restore(self, zone: timedelta) -> None:
        """Begin with the zone that was known before a restart, which is to be confirmed again: it may have changed."""
        if self.zone is None:
            self.offset, self._is_restored = zone, True

    def learn(
        self, sessions: list[MessageSession], user: str | None = None, *, is_whole_page: bool = False
    ) -> list[MessageSession]:
        """Return conversations with their times in UTC; remember when each had its last message.

        Parameters:
            sessions: the conversations.
            user: whose they are; None for the login's own.
            is_whole_page: whether they are the first page of the list, of the usual length.
        """
        if max(len(self._last), len(self._own)) > _MOST_CONVERSATIONS:
            self._last.clear()
            self._own.clear()
        for session in sessions:
            if session.last_time is not None and not session.is_bare:
                self._last[session.id] = _Last(session.last_time, hash(session.last_message), session.last_sender)
        if is_whole_page:
            self._learn_from_changes(user, sessions)
        return [row if row.bare_time is None else self._in_utc(row, row.bare_time) for row in sessions]

    def _in_utc(self, row: MessageSession, time: datetime) -> MessageSession:
        """Return a conversation with its naive time in UTC, where its zone is known."""
        zone = self._own.get(row.id, self.zone)
        return row if zone is None else replace(row, last_time=_earlier(time, zone), is_bare=False)

    def _learn_from_changes(self, user: str | None, sessions: Sequence[MessageSession]) -> None:
        """Learn from the conversations that changed since a user's list was read before."""
        before = self._lists.pop(user, None)
        if not self._clock.is_settled or self._clock.is_doubted:
            return
        times = {row.id: row.bare_time for row in sessions if row.bare_time is not None}
        if sessions and not times:
            return
        at, now = self._clock.monotonic(), self._clock.now()
        self._lists[user] = _List(at, times, max(times.values(), default=None))
        if before is None:
            return
        since = now - timedelta(seconds=at - before.at) - _LAG
        for session_id, time in times.items():
            if before.times.get(session_id) == time:
                continue
            found = self._zone_between(time - now - _AHEAD, time - since)
            if found is not None and self._is_plausible(time, found, before.latest):
                self._own[session_id] = found
                self._note((session_id, time - found), found)

    def _zone_between(self, least: timedelta, most: timedelta) -> timedelta | None:
        """Return the one zone within bounds, or the one that is known where that is; None where several may be it."""
        if self.zone is not None and least <= self.zone <= most:
            return self.zone
        first, last = ceil(max(least, -FURTHEST_ZONE) / ZONE_STEP), floor(min(most, FURTHEST_ZONE) / ZONE_STEP)
        return first * ZONE_STEP if first == last else None

    def _is_plausible(self, time: datetime, found: timedelta, latest: datetime | None) -> bool:
        """Whether a change shows a message that came in, and not an old one that is the last again.

        Its time is about the latest of all, or a zone's summer began or ended.
        """
        is_latest = latest is None or time > latest - _LAG
        return is_latest or (self.zone is not None and abs(found - self.zone) <= _SUMMER)

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
    zone = round(ahead / ZONE_STEP) * ZONE_STEP
    return zone if abs(ahead - zone) <= _NEAR and abs(zone) <= FURTHEST_ZONE else None


def in_hours(offset: timedelta) -> str:
    """Return an offset as ``+05:45``."""
    hours, minutes = divmod(round(abs(offset) / timedelta(minutes=1)), 60)
    return f"{'-' if offset < _UTC else '+'}{hours:02}:{minutes:02}"
