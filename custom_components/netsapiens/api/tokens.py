"""Tokens: by password, refreshed ahead of their end, or an API key, which is its own token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
import logging
import math
import time
from typing import Any, Protocol, TypeVar

from .answers import Answer, check, reason_of
from .config import login_of
from .exceptions import (
    NetsapiensAuthError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensMfaError,
    NetsapiensRequestError,
    NetsapiensServerError,
)
from .keys import KEY_PATH, ApiKey, token_of
from .models import Account
from .transport import Transport
from .values import as_text

_LOGGER = logging.getLogger(__name__)

_ResultT = TypeVar("_ResultT")

_DEFAULT_LIFE = 3600.0  # seconds; what every PBX gives
_MAX_LIFE = 30 * 86400.0
_MIN_LIFE = 10.0  # a token with less than this left, or a tenth of its life, is renewed before it is used
_NO_SUCH_CALL = {404, 405}  # not a PBX, or one from before v2
_PASSING_ERRORS = {"server_error", "temporarily_unavailable"}


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """An access token and what came with it."""

    answer: dict[str, Any] = field(repr=False)
    access: str = field(repr=False)
    account: Account
    life: float
    born: float  # monotonic: the wall clock may jump

    @property
    def left(self) -> float:
        """Seconds that it still lives."""
        return self.born + self.life - time.monotonic()

    def lives_for(self, seconds: float | None) -> bool:
        """Whether it still lives so long; None: as long as it must to be used without being renewed."""
        return self.left >= (min(_MIN_LIFE, self.life / 10) if seconds is None else seconds)


class RunRequest(Protocol):
    """Makes a request when it may go."""

    async def __call__(self, call: Callable[[], Awaitable[_ResultT]], /) -> _ResultT:
        """Make it, and return what it returns."""


async def run_at_once(call: Callable[[], Awaitable[_ResultT]]) -> _ResultT:
    """Make a request at once."""
    return await call()


class _NoTokenError(NetsapiensServerError):
    """A token call was answered with success and no token, or with a 404: of the call, or of what it named."""


class Tokens:
    """The tokens of one login.

    Parameters:
        config: a client's.
        transport: sends the token calls.

    Raises:
        NetsapiensConfigError: a part of the credentials is missing or empty.

    Attributes:
        newest: the newest token; None before there was one.
        on_token: called whenever a new token came.
        run_further: makes each token call; at once where nobody sets another one.
    """

    def __init__(self, config: Mapping[str, Any], transport: Transport) -> None:
        self._transport = transport
        self._key = ApiKey.from_config(config)
        login = {} if self._key else login_of(config)
        self._client = {name: login[name] for name in ("client_id", "client_secret") if login}
        self._login = {name: login[name] for name in ("username", "password") if login}
        self.newest: Token | None = None
        self.on_token: Callable[[], None] | None = None
        self.run_further: RunRequest = run_at_once
        self._refresh_token = ""
        self._renewal: asyncio.Task[Token] | None = None
        self._waiting = 0  # for the call under way
        self._is_calling = False  # it has gone out, and does not wait for its turn any more

    async def close(self) -> None:
        """Drop a token call under way."""
        if (renewal := self._renewal_here()) is not None:
            renewal.cancel()
            await asyncio.wait([renewal])

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        access = self.newest.access if self.newest else ""
        key = self._key.key if self._key else ""
        return (
            self._client.get("client_secret", ""),
            self._login.get("password", ""),
            self._refresh_token,
            access,
            key,
        )

    async def get(self, min_left: float | None = None) -> Token:
        """Return a token that still lives, a new one if need be.

        Parameters:
            min_left: seconds that it should live on at the least; the default is 10 s, or a tenth of its life.

        Raises:
            NetsapiensError: as ``NetsapiensAPI.get_token``.

        API: POST /ns-api/v2/tokens, or GET /ns-api/v2/apikeys/~
        """
        token = self.newest
        if token is None or not token.lives_for(min_left):
            token = await self.renewed(token)
        return token

    async def jwt_grant(self) -> tuple[dict[str, str], str | None]:
        """Return what a call for a JWT says, and the token that goes with it; an API key names the user."""
        if self._key is None:
            return {"grant_type": "password", **self._client, **self._login}, None
        account = (await self.live()).account
        return {"user": account.user, "domain": account.domain}, self._key.key

    async def live(self) -> Token:
        """Return a token to use now. One that nears its end still serves where a new one cannot be had."""
        token = self.newest
        if token is not None and token.lives_for(None):  # as is usual
            return token
        if token is None or token.left <= 0:
            return await self.renewed(token)
        if self._renewal_here() is not None:
            return token
        try:
            return await self.renewed(token)
        except NetsapiensAuthError:
            raise
        except NetsapiensError:
            if token.left > 0:
                return token
            raise

    async def renewed(self, old: Token | None) -> Token:
        """Return a newer token than ``old``. However many wait for it, one call is made."""
        if self.newest is not None and self.newest is not old:
            return self.newest
        renewal = self._renewal_here()
        if renewal is None:
            self._waiting, self._is_calling = 0, False
            renewal = self._renewal = asyncio.create_task(self._renew_in_turn())
            renewal.add_done_callback(self._renewal_done)
        # Not awaited itself: who gives up waiting must not stop a call whose refresh token is already used up.
        self._waiting += 1
        try:
            await asyncio.wait([renewal])
        finally:
            self._waiting -= 1
            if renewal is self._renewal and not self._waiting and not self._is_calling:
                self._renewal = None  # nobody waits for a call that has not gone out
                renewal.cancel()
        if renewal.cancelled():
            raise NetsapiensConnectionError("closed while signing in")
        return renewal.result()

    async def is_taken(self, token: Token, path: str) -> bool:
        """Whether the PBX takes a token for a list of the login's own; False where that is not known.

        Parameters:
            token: which; it is not renewed.
            path: the list's.
        """
        read = partial(self._transport.exchange, "GET", path, params={"limit": "1"}, token=token.access)
        try:
            check(await self.run_further(read))
        except NetsapiensRequestError as err:
            return not err.of_login
        except NetsapiensError:
            return False
        return True

    def _renewal_here(self) -> asyncio.Task[Token] | None:
        """Return the token call under way in this event loop. One of a loop that is gone would never end."""
        renewal = self._renewal
        return renewal if renewal and renewal.get_loop() is asyncio.get_running_loop() else None

    def _renewal_done(self, renewal: asyncio.Task[Token]) -> None:
        """Make room for the next call."""
        if self._renewal is renewal:
            self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # seen, even where nobody waits any more

    async def _renew_in_turn(self) -> Token:
        """Get a new token when a token call may go."""
        return await self.run_further(self._renew)

    async def _renew(self) -> Token:
        """Get a new token: by the refresh token, and where that is refused, once by the password.

        An API key is its own token; it is asked for what it may do.
        """
        self._is_calling = True
        if self._key is not None:
            return await self._check_key(self._key)
        if refresh := self._refresh_token:
            try:
                return await self._grant({"grant_type": "refresh_token", "refresh_token": refresh})
            except NetsapiensMfaError:
                raise
            except (NetsapiensAuthError, _NoTokenError):
                _LOGGER.debug("The refresh token was refused; signing in with the password")
                self._refresh_token = ""
        return await self._grant({"grant_type": "password", **self._login}, refresh)

    async def _grant(self, grant: Mapping[str, str], *private: str) -> Token:
        """Ask for a token (POST /tokens) and keep it."""
        try:
            answer = await self._transport.exchange("POST", "tokens", body={**self._client, **grant})
            data = _token_answer(answer, (*private, *self.secrets))
        except NetsapiensError as err:
            err.maybe_done = False  # a token that nobody got: the request that it was for did not go out
            raise
        life = _life_of(data.get("expires_in"))
        expires_at = datetime.now(UTC) + timedelta(seconds=life)
        data |= {"expires_at": expires_at.strftime("%Y-%m-%d %H:%M:%S"), "api_url": self._transport.url}
        # The answer to a refresh may hold a token and nothing else.
        known = self.newest.account._asdict() if self.newest else {}
        said = {key: value for key, value in data.items() if value is not None and value != ""}
        account = Account.from_token(known | said, self._login["username"])
        self._refresh_token = as_text(data.get("refresh_token")) or grant.get("refresh_token", "")
        return self._keep(Token(data, as_text(data["access_token"]), account, life, time.monotonic()))

    async def _check_key(self, key: ApiKey) -> Token:
        """Ask what the API key is (GET /apikeys/~), and keep it as a token without an end."""
        try:
            key.check_form()
            described = key.described(await self._transport.exchange("GET", KEY_PATH, token=key.key))
        except NetsapiensError as err:
            err.maybe_done = False  # as above
            raise
        account = key.account(described)
        data = token_of(key, described, account) | {"api_url": self._transport.url}
        return self._keep(Token(data, key.key, account, math.inf, time.monotonic()))

    def _keep(self, token: Token) -> Token:
        """Use a token from now on."""
        self.newest = token
        if self.on_token is not None:
            self.on_token()
        return token


def _life_of(expires_in: object) -> float:
    """Return a token's life in seconds; an hour where the PBX does not say."""
    try:
        life = float(as_text(expires_in).strip() or _DEFAULT_LIFE)
    except ValueError:
        return _DEFAULT_LIFE
    return min(max(life, 1.0), _MAX_LIFE) if life > 0 else _DEFAULT_LIFE


def _token_answer(answer: Answer, private: Iterable[str]) -> dict[str, Any]:
    """Return the answer of a token call that gave a token.

    A second factor is asked for in a 200, and an error can come in one: then it has a code, which the status is, or is
    called by its name. Any other success without a token refuses nobody. Only a firewall's 403 is a web page.
    """
    data = answer.data if answer.is_json and isinstance(answer.data, dict) else {}
    if data.get("mfa_type") or data.get("mfa_vendor") or as_text(data.get("user_scope")) == "mfa_required":
        raise NetsapiensMfaError("the login asks for a second factor")
    if answer.is_html and 200 <= answer.status < 300:  # noqa: PLR2004
        raise _NoTokenError("a web page came instead of an answer")
    try:
        check(answer, private)
    except NetsapiensRequestError as err:
        if err.status in _NO_SUCH_CALL:
            raise _NoTokenError("there is no NetSapiens API v2 at this address") from None
        refusal = err.reason or "the credentials were refused"
    else:
        token = as_text(data.get("access_token"))
        if token.isascii() and token.isprintable() and token.strip():
            return dict(data)
        refusal = reason_of(answer, private) if data.get("error") else ""
    if as_text(data.get("error")) in _PASSING_ERRORS:
        raise NetsapiensServerError("the PBX can give no token now", retry_after=answer.retry_after)
    if refusal:
        raise NetsapiensAuthError(refusal)
    raise _NoTokenError("the answer has no access token")
