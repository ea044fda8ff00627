"""Owns the login to the PBX: token refresh, and what the account has."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import logging
import math
import random
from typing import Any, override

import aiohttp
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import (
    CONF_API_KEY,
    CONF_CLIENT_ID,
    CONF_CLIENT_SECRET,
    CONF_DOMAIN,
    CONF_PASSWORD,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
    EVENT_HOMEASSISTANT_CLOSE,
)
from homeassistant.core import CALLBACK_TYPE, Event, HassJob, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryError
from homeassistant.helpers.aiohttp_client import async_create_clientsession
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util.hass_dict import HassKey

from ..api import (
    Account,
    NetsapiensAPI,
    NetsapiensAuthError,
    NetsapiensConfigError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensRateLimitError,
    NetsapiensRequestError,
    NetsapiensServerError,
    NetsapiensTimeoutError,
    NetsapiensURLError,
    NumberAPI,
    SmsNumber,
)
from ..api.models import as_text, same_number
from ..const import CONF_BASE_URL, CONF_USER, DOMAIN
from ..errors import translated
from .throttle import Throttle

_LOGGER = logging.getLogger(__name__)

_SESSIONS: HassKey[dict[bool, aiohttp.ClientSession]] = HassKey("netsapiens_sessions")

# The two ways in; an entry has the one or the other.
_SIGN_IN = (CONF_CLIENT_ID, CONF_CLIENT_SECRET, CONF_USERNAME, CONF_PASSWORD)
_KEY = (CONF_API_KEY, CONF_DOMAIN, CONF_USER)

# What the account has changes rarely; the spread keeps ten thousand homes from asking one PBX in step.
_INTERVAL = timedelta(minutes=30)
_SPREAD = 0.1

# A token is refreshed this long before its end, so that no send ever waits for one.
_REFRESH_AHEAD = (300.0, 600.0)
_FIRST_WAIT = 5.0  # seconds; doubles with each failure
_LONGEST_WAIT = 900.0

_START_WITHIN = 8.0  # seconds; then Home Assistant starts with what is known, and sends are queued

_NOT_SHOWN = {400, 403, 404}  # statuses of a list that a login may not see or that this version lacks
_NOT_ITS_DOMAIN = _NOT_SHOWN | {401}  # so some answer for a domain that the login has no rights over


def login_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an entry's data that says where to sign in, and with what."""
    login = {key: data[key] for key in (CONF_BASE_URL, *_SIGN_IN, *_KEY) if key in data}
    return {**login, CONF_VERIFY_SSL: bool(data.get(CONF_VERIFY_SSL, True))}


def _can_sign_in_again(data: Mapping[str, Any]) -> bool:
    """Whether the dialog to sign in again can mend credentials: it asks for no user name."""
    return CONF_API_KEY in data or bool(as_text(data.get(CONF_USERNAME)).strip())


@callback
def _session(hass: HomeAssistant, *, verify_ssl: bool) -> aiohttp.ClientSession:
    """Return the session of all accounts. It keeps no cookies: one account's would go out with another's requests."""
    sessions = hass.data.setdefault(_SESSIONS, {})
    if verify_ssl not in sessions:
        # It outlives the entry in whose set-up it is made.
        session = async_create_clientsession(hass, verify_ssl, auto_cleanup=False, cookie_jar=aiohttp.DummyCookieJar())
        sessions[verify_ssl] = session

        @callback
        def detach(_event: Event) -> None:
            session.detach()

        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, detach)
    return sessions[verify_ssl]


def create_api(hass: HomeAssistant, data: Mapping[str, Any]) -> NetsapiensAPI:
    """Return the client for what an entry's data, or the form that makes one, holds.

    Raises:
        NetsapiensURLError: the base_url is none.
        NetsapiensConfigError: a part of the credentials is missing.
    """
    login = login_of(data)
    return NetsapiensAPI(login, _session(hass, verify_ssl=login[CONF_VERIFY_SSL]))


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What the PBX says of the account.

    Attributes:
        account: who we are.
        version: the API's, e.g. ``44.1.2``; may be empty.
        numbers: the SMS numbers, by their digits, in the PBX's order: the login's own, then those of the others in
            its domain, if it has rights over that.
    """

    account: Account
    version: str
    numbers: dict[str, SmsNumber]

    def listed(self, number: str) -> str | None:
        """Return a number as the PBX lists it, maybe without its country code; None where it does not."""
        return next((own for own in self.numbers if same_number(own, number)), None)

    def owner_of(self, number: str) -> str | None:
        """Return the user under whom a number sends; None for the login's own ones, and where that is not known."""
        listed = self.numbers.get(number)
        return listed.owner if listed is not None and listed.owner not in {"", self.account.user} else None


def _nothing() -> None:
    """Stop a timer that does not run."""


class NetsapiensCoordinator(DataUpdateCoordinator[AccountFacts]):
    """Keeps a live token and the account's facts.

    Parameters:
        entry: the account.
        former: the account's coordinator before a reload: what it knows is taken over, and where the login is the
            same, its client with the token and its rate limiter as well.

    Raises:
        ConfigEntryAuthFailed: a part of the credentials is missing that the dialog to sign in again asks for.
        ConfigEntryError: another part is missing, or the base_url is none.
    """

    config_entry: ConfigEntry
    login: dict[str, Any]

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, former: NetsapiensCoordinator | None = None) -> None:
        login = login_of(entry.data)
        same = former if former is not None and former.login == login else None
        # Before anything that Home Assistant would shut down.
        try:
            api = same.api if same else create_api(hass, entry.data)
        except NetsapiensURLError as err:
            raise ConfigEntryError(translation_domain=DOMAIN, translation_key="address_damaged") from err
        except NetsapiensConfigError as err:
            if not _can_sign_in_again(entry.data):
                raise ConfigEntryError(translation_domain=DOMAIN, translation_key="login_damaged") from err
            raise translated(err, ConfigEntryAuthFailed) from err
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=_INTERVAL * random.uniform(1 - _SPREAD, 1 + _SPREAD),  # noqa: S311
        )
        self.login = login
        self.api: NetsapiensAPI = api
        self.throttle: Throttle = same.throttle if same else Throttle()
        self.api.on_token = self._plan_refresh
        self._reading: asyncio.Task[None] | None = None
        self._cancel_retry: CALLBACK_TYPE = _nothing
        self._cancel_refresh: CALLBACK_TYPE = _nothing
        self._retry_job = HassJob(self._read_anew, "netsapiens retry", cancel_on_shutdown=True)
        self._refresh_job = HassJob(self._start_refresh, "netsapiens token refresh", cancel_on_shutdown=True)
        self._failures = 0
        if former is not None:
            self.data = former.data
            self.last_update_success, self.last_exception = former.last_update_success, former.last_exception

    @callback
    def async_go_on(self) -> None:
        """Start from what the former coordinator knew; the account is read in the background."""
        self.throttle.hurry()
        if self.api.token_left > 0:
            self._plan_refresh()
        self._read_anew()

    async def async_start(self, known: AccountFacts | None) -> None:
        """Sign in; where the PBX is away, start from what is known of the account.

        Parameters:
            known: the account's facts when it was last seen; None at the very first start.

        Raises:
            ConfigEntryAuthFailed: the credentials are refused.
            ConfigEntryNotReady: the PBX is away and nothing is known.
        """
        if known is None:
            await self.async_config_entry_first_refresh()
            return
        self.data = known
        try:
            async with asyncio.timeout(_START_WITHIN):
                await self.async_refresh()
        except TimeoutError:
            self.note_failure(NetsapiensTimeoutError("no answer while starting"))
        if isinstance(self.last_exception, ConfigEntryAuthFailed) and not self.last_update_success:
            raise self.last_exception

    @override
    async def _async_update_data(self) -> AccountFacts:
        """Sign in if need be, and read what the account has."""
        try:
            facts = await self.throttle.run(self._read)
        except NetsapiensAuthError as err:
            raise translated(err, ConfigEntryAuthFailed) from err
        except NetsapiensError as err:
            raise self._failed(err) from err
        self._failures = 0
        return facts

    async def _read(self) -> AccountFacts:
        """Read what the account has, as one turn at the throttle: while the PBX is away, it sees if it is back."""
        await self.api.get_token()
        version = await self.api.get_version()
        known = self.data.numbers if self.data is not None else {}
        return AccountFacts(self.api.account, version, await async_get_numbers(self.api, known))

    @override
    async def async_shutdown(self) -> None:
        """Stop the timers too. The client stays: texts go out through it, also while the account is reloaded."""
        await super().async_shutdown()
        self._cancel_refresh()
        self._cancel_retry()
        self.api.on_token = None

    async def async_close(self) -> None:
        """End the client as well, once nothing goes out through it any more."""
        await self.async_shutdown()
        await self.api.close()

    @callback
    def note_failure(self, err: NetsapiensError) -> None:
        """Learn from a request that failed elsewhere: ask for new credentials, or note that the PBX is away."""
        if self._shutdown_requested:
            return  # another one has followed, maybe with other credentials
        if isinstance(err, NetsapiensAuthError):
            self.config_entry.async_start_reauth(self.hass)
        elif isinstance(err, (NetsapiensConnectionError, NetsapiensServerError)) and self.last_update_success:
            self.async_set_update_error(self._failed(err))
            self._cancel_retry()
            self._cancel_retry = async_call_later(self.hass, self._backoff(), self._retry_job)

    @callback
    def note_success(self) -> None:
        """Learn from a request that succeeded elsewhere that the PBX is back."""
        if not self.last_update_success and not self._shutdown_requested:
            self._read_anew()

    @callback
    def _plan_refresh(self) -> None:
        """Plan the next refresh, ahead of the new token's end. An API key has none."""
        if math.isinf(self.api.token_life):
            return
        ahead = min(random.uniform(*_REFRESH_AHEAD), self.api.token_life / 2)  # noqa: S311
        self._refresh_in(max(self.api.token_left - ahead, 1.0))

    @callback
    def _read_anew(self, _now: datetime | None = None) -> None:
        """Read the account now, rather than at the next poll."""
        self._cancel_retry = _nothing
        if self._reading is None or self._reading.done():
            self._reading = self.config_entry.async_create_background_task(
                self.hass, self.async_request_refresh(), "netsapiens refresh", eager_start=False
            )

    @callback
    def _refresh_in(self, delay: float) -> None:
        """Set the timer for the token."""
        self._cancel_refresh()
        self._cancel_refresh = async_call_later(self.hass, delay, self._refresh_job)

    @callback
    def _start_refresh(self, _now: datetime) -> None:
        """Refresh the token in the background: while the PBX is away, that waits for its turn."""
        self._cancel_refresh = _nothing
        self.config_entry.async_create_background_task(self.hass, self._refresh_token(), "netsapiens token refresh")

    async def _refresh_token(self) -> None:
        """Get a new token; the old one goes on serving meanwhile."""
        try:
            await self.throttle.run(lambda: self.api.get_token(min_left=float("inf")))
        except NetsapiensAuthError as err:
            self.note_failure(err)
        except NetsapiensError as err:
            if self._shutdown_requested:
                return
            self.async_set_update_error(self._failed(err))
            asked = (err.retry_after or 0.0) if isinstance(err, NetsapiensRateLimitError) else 0.0
            self._refresh_in(asked + self._backoff())
        else:
            self.note_success()

    @callback
    def _failed(self, err: NetsapiensError) -> UpdateFailed:
        """Return what tells the coordinator of a failure, and when to try again."""
        failed = translated(err, UpdateFailed)
        asked = (err.retry_after or 0.0) if isinstance(err, NetsapiensRateLimitError) else 0.0
        self._failures += 1
        failed.retry_after = asked + self._backoff()
        return failed

    def _backoff(self) -> float:
        """Return a wait that grows with the failures, with jitter: all homes that wait must not come at once."""
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(self._failures, 16))
        return random.uniform(longest / 2, longest)  # noqa: S311


async def async_get_numbers(
    api: NetsapiensAPI, known: dict[str, SmsNumber] | None = None, *, typed_user: bool = False
) -> dict[str, SmsNumber]:
    """Return the numbers that the account may text from, by their digits.

    Parameters:
        api: a login that has a token.
        known: those that it had before, which stay where the PBX does not show them now.
        typed_user: whether a person named the user, so that there may be none: then that is an error.
    """
    account, numbers = api.account, NumberAPI(api)
    own = await _shown(numbers.get_numbers, _NOT_SHOWN, must_exist=typed_user)
    if own is None:
        own = [number for number in (known or {}).values() if number.owner == account.user]
    # What a user's own list holds is the user's, whatever the row says of it.
    found = {number.number: replace(number, dest=account.user, application="user") for number in own}
    if not account.has_domain_rights:
        return found
    others = await _shown(numbers.get_domain_numbers, _NOT_ITS_DOMAIN)
    if others is None:
        others = list((known or {}).values())
    return found | {number.number: number for number in others if number.owner and number.number not in found}


async def _shown(
    read: Callable[[], Awaitable[list[SmsNumber]]], not_shown: Collection[int], *, must_exist: bool = False
) -> list[SmsNumber] | None:
    """Return a list of numbers; None where the PBX does not show it to the login."""
    try:
        return await read()
    except NetsapiensRequestError as err:
        if err.status not in not_shown or (must_exist and err.no_record):
            raise
        _LOGGER.debug("The PBX does not list SMS numbers to this login: status %s", err.status)
        return None
