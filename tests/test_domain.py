"""Logins with rights over their domain text from any of its numbers, under the user who owns it."""

from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.api.models import Account, SmsNumber as Listed
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.delivery.test_queue import _quick, on_disk, send, texts  # noqa: F401
from tests.helpers import shown, until, written
from tests.receiving.test_poller import hass_storage  # noqa: F401
from tests.simulator import FaultKind, Simulator, SmsNumber

ANN = "18585550123"
OWN = "18585550199"
FRONT_DESK = "18585550142"

pytestmark = pytest.mark.usefixtures("quick_inbox")


@pytest.fixture
def pbx(pbx: Simulator) -> Simulator:
    """A PBX whose first login manages its office."""
    pbx.first_user.scope = "Office Manager"
    others = [
        FRONT_DESK,
        SmsNumber("18585550143", application="callqueue", dest="4001"),
        SmsNumber("18585550144", application="available"),
        SmsNumber("18585550145", dest="1002@acme.example"),
    ]
    pbx.add_user("1002@acme.example", numbers=others)
    pbx.add_user("1003@other.example", numbers=["18585550146"])
    return pbx


def sent_under(pbx: Simulator) -> list[tuple[str, str | None]]:
    """Return the users whose texts arrived, each with the number."""
    return [(message.user, message.from_number) for message in pbx.messages]


async def test_the_path_names_the_owner(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A text from a colleague's number is sent as that colleague's."""
    numbers = entry.runtime_data.coordinator.data.numbers
    assert list(numbers) == [OWN, FRONT_DESK, "18585550145"]  # a queue's and nobody's cannot be sent from
    await send(hass)
    row = await send(hass, from_number="(858) 555-0142")
    assert row["from_number"] == shown(FRONT_DESK)
    await send(hass, from_number="18585550145")
    await send(hass, message_type="chat", destination="1002")
    assert sent_under(pbx) == [("1001", OWN), ("1002", FRONT_DESK), ("1002", "18585550145"), ("1001", None)]


@pytest.mark.parametrize("number", ["18585550143", "18585550144", "18585550146"])
async def test_what_cannot_be_sent_from_is_refused(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, number: str
) -> None:
    """A number of nobody's or of a queue is none to text from."""
    with pytest.raises(ServiceValidationError, match="may not text from"):
        await send(hass, from_number=number)
    assert pbx.messages == []


async def test_others_see_only_their_own(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Who has no rights over the domain is shown none of it."""
    pbx.first_user.scope = "Basic User"
    entry = await add_account()
    assert list(entry.runtime_data.coordinator.data.numbers) == [OWN]
    assert not pbx.requests_to("/domains/acme.example/smsnumbers")
    with pytest.raises(ServiceValidationError):
        await send(hass, from_number=FRONT_DESK)


@pytest.mark.parametrize(
    ("scope", "has"),
    [
        *((scope, True) for scope in ("Office Manager", "office_manager", "Reseller", "superuser", "Super User")),
        *((scope, False) for scope in ("", "Basic User", "Site Manager", "Call Center Supervisor", "No Portal")),
    ],
)
def test_rights_over_a_domain(scope: str, has: bool) -> None:
    """They are known by the scope alone."""
    assert Account("u", "1001", "d", "u", scope, "").has_domain_rights is has


@pytest.mark.parametrize(
    ("row", "owner"),
    [
        ({"dest": 1002}, "1002"),
        ({"dest": " 1002 ", "application": "User"}, "1002"),
        ({"dest": "1002@acme.example", "application": "user"}, "1002"),
        ({"dest": "4001", "application": "callqueue"}, ""),
        ({"application": "available"}, ""),
    ],
)
def test_owner_in_any_form(row: dict[str, Any], owner: str) -> None:
    """PBXs say in several forms whose a number is."""
    listed = Listed.from_row({"number": 18585550142, **row})
    assert listed is not None
    assert listed.owner == owner


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_domain_that_is_not_shown(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, add_account: AddAccount, status: int
) -> None:
    """For a moment: what is known stays. From the beginning: the own numbers are there."""
    pbx.fault(
        FaultKind.BODY, path="/acme.example/smsnumbers", status=status, body='{"code": 1, "message": "No"}', times=9
    )
    await entry.runtime_data.coordinator.async_refresh()
    assert FRONT_DESK in entry.runtime_data.coordinator.data.numbers
    assert not hass.config_entries.flow.async_progress()
    again = await add_account(login="1002@acme.example")
    assert again.state is ConfigEntryState.LOADED


async def test_own_numbers_that_are_not_shown(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A list that is refused hides no number that the other one shows."""
    path = "/users/1001/smsnumbers"
    pbx.fault(FaultKind.BODY, path=path, status=403, body='{"code": 403, "message": "No"}', times=1)
    await entry.runtime_data.coordinator.async_refresh()
    assert list(entry.runtime_data.coordinator.data.numbers) == [OWN, FRONT_DESK, "18585550145"]


async def test_accepted_without_saying_so_is_found_under_the_owner(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """A lost answer is looked up where the text was filed."""
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    assert (await send(hass, from_number=FRONT_DESK))["status"] == "sent"
    assert sent_under(pbx) == [("1002", FRONT_DESK)]
    looks = [record.path for record in pbx.requests if record.method == "GET" and "/messagesessions" in record.path]
    assert any("/users/1002/messagesessions/" in path for path in looks)


async def test_an_owner_out_of_reach(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Some PBXs say 401 where the login has no rights over a user: a refusal, and no reason to sign in again."""
    pbx.fault(FaultKind.UNAUTHORIZED, path="/users/1002/messagesessions", message="Domain out of scope", times=None)
    tokens = len(pbx.requests_to("/tokens"))
    with pytest.raises(HomeAssistantError, match="refused with status 401: Domain out of scope"):
        await send(hass, from_number=FRONT_DESK)
    assert (await send(hass))["status"] == "sent"
    assert sent_under(pbx) == [("1001", OWN)]
    assert len(pbx.requests_to("/tokens")) == tokens + 1
    assert not hass.config_entries.flow.async_progress()


@pytest.mark.parametrize(("from_number", "owner"), [(OWN, "1001"), (FRONT_DESK, "1002")])
@pytest.mark.parametrize("lasting", ["token", "everything", "own records and texts"])
async def test_a_login_that_is_refused_for_a_while(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, from_number: str, owner: str, lasting: str
) -> None:
    """A text is refused for that by nobody: it goes out later, whoever owns its number."""
    if lasting == "token":
        pbx.revoke_tokens()
    elif lasting == "everything":
        pbx.fault(FaultKind.UNAUTHORIZED, path="/domains/", times=None)
    else:  # the text is refused for the token, and then nothing can be asked
        pbx.fault(FaultKind.UNAUTHORIZED, path="/messages", method="POST", times=None)
        pbx.fault(FaultKind.STATUS, path="/users/1001/messagesessions", method="GET", code=500, times=None)
    status = (await send(hass, from_number=from_number))["status"]
    assert status == ("sent" if lasting == "token" else "queued")
    pbx.clear_faults()
    await until(lambda: pbx.messages, within=45)  # a login that was refused is left alone for a while
    assert sent_under(pbx) == [(owner, from_number)]


async def test_what_waits_keeps_its_owner(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Also over a restart."""
    pbx.fault(FaultKind.DROP_BEFORE, times=None)
    assert (await send(hass, from_number=FRONT_DESK))["status"] == "queued"
    assert [row["owner"] for row in on_disk(hass, entry)] == ["1002"]
    assert await hass.config_entries.async_unload(entry.entry_id)
    pbx.clear_faults()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: pbx.messages)
    assert sent_under(pbx) == [("1002", FRONT_DESK)]


@pytest.mark.parametrize("path", ["/domains/acme.example/smsnumbers", "/users/1001/smsnumbers"])
@pytest.mark.parametrize("body", ['{"message": "Database is busy"}', '[{"error": "busy"}]', "null", ""])
async def test_an_owner_is_not_forgotten_where_the_list_says_nothing(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, body: str, path: str
) -> None:
    """A success that lists no number does not say that there is none, before and after a restart."""
    pbx.fault(FaultKind.BODY, path=path, body=body, times=None)
    await entry.runtime_data.coordinator.async_refresh()
    await hass.config_entries.async_reload(entry.entry_id)
    await entry.runtime_data.coordinator.async_refresh()
    assert (await send(hass, from_number=FRONT_DESK))["status"] == "sent"
    assert (await send(hass, from_number=OWN))["status"] == "sent"
    assert sent_under(pbx) == [("1002", FRONT_DESK), ("1001", OWN)]


async def test_replies_to_chosen_numbers_come_in_and_nothing_else(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Nobody reads a colleague's other conversations."""
    entry = await add_account(recipient("Ann", ANN, from_number=FRONT_DESK))
    await until(entry.runtime_data.poller.ready.is_set)
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True)
    await pbx.receive(from_number=ANN, text="To the desk", to_number=FRONT_DESK)
    await pbx.receive(from_number=ANN, text="Private", to_number="18585550145")
    await pbx.receive_chat("1001", "Private too", to_user="1002")
    await pbx.receive(from_number=ANN, text="To the own number", to_number=OWN)
    await until(lambda: len(entity_events.texts()) == 2)
    assert sorted(entity_events.texts()) == ["To the desk", "To the own number"]
    attributes = next(event for _, event in entity_events.events if event["message"] == "To the desk")
    assert (attributes["to_number"], attributes["recipient"]) == (shown(FRONT_DESK), "Ann")
    looks = len(pbx.requests_to("/users/1002/messagesessions"))
    await until(lambda: len(pbx.requests_to("/users/1002/messagesessions")) > looks + 3)
    assert len(entity_events.texts()) == 2


async def test_replies_to_a_number_that_is_listed_without_its_country_code(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """It is the same number."""
    pbx.users["1002@acme.example"].numbers.append(SmsNumber("8585550147", dest="1002"))
    entry = await add_account(options={"from_number": "18585550147"})
    await until(entry.runtime_data.poller.ready.is_set)
    await send(hass)
    assert sent_under(pbx) == [("1002", "8585550147")]
    await pbx.receive(from_number=ANN, text="To the desk", to_number="8585550147")
    await until(lambda: entity_events.texts() == ["To the desk"])


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_conversations_of_others_that_are_not_shown(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, status: int
) -> None:
    """A list that is refused for good keeps no other from being read."""
    path = "/users/1002/messagesessions"
    pbx.fault(FaultKind.BODY, path=path, status=status, body='{"code": 1, "message": "No"}', times=None)
    entry = await add_account(options={"from_number": FRONT_DESK})
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="To the own number", to_number=OWN)
    await until(lambda: entity_events.texts() == ["To the own number"])
    if status != 404:  # that is an empty list
        assert len(pbx.requests_to(path)) == (2 if status == 401 else 1)  # and not at each look: a 401 costs a token


async def test_conversations_of_others_that_cannot_be_read_are_no_empty_ones(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What came in meanwhile is reported once they can be."""
    entry = await add_account(options={"from_number": FRONT_DESK})
    await until(entry.runtime_data.poller.ready.is_set)
    path = "/users/1002/messagesessions"
    fault = pbx.fault(FaultKind.STATUS, path=path, code=400, message="Busy", times=None)
    await pbx.receive(from_number=ANN, text="To the desk", to_number=FRONT_DESK)
    await until(lambda: fault.struck > 6)
    assert caplog.text.count("Messages cannot be read") == 1
    pbx.clear_faults()
    await until(lambda: entity_events.texts() == ["To the desk"])


async def test_the_select_shows_number_and_owner(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Somebody who chooses sees whose number it is."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    (selector,) = [field for marker, field in form["data_schema"].schema.items() if marker == "from_number"]
    assert selector.config["options"] == [
        {"value": written(OWN), "label": f"{written(OWN)} · 1001"},
        {"value": written(FRONT_DESK), "label": f"{written(FRONT_DESK)} · 1002"},
        {"value": "(858) 555-0145", "label": "(858) 555-0145 · 1002"},
    ]
    assert texts(pbx) == []
