"""The automation blueprints, each as an automation in a house with an account, texted with over HTTP."""

import asyncio
from collections.abc import Callable, Coroutine
import io
from pathlib import Path
import shutil
import sys
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock
from urllib.parse import quote

from homeassistant.components.blueprint.models import Blueprint
from homeassistant.components.blueprint.schemas import BLUEPRINT_SCHEMA
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
from PIL import Image as Picture
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from tests.conftest import AddAccount, recipient
from tests.fixtures import hass_storage  # noqa: F401
from tests.helpers import until
from tests.simulator import Simulator

type UseBlueprint = Callable[..., Coroutine[Any, Any, None]]

FOLDER = Path(__file__).resolve().parent.parent / "blueprints" / "automation" / "netsapiens"
NAMES = sorted(path.name for path in FOLDER.glob("*.yaml"))
ANN, BOB, CARA, STRANGER = "18585550123", "18585550124", "18585550125", "18585550177"
SENSOR = "binary_sensor.leak"
SENTENCE = "is the garage door open?"


@pytest.fixture
async def house(hass: HomeAssistant, quick_inbox: None, add_account: AddAccount) -> MockConfigEntry:
    """An account with four recipients, one an extension, whose poller has looked once."""
    await async_setup_component(hass, "homeassistant", {})
    hass.states.async_set(SENSOR, "off")
    entry = await add_account(
        recipient("Ann", ANN), recipient("Bob", BOB), recipient("Cara", CARA), recipient("Dora", "1002")
    )
    await looked(entry)
    return entry


async def looked(entry: MockConfigEntry) -> None:
    await until(lambda: entry.runtime_data.poller is not None and entry.runtime_data.poller.checkpoint is not None)


@pytest.fixture
def use(hass: HomeAssistant, house: MockConfigEntry) -> UseBlueprint:
    """Make an automation of a blueprint."""

    async def make(name: str, **inputs: Any) -> None:
        folder = Path(hass.config.path("blueprints", "automation", "netsapiens"))
        await asyncio.to_thread(shutil.copytree, FOLDER, folder, dirs_exist_ok=True)
        if "allowed" in inputs:
            inputs["allowed"] = [device(hass, one) for one in inputs["allowed"]]
        config = {"id": "one", "alias": "One", "use_blueprint": {"path": f"netsapiens/{name}.yaml", "input": inputs}}
        assert await async_setup_component(hass, "automation", {"automation": [config]})
        await hass.async_block_till_done()
        assert hass.states.get("automation.one").state == "on"

    return make


def device(hass: HomeAssistant, name: str) -> str:
    """Return the device that an event entity is on: a recipient's, or the account's."""
    entity = er.async_get(hass).async_get(f"event.{name}_messages")
    assert entity is not None
    assert entity.device_id is not None
    assert dr.async_get(hass).async_get(entity.device_id) is not None
    return entity.device_id


def sent_to(pbx: Simulator, number: str) -> list[str]:
    """Return what a phone got."""
    return [message.text for message in pbx.messages if message.destination == [number]]


async def nothing_more(pbx: Simulator, seconds: float = 0.7) -> None:
    """See that nothing is sent for a while."""
    before = len(pbx.messages)
    await asyncio.sleep(seconds)
    assert len(pbx.messages) == before


# --- all of them ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_imported_and_every_input_is_used(name: str) -> None:
    """Home Assistant takes it, from the address that it names, and no input is for nothing."""
    data = load_yaml_dict(str(FOLDER / name))
    blueprint = Blueprint(data, expected_domain="automation", path=name, schema=BLUEPRINT_SCHEMA)
    assert blueprint.validate() is None
    url = f"https://github.com/netsapiens-homeassistant/netsapiens/blob/main/blueprints/automation/netsapiens/{name}"
    assert blueprint.metadata["source_url"] == url
    for one in blueprint.inputs.values():
        assert one["name"]
        assert one["selector"]


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_leads_to_it(name: str) -> None:
    """With the button that imports it."""
    source = str(load_yaml_dict(str(FOLDER / name))["blueprint"]["source_url"])
    link = f"https://my.home-assistant.io/redirect/blueprint_import/?blueprint_url={quote(source, safe='')})"
    assert link in (FOLDER.parents[2] / "README.md").read_text(encoding="utf-8")


async def test_what_came_before_triggers_nothing(
    hass: HomeAssistant, pbx: Simulator, house: MockConfigEntry, use: UseBlueprint
) -> None:
    """Neither a reload of the account nor one of the automations is a message."""
    await use("text_command", **COMMAND)
    runs = async_capture_events(hass, "armed")
    await pbx.receive(from_number=ANN, text="4711 arm")
    await until(lambda: len(runs) == 1)
    await until(lambda: sent_to(pbx, ANN) == ["Done."])
    for _ in range(2):
        await hass.config_entries.async_reload(house.entry_id)
        await looked(house)
        await asyncio.sleep(0.3)
    hass.states.async_remove("event.ann_messages")  # as a start finds it
    await hass.config_entries.async_reload(house.entry_id)
    await looked(house)
    await nothing_more(pbx)
    assert len(runs) == 1
    await pbx.receive(from_number=ANN, text="4711 arm")
    await until(lambda: len(runs) == 2)


# --- camera_alert ---------------------------------------------------------------------


@pytest.fixture
def camera(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> AsyncMock:
    """A camera; Home Assistant's own part asks for packages that are not there in every environment."""
    content = io.BytesIO()
    Picture.new("RGB", (64, 48), "red").save(content, "JPEG")
    module = ModuleType("homeassistant.components.camera")
    get_image = AsyncMock(return_value=SimpleNamespace(content=content.getvalue(), content_type="image/jpeg"))
    monkeypatch.setattr(module, "async_get_image", get_image, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    hass.config.components.add("camera")
    return get_image


CAMERA = {
    "trigger_entity": [SENSOR, "event.doorbell"],
    "camera": "camera.door",
    "recipients": ["notify.ann", "notify.bob"],
}


async def test_a_picture_is_texted_and_then_it_is_quiet(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, camera: AsyncMock
) -> None:
    """One alert is one text with a picture, until the time to cool down has passed."""
    await use("camera_alert", **CAMERA)
    hass.states.async_set("camera.door", "idle", {"friendly_name": "Front door"})
    hass.states.async_set(SENSOR, "on")
    await until(lambda: len(pbx.messages) == 4)
    hass.states.async_set(SENSOR, "off")
    hass.states.async_set(SENSOR, "on")
    await nothing_more(pbx)
    assert camera.call_args.args[1] == "camera.door"
    for number in (ANN, BOB):
        assert [(row.type, row.text, row.mime_type) for row in pbx.messages if row.destination == [number]] == [
            ("sms", "Somebody is at the door.", None),
            ("mms", "Front door", "image/jpeg"),
        ]


async def test_without_a_picture_the_words_go_alone(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, camera: AsyncMock
) -> None:
    """A camera that fails keeps no alert back."""
    camera.side_effect = HomeAssistantError("away")
    hass.states.async_set("event.doorbell", "unavailable")
    await use("camera_alert", **CAMERA, cool_down=0)
    hass.states.async_set("event.doorbell", "2026-11-01T12:00:00.000+00:00")  # restored
    hass.states.async_set(SENSOR, "unavailable")
    hass.states.async_set(SENSOR, "on")  # it was away: who knows since when
    await nothing_more(pbx, 0.3)
    hass.states.async_set("event.doorbell", "2026-11-01T12:05:00.000+00:00")
    await until(lambda: len(pbx.messages) == 2)
    await nothing_more(pbx, 0.3)
    assert {(message.type, message.text) for message in pbx.messages} == {("sms", "Somebody is at the door.")}


@pytest.mark.parametrize(
    ("entity", "state"), [("binary_sensor.motion", "on"), ("event.gate", "2026-11-01T12:00:00.000+00:00")]
)
async def test_what_only_appears_is_no_alert(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, camera: AsyncMock, entity: str, state: str
) -> None:
    """An entity that a reload brings back turned on before that, and a doorbell of one rang before."""
    await use("camera_alert", **CAMERA | {"trigger_entity": [entity]})
    hass.states.async_set(entity, state)
    await nothing_more(pbx, 0.3)
    hass.states.async_set(entity, "off")
    hass.states.async_set(entity, "on")
    await until(lambda: sent_to(pbx, ANN) != [])


# --- alert_until_ok -------------------------------------------------------------------

ALERT = "Water!\nReply OK to stop this alert."


async def alert(hass: HomeAssistant, use: UseBlueprint, **inputs: Any) -> None:
    """Use the blueprint with an alert every 1.2 seconds."""
    given = {
        "trigger_entity": SENSOR,
        "message": "Water!",
        "recipients": [device(hass, "ann"), device(hass, "bob")],
        "interval": 0.02,
        **inputs,
    }
    await use("alert_until_ok", **given)


async def test_an_alert_repeats_until_somebody_says_ok(hass: HomeAssistant, pbx: Simulator, use: UseBlueprint) -> None:
    """To everybody, and only while it is true."""
    await alert(hass, use)
    await pbx.receive(from_number=ANN, text="OK")  # there is no alert
    await nothing_more(pbx)
    hass.states.async_set(SENSOR, "on")
    await until(lambda: sent_to(pbx, ANN) == [ALERT, ALERT] and sent_to(pbx, BOB) == [ALERT, ALERT])
    await pbx.receive(from_number=ANN, text="What is it?")
    await pbx.receive(from_number=STRANGER, text="OK")
    await until(lambda: len(sent_to(pbx, BOB)) == 3)
    await pbx.receive(from_number=BOB, text="On my way")
    await pbx.receive(from_number=BOB, text=" ok. ")
    await pbx.receive(from_number=BOB, text="Where is the valve?")
    await until(lambda: sent_to(pbx, ANN)[-1] == "Water!\nBob has acknowledged this alert.")
    alerts = sent_to(pbx, BOB)
    await nothing_more(pbx, 2)
    assert set(alerts) == {ALERT}
    await pbx.receive(from_number=ANN, text="OK")
    await nothing_more(pbx)
    hass.states.async_set(SENSOR, "off")
    await nothing_more(pbx)
    hass.states.async_set(SENSOR, "on")
    await until(lambda: len(sent_to(pbx, BOB)) == len(alerts) + 1)


async def test_an_alert_escalates(hass: HomeAssistant, pbx: Simulator, use: UseBlueprint) -> None:
    """Others are texted where nobody answered."""
    inputs = {"further_recipients": [device(hass, "cara")], "escalate_after": 2, "ok_word": "Got it"}
    asked = ALERT.replace("OK", "Got it")
    await alert(hass, use, **inputs)
    hass.states.async_set(SENSOR, "on")
    await until(lambda: sent_to(pbx, ANN) == [asked])
    await pbx.receive(from_number=CARA, text="got it")  # she was not asked yet
    await until(lambda: len(sent_to(pbx, ANN)) == 2)
    assert sent_to(pbx, CARA) == []
    await until(lambda: sent_to(pbx, CARA) == [asked])
    assert len(sent_to(pbx, ANN)) in (2, 3)
    await asyncio.sleep(0.2)
    await pbx.receive(from_number=CARA, text="GOT IT")
    await until(lambda: sent_to(pbx, ANN)[-1] == sent_to(pbx, BOB)[-1] == "Water!\nCara has acknowledged this alert.")
    await nothing_more(pbx, 2)
    assert sent_to(pbx, CARA) == [asked]


async def test_an_alert_ends_when_all_is_well(hass: HomeAssistant, pbx: Simulator, use: UseBlueprint) -> None:
    """And goes on through a sensor that is away for a moment."""
    await alert(hass, use)
    hass.states.async_set(SENSOR, "on")
    await until(lambda: len(pbx.messages) == 2)
    hass.states.async_set(SENSOR, "unavailable")
    hass.states.async_set(SENSOR, "on")
    await until(lambda: len(pbx.messages) == 4)
    hass.states.async_set(SENSOR, "off")
    await until(lambda: len(pbx.messages) == 6)
    assert sent_to(pbx, ANN) == [ALERT, ALERT, "Water!\nIt is back to normal."]
    await nothing_more(pbx, 2)


async def test_an_alert_ends_by_itself_and_a_start_begins_it_anew(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint
) -> None:
    """It does not text for ever, and can be begun once more."""
    await alert(hass, use, most_alerts=1)
    hass.states.async_set(SENSOR, "on")
    await until(lambda: len(pbx.messages) == 2)
    await nothing_more(pbx, 2)
    await hass.services.async_call("automation", "trigger", {"entity_id": "automation.one"})
    await until(lambda: len(pbx.messages) == 4)


# --- text_command ---------------------------------------------------------------------

COMMAND = {"allowed": ["ann", "bob"], "pin": "4711", "run": [{"event": "armed"}]}


async def test_a_command_runs_and_is_answered_where_it_came_from(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint
) -> None:
    """With its PIN, in the same conversation."""
    await use("text_command", **COMMAND)
    runs = async_capture_events(hass, "armed")
    received = await pbx.receive(from_number=ANN, text=" 4711  ARM\n")
    await until(lambda: sent_to(pbx, ANN) == ["Done."])
    assert len(runs) == 1
    assert pbx.messages[0].requested_session == received.messagesession
    assert pbx.messages[0].from_number == pbx.numbers[0]
    for _ in range(2):
        await pbx.receive(from_number=BOB, text="4711 arm")
    await until(lambda: sent_to(pbx, BOB) == ["Done.", "Done."])
    assert len(runs) == 3


AS_PHONES_WRITE = [
    *("4711 arm.", "4711 ARM!", "4711. arm", "4711, arm", "4711: Arm", "4711  arm", "4711. Arm. ", "4711 - arm"),
    *(
        "4711\u00a0arm",
        "\u201c4711 arm\u201d",
        "\u201e4711\u201c arm",
        "\u00ab\u00a04711 arm\u00a0\u00bb",
        "'4711 arm'",
    ),
    *("4711 \u201carm\u201d.", "\u200b4711\u200b arm\ufeff", "4711 arm\u2026", "4711\narm"),
]


async def test_a_command_as_phones_write_it(hass: HomeAssistant, pbx: Simulator, use: UseBlueprint) -> None:
    """Capitals, blanks and punctuation make no difference."""
    await use("text_command", **COMMAND, answer="")
    runs = async_capture_events(hass, "armed")
    for number, text in enumerate(AS_PHONES_WRITE, 1):
        await pbx.receive(from_number=ANN, text=text)
        await until(lambda number=number: len(runs) == number)
    await nothing_more(pbx, 0.3)
    assert len(runs) == len(AS_PHONES_WRITE)


@pytest.mark.parametrize(
    ("command", "text", "counts"),
    [
        ("Don't arm!", "4711 don\u2019t arm", 1),
        ("lock the door", "4711. Lock the door.", 1),
        ("?", "4711 ?", 1),
        ("?", "4711 !", 0),
        ("?", "4711", 0),
        ("arm", "4711. disarm.", 0),
        ("arm", "4711 a.rm", 0),
    ],
)
async def test_commands_of_several_kinds(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, command: str, text: str, counts: int
) -> None:
    """A command may be a sentence or a sign; what only resembles it is none."""
    await use("text_command", **COMMAND, command=command, answer="")
    runs = async_capture_events(hass, "armed")
    await pbx.receive(from_number=ANN, text=text)
    await until(lambda: hass.states.get("event.ann_messages").state != "unknown")
    await nothing_more(pbx, 0.3)
    assert len(runs) == counts


@pytest.mark.parametrize(("pin", "counts"), [("Secret", 1), ("secret", 0), ("Secret!", 0), ("Secre", 0)])
async def test_a_pin_is_taken_as_it_is_written(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, pin: str, counts: int
) -> None:
    """Case and signs count in a PIN."""
    await use("text_command", **{**COMMAND, "pin": pin}, answer="", wrong_pin_wait=0)
    runs = async_capture_events(hass, "armed")
    await pbx.receive(from_number=ANN, text="Secret. Arm")
    await until(lambda: hass.states.get("event.ann_messages").state != "unknown")
    await nothing_more(pbx, 0.3)
    assert len(runs) == counts


async def test_a_colleague_and_a_group_are_answered(hass: HomeAssistant, pbx: Simulator, use: UseBlueprint) -> None:
    """Where they wrote, whatever the way."""
    await use("text_command", **{**COMMAND, "allowed": ["bob", "dora"]})
    received = await pbx.receive_chat(from_user="1002", text="4711 arm")
    await until(lambda: len(pbx.messages) == 1)
    assert (pbx.messages[0].type, pbx.messages[0].destination) == ("chat", ["1002"])
    assert pbx.messages[0].requested_session == received.messagesession
    data = {"destination": [ANN, BOB], "group": True, "message": "Hello"}
    answer = await hass.services.async_call("netsapiens", "send_message", data, blocking=True, return_response=True)
    session = answer["messages"][0]["messagesession"]
    await pbx.receive(from_number=BOB, text="4711 arm", messagesession=session)
    await until(lambda: len(pbx.messages) == 3)
    assert sorted(pbx.messages[2].destination) == [ANN, BOB]
    assert pbx.messages[2].requested_session == session


@pytest.mark.parametrize("name", ["text_command", "text_your_home"])
async def test_only_recipients_may_text(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, heard: list[dict[str, Any]], name: str
) -> None:
    """The account's own device, which the form does not offer, lets nobody in."""
    filters = load_yaml_dict(str(FOLDER / f"{name}.yaml"))["blueprint"]["input"]["allowed"]["selector"]["device"]
    assert (filters["filter"], filters["entity"]) == ([{"integration": "netsapiens"}], [{"domain": "notify"}])
    assert not [
        one
        for one in er.async_entries_for_device(er.async_get(hass), device(hass, "1001_acme_example"))
        if one.domain == "notify"
    ]
    await helper(hass)
    inputs = {"run": [{"event": "armed"}]} if name == "text_command" else {"answers_helper": HELPER}
    await use(name, allowed=["1001_acme_example"], pin="4711", **inputs)
    runs = async_capture_events(hass, "armed")
    for number in (STRANGER, ANN):
        await pbx.receive(from_number=number, text="4711 arm")
    await nothing_more(pbx)
    assert (runs, heard) == ([], [])


@pytest.mark.parametrize(
    ("number", "text", "replies"),
    [
        (ANN, "4712 arm", 1),
        (ANN, "arm", 1),
        (ANN, "arm 4711", 0),
        (ANN, "4711arm", 0),
        (ANN, "4711 disarm", 0),
        (ANN, "4711", 0),
        (ANN, "4711.0 arm", 1),
        (ANN, "471.1 arm", 1),
        (ANN, "4712. Arm!", 1),
        (ANN, "\u201c4712 arm\u201d", 1),
        (ANN, "{{ pin }} arm", 0),
        (ANN, "Hello", 0),
        (ANN, "", 0),
        (STRANGER, "4711 arm", 0),
    ],
)
async def test_anything_else_does_nothing(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, number: str, text: str, replies: int
) -> None:
    """No other text, sender or PIN runs a command or gets an answer."""
    await use("text_command", **COMMAND, wrong_pin_wait=0)
    assert await async_setup_component(hass, "persistent_notification", {})
    runs = async_capture_events(hass, "armed")
    notifications = async_capture_events(hass, "call_service")
    await pbx.receive(from_number=number, text=text, media=None if text else b"\x89PNG")
    await until(lambda: hass.states.get("event.1001_acme_example_messages").state != "unknown")
    await nothing_more(pbx, 0.3)
    assert runs == []
    shown = [one for one in notifications if one.data["domain"] == "persistent_notification"]
    assert len(shown) == replies
    assert "4711" not in str(shown)


# --- text_your_home -------------------------------------------------------------------

HELPER = "input_text.answers"
ASSIST = {"allowed": ["ann", "bob"], "answers_helper": HELPER, "wrong_pin_wait": 0}


@pytest.fixture
def heard(hass: HomeAssistant) -> list[dict[str, Any]]:
    """An Assist that says what it heard, and what it was asked."""
    asked: list[dict[str, Any]] = []

    async def process(call: ServiceCall) -> dict[str, Any]:
        asked.append(dict(call.data))
        return {"response": {"speech": {"plain": {"speech": f"You said: {call.data['text']}"}}}}

    hass.services.async_register("conversation", "process", process, supports_response=SupportsResponse.OPTIONAL)
    return asked


async def helper(hass: HomeAssistant, longest: int = 255, initial: str | None = None) -> None:
    """Add the text helper."""
    config = {"answers": {"max": longest, **({"initial": initial} if initial else {})}}
    assert await async_setup_component(hass, "input_text", {"input_text": config})


async def test_assist_is_asked_and_answers(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, heard: list[dict[str, Any]]
) -> None:
    """A question of somebody who may ask is answered."""
    await helper(hass)
    await use("text_your_home", **ASSIST, pin="4711")
    received = await pbx.receive(from_number=ANN, text=f"4711 {SENTENCE}")
    await until(lambda: sent_to(pbx, ANN) == [f"You said: {SENTENCE}"])
    assert pbx.messages[0].requested_session == received.messagesession
    assert heard[0]["text"] == SENTENCE
    assert heard[0]["agent_id"] == "conversation.home_assistant"
    for text, number in ((SENTENCE, ANN), (f"4712 {SENTENCE}", ANN), ("4711", ANN), (f"4711 {SENTENCE}", STRANGER)):
        await pbx.receive(from_number=number, text=text)
    await nothing_more(pbx)
    assert len(heard) == 1


async def test_assist_is_asked_as_phones_write_it(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, heard: list[dict[str, Any]]
) -> None:
    """The PIN is told from the question, however phones write them; a PIN alone asks nothing."""
    await helper(hass)
    await use("text_your_home", **ASSIST, pin="4711")
    for text in ("4711.", "4712. is it open?", "471.1 is it open?", "\u201c4711\u201d", "4711 !"):
        await pbx.receive(from_number=ANN, text=text)
    await nothing_more(pbx)
    assert heard == []
    texts = {
        "4711. Is the door open?": "Is the door open?",
        "4711, is it 5 o'clock?": "is it 5 o'clock?",
        "\u201c4711 is it \u2018open\u2019?\u201d": "is it \u2018open\u2019?",
        "\u00ab\u00a04711 007\u00a0\u00bb": "007",
        '4711 two\nlines {{ 1 }} \'and \\ "that"': 'two\nlines {{ 1 }} \'and \\ "that"',
    }
    for number, (text, asked) in enumerate(texts.items(), 1):
        await pbx.receive(from_number=BOB, text=text)
        await until(lambda number=number: len(heard) == number)
        assert heard[-1]["text"] == asked


@pytest.mark.parametrize("pin", ["", " "])
async def test_without_a_pin_nothing_is_answered_unless_it_is_turned_off(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, heard: list[dict[str, Any]], pin: str
) -> None:
    """A PIN that was forgotten does not open the home."""
    await helper(hass)
    await use("text_your_home", **ASSIST, pin=pin)
    await pbx.receive(from_number=ANN, text=SENTENCE)
    await nothing_more(pbx)
    assert heard == []


async def test_the_pin_can_be_turned_off(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, heard: list[dict[str, Any]]
) -> None:
    """By somebody who says so; answers are cut to what was chosen."""
    await helper(hass)
    await use("text_your_home", **ASSIST, require_pin=False, most_characters=40)
    await pbx.receive(from_number=ANN, text=SENTENCE * 3)
    await until(lambda: len(sent_to(pbx, ANN)) == 1)
    assert sent_to(pbx, ANN) == [f"You said: {SENTENCE * 3}"[:37] + "..."]


@pytest.mark.parametrize("longest", [100, 255])
async def test_ten_answers_to_a_number_in_ten_minutes(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, heard: list[dict[str, Any]], longest: int
) -> None:
    """A machine that answers answers causes no endless conversation."""
    await helper(hass, longest)
    await use("text_your_home", **ASSIST, pin="4711")
    for number in range(13):
        await pbx.receive(from_number=ANN, text=f"4711 question {number}")
        await asyncio.sleep(0.1)
    await until(lambda: len(sent_to(pbx, ANN)) == 10)
    # Neither a reload nor another way of writing changes it.
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.one"}, blocking=True)
    await hass.services.async_call("automation", "turn_on", {"entity_id": "automation.one"}, blocking=True)
    await pbx.receive(from_number=ANN, text="4711 one more")
    await pbx.receive(from_number=BOB, text="4711 and me?")
    if longest == 255:
        await until(lambda: sent_to(pbx, BOB) == ["You said: and me?"])
    await nothing_more(pbx)
    assert sent_to(pbx, ANN) == [f"You said: question {number}" for number in range(10)]
    assert len(heard) == len(pbx.messages)
    # Ten minutes later.
    aged = hass.states.get(HELPER).state
    older = "".join(f"{aged[at : at + 5]}{(int(aged[at + 5 : at + 10]) - 600) % 100000:05}" for at in range(0, 100, 10))
    await hass.services.async_call("input_text", "set_value", {"entity_id": HELPER, "value": older}, blocking=True)
    await pbx.receive(from_number=ANN, text="4711 still there?")
    await until(lambda: sent_to(pbx, ANN)[-1] == "You said: still there?")
    assert len(hass.states.get(HELPER).state) == 10


@pytest.mark.parametrize("state", [None, "unavailable"])
async def test_without_its_helper_nothing_is_answered(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, heard: list[dict[str, Any]], state: str | None
) -> None:
    """Where nothing can be counted, nothing is answered."""
    if state:
        hass.states.async_set(HELPER, state)
    await use("text_your_home", **ASSIST, pin="4711")
    await pbx.receive(from_number=ANN, text=f"4711 {SENTENCE}")
    await nothing_more(pbx)
    assert heard == []


# --- ask_and_do -----------------------------------------------------------------------

QUESTION = "The garage is open. Close it?\n1 Close it\n2 Leave it"
ASK = {
    "when": [{"trigger": "event", "event_type": "night"}],
    "recipients": ["notify.ann", "notify.bob"],
    "do_1": [{"event": "did", "event_data": {"what": "close", "who": "{{ answer.recipient }}"}}],
    "do_2": [{"event": "did", "event_data": {"what": "leave"}}],
    "do_silence": [{"event": "did", "event_data": {"what": "nothing"}}],
}


@pytest.mark.parametrize(("text", "what"), [("1", "close"), ("Leave it.", "leave")])
async def test_what_is_answered_is_done(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, text: str, what: str
) -> None:
    """The first answer runs its own actions."""
    await use("ask_and_do", **ASK)
    runs = async_capture_events(hass, "did")
    hass.bus.async_fire("night")
    await until(lambda: (sent_to(pbx, ANN), sent_to(pbx, BOB)) == ([QUESTION], [QUESTION]))
    await pbx.receive(from_number=BOB, text=text)
    await until(lambda: [run.data["what"] for run in runs] == [what])
    assert runs[0].data.get("who") in (None, "Bob")


async def test_a_third_answer_and_silence(hass: HomeAssistant, pbx: Simulator, use: UseBlueprint) -> None:
    """Silence has actions of its own, and a third answer may be given."""
    later = [{"event": "did", "event_data": {"what": "later"}}]
    await use("ask_and_do", **ASK, answer_3="Later", do_3=later, minutes=0.04, pin="4711", hint="With the PIN.")
    runs = async_capture_events(hass, "did")
    hass.bus.async_fire("night")
    await until(lambda: [run.data["what"] for run in runs] == ["nothing"])
    hass.bus.async_fire("night")
    await until(lambda: sent_to(pbx, ANN) == [f"{QUESTION}\n3 Later"] * 2)
    await pbx.receive(from_number=ANN, text="3 4711")
    await until(lambda: [run.data["what"] for run in runs] == ["nothing", "later"])


@pytest.mark.parametrize("count", [1, 2])
async def test_a_question_that_cannot_be_sent_is_answered_by_nobody(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    """The actions for silence run, and the log says once why."""
    pbx.fault("status", path="/messages", method="POST", times=None, code=400, message="Not allowed")
    await use("ask_and_do", **ASK | {"recipients": ASK["recipients"][:count]})
    runs = async_capture_events(hass, "did")
    hass.bus.async_fire("night")
    await until(lambda: [run.data["what"] for run in runs] == ["nothing"])
    await hass.async_block_till_done()
    assert len([one for one in caplog.records if one.levelname == "ERROR" and "Not allowed" in one.message]) == 1
    assert hass.states.get("automation.one").attributes["current"] == 0


async def ask_ann(hass: HomeAssistant, pbx: Simulator, **data: Any) -> asyncio.Task[Any]:
    """Ask Ann, and return the call that waits for her answer once she has got the question."""
    data = {"entity_id": "notify.ann", "question": "Which?", "timeout": 20, **data}
    call = hass.services.async_call("netsapiens", "ask_question", data, blocking=True, return_response=True)
    waiting = asyncio.create_task(call)
    await until(lambda: "Which?" in sent_to(pbx, ANN))
    return waiting


async def test_answers_are_left_to_their_question(
    hass: HomeAssistant, pbx: Simulator, house: MockConfigEntry, use: UseBlueprint
) -> None:
    """A text that a question was waiting for does not run a command as well."""
    await use("text_command", **COMMAND)
    runs = async_capture_events(hass, "armed")
    call = await ask_ann(hass, pbx)
    await pbx.receive(from_number=ANN, text="4711 arm")
    assert (await call)["text"] == "4711 arm"
    await nothing_more(pbx)
    assert not runs
    await pbx.receive(from_number=ANN, text="4711 arm")
    await until(lambda: len(runs) == 1)


async def test_an_answer_acknowledges_no_alert(hass: HomeAssistant, pbx: Simulator, use: UseBlueprint) -> None:
    """Ann's OK to a question leaves the alert alone, which goes on until she says OK to it."""
    await alert(hass, use)
    hass.states.async_set(SENSOR, "on")
    await until(lambda: sent_to(pbx, ANN) == [ALERT])
    call = await ask_ann(hass, pbx)
    await pbx.receive(from_number=ANN, text="OK")
    assert (await call)["text"] == "OK"
    alerts = sent_to(pbx, BOB)
    await until(lambda: len(sent_to(pbx, BOB)) == len(alerts) + 2)
    assert set(sent_to(pbx, BOB)) == {ALERT}
    await pbx.receive(from_number=ANN, text="OK")
    await until(lambda: sent_to(pbx, BOB)[-1] == "Water!\nAnn has acknowledged this alert.")


async def test_an_answer_is_not_put_to_assist(
    hass: HomeAssistant, pbx: Simulator, use: UseBlueprint, heard: list[dict[str, Any]]
) -> None:
    """What Ann answers is for who asked, whether it is understood or not; her next text is for Assist again."""
    await helper(hass)
    await use("text_your_home", **ASSIST, require_pin=False)
    call = await ask_ann(hass, pbx, answers=[{"id": "red", "sentences": ["Red"]}], numbered=False)
    await pbx.receive(from_number=ANN, text="Which what?")
    await pbx.receive(from_number=ANN, text="red")
    assert (await call)["id"] == "red"
    await nothing_more(pbx)
    assert heard == []
    await pbx.receive(from_number=ANN, text=SENTENCE)
    await until(lambda: [one["text"] for one in heard] == [SENTENCE])
