"""Whom a command of the conversation card is about, and whether its user may do that."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, NamedTuple

from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.components import websocket_api
from homeassistant.components.websocket_api import ActiveConnection
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er

from .account import NetsapiensConfigEntry
from .address_book import Addressee, addressee_of
from .const import DOMAIN
from .phone_metadata import async_load_metadata
from .recipients import DamagedRecipientError


class CardTarget(NamedTuple):
    """Whom a conversation is with, and whether the user may send there."""

    entry: NetsapiensConfigEntry
    recipient: ConfigSubentry
    addressee: Addressee
    can_send: bool


type _Handler = Callable[[HomeAssistant, ActiveConnection, dict[str, Any]], Coroutine[Any, Any, None]]
type _TargetHandler = Callable[[HomeAssistant, ActiveConnection, dict[str, Any], CardTarget], Coroutine[Any, Any, None]]


def may_read(connection: ActiveConnection, entity_id: str) -> bool:
    """Whether the user of a card may read an entity now: a connection outlives the rights that it began with.

    Parameters:
        connection: the card's.
        entity_id: an entity of the recipient.
    """
    user = connection.user
    return user.is_active and user.permissions.check_entity(entity_id, POLICY_READ)


def with_target(permission: str) -> Callable[[_TargetHandler], _Handler]:
    """Give a command's handler whom the conversation is with, where its user may do that; else the command is refused.

    Parameters:
        permission: what the user must be allowed; to send, for the recipient's notify entity.
    """

    def decorate(handler: _TargetHandler) -> _Handler:
        @wraps(handler)
        async def handle(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
            found = await _target_of(hass, connection, msg, permission)
            if found is not None:
                await handler(hass, connection, msg, found)

        return handle

    return decorate


async def _target_of(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any], permission: str
) -> CardTarget | None:
    """Return whom the conversation of an entity is with; None where that was refused, which was answered then."""
    entity_id = msg["entity_id"]
    if not may_read(connection, entity_id):
        connection.send_error(msg["id"], websocket_api.ERR_UNAUTHORIZED, "Unauthorized")
        return None
    await async_load_metadata(hass)  # numbers are read
    registry = er.async_get(hass)
    entity = registry.async_get(entity_id)
    entry = hass.config_entries.async_get_entry(entity.config_entry_id or "") if entity else None
    recipient = entry.subentries.get(entity.config_subentry_id or "") if entity and entry else None
    if entity is None or entity.platform != DOMAIN or entry is None or recipient is None:
        refuse_command(connection, msg, websocket_api.ERR_NOT_FOUND, _error("not_a_recipient", target=entity_id))
        return None
    if entry.state is not ConfigEntryState.LOADED:
        refuse_command(connection, msg, "not_loaded", _error("account_not_loaded", account=entry.title))
        return None
    try:
        addressee = addressee_of(recipient, hass.config.country)
    except DamagedRecipientError:
        refuse_command(
            connection, msg, websocket_api.ERR_NOT_FOUND, _error("recipient_damaged", recipient=recipient.title)
        )
        return None
    notify = registry.async_get_entity_id("notify", DOMAIN, f"{entry.unique_id}_{recipient.subentry_id}_notify")
    can_send = notify is not None and connection.user.permissions.check_entity(notify, POLICY_CONTROL)
    if permission == POLICY_CONTROL and not can_send:
        connection.send_error(msg["id"], websocket_api.ERR_UNAUTHORIZED, "Unauthorized")
        return None
    return CardTarget(entry, recipient, addressee, can_send)


def _error(key: str, **placeholders: str) -> HomeAssistantError:
    """Return a translated error."""
    return ServiceValidationError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders)


def refuse_command(connection: ActiveConnection, msg: dict[str, Any], code: str, err: HomeAssistantError) -> None:
    """Answer with a translated error. It is not logged: a person sees it.

    Parameters:
        connection: the card's.
        msg: the command.
        code: what kind of error it is, for the card.
        err: the error.
    """
    connection.send_error(
        msg["id"],
        code,
        str(err),
        translation_domain=err.translation_domain,
        translation_key=err.translation_key,
        translation_placeholders=err.translation_placeholders,
    )
