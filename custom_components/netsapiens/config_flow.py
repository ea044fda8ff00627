"""The dialogs that add an account, sign in again, and change its host and credentials."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.const import (
    CONF_API_KEY,
    CONF_DOMAIN,
    CONF_USERNAME,
)
from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .account import NetsapiensConfigEntry
from .api import (
    Account,
    NetsapiensNoUserError,
    normalise_base_url,
)
from .api.values import as_text
from .const import (
    CONF_ACTION,
    CONF_BASE_URL,
    CONF_FROM_NUMBER,
    CONF_USER,
    DOMAIN,
    SUBENTRY_RECIPIENT,
)
from .flow_forms import (
    KEY_SCHEMA,
    KEY_USER_SCHEMA,
    REAUTH_KEY_SCHEMA,
    REAUTH_SCHEMA,
    RECONFIGURE_KEY_SCHEMA,
    RECONFIGURE_SCHEMA,
    SIGN_IN_SCHEMA,
    Numbers,
    async_read_sender,
    cleaned,
    sender_schema,
)
from .flow_sign_in import is_of, sign_in, title_of, to_show_again, user_of, with_key_instead, without_secrets
from .markdown import plain
from .notify_actions import name_for_new_account
from .options_flow import NetsapiensOptionsFlow
from .phone_metadata import async_load_metadata
from .recipient_flow import RecipientFlow


class NetsapiensConfigFlow(ConfigFlow, domain=DOMAIN):
    """Add an account, sign in again, or change its host and credentials."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}
        self._title = ""
        self._numbers: Numbers = {}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the flow for the options."""
        return NetsapiensOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added to an account."""
        return {SUBENTRY_RECIPIENT: RecipientFlow}

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which way in."""
        return self.async_show_menu(step_id="user", menu_options=["sign_in", "api_key"])

    async def async_step_sign_in(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for host and credentials, and sign in with them."""
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input = cleaned(user_input)
            result, errors = await self._enter(user_input)
            if result is not None:
                return result
        schema = self.add_suggested_values_to_schema(SIGN_IN_SCHEMA, to_show_again(user_input, errors))
        return self.async_show_form(step_id="sign_in", data_schema=schema, errors=errors)

    async def async_step_api_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for host and API key, and try them."""
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input = cleaned(user_input)
            try:
                result, errors = await self._enter(user_input)
            except NetsapiensNoUserError as err:
                self._data = {**user_input, CONF_DOMAIN: err.domain, CONF_USER: err.user}
                return await self.async_step_api_key_user()
            if result is not None:
                return result
        schema = self.add_suggested_values_to_schema(KEY_SCHEMA, to_show_again(user_input, errors))
        return self.async_show_form(step_id="api_key", data_schema=schema, errors=errors)

    async def async_step_api_key_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whose texts a key sends that is not a user's own."""
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input = cleaned(user_input)
            try:
                result, errors = await self._enter({**self._data, **user_input})
            except NetsapiensNoUserError:
                result, errors = None, {"base": "user_required"}
            if result is not None:
                return result
        schema = self.add_suggested_values_to_schema(KEY_USER_SCHEMA, user_input or self._data)
        return self.async_show_form(step_id="api_key_user", data_schema=schema, errors=errors)

    async def _enter(self, typed: dict[str, Any]) -> tuple[ConfigFlowResult | None, dict[str, str]]:
        """Try a way in; return what follows from it, or the form's errors.

        Raises:
            NetsapiensNoUserError: as ``sign_in``.
        """
        account, numbers, errors = await sign_in(self.hass, typed, typed_user=CONF_USER in typed)
        if account is None:
            return None, errors
        await self.async_set_unique_id(await self._uid_of(account), raise_on_progress=False)
        self._abort_if_unique_id_configured()
        self._take_over_from_others()
        self._data = {**typed, CONF_BASE_URL: normalise_base_url(typed[CONF_BASE_URL])}
        if CONF_API_KEY in typed:
            self._data |= {CONF_DOMAIN: account.domain, CONF_USER: account.user}
        self._title, self._numbers = title_of(account), numbers
        return (self._create_entry(next(iter(numbers))) if len(numbers) == 1 else await self.async_step_sender()), {}

    async def _uid_of(self, account: Account) -> str | None:
        """Return the unique id under which an account is known, or its uid where it is new."""
        for entry in self._async_current_entries():
            if await is_of(self.hass, entry, account):
                return entry.unique_id
        return account.uid

    @callback
    def _take_over_from_others(self) -> None:
        """End the dialogs that were left, such as by closing the browser, before they made an entry of this account."""
        uid = (self.unique_id or "").casefold()
        for flow in self._async_in_progress(include_uninitialized=True):
            if (flow["context"].get("unique_id") or "").casefold() == uid:
                self.hass.config_entries.flow.async_abort(flow["flow_id"])

    async def async_step_sender(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which number texts come from."""
        errors: dict[str, str] = {}
        if user_input is not None:
            sender = await async_read_sender(self.hass, user_input, errors, required=bool(self._numbers))
            if not errors:
                return self._create_entry(sender.get(CONF_FROM_NUMBER))
        await async_load_metadata(self.hass)
        schema = sender_schema(self._numbers, self.hass.config.country, required=bool(self._numbers))
        return self.async_show_form(
            step_id="sender",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders={"login": plain(self._title), "listed": str(len(self._numbers))},
        )

    @callback
    def _create_entry(self, from_number: str | None) -> ConfigFlowResult:
        """Make the entry."""
        return self.async_create_entry(
            title=self._title,
            data={**self._data, CONF_ACTION: name_for_new_account(self.hass, self._title)},
            options={CONF_FROM_NUMBER: from_number} if from_number else {},
        )

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Start to sign in again."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the new password, or the new API key."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input = cleaned(user_input)
            result, errors = await self._take_over(entry, user_input)
            if result is not None:
                return result
        schema = REAUTH_KEY_SCHEMA if CONF_API_KEY in entry.data else REAUTH_SCHEMA
        waiting, until = _waiting(entry)
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=self.add_suggested_values_to_schema(schema, to_show_again(user_input, errors)),
            errors=errors,
            description_placeholders={
                "login": plain(entry.title),
                "username": plain(as_text(entry.data.get(CONF_USERNAME)) or entry.title),
                "waiting": waiting,
                "until": until,
            },
        )

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for another host or other credentials of the same account."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input = cleaned(user_input)
            result, errors = await self._take_over(entry, user_input)
            if result is not None:
                return result
        shown = without_secrets(entry.data) if user_input is None else to_show_again(user_input, errors)
        schema = RECONFIGURE_KEY_SCHEMA if CONF_API_KEY in entry.data else RECONFIGURE_SCHEMA
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            errors=errors,
            description_placeholders={"login": plain(entry.title)},
        )

    async def _take_over(
        self, entry: NetsapiensConfigEntry, user_input: dict[str, Any]
    ) -> tuple[ConfigFlowResult | None, dict[str, str]]:
        """Sign in with what was typed, and keep it; what was left empty stays as it was."""
        data = {**entry.data, **{key: value for key, value in user_input.items() if value != ""}}
        if CONF_API_KEY in data and not isinstance(data.get(CONF_USER), str):
            data = with_key_instead(data, *await user_of(self.hass, entry))
        try:
            account, _, errors = await sign_in(self.hass, data)
        except NetsapiensNoUserError:
            return None, {CONF_API_KEY: "user_unknown"}
        if account is None:
            return None, errors
        if not await is_of(self.hass, entry, account):
            if self.source == SOURCE_RECONFIGURE:
                return None, {CONF_API_KEY if CONF_API_KEY in data else CONF_USERNAME: "account_mismatch"}
            return self.async_abort(reason="account_mismatch"), {}
        data[CONF_BASE_URL] = normalise_base_url(data[CONF_BASE_URL])
        # The update listener reloads. An entry whose setup failed has none, and unchanged data do not call it.
        reloads = bool(entry.update_listeners) and data != entry.data
        result = self.async_update_and_abort(entry, data=data)
        if not reloads:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)  # at once, so the data must be there
        return result, {}


@callback
def _waiting(entry: NetsapiensConfigEntry) -> tuple[str, str]:
    """Return how many texts wait for the sign-in, and until when: values alone, since the browser has the words."""
    queue = entry.runtime_data.queue if entry.state is ConfigEntryState.LOADED else None
    if queue is None:
        return "-", "-"
    deadline = queue.first_deadline
    if deadline is None:
        return str(queue.queued), "-"
    local = dt_util.as_local(deadline)
    until = f"{local:%H:%M}" if local.date() == dt_util.now().date() else f"{local:%Y-%m-%d %H:%M}"
    return str(queue.queued), until
