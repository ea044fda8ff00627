"""Which conversations are being looked at, and what an account sends and what fails while somebody may look."""

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.util.hass_dict import HassKey

from .account import NetsapiensConfigEntry
from .errors import safe
from .feed import Feed
from .outgoing_log import async_log_of
from .signals import message_failed, message_out

_FEEDS: HassKey[dict[tuple[str, str], Feed]] = HassKey("netsapiens_feeds")


@callback
def async_feed_of(hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> Feed:
    """Return the conversation with a recipient, the same for all that look at it."""
    feeds = hass.data.setdefault(_FEEDS, {})
    key = entry.entry_id, recipient.subentry_id
    if key not in feeds:
        feeds[key] = Feed(hass, entry, recipient, lambda: _forget(feeds, key))
    return feeds[key]


def _forget(feeds: dict[tuple[str, str], Feed], key: tuple[str, str]) -> None:
    """Forget a conversation that nobody looks at any more."""
    feeds.pop(key, None)


@callback
def async_open_feed(hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> Feed | None:
    """Return the conversation with a recipient if somebody looks at it."""
    return hass.data.get(_FEEDS, {}).get((entry.entry_id, recipient.subentry_id))


@callback
def async_follow_account(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> CALLBACK_TYPE:
    """Keep what an account sends and what fails, for those that look; return what ends that and all that they see."""
    log, api = async_log_of(hass, entry.entry_id), entry.runtime_data.coordinator.api
    forget = [
        async_dispatcher_connect(hass, message_out(entry), safe(lambda message: log.async_sent(message, api.now()))),
        async_dispatcher_connect(
            hass, message_failed(entry, None), safe(lambda failed: log.async_failed(failed, api.now()))
        ),
    ]

    @callback
    def end() -> None:
        """Keep nothing any more, and end what is being looked at."""
        for one in forget:
            one()
        for feed in [feed for (owner, _), feed in hass.data.get(_FEEDS, {}).items() if owner == entry.entry_id]:
            feed.async_close()

    return end
