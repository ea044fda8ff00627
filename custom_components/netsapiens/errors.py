"""The one place where the client's errors become translated words for people."""

from homeassistant.exceptions import HomeAssistantError

from .api import (
    NetsapiensAuthError,
    NetsapiensConfigError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensMfaError,
    NetsapiensRateLimitError,
    NetsapiensReadOnlyError,
    NetsapiensRequestError,
    NetsapiensTimeoutError,
    NetsapiensTLSError,
)
from .const import DOMAIN

# The first that fits: the kinds stand before what they are kinds of.
_KEYS: tuple[tuple[type[NetsapiensError], str], ...] = (
    (NetsapiensMfaError, "mfa_required"),
    (NetsapiensReadOnlyError, "read_only_key"),
    (NetsapiensAuthError, "invalid_auth"),
    (NetsapiensConfigError, "invalid_auth"),  # a part of the credentials is missing
    (NetsapiensTLSError, "certificate_refused"),
    (NetsapiensTimeoutError, "timeout_connect"),
    (NetsapiensConnectionError, "cannot_connect"),
    (NetsapiensRateLimitError, "rate_limited"),
    (NetsapiensRequestError, "refused"),
)


def error_key(err: NetsapiensError) -> str:
    """Return the translation key of an error of the client."""
    if isinstance(err, NetsapiensRequestError) and not err.reason:
        return "refused_without_words"
    return next((key for kind, key in _KEYS if isinstance(err, kind)), "pbx_failed")


def placeholders(err: NetsapiensError) -> dict[str, str]:
    """Return what the translation of an error of the client mentions."""
    if isinstance(err, NetsapiensRequestError):
        return {"status": str(err.status)} | ({"reason": err.reason} if err.reason else {})
    return {}


def translated[ErrorT: HomeAssistantError](err: NetsapiensError, kind: type[ErrorT]) -> ErrorT:
    """Return the Home Assistant error of this kind that tells a person of an error of the client."""
    return kind(
        translation_domain=DOMAIN,
        translation_key=error_key(err),
        translation_placeholders=placeholders(err),
    )
