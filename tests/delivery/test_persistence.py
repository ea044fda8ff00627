"""What is known of the disk, once a write has ended."""

import asyncio
from datetime import UTC, datetime

from homeassistant.core import HomeAssistant
import pytest

from custom_components.netsapiens.delivery.entry import QueueEntry
from custom_components.netsapiens.delivery.held_reports import HeldReports
from custom_components.netsapiens.delivery.outcomes import Outcomes
from custom_components.netsapiens.delivery.persistence import Persistence
from custom_components.netsapiens.delivery.reconcile import Baseline, RecentSends
from custom_components.netsapiens.delivery.spool import Spool
from custom_components.netsapiens.delivery.state import Delivery, Event, Step
from custom_components.netsapiens.delivery.timing import QueueTiming
from tests.delivery.test_backlog import bulk
from tests.fixtures import hass_storage  # noqa: F401


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_row_holds_the_baseline_from_when_its_write_began(hass: HomeAssistant, is_known: bool) -> None:
    """One that is counted meanwhile is not on disk: its attempt waits for another write, be the row new or not."""
    spool = Spool(hass, "account")
    await spool.async_load()
    outcomes = Outcomes(RecentSends(), HeldReports(lambda _: None, 0.0), lambda _: None, lambda _: None)
    persistence = Persistence(hass, spool, outcomes, QueueTiming(), lambda: None)
    entry = QueueEntry(bulk(1, "18585550199"), hass.loop.time() + 60, 0, Delivery())
    outcomes.count(entry)
    if is_known:
        await persistence.async_persist([entry])
    write = asyncio.create_task(persistence.async_persist([entry], rewrite=True))
    while not entry.delivery.writes:
        await asyncio.sleep(0)
    outcomes.apply(entry, Event.ATTEMPT_MAY_BEGIN, baseline=Baseline(datetime.now(UTC), 0))
    await write
    assert (entry.delivery.stored, entry.delivery.step) == (True, Step.PERSIST)
    (message,) = (await Spool(hass, "account").async_load()).messages
    assert message.row["since"] is None
