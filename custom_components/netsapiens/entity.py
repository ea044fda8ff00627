"""The devices: the account as a service, and one for each recipient."""

from collections.abc import Callable, Iterable

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import NetsapiensConfigEntry
from .const import DOMAIN, MANUFACTURER, SUBENTRY_RECIPIENT
from .pbx.coordinator import AccountFacts, NetsapiensCoordinator
from .signals import recipients_changed


def version_shown(facts: AccountFacts) -> str | None:
    """Return the PBX's version as the account's device shows it, which says whose it is."""
    return f"NetSapiens API {facts.version}" if facts.version else None


def account_device_info(coordinator: NetsapiensCoordinator) -> DeviceInfo:
    """Return what describes the account's device."""
    entry = coordinator.config_entry
    return DeviceInfo(
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, entry.unique_id or entry.entry_id)},
        manufacturer=MANUFACTURER,
        name=entry.title,
        sw_version=version_shown(coordinator.data),
    )


class AccountEntity(Entity):
    """An entity on an account's device.

    Parameters:
        entry: the account.
        key: tells the entities of one account apart.
    """

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, entry: NetsapiensConfigEntry, key: str) -> None:
        self._entry = entry
        self._attr_unique_id = f"{entry.unique_id}_{key}"
        self._attr_device_info = account_device_info(entry.runtime_data.coordinator)


class RecipientEntity(Entity):
    """An entity on a recipient's device. What it knows of the recipient is what the account's entry says now.

    Parameters:
        entry: the account.
        recipient: the recipient's subentry.
        key: tells the entities of one recipient apart.
    """

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, entry: NetsapiensConfigEntry, recipient: ConfigSubentry, key: str) -> None:
        self._entry = entry
        self._recipient_id = recipient.subentry_id
        self._attr_unique_id = f"{entry.unique_id}_{recipient.subentry_id}_{key}"
        self._attr_device_info = _recipient_device_info(entry, recipient)


def _recipient_device_info(entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> DeviceInfo:
    """Return what describes a recipient's device."""
    return DeviceInfo(
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, f"{entry.unique_id}_{recipient.subentry_id}")},
        manufacturer=MANUFACTURER,
        name=recipient.title,
        via_device_id=entry.runtime_data.device_id,
    )


@callback
def async_add_for_recipients(
    hass: HomeAssistant,
    entry: NetsapiensConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    make: Callable[[NetsapiensConfigEntry, ConfigSubentry], Entity],
) -> None:
    """Add an entity for each recipient, and for those who are added later. Home Assistant takes away the removed ones.

    Parameters:
        entry: the account.
        async_add_entities: the platform's.
        make: returns a recipient's entity.
    """
    known: set[str] = set()

    @callback
    def add_new() -> None:
        recipients = {
            recipient.subentry_id: recipient for recipient in entry.get_subentries_of_type(SUBENTRY_RECIPIENT)
        }
        known.intersection_update(recipients)
        for recipient_id in [one for one in recipients if one not in known]:
            known.add(recipient_id)
            async_add_entities([make(entry, recipients[recipient_id])], config_subentry_id=recipient_id)

    add_new()
    entry.async_on_unload(async_dispatcher_connect(hass, recipients_changed(entry), add_new))


@callback
def async_name_devices(hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient_ids: Iterable[str]) -> None:
    """Give the account's device and those of these recipients the names that they have now."""
    devices = dr.async_get(hass)
    devices.async_update_device(entry.runtime_data.device_id, name=entry.title)
    for recipient_id in recipient_ids:
        info = _recipient_device_info(entry, entry.subentries[recipient_id])
        devices.async_get_or_create(config_entry_id=entry.entry_id, config_subentry_id=recipient_id, **info)
