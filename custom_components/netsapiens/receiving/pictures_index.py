"""The index of an account's media on disk: what is kept, and what waits to be fetched."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
import hashlib
from typing import Any, Final, NamedTuple, Self

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from ..const import DOMAIN
from ..media_kinds import ENDINGS, is_picture
from ..storage import DAMAGE, VERSION, async_read, text_of
from .pictures_id import MediaId

_LONG_AGO: Final = datetime.fromtimestamp(0, UTC)


class Origin(NamedTuple):
    """Who sent media.

    Attributes:
        sender: digits, the user of an extension, or a name.
        recipient_ids: the recipients whose number that was; empty for a stranger.
        reported_at: when its message was reported, by our clock.
    """

    sender: str
    recipient_ids: tuple[str, ...] = ()
    reported_at: datetime = _LONG_AGO


class StoredMedia(NamedTuple):
    """Media in a file.

    Attributes:
        media_id: its id.
        kind: its MIME type, by its bytes.
        origin: who sent it; None where it was opened without being kept.
        stored_at: when it was written.
    """

    media_id: MediaId
    kind: str
    origin: Origin | None
    stored_at: datetime

    @property
    def file(self) -> str:
        """The name of its file."""
        digest = hashlib.sha256(self.media_id.identifier.encode()).hexdigest()
        return f"{digest[:40]}.{ENDINGS[self.kind]}"

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture."""
        return is_picture(self.kind)

    @property
    def age(self) -> tuple[int, datetime]:
        """What tells which of two is newer: when it came in by the PBX, to the second, then when it was reported."""
        return self.media_id.at, self.origin.reported_at if self.origin is not None else self.stored_at


class FetchJob(NamedTuple):
    """Media that waits to be fetched.

    Attributes:
        media_id: its id.
        origin: who sent it.
        failures: how often that failed.
    """

    media_id: MediaId
    origin: Origin
    failures: int = 0

    def failed(self) -> Self:
        """Return the job as it is after one more failure."""
        return self._replace(failures=self.failures + 1)


class MediaIndex:
    """The index of an account's media, on disk.

    Parameters:
        entry_id: the account's.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._entry_id = entry_id
        self._store = Store[dict[str, Any]](
            hass, VERSION, f"{DOMAIN}.media.{entry_id}", private=True, atomic_writes=True
        )

    async def async_load(self) -> tuple[list[StoredMedia], list[FetchJob]]:
        """Return what is kept, and what waits; a damaged row costs no other one.

        Raises:
            HomeAssistantError: the file could not be read.
            Exception: one of DAMAGE, where it holds no index.
        """
        data, was_no_json = await async_read(self._hass, self._store)
        if was_no_json:
            raise ValueError("no JSON")
        if data is None:
            return [], []
        return self._read(data["media"], _stored_of), self._read(data["waiting"], _job_of)

    async def async_save(self, kept: Collection[StoredMedia], waiting: Collection[FetchJob]) -> None:
        """Write what is kept, and what waits. Where that fails, Store logs it."""
        await self._store.async_save({"media": [*map(_row_of, kept)], "waiting": [*map(_row_of_job, waiting)]})

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()

    def _read[ItemT: (StoredMedia, FetchJob)](
        self, rows: list[dict[str, Any]], read: Callable[[dict[str, Any]], ItemT]
    ) -> list[ItemT]:
        """Return what rows stand for, without those that are damaged or another account's."""
        found = []
        for row in rows:
            try:
                item = read(row)
            except DAMAGE:
                continue
            if item.media_id.entry_id == self._entry_id:
                found.append(item)
        return found


def _row_of(stored: StoredMedia) -> dict[str, Any]:
    """Return media as the index has it."""
    return {
        "id": stored.media_id.identifier,
        "kind": stored.kind,
        **_row_of_origin(stored.origin or Origin("")),
        "stored_at": stored.stored_at.isoformat(),
    }


def _row_of_job(job: FetchJob) -> dict[str, Any]:
    """Return media that waits as the index has it."""
    return {"id": job.media_id.identifier, **_row_of_origin(job.origin), "failures": job.failures}


def _row_of_origin(origin: Origin) -> dict[str, Any]:
    """Return who sent media as the index has it."""
    return {
        "sender": origin.sender,
        "recipients": list(origin.recipient_ids),
        "reported_at": origin.reported_at.isoformat(),
    }


def _stored_of(row: dict[str, Any]) -> StoredMedia:
    """Return media from its row; one of DAMAGE where that is damaged."""
    kind = text_of(row["kind"])
    if kind not in ENDINGS:
        raise ValueError("not a kind")
    return StoredMedia(_media_id_of(row), kind, _origin_of(row), _time_of(row["stored_at"]))


def _job_of(row: dict[str, Any]) -> FetchJob:
    """Return media that waits from its row; one of DAMAGE where that is damaged."""
    return FetchJob(_media_id_of(row), _origin_of(row), int(row["failures"]))


def _media_id_of(row: dict[str, Any]) -> MediaId:
    """Return the id in a row; one of DAMAGE where there is none."""
    media_id = MediaId.parse(text_of(row["id"]))
    if media_id is None:
        raise ValueError("not an id")
    return media_id


def _origin_of(row: dict[str, Any]) -> Origin:
    """Return who sent the media of a row; one of DAMAGE where that is damaged."""
    recipient_ids = tuple(text_of(one) for one in row["recipients"])
    return Origin(text_of(row["sender"]), recipient_ids, _time_of(row["reported_at"]))


def _time_of(value: object) -> datetime:
    """Return a time that was kept; one of DAMAGE where it is none."""
    return datetime.fromisoformat(text_of(value)).astimezone(UTC)
