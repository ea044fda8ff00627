"""JWTs: what the PBX takes where an access token does not serve, as at its live connection."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
import json
import math
import time
from typing import Any

from .client import NetsapiensAPI
from .exceptions import NetsapiensMfaError, NetsapiensServerError
from .values import as_text, rows

_KEYS = {"token", "user_scope"}  # an answer has one of them
_DEFAULT_LIFE = 3600.0  # seconds, where the claims do not say
_MAX_LIFE = 30 * 86400.0


@dataclass(frozen=True, slots=True, eq=False)
class Jwt:
    """A JWT and what came with it.

    Attributes:
        token: the JWT.
        refresh: what gives the next one, once; empty where the PBX gave none.
        life: seconds that it lived when it came, by its claims; an hour where these do not say.
        born: when it came, by ``time.monotonic()``.
    """

    token: str = field(repr=False)
    refresh: str = field(repr=False)
    life: float
    born: float

    @property
    def left(self) -> float:
        """Seconds that it still lives."""
        return self.born + self.life - time.monotonic()


class JwtAPI:
    """The JWTs of one login.

    Parameters:
        api: the login; not closed here.
    """

    def __init__(self, api: NetsapiensAPI) -> None:
        self._api = api

    async def create_jwt(self) -> Jwt:
        """Return a JWT for the login's user: by the password, or delegated with the API key.

        Raises:
            NetsapiensMfaError: the login asks for a second factor.
            NetsapiensRequestError: the credentials are refused (400, 401, 403), or the PBX gives no JWTs (404).
            NetsapiensError: one of its kinds.

        API: POST /ns-api/v2/jwt
        """
        return _jwt(await self._api.request_jwt())

    async def refresh_jwt(self, jwt: Jwt) -> Jwt:
        """Return the next JWT. The refresh token serves once, so call this once for each JWT.

        Parameters:
            jwt: the one to follow; it must have a refresh token.

        Raises:
            NetsapiensRequestError: the refresh token is refused (400, 401, 403); create a new JWT then.
            NetsapiensError: one of its kinds.

        API: POST /ns-api/v2/jwt
        """
        return _jwt(await self._api.request_jwt(jwt.refresh))


def _jwt(answer: Any) -> Jwt:
    """Return the JWT of an answer."""
    data: Mapping[str, Any] = next(rows(answer or [], _KEYS), {})
    token = as_text(data.get("token"))
    claims = _claims(token)
    if "mfa_required" in {as_text(data.get("user_scope")), as_text(claims.get("user_scope"))}:
        raise NetsapiensMfaError("the login asks for a second factor")
    if not token.isascii() or not token.isprintable() or not token.strip():
        raise NetsapiensServerError("the answer has no JWT", maybe_done=False)
    return Jwt(token, as_text(data.get("refresh")), _life(claims), time.monotonic())


def _claims(token: str) -> dict[str, Any]:
    """Return what a JWT says; nothing where it cannot be read. Its signature is the PBX's business."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _life(claims: dict[str, Any]) -> float:
    """Return a JWT's life in seconds, from one of its claims to the other: no clock of ours is needed."""
    try:
        life = float(claims["exp"]) - float(claims["iat"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return _DEFAULT_LIFE
    return min(life, _MAX_LIFE) if math.isfinite(life) and life > 0 else _DEFAULT_LIFE
