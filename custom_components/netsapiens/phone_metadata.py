"""The rules of every country's phone numbers, which take a while to load: never in the event loop."""

import asyncio
from functools import cache
from types import ModuleType

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.start import async_at_started
from homeassistant.util.hass_dict import HassKey


def is_metadata_loaded() -> bool:
    """Whether numbers can be read now without blocking the event loop."""
    return library.cache_info().currsize > 0


class _Loading:
    """Those who wait until numbers can be read."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting = 0


_LOADING: HassKey[_Loading] = HassKey("netsapiens_loading_metadata")


async def async_load_metadata(hass: HomeAssistant) -> None:
    """Wait until numbers can be read without blocking the event loop; who comes first goes on first."""
    if _LOADING not in hass.data and is_metadata_loaded():
        return
    loading = hass.data.setdefault(_LOADING, _Loading())
    loading.waiting += 1
    try:
        async with loading.turn:
            if not is_metadata_loaded():
                await hass.async_add_executor_job(load_metadata)
    finally:
        loading.waiting -= 1
        if not loading.waiting:
            del hass.data[_LOADING]


@callback
def async_load_metadata_at_start(hass: HomeAssistant) -> None:
    """Be ready to read numbers soon after Home Assistant started; whoever has to read some before waits for it."""

    @callback
    def load(_hass: HomeAssistant) -> None:
        """Load the metadata beside everything else."""
        hass.async_add_executor_job(load_metadata)

    async_at_started(hass, load)


def load_metadata() -> None:
    """Load every country's rules at once: read on demand, they would block the event loop."""
    library()


@cache
def library() -> ModuleType:
    """Return the library with all its rules.

    It takes as long as all the rest of a start, so that an account's set-up waits for it only where somebody opted out
    of texts: nothing may go to them.
    """
    import phonenumbers  # noqa: PLC0415

    phonenumbers.PhoneMetadata.load_all()
    return phonenumbers
