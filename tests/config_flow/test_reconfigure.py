"""Another host, or other credentials."""

from typing import Any

from homeassistant.config_entries import (
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.config_flow.conftest import REFUSED, SECRETS, dead_url, required, shown, submit
from tests.conftest import AddAccount
from tests.simulator import Simulator


async def test_reconfigure_the_host(
    hass: HomeAssistant, pbx: Simulator, other_pbx: Simulator, entry: MockConfigEntry, setups: list[str]
) -> None:
    """The account moves to another host, and keeps all that it is."""
    before = dict(entry.data)
    form = await entry.start_reconfigure_flow(hass)
    assert (form["step_id"], form["errors"]) == ("reconfigure", {})
    assert form["description_placeholders"] == {"login": "1001@acme.example"}
    assert shown(form) == {
        "base_url": pbx.url,
        "client_id": "example-client",
        "username": "1001@acme.example",
        "verify_ssl": True,
    }
    assert not required(form) & set(SECRETS)
    result = await submit(
        hass, form, {**shown(form), "base_url": f"{other_pbx.url}/ns-api", "password": "", "client_secret": ""}
    )
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert dict(entry.data) == {**before, "base_url": other_pbx.url}
    assert setups == [entry.entry_id]
    assert entry.state is ConfigEntryState.LOADED
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True)
    assert ([m.text for m in other_pbx.messages], pbx.messages) == (["Hi"], [])


async def test_reconfigure_without_a_change(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, setups: list[str]
) -> None:
    """Submitting the form as it is loads the account once more and no less."""
    form = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, form, shown(form))
    assert result["reason"] == "reconfigure_successful"
    assert setups == [entry.entry_id]


async def test_reconfigure_errors(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    setups: list[str],
    account: dict[str, Any],
) -> None:
    """Each mistake is shown at its field, and none is stored."""
    before = dict(entry.data)
    form = await entry.start_reconfigure_flow(hass)
    for typed, errors in (
        ({"base_url": "?"}, {"base_url": "invalid_url"}),
        ({"base_url": "http://pbx.example"}, {"base_url": "insecure_url"}),
        ({"base_url": dead_url()}, {"base": "cannot_connect"}),
        ({"password": "wrong-password"}, {"base": "invalid_auth"}),
        ({"client_secret": "wrong-secret"}, {"base": "invalid_auth"}),
    ):
        form = await submit(hass, form, {**account, **typed})
        assert (form["step_id"], form["errors"]) == ("reconfigure", errors)
        gone = SECRETS if set(errors.values()) & REFUSED else ()
        assert shown(form) == {key: value for key, value in {**account, **typed}.items() if key not in gone}
        assert dict(entry.data) == before
    assert setups == []
    pbx.first_user.password = "new-password"
    result = await submit(hass, form, {**account, "password": "new-password"})
    assert result["reason"] == "reconfigure_successful"
    assert dict(entry.data) == {**before, "password": "new-password"}
    assert setups == [entry.entry_id]


async def test_reconfigure_to_another_account(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, setups: list[str]
) -> None:
    """Another login must be one of the same account."""
    pbx.add_user("1002@acme.example")
    before = dict(entry.data)
    form = await entry.start_reconfigure_flow(hass)
    typed = {**shown(form), "username": "1002@acme.example", "password": "example-password"}
    form = await submit(hass, form, typed)
    assert (form["type"], form["errors"]) == (FlowResultType.FORM, {"username": "account_mismatch"})
    assert shown(form) == {key: value for key, value in typed.items() if key != "password"}
    assert dict(entry.data) == before
    assert setups == []
    result = await submit(hass, form, {**typed, "username": "1001@acme.example"})
    assert result["reason"] == "reconfigure_successful"


async def test_reconfigure_an_entry_that_did_not_load(
    hass: HomeAssistant,
    pbx: Simulator,
    other_pbx: Simulator,
    add_account: AddAccount,
    setups: list[str],
    expected_warnings: list[str],
) -> None:
    """An account that cannot load is mended by its dialog."""
    expected_warnings.append("not ready yet")
    await pbx.stop()
    entry = await add_account(setup=False)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    form = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, form, {**shown(form), "base_url": other_pbx.url})
    assert result["reason"] == "reconfigure_successful"
    assert entry.state is ConfigEntryState.LOADED
    assert setups == [entry.entry_id] * 2
