"""Answers reach who wrote: by conversation, by number, and by the plain number that a template makes of one."""

import asyncio
from types import SimpleNamespace
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens import conversations as conversations_module
from custom_components.netsapiens.addressing import async_conversation
from custom_components.netsapiens.api import MessageAPI, NetsapiensTimeoutError
from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.phone import international
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.helpers import shown, until
from tests.simulator import FaultKind, Simulator

ANN, BOB, OWN = "18585550123", "18585550124", "18585550199"
ABROAD = ["4915112345678", "18585550123", "436641234567", "4792345678"]

pytestmark = pytest.mark.usefixtures("quick_inbox")


@pytest.fixture
async def looking(hass: HomeAssistant, add_account: AddAccount) -> MockConfigEntry:
    """An account with Ann that looks for messages."""
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    return entry


async def answer(hass: HomeAssistant, **data: Any) -> list[dict[str, Any]]:
    """Send a text; return the rows of the response."""
    response = await hass.services.async_call(
        DOMAIN, "send_message", {"message": "Yes", **data}, blocking=True, return_response=True
    )
    return response["messages"]


async def refused(hass: HomeAssistant, key: str, **data: Any) -> str:
    """Expect a broken rule; return its words."""
    with pytest.raises(ServiceValidationError) as caught:
        await answer(hass, **data)
    assert caught.value.translation_key == key
    return str(caught.value)


@pytest.mark.parametrize("country", ["DE", "US", "NO", "AT", "IT"])
@pytest.mark.parametrize(
    "reply",
    [
        {"destination": "{{ trigger.to_state.attributes.from_number }}"},
        {"destination": "{{ [trigger.to_state.attributes.from_number] }}"},
        {"messagesession": "{{ trigger.to_state.attributes.messagesession }}"},
        {"destination": "{{ trigger.to_state.attributes.from_number | replace(' ', '') | replace('-', '') }}"},
    ],
)
async def test_a_reply_reaches_who_wrote(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, country: str, reply: dict[str, str]
) -> None:
    """The number of an event can be used as it is, in any country."""
    hass.config.country = country
    entry = await add_account()
    await until(entry.runtime_data.poller.ready.is_set)
    automation = {
        "mode": "queued",
        "triggers": {
            "trigger": "event.received",
            "target": {"entity_id": "event.1001_acme_example_messages"},
            "options": {"event_type": "received"},
        },
        "actions": {"action": "netsapiens.send_message", "data": {"message": "Yes", **reply}},
    }
    assert await async_setup_component(hass, "automation", {"automation": automation})
    for sender in ABROAD:
        await pbx.receive(from_number=sender, text="Hi")
    await until(lambda: len(pbx.messages) == len(ABROAD))
    assert sorted(message.destination for message in pbx.messages) == [[sender] for sender in sorted(ABROAD)]


@pytest.mark.parametrize("sender", ABROAD)
async def test_a_plain_number_is_that_of_who_wrote(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, sender: str
) -> None:
    """Also where that was before the start: the PBX's list tells."""
    hass.config.country = "DE"
    await pbx.receive(from_number=sender, text="Hi")
    await add_account(options={"incoming": "off", "from_number": OWN})
    (row,) = await answer(hass, destination=int(sender))
    assert pbx.messages[0].destination == [sender]
    assert row["destination"][0].startswith("+")
    asked = len(pbx.requests_to("/messagesessions"))
    await answer(hass, destination=int(sender))
    assert [message.destination for message in pbx.messages] == [[sender]] * 2
    assert len(pbx.requests_to("/messagesessions")) == asked + 1  # the send itself: the list is kept for a while


@pytest.mark.parametrize(
    ("stored", "meant"), [("+49 1511 2345678", "4915112345678"), ("+49 4915 112345678", "494915112345678")]
)
async def test_a_plain_number_is_that_of_a_recipient(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, stored: str, meant: str
) -> None:
    """YAML drops the plus: whose number it is decides what is meant."""
    hass.config.country = "DE"
    await add_account(recipient("Ann", stored), options={"incoming": "off", "from_number": OWN})
    await answer(hass, destination=4915112345678)
    assert pbx.messages[0].destination == [meant]
    assert not [one for one in pbx.requests if one.method == "GET" and one.path.endswith("/messagesessions")]


async def test_a_plain_number_of_nobody_is_one_at_home(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """It is dialled as people at home would."""
    hass.config.country = "DE"
    await add_account(options={"incoming": "off", "from_number": OWN})
    await answer(hass, destination=4915112345678)
    assert pbx.messages[0].destination == ["494915112345678"]


async def test_plain_numbers_do_not_wait_one_by_one_for_a_pbx_that_does_not_answer(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Three of them wait once."""
    hass.config.country = "DE"
    await add_account(options={"incoming": "off", "from_number": OWN})
    pbx.fault(FaultKind.STATUS, path="/messagesessions", method="GET", code=500, times=None)
    await answer(hass, destination=[4915112345678, 4915112345679, 4915112345670])
    assert len(pbx.messages) == 3
    reads = [one for one in pbx.requests if one.method == "GET" and one.path.endswith("/messagesessions")]
    assert len(reads) == 1


async def test_the_conversation_of_one(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """A conversation's id is enough to answer in it."""
    received = await pbx.receive(from_number=ANN, text="Hi")
    (row,) = await answer(hass, messagesession=received.messagesession)
    assert row["destination"] == [shown(ANN)]
    (sent,) = pbx.messages
    assert (sent.destination, sent.from_number, sent.type) == ([ANN], OWN, "sms")
    assert sent.requested_session == received.messagesession


async def test_the_conversation_of_a_group(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """It goes to all of the group, and once."""
    (row,) = await answer(hass, destination=[ANN, BOB], group=True)
    await pbx.receive(from_number=BOB, text="In", messagesession=row["messagesession"])
    await until(lambda: entity_events.texts() == ["In"])
    await answer(hass, messagesession=row["messagesession"], message="To all")
    assert sorted(pbx.messages[-1].destination) == [ANN, BOB]
    assert pbx.messages[-1].requested_session == row["messagesession"]
    # While the PBX is away, the message that came in tells the same.
    pbx.fault(FaultKind.DROP_BEFORE, path="/messagesessions", method="GET", times=None)
    await answer(hass, messagesession=row["messagesession"], message="To all again")
    assert sorted(pbx.messages[-1].destination) == [ANN, BOB]


@pytest.mark.parametrize("colleague", ["1002", "1002@Acme.Example"])
async def test_the_conversation_of_a_chat(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents, colleague: str
) -> None:
    """A chat is answered by chat, however the PBX writes the domain."""
    received = await pbx.receive_chat(from_user=colleague, text="Hi")
    (row,) = await answer(hass, messagesession=received.messagesession)
    assert (row["destination"], row["from_number"], row["message_type"]) == (["1002"], None, "chat")
    assert pbx.messages[-1].requested_session == received.messagesession


@pytest.mark.parametrize(("is_known", "names_our_number"), [(True, True), (True, False), (False, True)])
async def test_a_conversation_that_is_listed_without_our_number(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    is_known: bool,
    names_our_number: bool,
) -> None:
    """With a phone number it is no chat; the answer is from the number that was texted, as far as anything names it."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=[OWN, "18585550198", "18585550197"])
    entry = await add_account(recipient("Bob", BOB, from_number="18585550197"))
    await until(entry.runtime_data.poller.ready.is_set)
    pbx.names_our_number = names_our_number
    received = [await pbx.receive(from_number=one, text="Hi", to_number="18585550198") for one in (ANN, BOB, "24123")]
    await until(lambda: len(entity_events.texts()) == len(received))
    if not is_known:
        assert await hass.config_entries.async_unload(entry.entry_id)
        assert await hass.config_entries.async_setup(entry.entry_id)
    pbx.names_our_number = False
    answers = received if is_known else received[:2]
    rows = [(await answer(hass, messagesession=one.messagesession))[0] for one in answers]
    assert {row["message_type"] for row in rows} == {"sms"}
    assert [message.destination for message in pbx.messages] == [[one.from_number] for one in answers]
    chosen = [OWN, "18585550197", OWN]
    senders = ["18585550198"] * 3 if is_known and names_our_number else chosen
    assert [message.from_number for message in pbx.messages] == senders[: len(answers)]


@pytest.mark.parametrize(
    ("country", "listed", "digits"),
    [
        ("US", "2025550123", "12025550123"),
        ("US", "(858) 555-0123", "18585550123"),
        ("GB", "07700900123", "447700900123"),
        ("AU", "412340123", "61412340123"),
        ("SG", "91234567", "6591234567"),
        ("DE", "4915112345678", "4915112345678"),
    ],
)
@pytest.mark.parametrize("names_our_number", [True, False])
async def test_the_conversation_of_a_number_as_its_country_writes_it(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    country: str,
    listed: str,
    digits: str,
    names_our_number: bool,
) -> None:
    """It is answered at the number with its country code, as every text is, and the response shows that one."""
    hass.config.country = country
    pbx.cast_numbers, pbx.names_our_number = False, names_our_number
    await add_account(options={"from_number": OWN, "incoming": "off"})
    received = await pbx.receive(from_number=listed, text="Hi")
    (row,) = await answer(hass, messagesession=received.messagesession)
    assert (row["destination"], row["message_type"]) == ([international(digits)], "sms")
    assert pbx.messages[0].destination == [digits]


async def test_the_number_that_was_written_to_answers(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Not another one of the account's."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=[OWN, "18585550198"])
    await add_account()
    received = await pbx.receive(from_number=ANN, text="Hi", to_number="18585550198")
    (row,) = await answer(hass, messagesession=received.messagesession)
    assert row["from_number"] == shown("18585550198")
    (row,) = await answer(hass, messagesession=received.messagesession, from_number=OWN)
    assert row["from_number"] == shown(OWN)


async def test_a_failure_in_a_conversation_is_its_recipients(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """It is known whom the conversation is with, so the error names them."""
    received = await pbx.receive(from_number=ANN, text="Hi")
    found = await async_conversation(looking.runtime_data, received.messagesession)
    assert found is not None
    assert found.recipient is not None
    assert found.recipient.title == "Ann"


async def test_a_conversation_that_is_not_listed(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """It is an error, and goes to nobody."""
    await refused(hass, "conversation_not_found", messagesession="a" * 32)
    assert pbx.messages == []


async def test_a_conversation_while_the_pbx_is_away(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """One that is not known is an error that says why, and goes to nobody."""
    received = await pbx.receive(from_number=ANN, text="Hi")
    other = "b" * 32
    pbx.fault(FaultKind.DROP_BEFORE, path="/messagesessions", method="GET", times=None)
    with pytest.raises(HomeAssistantError) as caught:
        await answer(hass, messagesession=other)
    assert caught.value.translation_key in {"cannot_connect", "timeout_connect"}
    assert received.messagesession != other
    assert pbx.messages == []


@pytest.mark.parametrize(
    ("sender", "words"), [("AMAZON", "AMAZON"), ("O2", "O2"), ("Bank24", "Bank24"), ("bob123@gmail.com", "…@gmail.com")]
)
async def test_a_sender_with_a_name(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, sender: str, words: str
) -> None:
    """A name cannot be answered, and is not taken for digits of somebody."""
    entry = await add_account(recipient("Desk", "123"), recipient("Short", "24123"))
    await until(entry.runtime_data.poller.ready.is_set)
    received = await pbx.receive(from_number=sender, text="Your parcel")
    await until(lambda: entity_events.texts() == ["Your parcel"])
    attributes = hass.states.get("event.1001_acme_example_messages").attributes
    assert (attributes["from_number"], attributes["recipient"]) == (sender, None)
    assert words in await refused(hass, "sender_without_number", messagesession=received.messagesession)
    assert words in await refused(hass, "sender_without_number", destination=sender)
    assert pbx.messages == []


async def test_the_account_that_has_the_conversation(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Of several accounts the right one answers."""
    pbx.add_user("1002@acme.example", numbers=["18585550197"])
    await add_account()
    await add_account(login="1002@acme.example", action="netsapiens_two")
    received = await pbx.receive(from_number=ANN, text="Hi", to_number="18585550197")
    (row,) = await answer(hass, messagesession=received.messagesession)
    assert row["from_number"] == shown("18585550197")
    await refused(hass, "conversation_not_found", messagesession="a" * 32)
    pbx.fault("status", path="/users/1002/messagesessions", times=None, code=500)
    await refused(hass, "account_needed", messagesession="b" * 32)


async def test_many_answers_at_once(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Ten answers at once get to ten people."""
    received = [await pbx.receive(from_number=f"1858555{number:04}", text="Hi") for number in range(100, 110)]
    await asyncio.gather(*(answer(hass, messagesession=one.messagesession) for one in received))
    assert {(one.requested_session, *one.destination) for one in pbx.messages} == {
        (one.messagesession, one.from_number) for one in received
    }


# --- long lists, other users, and a PBX that does not answer ----------------------------


SHARED, PRIVATE = "18585550188", "18585550177"


@pytest.fixture
async def sharing(pbx: Simulator, add_account: AddAccount, incoming: str) -> MockConfigEntry:
    """An account whose recipients are texted from numbers of two other users of its domain."""
    pbx.first_user.scope = "Office Manager"
    pbx.add_user("1002@acme.example", numbers=["18585550187"])
    pbx.add_user("1003@acme.example", numbers=[SHARED, PRIVATE])
    return await add_account(
        recipient("Bob", BOB, from_number="18585550187"),
        recipient("Ann", ANN, from_number=SHARED),
        options={"from_number": OWN, "incoming": incoming},
    )


@pytest.mark.parametrize("incoming", ["poll", "off"])
async def test_it_is_looked_for_in_long_lists_and_those_of_other_users(
    pbx: Simulator, sharing: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found wherever it is, unless it is private, and whether or not we look for messages."""
    there = await pbx.receive(from_number=ANN, text="Hi", to_number=SHARED)
    private = await pbx.receive(from_number=ANN, text="Psst", to_number=PRIVATE)
    for number in (OWN, SHARED):
        for other in range(2):
            await pbx.receive(from_number=f"1858555020{other}", text="Later", to_number=number)
    pbx.fault(FaultKind.STATUS, path="/users/1002/messagesessions", code=403, message="No", times=None)
    monkeypatch.setattr(conversations_module, "MAX_ROWS", 1)
    conversations = sharing.runtime_data.conversations
    found = await conversations.async_find(there.messagesession)
    assert found is not None
    assert found.others == (ANN,)
    assert await conversations.async_row(private.messagesession) is None
    assert await conversations.async_find("nowhere") is None


@pytest.mark.parametrize("incoming", ["poll", "off"])
async def test_a_conversation_under_the_number_of_another_user(
    hass: HomeAssistant, pbx: Simulator, sharing: MockConfigEntry
) -> None:
    """It can be read and answered whether or not we look for messages."""
    received = await pbx.receive(from_number=ANN, text="Hello", to_number=SHARED)
    history = await hass.services.async_call(
        DOMAIN, "get_messages", {"entity_id": "notify.ann"}, blocking=True, return_response=True
    )
    assert [one["message"] for one in history["messages"]] == ["Hello"]
    (row,) = await answer(hass, messagesession=received.messagesession)
    assert row["from_number"] == shown(SHARED)
    assert [(one.user, one.messagesession) for one in pbx.messages] == [("1003", received.messagesession)]


async def test_what_came_in_is_known_while_the_pbx_does_not_answer(
    looking: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event can be answered without asking the PBX who wrote."""

    async def listed(*_: Any, **__: Any) -> list[Any]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(MessageAPI, "get_messagesessions", listed)
    conversations = conversations_module.Conversations(looking.runtime_data.coordinator, ask_within=0.05)
    between = [str(number) for number in range(conversations_module.MOST_REMEMBERED - 1)]
    for identity in ("older", *between, "newer"):
        received = SimpleNamespace(
            message_type="sms",
            to_number="18585550199",
            participants=(),
            from_number="18585550123",
            messagesession=identity,
        )
        conversations.remember(received)
    assert (await conversations.async_find("newer")) is not None
    with pytest.raises(NetsapiensTimeoutError):
        await conversations.async_find("older")
    monkeypatch.setattr(looking.runtime_data.coordinator, "throttle", SimpleNamespace(is_away=True))
    assert (await conversations.async_find("newer")) is not None


async def test_a_person_is_named_before_a_group_they_are_in(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Who wrote privately is not the group; each recipient's own event names them where two share a number."""
    entry = await add_account(
        recipient("Family", ANN, BOB, group=True),
        recipient("Both", ANN, BOB),
        recipient("Ann", ANN),
        recipient("Mum", ANN),
    )
    await until(entry.runtime_data.poller.ready.is_set)
    received = await pbx.receive(from_number=ANN, text="Hi")
    names = {"1001_acme_example": "Ann", "family": "Ann", "ann": "Ann", "mum": "Mum", "both": "Both"}
    await until(lambda: len(entity_events.events) == len(names))
    assert {entity: row["recipient"] for entity, row in entity_events.events} == {
        f"event.{entity}_messages": name for entity, name in names.items()
    }
    past = await hass.services.async_call(
        DOMAIN, "get_messages", {"messagesession": received.messagesession}, blocking=True, return_response=True
    )
    assert [row["recipient"] for row in past["messages"]] == ["Ann"]


async def test_a_private_answer_is_none_to_the_group(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Whoever may read the group's conversation does not read what is written to one of them alone."""
    entry = await add_account(recipient("Family", ANN, BOB, group=True))
    await until(entry.runtime_data.poller.ready.is_set)
    received = await pbx.receive(from_number=ANN, text="Hi")
    found = await async_conversation(entry.runtime_data, received.messagesession)
    assert found is not None
    assert found.recipient is None
