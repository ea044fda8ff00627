"""Assist texts the recipients that are exposed to it, with the rights of who asks."""

from copy import replace
from typing import Any

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import entity_registry as er, llm
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockUser
import voluptuous as vol

from custom_components.netsapiens.llm import async_get_tools
from tests.conftest import AddAccount, recipient
from tests.simulator import FaultKind, Simulator

ANN, BOB = "18585550123", "18585550124"
TOOL = "netsapiens__send_text"


@pytest.fixture(autouse=True)
async def _assist(hass: HomeAssistant) -> None:
    """Set up what Assist needs."""
    for component in ("homeassistant", "llm"):
        assert await async_setup_component(hass, component, {})


def context_of(user_id: str | None = None) -> llm.LLMContext:
    """Return the context of somebody who asks Assist."""
    return llm.LLMContext("test", Context(user_id=user_id), "en", "conversation", None)


async def tools(hass: HomeAssistant) -> dict[str, llm.Tool]:
    """Return Assist's tools of ours, by name."""
    api = await llm.async_get_api(hass, "assist", context_of())
    return {tool.name: tool for tool in api.tools if tool.name.startswith("netsapiens")}


async def call(hass: HomeAssistant, user_id: str | None = None, **args: Any) -> dict[str, Any]:
    """Call the tool as an agent does."""
    context = context_of(user_id)
    api = await llm.async_get_api(hass, "assist", context)
    [tool] = [tool for tool in api.tools if tool.name == TOOL]
    result = await tool.async_call(hass, llm.ToolInput(TOOL, args), context)
    return result.data if hasattr(result, "data") else result


async def test_only_for_recipients_that_are_exposed(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no tool where nobody is exposed; nobody is by default."""
    await add_account(recipient("Ann", ANN), recipient("Bob", BOB))
    assert await tools(hass) == {}
    async_expose_entity(hass, "conversation", "notify.ann", True)
    tool = (await tools(hass))[TOOL]
    assert set(await tools(hass)) == {TOOL}
    assert tool.parameters({"recipient": "Ann", "message": "Hi"}) == {"recipient": "Ann", "message": "Hi"}
    for args in ({"recipient": "Bob", "message": "Hi"}, {"recipient": "Ann"}):
        with pytest.raises(vol.Invalid):
            tool.parameters(args)
    assert await call(hass, recipient="Ann", message="Dinner is ready") == {"success": True, "status": "sent"}
    assert [(message.destination, message.text) for message in pbx.messages] == [([ANN], "Dinner is ready")]
    assert await call(hass, recipient=" ann", message="Now") == {"success": True, "status": "sent"}
    for name in ("Bob", BOB, "notify.bob", ""):
        with pytest.raises(ServiceValidationError) as caught:
            await call(hass, recipient=name, message="Hi")
        assert caught.value.translation_key == "not_a_recipient"
    assert len(pbx.messages) == 2
    assert "netsapiens__" not in caplog.text  # Home Assistant finds nothing deprecated in the tool


async def test_nobody_else_is_offered(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Neither another integration's entities, nor to another API than Assist, nor without an assistant."""
    await add_account(recipient("Ann", ANN))
    hass.states.async_set("notify.printer", "unknown", {"friendly_name": "Printer"})
    for entity_id in ("notify.ann", "notify.printer"):
        async_expose_entity(hass, "conversation", entity_id, True)
    tool = (await tools(hass))[TOOL]
    with pytest.raises(vol.Invalid):
        tool.parameters({"recipient": "Printer", "message": "Hi"})
    assert async_get_tools(hass, context_of(), "assist") is not None
    assert async_get_tools(hass, context_of(), "other") is None
    assert async_get_tools(hass, replace(context_of(), assistant=None), "assist") is None


async def test_what_fails_is_said_in_words(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The agent hears the error of the action, and that a text only waits."""
    await add_account(recipient("Ann", ANN))
    async_expose_entity(hass, "conversation", "notify.ann", True)
    with pytest.raises(ServiceValidationError) as caught:
        await call(hass, recipient="Ann", message=" ")
    assert caught.value.translation_key == "nothing_to_send"
    pbx.fault(FaultKind.STATUS, path="/messages", method="POST", code=400, message="Blocked")
    with pytest.raises(HomeAssistantError, match="Blocked"):
        await call(hass, recipient="Ann", message="Hi")


async def test_with_the_rights_of_who_asks(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A user who may not control the entity cannot text through Assist either."""
    await add_account(recipient("Ann", ANN))
    async_expose_entity(hass, "conversation", "notify.ann", True)
    user = MockUser().add_to_hass(hass)
    user.mock_policy({"entities": {"entity_ids": {"light.kitchen": True}}})
    with pytest.raises(Unauthorized):
        await call(hass, user.id, recipient="Ann", message="Hi")
    assert pbx.messages == []


async def test_two_of_one_name(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Their entities tell them apart; a disabled one is not there, nor is one whose account is not loaded."""
    await add_account(recipient("Ann", ANN))
    pbx.add_user("1002@acme.example", numbers=["18585550142"])
    other = await add_account(recipient("Ann", BOB), login="1002@acme.example")
    for entity_id in ("notify.ann", "notify.ann_2"):
        async_expose_entity(hass, "conversation", entity_id, True)
    await call(hass, recipient="Ann (notify.ann_2)", message="Hi")
    assert pbx.messages[0].destination == [BOB]
    with pytest.raises(ServiceValidationError):
        await call(hass, recipient="Ann", message="Hi")
    er.async_get(hass).async_update_entity("notify.ann_2", disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done()
    await call(hass, recipient="Ann", message="Hi")
    assert pbx.messages[1].destination == [ANN]
    assert other.title == "1002@acme.example"
