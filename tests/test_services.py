"""The action netsapiens.send_message, up to what the PBX got."""

import base64
from collections.abc import Callable
from contextlib import nullcontext
import re
from typing import Any

from homeassistant.auth.models import Group
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
import voluptuous as vol

from custom_components.netsapiens.request import SendRequest, attached_media
from custom_components.netsapiens.services import without_empty
from tests.conftest import AddAccount, recipient
from tests.helpers import shown
from tests.simulator import Simulator

ANN, BOB, EVE = "18585550123", "18585550124", "18585550125"
OWN = "18585550199"
PICTURE = base64.b64encode(bytes(range(256)) * 2).decode()
SESSION = "a" * 32


async def send(hass: HomeAssistant, context: Context | None = None, **data: Any) -> list[dict[str, Any]]:
    """Call the action, and return its rows."""
    data.setdefault("message", "Hi")
    answer = await hass.services.async_call(
        "netsapiens", "send_message", data, blocking=True, return_response=True, context=context
    )
    assert answer is not None
    assert set(answer) == {"messages"}
    return answer["messages"]  # type: ignore[return-value]


async def refused(hass: HomeAssistant, pbx: Simulator, key: str, **data: Any) -> ServiceValidationError:
    """Call the action, and check that it refuses in its own words, and that nothing went out."""
    before = len(pbx.messages)
    posts = len([one for one in pbx.requests_to("/messages") if one.method == "POST"])
    with pytest.raises(ServiceValidationError) as caught:
        await send(hass, **data)
    assert caught.value.translation_key == key
    assert caught.value.translation_domain in ("netsapiens", "homeassistant")
    assert "{" not in str(caught.value), "a placeholder was left open"
    assert str(caught.value) != key, "there are no words for it"
    assert len(pbx.messages) == before
    assert len([one for one in pbx.requests_to("/messages") if one.method == "POST"]) == posts
    return caught.value


def destinations(pbx: Simulator) -> list[list[str]]:
    """Return whom the PBX sent to, a list a message."""
    return sorted(message.destination for message in pbx.messages)


# --- whom ---------------------------------------------------------------------------


async def test_one_number(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A text arrives as it was written, and the response says all of it."""
    rows = await send(hass, destination="(858) 555-0123", message="Grüße 🙂\n0012")
    (message,) = pbx.messages
    assert (message.destination, message.text, message.type, message.from_number) == (
        [ANN],
        "Grüße 🙂\n0012",
        "sms",
        OWN,
    )
    (row,) = rows
    assert row == {
        "destination": [shown(ANN)],
        "from_number": shown(OWN),
        "message_type": "sms",
        "messagesession": message.messagesession,
        "status": "sent",
        "message_id": row["message_id"],
        "segments": 1,
    }
    assert row["message_id"] is None or isinstance(row["message_id"], str)


async def test_the_id_that_the_pbx_gives(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """It is in the response."""
    pbx.accept_body = "message"
    (row,) = await send(hass, destination=ANN)
    assert row["message_id"] == pbx.messages[0].id


async def test_row_names_the_conversation_as_the_pbx_does(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """So that a text can follow in it, where the PBX files texts under an id of its own and says so."""
    pbx.file_under_own_id, pbx.accept_body = True, "message"
    (row,) = await send(hass, destination="18585550124")
    assert row["messagesession"] == pbx.messages[0].messagesession
    (row,) = await send(hass, messagesession=row["messagesession"], message="And one more")
    assert pbx.messages[1].destination == pbx.messages[0].destination


async def test_without_a_response(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Nothing is returned where nothing was asked for."""
    answer = await hass.services.async_call(
        "netsapiens", "send_message", {"destination": ANN, "message": "Hi"}, blocking=True
    )
    assert answer is None
    assert len(pbx.messages) == 1


async def test_a_list_is_texted_privately(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Nobody sees who else was texted."""
    rows = await send(hass, destination=[ANN, "858-555-0124"])
    assert [row["destination"] for row in rows] == [[shown(ANN)], [shown(BOB)]]
    assert destinations(pbx) == [[ANN], [BOB]]
    assert len({message.messagesession for message in pbx.messages}) == 2


async def test_numbers_from_yaml(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Numbers without quotes are numbers, and their types do no harm."""
    rows = await send(hass, destination=[18585550123, 8585550124], message=12)
    assert [row["destination"] for row in rows] == [[shown(ANN)], [shown(BOB)]]
    rows = await send(hass, destination=18585550125, from_number=18585550199)
    assert rows[0]["destination"] == [shown(EVE)]
    assert {message.text for message in pbx.messages} == {"12", "Hi"}


@pytest.mark.parametrize(
    "several",
    [
        f"{ANN}, 858-555-0124",
        "(858) 555-0123;(858) 555-0124",
        f"{ANN}\n{BOB}\n",
        [f"{ANN},{BOB}", BOB],
        [18585550123, f" {BOB} ,"],
    ],
)
async def test_a_text_may_hold_several_numbers(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, several: Any
) -> None:
    """Separated as people do."""
    rows = await send(hass, destination=several)
    assert [row["destination"] for row in rows] == [[shown(ANN)], [shown(BOB)]]


@pytest.mark.parametrize("nothing", ["", None, " \n"])
async def test_an_empty_field_is_not_given(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, nothing: str | None
) -> None:
    """So a template leaves an optional field out."""
    rows = await send(hass, destination=[EVE, nothing], **dict.fromkeys(EMPTY, nothing))
    assert [(row["destination"], row["status"]) for row in rows] == [([shown(EVE)], "sent")]
    assert pbx.messages[0].text == "Hi"
    await send(hass, entity_id="notify.ann", destination=nothing, media=[nothing], message=nothing, title="Hello")
    assert (pbx.messages[1].destination, pbx.messages[1].text) == ([ANN], "Hello")
    await refused(hass, pbx, "nothing_to_send", destination=EVE, message=nothing)


async def test_a_group(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """One conversation for all, where that is asked for."""
    (row,) = await send(hass, destination=[ANN, BOB], group=True)
    assert sorted(row["destination"]) == [shown(ANN), shown(BOB)]
    assert [sorted(message.destination) for message in pbx.messages] == [[ANN, BOB]]
    assert pbx.messages[0].type == row["message_type"]


async def test_the_same_person_twice_is_texted_once(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """However the number is written, by whichever way."""
    rows = await send(hass, destination=[ANN, "858 555 0123", "+1 (858) 555-0123"])
    assert len(rows) == len(pbx.messages) == 1
    rows = await send(hass, destination="858 555 0123", entity_id="notify.ann")
    assert len(rows) == 1
    assert len(pbx.messages) == 2


async def test_an_extension_is_a_chat(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """It costs nothing, and has no sender number."""
    (row,) = await send(hass, destination="1002")
    assert (row["destination"], row["message_type"], row["from_number"]) == (["1002"], "chat", None)
    (message,) = pbx.messages
    assert (message.type, message.from_number, message.destination) == ("chat", None, ["1002"])


async def test_a_short_code(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Five or six digits are a short code."""
    (row,) = await send(hass, destination="262966")
    assert (row["destination"], row["message_type"], row["from_number"]) == (["262966"], "sms", shown(OWN))


@pytest.mark.parametrize(
    ("destination", "message_type", "from_number"),
    [("1002", "chat", None), ("12345", "chat", None), (ANN, "mms", shown(OWN))],
)
async def test_the_message_type_can_be_chosen(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    destination: str,
    message_type: str,
    from_number: str | None,
) -> None:
    """Where that makes sense."""
    (row,) = await send(hass, destination=destination, message_type=message_type)
    assert (row["message_type"], row["from_number"]) == (message_type, from_number)
    assert pbx.messages[0].type == message_type


# --- targets ------------------------------------------------------------------------


@pytest.fixture
async def family(hass: HomeAssistant, add_account: AddAccount) -> MockConfigEntry:
    """An account with three recipients, one of them a group."""
    return await add_account(
        recipient("Ann", ANN, recipient_id="ann"),
        recipient("Bob", BOB, "1002", recipient_id="bob"),
        recipient("All", ANN, EVE, recipient_id="all", group=True),
    )


async def test_target_entities(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """Each recipient that is targeted gets it, as its own settings say."""
    rows = await send(hass, entity_id=["notify.ann", "notify.bob", "notify.all"])
    assert sorted(row["destination"] for row in rows) == [
        [shown(ANN)],
        [shown(ANN), shown(EVE)],
        [shown(BOB)],
        ["1002"],
    ]
    assert destinations(pbx) == [["1002"], [ANN], [ANN, EVE], [BOB]]


async def test_all(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """All recipients that are enabled, and the numbers beside them."""
    er.async_get(hass).async_update_entity("notify.bob", disabled_by=er.RegistryEntryDisabler.USER)
    await send(hass, entity_id="all", destination="8585550177")
    assert destinations(pbx) == [[ANN], [ANN, EVE], ["18585550177"]]


async def test_target_and_destination(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """What is said of a group is of the numbers."""
    rows = await send(hass, entity_id="notify.ann", destination=[EVE, BOB], group=True)
    assert sorted(sorted(row["destination"]) for row in rows) == [[shown(ANN)], [shown(BOB), shown(EVE)]]


async def test_target_device_area_floor_and_label(
    hass: HomeAssistant,
    pbx: Simulator,
    family: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
    area_registry: ar.AreaRegistry,
    floor_registry: fr.FloorRegistry,
    label_registry: lr.LabelRegistry,
) -> None:
    """Whatever way Home Assistant targets by."""
    ann, bob = (entity_registry.async_get(f"notify.{name}") for name in ("ann", "bob"))
    assert ann is not None
    assert bob is not None
    assert ann.device_id is not None
    floor = floor_registry.async_create("First")
    kitchen = area_registry.async_create("Kitchen", floor_id=floor.floor_id)
    label = label_registry.async_create("Guards")
    device_registry.async_update_device(ann.device_id, area_id=kitchen.id)
    entity_registry.async_update_entity("notify.bob", labels={label.label_id})
    for target, expected in (
        ({"device_id": ann.device_id}, [[ANN]]),
        ({"area_id": kitchen.id}, [[ANN]]),
        ({"floor_id": floor.floor_id}, [[ANN]]),
        ({"label_id": label.label_id}, [["1002"], [BOB]]),
        ({"label_id": [label.label_id], "area_id": [kitchen.id], "entity_id": "notify.ann"}, [["1002"], [ANN], [BOB]]),
    ):
        pbx.messages.clear()
        await send(hass, **target)
        assert destinations(pbx) == expected, target


async def test_other_things_in_a_targeted_area_are_left_alone(
    hass: HomeAssistant,
    pbx: Simulator,
    family: MockConfigEntry,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
    area_registry: ar.AreaRegistry,
) -> None:
    """A lamp is not texted, and is no error."""
    kitchen = area_registry.async_create("Kitchen")
    lamp = entity_registry.async_get_or_create("light", "demo", "lamp", original_name="Lamp")
    other = entity_registry.async_get_or_create("notify", "demo", "other", original_name="Other")
    for entity_id in (lamp.entity_id, other.entity_id):
        entity_registry.async_update_entity(entity_id, area_id=kitchen.id)
    ann = entity_registry.async_get("notify.ann")
    assert ann is not None
    device_registry.async_update_device(str(ann.device_id), area_id=kitchen.id)
    await send(hass, area_id=kitchen.id)
    assert destinations(pbx) == [[ANN]]


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ({"entity_id": "notify.nobody"}, "not_a_recipient"),
        ({"entity_id": ["notify.ann", "light.lamp"]}, "not_a_recipient"),
        ({"device_id": "no-such-device"}, "target_not_found"),
        ({"area_id": "nowhere", "entity_id": "notify.ann"}, "target_not_found"),
        ({"floor_id": "no-such-floor"}, "target_not_found"),
        ({"label_id": "no-such-label"}, "target_not_found"),
    ],
)
async def test_a_target_that_is_nobody(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, target: dict[str, Any], key: str
) -> None:
    """A mistake in the target is told, and nobody is texted."""
    await refused(hass, pbx, key, destination=EVE, **target)


async def test_a_group_of_entities(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """A group's members are texted."""
    hass.states.async_set("group.guards", "unknown", {"entity_id": ["notify.ann", "notify.bob"]})
    await send(hass, entity_id="group.guards")
    assert destinations(pbx) == [["1002"], [ANN], [BOB]]


async def test_a_disabled_entity_is_nobody(
    hass: HomeAssistant,
    pbx: Simulator,
    family: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    label_registry: lr.LabelRegistry,
) -> None:
    """Who switches an entity off does not want it to text."""
    label = label_registry.async_create("Guards")
    for entity_id in ("notify.ann", "notify.bob"):
        entity_registry.async_update_entity(entity_id, labels={label.label_id})
    entity_registry.async_update_entity("notify.bob", disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done()
    await send(hass, label_id=label.label_id)
    assert destinations(pbx) == [[ANN]]
    await refused(hass, pbx, "not_a_recipient", entity_id="notify.bob")


async def test_a_recipient_of_a_disabled_account(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """It is said that the account is not loaded, and not that nobody is meant."""
    await hass.config_entries.async_set_disabled_by(family.entry_id, ConfigEntryDisabler.USER)
    await hass.async_block_till_done()
    await _refused_by_core(hass, pbx, entity_id="notify.bob")


async def test_a_stray_entity_is_nobody(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """One of ours that is no recipient is told as that."""
    stray = entity_registry.async_get_or_create("notify", "netsapiens", "stray", config_entry=family)
    await refused(hass, pbx, "not_a_recipient", entity_id=stray.entity_id)
    event = entity_registry.async_get_or_create("event", "netsapiens", "stray", config_entry=family)
    await refused(hass, pbx, "not_a_recipient", entity_id=event.entity_id)


async def test_an_area_without_recipients(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, area_registry: ar.AreaRegistry
) -> None:
    """It is told that there is nobody."""
    await refused(hass, pbx, "nobody_to_send_to", area_id=area_registry.async_create("Empty").id)


# --- what ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"title": "Laundry", "message": "Done"}, "Laundry\nDone"),
        ({"title": "", "message": "Done"}, "Done"),
        ({"title": "Laundry", "message": ""}, "Laundry"),
        ({"message": "two\nlines"}, "two\nlines"),
    ],
)
async def test_the_title_is_the_first_line(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, data: dict[str, Any], text: str
) -> None:
    """And counts as a text where there is none."""
    await send(hass, destination=ANN, **data)
    assert pbx.messages[0].text == text


async def test_data(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Base64 goes as a picture, in any form in which tools write it."""
    wrapped = "\n".join(re.findall(".{1,76}", PICTURE)) + "\n"
    rows = await send(hass, destination=[ANN, "1002"], data=wrapped, mime_type="image/PNG", message="")
    assert [row["message_type"] for row in rows] == ["mms", "chat-media"]
    assert [row["from_number"] for row in rows] == [shown(OWN), None]
    for message in pbx.messages:
        assert message.media == base64.b64decode(PICTURE)
        assert message.mime_type == "image/png"
        assert message.text == "Picture"


EMPTY = (
    *("entity_id", "device_id", "config_entry_id", "title", "media", "group", "from_number", "message_type"),
    *("messagesession", "data", "mime_type", "keep_for"),
)

BROKEN_RULES: list[tuple[str, dict[str, Any]]] = [
    ("invalid_data", {"data": "no base64!", "mime_type": "image/png"}),
    ("invalid_data", {"data": "abcde", "mime_type": "image/png"}),
    ("invalid_data", {"data": "äöü", "mime_type": "image/png"}),
    ("mime_type_without_data", {"data": "", "mime_type": "image/png"}),
    ("invalid_mime_type", {"data": PICTURE}),
    ("invalid_mime_type", {"data": PICTURE, "mime_type": ""}),
    ("invalid_mime_type", {"data": PICTURE, "mime_type": "png"}),
    ("invalid_mime_type", {"data": PICTURE, "mime_type": "image/png\r\nX: y"}),
    ("mime_type_without_data", {"mime_type": "image/png"}),
    ("type_without_media", {"data": PICTURE, "mime_type": "image/png", "message_type": "sms"}),
    ("type_without_media", {"data": PICTURE, "mime_type": "image/png", "message_type": "chat"}),
    ("nothing_to_send", {"message": ""}),
    ("nothing_to_send", {"message": " \n ", "title": " "}),
    ("invalid_message_type", {"message_type": "fax"}),
    ("invalid_messagesession", {"messagesession": "a" * 31}),
    ("invalid_messagesession", {"messagesession": "a" * 32 + "-"}),
    ("invalid_messagesession", {"messagesession": "a" * 32 + "\n"}),
    ("invalid_messagesession", {"messagesession": "ä" * 32}),
    ("messagesession_for_several", {"messagesession": SESSION, "destination": [ANN, BOB]}),
    ("messagesession_for_several", {"messagesession": SESSION, "entity_id": "notify.bob"}),
    ("invalid_number", {"destination": "555-0123"}),
    ("sender_without_number", {"destination": [ANN, BOB, "nobody"]}),
    ("sender_without_number", {"destination": f"{ANN}, nobody"}),
    ("invalid_number", {"destination": f"{ANN},,123"}),
    ("invalid_number", {"destination": [EVE, f"{ANN},,123#"]}),
    ("invalid_number", {"destination": f"{ANN};123"}),
    ("invalid_number", {"destination": "555-0123", "entity_id": "notify.ann"}),
    ("nobody_to_send_to", {"destination": []}),
    ("nobody_to_send_to", {"destination": ["", None]}),
    ("nobody_to_send_to", {"destination": " , "}),
    ("nothing_to_send", {"message": "\u200b\ufeff \u2060"}),
    ("mixed_group", {"destination": [ANN, "1002"], "group": True}),
    ("chat_to_phone_number", {"message_type": "chat"}),
    ("chat_to_phone_number", {"message_type": "chat", "destination": "(858) 555-0123"}),
    ("chat_to_phone_number", {"message_type": "chat-media", "destination": ["1002", "+44 20 7946 0958"]}),
    ("chat_to_phone_number", {"message_type": "chat", "entity_id": "notify.ann"}),
    ("mms_to_extension", {"message_type": "mms", "destination": "1002", "data": PICTURE, "mime_type": "image/png"}),
    ("mms_to_extension", {"message_type": "mms", "entity_id": "notify.bob"}),
    ("foreign_sender", {"from_number": "18585550177"}),
    ("foreign_sender", {"from_number": "1002"}),
    ("foreign_sender", {"from_number": "not a number"}),
    ("foreign_sender", {"from_number": "8585550177", "entity_id": "notify.ann"}),
]


async def test_broken_rules(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """Each broken rule has its error, and nothing goes out."""
    for key, data in BROKEN_RULES:
        await refused(hass, pbx, key, **{"destination": ANN, **data})


async def test_nobody_and_nothing(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """Without anybody to text, or anything to send, a call is an error."""
    await refused(hass, pbx, "nobody_to_send_to")
    await refused(hass, pbx, "nobody_to_send_to", config_entry_id=family.entry_id)
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call("netsapiens", "send_message", {"destination": ANN}, blocking=True)
    assert caught.value.translation_key == "nothing_to_send"
    assert pbx.messages == []


async def test_an_error_shows_of_a_number_the_end(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """And nothing of the text."""
    error = await refused(hass, pbx, "invalid_number", destination="+1 858 555 01239", message="Secret words")
    assert "…1239" in str(error)
    assert "858" not in str(error)
    assert "Secret" not in str(error)
    error = await refused(hass, pbx, "foreign_sender", destination=ANN, from_number="858 555 0177")
    assert "…0177" in str(error)
    assert "may text from: …0199" in str(error)
    assert "858" not in str(error)


@pytest.mark.parametrize(
    ("destination", "named"),
    [
        ("555-0123", "555-0123 is"),
        (f"{ANN}, {BOB}, 12", "12 (3/3) is"),
        ("8585550123,,123", "…3123 is"),
        ("The code of the garage is 4711", "…4711 is"),
        ("+1 858 555 01239", "…1239 is"),
    ],
)
async def test_the_number_that_is_none_is_named(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, destination: Any, named: str
) -> None:
    """As far as it may be, with what to do."""
    error = await refused(hass, pbx, "invalid_number", destination=destination)
    assert named in str(error)
    assert "area code" in str(error)
    assert "858" not in str(error)
    assert "garage" not in str(error)


async def test_a_name_in_place_of_a_number_is_named(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """With its place in the list."""
    error = await refused(hass, pbx, "sender_without_number", destination=[ANN, "hello", "nobody"])
    assert "hello (2/3) is" in str(error)


async def test_no_sender_that_could_be_named(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The error does not list nothing."""
    pbx.first_user.numbers.clear()
    await add_account(options={})
    await refused(hass, pbx, "no_sender_listed", destination=ANN, from_number=OWN)


@pytest.mark.parametrize("field", [{"message": ["a"]}, {"group": "maybe"}, {"nonsense": 1}, {"data": {"a": 1}}])
async def test_the_schema_checks_types(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, field: dict[str, Any]
) -> None:
    """What is of another type is told as the field's mistake."""
    with pytest.raises(vol.Invalid):
        await send(hass, **{"destination": ANN, **field})
    assert pbx.messages == []


@pytest.mark.parametrize("keep_for", [0, 90, "90", "00:05:00", {"minutes": 5}])
async def test_how_long_to_keep_trying(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, keep_for: Any
) -> None:
    """In each form in which Home Assistant takes a duration."""
    (row,) = await send(hass, destination=ANN, keep_for=keep_for)
    assert row["status"] == "sent"


@pytest.mark.parametrize("keep_for", ["soon", [1], {"moons": 1}, 1e20, "inf", "nan", {"days": 1e12}])
async def test_no_duration(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, keep_for: Any) -> None:
    """What is none is refused."""
    with pytest.raises(vol.Invalid):
        await send(hass, destination=ANN, keep_for=keep_for)
    assert pbx.messages == []


# --- the sender ---------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["18585550198", "(858) 555-0198", "+1 858 555 0198", "858.555.0198"])
async def test_a_listed_sender(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, spelling: str) -> None:
    """A number of the account's, however it is written."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=[OWN, "18585550198"])
    await add_account()
    (row,) = await send(hass, destination=ANN, from_number=spelling)
    assert (row["from_number"], pbx.messages[0].from_number) == (shown("18585550198"), "18585550198")


async def test_a_sender_is_given_as_the_pbx_lists_it(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Some PBXs take it only in their own form."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=["8585550199"])
    await add_account(options={"from_number": OWN})
    (row,) = await send(hass, destination=ANN)
    assert (row["from_number"], pbx.messages[-1].from_number) == (shown(OWN), "8585550199")
    (row,) = await send(hass, destination=ANN, from_number="+1 858 555 0199")
    assert (row["from_number"], pbx.messages[-1].from_number) == (shown(OWN), "8585550199")


async def test_configured_senders_need_no_listing(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A login may be kept from seeing its numbers, and yet text from them."""
    pbx.first_user.numbers.append(type(pbx.first_user.numbers[0])("18585550198"))
    pbx.fault("status", path="/smsnumbers", code=403, message="Permission denied", times=None)
    await add_account(
        recipient("Ann", ANN, from_number="18585550198"), recipient("Bob", BOB), options={"from_number": OWN}
    )
    rows = await send(hass, entity_id=["notify.ann", "notify.bob"])
    assert {row["destination"][0]: row["from_number"] for row in rows} == {
        shown(ANN): shown("18585550198"),
        shown(BOB): shown(OWN),
    }
    (row,) = await send(hass, destination=ANN, from_number="858 555 0199")
    assert row["from_number"] == shown(OWN)
    # Ann's own number is for texts to Ann.
    await refused(hass, pbx, "foreign_sender", entity_id=["notify.ann", "notify.bob"], from_number="18585550198")


async def test_without_any_sender(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A text needs one, a chat does not."""
    pbx.first_user.numbers.clear()
    await add_account()
    await refused(hass, pbx, "no_sender", destination=[ANN])
    await refused(hass, pbx, "no_sender", destination=["1002", ANN])
    (row,) = await send(hass, destination="1002")
    assert row["message_type"] == "chat"


# --- conversations ------------------------------------------------------------------


async def test_a_given_conversation(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """It is continued, by one or by a group."""
    (row,) = await send(hass, destination=ANN, messagesession=SESSION)
    assert row["messagesession"] == pbx.messages[0].messagesession == SESSION
    (row,) = await send(hass, destination=[ANN, BOB], group=True, messagesession=SESSION)
    assert row["messagesession"] == SESSION
    (row,) = await send(hass, destination=[ANN, "858 555 0123"], messagesession=SESSION)
    assert row["destination"] == [shown(ANN)]


async def test_a_conversation_is_kept(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The same people, sender and account are always one conversation."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=[OWN, "18585550198"])
    pbx.add_user("1002@acme.example", numbers=["18585550197"])
    first = await add_account(recipient("Ann", ANN), recipient("All", BOB, ANN, group=True))
    second = await add_account(login="1002@acme.example", action="netsapiens_two")

    async def session(**data: Any) -> str:
        (row,) = await send(hass, **{"config_entry_id": first.entry_id, **data})
        return row["messagesession"]

    alone = await session(destination=ANN)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{31,}", alone)
    assert await session(destination="+1 (858) 555-0123") == alone
    assert await session(destination=ANN, data=PICTURE, mime_type="image/png", message="") == alone
    assert await session(entity_id="notify.ann") == alone
    group = await session(destination=[ANN, BOB], group=True)
    assert await session(destination=[BOB, "858 555 0123"], group=True) == group
    assert await session(entity_id="notify.all") == group
    other_sender = await session(destination=ANN, from_number="18585550198")
    other_account = await session(destination=ANN, config_entry_id=second.entry_id)
    assert len({alone, group, other_sender, other_account}) == 4
    assert await hass.config_entries.async_reload(first.entry_id)
    assert await session(destination=ANN) == alone


# --- several accounts ---------------------------------------------------------------


@pytest.fixture
async def accounts(pbx: Simulator, add_account: AddAccount) -> tuple[MockConfigEntry, MockConfigEntry]:
    """Two accounts: the first with Ann, the second with Bob."""
    pbx.add_user("1002@acme.example", numbers=["18585550197"])
    return (
        await add_account(recipient("Ann", ANN)),
        await add_account(recipient("Bob", BOB), login="1002@acme.example", action="netsapiens_two"),
    )


async def test_two_accounts(
    hass: HomeAssistant, pbx: Simulator, accounts: tuple[MockConfigEntry, MockConfigEntry]
) -> None:
    """Which one is meant is clear, or has to be said."""
    first, second = accounts
    await refused(hass, pbx, "account_needed", destination=EVE)
    await refused(hass, pbx, "account_needed", destination=EVE, entity_id=["notify.ann", "notify.bob"])
    await _refused_by_core(hass, pbx, destination=EVE, config_entry_id="no-such-entry")

    (row,) = await send(hass, destination=EVE, config_entry_id=second.entry_id)
    assert row["from_number"] == shown("18585550197")
    (row,) = await send(hass, entity_id="notify.bob")
    assert row["from_number"] == shown("18585550197")
    rows = await send(hass, entity_id="notify.bob", destination=EVE)
    assert {row["from_number"] for row in rows} == {shown("18585550197")}
    rows = await send(hass, entity_id=["notify.bob", "notify.ann"])
    assert {row["destination"][0]: row["from_number"] for row in rows} == {
        shown(ANN): shown(OWN),
        shown(BOB): shown("18585550197"),
    }
    (row,) = await send(hass, entity_id="notify.bob", config_entry_id=second.entry_id)

    pbx.messages.clear()
    error = await refused(
        hass, pbx, "recipient_of_other_account", entity_id="notify.bob", config_entry_id=first.entry_id
    )
    assert "1001@acme.example" in str(error)
    assert "1002@acme.example" in str(error)
    await refused(hass, pbx, "foreign_sender", entity_id=["notify.ann", "notify.bob"], from_number=OWN)
    await refused(
        hass, pbx, "messagesession_for_several", entity_id=["notify.ann", "notify.bob"], messagesession=SESSION
    )


async def _refused_by_core(hass: HomeAssistant, pbx: Simulator, **data: Any) -> None:
    before = len(pbx.messages)
    with pytest.raises(ServiceValidationError) as caught:
        await send(hass, **data)
    assert caught.value.translation_domain == "homeassistant"
    assert len(pbx.messages) == before


async def test_an_account_that_is_not_loaded(
    hass: HomeAssistant, pbx: Simulator, accounts: tuple[MockConfigEntry, MockConfigEntry]
) -> None:
    """It is told as that, and the other one goes on."""
    first, second = accounts
    assert await hass.config_entries.async_unload(second.entry_id)
    await _refused_by_core(hass, pbx, entity_id="notify.bob")
    await _refused_by_core(hass, pbx, destination=EVE, config_entry_id=second.entry_id)
    await _refused_by_core(hass, pbx, entity_id=["notify.ann", "notify.bob"])
    (row,) = await send(hass, destination=EVE, config_entry_id=first.entry_id)
    assert row["from_number"] == shown(OWN)
    assert await hass.config_entries.async_unload(first.entry_id)
    await _refused_by_core(hass, pbx, destination=EVE)


# --- permissions --------------------------------------------------------------------


@pytest.fixture
def user(hass: HomeAssistant) -> Callable[..., Context]:
    """Make a user who may do only what the policy says, and return a call's context of hers."""

    def make(policy: dict[str, Any]) -> Context:
        group = Group(name="Guests", policy=policy)
        made = MockUser(groups=[group]).add_to_hass(hass)
        made.mock_policy(policy)
        return Context(user_id=made.id)

    return make


async def test_a_user_needs_control_permission(
    hass: HomeAssistant,
    pbx: Simulator,
    family: MockConfigEntry,
    user: Callable[..., Context],
    entity_registry: er.EntityRegistry,
) -> None:
    """Who may only look at a recipient may not text it."""
    ann = entity_registry.async_get("notify.ann")
    assert ann is not None
    guest = user({"entities": {"entity_ids": {"notify.bob": True, "notify.ann": {"read": True}}}})
    for target in (
        {"entity_id": "notify.ann"},
        {"entity_id": ["notify.bob", "notify.ann"]},
        {"device_id": ann.device_id},
        {"entity_id": "notify.ann", "destination": EVE},
    ):
        with pytest.raises(Unauthorized) as caught:
            await send(hass, guest, **target)
        assert caught.value.entity_id == "notify.ann"
        assert caught.value.permission == "control"
    assert pbx.messages == []
    await send(hass, guest, entity_id="notify.bob")
    assert destinations(pbx) == [["1002"], [BOB]]


@pytest.mark.parametrize("wide", [False, True])
async def test_only_who_may_control_all_may_text_numbers(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, user: Callable[..., Context], wide: bool
) -> None:
    """A user with few rights texts no strangers."""
    guest = user({"entities": True if wide else {"entity_ids": {"notify.bob": True}}})
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("netsapiens", "send_message", {"destination": EVE}),
        ("netsapiens", "send_message", {"entity_id": "notify.bob", "destination": EVE}),
        ("notify", "netsapiens", {"target": EVE}),
        ("notify", "netsapiens_ann", {}),
        ("notify", "netsapiens_bob", {"target": EVE}),
        ("notify", "netsapiens_bob", {"data": {"destination": EVE}}),
    ]
    for domain, name, data in calls:
        with nullcontext() if wide else pytest.raises(Unauthorized):
            await hass.services.async_call(domain, name, {"message": "Hi", **data}, blocking=True, context=guest)
    assert bool(pbx.messages) is wide
    if not wide:
        with pytest.raises(Unauthorized):
            await send(hass, guest, messagesession="a" * 32)
    pbx.messages.clear()
    await hass.services.async_call("notify", "netsapiens_bob", {"message": "Yo"}, blocking=True, context=guest)
    assert pbx.messages


async def test_an_unknown_user(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """A user who is gone may do nothing."""
    with pytest.raises(UnknownUser):
        await send(hass, Context(user_id="nobody"), entity_id="notify.ann")
    assert pbx.messages == []


async def test_an_admin_and_an_automation(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, hass_admin_user: MockUser
) -> None:
    """Both may do all."""
    await send(hass, Context(user_id=hass_admin_user.id), entity_id="notify.ann")
    await send(hass, Context(), entity_id="notify.ann")
    assert len(pbx.messages) == 2


# --- refusals of the PBX ------------------------------------------------------------


async def test_the_pbx_refuses(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Its words reach the caller, and the text does not."""
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid from-number")
    with pytest.raises(HomeAssistantError) as caught:
        await send(hass, destination=ANN, message="Secret words")
    assert not isinstance(caught.value, ServiceValidationError)
    assert caught.value.translation_key == "refused"
    assert "400" in str(caught.value)
    assert "Invalid from-number" in str(caught.value)
    assert "Secret" not in str(caught.value)


async def test_the_pbx_refuses_with_words_that_cannot_be_shown(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """The error has the status, and none of the text that the PBX said back."""
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid: SECRET WORDS")
    with pytest.raises(HomeAssistantError) as caught:
        await send(hass, destination=ANN, message="Secret words")
    assert caught.value.translation_key == "refused_without_words"
    assert str(caught.value) == "The phone system refused with status 400, without a reason that can be shown"


async def test_some_fail(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """The simulator refuses by what is asked of it: Bob's second number is no extension that chats."""
    pbx.fault("status", path="/messages", method="POST", code=403, message="Not to 18585550123: Secret words", times=2)
    with pytest.raises(HomeAssistantError) as caught:
        await send(
            hass, entity_id=["notify.ann", "notify.bob"], destination=["18585550126", EVE], message="Secret words"
        )
    assert not isinstance(caught.value, ServiceValidationError)
    words = str(caught.value)
    assert caught.value.translation_key == "some_failed"
    assert "2 of 5" in words
    assert len(pbx.messages) == 3
    got = {number for message in pbx.messages for number in message.destination}
    names = {"18585550126": "…0126", EVE: "…0125", ANN: "Ann", BOB: "Bob", "1002": "Bob"}
    failed = set(names) - got
    assert len(failed) == 2
    assert all(names[number] in words for number in failed)
    assert not any(names[number] in words for number in got - {BOB, "1002", ANN})
    assert "Secret" not in words
    assert not re.search(r"\d{5,}", words)


async def test_all_of_several_fail(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """The error counts them."""
    pbx.fault("status", path="/messages", method="POST", code=404, message="User not found", times=None)
    with pytest.raises(HomeAssistantError, match="2 of 2"):
        await send(hass, destination=[ANN, BOB])
    assert pbx.messages == []


def test_media_without_a_byte_is_refused() -> None:
    """A card may send such; an action's fields that are empty count as not given."""
    with pytest.raises(ServiceValidationError) as raised:
        attached_media(SendRequest(message="Hi", data=" ", mime_type="image/png"))
    assert raised.value.translation_key == "invalid_data"


def test_fields_that_are_none_are_left_to_the_schema() -> None:
    """It says what is wrong with them."""
    assert without_empty("Hi") == "Hi"
