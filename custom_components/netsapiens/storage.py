"""Files of an account's that have been written when a save returns, and damaged ones set aside."""

import logging
from pathlib import Path
from typing import Any, override

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.file import WriteError
from homeassistant.util.json import SerializationError

from .const import DOMAIN

_LOGGER = logging.getLogger(__name__)

VERSION = 1
# What a damaged file leads to: Store has the last one for a version that never was.
DAMAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, OSError, NotImplementedError)


class DurableStore(Store[dict[str, Any]]):
    """A Store whose save has happened when it returns, or raises.

    Store itself only logs a failure, and puts off a save while Home Assistant stops.

    Parameters:
        key: the file's name.
        not_written: the key of the error's words where it cannot be written.
    """

    def __init__(self, hass: HomeAssistant, key: str, *, not_written: str) -> None:
        super().__init__(hass, VERSION, key, private=True, atomic_writes=True)
        self._not_written = not_written

    @override
    async def async_save(self, data: dict[str, Any]) -> None:
        """Save now.

        Raises:
            HomeAssistantError: it could not be written.
        """
        if self.hass.state is not CoreState.stopping:
            await super().async_save(data)
            return
        self._data = {"version": self.version, "minor_version": self.minor_version, "key": self.key, "data": data}
        await self._async_handle_write_data()  # type: ignore[no-untyped-call]

    @override
    async def _async_write_data(self, data: dict[str, Any]) -> None:
        """Write, or raise what Store does not swallow."""
        try:
            await super()._async_write_data(data)
        except (SerializationError, WriteError, OSError) as err:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key=self._not_written) from err


async def async_read(hass: HomeAssistant, store: Store[dict[str, Any]]) -> tuple[dict[str, Any] | None, bool]:
    """Return what a store has, and whether its file was no JSON: such a one Store sets aside, and returns nothing.

    Parameters:
        store: which.

    Raises:
        HomeAssistantError: the file could not be read.
    """
    was_there = await hass.async_add_executor_job(Path(store.path).exists)
    data = await store.async_load()
    return data, was_there and data is None


async def async_set_aside(hass: HomeAssistant, path: Path) -> str:
    """Keep a damaged file under another name, which is returned."""
    aside = path.with_name(f"{path.name}.damaged.{dt_util.utcnow():%Y%m%dT%H%M%S}")
    try:
        await hass.async_add_executor_job(path.replace, aside)
    except OSError as err:
        _LOGGER.warning("The damaged file %s could not be set aside: %s", path.name, err.strerror)
        return path.name
    return aside.name


def text_of(value: object) -> str:
    """Return a text that was kept; TypeError where it is none."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
