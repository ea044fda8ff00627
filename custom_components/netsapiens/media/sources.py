"""What people write for a picture -> where it is, what it is called, and whether it may be read.

Every rule about media is checked here, before anything goes out; whether it can be had shows when it is loaded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
import re
from typing import Any, NamedTuple
from urllib.parse import unquote

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.network import is_hass_url
from yarl import URL

from ..const import DOMAIN
from ..permissions import async_check_entities

MEDIA_SOURCE = "media-source://"
_OURS = f"{MEDIA_SOURCE}{DOMAIN}/"
_HTTPS, _HTTP = "https://", "http://"
_IMAGE_SOURCES = (f"{MEDIA_SOURCE}camera/", f"{MEDIA_SOURCE}image/")
PICTURED = ("camera", "image", "media_player")  # domains whose entities give pictures
_ENTITY = re.compile(r"(camera|image)\.[a-z0-9_]+")
_PROXY = re.compile(r"/api/(camera|image|media_player)_proxy/(\1\.[a-z0-9_]+)")
_MEDIA = re.compile(r"/media/([^/]+)/(.+)")
_UPLOAD = re.compile(r"/api/image/serve/([a-z0-9]+)/[a-z0-9]+")


class Source(NamedTuple):
    """Where media is: at one of ``media_id``, ``url``, ``path`` and ``entity_id``, or nowhere.

    Attributes:
        shown: what an error may say of it: of a URL the host alone, of speech not the words.
        name: what people call it; None where nobody does.
        entity_id: whose picture it is; who sends it must be allowed to read that.
        shown_by: an entity that shows the same, where media is of nobody's own; who sends it must be allowed to read
            that, too.
        media_id: a ``media-source://`` id.
        url: an address on the web.
        path: a file.
        folder: the one that the file must be in, unless Home Assistant may read it anyway.
    """

    shown: str
    name: str | None = None
    entity_id: str | None = None
    shown_by: str | None = None
    media_id: str | None = None
    url: str | None = None
    path: Path | None = None
    folder: Path | None = None


def read_sources(hass: HomeAssistant, given: Sequence[str | Mapping[str, Any]]) -> list[Source]:
    """Return where the media of a call is. What is empty was not given.

    Parameters:
        given: what the media selector gives, or a text: ``media-source://…``, a camera or image entity, a local path,
            an ``https://`` URL, or an address of Home Assistant's own, as an ``entity_picture`` is.
    """
    written = (one if isinstance(one, str) else str(one.get("media_content_id") or "") for one in given)
    return [_read(hass, text.strip()) for text in written if text.strip()]


def _read(hass: HomeAssistant, text: str) -> Source:
    """Return where one media is."""
    text = _own_path(hass, text)
    address = text.partition("?")[0]
    if text.startswith((_HTTPS, _HTTP)):
        return _on_the_web(text)
    if text.startswith(MEDIA_SOURCE):
        return _in_media_source(hass, text)
    if _ENTITY.fullmatch(text):
        return _of_entity(hass, text, text)
    if not text.startswith("/"):
        return Source(address)
    path = Path(text)
    return _at_own_address(hass, address.partition("#")[0]) or Source(address, _name_of_file(path.name), path=path)


def _at_own_address(hass: HomeAssistant, address: str) -> Source | None:
    """Return what Home Assistant itself serves at an address; None where it is none of its addresses."""
    if proxy := _PROXY.fullmatch(address):
        return _of_entity(hass, address, proxy[2])
    if upload := _UPLOAD.fullmatch(address):
        return Source(address, media_id=f"{MEDIA_SOURCE}image_upload/{upload[1]}")
    if (served := _served_folder(hass, address)) is not None:
        folder, rest = served
        path = folder / unquote(rest).lstrip("/")
        return Source(address, _name_of_file(path.name), path=path, folder=folder)
    return Source(address) if address.startswith("/api/") else None


def _own_path(hass: HomeAssistant, text: str) -> str:
    """Return the path of a URL that leads to this Home Assistant; what leads elsewhere stays as it is."""
    try:
        if text.startswith((_HTTPS, _HTTP)) and is_hass_url(hass, text):
            return URL(text).raw_path_qs
    except ValueError:
        pass
    return text


def _on_the_web(text: str) -> Source:
    """Return where a URL leads. The last part of its path is a file's name only where it has an ending."""
    try:
        url = URL(text)
    except ValueError:
        return Source(_HTTPS, url=text)
    return Source(url.host or _HTTPS, _name_of_file(url.name) if url.suffix else None, url=text)


def _in_media_source(hass: HomeAssistant, text: str) -> Source:
    """Return where a media source's id leads."""
    address = text.partition("?")[0]
    if text.startswith(_OURS):
        return Source(address, shown_by=_events_of(hass, text.removeprefix(_OURS).partition("/")[0]), media_id=text)
    if text.startswith(_IMAGE_SOURCES):
        entity_id = text.removeprefix(MEDIA_SOURCE).partition("/")[2]
        return Source(address, _name_of_entity(hass, entity_id), entity_id, media_id=text)
    file = PurePosixPath(address)
    return Source(address, _name_of_file(file.name) if file.suffix else None, media_id=text)


def _events_of(hass: HomeAssistant, entry_id: str) -> str | None:
    """Return the event entity of an account, which shows all that came in; None where there is no such account."""
    entry = hass.config_entries.async_get_entry(entry_id)
    if entry is None or entry.domain != DOMAIN:
        return None
    return er.async_get(hass).async_get_entity_id("event", DOMAIN, f"{entry.unique_id}_messages")


def _of_entity(hass: HomeAssistant, shown: str, entity_id: str) -> Source:
    """Return where an entity's picture is."""
    name, domain = _name_of_entity(hass, entity_id), entity_id.partition(".")[0]
    media_id = None if domain == "media_player" else f"{MEDIA_SOURCE}{domain}/{entity_id}"
    return Source(shown, name, entity_id, media_id=media_id)


def _served_folder(hass: HomeAssistant, address: str) -> tuple[Path, str] | None:
    """Return the folder that Home Assistant serves at an address, and the rest of the address."""
    if address.startswith("/local/"):
        return Path(hass.config.path("www")), address.removeprefix("/local/")
    if (served := _MEDIA.fullmatch(address)) and served[1] in hass.config.media_dirs:
        return Path(hass.config.media_dirs[served[1]]), served[2]
    return None


def _name_of_entity(hass: HomeAssistant, entity_id: str) -> str | None:
    """Return an entity's friendly name."""
    state = hass.states.get(entity_id)
    return _shown_name(state.name) if state else None


def _name_of_file(name: str) -> str | None:
    """Return a file's name without its ending."""
    return _shown_name(PurePosixPath(name).stem)


def _shown_name(name: str) -> str | None:
    """Return a name as it can be sent; None where nothing of it shows."""
    name = " ".join(name.encode(errors="ignore").decode().split())
    return name if any(char.isprintable() and char != " " for char in name) else None


# --- the rules ------------------------------------------------------------------------


class MediaError(ServiceValidationError):
    """Media that cannot be sent.

    Parameters:
        key: that of the translated error.
        media: what the error may say of the media.
        placeholders: what else it says.
    """

    def __init__(self, key: str, *, media: str, **placeholders: str) -> None:
        super().__init__(
            translation_domain=DOMAIN, translation_key=key, translation_placeholders={"media": media, **placeholders}
        )


async def async_check_sources(hass: HomeAssistant, sources: Sequence[Source], context: Context | None) -> None:
    """Check that media may be read.

    Parameters:
        sources: where it is.
        context: the call's; its user must be allowed to read the entities. What calls for nobody may.

    Raises:
        MediaError: a file or URL is not allowed.
        Unauthorized: the caller may not read an entity.
    """
    await async_check_permissions(hass, sources, context)
    for source in sources:
        if source.url is not None:
            check_url(hass, source, source.url)
        path = source.path
        if path is not None and await hass.async_add_executor_job(_is_forbidden, hass, source, path):
            raise MediaError("media_path_not_allowed", media=source.shown)


async def async_check_permissions(hass: HomeAssistant, sources: Sequence[Source], context: Context | None) -> None:
    """Check that the caller may read the entities; whether a file or URL is allowed shows when it is loaded.

    Parameters:
        sources: where media is.
        context: the call's.

    Raises:
        Unauthorized: the caller may not.
    """
    if sources:
        named = [one for source in sources for one in (source.entity_id, source.shown_by)]
        entity_ids = [entity_id for entity_id in named if entity_id is not None]
        await async_check_entities(hass, context, entity_ids, POLICY_READ)


def check_url(hass: HomeAssistant, source: Source, address: str) -> None:
    """Check that Home Assistant allows an address: that of a source, or one that it redirects to.

    Raises:
        MediaError: it does not.
    """
    if address.startswith(_HTTP):
        raise MediaError("media_url_insecure", media=source.shown)
    try:
        allowed = address.startswith(_HTTPS) and hass.config.is_allowed_external_url(address)
    except ValueError:
        allowed = False
    if not allowed:
        raise MediaError("media_url_not_allowed", media=source.shown)


class PathNotAllowedError(Exception):
    """Home Assistant may not read a file."""


def allowed_path(hass: HomeAssistant, source: Source, path: Path) -> Path:
    """Return a source's file with its links followed. Reads the disk.

    Raises:
        PathNotAllowedError: Home Assistant may not read it.
        OSError, ValueError: it cannot be a file.
    """
    if source.folder is not None and (".." in path.parts or "\0" in str(path)):
        raise PathNotAllowedError
    path = path.resolve()
    if source.folder is not None and path.is_relative_to(source.folder.resolve()):
        return path
    if not hass.config.is_allowed_path(str(path)):
        raise PathNotAllowedError
    return path


def _is_forbidden(hass: HomeAssistant, source: Source, path: Path) -> bool:
    """Whether a source's file may not be read. What is no file shows when it is loaded."""
    try:
        allowed_path(hass, source, path)
    except PathNotAllowedError:
        return True
    except OSError, ValueError:
        return False
    return False
