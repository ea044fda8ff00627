"""Setting up an account, its options, and its recipients."""

from collections.abc import Mapping
import logging
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentry,
    ConfigSubentryFlow,
    OptionsFlow,
    SubentryFlowResult,
)
from homeassistant.const import (
    CONF_API_KEY,
    CONF_CLIENT_ID,
    CONF_CLIENT_SECRET,
    CONF_DOMAIN,
    CONF_NAME,
    CONF_PASSWORD,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
    UnitOfInformation,
    UnitOfTime,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.typing import VolDictType
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .api import (
    Account,
    NetsapiensError,
    NetsapiensInsecureURLError,
    NetsapiensNoUserError,
    NetsapiensRequestError,
    NetsapiensTLSError,
    NetsapiensURLError,
    SmsNumber,
    normalise_base_url,
)
from .api.models import as_text
from .const import (
    CONF_ACTION,
    CONF_BASE_URL,
    CONF_DESTINATION,
    CONF_FROM_NUMBER,
    CONF_GROUP,
    CONF_HOURLY_LIMIT,
    CONF_INCOMING,
    CONF_KEEP_UNDELIVERED,
    CONF_MMS_LIMIT,
    CONF_PICTURE_TEXT,
    CONF_USER,
    DOMAIN,
    INCOMING_OFF,
    INCOMING_POLL,
    INCOMING_PUSH,
    PICTURE_TEXT_SEPARATE,
    PICTURE_TEXT_TOGETHER,
    SUBENTRY_RECIPIENT,
)
from .errors import error_key
from .markdown import plain
from .messages import is_mixed
from .notify_actions import name_for_new_account
from .pbx.coordinator import async_get_numbers, create_api
from .phone import (
    InvalidNumberError,
    async_load_metadata,
    from_pbx,
    national,
    parse_destination,
    parse_sender,
    split_numbers,
    to_store,
)
from .recipients import is_damaged
from .sentences import async_load_translations, sentence
from .settings import HOURLY_LIMIT_RANGE, KEEP_UNDELIVERED_RANGE, MMS_LIMIT_RANGE, Settings, read_settings

_LOGGER = logging.getLogger(__name__)

type _Numbers = Mapping[str, SmsNumber]  # by their digits

_SECRETS = (CONF_CLIENT_SECRET, CONF_PASSWORD, CONF_API_KEY)
# The credentials that were typed are of no use, or it is not known whether they are.
_REFUSED = {"unknown", "invalid_auth", "invalid_api_key", "mfa_required", "read_only_key", "account_mismatch"}
# What else is cannot_connect.
_ERRORS = {"invalid_auth", "invalid_api_key", "user_refused", "mfa_required", "read_only_key", "timeout_connect"}
_OUT_OF_REACH = {401, 404}
_LONGEST_TITLE = 64  # characters

# What comes along when people paste: blanks of all widths, line ends, and characters of no width.
_AROUND = "".join(
    chr(code)
    for codes in (
        *(range(0x21), range(0x7F, 0xA1), range(0x2000, 0x2010), range(0x2028, 0x2030), range(0x205F, 0x2070)),
        (0xAD, 0x1680, 0x180E, 0x3000, 0xFEFF),
    )
    for code in codes
)

_URL = TextSelector(TextSelectorConfig(type=TextSelectorType.TEXT, autocomplete="url"))
_TEXT = TextSelector()
_LOGIN = TextSelector(TextSelectorConfig(autocomplete="username"))
_SECRET = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
_PASSWORD = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password"))


def _connection_schema(credentials: VolDictType) -> vol.Schema:
    """Return the form for where the phone system is and how to get in."""
    return vol.Schema(
        {
            vol.Required(CONF_BASE_URL): _URL,
            **credentials,
            vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector(),
        }
    )


def _login_fields(secret: type[vol.Marker]) -> VolDictType:
    """Return the fields of a login; secrets may be left empty where they are known."""
    return {
        vol.Required(CONF_CLIENT_ID): _TEXT,
        secret(CONF_CLIENT_SECRET): _SECRET,
        vol.Required(CONF_USERNAME): _LOGIN,
        secret(CONF_PASSWORD): _PASSWORD,
    }


_SIGN_IN_SCHEMA = _connection_schema(_login_fields(vol.Required))
_KEY_SCHEMA = _connection_schema({vol.Required(CONF_API_KEY): _SECRET})
_KEY_USER_SCHEMA = vol.Schema({vol.Required(CONF_DOMAIN): _TEXT, vol.Required(CONF_USER): _TEXT})
# What is left empty stays as it is. A key in place of a password: the operator may have turned on a second factor.
_RECONFIGURE_SCHEMA = _connection_schema({**_login_fields(vol.Optional), vol.Optional(CONF_API_KEY): _SECRET})
_RECONFIGURE_KEY_SCHEMA = _connection_schema({vol.Optional(CONF_API_KEY): _SECRET})
_REAUTH_KEY_SCHEMA = vol.Schema({vol.Required(CONF_API_KEY): _SECRET})
_REAUTH_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_PASSWORD): _PASSWORD,
        vol.Optional(CONF_CLIENT_ID): _TEXT,
        vol.Optional(CONF_CLIENT_SECRET): _SECRET,
    }
)


_MINUTES = NumberSelector(
    NumberSelectorConfig(
        min=KEEP_UNDELIVERED_RANGE[0],
        max=KEEP_UNDELIVERED_RANGE[1],
        step=1,
        mode=NumberSelectorMode.BOX,
        unit_of_measurement=UnitOfTime.MINUTES,
    )
)
_KILOBYTES = NumberSelector(
    NumberSelectorConfig(
        min=MMS_LIMIT_RANGE[0],
        max=MMS_LIMIT_RANGE[1],
        step=10,
        mode=NumberSelectorMode.BOX,
        unit_of_measurement=UnitOfInformation.KILOBYTES,
    )
)
_INCOMING = SelectSelector(
    SelectSelectorConfig(
        options=[INCOMING_POLL, INCOMING_PUSH, INCOMING_OFF], translation_key="incoming", mode=SelectSelectorMode.LIST
    )
)
_PICTURE_TEXT = SelectSelector(
    SelectSelectorConfig(
        options=[PICTURE_TEXT_SEPARATE, PICTURE_TEXT_TOGETHER],
        translation_key="picture_text",
        mode=SelectSelectorMode.LIST,
    )
)
_COUNT = NumberSelector(
    NumberSelectorConfig(min=HOURLY_LIMIT_RANGE[0], max=HOURLY_LIMIT_RANGE[1], step=1, mode=NumberSelectorMode.BOX)
)


class _NumbersSelector(TextSelector):
    """A field for several numbers, which takes a single one as well."""

    @override
    def __call__(self, data: Any) -> str | list[str]:
        """Validate the field."""
        return super().__call__([data] if isinstance(data, str) else data)


_NUMBERS = _NumbersSelector(TextSelectorConfig(type=TextSelectorType.TEL, multiple=True))


async def _sign_in(
    hass: HomeAssistant, data: dict[str, Any], *, typed_user: bool = False
) -> tuple[Account | None, _Numbers, dict[str, str]]:
    """Sign in for real.

    Parameters:
        data: an entry's, or what was typed.
        typed_user: whether the user was typed, so that there may be none.

    Returns:
        Who we are (None where it failed), the SMS numbers, and the form's errors.

    Raises:
        NetsapiensNoUserError: the API key is nobody's, and the data name no user.
    """
    try:
        api = create_api(hass, data)
        try:
            await api.get_token()
            return api.account, await async_get_numbers(api, typed_user=typed_user), {}
        finally:
            await api.close()
    except NetsapiensInsecureURLError:
        return None, {}, {CONF_BASE_URL: "insecure_url"}
    except NetsapiensURLError:
        return None, {}, {CONF_BASE_URL: "invalid_url"}
    except NetsapiensTLSError:
        return None, {}, {"base": "cannot_connect", CONF_VERIFY_SSL: "certificate_refused"}
    except NetsapiensNoUserError:
        raise
    except NetsapiensError as err:
        # So the numbers are refused of a domain that the credentials do not reach, and of a user who is not there.
        out_of_reach = isinstance(err, NetsapiensRequestError) and err.status in _OUT_OF_REACH
        key = "invalid_auth" if out_of_reach else error_key(err)
        if key == "invalid_auth" and CONF_API_KEY in data:
            key = "user_refused" if typed_user else "invalid_api_key"
        return None, {}, {"base": key if key in _ERRORS else "cannot_connect"}
    except Exception:
        _LOGGER.exception("Unexpected error while signing in")
        return None, {}, {"base": "unknown"}


def _cleaned(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was typed into a form without what pasting puts around it. Of a password everything counts."""
    return {
        key: value.strip(_AROUND) if isinstance(value, str) and key != CONF_PASSWORD else value
        for key, value in user_input.items()
    }


def _title_of(account: Account) -> str:
    """Return the title of an account: the login on one line, of characters that can be seen."""
    line = "".join(char for char in " ".join(account.login.split()) if char.isprintable())
    return line[:_LONGEST_TITLE].strip() or account.uid[:_LONGEST_TITLE]


def _without_secrets(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form may show again. What is no text, nor yes or no, a field could not show."""
    return {key: value for key, value in data.items() if key not in _SECRETS and isinstance(value, str | bool)}


def _to_show_again(user_input: Mapping[str, Any] | None, errors: Mapping[str, str]) -> dict[str, Any]:
    """Return what a form shows of what was typed: all of it, unless the phone system refused the secrets."""
    typed = user_input or {}
    return _without_secrets(typed) if _REFUSED.intersection(errors.values()) else dict(typed)


def _written(number: str, region: str | None) -> str:
    """Return a sender number as people at home write it."""
    return national(from_pbx(number, region), region)


def _sender_selector(numbers: _Numbers, region: str | None) -> SelectSelector:
    """Return the field to choose a sender number, or type one. Where there are several owners, it shows them."""
    several = len({number.dest for number in numbers.values()}) > 1
    options = []
    for digits, number in numbers.items():
        written = _written(digits, region)
        label = f"{written} · {number.owner or number.dest}" if several else written
        options.append(SelectOptionDict(value=written, label=label))
    return SelectSelector(SelectSelectorConfig(options=options, custom_value=True, mode=SelectSelectorMode.DROPDOWN))


def _sender_schema(numbers: _Numbers, region: str | None, *, required: bool, default: str | None = None) -> vol.Schema:
    """Return the form to choose the sender."""
    selector = _sender_selector(numbers, region)
    if not required:
        return vol.Schema({vol.Optional(CONF_FROM_NUMBER): selector})
    marker = vol.Required(CONF_FROM_NUMBER, default=_written(default, region) if default is not None else vol.UNDEFINED)
    return vol.Schema({marker: selector})


def _delivery_fields(settings: Settings) -> VolDictType:
    """Return the fields for how long and how often to send."""
    return {
        vol.Required(CONF_INCOMING, default=settings.incoming): _INCOMING,
        vol.Required(CONF_KEEP_UNDELIVERED, default=settings.keep_undelivered): _MINUTES,
        vol.Required(CONF_HOURLY_LIMIT, default=settings.hourly_limit): _COUNT,
        vol.Required(CONF_MMS_LIMIT, default=settings.mms_limit_kb): _KILOBYTES,
        vol.Required(CONF_PICTURE_TEXT, default=settings.picture_text): _PICTURE_TEXT,
    }


async def _async_read_sender(
    hass: HomeAssistant, user_input: Mapping[str, Any], errors: dict[str, str], *, required: bool = False
) -> dict[str, str]:
    """Return the sender that a form gives, if any, as the PBX wants it."""
    text = _cleaned(user_input).get(CONF_FROM_NUMBER, "")
    if not text and not required:
        return {}
    await async_load_metadata(hass)
    try:
        return {CONF_FROM_NUMBER: parse_sender(text, hass.config.country)}
    except InvalidNumberError:
        errors[CONF_FROM_NUMBER] = "invalid_number"
        return {}


def _with_shown_sender(kept: Mapping[str, Any], region: str | None) -> dict[str, Any]:
    """Return what is kept as a form shows it: the sender as people write it."""
    shown = {CONF_FROM_NUMBER: _written(kept[CONF_FROM_NUMBER], region)} if kept.get(CONF_FROM_NUMBER) else {}
    return {**kept, **shown}


class NetsapiensConfigFlow(ConfigFlow, domain=DOMAIN):
    """Add an account, sign in again, or change its host and credentials."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}
        self._title = ""
        self._numbers: _Numbers = {}

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
            user_input = _cleaned(user_input)
            result, errors = await self._enter(user_input)
            if result is not None:
                return result
        schema = self.add_suggested_values_to_schema(_SIGN_IN_SCHEMA, _to_show_again(user_input, errors))
        return self.async_show_form(step_id="sign_in", data_schema=schema, errors=errors)

    async def async_step_api_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for host and API key, and try them."""
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input = _cleaned(user_input)
            try:
                result, errors = await self._enter(user_input)
            except NetsapiensNoUserError as err:
                self._data = {**user_input, CONF_DOMAIN: err.domain, CONF_USER: err.user}
                return await self.async_step_api_key_user()
            if result is not None:
                return result
        schema = self.add_suggested_values_to_schema(_KEY_SCHEMA, _to_show_again(user_input, errors))
        return self.async_show_form(step_id="api_key", data_schema=schema, errors=errors)

    async def async_step_api_key_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whose texts a key sends that is not a user's own."""
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input = _cleaned(user_input)
            try:
                result, errors = await self._enter({**self._data, **user_input})
            except NetsapiensNoUserError:
                result, errors = None, {"base": "user_required"}
            if result is not None:
                return result
        schema = self.add_suggested_values_to_schema(_KEY_USER_SCHEMA, user_input or self._data)
        return self.async_show_form(step_id="api_key_user", data_schema=schema, errors=errors)

    async def _enter(self, typed: dict[str, Any]) -> tuple[ConfigFlowResult | None, dict[str, str]]:
        """Try a way in; return what follows from it, or the form's errors.

        Raises:
            NetsapiensNoUserError: as ``_sign_in``.
        """
        account, numbers, errors = await _sign_in(self.hass, typed, typed_user=CONF_USER in typed)
        if account is None:
            return None, errors
        await self.async_set_unique_id(account.uid, raise_on_progress=False)
        self._abort_if_unique_id_configured()
        self._take_over_from_others()
        self._data = {**typed, CONF_BASE_URL: normalise_base_url(typed[CONF_BASE_URL])}
        if CONF_API_KEY in typed:
            self._data |= {CONF_DOMAIN: account.domain, CONF_USER: account.user}
        self._title, self._numbers = _title_of(account), numbers
        return (self._create_entry(next(iter(numbers))) if len(numbers) == 1 else await self.async_step_sender()), {}

    @callback
    def _take_over_from_others(self) -> None:
        """End the dialogs that were left, such as by closing the browser, before they made an entry of this account."""
        for flow in self._async_in_progress(include_uninitialized=True, match_context={"unique_id": self.unique_id}):
            self.hass.config_entries.flow.async_abort(flow["flow_id"])

    async def async_step_sender(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which number texts come from."""
        errors: dict[str, str] = {}
        if user_input is not None:
            sender = await _async_read_sender(self.hass, user_input, errors, required=bool(self._numbers))
            if not errors:
                return self._create_entry(sender.get(CONF_FROM_NUMBER))
        await async_load_metadata(self.hass)
        schema = _sender_schema(self._numbers, self.hass.config.country, required=bool(self._numbers))
        return self.async_show_form(
            step_id="sender",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders={"listed": await self._listed()},
        )

    async def _listed(self) -> str:
        """Return the sentence that says what there is to choose from."""
        await async_load_translations(self.hass)
        if not self._numbers:
            return sentence(self.hass, "common.sender_none_listed", login=plain(self._title))
        return sentence(self.hass, "common.sender_listed", login=plain(self._title), count=len(self._numbers))

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
            user_input = _cleaned(user_input)
            result, errors = await self._take_over(entry, user_input)
            if result is not None:
                return result
        schema = _REAUTH_KEY_SCHEMA if CONF_API_KEY in entry.data else _REAUTH_SCHEMA
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=self.add_suggested_values_to_schema(schema, _to_show_again(user_input, errors)),
            errors=errors,
            description_placeholders={
                "login": plain(entry.title),
                "username": plain(as_text(entry.data.get(CONF_USERNAME)) or entry.title),
                "waiting": _waiting(self.hass, entry),
            },
        )

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for another host or other credentials of the same account."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input = _cleaned(user_input)
            result, errors = await self._take_over(entry, user_input)
            if result is not None:
                return result
        shown = _without_secrets(entry.data) if user_input is None else _to_show_again(user_input, errors)
        schema = _RECONFIGURE_KEY_SCHEMA if CONF_API_KEY in entry.data else _RECONFIGURE_SCHEMA
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            errors=errors,
            description_placeholders={"login": plain(entry.title)},
        )

    async def _take_over(
        self, entry: ConfigEntry, user_input: dict[str, Any]
    ) -> tuple[ConfigFlowResult | None, dict[str, str]]:
        """Sign in with what was typed, and keep it; what was left empty stays as it was."""
        data = {**entry.data, **{key: value for key, value in user_input.items() if value != ""}}
        if CONF_API_KEY in data and not isinstance(data.get(CONF_USER), str):
            data = _with_key_instead(data, entry.unique_id or "")
        account, _, errors = await _sign_in(self.hass, data)
        if account is None:
            return None, errors
        if account.uid != entry.unique_id and self.source == SOURCE_RECONFIGURE:
            return None, {CONF_API_KEY if CONF_API_KEY in data else CONF_USERNAME: "account_mismatch"}
        await self.async_set_unique_id(account.uid, raise_on_progress=False)
        self._abort_if_unique_id_mismatch(reason="account_mismatch")
        data[CONF_BASE_URL] = normalise_base_url(data[CONF_BASE_URL])
        # The update listener reloads. An entry whose setup failed has none, and unchanged data do not call it.
        reloads = bool(entry.update_listeners) and data != entry.data
        result = self.async_update_and_abort(entry, data=data)
        if not reloads:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)  # at once, so the data must be there
        return result, {}


@callback
def _waiting(hass: HomeAssistant, entry: ConfigEntry) -> str:
    """Return the sentence that says how many texts wait for the sign-in, and until when; empty where none is known."""
    queue = entry.runtime_data.queue if entry.state is ConfigEntryState.LOADED else None
    if queue is None or (deadline := queue.first_deadline) is None:
        return ""
    local = dt_util.as_local(deadline)
    time = f"{local:%H:%M}" if local.date() == dt_util.now().date() else f"{local:%Y-%m-%d %H:%M}"
    key = "waiting_one" if queue.queued == 1 else "waiting_several"
    return sentence(hass, f"common.{key}", count=queue.queued, time=time)


def _with_key_instead(data: dict[str, Any], uid: str) -> dict[str, Any]:
    """Return an entry's data with the key in place of the login that it had."""
    user, _, domain = uid.partition("@")
    login = {CONF_CLIENT_ID, CONF_CLIENT_SECRET, CONF_USERNAME, CONF_PASSWORD}
    return {key: value for key, value in data.items() if key not in login} | {CONF_DOMAIN: domain, CONF_USER: user}


class NetsapiensOptionsFlow(OptionsFlow):
    """Change how an account sends."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        errors: dict[str, str] = {}
        numbers = _known_numbers(self.config_entry)
        if user_input is not None:
            sender = await _async_read_sender(self.hass, user_input, errors, required=bool(numbers))
            if not errors:
                keys = (CONF_KEEP_UNDELIVERED, CONF_HOURLY_LIMIT, CONF_MMS_LIMIT)
                counts = {key: int(user_input[key]) for key in keys}
                chosen = {key: user_input[key] for key in (CONF_INCOMING, CONF_PICTURE_TEXT)}
                return self.async_create_entry(data={**sender, **chosen, **counts})
        settings = read_settings(self.config_entry)
        await async_load_metadata(self.hass)
        region = self.hass.config.country
        schema = _sender_schema(numbers, region, required=bool(numbers), default=settings.from_number)
        schema = schema.extend(_delivery_fields(settings))
        kept = {key: value for key, value in self.config_entry.options.items() if key not in settings.damaged}
        shown = _with_shown_sender(kept, region) if user_input is None else user_input
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            errors=errors,
            description_placeholders={"login": plain(self.config_entry.title)},
        )


class RecipientFlow(ConfigSubentryFlow):
    """Add or change somebody to text."""

    def __init__(self) -> None:
        self._wrong: list[str] = []

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask who it is."""
        errors: dict[str, str] = {}
        if user_input is not None:
            name, data = await self._async_read(user_input, errors)
            if not errors:
                return self.async_create_entry(title=name, data=data)
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
            shown = _with_shown_sender(_form_of(recipient, self.hass.config.country), self.hass.config.country)
        return await self._async_show("reconfigure", shown, errors)

    async def _async_show(self, step_id: str, shown: Mapping[str, Any], errors: dict[str, str]) -> SubentryFlowResult:
        """Show the form."""
        await async_load_metadata(self.hass)
        schema = vol.Schema(
            {
                vol.Required(CONF_NAME): TextSelector(),
                vol.Required(CONF_DESTINATION): _NUMBERS,
                vol.Optional(CONF_GROUP, default=False): BooleanSelector(),
                vol.Optional(CONF_FROM_NUMBER): _sender_selector(
                    _known_numbers(self._get_entry()), self.hass.config.country
                ),
            }
        )
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            errors=errors,
            description_placeholders={"number": ", ".join(self._wrong) or "-"},
        )

    async def _async_read(self, user_input: dict[str, Any], errors: dict[str, str]) -> tuple[str, dict[str, Any]]:
        """Return the name and the data that the form gives; remember the numbers that are none."""
        self._wrong = []
        name = _cleaned(user_input)[CONF_NAME]
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
        sender = await _async_read_sender(self.hass, user_input, errors)
        if CONF_FROM_NUMBER in errors:
            self._wrong.append(user_input[CONF_FROM_NUMBER])
        return name, {**data, **sender}


def _form_of(recipient: ConfigSubentry, region: str | None) -> dict[str, Any]:
    """Return what the form shows of a recipient; of one that is damaged, what is left of it."""
    kept = recipient.data.get(CONF_DESTINATION)
    numbers = [number for number in kept if isinstance(number, str)] if isinstance(kept, list) else []
    shown = {CONF_NAME: recipient.title, CONF_DESTINATION: [national(number, region) for number in numbers] or [""]}
    return shown if is_damaged(recipient) else {**recipient.data, **shown}


def _known_numbers(entry: ConfigEntry) -> _Numbers:
    """Return the sender numbers that an account has, as far as that is known now."""
    if entry.state is not ConfigEntryState.LOADED:
        return {}
    numbers: _Numbers = entry.runtime_data.coordinator.data.numbers
    return numbers
