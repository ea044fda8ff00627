"""The devices: the account as a service, and one for each recipient."""

from collections.abc import Callable, Iterable

from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import UNDEFINED

from .account import NetsapiensConfigEntry
from .const import DOMAIN, MANUFACTURER, SUBENTRY_RECIPIENT
from .pbx.coordinator import NetsapiensCoordinator
from .pbx.facts import AccountFacts
from .phone import from_pbx, last_digits, national
from .phone_metadata import async_load_metadata, is_metadata_loaded
from .recipients import DamagedRecipientError, read_recipient
from .sentences import sentence
from .settings import read_settings
from .signals import recipients_changed


def version_shown(facts: AccountFacts) -> str | None:
    """Return the PBX's version as the account's device shows it, which says whose it is."""
    return f"NetSapiens API {facts.version}" if facts.version else None


def account_device_info(coordinator: NetsapiensCoordinator) -> DeviceInfo:
    """Return what describes the account's device."""
    entry = coordinator.config_entry
    info = DeviceInfo(
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, entry.unique_id or entry.entry_id)},
        manufacturer=MANUFACTURER,
        name=entry.title,
        sw_version=version_shown(coordinator.data),
    )
    if is_metadata_loaded():  # else the device keeps what it shows until `async_show_sender`
        info["model"] = _sender_shown(coordinator.hass, entry)
    return info


def _sender_shown(hass: HomeAssistant, entry: ConfigEntry) -> str | None:
    """Return what the account's device shows of its sender number."""
    sender, region = read_settings(entry).from_number, hass.config.country
    if sender is None:
        return None
    return sentence(hass, "common.device_sender", number=national(from_pbx(sender, region), region))


async def async_show_sender(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Show the account's sender number on its device once numbers can be read."""
    await async_load_metadata(hass)
    if entry.state is ConfigEntryState.LOADED:
        async_name_devices(hass, entry, ())


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
        model=_numbers_shown(entry.runtime_data.coordinator.hass, recipient),
        name=recipient.title,
        via_device_id=entry.runtime_data.device_id,
    )


def _numbers_shown(hass: HomeAssistant, recipient: ConfigSubentry) -> str | None:
    """Return what a recipient's device shows of its numbers: the last digits, since every user may see the device."""
    try:
        numbers = [last_digits(number) or "…" for number in read_recipient(recipient).destination]
    except DamagedRecipientError:
        return None
    key = "device_number" if len(numbers) == 1 else "device_numbers"
    return sentence(hass, f"common.{key}", numbers=", ".join(numbers))


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
        """Add those that have none yet."""
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
    model = _sender_shown(hass, entry) if is_metadata_loaded() else UNDEFINED
    devices.async_update_device(entry.runtime_data.device_id, name=entry.title, model=model)
    for recipient_id in recipient_ids:
        info = _recipient_device_info(entry, entry.subentries[recipient_id])
        devices.async_get_or_create(config_entry_id=entry.entry_id, config_subentry_id=recipient_id, **info)
