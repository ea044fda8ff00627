"""How far the poller is, on disk."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
import logging
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from ..api.naive_times import FURTHEST_ZONE
from ..const import DOMAIN
from ..storage import DAMAGE, DurableStore, async_read, async_set_aside, text_of
from .checkpoint import Checkpoint

_LOGGER = logging.getLogger(__name__)

# Clocks that were not set yet begin in 1970; of a time far from both, no other can be reckoned.
_EARLIEST, _LATEST = datetime(1960, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class CheckpointStore:
    """How far the poller is, on disk.

    Parameters:
        entry_id: the account's.
        before_save: has on disk what the reported messages changed; a message counts as reported only after that.
    """

    def __init__(
        self, hass: HomeAssistant, entry_id: str, before_save: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._hass = hass
        self._before_save = before_save
        self._store = DurableStore(hass, f"{DOMAIN}.inbox.{entry_id}", not_written="checkpoint_not_kept")

    async def async_load(self) -> tuple[Checkpoint | None, str | None]:
        """Return the checkpoint, and where the file was damaged, the name under which it was set aside.

        There is no checkpoint at the very first start, and where the file is damaged.
        """
        path = Path(self._store.path)
        try:
            data, was_no_json = await async_read(self._hass, self._store)
            if data is not None:
                return _checkpoint_of(data), None
        except (HomeAssistantError, *DAMAGE) as err:
            _LOGGER.warning("It cannot be read how far the poller was: %s", type(err).__name__)
            return None, await async_set_aside(self._hass, path)
        return None, path.name if was_no_json else None

    async def async_save(self, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint.

        Raises:
            HomeAssistantError: it could not be written.
        """
        if self._before_save is not None:
            await self._before_save()
        await self._store.async_save(
            {
                "until": checkpoint.until.timestamp(),
                "wall": checkpoint.wall.timestamp(),
                "ignored_until": checkpoint.ignored_until.timestamp(),
                "seen": {key: at.timestamp() for key, at in checkpoint.seen.items()},
                "latest": {**checkpoint.latest},
                "bare_until": checkpoint.bare_until.timestamp() if checkpoint.bare_until is not None else None,
                "zone": checkpoint.zone.total_seconds() if checkpoint.zone is not None else None,
            }
        )

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()


def _checkpoint_of(data: dict[str, Any]) -> Checkpoint:
    """Return the checkpoint that a file holds; one of DAMAGE where it holds none."""
    bare_until, zone = data["bare_until"], data["zone"]
    return Checkpoint(
        until=_clock_time(data["until"]),
        seen={str(key): _time(at) for key, at in data["seen"].items()},
        latest={text_of(session): text_of(key) for session, key in data["latest"].items()},
        wall=_clock_time(data["wall"]),
        ignored_until=_clock_time(data["ignored_until"]),
        bare_until=None if bare_until is None else _time(bare_until),
        zone=None if zone is None else _zone(zone),
    )


def _time(value: object) -> datetime:
    """Return a time that was kept in seconds, any that a message may have; one of DAMAGE where it is none."""
    if not isinstance(value, int | float):
        raise TypeError("not a time")
    return datetime.fromtimestamp(value, UTC)


def _clock_time(value: object) -> datetime:
    """Return a time that a clock showed; one of DAMAGE where it is none."""
    time = _time(value)
    if not _EARLIEST <= time <= _LATEST:
        raise ValueError("no time that a clock shows")
    return time


def _zone(value: float) -> timedelta:
    """Return a zone that was kept in seconds; one of DAMAGE where it is none."""
    zone = timedelta(seconds=value)
    if abs(zone) > FURTHEST_ZONE:
        raise ValueError("not a zone")
    return zone
