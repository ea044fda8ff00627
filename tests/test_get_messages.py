"""The action netsapiens.get_messages: past messages, from whichever conversations and however the PBX lists them."""

from typing import Any
from unittest.mock import patch

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
import voluptuous as vol

from custom_components.netsapiens import get_messages as get_messages_module
from custom_components.netsapiens.api import MessageAPI
from custom_components.netsapiens.const import DOMAIN
from tests.conftest import AddAccount, recipient
from tests.helpers import shown
from tests.simulator import FaultKind, Simulator

ANN, BOB, EVE, OWN = "18585550123", "18585550124", "18585550125", "18585550199"
FRONT_DESK = "18585550142"


async def get(hass: HomeAssistant, context: Context | None = None, **data: Any) -> list[dict[str, Any]]:
    """Call the action; return its rows."""
    answer = await hass.services.async_call(
        DOMAIN, "get_messages", data, blocking=True, return_response=True, context=context
    )
    assert set(answer) == {"messages"}
    return answer["messages"]


async def texts(hass: HomeAssistant, **data: Any) -> list[str]:
    """Call the action; return what the messages say."""
    return [row["message"] for row in await get(hass, **data)]


async def refused(hass: HomeAssistant, key: str, **data: Any) -> str:
    """Expect a broken rule; return its words."""
    with pytest.raises(ServiceValidationError) as caught:
        await get(hass, **data)
    assert (caught.value.translation_domain, caught.value.translation_key) == (DOMAIN, key)
    return str(caught.value)


def at(pbx: Simulator, minutes: float) -> None:
    """Set the PBX's clock to so many minutes from now."""
    pbx.clock_offset = minutes * 60


async def test_all_that_is_known_of_each(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """In and out, oldest first, numbers as people read them."""
    at(pbx, -2)
    received = await pbx.receive(from_number=ANN, text="Hi", media=b"GIF89a", mime_type="image/gif")
    at(pbx, 0)
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hello"}, blocking=True)
    rows = await get(hass, entity_id="notify.ann")
    assert rows == [
        {
            "direction": "in",
            "message": "Hi",
            "from_number": shown(ANN),
            "recipient": "Ann",
            "message_type": "mms",
            "messagesession": received.messagesession,
            "message_id": received.id,
            "timestamp": rows[0]["timestamp"],
            "media_type": "image/gif",
            "media_content_id": rows[0]["media_content_id"],
        },
        {
            "direction": "out",
            "message": "Hello",
            "from_number": shown(OWN),
            "recipient": "Ann",
            "message_type": "sms",
            "messagesession": pbx.messages[0].messagesession,
            "message_id": pbx.messages[0].id,
            "timestamp": rows[1]["timestamp"],
            "media_type": None,
            "media_content_id": None,
        },
    ]
    assert rows[0]["timestamp"] < rows[1]["timestamp"]
    assert rows[0]["timestamp"].endswith("+00:00")


@pytest.mark.parametrize("newest_first", [True, False])
async def test_from_all_conversations_with_them(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, newest_first: bool
) -> None:
    """Interleaved by time; those of one second in the PBX's order; nobody else's, and no group's."""
    pbx.newest_first = newest_first
    for minute in range(6):
        at(pbx, minute - 10)
        await pbx.receive(from_number=ANN, text=f"Text {minute}", messagesession=f"s{minute % 2}" * 16)
    at(pbx, -4)
    await pbx.receive(from_number=BOB, text="Bob's")
    await hass.services.async_call(
        DOMAIN, "send_message", {"destination": [ANN, BOB], "group": True, "message": "Group"}, blocking=True
    )
    expected = [f"Text {minute}" for minute in range(6)]
    assert await texts(hass, entity_id="notify.ann") == expected
    assert await texts(hass, destination="(858) 555-0123") == expected
    assert await texts(hass, destination=[ANN, BOB], limit=3) == [*expected[-2:], "Bob's"]
    assert await texts(hass, destination=[ANN, BOB], group=True) == ["Group"]
    assert await texts(hass, messagesession="s1" * 16, limit="2") == ["Text 3", "Text 5"]
    assert await texts(hass, destination=EVE) == []


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("count", [99, 100, 101, 250])
async def test_the_latest_of_a_long_conversation(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, newest_first: bool, count: int
) -> None:
    """Whichever end a PBX lists first: its pages are cut without a word."""
    pbx.newest_first = newest_first
    for number in range(count):
        at(pbx, (number - count) / 6)
        await pbx.receive(from_number=ANN, text=f"No. {number}")
    pbx.requests.clear()
    assert await texts(hass, entity_id="notify.ann", limit=3) == [f"No. {number}" for number in range(count)][-3:]
    assert len(pbx.requests) <= 6
    found = await texts(hass, entity_id="notify.ann", limit=500)
    assert found == [f"No. {number}" for number in range(count)]


async def test_equal_times_in_the_order_of_the_pbx(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Five within one second."""
    for newest_first in (True, False):
        pbx.newest_first = newest_first
        for number in range(5):
            await pbx.receive(from_number=ANN, text=f"{newest_first} {number}")
        found = await texts(hass, entity_id="notify.ann", limit=5)
        assert found == [f"{newest_first} {number}" for number in range(5)]


async def test_conversations_that_hold_nothing_late_enough_are_not_read(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Kind to the PBX: somebody may have hundreds of old conversations."""
    for day in range(30):
        at(pbx, (day - 30) * 1440)
        await pbx.receive(from_number=ANN, text=f"Day {day}", messagesession=f"d{day:02}" * 11)
    at(pbx, 0)
    pbx.requests.clear()
    assert await texts(hass, entity_id="notify.ann", limit=2) == ["Day 28", "Day 29"]
    assert len(pbx.requests) <= 6


async def test_recipients_with_several_numbers(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Private ones by each number; a group by its one conversation, with the names of its senders."""
    await add_account(recipient("Ann", ANN), recipient("Both", ANN, BOB), recipient("Family", ANN, BOB, group=True))
    await pbx.receive(from_number=ANN, text="From Ann")
    await pbx.receive(from_number=BOB, text="From Bob")
    await hass.services.async_call("notify", "netsapiens_family", {"message": "To all"}, blocking=True)
    session = pbx.messages[0].messagesession
    await pbx.receive(from_number=BOB, text="To all from Bob", messagesession=session)
    assert sorted(await texts(hass, entity_id="notify.both")) == ["From Ann", "From Bob"]
    rows = await get(hass, entity_id="notify.family")
    assert [(row["message"], row["recipient"]) for row in rows] == [("To all", "Family"), ("To all from Bob", "Both")]
    assert await texts(hass, messagesession=session) == ["To all", "To all from Bob"]


async def test_chats_and_senders_with_a_name(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Extensions as they are; a shop is found by its name."""
    at(pbx, -1)
    await pbx.receive_chat("1002", "Lunch?")
    at(pbx, 0)
    await hass.services.async_call("notify", "netsapiens", {"message": "Yes", "target": "1002"}, blocking=True)
    await pbx.receive(from_number="AMAZON", text="Your parcel")
    rows = await get(hass, destination="1002")
    assert [(row["direction"], row["from_number"], row["message_type"]) for row in rows] == [
        ("in", "1002", "chat"),
        ("out", "1001", "chat"),
    ]
    [row] = await get(hass, destination="Amazon")
    assert (row["from_number"], row["recipient"], row["direction"]) == ("AMAZON", None, "in")


async def test_of_other_users_of_the_domain(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Conversations with a sender number that we use, and nothing else of that user's."""
    pbx.first_user.scope = "Office Manager"
    pbx.add_user("1002@acme.example", numbers=[FRONT_DESK, "18585550145"])
    await add_account(recipient("Ann", ANN, from_number=FRONT_DESK))
    at(pbx, -1)
    await pbx.receive(from_number=ANN, text="To the desk", to_number=FRONT_DESK)
    await pbx.receive(from_number=ANN, text="Private", to_number="18585550145")
    at(pbx, 0)
    await pbx.receive(from_number=ANN, text="To us")
    assert await texts(hass, entity_id="notify.ann") == ["To the desk", "To us"]
    fault = pbx.fault(FaultKind.STATUS, path="/users/1002/", code=403, message="No", times=None)
    assert await texts(hass, entity_id="notify.ann") == ["To us"]
    assert fault.struck


async def test_who_may_read_what(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Read permission for the entity; numbers and conversations are for administrators."""
    received = await pbx.receive(from_number=ANN, text="Hi")
    reader, other = MockUser().add_to_hass(hass), MockUser().add_to_hass(hass)
    reader.mock_policy({"entities": {"entity_ids": {"notify.ann": {"read": True}}}})
    other.mock_policy({"entities": {"entity_ids": {"notify.bob": True}}})
    admin = MockUser(is_owner=True).add_to_hass(hass)
    calls: list[dict[str, Any]] = [
        {"entity_id": "notify.ann"},
        {"destination": ANN},
        {"messagesession": received.messagesession},
    ]
    for user, allowed in ((reader, [True, False, False]), (other, [False] * 3), (admin, [True] * 3)):
        for data, may in zip(calls, allowed, strict=True):
            if may:
                assert len(await get(hass, Context(user_id=user.id), **data)) == 1
            else:
                with pytest.raises(Unauthorized):
                    await get(hass, Context(user_id=user.id), **data)


async def test_what_is_refused(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """In words, before the PBX is asked for anything."""
    await add_account(recipient("Ann", ANN), recipient("Bob", BOB), recipient("Broken", ANN, group="x"))
    pbx.requests.clear()
    await refused(hass, "history_of_nobody")
    await refused(hass, "history_of_nobody", destination="", messagesession="  ")
    await refused(hass, "history_of_several", entity_id=["notify.ann", "notify.bob"])
    await refused(hass, "history_of_several", entity_id="notify.ann", destination=BOB)
    await refused(hass, "history_of_several", destination=BOB, messagesession="a" * 32)
    await refused(hass, "recipient_damaged", entity_id="notify.broken")
    await refused(hass, "invalid_number", destination="12")
    await refused(hass, "not_a_recipient", entity_id="event.ann_messages")
    for limit in (0, 501, "many"):
        with pytest.raises(vol.Invalid):
            await get(hass, entity_id="notify.ann", limit=limit)
    assert not pbx.requests
    await refused(hass, "conversation_not_found", messagesession="a" * 32)


async def test_a_text_without_its_sender(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """It is from the only other one in its conversation."""
    pbx.names_sender = False
    await pbx.receive(from_number=ANN, text="Hi")
    [row] = await get(hass, destination=ANN)
    assert (row["direction"], row["from_number"], row["recipient"]) == ("in", shown(ANN), "Ann")


async def test_which_account(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Several accounts: by the target, by the field, by who has the conversation."""
    pbx.add_user("1002@acme.example", numbers=[FRONT_DESK])
    first = await add_account(recipient("Ann", ANN))
    second = await add_account(recipient("Bob", BOB), login="1002@acme.example")
    await pbx.receive(from_number=ANN, text="First")
    received = await pbx.receive(from_number=ANN, text="Second", to_number=FRONT_DESK)
    assert await texts(hass, entity_id="notify.ann") == ["First"]
    await refused(hass, "account_needed", destination=ANN)
    assert await texts(hass, destination=ANN, config_entry_id=first.entry_id) == ["First"]
    assert await texts(hass, destination=ANN, config_entry_id=second.entry_id) == ["Second"]
    assert await texts(hass, messagesession=received.messagesession) == ["Second"]
    await refused(hass, "recipient_of_other_account", entity_id="notify.ann", config_entry_id=second.entry_id)


async def test_a_pbx_that_is_away(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """An error in words, in time; one conversation that was deleted in between keeps nothing back."""
    at(pbx, -1)
    kept = await pbx.receive(from_number=ANN, text="Kept", messagesession="k" * 32)
    at(pbx, 0)
    await pbx.receive(from_number=ANN, text="Gone", messagesession="g" * 32)
    pbx.fault(FaultKind.STATUS, path=f"{'g' * 32}/messages", code=404, message="Messagesession not found", times=None)
    assert await texts(hass, entity_id="notify.ann") == [kept.text]
    pbx.clear_faults()
    pbx.fault(FaultKind.STATUS, path="messagesessions", code=400, message="Bad", times=None)  # for polls, too
    with pytest.raises(HomeAssistantError, match="status 400") as caught:
        await get(hass, entity_id="notify.ann")
    assert not isinstance(caught.value, ServiceValidationError)
    pbx.clear_faults()
    pbx.fault(FaultKind.HANG, path="messagesessions", times=None)
    with patch.object(get_messages_module, "_WITHIN", 0.2), pytest.raises(HomeAssistantError) as caught:
        await get(hass, entity_id="notify.ann")
    assert caught.value.translation_key == "timeout_connect"


async def test_a_conversation_that_is_refused(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A conversation that is there and cannot be read is no empty one: the error says why."""
    await pbx.receive(from_number=ANN, text="Hi")
    pbx.fault(FaultKind.STATUS, path="/messages", method="GET", code=400, message="Bad", times=None)
    with pytest.raises(HomeAssistantError, match="status 400"):
        await get(hass, entity_id="notify.ann")


async def test_a_pbx_that_lists_the_oldest_and_no_more(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """One that ignores `start` gives its first thousand only: they are returned, and the log says that it has more."""
    pbx.newest_first = False
    for number in range(1001):
        at(pbx, (number - 1001) / 6)
        await pbx.receive(from_number=ANN, text=f"No. {number}")
    real = MessageAPI.get_messages

    async def get_messages(self: MessageAPI, session: str, **kwargs: Any) -> Any:
        return await real(self, session, **{**kwargs, "start": 0})

    with patch.object(MessageAPI, "get_messages", get_messages):
        found = await texts(hass, entity_id="notify.ann", limit=2)
    assert found == ["No. 998", "No. 999"]
    assert "too long to read its latest messages" in caplog.text
    assert ANN not in caplog.text


HOSTILE: list[Any] = [
    {"id": 5, "type": "sms", "direction": "orig", "text": 12, "from-number": int(ANN), "timestamp": "not a time"},
    {"type": "sms", "direction": "term", "text": None, "timestamp": "2026-01-02T03:04:05+05:30", "id": {"a": 1}},
    {"type": "sms", "direction": "", "from-number": int(OWN), "text": ["a"], "timestamp": 5},
    {"type": "chat-name-change", "text": "New name", "timestamp": "2026-01-02 03:04:06"},
    {"type": "sms", "direction": "orig", "text": "\x00\ud800 <b>{{ x }}</b>", "from-number": "x" * 5000},
    {"type": None, "text": "No type"},
    {},
]


async def test_hostile_rows(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Rows of all kinds: what is a message comes out as one that JSON can hold, the rest is left out."""
    await pbx.receive(from_number=ANN, text="Hi")
    real = MessageAPI.get_messages

    async def get_messages(self: MessageAPI, *args: Any, **kwargs: Any) -> Any:
        found = await real(self, *args, **kwargs)
        return [type(found[0]).from_row(row) for row in HOSTILE] + found

    with patch.object(MessageAPI, "get_messages", get_messages):
        rows = await get(hass, entity_id="notify.ann")
    assert [(row["direction"], row["message"]) for row in rows] == [
        ("out", ""),
        ("in", "\x00\ud800 <b>{{ x }}</b>"),
        ("out", '["a"]'),
        ("in", "12"),
        ("in", "Hi"),
    ] or {row["message"] for row in rows} == {"", "12", '["a"]', "\x00\ud800 <b>{{ x }}</b>", "Hi"}
    assert {row["timestamp"] for row in rows if row["message"] in {"12", '["a"]'}} == {None}
    assert next(row for row in rows if row["message"] == '["a"]')["direction"] == "out"
    assert all(isinstance(row["from_number"], str) for row in rows)
