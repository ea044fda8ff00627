"""Texts that wait for somebody who wants none any more."""

import asyncio
from copy import replace
from datetime import timedelta

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.delivery.persistence import BATCH
from custom_components.netsapiens.delivery.results import SentMessage
from tests.conftest import AddAccount
from tests.delivery.disk import Disk
from tests.delivery.test_backlog import bulk
from tests.delivery.test_queue import MESSAGES, QUEUED, _quick, crash, hass_storage, on_disk, send, texts  # noqa: F401
from tests.helpers import until
from tests.simulator import FaultKind, Simulator

ANN, BOB = "18585550123", "18585550124"


def refuse(entry: MockConfigEntry, number: str = ANN) -> None:
    """Let somebody opt out."""
    err = HomeAssistantError(translation_domain=DOMAIN, translation_key="stopped")
    entry.runtime_data.queue.async_refuse_waiting(lambda message: number in message.destination, err)


async def test_what_waits_for_them_is_reported_and_not_sent(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """What waits for others goes on."""
    await pbx.stop()
    await asyncio.gather(send(hass, "For Ann"), send(hass, "For Ann too"), send(hass, "For Bob", destination=BOB))
    refuse(entry)
    await until(lambda: hass.states.get(MESSAGES).attributes.get("reason") == "opted_out")
    await until(lambda: [row["text"] for row in on_disk(hass, entry)] == ["For Bob"])
    await until(lambda: hass.states.get(QUEUED).state == "1")
    await pbx.start()
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["For Bob"]


async def test_a_caller_that_waits_gets_the_error(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """It has not been answered yet, so there is no event."""
    await pbx.stop()
    call = asyncio.create_task(send(hass, "For Ann", keep_for=0))
    await asyncio.sleep(0)
    refuse(entry)
    with pytest.raises(HomeAssistantError) as raised:
        await call
    assert raised.value.translation_key in {"stopped", "cannot_connect"}
    assert hass.states.get(MESSAGES).attributes.get("reason") is None
    await pbx.start()
    assert texts(pbx) == []


async def test_it_counts_for_all_of_a_long_call(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Also for those messages of it that were not in the queue at that moment, and not for what is asked for later."""
    entry = await add_account(options={"from_number": pbx.numbers[0], "hourly_limit": 0})
    await pbx.stop()
    queue = entry.runtime_data.queue
    messages = [replace(bulk(number % 3, pbx.numbers[0]), text=f"Text {number}") for number in range(2 * BATCH)]
    call = asyncio.create_task(queue.async_send(messages, timedelta(hours=1)))
    await asyncio.sleep(0)
    refuse(entry, bulk(0, "").destination[0])
    answers = await call
    assert [isinstance(one, HomeAssistantError) for one in answers] == [number % 3 == 0 for number in range(2 * BATCH)]
    (later,) = await queue.async_send(messages[:1], timedelta(hours=1))
    assert isinstance(later, SentMessage)


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize("restarts", [False, True])
async def test_one_whose_outcome_is_unknown_is_looked_up_and_never_sent_again(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, arrived: bool, restarts: bool
) -> None:
    """Also after a kill: the row says so."""
    kind = FaultKind.DROP_AFTER if arrived else FaultKind.DROP_BEFORE
    pbx.fault(kind, path="/messages", method="POST")
    pbx.fault(FaultKind.STATUS, path="/messages", method="GET", code=503, times=None)
    assert (await send(hass, "Alarm"))["status"] == "queued"
    refuse(entry)
    assert hass.states.get(QUEUED).state == "1"
    await until(lambda: on_disk(hass, entry)[0]["refusal"])
    if restarts:
        await crash(hass, entry)
    pbx.clear_faults()
    if restarts:
        await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await until(lambda: on_disk(hass, entry) == [])
    assert texts(pbx) == (["Alarm"] if arrived else [])
    assert hass.states.get(MESSAGES).attributes.get("reason") == (None if arrived else "opted_out")
    assert (await send(hass, "For Bob", destination=BOB))["status"] == "sent"


async def test_the_refusal_is_written_whoever_asks_for_a_write_after_it(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """Behind a write that is under way, who needs no row written anew does not undo that it is."""
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    pbx.fault(FaultKind.STATUS, path="/messages", method="GET", code=503, times=None)
    assert (await send(hass, "Alarm"))["status"] == "queued"
    backlog = entry.runtime_data.queue._backlog
    disk.seconds = 0.5
    under_way = asyncio.create_task(backlog.persistence.async_persist(list(backlog), rewrite=True))
    await asyncio.sleep(0.1)
    refuse(entry)
    await backlog.persistence.async_persist(list(backlog))
    await under_way
    assert on_disk(hass, entry)[0]["refusal"]


async def test_one_that_nobody_heard_of_is_not_sent_after_a_kill(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Its failure waits on disk for a listener, as what it is."""
    await pbx.stop()
    await send(hass, "Alarm")
    entry.runtime_data.queue.async_hold_reports()
    refuse(entry)
    await until(lambda: on_disk(hass, entry)[0]["refusal"])
    await crash(hass, entry)
    await pbx.start()
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: hass.states.get(MESSAGES).attributes.get("reason") == "opted_out")
    await until(lambda: on_disk(hass, entry) == [])
    assert texts(pbx) == []
