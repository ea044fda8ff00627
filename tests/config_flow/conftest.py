"""Fixtures and helpers for the tests of the dialogs, against a PBX over real HTTP."""

from collections.abc import AsyncGenerator, Generator
import logging
import socket
from typing import Any

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.netsapiens.const import DOMAIN
from tests.simulator import ApiKey, Simulator

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


async def recovers(
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


def keyed(pbx: Simulator, key: ApiKey) -> dict[str, Any]:
    """Return what a person types to get in with a key."""
    return {"base_url": pbx.url, "api_key": key.key, "verify_ssl": True}
