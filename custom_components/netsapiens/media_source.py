"""What came with texts, as a media source: accounts, then people, then what came from each, the newest first."""

from collections.abc import Iterable
from typing import override
from urllib.parse import quote, unquote

from homeassistant.components.media_player import BrowseError, MediaClass
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .account import NetsapiensConfigEntry
from .const import DOMAIN
from .media_view import url_of
from .phone import from_pbx, national
from .phone_metadata import async_load_metadata
from .receiving.pictures_errors import PictureError, PictureReason
from .receiving.pictures_id import MediaId
from .receiving.pictures_index import StoredMedia

_CLASSES = {"image": MediaClass.IMAGE, "audio": MediaClass.MUSIC, "video": MediaClass.VIDEO}
_TITLE = "%Y-%m-%d %H:%M:%S"


async def async_get_media_source(hass: HomeAssistant) -> MediaSource:
    """Return the media source."""
    return ReceivedMediaSource(hass)


class ReceivedMediaSource(MediaSource):
    """Shows what is kept, and resolves what is kept or still at the PBX."""

    name = "NetSapiens"

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__(DOMAIN)
        self._hass = hass

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        """Return media as it is served, and its file; what is not kept is read from the PBX.

        Raises:
            Unresolvable: it cannot be had.
        """
        media_id = MediaId.parse(item.identifier)
        entry = self._account(media_id.entry_id) if media_id is not None else None
        if media_id is None or entry is None:
            raise Unresolvable(translation_domain=DOMAIN, translation_key=PictureReason.NOT_FOUND.value)
        try:
            stored, path = await entry.runtime_data.pictures.async_open(media_id)
        except PictureError as err:
            raise Unresolvable(translation_domain=DOMAIN, translation_key=err.reason.value) from err
        return PlayMedia(url_of(stored), stored.kind, path=path)

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        """Return what is below an account or a person.

        Raises:
            BrowseError: there is no such account or person.
        """
        entry_id, _, person = (item.identifier or "").partition("/")
        if not entry_id:
            return _folder(None, self.name, [_account_folder(entry, ()) for entry in self._accounts()])
        entry = self._account(entry_id)
        if entry is None:
            raise BrowseError(translation_domain=DOMAIN, translation_key=PictureReason.NOT_FOUND.value)
        await async_load_metadata(self._hass)
        people = self._people(entry)
        if not person:
            return _account_folder(entry, [_person_folder(entry, one, name, ()) for one, (name, _) in people.items()])
        if (found := people.get(unquote(person))) is None:
            raise BrowseError(translation_domain=DOMAIN, translation_key=PictureReason.NOT_FOUND.value)
        name, media = found
        return _person_folder(entry, unquote(person), name, [_shown(one) for one in media])

    def _accounts(self) -> list[NetsapiensConfigEntry]:
        """Return the accounts that are loaded."""
        entries: list[NetsapiensConfigEntry] = self._hass.config_entries.async_loaded_entries(DOMAIN)
        return sorted(entries, key=lambda entry: entry.title)

    def _account(self, entry_id: str) -> NetsapiensConfigEntry | None:
        """Return an account that is loaded; None where there is none."""
        entry: NetsapiensConfigEntry | None = self._hass.config_entries.async_get_entry(entry_id)
        is_ours = entry is not None and entry.domain == DOMAIN and entry.state is ConfigEntryState.LOADED
        return entry if is_ours else None

    def _people(self, entry: NetsapiensConfigEntry) -> dict[str, tuple[str, list[StoredMedia]]]:
        """Return who sent what is kept, each with their name and what they sent, who sent last first.

        Several recipients may share a number. Who is no recipient, or no longer one, has their number as their name.
        """
        region = self._hass.config.country
        people: dict[str, tuple[str, list[StoredMedia]]] = {}
        kept = entry.runtime_data.pictures.store.kept
        for stored, origin in [(one, one.origin) for one in kept if one.origin is not None]:
            recipients = [entry.subentries[one] for one in origin.recipient_ids if one in entry.subentries]
            names = {one.subentry_id: one.title for one in recipients}
            sender = origin.sender
            for key, name in (names or {sender: national(from_pbx(sender, region), region)}).items():
                people.setdefault(key, (name, []))[1].append(stored)
        return people


def _folder(
    identifier: str | None,
    title: str,
    children: Iterable[BrowseMediaSource],
    contains: MediaClass = MediaClass.DIRECTORY,
) -> BrowseMediaSource:
    """Return a folder."""
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=identifier,
        media_class=MediaClass.DIRECTORY,
        media_content_type="",
        title=title,
        can_play=False,
        can_expand=True,
        children_media_class=contains,
        children=list(children),
    )


def _account_folder(entry: NetsapiensConfigEntry, children: Iterable[BrowseMediaSource]) -> BrowseMediaSource:
    """Return the folder of an account."""
    return _folder(entry.entry_id, entry.title, children)


def _person_folder(
    entry: NetsapiensConfigEntry, person: str, name: str, children: Iterable[BrowseMediaSource]
) -> BrowseMediaSource:
    """Return the folder of a person."""
    return _folder(f"{entry.entry_id}/{quote(person, safe='')}", name, children, MediaClass.IMAGE)


def _shown(stored: StoredMedia) -> BrowseMediaSource:
    """Return one media; its title is when it came in."""
    came = dt_util.utc_from_timestamp(stored.media_id.at) if stored.media_id.at else stored.stored_at
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=stored.media_id.identifier,
        media_class=_CLASSES.get(stored.kind.partition("/")[0], MediaClass.URL),
        media_content_type=stored.kind,
        title=dt_util.as_local(came).strftime(_TITLE),
        can_play=True,
        can_expand=False,
        thumbnail=url_of(stored) if stored.is_picture else None,
    )
