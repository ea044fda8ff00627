"""The address at which Home Assistant serves what came with texts."""

from typing import Final

from aiohttp import web
from homeassistant.config_entries import ConfigEntryState
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView

from .account import NetsapiensConfigEntry
from .const import DOMAIN
from .media_kinds import is_picture
from .receiving.pictures_index import StoredMedia

_HEADERS: Final = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; sandbox",  # whatever a browser takes it for, nothing in it runs
    "X-Content-Type-Options": "nosniff",
}
_PLAYED: Final = ("audio/", "video/")


def url_of(stored: StoredMedia) -> str:
    """Return the path at which media is served, to be signed."""
    return f"/api/{DOMAIN}/media/{stored.media_id.entry_id}/{stored.file}"


class MediaView(HomeAssistantView):
    """Serves the files that an account has, to users of Home Assistant; its type is what its bytes say."""

    url = f"/api/{DOMAIN}/media/{{entry_id}}/{{file}}"
    name = f"api:{DOMAIN}:media"

    async def get(self, request: web.Request, entry_id: str, file: str) -> web.StreamResponse:
        """Serve a file.

        Parameters:
            entry_id: the account's.
            file: the name of the file.

        Raises:
            HTTPNotFound: there is no such file.
        """
        hass = request.app[KEY_HASS]
        entry: NetsapiensConfigEntry | None = hass.config_entries.async_get_entry(entry_id)
        if entry is None or entry.domain != DOMAIN or entry.state is not ConfigEntryState.LOADED:
            raise web.HTTPNotFound
        store = entry.runtime_data.pictures.store
        stored = store.find_file(file)
        if stored is None or not await hass.async_add_executor_job(store.path_of(stored).is_file):
            raise web.HTTPNotFound
        is_shown = is_picture(stored.kind) or stored.kind.startswith(_PLAYED)
        headers = {
            **_HEADERS,
            "Content-Type": stored.kind,
            "Content-Disposition": "inline" if is_shown else f'attachment; filename="{stored.file}"',
        }
        return web.FileResponse(store.path_of(stored), headers=headers)
