"""The devices: the account as a service, and one for each recipient."""

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity

from .account import NetsapiensConfigEntry
from .const import DOMAIN, MANUFACTURER
from .coordinator import NetsapiensCoordinator


def account_device_info(coordinator: NetsapiensCoordinator) -> DeviceInfo:
    """Return what describes the account's device."""
    entry = coordinator.config_entry
    return DeviceInfo(
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, entry.unique_id or entry.entry_id)},
        manufacturer=MANUFACTURER,
        name=entry.title,
        sw_version=coordinator.data.version or None,
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
    """An entity on a recipient's device.

    Parameters:
        entry: the account.
        recipient: the recipient's subentry.
        key: tells the entities of one recipient apart.
    """

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, entry: NetsapiensConfigEntry, recipient: ConfigSubentry, key: str) -> None:
        self._entry = entry
        self._recipient = recipient
        identifier = f"{entry.unique_id}_{recipient.subentry_id}"
        self._attr_unique_id = f"{identifier}_{key}"
        self._attr_device_info = DeviceInfo(
            entry_type=DeviceEntryType.SERVICE,
            identifiers={(DOMAIN, identifier)},
            manufacturer=MANUFACTURER,
            name=recipient.title,
            via_device_id=entry.runtime_data.device_id,
        )
