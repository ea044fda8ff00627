"""Whether a text is what media is called that we sent, which the PBX lists beside it since it wants some text there."""

from homeassistant.helpers.translation import async_get_cached_translations

from .account import NetsapiensConfigEntry
from .const import DOMAIN
from .listed_text import text_key
from .media.load import WORDS
from .media.sources import PICTURED
from .outgoing_log import async_log_of


def is_media_name(entry: NetsapiensConfigEntry, text: str) -> bool:
    """Return whether a text beside media is only what that is called.

    It is where media went out under it since Home Assistant started, or where what gives pictures has that name, or
    it is what media is called that has none. A file's name of before cannot be told from words.

    Parameters:
        entry: the account that sent it.
        text: what the PBX lists.
    """
    hass = entry.runtime_data.coordinator.hass
    if async_log_of(hass, entry.entry_id).is_media_name(text):
        return True
    translated = async_get_cached_translations(hass, hass.config.language, "common", DOMAIN)
    words = (translated.get(f"component.{DOMAIN}.common.{word}") for word in WORDS)
    names = (state.name for state in hass.states.async_all(PICTURED))
    key = text_key(text)
    return any(text_key(one) == key for one in (*words, *names) if one)
