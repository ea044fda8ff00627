"""What several test modules need."""

import asyncio
from collections.abc import Callable
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from custom_components.netsapiens.delivery import queue as queue_module
from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitTiming
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from tests.simulator import Simulator


async def until(condition: Callable[[], Any], within: float = 20) -> None:
    """Wait until something is true, for so many seconds."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


async def until_idle(pbx: Simulator, idle: float = 0.3) -> None:
    """Wait until the PBX was asked nothing for so many seconds: what was under way has come to its end."""
    before = -1
    while before != len(pbx.requests):
        before = len(pbx.requests)
        await asyncio.sleep(idle)


def written(number: str) -> str:
    """Return a North American number, digits with country code, as people there write it; others as they are."""
    if len(number) != 11 or not number.startswith("1"):
        return number
    return f"({number[1:4]}) {number[4:7]}-{number[7:]}"


def shown(number: str) -> str:
    """Return a North American number, digits with country code, as people are shown it; others as they are."""
    if len(number) != 11 or not number.startswith("1"):
        return number
    return f"+1 {number[1:4]}-{number[4:7]}-{number[7:]}"


def entity_of(hass: HomeAssistant, entity_id: str) -> Any:
    """Return the object behind an entity."""
    return hass.data[entity_id.partition(".")[0]].get_entity(entity_id)


def send_quickly(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, answer_within: float = 0.6) -> None:
    """Wait a twentieth of what is waited in life when texts are sent; the order of things stays."""
    monkeypatch.setattr(queue_module, "_LOOKS", (0.05, 0.15, 0.3, 0.5))
    monkeypatch.setattr(queue_module, "_ANSWER_WITHIN", answer_within)
    monkeypatch.setattr(queue_module, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(queue_module, "_TIDY_DELAY", 0.02)
    hass.data[THROTTLE_TIMING] = ThrottleTiming(circuit=CircuitTiming(away=Backoff(0.05, 0.2)))
