"""What helps to find a fault, and nothing that must stay at home."""

from collections.abc import Mapping
import math
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .account import NetsapiensConfigEntry
from .api.naive_times import in_hours
from .const import SUBENTRY_RECIPIENT
from .pbx.login import login_of
from .phone import mask
from .recipients import is_damaged, readable_recipients
from .settings import read_settings


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> dict[str, Any]:
    """Return an account's state: numbers by their last four digits, no credentials, no texts, no names."""
    options = read_settings(entry)._asdict()
    sender, damaged = options.pop("from_number"), options.pop("damaged")
    options["live_url"] = options["live_url"] is not None
    return {
        "way_in": "api_key" if CONF_API_KEY in entry.data else "sign_in",
        "verify_ssl": login_of(entry.data)["verify_ssl"],
        "options": options,
        "damaged_options": list(damaged),
        "sender": mask(sender) if sender else None,
        **(
            _running(entry)
            if entry.state is ConfigEntryState.LOADED
            else {"state": entry.state.value, "why": _why_not(entry)}
        ),
        "recipients": [
            {
                "destinations": [mask(number) for number in data.destination],
                "group": data.group,
                "own_sender": data.from_number is not None,
            }
            for _, data in readable_recipients(entry)
        ],
        "damaged_recipients": sum(map(is_damaged, entry.get_subentries_of_type(SUBENTRY_RECIPIENT))),
    }


def _why_not(entry: NetsapiensConfigEntry) -> dict[str, str] | None:
    """Return why an account is not loaded."""
    key = entry.error_reason_translation_key
    return None if key is None else _kind(key, entry.error_reason_translation_placeholders)


def _kind_of(err: BaseException | None) -> dict[str, str] | None:
    """Return of which kind an error is."""
    if err is None:
        return None
    if isinstance(err, HomeAssistantError) and err.translation_key is not None:
        return _kind(err.translation_key, err.translation_placeholders)
    return {"kind": type(err).__name__}


def _kind(key: str, placeholders: Mapping[str, str] | None) -> dict[str, str]:
    """Return the kind of an error, and the status that the PBX gave; never its words, which may be of people."""
    status = (placeholders or {}).get("status")
    return {"kind": key} if status is None else {"kind": key, "status": status}


def _running(entry: NetsapiensConfigEntry) -> dict[str, Any]:
    """Return what only a loaded account knows."""
    coordinator, queue, poller = entry.runtime_data.coordinator, entry.runtime_data.queue, entry.runtime_data.poller
    facts = coordinator.data
    token_left = coordinator.api.token_left
    return {
        "account": {
            "scope": facts.account.scope,
            "version": facts.version,
            "numbers": [
                {
                    "number": mask(number.number),
                    "mms_capable": number.mms_capable,
                    "group_mms_capable": number.group_mms_capable,
                }
                for number in facts.numbers.values()
            ],
        },
        "pbx": {
            "reached_last_time": coordinator.last_update_success,
            "last_error": _kind_of(coordinator.last_exception),
            "token_left": round(token_left) if math.isfinite(token_left) else None,
            "clock": coordinator.api.now().isoformat(timespec="seconds"),
            "clock_is_settled": coordinator.api.clock.is_settled,
            "clock_was_set_by": round(coordinator.api.clock.jumped),
            "bare_times_from_utc": in_hours(coordinator.api.naive_times.offset),
        },
        "poller": None if poller is None else poller.diagnostics,
        "opted_out": len(entry.runtime_data.opt_outs.current),
        **entry.runtime_data.receiver.diagnostics,
        "pictures": entry.runtime_data.pictures.diagnostics,
        "queue": {
            "queued": queue.queued,
            "taken_last_hour": queue.taken_last_hour,
            "away": queue.is_away,
        },
    }
