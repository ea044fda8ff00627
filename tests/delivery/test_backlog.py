"""A long backlog: only some of it is active, and what is urgent passes it."""

import asyncio
from datetime import timedelta
import json
import time
from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.delivery.ready import ReadyMessages
from custom_components.netsapiens.delivery.results import SentMessage
from custom_components.netsapiens.delivery.timing import QueueTiming
from custom_components.netsapiens.outgoing import OutgoingMessage
from tests.conftest import AddAccount, close
from tests.delivery.disk import spool_path
from tests.delivery.quick import set_timing
from tests.delivery.test_queue import QUEUED, hass_storage, on_disk, send, texts  # noqa: F401
from tests.helpers import until
from tests.simulator import Simulator

MANY = 40_000
OTHER = "18585550124"


@pytest.fixture(autouse=True)
def _no_debug(hass: HomeAssistant) -> None:
    """Let the loop note no traceback for each timer, as in life."""
    hass.loop.set_debug(False)


def tasks() -> int:
    """How many texts are active."""
    return sum(task.get_name() == "netsapiens message" for task in asyncio.all_tasks())


def bulk(number: int, sender: str) -> OutgoingMessage:
    """One text of many, to somebody of their own."""
    destination = (f"1858{number:07}",)
    return OutgoingMessage(destination, "sms", "Bulk", sender, f"{number:032}", None, None, "Somebody")


def test_callers_take_turns() -> None:
    """One call with many texts does not keep the others waiting."""
    ready: ReadyMessages[str] = ReadyMessages()
    for message in ("a1", "a2", "a3", "b1", "c1", "c2"):
        ready.add(message, message[0])
    ready.discard("c1", "c")
    ready.discard("b9", "b")
    ready.discard("d1", "d")
    assert [ready.pop() for _ in range(5)] == ["a1", "b1", "c2", "a2", "a3"]
    assert not ready


async def load(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Restart with many texts on disk."""
    await pbx.stop()
    await send(hass, "Bulk")
    await close(hass, entry)
    [path] = spool_path(hass, entry).glob("*.json")
    content: dict[str, Any] = json.loads(path.read_text())
    row = content["message"] | {"since": None, "known": None}
    for number in range(MANY):
        one = {"number": number, "destination": [f"1858{number:07}"], "messagesession": f"{number:032}"}
        path.with_name(f"{number:012}.json").write_text(json.dumps({**content, "message": row | one}))
    await pbx.start()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: texts(pbx))


async def test_an_alarm_passes_what_was_kept(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Of 40,000 texts from before a restart only some are active, and a new one goes ahead."""
    await load(hass, pbx, entry)
    assert entry.runtime_data.queue.queued > MANY - 1000
    assert tasks() <= QueueTiming().active
    before = len(texts(pbx))
    assert (await send(hass, "Alarm", destination=OTHER))["status"] == "sent"
    assert texts(pbx).index("Alarm") - before <= 40  # the burst that is under way, and turns
    started = time.monotonic()
    await close(hass, entry)
    assert time.monotonic() - started < 30
    assert len(on_disk(hass, entry)) + len(texts(pbx)) >= MANY


async def test_an_alarm_passes_one_call(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """So it does past one call with 40,000 texts, each of which has an answer in the end."""
    entry = await add_account(options={"from_number": pbx.numbers[0], "hourly_limit": 0})
    queue = entry.runtime_data.queue
    messages = [bulk(number, pbx.numbers[0]) for number in range(MANY)]
    call = asyncio.create_task(queue.async_send(messages, timedelta(hours=1)))
    await until(lambda: len(texts(pbx)) >= 5)
    assert tasks() <= QueueTiming().active
    before = len(texts(pbx))
    assert (await send(hass, "Alarm", destination=OTHER))["status"] == "sent"
    assert texts(pbx).index("Alarm") - before <= 40
    await close(hass, entry)
    answers = await call
    assert {answer.status for answer in answers if isinstance(answer, SentMessage)} == {"sent", "queued"}
    assert len(answers) == MANY


async def test_single_texts_of_an_outage_are_not_all_active(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Each passes the backlog while its caller waits, and is of the backlog from then on."""
    set_timing(hass, active=5, answer_within=0.3)
    entry = await add_account()
    await pbx.stop()
    calls = [send(hass, f"Text {number}", destination=f"1858555{number:04}") for number in range(30)]
    assert {row["status"] for row in await asyncio.gather(*calls)} == {"queued"}
    await until(lambda: tasks() <= 5)
    assert hass.states.get(QUEUED).state == "30"
    await pbx.start()
    entry.runtime_data.coordinator.throttle.hurry()
    await until(lambda: hass.states.get(QUEUED).state == "0", within=60)
    assert sorted(texts(pbx)) == sorted(f"Text {number}" for number in range(30))
