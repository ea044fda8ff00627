"""How far the poller is, where that is damaged, or was written down while a clock was wrong."""

import asyncio
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir, restore_state
from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.pbx import coordinator
from custom_components.netsapiens.receiving import inbox, receiver, store
from custom_components.netsapiens.receiving.checkpoint import Checkpoint
from custom_components.netsapiens.storage import async_set_aside
from tests.conftest import AddAccount, EntityEvents
from tests.helpers import until
from tests.receiving.conftest import arrive_hours_ago
from tests.receiving.test_poller import ANN, BOB, hass_storage, place_path, set_place  # noqa: F401
from tests.simulator import Simulator

pytestmark = pytest.mark.usefixtures("quick_inbox")

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


# --- a damaged file ------------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    """Damage a file."""
    if how == "no JSON":
        path.write_bytes(path.read_bytes()[:-20])
        return
    content = json.loads(path.read_text())
    if how == "no list":
        content["data"]["seen"] = 5
    elif how == "no time":
        content["data"]["until"] = "x"
    elif how == "the year 1":
        content["data"]["wall"] = -62135596800
    elif how == "the year 9999":
        content["data"]["ignored_until"] = 253402300000
    elif how == "no zone":
        content["data"]["zone"] = 9e10
    elif how == "no version":
        content["version"] = 0
    else:
        content["data"].pop("latest")
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "how", ["no JSON", "no list", "no time", "no key", "no zone", "no version", "the year 1", "the year 9999"]
)
async def test_a_damaged_file_loses_nothing(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    how: str,
) -> None:
    """What was missed is reported, and what the entities show as reported is not."""
    pbx.clock_offset = -25 * 3600.0
    await pbx.receive(from_number="18585550125", text="A day ago")
    pbx.clock_offset = 0.0
    for text in ("Seen", "Seen too"):
        await pbx.receive(from_number=ANN, text=text)
        await until(lambda text=text: entity_events.texts()[-1:] == [text])
    before = entity_events.texts()
    await hass.config_entries.async_unload(looking.entry_id)
    await asyncio.sleep(1.1)
    await pbx.receive(from_number=BOB, text="Missed")
    path = place_path(hass, looking)
    damage(path, how)
    damaged = path.read_bytes()
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts()[-1:] == ["Missed"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == [*before, "Missed"]
    kinds = {issue.translation_key: issue for issue in ir.async_get(hass).issues.values()}
    issue = kinds["inbox_damaged"]
    assert issue.is_fixable
    assert issue.translation_placeholders["account"] == "1001@acme.example"
    [aside] = [one for one in path.parent.glob(f"{path.name}.*") if one.read_bytes() == damaged]
    if how != "no JSON":
        assert issue.translation_placeholders["file"] == aside.name


async def test_a_damaged_file_and_a_kill_lose_nothing(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
) -> None:
    """Before the first look after it came to its end."""
    await pbx.receive(from_number=ANN, text="Seen")
    await until(lambda: entity_events.texts() == ["Seen"])
    await hass.config_entries.async_unload(looking.entry_id)
    await asyncio.sleep(1.1)
    await pbx.receive(from_number=BOB, text="Missed")
    await set_place(hass, looking, lambda _: {})
    fault = pbx.fault("hang", path="messagesessions", times=None)
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: fault.struck)
    await hass.config_entries.async_unload(looking.entry_id)
    pbx.clear_faults()
    await restore_state.async_load(hass)  # from no file: what the events showed is not known any more
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts() == ["Seen", "Missed"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Seen", "Missed"]


async def test_a_message_from_a_far_future_is_no_damage(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """What the PBX dates a message to is kept, and read again; only what clocks showed is bounded."""
    future = datetime(2150, 1, 1, tzinfo=UTC).timestamp()
    await hass.config_entries.async_unload(looking.entry_id)
    await set_place(hass, looking, lambda data: {**data, "seen": {"a": future}, "bare_until": future})
    await hass.config_entries.async_setup(looking.entry_id)
    await until(looking.runtime_data.poller.ready.is_set)
    assert [issue.translation_key for issue in ir.async_get(hass).issues.values()] == []


async def test_where_no_event_is_known_the_last_day_is_told(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
) -> None:
    """Without any knowledge nothing older than a day comes up."""
    await hass.config_entries.async_unload(looking.entry_id)
    await arrive_hours_ago(pbx, 26, 20, 1)
    await set_place(hass, looking, lambda _: {})
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts() == ["20 hours ago", "1 hours ago"])


# --- a start that fails ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "is_damaged"),
    [
        (f"{inbox.__name__}.async_load_metadata", False),
        (f"{store.__name__}.CheckpointStore.async_load", False),
        (f"{receiver.__name__}.raise_inbox_damaged", True),
        (f"{coordinator.__name__}.NetsapiensCoordinator.note_success", False),
    ],
)
async def test_a_start_that_fails_is_tried_again(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: str,
    is_damaged: bool,
) -> None:
    """It is in the log once, without its words; what came in before and meanwhile is reported."""
    await hass.config_entries.async_unload(looking.entry_id)
    await asyncio.sleep(1.1)
    await pbx.receive(from_number=BOB, text="Missed")
    if is_damaged:
        await set_place(hass, looking, lambda _: {})
    with monkeypatch.context() as patch:
        tries = fail_at(patch, part)
        await hass.config_entries.async_setup(looking.entry_id)
        await until(lambda: len(tries) == 1)
        await pbx.receive(from_number=BOB, text="Meanwhile")
        if not is_damaged:  # else the file is set aside by now, and the second try goes on without it
            await until(lambda: len(tries) > 5)
    await until(lambda: entity_events.texts() == ["Missed", "Meanwhile"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Missed", "Meanwhile"]
    assert caplog.text.count("Unexpected error while polling for messages") == 1
    assert ("Messages cannot be read, which is tried again: RuntimeError" in caplog.text) is not is_damaged
    assert "RuntimeError: oops" not in caplog.text


async def test_a_very_first_start_that_fails_makes_no_history(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What comes in until it succeeds is reported."""
    await pbx.receive(from_number=BOB, text="History")
    await asyncio.sleep(1.1)
    with monkeypatch.context() as patch:
        tries = fail_at(patch, f"{inbox.__name__}.async_load_metadata")
        await add_account()
        await until(lambda: bool(tries))
        await asyncio.sleep(1.1)
        await pbx.receive(from_number=BOB, text="Meanwhile")
    await until(lambda: entity_events.texts() == ["Meanwhile"])


async def test_a_stop_while_a_damaged_file_is_replaced(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new one follows all the same, or the next start would take for history what was missed."""
    await hass.config_entries.async_unload(looking.entry_id)
    await asyncio.sleep(1.1)
    await pbx.receive(from_number=BOB, text="Missed")
    await set_place(hass, looking, lambda _: {})
    is_set_aside, may_go_on = asyncio.Event(), asyncio.Event()

    async def set_aside(hass: HomeAssistant, path: Path) -> str:
        name = await async_set_aside(hass, path)
        is_set_aside.set()
        await may_go_on.wait()
        return name

    with monkeypatch.context() as patch:
        patch.setattr(store, "async_set_aside", set_aside)
        await hass.config_entries.async_setup(looking.entry_id)
        await is_set_aside.wait()
        unloading = hass.async_create_task(hass.config_entries.async_unload(looking.entry_id))
        await asyncio.sleep(0.1)
        may_go_on.set()
        assert await unloading
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts() == ["Missed"])


def fail_at(patch: pytest.MonkeyPatch, part: str) -> list[None]:
    """Let a part fail from now on; return a list that grows with each try."""
    tries: list[None] = []

    def fail(*_: object, **__: object) -> None:
        tries.append(None)
        raise RuntimeError("oops")

    patch.setattr(part, fail)
    return tries


# --- the checkpoint ------------------------------------------------------------------


@given(st.lists(st.integers(-(10**6), 10**6)))
def test_it_never_goes_back(steps: list[int]) -> None:
    """Whatever times are noted."""
    place, highest = Checkpoint(NOW), NOW
    for step in steps:
        place.reach(NOW + timedelta(seconds=step), NOW)
        highest = max(highest, NOW + timedelta(seconds=step))
        assert place.until == highest


def test_it_goes_with_a_clock_that_was_set() -> None:
    """What was noted by the old time means the same by the new one."""
    place = Checkpoint(NOW, {"a": NOW}, ignored_until=NOW - HOUR)
    place.move(48 * HOUR)
    assert (place.until, place.seen, place.ignored_until) == (NOW + 48 * HOUR, {"a": NOW + 48 * HOUR}, NOW + 47 * HOUR)
    place.move(-48 * HOUR)
    assert (place.until, place.seen) == (NOW, {"a": NOW + 48 * HOUR})  # remembered for longer than need be


@pytest.mark.parametrize(
    ("until_", "wall", "now", "ours", "mended"),
    [
        (NOW, NOW, NOW + HOUR, NOW + HOUR, NOW),  # as usual
        (NOW, NOW + 48 * HOUR, NOW + HOUR, NOW + 49 * HOUR, NOW),  # the PBX's clock is two days late, now as then
        (datetime.fromtimestamp(9, UTC), NOW, NOW + HOUR, NOW + HOUR, NOW),  # it was, and is not
        (NOW + 48 * HOUR, NOW, NOW + HOUR, NOW + HOUR, NOW),  # it was ahead
        (NOW + 48 * HOUR, NOW, NOW + HOUR, NOW - 99 * HOUR, NOW + HOUR),  # and ours is of no help
        (NOW, NOW + 48 * HOUR, NOW + HOUR, NOW + HOUR, NOW),  # ours was ahead, and is not
        (NOW, NOW, NOW + HOUR, NOW, NOW),  # ours stood still while it was off
        (NOW, NOW, NOW - HOUR / 2, NOW + HOUR / 2, NOW - HOUR),  # the PBX's was set back while it was off
        (NOW, NOW, NOW - HOUR / 4, NOW + HOUR / 2, NOW - 3 * HOUR / 4),
    ],
)
def test_what_was_written_down_with_a_wrong_clock(
    until_: datetime, wall: datetime, now: datetime, ours: datetime, mended: datetime
) -> None:
    """It is put right by whichever clock can be believed."""
    place = Checkpoint(until_, wall=wall)
    place.align(now, ours)
    assert place.until == mended


def test_what_is_to_come_is_not_passed_over() -> None:
    """Whatever time was written down up to which nothing is reported."""
    place = Checkpoint(NOW, wall=NOW, ignored_until=NOW + 24 * 365 * HOUR)
    place.align(NOW + HOUR, NOW + HOUR)
    assert place.ignored_until == NOW


def test_the_conversations_that_are_remembered_are_limited() -> None:
    """The file does not grow for ever; what is active stays in it."""
    place = Checkpoint(NOW)
    for number in range(1500):
        place.note_latest(f"s{number}", str(number))
        place.note_latest("s0", "newest")
    assert len(place.latest) == 1000
    assert place.latest_of("s0") == "newest"
    assert place.latest_of("s1499") == "1499"
    assert place.latest_of("s1") is None


async def test_a_place_of_1970_tells_no_history(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
) -> None:
    """It was noted while the PBX's clock was believed."""
    await hass.config_entries.async_unload(looking.entry_id)

    def of_1970(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "until": 86400.0}

    await set_place(hass, looking, of_1970)
    await arrive_hours_ago(pbx, 20, 2)
    await pbx.receive(from_number=BOB, text="Missed")
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts() == ["Missed"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Missed"]
