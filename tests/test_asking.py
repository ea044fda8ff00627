"""Questions whose sending, answers and end meet one another, or meet what goes wrong."""

# ruff: noqa: F811 - fixtures of another module

import asyncio
from datetime import timedelta
import logging
import sys
import time
from typing import Any

from homeassistant.components import media_source
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.receiving import sentence_templates
from custom_components.netsapiens.receiving.answers import Match
from custom_components.netsapiens.receiving.question import AskState
from custom_components.netsapiens.receiving.sentence_templates import SentenceTemplates
from tests.conftest import EntityEvents
from tests.helpers import until
from tests.pictures import RED
from tests.simulator import FaultKind, Simulator
from tests.test_ask_question import (  # noqa: F401 - fixtures
    ANN,
    ANSWERS,
    BOB,
    LINES,
    NOTHING,
    ask,
    asked,
    entity_events,
    hass_storage,
    home,
    quick_queue,
    refused,
    timing,
)
from tests.test_blueprints import sent_to

TEMPLATE = [{"id": "later", "sentences": ["close it in {minutes} minutes"]}]
TEMPLATE_LINES = "The garage is open. Close it?\n1 close it in … minutes"
HINT = "Please reply 1."


async def poll_off(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Switch receiving off, without a reload of the account."""
    hass.config_entries.async_update_entry(entry, options={**entry.options, "incoming": "off"})
    await until(lambda: entry.runtime_data.poller is None)


async def opt_out(pbx: Simulator, entity_events: EntityEvents, number: str) -> None:
    """Let somebody opt out of texts."""
    before = len(entity_events.texts())
    await pbx.receive(from_number=number, text="Stop")
    await until(lambda: len(entity_events.texts()) > before)


# --- who is asked -----------------------------------------------------------------------


async def test_who_opted_out_is_not_asked(
    hass: HomeAssistant,
    pbx: Simulator,
    home: MockConfigEntry,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Alone, she is named by the error with what she has to text; beside others, they are asked and can answer."""
    await opt_out(pbx, entity_events, ANN)
    error = await refused(hass, pbx, "opted_out", entity_id="notify.ann")
    assert "Ann" in str(error)
    assert "START" in str(error)
    call = ask(hass, entity_id=["notify.ann", "notify.bob"])
    await asked(pbx, BOB)
    await pbx.receive(from_number=BOB, text="1")
    assert (await call)["recipient"] == "Bob"
    assert sent_to(pbx, ANN) == []
    assert "A question was not sent completely to Ann: " in caplog.text


async def test_an_account_that_is_unloaded_as_it_is_asked(
    hass: HomeAssistant,
    pbx: Simulator,
    home: MockConfigEntry,
) -> None:
    """While its conversations are read, which takes a while: nobody is asked, and the error says why."""
    received = await pbx.receive(from_number=ANN, text="Hello")
    await poll_off(hass, home)
    pbx.fault(FaultKind.SLOW, path="/messagesessions", method="GET", seconds=1)
    before = len(pbx.requests)
    call = ask(hass, messagesession=received.messagesession)
    await until(lambda: len(pbx.requests) > before)
    assert await hass.config_entries.async_unload(home.entry_id)
    with pytest.raises(HomeAssistantError) as caught:
        await call
    assert caught.value.translation_key == "stopped"
    assert pbx.messages == []


async def test_the_hourly_limit_counts_when_it_is_their_turn(
    hass: HomeAssistant,
    pbx: Simulator,
    home: MockConfigEntry,
) -> None:
    """A question that waits for its turn is no text yet; once it would be one too many, the error says so."""
    hass.config_entries.async_update_entry(home, options={**home.options, "hourly_limit": 2})
    await hass.async_block_till_done()
    first = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    second = ask(hass, entity_id="notify.ann", question="Lights off?", answers=[])
    await until(lambda: len(home.runtime_data.questions._asks) == 2)
    data = {"entity_id": "notify.bob", "message": "Hello"}
    await hass.services.async_call("notify", "send_message", data, blocking=True)
    await pbx.receive(from_number=ANN, text="1")
    assert (await first)["id"] == "close"
    with pytest.raises(HomeAssistantError) as caught:
        await second
    assert caught.value.translation_key == "hourly_limit"
    assert sent_to(pbx, ANN) == [LINES]


async def test_what_nobody_foresaw(
    hass: HomeAssistant,
    pbx: Simulator,
    home: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault of ours ends the question with an error, does not hold up the next one, and logs nothing private."""

    async def broken(*_: Any) -> None:
        raise RuntimeError(ANN)

    with monkeypatch.context() as patch:
        patch.setattr("custom_components.netsapiens.asking.async_send_prepared", broken)
        with pytest.raises(HomeAssistantError) as caught:
            await ask(hass, entity_id="notify.ann")
    assert caught.value.translation_key == "unexpected"
    assert "asking a question" in caplog.text
    assert ANN not in caplog.text
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"


async def test_a_question_that_ends_as_its_turn_comes(
    hass: HomeAssistant,
    pbx: Simulator,
    home: MockConfigEntry,
) -> None:
    """The account is unloaded in the very step in which the earlier question ends: nothing is sent."""
    questions = home.runtime_data.questions
    first = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    second = ask(hass, entity_id="notify.ann", question="Lights off?", answers=[])
    await until(lambda: len(questions._asks) == 2)
    waiting = [*questions._asks.values()][1]
    await poll_off(hass, home)  # else what came in before is read first, and the end comes during that
    first.cancel()
    while not waiting.turn.is_set():
        await asyncio.sleep(0)
    questions.async_interrupt()
    with pytest.raises(HomeAssistantError, match="was unloaded while the question was waiting"):
        await second
    await asyncio.sleep(0.3)
    assert sent_to(pbx, ANN) == [LINES]
    assert waiting.state is AskState.ENDED


@pytest.mark.usefixtures("home")
async def test_a_picture_is_an_answer(hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents) -> None:
    """A photo of the meter: the response has its id, as the event has it, and it can be opened by that at once."""
    call = ask(hass, entity_id="notify.ann", answers=[], question="What does the meter say?")
    await asked(pbx, ANN, "What does the meter say?")
    await pbx.receive(from_number=ANN, text="", media=RED, mime_type="image/jpeg")
    response = await call
    assert (response["id"], response["text"], response["recipient"]) == (None, "", "Ann")
    assert response["media_content_id"].startswith("media-source://netsapiens/")
    assert entity_events.events[-1][1]["media_content_id"] == response["media_content_id"]
    assert entity_events.events[-1][1]["is_answer"] is True
    media = await media_source.async_resolve_media(hass, response["media_content_id"], None)
    assert media.path is not None
    assert await asyncio.to_thread(media.path.read_bytes) == RED


@pytest.mark.usefixtures("timing")
async def test_a_picture_that_is_refused(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    camera: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The question stands without it: she can answer, and the log says that she did not get all."""
    await hass.config_entries.async_reload(entry.entry_id)  # with the quick timing
    await until(lambda: entry.runtime_data.poller and entry.runtime_data.poller.ready.is_set())
    refuse = asyncio.Event()

    async def sees(*_: Any, **__: Any) -> bytes:
        await refuse.wait()
        return RED

    monkeypatch.setattr(camera, "async_camera_image", sees)
    call = ask(hass, entity_id="notify.ann", media="camera.door")
    await asked(pbx, ANN)
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", code=400, message="No pictures")
    before = len([one for one in pbx.requests if one.method == "POST"])
    refuse.set()
    await until(lambda: len([one for one in pbx.requests if one.method == "POST"]) > before)
    await asyncio.sleep(0.3)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"
    assert "A question was not sent completely to Ann: " in caplog.text
    assert "No pictures" in caplog.text
    assert sent_to(pbx, ANN) == [LINES]


# --- the PBX ------------------------------------------------------------------------------


@pytest.mark.usefixtures("home")
async def test_a_pbx_that_lists_slowly_holds_up_no_question(hass: HomeAssistant, pbx: Simulator) -> None:
    """What came in before is read first, but not for longer than the question can wait."""
    pbx.fault(FaultKind.HANG, path="/messagesessions", method="GET", times=1)
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"


@pytest.mark.usefixtures("home", "quick_queue")
async def test_texts_while_a_question_is_queued(
    hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents
) -> None:
    """She was not asked yet, so they answer nothing."""
    pbx.fault(FaultKind.FORBIDDEN_HTML, path="/messages", method="POST", times=None)
    call = ask(hass, entity_id="notify.ann", keep_for=60)
    await until(lambda: pbx.requests_to("/messages")[-1].method == "POST")
    await pbx.receive(from_number=ANN, text="1")
    await until(lambda: entity_events.texts() == ["1"])
    assert entity_events.events[-1][1]["is_answer"] is False
    pbx.clear_faults()
    await asked(pbx, ANN)
    await asyncio.sleep(1.1)  # the PBX's times have seconds
    await pbx.receive(from_number=ANN, text="2")
    assert (await call)["id"] == "leave"


@pytest.mark.usefixtures("quick_queue")
async def test_receiving_is_switched_off_meanwhile(
    hass: HomeAssistant,
    pbx: Simulator,
    home: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No answer is read any more, so the question ends with its time, queued or not."""
    pbx.fault(FaultKind.FORBIDDEN_HTML, path="/messages", method="POST", times=None)
    call = ask(hass, entity_id="notify.ann", keep_for=60, timeout=0.5)
    await until(lambda: home.runtime_data.queue.queued == 1)
    await poll_off(hass, home)
    pbx.clear_faults()
    assert await call == NOTHING
    assert sent_to(pbx, ANN) == [LINES]
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR and one.name == "homeassistant"]


@pytest.mark.usefixtures("quick_queue")
async def test_the_pbx_is_away_when_the_time_is_up(
    hass: HomeAssistant,
    pbx: Simulator,
    home: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The question ends in time all the same, and the next one is asked once the PBX is back."""
    call = ask(hass, entity_id="notify.ann", timeout=3)
    await asked(pbx, ANN)
    pbx.fault(FaultKind.DROP_BEFORE, times=None)
    await until(lambda: home.runtime_data.coordinator.throttle.is_away)
    assert await call == NOTHING
    following = ask(hass, entity_id="notify.ann", question="Lights off?", answers=[], keep_for=60)
    await asyncio.sleep(0.5)
    pbx.clear_faults()
    await asked(pbx, ANN, "Lights off?")
    await pbx.receive(from_number=ANN, text="Yes")
    assert (await following)["text"] == "Yes"
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR and one.name == "homeassistant"]


# --- hints ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("home")
async def test_a_hint_that_is_refused(hass: HomeAssistant, pbx: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """The log names whom it was for and why, without the words; the question goes on waiting."""
    call = ask(hass, entity_id="notify.ann", hint=HINT)
    await asked(pbx, ANN)
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", code=400, message="Blocked")
    await pbx.receive(from_number=ANN, text="What?")
    await until(lambda: "What a question expects was not texted to Ann: " in caplog.text)
    assert "Blocked" in caplog.text
    assert HINT not in caplog.text
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"


async def test_a_hint_beyond_the_hourly_limit(
    hass: HomeAssistant,
    pbx: Simulator,
    home: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Hints count as texts: an automation that runs in a circle ends there, too."""
    hass.config_entries.async_update_entry(home, options={**home.options, "hourly_limit": 1})
    await hass.async_block_till_done()
    call = ask(hass, entity_id="notify.ann", hint=HINT)
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="What?")
    await until(lambda: "What a question expects was not texted to Ann: " in caplog.text)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"
    assert sent_to(pbx, ANN) == [LINES]


async def test_a_hint_waits_no_longer_than_its_question(
    hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry
) -> None:
    """Once the question is over, it would only confuse, however long the account keeps its texts."""
    call = ask(hass, entity_id="notify.ann", hint=HINT, timeout=30)
    await asked(pbx, ANN)
    queue = home.runtime_data.queue
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", code=503, times=None)
    await pbx.receive(from_number=ANN, text="What?")
    await until(lambda: queue.queued)
    assert queue.first_deadline is not None
    assert queue.first_deadline < dt_util.utcnow() + timedelta(seconds=31)
    pbx.clear_faults()
    await asked(pbx, ANN, HINT)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"


async def test_a_limit_that_was_set_meanwhile_holds_for_a_hint(
    hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """A question may wait for days: what counts is the option as it is when a text goes out."""
    call = ask(hass, entity_id="notify.ann", hint=HINT)
    await asked(pbx, ANN)
    hass.config_entries.async_update_entry(home, options={**home.options, "hourly_limit": 1})
    await hass.async_block_till_done()
    await pbx.receive(from_number=ANN, text="What?")
    await until(lambda: "What a question expects was not texted to Ann: " in caplog.text)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"
    assert sent_to(pbx, ANN) == [LINES]


@pytest.mark.usefixtures("home")
async def test_without_a_hint_nothing_is_texted(
    hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents
) -> None:
    """A text that is no answer is left without one, and the question goes on waiting."""
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="What?")
    await until(lambda: entity_events.texts() == ["What?"])
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"
    assert sent_to(pbx, ANN) == [LINES]


# --- sentence templates, which are matched in a thread ---------------------------------------


@pytest.fixture
def slow_templates(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a template take half a second to match; return the texts that were matched."""
    matched: list[str] = []
    match = SentenceTemplates.match

    def slowly(self: SentenceTemplates, text: str) -> Match | None:
        matched.append(text)
        time.sleep(0.5)
        return match(self, text)

    monkeypatch.setattr(SentenceTemplates, "match", slowly)
    return matched


@pytest.mark.usefixtures("home")
async def test_texts_are_matched_in_their_order(hass: HomeAssistant, pbx: Simulator, slow_templates: list[str]) -> None:
    """One after the other, however long each takes: the first that is an answer counts."""
    call = ask(hass, entity_id="notify.ann", answers=TEMPLATE)
    await asked(pbx, ANN, TEMPLATE_LINES)
    for text in ("Hm", "Close it in two minutes", "Close it in three minutes"):
        await pbx.receive(from_number=ANN, text=text)
    assert (await call)["slots"] == {"minutes": "two"}
    assert slow_templates == ["Hm", "Close it in two minutes"]


@pytest.mark.usefixtures("home")
async def test_the_time_is_up_while_an_answer_is_matched(
    hass: HomeAssistant, pbx: Simulator, slow_templates: list[str]
) -> None:
    """It came in time, so it counts."""
    call = ask(hass, entity_id="notify.ann", answers=TEMPLATE, timeout=0.8)
    await asked(pbx, ANN, TEMPLATE_LINES)
    await asyncio.sleep(0.4)
    await pbx.receive(from_number=ANN, text="Close it in ten minutes")
    assert (await call)["slots"] == {"minutes": "ten"}


@pytest.mark.usefixtures("home")
async def test_nobody_waits_any_more_while_a_text_is_matched(
    hass: HomeAssistant, pbx: Simulator, slow_templates: list[str]
) -> None:
    """What it turns out to be changes nothing then: no hint is texted."""
    call = ask(hass, entity_id="notify.ann", answers=TEMPLATE, hint=HINT)
    await asked(pbx, ANN, TEMPLATE_LINES)
    await pbx.receive(from_number=ANN, text="What?")
    await until(lambda: slow_templates == ["What?"])
    call.cancel()
    await asyncio.sleep(1)
    assert sent_to(pbx, ANN) == [TEMPLATE_LINES]


async def test_a_conversation_that_ends_while_its_text_is_matched(
    hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry, slow_templates: list[str]
) -> None:
    """As with an account that is unloaded: its text counts no more, and the question to others goes on."""
    call = ask(hass, entity_id=["notify.ann", "notify.bob"], answers=TEMPLATE)
    for number in (ANN, BOB):
        await asked(pbx, number, TEMPLATE_LINES)
    questions = home.runtime_data.questions
    await until(lambda: {one.state for one in questions._asks.values()} == {AskState.ASKED})
    await pbx.receive(from_number=ANN, text="Close it in two minutes")
    await until(lambda: slow_templates)
    questions.async_end(next(one for one in questions._asks.values() if ANN in one.persons))
    await pbx.receive(from_number=BOB, text="Close it in three minutes")
    assert (await call)["recipient"] == "Bob"


@pytest.mark.usefixtures("home")
async def test_a_text_that_cannot_be_matched(
    hass: HomeAssistant, pbx: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours costs that text; the next one is an answer as ever, and the log says nothing private."""

    def broken(*_: Any) -> None:
        raise RuntimeError(ANN)

    monkeypatch.setattr(SentenceTemplates, "match", broken)
    call = ask(hass, entity_id="notify.ann", answers=TEMPLATE)
    await asked(pbx, ANN, TEMPLATE_LINES)
    await pbx.receive(from_number=ANN, text="What?")
    await until(lambda: "matching an answer" in caplog.text)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "later"
    assert ANN not in caplog.text


@pytest.mark.usefixtures("home")
async def test_a_home_without_hassil(
    hass: HomeAssistant,
    pbx: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    entity_events: EntityEvents,
) -> None:
    """There a sentence counts letter by letter, and its number; nothing breaks."""
    monkeypatch.setitem(sys.modules, sentence_templates.__name__, None)
    call = ask(hass, entity_id="notify.ann", answers=TEMPLATE)
    await asked(pbx, ANN, TEMPLATE_LINES)
    await pbx.receive(from_number=ANN, text="Close it in ten minutes")
    await until(lambda: len(entity_events.texts()) == 1)
    await asyncio.sleep(0.3)
    assert not call.done()
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "later"
