"""Actions by name in the notify domain, since ``alert:`` and YAML notify groups call nothing else.

Names are given once and kept in the entry's data, so that no other account, and no other recipient's removal, ever
makes a name text somebody else.
"""

from collections.abc import Mapping
from copy import replace
import logging
from typing import Any, TypeGuard

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.components.notify import ATTR_DATA, ATTR_MESSAGE, ATTR_TARGET, ATTR_TITLE, DOMAIN as NOTIFY_DOMAIN
from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, ServiceCall, callback
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.service import async_set_service_schema
from homeassistant.util import slugify
import voluptuous as vol

from .account import NetsapiensConfigEntry
from .const import (
    CONF_ACTION,
    CONF_DESTINATION,
    CONF_FROM_NUMBER,
    CONF_GROUP,
    CONF_RECIPIENT_ACTIONS,
    DOMAIN,
    SUBENTRY_RECIPIENT,
)
from .permissions import async_check_entities, async_check_numbers
from .sending import async_send
from .sentences import async_load_translations, sentence
from .services import (
    ATTR_DATA as FIELD_DATA,
    ATTR_MEDIA,
    ATTR_MESSAGE_TYPE,
    ATTR_MESSAGESESSION,
    ATTR_MIME_TYPE,
    HOW_FIELDS,
    NUMBERS,
    flat,
    request_of,
    without_empty,
)

_LOGGER = logging.getLogger(__name__)

_IS_FOR_APP = "is_for_app"  # beside our fields: the media is the picture that is meant for Home Assistant's app

# Of what else Home Assistant would make a text.
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys((FIELD_DATA, ATTR_MESSAGE_TYPE, ATTR_MIME_TYPE), (str,)),
    **dict.fromkeys((CONF_DESTINATION, CONF_FROM_NUMBER), (str, int, float)),
    ATTR_MESSAGESESSION: (str, int),  # a template makes an int of one that has only digits
    ATTR_MEDIA: (str, dict),
}
_FIELDS = {str(marker): vol.Schema(check) for marker, check in HOW_FIELDS.items()}


def _ours(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields in ``data`` that are ours, by name and by type.

    An alert gives the same data to all its notifiers, and other integrations have fields of the same name: ``group``,
    a name, and ``data``, a mapping, are those of Home Assistant's app.
    """
    ours: dict[str, Any] = {}
    for key, check in _FIELDS.items():
        if key not in data:
            continue
        try:
            ours[key] = check(_typed(key, data[key]))
        except vol.Invalid:
            _LOGGER.debug("Passed over %s in data: its type is not that of the field of this name", key)
    if not ours.get(ATTR_MEDIA) and (picture := _app_picture(data)) is not None:
        ours |= {ATTR_MEDIA: [picture], _IS_FOR_APP: True}
    return ours


def _typed(key: str, value: Any) -> Any:
    """Return the value of a field; numbers and media as a list.

    Raises:
        vol.Invalid: a value is of a type that nobody gives this field, though a text could be made of it.
    """
    types = _TYPES.get(key, (object,))
    values = flat(value) if key in (CONF_DESTINATION, ATTR_MEDIA) else [value]
    for one in values:
        if not isinstance(one, types) or (isinstance(one, bool) and key != CONF_GROUP):
            raise vol.Invalid("another type")
    return values if key in (CONF_DESTINATION, ATTR_MEDIA) else value


def _app_picture(data: dict[str, Any]) -> str | None:
    """Return the picture in ``data`` that is meant for Home Assistant's app, if there is one."""
    attachment = data.get("attachment")
    pictures = (data.get("image"), attachment.get("url") if isinstance(attachment, dict) else None)
    return next((one for one in pictures if isinstance(one, str) and one.strip()), None)


_SCHEMA = vol.All(
    without_empty,
    vol.Schema(
        {
            vol.Optional(ATTR_MESSAGE): cv.string,
            vol.Optional(ATTR_TITLE): cv.string,
            vol.Optional(ATTR_TARGET): NUMBERS,
            vol.Optional(ATTR_DATA): vol.All(dict, without_empty, _ours),
        }
    ),
)


@callback
def name_for_new_account(hass: HomeAssistant, title: str) -> str:
    """Return the name of a new account's action: the short one where no account has it."""
    taken = _taken_names(hass, None)
    if DOMAIN not in taken:
        return DOMAIN
    return _free_name(f"{DOMAIN}_{_slug(title)}", taken)


@callback
def async_name_recipients(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Give the recipients that have none, or that were renamed, the name of their action; forget the removed ones."""
    account = _account_name(entry) or name_for_new_account(hass, entry.title)
    taken = _taken_names(hass, entry) | {account}
    kept = _recipient_names(entry)
    names: dict[str, dict[str, str]] = {}
    fresh: dict[str, str] = {}
    for recipient in entry.get_subentries_of_type(SUBENTRY_RECIPIENT):
        base = f"{account}_{_slug(recipient.title)}".rstrip("_")
        known = kept.get(recipient.subentry_id)
        if known is not None and known["base"] == base:
            names[recipient.subentry_id] = known
        else:
            fresh[recipient.subentry_id] = base
    taken |= {known["name"] for known in names.values()}
    for recipient_id, base in fresh.items():
        name = _free_name(base, taken)
        taken.add(name)
        names[recipient_id] = {"base": base, "name": name}
    data = {**entry.data, CONF_ACTION: account, CONF_RECIPIENT_ACTIONS: names}
    if data != entry.data:
        hass.config_entries.async_update_entry(entry, data=data)


class NamedActions:
    """The actions of one account and its recipients, under the names that they have now.

    Parameters:
        entry: the account.
    """

    def __init__(self, hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._shown: dict[str, tuple[str | None, str, str]] = {}  # by name: whose it is, and the titles that it shows
        self._forget_language: CALLBACK_TYPE | None = None

    @callback
    def async_update(self) -> None:
        """Register what is new, and take away what is gone."""
        if self._forget_language is None:
            self._forget_language = self._hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, self._async_translate)
        async_name_recipients(self._hass, self._entry)
        names = self._entry.data[CONF_RECIPIENT_ACTIONS]
        wanted: dict[str, tuple[str | None, str, str]] = {self._entry.data[CONF_ACTION]: (None, "", self._entry.title)}
        for recipient in self._entry.get_subentries_of_type(SUBENTRY_RECIPIENT):
            name = names[recipient.subentry_id]["name"]
            wanted[name] = (recipient.subentry_id, recipient.title, self._entry.title)
        for name in self._shown.keys() - wanted.keys():
            self._hass.services.async_remove(NOTIFY_DOMAIN, name)
        for name, shown in wanted.items():
            if self._shown.get(name) != shown:
                self._register(name, shown[0])
        self._shown = wanted

    @callback
    def async_remove(self) -> None:
        """Take all away."""
        if self._forget_language is not None:
            self._forget_language()
            self._forget_language = None
        for name in self._shown:
            self._hass.services.async_remove(NOTIFY_DOMAIN, name)
        self._shown = {}

    async def _async_translate(self, event: Event) -> None:
        """Describe the actions in the language that Home Assistant speaks now."""
        if "language" in event.data:
            await async_load_translations(self._hass)
            for name, (recipient_id, _, _) in self._shown.items():
                self._describe(name, recipient_id)

    def _describe(self, name: str, recipient_id: str | None) -> None:
        """Give Home Assistant what the action picker shows of one action."""
        recipient = self._entry.subentries.get(recipient_id or "")
        description = _description(self._hass, self._entry, recipient)
        async_set_service_schema(self._hass, NOTIFY_DOMAIN, name, description)

    def _register(self, name: str, recipient_id: str | None) -> None:
        """Register one action."""
        hass, entry = self._hass, self._entry

        async def handle(call: ServiceCall) -> None:
            """Text the recipient, if it is one's action, and the numbers that the call names."""
            fields = call.data.get(ATTR_DATA) or {}
            numbers = [*call.data.get(ATTR_TARGET, []), *fields.get(CONF_DESTINATION, [])]
            if recipient_id is None or numbers or ATTR_MESSAGESESSION in fields:
                await async_check_numbers(hass, call.context)
            else:
                await async_check_entities(hass, call.context, _entities_of(hass, entry, recipient_id), POLICY_CONTROL)
            request = request_of(
                fields,
                numbers,
                [entry.subentries[recipient_id]] if recipient_id else [],
                call.data.get(ATTR_MESSAGE),
                call.data.get(ATTR_TITLE),
            )
            request = replace(request, are_sources_optional=_IS_FOR_APP in fields)
            await async_send(hass, [(entry, request)], call.context)

        hass.services.async_register(NOTIFY_DOMAIN, name, handle, _SCHEMA)
        self._describe(name, recipient_id)


def _entities_of(hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient_id: str) -> list[str]:
    """Return a recipient's notify entity, which stands for the recipient in a user's policy."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return [
        entity.entity_id
        for entity in entities
        if entity.domain == NOTIFY_DOMAIN and entity.config_subentry_id == recipient_id
    ]


def _description(hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient: ConfigSubentry | None) -> dict[str, Any]:
    """Return what the action picker shows, in Home Assistant's language."""

    def common(key: str) -> str:
        """Return words of the actions by name."""
        titles = {"account": entry.title, "recipient": recipient.title if recipient else ""}
        return sentence(hass, f"common.action_{key}", **titles)

    def field(key: str) -> str:
        """Return words of a field of `netsapiens.send_message`."""
        return sentence(hass, f"services.send_message.fields.{key}")

    kind = "recipient" if recipient else "account"
    return {
        "name": common(f"{kind}_name"),
        "description": common(f"{kind}_description"),
        "fields": {
            ATTR_MESSAGE: {
                "name": field("message.name"),
                "description": common("message"),
                "example": "The washing machine is done.",
                "selector": {"text": {"multiline": True}},
            },
            ATTR_TITLE: {
                "name": field("title.name"),
                "description": field("title.description"),
                "selector": {"text": {}},
            },
            ATTR_TARGET: {
                "name": field("destination.name"),
                "description": common(f"{kind}_target"),
                "example": "(858) 555-0123",
                "selector": {"text": {"multiple": True, "type": "tel"}},
            },
            ATTR_DATA: {
                "name": field("data.name"),
                "description": common("data"),
                "selector": {"object": {}},
            },
        },
    }


def _slug(title: str) -> str:
    """Return the part of a name that a title makes; empty where it has no letter or digit."""
    return slugify(title) if any(char.isalnum() for char in title) else ""


def _free_name(base: str, taken: set[str]) -> str:
    """Return the name, with a number behind it where it is taken."""
    base = base.rstrip("_")
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _taken_names(hass: HomeAssistant, own: ConfigEntry | None) -> set[str]:
    """Return the names that are not free: those of other accounts, loaded or not, and what else notify has."""
    others = [entry for entry in hass.config_entries.async_entries(DOMAIN) if entry is not own]
    ours = _names_of(own) if own else set()
    registered = set(hass.services.async_services_for_domain(NOTIFY_DOMAIN)) - ours
    return registered.union(*(_names_of(entry) for entry in others))


def _names_of(entry: ConfigEntry) -> set[str]:
    """Return the names that an account has."""
    account = _account_name(entry)
    return {known["name"] for known in _recipient_names(entry).values()} | ({account} if account else set())


def _account_name(entry: ConfigEntry) -> str | None:
    """Return the name that an account's action was given; None where there is none that can be read."""
    name = entry.data.get(CONF_ACTION)
    return name if _is_name(name) else None


def _recipient_names(entry: ConfigEntry) -> dict[str, dict[str, str]]:
    """Return the names that recipients' actions were given; those that cannot be read are passed over.

    Storage that was edited or restored by hand may hold anything, and every account reads all others' names.
    """
    kept = entry.data.get(CONF_RECIPIENT_ACTIONS)
    found: dict[str, dict[str, str]] = {}
    for recipient_id, known in kept.items() if isinstance(kept, Mapping) else ():
        base, name = (known.get("base"), known.get("name")) if isinstance(known, Mapping) else (None, None)
        if isinstance(base, str) and _is_name(name) and all(name != other["name"] for other in found.values()):
            found[recipient_id] = {"base": base, "name": name}
    return found


def _is_name(value: object) -> TypeGuard[str]:
    """Whether a value can be the name of an action."""
    return isinstance(value, str) and bool(value) and slugify(value) == value
