"""The login that stays alive, and what the account has."""

import asyncio
from datetime import timedelta
import json
import logging
from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HassJob, HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from homeassistant.util.async_ import get_scheduled_timer_handles
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.netsapiens.api import NumberAPI
from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitTiming
from custom_components.netsapiens.pbx.coordinator import COORDINATOR_TIMING, CoordinatorTiming, NetsapiensCoordinator
from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from custom_components.netsapiens.receiving.receiver import Receiver
from tests.conftest import AddAccount, close
from tests.simulator import FaultKind, Simulator, SmsNumber

ANN = "18585550123"
QUICK = CircuitTiming(away=Backoff(0.01, 0.01), refused=Backoff(0.01, 0.01))


@pytest.fixture(autouse=True)
def _no_inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for no messages: that goes on for ever, and these tests wait until nothing goes on any more."""
    monkeypatch.setattr(Receiver, "async_start", lambda self: None)


@pytest.fixture(autouse=True)
def _quick_circuit(hass: HomeAssistant) -> None:
    """Ask a PBX that is away, or that refused, again at once."""
    hass.data[THROTTLE_TIMING] = ThrottleTiming(circuit=QUICK)


def timer(hass: HomeAssistant, name: str = "netsapiens token refresh") -> asyncio.TimerHandle | None:
    """Return the timer of the token's refresh, or another one."""
    found = [
        handle
        for handle in get_scheduled_timer_handles(hass.loop)
        if not handle.cancelled() and any(isinstance(one, HassJob) and one.name == name for one in handle._args or ())
    ]
    assert len(found) <= 1
    return found[0] if found else None


def rings_in(hass: HomeAssistant) -> float:
    """Return in how many seconds the token is refreshed."""
    handle = timer(hass)
    assert handle is not None
    return handle.when() - hass.loop.time()


async def let_it_ring(hass: HomeAssistant) -> None:
    """Let the timer's time come. Only this one's: to others' it would be a surprise."""
    handle = timer(hass)
    assert handle is not None
    handle._run()
    handle.cancel()
    await hass.async_block_till_done(wait_background_tasks=True)


def coordinator_of(entry: MockConfigEntry) -> NetsapiensCoordinator:
    """Return an account's coordinator."""
    coordinator: NetsapiensCoordinator = entry.runtime_data.coordinator
    return coordinator


def grants(pbx: Simulator) -> list[str]:
    """Return how each token was asked for."""
    return [record.body["grant_type"] for record in pbx.requests_to("/tokens")]


@pytest.mark.parametrize("password", [None, "", "kept out"])
async def test_a_password_that_is_missing_is_asked_for(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, password: str | None
) -> None:
    """The word None is no password, and nothing goes out in its place."""
    entry = await add_account(setup=False)
    data = {**entry.data, "password": password}
    if password:
        del data["password"]
    hass.config_entries.async_update_entry(entry, data=data)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "invalid_auth"
    assert not pbx.requests
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    form = {"password": pbx.first_user.password}
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], form)
    assert result["reason"] == "reauth_successful"
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


async def test_one_token_is_enough_to_start(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A start costs one sign-in."""
    assert grants(pbx) == ["password"]
    assert pbx.tokens_in_flight_peak == 1


async def test_a_token_is_refreshed_ahead_of_its_end(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """No text has to wait for a token."""
    assert 3600 - 600 - 30 < rings_in(hass) < 3600 - 300
    await let_it_ring(hass)
    assert grants(pbx) == ["password", "refresh_token"]
    pbx.requests.clear()
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True)
    assert grants(pbx) == []
    assert len(pbx.messages) == 1
    assert timer(hass) is not None, "it goes on"


async def test_a_short_lived_token(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A token that lives for a minute is refreshed in half of that."""
    pbx.token_life = 60
    await add_account()
    assert 20 < rings_in(hass) <= 31


async def test_the_timer_really_rings(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The refresh comes by itself, in real time."""
    pbx.token_life = 1.5
    await add_account()
    async with asyncio.timeout(20):
        while len(grants(pbx)) < 2:
            await asyncio.sleep(0.05)
    assert grants(pbx)[:2] == ["password", "refresh_token"]
    await hass.async_block_till_done()


async def test_a_failed_refresh_is_tried_again(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """The old token serves meanwhile."""
    pbx.fault("status", path="/tokens", code=500)
    await let_it_ring(hass)
    assert 0 < rings_in(hass) < 120
    # The old token goes on serving.
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True)
    assert len(pbx.messages) == 1
    before = len(pbx.tokens)
    await let_it_ring(hass)
    assert len(pbx.tokens) == before + 1
    assert coordinator_of(entry).last_update_success
    assert rings_in(hass) > 2900


async def test_a_pbx_that_asks_to_wait(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """It is not asked earlier."""
    pbx.fault("rate_limit", path="/tokens", retry_after=500)
    await let_it_ring(hass)
    assert 499 < rings_in(hass) < 1000


async def test_refused_credentials_ask_for_new_ones_once(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """However often they are refused, there is one dialog."""
    pbx.first_user.password = "new-password"
    pbx.revoke_tokens(refresh=True)
    await let_it_ring(hass)
    await coordinator_of(entry).async_refresh()
    await hass.async_block_till_done()
    await coordinator_of(entry).async_refresh()
    await hass.async_block_till_done()
    flows = hass.config_entries.flow.async_progress()
    assert [(flow["context"]["source"], flow["step_id"]) for flow in flows] == [(SOURCE_REAUTH, "reauth_confirm")]
    assert entry.state is ConfigEntryState.LOADED


async def test_refused_credentials_at_start(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A start with a wrong password leads to the dialog, not to another attempt."""
    entry = await add_account(setup=False)
    pbx.first_user.password = "new-password"
    assert not await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()] == [SOURCE_REAUTH]
    assert timer(hass) is None


async def test_the_very_first_start_waits_for_the_pbx(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Nothing is known yet, so it is tried again by Home Assistant."""
    await pbx.stop()
    entry = await add_account(setup=False)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert "could not be reached" in (entry.reason or "")
    assert timer(hass) is None
    await pbx.start()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=10))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED


async def test_a_later_start_does_not_wait_for_a_silent_pbx(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """It begins with what is known."""
    hass.data[COORDINATOR_TIMING] = CoordinatorTiming(start_within=0.3)
    await close(hass, entry)
    pbx.fault(FaultKind.HANG, times=None)
    async with asyncio.timeout(5):
        assert await hass.config_entries.async_setup(entry.entry_id)
    coordinator = coordinator_of(entry)
    assert not coordinator.last_update_success
    assert list(coordinator.data.numbers) == pbx.numbers
    pbx.clear_faults()
    await pbx.stop()  # with the call that hangs
    await pbx.start()
    for _ in range(2):
        await coordinator.async_refresh()
    assert coordinator.last_update_success


async def test_the_log_says_once_that_it_is_away_and_once_that_it_is_back(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """However long that lasts."""
    coordinator = coordinator_of(entry)

    def logged() -> list[tuple[int, str]]:
        return [
            (record.levelno, record.getMessage())
            for record in caplog.records
            if record.name == "custom_components.netsapiens.pbx.coordinator" and record.levelno >= logging.INFO
        ]

    caplog.clear()
    await pbx.stop()
    for _ in range(3):
        await coordinator.async_refresh()
    await let_it_ring(hass)
    assert [level for level, _ in logged()] == [logging.ERROR]
    assert "could not be reached" in logged()[0][1]
    caplog.clear()
    await pbx.start()
    for _ in range(2):
        await coordinator.async_refresh()
    assert [level for level, _ in logged()] == [logging.INFO]
    assert "recovered" in logged()[0][1]


async def test_tokens_stay_in_memory(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    setups: list[str],
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the entry nor a file holds one."""
    entry = await add_account()
    before = dict(entry.data)
    await let_it_ring(hass)
    await coordinator_of(entry).async_refresh()
    await hass.async_block_till_done()
    assert setups == [entry.entry_id]
    assert dict(entry.data) == before
    kept = json.dumps(hass_storage, default=str) + json.dumps(dict(entry.data))
    tokens = {*pbx.tokens, *pbx.token_book.refresh}
    assert len(tokens) >= 3
    assert not any(token in kept or token in caplog.text for token in tokens)
    assert "example-password" not in caplog.text
    assert "example-secret" not in caplog.text


async def test_the_device_shows_the_version_that_runs_now(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """Also after an upgrade of the PBX."""

    def version() -> str | None:
        device = device_registry.async_get(entry.runtime_data.device_id)
        assert device is not None
        return device.sw_version

    assert version() == "NetSapiens API 45.0"
    pbx.api_version = "46.1.2"
    await let_it_ring(hass)
    await coordinator_of(entry).async_refresh()
    assert version() == "NetSapiens API 46.1.2"


async def test_the_numbers_follow(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A number that is added or taken away shows at the next reading."""
    coordinator = coordinator_of(entry)
    assert list(coordinator.data.numbers) == ["18585550199"]
    pbx.first_user.numbers.append(SmsNumber("18585550198"))
    await coordinator.async_refresh()
    assert list(coordinator.data.numbers) == ["18585550199", "18585550198"]
    # Those that are known stay where the PBX does not show them any more.
    pbx.fault("status", path="/smsnumbers", code=403, message="Permission denied")
    await coordinator.async_refresh()
    assert coordinator.last_update_success
    assert list(coordinator.data.numbers) == ["18585550199", "18585550198"]
    pbx.fault("status", path="/smsnumbers", code=500)
    await coordinator.async_refresh()
    assert not coordinator.last_update_success
    assert list(coordinator.data.numbers) == ["18585550199", "18585550198"]


async def test_it_polls(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """The account is read every half hour, not in step with other homes."""
    coordinator = coordinator_of(entry)
    assert coordinator.update_interval is not None
    assert timedelta(minutes=27) <= coordinator.update_interval <= timedelta(minutes=33)
    assert coordinator._unsub_refresh is not None


async def test_nothing_goes_on_after_an_unload(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """No timer outlives the account."""
    coordinator = coordinator_of(entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert timer(hass) is None
    assert coordinator._unsub_refresh is None
    assert coordinator.api.on_token is None


async def test_a_retry_is_not_waited_for_once_the_pbx_is_back(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """A request that succeeds takes its place; nothing of it outlives an unload."""
    hass.data[COORDINATOR_TIMING] = CoordinatorTiming(start_within=0.3)
    await close(hass, entry)
    pbx.fault(FaultKind.HANG, times=None)
    assert await hass.config_entries.async_setup(entry.entry_id)
    coordinator = coordinator_of(entry)
    assert timer(hass, "netsapiens retry") is not None
    pbx.clear_faults()
    coordinator.note_success()
    assert timer(hass, "netsapiens retry") is None
    await close(hass, entry)
    assert timer(hass, "netsapiens retry") is None


async def test_the_first_wait_is_the_shortest(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """However the failure was noticed; a second one in a row doubles it."""
    hass.data[COORDINATOR_TIMING] = CoordinatorTiming(retry=Backoff(60.0, 900.0, jitter=0))
    coordinator = coordinator_of(await add_account())
    pbx.fault("status", path="/tokens", code=500, times=2)
    for wait in (60, 120):
        await let_it_ring(hass)
        assert rings_in(hass) == pytest.approx(wait, abs=5)
    coordinator.async_set_updated_data(coordinator.data)
    await coordinator.async_refresh()
    coordinator._give_up_start()
    retry = timer(hass, "netsapiens retry")
    assert retry is not None
    assert retry.when() - hass.loop.time() == pytest.approx(60, abs=5)


async def test_an_api_key_has_no_end_to_be_ahead_of(hass: HomeAssistant, pbx: Simulator) -> None:
    """With a key nothing is refreshed."""
    data = {"base_url": pbx.url, "api_key": pbx.add_key().key, "domain": "acme.example", "user": "1001"}
    entry = MockConfigEntry(domain="netsapiens", unique_id="1001@acme.example", data={**data, "action": "netsapiens"})
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.runtime_data.coordinator.last_update_success
    assert timer(hass) is None
    assert len(pbx.requests_to("/apikeys/")) == 1


async def test_one_request_at_a_time_while_the_pbx_is_away(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """The account's own as well: what it has, and its token."""
    coordinator = coordinator_of(entry)
    await pbx.stop()
    await coordinator.async_refresh()
    assert coordinator.throttle.is_away
    await pbx.start()
    pbx.requests.clear()
    probe = pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.6)
    text = asyncio.create_task(hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True))
    while not probe.struck:
        await asyncio.sleep(0.01)
    reading = asyncio.create_task(coordinator.async_refresh())
    refreshing = asyncio.create_task(coordinator._refresh_token())
    await asyncio.sleep(0.2)
    assert [record.method for record in pbx.requests] == ["POST"]
    await asyncio.gather(text, reading, refreshing)
    assert coordinator.last_update_success
    assert len(pbx.messages) == 1
    assert grants(pbx)[0] == "refresh_token"
    assert pbx.requests_to("/smsnumbers")


async def test_requests_after_a_revoked_token_are_limited_too(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Fifty requests whose token was revoked make one token call, and are not repeated in one burst."""
    hass.data[THROTTLE_TIMING] = ThrottleTiming(rate=RateLimit(burst=60, per_second=20.0), circuit=QUICK)
    coordinator = coordinator_of(await add_account(options={"from_number": pbx.numbers[0], "incoming": "off"}))
    numbers = NumberAPI(coordinator.api)
    pbx.revoke_tokens()
    pbx.requests.clear()
    began = hass.loop.time()
    lists = await asyncio.gather(*(coordinator.throttle.run(numbers.get_numbers) for _ in range(50)))
    assert all(lists)
    assert grants(pbx) == ["refresh_token"]
    assert len(pbx.requests_to("/smsnumbers")) == 100
    assert hass.loop.time() - began > (101 - 60) / 20.0 * 0.9


async def test_each_request_has_a_turn_of_its_own(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Those of the first start, and those of each later one."""
    rate = 4.0
    hass.data[THROTTLE_TIMING] = ThrottleTiming(RateLimit(burst=1, per_second=rate, spare=0), QUICK)
    pbx.first_user.scope = "Office Manager"  # with the domain's list
    entry = await add_account()
    first = [record.at for record in pbx.requests]
    pbx.requests.clear()
    await coordinator_of(entry)._refresh_token()
    await coordinator_of(entry).async_refresh()
    for times in (first, [record.at for record in pbx.requests]):
        assert len(times) >= 3
        assert times[-1] - times[0] >= (len(times) - 1) / rate * 0.8


async def test_one_request_at_a_time_while_it_is_set_up(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Also where a text that goes on from before a reload sees whether the PBX is back."""
    await pbx.stop()
    await coordinator_of(entry).async_refresh()
    await pbx.start()
    pbx.requests.clear()
    probe = pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.6)
    text = asyncio.create_task(hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True))
    while not probe.struck:
        await asyncio.sleep(0.01)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(0.2)
    assert [record.method for record in pbx.requests] == ["POST"]
    await text
    async with asyncio.timeout(5):
        while not coordinator_of(entry).last_update_success:
            await asyncio.sleep(0.01)
    assert pbx.requests_to("/smsnumbers")


async def test_a_token_refresh_outlives_a_reload(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Its refresh token serves once."""
    slow = pbx.fault(FaultKind.SLOW, path="/tokens", seconds=0.4)
    refreshing = asyncio.create_task(coordinator_of(entry)._refresh_token())
    while not slow.struck:
        await asyncio.sleep(0.01)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await refreshing
    assert grants(pbx) == ["password", "refresh_token"]
    assert rings_in(hass) > 2900, "the coordinator that followed plans the next one"
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True)
    assert grants(pbx) == ["password", "refresh_token"]
