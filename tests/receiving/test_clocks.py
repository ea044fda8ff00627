"""Clocks and zones of the PBX that are wrong, jump, or are not UTC: nothing is lost, and nothing is reported twice."""

import asyncio
from datetime import UTC, datetime, timedelta

from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.api import Message, MessageSession
from custom_components.netsapiens.api.clock import PbxClock
from custom_components.netsapiens.api.naive_times import NaiveTimes
from custom_components.netsapiens.diagnostics import async_get_config_entry_diagnostics
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.delivery.test_queue import send, texts
from tests.helpers import until
from tests.receiving.conftest import arrive_hours_ago
from tests.receiving.test_poller import ANN, BOB, MESSAGES, hass_storage, let_pass  # noqa: F401
from tests.simulator import FaultKind, Simulator

pytestmark = pytest.mark.usefixtures("quick_inbox")

HOUR = 3600.0
ZONES = [-5 * HOUR, -HOUR, HOUR, 5 * HOUR, 5.75 * HOUR, 10.5 * HOUR, -3.5 * HOUR]
WRONG = [5 * HOUR, 2 * 24 * HOUR, -26 * HOUR, -56 * 365 * 24 * HOUR]


# --- bare times in another zone ------------------------------------------------------


@pytest.mark.parametrize("zone", ZONES)
async def test_bare_times_in_another_zone(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
    zone: float,
) -> None:
    """A PBX that writes times without a zone is understood after a few texts."""
    pbx.bare_offset = zone
    await pbx.receive(from_number=BOB, text="History")
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    for text in ("First", "Second", "Third"):
        await pbx.receive(from_number=ANN, text=text)
        await until(lambda text=text: entity_events.texts()[-1:] == [text])
        stamp = datetime.fromisoformat(hass.states.get(MESSAGES).attributes["timestamp"])
        assert abs(stamp - pbx.now()) < timedelta(seconds=10)
    await pbx.receive(from_number="18585550177", text="Another")
    await until(lambda: len(entity_events.texts()) == 4)
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["First", "Second", "Third", "Another"]
    assert caplog.text.count("lists times without a zone") == 1
    found = await async_get_config_entry_diagnostics(hass, entry)
    hours, minutes = divmod(abs(zone) / 60, 60)
    assert found["pbx"]["bare_times_from_utc"] == f"{'-' if zone < 0 else '+'}{hours:02.0f}:{minutes:02.0f}"


@pytest.mark.parametrize("zone", [-5 * HOUR, 5.75 * HOUR])
async def test_a_restart_in_another_zone_tells_nothing_twice(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, zone: float
) -> None:
    """What was learned of the zone is not needed for that."""
    pbx.bare_offset = zone
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Before")
    await until(lambda: entity_events.texts() == ["Before"])
    await hass.config_entries.async_unload(entry.entry_id)
    await pbx.receive(from_number=ANN, text="Missed")
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entity_events.texts() == ["Before", "Missed"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Before", "Missed"]


async def test_the_end_of_summer(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """When its clock goes back an hour, nothing is lost or reported twice."""
    pbx.bare_offset = -4 * HOUR
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    for number in range(3):
        await pbx.receive(from_number=(ANN, BOB)[number % 2], text=f"Summer {number}")
        await until(lambda number=number: len(entity_events.texts()) == number + 1)
    bare = entry.runtime_data.coordinator.api.naive_times
    assert bare.offset == timedelta(hours=-4)
    pbx.bare_offset = -5 * HOUR
    for number in range(3):
        await pbx.receive(from_number=(ANN, BOB)[number % 2], text=f"Winter {number}")
        await until(lambda number=number: len(entity_events.texts()) == number + 4)
    await asyncio.sleep(0.3)
    assert len(entity_events.texts()) == 6
    assert bare.offset == timedelta(hours=-5)


@pytest.mark.parametrize("zone", [-5 * HOUR, HOUR, 5.75 * HOUR])
@pytest.mark.parametrize("arrives", [True, False])
async def test_sends_are_reconciled_in_another_zone(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, zone: float, arrives: bool
) -> None:
    """A lost answer costs no second text there either."""
    pbx.bare_offset = zone
    await add_account(options={"from_number": pbx.numbers[0], "incoming": "off"})
    await send(hass, "Other")
    pbx.fault(FaultKind.DROP_AFTER if arrives else FaultKind.DROP_BEFORE, path="/messages", method="POST")
    await send(hass, "Alarm")
    await asyncio.sleep(1)
    await until(lambda: hass.states.get("sensor.1001_acme_example_queued_messages").state == "0", within=20)
    assert texts(pbx) == ["Other", "Alarm"]


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def row(text: str, bare: datetime, sender: str = ANN) -> Message:
    """A message as listed."""
    return Message.from_row(
        {
            "text": text,
            "timestamp": f"{bare:%Y-%m-%d %H:%M:%S}",
            "direction": "orig",
            "type": "sms",
            "from-number": sender,
        }
    )


def session(text: str, at: datetime, session_id: str = "a", sender: str = ANN) -> MessageSession:
    """A conversation as listed."""
    return MessageSession.from_row(
        {
            "messagesession-id": session_id,
            "messagesession-last-datetime": at.isoformat(),
            "messagesession-last-message": text,
            "messagesession-last-sender": sender,
        }
    )


@given(st.integers(-14 * 4, 14 * 4), st.lists(st.text(), min_size=2, max_size=6))
def test_any_zone_is_learned(quarters: int, said: list[str]) -> None:
    """To the quarter of an hour, from what comes in."""
    bare, zone = NaiveTimes(PbxClock()), timedelta(minutes=15 * quarters)
    rows: list[Message] = []
    for number, text in enumerate(said):
        at = NOW + timedelta(seconds=61 * number)
        rows.insert(0, row(text, at + zone))
        bare.learn([session(text, at)])
        found = bare.corrected("a", rows, is_first_page=True)
        assert found[0].time == at
        assert found[0].bare_time == at + zone
    assert (bare.offset, bare.is_confirmed) == (zone, True)


@pytest.mark.parametrize(
    "listed",
    [
        session("Other words", NOW),
        session("Alarm", NOW, sender=BOB),
        session("Alarm", NOW + timedelta(minutes=7)),  # no zone differs so
        session("Alarm", NOW + timedelta(hours=15)),
        session("Alarm", NOW, session_id="b"),
    ],
)
def test_what_tells_nothing_of_the_zone(listed: MessageSession) -> None:
    """What may be old or another message is no evidence."""
    bare = NaiveTimes(PbxClock())
    bare.learn([listed])
    assert bare.corrected("a", [row("Alarm", NOW - timedelta(hours=5))], is_first_page=True)[0].time == NOW - timedelta(
        hours=5
    )
    assert not bare._evidence


def test_an_equal_text_of_a_quarter_of_an_hour_ago_is_no_zone() -> None:
    """The conversation was listed before the newest message came."""
    bare = NaiveTimes(PbxClock())
    for number in range(3):
        bare.learn([session("Alarm", NOW + timedelta(minutes=15 * number))])
        rows = [row("Alarm", NOW + timedelta(minutes=15 * before)) for before in range(number + 2)][::-1]
        assert bare.corrected("a", rows, is_first_page=True) == rows
    assert bare.offset == timedelta(0)


def test_times_with_a_zone_are_left_alone() -> None:
    """A time that says its zone needs no help."""
    bare = NaiveTimes(PbxClock())
    with_zone = Message.from_row({"text": "x", "timestamp": "2026-01-02T03:04:05-05:00", "from-number": ANN})
    for number in range(2):
        at = NOW + timedelta(minutes=number)
        bare.learn([session(f"Text {number}", at, f"s{number}")])
        bare.corrected(f"s{number}", [row(f"Text {number}", at - timedelta(hours=5))], is_first_page=True)
    assert bare.offset == timedelta(hours=-5)
    assert bare.corrected("x", [with_zone, row("y", NOW)], is_first_page=False) == [
        with_zone,
        Message.from_row(
            {"text": "y", "timestamp": "2026-01-02 03:04:05", "direction": "orig", "type": "sms", "from-number": ANN}
        ).__replace__(time=NOW + timedelta(hours=5)),
    ]


# --- a clock that is wrong, or jumps ---------------------------------------------------


@pytest.mark.parametrize("wrong", WRONG)
async def test_one_wrong_date_tells_nothing_again(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    wrong: float,
) -> None:
    """A proxy's wrong date moves neither checkpoint nor events."""
    for text in ("One", "Two"):
        await pbx.receive(from_number=ANN, text=text)
        await until(lambda text=text: entity_events.texts()[-1:] == [text])
    until_before = looking.runtime_data.poller.checkpoint.until
    for _ in range(3):
        fault = pbx.fault(FaultKind.WRONG_DATE, path="messagesessions", seconds=wrong, times=1)
        await until(lambda fault=fault: fault.struck == 1)
        await pbx.receive(from_number=BOB, text="Meanwhile")
        await asyncio.sleep(0.3)
    await until(lambda: len(entity_events.texts()) == 5)
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["One", "Two", "Meanwhile", "Meanwhile", "Meanwhile"]
    assert looking.runtime_data.poller.checkpoint.until >= until_before


@pytest.mark.parametrize("wrong", WRONG)
async def test_the_very_first_date_is_wrong(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    wrong: float,
) -> None:
    """Neither does one at the start, when nothing else is known."""
    await arrive_hours_ago(pbx, 20, 2, numbers=("18585550120", "18585550102"))
    await asyncio.sleep(0.3)
    await pbx.receive(from_number=ANN, text="Seen")
    await until(lambda: entity_events.texts()[-1:] == ["Seen"])
    before = entity_events.texts()
    await hass.config_entries.async_unload(looking.entry_id)
    await pbx.receive(from_number=ANN, text="Missed")
    pbx.fault(FaultKind.WRONG_DATE, path="/tokens", seconds=wrong, times=1)
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts()[-1:] == ["Missed"])
    await asyncio.sleep(0.4)
    assert entity_events.texts() == [*before, "Missed"]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("arrives", [True, False])
async def test_one_wrong_date_before_a_send_sends_it_once(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, wrong: float, arrives: bool
) -> None:
    """A lost answer after a wrong date costs no second text."""
    await add_account(options={"from_number": pbx.numbers[0], "incoming": "off"})
    await send(hass, "Alarm")
    await asyncio.sleep(2.1)
    pbx.fault(FaultKind.WRONG_DATE, path="/messages", method="POST", seconds=wrong, times=1)
    await send(hass, "Other")
    pbx.fault(FaultKind.DROP_AFTER if arrives else FaultKind.DROP_BEFORE, path="/messages", method="POST")
    await send(hass, "Alarm")
    await asyncio.sleep(1)
    await until(lambda: hass.states.get("sensor.1001_acme_example_queued_messages").state == "0", within=20)
    assert texts(pbx) == ["Alarm", "Other", "Alarm"]


@pytest.mark.parametrize("jump", [2 * 24 * HOUR, -HOUR, -26 * HOUR])
async def test_a_jump_that_holds_is_followed(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    jump: float,
) -> None:
    """What came in before is not reported again, and what comes in then is."""
    await pbx.receive(from_number=ANN, text="Before")
    await until(lambda: entity_events.texts() == ["Before"])
    clock, poller = looking.runtime_data.coordinator.api.clock, looking.runtime_data.poller
    pbx.clock_offset = jump
    await pbx.receive(from_number="18585550177", text="At once")
    await until(lambda: clock._others >= 3)
    assert clock.jumped == 0
    while not clock.jumped:
        let_pass(pbx, looking, 200)
        await asyncio.sleep(0.5)
    assert clock.jumped == pytest.approx(jump, abs=3)
    await until(lambda: "At once" in entity_events.texts())
    await pbx.receive(from_number=BOB, text="After")
    await until(lambda: entity_events.texts()[-1:] == ["After"])
    assert abs(poller.checkpoint.until - pbx.now()) < timedelta(seconds=10)
    pbx.clock_offset -= jump
    while abs(clock.jumped) > 3:
        let_pass(pbx, looking, 200)
        await asyncio.sleep(0.5)
    await pbx.receive(from_number=BOB, text="Right again")
    await until(lambda: entity_events.texts()[-1:] == ["Right again"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Before", "At once", "After", "Right again"]


async def test_a_doubt_may_last_long(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
) -> None:
    """What came in after the clock was set back is reported, however late that is believed."""
    clock = looking.runtime_data.coordinator.api.clock
    await pbx.receive(from_number=ANN, text="Before")
    await until(lambda: entity_events.texts() == ["Before"])
    pbx.clock_offset = -HOUR
    await pbx.receive(from_number="18585550177", text="At once")
    for _ in range(8):
        await until(lambda: clock.is_doubted)
        before = len(pbx.requests_to("/messagesessions"))
        clock._other_since = clock.monotonic()  # as where answers come seldom
        let_pass(pbx, looking, 170)
        await until(lambda before=before: len(pbx.requests_to("/messagesessions")) >= before + 3)
        assert clock.jumped == 0
    while not clock.jumped:
        let_pass(pbx, looking, 60)
        await asyncio.sleep(0.3)
    await until(lambda: "At once" in entity_events.texts())
    assert entity_events.texts() == ["Before", "At once"]
