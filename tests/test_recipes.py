"""The recipes of the documents, each as it stands there, in a house where they happen; and what the documents quote."""

import json
from pathlib import Path
import re
from typing import Any

from homeassistant.components import persistent_notification
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_mock_service
import yaml

from custom_components.netsapiens.options_flow import _delivery_fields
from custom_components.netsapiens.receiving.answers import Choice
from custom_components.netsapiens.receiving.sentence_templates import SentenceTemplates
from custom_components.netsapiens.settings import Settings
from tests.conftest import AddAccount, recipient
from tests.delivery.quick import set_timing
from tests.helpers import entity_of, until
from tests.simulator import FaultKind, Simulator
from tests.test_blueprints import ANN, BOB, camera, hass_storage, house, sent_to  # noqa: F401 - fixtures
from tests.test_llm import TOOL, call, tools

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
RECEIVING = (ROOT / "docs/receiving.md").read_text(encoding="utf-8")
EXAMPLES = (ROOT / "docs/examples.md").read_text(encoding="utf-8")
PLUMBER = "18585550177"


def config_of(heading: str, page: str) -> dict[str, Any]:
    """Return the configuration that stands below a heading."""
    text = page[page.index(heading) :]
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    config: dict[str, Any] = yaml.safe_load(block[1])
    return config


async def use(hass: HomeAssistant, heading: str, page: str = README) -> None:
    """Put a recipe into Home Assistant."""
    await async_setup_component(hass, "persistent_notification", {})
    config = config_of(heading, page)
    for domain in config:
        assert await async_setup_component(hass, domain, config), domain
    await hass.async_block_till_done()
    for state in hass.states.async_all(("automation", "script", "alert")):
        assert state.state != "unavailable", state.entity_id


@pytest.mark.usefixtures("house")
async def test_a_leak(hass: HomeAssistant, pbx: Simulator) -> None:
    """The recipe works as it is printed."""
    await use(hass, "### 1. A leak")
    hass.states.async_set("binary_sensor.kitchen_sink", "on")
    await until(lambda: sent_to(pbx, ANN) == ["Water leak\nThe sensor under the kitchen sink is wet."])


@pytest.mark.usefixtures("house", "camera")
async def test_who_is_at_the_door(hass: HomeAssistant, pbx: Simulator) -> None:
    """So does that with a picture."""
    hass.states.async_set("binary_sensor.doorbell", "off")
    hass.states.async_set("camera.doorbell", "idle")
    await use(hass, "### 2. Who is at the door")
    hass.states.async_set("binary_sensor.doorbell", "on")
    expected = [("sms", "Somebody is at the door."), ("mms", "doorbell")]
    await until(lambda: [(row.type, row.text) for row in pbx.messages] == expected)


@pytest.mark.usefixtures("house")
async def test_a_question(hass: HomeAssistant, pbx: Simulator) -> None:
    """What Ann answers is done."""
    closed = async_mock_service(hass, "cover", "close_cover")
    await use(hass, "### 3. A question")
    await hass.services.async_call("automation", "trigger", {"entity_id": "automation.garage_open_at_night"})
    await until(lambda: sent_to(pbx, ANN) == ["The garage is open. Close it?\n1 Close it\n2 Leave it"])
    await pbx.receive(from_number=ANN, text="1")
    await until(lambda: [call.data["entity_id"] for call in closed] == [["cover.garage"]])
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


@pytest.mark.usefixtures("house")
async def test_an_answer_to_a_text(hass: HomeAssistant, pbx: Simulator) -> None:
    """So does that which answers."""
    hass.states.async_set("binary_sensor.garage_door", "Closed")  # as Home Assistant shows a garage door's
    await use(hass, "### 4. An answer")
    received = await pbx.receive(from_number=ANN, text="Garage ")
    await until(lambda: sent_to(pbx, ANN) == ["The garage door is closed."])
    assert pbx.messages[0].requested_session == received.messagesession


@pytest.mark.usefixtures("house")
async def test_an_alert_that_repeats(hass: HomeAssistant, pbx: Simulator) -> None:
    """So does that which repeats."""
    hass.states.async_set("binary_sensor.garage_door", "off")
    await use(hass, "### 5. An alert")
    hass.states.async_set("binary_sensor.garage_door", "on")
    await until(lambda: sent_to(pbx, ANN) == ["The garage door is open"])
    hass.states.async_set("binary_sensor.garage_door", "off")
    await until(lambda: sent_to(pbx, ANN)[1:] == ["The garage door is closed."])


async def test_several_people(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """So does that for several people."""
    await use(hass, "### 6. Several people")  # first: Home Assistant makes notify groups once, when it starts
    await add_account(recipient("Ann", ANN))
    await hass.services.async_call("script", "dinner", {}, blocking=True)
    assert [(row.destination, row.text) for row in pbx.messages] == [([ANN, BOB], "Dinner is ready.")]
    await hass.services.async_call("notify", "everybody", {"message": "Now."}, blocking=True)
    await until(lambda: (sent_to(pbx, ANN), sent_to(pbx, BOB)) == (["Now."], ["Now."]))


@pytest.mark.usefixtures("house")
async def test_a_script_that_uses_the_answer(hass: HomeAssistant, pbx: Simulator) -> None:
    """What is said of the response is true."""
    await use(hass, "## A script that uses the answer", EXAMPLES)
    await hass.services.async_call("script", "call_the_plumber", {}, blocking=True)
    assert sent_to(pbx, PLUMBER) == ["Kitchen sink is leaking at 12 Elm St. Can you come by today?"]
    assert persistent_notification._async_get_or_create_notifications(hass) == {}


@pytest.mark.usefixtures("house")
async def test_text_ann_that_dinner_is_ready(hass: HomeAssistant, pbx: Simulator) -> None:
    """By the sentence of the automation, as Assist reads it.

    Home Assistant's `conversation` needs packages that are not in this environment, so its trigger is left out: the
    automation is run with what `hassil`, which it uses, reads in the sentence.
    """
    config = config_of("## Assist", EXAMPLES)
    [automation] = config["automation"]
    [trigger] = automation["triggers"]
    assert trigger["trigger"] == "conversation"
    templates = SentenceTemplates([Choice("text", (trigger["command"],))], "en")
    assert templates.match("Turn on the light") is None
    said = templates.match("Text Ann that dinner is ready")
    assert said is not None
    automation["triggers"] = [{"trigger": "event", "event_type": "said"}]
    assert await async_setup_component(hass, "automation", config)
    entity = entity_of(hass, "automation.text_ann_by_voice")
    await entity.async_trigger({"trigger": {"slots": said.slots}})
    await until(lambda: sent_to(pbx, ANN) == ["dinner is ready"])


@pytest.mark.usefixtures("house")
async def test_an_agent_with_a_language_model_texts_ann(hass: HomeAssistant, pbx: Simulator) -> None:
    """It has the tool once Ann's notify entity is exposed, as the page says, and calls it."""
    assert await async_setup_component(hass, "llm", {})
    assert TOOL not in await tools(hass)
    async_expose_entity(hass, "conversation", "notify.ann", True)
    tool = (await tools(hass))[TOOL]
    said = tool.parameters({"recipient": "Ann", "message": "Dinner is ready"})
    assert await call(hass, **said) == {"success": True, "status": "sent"}
    assert sent_to(pbx, ANN) == ["Dinner is ready"]


@pytest.mark.usefixtures("house")
async def test_an_agent_that_reads_texts(hass: HomeAssistant, pbx: Simulator) -> None:
    """The script that is exposed to Assist returns them."""
    await use(hass, "### An agent that reads the last ten texts", EXAMPLES)
    await pbx.receive(from_number=ANN, text="On my way")
    answer = await hass.services.async_call("script", "read_texts_of_ann", {}, blocking=True, return_response=True)
    assert answer is not None
    assert [row["message"] for row in answer["messages"]] == ["On my way"]  # type: ignore[union-attr, index, call-overload]


@pytest.fixture
def impatient(hass: HomeAssistant) -> None:
    """Answer `queued` soon."""
    set_timing(hass, answer_within=0.2)


@pytest.mark.usefixtures("impatient", "house")
async def test_when_a_text_did_not_get_out(hass: HomeAssistant, pbx: Simulator) -> None:
    """The event leads to the notification that is printed."""
    await use(hass, "## When a text did not get out", EXAMPLES)
    pbx.fault(FaultKind.FORBIDDEN_HTML, times=None)
    data = {"entity_id": "notify.ann", "message": "Hello", "keep_for": 0.5}
    await hass.services.async_call("netsapiens", "send_message", data, blocking=True)
    await until(lambda: len(persistent_notification._async_get_or_create_notifications(hass)) == 1)
    (notification,) = persistent_notification._async_get_or_create_notifications(hass).values()
    assert notification["title"] == "A text did not get out"
    assert notification["message"].startswith("To Ann:\nHello\n\nThe phone system")


@pytest.mark.parametrize("expected_lingering_timers", [True])  # the utility meter leaves that of its cycle
async def test_a_warning_beyond_a_number_of_texts(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The utility meter follows the sensor, and the automation warns once the month has more than 1,000."""
    await add_account(recipient("Ann", ANN))
    sensor = "sensor.1001_acme_example_sent_messages"
    assert f"\n  - {sensor}\n" in EXAMPLES  # the chart's
    await use(hass, "## A warning beyond a number of texts a month", EXAMPLES)
    await hass.services.async_call(
        "notify", "send_message", {"entity_id": "notify.ann", "message": "Hi"}, blocking=True
    )
    await until(lambda: hass.states.get("sensor.texts_this_month").state == "1")
    hass.states.async_set(sensor, "1002", hass.states.get(sensor).attributes)
    await until(lambda: len(persistent_notification._async_get_or_create_notifications(hass)) == 1)


def test_what_troubleshooting_quotes_is_what_home_assistant_shows() -> None:
    """Somebody who searches for an error finds it."""
    words = json.loads((ROOT / "custom_components/netsapiens/translations/en.json").read_text(encoding="utf-8"))
    errors = [words["config"]["error"], words["exceptions"], words["issues"]]
    shown = " ".join(re.sub(r"\{\w+\}", "…", json.dumps(errors)).split())
    section = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    quotes = [quote for row in section.splitlines() if row.startswith("| ") for quote in re.findall(r'"([^"]+)"', row)]
    of_home_assistant = {"Action notify.netsapiens… not found", "requires a target", "No target set"}
    assert len(quotes) > 10
    for quote in set(quotes) - of_home_assistant:
        assert re.search(re.escape(quote).replace("…", ".{1,4}?"), shown), quote


def test_the_options_are_called_as_in_the_dialog() -> None:
    """In the reference as in the dialog, and in its order."""
    words = json.loads((ROOT / "custom_components/netsapiens/translations/en.json").read_text(encoding="utf-8"))
    section = REFERENCE[REFERENCE.index("## Options") : REFERENCE.index("## Limits")]
    names = words["options"]["step"]["init"]["data"]
    order = [names[key] for key in ("from_number", *map(str, _delivery_fields(Settings())))]
    assert re.findall(r"^\| (?!Option )([^-|]+) \|", section, re.MULTILINE) == order
    assert sorted(order) == sorted(names.values())
    for name in words["selector"]["incoming"]["options"].values():
        assert f"| {name} (`" in RECEIVING
