"""The sensors: how many texts the PBX took."""

from typing import Any

from homeassistant.components.sensor import SensorStateClass
from homeassistant.core import HomeAssistant, State
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    mock_restore_cache_with_extra_data,
)

from tests.conftest import AddAccount, recipient
from tests.delivery.quick import set_timing
from tests.helpers import until
from tests.simulator import Simulator

ANN, BOB = "18585550123", "18585550124"
SENT = "sensor.1001_acme_example_sent_messages"


def count(hass: HomeAssistant) -> str:
    """Return what the sensor shows."""
    state = hass.states.get(SENT)
    assert state is not None
    return state.state


async def send(hass: HomeAssistant, *numbers: str, **data: Any) -> None:
    """Send a text to each of these numbers."""
    data = {"destination": list(numbers), "message": "Hi", **data}
    await hass.services.async_call("netsapiens", "send_message", data, blocking=True)


async def test_each_text_that_the_pbx_took_counts(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """To recipients and to bare numbers, at once or after a wait; not what was refused."""
    assert count(hass) == "0"
    assert hass.states.get(SENT).attributes["state_class"] is SensorStateClass.TOTAL_INCREASING
    await send(hass, ANN, BOB)
    await hass.services.async_call(
        "notify", "send_message", {"entity_id": "notify.ann", "message": "Hi"}, blocking=True
    )
    await until(lambda: count(hass) == "3")
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    with pytest.raises(Exception, match="Invalid destination"):
        await send(hass, BOB)
    assert count(hass) == "3"


@pytest.mark.usefixtures("entry", "pbx")
async def test_many_texts_in_a_row_write_the_state_a_few_times(hass: HomeAssistant) -> None:
    """A long call costs the recorder a row a second, and the count is right in the end."""
    changes = async_capture_events(hass, "state_changed")
    await send(hass, *(f"1858555{number:04}" for number in range(20)))
    await until(lambda: count(hass) == "20")
    assert len([one for one in changes if one.data["entity_id"] == SENT]) <= 5


@pytest.fixture
def impatient(hass: HomeAssistant) -> None:
    """Let an action answer `queued` soon."""
    set_timing(hass, answer_within=0.1)


@pytest.mark.usefixtures("impatient", "entry")
async def test_a_text_that_waited_counts(hass: HomeAssistant, pbx: Simulator) -> None:
    """What was answered `queued` counts once the PBX took it."""
    pbx.fault("forbidden_html", path="/messages", method="POST", times=2)
    await send(hass, ANN)
    assert count(hass) == "0"
    await until(lambda: count(hass) == "1")


async def test_the_count_goes_on_after_a_reload_and_a_restart(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """It never begins anew, whatever was kept."""
    kept = {"native_value": 41, "native_unit_of_measurement": None}
    mock_restore_cache_with_extra_data(hass, [(State(SENT, "41"), kept)])
    entry = await add_account(recipient("Ann", ANN))
    assert count(hass) == "41"
    await send(hass, ANN)
    await until(lambda: count(hass) == "42")
    await hass.config_entries.async_reload(entry.entry_id)
    await until(lambda: count(hass) == "42")


@pytest.mark.parametrize("kept", [None, "many", -3, 1.5])
async def test_a_damaged_count_begins_anew(hass: HomeAssistant, add_account: AddAccount, kept: Any) -> None:
    """What cannot be read is no count."""
    extra = {"native_value": kept, "native_unit_of_measurement": None}
    mock_restore_cache_with_extra_data(hass, [(State(SENT, "x"), extra)])
    await add_account()
    assert count(hass) == "0"
