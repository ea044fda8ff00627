"""The forms of an account's dialogs, and the field for a sender number."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import (
    CONF_API_KEY,
    CONF_CLIENT_ID,
    CONF_CLIENT_SECRET,
    CONF_DOMAIN,
    CONF_PASSWORD,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.typing import VolDictType
import voluptuous as vol

from .account import NetsapiensConfigEntry
from .api import (
    SmsNumber,
)
from .const import (
    CONF_BASE_URL,
    CONF_FROM_NUMBER,
    CONF_USER,
)
from .phone import InvalidNumberError, from_pbx, international, national, parse_sender
from .phone_metadata import async_load_metadata

type Numbers = Mapping[str, SmsNumber]  # by their digits

NO_SENDER = "none"  # the choice to have none


# What comes along when people paste: blanks of all widths, line ends, and characters of no width.
_AROUND = "".join(
    chr(code)
    for codes in (
        *(range(0x21), range(0x7F, 0xA1), range(0x2000, 0x2010), range(0x2028, 0x2030), range(0x205F, 0x2070)),
        (0xAD, 0x1680, 0x180E, 0x3000, 0xFEFF),
    )
    for code in codes
)

_URL = TextSelector(TextSelectorConfig(type=TextSelectorType.TEXT, autocomplete="url"))
_TEXT = TextSelector()
_LOGIN = TextSelector(TextSelectorConfig(autocomplete="username"))
_SECRET = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
_PASSWORD = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password"))


def _connection_schema(credentials: VolDictType) -> vol.Schema:
    """Return the form for where the phone system is and how to get in."""
    return vol.Schema(
        {
            vol.Required(CONF_BASE_URL): _URL,
            **credentials,
            vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector(),
        }
    )


def _login_fields(secret: type[vol.Marker]) -> VolDictType:
    """Return the fields of a login; secrets may be left empty where they are known."""
    return {
        vol.Required(CONF_CLIENT_ID): _TEXT,
        secret(CONF_CLIENT_SECRET): _SECRET,
        vol.Required(CONF_USERNAME): _LOGIN,
        secret(CONF_PASSWORD): _PASSWORD,
    }


SIGN_IN_SCHEMA = _connection_schema(_login_fields(vol.Required))
KEY_SCHEMA = _connection_schema({vol.Required(CONF_API_KEY): _SECRET})
KEY_USER_SCHEMA = vol.Schema({vol.Required(CONF_DOMAIN): _TEXT, vol.Required(CONF_USER): _TEXT})
# What is left empty stays as it is. A key in place of a password: the operator may have turned on a second factor.
RECONFIGURE_SCHEMA = _connection_schema({**_login_fields(vol.Optional), vol.Optional(CONF_API_KEY): _SECRET})
RECONFIGURE_KEY_SCHEMA = _connection_schema({vol.Optional(CONF_API_KEY): _SECRET})
REAUTH_KEY_SCHEMA = vol.Schema({vol.Required(CONF_API_KEY): _SECRET})
REAUTH_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_PASSWORD): _PASSWORD,
        vol.Optional(CONF_CLIENT_ID): _TEXT,
        vol.Optional(CONF_CLIENT_SECRET): _SECRET,
    }
)


def cleaned(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was typed into a form without what pasting puts around it. Of a password everything counts."""
    return {
        key: value.strip(_AROUND) if isinstance(value, str) and key != CONF_PASSWORD else value
        for key, value in user_input.items()
    }


def written(number: str, region: str | None) -> str:
    """Return a sender number that the PBX lists as people at home write it."""
    return national(from_pbx(number, region), region)


def _kept_written(number: str, numbers: Numbers, region: str | None) -> str:
    """Return the sender number that is kept as people at home write it: sent back, it means the same number."""
    return written(number, region) if number in numbers else national(international(number), region)


def sender_selector(numbers: Numbers, region: str | None, *, offer_none: bool = False) -> SelectSelector:
    """Return the field to choose a sender number, or type one. Where there are several owners, it shows them.

    Parameters:
        numbers: those that the PBX lists.
        region: the country of the house.
        offer_none: whether to have no sender number is a choice as well.
    """
    several = len({number.dest for number in numbers.values()}) > 1
    options = []
    for digits, number in numbers.items():
        value = written(digits, region)
        label = f"{value} · {number.owner or number.dest}" if several else value
        options.append(SelectOptionDict(value=value, label=label))
    config = SelectSelectorConfig(options=options, custom_value=True, mode=SelectSelectorMode.DROPDOWN)
    if offer_none:  # its words are translated by the browser
        options.append(SelectOptionDict(value=NO_SENDER, label=NO_SENDER))
        config["translation_key"] = "sender"
    return SelectSelector(config)


def sender_schema(numbers: Numbers, region: str | None, *, required: bool, default: str | None = None) -> vol.Schema:
    """Return the form to choose the sender."""
    selector = sender_selector(numbers, region, offer_none=not required)
    if not required:
        return vol.Schema({vol.Optional(CONF_FROM_NUMBER): selector})
    marker = vol.Required(
        CONF_FROM_NUMBER, default=_kept_written(default, numbers, region) if default is not None else vol.UNDEFINED
    )
    return vol.Schema({marker: selector})


async def async_read_sender(
    hass: HomeAssistant, user_input: Mapping[str, Any], errors: dict[str, str], *, required: bool = False
) -> dict[str, str]:
    """Return the sender that a form gives, if any, as the PBX wants it."""
    text = cleaned(user_input).get(CONF_FROM_NUMBER, "")
    if not required and text in ("", NO_SENDER):
        return {}
    await async_load_metadata(hass)
    try:
        return {CONF_FROM_NUMBER: parse_sender(text, hass.config.country)}
    except InvalidNumberError:
        errors[CONF_FROM_NUMBER] = "invalid_number"
        return {}


def with_shown_sender(kept: Mapping[str, Any], numbers: Numbers, region: str | None) -> dict[str, Any]:
    """Return what is kept as a form shows it: the sender as people write it.

    Parameters:
        kept: what is.
        numbers: those that the PBX lists.
        region: the country of the house.
    """
    sender = kept.get(CONF_FROM_NUMBER)
    return {**kept, CONF_FROM_NUMBER: _kept_written(sender, numbers, region)} if sender else dict(kept)


def known_numbers(entry: NetsapiensConfigEntry) -> Numbers:
    """Return the sender numbers that an account has, as far as that is known now."""
    if entry.state is not ConfigEntryState.LOADED:
        return {}
    return entry.runtime_data.coordinator.data.numbers
