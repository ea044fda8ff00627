"""Media from anywhere -> bytes that fit an MMS."""

import asyncio
from http import HTTPStatus
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from homeassistant.components import media_source
from homeassistant.components.media_source import Unresolvable
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.aiohttp_client import SSRFRedirectError, async_get_clientsession
from homeassistant.helpers.entity_component import EntityComponent
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util.hass_dict import HassKey
from yarl import URL

from ..const import DOMAIN
from ..outgoing import Media
from .sources import MEDIA_SOURCE, MediaError, PathNotAllowedError, Source, allowed_path, check_url
from .transcode import KILOBYTE, CutOffMediaError, TooLargeMediaError, UnreadableMediaError, fit

if TYPE_CHECKING:
    from homeassistant.components.media_player import MediaPlayerEntity

_LOGGER = logging.getLogger(__name__)

_IMAGE_DOMAINS = ("camera", "image")
MOST_BYTES = 50_000_000  # more is not read
_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
READ_WITHIN = 60.0  # seconds; a camera, an image and a URL have shorter limits of their own
_CHUNK = 65_536
_PLAYERS: HassKey[EntityComponent[MediaPlayerEntity]] = HassKey("media_player")  # whose name moved between releases
_REDIRECTS = range(300, 400)
_KINDS = {"image": "picture", "audio": "sound", "video": "video", "text": "contact"}  # by the first half of a MIME type
_ANY_KIND = "file"
WORDS = (*_KINDS.values(), _ANY_KIND)  # translation keys of what media is called that has no name


async def async_load_media(hass: HomeAssistant, source: Source, limit_kb: int, *, within: float = READ_WITHIN) -> Media:
    """Return media that fits a message.

    Parameters:
        source: where it is; the rules were checked.
        limit_kb: how many kilobytes it may have.
        within: how many seconds it may take to read.

    Raises:
        MediaError: it cannot be had, is broken, or cannot be made to fit.
    """
    try:
        async with asyncio.timeout(within):
            content = await _async_read(hass, source)
        return await hass.async_add_executor_job(_fitted, content, limit_kb * KILOBYTE)
    except CutOffMediaError:
        raise MediaError("media_cut_off", media=source.shown) from None
    except UnreadableMediaError:
        raise MediaError("media_unreadable", media=source.shown) from None
    except TooLargeMediaError as err:
        raise MediaError(
            "media_too_large", media=source.shown, size=_kilobytes(err.size), limit=str(limit_kb)
        ) from None
    except MediaError:
        raise
    except HomeAssistantError, TimeoutError:
        raise MediaError("media_unavailable", media=source.shown) from None
    except Exception as err:  # noqa: BLE001 - cameras are other people's, and must not hold back the rest
        # Its words, and what a traceback shows, may hold a password.
        _LOGGER.error("Unexpected %s while reading media", type(err).__name__)  # noqa: TRY400
        raise MediaError("media_unavailable", media=source.shown) from None


async def async_word_for(hass: HomeAssistant, mime_type: str) -> str:
    """Return what media is called that has no name, in Home Assistant's language."""
    kind = _KINDS.get(mime_type.partition("/")[0], _ANY_KIND)
    words = await async_get_translations(hass, hass.config.language, "common", {DOMAIN})
    return words[f"component.{DOMAIN}.common.{kind}"]


def _fitted(content: bytes, limit: int) -> Media:
    """Return media fit to be sent."""
    fitted = fit(content, limit)
    return Media(fitted.content, fitted.mime_type, len(fitted.content))


def _kilobytes(size: int) -> str:
    """Return a size as people read it."""
    return str(max(1, round(size / KILOBYTE)))


async def _async_read(hass: HomeAssistant, source: Source) -> bytes:
    """Return the bytes of some media, wherever it is."""
    if source.media_id is not None:
        return await _async_read_source(hass, source, source.media_id)
    if source.url is not None:
        return await _async_download(hass, source, source.url)
    if source.path is not None:
        return await _async_read_file(hass, source, source.path)
    if source.entity_id is not None:
        return await _async_artwork(hass, source, source.entity_id)
    raise MediaError("media_not_found", media=source.shown)


async def _async_read_source(hass: HomeAssistant, source: Source, name: str) -> bytes:
    """Return the bytes of a media source: a camera's or an image's picture, speech, a file."""
    if not all(name.removeprefix(MEDIA_SOURCE).partition("/")):
        raise MediaError("media_not_found", media=source.shown)
    try:
        if name.startswith(f"{MEDIA_SOURCE}tts/"):
            return await _async_speech(hass, source, name)
        if (content := await _async_picture(hass, source, name)) is not None:
            return content
        found = await media_source.async_resolve_media(hass, name, None)
    except Unresolvable, ValueError, LookupError:
        raise MediaError("media_not_found", media=source.shown) from None
    if found.path is None:
        raise MediaError("media_not_a_file", media=source.shown)
    return await _async_read_file(hass, source, found.path)


async def _async_speech(hass: HomeAssistant, source: Source, name: str) -> bytes:
    """Return what text-to-speech makes."""
    if "tts" not in hass.config.components:
        raise MediaError("media_not_found", media=source.shown)
    # Here, since importing it asks for packages that are there only where speech is set up.
    from homeassistant.components.tts import async_get_media_source_audio  # noqa: PLC0415

    return (await async_get_media_source_audio(hass, name))[1]


async def _async_picture(hass: HomeAssistant, source: Source, name: str) -> bytes | None:
    """Return the picture of a source that gives one; None where it gives files."""
    if (get_media_image := getattr(media_source, "async_get_media_image", None)) is not None:
        picture = await get_media_image(hass, name)
        return None if picture is None else picture.content
    # Before Home Assistant 2026.11.
    if (entity_id := source.entity_id) is None:
        return None
    domain = entity_id.partition(".")[0]
    is_gone = domain not in hass.config.components or hass.states.get(entity_id) is None
    if is_gone or domain not in _IMAGE_DOMAINS:
        raise MediaError("media_not_found", media=source.shown)
    if domain == "camera":
        from homeassistant.components.camera import async_get_image  # noqa: PLC0415 - as above

        return (await async_get_image(hass, entity_id)).content
    from homeassistant.components import image  # noqa: PLC0415

    return (await image.async_get_image(hass, entity_id)).content


async def _async_artwork(hass: HomeAssistant, source: Source, entity_id: str) -> bytes:
    """Return what a media player shows."""
    component = hass.data.get(_PLAYERS)
    player = component.get_entity(entity_id) if component else None
    content = (await player.async_get_media_image())[0] if player else None
    if content is None:
        raise MediaError("media_not_found", media=source.shown)
    return content


async def _async_read_file(hass: HomeAssistant, source: Source, path: Path) -> bytes:
    """Return the bytes of a file: one that Home Assistant names, or one that a person names."""
    try:
        if source.path is None:
            return await hass.async_add_executor_job(_read_file, path)
        return await hass.async_add_executor_job(_read_allowed, hass, source, path)
    except PathNotAllowedError:
        raise MediaError("media_path_not_allowed", media=source.shown) from None
    except OSError, ValueError:
        raise MediaError("media_not_found", media=source.shown) from None


def _read_allowed(hass: HomeAssistant, source: Source, path: Path) -> bytes:
    """Return the bytes of a file where Home Assistant may still read it."""
    return _read_file(allowed_path(hass, source, path))


def _read_file(path: Path) -> bytes:
    """Return the bytes of a plain file."""
    if not path.is_file():
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise TooLargeMediaError(path.stat().st_size)
    return content


async def _async_download(hass: HomeAssistant, source: Source, url: str) -> bytes:
    """Return the bytes behind a URL that Home Assistant allows. A redirect must lead to an allowed one, too."""
    session = async_get_clientsession(hass)
    address = url
    for _ in range(5):
        check_url(hass, source, address)
        try:
            async with session.get(address, timeout=_TIMEOUT, allow_redirects=False) as response:
                if response.status in _REDIRECTS and (target := response.headers.get("Location")):
                    address = str(URL(address).join(URL(target)))
                    continue
                if response.status != HTTPStatus.OK:
                    raise MediaError("media_not_found", media=source.shown)
                return await _read_response(response)
        except SSRFRedirectError:
            raise MediaError("media_url_not_allowed", media=source.shown) from None
        except aiohttp.ClientConnectorCertificateError:
            raise MediaError("media_certificate_refused", media=source.shown) from None
        except aiohttp.ClientError, TimeoutError, OSError, ValueError:
            break
    raise MediaError("media_not_found", media=source.shown)


async def _read_response(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer."""
    if (response.content_length or 0) > MOST_BYTES:
        raise TooLargeMediaError(response.content_length or 0)
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLargeMediaError(len(body))
    return bytes(body)
