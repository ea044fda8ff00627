"""Reports what a poll found, and keeps on disk how far that is."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import logging

from homeassistant.exceptions import HomeAssistantError

from .checkpoint import Checkpoint
from .look import OLDEST, Look
from .reader import Inbound
from .store import CheckpointStore

_LOGGER = logging.getLogger(__name__)

_REMEMBERED = timedelta(hours=2)  # the PBX's clock may be put back by an hour
_SAVE_AT_LEAST = timedelta(minutes=10)
_SAVE_EVERY = 0.25  # seconds, while many are reported


class Ledger:
    """Keeps how far a poller is.

    Parameters:
        store: where.
        report: called with each message, once.

    Attributes:
        place: how far it is; None before the very first poll came to its end.
    """

    def __init__(self, store: CheckpointStore, report: Callable[[Inbound], None]) -> None:
        self._store = store
        self._report = report
        self.place: Checkpoint | None = None
        self._saved_at: datetime | None = None
        self._not_saved = False

    async def load(self, now: datetime, report_damaged: Callable[[str], datetime | None]) -> None:
        """Go on from the checkpoint; where that cannot be read, from a day ago.

        Parameters:
            now: by the PBX's clock.
            report_damaged: called with the name under which the file was set aside; returns up to when, by the PBX's
                clock, messages were reported all the same, as far as is known.
        """
        self.place, damaged = await self._store.async_load()
        if damaged is None:
            return
        told_until = report_damaged(damaged)
        self.place = Checkpoint(now - OLDEST, wall=datetime.now(UTC) - OLDEST)
        if told_until is not None:
            self.place.ignored_until = told_until
        await self._save(self.place, now)

    async def take(self, look: Look, *, is_last: bool, apart: float) -> None:
        """Report new messages, and note how far we are.

        Parameters:
            look: what was found.
            is_last: whether the poll read all that it had to.
            apart: seconds between two messages.
        """
        place, now = look.place, look.now
        look.found.sort(key=lambda one: one.inbound.at)  # stable: the order within a second is the PBX's
        is_first = self.place is None
        clock, old = asyncio.get_running_loop().time, 0
        save_at = clock() + _SAVE_EVERY
        for found in look.found:
            one = found.inbound
            place.note(one.session.id, one.key, max(one.at, now))
            if found.is_history:
                continue
            if one.at < now - OLDEST:
                old += 1
                continue
            self._report(one)
            await asyncio.sleep(apart)
            if clock() >= save_at and not is_first:
                await self._save(place, now)
                save_at = clock() + _SAVE_EVERY
        if old:
            _LOGGER.warning("%s messages that came in more than 24 hours ago were left out", old)
        for session_id, key in look.newest.items():
            place.note_latest(session_id, key)
        if is_last:
            # What stands still, since a conversation cannot be read, must not grow without end.
            place.reach(now if look.is_complete else now - OLDEST, now)
            place.forget_before(place.until - _REMEMBERED)
            self.place = place
        must_save = bool(look.found) and not is_first
        if must_save or (is_last and (is_first or self._saved_at is None or now - self._saved_at > _SAVE_AT_LEAST)):
            await self._save(place, now)

    async def _save(self, place: Checkpoint, now: datetime) -> None:
        """Keep how far we are; where that fails, the next poll tries again."""
        try:
            await self._store.async_save(place)
        except HomeAssistantError as err:
            if not self._not_saved:
                _LOGGER.error("%s", err)  # noqa: TRY400 - the words say it all
            self._not_saved, self._saved_at = True, None
        else:
            self._not_saved, self._saved_at = False, now
