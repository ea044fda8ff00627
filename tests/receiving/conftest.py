"""What the tests of the way in share."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.receiving.timing import RECEIVING_TIMING
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.helpers import until
from tests.simulator import Simulator

ANN, BOB = "18585550123", "18585550124"


@pytest.fixture
async def looking(hass: HomeAssistant, add_account: AddAccount, entity_events: EntityEvents) -> MockConfigEntry:
    """An account with Ann and Bob whose poller has looked once."""
    entry = await add_account(recipient("Ann", ANN), recipient("Bob", BOB))
    await until(entry.runtime_data.poller.ready.is_set)
    return entry


async def change_timing(hass: HomeAssistant, entry: MockConfigEntry, **changes: float) -> None:
    """Poll by another timing from now on."""
    timing = hass.data[RECEIVING_TIMING]
    hass.data[RECEIVING_TIMING] = replace(timing, poll=replace(timing.poll, **changes))
    await hass.config_entries.async_reload(entry.entry_id)
    await until(entry.runtime_data.poller.ready.is_set)


async def arrive_hours_ago(pbx: Simulator, *hours: int, numbers: Sequence[str] = (ANN,)) -> None:
    """Let a text come in that many hours ago, each in turn, and from each number in turn."""
    for number, ago in zip(cycle(numbers), hours, strict=False):
        pbx.clock_offset = -ago * 3600.0
        await pbx.receive(from_number=number, text=f"{ago} hours ago")
    pbx.clock_offset = 0.0
