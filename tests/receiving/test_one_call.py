"""One call of the PBX that fails for good while all else works: it is said once, and nothing more is read for it."""

from collections.abc import Callable
import logging
from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitTiming
from custom_components.netsapiens.pbx.coordinator import COORDINATOR_TIMING, CoordinatorTiming
from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from tests.conftest import AddAccount, recipient
from tests.helpers import until
from tests.receiving.conftest import ANN, change_timing
from tests.simulator import FaultKind, Simulator

LIST = "/messagesessions?"
SLOWEST = Backoff(600.0, 600.0)

pytestmark = pytest.mark.usefixtures("quick_inbox")


@pytest.fixture
async def polling(hass: HomeAssistant, add_account: AddAccount) -> MockConfigEntry:
    """An account that polls often, goes on soon after failures, and is read once."""
    away = CircuitTiming(away=Backoff(0.02, 0.02))
    hass.data[THROTTLE_TIMING] = ThrottleTiming(RateLimit(burst=1000, per_second=1000), away)
    hass.data[COORDINATOR_TIMING] = CoordinatorTiming(retry=SLOWEST)
    entry = await add_account(recipient("Ann", ANN))
    await change_timing(hass, entry, interval=0.1, first_wait=0.1, longest_wait=0.1)
    return entry


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[int]]:
    """Return a function that lists the levels of a module's log lines."""

    def levels(module: str) -> list[int]:
        name = f"custom_components.netsapiens.{module}"
        return [one.levelno for one in caplog.records if one.name == name and one.levelno >= logging.INFO]

    return levels


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": FaultKind.STATUS},
        {"kind": FaultKind.BODY, "body": "<html>", "content_type": "text/html"},
        {"kind": FaultKind.DROP_AFTER},
        {"kind": FaultKind.REDIRECT},
    ],
)
async def test_the_list(
    hass: HomeAssistant,
    pbx: Simulator,
    polling: MockConfigEntry,
    said: Callable[[str], list[int]],
    fault: dict[str, Any],
) -> None:
    """The poller says so, once; the account is read once at the most to see whether the PBX is away, and is not."""
    pbx.requests.clear()
    failing = pbx.fault(path=LIST, method="GET", times=None, **fault)
    await until(lambda: failing.struck >= 25)
    assert said("receiving.poller") == [logging.WARNING]
    assert said("pbx.coordinator") == []
    assert polling.runtime_data.coordinator.last_update_success
    assert len(pbx.requests_to("/smsnumbers")) <= 1
    pbx.clear_faults()
    await until(lambda: said("receiving.poller") == [logging.WARNING, logging.INFO])
    assert len(pbx.requests_to("/smsnumbers")) <= 1


async def test_the_numbers(
    hass: HomeAssistant, pbx: Simulator, polling: MockConfigEntry, said: Callable[[str], list[int]]
) -> None:
    """Polls that go well do not end the backoff."""
    coordinator = polling.runtime_data.coordinator
    failing = pbx.fault(FaultKind.STATUS, path="/smsnumbers", times=None)
    await coordinator.async_refresh()
    pbx.requests.clear()
    await until(lambda: len(pbx.requests_to("/messagesessions")) >= 10)
    assert failing.struck == 1
    assert said("pbx.coordinator") == [logging.ERROR]


async def test_the_token(
    hass: HomeAssistant, pbx: Simulator, polling: MockConfigEntry, said: Callable[[str], list[int]]
) -> None:
    """The old one serves meanwhile; with a new one all is well again."""
    coordinator = polling.runtime_data.coordinator
    pbx.fault(FaultKind.STATUS, path="/tokens")
    pbx.requests.clear()
    await coordinator._refresh_token()
    await until(lambda: len(pbx.requests_to("/messagesessions")) >= 10)
    assert said("pbx.coordinator") == [logging.ERROR]
    assert pbx.requests_to("/smsnumbers") == []
    await coordinator._refresh_token()
    await until(lambda: said("pbx.coordinator") == [logging.ERROR, logging.INFO])
    assert len(pbx.requests_to("/smsnumbers")) == 1
