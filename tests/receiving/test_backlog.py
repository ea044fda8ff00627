"""Our own texts change conversations by the thousand: what somebody answers in between is reported at once."""

import asyncio

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.api import Account, MessageSession
from custom_components.netsapiens.receiving.poll import is_ours_last
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.delivery.test_queue import send
from tests.helpers import until
from tests.receiving.test_poller import ANN, BOB, hass_storage  # noqa: F401
from tests.receiving.test_push import hook_of, pushed, web  # noqa: F401
from tests.simulator import Simulator
from tests.simulator.checks import Draft

ACCOUNT = Account.from_token({"user": "1001", "domain": "acme.example", "uid": "1001@acme.example"}, "1001")


def write_to(pbx: Simulator, count: int, first: int = 0) -> list[str]:
    """Let the account have texted so many people, from another device; return their numbers."""
    user = pbx.first_user
    numbers = [f"1858556{first + number:04}" for number in range(count)]
    for number in numbers:
        pbx.send(user, Draft("sms", [number], "Bulk", user.numbers[0].number), None)
    return numbers


def reads(pbx: Simulator) -> int:
    """How many conversations were read."""
    return sum(record.method == "GET" for record in pbx.requests_to("/messages"))


async def test_an_answer_passes_two_thousand_changed_conversations(
    hass: HomeAssistant,
    pbx: Simulator,
    pushed: MockConfigEntry,  # noqa: F811
    entity_events: EntityEvents,
) -> None:
    """The newest is read first, however much else is to be read."""
    write_to(pbx, 2000)
    pushed.runtime_data.poller.poll_soon()
    before = reads(pbx)
    await until(lambda: reads(pbx) > before + 3)
    for number, sender in enumerate((ANN, BOB, "18585550177")):
        await asyncio.sleep(0.5)
        before = reads(pbx)
        await pbx.receive(from_number=sender, text=f"Answer {number}")
        await until(lambda number=number: entity_events.texts()[-1:] == [f"Answer {number}"], within=10)
        assert reads(pbx) - before <= 12
    assert reads(pbx) < 200


async def test_an_answer_beside_300_texts_at_the_real_rate(
    hass: HomeAssistant,
    pbx: Simulator,
    pushed: MockConfigEntry,  # noqa: F811
    entity_events: EntityEvents,
) -> None:
    """A long call does not delay what comes in."""
    destinations = [f"1858556{number:04}" for number in range(300)]
    bulk = asyncio.create_task(send(hass, "Bulk", destination=destinations))
    await until(lambda: len(pbx.requests_to("/messages")) > 60)
    before = reads(pbx)
    await pbx.receive(from_number=ANN, text="Answer")
    await until(entity_events.texts, within=10)
    assert reads(pbx) - before <= 12
    assert not bulk.done()
    bulk.cancel()
    await asyncio.gather(bulk, return_exceptions=True)


async def test_those_that_change_again_keep_none_waiting(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, quick_inbox: None
) -> None:
    """Somebody answered, and we wrote once more before that was read; the others go on changing."""
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number="18585560020", text="Answer")
    write_to(pbx, 40)

    async def keep_changing() -> None:
        while True:
            write_to(pbx, 20)
            entry.runtime_data.poller.poll_soon()
            await asyncio.sleep(0.3)

    changing = asyncio.create_task(keep_changing())
    await until(lambda: "Answer" in entity_events.texts(), within=60)
    changing.cancel()
    assert entity_events.texts() == ["Answer"]


@pytest.mark.parametrize(
    ("sender", "remote", "number", "ours"),
    [
        ("1001@acme.example", ANN, "18585550199", True),
        ("1001@ACME.example", ANN, "18585550199", True),
        ("8585550199", ANN, "18585550199", True),
        (ANN, ANN, "18585550199", False),
        ("", ANN, "18585550199", False),
        ("18585550177", f"{ANN},18585550177", "18585550199", False),
        ("1002@acme.example", "1002@acme.example", "", False),
        ("1001@acme.example", "1002@acme.example", "", True),
        ("1001@other.example", ANN, "18585550199", False),
        ("18585550199", "18585550199", "18585550199", False),  # a text to oneself comes in as well
    ],
)
def test_who_wrote_last(sender: str, remote: str, number: str, ours: bool) -> None:
    """A conversation in which we wrote last need not be read at once."""
    row = {
        "messagesession-id": "a",
        "messagesession-remote": remote,
        "messagesession-sms-number": number,
        "messagesession-last-sender": sender,
    }
    assert is_ours_last(MessageSession.from_row(row), ACCOUNT) is ours
