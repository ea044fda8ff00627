"""Triggers: a message came in, such as the word "garage" from Ann; a text did not get out.

Home Assistant's base class for them is new, and a later release may move it. Where it is not there, these triggers are
not there either, and the events work as ever.
"""

from typing import TYPE_CHECKING, Final

from homeassistant.components.event import ATTR_EVENT_TYPE, DOMAIN as EVENT_DOMAIN
from homeassistant.const import CONF_OPTIONS
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import config_validation as cv, entity_registry as er
import voluptuous as vol

from .const import DOMAIN, EVENT_FAILED, EVENT_RECEIVED
from .delivery.state import Reason
from .receiving.answers import bare, folded
from .request import written_text

if TYPE_CHECKING:
    from homeassistant.helpers.trigger import Trigger

CONF_MATCH = "match"
CONF_REASON = "reason"
CONF_TEXT = "text"
CONF_WITH_PICTURE = "with_picture"

MATCH_EQUALS: Final = "equals"
MATCH_STARTS_WITH: Final = "starts_with"
MATCH_CONTAINS: Final = "contains"


def _visible(texts: list[str]) -> list[str]:
    """Return the phrases that say something."""
    return [text for text in texts if bare(text)]


RECEIVED_OPTIONS = {
    vol.Optional(CONF_TEXT, default=list): vol.All(cv.ensure_list, [written_text], _visible),
    vol.Optional(CONF_MATCH, default=MATCH_EQUALS): vol.In([MATCH_EQUALS, MATCH_STARTS_WITH, MATCH_CONTAINS]),
    vol.Optional(CONF_WITH_PICTURE, default=False): cv.boolean,
}
FAILED_OPTIONS = {
    vol.Optional(CONF_REASON, default=list): vol.All(cv.ensure_list, [vol.In([reason.value for reason in Reason])]),
}


def is_text(text: str, phrases: list[str], match: str) -> bool:
    """Return whether a text is one of some phrases, begins with one, or has one in it; any text where there are none.

    Case, accents, spaces, and punctuation at the ends make no difference. A phrase of punctuation alone stays as it is.

    Parameters:
        text: all that somebody texted.
        phrases: what is waited for.
        match: ``equals``, ``starts_with`` or ``contains``.
    """
    said = {bare(text), folded(text).strip()}  # the latter for punctuation, which may be all of a phrase
    wanted = [bare(phrase) for phrase in phrases]
    if match == MATCH_STARTS_WITH:
        return not wanted or any(one.startswith(phrase) for one in said for phrase in wanted)
    if match == MATCH_CONTAINS:
        return not wanted or any(phrase in one for one in said for phrase in wanted)
    return not wanted or not said.isdisjoint(wanted)


def _may_have_picture(state: State) -> bool:
    """Return whether a picture came with a message; some PBXs do not say of what type its media is."""
    media_type = state.attributes.get("media_type")
    if not media_type:
        return state.attributes.get("media_content_id") is not None
    return str(media_type).startswith("image/")


TRIGGERS: dict[str, type[Trigger]] = {}

try:
    from homeassistant.helpers.automation import DomainSpec
    from homeassistant.helpers.trigger import (
        ENTITY_STATE_TRIGGER_SCHEMA,
        NotTriggeredReasonReporter,
        StatelessEntityTriggerBase,
    )
except ImportError:  # pragma: no cover - no release that is supported now
    pass
else:

    class _MessageTrigger(StatelessEntityTriggerBase):
        """Triggers when an event entity of ours fires."""

        _domain_specs = {EVENT_DOMAIN: DomainSpec()}  # noqa: RUF012 - as the base class has it

        def entity_filter(self, entities: set[str]) -> set[str]:
            """Return those of some entities that are ours."""
            registry = er.async_get(self._hass)
            return {
                entity_id
                for entity_id in super().entity_filter(entities)
                if (entity := registry.async_get(entity_id)) is not None and entity.platform == DOMAIN
            }

    class MessageReceivedTrigger(_MessageTrigger):
        """Triggers when a message comes in."""

        _schema = ENTITY_STATE_TRIGGER_SCHEMA.extend({vol.Required(CONF_OPTIONS, default={}): RECEIVED_OPTIONS})

        def is_valid_state(self, state: State, report_not_triggered: NotTriggeredReasonReporter) -> bool:
            """Return whether it is a message as the options want it."""
            attributes, options = state.attributes, self._options
            if attributes.get(ATTR_EVENT_TYPE) != EVENT_RECEIVED:
                return False
            if options[CONF_WITH_PICTURE] and not _may_have_picture(state):
                return False
            return is_text(str(attributes.get("message") or ""), options[CONF_TEXT], options[CONF_MATCH])

    class MessageFailedTrigger(_MessageTrigger):
        """Triggers when a text that was queued does not get out."""

        _schema = ENTITY_STATE_TRIGGER_SCHEMA.extend({vol.Required(CONF_OPTIONS, default={}): FAILED_OPTIONS})

        def is_valid_state(self, state: State, report_not_triggered: NotTriggeredReasonReporter) -> bool:
            """Return whether it is a failure as the options want it."""
            reasons = self._options[CONF_REASON]
            return state.attributes.get(ATTR_EVENT_TYPE) == EVENT_FAILED and (
                not reasons or state.attributes.get("reason") in reasons
            )

    TRIGGERS = {"message_received": MessageReceivedTrigger, "message_failed": MessageFailedTrigger}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers that this release of Home Assistant can have."""
    return TRIGGERS
