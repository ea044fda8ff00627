"""The action ``netsapiens.send_message``."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NoReturn

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.components.notify import ATTR_MESSAGE, ATTR_TITLE, DOMAIN as NOTIFY_DOMAIN
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.const import ATTR_ENTITY_ID, ENTITY_MATCH_ALL
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.service import async_get_config_entry
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.helpers.template import TupleWrapper
from homeassistant.helpers.typing import VolDictType
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from .account import NetsapiensConfigEntry
from .api import NetsapiensError
from .const import CONF_DESTINATION, CONF_FROM_NUMBER, CONF_GROUP, DOMAIN
from .delivery.results import SentMessage
from .permissions import async_check_entities, async_check_numbers
from .phone import from_pbx, international, split_numbers
from .request import SendRequest
from .segments import segments_of
from .sending import async_send

SERVICE_SEND_MESSAGE: Final = "send_message"

ATTR_CONFIG_ENTRY_ID = "config_entry_id"
ATTR_DATA = "data"
ATTR_KEEP_FOR = "keep_for"
ATTR_MEDIA = "media"
ATTR_MESSAGE_TYPE = "message_type"
ATTR_MESSAGESESSION = "messagesession"
ATTR_MIME_TYPE = "mime_type"

# What the media selector gives; the picker adds what it likes.
_PICKED = vol.Schema({vol.Required("media_content_id"): cv.string}, extra=vol.ALLOW_EXTRA)


def flat(value: Any) -> list[Any]:
    """Return what a field holds, in lists as templates make them or not, as one list without what is empty.

    Of ``+18585550124, +18585550125`` a template makes two ints, without the plus: there its text counts.
    """
    if not isinstance(value, (list, tuple)):
        return [] if _is_empty(value) else [value]
    if isinstance(value, TupleWrapper) and value.render_result and all(isinstance(one, int) for one in value):
        return [value.render_result.strip("() ")]
    return [element for one in value for element in flat(one)]


def period(value: Any) -> timedelta:
    """Return a duration.

    Raises:
        vol.Invalid: it is none, or one that nobody can count.
    """
    try:
        found: timedelta = cv.time_period(value)
    except OverflowError as err:
        raise vol.Invalid("too long for a duration") from err
    return found


# Numbers as people write them: one, several in a text, or a list of either.
NUMBERS: Final = vol.All(flat, [cv.string], split_numbers)

# The types only: the rules are compose's, and have translated words.
HOW_FIELDS: VolDictType = {
    vol.Optional(CONF_DESTINATION): NUMBERS,
    vol.Optional(CONF_GROUP): cv.boolean,
    vol.Optional(CONF_FROM_NUMBER): cv.string,
    vol.Optional(ATTR_MESSAGE_TYPE): cv.string,
    vol.Optional(ATTR_MESSAGESESSION): cv.string,
    vol.Optional(ATTR_DATA): cv.string,
    vol.Optional(ATTR_MIME_TYPE): cv.string,
    vol.Optional(ATTR_MEDIA): vol.All(flat, [vol.Any(cv.string, _PICKED)]),
    vol.Optional(ATTR_KEEP_FOR): vol.All(period, cv.positive_timedelta),
}

_TARGET = frozenset(map(str, cv.TARGET_SERVICE_FIELDS))

SCHEMA = vol.Schema(
    {
        **cv.TARGET_SERVICE_FIELDS,
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_MESSAGE): cv.string,
        vol.Optional(ATTR_TITLE): cv.string,
        **HOW_FIELDS,
    }
)


def without_empty(fields: Any) -> Any:
    """Return the fields of a call without those that are empty, and lists without their empty elements.

    A template that finds nothing makes an empty text or None of an optional field: it counts as not given. To be
    applied before the schema.
    """
    if not isinstance(fields, Mapping):
        return fields
    return {
        key: [element for element in value if not _is_empty(element)] if isinstance(value, list) else value
        for key, value in fields.items()
        if not _is_empty(value)
    }


def _is_empty(value: Any) -> bool:
    """Whether a value is what a template makes of nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the action."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_SEND_MESSAGE,
        _send_message,
        vol.All(without_empty, SCHEMA),
        supports_response=SupportsResponse.OPTIONAL,
    )


def request_of(
    fields: dict[str, Any],
    destinations: Iterable[str],
    recipients: Iterable[ConfigSubentry],
    message: str | None,
    title: str | None,
) -> SendRequest:
    """Return what the fields of a call ask for.

    Parameters:
        fields: those of HOW_FIELDS.
        destinations: numbers as people write them.
        recipients: whom the call names.
        message: the text.
        title: its first line.
    """
    return SendRequest(
        destinations=tuple(destinations),
        recipients=tuple(recipients),
        message=message,
        title=title,
        group=fields.get(CONF_GROUP, False),
        from_number=fields.get(CONF_FROM_NUMBER),
        message_type=fields.get(ATTR_MESSAGE_TYPE),
        messagesession=fields.get(ATTR_MESSAGESESSION),
        data=fields.get(ATTR_DATA),
        mime_type=fields.get(ATTR_MIME_TYPE),
        sources=fields.get(ATTR_MEDIA, ()),
        keep_for=fields.get(ATTR_KEEP_FOR),
    )


async def _send_message(call: ServiceCall) -> ServiceResponse:
    """Send to the targeted recipients and the destinations."""
    sent = await async_send(call.hass, await async_requests_of(call, call.data.get(ATTR_MESSAGE)), call.context)
    if not call.return_response:
        return None
    return {"messages": [_row_of(message, call.hass.config.country) for message in sent]}


async def async_requests_of(call: ServiceCall, message: str | None) -> list[tuple[NetsapiensConfigEntry, SendRequest]]:
    """Return what a call asks of each account, for the targeted recipients and the destinations.

    Parameters:
        call: of an action with a target and fields of HOW_FIELDS.
        message: the text.

    Raises:
        ServiceValidationError: the target names something that is no recipient, or no account is the one that is meant.
        Unauthorized: the caller may not text them.
    """
    recipients = await async_targeted_recipients(call)
    destinations = call.data.get(CONF_DESTINATION, [])
    if destinations or ATTR_MESSAGESESSION in call.data:
        await async_check_numbers(call.hass, call.context)
    entries = {entry.entry_id: entry for entry, _ in recipients}
    if destinations or not recipients or ATTR_CONFIG_ENTRY_ID in call.data:
        targeted = list(entries.values())
        if not destinations and not recipients:
            targeted = await async_accounts_with_conversation(call)
        account = account_of(call, targeted)
        entries.setdefault(account.entry_id, account)
    else:
        account = recipients[0][0]
    return [
        (
            entry,
            request_of(
                call.data,
                destinations if entry is account else (),
                [recipient for owner, recipient in recipients if owner is entry],
                message,
                call.data.get(ATTR_TITLE),
            ),
        )
        for entry in entries.values()
    ]


def _row_of(sent: SentMessage, region: str | None) -> JsonObjectType:
    """Return the row of an answer for one message."""
    message = sent.message
    return {
        "destination": [international(number) for number in message.destination],
        "from_number": message.from_number and from_pbx(message.from_number, region),
        "message_type": message.message_type,
        "messagesession": message.messagesession,
        "status": sent.status,
        "message_id": sent.message_id,
        "segments": segments_of(message.text) if message.message_type == "sms" else None,
    }


async def async_accounts_with_conversation(call: ServiceCall) -> list[NetsapiensConfigEntry]:
    """Return, of several accounts, the one that has the conversation to answer in; none where that is not asked.

    Raises:
        ServiceValidationError: none of them has it.
    """
    messagesession = call.data.get(ATTR_MESSAGESESSION)
    entries: list[NetsapiensConfigEntry] = call.hass.config_entries.async_loaded_entries(DOMAIN)
    if messagesession is None or ATTR_CONFIG_ENTRY_ID in call.data or len(entries) == 1:
        return []
    found, is_known = [], True
    for entry in entries:
        try:
            if await entry.runtime_data.conversations.async_find(messagesession) is not None:
                found.append(entry)
        except NetsapiensError:
            is_known = False  # the others may have it
    if entries and is_known and not found:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="conversation_not_found")
    return found


def account_of(call: ServiceCall, targeted: list[NetsapiensConfigEntry]) -> NetsapiensConfigEntry:
    """Return the account for the destinations: the one named, else that of the target, else the only one."""
    entry_id = call.data.get(ATTR_CONFIG_ENTRY_ID)
    if entry_id is None and len(targeted) == 1:
        return targeted[0]
    if entry_id is None:
        loaded: list[NetsapiensConfigEntry] = call.hass.config_entries.async_loaded_entries(DOMAIN)
        if len(loaded) > 1:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="account_needed")
        return loaded[0] if loaded else async_get_config_entry(call.hass, DOMAIN, None)  # which says what is missing
    entry: NetsapiensConfigEntry = async_get_config_entry(call.hass, DOMAIN, entry_id)
    if other := next((one for one in targeted if one is not entry), None):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="recipient_of_other_account",
            translation_placeholders={"account": entry.title, "other": other.title},
        )
    return entry


async def async_targeted_recipients(
    call: ServiceCall, permission: str = POLICY_CONTROL
) -> list[tuple[NetsapiensConfigEntry, ConfigSubentry]]:
    """Return the recipients that the target names, each with its account.

    Parameters:
        call: of an action with a target.
        permission: what the caller needs for each: ``read`` or ``control``.

    Raises:
        ServiceValidationError: the target names something that is no recipient, or that is not there.
        Unauthorized: the caller has no such permission for one of them.
    """
    if _TARGET.isdisjoint(call.data):  # as is usual for numbers
        return []
    hass = call.hass
    target = TargetSelection({**call.data, **_all_of(call)})
    if not target.has_any_target:
        return []
    selected = async_extract_referenced_entity_ids(hass, target)
    missing = selected.missing_devices | selected.missing_areas | selected.missing_floors | selected.missing_labels
    if missing:
        _refuse_target("target_not_found", ", ".join(sorted(missing)))
    registry = er.async_get(hass)
    found: dict[str, tuple[NetsapiensConfigEntry, ConfigSubentry]] = {}
    for entity_id in sorted(selected.referenced | selected.indirectly_referenced):
        entity = registry.async_get(entity_id)
        if entity is not None and (entity.platform, entity.domain) != (DOMAIN, NOTIFY_DOMAIN):
            entity = None  # none of ours
        if entity is not None and (not entity.disabled or entity_id in selected.referenced):
            found[entity_id] = _recipient_of(hass, entity)  # first: it says where the account is disabled
        if entity_id in selected.referenced and (entity is None or entity.disabled):
            _refuse_target("not_a_recipient", entity_id)
    await async_check_entities(hass, call.context, found, permission)
    return list(found.values())


def _all_of(call: ServiceCall) -> dict[str, list[str]]:
    """Return what ``entity_id: all`` stands for: the recipients of every account that is loaded."""
    if call.data.get(ATTR_ENTITY_ID) != ENTITY_MATCH_ALL:
        return {}
    entities = [
        entity
        for entry in call.hass.config_entries.async_loaded_entries(DOMAIN)
        for entity in er.async_entries_for_config_entry(er.async_get(call.hass), entry.entry_id)
    ]
    return {
        ATTR_ENTITY_ID: [
            entity.entity_id for entity in entities if entity.domain == NOTIFY_DOMAIN and not entity.disabled
        ]
    }


def _recipient_of(hass: HomeAssistant, entity: er.RegistryEntry) -> tuple[NetsapiensConfigEntry, ConfigSubentry]:
    """Return the recipient behind a notify entity, with its account."""
    entry = hass.config_entries.async_get_entry(entity.config_entry_id or "")
    recipient = entry.subentries.get(entity.config_subentry_id or "") if entry else None
    if entry is None or recipient is None:
        _refuse_target("not_a_recipient", entity.entity_id)
    if entry.state is not ConfigEntryState.LOADED:
        async_get_config_entry(hass, DOMAIN, entry.entry_id)  # raises, and says so
    return entry, recipient


def _refuse_target(key: str, target: str) -> NoReturn:
    """Raise the translated error of a target that cannot be texted."""
    raise ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders={"target": target}
    )
