"""Access and refresh tokens: opaque, timed, the refresh ones good for a single use."""

from dataclasses import dataclass
import secrets
import time

from .errors import ApiError, invalid_grant
from .model import User

PASSCODE = "123456"
KEY_SCOPES = {"nsu_": "Basic User", "nsd_": "Office Manager", "nsr_": "Reseller", "nss_": "Super User"}


@dataclass(slots=True)
class Token:
    """An access token; it lives by the monotonic clock, so that the PBX's wall clock can be off."""

    access_token: str
    login: str
    expires: float
    mfa_pending: bool = False

    @property
    def left(self) -> float:
        """Seconds until it ends."""
        return self.expires - time.monotonic()


@dataclass(slots=True)
class ApiKey:
    """An API key. `user` is empty where it is not a user's own, `domain` is `*` where it is not a domain's."""

    key: str
    user: str
    domain: str
    scope: str
    read_only: bool = False

    @property
    def left(self) -> float:
        """Seconds that what is made with it lasts: twenty years. The key itself does not end."""
        return 20 * 365 * 86400.0


class TokenBook:
    """Every token that was handed out and is not yet forgotten."""

    def __init__(self) -> None:
        self.access: dict[str, Token] = {}
        self.refresh: dict[str, str] = {}
        self.keys: dict[str, ApiKey] = {}

    def issue_key(self, prefix: str, *, user: str, domain: str, read_only: bool = False) -> ApiKey:
        """A new API key; the prefix says its scope. (The real ones end in a checksum of the rest.)"""
        key = ApiKey(prefix + secrets.token_hex(28), user, domain, KEY_SCOPES[prefix], read_only)
        self.keys[key.key] = key
        return key

    def issue(self, user: User, life: float, *, mfa_pending: bool = False) -> Token:
        """A new access token; the older ones of the same user stay good until they end."""
        token = Token(secrets.token_hex(16), user.login, time.monotonic() + life, mfa_pending)
        self.access[token.access_token] = token
        return token

    def issue_refresh(self, user: User) -> str:
        """A new refresh token."""
        refresh_token = secrets.token_hex(16)
        self.refresh[refresh_token] = user.login
        return refresh_token

    def redeem(self, refresh_token: str) -> str:
        """The login behind a refresh token, which is used up by this."""
        login = self.refresh.pop(refresh_token, None)
        if login is None:
            raise invalid_grant("Invalid refresh token")
        return login

    def check(self, access_token: str) -> Token:
        """The token behind a bearer, or the refusal that clients look for."""
        token = self.access.get(access_token)
        if token is None or token.mfa_pending:
            raise ApiError(401, "The access token provided is invalid")
        if token.left <= 0:
            raise ApiError(401, "The access token provided has expired")
        return token

    def revoke(self, *, refresh: bool) -> None:
        """Forget all access tokens, and the refresh tokens too where asked."""
        self.access.clear()
        if refresh:
            self.refresh.clear()
