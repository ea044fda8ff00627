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

from custom_components.netsapiens.receiving.checkpoint import Checkpoint
from custom_components.netsapiens.receiving.store import CheckpointStore
from tests.conftest import EntityEvents
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
    elif how == "no possible time":
        content["data"]["wall"] = -62135596800
    elif how == "another version":
        content["version"] = 0
    else:
        content["data"].pop("latest")
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("how", ["no JSON", "no list", "no time", "no possible time", "another version", "no key"])
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
    restore_state.async_get(hass).last_states.clear()  # it is on disk what was reported
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts() == ["Seen", "Missed"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Seen", "Missed"]


async def test_a_start_that_fails_is_made_again(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No fault on the way to the first poll ends polling, or makes history of what came in."""
    await hass.config_entries.async_unload(looking.entry_id)
    await asyncio.sleep(1.1)
    await pbx.receive(from_number=ANN, text="Missed")
    genuine, failures = CheckpointStore.async_load, [RuntimeError("1"), RuntimeError("2")]

    async def load(self: CheckpointStore) -> tuple[Checkpoint | None, str | None]:
        if failures:
            raise failures.pop()
        return await genuine(self)

    monkeypatch.setattr(CheckpointStore, "async_load", load)
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts() == ["Missed"])
    assert "Unexpected error while polling for messages" in caplog.text


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
