"""What is kept on disk: the messages that wait, and what the account had when it was last seen."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
import logging
from pathlib import Path
from typing import Any, override

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.file import WriteError
from homeassistant.util.json import SerializationError

from .api import Account, SmsNumber
from .api.messages import is_session_id
from .checkpoint import Place
from .compose import Media, OutgoingMessage, label_of
from .const import DOMAIN
from .coordinator import AccountFacts
from .lookup import Trace

_LOGGER = logging.getLogger(__name__)

_VERSION = 1
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, OSError)  # what a damaged file leads to


class _DurableStore(Store[dict[str, Any]]):
    """A Store whose save has happened when it returns, or raises.

    Store itself only logs a failure, and puts off a save while Home Assistant stops.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        version: int,
        key: str,
        private: bool = False,
        *,
        not_written: str,
        atomic_writes: bool = False,
        serialize_in_event_loop: bool = True,
    ) -> None:
        super().__init__(
            hass,
            version,
            key,
            private,
            atomic_writes=atomic_writes,
            serialize_in_event_loop=serialize_in_event_loop,
        )
        self._not_written = not_written

    @override
    async def async_save(self, data: dict[str, Any]) -> None:
        """Save now.

        Raises:
            HomeAssistantError: it could not be written.
        """
        if self.hass.state is not CoreState.stopping:
            await super().async_save(data)
            return
        self._data = {"version": self.version, "minor_version": self.minor_version, "key": self.key, "data": data}
        await self._async_handle_write_data()  # type: ignore[no-untyped-call]

    @override
    async def _async_write_data(self, data: dict[str, Any]) -> None:
        """Write, or raise what Store does not swallow."""
        try:
            await super()._async_write_data(data)
        except (SerializationError, WriteError, OSError) as err:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key=self._not_written) from err


async def _async_set_aside(hass: HomeAssistant, path: Path) -> str:
    """Keep a damaged file under another name, which is returned."""
    aside = path.with_name(f"{path.name}.damaged.{dt_util.utcnow():%Y%m%dT%H%M%S}")
    try:
        await hass.async_add_executor_job(path.replace, aside)
    except OSError as err:
        _LOGGER.warning("The damaged file %s could not be set aside: %s", path.name, err.strerror)
        return path.name
    return aside.name


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message as it is kept.

    Attributes:
        message: which.
        until: when its time is up, seconds since 1970: the wall clock is what outlives a restart.
        trace: what tells it from its equals, if it may be out.
    """

    message: OutgoingMessage
    until: float
    trace: Trace | None


class OutboxStore:
    """The messages that wait, on disk. Holds no credentials.

    Parameters:
        entry_id: the account's.
        label: gives a recipient's name, which is not kept here.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str, label: Callable[[str | None], str | None]) -> None:
        self._hass = hass
        self._label = label
        self._store = _DurableStore(
            hass,
            _VERSION,
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
        await self._store.async_save({"messages": [_row_of(kept) for kept in messages]})

    async def async_load(self) -> tuple[list[KeptMessage], str | None]:
        """Return the messages kept; and where the file was damaged, the name under which it was set aside.

        A file that is no JSON at all is set aside by Store, which tells of it with a log line and a repair issue.
        """
        try:
            data = await self._store.async_load()
            rows: list[Any] = [] if data is None else [*data["messages"]]
        except (HomeAssistantError, *_DAMAGE) as err:
            _LOGGER.warning("The waiting texts cannot be read: %s", type(err).__name__)
            return [], await _async_set_aside(self._hass, Path(self._store.path))
        kept = []
        for row in rows:
            try:
                kept.append(_kept_of(row, self._label))
            except _DAMAGE:
                continue
        if len(kept) == len(rows):
            return kept, None
        _LOGGER.warning("%s of %s waiting texts cannot be read", len(rows) - len(kept), len(rows))
        return kept, await _async_set_aside(self._hass, Path(self._store.path))

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
        "until": kept.until,
        "since": trace.since.timestamp() if trace else None,
        "known": trace.known if trace else None,
    }


def _kept_of(row: dict[str, Any], label: Callable[[str | None], str | None]) -> KeptMessage:
    """Return the message of a row; one of _DAMAGE where the row is none."""
    if not isinstance(row["destination"], list):
        raise TypeError("no list of numbers")
    destination = tuple(_text(number) for number in row["destination"])
    if not destination or not is_session_id(row["messagesession"]):
        raise ValueError("the client would not send it")
    media, recipient_id, owner = row["media"], row["recipient_id"], row.get("owner")
    message = OutgoingMessage(
        destination=destination,
        message_type=_text(row["message_type"]),
        text=_text(row["text"]),
        from_number=None if row["from_number"] is None else _text(row["from_number"]),
        messagesession=_text(row["messagesession"]),
        media=media and Media(_text(media["data"]), _text(media["mime_type"]), int(media["size"])),
        recipient_id=None if recipient_id is None else _text(recipient_id),
        label=label(recipient_id) or label_of(destination),
        owner=None if owner is None else _text(owner),
    )
    trace = None
    if row["since"] is not None:
        trace = Trace(datetime.fromtimestamp(float(row["since"]), UTC), int(row["known"]))
    return KeptMessage(message, float(row["until"]), trace)


def _text(value: object) -> str:
    """Return a text that was kept; TypeError where it is none."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


class InboxStore:
    """How far the inbox is, on disk.

    Parameters:
        entry_id: the account's.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._store = _DurableStore(
            hass, _VERSION, f"{DOMAIN}.inbox.{entry_id}", private=True, atomic_writes=True, not_written="place_not_kept"
        )

    async def async_load(self) -> tuple[Place | None, str | None]:
        """Return the place reached, and where the file was damaged, the name under which it was set aside.

        There is no place at the very first start, and where the file is damaged.
        """
        path = Path(self._store.path)
        was_there = await self._hass.async_add_executor_job(path.exists)
        try:
            data = await self._store.async_load()
            if data is not None:
                return _place_of(data), None
        except (HomeAssistantError, *_DAMAGE) as err:
            _LOGGER.warning("It cannot be read how far the inbox was: %s", type(err).__name__)
            return None, await _async_set_aside(self._hass, path)
        # Store sets a file that is no JSON aside itself, and returns nothing.
        return None, path.name if was_there else None

    async def async_save(self, place: Place) -> None:
        """Keep the place reached.

        Raises:
            HomeAssistantError: it could not be written.
        """
        await self._store.async_save(
            {
                "until": place.until.timestamp(),
                "wall": place.wall.timestamp(),
                "ignored_until": place.ignored_until.timestamp(),
                "seen": {key: at.timestamp() for key, at in place.seen.items()},
                "latest": {**place.latest},
            }
        )

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()


def _place_of(data: dict[str, Any]) -> Place:
    """Return the place reached that a file holds; one of _DAMAGE where it holds none."""
    return Place(
        until=_time(data["until"]),
        seen={str(key): _time(at) for key, at in data["seen"].items()},
        latest={_text(session): _text(key) for session, key in data["latest"].items()},
        wall=_time(data["wall"]),
        ignored_until=_time(data["ignored_until"]),
    )


def _time(value: object) -> datetime:
    """Return a time that was kept in seconds; one of _DAMAGE where it is none."""
    if not isinstance(value, int | float):
        raise TypeError("not a time")
    return datetime.fromtimestamp(value, UTC)


class FactsStore:
    """What the account had when it was last seen, for a start while the PBX is away.

    Parameters:
        entry_id: the account's.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._store = Store[dict[str, Any]](hass, _VERSION, f"{DOMAIN}.account.{entry_id}", private=True)
        self._kept: AccountFacts | None = None

    async def async_load(self) -> AccountFacts | None:
        """Return what is known; None where nothing is."""
        try:
            data = await self._store.async_load()
            if data is None:
                return None
            numbers = [SmsNumber(**row) for row in data["numbers"]]
            self._kept = AccountFacts(
                Account(**data["account"]), str(data["version"]), {number.number: number for number in numbers}
            )
        except (HomeAssistantError, *_DAMAGE) as err:
            _LOGGER.debug("What was known of the account cannot be read: %s", type(err).__name__)
        return self._kept

    async def async_save(self, facts: AccountFacts) -> None:
        """Keep what is known now, if it is new."""
        if facts == self._kept:
            return
        self._kept = facts
        await self._store.async_save(
            {
                "account": asdict(facts.account),
                "version": facts.version,
                "numbers": [asdict(number) for number in facts.numbers.values()],
            }
        )

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()
