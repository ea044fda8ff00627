"""The messages that wait, on disk."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
import logging
from math import inf
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from ..api.messages import is_session_id
from ..const import DOMAIN
from ..outgoing import Media, OutgoingMessage, label_of
from ..storage import DAMAGE, VERSION, DurableStore, async_set_aside, text_of
from .deadline import Deadline
from .reconcile import Baseline

_LOGGER = logging.getLogger(__name__)

_BATCH = 200  # rows that are read before others may run


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message as it is kept.

    Attributes:
        message: which.
        deadline: when its time is up.
        trace: what tells it from its equals, if it may be out.
    """

    message: OutgoingMessage
    deadline: Deadline
    trace: Baseline | None


class QueueStore:
    """The messages that wait, on disk. Holds no credentials.

    Parameters:
        entry_id: the account's.
        label: gives a recipient's name, which is not kept here.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str, label: Callable[[str | None], str | None]) -> None:
        self._hass = hass
        self._label = label
        self._store = DurableStore(
            hass,
            VERSION,
            f"{DOMAIN}.outbox.{entry_id}",
            private=True,
            atomic_writes=True,
            serialize_in_event_loop=False,
            not_written="not_kept",
        )

    async def async_save(self, messages: list[KeptMessage]) -> None:
        """Keep these messages, and no others; they are on disk when this returns.

        Raises:
            HomeAssistantError: they could not be written.
        """
        rows = await self._hass.async_add_executor_job(lambda: [_row_of(kept) for kept in messages])
        await self._store.async_save({"messages": rows})

    async def async_load(self) -> tuple[list[KeptMessage], str | None]:
        """Return the messages kept; and where the file was damaged, the name under which it was set aside.

        A file that is no JSON at all is set aside by Store, which tells of it with a log line and a repair issue.
        """
        try:
            data = await self._store.async_load()
            rows: list[Any] = [] if data is None else [*data["messages"]]
        except (HomeAssistantError, *DAMAGE) as err:
            _LOGGER.warning("The waiting texts cannot be read: %s", type(err).__name__)
            return [], await async_set_aside(self._hass, Path(self._store.path))
        kept = []
        for number, row in enumerate(rows):
            if number % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)
            try:
                kept.append(_kept_of(row, self._label))
            except DAMAGE:
                continue
        if len(kept) == len(rows):
            return kept, None
        _LOGGER.warning("%s of %s waiting texts cannot be read", len(rows) - len(kept), len(rows))
        return kept, await async_set_aside(self._hass, Path(self._store.path))

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()


def _row_of(kept: KeptMessage) -> dict[str, Any]:
    """Return a message as it stands in the file."""
    message, media, trace = kept.message, kept.message.media, kept.trace
    return {
        "destination": message.destination,
        "message_type": message.message_type,
        "text": message.text,
        "from_number": message.from_number,
        "messagesession": message.messagesession,
        "media": {"data": media.data, "mime_type": media.mime_type, "size": media.size} if media else None,
        "recipient_id": message.recipient_id,
        "owner": message.owner,
        "until": kept.deadline.until,
        "left": kept.deadline.left,
        "until_pbx": kept.deadline.until_pbx,
        "reprieved": kept.deadline.reprieved,
        "since": trace.since.timestamp() if trace else None,
        "known": trace.known if trace else None,
    }


def _kept_of(row: dict[str, Any], label: Callable[[str | None], str | None]) -> KeptMessage:
    """Return the message of a row; one of DAMAGE where the row is none."""
    if not isinstance(row["destination"], list):
        raise TypeError("no list of numbers")
    destination = tuple(text_of(number) for number in row["destination"])
    if not destination or not is_session_id(row["messagesession"]):
        raise ValueError("the client would not send it")
    media, recipient_id, owner = row["media"], row["recipient_id"], row.get("owner")
    message = OutgoingMessage(
        destination=destination,
        message_type=text_of(row["message_type"]),
        text=text_of(row["text"]),
        from_number=None if row["from_number"] is None else text_of(row["from_number"]),
        messagesession=text_of(row["messagesession"]),
        media=media and Media(text_of(media["data"]), text_of(media["mime_type"]), int(media["size"])),
        recipient_id=None if recipient_id is None else text_of(recipient_id),
        label=label(recipient_id) or label_of(destination),
        owner=None if owner is None else text_of(owner),
    )
    trace = None
    if row["since"] is not None:
        trace = Baseline(datetime.fromtimestamp(float(row["since"]), UTC), int(row["known"]))
    return KeptMessage(message, _deadline_of(row), trace)


def _deadline_of(row: dict[str, Any]) -> Deadline:
    """Return when a row's time is up; rows of the first releases say it by our wall clock alone."""
    if row.get("left") is None:
        return Deadline(float(row["until"]), inf, reprieved=True)
    until_pbx = None if row["until_pbx"] is None else float(row["until_pbx"])
    return Deadline(float(row["until"]), float(row["left"]), until_pbx, row["reprieved"] is True)
