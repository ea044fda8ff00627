"""The action ``netsapiens.ask_question``: a question by text, whose first answer a script goes on with."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from homeassistant.components.notify import ATTR_TITLE
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from .account import NetsapiensConfigEntry
from .asking import QuestionTerms, async_ask
from .const import CONF_DESTINATION, CONF_FROM_NUMBER, CONF_GROUP, DOMAIN
from .errors import refuse
from .receiving.answers import AnswerMatcher, Choice, numbered_lines
from .receiving.question import Answer
from .request import is_visible, written_text
from .services import (
    ATTR_CONFIG_ENTRY_ID,
    ATTR_KEEP_FOR,
    ATTR_MEDIA,
    ATTR_MESSAGESESSION,
    HOW_FIELDS,
    async_requests_of,
    period,
    without_empty,
)

SERVICE_ASK_QUESTION = "ask_question"

ATTR_ANSWERS = "answers"
ATTR_HINT = "hint"
ATTR_ID = "id"
ATTR_NUMBERED = "numbered"
ATTR_PIN = "pin"
ATTR_QUESTION = "question"
ATTR_SENTENCES = "sentences"
ATTR_TIMEOUT = "timeout"

_TIMEOUT: Final = timedelta(minutes=5)
_LONGEST_TIMEOUT: Final = timedelta(hours=24)
_AS_IN_SENDING = {
    *(CONF_DESTINATION, CONF_GROUP, CONF_FROM_NUMBER, ATTR_MESSAGESESSION, ATTR_MEDIA, ATTR_KEEP_FOR),
}

# The types only: the rules have translated words.
_ANSWER = vol.All(
    without_empty,
    vol.Schema(
        {
            vol.Optional(ATTR_ID): vol.Any(bool, cv.string),
            vol.Optional(ATTR_SENTENCES, default=list): vol.All(cv.ensure_list, [vol.Any(bool, cv.string)]),
        }
    ),
)
SCHEMA = vol.Schema(
    {
        **cv.TARGET_SERVICE_FIELDS,
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        **{field: kind for field, kind in HOW_FIELDS.items() if field in _AS_IN_SENDING},
        vol.Optional(ATTR_TITLE): cv.string,
        vol.Optional(ATTR_QUESTION): cv.string,
        vol.Optional(ATTR_ANSWERS, default=list): vol.All(cv.ensure_list, [_ANSWER]),
        vol.Optional(ATTR_NUMBERED, default=True): cv.boolean,
        vol.Optional(ATTR_TIMEOUT, default=_TIMEOUT): period,
        vol.Optional(ATTR_HINT): written_text,
        vol.Optional(ATTR_PIN): written_text,
    }
)


@callback
def async_setup_ask(hass: HomeAssistant) -> None:
    """Register the action."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_ASK_QUESTION,
        _ask_question,
        vol.All(without_empty, SCHEMA),
        supports_response=SupportsResponse.ONLY,
    )


async def _ask_question(call: ServiceCall) -> ServiceResponse:
    """Ask the targeted recipients and the destinations, and return the first answer."""
    question, timeout = call.data.get(ATTR_QUESTION, ""), call.data[ATTR_TIMEOUT]
    if not is_visible(question):
        refuse("nothing_to_ask")
    if not timedelta() < timeout <= _LONGEST_TIMEOUT:
        refuse("invalid_timeout")
    choices = _choices(call.data[ATTR_ANSWERS])
    numbered = call.data[ATTR_NUMBERED]
    text = "\n".join([question, *(numbered_lines(choices) if numbered else ())])
    terms = QuestionTerms(
        matcher=AnswerMatcher(choices, numbered=numbered, pin=call.data.get(ATTR_PIN)),
        timeout=timeout,
        hint=call.data.get(ATTR_HINT),
    )
    requests = await async_requests_of(call, text)
    answered = await async_ask(call.hass, requests, terms, call.context)
    return _no_answer() if answered is None else _answer(*answered)


def _choices(answers: Sequence[dict[str, Any]]) -> list[Choice]:
    """Return the answers of a call.

    Raises:
        ServiceValidationError: one has no ID or no sentence, or YAML made yes or no of it.
    """
    for answer in answers:
        if any(isinstance(value, bool) for value in (answer.get(ATTR_ID), *answer[ATTR_SENTENCES])):
            refuse("answer_not_text")
        if ATTR_ID not in answer or not any(is_visible(sentence) for sentence in answer[ATTR_SENTENCES]):
            refuse("answer_incomplete")
    return [
        Choice(answer[ATTR_ID], tuple(sentence for sentence in answer[ATTR_SENTENCES] if is_visible(sentence)))
        for answer in answers
    ]


def _answer(entry: NetsapiensConfigEntry, answer: Answer) -> JsonObjectType:
    """Return the response of a question that was answered."""
    received, account = answer.received, entry.runtime_data
    sender = account.addresses.recipient_with(received.from_number, answer.ask.message.recipient_id)
    response: JsonObjectType = {
        "id": answer.match.id,
        "text": received.text,
        "from_number": received.shown(received.from_number, account.coordinator.hass.config.country),
        "recipient": sender.title if sender else None,
        "timestamp": received.timestamp.isoformat(),
        "messagesession": received.messagesession,
        "media_content_id": received.media_content_id,
        "timed_out": False,
    }
    return response | ({"slots": answer.match.slots} if answer.match.slots else {})


def _no_answer() -> JsonObjectType:
    """Return the response of a question that nobody answered in time."""
    keys = ("id", "text", "from_number", "recipient", "timestamp", "messagesession", "media_content_id")
    return {**dict.fromkeys(keys), "timed_out": True}
