"""The one path in: what the PBX lists -> each inbound message once, in order.

The PBX's lists are the truth; a post of the PBX only says that it is time to look. What was seen is kept on disk, so
that what came in while Home Assistant was down is told afterwards, and told once.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import hashlib
import logging
import random

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from .api import Account, Message, MessageAPI, MessageSession, NetsapiensError, NetsapiensRequestError
from .api.messages import MAX_ROWS
from .api.models import number_of, same_number
from .const import CONF_FROM_NUMBER, SUBENTRY_RECIPIENT
from .coordinator import NetsapiensCoordinator
from .listing import reaches, read_since
from .pace import jittered
from .phone import async_load_metadata
from .store import InboxStore, Place

_LOGGER = logging.getLogger(__name__)

POLL_INTERVAL = 30.0  # seconds
PUSHED_INTERVAL = 120.0  # where the PBX says itself when to look, and only a lost post needs to be made up for
_SPREAD = 0.1
_FIRST_WAIT, _LONGEST_WAIT = 4.0, 30.0  # after failures; the gate waits longer where the PBX is away
_WORTH_A_LINE = 5  # failures in a row
_UNAUTHORIZED = 401
_NOT_ITS_DOMAIN = {_UNAUTHORIZED, 403, 404}  # statuses of another user's conversations that the login may not see
_ASK_AGAIN = 1800.0  # seconds, where they are not shown: each 401 costs a token
_LOOKS = (0.0, 1.5, 4.0, 10.0)  # seconds after a post; the lists lag
_PAUSE = 0.3  # seconds between looks, however many posts come

_WINDOW = timedelta(minutes=10)  # a message may show so late
_ACTIVE = timedelta(seconds=60)  # a conversation this fresh may have got another message that looks the same
_OLDEST = timedelta(hours=24)
_LONGEST_AWAY = timedelta(days=30)  # what is older is not even counted
_REMEMBERED = timedelta(hours=2)  # the PBX's clock may be put back by an hour
_SAVE_AT_LEAST = timedelta(minutes=10)
_SAVE_EVERY = 0.25  # seconds, while many are told
_APART = 0.002  # seconds; the state of an event entity is its time, to the millisecond
_FEW = 100  # messages; mostly enough of a conversation
_KINDS = {"sms", "mms", "chat", "chat-media"}  # the PBX's other chat-… kinds are notes on a conversation, not messages


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that came in.

    Attributes:
        text: what it says; may be empty where there is media.
        from_number: digits, mostly with country code; the user of an extension; or the name of a sender that is
            no number.
        to_number: our number, or our extension.
        message_type: ``sms``, ``mms``, ``chat`` or ``chat-media``.
        messagesession: its conversation.
        message_id: the PBX's id; None where it gave none.
        timestamp: by the PBX's clock.
        participants: of a group; empty otherwise.
        media_type: MIME type of what came with it, or None.
        media_url: where that can be fetched for a while, or None.
    """

    text: str
    from_number: str
    to_number: str
    message_type: str
    messagesession: str
    message_id: str | None
    timestamp: datetime
    participants: tuple[str, ...]
    media_type: str | None
    media_url: str | None


type _Signature = tuple[datetime | None, str, str]


@dataclass(frozen=True, slots=True)
class _Found:
    """A message that was not seen before."""

    at: datetime
    key: str
    row: Message
    session: MessageSession
    is_history: bool  # it was there before us


class Inbox:
    """Looks for an account's inbound messages.

    Parameters:
        coordinator: the account.
        store: where the place reached is kept.
        report: called with each message, once.
        report_cut: called with whether the PBX's list of conversations cannot be read whole.
    """

    def __init__(
        self,
        coordinator: NetsapiensCoordinator,
        store: InboxStore,
        report: Callable[[ReceivedMessage], None],
        report_cut: Callable[[bool], None],
    ) -> None:
        self._hass: HomeAssistant = coordinator.hass
        self._coordinator = coordinator
        self._api = MessageAPI(coordinator.api)
        self._store = store
        self._report = report
        self._report_cut = report_cut
        self._place: Place | None = None
        self._saved_at: datetime | None = None
        self._not_saved = False
        self._known: dict[str, _Signature] = {}
        self._history: dict[str, datetime] = {}  # conversations not read at the very first look, and when that was
        self._first_failed: datetime | None = None  # when the very first look began, if it failed
        self._not_shown: dict[str, float] = {}  # users whose conversations are not shown, and when to ask again
        self._newest_first = True
        self._hinted = asyncio.Event()
        self._looks_left: list[float] = []  # when to look again after a post, by the loop's clock
        self._failures = 0
        self._due: set[str] = set()  # the conversations that still have to be read again
        self._unread: set[str] = set()  # the conversations that could not be read at the last look
        self._task: asyncio.Task[None] | None = None
        self._taking: asyncio.Task[None] | None = None
        self.interval = POLL_INTERVAL

    @callback
    def async_start(self) -> None:
        """Look from now on."""
        self._task = self._hass.async_create_background_task(self._run(), "netsapiens inbox", eager_start=False)

    async def async_stop(self) -> None:
        """Stop; what was told is noted first."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._taking is not None:
            await asyncio.wait([self._taking])

    @callback
    def hint(self) -> None:
        """Look at once: something may have come in."""
        now = self._hass.loop.time()
        self._looks_left = [now + after for after in _LOOKS]
        self._hinted.set()

    # --- when to look ----------------------------------------------------------------

    async def _run(self) -> None:
        """Look again and again, one look at a time."""
        if self._place is None:
            self._place = await self._store.async_load()
        await async_load_metadata(self._hass)  # those who are told of a message read its number
        while True:
            self._hinted.clear()
            failure: Exception | None
            try:
                failure = await self._look()
            except NetsapiensError as err:
                self._coordinator.note_failure(err)
                failure = err
            except Exception as err:
                # A fault of ours must not end it: the next look may go well.
                _LOGGER.exception("Unexpected error while looking for messages")
                failure = err
            else:
                self._coordinator.note_success()
            self._count(failure)
            await asyncio.sleep(_PAUSE)
            try:
                async with asyncio.timeout(self._wait()):
                    await self._hinted.wait()
            except TimeoutError:
                pass

    def _count(self, failure: Exception | None) -> None:
        """Count the failures in a row."""
        if failure is None:
            self._failures = 0
            return
        self._failures += 1
        if self._failures == _WORTH_A_LINE:
            _LOGGER.warning("Messages cannot be read, which is tried again: %s", failure)

    def _wait(self) -> float:
        """Return how long to wait for the next look, in seconds; homes must not strike one PBX in step."""
        if self._failures:
            return _FIRST_WAIT / 2 + jittered(_FIRST_WAIT, _LONGEST_WAIT, self._failures - 1)
        now = self._hass.loop.time()
        self._looks_left = [due for due in self._looks_left if due > now]
        if self._looks_left:
            return self._looks_left[0] - now
        return self.interval * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311

    # --- one look --------------------------------------------------------------------

    async def _look(self) -> NetsapiensError | None:
        """Look once: read what changed, and tell of what is new.

        Returns:
            Why some conversations could not be read, if so; they will be at the next look.

        Raises:
            NetsapiensError: the list of conversations could not be read.
        """
        api = self._coordinator.api
        if api.token_left <= 0:
            await self._coordinator.gate.run(api.get_token)
        now = api.now()
        place = self._place or Place(self._first_failed or now, {})
        since = max(min(place.until, now), now - _LONGEST_AWAY) - _WINDOW
        try:
            listed = await self._sessions(since)
        except NetsapiensError:
            if self._place is None:
                self._first_failed = place.until  # what comes in from now on is no history
            raise
        sessions = [row for row in listed if self._may_hold_news(row, since, now)]
        changed = [session for session in sessions if self._known.get(session.id) != _signature(session)]
        failed: dict[str, NetsapiensError] = {}
        found = [one for session in changed for one in await self._read(session, place, since, now, failed)]
        await self._take_in_peace(place, found, now, changed, failed)
        # What did not change is read again in case of equal messages, and only while nothing else is to be looked at.
        self._due = {session.id for session in sessions} - {session.id for session in changed}
        for session in sessions:
            if session.id not in self._due:
                continue
            if self._hinted.is_set():
                break
            self._due.discard(session.id)
            found = await self._read(session, place, since, now, failed)
            if found:
                await self._take_in_peace(place, found, now, [session], failed)
        if failed.keys() != self._unread:
            self._failures = 0  # others than at the last look: it gets on
        self._unread = set(failed)
        self._due |= self._unread
        return next(iter(failed.values()), None)

    async def _read(
        self, session: MessageSession, place: Place, since: datetime, now: datetime, failed: dict[str, NetsapiensError]
    ) -> list[_Found]:
        """Return the messages of a conversation that were not seen before; note it where it cannot be read."""
        try:
            rows = await self._messages(session, since)
        except NetsapiensError as err:
            failed[session.id] = err
            if self._place is None:
                self._history[session.id] = self._first_failed or now
            return []
        history_until = self._history.pop(session.id, None)
        if self._place is None:
            history_until = self._first_failed or datetime.max.replace(tzinfo=UTC)
        return [
            _Found(at, key, row, session, history_until is not None and at <= history_until)
            for at, key, row in self._dated(session, rows)
            if at >= since and key not in place.seen
        ]

    async def _take_in_peace(
        self,
        place: Place,
        found: list[_Found],
        now: datetime,
        sessions: list[MessageSession],
        failed: Mapping[str, NetsapiensError],
    ) -> None:
        """Tell of what was found. What was told must be noted, also where the account is closed in between."""
        self._taking = self._hass.async_create_task(self._take(place, found, now, whole=not failed))
        await asyncio.shield(self._taking)
        self._known |= {session.id: _signature(session) for session in sessions if session.id not in failed}

    async def _sessions(self, since: datetime) -> list[MessageSession]:
        """Return the conversations, the last active last.

        That is one request, unless there are over 1,000 that are not listed newest first. One that got a message
        between two pages may be on both.
        """
        sessions, whole = await self._sessions_of(None, since)
        self._report_cut(not whole)
        foreign = [
            session
            for owner, senders in self.foreign_senders.items()
            for session in await self._foreign_sessions(owner, senders, since)
        ]
        if foreign:
            sessions = sorted([*sessions, *foreign], key=lambda row: row.last_time or since, reverse=True)
        rows = [session for session in sessions if session.id]
        if len({session.id for session in rows}) < len(rows):
            newest: dict[str, MessageSession] = {}
            for session in sorted(rows, key=lambda row: row.last_time or since):
                newest.pop(session.id, None)  # so that it takes the place of its last row
                newest[session.id] = session
            rows = list(newest.values())
        times = [session.last_time for session in rows if session.last_time is not None]
        # As with messages: what was active in the same second is in the PBX's order.
        return rows[::-1] if not times or times[0] >= times[-1] else rows

    async def _sessions_of(self, user: str | None, since: datetime) -> tuple[list[MessageSession], bool]:
        """Return a user's conversations as the PBX lists them, and whether they are all."""
        return await read_since(
            lambda start: self._coordinator.gate.run(
                lambda: self._api.get_messagesessions(limit=MAX_ROWS, start=start, user=user)
            ),
            lambda session: session.last_time,
            since,
        )

    @property
    def foreign_senders(self) -> dict[str, set[str]]:
        """The chosen sender numbers that are other users' of the domain, by their owners: replies come in there."""
        entry, facts = self._coordinator.config_entry, self._coordinator.data
        recipients = entry.get_subentries_of_type(SUBENTRY_RECIPIENT)
        found: dict[str, set[str]] = {}
        for chosen in (entry.options, *(recipient.data for recipient in recipients)):
            number = facts.listed(chosen.get(CONF_FROM_NUMBER, ""))
            if number is not None and (owner := facts.owner_of(number)) is not None:
                found.setdefault(owner, set()).add(number)
        return found

    async def _foreign_sessions(self, owner: str, senders: set[str], since: datetime) -> list[MessageSession]:
        """Return another user's conversations with the chosen senders, and no others: the rest is private."""
        if self._not_shown.get(owner, 0.0) > self._hass.loop.time():
            return []
        try:
            sessions, _ = await self._sessions_of(owner, since)
        except NetsapiensRequestError as err:
            if err.status not in _NOT_ITS_DOMAIN:
                raise
            _LOGGER.debug("Another user's conversations are not shown: %s", err.status)
            self._not_shown[owner] = self._hass.loop.time() + _ASK_AGAIN
            return []
        return [session for session in sessions if any(same_number(session.sms_number, sender) for sender in senders)]

    def _may_hold_news(self, session: MessageSession, since: datetime, now: datetime) -> bool:
        """Whether a conversation has to be read."""
        last = session.last_time
        if last is None or last >= now - _ACTIVE or session.id in self._due:
            return True
        known = self._known.get(session.id)
        if known is None and last < since:
            self._known[session.id] = _signature(session)  # nothing since the last time
            return False
        return known != _signature(session)

    async def _messages(self, session: MessageSession, since: datetime) -> Sequence[Message]:
        """Return a conversation's messages since a time, oldest first; none where the PBX shows none."""
        gate = self._coordinator.gate
        try:
            rows = await gate.run(lambda: self._api.get_messages(session.id, limit=_FEW, user=session.owner))
        except NetsapiensRequestError as err:
            if err.status == _UNAUTHORIZED:
                raise
            _LOGGER.debug("A conversation is not shown: %s", err.status)  # deleted in between, most likely
            return []
        if len(rows) >= _FEW and not reaches(rows, _time_of, since):
            rows, _ = await read_since(
                lambda start: gate.run(
                    lambda: self._api.get_messages(session.id, limit=MAX_ROWS, start=start, user=session.owner)
                ),
                _time_of,
                since,
            )
        times = [row.time for row in rows if row.time is not None]
        if times and times[0] != times[-1]:
            self._newest_first = times[0] > times[-1]
        # Messages of one second stay in the order in which the PBX lists them.
        return sorted(rows[::-1] if self._newest_first else rows, key=lambda row: row.time or since)

    def _dated(self, session: MessageSession, rows: Sequence[Message]) -> list[tuple[datetime, str, Message]]:
        """Return the inbound messages, each with its time and with what it is known by."""
        account = self._coordinator.data.account
        counts: Counter[str] = Counter()
        dated = []
        for row in rows:
            if row.time is None or row.type not in _KINDS or row.is_outbound(account):
                continue
            # Ids are opaque, and may be missing or equal; equal messages of one second are told apart by their number.
            name = f"{row.id}|{row.time.isoformat()}|{row.from_number}|{row.from_user_id}|{row.type}|{row.text}"
            counts[name] += 1
            dated.append((row.time, _fingerprint(session.id, name, counts[name]), row))
        return dated

    async def _take(self, place: Place, found: list[_Found], now: datetime, *, whole: bool) -> None:
        """Tell of new messages, and note how far we are."""
        found.sort(key=lambda one: one.at)  # stable: the order within a second is the PBX's
        account = self._coordinator.data.account
        old = 0
        save_at = self._hass.loop.time() + _SAVE_EVERY
        for one in found:
            place.seen[one.key] = one.at
            if one.is_history:
                continue
            if one.at < now - _OLDEST:
                old += 1
                continue
            self._tell(_received(one.row, one.session, one.at, account))
            await asyncio.sleep(_APART)
            if self._hass.loop.time() >= save_at:
                await self._save(place, now)
                save_at = self._hass.loop.time() + _SAVE_EVERY
        if old:
            _LOGGER.warning("%s messages that came in more than 24 hours ago were left out", old)
        # What stands still, since a conversation cannot be read, must not grow without end.
        place.until = now if whole else min(max(place.until, now - _OLDEST), now)
        place.forget_before(place.until - _REMEMBERED)
        first = self._place is None
        self._place = place
        if found or first or self._saved_at is None or now - self._saved_at > _SAVE_AT_LEAST:
            await self._save(place, now)

    def _tell(self, received: ReceivedMessage) -> None:
        """Tell of one message."""
        try:
            self._report(received)
        except Exception:
            # One that cannot be told must not keep the others back.
            _LOGGER.exception("Unexpected error while telling of a message")

    async def _save(self, place: Place, now: datetime) -> None:
        """Keep how far we are; where that fails, the next look tries again."""
        try:
            await self._store.async_save(place)
        except HomeAssistantError as err:
            if not self._not_saved:
                _LOGGER.error("%s", err)  # noqa: TRY400 - the words say it all
            self._not_saved, self._saved_at = True, None
        else:
            self._not_saved, self._saved_at = False, now


def _time_of(row: Message) -> datetime | None:
    """Return a message's time."""
    return row.time


def _signature(session: MessageSession) -> _Signature:
    """Return what changes when a conversation gets a message."""
    return session.last_time, session.last_message, session.last_sender


def _fingerprint(session_id: str, name: str, number: int) -> str:
    """Return what a message is known by."""
    return hashlib.blake2b(f"{session_id}\n{name}\n{number}".encode(errors="replace"), digest_size=12).hexdigest()


def _received(row: Message, session: MessageSession, at: datetime, account: Account) -> ReceivedMessage:
    """Return a message as it is told."""
    user, _, domain = row.from_user_id.partition("@")
    inside = user if domain in {"", account.domain} else row.from_user_id
    dialed = "" if row.type.startswith("chat") or "," in row.dialed else number_of(row.dialed)
    others = session.remotes if len(session.remotes) > 1 else ()
    return ReceivedMessage(
        text=row.text,
        from_number=row.from_number or inside,
        to_number=session.sms_number or dialed or account.user,
        message_type=row.type,
        messagesession=session.id,
        message_id=row.id or None,
        timestamp=at,
        participants=row.participants or others,
        media_type=row.media_type or None,
        media_url=row.media_url or None,
    )
