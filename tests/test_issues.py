"""Repair issues, diagnostics and the sensor."""

import asyncio
from copy import replace

from homeassistant.components.diagnostics import REDACTED
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from syrupy.assertion import SnapshotAssertion
from syrupy.filters import props

from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.diagnostics import async_get_config_entry_diagnostics
from custom_components.netsapiens.issues import raise_outbox_damaged
from tests.conftest import AddAccount, close, recipient
from tests.helpers import until
from tests.simulator import Simulator


async def test_sender_that_is_no_longer_listed(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """An issue says so, until the number is listed again."""
    entry = await add_account()
    issues = ir.async_get(hass).issues
    assert not issues
    numbers = pbx.users["1001@acme.example"].numbers
    old = numbers[0]
    numbers[0] = replace(old, number="18585550188")
    await entry.runtime_data.coordinator.async_refresh()
    [issue] = issues.values()
    assert issue.translation_key == "sender_not_listed"
    assert issue.translation_placeholders == {"account": "1001@acme.example", "number": "…0199"}
    numbers[0] = old
    await entry.runtime_data.coordinator.async_refresh()
    assert not issues


async def test_damaged_outbox_is_confirmed(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, hass_client: ClientSessionGenerator
) -> None:
    """It stays until somebody has read it."""
    entry = await add_account()
    assert await async_setup_component(hass, "repairs", {})
    client = await hass_client()
    raise_outbox_damaged(hass, entry, "netsapiens.queue.damaged")
    [issue] = ir.async_get(hass).issues.values()
    response = await client.post("/api/repairs/issues/fix", json={"handler": DOMAIN, "issue_id": issue.issue_id})
    flow = await response.json()
    assert flow["step_id"] == "confirm"
    response = await client.post(f"/api/repairs/issues/fix/{flow['flow_id']}", json={})
    assert (await response.json())["type"] == "create_entry"
    assert not ir.async_get(hass).issues


async def test_polling_instead_of_push(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, hass_client: ClientSessionGenerator
) -> None:
    """The dialog of the issue changes the option, and the issue goes."""
    entry = await add_account(options={"from_number": "18585550199", "incoming": "push"})
    issues = ir.async_get(hass).issues
    assert await async_setup_component(hass, "repairs", {})
    client = await hass_client()
    await until(lambda: bool(issues))
    [issue] = issues.values()
    assert (issue.translation_key, issue.is_fixable) == ("push_without_url", True)
    response = await client.post("/api/repairs/issues/fix", json={"handler": DOMAIN, "issue_id": issue.issue_id})
    flow = await response.json()
    assert (flow["step_id"], flow["description_placeholders"]) == ("confirm", {"account": "1001@acme.example"})
    assert entry.options["incoming"] == "push"
    response = await client.post(f"/api/repairs/issues/fix/{flow['flow_id']}", json={})
    assert (await response.json())["type"] == "create_entry"
    await hass.async_block_till_done()
    assert dict(entry.options) == {"from_number": "18585550199", "incoming": "poll"}
    assert entry.state is ConfigEntryState.LOADED
    assert not issues


async def test_removal_takes_the_issues_along(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """No issue outlives its account."""
    entry = await add_account()
    raise_outbox_damaged(hass, entry, "netsapiens.queue.damaged")
    await hass.config_entries.async_remove(entry.entry_id)
    assert not ir.async_get(hass).issues


async def test_diagnostics(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, snapshot: SnapshotAssertion
) -> None:
    """They say much of the account, and nothing private."""
    entry = await add_account(
        recipient("Ann", "18585550123"), recipient("Family", "18585550123", "18585550124", group=True)
    )
    await asyncio.gather(
        *(
            hass.services.async_call(
                "notify", "netsapiens", {"message": "Secret text", "target": number}, blocking=True
            )
            for number in ("18585550123", "18585550125")
        )
    )
    found = await async_get_config_entry_diagnostics(hass, entry)
    assert found == snapshot(exclude=props("token_left", "clock", "poller"))
    assert found["poller"].keys() == {"remembered", "rows_last_poll", "characters_last_poll", "cut_polls"}
    assert 3500 < found["pbx"]["token_left"] <= 3600
    words = str(found)
    secrets = (*pbx.tokens, pbx.account["password"], pbx.account["client_secret"])
    for secret in (*secrets, "Secret text", "18585550123", pbx.numbers[0], "Ann", "1001", "127.0.0.1"):
        assert secret not in words
    assert REDACTED not in words  # what is hidden is left out


async def test_diagnostics_of_an_account_that_could_not_be_loaded(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """They say why."""
    entry = await add_account(recipient("Ann", "18585550123"))
    pbx.first_user.password = "another"
    pbx.revoke_tokens(refresh=True)
    await close(hass, entry)
    await hass.config_entries.async_setup(entry.entry_id)
    found = await async_get_config_entry_diagnostics(hass, entry)
    assert (found["state"], found["sender"]) == ("setup_error", "…0199")
    assert found["why"] == {"kind": "invalid_auth"}
    assert [row["destinations"] for row in found["recipients"]] == [["…0123"]]


async def test_diagnostics_leave_out_the_words_of_the_phone_system(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """They may name people; the kind of an error and its status do not."""
    words = "User ann.acme (Ann Acme) of domain acme.example is suspended; login 1001@acme.example"
    kind = {"kind": "refused", "status": "422"}
    entry = await add_account()
    pbx.fault("status", path="/smsnumbers", times=None, code=422, message=words)
    await entry.runtime_data.coordinator.async_refresh()
    running = await async_get_config_entry_diagnostics(hass, entry)
    assert running["pbx"]["last_error"] == kind
    await hass.config_entries.async_remove(entry.entry_id)
    entry = await add_account(setup=False)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    waiting = await async_get_config_entry_diagnostics(hass, entry)
    assert (waiting["state"], waiting["why"]) == ("setup_retry", kind)
    for word in ("ann.acme", "Ann Acme", "acme.example", "1001"):
        assert word not in f"{running} {waiting}"


async def test_diagnostics_of_an_error_that_nobody_foresaw(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """They say what it is, without its words."""
    entry.runtime_data.coordinator.last_exception = RuntimeError("Ann")
    found = await async_get_config_entry_diagnostics(hass, entry)
    assert found["pbx"]["last_error"] == {"kind": "RuntimeError"}
