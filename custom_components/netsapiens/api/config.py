"""The settings that a client is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .exceptions import NetsapiensConfigError, NetsapiensURLError
from .values import as_text

_LOGIN = ("client_id", "client_secret", "username", "password")


def base_url_of(config: Mapping[str, Any]) -> str:
    """Return the address of the PBX, as it was given.

    Raises:
        NetsapiensURLError: there is none.
    """
    if not as_text(config.get("base_url")).strip():
        raise NetsapiensURLError(_missing("base_url"))
    return as_text(config["base_url"])


def verify_ssl_of(config: Mapping[str, Any]) -> bool:
    """Return whether certificates are verified; they are, where the config does not say.

    Raises:
        NetsapiensConfigError: it is no boolean.
    """
    verify_ssl = config.get("verify_ssl")
    if verify_ssl is None or verify_ssl == "":
        return True
    if not isinstance(verify_ssl, bool):
        raise NetsapiensConfigError("the setting verify_ssl is neither true nor false")
    return verify_ssl


def login_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return ``client_id``, ``client_secret``, ``username`` and ``password``.

    Raises:
        NetsapiensConfigError: one of them is missing or empty, or an API key was meant and is.
    """
    login = {name: as_text(config.get(name)) for name in _LOGIN}
    missing = [name for name, value in login.items() if not value.strip()]
    if len(missing) == len(_LOGIN) and "api_key" in config:
        raise NetsapiensConfigError(_missing("api_key"))
    if missing:
        raise NetsapiensConfigError(_missing(missing[0]))
    return login


def _missing(name: str) -> str:
    """Return the words for a setting that is not there. Never what stands in it."""
    return f"the setting {name} is missing or empty"
