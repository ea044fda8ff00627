"""Signing in with what somebody typed, and what a form shows of it afterwards."""

from collections.abc import Mapping
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import (
    CONF_API_KEY,
    CONF_CLIENT_ID,
    CONF_CLIENT_SECRET,
    CONF_DOMAIN,
    CONF_PASSWORD,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant

from .account import NetsapiensConfigEntry
from .api import (
    Account,
    NetsapiensError,
    NetsapiensInsecureURLError,
    NetsapiensNoUserError,
    NetsapiensRequestError,
    NetsapiensTLSError,
    NetsapiensURLError,
)
from .api.values import as_text
from .const import (
    CONF_BASE_URL,
    CONF_USER,
)
from .errors import error_key, log_unexpected
from .flow_forms import Numbers
from .pbx.facts import async_get_numbers
from .pbx.login import create_api
from .pbx.store import FactsStore

_LOGGER = logging.getLogger(__name__)


_SECRETS = (CONF_CLIENT_SECRET, CONF_PASSWORD, CONF_API_KEY)
# The credentials that were typed are of no use, or it is not known whether they are.
_REFUSED = {"unknown", "invalid_auth", "invalid_api_key", "mfa_required", "read_only_key", "account_mismatch"}
# What else is cannot_connect.
_ERRORS = {
    *("invalid_auth", "invalid_api_key", "user_refused", "mfa_required", "read_only_key"),
    *("timeout_connect", "rate_limited", "pbx_failed"),
}
_OUT_OF_REACH = {401, 404}
_LONGEST_TITLE = 64  # characters


async def sign_in(
    hass: HomeAssistant, data: dict[str, Any], *, typed_user: bool = False
) -> tuple[Account | None, Numbers, dict[str, str]]:
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
    except Exception as err:  # noqa: BLE001
        log_unexpected(_LOGGER, "signing in", err)
        return None, {}, {"base": "unknown"}


def title_of(account: Account) -> str:
    """Return the title of an account: the login on one line, of characters that can be seen."""
    line = "".join(char for char in " ".join(account.login.split()) if char.isprintable())
    return line[:_LONGEST_TITLE].strip() or account.uid[:_LONGEST_TITLE]


def without_secrets(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form may show again. What is no text, nor yes or no, a field could not show."""
    return {key: value for key, value in data.items() if key not in _SECRETS and isinstance(value, str | bool)}


def to_show_again(user_input: Mapping[str, Any] | None, errors: Mapping[str, str]) -> dict[str, Any]:
    """Return what a form shows of what was typed: all of it, unless the phone system refused the secrets."""
    typed = user_input or {}
    return without_secrets(typed) if _REFUSED.intersection(errors.values()) else dict(typed)


def with_key_instead(data: dict[str, Any], user: str, domain: str) -> dict[str, Any]:
    """Return an entry's data with the key in place of the login that it had."""
    login = {CONF_CLIENT_ID, CONF_CLIENT_SECRET, CONF_USERNAME, CONF_PASSWORD}
    return {key: value for key, value in data.items() if key not in login} | {CONF_DOMAIN: domain, CONF_USER: user}


async def user_of(hass: HomeAssistant, entry: NetsapiensConfigEntry) -> tuple[str, str]:
    """Return an account's user and domain; empty where they are not known, as its uid may be without a domain."""
    if isinstance(user := entry.data.get(CONF_USER), str):
        return user, as_text(entry.data.get(CONF_DOMAIN))
    is_loaded = entry.state is ConfigEntryState.LOADED
    facts = entry.runtime_data.coordinator.data if is_loaded else await FactsStore(hass, entry.entry_id).async_load()
    if facts is not None and facts.account.user and facts.account.domain:
        return facts.account.user, facts.account.domain
    user, _, domain = (entry.unique_id or "").partition("@")
    return (user, domain) if domain else ("", "")


async def is_of(hass: HomeAssistant, entry: NetsapiensConfigEntry, account: Account) -> bool:
    """Whether an entry is that of an account: by its uid, or by user and domain, since a key has no uid of its own.

    How they are spelled does not count, as it does not to the PBX.
    """
    if (entry.unique_id or "").casefold() == account.uid.casefold():
        return True
    user, domain = await user_of(hass, entry)
    is_same_user = (user.casefold(), domain.casefold()) == (account.user.casefold(), account.domain.casefold())
    return is_same_user and bool(account.user and account.domain)
