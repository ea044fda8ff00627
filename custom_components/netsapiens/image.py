"""The newest picture that came with a text, of each recipient and of the account; added with the first one."""

from typing import override

from homeassistant.components.image import ImageEntity
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import NetsapiensConfigEntry
from .entity import AccountEntity, RecipientEntity
from .errors import safe
from .receiving.pictures_index import StoredMedia
from .signals import media_changed, recipients_changed

PARALLEL_UPDATES = 0

_KEY = "picture"


async def async_setup_entry(
    hass: HomeAssistant,
    entry: NetsapiensConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the entities of those from whom a picture was ever kept, and of others with their first one."""
    store = entry.runtime_data.pictures.store
    registry = er.async_get(hass)
    known: set[str | None] = set()

    @callback
    def add(people: set[str | None]) -> None:
        """Add the entities of those who have none yet; Home Assistant takes away those of removed recipients."""
        known.intersection_update({None, *entry.subentries})
        for recipient_id in people - known:
            if recipient_id is None:
                async_add_entities([AccountPicture(hass, entry)])
            elif (recipient := entry.subentries.get(recipient_id)) is not None:
                async_add_entities([RecipientPicture(hass, entry, recipient)], config_subentry_id=recipient_id)
            else:
                continue
            known.add(recipient_id)

    @callback
    def add_new() -> None:
        """Add the entities of those from whom a picture is kept."""
        origins = [stored.origin for stored in store.kept if stored.is_picture and stored.origin is not None]
        people: set[str | None] = {None} if origins else set()
        add(people.union(*(origin.recipient_ids for origin in origins)))

    add(
        {
            entity.config_subentry_id
            for entity in er.async_entries_for_config_entry(registry, entry.entry_id)
            if entity.domain == Platform.IMAGE
        }
    )
    add_new()
    for signal in (media_changed(entry), recipients_changed(entry)):
        entry.async_on_unload(async_dispatcher_connect(hass, signal, safe(add_new)))


class _Picture(ImageEntity):
    """Shows the newest picture, by the type that its bytes say."""

    _attr_translation_key = _KEY
    _entry: NetsapiensConfigEntry
    _of: str | None = None  # the recipient; None for all
    _newest: StoredMedia | None = None

    @override
    async def async_added_to_hass(self) -> None:
        """Show the newest one, from now on."""
        await super().async_added_to_hass()
        self._take_newest()
        signal = media_changed(self._entry)
        self.async_on_remove(async_dispatcher_connect(self.hass, signal, safe(self._update)))

    @callback
    def _update(self) -> None:
        """Show another one, if there is a newer one or the one shown is not kept any more."""
        if self._take_newest():
            self.async_write_ha_state()

    def _take_newest(self) -> bool:
        """Take the newest one; return whether it is another one."""
        before, self._newest = self._newest, self._entry.runtime_data.pictures.store.newest_picture(self._of)
        if self._newest is not None:
            self._attr_content_type = self._newest.kind
        self._attr_image_last_updated = self._newest.stored_at if self._newest is not None else None
        return self._newest != before

    @override
    def image(self) -> bytes | None:
        """Return its bytes. Home Assistant calls this in the executor."""
        if self._newest is None:
            return None
        try:
            return self._entry.runtime_data.pictures.store.path_of(self._newest).read_bytes()
        except OSError:
            return None


class AccountPicture(_Picture, AccountEntity):
    """Shows the newest picture that came in."""

    def __init__(self, hass: HomeAssistant, entry: NetsapiensConfigEntry) -> None:
        ImageEntity.__init__(self, hass)
        AccountEntity.__init__(self, entry, _KEY)


class RecipientPicture(_Picture, RecipientEntity):
    """Shows the newest picture of a recipient."""

    def __init__(self, hass: HomeAssistant, entry: NetsapiensConfigEntry, recipient: ConfigSubentry) -> None:
        ImageEntity.__init__(self, hass)
        RecipientEntity.__init__(self, entry, recipient, _KEY)
        self._of = recipient.subentry_id
