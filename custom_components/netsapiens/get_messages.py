"""The action ``netsapiens.get_messages``: past messages to and from somebody."""

import asyncio
from collections.abc import Sequence
from typing import Final

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from .account import NetsapiensConfigEntry, NetsapiensData
from .address_book import people_of
from .addressing import async_addressed, recipient_of
from .api import MessageSession, NetsapiensError, NetsapiensTimeoutError
from .const import CONF_DESTINATION, CONF_GROUP, DOMAIN
from .conversations import conversation_of
from .errors import refuse, translated
from .history import MOST_MESSAGES, PastMessage, async_past_messages
from .messages import numbers_in
from .permissions import async_check_admin
from .phone_metadata import async_load_metadata
from .receiving.received import received_message
from .recipients import DamagedRecipientError, read_recipient
from .request import SendRequest
from .services import (
    ATTR_CONFIG_ENTRY_ID,
    ATTR_MESSAGESESSION,
    NUMBERS,
    account_of,
    async_accounts_with_conversation,
    async_targeted_recipients,
    without_empty,
)

SERVICE_GET_MESSAGES: Final = "get_messages"

ATTR_LIMIT: Final = "limit"

_DEFAULT_LIMIT = 20
_WITHIN = 30.0  # seconds

SCHEMA = vol.Schema(
    {
        **cv.TARGET_SERVICE_FIELDS,
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(CONF_DESTINATION): NUMBERS,
        vol.Optional(CONF_GROUP): cv.boolean,
        vol.Optional(ATTR_MESSAGESESSION): cv.string,
        vol.Optional(ATTR_LIMIT, default=_DEFAULT_LIMIT): vol.All(vol.Coerce(int), vol.Range(min=1, max=MOST_MESSAGES)),
    }
)


@callback
def async_setup_get_messages(hass: HomeAssistant) -> None:
    """Register the action."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_GET_MESSAGES,
        _get_messages,
        vol.All(without_empty, SCHEMA),
        supports_response=SupportsResponse.ONLY,
    )


async def _get_messages(call: ServiceCall) -> ServiceResponse:
    """Return past messages with a recipient, with numbers, or of a conversation."""
    entry, recipient = await _account_and_recipient(call)
    await async_load_metadata(call.hass)
    account = entry.runtime_data
    try:
        async with asyncio.timeout(_WITHIN):
            sessions = await _sessions(call, account, recipient)
            messages = await async_past_messages(account, sessions, call.data[ATTR_LIMIT])
    except TimeoutError as err:
        raise translated(NetsapiensTimeoutError("no answer when asked for messages"), HomeAssistantError) from err
    except NetsapiensError as err:
        raise translated(err, HomeAssistantError) from err
    return {"messages": [*_rows_of(account, messages, recipient)]}


async def _account_and_recipient(call: ServiceCall) -> tuple[NetsapiensConfigEntry, ConfigSubentry | None]:
    """Return the account to ask, and the recipient that the target names.

    Raises:
        ServiceValidationError: the call names nobody, or several, or no account is the one that is meant.
        Unauthorized: the caller may not read the entity, or is no administrator where the call names none.
    """
    recipients = await async_targeted_recipients(call, POLICY_READ)
    has_numbers, has_conversation = bool(call.data.get(CONF_DESTINATION)), ATTR_MESSAGESESSION in call.data
    if has_numbers or has_conversation:
        await async_check_admin(call.hass, call.context)
    if len(recipients) + has_numbers + has_conversation > 1:
        refuse("history_of_several")
    if recipients:
        return account_of(call, [recipients[0][0]]), recipients[0][1]
    if not has_numbers and not has_conversation:
        refuse("history_of_nobody")
    return account_of(call, await async_accounts_with_conversation(call)), None


async def _sessions(
    call: ServiceCall, account: NetsapiensData, recipient: ConfigSubentry | None
) -> list[MessageSession]:
    """Return the conversations whose messages are asked for.

    Raises:
        ServiceValidationError: there is no such conversation, or a number cannot be read.
        NetsapiensError: the PBX could not be asked.
    """
    if (messagesession := call.data.get(ATTR_MESSAGESESSION)) is not None:
        row = await account.conversations.async_row(messagesession)
        if row is None:
            refuse("conversation_not_found")
        return [row]
    region = call.hass.config.country
    if recipient is None:
        request = await async_addressed(account, SendRequest(destinations=call.data[CONF_DESTINATION]))
        numbers = numbers_in(request.destinations, region)
        is_group = call.data.get(CONF_GROUP, False)
        people = [frozenset(numbers)] if is_group else [frozenset({number}) for number in numbers]
    else:
        try:
            people = people_of(read_recipient(recipient), region)
        except DamagedRecipientError:
            refuse("recipient_damaged", recipient=recipient.title)
    return await account.conversations.async_with(people)


def _rows_of(
    account: NetsapiensData, messages: Sequence[PastMessage], recipient: ConfigSubentry | None
) -> list[JsonObjectType]:
    """Return the rows of the response.

    Parameters:
        account: whose.
        messages: oldest first.
        recipient: whom the call named, if it named one.
    """
    us, region = account.coordinator.data.account, account.coordinator.hass.config.country
    sessions = {message.session.id: message.session for message in messages}
    with_whom = {
        messagesession: recipient or recipient_of(account, conversation_of(session, us, region))
        for messagesession, session in sessions.items()
    }
    return [_row_of(account, message, with_whom[message.session.id]) for message in messages]


def _row_of(account: NetsapiensData, message: PastMessage, recipient: ConfigSubentry | None) -> JsonObjectType:
    """Return the row of a message in a conversation with a recipient, if it is with one."""
    coordinator, row, session = account.coordinator, message.row, message.session
    us, entry_id, region = coordinator.data.account, coordinator.config_entry.entry_id, coordinator.hass.config.country
    received = received_message(row, session, row.time or dt_util.utcnow(), us, entry_id, region)
    number = received.from_number
    if message.is_outbound:
        number = session.sms_number or row.from_number or us.user
    elif recipient is None or len(session.remotes) > 1:
        recipient = account.addresses.recipient_with(number, recipient.subentry_id if recipient else None)
    return {
        "direction": "out" if message.is_outbound else "in",
        "message": row.text,
        "from_number": received.shown(number, region),
        "recipient": recipient.title if recipient else None,
        "message_type": row.type,
        "messagesession": session.id,
        "message_id": received.message_id,
        "timestamp": row.time.isoformat() if row.time else None,
        "media_type": received.media_type,
        "media_content_id": received.media_content_id,
    }
