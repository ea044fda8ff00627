"""The dialogs of repair issues."""

from typing import override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from .const import CONF_INCOMING, INCOMING_POLL


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the dialog of an issue: most ask to confirm that it was read."""
    entry = hass.config_entries.async_get_entry(str((data or {}).get("entry_id")))
    if entry is not None and issue_id.startswith("push_without_url"):
        return PollRepairFlow(entry)
    return ConfirmRepairFlow()


class PollRepairFlow(ConfirmRepairFlow):
    """Sets an account to polling, once that is confirmed."""

    def __init__(self, entry: ConfigEntry) -> None:
        self._entry = entry

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Set the option."""
        if user_input is not None:
            options = {**self._entry.options, CONF_INCOMING: INCOMING_POLL}
            self.hass.config_entries.async_update_entry(self._entry, options=options)
        return await super().async_step_confirm(user_input)
