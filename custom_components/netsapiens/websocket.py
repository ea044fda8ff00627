"""The commands behind the conversation card.

Whoever may read an entity of a recipient may read the conversation; to send takes the right to control the recipient.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.components import websocket_api
from homeassistant.components.websocket_api import ActiveConnection
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
import voluptuous as vol

from .account import NetsapiensConfigEntry
from .api import NetsapiensError
from .const import DOMAIN
from .errors import translated
from .feed import Feed
from .feeds import async_feed_of, async_open_feed
from .outgoing_log import Logged, async_log_of
from .phone import async_load_metadata
from .recipients import DamagedRecipientError, read_recipient
from .request import SendRequest
from .sending import async_send
from .transcript import Listed, Own, Status
from .transcript_rows import rows_of

_MOST = 200  # messages that are shown at first, or added at once
_MOST_KEY = 64  # characters
_ENTITY = {vol.Required("entity_id"): str}
_KEY = {vol.Required("key"): vol.All(str, vol.Length(min=1, max=_MOST_KEY))}


class _Conversation(NamedTuple):
    """Whom a conversation is with, and whether the user may send there."""

    entry: NetsapiensConfigEntry
    recipient: ConfigSubentry
    can_send: bool


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
async def subscribe(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Send the newest messages of a conversation, then each change.

    The first event has ``messages``, ``has_older``, ``name``, ``is_group``, ``can_send`` and ``error``; further ones
    ``messages`` that are new or changed, the keys of those ``removed``, and ``error``. The last one, where the account
    is unloaded, says ``ended``.
    """
    found = _conversation(hass, connection, msg, POLICY_READ)
    if found is None:
        return
    await async_load_metadata(hass)
    feed = async_feed_of(hass, found.entry, found.recipient)
    subscription = _Subscription(connection, msg["id"], found.entry, feed)
    # Before anything is read: whoever else looks may stop in between.
    connection.subscriptions[msg["id"]] = feed.async_subscribe(subscription.async_update)
    connection.send_result(msg["id"])
    shown, has_older = await feed.async_first(msg["limit"])
    is_group = len(read_recipient(found.recipient).destination) > 1
    subscription.async_begin(
        shown,
        {"has_older": has_older, "name": found.recipient.title, "is_group": is_group, "can_send": found.can_send},
    )


class _Subscription:
    """What a card has of a conversation.

    Parameters:
        connection: the card's.
        message_id: the subscription's id.
        entry: the account.
        feed: the conversation.
    """

    def __init__(self, connection: ActiveConnection, message_id: int, entry: NetsapiensConfigEntry, feed: Feed) -> None:
        self._connection = connection
        self._id = message_id
        self._entry = entry
        self._feed = feed
        self._sent: dict[str, dict[str, Any]] | None = None  # by key; None until the first messages were sent
        self._own: set[str] = set()
        self._error: dict[str, Any] | None = None

    @callback
    def async_begin(self, shown: Sequence[Listed | Own], about: dict[str, Any]) -> None:
        """Send the first messages."""
        rows = rows_of(self._entry, shown)
        self._sent = {row["key"]: row for row in rows}
        self._own = {one.key for one in shown if isinstance(one, Own)}
        self._error = _error_of(self._feed.error)
        self._send({**about, "messages": rows, "error": self._error})

    @callback
    def async_update(self, newest: Sequence[Listed | Own] | None) -> None:
        """Send what is new or changed."""
        if newest is None:
            self._send({"ended": True})
            return
        if self._sent is None:
            return  # what is sent first is newer
        rows = rows_of(self._entry, newest)
        changed = [row for row in rows if self._sent.get(row["key"]) != row]
        own = {one.key for one in newest if isinstance(one, Own)}
        removed = sorted(self._own - own)
        error = _error_of(self._feed.error)
        self._own = own
        self._sent = {row["key"]: row for row in rows}
        if changed or removed or error != self._error:
            self._error = error
            self._send({"messages": changed, "removed": removed, "error": error})

    def _send(self, event: dict[str, Any]) -> None:
        """Send an event."""
        self._connection.send_event(self._id, event)


@websocket_api.websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/conversation/older",
        **_ENTITY,
        vol.Required("before"): vol.Any(str, None),
        vol.Optional("limit", default=100): vol.All(int, vol.Range(min=1, max=_MOST)),
    }
)
@websocket_api.async_response
async def older(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Answer with ``messages`` before one that is shown, oldest first, and whether it ``has_older`` ones."""
    found = _conversation(hass, connection, msg, POLICY_READ)
    if found is None:
        return
    feed = async_open_feed(hass, found.entry, found.recipient)
    if feed is None:
        connection.send_result(msg["id"], {"messages": [], "has_older": True})
        return
    try:
        shown, has_older = await feed.async_before(msg["before"], msg["limit"])
    except NetsapiensError as err:
        _refuse(connection, msg, websocket_api.ERR_HOME_ASSISTANT_ERROR, translated(err, HomeAssistantError))
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
async def send(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Send a text or picture, which every card of the conversation shows under ``key`` until it is listed or waits.

    It is answered once it was sent or waits. Where it fails, the message itself says why.
    """
    found = _conversation(hass, connection, msg, POLICY_CONTROL)
    if found is None:
        return
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
    await _async_send(hass, connection, msg, found, Logged(own, found.recipient.subentry_id, request=request))


async def _async_send(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any], found: _Conversation, logged: Logged
) -> None:
    """Send what a card asked for, and keep what became of it."""
    log, key = async_log_of(hass, found.entry.entry_id), logged.own.key
    if logged.request is None:
        raise ValueError("there is nothing to send")
    log.async_sending(logged)
    try:
        request = replace(logged.request, recipients=[found.recipient])
        await async_send(hass, [(found.entry, request)], connection.context(msg))
    except HomeAssistantError as err:
        log.async_refused(key, found.entry.runtime_data.coordinator.api.now(), err)
    finally:
        log.async_handed_over(key)
    connection.send_result(msg["id"])


@websocket_api.websocket_command({vol.Required("type"): f"{DOMAIN}/conversation/retry", **_ENTITY, **_KEY})
@websocket_api.async_response
async def retry(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Send a message again that failed."""
    found = _conversation(hass, connection, msg, POLICY_CONTROL)
    if found is None:
        return
    log = async_log_of(hass, found.entry.entry_id)
    logged = log.failed(msg["key"], found.recipient.subentry_id)
    if logged is None or logged.request is None:
        connection.send_result(msg["id"])  # somebody else was quicker
        return
    now = found.entry.runtime_data.coordinator.api.now()
    own = logged.own
    again = Own(own.key, now, Status.SENDING, own.text, own.media_type, own.media_content_id)
    await _async_send(hass, connection, msg, found, replace(logged, own=again))


@websocket_api.websocket_command({vol.Required("type"): f"{DOMAIN}/conversation/dismiss", **_ENTITY, **_KEY})
@callback
def dismiss(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Forget a message that failed."""
    found = _conversation(hass, connection, msg, POLICY_CONTROL)
    if found is None:
        return
    async_log_of(hass, found.entry.entry_id).async_dismiss(msg["key"], found.recipient.subentry_id)
    connection.send_result(msg["id"])


# --- whom it is with -------------------------------------------------------------------


def _conversation(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any], permission: str
) -> _Conversation | None:
    """Return whom the conversation of an entity is with; None where that was refused, which was answered then.

    Parameters:
        permission: what the user must be allowed; to send, for the recipient's notify entity.
    """
    permissions = connection.user.permissions
    entity_id = msg["entity_id"]
    if not permissions.check_entity(entity_id, POLICY_READ):
        connection.send_error(msg["id"], websocket_api.ERR_UNAUTHORIZED, "Unauthorized")
        return None
    registry = er.async_get(hass)
    entity = registry.async_get(entity_id)
    entry = hass.config_entries.async_get_entry(entity.config_entry_id or "") if entity else None
    recipient = entry.subentries.get(entity.config_subentry_id or "") if entity and entry else None
    if entity is None or entity.platform != DOMAIN or entry is None or recipient is None:
        _refuse(connection, msg, websocket_api.ERR_NOT_FOUND, _error("not_a_recipient", target=entity_id))
        return None
    if entry.state is not ConfigEntryState.LOADED:
        connection.send_error(msg["id"], "not_loaded", "The account is not loaded")
        return None
    try:
        read_recipient(recipient)
    except DamagedRecipientError:
        _refuse(connection, msg, websocket_api.ERR_NOT_FOUND, _error("recipient_damaged", recipient=recipient.title))
        return None
    notify = registry.async_get_entity_id("notify", DOMAIN, f"{entry.unique_id}_{recipient.subentry_id}_notify")
    can_send = notify is not None and permissions.check_entity(notify, POLICY_CONTROL)
    if permission == POLICY_CONTROL and not can_send:
        connection.send_error(msg["id"], websocket_api.ERR_UNAUTHORIZED, "Unauthorized")
        return None
    return _Conversation(entry, recipient, can_send)


def _error(key: str, **placeholders: str) -> HomeAssistantError:
    """Return a translated error."""
    return ServiceValidationError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders)


def _refuse(connection: ActiveConnection, msg: dict[str, Any], code: str, err: HomeAssistantError) -> None:
    """Answer with a translated error. It is not logged: a person sees it."""
    connection.send_error(
        msg["id"],
        code,
        str(err),
        translation_domain=err.translation_domain,
        translation_key=err.translation_key,
        translation_placeholders=err.translation_placeholders,
    )


def _error_of(err: NetsapiensError | None) -> dict[str, Any] | None:
    """Return what the card gets of an error."""
    if err is None:
        return None
    shown = translated(err, HomeAssistantError)
    return {"translation_key": shown.translation_key, "placeholders": shown.translation_placeholders or {}}
