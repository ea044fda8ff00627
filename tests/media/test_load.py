"""Pictures from anywhere, through the action, up to what the PBX got."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from io import BytesIO
from pathlib import Path
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from aiohttp import web
from homeassistant.auth.models import Group
from homeassistant.components import media_source
from homeassistant.components.media_source import Unresolvable
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers.aiohttp_client import SSRFRedirectError, async_get_clientsession
from homeassistant.setup import async_setup_component
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.netsapiens.media import load as media_module
from custom_components.netsapiens.media.sources import read_sources
from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitTiming
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from tests.conftest import AddAccount
from tests.delivery.quick import QUICK, set_timing
from tests.helpers import shown
from tests.pictures import BLUE, CAMERA, GREEN, IMAGE, RED, arrived, picked, picture
from tests.simulator import FaultKind, Simulator
from tests.simulator.model import SmsNumber
from tests.simulator.tls import TlsDoor, make_certificate
from tests.test_services import ANN, BOB, OWN, refused, send

OTHER = "18585550177"


async def lost(hass: HomeAssistant, pbx: Simulator, key: str, **data: Any) -> ServiceValidationError:
    """Call the action with media that cannot be had: the words go, which the error says; without words, it alone."""
    before = len(pbx.messages)
    with pytest.raises(HomeAssistantError) as caught:
        await send(hass, **data)
    assert not isinstance(caught.value, ServiceValidationError)
    assert caught.value.translation_key == "words_without_picture"
    assert {(one.type, one.text, one.media) for one in pbx.messages[before:]} == {("sms", "Hi", None)}
    alone = await refused(hass, pbx, key, **{**data, "message": ""})
    without_sizes = [re.sub(r"\d+ kB", "… kB", str(err)) for err in (alone, caught.value)]
    assert without_sizes[0] in without_sizes[1]
    return alone


# --- from where -----------------------------------------------------------------------


async def test_a_camera(hass: HomeAssistant, pbx: Simulator, camera: Any) -> None:
    """A snapshot goes out under the camera's name."""
    (row,) = await send(hass, destination=ANN, message="", media=picked(CAMERA))
    (message,) = pbx.messages
    assert (message.type, message.text, message.media, message.mime_type) == ("mms", "Door", RED, "image/jpeg")
    body = [record.body for record in pbx.requests_to("/messages") if record.method == "POST"][-1]
    assert body["mime-type"] == "image/jpeg"
    assert int(body["size"]) == len(base64.b64decode(body["data"], validate=True)) == len(RED)
    assert row == {
        "destination": [shown(ANN)],
        "from_number": shown(OWN),
        "message_type": "mms",
        "messagesession": message.messagesession,
        "status": "sent",
        "message_id": row["message_id"],
        "segments": None,
    }


async def test_an_image_entity(hass: HomeAssistant, pbx: Simulator, image: None) -> None:
    """So does what an image entity shows, without its transparency."""
    await send(hass, destination=ANN, message="", media=picked(IMAGE, "image/png"))
    (message,) = pbx.messages
    assert message.text == "Map"
    assert message.mime_type == "image/jpeg"
    shown = Image.open(BytesIO(message.media or b"")).convert("RGB").getpixel((9, 9))
    assert isinstance(shown, tuple)
    assert shown[2] > 240
    assert shown[0] < 10


@pytest.mark.parametrize("plain", [False, True])
async def test_local_media(
    hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry, plain: bool
) -> None:
    """A file of the media folder goes out, picked or written."""
    name = "media-source://media_source/local/red.jpg"
    await send(hass, destination=ANN, message="", media=name if plain else picked(name))
    assert arrived(pbx) == [RED]


async def test_a_path(hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry) -> None:
    """A path goes out where Home Assistant may read it, also through a link."""
    await send(hass, destination=ANN, message="", media=f" {files / 'red.jpg'}\n")
    (files / "link.jpg").symlink_to(files / "blue.jpg")
    await send(hass, destination=ANN, message=" \n", media=picked(str(files / "link.jpg")))
    assert arrived(pbx) == [RED, BLUE]


async def test_the_kind_comes_from_the_bytes(
    hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry
) -> None:
    """Neither a file's name nor what the picker says decides what it is."""
    (files / "wrong.mp4").write_bytes(picture("red", "PNG"))
    await send(hass, destination=ANN, message="", media=picked(str(files / "wrong.mp4"), "video/mp4"))
    (message,) = pbx.messages
    assert (message.mime_type, message.media) == ("image/png", picture("red", "PNG"))


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Home Assistant 2026.11's way to a picture: asked of the media source."""
    asked: list[str] = []

    async def get(hass: HomeAssistant, name: str) -> SimpleNamespace | None:
        asked.append(name)
        if "gone" in name:
            raise Unresolvable("gone")
        return SimpleNamespace(content=GREEN, mime_type="image/jpeg") if "/camera/" in name else None

    monkeypatch.setattr(media_source, "async_get_media_image", get, raising=False)
    return asked


async def test_a_camera_on_newer_home_assistant(
    hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry, newer: list[str]
) -> None:
    """Where Home Assistant itself makes pictures of media, that is used."""
    local = "media-source://media_source/local/red.jpg"
    await send(hass, destination=ANN, message="", media=[picked(CAMERA), local])
    assert arrived(pbx) == [GREEN, RED]
    assert newer == [CAMERA, local]
    await lost(hass, pbx, "media_not_found", destination=ANN, media="media-source://camera/camera.gone")


async def test_speech(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Speech goes as sound where Home Assistant can make it, and no error tells what is said."""
    name = "media-source://tts/demo?message=Hello+Ann"
    err = await lost(hass, pbx, "media_not_found", destination=ANN, media=name)
    assert "Hello" not in str(err), "an error must not tell what is said"
    speech = ModuleType("homeassistant.components.tts")

    async def get(hass: HomeAssistant, media_source_id: str) -> tuple[str, bytes]:
        if media_source_id != name:
            raise ValueError(media_source_id)
        return "mp3", b"ID3\x04" + bytes(60)

    speech.async_get_media_source_audio = get  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "homeassistant.components.tts", speech)
    hass.config.components.add("tts")
    pbx.messages.clear()
    await send(hass, destination=ANN, message="", media=picked(name, "provider"))
    (message,) = pbx.messages
    assert (message.type, message.mime_type, message.media) == ("mms", "audio/mpeg", b"ID3\x04" + bytes(60))
    assert message.text == "Sound"
    await lost(hass, pbx, "media_not_found", destination=ANN, media="media-source://tts/other?message=Hello")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("{folder}/missing.jpg", "media_not_found"),
        ("{folder}", "media_not_found"),
        ("{folder}/\0.jpg", "media_not_found"),
        ("{folder}/" + "a" * 300, "media_not_found"),
        ("{folder}/words.jpg", "media_unreadable"),
        ("{folder}/cut.jpg", "media_cut_off"),
        ("{folder}/bomb.png", "media_unreadable"),
        ("{folder}/empty.jpg", "media_unreadable"),
        ("{folder}/film.mp4", "media_too_large"),
        ("{folder}/../private/red.jpg", "media_path_not_allowed"),
        ("{folder}/out.jpg", "media_path_not_allowed"),
        ("{folder}/out/red.jpg", "media_path_not_allowed"),
        ("{folder}/../private/missing.jpg", "media_path_not_allowed"),
        ("/etc/passwd", "media_path_not_allowed"),
        ("red.jpg", "media_not_found"),
        ("/api/states", "media_not_found"),
        ("ftp://example.com/red.jpg", "media_not_found"),
        ("file:///etc/passwd", "media_not_found"),
        ("media-source://", "media_not_found"),
        ("media-source://camera", "media_not_found"),
        ("media-source://media_source", "media_not_found"),
        ("media-source:///x", "media_not_found"),
        ("media-source://nobody/x", "media_not_found"),
        ("media-source://media_source/local/missing.jpg", "media_not_found"),
        ("media-source://media_source/local/../private/red.jpg", "media_not_found"),
        ("media-source://media_source/elsewhere/red.jpg", "media_not_found"),
        ("media-source://camera/camera.missing", "media_not_found"),
        ("media-source://camera/light.missing", "media_not_found"),
        ("media-source://image/image.missing", "media_not_found"),
    ],
)
async def test_refused(
    hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry, name: str, key: str
) -> None:
    """What cannot be sent is told with its name and why, and nothing goes out."""
    (files / "words.jpg").write_text("These are words.\n" * 99)
    (files / "cut.jpg").write_bytes(RED[: RED.index(b"\xff\xda") + 14])
    (files / "empty.jpg").touch()
    (files / "bomb.png").write_bytes(
        picture("red", "PNG").replace(b"\0\0\0\x40\0\0\0\x30", b"\0\0\xff\xff\0\0\xff\xff")
    )
    (files / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(20_000_000))
    (files / "out.jpg").symlink_to(files.parent / "private" / "red.jpg")
    (files / "out").symlink_to(files.parent / "private")
    call = refused if key == "media_path_not_allowed" else lost
    err = await call(hass, pbx, key, destination=ANN, media=name.replace("{folder}", str(files)))
    if key == "media_too_large":
        assert "20000 kB" in str(err)
        assert "600 kB" in str(err)


async def test_more_than_is_ever_read(
    hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A huge file is refused by its size, without being read."""
    with (files / "disk.img").open("wb") as file:
        file.truncate(60_000_000)
    err = await lost(hass, pbx, "media_too_large", destination=ANN, media=str(files / "disk.img"))
    assert "60000 kB" in str(err)
    assert "600 kB" in str(err)


async def test_a_pipe_is_no_file(hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry) -> None:
    """Something that never ends cannot hold up a call."""
    import os

    os.mkfifo(files / "pipe.jpg")
    await lost(hass, pbx, "media_not_found", destination=ANN, media=str(files / "pipe.jpg"))


async def test_a_stream_is_no_file(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A radio is no file, and told as that."""

    async def resolve(hass: HomeAssistant, name: str, player: str | None) -> media_source.PlayMedia:
        return media_source.PlayMedia("/api/radio", "audio/mpeg")

    monkeypatch.setattr(media_source, "async_resolve_media", resolve)
    await lost(hass, pbx, "media_not_a_file", destination=ANN, media="media-source://radio/x")


async def test_a_camera_that_fails(hass: HomeAssistant, pbx: Simulator, camera: Any) -> None:
    """A camera that sees nothing, or sends nonsense, is named in the error."""
    camera.sees = None
    assert "camera.door" in str(await lost(hass, pbx, "media_unavailable", destination=ANN, media=CAMERA))
    camera.sees = b"oops"
    await lost(hass, pbx, "media_unreadable", destination=ANN, media=CAMERA)


async def test_a_camera_with_a_fault_of_its_own(
    hass: HomeAssistant, pbx: Simulator, camera: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another integration's fault is told without its words, which may hold a password."""

    async def fail(*args: Any, **kwargs: Any) -> bytes:
        raise ZeroDivisionError("rtsp://admin:secret@10.0.0.9")

    monkeypatch.setattr(camera, "async_camera_image", fail)
    await lost(hass, pbx, "media_unavailable", destination=ANN, media=CAMERA)
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


async def test_what_never_comes_to_an_end(
    hass: HomeAssistant, pbx: Simulator, camera: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that hangs is given up after a while."""

    async def hang(*args: Any, **kwargs: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(camera, "async_camera_image", hang)
    (source,) = read_sources(hass, [CAMERA])
    with pytest.raises(ServiceValidationError) as caught:
        await media_module.async_load_media(hass, source, 600, within=0.05)
    assert caught.value.translation_key == "media_unavailable"


async def test_one_bad_of_several_holds_back_nothing(
    hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry
) -> None:
    """The words and the other pictures go out, and the error says what is missing."""
    names = [str(files / "missing.jpg"), str(files / "red.jpg")]
    with pytest.raises(HomeAssistantError) as caught:
        await send(hass, destination=[ANN, BOB], media=names)
    assert caught.value.translation_key == "words_without_picture"
    assert "missing.jpg" in str(caught.value)
    assert "red.jpg" not in str(caught.value)
    for number in (ANN, BOB):
        assert [(one.text, one.media) for one in pbx.messages if one.destination == [number]] == [
            ("Hi", None),
            ("red", RED),
        ]
    pbx.messages.clear()
    with pytest.raises(HomeAssistantError, match="2 of 4") as caught:
        await send(hass, destination=[ANN, BOB], message="", media=names)
    assert str(caught.value).count("missing.jpg") == 1
    assert arrived(pbx) == [RED, RED]


async def test_the_limit_is_an_option(
    hass: HomeAssistant, pbx: Simulator, files: Path, add_account: AddAccount
) -> None:
    """Pictures are made to fit what the account's option says."""
    await add_account(options={"from_number": OWN, "mms_limit_kb": 50})
    noise = Image.effect_noise((900, 900), 100)
    noise.save(files / "noise.png")
    await send(hass, destination=ANN, message="", media=str(files / "noise.png"))
    assert 40_000 < len(pbx.messages[0].media or b"") <= 50_000
    (files / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(99_988))
    err = await lost(hass, pbx, "media_too_large", destination=ANN, media=str(files / "film.mp4"))
    assert "100 kB" in str(err)
    assert "50 kB" in str(err)


async def test_bytes_are_the_executors_business(
    hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing large is read or converted in the event loop."""
    import threading

    threads = []
    for name in ("fit", "_read_file"):
        original = getattr(media_module, name)

        def noted(*args: Any, _original: Any = original) -> Any:
            threads.append(threading.current_thread())
            return _original(*args)

        monkeypatch.setattr(media_module, name, noted)
    await send(hass, destination=ANN, media=str(files / "red.jpg"))
    assert len(threads) == 2
    assert threading.main_thread() not in threads


# --- from a URL -----------------------------------------------------------------------


async def _redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(request.query["url"])


async def _hop(request: web.Request) -> web.StreamResponse:
    number = int(request.match_info["number"])
    if number == 0:
        return web.Response(body=BLUE)
    raise web.HTTPFound(f"/hop/{number - 1}")


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(bytes(60_000))
    except OSError:
        return response


async def _claim(request: web.Request) -> web.StreamResponse:
    return web.StreamResponse(headers={"Content-Length": "70000000"})


async def _reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _no_location(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302)


async def _red(request: web.Request) -> web.StreamResponse:
    return web.Response(body=RED, content_type="text/plain")


ROUTES = [
    web.get("/red.jpg", _red),
    web.get("/to", _redirect),
    web.get("/hop/{number}", _hop),
    web.get("/no-location", _no_location),
    web.get("/endless", _endless),
    web.get("/claim", _claim),
    web.get("/reset", _reset),
]


@pytest.fixture
async def web_server(
    hass: HomeAssistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[str, list[str]]]:
    """A web server with a certificate of its own; what it is asked for, and its address."""
    asked: list[str] = []

    @web.middleware
    async def note(request: web.Request, handler: Any) -> Any:
        asked.append(f"{request.host.partition(':')[0]}{request.path}")
        return await handler(request)

    app = web.Application(middlewares=[note])
    app.add_routes(ROUTES)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    _, context = await hass.async_add_executor_job(make_certificate, tmp_path)
    door = TlsDoor(context)

    def accept() -> asyncio.Protocol:
        assert runner.server is not None
        return door.accept(runner.server)  # type: ignore[arg-type]

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hass.config.allowlist_external_urls = {f"https://127.0.0.1:{port}/"}
    monkeypatch.setattr(media_module, "async_get_clientsession", lambda hass: async_get_clientsession(hass, False))
    monkeypatch.setattr(media_module, "MOST_BYTES", 1_000_000)
    yield f"https://127.0.0.1:{port}", asked
    server.close()
    door.close()
    await runner.cleanup()


async def test_a_url(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, web_server: tuple[str, list[str]]
) -> None:
    """A picture of an address that is allowed goes out, through redirects as well."""
    url, asked = web_server
    await send(hass, destination=ANN, message="", media=f"{url}/red.jpg?token=secret")
    await send(hass, destination=ANN, message="", media=picked(f"{url}/hop/4"))
    assert [(message.text, message.media, message.mime_type) for message in pbx.messages] == [
        ("red", RED, "image/jpeg"),
        ("Picture", BLUE, "image/jpeg"),
    ]
    assert len(asked) == 6


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/missing.jpg", "media_not_found"),
        ("/no-location", "media_not_found"),
        ("/hop/5", "media_not_found"),
        ("/to?url=/to?url=/x", "media_not_found"),
        ("/reset", "media_not_found"),
        ("/to?url=https://[", "media_not_found"),
        ("/endless", "media_too_large"),
        ("/claim", "media_too_large"),
        ("/to?url={private}/red.jpg", "media_url_not_allowed"),
        ("/to?url={http}/red.jpg", "media_url_insecure"),
        ("/to?url=//127.0.0.2/red.jpg", "media_url_not_allowed"),
        ("/to?url=https://192.168.1.1/", "media_url_not_allowed"),
        ("/to?url=file:///etc/passwd", "media_url_not_allowed"),
    ],
)
async def test_a_url_that_leads_nowhere(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    web_server: tuple[str, list[str]],
    path: str,
    key: str,
) -> None:
    """No redirect leads past what is allowed, and no error tells the rest of a URL."""
    url, asked = web_server
    private = url.replace("127.0.0.1", "127.0.0.2")
    path = path.replace("{private}", private).replace("{http}", url.replace("https", "http"))
    err = await lost(hass, pbx, key, destination=ANN, media=f"{url}{path}")
    assert "127.0.0.1" in str(err)
    assert path not in str(err), "the rest of a URL may be a secret"
    assert asked, "the first address is allowed"
    assert all(one.startswith("127.0.0.1/") for one in asked)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("{private}/red.jpg", "media_url_not_allowed"),
        ("{http}/red.jpg", "media_url_insecure"),
        ("https://127.0.0.1/red.jpg", "media_url_not_allowed"),
        ("https://user:secret@{host}@127.0.0.2/red.jpg", "media_url_not_allowed"),
        ("https://[", "media_url_not_allowed"),
        ("http://[", "media_url_insecure"),
        ("https://", "media_url_not_allowed"),
        ("https://[::1]/secret", "media_url_not_allowed"),
    ],
)
async def test_a_url_that_is_not_allowed(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    web_server: tuple[str, list[str]],
    address: str,
    key: str,
) -> None:
    """An address that is not allowed gets no request at all."""
    url, asked = web_server
    values = {
        "{private}": url.replace("127.0.0.1", "127.0.0.2"),
        "{http}": url.replace("https", "http"),
        "{host}": url.removeprefix("https://"),
    }
    for name, value in values.items():
        address = address.replace(name, value)
    err = await refused(hass, pbx, key, destination=ANN, media=address)
    assert "secret" not in str(err)
    assert asked == []


async def test_a_redirect_into_this_machine(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Home Assistant's own session stops it, even where the address is allowed."""
    hass.config.allowlist_external_urls = {"https://example.com/"}

    def get(*args: Any, **kwargs: Any) -> Any:
        raise SSRFRedirectError("blocked")

    monkeypatch.setattr(media_module, "async_get_clientsession", lambda hass: SimpleNamespace(get=get))
    await lost(hass, pbx, "media_url_not_allowed", destination=ANN, media="https://example.com/x")


async def test_a_certificate_that_is_not_trusted(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    web_server: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that cannot prove who it is gets no request for a picture."""
    url, asked = web_server
    monkeypatch.setattr(media_module, "async_get_clientsession", async_get_clientsession)
    err = await lost(hass, pbx, "media_certificate_refused", destination=ANN, media=f"{url}/red.jpg?token=secret")
    assert "127.0.0.1" in str(err)
    assert "secret" not in str(err)
    assert asked == []


# --- several, and by which door -------------------------------------------------------


async def test_several_are_as_many_messages(
    hass: HomeAssistant, pbx: Simulator, files: Path, camera: Any, image: None
) -> None:
    """Each picture is a message of its own, in the order of the call."""
    rows = await send(hass, destination=ANN, message="All", media=[CAMERA, picked(str(files / "blue.jpg")), CAMERA])
    assert arrived(pbx) == [None, RED, BLUE, RED]
    assert [message.text for message in pbx.messages] == ["All", "Door", "blue", "Door"]
    assert [message.type for message in pbx.messages] == ["sms", "mms", "mms", "mms"]
    assert len({message.messagesession for message in pbx.messages}) == 1
    assert [(row["status"], row["message_type"]) for row in rows] == [("sent", "sms"), *[("sent", "mms")] * 3]
    assert {row["messagesession"] for row in rows} == {pbx.messages[0].messagesession}


async def test_several_to_several(hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry) -> None:
    """Everybody gets all of them."""
    names = [str(files / "red.jpg"), str(files / "blue.jpg")]
    rows = await send(hass, destination=[BOB], entity_id="notify.ann", message="", media=names)
    assert len(rows) == 4
    for number in (ANN, BOB):
        assert [one.media for one in pbx.messages if one.destination == [number]] == [RED, BLUE]
    assert {one.text for one in pbx.messages} == {"red", "blue"}
    assert [row["destination"] for row in rows] == [[shown(BOB)], [shown(BOB)], [shown(ANN)], [shown(ANN)]]


async def test_data_goes_before_media(hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry) -> None:
    """What is attached as base64 goes before what has to be loaded."""
    await send(
        hass,
        destination=ANN,
        data=base64.b64encode(GREEN).decode(),
        mime_type="image/jpeg",
        media=[str(files / "red.jpg")],
    )
    assert [(message.text, message.media) for message in pbx.messages] == [
        ("Hi", None),
        ("Picture", GREEN),
        ("red", RED),
    ]


async def test_an_empty_list_is_a_text(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A template that finds no picture leaves the words."""
    await send(hass, destination=ANN, media=[])
    assert [(message.type, message.media) for message in pbx.messages] == [("sms", None)]
    await send(hass, destination=ANN, media=["", " ", {"media_content_id": ""}])
    assert [(message.type, message.media) for message in pbx.messages] == [("sms", None)] * 2
    for nothing in ([], "", [" "]):
        await refused(hass, pbx, "nothing_to_send", destination=ANN, message="", media=nothing)


@pytest.mark.parametrize("action", ["netsapiens", "netsapiens_ann"])
async def test_by_name(hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry, action: str) -> None:
    """The actions by name take media as well, in the order of the call."""
    data = {"message": "Look", "data": {"media": [picked(str(files / "red.jpg")), str(files / "blue.jpg")]}}
    if action == "netsapiens":
        data["target"] = [ANN]
    await hass.services.async_call("notify", action, data, blocking=True)
    assert [(one.destination, one.text, one.media) for one in pbx.messages] == [
        ([ANN], "Look", None),
        ([ANN], "red", RED),
        ([ANN], "blue", BLUE),
    ]


async def test_inside_the_pbx(hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry) -> None:
    """An extension gets pictures by chat."""
    rows = await send(hass, destination="1002", media=str(files / "red.jpg"))
    assert [(row["message_type"], row["from_number"]) for row in rows] == [("chat", None), ("chat-media", None)]
    assert [(one.type, one.text, one.media) for one in pbx.messages] == [
        ("chat", "Hi", None),
        ("chat-media", "red", RED),
    ]


async def test_media_cannot_go_as_a_text(
    hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry
) -> None:
    """Somebody who asks for a text with a picture is told that this cannot be."""
    await refused(hass, pbx, "type_without_media", destination=ANN, message_type="sms", media=str(files / "red.jpg"))


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        (FaultKind.DROP_AFTER, {}),
        (FaultKind.DROP_BEFORE, {}),
        (FaultKind.STATUS, {"code": 502, "html": True, "accept": True}),
        (FaultKind.STATUS, {"code": 502, "html": True, "accept": False}),
    ],
)
@pytest.mark.parametrize("message", ["Look", ""])
async def test_the_order_stays_when_one_is_tried_again(
    hass: HomeAssistant,
    pbx: Simulator,
    files: Path,
    add_account: AddAccount,
    kind: FaultKind,
    details: dict[str, Any],
    message: str,
) -> None:
    """A picture that has to be tried again does not arrive behind the next one."""
    set_timing(hass, looks=QUICK["looks"], retry=QUICK["retry"])
    hass.data[THROTTLE_TIMING] = ThrottleTiming(circuit=CircuitTiming(away=Backoff(0.05, 60.0)))
    await add_account()
    pbx.fault(kind, path="/messages", method="POST", **details)
    names = [str(files / "red.jpg"), str(files / "blue.jpg")]
    rows = await send(hass, destination=ANN, message=message, media=names)
    expected = [*([(message, None)] if message else []), ("red", RED), ("blue", BLUE)]
    assert [row["status"] for row in rows] == ["sent"] * len(expected)
    assert [(one.text, one.media) for one in pbx.messages] == expected


# --- which number can ------------------------------------------------------------------


type Capable = tuple[bool, bool]


@pytest.mark.parametrize(
    ("own", "other", "group", "key"),
    [
        ((True, True), None, False, None),
        ((True, True), None, True, None),
        ((True, False), None, False, None),
        ((False, False), None, False, "sender_without_mms_nor_others"),
        ((False, True), None, False, "sender_without_mms_nor_others"),
        ((False, False), (True, False), False, "sender_without_mms"),
        ((True, False), None, True, "sender_without_group_mms_nor_others"),
        ((True, False), (True, False), True, "sender_without_group_mms_nor_others"),
        ((True, False), (True, True), True, "sender_without_group_mms"),
        ((False, True), (False, True), True, "sender_without_group_mms_nor_others"),
    ],
)
async def test_a_number_that_cannot(
    hass: HomeAssistant,
    pbx: Simulator,
    files: Path,
    add_account: AddAccount,
    own: Capable,
    other: Capable | None,
    group: bool,
    key: str | None,
) -> None:
    """A number without MMS is refused with those that can, before words go out."""
    numbers = [(OWN, own), *([(OTHER, other)] if other else [])]
    pbx.first_user.numbers = [
        SmsNumber(number, mms_capable=mms, group_mms_capable=many) for number, (mms, many) in numbers
    ]
    await add_account(options={"from_number": OWN})
    data = {"destination": [ANN, BOB], "group": group, "media": str(files / "red.jpg")}
    if key is None:
        await send(hass, **data)
        assert set(arrived(pbx)) == {None, RED}
        return
    err = await refused(hass, pbx, key, **data)
    assert OWN[-4:] in str(err)
    assert OWN not in str(err)
    assert OTHER not in str(err)
    if not key.endswith("others"):
        assert OTHER[-4:] in str(err)
        await send(hass, **data, from_number=OTHER)
    await send(hass, destination=ANN, message="A text always goes")


async def test_a_number_of_which_nothing_is_said(
    hass: HomeAssistant, pbx: Simulator, files: Path, entry: MockConfigEntry
) -> None:
    """A PBX that says nothing of MMS is not taken to refuse it."""
    numbers = entry.runtime_data.coordinator.data.numbers
    from copy import replace

    numbers[OWN] = replace(numbers[OWN], mms_capable=None, group_mms_capable=None)
    await send(hass, destination=[ANN, BOB], group=True, media=str(files / "red.jpg"))
    assert arrived(pbx) == [None, RED]


# --- who may --------------------------------------------------------------------------


@pytest.fixture
def guest(hass: HomeAssistant) -> Callable[..., Context]:
    """Make a user who may text Ann and do only what is said of these entities; return a call's context of theirs."""

    def make(**entities: bool | dict[str, bool]) -> Context:
        may = {name.replace("__", "."): what for name, what in {"notify__ann": True, **entities}.items()}
        policy = {"entities": {"entity_ids": may}}
        made = MockUser(groups=[Group(name="Guests", policy=policy)]).add_to_hass(hass)
        made.mock_policy(policy)
        return Context(user_id=made.id)

    return make


async def _via_action(hass: HomeAssistant, context: Context, media: Any) -> None:
    await send(hass, context, entity_id="notify.ann", media=media)


async def _via_name(hass: HomeAssistant, context: Context, media: Any) -> None:
    data = {"message": "Hi", "data": {"media": media}}
    await hass.services.async_call("notify", "netsapiens_ann", data, blocking=True, context=context)


async def _via_script(hass: HomeAssistant, context: Context, media: Any) -> None:
    data = {"entity_id": "notify.ann", "message": "Hi", "media": media}
    step = {"action": "netsapiens.send_message", "data": data}
    assert await async_setup_component(hass, "script", {"script": {"snap": {"sequence": [step]}}})
    await hass.services.async_call("script", "snap", blocking=True, context=context)


@pytest.mark.parametrize("call", [_via_action, _via_name, _via_script])
@pytest.mark.parametrize("name", [CAMERA, IMAGE])
@pytest.mark.parametrize("is_new", [False, True])
async def test_a_user_must_be_allowed_to_see_it(
    hass: HomeAssistant,
    pbx: Simulator,
    camera: Any,
    image: None,
    guest: Callable[..., Context],
    call: Callable[..., Awaitable[None]],
    name: str,
    is_new: bool,
    request: pytest.FixtureRequest,
) -> None:
    """Nobody gets a camera's picture texted that they may not look at."""
    if is_new:
        request.getfixturevalue("newer")
    entity_id = name.rpartition("/")[2]
    context = guest(script__snap=True, light__hall=True, **{entity_id.replace(".", "__"): {"control": True}})
    for media in (name, [picked(name)], [f" {name} "]):
        with pytest.raises(Unauthorized) as caught:
            await call(hass, context, media)
        assert (caught.value.entity_id, caught.value.permission) == (entity_id, "read")
    assert pbx.messages == []


async def test_a_user_who_may(
    hass: HomeAssistant, pbx: Simulator, camera: Any, guest: Callable[..., Context], hass_admin_user: MockUser
) -> None:
    """Who may look at it may text it, by every action."""
    allowed = guest(camera__door={"read": True}, script__snap=True)
    await _via_action(hass, allowed, CAMERA)
    await _via_script(hass, allowed, CAMERA)
    await _via_name(hass, allowed, CAMERA)
    await _via_action(hass, Context(user_id=hass_admin_user.id), CAMERA)
    await _via_action(hass, Context(), CAMERA)
    assert arrived(pbx) == [None, RED] * 5
    with pytest.raises(UnknownUser):
        await _via_action(hass, Context(user_id="nobody"), CAMERA)
    assert len(pbx.messages) == 10


async def test_one_forbidden_of_several_stops_all(
    hass: HomeAssistant, pbx: Simulator, files: Path, camera: Any, guest: Callable[..., Context]
) -> None:
    """Nothing goes out of a call of which a part is forbidden."""
    with pytest.raises(Unauthorized):
        await _via_action(hass, guest(), [str(files / "red.jpg"), CAMERA])
    assert pbx.messages == []
