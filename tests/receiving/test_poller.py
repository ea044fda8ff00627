"""The way in: each inbound message is reported once, in order, whatever the PBX does."""

import asyncio
from datetime import UTC, datetime, timedelta
import json
import logging
from pathlib import Path
from typing import Any, Literal
import uuid

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Context, CoreState, HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens import address_book as address_book_module
from custom_components.netsapiens.api import Account, Message, MessageSession
from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.issues import check_conversations
from custom_components.netsapiens.pbx.backoff import jitter
from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import Throttle, ThrottleTiming
from custom_components.netsapiens.phone import parse_destination
from custom_components.netsapiens.receiving import reader as reader_module
from custom_components.netsapiens.receiving.received import received_message, sender_of
from custom_components.netsapiens.receiving.timing import RECEIVING_TIMING, PollTiming, ReceivingTiming
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.delivery.test_queue import crash
from tests.fixtures import hass_storage  # noqa: F401
from tests.helpers import entity_of, shown, until
from tests.pictures import RED
from tests.receiving.conftest import ANN, BOB, arrive_hours_ago, change_timing
from tests.simulator import FaultKind, Simulator, access, render

MESSAGES = "event.1001_acme_example_messages"
FROM_ANN = "event.ann_messages"
KINDS = ["sms", "mms", "chat", "chat-media"]

pytestmark = pytest.mark.usefixtures("quick_inbox")


def let_pass(pbx: Simulator, entry: MockConfigEntry, seconds: float) -> None:
    """Let time pass, by the PBX's clock and our monotonic one alike."""
    pbx.clock_offset += seconds
    clock = entry.runtime_data.coordinator.api.clock
    before = clock.monotonic
    clock.monotonic = lambda: before() + seconds


async def test_a_text_is_told_with_all_that_is_known(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The account's and the sender's entities fire with every attribute, and nobody else's."""
    sent = await pbx.receive(from_number=ANN, text="ARM")
    await until(lambda: entity_events.texts() == ["ARM"])
    assert entity_events.texts(FROM_ANN) == ["ARM"]
    assert entity_events.texts("event.bob_messages") == []
    attributes = hass.states.get(MESSAGES).attributes
    keys = ("event_type", "from_number", "to_number", "recipient", "message_type")
    assert {key: attributes[key] for key in keys} == {
        "event_type": "received",
        "from_number": shown(ANN),
        "to_number": shown(pbx.numbers[0]),
        "recipient": "Ann",
        "message_type": "sms",
    }
    assert attributes["messagesession"] == sent.messagesession
    assert attributes["message_id"] == sent.id
    assert attributes["timestamp"].endswith("+00:00")
    assert attributes["media_type"] is None
    assert attributes["participants"] == []


async def test_history_is_not_told_and_nothing_is_told_twice(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Neither at the first start nor at later ones."""
    await pbx.receive(from_number=ANN, text="Before")
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="After")
    await until(lambda: entity_events.texts() == ["After"])
    await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(0.5)
    assert entity_events.texts() == ["After"]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("lag", [0, 0.3])
async def test_five_in_one_second_in_order(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    newest_first: bool,
    lag: float,
) -> None:
    """Texts of one second keep their order, however the PBX lists them."""
    pbx.newest_first = newest_first
    pbx.lag = lag
    await pbx.receive(from_number=ANN, text="First")
    await asyncio.sleep(1.1)
    for number in range(5):
        await pbx.receive(from_number=ANN, text=f"Text {number}")
    await until(lambda: len(entity_events.texts()) == 6)
    assert entity_events.texts() == ["First", *(f"Text {number}" for number in range(5))]


async def test_equal_texts_and_numbers_are_all_told(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Who texts the same three times is heard three times."""
    for _ in range(3):
        await pbx.receive(from_number=ANN, text="5")
        await asyncio.sleep(0.15)
    await until(lambda: entity_events.texts() == ["5", "5", "5"])


async def test_own_messages_are_not_told(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What the account sends is no message that came in."""
    for destination in (ANN, "1002"):
        await hass.services.async_call(
            "netsapiens", "send_message", {"destination": destination, "message": "Out"}, blocking=True
        )
    await pbx.receive_chat(from_user="1002", text="In")
    await until(lambda: entity_events.texts() == ["In"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["In"]
    attributes = hass.states.get(MESSAGES).attributes
    assert (attributes["from_number"], attributes["to_number"], attributes["message_type"]) == ("1002", "1001", "chat")


async def test_own_texts_without_a_direction_are_not_told(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Where the PBX does not say which way a text went, the number that sent it does."""
    pbx.gives_direction = False
    await hass.services.async_call(
        "netsapiens", "send_message", {"entity_id": "notify.ann", "message": "Out"}, blocking=True
    )
    await pbx.receive(from_number=ANN, text="In")
    await until(lambda: "In" in entity_events.texts())
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["In"]


async def test_a_picture_alone_is_told(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """A picture without words is a message."""
    await pbx.receive(from_number=BOB, text="", media=b"\x89PNG", mime_type="image/png")
    await until(lambda: entity_events.texts() == [""])
    attributes = hass.states.get(MESSAGES).attributes
    assert attributes["recipient"] == "Bob"
    assert attributes["media_type"] == "image/png"
    assert attributes["media_content_id"].startswith(f"media-source://netsapiens/{looking.entry_id}/")
    assert "media_url" not in attributes


async def test_one_request_when_nothing_is_new(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looking costs the PBX one small request."""
    await change_timing(hass, looking, active=0.0)
    for number in range(20):
        await pbx.receive(from_number=f"185855501{number:02}", text=f"Text {number}")
    await until(lambda: len(entity_events.texts()) == 20)
    await asyncio.sleep(1.2)
    before = len(pbx.requests)
    await asyncio.sleep(1)
    looks = pbx.requests[before:]
    assert 3 < len(looks) < 20
    assert {record.path.rpartition("/")[2] for record in looks} == {"messagesessions"}


async def test_missed_while_down_is_told_once_after_the_start(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What came in meanwhile is reported in order."""
    await pbx.receive(from_number=ANN, text="Seen")
    await until(lambda: entity_events.texts() == ["Seen"])
    await hass.config_entries.async_unload(looking.entry_id)
    for number in range(3):
        await pbx.receive(from_number=(ANN, BOB)[number % 2], text=f"Missed {number}")
        await asyncio.sleep(1.05)
    hass.set_state(CoreState.starting)
    await hass.config_entries.async_setup(looking.entry_id)
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Seen"]
    hass.set_state(CoreState.running)
    hass.bus.async_fire("homeassistant_started")
    await until(lambda: len(entity_events.texts()) == 4)
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Seen", "Missed 0", "Missed 1", "Missed 2"]


async def test_a_third_of_the_reads_fail_and_it_is_killed(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Through failures and kills each text is reported once."""
    pbx.fault(FaultKind.STATUS, code=502, html=True, method="GET", times=None, probability=0.2, seed=1)
    pbx.fault(FaultKind.DROP_BEFORE, method="GET", times=None, probability=0.15, seed=2)
    for number in range(60):
        await pbx.receive(from_number=f"1858555010{number % 5}", text=f"Text {number}")
        await asyncio.sleep(0.02)
        if number == 30:
            await crash(hass, looking)
            await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: len(entity_events.texts()) >= 60, within=30)
    await asyncio.sleep(0.5)
    assert sorted(entity_events.texts()) == sorted(f"Text {number}" for number in range(60))


# --- more conversations than a list shows --------------------------------------------


async def fill(pbx: Simulator, count: int) -> None:
    """Fill the PBX with conversations of the past."""
    clock = pbx.clock_offset
    for number in range(count):
        pbx.clock_offset = clock - 30 * 86400 + number
        await pbx.receive(from_number=f"1212{number:07}", text=f"Old {number}")
    pbx.clock_offset = clock


def is_cut(hass: HomeAssistant, entry: MockConfigEntry) -> bool:
    return (DOMAIN, f"conversations_cut_{entry.entry_id}") in ir.async_get(hass).issues


@pytest.mark.parametrize("newest_first", [True, False])
async def test_over_a_thousand_conversations(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, newest_first: bool
) -> None:
    """Those beyond the first page are read as well, in either order."""
    await fill(pbx, 1200)
    pbx.newest_first = newest_first
    entry = await add_account()
    await until(entry.runtime_data.poller.ready.is_set)
    await asyncio.sleep(0.5)
    # Without a conversation that is active, one look is one request, or one for each page.
    looks = [record for record in pbx.requests if "messagesessions" in record.path]
    assert {record.path.rpartition("/")[2] for record in looks} == {"messagesessions"}
    assert {record.query.get("start", "0") for record in looks} == ({"0"} if newest_first else {"0", "1000"})
    await pbx.receive(from_number="12120000000", text="From the oldest")
    await pbx.receive(from_number="12120001199", text="From the newest")
    await until(lambda: len(entity_events.texts()) == 2)
    # A look may come between the two, or between the pages, so either can be the first.
    assert sorted(entity_events.texts()) == ["From the newest", "From the oldest"]
    assert not is_cut(hass, entry)


async def test_start_is_ignored(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a PBX without pages does not show is missed until it does, and an issue says so."""
    await fill(pbx, 1200)
    pbx.newest_first = False
    original = access._integer
    with monkeypatch.context() as patch:
        patch.setattr(
            access, "_integer", lambda one, key, usual: usual if key == "start" else original(one, key, usual)
        )
        entry = await add_account()
        await until(lambda: is_cut(hass, entry))
        await pbx.receive(from_number="12120000003", text="Listed")
        # It moves to the end of the list, where it is not shown.
        await asyncio.sleep(0.5)
        assert entity_events.texts() == []
    await until(lambda: entity_events.texts() == ["Listed"])
    await until(lambda: not is_cut(hass, entry))


async def test_one_that_is_on_two_pages_is_told_once(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A conversation that moves while the list is read is one conversation."""
    await fill(pbx, 1200)
    pbx.newest_first = False
    entry = await add_account()
    await until(entry.runtime_data.poller.ready.is_set)
    original = reader_module.MessageAPI.get_messagesessions

    async def page(self: Any, *, limit: int = 1000, start: int = 0, user: str | None = None) -> Any:
        rows = await original(self, limit=limit, start=start, user=user)
        if not start and len(pbx.inbound) == 1201:
            await pbx.receive(from_number="12120000300", text="Second")  # it was on this page, and will be on the next
        return rows

    monkeypatch.setattr(reader_module.MessageAPI, "get_messagesessions", page)
    await asyncio.sleep(1 - pbx.now().microsecond / 1e6)  # both in one second
    await pbx.receive(from_number="12120000700", text="First")
    await until(lambda: len(entity_events.texts()) == 2)
    await asyncio.sleep(0.4)
    assert entity_events.texts() == ["First", "Second"]


async def test_a_long_conversation(
    pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, hass: HomeAssistant
) -> None:
    """More came in than one short list shows."""
    await pbx.receive(from_number=ANN, text="Before")
    entry = await add_account()
    await until(entry.runtime_data.poller.ready.is_set)
    await hass.config_entries.async_unload(entry.entry_id)
    for number in range(230):
        await pbx.receive(from_number=ANN, text=f"Text {number}")
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: len(entity_events.texts()) == 230)
    assert entity_events.texts() == [f"Text {number}" for number in range(230)]


# --- what the PBX may answer ---------------------------------------------------------


@pytest.mark.parametrize("ids", ["missing", "equal", "uuid", "integer"])
async def test_ids_of_any_form(pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents, ids: str) -> None:
    """None is relied upon: a hundred and more with the same one are as many messages."""
    for number in range(130):
        sent = await pbx.receive(from_number=ANN, text=f"Text {number // 2}")
        sent.id = {"missing": "", "equal": "0", "uuid": str(uuid.uuid4()), "integer": str(10**9 + number)}[ids]
        if number % 13 == 0:
            await asyncio.sleep(0.15)
    await until(lambda: len(entity_events.texts()) == 130, within=20)
    await asyncio.sleep(0.3)
    assert entity_events.texts() == [f"Text {number // 2}" for number in range(130)]


@pytest.mark.parametrize(
    "knobs",
    [
        {"bare_single": True},
        {"key_suffix": "timestamp"},
        {"cast_numbers": False},
        {"clock_offset": 86400.0 * 400},
        {"api_version": "44.1.2"},
        {"file_under_own_id": True},
    ],
)
async def test_pbxs_differ(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, knobs: dict[str, Any]
) -> None:
    """Every mix of a PBX's habits gives each text once."""
    pbx.turn(knobs)
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    for text in ("5", "5", "007", "1e5"):
        await pbx.receive(from_number=ANN, text=text)
        await asyncio.sleep(0.12)
    await until(lambda: len(entity_events.texts()) == 4)
    await asyncio.sleep(0.3)
    assert [text.lstrip("0") for text in entity_events.texts(FROM_ANN)] in (
        ["5", "5", "7", "1e5"],
        ["5", "5", "7", "100000"],
    )
    assert hass.states.get(MESSAGES).attributes["from_number"] == shown(ANN)


async def test_many_in_one_look_are_events_of_their_own(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The state is the time to the millisecond: two in one would be one to an automation."""
    for _ in range(100):
        await pbx.receive(from_number=ANN, text="Equal")
    await until(lambda: len(entity_events.texts()) == 100)
    states = {(entity, attributes["seen_state"]) for entity, attributes in entity_events.events}
    assert len(states) == 200


async def test_an_equal_text_each_quarter_of_an_hour(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Of a sensor that says "OK", in a conversation of more than a page, whose messages have no ids."""
    first, quarter = pbx.now(), timedelta(minutes=15)

    async def arrive(number: int) -> None:
        message = await pbx.receive(from_number=ANN, text="OK")
        message.id, message.timestamp = "", render.bare_time(first + number * quarter)
        message.bare_timestamp = message.timestamp

    for number in range(-120, 0):
        await arrive(number)
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    for number in range(3):
        await arrive(number)
        await until(lambda number=number: len(entity_events.texts()) == number + 1, within=5)
        let_pass(pbx, entry, quarter.total_seconds())


async def test_notes_of_the_pbx_are_no_messages(
    pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """That somebody joined is no text."""
    note = await pbx.receive_chat(from_user="1002", text="1003 joined")
    note.type = "chat-participant-add"
    await pbx.receive_chat(from_user="1002", text="Hello")
    await until(lambda: entity_events.texts() == ["Hello"])


@pytest.mark.parametrize("types", ["missing", "null", "empty", "upper"])
@pytest.mark.parametrize("directions", [True, False])
async def test_a_message_without_a_type_is_reported(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    types: Literal["missing", "null", "empty", "upper"],
    directions: bool,
) -> None:
    """The rest of the row says what it is, or its type in another case; and what we sent is not taken for it."""
    pbx.message_types, pbx.gives_direction = types, directions
    data = {"destination": ANN, "message": "Ours"}
    await hass.services.async_call("netsapiens", "send_message", data, blocking=True)
    await pbx.receive(from_number=ANN, text="sms")
    await pbx.receive(from_number="AMAZON", text="mms", media=RED)
    await pbx.receive_chat(from_user="1002", text="chat")
    await pbx.receive_chat(from_user="1003", text="chat-media", media=RED)
    await until(lambda: len(entity_events.texts()) == 4)
    account = [attributes for entity, attributes in entity_events.events if entity == MESSAGES]
    assert {(one["message"], one["message_type"]) for one in account} == {(kind,) * 2 for kind in KINDS}
    data = {"destination": [ANN, "1002"]}
    answer = await hass.services.async_call(
        "netsapiens", "get_messages", data, blocking=True, return_response=True, context=Context()
    )
    rows = [(row["direction"], row["message"], row["message_type"]) for row in answer["messages"]]
    assert sorted(rows) == [("in", "chat", "chat"), ("in", "sms", "sms"), ("out", "Ours", "sms")]


@pytest.mark.parametrize("own", ["1001", "1001@acme.example", "1001@ACME.example"])
async def test_own_chats_of_another_phone_are_not_told(
    pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents, own: str
) -> None:
    """What our user wrote elsewhere did not come in."""
    echo = await pbx.receive_chat(from_user="1002", text="Mine")
    echo.from_uid = own
    await pbx.receive_chat(from_user="1002", text="Theirs")
    await until(lambda: entity_events.texts() == ["Theirs"])


# --- who wrote -----------------------------------------------------------------------


async def test_a_recipient_of_another_domain_is_somebody_else(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """An extension of another domain is not our colleague's."""
    entry = await add_account(recipient("Desk", "1002"))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive_chat(from_user="1002@other.example", text="Stranger")
    await until(lambda: entity_events.texts() == ["Stranger"])
    attributes = hass.states.get(MESSAGES).attributes
    assert (attributes["from_number"], attributes["recipient"]) == ("1002@other.example", None)
    await pbx.receive_chat(from_user="1002", text="Colleague")
    await until(lambda: entity_events.texts("event.desk_messages") == ["Colleague"])
    assert hass.states.get(MESSAGES).attributes["recipient"] == "Desk"


async def test_a_colleague_whose_domain_is_written_otherwise(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Case makes no difference to a domain."""
    entry = await add_account(recipient("Desk", "1002"))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive_chat(from_user="1002@Acme.Example", text="Colleague")
    await until(lambda: entity_events.texts("event.desk_messages") == ["Colleague"])
    attributes = hass.states.get(MESSAGES).attributes
    assert (attributes["from_number"], attributes["recipient"]) == ("1002", "Desk")


async def test_a_recipient_that_is_not_heard_keeps_nothing_back(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    entity_registry: er.EntityRegistry,
) -> None:
    """Whoever has switched off its events still knows who it is."""
    entity_registry.async_update_entity(FROM_ANN, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.config_entries.async_reload(looking.entry_id)
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])
    assert hass.states.get(MESSAGES).attributes["recipient"] == "Ann"
    assert entity_events.texts(FROM_ANN) == []


async def test_a_number_that_the_country_has_not_keeps_no_other_back(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """As after a move to another one."""
    entry = await add_account(recipient("Moved", "0412 345 678", ANN), recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts(FROM_ANN) == ["Hi"])
    assert entity_events.texts("event.moved_messages") == ["Hi"]


async def test_two_recipients_with_one_number_both_hear(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Each automation gets its event."""
    entry = await add_account(recipient("Ann", ANN), recipient("Family", BOB, f"+{ANN}", group=True))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])
    assert entity_events.texts(FROM_ANN) == entity_events.texts("event.family_messages") == ["Hi"]


@pytest.mark.parametrize("spelling", ["(858) 555-3569", "+1 858 555 3569", "1-858-555-FLOW", "\u200e8585553569"])
async def test_a_recipient_is_known_by_any_spelling(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, spelling: str
) -> None:
    """A number that was stored in another form is the same person."""
    entry = await add_account(recipient("Nobody", "none"), recipient("Flow", spelling), recipient("Bob", BOB))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number="18585553569", text="Hi")
    await until(lambda: entity_events.texts("event.flow_messages") == ["Hi"])
    assert entity_events.texts("event.bob_messages") == entity_events.texts("event.nobody_messages") == []


async def test_a_message_is_not_compared_with_every_recipient(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten thousand recipients do not slow down a text."""
    read: list[str] = []

    def parse(text: str, region: str | None) -> Any:
        read.append(text)
        return parse_destination(text, region)

    monkeypatch.setattr(address_book_module, "parse_destination", parse)
    entry = await add_account(*(recipient(f"No {number}", f"1858555{number:04}") for number in range(30)))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number="18585550007", text="Hi")
    await until(lambda: entity_events.texts("event.no_7_messages") == ["Hi"])
    assert set(read) == {"18585550007"}


@pytest.mark.parametrize(
    ("sender", "shown"),
    [("18585550123", "+1 858-555-0123"), ("4915123456789", "+49 1512 3456789"), ("72727", "72727")],
)
async def test_from_number_means_the_same_at_home(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, sender: str, shown: str
) -> None:
    """A German home reads the digits of an American number as a German one, unless there is a plus."""
    hass.config.country = "DE"
    entry = await add_account(recipient("Sender", shown), recipient("Other", "4915123456780"))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=sender, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])
    attributes = hass.states.get(MESSAGES).attributes
    assert (attributes["from_number"], attributes["recipient"]) == (shown, "Sender")


async def test_an_extension_of_any_length_gets_no_plus(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Two digits are an extension, not a country code."""
    await pbx.receive_chat(from_user="12", text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])
    assert hass.states.get(MESSAGES).attributes["from_number"] == "12"


async def test_a_group(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """A reply in a group says who wrote it and to whom."""
    answer = await hass.services.async_call(
        DOMAIN,
        "send_message",
        {"destination": [ANN, BOB], "message": "Out", "group": True},
        blocking=True,
        return_response=True,
    )
    session = answer["messages"][0]["messagesession"]
    await pbx.receive(from_number=BOB, text="In", messagesession=session)
    await until(lambda: entity_events.texts() == ["In"])
    attributes = hass.states.get(MESSAGES).attributes
    assert (attributes["from_number"], attributes["recipient"]) == (shown(BOB), "Bob")
    assert attributes["messagesession"] == session
    assert {shown(ANN), shown(BOB)} <= set(attributes["participants"])
    assert entity_events.texts(FROM_ANN) == []


async def test_a_text_without_its_sender(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Where the PBX lists no number with a text, it is from the only other one in its conversation."""
    pbx.names_sender = False
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts(FROM_ANN) == ["Hi"])
    attributes = hass.states.get(MESSAGES).attributes
    assert (attributes["from_number"], attributes["recipient"]) == (shown(ANN), "Ann")


@pytest.mark.parametrize(
    ("kind", "direction", "remote", "expected"),
    [
        ("sms", "orig", f"+{ANN}", ANN),
        ("sms", "orig", f"{ANN},18585550199", ANN),
        ("mms", "orig", f"{ANN},{BOB}", ""),
        ("sms", "orig", "", ""),
        ("chat", "", "1002@acme.example", ""),  # it may be ours
        ("sms", "", ANN, ""),
    ],
)
def test_who_wrote_a_text_without_its_sender(kind: str, direction: str, remote: str, expected: str) -> None:
    """Nobody is guessed: of several, and of a message of which it is not known that it came in."""
    account = Account("1001@acme.example", "1001", "acme.example", "ann", "", "")
    row = Message.from_row({"type": kind, "direction": direction, "from-number": None, "dialed": "18585550199"})
    session = MessageSession.from_row({"messagesession-id": "p", "messagesession-remote": remote})
    assert sender_of(row, session, account, "US") == expected


def test_who_is_in_a_conversation() -> None:
    """Where the message does not say, its conversation does; several numbers are not taken for one of ours."""
    account = Account("1001@acme.example", "1001", "acme.example", "ann", "", "")
    row = Message.from_row({"type": "mms", "direction": "orig", "from-number": ANN, "dialed": f"18585550199,{BOB}"})
    group = MessageSession.from_row({"messagesession-id": "g", "messagesession-remote": f"{ANN},{BOB}"})
    received = received_message(row, group, datetime.now(UTC), account, "entry", "US")
    assert (received.participants, received.to_number) == ((ANN, BOB), "1001")
    pair = MessageSession.from_row({"messagesession-id": "p", "messagesession-remote": ANN})
    assert received_message(row, pair, datetime.now(UTC), account, "entry", "US").participants == ()


@pytest.mark.parametrize(
    ("kind", "participants", "expected"),
    [
        ("sms", f"{ANN},18585550199", ()),
        ("sms", f"8585550199,{ANN}", ()),
        ("chat", "1001@Acme.example,1002@acme.example", ()),
        ("chat", "1001,1002", ()),
        ("mms", f"{ANN},{BOB}", (ANN, BOB)),
        ("mms", f"{ANN},{BOB},18585550199", (ANN, BOB, "18585550199")),
        ("chat", "1002@acme.example,1001@other.example", ("1002@acme.example", "1001@other.example")),
    ],
)
def test_two_are_no_group(kind: str, participants: str, expected: tuple[str, ...]) -> None:
    """Some PBXs list both of two people, one of whom we are; a group is as the PBX lists it."""
    account = Account("1001@acme.example", "1001", "acme.example", "ann", "", "")
    row = Message.from_row({"type": kind, "direction": "orig", "messagesession-participants": participants})
    number = None if kind == "chat" else "18585550199"
    session = MessageSession.from_row({"messagesession-id": "p", "messagesession-sms-number": number})
    assert received_message(row, session, datetime.now(UTC), account, "entry", "US").participants == expected


# --- failures ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "within"),
    [({"kind": "status", "code": 404}, 3), ({"kind": "status", "code": 500}, 3), ({"kind": "body", "body": "5"}, 3)],
)
async def test_one_conversation_that_cannot_be_read(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    fault: dict[str, Any],
    within: float,
) -> None:
    """It keeps neither the others back nor the account."""
    broken = await pbx.receive(from_number=BOB, text="Broken")
    pbx.fault(path=f"{broken.messagesession}/messages", times=None, **fault)
    for number in range(8):
        await pbx.receive(from_number=ANN, text=f"Text {number}")
        await asyncio.sleep(0.2)
        assert looking.runtime_data.coordinator.last_update_success
    await until(lambda: len(entity_events.texts()) == 8, within)
    assert entity_events.texts() == [f"Text {number}" for number in range(8)]
    pbx.clear_faults()
    await pbx.receive(from_number=BOB, text="Mended")
    await until(lambda: len(entity_events.texts()) == 10, within)
    assert entity_events.texts()[8:] == ["Broken", "Mended"]


async def test_a_conversation_that_is_refused_for_a_while_is_not_deleted(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A 401 is about the login, and passes."""
    await change_timing(hass, looking, active=0.0)
    before = await pbx.receive(from_number=ANN, text="Before")
    await until(lambda: entity_events.texts() == ["Before"])
    fault = pbx.fault(FaultKind.UNAUTHORIZED, path=f"{before.messagesession}/messages", times=None)
    await pbx.receive(from_number=ANN, text="Refused")
    await until(lambda: fault.struck >= 6)
    pbx.clear_faults()
    await until(lambda: entity_events.texts() == ["Before", "Refused"])


async def test_one_that_cannot_be_read_for_long_is_told_in_the_end(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """How far all was read stands still meanwhile."""
    broken = await pbx.receive(from_number=BOB, text="Broken")
    pbx.fault(FaultKind.STATUS, path=f"{broken.messagesession}/messages", code=500, times=None)
    await asyncio.sleep(0.3)
    before = entity_events.texts()
    let_pass(pbx, looking, 3 * 3600)
    for text in ("Later", "And later"):
        await pbx.receive(from_number=ANN, text=text)
        await until(lambda text=text: entity_events.texts()[-1:] == [text])
    assert entity_events.texts() == [*before, "Later", "And later"]
    pbx.clear_faults()
    await until(lambda: sorted(entity_events.texts()) == ["And later", "Broken", "Later"])


async def test_a_fault_of_ours_does_not_end_it(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is in the log without its words, and the next look goes well."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("oops")

    with monkeypatch.context() as patch:
        patch.setattr(reader_module.MessageAPI, "get_messagesessions", fail)
        await until(lambda: "Unexpected error while polling" in caplog.text)
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])


async def test_what_is_announced_goes_before_what_is_read_again(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Twenty conversations that did not change need not be through first."""
    for number in range(20):
        await pbx.receive(from_number=f"185855501{number:02}", text="Before")
    await until(lambda: len(entity_events.texts()) == 20)
    pbx.fault(FaultKind.SLOW, path="/messages", seconds=0.5, times=None)
    reads = len(pbx.requests_to("/messages"))
    await until(lambda: len(pbx.requests_to("/messages")) > reads + 1)
    await pbx.receive(from_number=ANN, text="Announced")
    looking.runtime_data.poller.poll_soon()
    await until(lambda: entity_events.texts()[20:] == ["Announced"], within=5)
    await hass.config_entries.async_unload(looking.entry_id)
    await asyncio.sleep(0.6)  # until the PBX is done with what nobody waits for


async def test_an_unload_that_fails_goes_on_telling(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is lost between the two."""

    async def fail(*_: object) -> bool:
        return False

    await pbx.receive(from_number=ANN, text="Before")
    await until(lambda: entity_events.texts() == ["Before"])
    with monkeypatch.context() as patch:
        patch.setattr(hass.config_entries, "async_unload_platforms", fail)
        assert not await hass.config_entries.async_unload(looking.entry_id)
    await pbx.receive(from_number=ANN, text="After")
    await until(lambda: entity_events.texts() == ["Before", "After"])
    await looking.runtime_data.poller.async_stop()
    await looking.runtime_data.coordinator.async_shutdown()


async def test_reads_that_fail_here_and_there_do_not_slow_it(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of many conversations there is always one that fails; as long as it is another one, the waits do not grow."""
    await change_timing(hass, looking, longest_wait=60.0)
    timing = ThrottleTiming(rate=RateLimit(per_second=1000.0))
    looking.runtime_data.coordinator.throttle = Throttle(timing)
    poller, most = looking.runtime_data.poller, 0
    pbx.fault(FaultKind.STATUS, path="/messages", code=502, html=True, times=None, probability=0.3, seed=3)
    for number in range(20):
        await pbx.receive(from_number=f"185855501{number:02}", text=f"Text {number}")
    end = asyncio.get_running_loop().time() + 4
    while asyncio.get_running_loop().time() < end:
        most = max(most, poller._failures)
        await asyncio.sleep(0.02)
    assert 1 <= most <= 4
    assert sorted(entity_events.texts()) == sorted(f"Text {number}" for number in range(20))


async def test_what_stands_still_does_not_grow_without_end(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """A conversation that cannot be read for days does not hold up the checkpoint for ever."""
    broken = await pbx.receive(from_number=BOB, text="Broken")
    pbx.fault(FaultKind.STATUS, path=f"{broken.messagesession}/messages", code=500, times=None)
    poller = looking.runtime_data.poller
    await pbx.receive(from_number=ANN, text="Read")
    await until(lambda: entity_events.texts() == ["Read"])
    assert len(poller.checkpoint.seen) == 1
    let_pass(pbx, looking, 3 * 86400)
    await until(lambda: pbx.now() - poller.checkpoint.until < timedelta(hours=24, minutes=1))
    await until(lambda: poller.checkpoint.seen == {})


async def test_a_first_look_that_fails_tells_no_history_later(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """History stays history, whenever it can be read."""
    old = await pbx.receive(from_number=ANN, text="History")
    await asyncio.sleep(1.1)
    fault = pbx.fault(FaultKind.STATUS, path=f"{old.messagesession}/messages", code=500, times=3)
    entry = await add_account()
    await until(lambda: fault.struck >= 1)
    await until(entry.runtime_data.poller.ready.is_set)
    await asyncio.sleep(1.1)
    await pbx.receive(from_number=ANN, text="New")
    await until(lambda: entity_events.texts() == ["New"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["New"]


async def test_what_comes_in_while_the_first_look_fails_is_told_later(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """What is new is not taken for history."""
    await pbx.receive(from_number=ANN, text="History")
    await asyncio.sleep(1.1)
    fault = pbx.fault(FaultKind.BODY, path="/messagesessions", body="", times=None)
    entry = await add_account()
    await until(lambda: fault.struck >= 1)
    await asyncio.sleep(1.1)
    await pbx.receive(from_number=ANN, text="New")
    assert entry.runtime_data.poller.checkpoint is None
    pbx.clear_faults()
    await until(lambda: entity_events.texts() == ["New"])
    await pbx.receive(from_number=ANN, text="Newer")
    await until(lambda: entity_events.texts() == ["New", "Newer"])


async def test_one_that_cannot_be_told_keeps_no_other_back(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A listener that breaks costs one event."""
    entity = entity_of(hass, MESSAGES)
    write = entity.async_write_ha_state

    def fail() -> None:
        if entity.state_attributes["message"] == "Text 1":
            raise RuntimeError("oops")
        write()

    entity.async_write_ha_state = fail
    for number in range(3):
        await pbx.receive(from_number=BOB, text=f"Text {number}")
    await until(lambda: entity_events.texts() == ["Text 0", "Text 2"])
    assert "Unexpected error while calling" in caplog.text


async def test_the_pbx_was_away(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What came in meanwhile is reported once it is back."""
    await pbx.stop()
    await until(lambda: not looking.runtime_data.coordinator.last_update_success)
    await pbx.receive(from_number=ANN, text="Meanwhile")
    await asyncio.sleep(0.3)
    await pbx.start()
    await until(lambda: entity_events.texts() == ["Meanwhile"], within=20)
    await until(lambda: looking.runtime_data.coordinator.last_update_success)


async def test_it_is_said_once_that_messages_cannot_be_read(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it fails, the log has one line, and one once they can be read again."""
    caplog.set_level(logging.INFO)
    for times in (1, 2):
        fault = pbx.fault(FaultKind.STATUS, path="messagesessions", code=400, message="Not for you", times=None)
        await until(lambda fault=fault: fault.struck > 8)
        assert caplog.text.count("Messages cannot be read") == times
        pbx.clear_faults()
        await until(lambda times=times: caplog.text.count("Messages can be read again") == times)
    await asyncio.sleep(0.3)
    assert caplog.text.count("Messages can be read again") == 2


# --- what is kept --------------------------------------------------------------------


def place_path(hass: HomeAssistant, entry: MockConfigEntry) -> Path:
    return Path(hass.config.path(".storage", f"netsapiens.inbox.{entry.entry_id}"))


async def set_place(hass: HomeAssistant, entry: MockConfigEntry, change: Any) -> None:
    """Change the file while the account is not loaded."""
    path = place_path(hass, entry)
    content = json.loads(path.read_text())
    content["data"] = change(content["data"])
    path.write_text(json.dumps(content))


async def test_a_day_and_more_offline(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is older than a day is not reported any more."""
    await hass.config_entries.async_unload(looking.entry_id)
    await set_place(hass, looking, lambda data: {**data, **{key: data[key] - 50 * 3600 for key in ("until", "wall")}})
    await arrive_hours_ago(pbx, 49, 30, 25, 23, 1, numbers=(BOB, ANN))
    for _ in range(2):
        await hass.config_entries.async_setup(looking.entry_id)
        await until(lambda: len(entity_events.texts()) == 2)
        await asyncio.sleep(0.5)
        assert entity_events.texts() == ["23 hours ago", "1 hours ago"]
        assert caplog.text.count("3 messages that came in more than 24 hours ago were left out") == 1
        assert caplog.text.count("hours ago were left out") == 1
        await hass.config_entries.async_unload(looking.entry_id)
    [stamp] = [
        attributes["timestamp"] for _, attributes in entity_events.events if attributes["message"] == "23 hours ago"
    ][:1]
    assert timedelta(hours=22.9) < pbx.now() - datetime.fromisoformat(stamp) < timedelta(hours=23.1)


@pytest.mark.parametrize(
    "data",
    [
        [],
        None,
        5,
        {},
        {"until": "x", "seen": {}},
        {"until": None, "seen": {}},
        {"until": 1e300, "seen": {}},
        {"until": 1e18, "seen": {}},
        {"until": 4102444800, "seen": {}},
        {"until": -62135596800, "seen": {}},
        {"until": float("nan"), "seen": {}},
        {"until": 1795448332, "seen": {"a": "x"}},
        {"until": 1795448332, "seen": [1]},
    ],
)
async def test_a_damaged_place_is_begun_anew(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents, data: Any
) -> None:
    """Whatever stands in the file, the account loads and looks."""
    await hass.config_entries.async_unload(looking.entry_id)
    await set_place(hass, looking, lambda _: data)
    await hass.config_entries.async_setup(looking.entry_id)
    await until(looking.runtime_data.poller.ready.is_set)
    await asyncio.sleep(0.2)
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])
    await hass.config_entries.async_reload(looking.entry_id)
    await asyncio.sleep(0.4)
    assert entity_events.texts() == ["Hi"]


@pytest.mark.parametrize("content", [b"", b"{", b"\x00\xff", b"[]", b'{"version": 1}', b'{"version": 9, "data": {}}'])
async def test_a_file_that_is_none(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents, content: bytes
) -> None:
    """So it does where the file is no JSON at all."""
    await hass.config_entries.async_unload(looking.entry_id)
    place_path(hass, looking).write_bytes(content)
    await hass.config_entries.async_setup(looking.entry_id)
    await until(looking.runtime_data.poller.ready.is_set)
    await asyncio.sleep(0.2)
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])


async def test_a_disk_that_is_full(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was reported is reported once all the same, and the checkpoint is saved as soon as it can be."""

    path = place_path(hass, looking)
    await until(path.exists)
    path.unlink()
    path.mkdir()
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])
    await asyncio.sleep(0.5)
    assert entity_events.texts() == ["Hi"]
    errors = [
        record for record in caplog.records if record.levelname == "ERROR" and "receiving.reporter" in record.name
    ]
    assert len(errors) == 1
    path.rmdir()
    await until(path.exists)
    assert len(json.loads(path.read_text())["data"]["seen"]) == 1


async def test_removal_deletes_the_file(hass: HomeAssistant, looking: MockConfigEntry) -> None:
    """Nothing is left of an account."""
    path = place_path(hass, looking)
    await until(path.exists)
    await hass.config_entries.async_remove(looking.entry_id)
    assert not path.exists()


# --- clocks and stops ----------------------------------------------------------------


async def test_a_clock_that_is_put_back(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What comes in after that is still reported."""
    await pbx.receive(from_number=ANN, text="Summer")
    await until(lambda: entity_events.texts() == ["Summer"])
    pbx.clock_offset = -3600
    await asyncio.sleep(0.4)
    await pbx.receive(from_number=ANN, text="Winter")
    await until(lambda: entity_events.texts() == ["Summer", "Winter"])
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Summer", "Winter"]


async def test_a_clock_that_is_put_back_brings_no_earlier_one_again(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What was reported before it is not reported again."""
    await pbx.receive(from_number=ANN, text="Earlier")
    await until(lambda: entity_events.texts() == ["Earlier"])
    pbx.clock_offset = 1800
    await pbx.receive(from_number=BOB, text="Later")
    await until(lambda: entity_events.texts() == ["Earlier", "Later"])
    await asyncio.sleep(0.3)
    pbx.clock_offset = -1800
    await pbx.receive(from_number=ANN, text="Put back")
    await until(lambda: len(entity_events.texts()) >= 3)
    await asyncio.sleep(0.3)
    assert entity_events.texts() == ["Earlier", "Later", "Put back"]


async def test_a_clock_that_was_wrong_for_a_while(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What comes in once it is right is reported."""
    pbx.clock_offset = 2 * 86400
    await asyncio.sleep(0.5)
    pbx.clock_offset = 0
    await pbx.receive(from_number=ANN, text="Right")
    await until(lambda: entity_events.texts() == ["Right"])


async def test_a_clock_that_was_ahead_before_a_restart(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What came in meanwhile is not taken for older than what was read."""
    await hass.config_entries.async_unload(looking.entry_id)
    await set_place(hass, looking, lambda data: {**data, "until": data["until"] + 2 * 86400})
    pbx.clock_offset = -300
    await pbx.receive(from_number=ANN, text="Missed")
    pbx.clock_offset = 0
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts() == ["Missed"])


async def test_unload_during_a_look(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is being reported is reported to the end and saved; nothing is reported to entities that are gone."""
    await change_timing(hass, looking, apart=0.05)
    for number in range(10):
        await pbx.receive(from_number=ANN, text=f"Text {number}")
    await until(lambda: len(entity_events.texts()) == 3)
    await hass.config_entries.async_reload(looking.entry_id)
    await until(lambda: len(entity_events.texts()) >= 10)
    await asyncio.sleep(0.5)
    assert entity_events.texts() == [f"Text {number}" for number in range(10)]


async def test_unload_during_a_read(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """It does not wait for a slow PBX, and what was not reported comes later."""
    fault = pbx.fault(FaultKind.SLOW, path="/messages", seconds=0.5, times=None)
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: fault.struck > 0)
    async with asyncio.timeout(0.4):
        await hass.config_entries.async_unload(looking.entry_id)
    pbx.clear_faults()
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: entity_events.texts() == ["Hi"])
    await asyncio.sleep(0.5)  # until the PBX is done with what nobody waits for


async def test_no_look_while_home_assistant_stops(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What comes in at the end is left for the next start, when somebody listens."""
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()
    await pbx.receive(from_number=ANN, text="Late")
    await asyncio.sleep(0.4)
    assert entity_events.texts() == []
    await hass.config_entries.async_reload(looking.entry_id)
    await until(lambda: entity_events.texts() == ["Late"])


@pytest.mark.parametrize("incoming", ["poll", "off"])
async def test_an_unload_before_the_first_look(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, incoming: str
) -> None:
    """An account that is gone before the start has ended never looks."""
    hass.set_state(CoreState.starting)
    entry = await add_account(options={"from_number": pbx.numbers[0], "incoming": incoming})
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.set_state(CoreState.running)
    hass.bus.async_fire("homeassistant_started")
    await asyncio.sleep(0.3)
    assert pbx.requests_to("messagesessions") == []


async def test_switched_off(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """With the option off nothing is asked, and it can be turned on."""
    entry = await add_account(options={"from_number": pbx.numbers[0], "incoming": "off"})
    await pbx.receive(from_number=ANN, text="Hi")
    await asyncio.sleep(0.4)
    assert entity_events.events == []
    assert pbx.requests_to("messagesessions") == []
    hass.config_entries.async_update_entry(entry, options={**entry.options, "incoming": "poll"})
    await until(lambda: (data := getattr(entry, "runtime_data", None)) and data.poller and data.poller.checkpoint)
    await pbx.receive(from_number=ANN, text="On")
    await until(lambda: entity_events.texts() == ["On"])


async def test_what_comes_in_while_it_is_switched_off_is_not_told_later(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Switching it on begins as at the first time, also after a restart; and nobody is asked to mend what is off."""
    hass.config_entries.async_update_entry(looking, options={**looking.options, "incoming": "off"})
    await until(lambda: looking.runtime_data.poller is None)
    await pbx.receive(from_number=ANN, text="4711 disarm")
    await until(lambda: not place_path(hass, looking).exists())
    check_conversations(hass, looking, cut=True)
    await hass.config_entries.async_reload(looking.entry_id)
    assert not is_cut(hass, looking)
    hass.config_entries.async_update_entry(looking, options={**looking.options, "incoming": "poll"})
    await until(lambda: (poller := looking.runtime_data.poller) is not None and poller.ready.is_set())
    await pbx.receive(from_number=ANN, text="On")
    await until(lambda: bool(entity_events.texts()))
    assert entity_events.texts() == ["On"]


async def test_switched_off_and_on_at_once(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The new poller does not read what is about to be forgotten, nor loses what it kept itself."""
    for incoming in ("off", "poll"):
        hass.config_entries.async_update_entry(looking, options={**looking.options, "incoming": incoming})
        await hass.async_block_till_done()
    await until(lambda: (poller := looking.runtime_data.poller) is not None and poller.ready.is_set())
    await pbx.receive(from_number=ANN, text="On")
    await until(lambda: entity_events.texts() == ["On"])
    await until(place_path(hass, looking).exists)


def test_homes_do_not_ask_in_step() -> None:
    """The interval differs by a tenth."""
    waits = [30.0 * jitter(0.1) for _ in range(200)]
    assert 27 <= min(waits) < 28.5
    assert 31.5 < max(waits) <= 33


async def test_a_poll_that_is_waited_for(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Who waits for a poll goes on when one that began later has ended, well or not, and with the poller's end."""
    hass.data[RECEIVING_TIMING] = ReceivingTiming(poll=PollTiming(interval=3600.0, pause=0.01, first_wait=3600.0))
    entry = await add_account(recipient("Ann", ANN))
    poller = entry.runtime_data.poller
    await until(poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="ARM")
    await poller.async_poll_now()
    assert entity_events.texts() == ["ARM"]
    pbx.fault(FaultKind.STATUS, path="messagesessions", code=404)
    await asyncio.gather(poller.async_poll_now(), poller.async_poll_now())
    pbx.fault(FaultKind.HANG, path="messagesessions")
    waiting = asyncio.create_task(poller.async_poll_now())
    given_up = asyncio.create_task(poller.async_poll_now())
    await asyncio.sleep(0.1)
    given_up.cancel()
    assert not waiting.done()
    assert await hass.config_entries.async_unload(entry.entry_id)
    await waiting
    await poller.async_poll_now()  # nothing polls any more, so there is nothing to wait for
