"""Fetching media: how much, from where, and what it must be; over real HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from ipaddress import ip_address
import socket
import ssl
from typing import Any

from aiohttp import web
from aiohttp.abc import ResolveResult
from aiohttp.test_utils import TestServer
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from hypothesis import given, strategies as st
import pytest
from yarl import URL

from custom_components.netsapiens.api import NetsapiensError, NetsapiensRateLimitError, NetsapiensServerError
from custom_components.netsapiens.receiving import pictures_fetch as module
from custom_components.netsapiens.receiving.pictures_address import AllowedAddresses
from custom_components.netsapiens.receiving.pictures_errors import PictureError, PictureReason
from custom_components.netsapiens.receiving.pictures_fetch import MOST_BYTES, MediaFetcher
from tests.pictures import RED

ADDRESS, KIND, TOO_LARGE = PictureReason.ADDRESS, PictureReason.KIND, PictureReason.TOO_LARGE
UNAVAILABLE = PictureReason.UNAVAILABLE


class Server:
    """A web server of this machine that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.answers: dict[str, Any] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.answers[request.path](request)

    async def start(self) -> TestServer:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.answer)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        return server


@pytest.fixture
async def pbx_server() -> AsyncGenerator[tuple[Server, TestServer]]:
    """The PBX's own address."""
    server = Server()
    running = await server.start()
    yield server, running
    await running.close()


@pytest.fixture
async def other_server() -> AsyncGenerator[tuple[Server, TestServer]]:
    """Something else that listens on this machine, and must never be asked."""
    server = Server()
    running = await server.start()
    yield server, running
    assert server.asked == []
    await running.close()


def gives(**answer: Any) -> Any:
    """Return what answers so."""

    async def give(request: web.Request) -> web.StreamResponse:
        return web.Response(**answer)

    return give


def base(server: TestServer) -> str:
    """Return a server's address."""
    return f"http://127.0.0.1:{server.port}"


async def fails(fetcher: MediaFetcher, link: str, reason: PictureReason, within: float = 10) -> None:
    """Check that media is refused."""
    with pytest.raises(PictureError) as caught:
        await fetcher.fetch(fetcher.url_of(link), within)
    assert caught.value.reason is reason


async def test_from_the_pbx_itself(hass: HomeAssistant, pbx_server: tuple[Server, TestServer]) -> None:
    """By an absolute link or a relative one, through redirects; nothing of ours goes along."""
    server, running = pbx_server
    server.answers = {
        "/a": gives(status=302, headers={"Location": "/b", "Set-Cookie": "session=1"}),
        "/b": gives(status=307, headers={"Location": f"{base(running)}/c"}),
        "/c": gives(body=RED, content_type="text/html"),
    }
    fetcher = MediaFetcher(hass, base(running), verify_ssl=True)
    for link in (f"{base(running)}/a", "/a"):
        media = await fetcher.fetch(fetcher.url_of(link), 10)
        assert (bytes(media.content), media.kind) == (RED, "image/jpeg")
    for request in server.asked:
        assert not {"Authorization", "Cookie", "Referer", "Proxy-Authorization"} & set(request.headers)


@pytest.mark.parametrize(
    ("status", "asked", "error"),
    [
        (429, "40", NetsapiensRateLimitError),
        (429, None, NetsapiensRateLimitError),
        (503, "40", NetsapiensServerError),
        (503, None, PictureError),
        (404, "40", PictureError),
    ],
)
async def test_a_pbx_that_asks_to_wait(
    hass: HomeAssistant,
    pbx_server: tuple[Server, TestServer],
    status: int,
    asked: str | None,
    error: type[NetsapiensError | PictureError],
) -> None:
    """That holds for all requests; another failure says nothing but that this media cannot be had now."""
    server, running = pbx_server
    headers = {} if asked is None else {"Retry-After": asked}
    server.answers = {"/a": gives(status=status, headers=headers)}
    fetcher = MediaFetcher(hass, base(running), verify_ssl=True)
    with pytest.raises(error) as caught:
        await fetcher.fetch(fetcher.url_of("/a"), 10)
    if isinstance(caught.value, NetsapiensError):
        assert caught.value.asks_to_wait
        assert caught.value.retry_after == (None if asked is None else float(asked))


@pytest.mark.parametrize(
    "link",
    [
        "{other}/x",
        "http://localhost:{port}/x",
        "https://127.0.0.1:{port}/x",
        "https://[::1]:{port}/x",
        "https://[::ffff:127.0.0.1]:{port}/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[2002:7f00:1::]/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest",
        "https://[fe80::1]/x",
        "https://0.0.0.0/x",
        "https://224.0.0.1/x",
        "http://93.184.216.34/x",
        "ftp://{host}/x",
        "file:///etc/passwd",
        "https://user:secret@{host}/x",
        "data:image/png;base64,AAAA",
        "https://[",
        "https://",
    ],
)
async def test_addresses_that_are_not_read_from(
    hass: HomeAssistant, pbx_server: tuple[Server, TestServer], other_server: tuple[Server, TestServer], link: str
) -> None:
    """Neither as a link nor as what one redirects to."""
    server, running = pbx_server
    _, other = other_server
    target = link.format(other=base(other), port=other.port, host=f"127.0.0.1:{running.port}")
    fetcher = MediaFetcher(hass, base(running), verify_ssl=True)
    await fails(fetcher, target, ADDRESS)
    assert server.asked == []
    server.answers = {"/to": gives(status=302, headers={"Location": target})}
    with pytest.raises(PictureError) as caught:
        await fetcher.fetch(fetcher.url_of("/to"), 10)
    assert caught.value.reason in {ADDRESS, UNAVAILABLE}  # what is no URL at all is no address
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "name", ["rebinding.example", "2130706433", "0x7f.1", "127.1", "0177.1", "localhost", "localhost."]
)
async def test_names_that_lead_home(
    hass: HomeAssistant, pbx_server: tuple[Server, TestServer], other_server: tuple[Server, TestServer], name: str
) -> None:
    """What is connected to is what was checked, however often a name changes."""
    _, running = pbx_server
    _, other = other_server
    answers = iter(["127.0.0.1", "10.1.1.1", "::1", "127.0.0.1"])

    async def resolve(host: str) -> list[ResolveResult]:
        return [_resolved(host, next(answers))]

    fetcher = MediaFetcher(hass, base(running), verify_ssl=True, resolve=resolve)
    for _ in range(3):
        with pytest.raises(PictureError) as caught:
            await fetcher.fetch(fetcher.url_of(f"https://{name}:{other.port}/x"), 10)
        assert caught.value.reason is ADDRESS


def _resolved(host: str, address: str) -> ResolveResult:
    return ResolveResult(
        hostname=host, host=address, port=0, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
    )


async def test_a_name_with_a_public_address_is_connected_to_there(
    hass: HomeAssistant, pbx_server: tuple[Server, TestServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several addresses, the public ones alone."""
    _, running = pbx_server
    tried: list[str] = []

    async def connect(*args: Any, **kwargs: Any) -> Any:
        tried.extend(info[4][0] for info in kwargs["addr_infos"])
        raise OSError("no such host")

    async def resolve(host: str) -> list[ResolveResult]:
        return [_resolved(host, "10.0.0.1"), _resolved(host, "93.184.216.34"), _resolved(host, "127.0.0.1")]

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)
    fetcher = MediaFetcher(hass, base(running), verify_ssl=True, resolve=resolve)
    await fails(fetcher, "https://files.example/x", UNAVAILABLE)
    assert set(tried) == {"93.184.216.34"}


@pytest.mark.usefixtures("disable_mock_zeroconf_resolver")
async def test_home_assistants_own_way_to_resolve(
    hass: HomeAssistant, pbx_server: tuple[Server, TestServer], other_server: tuple[Server, TestServer]
) -> None:
    """As it is used outside tests."""
    _, running = pbx_server
    _, other = other_server
    fetcher = MediaFetcher(hass, base(running), verify_ssl=True)
    await fails(fetcher, f"https://localhost:{other.port}/x", ADDRESS)


async def test_home_assistant_has_ended(hass: HomeAssistant, pbx_server: tuple[Server, TestServer]) -> None:
    """Its session is closed then, so no name is resolved: media cannot be had now, and nothing else breaks."""
    _, running = pbx_server
    async_get_clientsession(hass).detach()
    await fails(MediaFetcher(hass, base(running), verify_ssl=True), "https://media.example/x", UNAVAILABLE)


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(RED)
    while True:
        await answer.write(bytes(1_000_000))


async def _silent(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(RED[:10])
    await asyncio.sleep(30)
    return answer


async def _endless_page(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "image/png"})
    await answer.prepare(request)
    while True:
        await answer.write(b"<html>" + bytes(1_000_000))


async def _cut(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "5000000"})
    await answer.prepare(request)
    await answer.write(RED)
    assert request.transport is not None
    request.transport.abort()
    return answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (gives(body=b"<html>" + bytes(100)), KIND),
        (gives(body=b"<svg>" + bytes(100), content_type="image/png"), KIND),
        (gives(body=b""), KIND),
        (gives(body=RED, headers={"Content-Encoding": "gzip"}), KIND),
        (gives(body=RED + bytes(MOST_BYTES)), TOO_LARGE),
        (_endless, TOO_LARGE),
        (_endless_page, KIND),
        (_silent, UNAVAILABLE),
        (_cut, UNAVAILABLE),
        (gives(status=403, body=RED), UNAVAILABLE),
        (gives(status=500, body=RED), UNAVAILABLE),
        (gives(status=206, body=RED), UNAVAILABLE),
        (gives(status=302, headers={"Location": "/x"}), UNAVAILABLE),
        (gives(status=302), UNAVAILABLE),
    ],
)
async def test_answers_that_are_refused(
    hass: HomeAssistant, pbx_server: tuple[Server, TestServer], answer: Any, reason: PictureReason
) -> None:
    """What is too large, of no known kind, cut off, late, or goes in a circle."""
    server, running = pbx_server
    server.answers = {"/x": answer}
    fetcher = MediaFetcher(hass, base(running), verify_ssl=True)
    await fails(fetcher, "/x", reason, 2)
    assert len(server.asked) <= 6


async def test_ten_megabytes_are_taken(hass: HomeAssistant, pbx_server: tuple[Server, TestServer]) -> None:
    """The limit itself, to the byte."""
    server, running = pbx_server
    server.answers = {"/x": gives(body=RED + bytes(MOST_BYTES - len(RED)))}
    fetcher = MediaFetcher(hass, base(running), verify_ssl=True)
    assert len((await fetcher.fetch(fetcher.url_of("/x"), 20)).content) == MOST_BYTES


async def test_only_the_pbx_may_have_any_certificate(
    hass: HomeAssistant, pbx_server: tuple[Server, TestServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account without verification verifies all others."""
    server, running = pbx_server
    asked: list[ssl.SSLContext] = []

    class Session:
        def get(self, url: URL, **kwargs: Any) -> Any:
            asked.append(kwargs["ssl"])
            raise OSError

    fetcher = MediaFetcher(hass, base(running), verify_ssl=False)
    for link in ("/x", "https://files.example/x"):
        with pytest.raises(OSError):
            await fetcher._follow(Session(), fetcher.url_of(link))  # type: ignore[arg-type]
    assert [context.verify_mode for context in asked] == [ssl.CERT_NONE, ssl.CERT_REQUIRED]
    assert server.asked == []
    assert module.MOST_BYTES == MOST_BYTES


@given(st.ip_addresses())
def test_no_address_of_a_home_is_allowed(address: Any) -> None:
    """As a literal or as what a name leads to; the PBX's own address is, wherever it is."""
    allowed = AllowedAddresses("https://pbx.example:8443")
    shown = f"[{address}]" if address.version == 6 else str(address)
    found = [_resolved("files.example", str(address))]
    assert allowed.check_host("pbx.example", 8443, found) == found
    if not ip_address(address).is_global or address.is_multicast or getattr(address, "is_site_local", False):
        with pytest.raises(PictureError):
            allowed.check(URL(f"https://{shown}/"))
        with pytest.raises(PictureError):
            allowed.check_host("files.example", 443, found)
        with pytest.raises(PictureError):
            allowed.check_host("pbx.example", 443, found)
