"""More than one poll can take: reported as it is read, and neither memory nor the event loop goes with it."""

import asyncio
from collections import Counter
from copy import replace
import json
import threading

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.api import MessageAPI, answers, transport
from custom_components.netsapiens.diagnostics import async_get_config_entry_diagnostics
from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from custom_components.netsapiens.receiving import reader as reader_module
from custom_components.netsapiens.receiving.timing import RECEIVING_TIMING, ReceivingTiming
from tests.conftest import EntityEvents
from tests.delivery.test_queue import crash
from tests.helpers import until
from tests.receiving.test_poller import ANN, hass_storage, place_path  # noqa: F401
from tests.simulator import FaultKind, Simulator

pytestmark = pytest.mark.usefixtures("quick_inbox")


async def arrive(pbx: Simulator, conversations: int, each: int = 1, text: str = "") -> list[str]:
    """Let messages of many conversations come in, the oldest first."""
    texts = []
    for number in range(each):
        for sender in range(conversations):
            texts.append(f"{text}{sender}:{number}")
            await pbx.receive(from_number=f"1858555{sender:04}", text=texts[-1])
    return texts


@pytest.fixture
async def off(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> MockConfigEntry:
    """An account that is not loaded, so that what comes in is news at its next start."""
    await hass.config_entries.async_unload(looking.entry_id)
    return looking


async def test_messages_are_told_as_they_are_read(
    hass: HomeAssistant, pbx: Simulator, off: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Nobody waits for all of a flood to be read."""
    texts = await arrive(pbx, 60, each=2)
    pbx.fault(FaultKind.SLOW, path="/messages", seconds=0.05, times=None)
    await hass.config_entries.async_setup(off.entry_id)
    await until(entity_events.texts)
    reads = len(pbx.requests_to("/messages"))
    assert reads < 40
    assert off.runtime_data.poller.checkpoint.until < pbx.now()
    await until(lambda: len(entity_events.texts()) == 120, within=30)
    assert sorted(entity_events.texts()) == sorted(texts)
    for sender in range(60):
        assert [text for text in entity_events.texts() if text.startswith(f"{sender}:")] == [
            f"{sender}:0",
            f"{sender}:1",
        ]


async def test_a_kill_while_they_are_read_loses_none(
    hass: HomeAssistant, pbx: Simulator, off: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What was read before the kill is known, and the rest follows."""
    texts = await arrive(pbx, 40)
    until_before = json.loads(place_path(hass, off).read_text())["data"]["until"]
    for kills in range(1, 4):
        pbx.clear_faults()
        pbx.fault(FaultKind.SLOW, path="/messages", seconds=0.05, times=None)
        await hass.config_entries.async_setup(off.entry_id)
        await until(lambda kills=kills: len(entity_events.texts()) >= 6 * kills)
        await crash(hass, off)
        assert json.loads(place_path(hass, off).read_text())["data"]["until"] == until_before
    pbx.clear_faults()
    await hass.config_entries.async_setup(off.entry_id)
    await until(lambda: len(entity_events.texts()) >= 40)
    await asyncio.sleep(0.3)
    assert Counter(entity_events.texts()) == Counter(texts)


async def test_what_one_look_reads_is_limited(
    hass: HomeAssistant,
    pbx: Simulator,
    off: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next poll follows at once, and each message is reported once."""
    monkeypatch.setattr(reader_module, "MOST_ROWS", 10)
    hass.data[THROTTLE_TIMING] = ThrottleTiming(rate=RateLimit(per_second=1000.0))
    hass.data[RECEIVING_TIMING] = ReceivingTiming(replace(hass.data[RECEIVING_TIMING].poll, interval=30.0))
    texts = await arrive(pbx, 30)
    await hass.config_entries.async_setup(off.entry_id)
    await until(lambda: len(entity_events.texts()) == 30)
    await asyncio.sleep(0.3)
    assert sorted(entity_events.texts()) == sorted(texts)
    found = await async_get_config_entry_diagnostics(hass, off)
    assert found["poller"]["cut_polls"] >= 2
    assert found["poller"]["rows_last_poll"] <= 11


async def test_a_first_look_that_is_limited_tells_no_history(
    hass: HomeAssistant,
    pbx: Simulator,
    off: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many looks the first one takes."""
    monkeypatch.setattr(reader_module, "MOST_ROWS", 5)
    hass.data[THROTTLE_TIMING] = ThrottleTiming(rate=RateLimit(per_second=1000.0))
    place_path(hass, off).unlink()
    await arrive(pbx, 20)
    await asyncio.sleep(1.1)
    await hass.config_entries.async_setup(off.entry_id)
    poller = off.runtime_data.poller
    await until(lambda: poller.checkpoint is not None and poller.inbox.cut_polls > 2 and not poller.inbox._history)
    await asyncio.sleep(1.1)
    await pbx.receive(from_number=ANN, text="New")
    await until(entity_events.texts)
    assert entity_events.texts() == ["New"]


async def test_a_long_text_is_read_in_small_pages(
    hass: HomeAssistant,
    pbx: Simulator,
    off: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page of a thousand of them would be too large to be taken."""
    monkeypatch.setattr(transport, "MAX_ANSWER", 1024 * 1024)
    texts = await arrive(pbx, 1, each=150, text="x" * 4000)
    await hass.config_entries.async_setup(off.entry_id)
    await until(lambda: len(entity_events.texts()) == 150)
    assert entity_events.texts() == texts


async def test_no_text_is_kept(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
) -> None:
    """What is remembered of messages is not what they say."""
    poller = looking.runtime_data.poller
    await arrive(pbx, 5)
    await until(lambda: len(entity_events.texts()) == len(poller.inbox._known) == 5)
    assert {type(known) for known in poller.inbox._known.values()} == {int}
    bare = looking.runtime_data.coordinator.api.naive_times
    assert {type(last.text) for last in bare._last.values()} == {int}


async def test_what_is_no_longer_listed_is_not_remembered(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
) -> None:
    """What is remembered does not grow for ever."""
    inbox = looking.runtime_data.poller.inbox
    await arrive(pbx, 5)
    await until(lambda: len(entity_events.texts()) == len(inbox._known) == 5)
    pbx.mailbox.sessions.clear()
    await until(lambda: not inbox._known)


async def test_rows_beyond_the_most_are_left_out(pbx: Simulator, looking: MockConfigEntry) -> None:
    """A list of any length takes a limited time."""
    api = looking.runtime_data.coordinator.api
    rows = json.dumps([{"messagesession-id": str(number)} for number in range(5000)])
    pbx.fault(FaultKind.BODY, path="/messagesessions", body=rows, times=None)
    assert len(await MessageAPI(api).get_messagesessions()) == 1000
    assert len(await MessageAPI(api).get_messages("x")) == 1000


@pytest.mark.parametrize(("size", "in_loop"), [(1000, True), (300 * 1024, False)])
async def test_a_large_answer_is_parsed_in_a_thread(
    pbx: Simulator,
    looking: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    in_loop: bool,
) -> None:
    """It does not block the event loop; a small one does not cost a thread."""
    threads = []
    original = answers._parse

    def parse(status: int, headers: dict[str, str], body: bytes) -> answers.Answer:
        if body.startswith(b'[{"text": "yyy'):
            threads.append(threading.current_thread() is threading.main_thread())
        return original(status, headers, body)

    monkeypatch.setattr(answers, "_parse", parse)
    pbx.fault(FaultKind.BODY, path="/x/messages", body=json.dumps([{"text": "y" * size, "dialed": ""}]))
    [row] = await MessageAPI(looking.runtime_data.coordinator.api).get_messages("x")
    assert row.text == "y" * size
    assert threads == [in_loop]
