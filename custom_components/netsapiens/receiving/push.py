"""Having the PBX say when something came in: a webhook here, an event subscription there.

What is posted is a wake-up and nothing else, so that a forged post can make no event.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
import logging
from typing import Any, override

from aiohttp.hdrs import METH_POST
from aiohttp.web import Request, Response
from homeassistant.components import webhook
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.network import NoURLAvailableError

from ..api import NetsapiensAPI, NetsapiensError, NetsapiensRequestError, Subscription, SubscriptionAPI
from ..const import CONF_CLOUDHOOK_URL, DOMAIN
from ..errors import log_unexpected
from ..issues import clear_push_issues, raise_push_issue
from ..pbx.backoff import Backoff, jitter
from ..pbx.coordinator import NetsapiensCoordinator
from ..pbx.login import create_api
from ..pbx.throttle import Throttle, create_throttle
from ..settings import cloudhook_url_of, webhook_id_of
from .announcer import Announcer
from .poller import Poller
from .proof_watch import ProofWatch
from .received import ReceivedMessage
from .timing import PushTiming, timing_of
from .wake_ups import WakeUps

_LOGGER = logging.getLogger(__name__)

_MODEL = "message"
_LIFE = timedelta(days=7)  # of a subscription; renewed when half of it is over
_SPREAD = 0.2
_UNAUTHORIZED, _CONFLICT = 401, 409
_REFUSALS = {_UNAUTHORIZED, 403, 404}


class Push(Announcer):
    """Keeps one subscription at the PBX for an account.

    Parameters:
        coordinator: the account.
        poller: what is to poll.
        webhook_id: unguessable, and kept with the account.
        timing: how often to check the subscription.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, poller: Poller, webhook_id: str, timing: PushTiming) -> None:
        self._hass = coordinator.hass
        self._coordinator = coordinator
        self._poller = poller
        self._entry = coordinator.config_entry
        self._webhook_id = webhook_id
        self._timing = timing
        self._api = SubscriptionAPI(coordinator.api)
        self._failures = 0
        self._errors = 0  # how often in a row the subscription was in error
        self._moved = asyncio.Event()
        self._wake_ups = WakeUps(self._hass, poller)
        self._proof = ProofWatch(self._hass, timing.proof, poller.async_replan)
        self._is_subscribed = False
        self._ends: list[Callable[[], object]] = []

    @property
    @override
    def is_proven(self) -> bool:
        """Whether there is a subscription that works; it counts as such until a text was not posted."""
        return self._is_subscribed and not self._errors and not self._proof.missed

    @property
    @override
    def diagnostics(self) -> dict[str, int | str]:
        """Whether there is a subscription, and how many texts in a row were not posted."""
        state = "not_subscribed"
        if self._is_subscribed:
            state = "error" if self._errors else "subscribed"
        return {"state": state, "missed_in_a_row": self._proof.missed}

    @override
    @callback
    def async_start(self) -> None:
        """Listen, and see to the subscription."""
        webhook.async_register(
            self._hass, DOMAIN, self._entry.title, self._webhook_id, self._handle, allowed_methods=[METH_POST]
        )
        task = self._hass.async_create_background_task(self._run(), "netsapiens push", eager_start=False)
        self._ends = [self._hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, self._note_move), task.cancel]

    @override
    async def async_stop(self) -> None:
        """Stop listening. The subscription stays: this may be a restart."""
        self._wake_ups.async_cancel()
        self._proof.async_cancel()
        webhook.async_unregister(self._hass, self._webhook_id)
        for end in self._ends:
            end()

    @override
    @callback
    def async_check(self) -> None:
        """See to the subscription at once: the external URL or the account's options may have changed."""
        self._moved.set()

    @override
    @callback
    def async_found(self, received: ReceivedMessage) -> None:
        """Learn whether a message that a poll found had been posted."""
        if self._is_subscribed:
            self._proof.async_found(received)

    @override
    @callback
    def async_text_went_out(self) -> None:
        """Expect that a text of ours is posted as well."""
        self._proof.async_text_went_out()

    @callback
    def _note_move(self, _event: Event) -> None:
        """Note that the external URL may have been set."""
        self.async_check()

    async def _handle(self, _hass: HomeAssistant, _webhook_id: str, _request: Request) -> Response:
        """Answer at once and poll."""
        self._proof.async_announced()
        self._wake_ups.async_ask()
        return Response()

    async def _run(self) -> None:
        """See to the subscription again and again."""
        while True:
            self._moved.clear()
            wait = await self._check() * jitter(_SPREAD)
            try:
                async with asyncio.timeout(wait):
                    await self._moved.wait()
            except TimeoutError:
                pass

    async def _check(self) -> float:
        """See to the subscription once; return how many seconds to wait until the next time."""
        was_proven = self.is_proven
        wait = await self._try()
        if wait is None and not self._is_subscribed:
            self._proof.since = self._coordinator.api.now()
        self._is_subscribed = wait is None
        if self.is_proven is not was_proven:
            self._poller.async_replan()
        return self._timing.check if wait is None else wait

    async def _try(self) -> float | None:
        """See that there is a subscription; return how many seconds to wait for another attempt, None if there is."""
        try:
            url = await _post_url(self._hass, self._entry, self._webhook_id)
            await self._subscribe(url)
        except NoURLAvailableError:
            raise_push_issue(self._hass, self._entry, "push_without_url")
            return self._timing.check
        except NetsapiensRequestError as err:
            if err.status in _REFUSALS:
                raise_push_issue(self._hass, self._entry, "push_refused")
                return self._timing.ask_again
            return self._back_off(err)
        except NetsapiensError as err:
            return self._back_off(err)
        except Exception as err:  # noqa: BLE001
            # The cloud's, or a fault of ours: it must not end it.
            log_unexpected(_LOGGER, "subscribing to messages", err)
            return self._timing.check
        clear_push_issues(self._hass, self._entry)
        self._failures = 0
        return None

    def _back_off(self, err: NetsapiensError) -> float:
        """Return how long to wait after a failure."""
        self._coordinator.note_failure(err)
        self._failures += 1
        first, longest = self._timing.first_wait, self._timing.longest_wait
        return first + Backoff(first, longest).wait(self._failures - 1)

    async def _subscribe(self, url: str) -> None:
        """Make sure that there is one subscription, that it posts here, and that it does not end soon."""
        run = self._coordinator.throttle.run
        await self._coordinator.async_ensure_token()
        own = [one for one in await run(self._api.get_subscriptions) if _is_ours(one, self._entry.data)]
        keep = next((one for one in own if one.post_url == url), own[0] if own else None)
        self._errors = self._errors + 1 if keep is not None and keep.status == "error" else 0
        if keep is not None and self._errors > 1:
            keep, self._errors = None, 0  # forgetting its errors did not help; begin anew
        for other in own:
            if other is not keep:
                await _delete(self._api, other, self._coordinator.throttle)
        now = self._coordinator.api.now()
        if keep is None:
            await self._create(url)
        elif keep.post_url != url or self._errors or keep.expires is None or keep.expires < now + _LIFE / 2:
            try:
                await run(partial(self._api.update_subscription, keep, url, now + _LIFE))
            except NetsapiensRequestError as err:
                if err.status == _UNAUTHORIZED:
                    raise
                await self._create(url)  # it ended in between, or is not ours to change

    async def _create(self, url: str) -> None:
        """Subscribe. An equal subscription that the list did not show is as good."""
        try:
            expires = self._coordinator.api.now() + _LIFE
            await self._coordinator.throttle.run(lambda: self._api.create_subscription(_MODEL, url, expires))
        except NetsapiensRequestError as err:
            if err.status != _CONFLICT:
                raise


def _is_ours(subscription: Subscription, data: Mapping[str, Any]) -> bool:
    """Whether a subscription posts to us, under this address or a former one.

    Parameters:
        data: an entry's. The address of a cloudhook says nothing of the webhook.
    """
    marks = (webhook_id_of(data), cloudhook_url_of(data))
    return subscription.model == _MODEL and any(mark and mark in subscription.post_url for mark in marks)


async def _delete(api: SubscriptionAPI, subscription: Subscription, throttle: Throttle) -> None:
    """End a subscription; one that ended in between is fine."""
    try:
        await throttle.run(lambda: api.delete_subscription(subscription))
    except NetsapiensRequestError as err:
        if err.status == _UNAUTHORIZED:
            raise
        _LOGGER.debug("A subscription could not be ended: %s", err.status)


async def _post_url(hass: HomeAssistant, entry: ConfigEntry, webhook_id: str) -> str:
    """Return where the PBX can reach us: through Nabu Casa, else under the external URL.

    Raises:
        NoURLAvailableError: nowhere.
    """
    if "cloud" in hass.config.components:
        # Here, since importing it asks for packages that are there only where the cloud is set up.
        from homeassistant.components import cloud  # noqa: PLC0415

        if cloud.async_active_subscription(hass):
            known = cloudhook_url_of(entry.data)
            try:
                url = await cloud.async_get_or_create_cloudhook(hass, webhook_id)
            except cloud.CloudNotAvailable as err:
                _LOGGER.debug("No cloudhook: %s", type(err).__name__)
                if known is not None:
                    return known  # it goes on once the cloud is connected
            else:
                if url != known:
                    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_CLOUDHOOK_URL: url})
                return url
    return webhook.async_generate_url(hass, webhook_id, allow_internal=False)


async def async_end_push(hass: HomeAssistant, data: Mapping[str, Any], throttle: Throttle | None = None) -> None:
    """Take back what push left behind: the subscriptions at the PBX, and the cloudhook.

    Parameters:
        data: an entry's; without a webhook there is nothing to do.
        throttle: the account's, where it is loaded.
    """
    webhook_id = webhook_id_of(data)
    if webhook_id is None:
        return
    try:
        api = create_api(hass, data)
        try:
            async with asyncio.timeout(timing_of(hass).push.end_within):
                await _delete_subscriptions(api, data, throttle or create_throttle(hass))
        finally:
            await api.close()
    except NetsapiensError, TimeoutError:
        _LOGGER.warning("The phone system was not reached to end its event subscription, which ends within a week")
    if "cloud" in hass.config.components:
        from homeassistant.components import cloud  # noqa: PLC0415 - as above

        try:
            await cloud.async_delete_cloudhook(hass, webhook_id)
        except (cloud.CloudNotAvailable, HomeAssistantError, ValueError) as err:
            _LOGGER.debug("No cloudhook to delete: %s", type(err).__name__)


async def _delete_subscriptions(api: NetsapiensAPI, data: Mapping[str, Any], throttle: Throttle) -> None:
    """End the subscriptions that post to us."""
    await throttle.run(api.get_token)
    subscriptions = SubscriptionAPI(api)
    for one in await throttle.run(subscriptions.get_subscriptions):
        if _is_ours(one, data):
            await _delete(subscriptions, one, throttle)
