"""The client: one login at one PBX, and requests with its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from .answers import check
from .clock import PbxClock
from .config import base_url_of, verify_ssl_of
from .exceptions import NetsapiensError, NetsapiensRequestError, NetsapiensServerError
from .models import Account
from .naive_times import NaiveTimes
from .tokens import RunRequest, Tokens
from .transport import TIMEOUT, Transport
from .values import as_text


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
        self._transport = Transport(
            base_url_of(config), verify_ssl=verify_ssl_of(config), session=session, timeout=timeout
        )
        self._tokens = Tokens(config, self._transport)
        self.naive_times = NaiveTimes(self._transport.clock)

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
        await self._transport.close()  # first: who waited for a token must not go on with one that still lives
        await self._tokens.close()

    @property
    def api_url(self) -> str:
        """The address, as ``https://host[:port]``."""
        return self._transport.url

    @property
    def account(self) -> Account:
        """Who we are, as the last token said.

        Raises:
            NetsapiensError: there was no token yet.
        """
        token = self._tokens.newest
        if token is None:
            raise NetsapiensError("not signed in yet")
        return token.account

    @property
    def token_life(self) -> float:
        """Seconds that the newest token lived when it came; 0 where there was none, infinite for an API key."""
        token = self._tokens.newest
        return token.life if token else 0.0

    @property
    def token_left(self) -> float:
        """Seconds that the newest token still lives; 0 or less where there is none."""
        token = self._tokens.newest
        return token.left if token else 0.0

    @property
    def on_token(self) -> Callable[[], None] | None:
        """Called whenever a new token came; None for nobody."""
        return self._tokens.on_token

    @on_token.setter
    def on_token(self, call: Callable[[], None] | None) -> None:
        """Set who is called."""
        self._tokens.on_token = call

    @property
    def run_further(self) -> RunRequest:
        """Makes the requests that a call needs beside its own: token calls, and the repetition after a 401.

        They go at once unless this is set. Set it where requests are limited, so that these are limited as well.
        """
        return self._tokens.run_further

    @run_further.setter
    def run_further(self, run: RunRequest) -> None:
        """Set what makes them."""
        self._tokens.run_further = run

    @property
    def clock(self) -> PbxClock:
        """The PBX's own clock."""
        return self._transport.clock

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
        return dict((await self._tokens.get(min_left)).answer)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        private: Iterable[str] = (),
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp's own kind, with its phases
        is_of_other: bool = False,
    ) -> Any:
        """Send one request with a token; after a 401, once more with a new one (an API key is checked again).

        Parameters:
            method: GET, POST, PUT or DELETE.
            path: below ``/ns-api/v2/``, without a leading slash, already quoted.
            body: sent as JSON.
            params: the query.
            private: texts that must not stand in an error's words.
            timeout: how long each try may take, where not as long as any other.
            is_of_other: whether it is for another user; after a 401 the login's own list shows if the token is good.

        Returns:
            The parsed JSON, None for an empty answer, or the text of another one.

        Raises:
            NetsapiensError: one of its kinds; ``maybe_done`` says whether the PBX may have carried it out.
        """
        send = partial(self._transport.exchange, method, path, body=body, params=params, timeout=timeout)
        token = await self._tokens.live()
        answer = await send(token=token.access)
        if answer.status == 401:  # noqa: PLR2004
            token = await self._tokens.renewed(token)
            answer = await self.run_further(partial(send, token=token.access))
        try:
            return check(answer, (*private, token.access, *self._tokens.secrets))
        except NetsapiensRequestError as err:
            if is_of_other and err.of_login:
                err.of_login = not await self._tokens.is_taken(token, f"{await self.user_path()}/messagesessions")
            raise

    async def request_jwt(self, refresh: str | None = None) -> Any:
        """Ask for a JWT; ``JwtAPI`` reads the answer.

        Parameters:
            refresh: a refresh token; None to ask with the login's own credentials.

        Raises:
            NetsapiensError: one of its kinds.

        API: POST /ns-api/v2/jwt
        """
        body, token = ({"refresh": refresh}, None) if refresh else await self._tokens.jwt_grant()
        answer = await self._transport.exchange("POST", "jwt", body=body, token=token)
        return check(answer, [refresh or "", *self._tokens.secrets])

    async def get_hostname(self) -> str:
        """Return the name of the host that answers, as it says itself; empty where it does not.

        Raises:
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/version
        """
        return as_text((await self._read_version()).get("hostname")).strip()

    async def get_version(self) -> str:
        """Return the API's version, e.g. ``44.1.2``: from the token, else asked for; empty where it does not say.

        Raises:
            NetsapiensError: one of its kinds; not saying the version is none, unless the PBX asks us to wait.

        API: GET /ns-api/v2/version
        """
        await self._tokens.live()
        try:
            return self.account.version or Account.from_token(await self._read_version(), "").version
        except (NetsapiensRequestError, NetsapiensServerError) as err:
            if not err.asks_to_wait:
                return ""
            raise

    async def _read_version(self) -> dict[str, Any]:
        """Return what the host says of itself, which needs no token; nothing where it says nothing.

        Raises:
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/version
        """
        answer = check(await self._transport.exchange("GET", "version"))
        return answer if isinstance(answer, dict) else {}

    async def signed_in(self) -> Account:
        """Return who we are; this signs in where need be.

        Raises:
            NetsapiensError: as ``get_token``.
        """
        return (await self._tokens.live()).account

    async def domain_path(self) -> str:
        """Return the path of the domain's records, ``domains/{domain}``, quoted; this signs in where need be.

        Raises:
            NetsapiensError: as ``get_token``.
        """
        return _domain_path((await self.signed_in()).domain)

    async def user_path(self, user: str | None = None) -> str:
        """Return the path of a user's records, ``domains/{domain}/users/{user}``, quoted.

        Parameters:
            user: another one of the domain; the default is the login's own.

        Raises:
            NetsapiensError: as ``get_token``.
        """
        token = self._tokens.newest or await self._tokens.live()  # any says who we are, also one that has expired
        return _user_path(token.account.domain, token.account.user, user)


@lru_cache(maxsize=128)  # each request names one, mostly the same
def _user_path(domain: str, own: str, user: str | None) -> str:
    """Return the path of a user's records; of the login's own where none is named."""
    if user is None and not (domain and own):
        return "domains/~/users/~"
    return f"{_domain_path(domain)}/users/{_quoted(user or own)}"


def _domain_path(domain: str) -> str:
    """Return the path of a domain's records; of the login's own where it is not known."""
    return f"domains/{_quoted(domain) if domain else '~'}"


def _quoted(name: str) -> str:
    """Return a name as one part of a path."""
    return quote(name, safe="", errors="replace")
