"""Text with Home Assistant through a NetSapiens PBX."""

from collections.abc import Callable
from datetime import datetime
import logging

from homeassistant.components import persistent_notification, webhook
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_WEBHOOK_ID, EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.typing import ConfigType
from homeassistant.util.hass_dict import HassKey

from .account import NetsapiensConfigEntry, NetsapiensData
from .actions import async_name_recipients, async_register_actions
from .const import (
    CONF_CLOUDHOOK_URL,
    CONF_HOURLY_LIMIT,
    CONF_INCOMING,
    DEFAULT_HOURLY_LIMIT,
    DOMAIN,
    INCOMING_OFF,
    INCOMING_POLL,
    INCOMING_PUSH,
)
from .coordinator import NetsapiensCoordinator
from .entity import account_device_info
from .event import newest_received
from .inbox import Inbox
from .issues import (
    check_conversations,
    check_recipients,
    check_sender,
    clear_all,
    clear_push_issues,
    raise_inbox_damaged,
    raise_outbox_damaged,
)
from .lookup import History
from .outbox import Outbox
from .phone import load_metadata
from .push import Push, async_end_push
from .services import async_setup_services
from .store import FactsStore, InboxStore, OutboxStore

_LOGGER = logging.getLogger(__name__)

PLATFORMS = [Platform.EVENT, Platform.NOTIFY, Platform.SENSOR]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

# By entry, since it outlives a reload: what was sent a moment ago still tells equal texts apart.
_HISTORIES: HassKey[dict[str, History]] = HassKey(f"{DOMAIN}_histories")


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the action."""
    hass.data[_HISTORIES] = {}
    async_setup_services(hass)

    @callback
    def load(_hass: HomeAssistant) -> None:
        """Be ready to read numbers; whoever has to read some before waits for it."""
        hass.async_add_executor_job(load_metadata)

    async_at_started(hass, load)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> bool:
    """Sign in to an account, open its doors, and take up what waited to be sent."""
    facts_store = FactsStore(hass, entry.entry_id)
    coordinator = NetsapiensCoordinator(hass, entry)
    await coordinator.async_start(await facts_store.async_load())
    devices = dr.async_get(hass)
    device = devices.async_get_or_create(config_entry_id=entry.entry_id, **account_device_info(coordinator))
    outbox = Outbox(
        coordinator,
        OutboxStore(hass, entry.entry_id, _label_in(entry)),
        hass.data[_HISTORIES].setdefault(entry.entry_id, History()),
        hourly_limit=int(entry.options.get(CONF_HOURLY_LIMIT, DEFAULT_HOURLY_LIMIT)),
    )
    entry.runtime_data = NetsapiensData(coordinator, outbox, device.id)

    @callback
    def take_over_facts() -> None:
        """Show and keep what the PBX says now. This listener also keeps the coordinator polling."""
        if coordinator.last_update_success:
            devices.async_update_device(device.id, sw_version=coordinator.data.version or None)
            check_sender(hass, entry, coordinator.data)
            entry.async_create_task(hass, facts_store.async_save(coordinator.data))

    check_recipients(hass, entry)
    entry.async_on_unload(coordinator.async_add_listener(take_over_facts))
    take_over_facts()
    async_name_recipients(hass, entry)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    async_register_actions(hass, entry)
    await _async_start_outbox(hass, entry)
    _start_inbox(hass, entry)
    entry.async_on_unload(entry.add_update_listener(_async_reload))
    return True


def _label_in(entry: ConfigEntry) -> Callable[[str | None], str | None]:
    """Return what gives the names of an account's recipients."""

    def label(recipient_id: str | None) -> str | None:
        recipient = entry.subentries.get(recipient_id or "")
        return recipient.title if recipient else None

    return label


async def _async_start_outbox(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Take up the messages that waited, and see that none is lost when Home Assistant stops."""
    outbox = entry.runtime_data.outbox
    if (aside := await outbox.async_load()) is not None:
        raise_outbox_damaged(hass, entry, aside)

    @callback
    def report_failures(_hass: HomeAssistant) -> None:
        """Tell of failures, now that automations listen."""
        outbox.async_report_failures(entry.runtime_data.tell_failure)

    async def stop(_event: Event) -> None:
        """Keep what waits."""
        await outbox.async_stop()

    entry.async_on_unload(async_at_started(hass, report_failures))
    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop))


@callback
def _start_inbox(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
    """Look for messages, in the way that the options say, once automations listen."""
    incoming = entry.options.get(CONF_INCOMING, INCOMING_POLL)
    webhook_id: str | None = entry.data.get(CONF_WEBHOOK_ID)
    if incoming != INCOMING_PUSH:
        clear_push_issues(hass, entry)
        if webhook_id is not None:
            entry.async_create_background_task(hass, async_end_push(hass, entry.data), "netsapiens end of push")
            data = {key: value for key, value in entry.data.items() if key not in {CONF_WEBHOOK_ID, CONF_CLOUDHOOK_URL}}
            hass.config_entries.async_update_entry(entry, data=data)
    if incoming == INCOMING_OFF:
        return
    account = entry.runtime_data

    @callback
    def report_damaged(aside: str) -> datetime | None:
        """Tell that it is not known any more what was told; what the event entities show was."""
        raise_inbox_damaged(hass, entry, aside)
        return newest_received(hass, entry)

    inbox = Inbox(
        account.coordinator,
        InboxStore(hass, entry.entry_id),
        account.tell_received,
        lambda cut: check_conversations(hass, entry, cut),
        report_damaged,
    )
    account.inbox = inbox
    if incoming == INCOMING_PUSH:
        if webhook_id is None:
            webhook_id = webhook.async_generate_id()
            hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_WEBHOOK_ID: webhook_id})
        push = Push(account.coordinator, inbox, webhook_id)
        push.async_start()
        entry.async_on_unload(push.async_stop)

    @callback
    def look(_hass: HomeAssistant) -> None:
        """Look, now that automations listen."""
        inbox.async_start()

    async def stop(_event: Event) -> None:
        """Leave what comes in from now on to the next start: automations do not run any more."""
        await inbox.async_stop()

    entry.async_on_unload(async_at_started(hass, look))
    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop))


async def async_unload_entry(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> bool:
    """Close an account's doors, and wait for the requests under way."""
    inbox = entry.runtime_data.inbox
    if inbox is not None:
        await inbox.async_stop()  # first: what it tells must still be heard
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        if inbox is not None:
            inbox.async_start()
        return False
    await entry.runtime_data.outbox.async_stop()
    return True


async def async_remove_entry(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete what is kept of an account, and say what will not be sent any more."""
    store = OutboxStore(hass, entry.entry_id, _label_in(entry))
    dropped, _ = await store.async_load()
    if dropped:
        _LOGGER.warning("%s waiting texts of the removed account %s were dropped", len(dropped), entry.title)
        persistent_notification.async_create(
            hass,
            f"{len(dropped)} texts that waited to be sent were dropped with the account `{entry.title}`.",
            title="NetSapiens",
        )
    await store.async_remove()
    await FactsStore(hass, entry.entry_id).async_remove()
    await InboxStore(hass, entry.entry_id).async_remove()
    await async_end_push(hass, entry.data)
    hass.data.get(_HISTORIES, {}).pop(entry.entry_id, None)
    clear_all(hass, entry)


async def _async_reload(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take over what was changed: credentials, options, title, recipients."""
    hass.config_entries.async_schedule_reload(entry.entry_id)
