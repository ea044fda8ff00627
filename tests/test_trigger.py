"""The triggers of our own, clicked together without a template, on a release that has their base class."""

from collections.abc import Iterator
import sys
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import trigger as ha_trigger
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.netsapiens import trigger
from custom_components.netsapiens.delivery.state import Reason
from tests.conftest import AddAccount, recipient
from tests.delivery.quick import set_timing
from tests.fixtures import hass_storage  # noqa: F401
from tests.helpers import until
from tests.simulator import FaultKind, Simulator
from tests.test_docs import FOLDER

ANN, BOB = "18585550123", "18585550124"


@pytest.fixture
async def house(hass: HomeAssistant, quick_inbox: None, add_account: AddAccount) -> MockConfigEntry:
    """An account with Ann and Bob, whose poller has looked once."""
    await async_setup_component(hass, "homeassistant", {})
    entry = await add_account(recipient("Ann", ANN), recipient("Bob", BOB))
    await until(entry.runtime_data.poller.ready.is_set)
    return entry


async def use(hass: HomeAssistant, name: str, entity_id: str, state: str = "on", **options: Any) -> list[Any]:
    """Make an automation with a trigger, and return the list of its runs."""
    config = {
        "id": "one",
        "alias": "One",
        "mode": "parallel",
        "triggers": [{"trigger": f"netsapiens.{name}", "target": {"entity_id": entity_id}, "options": options}],
        "actions": [{"event": "ran", "event_data": {"message": "{{ trigger.to_state.attributes.message }}"}}],
    }
    runs = async_capture_events(hass, "ran")
    assert await async_setup_component(hass, "automation", {"automation": [config]})
    await hass.async_block_till_done()
    assert hass.states.get("automation.one").state == state
    return runs


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["Garage!", "garage door", "the garagé", "Stop"]),
        ({"text": "garage"}, ["Garage!"]),
        ({"text": ["garage", "stop", " "]}, ["Garage!", "Stop"]),
        ({"text": ["garage"], "match": "starts_with"}, ["Garage!", "garage door"]),
        ({"text": "garage", "match": "contains"}, ["Garage!", "garage door", "the garagé"]),
        ({"with_picture": True}, []),
    ],
)
@pytest.mark.usefixtures("house")
async def test_a_text(hass: HomeAssistant, pbx: Simulator, options: dict[str, Any], expected: list[str]) -> None:
    """Ann's texts trigger, as far as the options want them, and nobody else's."""
    runs = await use(hass, "message_received", "event.ann_messages", **options)
    await pbx.receive(from_number=BOB, text="garage")
    for text in ("Garage!", "garage door", "the garagé", "Stop"):
        await pbx.receive(from_number=ANN, text=text)
    await until(lambda: hass.states.get("event.ann_messages").attributes.get("message") == "Stop")
    await hass.async_block_till_done()
    assert [run.data["message"] for run in runs] == expected


@pytest.mark.parametrize(
    ("phrase", "match", "expected"),
    [
        ("!", "starts_with", ["!open"]),
        ("#", "starts_with", ["#open"]),
        ("?", "contains", ["Is it open?", "¿Open?", "?"]),
        ("?", "equals", ["?"]),
        ("\u200e", "starts_with", ["!open", "#open", "Is it open?", "¿Open?", "?"]),  # as an empty one
        (["\u200e", "is"], "starts_with", ["Is it open?"]),
    ],
)
@pytest.mark.usefixtures("house")
async def test_punctuation(hass: HomeAssistant, pbx: Simulator, phrase: Any, match: str, expected: list[str]) -> None:
    """A phrase of punctuation is looked for as it is, also at the ends of a text; one that is not seen says nothing."""
    runs = await use(hass, "message_received", "event.ann_messages", text=phrase, match=match)
    for text in ("!open", "#open", "Is it open?", "¿Open?", "?", "Last"):
        await pbx.receive(from_number=ANN, text=text)
    await until(lambda: hass.states.get("event.ann_messages").attributes.get("message") == "Last")
    await hass.async_block_till_done()
    assert [run.data["message"] for run in runs if run.data["message"] != "Last"] == expected


@pytest.mark.parametrize("mime_type", ["image/png", ""])
@pytest.mark.usefixtures("house")
async def test_a_picture(hass: HomeAssistant, pbx: Simulator, mime_type: str) -> None:
    """A picture triggers where a picture is wanted, also where the PBX does not say that it is one."""
    runs = await use(hass, "message_received", "event.1001_acme_example_messages", with_picture=True)
    await pbx.receive(from_number=ANN, text="Look", media=b"\x89PNG\r\n\x1a\n", mime_type=mime_type)
    await pbx.receive(from_number=ANN, text="Nice?")
    await until(lambda: hass.states.get("event.ann_messages").attributes.get("message") == "Nice?")
    await hass.async_block_till_done()
    assert [run.data["message"] for run in runs] == ["Look"]


@pytest.fixture
def impatient(hass: HomeAssistant) -> None:
    """Let an action answer `queued` soon."""
    set_timing(hass, answer_within=0.2)


@pytest.mark.parametrize(("reason", "expected"), [([], 1), (["refused", "expired"], 1), ("refused", 0)])
@pytest.mark.usefixtures("impatient", "house")
async def test_a_failure(hass: HomeAssistant, pbx: Simulator, reason: Any, expected: int) -> None:
    """A text that is given up triggers, as far as the reason is wanted."""
    runs = await use(hass, "message_failed", "event.ann_messages", reason=reason)
    pbx.fault(FaultKind.FORBIDDEN_HTML, times=None)
    data = {"entity_id": "notify.ann", "message": "Hello", "keep_for": 0.5}
    await hass.services.async_call("netsapiens", "send_message", data, blocking=True)
    await until(lambda: hass.states.get("event.ann_messages").attributes.get("event_type") == "failed")
    await hass.async_block_till_done()
    assert len(runs) == expected


@pytest.mark.usefixtures("impatient", "house")
async def test_a_failure_is_no_text(hass: HomeAssistant, pbx: Simulator) -> None:
    """What waits for any text of Ann's is not triggered by one to her that did not get out."""
    runs = await use(hass, "message_received", "event.ann_messages")
    pbx.fault(FaultKind.FORBIDDEN_HTML, times=None)
    data = {"entity_id": "notify.ann", "message": "Hello", "keep_for": 0.5}
    await hass.services.async_call("netsapiens", "send_message", data, blocking=True)
    await until(lambda: hass.states.get("event.ann_messages").attributes.get("event_type") == "failed")
    pbx.clear_faults()
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: [run.data["message"] for run in runs] == ["Hi"])


@pytest.mark.usefixtures("house")
async def test_only_our_events(hass: HomeAssistant, pbx: Simulator) -> None:
    """Another integration's event entity does not trigger."""
    hass.states.async_set("event.other", "2026-01-01T00:00:00.000+00:00", {"event_type": "received", "message": "a"})
    runs = await use(hass, "message_received", "event.other")
    hass.states.async_set("event.other", "2026-01-01T00:00:01.000+00:00", {"event_type": "received", "message": "a"})
    await hass.async_block_till_done()
    assert not runs


@pytest.mark.parametrize("text", [True, False, ["yes", False]])
@pytest.mark.usefixtures("house")
async def test_a_phrase_that_yaml_took_for_yes_or_no(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture, text: Any
) -> None:
    """It would never trigger, so it is refused, and the log says what to write."""
    caplog.clear()
    await use(hass, "message_received", "event.ann_messages", state="unavailable", text=text)
    assert 'Write it in quotes, such as "yes"' in caplog.text


def test_the_form_has_every_option() -> None:
    """What the code takes is what the form offers."""
    form = load_yaml_dict(str(FOLDER / "triggers.yaml"))
    assert set(form) == set(trigger.TRIGGERS)
    for name, options in (("message_received", trigger.RECEIVED_OPTIONS), ("message_failed", trigger.FAILED_OPTIONS)):
        assert set(form[name]["fields"]) == {str(key) for key in options}
    reasons = form["message_failed"]["fields"]["reason"]["selector"]["select"]["options"]
    assert set(reasons) == {reason.value for reason in Reason}


@pytest.fixture
def without_base_class(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A release of Home Assistant that lacks the base class."""
    monkeypatch.delattr(ha_trigger, "StatelessEntityTriggerBase")
    monkeypatch.delitem(sys.modules, trigger.__name__)
    yield
    sys.modules[trigger.__name__] = trigger


@pytest.mark.usefixtures("without_base_class")
async def test_without_the_base_class(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    """The triggers are not there, and nothing is said of it."""
    import importlib

    module = importlib.import_module(trigger.__name__)
    assert await module.async_get_triggers(hass) == {}
    assert "netsapiens" not in caplog.text
