"""What is known of the disk, once a write has ended."""

import asyncio
from datetime import UTC, datetime
import time
from typing import NamedTuple
from unittest.mock import patch

from homeassistant.core import HomeAssistant
import pytest

from custom_components.netsapiens.delivery.entry import QueueEntry
from custom_components.netsapiens.delivery.held_reports import HeldReports
from custom_components.netsapiens.delivery.outcomes import Outcomes
from custom_components.netsapiens.delivery.persistence import Persistence
from custom_components.netsapiens.delivery.reconcile import Baseline, RecentSends
from custom_components.netsapiens.delivery.spool import Spool
from custom_components.netsapiens.delivery.spool_files import SpoolFiles
from custom_components.netsapiens.delivery.state import Delivery, Event, Step
from custom_components.netsapiens.delivery.timing import SLACK, QueueTiming
from tests.delivery.test_backlog import bulk
from tests.fixtures import hass_storage  # noqa: F401


class Kept(NamedTuple):
    """A message, and what keeps it."""

    entry: QueueEntry
    outcomes: Outcomes
    persistence: Persistence


@pytest.fixture
async def kept(hass: HomeAssistant) -> Kept:
    """A message that is not on disk yet."""
    spool = Spool(hass, "account")
    await spool.async_load()
    outcomes = Outcomes(RecentSends(SLACK), HeldReports(lambda _: None, 0.0), lambda _: None, lambda _: None)
    persistence = Persistence(hass, spool, outcomes, QueueTiming(), lambda: None)
    entry = QueueEntry(bulk(1, "18585550199"), hass.loop.time() + 60, 0, Delivery())
    outcomes.count(entry)
    return Kept(entry, outcomes, persistence)


async def test_the_end_waits_for_all_that_is_being_deleted(hass: HomeAssistant, kept: Kept) -> None:
    """Also where an opt-out had it tidied once more meanwhile: what is left would be looked up at the next start."""
    entry, _, persistence = kept
    await persistence.async_persist([entry])
    genuine = SpoolFiles.discard

    def slow(files: SpoolFiles, message_ids: list[str]) -> None:
        time.sleep(0.1)
        genuine(files, message_ids)

    with patch.object(SpoolFiles, "discard", slow):
        persistence.discard(entry)
        persistence.tidy_now()
        persistence.tidy_now()
        persistence.stop()
        await persistence.async_finish()
    assert (await Spool(hass, "account").async_load()).messages == []


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_row_holds_the_baseline_from_when_its_write_began(
    hass: HomeAssistant, kept: Kept, is_known: bool
) -> None:
    """One that is counted meanwhile is not on disk: its attempt waits for another write, be the row new or not."""
    entry, outcomes, persistence = kept
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
