"""The commands behind the conversation card.

Whoever may read an entity of a recipient may read the conversation; to send takes the right to control the recipient.
"""

from collections.abc import Sequence
from typing import Any

from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.components import websocket_api
from homeassistant.components.websocket_api import ActiveConnection
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
import voluptuous as vol

from .account import NetsapiensConfigEntry
from .api import NetsapiensError
from .const import DOMAIN
from .errors import translated
from .feed import Feed
from .feeds import async_feed_of, async_open_feed
from .outgoing_log import Logged, async_log_of
from .phone import InvalidNumberError, parse_destination
from .recipients import read_recipient
from .request import SendRequest
from .settings import read_settings
from .transcript import Listed, Own, Status, shown_from
from .transcript_rows import rows_of
from .websocket_send import async_send_logged
from .websocket_target import CardTarget, may_read, refuse_command, with_target

_MOST = 200  # messages that are shown at first, or added at once
_MOST_KEY = 64  # characters of one that a card makes; that of a row has a few more
_ENTITY = {vol.Required("entity_id"): str}
_KEY = {vol.Required("key"): vol.All(str, vol.Length(min=1, max=_MOST_KEY))}
_ROW_KEY = {vol.Required("key"): vol.All(str, vol.Length(min=1, max=2 * _MOST_KEY))}


@callback
def async_setup_websocket(hass: HomeAssistant) -> None:
    """Register the commands."""
    for command in (subscribe, older, send, retry, dismiss):
        websocket_api.async_register_command(hass, command)


# --- reading ---------------------------------------------------------------------------


@websocket_api.websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/conversation/subscribe",
        **_ENTITY,
        vol.Optional("limit", default=30): vol.All(int, vol.Range(min=1, max=_MOST)),
    }
)
@websocket_api.async_response
@with_target(POLICY_READ)
async def subscribe(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any], found: CardTarget) -> None:
    """Send the newest messages of a conversation, then each change.

    The first event has ``messages``, ``has_older``, ``name``, ``is_group``, ``is_sms``, ``plain_characters`` (whether
    the account's option makes texts plain), ``can_send``, ``opted_out`` and ``error``; further ones ``messages`` that
    are new or changed, the keys of those ``removed``, ``opted_out`` and ``error``. The last one, where the account is
    unloaded, the recipient is another now or the user may not read it any more, says ``ended``.
    """
    feed = async_feed_of(hass, found.entry, found.recipient)
    subscription = _Subscription(connection, msg, found.entry, feed, _about(hass, found))
    # Before anything is read: whoever else looks may stop in between.
    connection.subscriptions[msg["id"]] = feed.async_subscribe(subscription.async_update)
    connection.send_result(msg["id"])
    await feed.async_read_first(msg["limit"])
    subscription.async_begin()


def _about(hass: HomeAssistant, found: CardTarget) -> dict[str, Any]:
    """Return what a card needs to know of a conversation beside its messages."""
    numbers = read_recipient(found.recipient).destination
    return {
        "name": found.recipient.title,
        "is_group": len(numbers) > 1,
        "is_sms": any(_is_phone_number(text, hass.config.country) for text in numbers),
        "plain_characters": read_settings(found.entry).plain_characters,
        "can_send": found.can_send,
    }


def _is_phone_number(text: str, region: str | None) -> bool:
    """Whether a recipient's number is outside the PBX, so that texts to it are billed by their length."""
    try:
        return not parse_destination(text, region).is_extension
    except InvalidNumberError:
        return False


class _Subscription:
    """What a card has of a conversation.

    Parameters:
        connection: the card's.
        msg: what it asked for.
        entry: the account.
        feed: the conversation.
        about: what the first event says beside the messages.
    """

    def __init__(
        self,
        connection: ActiveConnection,
        msg: dict[str, Any],
        entry: NetsapiensConfigEntry,
        feed: Feed,
        about: dict[str, Any],
    ) -> None:
        self._connection = connection
        self._id = msg["id"]
        self._entity_id = msg["entity_id"]
        self._limit = msg["limit"]
        self._entry = entry
        self._feed = feed
        self._about = about
        self._is_complete = False  # whether the first messages are what the PBX lists
        self._oldest: Listed | None = None  # of the first messages; older ones are asked for
        self._sent: dict[str, dict[str, Any]] | None = None  # by key; None until the first messages were sent
        self._state: dict[str, Any] = {}

    @callback
    def async_begin(self) -> None:
        """Send the first messages."""
        shown, self._oldest, has_older = self._feed.first(self._limit)
        self._is_complete = self._feed.is_begun
        rows = rows_of(self._entry, shown)
        removed = self._take(rows)  # what waited while the PBX was away may have gone out
        self._state = self._state_now()
        event = {**self._about, "has_older": has_older, "messages": rows, **self._state}
        self._send(event | ({"removed": removed} if removed else {}))

    @callback
    def async_update(self, newest: Sequence[Listed | Own] | None) -> None:
        """Send what is new or changed."""
        if newest is None:
            self._end()
            return
        if self._sent is None:
            return  # what is sent first is newer
        if not self._is_complete and self._feed.is_begun:
            self.async_begin()  # the PBX is back
            return
        rows = rows_of(self._entry, shown_from(newest, self._oldest))
        changed = [row for row in rows if self._sent.get(row["key"]) != row]
        removed = self._take(rows)
        before, self._state = self._state, self._state_now()
        if changed or removed or self._state != before:
            self._send({"messages": changed, "removed": removed, **self._state})

    def _take(self, rows: Sequence[dict[str, Any]]) -> list[str]:
        """Note what is shown now; return the keys of our messages that are not shown any more."""
        before, self._sent = self._sent or {}, {row["key"]: row for row in rows}
        return sorted(key for key, row in before.items() if "reason" in row and key not in self._sent)

    def _state_now(self) -> dict[str, Any]:
        """Return what every event says."""
        return {"opted_out": self._feed.opted_out, "error": _error_of(self._feed.error)}

    def _send(self, event: dict[str, Any]) -> None:
        """Send an event; where the user may not read the conversation any more, only that it has ended."""
        if may_read(self._connection, self._entity_id):
            self._connection.send_event(self._id, event)
            return
        if (unsubscribe := self._connection.subscriptions.get(self._id)) is not None:
            unsubscribe()
        self._end()

    def _end(self) -> None:
        """Tell the card that nothing follows; it begins anew, as far as it may."""
        self._connection.send_event(self._id, {"ended": True})


@websocket_api.websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/conversation/older",
        **_ENTITY,
        vol.Required("before"): vol.Any(str, None),
        vol.Optional("limit", default=100): vol.All(int, vol.Range(min=1, max=_MOST)),
    }
)
@websocket_api.async_response
@with_target(POLICY_READ)
async def older(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any], found: CardTarget) -> None:
    """Answer with ``messages`` before one that is shown, oldest first, and whether it ``has_older`` ones."""
    feed = async_open_feed(hass, found.entry, found.recipient)
    if feed is None:
        connection.send_result(msg["id"], {"messages": [], "has_older": True})
        return
    try:
        shown, has_older = await feed.async_before(msg["before"], msg["limit"])
    except NetsapiensError as err:
        refuse_command(connection, msg, websocket_api.ERR_HOME_ASSISTANT_ERROR, translated(err, HomeAssistantError))
        return
    connection.send_result(msg["id"], {"messages": rows_of(found.entry, shown), "has_older": has_older})


# --- sending ---------------------------------------------------------------------------


@websocket_api.websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/conversation/send",
        **_ENTITY,
        **_KEY,
        vol.Optional("message"): str,
        vol.Optional("media"): vol.Any(str, {vol.Required("media_content_id"): str, vol.Extra: object}),
        vol.Optional("data"): str,
        vol.Optional("mime_type"): str,
    }
)
@websocket_api.async_response
@with_target(POLICY_CONTROL)
async def send(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any], found: CardTarget) -> None:
    """Send a text or picture, which every card of the conversation shows under ``key`` until it is listed or waits.

    It is answered once it was sent or waits. Where it fails, the message itself says why.
    """
    media = msg.get("media")
    request = SendRequest(
        message=msg.get("message"),
        sources=[media] if media else (),
        data=msg.get("data"),
        mime_type=msg.get("mime_type"),
    )
    has_media = media is not None or request.data is not None
    own = Own(
        f"c{msg['key']}",
        found.entry.runtime_data.coordinator.api.now(),
        Status.SENDING,
        request.message or "",
        media_type=(request.mime_type or "image/*") if has_media else None,
        media_content_id=media if isinstance(media, str) or media is None else media["media_content_id"],
    )
    log = async_log_of(hass, found.entry.entry_id)
    if not log.is_taken(own.key):  # else the card lost its connection before it was answered
        logged = log.failed(own.key, found.addressee) or Logged(own, found.addressee.recipient_id, request=request)
        await async_send_logged(hass, found, logged, connection.context(msg))
    connection.send_result(msg["id"])


@websocket_api.websocket_command({vol.Required("type"): f"{DOMAIN}/conversation/retry", **_ENTITY, **_ROW_KEY})
@websocket_api.async_response
@with_target(POLICY_CONTROL)
async def retry(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any], found: CardTarget) -> None:
    """Send a message again that failed."""
    logged = async_log_of(hass, found.entry.entry_id).failed(msg["key"], found.addressee)
    if logged is not None:  # else somebody else was quicker
        await async_send_logged(hass, found, logged, connection.context(msg))
    connection.send_result(msg["id"])


@websocket_api.websocket_command({vol.Required("type"): f"{DOMAIN}/conversation/dismiss", **_ENTITY, **_ROW_KEY})
@websocket_api.async_response
@with_target(POLICY_CONTROL)
async def dismiss(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any], found: CardTarget) -> None:
    """Forget a message that failed."""
    async_log_of(hass, found.entry.entry_id).async_dismiss(msg["key"], found.addressee)
    connection.send_result(msg["id"])


def _error_of(err: NetsapiensError | None) -> dict[str, Any] | None:
    """Return what the card gets of an error."""
    if err is None:
        return None
    shown = translated(err, HomeAssistantError)
    return {"translation_key": shown.translation_key, "placeholders": shown.translation_placeholders or {}}
