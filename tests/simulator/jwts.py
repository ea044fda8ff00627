"""The JWTs that were handed out."""

import base64
from dataclasses import dataclass
import json
import secrets
import time

from .model import User


@dataclass(slots=True)
class Jwt:
    """A JWT; it lives by the monotonic clock."""

    user: User
    expires: float

    @property
    def left(self) -> float:
        """Seconds until it ends."""
        return self.expires - time.monotonic()


class JwtBook:
    """Every JWT that was handed out."""

    def __init__(self) -> None:
        self.live: dict[str, Jwt] = {}
        self.refresh: dict[str, User] = {}

    def issue(self, user: User, life: float) -> dict[str, str]:
        """Return a new JWT with its refresh token."""
        token = _encoded(user, life)
        refresh = _encoded(user, life)
        self.live[token] = Jwt(user, time.monotonic() + life)
        self.refresh[refresh] = user
        return {"token": token, "refresh": refresh}

    def user_of(self, token: object) -> User | None:
        """Return whose JWT it is, if it lives."""
        jwt = self.live.get(token) if isinstance(token, str) else None
        return jwt.user if jwt is not None and jwt.left > 0 else None


def _encoded(user: User, life: float) -> str:
    """Return a JWT; nobody checks the signature."""
    now = int(time.time())
    claims = {"aud": "ns", "iat": now, "exp": now + int(life), "jti": secrets.token_hex(20)}
    claims |= {"sub": user.uid, "domain": user.domain, "user": user.user, "user_scope": user.scope}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    parts.append(secrets.token_bytes(32))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
