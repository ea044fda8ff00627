"""Entries that were edited or restored by hand: each stops nothing but itself, and says what to do."""

from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.netsapiens.diagnostics import async_get_config_entry_diagnostics
from tests.conftest import AddAccount, recipient
from tests.simulator import Simulator

ANN = "18585550123"


def damaged_options(hass: HomeAssistant) -> list[str]:
    """Return the options that a repair issue names."""
    issues = [one for one in ir.async_get(hass).issues.values() if one.translation_key == "options_damaged"]
    return [(one.translation_placeholders or {})["options"] for one in issues]


@pytest.mark.parametrize(
    "data",
    [
        {"recipient_actions": ["netsapiens_ann"]},
        {"recipient_actions": "x"},
        {"recipient_actions": None},
        {"recipient_actions": {"ann": "netsapiens_ann"}},
        {"recipient_actions": {"ann": {"base": "netsapiens_ann"}}},
        {"recipient_actions": {"ann": {"base": 7, "name": "netsapiens_ann"}}},
        {"recipient_actions": {"ann": {"base": "netsapiens_ann", "name": ["x"]}}},
        {"recipient_actions": {one: {"base": "b", "name": "netsapiens_x"} for one in ("ann", "bob")}},
        {"action": 7},
        {"action": ["netsapiens"]},
        {"action": "Not a name!"},
        {"webhook_id": 7, "cloudhook_url": ["x"]},
    ],
)
async def test_one_accounts_damaged_data_stop_no_account(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, data: dict[str, Any]
) -> None:
    """The other one loads and sends."""
    pbx.add_user("1002@acme.example", numbers=["18585550188"])
    damaged = await add_account(recipient("Ann", ANN, recipient_id="ann"), setup=False)
    hass.config_entries.async_update_entry(damaged, data={**damaged.data, **data})
    other = await add_account(recipient("Bob", ANN), login="1002@acme.example", action="netsapiens_two", setup=False)
    assert await hass.config_entries.async_setup(other.entry_id)
    await hass.async_block_till_done()
    assert [one.state for one in (damaged, other)] == [ConfigEntryState.LOADED] * 2
    names = [name for name in hass.services.async_services_for_domain("notify") if name.startswith("netsapiens")]
    assert len(names) == 4
    for name in names:
        await hass.services.async_call("notify", name, {"message": "Hi", "target": ANN}, blocking=True)
    assert await hass.config_entries.async_remove(damaged.entry_id)


@pytest.mark.parametrize(
    ("key", "value", "used"),
    [
        ("hourly_limit", "abc", 500),
        ("hourly_limit", -1, 500),
        ("hourly_limit", True, 500),
        ("keep_undelivered", "x", 15),
        ("keep_undelivered", float("nan"), 15),
        ("keep_undelivered", [15], 15),
        ("mms_limit_kb", None, 600),
        ("mms_limit_kb", float("inf"), 600),
        ("incoming", 7, "live"),
        ("incoming", "loud", "live"),
        ("incoming", ["off"], "live"),
        ("picture_text", {}, "separate"),
        ("plain_characters", "yes", False),
        ("save_pictures", "some", "recipients"),
        ("from_number", 12, None),
        ("live_url", "ftp://pbx.example", False),
        ("live_url", 7, False),
    ],
)
async def test_a_damaged_option_has_its_default(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, key: str, value: object, used: object
) -> None:
    """And an issue names it."""
    options = {"from_number": pbx.numbers[0], key: value}
    entry = await add_account(recipient("Ann", ANN, from_number=pbx.numbers[0]), options=options)
    assert entry.state is ConfigEntryState.LOADED
    assert damaged_options(hass) == [key]
    shown = await async_get_config_entry_diagnostics(hass, entry)
    assert shown["damaged_options"] == [key]
    assert shown["sender"] is None if key == "from_number" else shown["options"][key] == used
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True)
    assert [message.text for message in pbx.messages] == ["Hi"]
    form = await hass.config_entries.options.async_init(entry.entry_id)
    fields = {str(marker): marker for marker in form["data_schema"].schema}
    assert (fields[key].description or {}).get("suggested_value") is None
    assert key in {"from_number", "live_url"} or fields[key].default() == used
    filled = {name: marker.default() for name, marker in fields.items() if name not in {"from_number", "live_url"}}
    done = await hass.config_entries.options.async_configure(form["flow_id"], {**filled, "from_number": pbx.numbers[0]})
    assert done["type"] == "create_entry"
    await hass.async_block_till_done()
    assert damaged_options(hass) == []


@pytest.mark.parametrize(
    ("key", "value", "error", "signs_in_again"),
    [
        ("base_url", None, "address_damaged", False),
        ("base_url", ["x"], "address_damaged", False),
        ("base_url", "http://pbx.example", "address_damaged", False),
        ("username", None, "login_damaged", False),
        ("username", {}, "login_damaged", False),
        ("client_id", None, "invalid_auth", True),
        ("client_secret", 1.5e400, "invalid_auth", True),
        ("password", None, "invalid_auth", True),
    ],
)
async def test_missing_data_say_what_to_do(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    caplog: pytest.LogCaptureFixture,
    key: str,
    value: object,
    error: str,
    signs_in_again: bool,
) -> None:
    """Whatever is missing, the error leads to the dialog that mends it."""
    entry = await add_account(recipient("Ann", ANN), setup=False)
    good = dict(entry.data)
    kept = {name: what for name, what in good.items() if name != key}
    hass.config_entries.async_update_entry(entry, data=kept if value is None else {**kept, key: value})
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == error
    await async_get_config_entry_diagnostics(hass, entry)
    flows = [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()]
    assert flows == ([SOURCE_REAUTH] if signs_in_again else [])
    form = await entry.start_reconfigure_flow(hass)
    typed = {name: good[name] for name in ("base_url", "client_id", "client_secret", "username", "password")}
    done = await hass.config_entries.flow.async_configure(form["flow_id"], {**typed, "verify_ssl": True})
    assert done["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


async def test_a_damaged_entry_makes_no_second_error_at_the_end(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """Home Assistant ends without another word of it."""
    entry = await add_account(recipient("Ann", ANN), setup=False)
    hass.config_entries.async_update_entry(entry, data={"webhook_id": "kept"})
    assert not await hass.config_entries.async_setup(entry.entry_id)
    before = len(caplog.records)
    await hass.async_stop(force=True)
    assert [one.getMessage() for one in caplog.records[before:] if one.levelname in {"ERROR", "WARNING"}] == []
