"""Reading backwards through what was written with somebody."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.api import MessageAPI, NetsapiensError
from custom_components.netsapiens.receiving.pages import MessagePages
from tests.simulator import Simulator
from tests.simulator.checks import Draft
from tests.simulator.model import StoredMessage

ANN, BOB = "18585550123", "18585550124"


async def pages_of(entry: MockConfigEntry) -> MessagePages:
    """All conversations of the account."""
    coordinator = entry.runtime_data.coordinator
    return MessagePages(coordinator, await MessageAPI(coordinator.api).get_messagesessions())


async def read_all(pages: MessagePages, size: int) -> list[str]:
    """What all the messages say, oldest first."""
    found: list[str] = []
    while not pages.is_exhausted:
        found += [one.row.text for one in await pages.next(size)]
    return found[::-1]


def written_at(row: StoredMessage, seconds: float) -> None:
    """Let a message have been written so many seconds from now."""
    row.timestamp = row.bare_timestamp = f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"


async def fill(pbx: Simulator, count: int, *, both: bool = False) -> list[str]:
    """Let people write so many texts in turns; return what they say."""
    for number in range(count):
        await pbx.receive(from_number=BOB if both and number % 3 == 0 else ANN, text=f"Text {number}!")
        written_at(pbx.inbound[-1], number - count)
    return [f"Text {number}!" for number in range(count)]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("count", [0, 29, 30, 31, 130, 260])
async def test_every_message_once_and_in_order(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, count: int, both: bool
) -> None:
    """Pages of one or two conversations make one list without gaps, wherever a page ends."""
    written = await fill(pbx, count, both=both)
    assert await read_all(await pages_of(entry), 40) == written


async def test_oldest_first_lists(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A PBX that lists the oldest message first is read to the newest one."""
    pbx.newest_first = False
    written = await fill(pbx, 150)
    pages = await pages_of(entry)
    assert [one.row.text for one in await pages.next(3)][::-1] == written[-3:]
    assert await read_all(pages, 60) == written[:-3]


async def test_no_more_is_read_than_is_asked_for(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A conversation that was last active before all that is shown is not read."""
    await fill(pbx, 5)
    pbx.send(pbx.first_user, Draft("sms", "Newer", [BOB], pbx.first_user.numbers[0].number), None)
    written_at(pbx.messages[-1], 1000)
    pages = await pages_of(entry)

    def reads() -> int:  # polling reads more at once
        return len([one for one in pbx.requests_to("/messages") if one.query.get("limit") == "30"])

    before = reads()
    assert [one.row.text for one in await pages.next(1)] == ["Newer"]
    assert reads() == before + 1


async def test_what_is_new_is_given_once(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """More new messages than a page holds are all read, and older ones are not given again or lost."""
    written = await fill(pbx, 60)
    pages = await pages_of(entry)
    first = await pages.next(30)
    session = pages.messagesessions[0]
    for number in range(40):
        await pbx.receive(from_number=ANN, text=f"New {number}!")
    fresh = await pages.newest(session, first[-1].at)
    assert sorted(one.row.text for one in fresh) == sorted(f"New {number}!" for number in range(40))
    assert await pages.newest(session, first[-1].at) == []
    assert await read_all(pages, 50) == written[:30]


async def test_an_error_costs_no_message(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """What could not be read is read the next time."""
    written = await fill(pbx, 50)
    pages = await pages_of(entry)
    pbx.fault("status", path="/messages", method="GET", code=500, times=None)  # polling may ask in between
    with pytest.raises(NetsapiensError):
        await pages.next(10)
    pbx.clear_faults()
    assert await read_all(pages, 50) == written


async def test_a_conversation_that_is_gone_is_passed_over(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Somebody deleted it in the meantime."""
    await fill(pbx, 5)
    pages = await pages_of(entry)
    pbx.fault("status", path="/messages", method="GET", code=404, times=None)
    assert await pages.next(10) == []
    assert pages.is_exhausted


async def test_notes_of_a_pbx_that_ignores_start(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Page after page of what is no message comes to an end: whoever opens the card must not wait for ever."""
    await fill(pbx, 120)
    for row in pbx.inbound:
        row.type = "chat-note"
    real = MessageAPI.get_messages

    async def get_messages(self: MessageAPI, session: str, **kwargs: Any) -> Any:
        return await real(self, session, **{**kwargs, "start": 0})

    with patch.object(MessageAPI, "get_messages", get_messages):
        async with asyncio.timeout(20):
            assert await read_all(await pages_of(entry), 40) == []
