"""The options of an account."""

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.diagnostics import async_get_config_entry_diagnostics
from tests.config_flow.conftest import SECOND_NUMBER, options_of, required, shown
from tests.conftest import AddAccount
from tests.helpers import written
from tests.simulator import Simulator


async def test_options(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, setups: list[str]) -> None:
    """What was chosen is stored without a reload, and shown the next time."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=["18585550199", SECOND_NUMBER])
    entry = await add_account()
    setups.clear()
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert (form["step_id"], form["errors"]) == ("init", {})
    assert form["description_placeholders"]["login"] == "1001@acme.example"
    assert shown(form)["from_number"] == written("18585550199")
    assert options_of(form, "from_number") == [written("18585550199"), written(SECOND_NUMBER)]
    assert "from_number" in required(form)

    form = await hass.config_entries.options.async_configure(form["flow_id"], {"from_number": "555"})
    assert form["errors"] == {"from_number": "invalid_number"}
    assert shown(form)["from_number"] == "555"
    assert entry.options["from_number"] == "18585550199"

    result = await hass.config_entries.options.async_configure(form["flow_id"], {"from_number": "(858) 555-0198"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert entry.options["from_number"] == SECOND_NUMBER
    assert setups == []
    await hass.services.async_call("notify", "netsapiens", {"message": "Hi", "target": "8585550123"}, blocking=True)
    assert pbx.messages[0].from_number == SECOND_NUMBER


async def test_options_of_delivery(hass: HomeAssistant, entry: MockConfigEntry, setups: list[str]) -> None:
    """Counts and choices have their limits and defaults."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    counts = {"keep_undelivered", "hourly_limit", "mms_limit_kb"}
    assert {"incoming", "picture_text", "plain_characters", "save_pictures", "opt_out"} | counts <= required(form)
    fields = {str(marker): marker for marker in form["data_schema"].schema}
    assert fields["incoming"].default() == "poll"
    assert fields["mms_limit_kb"].default() == 600
    assert fields["picture_text"].default() == "separate"
    assert fields["opt_out"].default() is True
    assert options_of(form, "picture_text") == ["separate", "together"]
    assert fields["plain_characters"].default() is False
    assert fields["save_pictures"].default() == "recipients"
    assert options_of(form, "save_pictures") == ["recipients", "everybody", "nobody"]
    typed = {
        "from_number": "18585550199",
        "incoming": "off",
        "live_url": "https://core1.example.com:8001",
        "keep_undelivered": 60,
        "hourly_limit": 0,
        "mms_limit_kb": 700,
        "picture_text": "together",
        "opt_out": False,
        "plain_characters": True,
        "save_pictures": "everybody",
    }
    result = await hass.config_entries.options.async_configure(form["flow_id"], typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert dict(entry.options) == typed
    shown_openly = (await async_get_config_entry_diagnostics(hass, entry))["options"]
    assert shown_openly == {key: value for key, value in typed.items() if key != "from_number"} | {"live_url": True}
    assert all(type(entry.options[key]) is int for key in counts)
    # Another change keeps them, whether the form sends them back or not.
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert {key: shown(form)[key] for key in typed} == {**typed, "from_number": written(typed["from_number"])}
    await hass.config_entries.options.async_configure(
        form["flow_id"], {"from_number": "858 555 0198", "live_url": typed["live_url"]}
    )
    await hass.async_block_till_done()
    assert dict(entry.options) == {**typed, "from_number": SECOND_NUMBER}
    assert setups == []


async def test_options_of_an_account_without_numbers(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, setups: list[str]
) -> None:
    """Who only chats need not choose a number."""
    pbx.first_user.numbers.clear()
    entry = await add_account(options={"from_number": "18585550199"})
    setups.clear()
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert "from_number" not in required(form)
    result = await hass.config_entries.options.async_configure(form["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert "from_number" not in entry.options
    assert setups == []


async def test_options_while_the_account_is_not_loaded(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Nothing is known of the numbers then; what is set must not get lost by opening the form."""
    assert await hass.config_entries.async_unload(entry.entry_id)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert shown(form)["from_number"] == written("18585550199")
    result = await hass.config_entries.options.async_configure(form["flow_id"], shown(form))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options["from_number"] == "18585550199"


@pytest.mark.parametrize(
    ("typed", "error"),
    [("http://core1.example.com:8001", "insecure_url"), ("https://core1.example.com/x", "invalid_url")],
)
async def test_an_address_that_cannot_be_a_live_server(
    hass: HomeAssistant, entry: MockConfigEntry, typed: str, error: str
) -> None:
    """The address of the live server is checked where it is typed: the JWT must not go out in clear."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    counts = {"keep_undelivered": 60, "hourly_limit": 0, "mms_limit_kb": 700}
    choices = {"from_number": "18585550199", "incoming": "live", "picture_text": "together"}
    form = await hass.config_entries.options.async_configure(form["flow_id"], {**choices, **counts, "live_url": typed})
    assert form["errors"] == {"live_url": error}


@pytest.mark.parametrize("around", ["\u200b", "\ufeff \u2060", "\u00a0"])
async def test_the_address_of_a_live_server_as_it_is_pasted(
    hass: HomeAssistant, entry: MockConfigEntry, around: str
) -> None:
    """What comes along when it is pasted does no harm; alone, it is no address."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    typed = {"from_number": "18585550199", "incoming": "off", "live_url": f"{around}core1.example.com:8001{around}"}
    result = await hass.config_entries.options.async_configure(form["flow_id"], typed)
    assert result["data"]["live_url"] == "https://core1.example.com:8001"
    form = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(form["flow_id"], {**typed, "live_url": around})
    assert "live_url" not in result["data"]
