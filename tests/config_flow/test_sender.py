"""The choice of the sender number."""

from typing import Any

from homeassistant.config_entries import (
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from tests.config_flow.conftest import SECOND_NUMBER, options_of, required, shown, start, submit
from tests.helpers import written
from tests.simulator import Simulator


async def _sender_form(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], *numbers: str) -> Any:
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=numbers)
    form = await submit(hass, await start(hass), account)
    assert (form["type"], form["step_id"], form["errors"]) == (FlowResultType.FORM, "sender", {})
    assert form["description_placeholders"] == {"login": "1001@acme.example", "listed": str(len(numbers))}
    assert ("none" in options_of(form, "from_number")) == (not numbers), "a choice only where none is listed"
    return form


async def test_several_numbers_are_a_choice(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    """With several numbers somebody has to say which one texts come from."""
    form = await _sender_form(hass, pbx, account, "18585550199", SECOND_NUMBER)
    assert options_of(form, "from_number") == [written("18585550199"), written(SECOND_NUMBER)]
    assert required(form) == {"from_number"}
    result = await submit(hass, form, {"from_number": SECOND_NUMBER})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert dict(result["options"]) == {"from_number": SECOND_NUMBER}
    assert "from_number" not in result["data"]


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (" (858) 555-0100 ", "18585550100"),
        ("+1 858.555.0100", "18585550100"),
        ("12345", "12345"),
        ("+44 20 7946 0958", "442079460958"),
    ],
)
async def test_a_number_can_be_typed(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], typed: str, stored: str
) -> None:
    """A number that the PBX does not list can be typed, as people write it."""
    form = await _sender_form(hass, pbx, account, "18585550199", SECOND_NUMBER)
    result = await submit(hass, form, {"from_number": typed})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert dict(result["options"]) == {"from_number": stored}


async def test_a_bad_number_is_shown_again(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    """What is no number is refused, and stays in the form."""
    form = await _sender_form(hass, pbx, account, "18585550199", SECOND_NUMBER)
    form = await submit(hass, form, {"from_number": "555-0123"})
    assert (form["step_id"], form["errors"]) == ("sender", {"from_number": "invalid_number"})
    assert shown(form) == {"from_number": "555-0123"}
    assert options_of(form, "from_number") == [written("18585550199"), written(SECOND_NUMBER)]
    result = await submit(hass, form, {"from_number": SECOND_NUMBER})
    assert dict(result["options"]) == {"from_number": SECOND_NUMBER}


async def test_blanks_are_no_choice_among_several(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    """Blanks do not get around the choice."""
    form = await _sender_form(hass, pbx, account, "18585550199", SECOND_NUMBER)
    form = await submit(hass, form, {"from_number": "  "})
    assert (form["step_id"], form["errors"]) == ("sender", {"from_number": "invalid_number"})
    result = await submit(hass, form, {"from_number": SECOND_NUMBER})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("typed", [{}, {"from_number": ""}, {"from_number": "  "}, {"from_number": "none"}])
async def test_without_numbers_it_may_stay_empty(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], typed: dict[str, Any]
) -> None:
    """Who only chats has no number to choose."""
    form = await _sender_form(hass, pbx, account)
    assert required(form) == set()
    result = await submit(hass, form, typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert dict(result["options"]) == {}


async def test_a_number_that_the_pbx_does_not_list(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]
) -> None:
    """A login that may not see the numbers can still be given one."""
    pbx.fault("status", path="/smsnumbers", code=403, message="Permission denied", times=None)
    form = await submit(hass, await start(hass), account)
    assert form["step_id"] == "sender"
    form = await submit(hass, form, {"from_number": "0199"})
    assert (form["step_id"], form["errors"]) == ("sender", {"from_number": "invalid_number"})
    result = await submit(hass, form, {"from_number": "858 555 0199"})
    assert dict(result["options"]) == {"from_number": "18585550199"}
    assert result["result"].state is ConfigEntryState.LOADED


async def test_the_country_of_the_home_counts(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    """A number without a country code is one of the home's country."""
    hass.config.country = "GB"
    form = await _sender_form(hass, pbx, account)
    result = await submit(hass, form, {"from_number": "020 7946 0958"})
    assert dict(result["options"]) == {"from_number": "442079460958"}


@pytest.mark.parametrize(
    ("country", "typed", "sender"),
    [
        ("DE", "+49 1512 3456789", "4915123456789"),
        ("DE", "+1 858-555-0199", "18585550199"),
        ("ID", "+62 812-345-678", "62812345678"),
        ("US", "+354 611 1234", "3546111234"),
    ],
)
async def test_texts_come_from_the_number_that_was_typed(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], country: str, typed: str, sender: str
) -> None:
    """Its digits are kept with the country code, and not read again as a number of the home's country."""
    hass.config.country = country
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=(sender,))
    pbx.fault("status", path="/smsnumbers", code=403, message="Permission denied", times=None)
    form = await submit(hass, await start(hass), account)
    result = await submit(hass, form, {"from_number": typed})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    for asked in ({}, {"from_number": typed}, {"from_number": int(sender)}):
        fields = {"message": "Hi", "destination": "+1 858-555-0123", **asked}
        await hass.services.async_call("netsapiens", "send_message", fields, blocking=True)
    sent = [one.body["from-number"] for one in pbx.requests if one.method == "POST" and one.path.endswith("/messages")]
    assert sent == [sender] * 3
