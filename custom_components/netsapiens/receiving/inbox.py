"""What is new: one poll of the PBX's lists -> the messages that were not reported yet, in order."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
import logging
from typing import Any, NamedTuple

from homeassistant.core import HomeAssistant

from ..api import MessageSession, NetsapiensError
from ..errors import log_unexpected
from ..pbx.coordinator import NetsapiensCoordinator
from ..phone_metadata import async_load_metadata
from .checkpoint import EPOCH, Checkpoint
from .poll import Found, Poll, is_ours_last, signature, unseen
from .reader import Inbound, Reader
from .received import ReceivedMessage, received_message
from .reporter import Reporter
from .store import CheckpointStore
from .timing import PollTiming

_LOGGER = logging.getLogger(__name__)

_NEVER = datetime.max.replace(tzinfo=UTC)
_QUIET_AT_ONCE = 10  # conversations, read before the list is fetched again, in which nobody is known to have answered


class PollResult(NamedTuple):
    """How a poll ended.

    Attributes:
        failure: why some conversations could not be read, which the next poll tries again; None if all were.
        gets_on: whether these are others than at the poll before.
        is_behind: whether something was left to the next poll, which should come at once.
        requests: how many it took.
    """

    failure: NetsapiensError | None
    gets_on: bool
    is_behind: bool
    requests: int


class Inbox:
    """Reads what changed since the checkpoint, and reports each new message once.

    Parameters:
        coordinator: the account.
        store: where the checkpoint is kept.
        report: called with each message, once.
        report_old: called in its place with one that came in more than a day ago, in order with the others.
        report_cut: called with whether the PBX's list of conversations cannot be read completely.
        report_damaged: called with the name under which a damaged file of the store was set aside; returns up to when,
            by the PBX's clock, messages were reported all the same, as far as is known.
        timing: how long messages are gathered, and the like.

    Attributes:
        wake_up: set while another poll is asked for.
        cut_polls: how many polls had to leave something to the next one.
        reported: how many messages were reported.
    """

    def __init__(
        self,
        coordinator: NetsapiensCoordinator,
        store: CheckpointStore,
        report: Callable[[ReceivedMessage], None],
        report_old: Callable[[ReceivedMessage], None],
        report_cut: Callable[[bool], None],
        report_damaged: Callable[[str], datetime | None],
        timing: PollTiming,
    ) -> None:
        self._hass: HomeAssistant = coordinator.hass
        self._coordinator = coordinator
        self._reader = Reader(coordinator)
        self._report = report
        self._report_cut = report_cut
        self._report_damaged = report_damaged
        self.wake_up = asyncio.Event()
        self._timing = timing
        self._reporter = Reporter(store, self._report_message, partial(_pass_on, coordinator, report_old))
        self._is_aligned = False
        self._jumped = 0.0
        self._known: dict[str, int] = {}  # what the conversations looked like
        self._history: dict[str, datetime] = {}  # conversations not read at the very first poll, and when that was
        self._first_failed: datetime | None = None  # when the very first poll began, if it failed
        self._due: dict[str, None] = {}  # the conversations that still have to be read, the one due longest first
        self._unread: set[str] = set()  # the conversations that could not be read at the last poll
        self._keeping: asyncio.Task[None] | None = None  # what has to come to its end
        self.cut_polls = 0
        self.reported = 0

    @property
    def checkpoint(self) -> Checkpoint | None:
        """How far we are; None before the very first poll came to its end."""
        return self._reporter.checkpoint

    @property
    def diagnostics(self) -> dict[str, int | str]:
        """What helps to find a fault."""
        return {
            "remembered": len(self.checkpoint.seen) if self.checkpoint else 0,
            "rows_last_poll": self._reader.rows,
            "characters_last_poll": self._reader.text,
            "cut_polls": self.cut_polls,
        }

    async def load(self) -> None:
        """Go on from the checkpoint on disk, if it was not read yet."""
        if self.checkpoint is None:
            # Once a damaged file is set aside, a new one must follow.
            await self._to_its_end(self._reporter.load(self._coordinator.api.now(), self._report_damaged))
            if self.checkpoint is not None and self.checkpoint.zone is not None:
                self._coordinator.api.naive_times.restore(self.checkpoint.zone)

    async def finish(self) -> None:
        """Wait until what was reported is on disk."""
        if self._keeping is not None:
            await asyncio.wait([self._keeping])

    async def _to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work that comes to its end also where the account is closed in between."""
        self._keeping = self._hass.async_create_task(work)
        await asyncio.shield(self._keeping)

    async def poll(self, interval: float) -> PollResult:
        """Poll once: read what changed, and report what is new.

        Parameters:
            interval: seconds to the next poll, which must not be delayed by reading again what did not change.

        Raises:
            NetsapiensError: the list of conversations could not be read.
        """
        api = self._coordinator.api
        await self._coordinator.async_ensure_token()
        await self._reader.settle_clock()
        now = api.now()
        self._follow_clock(now)
        poll = Poll(self.checkpoint, now, self._hass.loop.time(), self._first_failed)
        poll.is_clock_doubted = self._is_clock_doubted
        self._reader.begin_poll()
        try:
            await async_load_metadata(self._hass)  # those who get a message read its number
            listed, whole = await self._reader.sessions(poll.since)
        except Exception:
            if self.checkpoint is None:
                self._first_failed = poll.checkpoint.until  # what comes in from now on is no history
            raise
        self._report_cut(not whole)
        poll.note_listed(listed)
        poll.checkpoint.zone = api.naive_times.zone
        sessions = [row for row in listed if self._may_hold_news(row, poll.since_of(row), now)]
        self._keep_due(sessions)
        changed = [session for session in sessions if self._known.get(session.id) != signature(session)]
        await self._read_changed(poll, changed)
        read = {session.id for session in changed}
        await self._read_again(poll, [session for session in sessions if session.id not in read], interval)
        self._known = {row.id: known for row in listed if (known := self._known.get(row.id)) is not None}
        gets_on = poll.failed.keys() != self._unread
        self._unread = set(poll.failed)
        return PollResult(next(iter(poll.failed.values()), None), gets_on, bool(poll.left), self._reader.requests)

    def _keep_due(self, sessions: list[MessageSession]) -> None:
        """Remember which conversations have to be read, the one that is due longest first."""
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

    async def _read_changed(self, poll: Poll, changed: list[MessageSession]) -> None:
        """Read the conversations that changed, and report their messages as they are read.

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
            if self._reader.is_spent or more >= _QUIET_AT_ONCE or (more > 0 and self.wake_up.is_set()):
                self._leave(poll, waiting[number:])
                break
            if more == 0 and len(quiet) > _QUIET_AT_ONCE and poll.found:
                await self._report_found(poll)
            await self._read(poll, session)
            if poll.is_full(self._hass.loop.time(), self._timing.batch):
                await self._report_found(poll)
        poll.is_clock_doubted = poll.is_clock_doubted or self._is_clock_doubted
        await self._report_found(poll, is_last=True)

    async def _read_again(self, poll: Poll, unchanged: list[MessageSession], interval: float) -> None:
        """Read what did not change, in case of equal messages, and only while nothing else is to be read."""
        next_poll = self._hass.loop.time() + interval
        due = self._longest_due(unchanged)
        if poll.left:
            account = self._coordinator.data.account
            due = [session for session in due if not is_ours_last(session, account)][:_QUIET_AT_ONCE]
        for session in due:
            if self.wake_up.is_set() or self._reader.is_spent:
                break
            await self._read(poll, session)
            if poll.found:
                await self._report_found(poll)
            if self._hass.loop.time() >= next_poll:
                break

    def _leave(self, poll: Poll, sessions: list[MessageSession]) -> None:
        """Leave conversations to the next poll, which comes at once."""
        poll.left = sessions
        self.cut_polls += 1
        if self.checkpoint is None:
            self._history |= {session.id: self._first_failed or poll.now for session in sessions}

    async def _read(self, poll: Poll, session: MessageSession) -> None:
        """Gather the messages of a conversation that were not seen before; note it where it cannot be read."""
        self._due.pop(session.id, None)
        since = poll.since_of(session)
        try:
            rows = await self._reader.messages(session, since)
        except NetsapiensError as err:
            poll.failed[session.id] = err
            self._due[session.id] = None
            if self.checkpoint is None:
                self._history[session.id] = self._first_failed or poll.now
            return
        history_until = self._history_until(poll, session)
        poll.read.append(session)
        if rows:
            poll.newest[session.id] = max(rows, key=lambda one: one.listed).key
        poll.found += [
            Found(one, one.at <= history_until)
            for one in unseen(rows, poll.checkpoint, since, poll.checkpoint.latest_of(session.id))
        ]

    def _history_until(self, poll: Poll, session: MessageSession) -> datetime:
        """Return up to when a conversation's messages were there before us, by the times that it lists."""
        known = self._history.pop(session.id, poll.checkpoint.ignored_until)
        if self.checkpoint is None:
            return _NEVER if session.is_bare else self._first_failed or _NEVER
        return EPOCH if session.is_bare else known

    async def _report_found(self, poll: Poll, *, is_last: bool = False) -> None:
        """Report what was found. What was reported must be on disk."""
        await self._to_its_end(self._reporter.report_found(poll, is_last=is_last, apart=self._timing.apart))
        self._known |= {session.id: signature(session) for session in poll.read}
        poll.begin_batch(self._hass.loop.time())

    def _may_hold_news(self, session: MessageSession, since: datetime, now: datetime) -> bool:
        """Whether a conversation has to be read."""
        last, active = session.last_time, timedelta(seconds=self._timing.active)
        if last is None or session.id in self._due or (last >= now - active and not session.is_bare):
            return True
        known = self._known.get(session.id)
        if known is None and last < since:
            self._known[session.id] = signature(session)  # nothing since the last time
            return False
        return known != signature(session)

    def _report_message(self, one: Inbound) -> None:
        """Report one message."""
        self.reported += 1
        _pass_on(self._coordinator, self._report, one)


def _pass_on(coordinator: NetsapiensCoordinator, report: Callable[[ReceivedMessage], None], one: Inbound) -> None:
    """Pass on a message; one that cannot be reported must not keep the others back."""
    try:
        entry_id, account = coordinator.config_entry.entry_id, coordinator.data.account
        region = coordinator.hass.config.country
        report(received_message(one.row, one.session, one.at, account, entry_id, region, one.between))
    except Exception as err:  # noqa: BLE001
        log_unexpected(_LOGGER, "reporting a message", err)
