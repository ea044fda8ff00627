"""A PBX that lists no time with its zone, neither of messages nor of conversations, as in the vendor's own examples."""

import asyncio
from datetime import UTC, datetime, timedelta

from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.api import MessageSession
from custom_components.netsapiens.api.clock import PbxClock
from custom_components.netsapiens.api.naive_times import NaiveTimes
from tests.conftest import AddAccount, EntityEvents, close, recipient
from tests.delivery.test_queue import send, texts
from tests.helpers import until
from tests.receiving.conftest import ANN, BOB, arrive_hours_ago
from tests.receiving.test_poller import hass_storage  # noqa: F401
from tests.simulator import FaultKind, Simulator

pytestmark = pytest.mark.usefixtures("quick_inbox")

HOUR = 3600.0
ZONES = [-8 * HOUR, -5 * HOUR, 0.0, HOUR, 5.75 * HOUR]
CAROL = "18585550177"


def bare_in(pbx: Simulator, zone: float) -> None:
    """Have the PBX list all times without a zone."""
    pbx.key_suffix, pbx.bare_offset = "timestamp", zone


async def arrive(pbx: Simulator, sender: str, text: str) -> None:
    """Let a text come in a second later."""
    pbx.clock_offset += 1
    await pbx.receive(from_number=sender, text=text)


def reads(pbx: Simulator) -> list[str]:
    """The conversations that were read."""
    return [request.path for request in pbx.requests if request.path.endswith("/messages")]


def assert_now(pbx: Simulator, entity_events: EntityEvents) -> None:
    """Assert that the last event has the time of now."""
    stamp = datetime.fromisoformat(entity_events.events[-1][1]["timestamp"])
    assert abs(stamp - pbx.now()) < timedelta(seconds=10)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("sends", [True, False])
async def test_each_text_is_reported_with_its_time(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, zone: float, sends: bool
) -> None:
    """From the first one on, and none that was there before."""
    bare_in(pbx, zone)
    await arrive_hours_ago(pbx, 30, 7, 4, 2, numbers=(ANN, BOB))
    await pbx.receive(from_number=CAROL, text="History")
    entry = await add_account(recipient("Ann", ANN), recipient("Bob", BOB))
    await until(entry.runtime_data.poller.ready.is_set)
    for number in range(4):
        if sends:
            data = {"entity_id": "notify.ann", "message": f"Out {number}"}
            await hass.services.async_call("netsapiens", "send_message", data, blocking=True)
        await pbx.receive(from_number=(ANN, BOB, CAROL)[number % 3], text=f"Text {number}")
        await until(lambda number=number: entity_events.texts()[-1:] == [f"Text {number}"])
        assert_now(pbx, entity_events)
    await asyncio.sleep(0.3)
    assert entity_events.texts() == [f"Text {number}" for number in range(4)]
    assert entry.runtime_data.coordinator.api.naive_times.zone == timedelta(seconds=zone)


@pytest.mark.parametrize("zone", [-5 * HOUR, HOUR])
@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("is_new", [True, False])
async def test_a_restart(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    zone: float,
    before: int,
    is_new: bool,
) -> None:
    """Nothing is lost in between and nothing reported twice, whether the zone was known by then or not."""
    bare_in(pbx, zone)
    await arrive_hours_ago(pbx, 30, 3, numbers=(BOB, ANN))
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    for number in range(before):
        await arrive(pbx, ANN, f"Text {number}")
        await until(lambda number=number: entity_events.texts()[-1:] == [f"Text {number}"])
    reported = entity_events.texts()
    await close(hass, entry)
    await arrive(pbx, CAROL if is_new else ANN, "Missed")
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entity_events.texts()[-1:] == ["Missed"])
    await arrive(pbx, ANN, "After")
    await until(lambda: entity_events.texts()[-1:] == ["After"])
    assert_now(pbx, entity_events)
    await asyncio.sleep(0.3)
    assert entity_events.texts() == [*reported, "Missed", "After"]


async def test_a_pbx_without_conversations_is_restarted(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """The very first text is reported as well."""
    bare_in(pbx, -5 * HOUR)
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    await close(hass, entry)
    await pbx.receive(from_number=ANN, text="Missed")
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entity_events.texts() == ["Missed"])


@pytest.mark.parametrize("change", [HOUR, -HOUR])
async def test_a_summer_that_begins_or_ends(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, change: float
) -> None:
    """Neither an old conversation nor a new one loses a text by it."""
    bare_in(pbx, -5 * HOUR)
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    for number, sender in enumerate((ANN, BOB, ANN)):
        await pbx.receive(from_number=sender, text=f"Before {number}")
        await until(lambda number=number: len(entity_events.texts()) == number + 1)
    pbx.bare_offset += change
    for number, sender in enumerate((ANN, CAROL, BOB)):
        await pbx.receive(from_number=sender, text=f"After {number}")
        await until(lambda number=number: len(entity_events.texts()) == number + 4)
        assert_now(pbx, entity_events)
    await asyncio.sleep(0.3)
    assert len(entity_events.texts()) == 6
    assert entry.runtime_data.coordinator.api.naive_times.offset == timedelta(seconds=-5 * HOUR + change)


@pytest.mark.parametrize("zone", [-5 * HOUR, 5 * HOUR])
async def test_nothing_is_read_again(
    pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, zone: float
) -> None:
    """Conversations that do not change cost nothing, before the zone is known and when it gets known."""
    bare_in(pbx, zone)
    await arrive_hours_ago(pbx, *range(12, 2, -1), numbers=[f"185855502{number:02}" for number in range(10)])
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    await asyncio.sleep(0.5)
    assert len(reads(pbx)) <= 1
    for number in range(3):
        await pbx.receive(from_number=ANN, text=f"Text {number}")
        await until(lambda number=number: len(entity_events.texts()) == number + 1)
    assert len(set(reads(pbx))) <= 2


@pytest.mark.parametrize("zone", [-5 * HOUR, HOUR])
@pytest.mark.parametrize("incoming", ["poll", "off"])
async def test_a_lost_answer_costs_no_second_text(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, zone: float, incoming: str
) -> None:
    """Where nothing tells of the zone, it is not sent again."""
    bare_in(pbx, zone)
    entry = await add_account(options={"from_number": pbx.numbers[0], "incoming": incoming})
    if incoming == "poll":
        await until(entry.runtime_data.poller.ready.is_set)
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    await send(hass, "Alarm")
    await asyncio.sleep(3)
    assert texts(pbx) == ["Alarm"]


# --- what the PBX's clock tells of the zone ------------------------------------------

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Lists:
    """A PBX's list of conversations, as it is read again and again."""

    def __init__(self, zone: timedelta) -> None:
        self.at = 0.0
        self.zone = zone
        self.clock = PbxClock(lambda: self.at, lambda: self.at + NOW.timestamp())
        self.learned = NaiveTimes(self.clock)
        self.times = {f"old{hour}": NOW - timedelta(hours=hour, minutes=7) for hour in range(1, 30)}

    def read(self, after: float) -> dict[str, datetime | None]:
        """Read the list after some seconds."""
        self.at += after
        self.clock.note(NOW + timedelta(seconds=int(self.at)), self.at)
        rows = [self._row(name, at) for name, at in self.times.items()]
        return {row.id: row.last_time for row in self.learned.learn(rows, is_whole_page=True)}

    def _row(self, name: str, at: datetime) -> MessageSession:
        listed = f"{at + self.zone:%Y-%m-%d %H:%M:%S}"
        return MessageSession.from_row({"messagesession-id": name, "messagesession-last-timestamp": listed})


quarters = st.integers(-14 * 4, 14 * 4).map(lambda number: timedelta(minutes=15 * number))
gaps = st.lists(st.floats(1.0, 600.0), min_size=2, max_size=6)


@given(quarters, gaps, st.integers(0, 20))
def test_any_zone_is_learned_from_what_changes(zone: timedelta, waits: list[float], lag: int) -> None:
    """To the quarter of an hour, from the first message on; two of them confirm it."""
    lists = Lists(zone)
    lists.read(1)
    for number, wait in enumerate(waits):
        at = NOW + timedelta(seconds=int(lists.at + wait - lag))
        lists.times[f"new{number % 2}"] = at
        assert lists.read(wait)[f"new{number % 2}"] == at
    assert (lists.learned.offset, lists.learned.is_confirmed) == (zone, True)
    found = lists.read(1)
    assert found == lists.times


@given(quarters, st.integers(1, 29), gaps)
def test_an_old_message_tells_nothing(zone: timedelta, hour: int, waits: list[float]) -> None:
    """One that is the last again, as those after it were deleted, is no new one."""
    lists = Lists(zone)
    lists.times["new"] = NOW
    lists.read(1)
    lists.times["new"] = lists.times[f"old{hour}"] - timedelta(minutes=8)
    for wait in waits:
        lists.read(wait)
    assert lists.learned.zone is None
    assert not lists.learned._evidence


@pytest.mark.parametrize("zone", [timedelta(hours=-5), timedelta(hours=2)])
def test_after_a_long_time_several_zones_may_fit(zone: timedelta) -> None:
    """Then one that is known stays, and an unknown one is not guessed."""
    lists = Lists(zone)
    lists.read(1)
    lists.times["new"] = NOW + timedelta(seconds=3000)
    lists.read(3600)
    assert lists.learned.zone is None
    lists.learned.restore(zone)
    lists.times["new"] = NOW + timedelta(seconds=6000)
    assert lists.read(3600)["new"] == lists.times["new"]
    assert lists.learned.zone == zone


def test_a_doubted_clock_tells_nothing() -> None:
    """What it shows may be wrong."""
    lists = Lists(timedelta(hours=-5))
    for _ in range(4):
        lists.read(1)
    lists.clock.note(NOW + timedelta(hours=3), lists.at)
    lists.times["new"] = NOW
    rows = [lists._row(name, at) for name, at in lists.times.items()]
    lists.learned.learn(rows, is_whole_page=True)
    assert not lists.learned._evidence
