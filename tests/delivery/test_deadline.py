"""How much time a text has left after a restart, whatever the clocks say."""

from datetime import timedelta
import time
from typing import Any

from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.delivery.deadline import Deadline, time_left
from tests.conftest import close
from tests.delivery.test_queue import MESSAGES, QUEUED, _quick, hass_storage, on_disk, send, texts  # noqa: F401
from tests.helpers import until
from tests.simulator import Simulator

DAYS = 86400.0
NOW = 1_800_000_000.0
seconds = st.floats(-30 * DAYS, 30 * DAYS)
lefts = st.floats(1, 7 * DAYS)


@given(left=lefts, passed=st.floats(0, 30 * DAYS), jump=seconds, reprieved=st.booleans())
def test_the_pbx_clock_counts_whatever_ours_says(left: float, passed: float, jump: float, reprieved: bool) -> None:
    """Where the PBX's time is known, our own may be as wrong as it likes."""
    kept = Deadline(NOW + left, left, NOW + left, reprieved)
    remaining, still = time_left(kept, NOW + passed + jump, NOW + passed)
    assert remaining == pytest.approx(left - passed, abs=1)
    assert still is reprieved


@given(left=lefts, passed=seconds, knows_pbx=st.booleans())
def test_without_the_pbx_clock_it_gets_its_time_once(left: float, passed: float, knows_pbx: bool) -> None:
    """A wrong clock at a start costs no text, and gives none its time for ever."""
    kept = Deadline(NOW + left, left, NOW + left if knows_pbx else None)
    remaining, reprieved = time_left(kept, NOW + passed, None)
    assert 0 < remaining <= left
    assert reprieved is (passed >= left) or abs(passed - left) < 1
    # A restart with the same clock, a moment later: it goes on, and has nothing anew.
    again = Deadline(NOW + passed + remaining, remaining, kept.until_pbx, reprieved)
    assert time_left(again, NOW + passed + remaining / 2, None)[0] == pytest.approx(remaining / 2, abs=0.01)
    if reprieved:
        assert time_left(again, NOW + passed + remaining + 1, None) == (pytest.approx(-1, abs=0.01), True)


@given(
    kept=st.builds(Deadline, seconds, lefts, st.none() | seconds, st.booleans()), wall=seconds, pbx=st.none() | seconds
)
def test_it_never_has_more_time_than_when_it_was_written(kept: Deadline, wall: float, pbx: float | None) -> None:
    """No clock makes a text live longer than was asked for."""
    remaining, reprieved = time_left(kept, wall, pbx)
    assert remaining <= kept.left
    assert reprieved or not kept.reprieved


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """By how many seconds our wall clock is wrong."""
    wrong = [0.0]
    original = time.time
    monkeypatch.setattr(time, "time", lambda: original() + wrong[0])
    return wrong


async def restart(hass: HomeAssistant, entry: MockConfigEntry, wall: list[float], jump: float = 0) -> None:
    """Close the account and set it up again, while our clock jumped."""
    await close(hass, entry)
    wall[0] += jump
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


@pytest.mark.parametrize("jump", [2 * DAYS, -2 * DAYS])
async def test_a_text_goes_out_where_our_clock_jumped(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, wall: list[float], jump: float
) -> None:
    """A home whose clock is wrong after a power cut still sends what waited."""
    await pbx.stop()
    assert (await send(hass, "Alarm", keep_for=3600))["status"] == "queued"
    await restart(hass, entry, wall, jump)
    assert hass.states.get(QUEUED).state == "1"
    if jump > 0:
        assert [row["reprieved"] for row in on_disk(hass, entry)] == [True]
    await restart(hass, entry, wall)  # the same wrong clock: it goes on with what was left
    assert [row["left"] for row in on_disk(hass, entry)] == pytest.approx([3600], abs=120)
    await pbx.start()
    await until(lambda: texts(pbx) == ["Alarm"])
    await until(lambda: on_disk(hass, entry) == [])


async def test_it_is_reprieved_once(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, wall: list[float]
) -> None:
    """A clock that jumps at every start does not keep a text for ever."""
    await pbx.stop()
    assert (await send(hass, "Alarm", keep_for=3600))["status"] == "queued"
    for expected in ("1", "0"):
        await restart(hass, entry, wall, 2 * DAYS)
        await until(lambda expected=expected: hass.states.get(QUEUED).state == expected)
    assert hass.states.get(MESSAGES).attributes["reason"] in {"expired", "unconfirmed"}
    await pbx.start()
    await until(lambda: on_disk(hass, entry) == [])
    assert texts(pbx) == []


async def test_it_expires_where_the_time_did_pass(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, wall: list[float]
) -> None:
    """By the PBX's clock, which is only known again after the start."""
    failed: list[Any] = []
    hass.bus.async_listen(
        "state_changed",
        lambda event: (
            failed.append(event.data["new_state"].attributes.get("reason"))
            if event.data["entity_id"] == MESSAGES
            and event.data["new_state"]
            and event.data["new_state"].attributes.get("event_type") == "failed"
            else None
        ),
    )
    await pbx.stop()
    assert (await send(hass, "Alarm", keep_for=timedelta(hours=1).total_seconds()))["status"] == "queued"
    [row] = on_disk(hass, entry)
    assert row["until_pbx"] - row["until"] == pytest.approx(0, abs=60)
    pbx.clock_offset = 2 * DAYS
    await restart(hass, entry, wall, 2 * DAYS)
    assert hass.states.get(QUEUED).state == "1"
    await pbx.start()
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await until(lambda: on_disk(hass, entry) == [])
    assert failed == ["expired"]
    assert texts(pbx) == []
    assert DOMAIN in hass.config.components
