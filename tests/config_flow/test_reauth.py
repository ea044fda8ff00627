"""Signing in again."""

from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.config_entries import (
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.const import DOMAIN
from tests.config_flow.conftest import required, shown, submit
from tests.conftest import AddAccount
from tests.simulator import Simulator, User


def sign_ins(pbx: Simulator) -> list[dict[str, Any]]:
    """Return the bodies of the calls that signed in with a password."""
    bodies = [record.body for record in pbx.requests_to("/tokens")]
    return [body for body in bodies if body["grant_type"] == "password"]


async def test_reauth(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, setups: list[str], account: dict[str, Any]
) -> None:
    """A new password is taken after a wrong one, with what waits shown, and sends it."""
    pbx.first_user.password = "new-password"
    form = await entry.start_reauth_flow(hass)
    assert (form["step_id"], form["errors"]) == ("reauth_confirm", {})
    assert form["description_placeholders"]["login"] == "1001@acme.example"
    assert form["description_placeholders"]["username"] == "1001@acme.example"
    assert required(form) == {"password"}
    before = dict(entry.data)

    form = await submit(hass, form, {"password": "wrong-password"})
    assert (form["step_id"], form["errors"]) == ("reauth_confirm", {"base": "invalid_auth"})
    assert shown(form) == {}
    assert dict(entry.data) == before
    assert setups == []

    pbx.requests.clear()
    result = await submit(hass, form, {"password": "new-password", "client_id": "", "client_secret": ""})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reauth_successful")
    assert dict(entry.data) == {**before, "password": "new-password"}
    assert setups == [entry.entry_id]
    assert entry.state is ConfigEntryState.LOADED
    assert [body["password"] for body in sign_ins(pbx)] == ["new-password"] * 2  # the form's, and the reload's


@pytest.mark.parametrize(("texts", "language"), [(1, "en"), (2, "en"), (1, "de")])
async def test_reauth_says_what_waits(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    texts: int,
    language: str,
) -> None:
    """Values alone, whatever the house's language is: the words are those of the browser."""
    await hass.config.async_update(language=language, time_zone="America/Los_Angeles")
    await hass.async_block_till_done()
    pbx.first_user.password = "new-password"
    pbx.revoke_tokens(refresh=True)
    for hours in range(1, texts + 1):
        fields = {"message": f"Text {hours}", "destination": "8585550123", "keep_for": {"hours": 24 * hours}}
        answer = await hass.services.async_call(DOMAIN, "send_message", fields, blocking=True, return_response=True)
        assert "queued" in str(answer)
    first = entry.runtime_data.queue.first_deadline
    assert timedelta(hours=23) < first - dt_util.utcnow() <= timedelta(hours=24)
    monkeypatch.setattr(type(entry.runtime_data.queue), "first_deadline", datetime(2026, 3, 1, 18, 0, 30, tzinfo=UTC))
    form = await entry.start_reauth_flow(hass)
    assert waiting(form) == (str(texts), "2026-03-01 10:00")
    assert entry.runtime_data.queue.queued == texts


def waiting(form: Any) -> tuple[str, str]:
    """Return how many texts a form says that wait, and until when."""
    return form["description_placeholders"]["waiting"], form["description_placeholders"]["until"]


async def test_reauth_says_nothing_where_nothing_waits(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """No count is shown of an account that has nothing to lose."""
    form = await entry.start_reauth_flow(hass)
    assert waiting(form) == ("0", "-")
    assert await hass.config_entries.async_unload(entry.entry_id)
    form = await entry.start_reauth_flow(hass)
    assert waiting(form) == ("-", "-")


async def test_reauth_with_a_new_client(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, setups: list[str]
) -> None:
    """A new client of the API can be entered beside the password."""
    pbx.client_id, pbx.client_secret = "new-client", "new-secret"
    form = await entry.start_reauth_flow(hass)
    form = await submit(hass, form, {"password": "example-password", "client_id": "new-client"})
    assert form["errors"] == {"base": "invalid_auth"}
    assert shown(form) == {"client_id": "new-client"}
    result = await submit(
        hass, form, {"password": "example-password", "client_id": "new-client", "client_secret": "new-secret"}
    )
    assert result["reason"] == "reauth_successful"
    assert (entry.data["client_id"], entry.data["client_secret"]) == ("new-client", "new-secret")
    assert setups == [entry.entry_id]
    assert entry.state is ConfigEntryState.LOADED


async def test_reauth_with_the_password_that_it_had(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, setups: list[str]
) -> None:
    """The operator unlocked the account: nothing changed here, but what waits must go on."""
    result = await submit(hass, await entry.start_reauth_flow(hass), {"password": "example-password"})
    assert result["reason"] == "reauth_successful"
    assert setups == [entry.entry_id]


async def test_reauth_of_another_account(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, setups: list[str]
) -> None:
    """A login that has become somebody else's is not taken, and changes nothing."""
    pbx.users["1001@acme.example"] = User("1002", "acme.example", "1001@acme.example", "other-password")
    before = dict(entry.data)
    result = await submit(hass, await entry.start_reauth_flow(hass), {"password": "other-password"})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "account_mismatch")
    assert dict(entry.data) == before
    assert setups == []


async def test_reauth_after_a_failed_start(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    setups: list[str],
    expected_warnings: list[str],
) -> None:
    """An account that never loaded can be signed in, and loads."""
    expected_warnings.append("could not authenticate")
    entry = await add_account(setup=False)
    pbx.first_user.password = "new-password"
    assert not await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.SETUP_ERROR
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["step_id"] == "reauth_confirm"
    result = await submit(hass, flow, {"password": "new-password"})
    assert result["reason"] == "reauth_successful"
    assert setups == [entry.entry_id] * 2
    assert entry.state is ConfigEntryState.LOADED
    assert not hass.config_entries.flow.async_progress()
