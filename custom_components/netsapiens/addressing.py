"""Whom a request is for, where only the recipients and the PBX's list of conversations say so."""

from copy import replace

from homeassistant.config_entries import ConfigSubentry
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .account import NetsapiensData
from .address_book import people_of
from .api import NetsapiensError
from .const import DOMAIN
from .errors import translated
from .phone import digits_from_pbx, readings
from .recipients import RecipientData, read_recipient
from .request import ExistingConversation, SendRequest


async def async_addressed(account: NetsapiensData, request: SendRequest) -> SendRequest:
    """Return a request with whom it is for.

    Parameters:
        account: whose conversations are searched.
        request: what was asked for.

    Raises:
        ServiceValidationError: it answers in a conversation that the PBX does not list.
        HomeAssistantError: the PBX could not be asked for the conversation.
    """
    if request.destinations or request.recipients or request.messagesession is None:
        destinations = [await _async_destination(account, text) for text in request.destinations]
        return request if destinations == list(request.destinations) else replace(request, destinations=destinations)
    try:
        conversation = await async_conversation(account, request.messagesession)
    except NetsapiensError as err:
        raise translated(err, HomeAssistantError) from err
    if conversation is None:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="conversation_not_found")
    return replace(request, conversation=conversation)


async def async_conversation(account: NetsapiensData, messagesession: str) -> ExistingConversation | None:
    """Return the conversation with this id, and the recipient that it is with; None where there is none.

    Raises:
        NetsapiensError: the PBX could not be asked.
    """
    found = await account.conversations.async_find(messagesession)
    return None if found is None else replace(found, recipient=recipient_of(account, found))


def recipient_of(account: NetsapiensData, conversation: ExistingConversation) -> ConfigSubentry | None:
    """Return the recipient that a conversation is with; None where it is with none.

    Parameters:
        account: whose recipients.
        conversation: as the PBX lists it.
    """
    region = account.coordinator.hass.config.country
    candidates = account.addresses.recipients_with(conversation.others[0]) if conversation.others else []
    return next((one for one in candidates if _is_with(read_recipient(one), conversation, region)), None)


async def _async_destination(account: NetsapiensData, text: str) -> str:
    """Return a destination as it was meant: bare digits may be a number here, and another one abroad.

    They mean the one that is a recipient's, or that somebody with a conversation has, where that is exactly one.
    """
    numbers = readings(text, account.coordinator.hass.config.country)
    if len(numbers) <= 1:
        return text
    known = {number for number in numbers if account.addresses.recipients_with(number)}
    known = known or await account.conversations.async_with_conversation(numbers)
    return f"+{known.pop()}" if len(known) == 1 else text


def _is_with(recipient: RecipientData, conversation: ExistingConversation, region: str | None) -> bool:
    """Whether a conversation is with a recipient and nobody else: all of a group, or one of its numbers."""
    return frozenset(digits_from_pbx(other, region) for other in conversation.others) in people_of(recipient, region)
