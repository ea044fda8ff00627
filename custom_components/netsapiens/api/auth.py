"""Signing in, by password (tokens that are refreshed ahead of their end) or by API key; the one request function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
import logging
import math
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from .bare_times import BareTimes
from .clock import PbxClock
from .config import base_url_of, login_of, verify_ssl_of
from .exceptions import (
    NetsapiensAuthError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensMfaError,
    NetsapiensRequestError,
    NetsapiensServerError,
)
from .http import TIMEOUT, Answer, Connection, check, reason_of
from .keys import KEY_PATH, ApiKey, token_of
from .models import Account, as_text

_LOGGER = logging.getLogger(__name__)

_DEFAULT_LIFE = 3600.0  # seconds; what every PBX gives
_MAX_LIFE = 30 * 86400.0
_MIN_LIFE = 10.0  # a token with less than this left, or a tenth of its life, is renewed before it is used
_NO_SUCH_CALL = {404, 405}  # not a PBX, or one from before v2
_PASSING_ERRORS = {"server_error", "temporarily_unavailable"}


@dataclass(frozen=True, slots=True, eq=False)
class _Token:
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


class _NoTokenError(NetsapiensServerError):
    """A token call was answered with success and no token, or with a 404: of the call, or of what it named."""


class NetsapiensAPI:
    """One login at one PBX: its tokens, and requests with them.

    Parameters:
        config: ``base_url`` (see ``normalise_base_url``), ``client_id``, ``client_secret``, ``username`` and
            ``password``; or ``base_url`` and ``api_key``, with ``domain`` and ``user`` where the key is not a
            user's own. Optionally ``verify_ssl`` (default True; False accepts any certificate).
        session: an aiohttp session to use, which is never closed here, for its own event loop alone; without one, an
            own session is made for each event loop in which the client is used.
        timeout: how long one exchange with the PBX may take, 12 s by default; the upload of media has a minute.

    Raises:
        NetsapiensURLError: the base_url is no address of a PBX, or would send the credentials in clear.
        NetsapiensConfigError: another setting is missing or empty. Both are a ``ValueError`` that names the setting.

    ```python
    async with NetsapiensAPI({"base_url": "api.example.com", …}) as api:
        token = await api.get_token()
    ```
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        session: aiohttp.ClientSession | None = None,
        *,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
    ) -> None:
        self._connection = Connection(
            base_url_of(config), verify_ssl=verify_ssl_of(config), session=session, timeout=timeout
        )
        self._key = ApiKey.from_config(config)
        login = {} if self._key else login_of(config)
        self._client = {name: login[name] for name in ("client_id", "client_secret") if login}
        self._login = {name: login[name] for name in ("username", "password") if login}
        self._token: _Token | None = None
        self._refresh_token = ""
        self._renewal: asyncio.Task[_Token] | None = None
        self.on_token: Callable[[], None] | None = None
        self.bare_times = BareTimes()

    async def __aenter__(self) -> Self:
        """Return this API."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Drop a token call under way, and close the session if it is our own."""
        if (renewal := self._renewal_here()) is not None:
            renewal.cancel()
            await asyncio.wait([renewal])
        await self._connection.close()

    @property
    def api_url(self) -> str:
        """The address, as ``https://host[:port]``."""
        return self._connection.url

    @property
    def account(self) -> Account:
        """Who we are, as the last token said.

        Raises:
            NetsapiensError: there was no token yet.
        """
        if self._token is None:
            raise NetsapiensError("not signed in yet")
        return self._token.account

    @property
    def token_life(self) -> float:
        """Seconds that the newest token lived when it came; 0 where there was none, infinite for an API key."""
        return self._token.life if self._token else 0.0

    @property
    def token_left(self) -> float:
        """Seconds that the newest token still lives; 0 or less where there is none."""
        return self._token.left if self._token else 0.0

    @property
    def clock(self) -> PbxClock:
        """The PBX's own clock."""
        return self._connection.clock

    def now(self) -> datetime:
        """Return the time by the PBX's own clock."""
        return self.clock.now()

    async def get_token(self, *, min_left: float | None = None) -> dict[str, Any]:
        """Return a token that still lives, a new one if need be.

        Parameters:
            min_left: seconds that it should live on at the least; the default is 10 s, or a tenth of its life.

        Returns:
            The API's answer, with ``expires_at`` (``YYYY-MM-DD HH:MM:SS``, UTC) and ``api_url``. For an API key, what
            the PBX says of it, the key as ``access_token``, and None as ``expires_at``.

        Raises:
            NetsapiensAuthError: the credentials are refused; NetsapiensMfaError: a second factor is asked for;
                NetsapiensReadOnlyError: the API key may not send.
            NetsapiensNoUserError: the API key is nobody's, and the config names no user.
            NetsapiensConnectionError, NetsapiensRateLimitError, NetsapiensServerError: no token could be had now.

        API: POST /ns-api/v2/tokens, or GET /ns-api/v2/apikeys/~
        """
        token = self._token
        if token is None or token.left < (_margin(token) if min_left is None else min_left):
            token = await self._renewed(token)
        return dict(token.answer)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        private: Iterable[str] = (),
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp's own kind, with its phases
    ) -> Any:
        """Send one request with a token; after a 401, once more with a new one (an API key is checked again).

        Parameters:
            method: GET, POST, PUT or DELETE.
            path: below ``/ns-api/v2/``, without a leading slash, already quoted.
            body: sent as JSON.
            params: the query.
            private: texts that must not stand in an error's words.
            timeout: how long each try may take, where not as long as any other.

        Returns:
            The parsed JSON, None for an empty answer, or the text of another one.

        Raises:
            NetsapiensError: one of its kinds; ``maybe_done`` says whether the PBX may have carried it out.
        """
        send = partial(self._connection.exchange, method, path, body=body, params=params, timeout=timeout)
        token = await self._live_token()
        answer = await send(token=token.access)
        if answer.status == 401:  # noqa: PLR2004
            token = await self._renewed(token)
            answer = await send(token=token.access)
        return check(answer, [*private, token.access, *self._secrets])

    async def get_version(self) -> str:
        """Return the API's version, e.g. ``44.1.2``: from the token, else asked for; empty where it does not say.

        Raises:
            NetsapiensError: one of its kinds; a refusal to say the version is none.

        API: GET /ns-api/v2/version
        """
        await self.get_token()
        if version := self.account.version:
            return version
        try:
            answer = check(await self._connection.exchange("GET", "version"))
        except (NetsapiensRequestError, NetsapiensServerError):
            return ""
        return Account.from_token(answer, "").version if isinstance(answer, dict) else ""

    async def domain_path(self) -> str:
        """Return the path of the domain's records, ``domains/{domain}``, quoted; this signs in where need be.

        Raises:
            NetsapiensError: as ``get_token``.
        """
        domain = (await self._live_token()).account.domain
        return f"domains/{_quoted(domain) if domain else '~'}"

    async def user_path(self, user: str | None = None) -> str:
        """Return the path of a user's records, ``domains/{domain}/users/{user}``, quoted.

        Parameters:
            user: another one of the domain; the default is the login's own.

        Raises:
            NetsapiensError: as ``get_token``.
        """
        account = (await self._live_token()).account
        if user is None and not (account.domain and account.user):
            return "domains/~/users/~"
        return f"{await self.domain_path()}/users/{_quoted(user or account.user)}"

    @property
    def _secrets(self) -> tuple[str, ...]:
        """What must never be seen."""
        access = self._token.access if self._token else ""
        key = self._key.key if self._key else ""
        return (
            self._client.get("client_secret", ""),
            self._login.get("password", ""),
            self._refresh_token,
            access,
            key,
        )

    async def _live_token(self) -> _Token:
        """Return a token to use now. One that nears its end still serves where a new one cannot be had."""
        token = self._token
        if token is None or token.left <= 0:
            return await self._renewed(token)
        if token.left > _margin(token) or self._renewal_here() is not None:
            return token
        try:
            return await self._renewed(token)
        except NetsapiensAuthError:
            raise
        except NetsapiensError:
            if token.left > 0:
                return token
            raise

    async def _renewed(self, old: _Token | None) -> _Token:
        """Return a newer token than ``old``. However many wait for it, one call is made."""
        if self._token is not None and self._token is not old:
            return self._token
        renewal = self._renewal_here()
        if renewal is None:
            renewal = self._renewal = asyncio.create_task(self._renew())
            renewal.add_done_callback(self._renewal_done)
        # Not awaited itself: who gives up waiting must not stop a call whose refresh token is already used up.
        await asyncio.wait([renewal])
        if renewal.cancelled():
            raise NetsapiensConnectionError("closed while signing in")
        return renewal.result()

    def _renewal_here(self) -> asyncio.Task[_Token] | None:
        """Return the token call under way in this event loop. One of a loop that is gone would never end."""
        renewal = self._renewal
        return renewal if renewal and renewal.get_loop() is asyncio.get_running_loop() else None

    def _renewal_done(self, renewal: asyncio.Task[_Token]) -> None:
        """Make room for the next call."""
        if self._renewal is renewal:
            self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # seen, even where nobody waits any more

    async def _renew(self) -> _Token:
        """Get a new token: by the refresh token, and where that is refused, once by the password.

        An API key is its own token; it is asked for what it may do.
        """
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

    async def _grant(self, grant: Mapping[str, str], *private: str) -> _Token:
        """Ask for a token (POST /tokens) and keep it."""
        try:
            answer = await self._connection.exchange("POST", "tokens", body={**self._client, **grant})
            data = _token_answer(answer, (*private, *self._secrets))
        except NetsapiensError as err:
            err.maybe_done = False  # a token that nobody got: the request that it was for did not go out
            raise
        life = _life_of(data.get("expires_in"))
        expires_at = datetime.now(UTC) + timedelta(seconds=life)
        data |= {"expires_at": expires_at.strftime("%Y-%m-%d %H:%M:%S"), "api_url": self.api_url}
        # The answer to a refresh may hold a token and nothing else.
        known = asdict(self._token.account) if self._token else {}
        said = {key: value for key, value in data.items() if value is not None and value != ""}
        account = Account.from_token(known | said, self._login["username"])
        self._refresh_token = as_text(data.get("refresh_token")) or grant.get("refresh_token", "")
        return self._keep(_Token(data, as_text(data["access_token"]), account, life, time.monotonic()))

    async def _check_key(self, key: ApiKey) -> _Token:
        """Ask what the API key is (GET /apikeys/~), and keep it as a token without an end."""
        try:
            key.check_form()
            described = key.described(await self._connection.exchange("GET", KEY_PATH, token=key.key))
        except NetsapiensError as err:
            err.maybe_done = False  # as above
            raise
        account = key.account(described)
        data = token_of(key, described, account) | {"api_url": self.api_url}
        return self._keep(_Token(data, key.key, account, math.inf, time.monotonic()))

    def _keep(self, token: _Token) -> _Token:
        """Use a token from now on."""
        self._token = token
        if self.on_token is not None:
            self.on_token()
        return token


def _quoted(name: str) -> str:
    """Return a name as one part of a path."""
    return quote(name, safe="", errors="replace")


def _margin(token: _Token) -> float:
    """Return how many seconds before its end a token is renewed before use."""
    return min(_MIN_LIFE, token.life / 10)


def _life_of(expires_in: object) -> float:
    """Return a token's life in seconds; an hour where the PBX does not say."""
    try:
        life = float(as_text(expires_in).strip() or _DEFAULT_LIFE)
    except ValueError:
        return _DEFAULT_LIFE
    return min(max(life, 1.0), _MAX_LIFE) if life > 0 else _DEFAULT_LIFE


def _token_answer(answer: Answer, private: Iterable[str]) -> dict[str, Any]:
    """Return the answer of a token call that gave a token.

    A second factor is asked for in a 200, and an error can come in one; only a firewall's 403 is a web page.
    """
    data = answer.data if answer.is_json and isinstance(answer.data, dict) else {}
    if data.get("mfa_type") or data.get("mfa_vendor") or as_text(data.get("user_scope")) == "mfa_required":
        raise NetsapiensMfaError("the login asks for a second factor")
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
        refusal = reason_of(answer, private) if data else ""
    if as_text(data.get("error")) in _PASSING_ERRORS:
        raise NetsapiensServerError("the PBX can give no token now")
    if refusal:
        raise NetsapiensAuthError(refusal)
    raise _NoTokenError("the answer has no access token")
