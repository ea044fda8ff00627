"""Recipients whose data is damaged, as hand-edited storage has them: passed over, and said so."""

from typing import Any

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.diagnostics import async_get_config_entry_diagnostics
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.delivery.test_queue import texts
from tests.helpers import entity_of, until
from tests.receiving.test_poller import ANN, FROM_ANN, MESSAGES
from tests.simulator import Simulator

pytestmark = pytest.mark.usefixtures("quick_inbox")

DAMAGED: list[dict[str, Any]] = [
    {},
    {"destination": None},
    {"destination": 5},
    {"destination": "18585550124"},
    {"destination": []},
    {"destination": [18585550124]},
    {"destination": ["18585550124", None]},
    {"destination": ["18585550124"], "group": "yes"},
    {"destination": ["18585550124"], "from_number": 18585550199},
]


def broken(data: dict[str, Any]) -> ConfigSubentryData:
    """A recipient that cannot be read."""
    return {**recipient("Broken", "18585550124", recipient_id="broken"), "data": data}


def issues(hass: HomeAssistant) -> list[Any]:
    """The repair issues of recipients."""
    return [issue for issue in ir.async_get(hass).issues.values() if issue.translation_key == "recipient_damaged"]


@pytest.mark.parametrize("data", DAMAGED)
async def test_a_damaged_recipient_stops_nothing(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, entity_events: EntityEvents, data: dict[str, Any]
) -> None:
    """The account loads, others are texted, and an issue says which one it is."""
    entry = await add_account(broken(data), recipient("Ann", ANN))
    await until(lambda: entry.runtime_data.poller.checkpoint is not None)
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == entity_events.texts(FROM_ANN) == ["Hi"])
    [issue] = issues(hass)
    assert issue.translation_placeholders == {"account": "1001@acme.example", "recipient": "Broken"}
    assert (await async_get_config_entry_diagnostics(hass, entry))["damaged_recipients"] == 1
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Out"}, blocking=True)
    for action, fields in (
        ("notify.netsapiens_broken", {"message": "Out"}),
        ("notify.send_message", {"entity_id": "notify.broken", "message": "Out"}),
    ):
        with pytest.raises(ServiceValidationError) as raised:
            await hass.services.async_call(*action.split("."), fields, blocking=True)
        assert raised.value.translation_key == "recipient_damaged"
    with pytest.raises(HomeAssistantError) as failed:
        await hass.services.async_call(
            DOMAIN, "send_message", {"entity_id": ["notify.broken", "notify.ann"], "message": "Both"}, blocking=True
        )
    assert failed.value.translation_placeholders["failed"] == "1"
    assert "Broken: " in failed.value.translation_placeholders["details"]
    assert texts(pbx) == ["Out", "Both"]


@pytest.mark.parametrize("data", DAMAGED)
async def test_a_damaged_recipient_is_mended_by_reconfiguring_it(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, data: dict[str, Any]
) -> None:
    """The issue goes with the next numbers."""
    entry = await add_account(broken(data))
    assert len(issues(hass)) == 1
    flow = await entry.start_subentry_reconfigure_flow(hass, "broken")
    assert flow["type"] == "form"
    form = {"name": "Mended", "destination": ["18585550124"], "group": False}
    done = await hass.config_entries.subentries.async_configure(flow["flow_id"], form)
    assert done["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert issues(hass) == []


async def test_the_issue_goes_with_the_recipient(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Or with the recipient."""
    entry = await add_account(broken({}), recipient("Ann", ANN))
    hass.config_entries.async_remove_subentry(entry, "broken")
    await hass.async_block_till_done()
    assert issues(hass) == []


async def test_the_issue_goes_with_the_account(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Or with the account."""
    entry = await add_account(broken({}))
    await hass.config_entries.async_remove(entry.entry_id)
    assert issues(hass) == []


@pytest.mark.parametrize("listener", ["account", "recipient"])
async def test_each_listener_hears_by_itself_and_the_account_first(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
    listener: str,
) -> None:
    """One that breaks keeps no other from hearing."""
    entry = await add_account(recipient("Ann", ANN, recipient_id="ann"), recipient("Also", ANN, recipient_id="also"))
    await until(lambda: entry.runtime_data.poller.checkpoint is not None)

    def fail() -> None:
        raise RuntimeError("oops")

    entity_of(hass, MESSAGES if listener == "account" else FROM_ANN).async_write_ha_state = fail
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts("event.also_messages") == ["Hi"])
    assert entity_events.texts() == ([] if listener == "account" else ["Hi"])
    assert entity_events.texts(FROM_ANN) == (["Hi"] if listener == "account" else [])
    assert caplog.text.count("while calling a listener") == 1


async def test_whoever_it_is_from_the_account_hears_of_it(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where it cannot be said whose number it is."""
    entry = await add_account(recipient("Ann", ANN))
    await until(lambda: entry.runtime_data.poller.checkpoint is not None)

    def fail(*_: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr("custom_components.netsapiens.address_book.numbers_of", fail)
    await pbx.receive(from_number=ANN, text="Hi")
    await until(lambda: entity_events.texts() == ["Hi"])
