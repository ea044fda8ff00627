"""Reports what a poll found, and keeps on disk how far that is."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import logging

from homeassistant.exceptions import HomeAssistantError

from .checkpoint import Checkpoint
from .poll import OLDEST, Poll
from .reader import Inbound
from .store import CheckpointStore

_LOGGER = logging.getLogger(__name__)

_REMEMBERED = timedelta(hours=2)  # the PBX's clock may be put back by an hour
_SAVE_AT_LEAST = timedelta(minutes=10)
_SAVE_EVERY = 0.25  # seconds, while many are reported


class Reporter:
    """Reports what polls found, each message once, and keeps the checkpoint.

    Parameters:
        store: where the checkpoint is kept.
        report: called with each message, once.
        report_old: called in its place with one that came in more than a day ago.

    Attributes:
        checkpoint: how far the inbox is; None before the very first poll came to its end.
    """

    def __init__(
        self, store: CheckpointStore, report: Callable[[Inbound], None], report_old: Callable[[Inbound], None]
    ) -> None:
        self._store = store
        self._report = report
        self._report_old = report_old
        self.checkpoint: Checkpoint | None = None
        self._saved_at: datetime | None = None
        self._not_saved = False

    async def load(self, now: datetime, report_damaged: Callable[[str], datetime | None]) -> None:
        """Go on from the checkpoint; where that cannot be read, from a day ago.

        Parameters:
            now: by the PBX's clock.
            report_damaged: called with the name under which the file was set aside; returns up to when, by the PBX's
                clock, messages were reported all the same, as far as is known.
        """
        self.checkpoint, damaged = await self._store.async_load()
        if damaged is None:
            return
        # First: should the rest fail, there is no file any more, and what was missed must not pass for history.
        checkpoint = self.checkpoint = Checkpoint(now - OLDEST, wall=datetime.now(UTC) - OLDEST)
        if (reported_until := report_damaged(damaged)) is not None:
            checkpoint.ignored_until = reported_until
        await self._save(checkpoint, now)

    async def report_found(self, poll: Poll, *, is_last: bool, apart: float) -> None:
        """Report new messages, and move the checkpoint.

        Parameters:
            poll: what was found.
            is_last: whether the poll read all that it had to.
            apart: seconds between two messages.
        """
        checkpoint, now = poll.checkpoint, poll.now
        poll.found.sort(key=lambda one: one.inbound.at)  # stable: the order within a second is the PBX's
        is_first = self.checkpoint is None
        clock, old = asyncio.get_running_loop().time, 0
        save_at = clock() + _SAVE_EVERY
        for found in poll.found:
            one = found.inbound
            checkpoint.note(one.session.id, one.key, max(one.at, now))
            if found.is_history:
                continue
            if one.at < now - OLDEST:
                old += 1
                self._report_old(one)
                continue
            self._report(one)
            await asyncio.sleep(apart)
            if clock() >= save_at and not is_first:
                await self._save(checkpoint, now)
                save_at = clock() + _SAVE_EVERY
        if old:
            _LOGGER.warning("%s messages that came in more than 24 hours ago were left out", old)
        for session_id, key in poll.newest.items():
            checkpoint.note_latest(session_id, key)
        if is_last:
            # What stands still, since a conversation cannot be read, must not grow without end.
            checkpoint.reach(now if poll.is_complete else now - OLDEST, now)
            checkpoint.forget_before(checkpoint.until - _REMEMBERED)
            poll.reach_bare()
            self.checkpoint = checkpoint
        must_save = bool(poll.found) and not is_first
        if must_save or (is_last and (is_first or self._saved_at is None or now - self._saved_at > _SAVE_AT_LEAST)):
            await self._save(checkpoint, now)

    async def _save(self, checkpoint: Checkpoint, now: datetime) -> None:
        """Keep the checkpoint; where that fails, the next poll tries again."""
        try:
            await self._store.async_save(checkpoint)
        except HomeAssistantError as err:
            if not self._not_saved:
                _LOGGER.error("%s", err)  # noqa: TRY400 - the words say it all
            self._not_saved, self._saved_at = True, None
        else:
            self._not_saved, self._saved_at = False, now
