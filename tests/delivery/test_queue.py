"""The way out: each message exactly once, whatever the PBX does."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
import json
from pathlib import Path
import time
from typing import Any
from unittest.mock import Mock, patch

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.netsapiens.api import MessageAPI
from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.delivery import reconcile as lookup, spool_files
from custom_components.netsapiens.delivery.spool_files import SpoolFiles
from custom_components.netsapiens.delivery.state import Step
from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from tests.conftest import AddAccount, close, recipient
from tests.delivery.disk import Disk, change_rows, fill, rows_in, spool_path
from tests.delivery.quick import send_quickly
from tests.fixtures import hass_storage  # noqa: F401
from tests.helpers import entity_of, shown, until, until_idle
from tests.pictures import BLUE, RED, arrived
from tests.simulator import FaultKind, Simulator

ANN = "18585550123"
MESSAGES = "event.1001_acme_example_messages"
QUEUED = "sensor.1001_acme_example_queued_messages"


@pytest.fixture(autouse=True)
def _quick(hass: HomeAssistant, request: pytest.FixtureRequest) -> None:
    """Wait a twentieth of what is waited in life, or what the mark `timing` says; the order of things stays."""
    marker = request.node.get_closest_marker("timing")
    send_quickly(hass, **(marker.kwargs if marker else {}))


async def send(hass: HomeAssistant, message: str = "Hi", **data: Any) -> dict[str, Any]:
    """Send through the action; return the first row of its answer."""
    answer = await hass.services.async_call(
        DOMAIN,
        "send_message",
        {"destination": ANN, "message": message, **data},
        blocking=True,
        return_response=True,
    )
    return answer["messages"][0]


def texts(pbx: Simulator) -> list[str]:
    """What arrived, in order."""
    return [message.text for message in pbx.messages]


def on_disk(hass: HomeAssistant, entry: MockConfigEntry) -> list[dict[str, Any]]:
    """The rows of the messages that are on disk."""
    return rows_in(spool_path(hass, entry))


def has_file(hass: HomeAssistant, entry: MockConfigEntry) -> bool:
    """Whether anything was ever written."""
    return spool_path(hass, entry).exists()


async def crash(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """End the account as a killed process does: nothing is written, nothing is waited for."""
    await entry.runtime_data.queue.async_abandon()
    hass.data["netsapiens_histories"].clear()
    await hass.config_entries.async_unload(entry.entry_id)
    hass.data["netsapiens_parked"].pop(entry.entry_id).forget()


# --- a clear answer ------------------------------------------------------------------


async def test_clear_answer_costs_one_request_and_no_write(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """The usual case costs nothing beside the request itself."""
    before = len(pbx.requests)
    assert (await send(hass))["status"] == "sent"
    # The poller looks as well, and reads no conversation.
    requests = [record for record in pbx.requests[before:] if not record.path.endswith("/messagesessions")]
    assert [record.method for record in requests] == ["POST"]
    assert not has_file(hass, entry)
    assert hass.states.get(QUEUED).state == "0"


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_pbx_that_does_not_show_its_clock(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, refuses: bool
) -> None:
    """It is asked for it with the first text, and takes all of them, also where it does not show its lists."""
    pbx.shows_clock = False
    await add_account(recipient("Ann", "18585550123"), options={"from_number": "18585550199", "incoming": "off"})
    if refuses:
        body = '{"code": 403, "message": "Forbidden"}'
        pbx.fault(FaultKind.BODY, path="/messagesessions", method="GET", status=403, body=body, times=None)
    await send(hass, "Text 0")
    before = len(pbx.requests)
    for number in range(1, 4):
        assert (await send(hass, f"Text {number}"))["status"] == "sent"
    assert [record.method for record in pbx.requests[before:]] == ["POST"] * 3
    assert texts(pbx) == ["Text 0", "Text 1", "Text 2", "Text 3"]


@pytest.mark.parametrize("body", ["accepted", "message", "list", "empty", "text"])
async def test_every_form_of_acceptance_is_one(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, body: str
) -> None:
    """Whatever a PBX answers to a text that it took, it is sent once."""
    pbx.accept_body = body
    row = await send(hass)
    assert row["status"] == "sent"
    assert (row["message_id"] is not None) is (body in {"message", "list"})
    assert texts(pbx) == ["Hi"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"code": 400, "message": "Invalid destination"}),
        (403, {"code": 403, "message": "Not yours"}),
        (404, {"code": 404, "message": "No Route Found [92]"}),
        (200, {"code": 400, "message": "Invalid destination"}),
    ],
)
async def test_refusal_is_told_at_once(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, status: int, body: dict[str, Any]
) -> None:
    """What the PBX does not want is an error with its words, and is not tried again."""
    pbx.fault(
        FaultKind.BODY,
        path="/messages",
        method="POST",
        status=status,
        body=json.dumps(body).encode(),
        content_type="application/json",
    )
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass)
    assert raised.value.translation_key == "refused"
    assert body["message"].split("[")[0] in str(raised.value)
    assert texts(pbx) == []
    assert not has_file(hass, entry)


# --- no clear answer -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        (FaultKind.DROP_AFTER, {}),
        (FaultKind.STATUS, {"code": 502, "html": True, "accept": True}),
        (FaultKind.STATUS, {"code": 500, "accept": True}),
        (FaultKind.TRUNCATE, {}),
        (FaultKind.BODY, {"status": 200, "body": b"<html>Login</html>", "accept": True, "content_type": "text/html"}),
    ],
)
@pytest.mark.parametrize("lag", [0, 0.2])
async def test_accepted_without_saying_so_is_found_and_not_sent_again(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, kind: FaultKind, details: dict[str, Any], lag: float
) -> None:
    """A lost answer costs no second text, also where the lists lag."""
    pbx.lag = lag
    pbx.fault(kind, path="/messages", method="POST", **details)
    assert (await send(hass))["status"] in {"sent", "queued"}
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.7)
    assert texts(pbx) == ["Hi"]


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        (FaultKind.DROP_BEFORE, {}),
        (FaultKind.STATUS, {"code": 502, "html": True, "accept": False}),
        (FaultKind.FORBIDDEN_HTML, {}),
        (FaultKind.RATE_LIMIT, {"retry_after": 0}),
        (FaultKind.UNAUTHORIZED, {}),
    ],
)
async def test_not_accepted_is_sent_again(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, kind: FaultKind, details: dict[str, Any]
) -> None:
    """What surely did not arrive is tried again until it does."""
    pbx.fault(kind, path="/messages", method="POST", times=2, **details)
    assert (await send(hass))["status"] in {"sent", "queued"}
    await until(lambda: texts(pbx) == ["Hi"])
    await until(lambda: hass.states.get(QUEUED).state == "0")


async def test_filed_under_an_id_of_the_pbx_own(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """It is found where the PBX filed it under an id of its own."""
    pbx.file_under_own_id = True
    for number in range(3):
        pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
        await send(hass, f"Text {number}")
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.7)
    assert texts(pbx) == ["Text 0", "Text 1", "Text 2"]


@pytest.mark.parametrize("newest_first", [True, False])
async def test_found_beyond_a_page_that_the_pbx_cuts_short(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, newest_first: bool
) -> None:
    """It is found in either order."""
    pbx.newest_first, pbx.most_rows = newest_first, 3
    for number in range(4):
        await send(hass, f"Text {number}")
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    await send(hass, "Alarm")
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.7)
    assert texts(pbx) == ["Text 0", "Text 1", "Text 2", "Text 3", "Alarm"]


async def test_a_list_that_may_be_cut_at_its_newest_never_permits_a_second_try(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Oldest first, and each page is the first: the text is not seen there, which does not say that it is not."""
    pbx.newest_first, pbx.most_rows = False, 3
    for number in range(4):
        await send(hass, f"Text {number}")
    pbx.knows_start = False
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    assert (await send(hass, "Alarm", keep_for=1.5))["status"] == "queued"
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert hass.states.get(MESSAGES).attributes["reason"] == "unconfirmed"
    assert texts(pbx) == ["Text 0", "Text 1", "Text 2", "Text 3", "Alarm"]


@pytest.mark.parametrize(
    "knobs",
    [
        {"message_times": "milliseconds"},
        {"message_times": "utc"},
        {"plain_media_type": "text/plain"},
        {"plain_media_type": 0},
        {"names_our_number": False, "file_under_own_id": True},
        # Local time behind UTC, beside conversations with their zone.
        *({"bare_offset": -8 * 3600, "last_shown": last} for last in ("usual", "user", "nobody", "cut")),
    ],
    ids=str,
)
async def test_a_text_is_found_however_it_is_listed(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, knobs: dict[str, Any]
) -> None:
    """It goes out once; where its row's zone is not known, it is not sent again."""
    await add_account(options={"from_number": "18585550199", "incoming": "off"})
    pbx.turn(knobs)
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    await send(hass, "The garage is open", keep_for=1.5)
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["The garage is open"]
    is_unclear = knobs.get("last_shown") == "cut"
    assert (hass.states.get(MESSAGES).attributes.get("reason") == "unconfirmed") is is_unclear


@pytest.mark.parametrize("text", ["0012", "12", " 12 ", "1" * 25, "1.50", "+5", "  padded  ", "1e3", "a\r\nb"])
async def test_numbers_that_the_pbx_casts_are_recognised(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, text: str
) -> None:
    """It is found where the PBX took its text for a number."""
    pbx.cast_numbers = True
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    await send(hass, text)
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.7)
    assert texts(pbx) == [text]


async def test_equal_texts_on_purpose_all_arrive_once(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Twelve equal texts are twelve, whatever is lost on the way."""
    pbx.lag = 0.1
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST", times=None, probability=0.3, seed=1)
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST", times=None, probability=0.3, seed=2)
    await asyncio.gather(*(send(hass, "Alarm") for _ in range(12)))
    await until(lambda: hass.states.get(QUEUED).state == "0", within=40)
    assert texts(pbx) == ["Alarm"] * 12


async def test_equal_text_in_an_explicit_conversation_is_another_message(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """An equal text elsewhere is not taken for the one that is looked for."""
    await send(hass, "Alarm")
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    await send(hass, "Alarm", messagesession="x" * 32)
    await until(lambda: len(pbx.messages) == 2)
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    await send(hass, "Alarm")
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.7)
    assert texts(pbx) == ["Alarm"] * 3


@pytest.mark.parametrize("offset", [-7200.0, 86400.0])
async def test_only_the_pbx_clock_counts(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, offset: float
) -> None:
    """Duplicates are told apart by the PBX's time, however far that is from ours."""
    pbx.clock_offset = offset
    await add_account()
    await send(hass, "Alarm")
    await asyncio.sleep(1)
    for _ in range(2):
        pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
        await send(hass, "Alarm")
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.7)
    assert texts(pbx) == ["Alarm"] * 3


@pytest.mark.parametrize("kind", [FaultKind.NO_ROUTE, FaultKind.HANG])
async def test_failed_looks_never_permit_a_second_try(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, kind: FaultKind
) -> None:
    """Where the lists cannot be read, it is reported as unconfirmed, once, and not sent again."""
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    pbx.fault(kind, path="/messages", method="GET", times=None)
    events = async_capture_events(hass, "state_changed")
    assert (await send(hass, keep_for=1.5))["status"] == "queued"
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.3)
    assert texts(pbx) == ["Hi"]
    assert hass.states.get(MESSAGES).attributes["reason"] == "unconfirmed"
    assert len([event for event in events if event.data["entity_id"] == MESSAGES]) == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"message": "Please try again later"}',
        '{"success": false, "message": "busy"}',
        '{"status": "error", "message": "busy"}',
        '{"errors": ["busy"]}',
        '{"total": 0}',
        '{"data": []}',
        "[{}]",
        '[{"message": "busy"}]',
        '[{"error": "busy"}]',
    ],
)
@pytest.mark.parametrize(("own_id", "path"), [(False, "/messages?"), (True, "/messagesessions?")])
async def test_a_look_that_gives_no_record_never_permits_a_second_try(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, own_id: bool, path: str, body: str
) -> None:
    """A success that says something else than messages does not say that there are none."""
    await add_account(options={"from_number": "18585550199", "incoming": "off"})
    pbx.file_under_own_id = own_id
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    fault = pbx.fault(FaultKind.BODY, path=path, method="GET", body=body, times=None)
    assert (await send(hass))["status"] == "queued"
    await until(lambda: fault.struck >= 6)
    assert texts(pbx) == ["Hi"]
    pbx.clear_faults()
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["Hi"]


@pytest.mark.parametrize(
    "second", [{"messagesession": "y" * 32}, {"messagesession": "x" * 32, "destination": "18585550124"}]
)
async def test_one_of_the_same_people_or_conversation_waits_for_its_turn(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, second: dict[str, Any]
) -> None:
    """Each alone is where the PBX may have filed the other."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.3)
    first = asyncio.create_task(send(hass, "First", messagesession="x" * 32))
    await until(lambda: pbx.fault_counts["slow"])
    assert (await send(hass, "Second", **second))["status"] == "sent"
    assert (await first)["status"] == "sent"
    assert texts(pbx) == ["First", "Second"]


@pytest.mark.timing(slack=0.0)
async def test_one_taken_for_lost_is_recognised_later(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """It shows up after the last look, while the next try waits: what told it from its duplicates still does."""
    pbx.lag = 1.5
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    pbx.fault(FaultKind.RATE_LIMIT, path="/messages", method="POST", retry_after=2)
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    assert (await send(hass))["status"] == "queued"
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert pbx.faults == []
    assert texts(pbx) == ["Hi"]


async def test_order_in_one_conversation_side_by_side_in_others(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """What one person gets keeps its order; nobody else waits for that."""
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    sends = [asyncio.create_task(send(hass, f"Ann {number}")) for number in range(4)]
    await asyncio.sleep(0)
    other = await send(hass, "Bob", destination="18585550124")
    assert other["status"] == "sent"
    await asyncio.gather(*sends)
    await until(lambda: len(pbx.messages) == 5)
    assert texts(pbx) == ["Bob", "Ann 0", "Ann 1", "Ann 2", "Ann 3"]


# --- not kept ------------------------------------------------------------------------


async def test_the_first_wait_is_the_shortest(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that fails once is soon tried again, and so is a disk that takes nothing once."""
    waits: list[int] = []
    retry, genuine = entry.runtime_data.queue._timing.retry, Backoff.wait

    def wait(self: Backoff, failures: int) -> float:
        if self is retry:
            waits.append(failures)
        return genuine(self, failures)

    monkeypatch.setattr(Backoff, "wait", wait)
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    pbx.fault(FaultKind.STATUS, path="/messages", method="GET", code=400, message="Bad", times=None)
    call = asyncio.create_task(send(hass))
    await until(lambda: len(waits) >= 2)
    pbx.clear_faults()
    assert (await call)["status"] in {"sent", "queued"}
    await until(lambda: texts(pbx) == ["Hi"])
    assert waits[:2] == [0, 1]
    await until(lambda: on_disk(hass, entry) == [])
    waits.clear()
    disk.is_full = True
    await pbx.stop()
    with pytest.raises(HomeAssistantError):
        await send(hass)
    assert waits[:2] == [0, 1]


async def test_not_kept_is_told_when_the_pbx_is_away(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Who asks not to keep a text learns at once why it did not go."""
    await pbx.stop()
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, keep_for=0)
    assert raised.value.translation_key == "cannot_connect"
    await pbx.start()
    await asyncio.sleep(0.5)
    assert texts(pbx) == []
    assert not has_file(hass, entry)


async def test_not_kept_waits_for_the_last_look(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Its answer is the truth: whether it arrived is looked up until the lists cannot lag any more."""
    pbx.lag = 0.4
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    assert (await send(hass, keep_for=0))["status"] == "sent"
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Again", keep_for=0)
    assert raised.value.translation_key == "not_taken"
    assert texts(pbx) == ["Hi"]
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    pbx.fault(FaultKind.STATUS, code=500, path="/messages", method="GET", times=None)
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Who knows", keep_for=0)
    assert raised.value.translation_key == "unconfirmed"


async def test_not_kept_and_late_is_told_why(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Its time was up while its one request was under way: how that ended says more than that it took long."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=1)
    call = asyncio.create_task(send(hass, keep_for=0))
    await until(lambda: pbx.fault_counts["slow"])
    pbx.users["1001@acme.example"].password = "changed"
    pbx.revoke_tokens(refresh=True)
    with pytest.raises(HomeAssistantError) as raised:
        await call
    assert raised.value.translation_key == "invalid_auth"
    assert texts(pbx) == []


# --- kept ----------------------------------------------------------------------------


async def test_outage_queues_and_delivers_in_order(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """What was asked for while the PBX was away goes out in order once it is back."""
    await pbx.stop()
    rows = await asyncio.gather(*(send(hass, f"Text {number}") for number in range(3)))
    assert [row["status"] for row in rows] == ["queued"] * 3
    assert [row["text"] for row in on_disk(hass, entry)] == ["Text 0", "Text 1", "Text 2"]
    assert hass.states.get(QUEUED).state == "3"
    await pbx.start()
    late = asyncio.create_task(send(hass, "Text 3"))
    await until(lambda: len(pbx.messages) == 4)
    await late
    assert texts(pbx) == [f"Text {number}" for number in range(4)]
    await until(lambda: on_disk(hass, entry) == [])
    assert hass.states.get(QUEUED).state == "0"


async def test_time_up_fires_failed_and_never_sends(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """A text whose time is up is reported, and does not go out late."""
    await pbx.stop()
    first, behind = await asyncio.gather(
        *(
            hass.services.async_call(
                DOMAIN,
                "send_message",
                {"entity_id": "notify.ann", "message": text, "keep_for": 1},
                blocking=True,
                return_response=True,
            )
            for text in ("Alarm", "Alarm behind")
        )
    )
    assert first["messages"][0]["status"] == behind["messages"][0]["status"] == "queued"
    await until(lambda: hass.states.get(QUEUED).state == "0")
    for entity_id in (MESSAGES, "event.ann_messages"):
        attributes = hass.states.get(entity_id).attributes
        assert attributes["event_type"] == "failed"
        assert attributes["message"] in {"Alarm", "Alarm behind"}
        assert attributes["destination"] == [shown(ANN)]
        assert attributes["recipient"] == "Ann"
        assert attributes["from_number"] == shown(pbx.numbers[0])
        assert attributes["message_type"] == "sms"
        assert len(attributes["messagesession"]) >= 32
        assert attributes["reason"] == "expired"
        assert "not sent" in attributes["error"]
        assert attributes["timestamp"]
    await pbx.start()
    await until(lambda: on_disk(hass, entry) == [])
    await asyncio.sleep(0.3)
    assert texts(pbx) == []


async def test_time_is_up_behind_one_that_still_waits(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """It ends in time also where it waits behind another one."""
    await pbx.stop()
    rows = await asyncio.gather(send(hass, "First", keep_for=60), send(hass, "Behind", keep_for=1))
    assert [row["status"] for row in rows] == ["queued"] * 2
    await until(lambda: hass.states.get(MESSAGES).attributes.get("reason") == "expired")
    assert hass.states.get(MESSAGES).attributes["message"] == "Behind"
    await until(lambda: [row["text"] for row in on_disk(hass, entry)] == ["First"])
    assert hass.states.get(QUEUED).state == "1"
    await pbx.start()
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["First"]


async def test_refused_after_queued_fires_failed(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A text that was answered `queued` and is refused later is reported."""
    await pbx.stop()
    assert (await send(hass, "12"))["status"] == "queued"
    pbx.users["1001@acme.example"].numbers.clear()
    await pbx.start()
    await until(lambda: hass.states.get(MESSAGES).attributes.get("reason") == "refused")
    assert hass.states.get(MESSAGES).attributes["recipient"] is None
    assert texts(pbx) == []


@pytest.mark.parametrize("way", ["crash", "reload"])
async def test_survives_a_restart(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, way: str) -> None:
    """What waits goes out after a restart and after a kill, in order."""
    await pbx.stop()
    await asyncio.gather(send(hass, "Text 0"), send(hass, "Text 1"))
    if way == "crash":
        await crash(hass, entry)
    else:
        await close(hass, entry)
    assert [row["text"] for row in on_disk(hass, entry)] == ["Text 0", "Text 1"]
    await pbx.start()
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: len(pbx.messages) == 2)
    await until(lambda: on_disk(hass, entry) == [])
    assert texts(pbx) == ["Text 0", "Text 1"]


async def test_a_kill_before_an_acceptance_is_written_does_not_send_twice(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """What may have arrived is looked up before it is sent again."""
    await pbx.stop()
    assert (await send(hass, "Alarm"))["status"] == "queued"
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", accept=True)
    await pbx.start()
    await until(lambda: len(pbx.messages) == 1)
    await crash(hass, entry)
    assert [row["text"] for row in on_disk(hass, entry)] == ["Alarm"]
    pbx.clear_faults()
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.7)
    assert texts(pbx) == ["Alarm"]


@pytest.mark.parametrize("loses_text", [False, True])
async def test_a_kill_repeats_no_picture(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, files: Path, loses_text: bool
) -> None:
    """The first picture is out when the process is killed, the second one is not; none is taken for the other."""
    pbx.loses_mms_text = loses_text
    await pbx.stop()
    media = [str(files / name) for name in ("red.jpg", "blue.jpg")]
    assert (await send(hass, "Alarm", media=media))["status"] == "queued"
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0)
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", accept=True)
    await pbx.start()
    await until(lambda: len(pbx.messages) == 2)
    await crash(hass, entry)
    assert [row["text"] for row in on_disk(hass, entry)][-2:] == ["red", "blue"]
    pbx.clear_faults()
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["Alarm", "red", "blue"]
    assert arrived(pbx) == [None, RED, BLUE]


async def test_failure_that_came_up_while_starting_fires_after_the_start(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Automations hear of it: it waits until they listen."""
    await pbx.stop()
    await send(hass, "Alarm", keep_for=1)
    await crash(hass, entry)
    hass.set_state(CoreState.starting)
    await asyncio.sleep(0.5)
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entry.runtime_data.queue.queued == 0)
    await asyncio.sleep(0.1)
    assert hass.states.get(MESSAGES).attributes.get("reason") is None
    assert [row["text"] for row in on_disk(hass, entry)] == ["Alarm"]
    hass.set_state(CoreState.running)
    hass.bus.async_fire("homeassistant_started")
    # "unconfirmed" where the crash came just between an attempt and its being refused.
    await until(lambda: hass.states.get(MESSAGES).attributes.get("reason") in {"expired", "unconfirmed"})
    await until(lambda: on_disk(hass, entry) == [])


async def test_start_while_the_pbx_is_away(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """The account loads from what is known, so that texts queue."""
    await hass.async_block_till_done()
    await pbx.stop()
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state.value == "loaded"
    await asyncio.gather(
        send(hass, "One"),
        hass.services.async_call("notify", "netsapiens", {"message": "Two", "target": ANN}, blocking=True),
        hass.services.async_call("notify", "netsapiens_ann", {"message": "Three"}, blocking=True),
        hass.services.async_call(
            "notify", "send_message", {"entity_id": "notify.ann", "message": "Four"}, blocking=True
        ),
    )
    assert hass.states.get(QUEUED).state == "4"
    await pbx.start()
    await until(lambda: len(pbx.messages) == 4)
    assert Counter(texts(pbx)) == Counter(["One", "Two", "Three", "Four"])


async def test_refused_credentials_stop_the_start_and_keep_what_waits(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Nothing is lost while somebody has to sign in again."""
    await pbx.stop()
    await send(hass, "Alarm")
    await close(hass, entry)
    pbx.users["1001@acme.example"].password = "changed"
    await pbx.start()
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state.value == "setup_error"
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == "reauth"
    assert [row["text"] for row in on_disk(hass, entry)] == ["Alarm"]
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {"password": "changed"})
    assert result["reason"] == "reauth_successful"
    await until(lambda: texts(pbx) == ["Alarm"])


async def test_password_changed_while_running(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Texts queue meanwhile, and go out once the new password is there."""
    pbx.users["1001@acme.example"].password = "changed"
    pbx.revoke_tokens(refresh=True)
    rows = await asyncio.gather(send(hass, "One"), send(hass, "Two", destination="18585550124"))
    assert [row["status"] for row in rows] == ["queued", "queued"]
    [flow] = hass.config_entries.flow.async_progress()
    await hass.config_entries.flow.async_configure(flow["flow_id"], {"password": "changed"})
    await until(lambda: len(pbx.messages) == 2)
    assert Counter(texts(pbx)) == Counter(["One", "Two"])


# --- the disk ------------------------------------------------------------------------


async def test_a_failed_write_is_told(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk) -> None:
    """A text that cannot be kept is an error, and is not sent later."""
    await pbx.stop()
    disk.is_full = True
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Alarm")
    assert raised.value.translation_key == "not_kept"
    disk.is_full = False
    await pbx.start()
    await asyncio.sleep(0.5)
    assert texts(pbx) == []
    assert hass.states.get(MESSAGES).attributes.get("reason") is None  # its caller knows


@pytest.mark.parametrize("is_full", [False, True])
async def test_accepted_while_it_is_written_is_sent(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk, is_full: bool
) -> None:
    """An answer that comes during the write counts, whatever becomes of the write."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.8)
    disk.seconds, disk.is_full = 1.2, is_full
    assert (await send(hass))["status"] == "sent"
    await until(lambda: disk.writes)
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await until(lambda: is_full or (has_file(hass, entry) and on_disk(hass, entry) == []))
    assert texts(pbx) == ["Hi"]


async def test_queued_while_another_is_written_is_on_disk(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """`queued` is only answered once it is true."""
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", times=None)
    disk.seconds = 0.4
    first = asyncio.create_task(send(hass, "One"))
    await asyncio.sleep(0.2)
    second = asyncio.create_task(send(hass, "Two", destination="18585550124"))
    assert (await first)["status"] == (await second)["status"] == "queued"
    assert [row["text"] for row in on_disk(hass, entry)] == ["One", "Two"]
    disk.seconds = 0.0
    pbx.clear_faults()


async def test_many_at_once_share_their_writes(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """Many texts cost few writes."""
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", times=None)
    disk.seconds = 0.3
    rows = await asyncio.gather(*(send(hass, destination=f"1858555{number + 1000}") for number in range(25)))
    assert [row["status"] for row in rows] == ["queued"] * 25
    assert len(on_disk(hass, entry)) == 25
    assert len(disk.writes) <= 5
    disk.seconds = 0.0
    pbx.clear_faults()


@pytest.mark.timing(answer_within=20.0)
async def test_on_disk_from_its_first_failure_on(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Not only once its caller is answered: a kill in between loses nothing."""
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    pbx.fault(FaultKind.HANG, path="/messages", method="GET", times=None)
    call = asyncio.create_task(send(hass, "Alarm"))
    await until(lambda: [row["text"] for row in on_disk(hass, entry)] == ["Alarm"])
    assert not call.done()
    await crash(hass, entry)
    call.cancel()
    pbx.clear_faults()
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["Alarm"]


@pytest.mark.parametrize(("kind", "lag"), [(FaultKind.SLOW, 0.3), (FaultKind.DROP_AFTER, 0)])
async def test_one_that_was_not_kept_and_arrived_is_not_taken_for_its_duplicate(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk, kind: FaultKind, lag: float
) -> None:
    """Where its answer came late, that is known before the lists show it."""
    pbx.lag = lag
    disk.is_full = True
    pbx.fault(kind, path="/messages", method="POST", seconds=0.9)
    pbx.fault(FaultKind.STATUS, code=500, path="/messages", method="GET", times=None)
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Alarm")
    assert raised.value.translation_key == "unconfirmed"
    await until(lambda: texts(pbx) == ["Alarm"])
    await asyncio.sleep(0.1)
    disk.is_full = False
    pbx.clear_faults()
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    assert (await send(hass, "Alarm"))["status"] in {"sent", "queued"}
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["Alarm", "Alarm"]


async def test_one_that_was_not_kept_is_not_sent_after_its_look(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """Its caller was answered while the look was under way, when it was not known whether it had arrived."""
    await until(lambda: entry.runtime_data.poller.checkpoint is not None)  # its look would meet the slow answer
    disk.is_full = True
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    slow = pbx.fault(FaultKind.SLOW, path="/messages", method="GET", seconds=0.8)
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Alarm")
    assert raised.value.translation_key == "unconfirmed"
    assert slow.struck == 1
    await asyncio.sleep(1.2)
    assert texts(pbx) == []
    disk.is_full = False
    assert (await send(hass, "Next"))["status"] == "sent"


async def test_stopping_home_assistant_keeps_what_waits(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """What is under way comes to its end, and what waits is on disk."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.3)
    under_way = asyncio.create_task(send(hass, "Under way"))
    behind = asyncio.create_task(send(hass, "Behind"))
    await asyncio.sleep(0.1)
    hass.set_state(CoreState.stopping)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    assert (await under_way)["status"] == "sent"
    assert (await behind)["status"] == "queued"
    assert texts(pbx) == ["Under way"]
    await until(lambda: [row["text"] for row in on_disk(hass, entry)] == ["Behind"])


ROW = {
    "number": 0,
    "destination": [ANN],
    "message_type": "sms",
    "text": "Kept",
    "from_number": None,
    "messagesession": "x" * 32,
    "mime_type": None,
    "recipient_id": None,
    "owner": None,
    "reference": None,
    "until": 4102444800,
    "left": 60,
    "until_pbx": None,
    "reprieved": False,
    "since": None,
    "known": None,
    "refusal": None,
}


def file_of(row: Any, version: int = 1) -> bytes:
    """Return the file of a row."""
    return json.dumps({"version": version, "media_size": 0, "message": row}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        file_of(5),
        file_of({"text": 5}),
        file_of(ROW, version=99),
        file_of(ROW | {"text": 5}),
        file_of(ROW | {"mime_type": "image/jpeg"}),
        file_of(ROW | {"refusal": {"key": 5}}),
        file_of(ROW | {"since": "now"}),
        # It would be read as eleven numbers of a digit each.
        file_of(ROW | {"destination": ANN}),
    ],
)
async def test_a_damaged_file_is_set_aside(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, content: bytes
) -> None:
    """It costs that text alone, and a repair issue says where it is."""
    await close(hass, entry)
    folder = spool_path(hass, entry)
    folder.mkdir(exist_ok=True)
    (folder / "000000000007.json").write_bytes(content)
    (folder / "000000000008.json").write_bytes(file_of(ROW | {"from_number": pbx.numbers[0]}))
    assert await hass.config_entries.async_setup(entry.entry_id)
    aside = [path for path in folder.iterdir() if ".damaged." in path.name]
    assert [path.read_bytes() for path in aside] == [content]
    [issue] = ir.async_get(hass).issues.values()
    assert issue.translation_key == "outbox_damaged"
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["file"] == f"{folder.name}/{aside[0].name}"
    await until(lambda: "Kept" in texts(pbx))
    assert (await send(hass))["status"] == "sent"
    assert texts(pbx) == ["Kept", "Hi"]


async def test_a_spool_that_cannot_be_read_stops_nothing(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of another user's, as a backup may leave it; new texts that need no disk go out."""
    await close(hass, entry)
    monkeypatch.setattr(SpoolFiles, "load", Mock(side_effect=PermissionError))
    assert await hass.config_entries.async_setup(entry.entry_id)
    [issue] = ir.async_get(hass).issues.values()
    assert issue.translation_key == "outbox_damaged"
    assert (await send(hass))["status"] == "sent"


async def test_what_waits_stays_where_its_folder_cannot_be_read_once(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """New texts wait beside it; once the folder can be read again, all of them go out, in the order they came in."""
    await pbx.stop()
    for text in ("First", "Second"):
        assert (await send(hass, text, keep_for=3600))["status"] == "queued"
    await close(hass, entry)
    with patch.object(spool_files.os, "scandir", side_effect=OSError(24, "Too many open files")):
        assert await hass.config_entries.async_setup(entry.entry_id)
    for text in ("Third", "Fourth"):
        assert (await send(hass, text, keep_for=3600))["status"] == "queued"
    assert [row["text"] for row in on_disk(hass, entry)] == ["First", "Second", "Third", "Fourth"]
    await close(hass, entry)
    await pbx.start()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: len(texts(pbx)) == 4)
    assert texts(pbx) == ["First", "Second", "Third", "Fourth"]
    await until(lambda: on_disk(hass, entry) == [])


async def test_what_is_known_of_the_account_is_damaged(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Then it is read anew, and waited for where the PBX is away."""
    path = Path(hass.config.path(".storage", f"netsapiens.account.{entry.entry_id}"))
    await close(hass, entry)
    damaged = {**json.loads(path.read_text()), "data": {"numbers": 5}}
    path.write_text(json.dumps(damaged))
    await pbx.stop()
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state.value == "setup_retry"
    await pbx.start()
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert (await send(hass))["status"] == "sent"


async def test_removing_the_account_says_what_is_dropped(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """The log counts what will not be sent, without a word of it."""
    await pbx.stop()
    await send(hass, "Alarm")
    await hass.config_entries.async_remove(entry.entry_id)
    assert "1 waiting texts of the removed account" in caplog.text
    assert not has_file(hass, entry)
    assert "Alarm" not in caplog.text.replace("AlarmControl", "")


@pytest.mark.parametrize(
    ("count", "language", "words"),
    [
        (1, "en", "1 text of the account `{account}` was waiting to be sent, and was dropped with it."),
        (2, "en", "2 texts of the account `{account}` were waiting to be sent, and were dropped with it."),
        (2, "de", "2 Nachrichten, die noch auf den Versand warteten, wurden mit dem Konto `{account}` verworfen."),
    ],
)
async def test_what_is_dropped_is_shown_in_the_language(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, count: int, language: str, words: str
) -> None:
    """So does a repair issue, with one or several in every language."""
    hass.config.language = language
    await pbx.stop()
    for number in range(count):
        await send(hass, f"Alarm {number}")
    await hass.config_entries.async_remove(entry.entry_id)
    [issue] = [one for one in ir.async_get(hass).issues.values() if one.domain == DOMAIN]
    assert issue.is_persistent
    assert issue.is_fixable
    sentences = await async_get_translations(hass, language, "issues", {DOMAIN})
    sentence = sentences[f"component.{DOMAIN}.issues.{issue.translation_key}.fix_flow.step.confirm.description"]
    assert sentence.format(**issue.translation_placeholders or {}) == words.format(account=entry.title)


# --- limits --------------------------------------------------------------------------


async def test_hourly_limit(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """An automation in a loop is stopped before anything of the call that is too much goes out."""
    await add_account(options={"from_number": pbx.numbers[0], "hourly_limit": 2})
    await send(hass, "One")
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Two", destination=[ANN, "18585550124"])
    assert raised.value.translation_key == "hourly_limit"
    assert [issue.translation_key for issue in ir.async_get(hass).issues.values()] == ["hourly_limit"]
    await send(hass, "Three")
    assert not ir.async_get(hass).issues
    assert texts(pbx) == ["One", "Three"]


async def test_the_hour_of_the_limit_passes(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A text counts for an hour from when it was taken, and no longer."""
    later = 0.0
    send_quickly(hass, clock=lambda: time.monotonic() + later)
    await add_account(options={"from_number": pbx.numbers[0], "hourly_limit": 2})
    await send(hass, "One")
    later = 1800
    await send(hass, "Two")
    later = 3590
    with pytest.raises(HomeAssistantError):
        await send(hass, "Three")
    later = 3610
    await send(hass, "Four")
    with pytest.raises(HomeAssistantError):
        await send(hass, "Five")
    assert texts(pbx) == ["One", "Two", "Four"]


@pytest.mark.parametrize(("limit", "is_gone"), [(0, True), (2, True), (1, False)])
async def test_the_issue_of_the_hourly_limit_goes_with_the_limit(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, limit: int, is_gone: bool
) -> None:
    """Who raised the limit need not send a text to be rid of the issue; one whom it still stops keeps it."""
    entry = await add_account(options={"from_number": pbx.numbers[0], "hourly_limit": 1})
    await send(hass, "One")
    with pytest.raises(HomeAssistantError):
        await send(hass, "Two")
    assert ir.async_get(hass).issues
    hass.config_entries.async_update_entry(entry, options={**entry.options, "hourly_limit": limit, "plain": True})
    await hass.async_block_till_done()
    assert (not ir.async_get(hass).issues) is is_gone


async def test_the_issue_of_the_hourly_limit_goes_with_the_hour(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """It is gone once the account is read the next time."""
    later = 0.0
    send_quickly(hass, clock=lambda: time.monotonic() + later)
    entry = await add_account(options={"from_number": pbx.numbers[0], "hourly_limit": 1})
    await send(hass, "One")
    with pytest.raises(HomeAssistantError):
        await send(hass, "Two")
    await entry.runtime_data.coordinator.async_refresh()
    assert ir.async_get(hass).issues
    later = 3610
    await entry.runtime_data.coordinator.async_refresh()
    assert not ir.async_get(hass).issues


@pytest.mark.timing(answer_within=20.0)
async def test_tokens_revoked_in_the_middle_of_a_burst(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """A hundred texts that meet a revoked token all arrive once, by one new token."""
    hass.data[THROTTLE_TIMING] = ThrottleTiming(rate=RateLimit(per_second=200.0))
    await add_account()
    sends: list[Coroutine[Any, Any, dict[str, Any]]] = [
        send(hass, f"Text {number}", destination=f"1858555{number + 1000}") for number in range(100)
    ]
    running = asyncio.gather(*sends)
    await until(lambda: len(pbx.messages) > 30)
    pbx.revoke_tokens()
    assert [row["status"] for row in await running] == ["sent"] * 100
    assert len(set(texts(pbx))) == len(pbx.messages) == 100
    assert pbx.tokens_in_flight_peak == 1


async def test_nothing_is_kept_longer_than_a_week(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Neither by what is asked for, nor by what stands in a file."""
    await pbx.stop()
    await send(hass, keep_for=timedelta(days=400).total_seconds())
    [row] = on_disk(hass, entry)
    assert row["until"] - time.time() == pytest.approx(7 * 86400, abs=60)
    # Nor where the clock was wrong when it was kept.
    await close(hass, entry)
    change_rows(spool_path(hass, entry), until=row["until"] + 400 * 86400)
    await hass.config_entries.async_setup(entry.entry_id)
    await send(hass, "Behind", keep_for=60)
    assert dt_util.utcnow() + timedelta(days=7, minutes=1) > entry.runtime_data.queue.first_deadline
    await until(lambda: entry.runtime_data.queue.queued == 2)
    change_rows(spool_path(hass, entry), left=400 * 86400.0)
    await close(hass, entry)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.runtime_data.queue.first_deadline < dt_util.utcnow() + timedelta(minutes=2)


async def test_a_caller_that_is_stopped_leaves_its_message(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """What was asked for goes out also where nobody waits for the answer any more."""
    await pbx.stop()
    call = asyncio.create_task(send(hass, "Alarm"))
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.wait([call])
    await until(lambda: [row["text"] for row in on_disk(hass, entry)] == ["Alarm"])
    await pbx.start()
    await until(lambda: texts(pbx) == ["Alarm"])


async def test_a_caller_that_is_stopped_leaves_its_message_on_disk(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Also before anything failed."""
    pbx.fault(FaultKind.HANG, path="/messages", method="POST")
    call = asyncio.create_task(send(hass, "Alarm"))
    await until(lambda: pbx.fault_counts["hang"])
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    assert [row["text"] for row in on_disk(hass, entry)] == ["Alarm"]
    pbx.clear_faults()


async def test_sending_while_the_account_closes_is_told(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """A queue that stops takes nothing that it could not keep."""
    await entry.runtime_data.queue.async_stop()
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass)
    assert raised.value.translation_key == "stopped"


async def test_an_unconfirmed_message_is_not_taken_for_its_duplicate(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """One that may have arrived late does not count for the next equal one."""
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    pbx.fault(FaultKind.STATUS, code=500, path="/messages", method="GET", times=None)
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Alarm", keep_for=0)
    assert raised.value.translation_key == "unconfirmed"
    pbx.clear_faults()
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    await send(hass, "Alarm")
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["Alarm", "Alarm"]


async def test_a_list_that_is_refused_refuses_no_message(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """A refusal of the lists is none of the text."""
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    pbx.fault(FaultKind.NO_ROUTE, path="/messages", method="GET", times=None)
    with pytest.raises(HomeAssistantError):
        await send(hass, "Alarm", keep_for=0)
    before = len(pbx.requests)
    assert (await send(hass, "Alarm"))["status"] == "queued"
    assert len(pbx.requests) - before < 15
    assert texts(pbx) == ["Alarm"]
    pbx.clear_faults()
    await until(lambda: texts(pbx) == ["Alarm", "Alarm"])


async def test_an_attempt_that_cannot_be_written_down_is_not_made(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk
) -> None:
    """Else a kill would send it twice."""
    await pbx.stop()
    assert (await send(hass, "Alarm"))["status"] == "queued"
    await fill(disk, hass, entry)
    await pbx.start()
    await asyncio.sleep(0.5)
    assert texts(pbx) == []
    disk.is_full = False
    await until(lambda: texts(pbx) == ["Alarm"])


async def test_duplicates_sent_before_a_restart_are_not_taken_for_later_ones(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """What was sent before the kill is known by its number and time."""
    for _ in range(3):
        await send(hass, "Alarm")
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", accept=True)
    assert (await send(hass, "Alarm"))["status"] == "queued"
    await crash(hass, entry)
    pbx.clear_faults()
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert texts(pbx) == ["Alarm"] * 4
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    await send(hass, "Alarm")
    await until(lambda: hass.states.get(QUEUED).state == "0")
    await asyncio.sleep(0.3)
    assert texts(pbx) == ["Alarm"] * 5


async def test_closing_says_that_an_unconfirmed_text_may_have_arrived(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """The caller of one that is not kept learns what is known at the end."""
    pbx.lag = 5
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    call = asyncio.create_task(send(hass, "Alarm", keep_for=0))
    await until(lambda: texts(pbx) == ["Alarm"])
    await asyncio.sleep(0.2)
    await entry.runtime_data.queue.async_stop()
    with pytest.raises(HomeAssistantError) as raised:
        await call
    assert raised.value.translation_key == "unconfirmed"


async def test_closing_says_that_a_text_was_not_sent(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """One that is not kept and has not had its turn: that the queue stops is why, and not the disk."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.4)
    under_way = asyncio.create_task(send(hass, "Under way"))
    await until(lambda: pbx.fault_counts["slow"])
    behind = asyncio.create_task(send(hass, "Behind", keep_for=0))
    await asyncio.sleep(0.1)
    await entry.runtime_data.queue.async_stop()
    assert (await under_way)["status"] == "sent"
    with pytest.raises(HomeAssistantError) as raised:
        await behind
    assert raised.value.translation_key == "stopped"
    assert texts(pbx) == ["Under way"]


async def test_one_look_that_fails_is_not_the_last(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """One that is not kept is found by the next look, and not given up as unconfirmed after the first."""
    await until(lambda: entry.runtime_data.poller.checkpoint is not None)  # its look would meet the failure
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    failed = pbx.fault(FaultKind.STATUS, path="/messages", method="GET", code=503, times=2)
    assert (await send(hass, "Alarm", keep_for=0))["status"] == "sent"
    assert failed.struck == 2
    assert texts(pbx) == ["Alarm"]


async def test_another_login_lets_one_that_was_looked_up_go_at_once(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Nothing has to be written before its next attempt, which is under way before the former task has ended."""
    failed = async_capture_events(hass, "state_changed")
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    pbx.fault(FaultKind.FORBIDDEN_HTML, path="/messages", method="POST", times=None)
    assert (await send(hass, "Alarm"))["status"] == "queued"
    queue = entry.runtime_data.queue
    (waiting,) = queue._backlog
    await until(lambda: queue.is_away and waiting.delivery.was_unknown and waiting.delivery.step is Step.SEND)
    pbx.clear_faults()
    entry.runtime_data.coordinator.throttle.breaker.end_wait()  # that of another login is not open
    queue._backlog.restart()
    await until(lambda: queue.queued == 0)
    assert texts(pbx) == ["Alarm"]
    assert not [one for one in failed if one.data["new_state"].attributes.get("reason")]


async def test_another_login_cuts_off_no_request(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """What is under way comes to its end, and need not be looked up."""
    pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0.4)
    call = asyncio.create_task(send(hass, "Alarm"))
    await until(lambda: pbx.fault_counts["slow"])
    [message] = entry.runtime_data.queue._backlog
    entry.runtime_data.queue._backlog.restart()
    assert (await call)["status"] == "sent"
    assert not message.delivery.was_unknown
    assert texts(pbx) == ["Alarm"]


async def test_what_cannot_be_deleted_is_deleted_later(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Else a restart would look for a text again that went out long ago."""
    await pbx.stop()
    assert (await send(hass, "Waits"))["status"] == "queued"
    with patch.object(SpoolFiles, "discard", side_effect=OSError("busy")) as discard:
        await pbx.start()
        await until(lambda: texts(pbx) == ["Waits"])
        await until(lambda: discard.called)
        assert len(on_disk(hass, entry)) == 1
    await until(lambda: on_disk(hass, entry) == [])


# --- what nobody foresaw -------------------------------------------------------------


@pytest.mark.parametrize("err", [ValueError, KeyError, OSError, TimeoutError, RuntimeError])
@pytest.mark.parametrize("keep_for", [0, 60])
async def test_an_unexpected_error_ends_one_message_only(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    err: type[Exception],
    keep_for: int,
) -> None:
    """Where it breaks before the request, nothing went out; the log says where, and not of what."""
    with patch.object(lookup.RecentSends, "baseline", side_effect=err("Alarm to +1 858 555 0123")):
        call = asyncio.create_task(send(hass, "Alarm", keep_for=keep_for))
        with pytest.raises(HomeAssistantError) as raised:
            await asyncio.wait_for(call, 5)
    assert raised.value.translation_key == "unexpected"
    assert caplog.text.count("Unexpected error while sending a text") == 1
    assert err.__name__ in caplog.text
    assert "in _ready_to_send" in caplog.text
    assert "Alarm to" not in caplog.text
    assert "0123" not in caplog.text
    assert (await send(hass, "Next"))["status"] == "sent"
    assert texts(pbx) == ["Next"]


@pytest.mark.parametrize("err", [KeyError, asyncio.CancelledError])
@pytest.mark.parametrize("keep_for", [0, 60])
async def test_an_unexpected_error_of_the_request_is_unconfirmed(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, keep_for: int, err: type[BaseException]
) -> None:
    """The request was made: nobody may count on the contrary, and the next text goes."""
    genuine = MessageAPI.send_message

    async def broken(*args: Any, **kwargs: Any) -> None:
        await genuine(*args, **kwargs)
        raise err("Alarm")

    with patch.object(MessageAPI, "send_message", broken):
        calls = [asyncio.create_task(send(hass, text, keep_for=keep_for)) for text in ("Alarm", "Behind")]
        for call in calls:
            with pytest.raises(HomeAssistantError) as raised:
                await asyncio.wait_for(call, 5)
            assert raised.value.translation_key == "unconfirmed"
    assert (await send(hass, "Next"))["status"] == "sent"
    assert texts(pbx) == ["Alarm", "Behind", "Next"]


async def test_an_unexpected_error_after_queued_is_told(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """A fault of ours loses no text without a word."""
    await pbx.stop()
    assert (await send(hass, "Alarm"))["status"] == "queued"
    with patch.object(lookup.RecentSends, "baseline", side_effect=KeyError("x")):
        await pbx.start()
        await until(lambda: hass.states.get(MESSAGES).attributes.get("reason") == "unexpected")
    await until(lambda: on_disk(hass, entry) == [])
    assert (await send(hass, "Next"))["status"] == "sent"
    assert texts(pbx) == ["Next"]


async def test_a_broken_listener_breaks_nothing(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither that of the sensor, nor those of the entities that tell of sent and failed texts."""
    account, heard = entry.runtime_data, []

    def broken(*args: Any) -> None:
        heard.append(args)
        raise RuntimeError("Alarm")

    account.queue.async_listen(broken)
    entity_of(hass, "notify.ann").async_write_ha_state = broken
    entity_of(hass, MESSAGES).async_write_ha_state = broken
    failed = "event.ann_messages"
    await pbx.stop()
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Alarm"}, blocking=True)
    await hass.services.async_call(
        "notify", "netsapiens_ann", {"message": "Late", "data": {"keep_for": 0.7}}, blocking=True
    )
    await until(lambda: hass.states.get(failed).attributes.get("message") == "Late")  # type: ignore[union-attr]
    await pbx.start()
    await until(lambda: texts(pbx) == ["Alarm"])
    await until(lambda: account.queue.queued == 0)
    assert len(heard) >= 5
    assert "RuntimeError: Alarm" not in caplog.text


async def test_an_unexpected_error_of_the_disk_is_told(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault while writing is an error to the caller, and its words stay out of the log."""
    await until_idle(pbx)  # a text on a connection that breaks with another request may have arrived
    await pbx.stop()
    disk.is_full, disk.error = True, RuntimeError("Alarm")
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "Alarm")
    assert raised.value.translation_key == "not_kept"
    assert "Unexpected error while keeping texts on disk" in caplog.text
    assert "Error: Alarm" not in caplog.text


@pytest.mark.parametrize(
    "damage", [{"messagesession": "short"}, {"messagesession": "x" * 31 + "é"}, {"destination": []}]
)
async def test_a_kept_text_that_can_never_go_holds_up_nothing(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, damage: dict[str, Any]
) -> None:
    """It is one that cannot be read."""
    await pbx.stop()
    await asyncio.gather(send(hass, "Alarm"), send(hass, "Behind"))
    await close(hass, entry)
    first = min(spool_path(hass, entry).glob("*.json"))
    content = json.loads(first.read_text())
    content["message"] |= damage
    first.write_text(json.dumps(content))
    await pbx.start()
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: texts(pbx) == ["Behind"])
    assert [issue.translation_key for issue in ir.async_get(hass).issues.values()] == ["outbox_damaged"]
    assert (await asyncio.wait_for(send(hass, "Next", keep_for=0), 5))["status"] == "sent"
