"""Adding, changing and removing recipients."""

from typing import Any

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.phone_metadata import async_load_metadata
from tests.config_flow.conftest import options_of, required, shown
from tests.conftest import AddAccount, recipient
from tests.helpers import written
from tests.simulator import Simulator


async def _recipient_form(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "recipient"), context={"source": SOURCE_USER}
    )
    assert (form["type"], form["step_id"], form["errors"]) == (FlowResultType.FORM, "user", {})
    return form


async def _fill_in(hass: HomeAssistant, form: Any, data: dict[str, Any]) -> Any:
    result = await hass.config_entries.subentries.async_configure(form["flow_id"], dict(data))
    await hass.async_block_till_done()
    return result


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (["(858) 555-0123"], ["+1 858-555-0123"]),
        ("(858) 555-0123", ["+1 858-555-0123"]),
        (["+1 858 555 0123", "858.555.0124"], ["+1 858-555-0123", "+1 858-555-0124"]),
        ("858 555 0123, 858 555 0124", ["+1 858-555-0123", "+1 858-555-0124"]),
        (["858 555 0123;858 555 0124\n858 555 0125"], ["+1 858-555-0123", "+1 858-555-0124", "+1 858-555-0125"]),
        (["8585550123", "18585550123", "+1 (858) 555-0123", ""], ["+1 858-555-0123"]),
        (["1002"], ["1002"]),
        (["12345", "858-555-0123"], ["12345", "+1 858-555-0123"]),
        (["\N{FULLWIDTH DIGIT EIGHT}58 555 0123"], ["+1 858-555-0123"]),
    ],
)
async def test_add_a_recipient(
    hass: HomeAssistant, entry: MockConfigEntry, setups: list[str], typed: Any, stored: list[str]
) -> None:
    """Numbers are taken as people write them, and the recipient is there without a reload."""
    form = await _recipient_form(hass, entry)
    assert required(form) == {"name", "destination"}
    assert options_of(form, "from_number") == [written("18585550199")]
    result = await _fill_in(hass, form, {"name": "  Bob ", "destination": typed})
    assert (result["type"], result["title"]) == (FlowResultType.CREATE_ENTRY, "Bob")
    bob = next(one for one in entry.subentries.values() if one.title == "Bob")
    assert (bob.subentry_type, dict(bob.data)) == ("recipient", {"destination": stored, "group": False})
    assert setups == []
    assert hass.states.get("notify.bob") is not None
    assert hass.services.has_service("notify", "netsapiens_bob")


async def test_add_a_group_with_its_own_sender(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, setups: list[str]
) -> None:
    """A group, and a number of its own to text from."""
    form = await _recipient_form(hass, entry)
    typed = {"name": "Family", "destination": ["8585550123", "8585550124"], "group": True, "from_number": "858 5550199"}
    await _fill_in(hass, form, typed)
    family = next(one for one in entry.subentries.values() if one.title == "Family")
    assert dict(family.data) == {
        "destination": ["+1 858-555-0123", "+1 858-555-0124"],
        "group": True,
        "from_number": "18585550199",
    }
    assert setups == []


@pytest.mark.parametrize(
    ("typed", "errors"),
    [
        ({"destination": ["555-0123"]}, {"destination": "invalid_number"}),
        ({"destination": ["8585550123", "nobody"]}, {"destination": "invalid_number"}),
        ({"destination": ["8585550123", "1002"]}, {"group": "mixed_group"}),
        ({"destination": ["8585550123, 1002", "8585550124"]}, {"group": "mixed_group"}),
        ({"destination": ["12345", "101"]}, {"group": "mixed_group"}),
        ({"destination": ["8585550123,,123"]}, {"destination": "invalid_number"}),
        ({"destination": ["8585550123;123"]}, {"destination": "invalid_number"}),
        ({"destination": ["8585550123, 12"]}, {"destination": "invalid_number"}),
        ({"destination": []}, {"destination": "invalid_number"}),
        ({"destination": [" , "]}, {"destination": "invalid_number"}),
        ({"name": "  "}, {"name": "name_required"}),
        ({"name": " ", "destination": ["x"]}, {"name": "name_required", "destination": "invalid_number"}),
        ({"from_number": "1002"}, {"from_number": "invalid_number"}),
        ({"from_number": "+1 858"}, {"from_number": "invalid_number"}),
    ],
)
async def test_a_recipient_with_a_mistake(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    setups: list[str],
    typed: dict[str, Any],
    errors: dict[str, str],
) -> None:
    """Each mistake is shown at its field, with all that was typed."""
    good = {"name": "Bob", "destination": ["8585550123"], "group": True}
    form = await _fill_in(hass, await _recipient_form(hass, entry), {**good, **typed})
    assert (form["type"], form["step_id"], form["errors"]) == (FlowResultType.FORM, "user", errors)
    assert shown(form) == {**good, **typed}
    assert setups == []
    result = await _fill_in(hass, form, good)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert setups == []


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ({"destination": ["8585550123", "555-0123", "nobody"]}, "555-0123, nobody"),
        ({"destination": ["8585550123,,123"], "from_number": "1002"}, "8585550123,,123, 1002"),
        ({"destination": [""]}, "-"),
    ],
)
async def test_the_number_that_is_wrong_is_named(
    hass: HomeAssistant, entry: MockConfigEntry, typed: dict[str, Any], number: str
) -> None:
    """Of several numbers the one that is wrong is named."""
    form = await _recipient_form(hass, entry)
    for _ in range(2):
        form = await _fill_in(hass, form, {"name": "Bob", **typed})
        assert set(form["errors"].values()) == {"invalid_number"}
        assert form["description_placeholders"] == {"number": number}
    result = await _fill_in(hass, form, {"name": "Bob", "destination": ["8585550123", "1002"], "group": False})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_change_a_recipient(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, setups: list[str]
) -> None:
    """What is changed counts at once, without a reload."""
    entry = await add_account(recipient("Ann", "18585550123", recipient_id="ann", from_number="18585550199"))
    setups.clear()
    form = await entry.start_subentry_reconfigure_flow(hass, "ann")
    assert (form["step_id"], form["errors"]) == ("reconfigure", {})
    assert shown(form) == {
        "name": "Ann",
        "destination": ["(858) 555-0123"],
        "group": False,
        "from_number": "(858) 555-0199",
    }
    form = await _fill_in(hass, form, {"name": "Ann", "destination": ["?"]})
    assert (form["step_id"], form["errors"]) == ("reconfigure", {"destination": "invalid_number"})
    result = await _fill_in(hass, form, {"name": "Ann", "destination": ["858 555 0124"], "group": False})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert dict(entry.subentries["ann"].data) == {"destination": ["+1 858-555-0124"], "group": False}
    assert setups == []
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True)
    assert pbx.messages[0].destination == ["18585550124"]


@pytest.mark.parametrize(
    ("country", "typed", "stored", "again"),
    [
        ("US", ["(858) 555-0124", "1002"], ["+1 858-555-0124", "1002"], ["(858) 555-0124", "1002"]),
        (
            "DE",
            ["030 901820", "+1 858 555 0124"],
            ["+49 30 901820", "+1 858-555-0124"],
            ["030 901820", "+1 858-555-0124"],
        ),
    ],
)
async def test_the_form_shows_numbers_as_people_write_them(
    hass: HomeAssistant, entry: MockConfigEntry, country: str, typed: list[str], stored: list[str], again: list[str]
) -> None:
    """Stored digits are shown as they are written in the home's country."""
    hass.config.country = country
    await _fill_in(hass, await _recipient_form(hass, entry), {"name": "Bob", "destination": typed})
    bob = next(one for one in entry.subentries.values() if one.title == "Bob")
    assert bob.data["destination"] == stored
    form = await entry.start_subentry_reconfigure_flow(hass, bob.subentry_id)
    assert shown(form)["destination"] == again
    await _fill_in(hass, form, shown(form))
    assert entry.subentries[bob.subentry_id].data["destination"] == stored


async def test_devices_show_numbers(
    hass: HomeAssistant, entry: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """The account's its sender; a recipient's no more than the last digits, since every user may see it."""

    def models() -> dict[str, str | None]:
        devices = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
        return {device.name or "": device.model for device in devices}

    await async_load_metadata(hass)
    await hass.config_entries.async_reload(entry.entry_id)
    await _fill_in(hass, await _recipient_form(hass, entry), {"name": "Us", "destination": ["858 555 0124", "1002"]})
    assert models() == {
        "1001@acme.example": "Texts from (858) 555-0199",
        "Ann": "Number ending in 0123",
        "Us": "Numbers ending in 0124, 1002",
    }
    form = await hass.config_entries.options.async_init(entry.entry_id)
    await hass.config_entries.options.async_configure(form["flow_id"], {"from_number": "858 555 0198"})
    await hass.async_block_till_done()
    assert models()["1001@acme.example"] == "Texts from (858) 555-0198"


async def test_rename_a_recipient(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    setups: list[str],
    device_registry: dr.DeviceRegistry,
) -> None:
    """The entities keep their ids, so automations go on."""
    entry = await add_account(recipient("Ann", "18585550123", recipient_id="ann"))
    setups.clear()
    form = await entry.start_subentry_reconfigure_flow(hass, "ann")
    await _fill_in(hass, form, {**shown(form), "name": "Anna Smith"})
    assert entry.subentries["ann"].title == "Anna Smith"
    assert "name" not in entry.subentries["ann"].data
    assert setups == []
    assert hass.services.has_service("notify", "netsapiens_anna_smith")
    assert not hass.services.has_service("notify", "netsapiens_ann")
    devices = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    assert sorted(device.name or "" for device in devices) == ["1001@acme.example", "Anna Smith"]
    state = hass.states.get("notify.ann")  # automations name it: it stays
    assert state is not None
    assert state.name == "Anna Smith"


async def test_change_nothing(hass: HomeAssistant, add_account: AddAccount, setups: list[str]) -> None:
    """Submitting the form as it is changes and reloads nothing."""
    entry = await add_account(recipient("Ann", "18585550123", recipient_id="ann"))
    setups.clear()
    form = await entry.start_subentry_reconfigure_flow(hass, "ann")
    result = await _fill_in(hass, form, shown(form))
    assert result["reason"] == "reconfigure_successful"
    assert setups == []


async def test_remove_a_recipient(
    hass: HomeAssistant,
    add_account: AddAccount,
    setups: list[str],
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    """Its device and entities go with it, and nobody else's."""
    entry = await add_account(
        recipient("Ann", "18585550123", recipient_id="ann"), recipient("Bob", "18585550124", recipient_id="bob")
    )
    setups.clear()
    hass.config_entries.async_remove_subentry(entry, "ann")
    await hass.async_block_till_done()
    assert setups == []
    assert not hass.services.has_service("notify", "netsapiens_ann")
    assert hass.services.has_service("notify", "netsapiens_bob")
    assert hass.states.get("notify.ann") is None
    assert entity_registry.async_get("notify.ann") is None
    devices = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    assert sorted(device.name or "" for device in devices) == ["1001@acme.example", "Bob"]
    assert "ann" not in entry.data["recipient_actions"]


async def test_a_recipient_of_an_account_that_is_not_loaded(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """One can be added while the account is not loaded."""
    assert await hass.config_entries.async_unload(entry.entry_id)
    form = await _recipient_form(hass, entry)
    assert options_of(form, "from_number") == []
    result = await _fill_in(hass, form, {"name": "Bob", "destination": ["8585550124"]})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert hass.services.has_service("notify", "netsapiens_bob")
