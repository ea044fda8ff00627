"""Push by the PBX: one subscription, and posts that are hints and nothing more."""

import asyncio
from copy import replace
from datetime import timedelta
import logging
import sys
from types import SimpleNamespace
from typing import Any

from aiohttp.test_utils import TestClient
from homeassistant import components
from homeassistant.components import webhook
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.receiving.inbox import Inbox, PollResult
from custom_components.netsapiens.receiving.timing import (
    RECEIVING_TIMING,
    PollTiming,
    ProofTiming,
    PushTiming,
    ReceivingTiming,
)
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.helpers import until, until_idle
from tests.receiving.test_poller import ANN, BOB
from tests.simulator import FaultKind, Simulator

NUMBER = "18585550199"
PUSH = {"from_number": NUMBER, "incoming": "push"}
PATH = "/subscriptions"
CLOUDHOOK = "https://hooks.example/gAAAAAB"


@pytest.fixture(autouse=True)
def _quick(hass: HomeAssistant) -> None:
    """Check the subscription many times a second. Polling stays as slow as in life: what is quick was pushed."""
    hass.data[RECEIVING_TIMING] = ReceivingTiming(push=PushTiming(check=0.1, first_wait=0.05, longest_wait=0.2))


def set_timing(hass: HomeAssistant, poll: PollTiming | None = None, **push: Any) -> None:
    """Set the timing of accounts that are set up from now on."""
    timing = hass.data[RECEIVING_TIMING]
    hass.data[RECEIVING_TIMING] = ReceivingTiming(poll or timing.poll, replace(timing.push, **push))


@pytest.fixture
async def entity_events(hass: HomeAssistant) -> EntityEvents:
    return EntityEvents(hass)


@pytest.fixture
async def web(hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator) -> TestClient[Any, Any]:
    """Home Assistant's web server, which the PBX reaches under the external URL."""
    assert await async_setup_component(hass, DOMAIN, {})  # with the views that it needs, before the server runs
    client = await hass_client_no_auth()
    hass.config.external_url = str(client.server.make_url("")).rstrip("/")
    return client


@pytest.fixture
async def pushed(hass: HomeAssistant, pbx: Simulator, web: TestClient[Any, Any], add_account: AddAccount) -> Any:
    """An account with push, with its subscription."""
    entry = await add_account(recipient("Ann", ANN), recipient("Bob", BOB), options=PUSH)
    await until(lambda: is_pushed(entry))
    return entry


def is_pushed(entry: MockConfigEntry) -> bool:
    """Whether the first poll came to its end, and polling is left to the PBX's posts."""
    poller = entry.runtime_data.poller
    return poller.ready.is_set() and poller.is_announced


def issues(hass: HomeAssistant) -> set[str]:
    """The kinds of the open repair issues."""
    return {issue.translation_key for issue in ir.async_get(hass).issues.values() if issue.domain == DOMAIN}


def writes(pbx: Simulator) -> list[str]:
    """What was changed of the subscriptions."""
    return [record.method for record in pbx.requests_to(PATH) if record.method != "GET"]


async def checks(pbx: Simulator, count: int = 2) -> None:
    """Wait until the subscription was seen to so many more times."""

    def done() -> int:
        return sum(record.method == "GET" for record in pbx.requests_to(PATH))

    before = done()
    await until(lambda: done() >= before + count + 1)


def hook_of(entry: MockConfigEntry) -> str:
    return f"/api/webhook/{entry.data['webhook_id']}"


async def test_the_diagnostics_say_whether_there_is_a_subscription(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry
) -> None:
    """It is how a user sees whether push works."""
    receiver = pushed.runtime_data.receiver
    assert receiver.diagnostics == {"push": {"state": "subscribed", "missed_in_a_row": 0}}
    pbx.fault(FaultKind.STATUS, path=PATH, times=None, code=403)
    await until(lambda: receiver.diagnostics["push"]["state"] == "not_subscribed")


# --- a PBX that does not post --------------------------------------------------------


@pytest.fixture
async def seldom(
    hass: HomeAssistant, pbx: Simulator, web: TestClient[Any, Any], add_account: AddAccount
) -> MockConfigEntry:
    """An account with push whose polls are seldom, but not too seldom to be waited for."""
    poll = PollTiming(interval=0.2, backstop_interval=1.5, answer_interval=0.1, follow_ups=(0.0,))
    set_timing(hass, poll, proof=ProofTiming(after=0.3))
    entry = await add_account(recipient("Ann", ANN), options=PUSH)
    await until(lambda: is_pushed(entry))
    return entry


async def test_after_a_text_that_was_not_posted_it_is_polled(
    pbx: Simulator, seldom: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """There is a subscription, and nothing comes of it; the next text is not late, until one is posted again."""
    account, publish = seldom.runtime_data, pbx.on_event
    pbx.on_event = None
    await pbx.receive(from_number=ANN, text="Late")
    await until(lambda: not account.poller.is_announced)
    assert entity_events.texts() == ["Late"]
    assert account.receiver.diagnostics["push"] == {"state": "subscribed", "missed_in_a_row": 1}
    assert account.poller.interval == 0.2
    end = account.poller.async_expect_answer()
    assert account.poller.interval == 0.1
    end()
    await checks(pbx)  # which the subscription passes
    assert not account.poller.is_announced
    pbx.on_event = publish
    await pbx.receive(from_number=ANN, text="Posted")
    await until(lambda: entity_events.texts() == ["Late", "Posted"])
    await until(lambda: account.poller.is_announced)


async def test_posts_that_do_not_get_here(
    hass: HomeAssistant, pbx: Simulator, seldom: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The PBX itself says that they fail: the subscription does not count, whatever becomes of it."""
    set_timing(hass, check=3600.0)
    hass.config.external_url = "http://127.0.0.1:9"
    await hass.config_entries.async_reload(seldom.entry_id)
    await until(lambda: is_pushed(seldom))
    account = seldom.runtime_data
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])
    await until(lambda: not account.poller.is_announced)
    hass.bus.async_fire("core_config_updated")
    await until(lambda: account.receiver.diagnostics["push"] == {"state": "error", "missed_in_a_row": 1})


async def test_once_it_does_not_count_polls_come_as_without_it(
    hass: HomeAssistant,
    pbx: Simulator,
    web: TestClient[Any, Any],
    add_account: AddAccount,
    entity_events: EntityEvents,
) -> None:
    """The wait until the next poll was worked out while texts were posted: it is worked out again."""
    poll = PollTiming(interval=0.2, backstop_interval=600.0, follow_ups=(0.0,), active=0.0)
    set_timing(hass, poll, ask_again=600.0)
    entry = await add_account(recipient("Ann", ANN), options=PUSH)
    await until(lambda: is_pushed(entry))
    await until(lambda: entry.runtime_data.poller.is_announced)
    pbx.on_event = None
    pbx.fault("status", path="/subscriptions", times=None, code=403)
    await until(lambda: not entry.runtime_data.poller.is_announced)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"], within=5)


async def test_a_subscription_in_error_does_not_count(pbx: Simulator, seldom: MockConfigEntry) -> None:
    """Also where no text was missed yet."""
    account = seldom.runtime_data
    [row] = pbx.subscriptions
    row.status = "error"
    await until(lambda: account.receiver.diagnostics["push"] == {"state": "error", "missed_in_a_row": 0})
    assert not account.poller.is_announced


async def test_what_came_in_before_it_listened_was_not_missed(
    hass: HomeAssistant, pbx: Simulator, seldom: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Nobody posts again what came in while Home Assistant was down."""
    await hass.config_entries.async_unload(seldom.entry_id)
    pbx.clock_offset = -60.0
    await pbx.receive(from_number=ANN, text="Down")
    pbx.clock_offset = 0.0
    await hass.config_entries.async_setup(seldom.entry_id)
    await until(lambda: entity_events.texts() == ["Down"])
    await asyncio.sleep(0.5)
    await until(lambda: is_pushed(seldom))
    assert seldom.runtime_data.receiver.diagnostics["push"]["missed_in_a_row"] == 0


# --- the subscription ----------------------------------------------------------------


@pytest.mark.parametrize("version", ["44.1.2", "45.0"])
async def test_what_is_asked_for(
    hass: HomeAssistant, pbx: Simulator, web: TestClient[Any, Any], add_account: AddAccount, version: str
) -> None:
    """The subscription is of our user's messages, to our address, for a week."""
    pbx.api_version = version
    entry = await add_account(options=PUSH)
    await until(lambda: is_pushed(entry))
    [row] = pbx.subscriptions
    assert (row.model, row.user, row.domain, row.geo_support) == ("message", "1001", "acme.example", "yes")
    assert row.post_url == f"{hass.config.external_url}{hook_of(entry)}"
    assert len(entry.data["webhook_id"]) >= 64
    assert timedelta(days=6) < row.expires - pbx.now() <= timedelta(days=7)
    assert {record.path for record in pbx.requests_to(PATH)} == {"/ns-api/v2/subscriptions"}
    await checks(pbx)
    assert writes(pbx) == ["POST"]
    assert issues(hass) == set()


async def test_one_after_five_restarts(hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry) -> None:
    """Restarts do not leave subscriptions behind."""
    [before] = pbx.subscriptions
    for _ in range(5):
        assert await hass.config_entries.async_reload(pushed.entry_id)
        await until(lambda: is_pushed(pushed))
    assert pbx.subscriptions == [before]


async def test_dropped_by_the_pbx(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """One that is gone is made again."""
    pbx.subscription_book.rows.clear()
    await until(lambda: len(pbx.subscriptions) == 1)
    await pbx.receive(from_number=ANN, text="Again")
    await until(lambda: entity_events.texts() == ["Again"], within=2)


async def test_renewed_ahead_of_its_end(pbx: Simulator, pushed: MockConfigEntry) -> None:
    """It is prolonged, not made anew."""
    [row] = pbx.subscriptions
    row.expires = pbx.now() + timedelta(days=3)
    await until(lambda: row.expires > pbx.now() + timedelta(days=6))
    assert pbx.subscriptions == [row]
    assert writes(pbx) == ["POST", "PUT"]


async def test_errors_are_forgotten_then_it_begins_anew(pbx: Simulator, pushed: MockConfigEntry) -> None:
    """A subscription that the PBX gave up is mended first, then replaced."""
    [row] = pbx.subscriptions
    row.status, row.error_count = "error", 7
    await until(lambda: row.error_count == 0)
    assert pbx.subscriptions == [row]
    await until(lambda: bool(pbx.subscriptions) and pbx.subscriptions[0].id != row.id)
    assert writes(pbx)[1:] == ["PUT", "DELETE", "POST"]


async def test_errors_that_ended_are_fine(pbx: Simulator, pushed: MockConfigEntry) -> None:
    """One that works again is left alone."""
    [row] = pbx.subscriptions
    row.status, row.error_count = "error", 7
    await until(lambda: row.error_count == 0)
    row.status = "active"
    await checks(pbx, 3)
    assert pbx.subscriptions == [row]
    assert writes(pbx) == ["POST", "PUT"]


async def test_former_address_and_twins_become_one(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry
) -> None:
    """What is left of a former address goes, and others' stay."""
    await hass.config_entries.async_unload(pushed.entry_id)
    [row] = pbx.subscriptions
    user = pbx.first_user
    for host in ("https://old.example", "https://older.example"):
        body = {"model": "message", "post-url": host + hook_of(pushed), "user": user.user}
        pbx.subscription_book.create(body, user, pbx.now(), pbx.now() + timedelta(days=1))
    foreign = {"model": "message", "post-url": "https://other.example/hook", "user": user.user}
    other = pbx.subscription_book.create(foreign, user, pbx.now(), pbx.now() + timedelta(days=1))
    pbx.subscription_book.remove(row)
    await hass.config_entries.async_setup(pushed.entry_id)
    await until(lambda: is_pushed(pushed))
    ours = [one for one in pbx.subscriptions if one is not other]
    assert [one.post_url for one in ours] == [f"{hass.config.external_url}{hook_of(pushed)}"]
    assert other in pbx.subscriptions


async def test_more_subscriptions_than_a_list_shows_unasked(
    hass: HomeAssistant, pbx: Simulator, web: TestClient[Any, Any], add_account: AddAccount
) -> None:
    """Ours is found among an office's."""
    user = pbx.first_user
    user.scope = "Office Manager"
    for number in range(120):
        body = {"model": "message", "post-url": f"https://other.example/{number}"}
        pbx.subscription_book.create(body, user, pbx.now(), pbx.now() + timedelta(days=1))
    entry = await add_account(options=PUSH)
    await until(lambda: is_pushed(entry))
    await checks(pbx)
    assert writes(pbx) == ["POST"]
    await hass.config_entries.async_remove(entry.entry_id)
    assert len(pbx.subscriptions) == 120
    assert not any("/api/webhook" in row.post_url for row in pbx.subscriptions)


async def test_conflict_with_one_that_is_not_listed(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """A PBX that says it is there is believed."""
    pbx.fault(FaultKind.BODY, path=PATH, method="GET", times=None, body="[]")
    await until(lambda: writes(pbx).count("POST") >= 3)
    assert len(pbx.subscriptions) == 1
    assert issues(hass) == set()
    await until(lambda: is_pushed(pushed))  # but for the time of a check
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"], within=2)


@pytest.mark.parametrize("status", [403, 404])
async def test_one_that_cannot_be_changed_is_replaced(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry, status: int
) -> None:
    """It ended between the list and the change: that is no refusal."""
    [row] = pbx.subscriptions
    pbx.fault(FaultKind.STATUS, path=PATH, method="PUT", code=status, message="Subscription not found")
    row.post_url = row.post_url.replace("127.0.0.1", "old.example")
    await until(lambda: len(writes(pbx)) >= 3)
    assert writes(pbx)[1:3] == ["PUT", "POST"]
    await checks(pbx)
    assert [one.post_url for one in pbx.subscriptions] == [f"{hass.config.external_url}{hook_of(pushed)}"]
    assert issues(hass) == set()


async def test_a_change_that_the_login_may_not_make_is_a_refusal(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry
) -> None:
    """It is not made up for by one subscription after the other."""
    [row] = pbx.subscriptions
    pbx.fault(FaultKind.UNAUTHORIZED, path=PATH, method="PUT", times=None)
    row.expires = pbx.now() + timedelta(days=1)
    await until(lambda: issues(hass) == {"push_refused"})
    assert not pushed.runtime_data.poller.is_announced
    assert set(writes(pbx)[1:]) == {"PUT"}


async def test_one_that_could_not_be_made_is_made_later(
    hass: HomeAssistant, pbx: Simulator, web: TestClient[Any, Any], add_account: AddAccount
) -> None:
    """Until then it is polled as without push."""
    refusal = pbx.fault(FaultKind.STATUS, path=PATH, method="POST", code=400, message="Try again", times=None)
    entry = await add_account(options=PUSH)
    await until(lambda: refusal.struck > 1)
    assert not entry.runtime_data.poller.is_announced
    assert issues(hass) == set()
    pbx.clear_faults()
    await until(lambda: is_pushed(entry))
    assert len(pbx.subscriptions) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_refused(
    hass: HomeAssistant,
    pbx: Simulator,
    web: TestClient[Any, Any],
    add_account: AddAccount,
    entity_events: EntityEvents,
    status: int,
) -> None:
    """A login without the right leads to an issue, and to polling."""
    set_timing(hass, PollTiming(interval=0.2))
    pbx.subscription_refusal = status
    entry = await add_account(options=PUSH)
    await until(lambda: issues(hass) == {"push_refused"})
    asked = len(pbx.requests_to(PATH))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="Polled")
    await until(lambda: entity_events.texts() == ["Polled"])
    assert len(pbx.requests_to(PATH)) == asked  # again once a day
    set_timing(hass, ask_again=0.1)
    await hass.config_entries.async_reload(entry.entry_id)
    await until(lambda: len(pbx.requests_to(PATH)) > asked + 2)
    pbx.subscription_refusal = None
    await until(lambda: len(pbx.subscriptions) == 1)
    await until(lambda: issues(hass) == set())


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "code": 502, "html": True}, {"kind": "drop_before"}, {"kind": "rate_limit", "retry_after": 0}],
)
async def test_failures_are_tried_again(
    hass: HomeAssistant, pbx: Simulator, web: TestClient[Any, Any], add_account: AddAccount, fault: dict[str, Any]
) -> None:
    """Every kind of failure passes."""
    pbx.fault(path=PATH, times=2, **fault)
    entry = await add_account(options=PUSH)
    await until(lambda: is_pushed(entry), within=20)
    assert len(pbx.subscriptions) == 1
    assert issues(hass) == set()


async def test_no_external_url_until_there_is_one(
    hass: HomeAssistant, pbx: Simulator, web: TestClient[Any, Any], add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Without an address there is an issue, which goes once there is one."""
    set_timing(hass, check=3600.0)
    url = hass.config.external_url
    hass.config.external_url = None
    entry = await add_account(options=PUSH)
    await until(lambda: issues(hass) == {"push_without_url"})
    assert pbx.requests_to(PATH) == []
    assert not entry.runtime_data.poller.is_announced
    await hass.config.async_update(external_url=url)
    await until(lambda: is_pushed(entry))
    assert issues(hass) == set()
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"], within=2)


async def test_a_fault_of_ours_does_not_end_it(
    pbx: Simulator, pushed: MockConfigEntry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log without its words, and the next check goes well."""

    def fail(*_: object, **__: object) -> str:
        raise RuntimeError("oops")

    with monkeypatch.context() as patch:
        patch.setattr(webhook, "async_generate_url", fail)
        await until(lambda: "Unexpected error while subscribing" in caplog.text)
        assert not pushed.runtime_data.poller.is_announced
    pbx.subscription_book.rows.clear()
    await until(lambda: len(pbx.subscriptions) == 1)


# --- the end -------------------------------------------------------------------------


async def test_removal_ends_it(hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry, web: Any) -> None:
    """The PBX has nowhere to post to any more."""
    await hass.config_entries.async_remove(pushed.entry_id)
    assert pbx.subscriptions == []
    await asyncio.sleep(0.3)
    assert pbx.subscriptions == []
    assert hass.data["webhook"] == {}


@pytest.mark.parametrize(("status", "logged"), [(404, False), (403, False), (401, True)])
async def test_removal_where_it_cannot_be_ended(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry, caplog: Any, status: int, logged: bool
) -> None:
    """One that ended before is fine; a refused one leaves a line in the log."""
    pbx.fault(FaultKind.STATUS, path=PATH, method="DELETE", code=status, message="No", times=None)
    await hass.config_entries.async_remove(pushed.entry_id)
    assert writes(pbx)[1] == "DELETE"
    assert ("ends within a week" in caplog.text) is logged
    assert hass.config_entries.async_entries(DOMAIN) == []


async def test_removal_while_the_pbx_is_away(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not wait for the PBX, and says what ends by itself."""
    await pbx.stop()
    async with asyncio.timeout(15):
        await hass.config_entries.async_remove(pushed.entry_id)
    assert hass.config_entries.async_entries(DOMAIN) == []
    assert "ends within a week" in caplog.text
    assert issues(hass) == set()


async def test_removal_while_the_pbx_is_silent(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor for one that never answers."""
    set_timing(hass, end_within=0.3)
    assert await hass.config_entries.async_unload(pushed.entry_id)
    pbx.fault(FaultKind.HANG, times=None)
    async with asyncio.timeout(5):
        await hass.config_entries.async_remove(pushed.entry_id)
    assert "ends within a week" in caplog.text


@pytest.mark.parametrize("incoming", ["poll", "off"])
async def test_switched_off(
    hass: HomeAssistant,
    pbx: Simulator,
    pushed: MockConfigEntry,
    web: TestClient[Any, Any],
    entity_events: EntityEvents,
    incoming: str,
) -> None:
    """The subscription and the webhook go with the option."""
    path = hook_of(pushed)
    hass.config_entries.async_update_entry(pushed, options={**PUSH, "incoming": incoming})
    await until(lambda: pbx.subscriptions == [] and "webhook_id" not in pushed.data)
    await hass.async_block_till_done()
    assert path.rpartition("/")[2] not in hass.data["webhook"]
    poller = pushed.runtime_data.poller
    assert (poller is None) is (incoming == "off")
    if poller is not None:
        assert not poller.is_announced
        await until(poller.ready.is_set)
    await until_idle(pbx)
    before = len(pbx.requests_to("messagesessions"))
    await pbx.receive(from_number=ANN, text="Hi")
    assert (await web.post(path, json=[])).status == 200
    await asyncio.sleep(0.5)
    assert entity_events.texts() == []
    assert len(pbx.requests_to("messagesessions")) == before
    hass.config_entries.async_update_entry(pushed, options=PUSH)
    await until(lambda: len(pbx.subscriptions) == 1)
    assert pushed.data["webhook_id"] != path.rpartition("/")[2]


async def test_switched_off_clears_the_issue(
    hass: HomeAssistant, pbx: Simulator, web: TestClient[Any, Any], add_account: AddAccount
) -> None:
    """So does the issue."""
    pbx.subscription_refusal = 403
    entry = await add_account(options=PUSH)
    await until(lambda: issues(hass) == {"push_refused"})
    hass.config_entries.async_update_entry(entry, options={**PUSH, "incoming": "poll"})
    await until(lambda: issues(hass) == set())


# --- what is posted ------------------------------------------------------------------


@pytest.mark.parametrize("form", ["array", "object"])
@pytest.mark.parametrize("names", ["v1", "v2"])
async def test_any_form_of_post(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry, entity_events: EntityEvents, form: Any, names: Any
) -> None:
    """Whatever the PBX posts, each text is reported once."""
    pbx.push_form, pbx.push_names = form, names
    for number in range(5):
        await pbx.receive(from_number=ANN, text=f"Text {number}")
    await until(lambda: len(entity_events.texts()) == 5, within=2)
    await asyncio.sleep(0.5)
    assert entity_events.texts() == [f"Text {number}" for number in range(5)]
    assert pbx.subscriptions[0].status == "active"


@pytest.mark.parametrize(
    "body",
    [
        b'[{"id":"x","type":"sms","direction":"orig","text":"DISARM","from_num":"18585550123","session_id":"abc"}]',
        b'{"id":"x","type":"sms","direction":"orig","text":"DISARM","from-number":"18585550123"}',
        b"",
        b"no JSON",
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
async def test_an_invented_message_is_none(
    hass: HomeAssistant,
    pbx: Simulator,
    pushed: MockConfigEntry,
    web: TestClient[Any, Any],
    entity_events: EntityEvents,
    body: bytes,
) -> None:
    """What is posted is a reason to look and nothing else: anybody may post."""
    before = len(pbx.requests_to("messagesessions"))
    answer = await web.post(hook_of(pushed), data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, await answer.read()) == (200, b"")
    await until(lambda: len(pbx.requests_to("messagesessions")) > before)
    await asyncio.sleep(0.5)
    assert entity_events.events == []


async def test_it_answers_before_it_looks(
    pbx: Simulator, pushed: MockConfigEntry, web: TestClient[Any, Any], entity_events: EntityEvents
) -> None:
    """The PBX does not wait for us."""
    pbx.on_event = None
    fault = pbx.fault(FaultKind.SLOW, path="messagesessions", seconds=3)
    await pbx.receive(from_number=ANN, text="Hi")
    assert (await web.post(hook_of(pushed))).status == 200
    assert entity_events.texts() == []
    await until(lambda: fault.struck)
    for _ in range(20):
        assert (await web.post(hook_of(pushed))).status == 200
    await until(lambda: entity_events.texts() == ["Hi"])


async def test_only_posts(pushed: MockConfigEntry, pbx: Simulator, web: TestClient[Any, Any]) -> None:
    """Whoever opens the address in a browser causes nothing."""
    before = len(pbx.requests_to("messagesessions"))
    for method in ("GET", "PUT", "HEAD"):
        assert (await web.request(method, hook_of(pushed))).status in {200, 405}
    await asyncio.sleep(0.3)
    assert len(pbx.requests_to("messagesessions")) == before


async def test_a_thousand_posts(
    pbx: Simulator,
    pushed: MockConfigEntry,
    web: TestClient[Any, Any],
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One read-back at a time, and none is lost."""
    looking = most = 0
    original = Inbox.poll

    async def look(self: Inbox, interval: float) -> PollResult:
        nonlocal looking, most
        looking += 1
        most = max(most, looking)
        try:
            return await original(self, interval)
        finally:
            looking -= 1

    monkeypatch.setattr(Inbox, "poll", look)
    began, before = asyncio.get_running_loop().time(), len(pbx.requests_to("messagesessions"))
    answers = []
    for batch in range(20):
        answers += await asyncio.gather(*(web.post(hook_of(pushed), json=[{"text": "x"}]) for _ in range(50)))
        await pbx.receive(from_number=(ANN, BOB)[batch % 2], text=f"Text {batch}")
    assert {answer.status for answer in answers} == {200}
    await until(lambda: len(entity_events.texts()) == 20)
    took = asyncio.get_running_loop().time() - began
    assert sorted(entity_events.texts()) == sorted(f"Text {batch}" for batch in range(20))
    assert most == 1
    looks = len(pbx.requests_to("messagesessions")) - before
    assert looks <= 3 * (took / PollTiming().pause + 3)  # the list, and the conversations of two


async def test_lists_that_lag_behind_the_post(
    pbx: Simulator, pushed: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What one post found does not make up for what another one announced."""
    pbx.lag = 1.0
    await pbx.receive(from_number=BOB, text="Late")
    pbx.lag = 0.0
    await pbx.receive(from_number=ANN, text="At once")
    await until(lambda: entity_events.texts() == ["At once"], within=0.9)
    await until(lambda: entity_events.texts() == ["At once", "Late"], within=3)


async def test_a_lost_post_is_made_up_for(
    hass: HomeAssistant, pbx: Simulator, web: TestClient[Any, Any], add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """What was not announced is found by polling."""
    set_timing(hass, PollTiming(interval=0.2, backstop_interval=0.3))
    entry = await add_account(options=PUSH)
    await until(lambda: is_pushed(entry))
    pbx.on_event = None
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"], within=2)


# --- Nabu Casa -----------------------------------------------------------------------


class NotConnectedError(HomeAssistantError):
    """As the cloud's own."""


class Cloud:
    """Home Assistant's cloud, as far as it is asked."""

    CloudNotAvailable = NotConnectedError

    def __init__(self) -> None:
        self.connected = self.subscribed = True
        self.hooks: dict[str, str] = {}

    def async_active_subscription(self, _hass: HomeAssistant) -> bool:
        return self.subscribed

    async def async_get_or_create_cloudhook(self, _hass: HomeAssistant, webhook_id: str) -> str:
        if not self.connected:
            raise NotConnectedError
        return self.hooks.setdefault(webhook_id, CLOUDHOOK)

    async def async_delete_cloudhook(self, _hass: HomeAssistant, webhook_id: str) -> None:
        if webhook_id not in self.hooks:
            raise ValueError("Hook is not enabled for the cloud.")
        del self.hooks[webhook_id]


@pytest.fixture
def cloud(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud()
    module = SimpleNamespace(**{name: getattr(cloud, name) for name in dir(cloud) if name.startswith(("async", "C"))})
    monkeypatch.setitem(sys.modules, "homeassistant.components.cloud", module)
    monkeypatch.setattr(components, "cloud", module, raising=False)
    hass.config.components.add("cloud")
    return cloud


async def cloud_account(hass: HomeAssistant, add_account: AddAccount) -> MockConfigEntry:
    """An account with a cloudhook, whose address is noted, which loads the account anew."""
    entry = await add_account(options=PUSH, setup=False)
    await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entry.data.get("cloudhook_url") == CLOUDHOOK)
    await hass.async_block_till_done()
    await until(lambda: is_pushed(entry))
    return entry


async def test_cloudhook(hass: HomeAssistant, pbx: Simulator, cloud: Cloud, add_account: AddAccount) -> None:
    """With the cloud the address is a cloudhook, and goes with the account."""
    entry = await cloud_account(hass, add_account)
    [row] = pbx.subscriptions
    assert row.post_url == CLOUDHOOK
    # Its address says nothing of the webhook; it is known, renewed and ended all the same.
    row.expires = pbx.now() + timedelta(days=1)
    await until(lambda: row.expires > pbx.now() + timedelta(days=6))
    assert pbx.subscriptions == [row]
    await hass.config_entries.async_remove(entry.entry_id)
    assert pbx.subscriptions == []
    assert cloud.hooks == {}


async def test_a_start_before_the_cloud_is_connected(
    hass: HomeAssistant, pbx: Simulator, cloud: Cloud, add_account: AddAccount
) -> None:
    """The cloudhook that is known is kept."""
    entry = await cloud_account(hass, add_account)
    cloud.connected = False
    hass.config.external_url = "https://home.example"
    await hass.config_entries.async_reload(entry.entry_id)
    await until(lambda: is_pushed(entry))
    assert [row.post_url for row in pbx.subscriptions] == [CLOUDHOOK]
    assert issues(hass) == set()


async def test_without_a_cloudhook_the_external_url_serves(
    hass: HomeAssistant, pbx: Simulator, cloud: Cloud, add_account: AddAccount
) -> None:
    """Until there is one."""
    cloud.connected = False
    hass.config.external_url = "https://home.example"
    entry = await add_account(options=PUSH)
    await until(lambda: is_pushed(entry))
    assert [row.post_url for row in pbx.subscriptions] == [f"https://home.example{hook_of(entry)}"]
    # Connected later, it moves there.
    cloud.connected = True
    await until(lambda: [row.post_url for row in pbx.subscriptions] == [CLOUDHOOK])


async def test_without_a_subscription_of_the_cloud_the_external_url_serves(
    hass: HomeAssistant, pbx: Simulator, cloud: Cloud, add_account: AddAccount
) -> None:
    """A login to the cloud alone makes no cloudhook."""
    cloud.subscribed = False
    hass.config.external_url = "https://home.example"
    entry = await add_account(options=PUSH)
    await until(lambda: is_pushed(entry))
    assert [row.post_url for row in pbx.subscriptions] == [f"https://home.example{hook_of(entry)}"]
    assert cloud.hooks == {}
    # Where there is no cloudhook to delete, the rest is taken back all the same.
    await hass.config_entries.async_remove(entry.entry_id)
    assert pbx.subscriptions == []
    assert hass.config_entries.async_entries(DOMAIN) == []


async def test_neither_is_logged_secret(
    pbx: Simulator, pushed: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """The webhook's id, by which anybody could post, does not get into the log."""
    caplog.set_level(logging.DEBUG, "custom_components.netsapiens")
    pbx.fault(FaultKind.STATUS, path=PATH, code=400, message=f"Invalid {pushed.data['webhook_id']}", times=3)
    pbx.subscription_book.rows.clear()
    await until(lambda: len(pbx.subscriptions) == 1)
    ours = [record for record in caplog.records if record.name.startswith("custom_components.netsapiens")]
    assert ours
    assert not any(pushed.data["webhook_id"] in record.getMessage() for record in ours)


async def test_other_options_leave_the_subscription_and_a_stopped_receiver_alone(
    hass: HomeAssistant, pbx: Simulator, pushed: MockConfigEntry
) -> None:
    """Only what concerns it touches it."""
    receiver = pushed.runtime_data.receiver
    poller = receiver.poller
    hass.config_entries.async_update_entry(pushed, options={**PUSH, "hourly_limit": 5})
    await hass.async_block_till_done()
    await receiver.async_apply()
    assert receiver.poller is poller
    assert len(pbx.subscriptions) == 1
    await receiver.async_stop()
    await receiver.async_apply()
    assert receiver.poller is None
