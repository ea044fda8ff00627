"""Setting up an account, its options and its recipients, against a PBX over real HTTP."""

from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime, timedelta
import logging
import socket
from typing import Any
from unittest.mock import patch

from aiohttp import ClientTimeout
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

import custom_components.netsapiens as integration
from custom_components.netsapiens.api.transport import Transport
from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.diagnostics import async_get_config_entry_diagnostics
from custom_components.netsapiens.phone import async_load_metadata
from tests.conftest import AddAccount, recipient
from tests.helpers import written
from tests.simulator import ApiKey, Simulator, SmsNumber, User

LOGGERS = (
    "custom_components.netsapiens",
    "homeassistant.config_entries",
    "homeassistant.data_entry_flow",
    "homeassistant.helpers",
)
SECRETS = ("client_secret", "password", "api_key")
REFUSED = {"invalid_auth", "invalid_api_key", "mfa_required", "read_only_key"}  # errors after which secrets go
SECOND_NUMBER = "18585550198"


@pytest.fixture
def expected_warnings() -> list[str]:
    """What a test expects to find in the log."""
    return []


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture, expected_warnings: list[str]) -> Generator[None]:
    """Fail where Home Assistant, or the integration, has something to complain about."""
    yield
    for record in caplog.get_records("call"):
        if record.levelno >= logging.WARNING and record.name.startswith(LOGGERS):
            assert any(text in record.getMessage() for text in expected_warnings), record.getMessage()


@pytest.fixture
def setups() -> Generator[list[str]]:
    """The entries that were set up, in order; a reload shows as one more."""
    found: list[str] = []
    genuine = integration.async_setup_entry

    async def setup(hass: HomeAssistant, entry: Any) -> bool:
        found.append(entry.entry_id)
        return await genuine(hass, entry)

    with patch.object(integration, "async_setup_entry", setup):
        yield found


@pytest.fixture
async def other_pbx(pbx: Simulator) -> AsyncGenerator[Simulator]:
    """The same operator's other host: it knows the same account."""
    async with Simulator() as simulator:
        yield simulator


def dead_url() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def start(hass: HomeAssistant, way_in: str = "sign_in") -> ConfigFlowResult:
    """Choose a way in, and open its form."""
    menu = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert (menu["type"], menu["step_id"]) == (FlowResultType.MENU, "user")
    assert menu["menu_options"] == ["sign_in", "api_key"]
    form = await hass.config_entries.flow.async_configure(menu["flow_id"], {"next_step_id": way_in})
    assert (form["type"], form["step_id"], form["errors"]) == (FlowResultType.FORM, way_in, {})
    return form


async def again(hass: HomeAssistant, entry: ConfigEntry, source: str) -> ConfigFlowResult:
    """Sign in again, or reconfigure."""
    context = ConfigFlowContext(source=source, entry_id=entry.entry_id, unique_id=entry.unique_id)
    data = dict(entry.data) if source == SOURCE_REAUTH else None
    return await hass.config_entries.flow.async_init(DOMAIN, context=context, data=data)


async def submit(hass: HomeAssistant, form: ConfigFlowResult, data: dict[str, Any]) -> ConfigFlowResult:
    """Fill in a form, and let what follows from it happen."""
    result = await hass.config_entries.flow.async_configure(form["flow_id"], dict(data))
    await hass.async_block_till_done()
    return result


def shown(form: Any) -> dict[str, Any]:
    """Return what a form's fields are filled in with."""
    return {
        str(marker): marker.description["suggested_value"]
        for marker in form["data_schema"].schema
        if marker.description and "suggested_value" in marker.description
    }


def required(form: Any) -> set[str]:
    """Return the fields of a form that must be filled in."""
    return {str(marker) for marker in form["data_schema"].schema if type(marker).__name__ == "Required"}


def options_of(form: Any, field: str) -> list[Any]:
    """Return what a form's select offers."""
    select = next(selector for marker, selector in form["data_schema"].schema.items() if marker == field)
    return [option if isinstance(option, str) else option["label"] for option in select.config["options"]]


# --- user ---------------------------------------------------------------------------


async def test_one_number_makes_the_entry_at_once(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], setups: list[str]
) -> None:
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
    result = await submit(hass, await start(hass), {**account, "base_url": f"  {pbx.url}{tail} "})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["base_url"] == pbx.url


AROUND = ["  ", "\t", "\r\n", "\u00a0", "\u200b", "\ufeff \u2060", "\u3000\u202f"]


@pytest.mark.parametrize("around", AROUND)
async def test_what_pasting_puts_around_is_dropped(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], around: str
) -> None:
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
    pbx.first_user.login = login
    pbx.users[login] = pbx.first_user
    result = await submit(hass, await start(hass), account)
    assert (result["title"], result["result"].unique_id) == (title, "1001@acme.example")


async def _recovers(
    hass: HomeAssistant, form: ConfigFlowResult, typed: dict[str, Any], errors: dict[str, str], good: dict[str, Any]
) -> None:
    """Check that the form shows the errors and what was typed, and that good input gets through then."""
    form = await submit(hass, form, typed)
    assert (form["type"], form["errors"]) == (FlowResultType.FORM, errors)
    assert form["step_id"] == ("api_key" if "api_key" in typed else "sign_in")
    kept = set() if set(errors.values()) & REFUSED else set(SECRETS)
    assert shown(form) == {key: value for key, value in typed.items() if key not in SECRETS or key in kept}
    assert not hass.config_entries.async_entries(DOMAIN)
    result = await submit(hass, form, good)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].state is ConfigEntryState.LOADED


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
    await _recovers(hass, await start(hass), {**account, **typed}, error, account)


async def test_the_form_keeps_the_address_as_typed(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]
) -> None:
    typed = {**account, "base_url": f"{pbx.url}/ns-api/v2/", "password": "wrong-password", "verify_ssl": False}
    await _recovers(hass, await start(hass), typed, {"base": "invalid_auth"}, account)


async def test_nobody_listens(hass: HomeAssistant, account: dict[str, Any]) -> None:
    await _recovers(hass, await start(hass), {**account, "base_url": dead_url()}, {"base": "cannot_connect"}, account)


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        ("no_route", {}),
        ("status", {"code": 500}),
        ("status", {"code": 404, "html": True}),
        ("body", {"body": "<html>Hello</html>", "content_type": "text/html"}),
        ("redirect", {}),
        ("drop_before", {}),
        ("rate_limit", {}),
        ("forbidden_html", {}),
        ("token_without_access_token", {}),
    ],
)
async def test_what_answers_is_no_pbx_or_an_ill_one(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], fault: str, details: dict[str, Any]
) -> None:
    # Twice: aiohttp tries a dropped connection once more.
    pbx.fault(fault, path="/tokens", times=None, **details)
    form = await submit(hass, await start(hass), account)
    assert form["errors"] == {"base": "cannot_connect"}
    pbx.clear_faults()
    assert (await submit(hass, form, account))["type"] is FlowResultType.CREATE_ENTRY


async def test_the_numbers_cannot_be_read(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    pbx.fault("status", path="/smsnumbers", code=500)
    await _recovers(hass, await start(hass), account, {"base": "cannot_connect"}, account)


async def test_no_answer_in_time(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
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
    pbx.first_user.mfa = True
    form = await submit(hass, await start(hass), account)
    assert form["errors"] == {"base": "mfa_required"}
    assert not set(SECRETS) & set(shown(form))
    pbx.first_user.mfa = False
    assert (await submit(hass, form, account))["type"] is FlowResultType.CREATE_ENTRY


async def test_untrusted_certificate(hass: HomeAssistant) -> None:
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
    expected_warnings.append("Unexpected error while signing in")
    with patch("custom_components.netsapiens.config_flow.async_get_numbers", side_effect=RuntimeError):
        form = await submit(hass, await start(hass), account)
    assert form["errors"] == {"base": "unknown"}
    assert not set(SECRETS) & set(shown(form))
    assert (await submit(hass, form, account))["type"] is FlowResultType.CREATE_ENTRY


async def test_the_same_account_again(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], entry: MockConfigEntry, setups: list[str]
) -> None:
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
    left = await entry.start_reconfigure_flow(hass)
    await submit(hass, left, {**shown(left), "password": "wrong-password"})
    for start_dialog in (entry.start_reauth_flow, entry.start_reconfigure_flow):
        form = await start_dialog(hass)
        result = await submit(hass, form, {**shown(form), "password": "example-password"})
        assert result["type"] is FlowResultType.ABORT
        assert result["reason"] in {"reauth_successful", "reconfigure_successful"}


async def test_two_forms_at_once(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    pbx.add_user("1002@acme.example", numbers=["18585550197"])
    one, other = await start(hass), await start(hass)
    assert (await submit(hass, one, account))["type"] is FlowResultType.CREATE_ENTRY
    result = await submit(hass, other, {**account, "username": "1002@acme.example"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["action"] == "netsapiens_1002_acme_example"


# --- sender -------------------------------------------------------------------------


async def _sender_form(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], *numbers: str) -> Any:
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=numbers)
    form = await submit(hass, await start(hass), account)
    assert (form["type"], form["step_id"], form["errors"]) == (FlowResultType.FORM, "sender", {})
    listed = form["description_placeholders"]["listed"]
    assert "`1001@acme.example`" in listed
    assert (f"lists {len(numbers)} numbers" in listed) == bool(numbers)
    assert ("empty" in listed) == (not numbers), "it may be left empty only where none is listed"
    return form


async def test_several_numbers_are_a_choice(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
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
    form = await _sender_form(hass, pbx, account, "18585550199", SECOND_NUMBER)
    result = await submit(hass, form, {"from_number": typed})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert dict(result["options"]) == {"from_number": stored}


async def test_a_bad_number_is_shown_again(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    form = await _sender_form(hass, pbx, account, "18585550199", SECOND_NUMBER)
    form = await submit(hass, form, {"from_number": "555-0123"})
    assert (form["step_id"], form["errors"]) == ("sender", {"from_number": "invalid_number"})
    assert shown(form) == {"from_number": "555-0123"}
    assert options_of(form, "from_number") == [written("18585550199"), written(SECOND_NUMBER)]
    result = await submit(hass, form, {"from_number": SECOND_NUMBER})
    assert dict(result["options"]) == {"from_number": SECOND_NUMBER}


async def test_blanks_are_no_choice_among_several(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> None:
    form = await _sender_form(hass, pbx, account, "18585550199", SECOND_NUMBER)
    form = await submit(hass, form, {"from_number": "  "})
    assert (form["step_id"], form["errors"]) == ("sender", {"from_number": "invalid_number"})
    result = await submit(hass, form, {"from_number": SECOND_NUMBER})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("typed", [{}, {"from_number": ""}, {"from_number": "  "}])
async def test_without_numbers_it_may_stay_empty(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], typed: dict[str, Any]
) -> None:
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
    hass.config.country = "GB"
    form = await _sender_form(hass, pbx, account)
    result = await submit(hass, form, {"from_number": "020 7946 0958"})
    assert dict(result["options"]) == {"from_number": "442079460958"}


# --- reauth -------------------------------------------------------------------------


def sign_ins(pbx: Simulator) -> list[dict[str, Any]]:
    """Return the bodies of the calls that signed in with a password."""
    bodies = [record.body for record in pbx.requests_to("/tokens")]
    return [body for body in bodies if body["grant_type"] == "password"]


async def test_reauth(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, setups: list[str], account: dict[str, Any]
) -> None:
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


@pytest.mark.parametrize(
    ("texts", "language", "said"),
    [
        (1, "en", "1 text is waiting to be sent. It is dropped if you do not sign in before 2026-03-01 10:00."),
        (
            2,
            "en",
            "2 texts are waiting to be sent. The first one is dropped if you do not sign in before 2026-03-01 10:00.",
        ),
        (
            1,
            "de",
            (
                "1 Nachricht wartet auf den Versand. "
                "Sie wird verworfen, wenn du dich nicht vor 2026-03-01 10:00 anmeldest."
            ),
        ),
    ],
)
async def test_reauth_says_what_waits(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    texts: int,
    language: str,
    said: str,
) -> None:
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
    assert form["description_placeholders"]["waiting"] == said
    assert entry.runtime_data.queue.queued == texts


async def test_reauth_says_nothing_where_nothing_waits(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    form = await entry.start_reauth_flow(hass)
    assert form["description_placeholders"]["waiting"] == ""
    assert await hass.config_entries.async_unload(entry.entry_id)
    form = await entry.start_reauth_flow(hass)
    assert form["description_placeholders"]["waiting"] == ""


async def test_reauth_with_a_new_client(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, setups: list[str]
) -> None:
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


# --- reconfigure --------------------------------------------------------------------


async def test_reconfigure_the_host(
    hass: HomeAssistant, pbx: Simulator, other_pbx: Simulator, entry: MockConfigEntry, setups: list[str]
) -> None:
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


# --- options ------------------------------------------------------------------------


async def test_options(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, setups: list[str]) -> None:
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
    form = await hass.config_entries.options.async_init(entry.entry_id)
    counts = {"keep_undelivered", "hourly_limit", "mms_limit_kb"}
    assert {"incoming", "picture_text"} | counts <= required(form)
    fields = {str(marker): marker for marker in form["data_schema"].schema}
    assert fields["incoming"].default() == "poll"
    assert fields["mms_limit_kb"].default() == 600
    assert fields["picture_text"].default() == "separate"
    assert options_of(form, "picture_text") == ["separate", "together"]
    typed = {
        "from_number": "18585550199",
        "incoming": "off",
        "keep_undelivered": 60,
        "hourly_limit": 0,
        "mms_limit_kb": 700,
        "picture_text": "together",
    }
    result = await hass.config_entries.options.async_configure(form["flow_id"], typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert dict(entry.options) == typed
    shown_openly = (await async_get_config_entry_diagnostics(hass, entry))["options"]
    assert shown_openly == {key: value for key, value in typed.items() if key != "from_number"}
    assert all(type(entry.options[key]) is int for key in counts)
    # Another change keeps them, whether the form sends them back or not.
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert {key: shown(form)[key] for key in typed} == {**typed, "from_number": written(typed["from_number"])}
    await hass.config_entries.options.async_configure(form["flow_id"], {"from_number": "858 555 0198"})
    await hass.async_block_till_done()
    assert dict(entry.options) == {**typed, "from_number": SECOND_NUMBER}
    assert setups == []


async def test_options_of_an_account_without_numbers(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, setups: list[str]
) -> None:
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


# --- recipients ---------------------------------------------------------------------


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
    entry = await add_account(recipient("Ann", "18585550123", recipient_id="ann"))
    setups.clear()
    form = await entry.start_subentry_reconfigure_flow(hass, "ann")
    result = await _fill_in(hass, form, shown(form))
    assert result["reason"] == "reconfigure_successful"
    assert len(setups) <= 1


async def test_remove_a_recipient(
    hass: HomeAssistant,
    add_account: AddAccount,
    setups: list[str],
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
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
    assert await hass.config_entries.async_unload(entry.entry_id)
    form = await _recipient_form(hass, entry)
    assert options_of(form, "from_number") == []
    result = await _fill_in(hass, form, {"name": "Bob", "destination": ["8585550124"]})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert hass.services.has_service("notify", "netsapiens_bob")


# --- API key ------------------------------------------------------------------------


def keyed(pbx: Simulator, key: ApiKey) -> dict[str, Any]:
    """Return what a person types to get in with a key."""
    return {"base_url": pbx.url, "api_key": key.key, "verify_ssl": True}


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
    form = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key("nsd_")))
    form = await submit(hass, form, {"domain": "other.example", "user": "1001"})
    assert (form["step_id"], form["errors"]) == ("api_key_user", {"base": "user_refused"})
    assert shown(form) == {"domain": "other.example", "user": "1001"}
    result = await submit(hass, form, {"domain": "acme.example", "user": "1001"})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("user", ["9999", "1001@acme.example"])
async def test_a_user_who_is_not_there(hass: HomeAssistant, pbx: Simulator, user: str) -> None:
    form = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key("nsd_")))
    form = await submit(hass, form, {"domain": "acme.example", "user": user})
    assert (form["step_id"], form["errors"]) == ("api_key_user", {"base": "user_refused"})


async def test_a_pbx_that_does_not_describe_keys(hass: HomeAssistant, pbx: Simulator) -> None:
    pbx.describes_keys = False
    form = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key()))
    assert form["step_id"] == "api_key_user"
    result = await submit(hass, form, {"domain": "acme.example", "user": "1001"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].state is ConfigEntryState.LOADED


async def test_a_read_only_key(hass: HomeAssistant, pbx: Simulator) -> None:
    typed = keyed(pbx, pbx.add_key(read_only=True))
    errors = {"base": "read_only_key"}
    await _recovers(hass, await start(hass, "api_key"), typed, errors, keyed(pbx, pbx.add_key()))


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
    good = keyed(pbx, pbx.add_key())
    await _recovers(hass, await start(hass, "api_key"), {**good, **typed}, errors, good)


async def test_a_key_to_a_place_where_nobody_listens(hass: HomeAssistant, pbx: Simulator) -> None:
    good = keyed(pbx, pbx.add_key())
    errors = {"base": "cannot_connect"}
    await _recovers(hass, await start(hass, "api_key"), {**good, "base_url": dead_url()}, errors, good)


async def test_a_key_of_an_account_that_is_there(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    result = await submit(hass, await start(hass, "api_key"), keyed(pbx, pbx.add_key()))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_a_refused_key_is_asked_for_anew(
    hass: HomeAssistant, pbx: Simulator, key_entry: MockConfigEntry, expected_warnings: list[str]
) -> None:
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
    pbx.token_book.keys.clear()
    with pytest.raises(HomeAssistantError, match="refused the credentials"):
        await hass.services.async_call(
            DOMAIN, "send_message", {"destination": "18585550123", "message": "Hi", "keep_for": 0}, blocking=True
        )
    assert [flow["step_id"] for flow in hass.config_entries.flow.async_progress()] == ["reauth_confirm"]
    assert pbx.messages == []


async def test_reconfigure_with_a_key(hass: HomeAssistant, pbx: Simulator, key_entry: MockConfigEntry) -> None:
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


async def test_a_key_of_another_user_is_not_taken(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    pbx.add_user("1002@acme.example")
    form = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, form, {**shown(form), "api_key": pbx.add_key(user="1002").key})
    assert (result["type"], result["errors"]) == (FlowResultType.FORM, {"api_key": "account_mismatch"})
    assert "api_key" not in shown(result)
    assert "api_key" not in entry.data


async def test_a_key_of_another_domain_is_not_taken(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
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
    found = await async_get_config_entry_diagnostics(hass, key_entry)
    assert (found["way_in"], found["pbx"]["token_left"]) == ("api_key", None)
    assert key_entry.data["api_key"] not in str(found)
