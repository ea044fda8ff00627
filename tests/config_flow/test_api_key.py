"""Signing in with an API key."""

import json
from typing import Any

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.diagnostics import async_get_config_entry_diagnostics
from tests.config_flow.conftest import again, dead_url, keyed, recovers, required, shown, start, submit
from tests.conftest import recipient
from tests.simulator import Simulator, SmsNumber


@pytest.fixture
async def key_entry(hass: HomeAssistant, pbx: Simulator) -> MockConfigEntry:
    """An account that got in with a key of its own."""
    data = {**keyed(pbx, pbx.add_key()), "domain": "acme.example", "user": "1001", "action": "netsapiens"}
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="1001@acme.example",
        unique_id="1001@acme.example",
        data=data,
        options={"from_number": "18585550199"},
        subentries_data=[recipient("Ann", "18585550123")],
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


async def test_a_users_own_key(hass: HomeAssistant, pbx: Simulator) -> None:
    """A key of one user needs nothing else."""
    typed = keyed(pbx, pbx.add_key())
    form = await start(hass, "api_key")
    assert required(form) == {"base_url", "api_key", "verify_ssl"}
    result = await submit(hass, form, {**typed, "api_key": f" {typed['api_key']} "})
    assert (result["type"], result["title"]) == (FlowResultType.CREATE_ENTRY, "1001@acme.example")
    entry = result["result"]
    assert entry.unique_id == "1001@acme.example"
    assert {"base_url": pbx.url, "domain": "acme.example", "user": "1001"}.items() <= entry.data.items()
    assert not {"username", "password", "client_id", "client_secret"} & set(entry.data)
    assert dict(entry.options) == {"from_number": "18585550199"}
    await hass.services.async_call(
        DOMAIN, "send_message", {"destination": "18585550123", "message": "Hi"}, blocking=True
    )
    assert [message.text for message in pbx.messages] == ["Hi"]
    assert not pbx.requests_to("/tokens")
    assert not [record for record in pbx.requests if "~" in record.path.replace("apikeys/~", "")]


@pytest.mark.parametrize(("prefix", "domain"), [("nsd_", "acme.example"), ("nsr_", None)])
async def test_a_key_of_nobody(hass: HomeAssistant, pbx: Simulator, prefix: str, domain: str | None) -> None:
    """A key of a domain or more asks for the user, with what is known of it filled in."""
    form = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key(prefix)))
    assert (form["step_id"], form["errors"]) == ("api_key_user", {})
    assert shown(form).get("domain") in (domain, "") if domain is None else shown(form)["domain"] == domain
    form = await submit(hass, form, {"domain": "acme.example", "user": "~"})
    assert (form["step_id"], form["errors"]) == ("api_key_user", {"base": "user_required"})
    result = await submit(hass, form, {"domain": "acme.example", "user": "1001"})
    assert (result["type"], result["title"]) == (FlowResultType.CREATE_ENTRY, "1001@acme.example")
    assert (result["data"]["domain"], result["data"]["user"]) == ("acme.example", "1001")
    assert result["result"].state is ConfigEntryState.LOADED


async def test_a_key_that_does_not_reach_the_domain(hass: HomeAssistant, pbx: Simulator) -> None:
    """A user outside of the key's reach is told at the user's form, which can be corrected."""
    form = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key("nsd_")))
    form = await submit(hass, form, {"domain": "other.example", "user": "1001"})
    assert (form["step_id"], form["errors"]) == ("api_key_user", {"base": "user_refused"})
    assert shown(form) == {"domain": "other.example", "user": "1001"}
    result = await submit(hass, form, {"domain": "acme.example", "user": "1001"})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("user", ["9999", "1001@acme.example"])
async def test_a_user_who_is_not_there(hass: HomeAssistant, pbx: Simulator, user: str) -> None:
    """The same for a user that does not exist."""
    form = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key("nsd_")))
    form = await submit(hass, form, {"domain": "acme.example", "user": user})
    assert (form["step_id"], form["errors"]) == ("api_key_user", {"base": "user_refused"})


async def test_a_pbx_that_does_not_describe_keys(hass: HomeAssistant, pbx: Simulator) -> None:
    """On older PBXs the user is asked for with every key."""
    pbx.describes_keys = False
    form = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key()))
    assert form["step_id"] == "api_key_user"
    result = await submit(hass, form, {"domain": "acme.example", "user": "1001"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].state is ConfigEntryState.LOADED


async def test_a_read_only_key(hass: HomeAssistant, pbx: Simulator) -> None:
    """A key that cannot send is refused before an account is made of it."""
    typed = keyed(pbx, pbx.add_key(read_only=True))
    errors = {"base": "read_only_key"}
    await recovers(hass, await start(hass, "api_key"), typed, errors, keyed(pbx, pbx.add_key()))


@pytest.mark.parametrize(
    ("typed", "errors"),
    [
        ({"base_url": "?"}, {"base_url": "invalid_url"}),
        ({"base_url": "http://pbx.example"}, {"base_url": "insecure_url"}),
        ({"api_key": "nsu_" + "0" * 56}, {"base": "invalid_api_key"}),
        ({"api_key": "nsu_0\r\nX-Other: 1"}, {"base": "invalid_api_key"}),
        ({"api_key": "nsu_ünïcode"}, {"base": "invalid_api_key"}),
        ({"api_key": "nsu_0 1"}, {"base": "invalid_api_key"}),
    ],
)
async def test_key_errors(hass: HomeAssistant, pbx: Simulator, typed: dict[str, Any], errors: dict[str, str]) -> None:
    """What is wrong is said at its field, and the form can be submitted again."""
    good = keyed(pbx, pbx.add_key())
    await recovers(hass, await start(hass, "api_key"), {**good, **typed}, errors, good)


async def test_a_key_to_a_place_where_nobody_listens(hass: HomeAssistant, pbx: Simulator) -> None:
    """The same for an address where nobody answers."""
    good = keyed(pbx, pbx.add_key())
    errors = {"base": "cannot_connect"}
    await recovers(hass, await start(hass, "api_key"), {**good, "base_url": dead_url()}, errors, good)


async def test_a_key_of_an_account_that_is_there(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """One account is not set up twice by its two ways in."""
    result = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key()))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_another_spelling_of_the_domain_is_the_same_account(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """It is not added twice, and its ways in can be changed; it goes on under the id that its entities have."""
    key = pbx.add_key("nsr_")
    pbx.first_user.domain = "Acme.Example"  # as a PBX has it that does not mind how domains are spelled
    form = await submit(hass, await start(hass, "api_key"), keyed(pbx, key))
    result = await submit(hass, form, {"domain": "Acme.Example", "user": "1001"})
    assert (result["type"], result.get("reason")) == (FlowResultType.ABORT, "already_configured")
    pbx.first_user.password = "new-password"
    result = await submit(hass, await entry.start_reauth_flow(hass), {"password": "new-password"})
    assert result["reason"] == "reauth_successful"
    form = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, form, {**shown(form), "api_key": pbx.add_key().key})
    assert result["reason"] == "reconfigure_successful"
    assert entry.unique_id == "1001@acme.example"


async def test_a_dialog_that_was_left_with_another_spelling_of_the_domain(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]
) -> None:
    """It cannot make a second entry of the account."""
    pbx.first_user.numbers.append(SmsNumber("18585550198"))
    left = await submit(hass, await start(hass), account)
    pbx.first_user.domain = "Acme.Example"
    form = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key()))
    assert (left["step_id"], form["step_id"]) == ("sender", "sender")
    with pytest.raises(UnknownFlow):
        await submit(hass, left, {"from_number": "18585550198"})


async def test_a_refused_key_is_asked_for_anew(
    hass: HomeAssistant, pbx: Simulator, key_entry: MockConfigEntry, expected_warnings: list[str]
) -> None:
    """A key that is refused at a start leads to the dialog for another one."""
    expected_warnings += ["Authentication failed while fetching", "could not authenticate"]
    pbx.token_book.keys.clear()
    await hass.config_entries.async_reload(key_entry.entry_id)
    await hass.async_block_till_done()
    (flow,) = hass.config_entries.flow.async_progress()
    form = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert (form["step_id"], required(form)) == ("reauth_confirm", {"api_key"})
    form = await submit(hass, form, {"api_key": pbx.add_key(read_only=True).key})
    assert form["errors"] == {"base": "read_only_key"}
    new = pbx.add_key().key
    result = await submit(hass, form, {"api_key": new})
    assert result["reason"] == "reauth_successful"
    assert key_entry.data["api_key"] == new
    assert key_entry.state is ConfigEntryState.LOADED


async def test_a_key_that_is_revoked_while_running(
    hass: HomeAssistant, pbx: Simulator, key_entry: MockConfigEntry
) -> None:
    """So does one that is revoked later; the text says why it failed."""
    pbx.token_book.keys.clear()
    with pytest.raises(HomeAssistantError, match="refused the credentials"):
        await hass.services.async_call(
            DOMAIN, "send_message", {"destination": "18585550123", "message": "Hi", "keep_for": 0}, blocking=True
        )
    assert [flow["step_id"] for flow in hass.config_entries.flow.async_progress()] == ["reauth_confirm"]
    assert pbx.messages == []


async def test_reconfigure_with_a_key(hass: HomeAssistant, pbx: Simulator, key_entry: MockConfigEntry) -> None:
    """The dialog of an account with a key shows what that has, and never the key."""
    before = dict(key_entry.data)
    form = await key_entry.start_reconfigure_flow(hass)
    assert shown(form) == {"base_url": pbx.url, "verify_ssl": True}
    assert {str(marker) for marker in form["data_schema"].schema} == {"base_url", "api_key", "verify_ssl"}
    new = pbx.add_key().key
    result = await submit(hass, form, {**shown(form), "api_key": new})
    assert result["reason"] == "reconfigure_successful"
    assert dict(key_entry.data) == {**before, "api_key": new}


async def test_a_password_gives_way_to_a_key(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """The operator turned on a second factor: the account stays, with its recipients and actions."""
    pbx.first_user.mfa = True
    pbx.revoke_tokens(refresh=True)
    form = await entry.start_reconfigure_flow(hass)
    key = pbx.add_key().key
    result = await submit(hass, form, {**shown(form), "api_key": key})
    assert result["reason"] == "reconfigure_successful"
    assert not {"username", "password", "client_id", "client_secret"} & set(entry.data)
    assert (entry.data["api_key"], entry.data["domain"], entry.data["user"]) == (key, "acme.example", "1001")
    assert entry.state is ConfigEntryState.LOADED
    await hass.services.async_call("notify", "netsapiens_ann", {"message": "Hi"}, blocking=True)
    assert [message.text for message in pbx.messages] == ["Hi"]


def grant(pbx: Simulator, **who: str) -> None:
    """Let each sign-in say no more of who it is."""
    token = pbx.token_book.issue(pbx.first_user, 3600)
    body = {"access_token": token.access_token, "expires_in": 3600, "token_type": "Bearer", **who}
    pbx.fault("body", path="/tokens", times=None, body=json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize("prefix", ["nsu_", "nsd_", "nss_"])
async def test_a_key_for_an_account_whose_uid_is_without_a_domain(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], prefix: str, is_loaded: bool
) -> None:
    """User and domain are those that the phone system gave beside the uid; the key can be changed later as well."""
    grant(pbx, uid="1001", user="1001", domain="acme.example")
    entry = (await submit(hass, await start(hass), account))["result"]
    assert entry.unique_id == "1001"
    for _ in range(2):
        if not is_loaded:
            assert await hass.config_entries.async_unload(entry.entry_id)
        form = await again(hass, entry, SOURCE_RECONFIGURE)
        result = await submit(hass, form, {**shown(form), "api_key": pbx.add_key(prefix).key})
        assert (result["type"], result.get("reason")) == (FlowResultType.ABORT, "reconfigure_successful")
        assert (entry.data["domain"], entry.data["user"], entry.unique_id) == ("acme.example", "1001", "1001")
        assert entry.state is ConfigEntryState.LOADED
    form = await submit(hass, await again(hass, entry, SOURCE_RECONFIGURE), keyed(pbx, pbx.add_key(user="1002")))
    assert form["errors"] == {"api_key": "account_mismatch"}
    other = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key()))
    assert (other["type"], other.get("reason")) == (FlowResultType.ABORT, "already_configured")


@pytest.mark.parametrize("describes_keys", [True, False])
@pytest.mark.parametrize("prefix", ["nsu_", "nsd_", "nss_"])
async def test_a_key_for_an_account_whose_user_nobody_knows(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], prefix: str, describes_keys: bool
) -> None:
    """The form says so, or that the account is another one."""
    pbx.users["ann"] = pbx.first_user
    pbx.describes_keys = describes_keys
    grant(pbx)
    entry = (await submit(hass, await start(hass), {**account, "username": "ann"}))["result"]
    assert entry.unique_id == "ann"
    form = await again(hass, entry, SOURCE_RECONFIGURE)
    form = await submit(hass, form, {**shown(form), "api_key": pbx.add_key(prefix).key})
    error = "account_mismatch" if describes_keys and prefix == "nsu_" else "user_unknown"
    assert (form["type"], form["errors"]) == (FlowResultType.FORM, {"api_key": error})
    assert "api_key" not in entry.data


async def test_a_key_of_another_user_is_not_taken(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """An account cannot become another user's by its key."""
    pbx.add_user("1002@acme.example")
    form = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, form, {**shown(form), "api_key": pbx.add_key(user="1002").key})
    assert (result["type"], result["errors"]) == (FlowResultType.FORM, {"api_key": "account_mismatch"})
    assert "api_key" not in shown(result)
    assert "api_key" not in entry.data


async def test_a_key_of_another_domain_is_not_taken(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """Nor a user of the same number in another domain."""
    pbx.first_user.domain = "other.example"
    key = pbx.add_key().key
    pbx.first_user.domain = "acme.example"
    form = await submit(
        hass,
        await entry.start_reconfigure_flow(hass),
        {
            "base_url": pbx.url,
            "client_id": "example-client",
            "username": "1001@acme.example",
            "verify_ssl": True,
            "api_key": key,
        },
    )
    assert (form["type"], form["errors"]) == (FlowResultType.FORM, {"api_key": "account_mismatch"})
    assert "api_key" not in entry.data


async def test_diagnostics_with_a_key(hass: HomeAssistant, key_entry: MockConfigEntry) -> None:
    """Diagnostics say which way in it is, and not the key."""
    found = await async_get_config_entry_diagnostics(hass, key_entry)
    assert (found["way_in"], found["pbx"]["token_left"]) == ("api_key", None)
    assert key_entry.data["api_key"] not in str(found)
