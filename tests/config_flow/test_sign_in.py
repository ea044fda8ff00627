"""Signing in with a login."""

from typing import Any
from unittest.mock import patch

from aiohttp import ClientTimeout
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.api.transport import Transport
from custom_components.netsapiens.const import DOMAIN
from tests.config_flow.conftest import SECOND_NUMBER, SECRETS, again, dead_url, recovers, shown, start, submit
from tests.simulator import Simulator, SmsNumber, User


async def test_one_number_makes_the_entry_at_once(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], setups: list[str]
) -> None:
    """With one number there is nothing more to ask."""
    result = await submit(hass, await start(hass), account)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "1001@acme.example"
    entry = result["result"]
    assert entry.unique_id == "1001@acme.example"
    assert dict(entry.data) == {**account, "action": "netsapiens"} | {
        key: value for key, value in entry.data.items() if key == "recipient_actions"
    }
    assert dict(entry.options) == {"from_number": "18585550199"}
    assert entry.state is ConfigEntryState.LOADED
    assert setups == [entry.entry_id]


async def test_unique_id_is_the_uid_and_the_title_the_login(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]
) -> None:
    """The account is known by what never changes, and shown by what people know."""
    pbx.users["ann@portal.example"] = User(
        "1003", "acme.example", "ann@portal.example", "other-password", numbers=pbx.first_user.numbers
    )
    result = await submit(
        hass, await start(hass), {**account, "username": "ann@portal.example", "password": "other-password"}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert (result["title"], result["result"].unique_id) == ("ann@portal.example", "1003@acme.example")


@pytest.mark.parametrize("tail", ["/", "/ns-api", "/ns-api/", "/ns-api/v2", "/ns-api/v2/"])
async def test_base_url_is_stored_normalised(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], tail: str
) -> None:
    """What is pasted for an address is stored in one form."""
    result = await submit(hass, await start(hass), {**account, "base_url": f"  {pbx.url}{tail} "})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["base_url"] == pbx.url


AROUND = ["  ", "\t", "\r\n", "\u00a0", "\u200b", "\ufeff \u2060", "\u3000\u202f"]


@pytest.mark.parametrize("around", AROUND)
async def test_what_pasting_puts_around_is_dropped(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], around: str
) -> None:
    """Blanks and line ends around what was pasted do no harm."""
    texts = {key: value for key, value in account.items() if isinstance(value, str) and key != "password"}
    typed = {**account, **{key: f"{around}{value}{around}" for key, value in texts.items()}}
    result = await submit(hass, await start(hass), typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    assert account.items() <= entry.data.items()
    assert entry.state is ConfigEntryState.LOADED
    form = await again(hass, entry, SOURCE_RECONFIGURE)
    result = await submit(hass, form, {**typed, "client_secret": around})
    assert result["reason"] == "reconfigure_successful"
    assert account.items() <= entry.data.items()


@pytest.mark.parametrize("around", ["  ", "\u00a0", "\t", "\u200b"])
async def test_a_password_is_taken_as_it_is_typed(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], around: str
) -> None:
    """A password may begin or end with a blank."""
    password = pbx.first_user.password = f"{around}a word{around}"
    form = await submit(hass, await start(hass), {**account, "password": password.strip(around)})
    assert form["errors"] == {"base": "invalid_auth"}
    result = await submit(hass, form, {**account, "password": password})
    assert result["data"]["password"] == password
    pbx.first_user.password = f"{password}!"
    form = await again(hass, result["result"], SOURCE_REAUTH)
    result = await submit(hass, form, {"password": f"{password}!", "client_id": f"{around}example-client{around}"})
    assert result["reason"] == "reauth_successful"


@pytest.mark.parametrize(
    ("login", "title"),
    [
        ("a\nb", "a b"),
        ("\u202eann\u202c@acme.example\r\n", "ann@acme.example"),
        ("x" * 10_000, "x" * 64),
        ("\x00\u200b\x1b[31m", "[31m"),
        ("\u200b", "1001@acme.example"),
    ],
)
async def test_a_title_is_one_line(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], login: str, title: str
) -> None:
    """A login of several lines or far too long makes a title that can be shown."""
    pbx.first_user.login = login
    pbx.users[login] = pbx.first_user
    result = await submit(hass, await start(hass), account)
    assert (result["title"], result["result"].unique_id) == (title, "1001@acme.example")


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"base_url": "https://"}, {"base_url": "invalid_url"}),
        ({"base_url": "not an address"}, {"base_url": "invalid_url"}),
        ({"base_url": "https://user:word@pbx.example"}, {"base_url": "invalid_url"}),
        ({"base_url": "ftp://pbx.example"}, {"base_url": "invalid_url"}),
        ({"base_url": "http://pbx.example"}, {"base_url": "insecure_url"}),
        ({"base_url": "http://192.0.2.1"}, {"base_url": "insecure_url"}),
        ({"username": "nobody@acme.example"}, {"base": "invalid_auth"}),
        ({"password": "wrong-password"}, {"base": "invalid_auth"}),
        ({"client_id": "wrong-client"}, {"base": "invalid_auth"}),
        ({"client_secret": "wrong-secret"}, {"base": "invalid_auth"}),
        ({"password": ""}, {"base": "invalid_auth"}),
    ],
)
async def test_wrong_input(
    hass: HomeAssistant,
    pbx: Simulator,
    account: dict[str, Any],
    typed: dict[str, Any],
    error: dict[str, str],
) -> None:
    """What is wrong is said at its field, and the form can be submitted again."""
    await recovers(hass, await start(hass), {**account, **typed}, error, account)


async def test_the_form_keeps_the_address_as_typed(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]
) -> None:
    """After a mistake nothing has to be typed again but secrets."""
    typed = {**account, "base_url": f"{pbx.url}/ns-api/v2/", "password": "wrong-password", "verify_ssl": False}
    await recovers(hass, await start(hass), typed, {"base": "invalid_auth"}, account)


async def test_nobody_listens(hass: HomeAssistant, account: dict[str, Any]) -> None:
    """An address where nobody answers is told, and can be corrected."""
    await recovers(hass, await start(hass), {**account, "base_url": dead_url()}, {"base": "cannot_connect"}, account)


@pytest.mark.parametrize(
    ("fault", "details", "error"),
    [
        ("no_route", {}, "pbx_failed"),
        ("redirect", {}, "cannot_connect"),
        ("drop_before", {}, "cannot_connect"),
        ("status", {"code": 500}, "pbx_failed"),
        ("status", {"code": 404, "html": True}, "pbx_failed"),
        ("body", {"body": "<html>Hello</html>", "content_type": "text/html"}, "pbx_failed"),
        ("token_without_access_token", {}, "pbx_failed"),
        ("rate_limit", {}, "rate_limited"),
        ("forbidden_html", {}, "rate_limited"),
    ],
)
async def test_what_answers_is_no_pbx_or_an_ill_one(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], fault: str, details: dict[str, Any], error: str
) -> None:
    """Who only has to wait is told so; what else there may be instead of the PBX, to check the address."""
    # Twice: aiohttp tries a dropped connection once more.
    pbx.fault(fault, path="/tokens", times=None, **details)
    form = await submit(hass, await start(hass), account)
    assert form["errors"] == {"base": error}
    pbx.clear_faults()
    assert (await submit(hass, form, account))["type"] is FlowResultType.CREATE_ENTRY


async def test_the_numbers_cannot_be_read(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    """An account is only made once its numbers are known."""
    pbx.fault("status", path="/smsnumbers", code=500)
    await recovers(hass, await start(hass), account, {"base": "pbx_failed"}, account)


async def test_no_answer_in_time(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form does not hang where nobody answers."""
    defaults = Transport.exchange.__kwdefaults__
    genuine = defaults["timeout"]
    monkeypatch.setitem(defaults, "timeout", ClientTimeout(total=0.2))
    pbx.fault("hang", path="/tokens")
    form = await submit(hass, await start(hass), account)
    assert form["errors"] == {"base": "timeout_connect"}
    assert shown(form) == account
    monkeypatch.setitem(defaults, "timeout", genuine)
    assert (await submit(hass, form, account))["type"] is FlowResultType.CREATE_ENTRY


async def test_second_factor(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    """A login with a second factor is told what to do instead."""
    pbx.first_user.mfa = True
    form = await submit(hass, await start(hass), account)
    assert form["errors"] == {"base": "mfa_required"}
    assert not set(SECRETS) & set(shown(form))
    pbx.first_user.mfa = False
    assert (await submit(hass, form, account))["type"] is FlowResultType.CREATE_ENTRY


async def test_untrusted_certificate(hass: HomeAssistant) -> None:
    """A certificate that is not trusted is told at the switch that decides."""
    async with Simulator(tls=True) as pbx:
        account = {**pbx.account, "verify_ssl": True}
        form = await submit(hass, await start(hass), account)
        assert form["errors"] == {"base": "cannot_connect", "verify_ssl": "certificate_refused"}
        assert shown(form) == account
        assert not pbx.requests, "nothing may be sent to a host that could be anybody"
        result = await submit(hass, form, {**account, "verify_ssl": False})
        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert result["data"]["verify_ssl"] is False
        assert result["result"].state is ConfigEntryState.LOADED
        assert await hass.config_entries.async_unload(result["result"].entry_id)


async def test_unknown_error(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], expected_warnings: list[str]
) -> None:
    """What nobody foresaw is told, and the form can be submitted again."""
    expected_warnings.append("Unexpected error while signing in")
    with patch("custom_components.netsapiens.flow_sign_in.async_get_numbers", side_effect=RuntimeError):
        form = await submit(hass, await start(hass), account)
    assert form["errors"] == {"base": "unknown"}
    assert not set(SECRETS) & set(shown(form))
    assert (await submit(hass, form, account))["type"] is FlowResultType.CREATE_ENTRY


async def test_the_same_account_again(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], entry: MockConfigEntry, setups: list[str]
) -> None:
    """An account that is there is not added twice, nor changed by the attempt."""
    before = dict(entry.data)
    # By another login, and with another spelling of the address, it still is the same account.
    pbx.users["ann"] = User("1001", "acme.example", "ann", "other-password")
    typed = {**account, "base_url": f"{pbx.url}/ns-api", "username": "ann", "password": "other-password"}
    result = await submit(hass, await start(hass), typed)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert dict(entry.data) == before
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1
    assert setups == []


async def test_a_dialog_that_was_left_gives_way_to_a_new_one(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], setups: list[str]
) -> None:
    """The browser was closed at the choice of the number."""
    pbx.add_user("1002@acme.example", numbers=["18585550197", "18585550196"])
    pbx.first_user.numbers.append(SmsNumber(SECOND_NUMBER))
    other = await submit(hass, await start(hass), {**account, "username": "1002@acme.example"})
    left = await submit(hass, await start(hass), account)
    assert left["step_id"] == "sender"
    form = await submit(hass, await start(hass), account)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "sender")
    flows = {flow["flow_id"] for flow in hass.config_entries.flow.async_progress()}
    assert flows == {form["flow_id"], other["flow_id"]}
    with pytest.raises(UnknownFlow):
        await submit(hass, left, {"from_number": SECOND_NUMBER})
    result = await submit(hass, form, {"from_number": SECOND_NUMBER})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert setups == [result["result"].entry_id]
    assert (await submit(hass, other, {"from_number": "18585550196"}))["type"] is FlowResultType.CREATE_ENTRY


async def test_reconfiguring_does_not_wait_for_another_dialog_of_the_account(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """A dialog that was left open in another tab blocks nothing."""
    left = await entry.start_reconfigure_flow(hass)
    await submit(hass, left, {**shown(left), "password": "wrong-password"})
    for start_dialog in (entry.start_reauth_flow, entry.start_reconfigure_flow):
        form = await start_dialog(hass)
        result = await submit(hass, form, {**shown(form), "password": "example-password"})
        assert result["type"] is FlowResultType.ABORT
        assert result["reason"] in {"reauth_successful", "reconfigure_successful"}


async def test_two_forms_at_once(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    """Two accounts can be added side by side."""
    pbx.add_user("1002@acme.example", numbers=["18585550197"])
    one, other = await start(hass), await start(hass)
    assert (await submit(hass, one, account))["type"] is FlowResultType.CREATE_ENTRY
    result = await submit(hass, other, {**account, "username": "1002@acme.example"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["action"] == "netsapiens_1002_acme_example"
