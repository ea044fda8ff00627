"""Sentences of our own in Home Assistant's language, for what it does not translate by itself.

Not for dialogs: a person's browser may speak another language, and translates those.
"""

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations, async_get_translations

from .const import DOMAIN


async def async_load_translations(hass: HomeAssistant) -> None:
    """Load the sentences of Home Assistant's language. Home Assistant does so before it sets up an account."""
    await async_get_translations(hass, hass.config.language, "common", {DOMAIN})


@callback
def sentence(hass: HomeAssistant, path: str, /, **placeholders: str | int) -> str:
    """Return a sentence.

    Parameters:
        path: where it is in the translations, such as ``common.file``.
        placeholders: what is filled in.
    """
    category = path.partition(".")[0]
    words = async_get_cached_translations(hass, hass.config.language, category, DOMAIN)
    return words[f"component.{DOMAIN}.{path}"].format(**placeholders)
