"""The dialogs to add and change a recipient."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigSubentry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import (
    CONF_NAME,
)
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.typing import VolDictType
import voluptuous as vol

from .account import NetsapiensConfigEntry
from .const import (
    CONF_CONTACT,
    CONF_DESTINATION,
    CONF_FROM_NUMBER,
    CONF_GROUP,
)
from .contacts import ContactChoice
from .flow_forms import (
    async_read_sender,
    cleaned,
    known_numbers,
    sender_selector,
    with_shown_sender,
)
from .messages import is_mixed
from .phone import (
    InvalidNumberError,
    national,
    parse_destination,
    split_numbers,
    to_store,
)
from .phone_metadata import async_load_metadata
from .recipients import is_damaged


class _NumbersSelector(TextSelector):
    """A field for several numbers, which takes a single one as well."""

    @override
    def __call__(self, data: Any) -> str | list[str]:
        """Validate the field."""
        return super().__call__([data] if isinstance(data, str) else data)


_NUMBERS = _NumbersSelector(TextSelectorConfig(type=TextSelectorType.TEL, multiple=True))


class RecipientFlow(ConfigSubentryFlow):
    """Add or change somebody to text."""

    def __init__(self) -> None:
        self._wrong: list[str] = []
        self._contacts: dict[str, ContactChoice] = {}

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask who it is."""
        errors: dict[str, str] = {}
        if user_input is not None:
            name, data = await self._async_read(self._with_contact(user_input), errors)
            if not errors:
                return self.async_create_entry(title=name, data=data)
        else:
            self._contacts = await self._async_contacts()
        # A first field for a number: without it the form opens with nothing but a button to add one.
        return await self._async_show("user", user_input or {CONF_DESTINATION: [""]}, errors)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what changed."""
        errors: dict[str, str] = {}
        recipient = self._get_reconfigure_subentry()
        if user_input is not None:
            name, data = await self._async_read(user_input, errors)
            if not errors:
                return self.async_update_and_abort(self._get_entry(), recipient, title=name, data=data)
        shown = user_input
        if shown is None:
            await async_load_metadata(self.hass)
            region = self.hass.config.country
            shown = with_shown_sender(_form_of(recipient, region), known_numbers(self._get_entry()), region)
        return await self._async_show("reconfigure", shown, errors)

    async def _async_show(self, step_id: str, shown: Mapping[str, Any], errors: dict[str, str]) -> SubentryFlowResult:
        """Show the form."""
        await async_load_metadata(self.hass)
        needed = vol.Optional if self._contacts else vol.Required
        schema = vol.Schema(
            {
                **self._contact_field(),
                needed(CONF_NAME): TextSelector(),
                needed(CONF_DESTINATION): _NUMBERS,
                vol.Optional(CONF_GROUP, default=False): BooleanSelector(),
                vol.Optional(CONF_FROM_NUMBER): sender_selector(
                    known_numbers(self._get_entry()), self.hass.config.country
                ),
            }
        )
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            errors=errors,
            description_placeholders={"number": ", ".join(self._wrong) or "-"},
        )

    async def _async_contacts(self) -> dict[str, ContactChoice]:
        """Return the PBX's contacts by what the form shows of them; none where they cannot be had."""
        entry: NetsapiensConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return {}
        return {choice.label: choice for choice in await entry.runtime_data.contacts.async_choices()}

    def _contact_field(self) -> VolDictType:
        """Return the field to choose a contact, where there are any."""
        if not self._contacts:
            return {}
        options = [SelectOptionDict(value=label, label=label) for label in self._contacts]
        config = SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN)
        return {vol.Optional(CONF_CONTACT): SelectSelector(config)}

    def _with_contact(self, user_input: dict[str, Any]) -> dict[str, Any]:
        """Return what was filled in, with the contact's name and number where these were left empty."""
        filled = {CONF_NAME: "", CONF_DESTINATION: [], **user_input}
        chosen = self._contacts.get(filled.get(CONF_CONTACT, ""))
        if chosen is not None:
            filled[CONF_NAME] = cleaned(filled)[CONF_NAME] or chosen.name
            filled[CONF_DESTINATION] = split_numbers(filled[CONF_DESTINATION]) or [chosen.number]
        return filled

    async def _async_read(self, user_input: dict[str, Any], errors: dict[str, str]) -> tuple[str, dict[str, Any]]:
        """Return the name and the data that the form gives; remember the numbers that are none."""
        self._wrong = []
        name = cleaned(user_input)[CONF_NAME]
        if not name:
            errors[CONF_NAME] = "name_required"
        await async_load_metadata(self.hass)
        numbers: list[str] = []
        for text in split_numbers(user_input[CONF_DESTINATION]):
            try:
                number = to_store(text, self.hass.config.country)
            except InvalidNumberError:
                self._wrong.append(text)
                continue
            if number not in numbers:
                numbers.append(number)
        if self._wrong or not numbers:
            errors[CONF_DESTINATION] = "invalid_number"
        elif user_input.get(CONF_GROUP) and is_mixed(
            parse_destination(number, self.hass.config.country) for number in numbers
        ):
            errors[CONF_GROUP] = "mixed_group"
        data = {CONF_DESTINATION: numbers, CONF_GROUP: user_input.get(CONF_GROUP, False)}
        sender = await async_read_sender(self.hass, user_input, errors)
        if CONF_FROM_NUMBER in errors:
            self._wrong.append(user_input[CONF_FROM_NUMBER])
        return name, {**data, **sender}


def _form_of(recipient: ConfigSubentry, region: str | None) -> dict[str, Any]:
    """Return what the form shows of a recipient; of one that is damaged, what is left of it."""
    kept = recipient.data.get(CONF_DESTINATION)
    numbers = [number for number in kept if isinstance(number, str)] if isinstance(kept, list) else []
    shown = {CONF_NAME: recipient.title, CONF_DESTINATION: [national(number, region) for number in numbers] or [""]}
    return shown if is_damaged(recipient) else {**recipient.data, **shown}
