"""The action netsapiens.ask_question, from Home Assistant to what a phone gets and answers."""

import asyncio
from copy import replace
from datetime import timedelta
from typing import Any

from homeassistant.auth.models import Group
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
import voluptuous as vol

from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from custom_components.netsapiens.receiving.timing import RECEIVING_TIMING, QuestionTiming
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.delivery.quick import set_timing
from tests.delivery.test_queue import crash
from tests.fixtures import hass_storage  # noqa: F401
from tests.helpers import shown, until
from tests.simulator import FaultKind, Simulator
from tests.simulator.render import bare_time
from tests.test_blueprints import sent_to

ANN, BOB, EVE, STRANGER = "18585550123", "18585550124", "18585550125", "18585550177"
OWN = "18585550199"
ANSWERS = [{"id": "close", "sentences": ["Close it", "yes"]}, {"id": "leave", "sentences": ["Leave it"]}]
STOP_OR_GO = [{"id": "stop", "sentences": ["Stop"]}, {"id": "go", "sentences": ["Go on"]}]
QUESTION = "The garage is open. Close it?"
LINES = f"{QUESTION}\n1 Close it\n2 Leave it"
NOTHING = {
    **dict.fromkeys(
        ("id", "text", "from_number", "recipient", "timestamp", "messagesession", "media_content_id"),
    ),
    "timed_out": True,
}


@pytest.fixture
def timing(hass: HomeAssistant, quick_inbox: None) -> None:
    """Poll ten times a second, and end a question soon after its time."""
    quick = replace(hass.data[RECEIVING_TIMING], question=QuestionTiming(poll_within=2))
    hass.data[RECEIVING_TIMING] = quick


@pytest.fixture
async def home(hass: HomeAssistant, timing: None, add_account: AddAccount) -> MockConfigEntry:
    """An account with Ann, Bob, and both as a group, whose poller has looked once."""
    entry = await add_account(
        recipient("Ann", ANN, recipient_id="ann"),
        recipient("Bob", BOB, recipient_id="bob"),
        recipient("All", ANN, BOB, recipient_id="all", group=True),
    )
    await until(entry.runtime_data.poller.ready.is_set)
    return entry


@pytest.fixture
async def entity_events(hass: HomeAssistant) -> EntityEvents:
    """What the event entities report."""
    return EntityEvents(hass)


def ask(hass: HomeAssistant, context: Context | None = None, **data: Any) -> asyncio.Task[Any]:
    """Call the action, and go on while it waits."""
    data = {"question": QUESTION, "answers": ANSWERS, "timeout": 20, **data}
    call = hass.services.async_call(
        "netsapiens", "ask_question", data, blocking=True, return_response=True, context=context
    )
    return asyncio.create_task(call)


async def asked(pbx: Simulator, number: str, text: str = LINES, times: int = 1) -> None:
    """Wait until a phone has got the question."""
    await until(lambda: sent_to(pbx, number).count(text) == times)


async def refused(hass: HomeAssistant, pbx: Simulator, key: str, **data: Any) -> ServiceValidationError:
    """Ask, and check that it is refused in words of ours, and that nothing goes out."""
    with pytest.raises(ServiceValidationError) as caught:
        await ask(hass, **data)
    assert caught.value.translation_key == key
    assert "{" not in str(caught.value)
    assert str(caught.value) != key
    assert not pbx.messages
    return caught.value


# --- answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("1", "close"),
        ("2)", "leave"),
        ("close it", "close"),
        ("YES!!", "close"),
        ("Leave it.", "leave"),
        ("leave", "leave"),
    ],
)
@pytest.mark.usefixtures("home")
async def test_an_answer(hass: HomeAssistant, pbx: Simulator, text: str, answer: str) -> None:
    """By number, by sentence in any case and with punctuation, and by its ID, with all that is known of it."""
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    received = await pbx.receive(from_number=ANN, text=text)
    response = await call
    assert response == {
        "id": answer,
        "text": text,
        "from_number": shown(ANN),
        "recipient": "Ann",
        "timestamp": response["timestamp"],
        "messagesession": received.messagesession,
        "media_content_id": None,
        "timed_out": False,
    }
    assert response["timestamp"].endswith("+00:00")


@pytest.mark.usefixtures("home")
async def test_free_text(hass: HomeAssistant, pbx: Simulator) -> None:
    """Without answers any text is one, also that of somebody who is no recipient."""
    call = ask(hass, destination=STRANGER, answers=[], question="When do you come?")
    await asked(pbx, STRANGER, "When do you come?")
    await pbx.receive(from_number=STRANGER, text="At ten, I think.")
    response = await call
    assert (response["id"], response["text"], response["recipient"]) == (None, "At ten, I think.", None)
    assert "slots" not in response


@pytest.mark.usefixtures("home")
async def test_a_sentence_template(hass: HomeAssistant, pbx: Simulator) -> None:
    """A sentence may be a template with slots, which is shown as people read it."""
    answers = [{"id": "later", "sentences": ["[please] close it in {minutes} minutes"]}]
    call = ask(hass, entity_id="notify.ann", answers=answers)
    await asked(pbx, ANN, f"{QUESTION}\n1 please close it in … minutes")
    await pbx.receive(from_number=ANN, text="Close it in ten minutes!")
    response = await call
    assert (response["id"], response["slots"]) == ("later", {"minutes": "ten"})


@pytest.mark.usefixtures("home")
async def test_without_numbers(hass: HomeAssistant, pbx: Simulator) -> None:
    """Without numbers there are no lines, and a number is no answer."""
    call = ask(hass, entity_id="notify.ann", numbered=False, title="Garage")
    await asked(pbx, ANN, f"Garage\n{QUESTION}")
    await pbx.receive(from_number=ANN, text="1")
    await pbx.receive(from_number=ANN, text="yes")
    assert (await call)["text"] == "yes"


@pytest.mark.usefixtures("home")
async def test_one_that_is_not_understood_gets_the_hint_once(
    hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents
) -> None:
    """The question goes on waiting, and every text of hers fires with `is_answer`."""
    call = ask(hass, entity_id="notify.ann", hint="Please reply 1 or 2.")
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="Which garage?")
    await asked(pbx, ANN, "Please reply 1 or 2.")
    await pbx.receive(from_number=ANN, text="Hm.")
    await until(lambda: entity_events.texts() == ["Which garage?", "Hm."])
    assert not call.done()
    await pbx.receive(from_number=ANN, text="2")
    assert (await call)["id"] == "leave"
    assert sent_to(pbx, ANN) == [LINES, "Please reply 1 or 2."]
    await pbx.receive(from_number=ANN, text="2")
    await until(lambda: len(entity_events.texts()) == 4)
    flags = [event["is_answer"] for entity, event in entity_events.events if entity == "event.ann_messages"]
    assert flags == [True, True, True, False]


@pytest.mark.usefixtures("home")
async def test_silence(hass: HomeAssistant, pbx: Simulator) -> None:
    """After the time is up, the response says so, and no error is raised."""
    assert await ask(hass, entity_id="notify.ann", timeout=0.5) == NOTHING


@pytest.mark.usefixtures("home")
async def test_an_answer_just_before_the_time_is_up(
    hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents
) -> None:
    """A text that came in time counts, also where it is read only by the poll at the end."""
    call = ask(hass, entity_id="notify.ann", timeout=0.3)
    await asked(pbx, ANN)
    pbx.fault(FaultKind.SLOW, path="/messagesessions", method="GET", seconds=1)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"


@pytest.mark.usefixtures("home")
async def test_the_second_of_two_people_answers(
    hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents
) -> None:
    """The first answer counts; what the other one texts later is no answer any more."""
    call = ask(hass, entity_id=["notify.ann", "notify.bob"])
    await asked(pbx, ANN)
    await asked(pbx, BOB)
    await pbx.receive(from_number=BOB, text="1")
    assert (await call)["recipient"] == "Bob"
    await pbx.receive(from_number=ANN, text="2")
    await until(lambda: entity_events.texts() == ["1", "2"])
    assert entity_events.events[-1][1]["is_answer"] is False


@pytest.mark.parametrize("target", [{"entity_id": "notify.all"}, {"destination": [ANN, BOB], "group": True}])
@pytest.mark.usefixtures("home")
async def test_a_group(hass: HomeAssistant, pbx: Simulator, target: dict[str, Any]) -> None:
    """A group is asked once, in its conversation, and any member may answer."""
    call = ask(hass, **target)
    await until(lambda: [sorted(row.destination) for row in pbx.messages] == [[ANN, BOB]])
    await pbx.receive(from_number=BOB, text="2", messagesession=pbx.messages[0].messagesession)
    response = await call
    assert (response["id"], response["from_number"]) == ("leave", shown(BOB))
    assert response["messagesession"] == pbx.messages[0].messagesession


@pytest.mark.parametrize("colleague", ["1002", "1002@Acme.Example"])
@pytest.mark.usefixtures("home")
async def test_a_colleague(hass: HomeAssistant, pbx: Simulator, colleague: str) -> None:
    """An extension is asked by chat, and known in its domain however that is written."""
    call = ask(hass, destination="1002")
    await until(lambda: [row.type for row in pbx.messages] == ["chat"])
    await pbx.receive_chat(from_user=colleague, text="1")
    response = await call
    assert (response["id"], response["from_number"]) == ("close", "1002")


@pytest.mark.usefixtures("home")
async def test_in_a_conversation(hass: HomeAssistant, pbx: Simulator) -> None:
    """A conversation alone says who is asked."""
    first = await pbx.receive(from_number=STRANGER, text="Hello")
    call = ask(hass, messagesession=first.messagesession)
    await asked(pbx, STRANGER)
    await pbx.receive(from_number=STRANGER, text="1")
    assert (await call)["id"] == "close"


@pytest.mark.usefixtures("home")
async def test_a_pbx_that_files_answers_elsewhere(hass: HomeAssistant, pbx: Simulator) -> None:
    """An answer counts in whichever conversation the PBX puts it."""
    pbx.file_under_own_id = True
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    received = await pbx.receive(from_number=ANN, text="1", to_number=OWN)
    assert (await call)["messagesession"] == received.messagesession


@pytest.mark.usefixtures("home")
async def test_an_answer_without_its_sender(hass: HomeAssistant, pbx: Simulator) -> None:
    """Where the PBX lists no number with it, its conversation says whose it is."""
    pbx.names_sender = False
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="1")
    response = await call
    assert (response["id"], response["from_number"]) == ("close", shown(ANN))


# --- PIN ----------------------------------------------------------------------------


@pytest.mark.usefixtures("home")
async def test_the_wrong_pin_and_the_right_one(hass: HomeAssistant, pbx: Simulator) -> None:
    """Without the PIN, or with another one, a text is not understood."""
    call = ask(hass, entity_id="notify.ann", pin="4711", hint="With the PIN, please.")
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="1")
    await asked(pbx, ANN, "With the PIN, please.")
    await pbx.receive(from_number=ANN, text="4712 yes")
    await pbx.receive(from_number=ANN, text="4711 yes")
    assert (await call)["text"] == "4711 yes"
    assert sent_to(pbx, ANN).count("With the PIN, please.") == 1


# --- what is no answer ----------------------------------------------------------------


@pytest.mark.usefixtures("home")
async def test_what_came_before_the_question(hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents) -> None:
    """A text that came before is no answer, also within the same second and where it is read only later."""
    await pbx.receive(from_number=ANN, text="1")
    call = ask(hass, entity_id="notify.ann", timeout=1)
    assert await call == NOTHING
    assert entity_events.texts() == ["1"]
    assert entity_events.events[-1][1]["is_answer"] is False


@pytest.mark.parametrize("fault", [{"kind": FaultKind.SLOW, "seconds": 1}, {"kind": FaultKind.FORBIDDEN_HTML}])
@pytest.mark.usefixtures("quick_queue", "home")
async def test_a_late_answer_to_the_same_question_before(
    hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents, fault: dict[str, Any]
) -> None:
    """It does not answer the one that the PBX has not taken yet."""
    assert await ask(hass, entity_id="notify.ann", timeout=0.3) == NOTHING
    pbx.messages[0].bare_timestamp = bare_time(pbx.now() - timedelta(minutes=1))
    pbx.fault(path="/messages", method="POST", times=None, **fault)
    call = ask(hass, entity_id="notify.ann", timeout=1, keep_for=60)
    await until(lambda: len([one for one in pbx.requests_to("/messages") if one.method == "POST"]) == 2)
    await pbx.receive(from_number=ANN, text="1")
    await until(lambda: entity_events.texts() == ["1"])
    assert entity_events.events[-1][1]["is_answer"] is False
    assert sent_to(pbx, ANN) == [LINES]
    pbx.clear_faults()
    assert await call == NOTHING
    assert sent_to(pbx, ANN) == [LINES, LINES]


@pytest.mark.usefixtures("home")
async def test_an_opt_out_word_is_never_an_answer(
    hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents
) -> None:
    """Not even where any text is one, and it gets no hint."""
    call = ask(hass, entity_id="notify.ann", answers=[], hint="What?", timeout=2, question="Which room?")
    await asked(pbx, ANN, "Which room?")
    await pbx.receive(from_number=ANN, text="Stop.")
    await until(lambda: entity_events.texts() == ["Stop."])
    assert entity_events.events[-1][1]["is_answer"] is False
    assert await call == NOTHING
    assert sent_to(pbx, ANN) == ["Which room?"]


async def test_an_opt_out_word_is_an_answer_where_nobody_can_opt_out(
    hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """With the option off, STOP is a text like any other."""
    hass.config_entries.async_update_entry(home, options={**home.options, "opt_out": False})
    await hass.async_block_till_done()
    call = ask(hass, entity_id="notify.ann", answers=STOP_OR_GO, question="The heater?")
    await asked(pbx, ANN, "The heater?\n1 Stop\n2 Go on")
    await pbx.receive(from_number=ANN, text="Stop.")
    assert (await call)["id"] == "stop"
    assert entity_events.events[-1][1]["is_answer"] is True


@pytest.mark.usefixtures("home")
async def test_an_answer_that_would_opt_out(hass: HomeAssistant, pbx: Simulator) -> None:
    """With the option on, it is refused before anybody gives it, unless it has another sentence, or a PIN beside it."""
    error = await refused(hass, pbx, "answer_opts_out", entity_id="notify.ann", answers=STOP_OR_GO)
    assert "Stop" in str(error)
    other = [{"id": "stop", "sentences": ["Stop", "Halt"]}]
    for text, more in (("Halt", {"answers": other}), ("4711 stop", {"answers": STOP_OR_GO, "pin": "4711"})):
        call = ask(hass, entity_id="notify.ann", question=text, numbered=False, **more)
        await asked(pbx, ANN, text)
        await pbx.receive(from_number=ANN, text=text)
        assert (await call)["id"] == "stop"


@pytest.mark.usefixtures("home")
async def test_a_stranger(hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents) -> None:
    """Who was not asked cannot answer."""
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    await pbx.receive(from_number=STRANGER, text="1")
    await until(lambda: entity_events.texts() == ["1"])
    assert entity_events.events[-1][1]["is_answer"] is False
    await pbx.receive(from_number=ANN, text="2")
    assert (await call)["id"] == "leave"


async def test_a_text_to_another_number_of_ours(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, timing: None, entity_events: EntityEvents
) -> None:
    """Only what comes to the number that asked is an answer."""
    user = pbx.add_user("1005@acme.example", numbers=["18585550150", "18585550151"])
    entry = await add_account(recipient("Ann", ANN), login=user.login)
    await until(entry.runtime_data.poller.ready.is_set)
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, to_number="18585550151", text="1")
    await until(lambda: entity_events.texts("event.ann_messages") == ["1"])
    await pbx.receive(from_number=ANN, to_number="18585550150", text="2")
    assert (await call)["id"] == "leave"


# --- one at a time ----------------------------------------------------------------------


@pytest.mark.usefixtures("home")
async def test_two_questions_to_one_person_in_turn(hass: HomeAssistant, pbx: Simulator) -> None:
    """Who is being asked is asked the next question when the first has ended."""
    first = ask(hass, entity_id="notify.ann")
    second = ask(hass, entity_id="notify.ann", question="Lights off?", numbered=False, timeout=1)
    await asked(pbx, ANN)
    await asyncio.sleep(1.2)  # longer than the second's time, which has not begun
    assert sent_to(pbx, ANN) == [LINES]
    await pbx.receive(from_number=ANN, text="1")
    assert (await first)["id"] == "close"
    await asked(pbx, ANN, "Lights off?")
    await pbx.receive(from_number=ANN, text="yes")
    assert (await second)["text"] == "yes"


@pytest.mark.usefixtures("home")
async def test_only_who_is_being_asked_waits(hass: HomeAssistant, pbx: Simulator) -> None:
    """Of two people, the one who is free is asked at once; an answer of theirs ends the question for both."""
    first = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    second = ask(hass, entity_id=["notify.ann", "notify.bob"], question="Lights off?", numbered=False)
    await asked(pbx, BOB, "Lights off?")
    await pbx.receive(from_number=BOB, text="yes")
    assert (await second)["recipient"] == "Bob"
    await pbx.receive(from_number=ANN, text="1")
    assert (await first)["id"] == "close"
    await asyncio.sleep(0.3)
    assert sent_to(pbx, ANN) == [LINES]


@pytest.mark.usefixtures("home")
async def test_a_group_waits_for_each_of_its_members(hass: HomeAssistant, pbx: Simulator) -> None:
    """A group is asked once nobody in it is being asked something else."""
    first = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    second = ask(hass, entity_id="notify.all", question="Dinner?", answers=[])
    third = ask(hass, entity_id="notify.bob", question="Lights off?", numbered=False)
    await asyncio.sleep(0.3)
    assert [row.text for row in pbx.messages] == [LINES]  # Bob waits as well: the group was first
    await pbx.receive(from_number=ANN, text="1")
    await first
    await until(lambda: pbx.messages[-1].text == "Dinner?")
    await pbx.receive(from_number=ANN, text="Yes", messagesession=pbx.messages[-1].messagesession)
    assert (await second)["text"] == "Yes"
    await asked(pbx, BOB, "Lights off?")
    await pbx.receive(from_number=BOB, text="yes")
    assert (await third)["id"] == "close"


@pytest.mark.usefixtures("home")
async def test_a_caller_that_is_cancelled(hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents) -> None:
    """The question is forgotten, and the next one goes."""
    first = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    second = ask(hass, entity_id="notify.ann", question="Lights off?", numbered=False)
    first.cancel()
    await asked(pbx, ANN, "Lights off?")
    await pbx.receive(from_number=ANN, text="yes")
    assert (await second)["id"] == "close"


async def test_200_questions_to_200_people_at_once(
    hass: HomeAssistant, pbx: Simulator, timing: None, add_account: AddAccount
) -> None:
    """Each gets the answer of the person that it asked."""
    hass.data[THROTTLE_TIMING] = ThrottleTiming(rate=RateLimit(per_second=10_000.0))
    home = await add_account(options={"from_number": OWN, "hourly_limit": 0})
    await until(home.runtime_data.poller.ready.is_set)
    people = [f"1858556{number:04}" for number in range(200)]
    calls = [ask(hass, destination=person, answers=[], timeout=60) for person in people]
    await until(lambda: len(pbx.messages) == 200, 50)
    for person in reversed(people):
        await pbx.receive(from_number=person, text=f"I am {person}")
    responses = await asyncio.gather(*calls)
    assert [one["text"] for one in responses] == [f"I am {person}" for person in people]


# --- what goes wrong ------------------------------------------------------------------------


@pytest.fixture
def quick_queue(hass: HomeAssistant) -> None:
    """Let an action answer `queued` soon."""
    set_timing(hass, answer_within=0.3)


@pytest.mark.usefixtures("quick_queue", "home")
async def test_a_question_while_the_pbx_is_away(hass: HomeAssistant, pbx: Simulator) -> None:
    """Its time runs from when it was taken."""
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", times=None, code=503)
    call = ask(hass, entity_id="notify.ann", timeout=1.5, keep_for=60)
    await asyncio.sleep(2)
    assert not call.done()
    pbx.clear_faults()
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"


async def ask_while_away(hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry) -> asyncio.Task[Any]:
    """Ask Ann, then text Bob, while the PBX takes nothing; return the call once both wait."""
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", times=None, code=503)
    call = ask(hass, entity_id="notify.ann", keep_for=60)
    data = {"entity_id": "notify.bob", "message": "Hello", "keep_for": 60}
    await hass.services.async_call("netsapiens", "send_message", data, blocking=True)
    await until(lambda: home.runtime_data.queue.queued == 2)
    return call


@pytest.mark.usefixtures("quick_queue")
async def test_a_queued_question_goes_with_its_caller(
    hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What nobody waits for any more is not sent once the PBX is back, and no event says so; other texts are sent."""
    call = await ask_while_away(hass, pbx, home)
    call.cancel()
    await until(lambda: home.runtime_data.queue.queued == 1)
    pbx.clear_faults()
    await asked(pbx, BOB, "Hello")
    await asyncio.sleep(1)
    assert sent_to(pbx, ANN) == []
    assert entity_events.events == []


@pytest.mark.usefixtures("quick_queue")
async def test_the_first_answer_ends_what_is_queued_for_others(
    hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Bob answers while the question to Ann still waits: she is not asked any more."""
    notify = {"entity_id": "notify.ann", "message": "Hello"}
    await hass.services.async_call("notify", "send_message", notify, blocking=True)
    anns = str(pbx.messages[0].requested_session)
    pbx.fault(FaultKind.FORBIDDEN_HTML, path=anns, method="POST", times=None)
    call = ask(hass, entity_id=["notify.ann", "notify.bob"], keep_for=60)
    await asked(pbx, BOB)
    await until(lambda: home.runtime_data.queue.queued == 1)
    await pbx.receive(from_number=BOB, text="1")
    assert (await call)["recipient"] == "Bob"
    await until(lambda: home.runtime_data.queue.queued == 0)
    pbx.clear_faults()
    await asyncio.sleep(1)
    assert sent_to(pbx, ANN) == ["Hello"]
    assert {event["event_type"] for _, event in entity_events.events} == {"received"}


@pytest.mark.usefixtures("quick_queue")
async def test_a_queued_question_goes_with_its_account(
    hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """A reload ends the wait with an error, so the question is not sent after it either."""
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", times=None, code=503)
    call = ask(hass, entity_id="notify.ann", keep_for=60)
    await until(lambda: home.runtime_data.queue.queued == 1)
    assert await hass.config_entries.async_reload(home.entry_id)
    with pytest.raises(HomeAssistantError, match="was unloaded while the question was waiting"):
        await call
    pbx.clear_faults()
    await until(lambda: home.runtime_data.queue.queued == 0)
    await asyncio.sleep(1)
    assert sent_to(pbx, ANN) == []
    assert entity_events.events == []


@pytest.mark.usefixtures("quick_queue")
async def test_a_queued_question_is_not_sent_after_a_kill(
    hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Nobody waits for the answer any more, and no event reports it; other texts that were queued are sent."""
    call = await ask_while_away(hass, pbx, home)
    await crash(hass, home)
    with pytest.raises(HomeAssistantError):
        await call
    pbx.clear_faults()
    assert await hass.config_entries.async_setup(home.entry_id)
    await asked(pbx, BOB, "Hello")
    await until(lambda: home.runtime_data.queue.queued == 0)
    await asyncio.sleep(1)
    assert sent_to(pbx, ANN) == []
    assert entity_events.events == []


@pytest.mark.usefixtures("timing", "camera", "quick_queue")
async def test_the_picture_of_a_question_goes_with_it(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """A picture that waits is not sent either where its question is not, or was answered before."""
    await hass.config_entries.async_reload(entry.entry_id)  # with the quick timing
    await until(lambda: entry.runtime_data.poller and entry.runtime_data.poller.ready.is_set())
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", times=None, code=503)
    call = ask(hass, entity_id="notify.ann", media="camera.door", keep_for=60)
    await until(lambda: entry.runtime_data.queue.queued == 2)
    call.cancel()
    await until(lambda: entry.runtime_data.queue.queued == 0)
    pbx.clear_faults()
    await asyncio.sleep(1)
    assert pbx.messages == []
    assert entity_events.events == []


@pytest.mark.usefixtures("quick_queue", "home")
async def test_a_question_that_never_gets_out(hass: HomeAssistant, pbx: Simulator) -> None:
    """The error says so."""
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", times=None, code=503)
    with pytest.raises(HomeAssistantError) as caught:
        await ask(hass, entity_id="notify.ann", keep_for=2)
    assert caught.value.translation_key == "question_not_sent"
    assert str(caught.value).startswith("Nobody was asked: The phone system")


@pytest.mark.usefixtures("home")
async def test_a_question_that_is_refused(hass: HomeAssistant, pbx: Simulator) -> None:
    """An error as in sending, where it got to nobody."""
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", times=None, code=400)
    with pytest.raises(HomeAssistantError) as caught:
        await ask(hass, entity_id="notify.ann")
    assert caught.value.translation_key in {"refused", "refused_without_words"}
    with pytest.raises(HomeAssistantError, match=r"Ann: .* Bob: "):
        await ask(hass, entity_id=["notify.ann", "notify.bob"])


@pytest.mark.usefixtures("home")
async def test_a_question_that_gets_to_some(
    hass: HomeAssistant, pbx: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The others can answer, and the log names who was not asked, without the question."""
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", times=1, code=400)
    call = ask(hass, entity_id=["notify.ann", "notify.bob"])
    await until(lambda: len(pbx.messages) == 1)
    number = pbx.messages[0].destination[0]
    await pbx.receive(from_number=number, text="1")
    assert (await call)["from_number"] == shown(number)
    assert f"A question was not sent completely to {'Ann' if number == BOB else 'Bob'}" in caplog.text
    assert QUESTION not in caplog.text


async def test_a_reload_meanwhile(hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry) -> None:
    """It ends with an error, also where it still waits for its turn; afterwards one can ask again."""
    calls = [ask(hass, entity_id="notify.ann"), ask(hass, entity_id="notify.ann")]
    await asked(pbx, ANN)
    assert await hass.config_entries.async_reload(home.entry_id)
    for call in calls:
        with pytest.raises(HomeAssistantError) as caught:
            await call
        assert caught.value.translation_key == "question_interrupted"
    assert sent_to(pbx, ANN) == [LINES]
    await until(lambda: home.runtime_data.poller and home.runtime_data.poller.ready.is_set())
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN, times=2)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"


async def test_the_account_is_removed_meanwhile(hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry) -> None:
    """It ends with an error."""
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    await hass.config_entries.async_remove(home.entry_id)
    with pytest.raises(HomeAssistantError, match="was unloaded while the question was waiting"):
        await call


async def test_home_assistant_stops_meanwhile(hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry) -> None:
    """It ends with an error, and does not hold up the end."""
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    hass.bus.async_fire("homeassistant_stop")
    with pytest.raises(HomeAssistantError):
        await call


@pytest.mark.usefixtures("home")
async def test_an_answer_before_it_is_known_that_the_question_was_taken(hass: HomeAssistant, pbx: Simulator) -> None:
    """The PBX takes the question and its answer gets lost: the text that it lists behind it counts all the same."""
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    call = ask(hass, entity_id="notify.ann")
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"
    assert sent_to(pbx, ANN) == [LINES]


@pytest.mark.parametrize("listed", ["usual", "marks", "crlf", "escaped"])
@pytest.mark.usefixtures("quick_queue", "home")
async def test_an_early_answer_where_the_question_is_listed_otherwise(
    hass: HomeAssistant, pbx: Simulator, entity_events: EntityEvents, listed: str
) -> None:
    """Whatever the PBX makes of its characters: she answers while the PBX has not yet said that it took it."""
    pbx.listed_text = listed
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", accept=True, seconds=2)
    call = ask(hass, entity_id="notify.ann", question="🚪 It's open & cold. Close it?", keep_for=60)
    await asked(pbx, ANN, "🚪 It's open & cold. Close it?\n1 Close it\n2 Leave it")
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"
    assert entity_events.events[-1][1]["is_answer"] is True
    assert len(sent_to(pbx, ANN)) == 1


@pytest.mark.parametrize(
    ("option", "expected"),
    [("separate", [("sms", LINES), ("mms", "Door")]), ("together", [("mms", LINES)])],
)
@pytest.mark.usefixtures("timing", "camera")
async def test_a_picture_with_the_question(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, option: str, expected: list[tuple[str, str]]
) -> None:
    """The words go first and the picture follows, or the picture carries the question, as the option says."""
    hass.config_entries.async_update_entry(entry, options={**entry.options, "picture_text": option})
    await hass.config_entries.async_reload(entry.entry_id)  # with the quick timing
    await until(lambda: entry.runtime_data.poller and entry.runtime_data.poller.ready.is_set())
    call = ask(hass, entity_id="notify.ann", media="camera.door")
    await until(lambda: [(row.type, row.text) for row in pbx.messages] == expected)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"


# --- rules ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("nothing_to_ask", {"question": " "}),
        ("nobody_to_send_to", {"entity_id": []}),
        ("invalid_timeout", {"timeout": 0}),
        ("invalid_timeout", {"timeout": {"hours": 25}}),
        ("answer_incomplete", {"answers": [{"id": "a", "sentences": [" "]}]}),
        ("answer_incomplete", {"answers": [{"sentences": ["a"]}]}),
        ("answer_not_text", {"answers": [{"id": "a", "sentences": ["a", True]}]}),
        ("invalid_number", {"entity_id": [], "destination": "12"}),
    ],
)
@pytest.mark.usefixtures("home")
async def test_what_is_refused(hass: HomeAssistant, pbx: Simulator, key: str, data: dict[str, Any]) -> None:
    """Rules are checked before anybody is asked."""
    await refused(hass, pbx, key, **{"entity_id": "notify.ann", **data})


@pytest.mark.parametrize("field", ["pin", "hint"])
@pytest.mark.usefixtures("home")
async def test_a_word_that_yaml_took_for_yes_or_no(hass: HomeAssistant, pbx: Simulator, field: str) -> None:
    """No answer would have that PIN, and nobody means to text "False"."""
    with pytest.raises(vol.Invalid, match="Write it in quotes"):
        await ask(hass, entity_id="notify.ann", **{field: False})
    assert not pbx.messages


async def test_an_account_that_receives_nothing(hass: HomeAssistant, pbx: Simulator, home: MockConfigEntry) -> None:
    """No answer could come, so it is said at once."""
    hass.config_entries.async_update_entry(home, options={**home.options, "incoming": "off"})
    await hass.async_block_till_done()
    await refused(hass, pbx, "incoming_off", entity_id="notify.ann")


@pytest.mark.usefixtures("home")
async def test_it_always_answers(hass: HomeAssistant) -> None:
    """It cannot be called without a response."""
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call("netsapiens", "ask_question", {"question": "Hi"}, blocking=True)
    with pytest.raises(vol.Invalid):
        await ask(hass, entity_id="notify.ann", message="Hi")
    with pytest.raises(vol.Invalid):
        await ask(hass, entity_id="notify.ann", timeout=1e20)


@pytest.mark.usefixtures("home")
async def test_permissions_are_those_of_sending(hass: HomeAssistant, pbx: Simulator, hass_admin_user: MockUser) -> None:
    """A user may ask a recipient that they may control, and no bare numbers."""
    group = Group(name="Kids", policy={"entities": {"entity_ids": {"notify.ann": {"control": True}}}})
    user = MockUser(groups=[group]).add_to_hass(hass)
    context = Context(user_id=user.id)
    for target in ({"entity_id": "notify.bob"}, {"destination": STRANGER}):
        with pytest.raises(Unauthorized):
            await ask(hass, context, **target)
    assert not pbx.messages
    call = ask(hass, context, entity_id="notify.ann")
    await asked(pbx, ANN)
    await pbx.receive(from_number=ANN, text="1")
    assert (await call)["id"] == "close"
