"""Whose request goes next, beside a backlog."""

import asyncio
from typing import Any

from homeassistant.core import HomeAssistant
from hypothesis import given, settings as hypothesis, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.pbx.fair_queue import READING, Turns, Waiter
from tests.delivery.test_queue import hass_storage, send, texts  # noqa: F401
from tests.simulator import Simulator


async def wait(turns: Turns, caller: str, count: int = 1, *, fresh: bool = True) -> list[Waiter]:
    """Let a caller wait."""
    waiters: list[Waiter] = [asyncio.get_running_loop().create_future() for _ in range(count)]
    for waiter in waiters:
        turns.add(waiter, caller, fresh=fresh)
    return waiters


@pytest.mark.parametrize("callers", [1, 300])
async def test_reading_and_the_newest_pass_a_backlog(callers: int) -> None:
    """A long call delays neither an alarm nor the reading of answers."""
    turns = Turns()
    for number in range(callers):
        await wait(turns, f"bulk {number}", 3000 // callers)
    for _ in range(7):
        turns.pop()
    [alarm] = await wait(turns, "alarm")
    [look] = await wait(turns, READING)
    assert {alarm, look} <= {turns.pop() for _ in range(4)}


async def test_nobody_waits_for_ever() -> None:
    """Reading goes on, and new callers come with each turn."""
    turns = Turns()
    old = await wait(turns, "old", fresh=False)
    for number in range(8):
        await wait(turns, READING)
        await wait(turns, f"new {number}")
        if turns.pop() in old:
            return
    raise AssertionError("the old one had no turn")


async def test_callers_take_turns() -> None:
    """Of two calls neither waits for all of the other."""
    turns = Turns()
    waiting = {name: await wait(turns, name, 4, fresh=False) for name in "ab"}
    order = [turns.pop() for _ in range(8)]
    assert order == [waiter for pair in zip(waiting["a"], waiting["b"], strict=True) for waiter in pair]
    assert not turns


async def test_one_that_waits_no_longer_is_forgotten() -> None:
    """A waiter that gave up leaves nothing behind."""
    turns = Turns()
    for caller in ("bulk", READING):
        [waiter] = await wait(turns, caller)
        turns.discard(waiter, caller)
    assert not turns


async def test_an_alarm_beside_300_texts(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """At the real rate."""
    destinations = [f"1858556{number:04}" for number in range(300)]
    bulk = asyncio.create_task(send(hass, "Bulk", destination=destinations))
    await asyncio.sleep(3)
    assert len(texts(pbx)) < 100
    async with asyncio.timeout(2):
        assert (await send(hass, "Alarm", destination="18585550124"))["status"] == "sent"
    assert len(texts(pbx)) < 100
    bulk.cancel()
    await asyncio.gather(bulk, return_exceptions=True)


@hypothesis(max_examples=200, deadline=None, database=None)
@given(st.lists(st.tuples(st.sampled_from([READING, "one", "two"]), st.booleans()), max_size=12))
def test_a_turn_alone_is_as_any_other(turns: list[tuple[str, bool]]) -> None:
    """Who needs not wait changes whose turn is next, and what a backlog leaves to others, as one who does."""
    waiting, alone = Turns(), Turns()
    for caller, fresh in turns:
        waiter: Any = object()
        waiting.add(waiter, caller, fresh=fresh)
        assert alone.may_wait_alone(caller, fresh=fresh) == waiting.may_wait
        assert waiting.pop() is waiter
        alone.go_alone(caller, fresh=fresh)
