"""A waiting message <-> the row that the spool keeps of it. Holds no credentials."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from homeassistant.exceptions import HomeAssistantError

from ..api.messages import is_session_id
from ..const import DOMAIN
from ..outgoing import Media, OutgoingMessage, label_of
from ..storage import text_of
from .deadline import Deadline
from .reconcile import Baseline
from .results import error
from .spool_files import SpooledMessage


class KeptMessage(NamedTuple):
    """A message as it is kept.

    Attributes:
        message: which; its media is in a file of its own.
        number: its place in the queue.
        deadline: when its time is up.
        baseline: what distinguishes it from its duplicates, if it may have been accepted.
        refusal: why it may not be sent any more, e.g. since its recipient has opted out.
    """

    message: OutgoingMessage
    number: int
    deadline: Deadline
    baseline: Baseline | None
    refusal: HomeAssistantError | None = None


def row_of(kept: KeptMessage) -> dict[str, Any]:
    """Return a message as its row."""
    message, deadline, baseline = kept.message, kept.deadline, kept.baseline
    return {
        "number": kept.number,
        "destination": message.destination,
        "message_type": message.message_type,
        "text": message.text,
        "from_number": message.from_number,
        "messagesession": message.messagesession,
        "mime_type": message.media.mime_type if message.media else None,
        "is_named": message.is_named,
        "recipient_id": message.recipient_id,
        "owner": message.owner,
        "reference": message.reference or message.goes_with,
        "until": deadline.until,
        "left": deadline.left,
        "until_pbx": deadline.until_pbx,
        "reprieved": deadline.reprieved,
        "since": baseline.since.timestamp() if baseline else None,
        "known": baseline.known if baseline else None,
        "texts": sorted(baseline.texts) if baseline else [],
        "refusal": _refusal_row(kept.refusal),
    }


def kept_of(spooled: SpooledMessage, label: Callable[[str | None], str | None]) -> KeptMessage:
    """Return the message of a row.

    Parameters:
        spooled: the row, and how large the media beside it is.
        label: gives a recipient's name, which is not kept.

    Raises:
        One of storage.DAMAGE where the row is damaged.
    """
    row = spooled.row
    if not isinstance(row["destination"], list):
        raise TypeError("no list of numbers")
    destination = tuple(text_of(number) for number in row["destination"])
    if not destination or not is_session_id(row["messagesession"]):
        raise ValueError("the client would not send it")
    mime_type, recipient_id = _optional(row["mime_type"]), _optional(row["recipient_id"])
    if (mime_type is None) is not (spooled.media_size == 0):
        raise ValueError("its media is not there, or not its own")
    message = OutgoingMessage(
        destination=destination,
        message_type=text_of(row["message_type"]),
        text=text_of(row["text"]),
        from_number=_optional(row["from_number"]),
        messagesession=text_of(row["messagesession"]),
        media=None if mime_type is None else Media(None, mime_type, spooled.media_size),
        recipient_id=recipient_id,
        label=label(recipient_id) or label_of(destination),
        owner=_optional(row["owner"]),
        reference=_optional(row["reference"]),
        is_named=row.get("is_named") is True,  # absent: the text is its own
    )
    # Nobody waits for the answer to a question any more.
    refusal = _refusal_of(row["refusal"]) or (error("question_withdrawn") if message.reference else None)
    return KeptMessage(message, int(row["number"]), _deadline_of(row), _baseline_of(row), refusal)


def _optional(value: object) -> str | None:
    """Return a text that may be missing."""
    return None if value is None else text_of(value)


def _baseline_of(row: dict[str, Any]) -> Baseline | None:
    """Return what tells a row's message from its duplicates, if it may have been accepted."""
    if row["since"] is None:
        return None
    texts = frozenset(text_of(text) for text in row.get("texts", ()))  # absent: none
    return Baseline(datetime.fromtimestamp(float(row["since"]), UTC), int(row["known"]), texts)


def _deadline_of(row: dict[str, Any]) -> Deadline:
    """Return when a row's time is up."""
    until_pbx = None if row["until_pbx"] is None else float(row["until_pbx"])
    return Deadline(float(row["until"]), float(row["left"]), until_pbx, row["reprieved"] is True)


def _refusal_row(err: HomeAssistantError | None) -> dict[str, Any] | None:
    """Return an error so that it can be translated again after a restart."""
    if err is None:
        return None
    return {"key": err.translation_key, "placeholders": err.translation_placeholders}


def _refusal_of(row: dict[str, Any] | None) -> HomeAssistantError | None:
    """Return the error of a row."""
    if row is None:
        return None
    placeholders = {text_of(name): text_of(value) for name, value in (row["placeholders"] or {}).items()}
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key=text_of(row["key"]), translation_placeholders=placeholders or None
    )
