"""What a person changes of a loaded account, taken over without a reload: its name, options and recipients.

Only other credentials, or another address, reload the account.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.dispatcher import async_dispatcher_send

from .account import NetsapiensConfigEntry
from .const import SUBENTRY_RECIPIENT
from .entity import async_name_devices
from .issues import check_hourly_limit, check_options, check_recipients, check_sender
from .notify_actions import NamedActions
from .pbx.login import login_of
from .phone_metadata import async_load_metadata
from .signals import recipients_changed

_CLOSED = {ConfigEntryState.UNLOAD_IN_PROGRESS, ConfigEntryState.NOT_LOADED}


class _Settings(NamedTuple):
    """What is taken over, as it was at one time. Home Assistant changes a subentry in place."""

    title: str
    options: Mapping[str, Any]
    recipients: dict[str, tuple[str, Mapping[str, Any]]]


class Changes:
    """Follows the changes of one account.

    Parameters:
        entry: the account, loaded.
        actions: its actions by name.
    """

    def __init__(self, entry: NetsapiensConfigEntry, actions: NamedActions) -> None:
        self._entry = entry
        self._actions = actions
        self._known = _settings(entry)

    async def async_apply(self, hass: HomeAssistant, _entry: ConfigEntry) -> None:
        """Take over what was changed."""
        entry = self._entry
        if entry.state in _CLOSED:
            return  # it is read when the account is set up
        account = entry.runtime_data
        if login_of(entry.data) != account.coordinator.login:
            hass.config_entries.async_schedule_reload(entry.entry_id)
            return
        before, self._known = self._known, _settings(entry)
        if self._known == before:
            return  # what the integration keeps with the account itself
        account.addresses.forget()
        account.coordinator.name = entry.title
        recipients = self._known.recipients
        async_name_devices(hass, entry, [one for one in recipients if recipients[one] != before.recipients.get(one)])
        self._actions.async_update()
        async_dispatcher_send(hass, recipients_changed(entry))
        account.refusals.async_check()
        check_options(hass, entry)
        check_hourly_limit(hass, entry, account.queue.taken_last_hour)
        check_recipients(hass, entry)
        await async_load_metadata(hass)
        check_sender(hass, entry, account.coordinator.data)
        await account.receiver.async_apply()


def _settings(entry: ConfigEntry) -> _Settings:
    """Return what is to be taken over now."""
    recipients = entry.get_subentries_of_type(SUBENTRY_RECIPIENT)
    return _Settings(entry.title, entry.options, {one.subentry_id: (one.title, one.data) for one in recipients})
