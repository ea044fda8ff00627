"""What several test modules need."""

import asyncio
from collections.abc import Callable
from typing import Any

from homeassistant.core import HomeAssistant

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
