"""The one path in: what the PBX lists -> each inbound message once, in order.

The PBX's lists are the truth; a post of the PBX only says that it is time to look. What was seen is kept on disk, so
that what came in while Home Assistant was down is told afterwards, and told once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import logging
import random

from homeassistant.core import HomeAssistant, callback

from ..api import Account, Message, MessageSession, NetsapiensError
from ..api.models import number_of
from ..pbx.coordinator import NetsapiensCoordinator
from ..pbx.throttle import jittered
from ..phone import async_load_metadata
from .checkpoint import Checkpoint
from .ledger import Ledger
from .look import Found, Look, is_ours_last, signature, unseen
from .reader import Inbound, Reader
from .store import CheckpointStore

_LOGGER = logging.getLogger(__name__)

POLL_INTERVAL = 30.0  # seconds
PUSHED_INTERVAL = 120.0  # where the PBX says itself when to look, and only a lost post needs to be made up for
_SPREAD = 0.1
_WORTH_A_LINE = 5  # failures in a row
_QUIET_AT_ONCE = 10  # conversations, read before the list is fetched again, in which nobody is known to have answered
_LOOKS = (0.0, 1.5, 4.0, 10.0)  # seconds after a post; the lists lag


@dataclass(frozen=True, slots=True)
class PollTiming:
    """How often to look, in seconds.

    Attributes:
        interval: between looks.
        pause: between looks, however many posts come.
        first_wait: after a failure; the rate limiter waits longer where the PBX is away.
        longest_wait: after many failures.
        batch: how long messages of several conversations are gathered, so that they are reported in order.
        active: a conversation this fresh may have got another message that looks the same.
        apart: between two events; the state of an event entity is its time, to the millisecond.
    """

    interval: float = POLL_INTERVAL
    pause: float = 0.3
    first_wait: float = 4.0
    longest_wait: float = 30.0
    batch: float = 1.0
    active: float = 60.0
    apart: float = 0.002


TIMING = PollTiming()


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


class Poller:
    """Looks for an account's inbound messages.

    Parameters:
        coordinator: the account.
        store: where the place reached is kept.
        report: called with each message, once.
        report_cut: called with whether the PBX's list of conversations cannot be read whole.
        report_damaged: called with the name under which a damaged file of the store was set aside; returns up to when,
            by the PBX's clock, messages were reported all the same, as far as is known.
        timing: how often to look.

    Attributes:
        interval: seconds between looks.
        cut_looks: how many looks had to leave something to the next one.
        reported: how many messages were reported.
    """

    def __init__(
        self,
        coordinator: NetsapiensCoordinator,
        store: CheckpointStore,
        report: Callable[[ReceivedMessage], None],
        report_cut: Callable[[bool], None],
        report_damaged: Callable[[str], datetime | None],
        timing: PollTiming | None = None,
    ) -> None:
        self._hass: HomeAssistant = coordinator.hass
        self._coordinator = coordinator
        self._reader = Reader(coordinator)
        self._report = report
        self._report_cut = report_cut
        self._report_damaged = report_damaged
        self._timing = timing or TIMING
        self._ledger = Ledger(store, self._tell)
        self._is_aligned = False
        self._jumped = 0.0
        self._known: dict[str, int] = {}  # what the conversations looked like
        self._history: dict[str, datetime] = {}  # conversations not read at the very first look, and when that was
        self._first_failed: datetime | None = None  # when the very first look began, if it failed
        self._hinted = asyncio.Event()
        self._looks_left: list[float] = []  # when to look again after a post, by the loop's clock
        self._failures = 0
        self._is_behind = False
        self._due: dict[str, None] = {}  # the conversations that still have to be read, the one due longest first
        self._unread: set[str] = set()  # the conversations that could not be read at the last look
        self._task: asyncio.Task[None] | None = None
        self._taking: asyncio.Task[None] | None = None
        self.interval = self._timing.interval
        self.cut_looks = 0
        self.reported = 0

    @property
    def checkpoint(self) -> Checkpoint | None:
        """How far we are; None before the very first look came to its end."""
        return self._ledger.place

    @property
    def diagnostics(self) -> dict[str, int | str]:
        """What helps to find a fault."""
        return {
            "remembered": len(self.checkpoint.seen) if self.checkpoint else 0,
            "rows_last_look": self._reader.rows,
            "characters_last_look": self._reader.text,
            "cut_looks": self.cut_looks,
        }

    @property
    def foreign_senders(self) -> dict[str, set[str]]:
        """The chosen sender numbers that are other users' of the domain, by their owners: replies come in there."""
        return self._reader.foreign_senders

    @callback
    def async_start(self) -> None:
        """Look from now on."""
        self._task = self._hass.async_create_background_task(self._run(), "netsapiens poller", eager_start=False)

    async def async_stop(self) -> None:
        """Stop; what was told is noted first."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._taking is not None:
            await asyncio.wait([self._taking])

    @callback
    def poll_soon(self) -> None:
        """Look at once: something may have come in."""
        now = self._hass.loop.time()
        self._looks_left = [now + after for after in _LOOKS]
        self._hinted.set()

    # --- when to look ----------------------------------------------------------------

    async def _run(self) -> None:
        """Look again and again, one look at a time."""
        if self.checkpoint is None:
            await self._ledger.load(self._coordinator.api.now(), self._report_damaged)
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
            await asyncio.sleep(self._timing.pause)
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
            first, longest = self._timing.first_wait, self._timing.longest_wait
            return first / 2 + jittered(first, longest, self._failures - 1)
        if self._is_behind:
            return 0.0
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
        self._is_behind = False
        if api.token_left <= 0:
            await self._coordinator.throttle.run(api.get_token)
        await self._reader.settle_clock()
        now = api.now()
        self._follow_clock(now)
        look = Look(self.checkpoint or Checkpoint(self._first_failed or now), now, self._hass.loop.time())
        look.is_clock_doubted = self._is_clock_doubted
        self._reader.begin_look()
        try:
            listed, whole = await self._reader.sessions(look.since)
        except NetsapiensError:
            if self.checkpoint is None:
                self._first_failed = look.place.until  # what comes in from now on is no history
            raise
        self._report_cut(not whole)
        sessions = [row for row in listed if self._may_hold_news(row, look.since, now)]
        self._keep_due(sessions)
        changed = [session for session in sessions if self._known.get(session.id) != signature(session)]
        await self._read_changed(look, changed)
        read = {session.id for session in changed}
        await self._read_again(look, [session for session in sessions if session.id not in read])
        self._known = {row.id: known for row in listed if (known := self._known.get(row.id)) is not None}
        if look.failed.keys() != self._unread:
            self._failures = 0  # others than at the last look: it gets on
        self._unread = set(look.failed)
        return next(iter(look.failed.values()), None)

    def _keep_due(self, sessions: list[MessageSession]) -> None:
        """Note which conversations have to be read, the one that is due longest first."""
        listed = dict.fromkeys(session.id for session in sessions)
        self._due = {due: None for due in self._due if due in listed} | listed

    def _longest_due(self, sessions: list[MessageSession]) -> list[MessageSession]:
        """Return conversations, the one that is due longest first: none waits for ever for those that change again."""
        order = {due: number for number, due in enumerate(self._due)}
        return sorted(sessions, key=lambda session: order.get(session.id, 0))

    @property
    def _is_clock_doubted(self) -> bool:
        """Whether the PBX's clock was set since we last followed it, or may have been."""
        clock = self._coordinator.api.clock
        return clock.is_doubted or clock.jumped != self._jumped

    def _follow_clock(self, now: datetime) -> None:
        """Go with the PBX's clock where it was set."""
        jumped = self._coordinator.api.clock.jumped
        if self.checkpoint is not None:
            if not self._is_aligned:
                self.checkpoint.align(now, datetime.now(UTC))
            if jumped != self._jumped:
                self.checkpoint.move(timedelta(seconds=jumped - self._jumped))
                self._known.clear()  # what did not seem new may be so
                _LOGGER.info("The PBX's clock was set by %.0f s", jumped - self._jumped)
            self._is_aligned = True
        self._jumped = jumped

    async def _read_changed(self, look: Look, changed: list[MessageSession]) -> None:
        """Read the conversations that changed, and tell of their messages as they are read.

        Those in which somebody else wrote last come first. Our own texts change conversations as well, thousands of
        them in one call: these are read a few at a time, and fewer where a wake-up asks for a new list.
        """
        account = self._coordinator.data.account
        answered: list[MessageSession] = []
        quiet: list[MessageSession] = []
        for session in changed:
            (quiet if is_ours_last(session, account) else answered).append(session)
        waiting = [*answered, *self._longest_due(quiet)]
        for number, session in enumerate(waiting):
            more = number - len(answered)  # quiet ones read so far; at least one is, so that these get on
            if self._reader.is_spent or more >= _QUIET_AT_ONCE or (more > 0 and self._hinted.is_set()):
                self._leave(look, waiting[number:])
                break
            if more == 0 and len(quiet) > _QUIET_AT_ONCE and look.found:
                await self._take_in_peace(look)
            await self._read(look, session)
            if look.is_full(self._hass.loop.time(), self._timing.batch):
                await self._take_in_peace(look)
        look.is_clock_doubted = look.is_clock_doubted or self._is_clock_doubted
        await self._take_in_peace(look, is_last=True)

    async def _read_again(self, look: Look, unchanged: list[MessageSession]) -> None:
        """Read what did not change, in case of equal messages, and only while nothing else is to be looked at."""
        next_look = self._hass.loop.time() + self.interval
        due = self._longest_due(unchanged)
        if look.left:
            account = self._coordinator.data.account
            due = [session for session in due if not is_ours_last(session, account)][:_QUIET_AT_ONCE]
        for session in due:
            if self._hinted.is_set() or self._reader.is_spent:
                break
            await self._read(look, session)
            if look.found:
                await self._take_in_peace(look)
            if self._hass.loop.time() >= next_look:
                break

    def _leave(self, look: Look, sessions: list[MessageSession]) -> None:
        """Leave conversations to the next look, which comes at once."""
        look.left = sessions
        self._is_behind = True
        self.cut_looks += 1
        if self.checkpoint is None:
            self._history |= {session.id: self._first_failed or look.now for session in sessions}

    async def _read(self, look: Look, session: MessageSession) -> None:
        """Gather the messages of a conversation that were not seen before; note it where it cannot be read."""
        self._due.pop(session.id, None)
        try:
            rows = await self._reader.messages(session, look.since)
        except NetsapiensError as err:
            look.failed[session.id] = err
            self._due[session.id] = None
            if self.checkpoint is None:
                self._history[session.id] = self._first_failed or look.now
            return
        history_until = self._history.pop(session.id, look.place.ignored_until)
        if self.checkpoint is None:
            history_until = self._first_failed or datetime.max.replace(tzinfo=UTC)
        look.read.append(session)
        if rows:
            look.newest[session.id] = max(rows, key=lambda one: one.listed).key
        look.found += [
            Found(one, one.at <= history_until)
            for one in unseen(rows, look.place, look.since, look.place.latest_of(session.id))
        ]

    async def _take_in_peace(self, look: Look, *, is_last: bool = False) -> None:
        """Tell of what was found. What was told must be noted, also where the account is closed in between."""
        self._taking = self._hass.async_create_task(self._ledger.take(look, is_last=is_last, apart=self._timing.apart))
        await asyncio.shield(self._taking)
        self._known |= {session.id: signature(session) for session in look.read}
        look.begin_batch(self._hass.loop.time())

    def _may_hold_news(self, session: MessageSession, since: datetime, now: datetime) -> bool:
        """Whether a conversation has to be read."""
        last, active = session.last_time, timedelta(seconds=self._timing.active)
        if last is None or last >= now - active or session.id in self._due:
            return True
        known = self._known.get(session.id)
        if known is None and last < since:
            self._known[session.id] = signature(session)  # nothing since the last time
            return False
        return known != signature(session)

    def _tell(self, one: Inbound) -> None:
        """Tell of one message."""
        self.reported += 1
        try:
            self._report(_received(one.row, one.session, one.at, self._coordinator.data.account))
        except Exception:
            # One that cannot be told must not keep the others back.
            _LOGGER.exception("Unexpected error while telling of a message")


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
