"""What of an account outlives a reload: its queue with the requests under way, its client, and what it knows.

When an account is unloaded, nobody says whether it is set up again in a moment. So its queue goes on for a while, and
stops where the account does not come back. There is never a second one: both would send the same texts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.event import async_call_later
from homeassistant.util.hass_dict import HassKey

from .account import NetsapiensConfigEntry, NetsapiensData
from .delivery.queue import DeliveryQueue
from .delivery.reconcile import RecentSends
from .delivery.spool import Spool
from .delivery.spool_files import DAMAGED
from .delivery.timing import timing_of
from .entity import account_device_info
from .issues import raise_outbox_damaged
from .pbx.coordinator import NetsapiensCoordinator
from .pbx.store import FactsStore

_BACK_WITHIN = 60.0  # seconds; a reload takes well under one

# By entry: what was sent a moment ago still tells duplicates apart.
_HISTORIES: HassKey[dict[str, RecentSends]] = HassKey("netsapiens_histories")
_PARKED: HassKey[dict[str, _Parked]] = HassKey("netsapiens_parked")


@dataclass(slots=True)
class _Parked:
    """The queue of an account that is not loaded now.

    Attributes:
        forget: cancels the timer that ends it.
    """

    coordinator: NetsapiensCoordinator
    queue: DeliveryQueue
    forget: CALLBACK_TYPE

    async def async_end(self) -> None:
        """End it, unless it has ended; return once it has."""
        self.forget()
        await self.queue.async_stop()
        await self.coordinator.async_close()


async def async_begin(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> NetsapiensData:
    """Return the parts of an account, signed in; after a reload, go on with those that it had.

    Raises:
        ConfigEntryAuthFailed: the credentials are refused.
        ConfigEntryNotReady: the PBX is away and nothing is known of the account.
    """
    parked = hass.data.get(_PARKED, {}).get(entry.entry_id)
    if parked is not None and parked.queue.is_stopped:
        await async_end(hass, entry.entry_id)  # a second queue may only begin once it is done
        parked = None
    if parked is not None:
        parked.forget()
    try:
        coordinator, queue = await (_async_go_on(hass, entry, parked) if parked else _async_begin_anew(hass, entry))
    except BaseException:
        await async_end(hass, entry.entry_id)
        raise
    if parked is not None:
        del hass.data[_PARKED][entry.entry_id]
    device = dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, **account_device_info(coordinator))
    return NetsapiensData(coordinator, queue, device.id)


async def _async_begin_anew(
    hass: HomeAssistant, entry: NetsapiensConfigEntry
) -> tuple[NetsapiensCoordinator, DeliveryQueue]:
    """Sign in, and take up the texts that waited on disk."""
    coordinator = NetsapiensCoordinator(hass, entry)
    try:
        await coordinator.async_start(await FactsStore(hass, entry.entry_id).async_load())
        history = hass.data.setdefault(_HISTORIES, {}).setdefault(entry.entry_id, RecentSends(timing_of(hass).slack))
        spool = Spool(hass, entry.entry_id)
        queue = DeliveryQueue(coordinator, spool, history)
        if damaged := await queue.async_load(label_in(entry)):
            raise_outbox_damaged(hass, entry, f"{spool.path.name}/{damaged[0] if len(damaged) == 1 else DAMAGED}")
    except BaseException:
        await coordinator.async_close()
        raise
    return coordinator, queue


async def _async_go_on(
    hass: HomeAssistant, entry: NetsapiensConfigEntry, parked: _Parked
) -> tuple[NetsapiensCoordinator, DeliveryQueue]:
    """Go on after a reload, without a word to the PBX that is waited for."""
    coordinator = NetsapiensCoordinator(hass, entry, parked.coordinator)
    coordinator.async_go_on()
    parked.queue.async_attach(coordinator)
    if coordinator.api is not parked.coordinator.api:
        await parked.coordinator.async_close()
    return coordinator, parked.queue


async def async_give_up(account: NetsapiensData) -> None:
    """End the parts of an account that could not be set up."""
    await account.pictures.async_stop()
    await account.contacts.async_stop()
    await account.queue.async_stop()
    await account.coordinator.async_close()


async def async_park(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Let an account's queue go on without the rest, in case it is set up again; of a disabled one, end it."""
    account = entry.runtime_data
    parked_by_entry = hass.data.setdefault(_PARKED, {})

    async def end(_now: datetime) -> None:
        """End the queue: the account did not come back."""
        await async_end(hass, entry.entry_id)

    job = HassJob(end, "netsapiens end of an unloaded account", cancel_on_shutdown=True)
    forget = async_call_later(hass, _BACK_WITHIN, job)
    parked_by_entry[entry.entry_id] = _Parked(account.coordinator, account.queue, forget)
    if entry.disabled_by is not None:
        await async_end(hass, entry.entry_id)


async def async_end(hass: HomeAssistant, entry_id: str) -> None:
    """End the queue of an account that is not loaded: what waits is on disk when this returns."""
    parked = hass.data.get(_PARKED, {}).get(entry_id)
    if parked is not None:
        await parked.async_end()
        if hass.data[_PARKED].get(entry_id) is parked:
            del hass.data[_PARKED][entry_id]


@callback
def async_forget(hass: HomeAssistant, entry_id: str) -> None:
    """Forget what was sent lately."""
    hass.data.get(_HISTORIES, {}).pop(entry_id, None)


def label_in(entry: ConfigEntry) -> Callable[[str | None], str | None]:
    """Return what gives the names of an account's recipients."""

    def label(recipient_id: str | None) -> str | None:
        """Return the recipient's name; None where there is no such recipient."""
        recipient = entry.subentries.get(recipient_id or "")
        return recipient.title if recipient else None

    return label
