"""The conversation card: served to browsers, and loaded by every dashboard."""

import hashlib
from pathlib import Path

from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL, add_extra_js_url, remove_extra_js_url
from homeassistant.components.http import StaticPathConfig
from homeassistant.core import HomeAssistant, callback
from homeassistant.loader import async_get_integration
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN

_MODULE = Path(__file__).parent / "frontend" / "netsapiens-conversation-card.js"
_URL: HassKey[str] = HassKey("netsapiens_card_url")  # under which it is served; a path is there until a restart
_IS_LOADED: HassKey[bool] = HassKey("netsapiens_card_is_loaded")


async def async_add_card(hass: HomeAssistant) -> None:
    """Have dashboards load the card, also those that are open. There is one registration for all accounts.

    Nothing happens where Home Assistant runs without its frontend.
    """
    if DATA_EXTRA_MODULE_URL not in hass.data or hass.data.get(_IS_LOADED):
        return
    hass.data[_IS_LOADED] = True
    if _URL not in hass.data:
        content = await hass.async_add_executor_job(_MODULE.read_bytes)
        version = (await async_get_integration(hass, DOMAIN)).version
        # The version changes with a release, the digest with the file: browsers may keep it for good.
        digest = hashlib.blake2b(content, digest_size=4).hexdigest()
        hass.data[_URL] = f"/{DOMAIN}/{version}-{digest}/{_MODULE.name}"
        await hass.http.async_register_static_paths([StaticPathConfig(hass.data[_URL], str(_MODULE))])
    add_extra_js_url(hass, hass.data[_URL])


@callback
def async_remove_card(hass: HomeAssistant) -> None:
    """Have dashboards load the card no longer, once the last account is removed."""
    if not hass.config_entries.async_entries(DOMAIN) and hass.data.pop(_IS_LOADED, None):
        remove_extra_js_url(hass, hass.data[_URL])
