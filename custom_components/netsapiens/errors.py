"""The one place where errors become words: the client's for people, those that nobody foresaw for the log."""

from collections.abc import Callable
import logging
from typing import NoReturn

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

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

_LOGGER = logging.getLogger(__name__)

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
    """Return the Home Assistant error of this kind that says what an error of the client means."""
    return kind(
        translation_domain=DOMAIN,
        translation_key=error_key(err),
        translation_placeholders=placeholders(err),
    )


def refuse(key: str, **placeholders: str) -> NoReturn:
    """Raise the translated error of a broken rule.

    Parameters:
        key: the translation key.
        placeholders: what the translation mentions.

    Raises:
        ServiceValidationError: always.
    """
    raise ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders or None
    )


class _UnexpectedError(Exception):
    """Stands in the log for an error whose own words may hold a text or a number."""


def log_unexpected(logger: logging.Logger, doing: str, err: BaseException) -> None:
    """Log an error that nobody foresaw: what it is and where it came up, without its words.

    Parameters:
        logger: whose log.
        doing: what failed, as in "Unexpected error while …".
        err: the error.
    """
    shown = _UnexpectedError(type(err).__name__)
    logger.error("Unexpected error while %s", doing, exc_info=(_UnexpectedError, shown, err.__traceback__))


def call_safely[*Args](listener: Callable[[*Args], object], *args: *Args) -> None:
    """Call a listener; one that breaks is logged, and breaks nothing else."""
    try:
        listener(*args)
    except Exception as err:  # noqa: BLE001
        log_unexpected(_LOGGER, "calling a listener", err)


def safe[*Args](listener: Callable[[*Args], object]) -> Callable[[*Args], None]:
    """Return a callback that calls a listener safely."""

    @callback
    def call(*args: *Args) -> None:
        """Call it."""
        call_safely(listener, *args)

    return call
