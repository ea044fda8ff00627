"""The dialogs of repair issues."""

from typing import override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .account import NetsapiensConfigEntry
from .const import CONF_INCOMING, INCOMING_POLL
from .receiving.opt_out_store import OptOut
from .receiving.opt_outs import OptOuts


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the dialog of an issue: most ask to confirm that it was read."""
    known = {key: str(value) for key, value in (data or {}).items()}
    entry: NetsapiensConfigEntry | None = hass.config_entries.async_get_entry(known.get("entry_id", ""))
    if entry is not None and issue_id.startswith("push_without_url"):
        return PollRepairFlow(entry)
    if entry is not None and "theirs" in known:
        return OptInRepairFlow(entry, OptOut(known.get("ours", ""), known["theirs"]))
    return ConfirmRepairFlow()


class PollRepairFlow(ConfirmRepairFlow):
    """Sets an account to polling, once that is confirmed."""

    def __init__(self, entry: NetsapiensConfigEntry) -> None:
        self._entry = entry

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Set the option."""
        if user_input is not None:
            options = {**self._entry.options, CONF_INCOMING: INCOMING_POLL}
            self.hass.config_entries.async_update_entry(self._entry, options=options)
        return await super().async_step_confirm(user_input)


class OptInRepairFlow(ConfirmRepairFlow):
    """Lets somebody get texts again who opted out, once it is confirmed that they want them.

    Parameters:
        entry: the account.
        opt_out: who, and from which number.
    """

    def __init__(self, entry: NetsapiensConfigEntry, opt_out: OptOut) -> None:
        self._entry = entry
        self._opt_out = opt_out

    @override
    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Opt them in, and have that on disk."""
        if user_input is not None:
            opt_outs = await self._opt_outs()
            try:
                await opt_outs.async_opt_in(self._opt_out)
            except HomeAssistantError:
                return self.async_abort(reason="not_kept")
        return await super().async_step_confirm(user_input)

    async def _opt_outs(self) -> OptOuts:
        """Return who opted out, also where the account is not loaded."""
        if self._entry.state is ConfigEntryState.LOADED:
            return self._entry.runtime_data.opt_outs
        opt_outs = OptOuts(self.hass, self._entry)
        await opt_outs.async_load()
        return opt_outs
