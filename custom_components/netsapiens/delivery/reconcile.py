"""Was it accepted? The PBX's own lists say so where its answer was lost.

The API has no key that would make a second attempt harmless. So the duplicates in the conversation are counted: one
more than we know of means that ours is among them. Of media every message counts, whatever its text: some a PBX lists
without the words that stand beside them.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from copy import replace
from datetime import datetime, timedelta
from functools import partial
import time
from typing import NamedTuple

from homeassistant.core import HomeAssistant

from ..api import MessageAPI, NetsapiensError, NetsapiensRequestError, NetsapiensServerError
from ..api.messages import MAX_ROWS
from ..api.models import Account, Message, MessageSession
from ..listed_text import text_key
from ..outgoing import OutgoingMessage
from ..participants import others_among
from ..pbx.fair_queue import READING
from ..pbx.listing import read_since
from ..pbx.throttle import Throttle
from ..phone import is_same_number
from ..phone_metadata import async_load_metadata

_NEAR = 10.0  # seconds; a duplicate that ended longer ago is surely before the next one's count
_ZONES = timedelta(hours=15)  # by which times in an unknown zone may be off, and some
_MANY = 10**9  # more duplicates than there can be: the count goes through every conversation


def ordering_keys(message: OutgoingMessage) -> tuple[str, str]:
    """Return where duplicates of a message may be: its conversation, and any of the same sender and destinations."""
    return f"s:{message.messagesession}", f"p:{message.from_number}:{','.join(sorted(message.destination))}"


class Fingerprint(NamedTuple):
    """What is asked of a message again and again, so that its duplicates are found.

    Attributes:
        keys: its ordering keys: where its duplicates may be.
        likeness: what it has in common with them: the text, and whether it is media, of which no text is.
    """

    keys: tuple[str, str]
    likeness: tuple[str, bool]

    @property
    def is_media(self) -> bool:
        """Whether it is media."""
        return self.likeness[1]


def fingerprint_of(message: OutgoingMessage) -> Fingerprint:
    """Return what finds the duplicates of a message."""
    likeness = ("", True) if message.media is not None else (text_key(message.text), False)
    return Fingerprint(ordering_keys(message), likeness)


class Baseline(NamedTuple):
    """What tells an unconfirmed message from its duplicates.

    Attributes:
        since: by the PBX's clock; only messages from then on count.
        known: how many of its duplicates since then are other messages of ours.
        texts: the keys of our recent texts without media, which are no media however they are listed; for media only.
    """

    since: datetime
    known: int
    texts: frozenset[str] = frozenset()


class _Past(NamedTuple):
    """A message of ours that ended: when (monotonic), what finds it, and its baseline."""

    end: float
    fingerprint: Fingerprint
    baseline: Baseline
    accepted: bool


class RecentSends:
    """The messages of an account that ended lately; outlives a reload of the account.

    Parameters:
        slack: seconds that the clocks of one PBX's servers may differ.
    """

    def __init__(self, slack: float) -> None:
        self._slack = slack
        self._past: deque[_Past] = deque()
        self._duplicates: dict[tuple[str, bool], deque[_Past]] = {}  # the same, by what duplicates have in common
        self._began = time.monotonic()

    def remember(self, message: Fingerprint, baseline: Baseline, *, accepted: bool) -> None:
        """Remember a message that the PBX took, or may have taken.

        Parameters:
            message: which.
            baseline: what distinguished it from its duplicates.
            accepted: False where it is not known.
        """
        now = time.monotonic()
        while self._past and self._past[0].end < now - _NEAR:
            likeness = self._past.popleft().fingerprint.likeness
            self._duplicates[likeness].popleft()
            if not self._duplicates[likeness]:
                del self._duplicates[likeness]
        past = _Past(now, message, baseline, accepted)
        self._past.append(past)
        self._duplicates.setdefault(message.likeness, deque()).append(past)

    def is_certain(self, message: Fingerprint) -> bool:
        """Whether ``baseline`` counts all duplicates of a message, so that the PBX need not be asked."""
        past = self._last_duplicate(message, time.monotonic())
        return past is None or past.accepted

    def baseline(self, message: Fingerprint, pbx_now: datetime) -> Baseline:
        """Return the baseline of a message that is about to be sent.

        A duplicate that ended a moment ago may be seen beside it, or not, since lists give times to the second. So the
        count begins where it began for that one, with that one among the known. Else it begins a moment ago.
        """
        now = time.monotonic()
        texts = self._texts(message, now) if message.is_media else frozenset()
        if (past := self._last_duplicate(message, now)) is not None:
            texts |= past.baseline.texts  # since the count began
            return Baseline(past.baseline.since, past.baseline.known + past.accepted, texts)
        # Never before this process began: what the last one sent is not known any more.
        since = pbx_now - timedelta(seconds=min(self._slack, now - self._began))
        return Baseline(since.replace(microsecond=0), 0, texts)

    def _last_duplicate(self, message: Fingerprint, now: float) -> _Past | None:
        """Return the last duplicate of a message that ended a moment ago; None where there is none."""
        for past in reversed(self._duplicates.get(message.likeness, ())):
            if past.end < now - _NEAR:
                return None
            if _meet(message, past.fingerprint):
                return past
        return None

    def _texts(self, message: Fingerprint, now: float) -> frozenset[str]:
        """Return the keys of the texts without media that ended a moment ago where a message's duplicates may be."""
        near = [past.fingerprint for past in self._past if past.end >= now - _NEAR]
        found = [one.likeness for one in near if _meet(message, one)]
        return frozenset(text for text, is_media in found if text and not is_media)


def _meet(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two messages may be in one conversation: they have an ordering key in common."""
    return one.keys[0] == other.keys[0] or one.keys[1] == other.keys[1]


class Reconciler:
    """Counts the duplicates of a message in what the PBX lists (GET …/messagesessions and …/messages).

    Parameters:
        api: the account's messages.
        throttle: lets each request through.
        account: who we are.
    """

    def __init__(
        self, hass: HomeAssistant, api: MessageAPI, throttle: Throttle, account: Callable[[], Account]
    ) -> None:
        self._hass = hass
        self._api = api
        self._throttle = throttle
        self._account = account

    async def baseline(self, message: OutgoingMessage, since: datetime, caller: Hashable = READING) -> Baseline:
        """Return the baseline of a message that is about to be sent, where only the PBX knows its duplicates.

        Parameters:
            message: which.
            since: when to begin, by the PBX's clock.
            caller: as ``count``.

        Raises:
            NetsapiensError: as ``count``.
        """
        return Baseline(since, await self.count(message, Baseline(since, _MANY), caller))

    async def count(self, message: OutgoingMessage, baseline: Baseline, caller: Hashable = READING) -> int:
        """Return how many duplicates of a message the PBX lists, in its conversation and where else it may have put it.

        Parameters:
            message: which.
            baseline: what distinguishes it from them.
            caller: who takes the turns at the rate limiter.

        Raises:
            NetsapiensError: the PBX could not be asked, or its answer does not say.
        """
        await async_load_metadata(self._hass)  # numbers are compared
        others: list[MessageSession] | None = None
        if not self._api.knows_zone:
            with suppress(NetsapiensError):  # the list of conversations only says in which zone the messages' times are
                others = await self._other_sessions(message, baseline, caller)
        found = await self._count_in(message.messagesession, message, baseline, caller)
        if found > baseline.known:
            return found
        for session in await self._other_sessions(message, baseline, caller) if others is None else others:
            found += await self._count_in(session.id, message, baseline, caller)
        return found

    async def _count_in(self, session_id: str, message: OutgoingMessage, baseline: Baseline, caller: Hashable) -> int:
        """Return how many duplicates one conversation holds. One that does not exist holds none."""
        try:
            rows = await _complete(
                lambda start: self._throttle.run(
                    lambda: self._api.get_messages(session_id, limit=MAX_ROWS, start=start, user=message.owner),
                    caller,
                ),
                lambda row: row.time,
                baseline.since,
                lambda row: replace(row, media_url=""),  # a link that is made anew each time
            )
        except NetsapiensRequestError as err:
            if err.no_record:
                return 0
            raise
        knows_zone = self._api.knows_zone_of(session_id)
        return sum(self._is_duplicate(row, message, baseline, knows_zone=knows_zone) for row in rows)

    def _is_duplicate(self, row: Message, message: OutgoingMessage, baseline: Baseline, *, knows_zone: bool) -> bool:
        """Whether a row may be the message."""
        is_same = partial(is_same_number, region=self._hass.config.country)
        if not _is_alike(row, message, baseline) or not row.is_outbound(self._account(), message.from_number, is_same):
            return False
        if row.time is None:
            raise NetsapiensServerError("the PBX lists a message without its time")
        if row.bare_time is not None and not knows_zone and baseline.since - _ZONES <= row.time < baseline.since:
            raise NetsapiensServerError("the PBX lists a message with a time of an unknown zone")
        return row.time >= baseline.since

    async def _other_sessions(
        self, message: OutgoingMessage, baseline: Baseline, caller: Hashable
    ) -> list[MessageSession]:
        """Return the other conversations that it may have been filed under."""
        sessions = await _complete(
            lambda start: self._throttle.run(
                lambda: self._api.get_messagesessions(limit=MAX_ROWS, start=start, user=message.owner),
                caller,
            ),
            lambda session: session.last_time,
            baseline.since,
            lambda session: session.id,
        )
        return [
            session
            for session in sessions
            if session.id
            and session.id != message.messagesession
            and (session.last_time is None or session.last_time >= baseline.since)
            and _same_party(session, message, self._account(), self._hass.config.country)
        ]


def _is_alike(row: Message, message: OutgoingMessage, baseline: Baseline) -> bool:
    """Whether a row may be the message by its kind and text."""
    text, own, has_media = text_key(row.text), text_key(message.text), bool(row.media_type or row.media_url)
    if message.media is None:
        return not has_media and text == own
    # Media may be listed without a word of what it is. So may be a group's text, which many a PBX makes an MMS.
    return has_media or (row.is_media_kind and (text == own or text not in baseline.texts))


def _same_party(session: MessageSession, message: OutgoingMessage, account: Account, region: str | None) -> bool:
    """Whether a conversation may be between the message's sender and its destinations: some rows lack our number."""
    ours, sender = session.sms_number, message.from_number
    if sender is not None and ours and not is_same_number(ours, sender, region):
        return False
    listed = session.remotes or session.participants
    others = others_among(listed, sender, account, region, is_chat=sender is None) or listed  # one may text oneself
    if len(others) != len(message.destination):
        return False
    return all(any(_same_remote(other, destination, region) for other in others) for destination in message.destination)


def _same_remote(remote: str, destination: str, region: str | None) -> bool:
    """Whether the PBX's name for the other end is a destination: a number, or an extension with its domain."""
    return remote.partition("@")[0] == destination.partition("@")[0] or is_same_number(remote, destination, region)


async def _complete[RowT](
    page: Callable[[int], Awaitable[list[RowT]]],
    time_of: Callable[[RowT], datetime | None],
    since: datetime,
    identity: Callable[[RowT], Hashable],
) -> list[RowT]:
    """Return all rows since a time.

    Raises:
        NetsapiensServerError: not all of them could be had.
    """
    rows, complete = await read_since(page, time_of, since, is_thorough=True, identity=identity)
    if not complete:
        raise NetsapiensServerError("the list is too long to be read to its end")
    return rows
