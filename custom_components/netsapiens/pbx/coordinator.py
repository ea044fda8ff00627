"""Owns the login to the PBX: token refresh, and what the account has."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
import logging
import math
import random
from typing import Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util.hass_dict import HassKey

from ..api import (
    NetsapiensAPI,
    NetsapiensAuthError,
    NetsapiensConfigError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensServerError,
    NetsapiensTimeoutError,
    NetsapiensURLError,
)
from ..const import DOMAIN
from ..errors import translated
from .backoff import Backoff, jitter
from .facts import AccountFacts, async_get_numbers
from .login import can_sign_in_again, create_api, login_of
from .throttle import Throttle, create_throttle

_LOGGER = logging.getLogger(__name__)

_RETRY = Backoff(5.0, 900.0, jitter=0.5)


@dataclass(frozen=True, slots=True)
class CoordinatorTiming:
    """When the account is read, and its token refreshed.

    Attributes:
        interval: how often the account is read, which changes rarely.
        spread: by which share of itself the interval differs between homes, so that they do not ask in step.
        refresh_ahead: how many seconds before its end a token is refreshed, at the least and at the most, so that no
            message ever waits for one.
        retry: waits while the account cannot be read, or its token not be refreshed.
        start_within: seconds after which Home Assistant starts with what is known; messages are queued then.
    """

    interval: timedelta = timedelta(minutes=30)
    spread: float = 0.1
    refresh_ahead: tuple[float, float] = (300.0, 600.0)
    retry: Backoff = _RETRY
    start_within: float = 8.0


COORDINATOR_TIMING: HassKey[CoordinatorTiming] = HassKey("netsapiens_coordinator_timing")
"""Where another timing is kept; it holds for accounts that are set up later."""


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
        timing = hass.data.get(COORDINATOR_TIMING, CoordinatorTiming())
        # Before anything that Home Assistant would shut down.
        try:
            api = same.api if same else create_api(hass, entry.data)
        except NetsapiensURLError as err:
            raise ConfigEntryError(translation_domain=DOMAIN, translation_key="address_damaged") from err
        except NetsapiensConfigError as err:
            if not can_sign_in_again(entry.data):
                raise ConfigEntryError(translation_domain=DOMAIN, translation_key="login_damaged") from err
            raise translated(err, ConfigEntryAuthFailed) from err
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=timing.interval * jitter(timing.spread),
        )
        self._timing = timing
        self.login = login
        self.api: NetsapiensAPI = api
        self.throttle: Throttle = same.throttle if same else create_throttle(hass)
        self.api.on_token = self._plan_refresh
        self.api.run_further = self.throttle.run
        self._reading: asyncio.Task[None] | None = None
        self._cancel_retry: CALLBACK_TYPE = _nothing
        self._cancel_refresh: CALLBACK_TYPE = _nothing
        self._retry_job = HassJob(self._read_anew, "netsapiens retry", cancel_on_shutdown=True)
        self._refresh_job = HassJob(self._start_refresh, "netsapiens token refresh", cancel_on_shutdown=True)
        self._failures = 0
        self._is_fine_elsewhere: bool | None = None  # None until a request was made elsewhere
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
            await self._async_first_refresh()
            return
        self.data = known
        try:
            async with asyncio.timeout(self._timing.start_within):
                await self.async_refresh()
        except TimeoutError:
            self._give_up_start()
        if isinstance(self.last_exception, ConfigEntryAuthFailed) and not self.last_update_success:
            raise self.last_exception

    @callback
    def _give_up_start(self) -> None:
        """Note that the account could not be read in time, which is tried again."""
        self.async_set_update_error(self._failed(NetsapiensTimeoutError("no answer while starting")))
        self._cancel_retry()
        self._cancel_retry = async_call_later(self.hass, self._backoff(), self._retry_job)

    async def _async_first_refresh(self) -> None:
        """Sign in for the first time.

        Raises:
            ConfigEntryAuthFailed: the credentials are refused.
            ConfigEntryNotReady: the PBX is away.
        """
        try:
            await self.async_config_entry_first_refresh()
        except ConfigEntryNotReady as err:
            # Older releases of Home Assistant pass on the words of what failed, and not its kind.
            if isinstance(self.last_exception, UpdateFailed):
                err.translation_key = self.last_exception.translation_key
                err.translation_placeholders = self.last_exception.translation_placeholders
            raise

    @override
    async def _async_update_data(self) -> AccountFacts:
        """Sign in if need be, and read what the account has."""
        try:
            facts = await self._read()
        except NetsapiensAuthError as err:
            raise translated(err, ConfigEntryAuthFailed) from err
        except NetsapiensError as err:
            raise self._failed(err) from err
        self._failures = 0
        return facts

    async def _read(self) -> AccountFacts:
        """Read what the account has, each request when its turn has come."""
        await self.async_ensure_token()
        version = self.api.account.version or await self.throttle.run(self.api.get_version)
        known = self.data.numbers if self.data is not None else {}
        numbers = await async_get_numbers(self.api, known, throttle=self.throttle)
        return AccountFacts(self.api.account, version, numbers)

    async def async_ensure_token(self) -> None:
        """Sign in if no token lives, e.g. after an outage that was longer than its life.

        However many wait for a token, one call is made. It takes a turn of the throttle, as every token call does.

        Raises:
            NetsapiensError: no token could be had.

        API: POST /ns-api/v2/tokens, or GET /ns-api/v2/apikeys/~
        """
        if self.api.token_left <= 0:
            await self.api.get_token()

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
        """Learn from a request that failed elsewhere: ask for new credentials, or see whether the PBX is away."""
        if self._shutdown_requested:
            return  # another one has followed, maybe with other credentials
        if isinstance(err, NetsapiensAuthError):
            self.config_entry.async_start_reauth(self.hass)
        elif isinstance(err, (NetsapiensConnectionError, NetsapiensServerError)) and self.throttle.is_away:
            self._compare(is_fine=False)

    @callback
    def note_success(self) -> None:
        """Learn from a request that succeeded elsewhere that the PBX is back."""
        if not self._shutdown_requested:
            self._compare(is_fine=True)

    def _compare(self, *, is_fine: bool) -> None:
        """Read the account where requests elsewhere begin to go otherwise than its own.

        Once is enough: where they go on so, one call fails while all else works, and that is no reason to read more.

        Parameters:
            is_fine: whether a request elsewhere succeeded.
        """
        was_fine, self._is_fine_elsewhere = self._is_fine_elsewhere, is_fine
        if is_fine is not was_fine and is_fine is not self.last_update_success:
            self._read_anew()

    @callback
    def _plan_refresh(self) -> None:
        """Plan the next refresh, ahead of the new token's end. An API key has none."""
        if math.isinf(self.api.token_life):
            return
        ahead = min(random.uniform(*self._timing.refresh_ahead), self.api.token_life / 2)  # noqa: S311
        self._refresh_in(max(self.api.token_left - ahead, 1.0))

    @callback
    def _read_anew(self, _now: datetime | None = None) -> None:
        """Read the account now, rather than at the next poll."""
        self._cancel_retry()
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
            await self.api.get_token(min_left=float("inf"))
        except NetsapiensAuthError as err:
            self.note_failure(err)
        except NetsapiensError as err:
            if self._shutdown_requested:
                return
            self.async_set_update_error(self._failed(err))
            self._refresh_in((err.retry_after or 0.0) + self._backoff())
        else:
            if not self.last_update_success and not self._shutdown_requested:
                self._read_anew()

    @callback
    def _failed(self, err: NetsapiensError) -> UpdateFailed:
        """Return the failure as the coordinator takes it, with the time of the next attempt."""
        failed = translated(err, UpdateFailed)
        self._failures += 1
        failed.retry_after = (err.retry_after or 0.0) + self._backoff()
        return failed

    def _backoff(self) -> float:
        """Return how many seconds to wait after a failure that was counted."""
        return self._timing.retry.wait(self._failures - 1)
