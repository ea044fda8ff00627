"""Fetches media by its link: so much of it, from allowed addresses, without credentials, and of known kinds only."""

import asyncio
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp
from aiohttp.abc import ResolveResult
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import SERVER_SOFTWARE, HomeAssistantTCPConnector, async_get_clientsession
from homeassistant.util.ssl import get_default_context, get_default_no_verify_context
from yarl import URL

from ..api import NetsapiensRateLimitError, NetsapiensServerError
from ..api.answers import retry_after_of
from ..media_kinds import HEAD, kind_of
from .pictures_address import AllowedAddresses, CheckedResolver, Resolve
from .pictures_errors import PictureError, PictureReason

MOST_BYTES: Final = 10 * 1024 * 1024
_CHUNK: Final = 65_536
_HOPS: Final = 5
_REDIRECTS: Final = range(300, 400)
_CONNECT_WITHIN: Final = 10.0  # seconds
_SILENT_FOR: Final = 15.0  # seconds
_PLAIN: Final = {"", "identity"}


class FetchedMedia(NamedTuple):
    """Media as it was fetched.

    Attributes:
        content: its bytes.
        kind: its MIME type, by these.
    """

    content: bytearray
    kind: str


class MediaFetcher:
    """Fetches the media of one PBX.

    Parameters:
        api_url: the PBX's address, as ``https://host[:port]``.
        verify_ssl: whether the PBX's certificate must be a trusted one; others always must.
        resolve: resolves names; Home Assistant's way by default.
    """

    def __init__(self, hass: HomeAssistant, api_url: str, *, verify_ssl: bool, resolve: Resolve | None = None) -> None:
        self._hass = hass
        self._allowed = AllowedAddresses(api_url)
        self._verify_ssl = verify_ssl
        self._resolver = CheckedResolver(self._allowed, resolve or self._resolve)

    def url_of(self, link: str) -> URL:
        """Return the URL of a link, which may be relative to the PBX's address.

        Raises:
            PictureError: it is none that is read from.
        """
        try:
            url = self._allowed.pbx.join(URL(link))
            self._allowed.check(url)
        except ValueError:
            raise PictureError(PictureReason.ADDRESS) from None
        return url

    def is_pbx(self, url: URL) -> bool:
        """Whether a URL leads to the PBX itself."""
        return self._allowed.is_pbx(url)

    async def fetch(self, url: URL, within: float) -> FetchedMedia:
        """Return media.

        Parameters:
            url: its link; redirects from there must lead to allowed addresses, too.
            within: how many seconds it may take.

        Raises:
            PictureError: it cannot be had.
            NetsapiensError: the PBX asks to wait.
        """
        # A session of its own: only so are addresses checked when names are resolved, and nothing of ours goes along.
        connector = aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False, force_close=True)
        try:
            async with (
                asyncio.timeout(within),
                aiohttp.ClientSession(
                    connector=connector,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,  # a small body could become a huge one
                    headers={"User-Agent": SERVER_SOFTWARE, "Accept-Encoding": "identity"},
                    timeout=aiohttp.ClientTimeout(total=within, connect=_CONNECT_WITHIN, sock_read=_SILENT_FOR),
                ) as session,
            ):
                return await self._follow(session, url)
        except aiohttp.ClientError, TimeoutError, OSError, ValueError:
            raise PictureError(PictureReason.UNAVAILABLE) from None

    async def _follow(self, session: aiohttp.ClientSession, url: URL) -> FetchedMedia:
        """Return media at a URL, or where that redirects to."""
        for _ in range(_HOPS):
            self._allowed.check(url)
            is_verified = self._verify_ssl or not self.is_pbx(url)
            context = get_default_context() if is_verified else get_default_no_verify_context()
            async with session.get(url, allow_redirects=False, ssl=context) as response:
                target = response.headers.get("Location")
                if response.status in _REDIRECTS and target:
                    url = url.join(URL(target))
                    continue
                if self.is_pbx(url):
                    _check_wait(response)
                if response.status != HTTPStatus.OK:
                    raise PictureError(PictureReason.UNAVAILABLE)
                return await _read(response)
        raise PictureError(PictureReason.UNAVAILABLE)

    async def _resolve(self, host: str) -> list[ResolveResult]:
        """Return a name's addresses as Home Assistant resolves them."""
        connector = async_get_clientsession(self._hass).connector
        if not isinstance(connector, HomeAssistantTCPConnector):
            raise OSError("no resolver")
        return await connector.async_resolve_host(host)


def _check_wait(response: aiohttp.ClientResponse) -> None:
    """Raise where the PBX asks to wait, as it may in answer to any request.

    Raises:
        NetsapiensRateLimitError: 429.
        NetsapiensServerError: it failed, and says when to come back.
    """
    asked = retry_after_of(response.headers)
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise NetsapiensRateLimitError("too many requests", retry_after=asked)
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR and asked is not None:
        raise NetsapiensServerError("the PBX failed to give media", maybe_done=False, retry_after=asked)


async def _read(response: aiohttp.ClientResponse) -> FetchedMedia:
    """Return the body of an answer. What is too large, or of no known kind, is not read to its end."""
    if response.headers.get("Content-Encoding", "").strip().lower() not in _PLAIN:
        raise PictureError(PictureReason.KIND)
    if (response.content_length or 0) > MOST_BYTES:
        raise PictureError(PictureReason.TOO_LARGE)
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        if len(body) < HEAD <= len(body) + len(chunk) and kind_of(body + chunk[:HEAD]) is None:
            raise PictureError(PictureReason.KIND)
        body += chunk
        if len(body) > MOST_BYTES:
            raise PictureError(PictureReason.TOO_LARGE)
    if (kind := kind_of(body)) is None:
        raise PictureError(PictureReason.KIND)
    return FetchedMedia(body, kind)
