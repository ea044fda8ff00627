"""Texts to which the PBX gives no time that can be read: reported like all others."""

import asyncio
from datetime import UTC, datetime, timedelta

from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.api import Message, MessageSession
from custom_components.netsapiens.receiving.dated import dated
from tests.conftest import AddAccount, EntityEvents, close, recipient
from tests.helpers import until
from tests.receiving.conftest import ANN, BOB, arrive_hours_ago
from tests.simulator import Simulator

pytestmark = pytest.mark.usefixtures("quick_inbox")

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("times", ["null", "empty", "zeros", "seconds", "milliseconds", "slashes", "utc"])
@pytest.mark.parametrize("newest_first", [True, False])
async def test_each_is_reported_once(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    times: str,
    newest_first: bool,
) -> None:
    """None that was there before, none twice, and with a time that fits."""
    pbx.message_times, pbx.newest_first = times, newest_first
    await arrive_hours_ago(pbx, 7, 5, 3, numbers=(ANN, ANN, BOB))
    await pbx.receive(from_number=BOB, text="History")
    entry = await add_account(recipient("Ann", ANN), recipient("Bob", BOB))
    await until(entry.runtime_data.poller.ready.is_set)
    for text in ("First", "Second"):
        await pbx.receive(from_number=ANN, text=text)
        await until(lambda text=text: entity_events.texts()[-1:] == [text])
        stamp = datetime.fromisoformat(entity_events.events[-1][1]["timestamp"])
        assert abs(stamp - pbx.now()) < timedelta(seconds=10)
    for number in range(2):
        await pbx.receive(from_number=ANN, text=f"At once {number}")
    data = {"entity_id": "notify.bob", "message": "Out"}
    await hass.services.async_call("netsapiens", "send_message", data, blocking=True)
    await pbx.receive(from_number=BOB, text="Reply")
    await until(lambda: len(entity_events.texts()) == 5)
    await close(hass, entry)
    await pbx.receive(from_number=ANN, text="Missed")
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entity_events.texts()[-1:] == ["Missed"])
    await asyncio.sleep(0.3)
    found = entity_events.texts()
    assert sorted(found) == ["At once 0", "At once 1", "First", "Missed", "Reply", "Second"]


def row(text: str, at: datetime | None) -> Message:
    """A message as listed."""
    return Message.from_row({"text": text, "timestamp": at and at.isoformat(), "from-number": ANN, "type": "sms"})


@given(st.lists(st.one_of(st.none(), st.integers(0, 3600)), min_size=1), st.booleans())
def test_times_of_neighbours(ages: list[int | None], is_listed: bool) -> None:
    """Each message has a time, and those with one keep it; the order is the list's where times do not contradict."""
    times = sorted([age for age in ages if age is not None], reverse=True)
    rows = [
        row(f"{number}", None if age is None else NOW - timedelta(seconds=times.pop(0)))
        for number, age in enumerate(ages)
    ]
    last = NOW + timedelta(seconds=1) if is_listed else None
    session = MessageSession("s", (ANN,), "1", last, rows[-1].text, ANN)
    found = dated(session, rows, NOW)
    assert [one.row for one in found] == rows
    assert all(one.at == one.row.time for one in found if one.row.time is not None)
    assert [one.is_guess for one in found[:-1]] == [one.row.time is None for one in found[:-1]]
    assert found[-1].is_guess == (rows[-1].time is None and not is_listed)
