"""API keys: credentials for programs, and for people whose login asks for a second factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .answers import Answer, check
from .exceptions import (
    NetsapiensAuthError,
    NetsapiensNoUserError,
    NetsapiensReadOnlyError,
    NetsapiensRequestError,
)
from .models import Account, has_domain_rights
from .values import as_flag, as_text, rows

KEY_PATH = "apikeys/~"

_KEYS = {"key-id", "domain", "user", "user-scope", "readonly"}  # a description has one of them

# What a key says of itself where the PBX does not.
_SCOPES = {"nsu_": "Basic User", "nsd_": "Office Manager", "nsr_": "Reseller", "nss_": "Super User"}
_NOT_DESCRIBED = {400, 404, 405}  # statuses of a PBX that does not describe keys
_NOBODY = {"", "~", "*"}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, and whose texts it is to send.

    Attributes:
        key: ``nsu_…``, ``nsd_…``, ``nsr_…`` or ``nss_…``.
        domain: e.g. ``acme.example``; may be empty, then the key's own.
        user: the extension, e.g. ``1001``; likewise.
    """

    key: str = field(repr=False)
    domain: str
    user: str

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self | None:
        """Read the config of a client; None where it has no key."""
        key = as_text(config.get("api_key")).strip()
        return cls(key, _name(config.get("domain")), _name(config.get("user"))) if key else None

    def check_form(self) -> None:
        """Refuse what cannot be a key, before it goes out in a header.

        Raises:
            NetsapiensAuthError: it has spaces or letters that no key has.
        """
        if not self.key.isascii() or not self.key.isprintable() or " " in self.key:
            raise NetsapiensAuthError("this is no API key")

    def described(self, answer: Answer) -> dict[str, Any]:
        """Return what the PBX says of the key: nothing, where it does not describe keys.

        Raises:
            NetsapiensAuthError: the key is refused.
            NetsapiensError: no clear answer came.
        """
        try:
            return dict(next(rows(check(answer, [self.key]), _KEYS), {}))
        except NetsapiensRequestError as err:
            if err.status in _NOT_DESCRIBED:
                return {}
            raise NetsapiensAuthError(err.reason or "the API key was refused") from None

    def account(self, described: Mapping[str, Any]) -> Account:
        """Return who we are with this key.

        Parameters:
            described: what the PBX says of it.

        Raises:
            NetsapiensReadOnlyError: the key may not send.
            NetsapiensNoUserError: neither the config nor the PBX says whose texts it is to send.
        """
        if as_flag(described.get("readonly")):
            raise NetsapiensReadOnlyError("the API key may only read")
        scope = as_text(described.get("user-scope")) or _SCOPES.get(self.key[:4].lower(), "")
        own = (_name(described.get("domain")), _name(described.get("user")))
        asked = (self.domain, self.user)
        # A key without rights over its domain acts for its own user alone, whatever the config says.
        first, second = (asked, own) if has_domain_rights(scope) else (own, asked)
        domain, user = first[0] or second[0], first[1] or second[1]
        if not domain or not user:
            raise NetsapiensNoUserError(domain, user)
        return Account(f"{user}@{domain}", user, domain, f"{user}@{domain}", scope, "")


def _name(value: object) -> str:
    """Return the name of a domain or user; ``*`` and ``~`` are nobody's."""
    name = as_text(value).strip()
    return "" if name in _NOBODY else name


def token_of(key: ApiKey, described: Mapping[str, Any], account: Account) -> dict[str, Any]:
    """Return a key in the shape of a token call's answer; ``expires_at`` is None, since keys do not end."""
    who = {"domain": account.domain, "user": account.user, "uid": account.uid, "scope": account.scope}
    return {**described, **who, "access_token": key.key, "token_type": "Bearer", "expires_at": None}
