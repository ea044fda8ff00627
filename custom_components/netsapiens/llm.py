"""The tool by which Assist texts the recipients that are exposed to it. Home Assistant loads it on demand."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.components.llm import LLMTools
from homeassistant.components.notify import DOMAIN as NOTIFY_DOMAIN
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, entity_registry as er, llm
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from .const import DOMAIN
from .services import SERVICE_SEND_MESSAGE

ATTR_RECIPIENT = "recipient"
ATTR_MESSAGE = "message"


@callback
def async_get_tools(hass: HomeAssistant, llm_context: llm.LLMContext, api_id: str) -> LLMTools | None:
    """Return the tool, for Assist, where a recipient is exposed to the assistant that asks."""
    if api_id != llm.LLM_API_ASSIST or not llm_context.assistant:
        return None
    recipients = _exposed(hass, llm_context.assistant)
    return LLMTools(tools=[SendTextTool(recipients)]) if recipients else None


class SendTextTool(llm.Tool):
    """Texts a recipient, never a bare number.

    Parameters:
        recipients: the names of those who are exposed.
    """

    name = f"{DOMAIN}__send_text"
    title = "Send text message"
    description = (
        "Sends a text message (SMS) to the phone of a person. Call it only if the user asks to text that person."
    )
    integration = DOMAIN

    def __init__(self, recipients: Mapping[str, str]) -> None:
        self.parameters = vol.Schema(
            {
                vol.Required(ATTR_RECIPIENT, description="Who gets the text message"): vol.In(list(recipients)),
                vol.Required(ATTR_MESSAGE, description="The text message, as the person will read it"): cv.string,
            }
        )
        if hasattr(llm, "ToolAnnotations"):  # pragma: no branch - not in the oldest release, which has its own run
            self.annotations = llm.ToolAnnotations(destructive=False)

    @override
    async def async_call(self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext) -> Any:
        """Send the text as the action does, with the rights of the user who asks.

        Raises:
            ServiceValidationError: nobody of that name is exposed now, or a rule of the action is broken.
            HomeAssistantError: the text was not sent.
        """
        asked = str(tool_input.tool_args.get(ATTR_RECIPIENT, ""))
        exposed = _exposed(hass, llm_context.assistant)
        names = {name.casefold(): entity_id for name, entity_id in exposed.items()}
        entity_id = exposed.get(asked) or names.get(asked.strip().casefold())
        if entity_id is None:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="not_a_recipient", translation_placeholders={"target": asked}
            )
        data = {"entity_id": entity_id, ATTR_MESSAGE: str(tool_input.tool_args.get(ATTR_MESSAGE, ""))}
        answer: Any = await hass.services.async_call(
            DOMAIN, SERVICE_SEND_MESSAGE, data, blocking=True, context=llm_context.context, return_response=True
        )
        status = "queued" if any(row["status"] == "queued" for row in answer["messages"]) else "sent"
        result: JsonObjectType = {"success": True, "status": status}
        return llm.ToolResult(data=result) if hasattr(llm, "ToolResult") else result


@callback
def _exposed(hass: HomeAssistant, assistant: str) -> dict[str, str]:
    """Return the notify entities of recipients that are exposed to an assistant, by their names.

    Those that share a name have their entity's id behind it.
    """
    registry = er.async_get(hass)
    found: dict[str, list[str]] = {}
    for state in sorted(hass.states.async_all(NOTIFY_DOMAIN), key=lambda state: state.entity_id):
        entity = registry.async_get(state.entity_id)
        if entity is None or entity.platform != DOMAIN or entity.config_subentry_id is None:
            continue
        if async_should_expose(hass, assistant, state.entity_id):
            found.setdefault(state.name, []).append(state.entity_id)
    return {
        name if len(entity_ids) == 1 else f"{name} ({entity_id})": entity_id
        for name, entity_ids in found.items()
        for entity_id in entity_ids
    }
