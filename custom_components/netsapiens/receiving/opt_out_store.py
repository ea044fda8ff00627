"""Who opted out of texts, on disk."""

from collections.abc import Collection
import logging
from pathlib import Path
from typing import Any, NamedTuple

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN
from ..storage import DAMAGE, DurableStore, async_read, async_set_aside, text_of

_LOGGER = logging.getLogger(__name__)

EVERY_NUMBER = "*"  # of ours: where the PBX does not say which one was texted


class OptOut(NamedTuple):
    """Somebody who opted out of texts from one of our numbers.

    Attributes:
        ours: our number, digits with country code; empty for chats, which come from no number; ``EVERY_NUMBER``.
        theirs: the other's number likewise, the user of an extension, or the name of a sender that is no number.
    """

    ours: str
    theirs: str


class OptOutStore:
    """Who opted out of texts, on disk.

    Parameters:
        entry_id: the account's.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._store = DurableStore(hass, f"{DOMAIN}.opt_outs.{entry_id}", not_written="opt_outs_not_kept")

    async def async_load(self) -> tuple[list[OptOut], str | None]:
        """Return who opted out; and where the file was damaged, the name under which it was set aside.

        Rows that can be read are returned also where others are damaged.
        """
        path = Path(self._store.path)
        try:
            data, was_no_json = await async_read(self._hass, self._store)
            rows: list[Any] | None = None if data is None else [*data["opted_out"]]
        except (HomeAssistantError, *DAMAGE) as err:
            _LOGGER.warning("It cannot be read who opted out of texts: %s", type(err).__name__)
            return [], await async_set_aside(self._hass, path)
        if rows is None:
            return [], path.name if was_no_json else None
        found = []
        for row in rows:
            try:
                found.append(OptOut(text_of(row["ours"]), text_of(row["theirs"])))
            except DAMAGE:
                continue
        if len(found) == len(rows):
            return found, None
        _LOGGER.warning("%s of %s people who opted out of texts cannot be read", len(rows) - len(found), len(rows))
        return found, await async_set_aside(self._hass, path)

    async def async_save(self, opted_out: Collection[OptOut]) -> None:
        """Keep who opted out.

        Raises:
            HomeAssistantError: it could not be written.
        """
        await self._store.async_save({"opted_out": [{"ours": one.ours, "theirs": one.theirs} for one in opted_out]})

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()
