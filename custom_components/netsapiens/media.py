"""Media from anywhere -> bytes that fit an MMS."""

import base64
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components import media_source
from homeassistant.components.media_source import Unresolvable
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers.aiohttp_client import SSRFRedirectError, async_get_clientsession
from yarl import URL

from .compose import Media
from .const import DOMAIN
from .fit import KILOBYTE, CutOffMediaError, TooLargeMediaError, UnreadableMediaError, fit

_SCHEME = "media-source://"
_URLS = ("https://", "http://")
_IMAGE_DOMAINS = ("camera", "image")
_MOST_BYTES = 50_000_000  # more is not read
_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
_CHUNK = 65_536
_REDIRECTS = range(300, 400)


async def async_load_media(
    hass: HomeAssistant, sources: Sequence[str | Mapping[str, Any]], limit_kb: int, context: Context | None
) -> list[Media]:
    """Return the media that a call names, each fit to be sent.

    Parameters:
        sources: what the media selector gives, or a ``media-source://`` text, a local path, an ``https://`` URL.
        limit_kb: how many kilobytes each may have.
        context: the call's; its user must be allowed to see the cameras and images.

    Raises:
        ServiceValidationError: one of them is not there, not allowed, broken, or cannot be made to fit.
        Unauthorized: the caller may not see one of them.
    """
    names = [_name_of(source) for source in sources]
    await _check_permissions(hass, names, context)
    found = []
    for name in names:  # one after the other: each may be large
        try:
            content = await _async_read(hass, name)
            found.append(await hass.async_add_executor_job(_fitted, content, limit_kb * KILOBYTE))
        except CutOffMediaError:
            _refuse("media_cut_off", media=name)
        except UnreadableMediaError:
            _refuse("media_unreadable", media=name)
        except TooLargeMediaError as err:
            _refuse("media_too_large", media=name, size=_kilobytes(err.size), limit=str(limit_kb))
    return found


def _fitted(content: bytes, limit: int) -> Media:
    """Return media fit to be sent."""
    fitted = fit(content, limit)
    return Media(base64.b64encode(fitted.content).decode(), fitted.mime_type, len(fitted.content))


def _name_of(source: str | Mapping[str, Any]) -> str:
    """Return where media is."""
    name = source if isinstance(source, str) else str(source.get("media_content_id", ""))
    return name.strip()


def _kilobytes(size: int) -> str:
    """Return a size as people read it."""
    return str(max(1, round(size / KILOBYTE)))


def _refuse(key: str, *, media: str, **placeholders: str) -> NoReturn:
    """Raise the translated error of media that cannot be sent."""
    raise ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"media": _shown(media), **placeholders},
    )


def _shown(name: str) -> str:
    """Return what an error may say of a name: of a URL the host alone, of speech not the words."""
    if not name.startswith(_URLS):
        return name.partition("?")[0]
    try:
        return URL(name).host or _URLS[0]
    except ValueError:
        return _URLS[0]


def _image_entity(name: str) -> str | None:
    """Return the camera or image entity that a name means, if it means one."""
    domain, _, entity_id = name.removeprefix(_SCHEME).partition("/")
    return entity_id if name.startswith(_SCHEME) and domain in _IMAGE_DOMAINS else None


async def _check_permissions(hass: HomeAssistant, names: list[str], context: Context | None) -> None:
    """Check that the caller may see the cameras and images; what calls for nobody may."""
    if context is None or context.user_id is None:
        return
    user = await hass.auth.async_get_user(context.user_id)
    if user is None:
        raise UnknownUser(context=context)
    for name in names:
        entity_id = _image_entity(name)
        if entity_id is not None and not user.permissions.check_entity(entity_id, POLICY_READ):
            raise Unauthorized(context=context, entity_id=entity_id, permission=POLICY_READ)


async def _async_read(hass: HomeAssistant, name: str) -> bytes:
    """Return the bytes of some media, wherever it is."""
    if name.startswith(_SCHEME):
        return await _async_read_source(hass, name)
    if name.startswith(_URLS):
        return await _async_download(hass, name)
    if not name.startswith("/") or "\0" in name:
        _refuse("media_not_found", media=name)
    return await _async_read_file(hass, name, None)


async def _async_read_source(hass: HomeAssistant, name: str) -> bytes:
    """Return the bytes of a media source: a camera's or an image's picture, speech, a file."""
    if not all(name.removeprefix(_SCHEME).partition("/")):
        _refuse("media_not_found", media=name)
    try:
        if name.startswith(f"{_SCHEME}tts/"):
            return await _async_speech(hass, name)
        if (content := await _async_picture(hass, name)) is not None:
            return content
        found = await media_source.async_resolve_media(hass, name, None)
    except Unresolvable, ValueError, LookupError:
        _refuse("media_not_found", media=name)
    if found.path is None:
        _refuse("media_not_a_file", media=name)
    return await _async_read_file(hass, name, found.path)


async def _async_speech(hass: HomeAssistant, name: str) -> bytes:
    """Return what text-to-speech makes."""
    if "tts" not in hass.config.components:
        _refuse("media_not_found", media=name)
    # Here, since importing it asks for packages that are there only where speech is set up.
    from homeassistant.components.tts import async_get_media_source_audio  # noqa: PLC0415

    return (await async_get_media_source_audio(hass, name))[1]


async def _async_picture(hass: HomeAssistant, name: str) -> bytes | None:
    """Return the picture of a source that gives one; None where it gives files."""
    if (get_media_image := getattr(media_source, "async_get_media_image", None)) is not None:
        picture = await get_media_image(hass, name)
        return None if picture is None else picture.content
    # Before Home Assistant 2026.11.
    if (entity_id := _image_entity(name)) is None:
        return None
    domain = entity_id.partition(".")[0]
    if domain not in _IMAGE_DOMAINS or domain not in hass.config.components:
        _refuse("media_not_found", media=name)
    if domain == "camera":
        from homeassistant.components.camera import async_get_image  # noqa: PLC0415 - as above

        return (await async_get_image(hass, entity_id)).content
    from homeassistant.components import image  # noqa: PLC0415

    return (await image.async_get_image(hass, entity_id)).content


async def _async_read_file(hass: HomeAssistant, name: str, path: Path | None) -> bytes:
    """Return the bytes of a file that Home Assistant names, or, without a path, of one that a person names."""
    try:
        if path is None:
            return await hass.async_add_executor_job(_read_allowed, hass, name)
        return await hass.async_add_executor_job(_read_file, path)
    except PathNotAllowedError:
        _refuse("media_path_not_allowed", media=name)
    except OSError, ValueError:
        _refuse("media_not_found", media=name)


class PathNotAllowedError(Exception):
    """Home Assistant may not read a file."""


def _read_allowed(hass: HomeAssistant, name: str) -> bytes:
    """Return the bytes of a file where Home Assistant may read it; links are followed before it is asked."""
    path = Path(name).resolve()
    if not hass.config.is_allowed_path(str(path)):
        raise PathNotAllowedError
    return _read_file(path)


def _read_file(path: Path) -> bytes:
    """Return the bytes of a plain file."""
    if not path.is_file():
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise TooLargeMediaError(path.stat().st_size)
    return content


async def _async_download(hass: HomeAssistant, url: str) -> bytes:
    """Return the bytes behind a URL that Home Assistant allows. A redirect must lead to an allowed one, too."""
    session = async_get_clientsession(hass)
    address = url
    for _ in range(5):
        _check_url(hass, url, address)
        try:
            async with session.get(address, timeout=_TIMEOUT, allow_redirects=False) as response:
                if response.status in _REDIRECTS and (target := response.headers.get("Location")):
                    address = str(URL(address).join(URL(target)))
                    continue
                if response.status != HTTPStatus.OK:
                    _refuse("media_not_found", media=url)
                return await _read_response(response)
        except SSRFRedirectError:
            _refuse("media_url_not_allowed", media=url)
        except aiohttp.ClientError, TimeoutError, OSError, ValueError:
            break
    _refuse("media_not_found", media=url)


def _check_url(hass: HomeAssistant, url: str, address: str) -> None:
    """Check that Home Assistant allows an address."""
    try:
        allowed = address.startswith("https://") and hass.config.is_allowed_external_url(address)
    except ValueError:
        allowed = False
    if not allowed:
        _refuse("media_url_not_allowed", media=url)


async def _read_response(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer."""
    if (response.content_length or 0) > _MOST_BYTES:
        raise TooLargeMediaError(response.content_length or 0)
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > _MOST_BYTES:
            raise TooLargeMediaError(len(body))
    return bytes(body)
