"""What becomes of messages, as it is answered and reported."""

from datetime import datetime
from typing import NamedTuple

from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN
from ..outgoing import OutgoingMessage


class SentMessage(NamedTuple):
    """What became of a message.

    Attributes:
        message: what was to be sent.
        status: ``sent``, or ``queued`` where it is kept and tried again.
        message_id: the PBX's id, where it gave one.
    """

    message: OutgoingMessage
    status: str
    message_id: str | None = None


class FailedMessage(NamedTuple):
    """A message that was answered ``queued`` and never got out.

    Attributes:
        message: which.
        reason: ``expired``, ``refused``, ``unconfirmed``, ``opted_out`` or ``unexpected``.
        error: the reason in words.
        timestamp: when it was given up.
    """

    message: OutgoingMessage
    reason: str
    error: str
    timestamp: datetime


class WaitingMessage(NamedTuple):
    """A message that waits.

    Attributes:
        number: its place in the queue; no other message has the same.
        message: which. Its media is not in memory.
        until: when its time is up.
        listed_since: by the PBX's clock, from when on the PBX may list it; None where it surely does not.
    """

    number: int
    message: OutgoingMessage
    until: datetime
    listed_since: datetime | None


type Answer = SentMessage | HomeAssistantError


def spool_full(limit: int) -> HomeAssistantError:
    """Return the error of messages that would take too much space while they wait.

    Parameters:
        limit: how many bytes may wait.
    """
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="spool_full",
        translation_placeholders={"limit": f"{limit // 1_000_000}"},
    )


def error(key: str) -> HomeAssistantError:
    """Return a translated error."""
    return HomeAssistantError(translation_domain=DOMAIN, translation_key=key)
