"""Who texts STOP gets nothing more from that number until they text START, over restarts and whatever the disk does."""

import asyncio
from collections.abc import Callable
from copy import replace
from datetime import timedelta
import json
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.outgoing import OutgoingMessage
from custom_components.netsapiens.receiving.opt_out_store import OptOut
from custom_components.netsapiens.refusals import Refusals
from tests.conftest import AddAccount, EntityEvents, close, recipient
from tests.helpers import until
from tests.receiving.test_poller import hass_storage, set_place  # noqa: F401
from tests.simulator import FaultKind, Simulator

ANN, BOB, EVE = "18585550123", "18585550124", "18585550125"
OWN, SECOND = "18585550199", "18585550142"
SENSOR = "binary_sensor.ann_opted_out"

pytestmark = pytest.mark.usefixtures("quick_inbox")


@pytest.fixture
async def looking(hass: HomeAssistant, add_account: AddAccount, entity_events: EntityEvents) -> MockConfigEntry:
    """An account with Ann, Bob and their group, whose poller has looked once."""
    entry = await add_account(recipient("Ann", ANN), recipient("Bob", BOB), recipient("Family", ANN, BOB, group=True))
    await until(entry.runtime_data.poller.ready.is_set)
    return entry


def file_of(hass: HomeAssistant, entry: MockConfigEntry) -> Path:
    """Return where it is kept who opted out."""
    return Path(hass.config.path(".storage", f"netsapiens.opt_outs.{entry.entry_id}"))


async def text(pbx: Simulator, entity_events: EntityEvents, words: str, sender: str = ANN, **kwargs: Any) -> None:
    """Text us, and wait until that was reported and is on disk."""
    before = len(entity_events.texts())
    await pbx.receive(from_number=sender, text=words, **kwargs)
    await until(lambda: len(entity_events.texts()) > before)
    await asyncio.sleep(0.2)


async def send(hass: HomeAssistant, **data: Any) -> list[dict[str, Any]]:
    """Send a text; return the rows of the response."""
    answer = await hass.services.async_call(
        DOMAIN, "send_message", {"message": "Hi", **data}, blocking=True, return_response=True
    )
    return answer["messages"]


async def refused(hass: HomeAssistant, **data: Any) -> str:
    """Expect that somebody opted out; return the words of the error."""
    with pytest.raises(ServiceValidationError) as caught:
        await send(hass, **data)
    assert caught.value.translation_key == "opted_out"
    return str(caught.value)


def issues(hass: HomeAssistant) -> list[ir.IssueEntry]:
    """Return the issues of those who opted out."""
    return [one for one in ir.async_get(hass).issues.values() if one.translation_key == "opted_out"]


async def test_stop_ends_texts_and_start_undoes_it(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The error names her and what she has to text; the issue comes and goes."""
    await text(pbx, entity_events, "please stop the music")
    assert len(await send(hass, entity_id="notify.ann")) == 1
    await text(pbx, entity_events, "Stop.")
    words = await refused(hass, entity_id="notify.ann")
    assert "Ann" in words
    assert "START" in words
    assert "…0199" in words
    assert ANN not in words
    assert len(pbx.messages) == 1
    [issue] = issues(hass)
    assert issue.is_fixable
    assert issue.translation_placeholders == {"account": "1001@acme.example", "recipient": "Ann", "number": "…0199"}
    assert ANN not in issue.issue_id
    await text(pbx, entity_events, "start!")
    assert issues(hass) == []
    assert len(await send(hass, entity_id="notify.ann")) == 1
    assert entity_events.texts() == ["please stop the music", "Stop.", "start!"]  # each is reported like any text
    assert len(pbx.messages) == 2  # and none is answered by itself


async def test_each_way_to_send_refuses(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The notify entity, the actions by name, a bare number, an answer in the conversation, a group, media alone."""
    session = (await pbx.receive(from_number=ANN, text="STOP")).messagesession
    await until(lambda: entity_events.texts() == ["STOP"])
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("notify", "send_message", {"entity_id": "notify.ann", "message": "Hi"}),
        ("notify", "netsapiens_ann", {"message": "Hi"}),
        ("notify", "netsapiens", {"message": "Hi", "target": "(858) 555-0123"}),
        (DOMAIN, "send_message", {"message": "Hi", "destination": "858-555-0123"}),
        (DOMAIN, "send_message", {"message": "Hi", "messagesession": session}),
        (DOMAIN, "send_message", {"message": "Hi", "entity_id": "notify.family"}),
        (DOMAIN, "send_message", {"message": "Hi", "destination": [EVE, ANN], "group": True}),
        (DOMAIN, "send_message", {"data": "AAAA", "mime_type": "image/jpeg", "destination": ANN}),
    ]
    for domain, action, data in calls:
        with pytest.raises(ServiceValidationError) as caught:
            await hass.services.async_call(domain, action, data, blocking=True)
        assert (caught.value.translation_key, caught.value.translation_domain) == ("opted_out", DOMAIN), action
        assert "Ann" in str(caught.value), action
    assert pbx.messages == []


async def test_others_of_the_call_get_theirs(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The error names only who opted out, also beside other failures."""
    await text(pbx, entity_events, "Stop")
    words = await refused(hass, entity_id=["notify.ann", "notify.bob"], destination=EVE)
    assert "Ann" in words
    assert "Bob" not in words
    assert sorted(message.destination for message in pbx.messages) == [[BOB], [EVE]]
    await text(pbx, entity_events, "UNSUBSCRIBE", BOB)
    words = await refused(hass, entity_id=["notify.ann", "notify.bob"])
    assert "Ann, Bob" in words
    pbx.fault("status", path="/messages", method="POST", code=400, message="Number blocked")
    with pytest.raises(HomeAssistantError, match="2 of 2") as caught:
        await send(hass, destination=[EVE, ANN], keep_for=0)
    assert caught.value.translation_key == "some_failed"
    assert "START" in str(caught.value)


async def test_the_hourly_limit_does_not_count_what_is_refused(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """An alert that repeats to somebody who opted out keeps nobody else's texts back."""
    await text(pbx, entity_events, "Stop")
    hass.config_entries.async_update_entry(looking, options={**looking.options, "hourly_limit": 1})
    await hass.async_block_till_done()
    for _ in range(3):
        await refused(hass, entity_id="notify.ann")
    assert len(await send(hass, entity_id="notify.bob")) == 1


async def test_only_from_the_number_that_was_texted(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Another of our numbers, and chats, are another matter."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=[OWN, SECOND])
    entry = await add_account(recipient("Ann", ANN))
    await until(entry.runtime_data.poller.ready.is_set)
    await text(pbx, entity_events, "STOP", to_number=SECOND)
    assert len(await send(hass, destination=ANN)) == 1
    await refused(hass, destination=ANN, from_number=SECOND)
    before = len(entity_events.texts())
    await pbx.receive_chat("1002", "Stop")
    await until(lambda: len(entity_events.texts()) > before)
    words = await refused(hass, destination="1002")
    assert "…1001" in words
    assert len(await send(hass, destination="1003")) == 1


async def test_a_pbx_that_does_not_say_which_number_was_texted(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    hass_client: ClientSessionGenerator,
) -> None:
    """It may have been any of ours, so nothing comes from any; opting in and the dialog undo it, and chats go on."""
    assert await async_setup_component(hass, "repairs", {})
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=[OWN, SECOND])
    pbx.names_our_number = False
    entry = await add_account(recipient("Ann", ANN), recipient("Desk", "1002"))
    await until(entry.runtime_data.poller.ready.is_set)
    await text(pbx, entity_events, "STOP", to_number=SECOND)
    assert "…0199" in await refused(hass, entity_id="notify.ann")
    assert "…0142" in await refused(hass, destination=ANN, from_number=SECOND)
    assert len(await send(hass, entity_id="notify.desk")) == 1
    [issue] = issues(hass)
    assert issue.translation_placeholders == {"account": "1001@acme.example", "recipient": "Ann", "number": "…0199"}
    ann = next(one for one in entry.subentries.values() if one.title == "Ann")
    assert entry.runtime_data.refusals.opted_out(ann)
    await hass.config_entries.async_reload(entry.entry_id)
    await refused(hass, entity_id="notify.ann")
    await text(pbx, entity_events, "START", to_number=SECOND)
    assert issues(hass) == []
    await text(pbx, entity_events, "STOP", to_number=SECOND)
    client = await hass_client()
    [issue] = issues(hass)
    assert await confirm(client, await open_dialog(client, issue)) == "create_entry"
    assert len(await send(hass, entity_id="notify.ann")) == 1


async def test_opting_in_to_a_number_that_is_named_after_opting_out_of_one_that_was_not(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The last word counts: they want texts."""
    pbx.names_our_number = False
    await text(pbx, entity_events, "STOP")
    await refused(hass, entity_id="notify.ann")
    pbx.names_our_number = True
    await text(pbx, entity_events, "START")
    assert len(await send(hass, entity_id="notify.ann")) == 1


async def test_numbers_without_their_country_code(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Some PBXs list both numbers without it."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=[OWN[1:]])
    entry = await add_account(recipient("Ann", ANN), options={"from_number": OWN})
    await until(entry.runtime_data.poller.ready.is_set)
    await text(pbx, entity_events, "Stop", ANN[1:])
    await refused(hass, entity_id="notify.ann")


async def test_what_came_in_during_an_outage_keeps_its_order(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """STOP and START within one second, found by one poll."""
    await close(hass, looking)
    for words in ("STOP", "START"):
        await pbx.receive(from_number=ANN, text=words)
    for words in ("START", "STOP"):
        await pbx.receive(from_number=BOB, text=words)
    await hass.config_entries.async_setup(looking.entry_id)
    await until(lambda: len(entity_events.texts()) == 4)
    assert len(await send(hass, entity_id="notify.ann")) == 1
    await refused(hass, entity_id="notify.bob")


async def test_what_is_too_old_to_be_reported_opts_out_and_in_all_the_same(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents
) -> None:
    """Home Assistant was down for two days. The last word counts; one from before the account was added does not."""
    pbx.clock_offset = -60 * 3600.0
    await pbx.receive(from_number=EVE, text="STOP")
    pbx.clock_offset = 0.0
    entry = await add_account(recipient("Ann", ANN), recipient("Bob", BOB))
    await until(entry.runtime_data.poller.ready.is_set)
    await close(hass, entry)
    await set_place(hass, entry, lambda data: {**data, **{key: data[key] - 50 * 3600 for key in ("until", "wall")}})
    words = ((40, BOB, "STOP"), (35, ANN, "START"), (30, ANN, "STOP"), (29, EVE, "Hi"), (28, BOB, "START"))
    for hours, sender, word in (*words, (1, BOB, "Hello")):
        pbx.clock_offset = -hours * 3600.0
        await pbx.receive(from_number=sender, text=word)
    pbx.clock_offset = 0.0
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entity_events.texts() == ["Hello"])
    await until(lambda: [one.theirs for one in entry.runtime_data.opt_outs.current] == [ANN])
    await refused(hass, entity_id="notify.ann")
    assert len(await send(hass, entity_id="notify.bob")) == 1
    assert len(await send(hass, destination=EVE)) == 1
    await close(hass, entry)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await refused(hass, entity_id="notify.ann")


async def test_it_is_kept_over_reloads_and_restarts(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """On disk before the message counts as reported; removed with the account."""
    await text(pbx, entity_events, "Stop")
    path = file_of(hass, looking)
    assert json.loads(path.read_text())["data"] == {"opted_out": [{"ours": OWN, "theirs": ANN}]}
    assert path.stat().st_mode & 0o077 == 0
    await hass.config_entries.async_reload(looking.entry_id)
    await refused(hass, entity_id="notify.ann")
    await close(hass, looking)
    ir.async_get(hass).issues.clear()
    await hass.config_entries.async_setup(looking.entry_id)
    await refused(hass, entity_id="notify.ann")
    assert len(issues(hass)) == 1
    await hass.config_entries.async_remove(looking.entry_id)
    assert not path.exists()
    assert issues(hass) == []


async def test_a_message_counts_as_reported_only_once_its_opt_out_is_on_disk(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While the disk cannot be written, a kill must not lose a STOP; that it cannot is logged once."""
    path = file_of(hass, looking)
    path.mkdir()
    await pbx.receive(from_number=ANN, text="Stop")
    await until(lambda: entity_events.texts() == ["Stop"])
    await until(lambda: "could not save who opted out" in caplog.text)
    await refused(hass, entity_id="notify.ann")
    checkpoint = Path(hass.config.path(".storage", f"netsapiens.inbox.{looking.entry_id}"))
    before = checkpoint.read_bytes()
    await asyncio.sleep(0.5)
    assert checkpoint.read_bytes() == before
    assert caplog.text.count("could not save who opted out") == 1
    path.rmdir()
    await pbx.receive(from_number=BOB, text="Hello")
    await until(path.is_file)
    await until(lambda: checkpoint.read_bytes() != before)


@pytest.mark.parametrize("how", ["no JSON", "no list", "bad row", "nothing"])
async def test_a_damaged_file(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents, how: str
) -> None:
    """It is set aside and reported; rows that can be read still count, also after another restart."""
    await text(pbx, entity_events, "Stop")
    await text(pbx, entity_events, "Stop", BOB)
    path = file_of(hass, looking)
    await close(hass, looking)
    content = json.loads(path.read_text())
    if how == "no list":
        content["data"]["opted_out"] = 5
    elif how == "nothing":
        content["data"] = {}
    else:
        content["data"]["opted_out"][1] = {"ours": OWN, "theirs": 5}
    path.write_text("{" if how == "no JSON" else json.dumps(content))
    await hass.config_entries.async_setup(looking.entry_id)
    kinds = [one.translation_key for one in ir.async_get(hass).issues.values() if one.domain == DOMAIN]
    assert "opt_outs_damaged" in kinds
    assert list(path.parent.glob(f"{path.name}.*"))
    if how == "bad row":
        await refused(hass, entity_id="notify.ann")
        await until(looking.runtime_data.poller.ready.is_set)
        await until(path.exists)
        assert json.loads(path.read_text())["data"] == {"opted_out": [{"ours": OWN, "theirs": ANN}]}
    else:
        assert len(await send(hass, entity_id="notify.ann")) == 1
    assert len(await send(hass, entity_id="notify.bob")) == 1
    await text(pbx, entity_events, "Stop", EVE)
    kept = json.loads(path.read_text())["data"]["opted_out"]
    assert [row["theirs"] for row in kept] == ([ANN] if how == "bad row" else []) + [EVE]


async def test_with_the_option_off_nothing_is_refused(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """What was kept before counts again once it is on; what came in meanwhile does not."""
    await text(pbx, entity_events, "Stop")
    hass.config_entries.async_update_entry(looking, options={**looking.options, "opt_out": False})
    await hass.async_block_till_done()
    assert issues(hass) == []
    assert len(await send(hass, entity_id="notify.ann")) == 1
    await text(pbx, entity_events, "Stop", BOB)
    hass.config_entries.async_update_entry(looking, options={**looking.options, "opt_out": True})
    await hass.async_block_till_done()
    await refused(hass, entity_id="notify.ann")
    assert len(issues(hass)) == 1
    assert len(await send(hass, entity_id="notify.bob")) == 1


async def open_dialog(client: Any, issue: ir.IssueEntry) -> dict[str, Any]:
    """Open the dialog of a repair issue; return what it shows."""
    response = await client.post("/api/repairs/issues/fix", json={"handler": DOMAIN, "issue_id": issue.issue_id})
    shown: dict[str, Any] = await response.json()
    return shown


async def confirm(client: Any, dialog: dict[str, Any]) -> str:
    """Confirm it; return what follows."""
    response = await client.post(f"/api/repairs/issues/fix/{dialog['flow_id']}", json={})
    return str((await response.json())["type"])


async def test_the_dialog_lets_them_get_texts_again(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    hass_client: ClientSessionGenerator,
) -> None:
    """That is on disk once it is confirmed, also where the account is not loaded."""
    assert await async_setup_component(hass, "repairs", {})
    client = await hass_client()
    for unload in (False, True):
        await text(pbx, entity_events, "Stop")
        [issue] = issues(hass)
        if unload:
            await close(hass, looking)
        flow = await open_dialog(client, issue)
        assert flow["step_id"] == "confirm"
        assert flow["description_placeholders"]["recipient"] == "Ann"
        assert await confirm(client, flow) == "create_entry"
        assert json.loads(file_of(hass, looking).read_text())["data"] == {"opted_out": []}
        if unload:
            await hass.config_entries.async_setup(looking.entry_id)
        assert issues(hass) == []
        assert len(await send(hass, entity_id="notify.ann")) == 1


async def test_they_opt_in_while_the_dialog_is_open(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    hass_client: ClientSessionGenerator,
) -> None:
    """Confirming it changes nothing more, and raises no error."""
    assert await async_setup_component(hass, "repairs", {})
    client = await hass_client()
    await text(pbx, entity_events, "Stop")
    [issue] = issues(hass)
    flow = await open_dialog(client, issue)
    await text(pbx, entity_events, "Start")
    assert await confirm(client, flow) == "create_entry"
    assert len(await send(hass, entity_id="notify.ann")) == 1
    assert json.loads(file_of(hass, looking).read_text())["data"] == {"opted_out": []}


async def test_the_dialog_says_where_it_could_not_be_saved(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    entity_events: EntityEvents,
    hass_client: ClientSessionGenerator,
) -> None:
    """They stay opted out then: a restart must not change what a person was shown."""
    assert await async_setup_component(hass, "repairs", {})
    client = await hass_client()
    await text(pbx, entity_events, "Stop")
    [issue] = issues(hass)
    path = file_of(hass, looking)
    path.unlink()
    path.mkdir()
    flow = await open_dialog(client, issue)
    response = await client.post(f"/api/repairs/issues/fix/{flow['flow_id']}", json={})
    answer = await response.json()
    assert (answer["type"], answer["reason"]) == ("abort", "not_kept")
    assert len(issues(hass)) == 1
    await refused(hass, entity_id="notify.ann")


async def test_the_issue_names_whom_the_number_belongs_to(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """One of a group's numbers by its last digits, a stranger by those alone; names follow the recipients'."""
    await text(pbx, entity_events, "Stop", EVE)
    [issue] = issues(hass)
    assert issue.translation_placeholders["recipient"] == "…0125"
    family = next(one for one in looking.subentries.values() if one.title == "Family")
    hass.config_entries.async_update_subentry(looking, family, data={**family.data, "destination": [EVE, BOB]})
    await hass.async_block_till_done()
    [issue] = issues(hass)
    assert issue.translation_placeholders["recipient"] == "Family (…0125)"
    words = await refused(hass, entity_id="notify.family")
    assert "Family (…0125)" in words


async def test_the_diagnostic_entity(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """Disabled by default; where enabled, on while a text to the recipient would be refused."""
    registry = er.async_get(hass)
    entity = registry.async_get(SENSOR)
    assert entity is not None
    assert entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert hass.states.get(SENSOR) is None
    await text(pbx, entity_events, "Stop")
    registry.async_update_entity(SENSOR, disabled_by=None)
    registry.async_update_entity("binary_sensor.family_opted_out", disabled_by=None)
    await hass.config_entries.async_reload(looking.entry_id)
    await hass.async_block_till_done()
    assert hass.states.get(SENSOR).state == "on"
    assert hass.states.get("binary_sensor.family_opted_out").state == "on"
    await text(pbx, entity_events, "Start")
    assert hass.states.get(SENSOR).state == "off"
    await text(pbx, entity_events, "Stop")
    assert hass.states.get(SENSOR).state == "on"
    ann = next(one for one in looking.subentries.values() if one.title == "Ann")
    hass.config_entries.async_update_subentry(looking, ann, data={**ann.data, "destination": [EVE]})
    await hass.async_block_till_done()
    assert hass.states.get(SENSOR).state == "off"
    hass.config_entries.async_update_subentry(looking, ann, data={**ann.data, "destination": 5})
    await hass.async_block_till_done()
    assert hass.states.get(SENSOR).state == "unknown"
    hass.config_entries.async_remove_subentry(looking, ann.subentry_id)
    await hass.async_block_till_done()
    assert hass.states.get(SENSOR) is None
    assert registry.async_get(SENSOR) is None


async def test_what_waits_is_refused(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """The queue is asked to end just the messages to somebody who opted out, with the error that names them."""
    account = looking.runtime_data
    asked: list[tuple[Callable[[OutgoingMessage], bool], HomeAssistantError]] = []
    refusals = Refusals(
        account.coordinator, account.opt_outs, account.addresses, lambda which, err: asked.append((which, err))
    )
    refusals.async_check()
    assert asked == []
    await text(pbx, entity_events, "Stop")
    refusals.async_check()
    [(which, err)] = asked
    assert "Ann" in str(err)
    to_ann = OutgoingMessage((ANN,), "sms", "Hi", OWN, "a" * 32, None, None, "Ann")
    assert which(to_ann)
    assert which(replace(to_ann, destination=(BOB, ANN)))
    assert not which(replace(to_ann, destination=(BOB,)))
    assert not which(replace(to_ann, from_number=SECOND))


async def test_senders_without_a_number(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """A shop that texts "Stop" breaks nothing, and is shown under its name."""
    await text(pbx, entity_events, "Stop", "AMAZON")
    [issue] = issues(hass)
    assert issue.translation_placeholders["recipient"] == "amazon"
    assert looking.runtime_data.opt_outs.current == [OptOut(OWN, "amazon")]
    assert len(await send(hass, entity_id="notify.ann", keep_for=timedelta(seconds=5))) == 1


async def test_a_text_that_waits_ends_as_opted_out(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, entity_events: EntityEvents
) -> None:
    """It is reported as failed with its reason and never goes out; the one to Bob does."""
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", times=None, status=503)
    queue = looking.runtime_data.queue
    for name in ("ann", "bob"):
        [row] = await send(hass, entity_id=f"notify.{name}")
        assert row["status"] == "queued"
    await text(pbx, entity_events, "Stop")
    await until(lambda: queue.queued == 1)
    failed = [entity for entity, attributes in entity_events.events if attributes.get("reason") == "opted_out"]
    assert sorted(failed) == ["event.1001_acme_example_messages", "event.ann_messages"]
    pbx.clear_faults()
    await until(lambda: queue.queued == 0, within=30)
    assert [message.destination for message in pbx.messages] == [[BOB]]
