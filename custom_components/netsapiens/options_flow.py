"""The dialog for an account's options."""

from typing import Any

from homeassistant.config_entries import (
    ConfigFlowResult,
    OptionsFlow,
)
from homeassistant.const import (
    UnitOfInformation,
    UnitOfTime,
)
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.typing import VolDictType
import voluptuous as vol

from .api import NetsapiensInsecureURLError, NetsapiensURLError, normalise_base_url
from .const import (
    CONF_HOURLY_LIMIT,
    CONF_INCOMING,
    CONF_KEEP_UNDELIVERED,
    CONF_LIVE_URL,
    CONF_MMS_LIMIT,
    CONF_OPT_OUT,
    CONF_PICTURE_TEXT,
    CONF_PLAIN_CHARACTERS,
    CONF_SAVE_PICTURES,
    INCOMING_LIVE,
    INCOMING_OFF,
    INCOMING_POLL,
    INCOMING_PUSH,
    PICTURE_TEXT_SEPARATE,
    PICTURE_TEXT_TOGETHER,
    SAVE_EVERYBODY,
    SAVE_NOBODY,
    SAVE_RECIPIENTS,
)
from .flow_forms import async_read_sender, cleaned, known_numbers, sender_schema, with_shown_sender
from .markdown import plain
from .phone_metadata import async_load_metadata
from .settings import HOURLY_LIMIT_RANGE, KEEP_UNDELIVERED_RANGE, MMS_LIMIT_RANGE, Settings, read_settings

_MINUTES = NumberSelector(
    NumberSelectorConfig(
        min=KEEP_UNDELIVERED_RANGE[0],
        max=KEEP_UNDELIVERED_RANGE[1],
        step=1,
        mode=NumberSelectorMode.BOX,
        unit_of_measurement=UnitOfTime.MINUTES,
    )
)
_KILOBYTES = NumberSelector(
    NumberSelectorConfig(
        min=MMS_LIMIT_RANGE[0],
        max=MMS_LIMIT_RANGE[1],
        step=10,
        mode=NumberSelectorMode.BOX,
        unit_of_measurement=UnitOfInformation.KILOBYTES,
    )
)
_INCOMING = SelectSelector(
    SelectSelectorConfig(
        options=[INCOMING_LIVE, INCOMING_POLL, INCOMING_PUSH, INCOMING_OFF],
        translation_key="incoming",
        mode=SelectSelectorMode.LIST,
    )
)
_URL = TextSelector(TextSelectorConfig(type=TextSelectorType.URL))
_PICTURE_TEXT = SelectSelector(
    SelectSelectorConfig(
        options=[PICTURE_TEXT_SEPARATE, PICTURE_TEXT_TOGETHER],
        translation_key="picture_text",
        mode=SelectSelectorMode.LIST,
    )
)
_SAVE_PICTURES = SelectSelector(
    SelectSelectorConfig(
        options=[SAVE_RECIPIENTS, SAVE_EVERYBODY, SAVE_NOBODY],
        translation_key="save_pictures",
        mode=SelectSelectorMode.LIST,
    )
)
_COUNT = NumberSelector(
    NumberSelectorConfig(min=HOURLY_LIMIT_RANGE[0], max=HOURLY_LIMIT_RANGE[1], step=1, mode=NumberSelectorMode.BOX)
)


def _delivery_fields(settings: Settings) -> VolDictType:
    """Return the fields for how long and how often to send."""
    return {
        vol.Required(CONF_INCOMING, default=settings.incoming): _INCOMING,
        vol.Optional(CONF_LIVE_URL): _URL,
        vol.Required(CONF_KEEP_UNDELIVERED, default=settings.keep_undelivered): _MINUTES,
        vol.Required(CONF_HOURLY_LIMIT, default=settings.hourly_limit): _COUNT,
        vol.Required(CONF_MMS_LIMIT, default=settings.mms_limit_kb): _KILOBYTES,
        vol.Required(CONF_PICTURE_TEXT, default=settings.picture_text): _PICTURE_TEXT,
        vol.Required(CONF_PLAIN_CHARACTERS, default=settings.plain_characters): BooleanSelector(),
        vol.Required(CONF_SAVE_PICTURES, default=settings.save_pictures): _SAVE_PICTURES,
        vol.Required(CONF_OPT_OUT, default=settings.opt_out): BooleanSelector(),
    }


_CHOSEN = (CONF_INCOMING, CONF_PICTURE_TEXT, CONF_PLAIN_CHARACTERS, CONF_SAVE_PICTURES, CONF_OPT_OUT)


def _read_live_url(user_input: dict[str, Any], errors: dict[str, str]) -> dict[str, str]:
    """Return the address of the live server as it is kept, nothing where there is none; note what is wrong with it."""
    text = cleaned(user_input).get(CONF_LIVE_URL, "")
    try:
        return {CONF_LIVE_URL: normalise_base_url(text)} if text else {}
    except NetsapiensInsecureURLError:
        errors[CONF_LIVE_URL] = "insecure_url"
    except NetsapiensURLError:
        errors[CONF_LIVE_URL] = "invalid_url"
    return {}


class NetsapiensOptionsFlow(OptionsFlow):
    """Change how an account sends."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        errors: dict[str, str] = {}
        numbers = known_numbers(self.config_entry)
        if user_input is not None:
            sender = await async_read_sender(self.hass, user_input, errors, required=bool(numbers))
            live_url = _read_live_url(user_input, errors)
            if not errors:
                keys = (CONF_KEEP_UNDELIVERED, CONF_HOURLY_LIMIT, CONF_MMS_LIMIT)
                counts = {key: int(user_input[key]) for key in keys}
                chosen = {key: user_input[key] for key in _CHOSEN}
                return self.async_create_entry(data={**sender, **live_url, **chosen, **counts})
        settings = read_settings(self.config_entry)
        await async_load_metadata(self.hass)
        region = self.hass.config.country
        schema = sender_schema(numbers, region, required=bool(numbers), default=settings.from_number)
        schema = schema.extend(_delivery_fields(settings))
        kept = {key: value for key, value in self.config_entry.options.items() if key not in settings.damaged}
        shown = with_shown_sender(kept, numbers, region) if user_input is None else user_input
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            errors=errors,
            description_placeholders={"login": plain(self.config_entry.title)},
        )
