"""What an account's entry holds of its login -> the client."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from homeassistant.const import (
    CONF_API_KEY,
    CONF_CLIENT_ID,
    CONF_CLIENT_SECRET,
    CONF_DOMAIN,
    CONF_PASSWORD,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
    EVENT_HOMEASSISTANT_CLOSE,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_create_clientsession
from homeassistant.util.hass_dict import HassKey

from ..api import NetsapiensAPI
from ..api.values import as_text
from ..const import CONF_BASE_URL, CONF_USER

_SESSIONS: HassKey[dict[tuple[bool, bool], aiohttp.ClientSession]] = HassKey("netsapiens_sessions")

# The two ways to sign in; an entry has the one or the other.
_SIGN_IN = (CONF_CLIENT_ID, CONF_CLIENT_SECRET, CONF_USERNAME, CONF_PASSWORD)
_KEY = (CONF_API_KEY, CONF_DOMAIN, CONF_USER)


def login_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an entry's data that says where to sign in, and with what."""
    login = {key: data[key] for key in (CONF_BASE_URL, *_SIGN_IN, *_KEY) if key in data}
    return {**login, CONF_VERIFY_SSL: bool(data.get(CONF_VERIFY_SSL, True))}


def can_sign_in_again(data: Mapping[str, Any]) -> bool:
    """Whether the dialog to sign in again can mend credentials: it asks for no user name."""
    return CONF_API_KEY in data or bool(as_text(data.get(CONF_USERNAME)).strip())


@callback
def session_of(hass: HomeAssistant, *, verify_ssl: bool, refuse_redirects: bool = False) -> aiohttp.ClientSession:
    """Return the session of all accounts. It keeps no cookies: one account's would go out with another's requests.

    Parameters:
        verify_ssl: False accepts any certificate.
        refuse_redirects: whether a redirect is an error; for WebSockets, which follow them in any case.
    """
    sessions, kind = hass.data.setdefault(_SESSIONS, {}), (verify_ssl, refuse_redirects)
    if kind not in sessions:
        # It outlives the entry in whose set-up it is made.
        session = sessions[kind] = async_create_clientsession(
            hass,
            verify_ssl,
            auto_cleanup=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_refuse_redirect,) if refuse_redirects else (),
        )

        @callback
        def detach(_event: Event) -> None:
            """Leave it, now that Home Assistant closes what it stands on."""
            session.detach()

        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, detach)
    return sessions[kind]


async def _refuse_redirect(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Let a request fail whose answer leads elsewhere."""
    response = await handler(request)
    if HTTPStatus(response.status).is_redirection:
        response.close()
        raise aiohttp.ClientError("redirected")
    return response


def create_api(hass: HomeAssistant, data: Mapping[str, Any]) -> NetsapiensAPI:
    """Return the client for what an entry's data, or the form that makes one, holds.

    Raises:
        NetsapiensURLError: the base_url is none.
        NetsapiensConfigError: a part of the credentials is missing.
    """
    login = login_of(data)
    return NetsapiensAPI(login, session_of(hass, verify_ssl=login[CONF_VERIFY_SSL]))
