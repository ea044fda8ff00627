"""What people write for a picture: where it is, what it is called, and who may have it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeassistant.auth.models import Group
from homeassistant.components.media_player import MediaPlayerEntity
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.setup import async_setup_component
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.netsapiens.media.sources import allowed_path, read_sources
from tests.pictures import BLUE, CAMERA, RED, picked
from tests.simulator import Simulator
from tests.test_services import ANN, refused, send

type MakeGuest = Callable[..., Context]


@pytest.fixture
def served(hass: HomeAssistant, tmp_path: Path) -> Path:
    """The folders that Home Assistant serves, each with a picture, beside one that it does not."""
    www, media, private = (tmp_path / name for name in ("www", "media", "private"))
    for folder in (www, media, private):
        (folder / "in").mkdir(parents=True)
        (folder / "a b%.jpg").write_bytes(BLUE)
        (folder / "red.jpg").write_bytes(RED)
        (folder / "in" / "red.jpg").write_bytes(RED)
        (folder / "link.jpg").symlink_to(private / "red.jpg")
        (folder / "linked").symlink_to(private)
        (folder / "own.jpg").symlink_to(folder / "red.jpg")
    (tmp_path / "secrets.yaml").write_bytes(RED)
    hass.config.media_dirs = {"local": str(media), "nas": str(media / "in")}
    hass.config.allowlist_external_dirs = set()
    hass.config.config_dir = str(tmp_path)
    return tmp_path


@pytest.fixture
def guest(hass: HomeAssistant) -> MakeGuest:
    """Make a user who may text Ann and read only these entities, and return a call's context of theirs."""

    def make(*entities: str) -> Context:
        policy = {"entities": {"entity_ids": {"notify.ann": True, **{name: {"read": True} for name in entities}}}}
        made = MockUser(groups=[Group(name="Guests", policy=policy)]).add_to_hass(hass)
        made.mock_policy(policy)
        return Context(user_id=made.id)

    return make


async def sent(hass: HomeAssistant, pbx: Simulator, media: Any, context: Context | None = None) -> tuple[str, bytes]:
    """Send a picture; return its name and its bytes as they arrived."""
    pbx.messages.clear()
    await send(hass, context, entity_id="notify.ann", message="", media=media)
    (message,) = pbx.messages
    return message.text, message.media or b""


@pytest.mark.parametrize(
    "name",
    [
        CAMERA,
        "camera.door",
        " camera.door ",
        "/api/camera_proxy/camera.door",
        "/api/camera_proxy/camera.door?token=0123456789abcdef",
        "https://home.example/api/camera_proxy/camera.door?token=0123456789abcdef",
        "http://homeassistant.local:8123/api/camera_proxy/camera.door",
    ],
)
@pytest.mark.parametrize("is_picked", [False, True])
async def test_a_camera(
    hass: HomeAssistant, pbx: Simulator, camera: Any, guest: MakeGuest, name: str, is_picked: bool
) -> None:
    """A camera is known by each form in which Home Assistant names it."""
    hass.config.external_url = "https://home.example"
    hass.config.internal_url = "http://homeassistant.local:8123"
    media = picked(name) if is_picked else name
    assert await sent(hass, pbx, media) == ("Door", RED)
    assert await sent(hass, pbx, media, guest("camera.door")) == ("Door", RED)
    with pytest.raises(Unauthorized) as caught:
        await send(hass, guest("camera.other"), entity_id="notify.ann", media=[media])
    assert (caught.value.entity_id, caught.value.permission) == ("camera.door", "read")
    assert len(pbx.messages) == 1


@pytest.mark.parametrize("name", ["image.map", "/api/image_proxy/image.map?token=0123456789abcdef"])
@pytest.mark.usefixtures("image")
async def test_an_image_entity(hass: HomeAssistant, pbx: Simulator, guest: MakeGuest, name: str) -> None:
    """So is an image entity, with the rights of whoever asks."""
    assert (await sent(hass, pbx, name))[0] == "Map"
    with pytest.raises(Unauthorized):
        await send(hass, guest("camera.door"), entity_id="notify.ann", media=name)


async def test_the_entity_picture_of_any_entity(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, camera: Any, guest: MakeGuest
) -> None:
    """As templates give it: `state_attr(…, 'entity_picture')`."""
    state = hass.states.get("camera.door")
    assert state is not None
    assert await sent(hass, pbx, state.attributes["entity_picture"]) == ("Door", RED)

    class Radio(MediaPlayerEntity):
        _attr_name = "Radio"
        shows: bytes | None = BLUE

        async def async_get_media_image(self) -> tuple[bytes | None, str | None]:
            return self.shows, "image/jpeg"

    radio = Radio()
    assert await async_setup_component(hass, "media_player", {})
    await hass.data["media_player"].async_add_entities([radio])
    name = "/api/media_player_proxy/media_player.radio?token=0123456789&cache=1"
    assert await sent(hass, pbx, name) == ("Radio", BLUE)
    with pytest.raises(Unauthorized):
        await send(hass, guest("camera.door"), entity_id="notify.ann", media=name)
    radio.shows = None
    await refused(hass, pbx, "media_not_found", destination=ANN, message="", media=name)
    gone = "/api/media_player_proxy/media_player.gone"
    await refused(hass, pbx, "media_not_found", destination=ANN, message="", media=gone)


async def test_a_persons_picture(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, tmp_path: Path) -> None:
    """A picture of a person is one that was uploaded."""
    name = "/api/image/serve/0123456789abcdef/512x512"
    (source,) = read_sources(hass, [name])
    assert (source.media_id, source.shown) == ("media-source://image_upload/0123456789abcdef", name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/local/red.jpg", ("red", RED)),
        ("/local/red.jpg?v=2#top", ("red", RED)),
        ("/local/in/red.jpg", ("red", RED)),
        ("/local/a%20b%25.jpg", ("a b%", BLUE)),
        ("/local/own.jpg", ("own", RED)),
        ("/media/local/red.jpg", ("red", RED)),
        ("/media/local/red.jpg?authSig=ey.ey.ey", ("red", RED)),
        ("/media/nas/red.jpg", ("red", RED)),
        ("https://home.example/local/red.jpg", ("red", RED)),
        ("https://home.example/media/local/a%20b%25.jpg?v=1", ("a b%", BLUE)),
    ],
)
@pytest.mark.usefixtures("entry", "served")
async def test_what_home_assistant_serves(
    hass: HomeAssistant, pbx: Simulator, name: str, expected: tuple[str, bytes]
) -> None:
    """A path or address of Home Assistant's own leads to the file behind it."""
    hass.config.external_url = "https://home.example"
    assert await sent(hass, pbx, name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "/local/../secrets.yaml",
        "/local/../private/red.jpg",
        "/local/%2e%2e/secrets.yaml",
        "/local/%2E%2E%2Fsecrets.yaml",
        "/local/in/..%2f..%2f/secrets.yaml",
        "/local/in/../red.jpg",
        "/local/link.jpg",
        "/local/linked/red.jpg",
        "/local/red.jpg%00.png",
        "/local/..",
        "/media/local/../secrets.yaml",
        "/media/local/%2e%2e/secrets.yaml",
        "/media/local/link.jpg",
        "/media/local/linked/red.jpg",
        "/media/local/%00",
        "/media/nas/../red.jpg",
        "/media/elsewhere/red.jpg",
        "/media/../local/red.jpg",
        "https://home.example/local/%2e%2e%2fsecrets.yaml",
        "https://home.example/media/local/linked/red.jpg",
    ],
)
@pytest.mark.usefixtures("entry", "served")
async def test_no_way_out_of_the_folders(hass: HomeAssistant, pbx: Simulator, name: str) -> None:
    """No spelling leads to a file outside of what Home Assistant serves."""
    hass.config.external_url = "https://home.example"
    await refused(hass, pbx, "media_path_not_allowed", destination=ANN, media=name)


@pytest.mark.usefixtures("entry")
async def test_a_link_into_a_folder_that_is_allowed(hass: HomeAssistant, pbx: Simulator, served: Path) -> None:
    """A link counts as the place that it leads to."""
    hass.config.allowlist_external_dirs = {str(served / "private")}
    assert await sent(hass, pbx, "/local/linked/red.jpg") == ("red", RED)


@pytest.mark.parametrize(
    "name",
    [
        "/local/missing.jpg",
        "/local/%252e%252e/secrets.yaml",
        "/local//etc/passwd",
        "/local/%2fetc/passwd",
        "/local/",
        "/media/local/missing.jpg",
        "/media/local/in",
        "/api/camera_proxy/light.door",
        "/api/image_proxy/camera.door",
        "/api/camera_proxy/camera.door/../x",
        "/api/states",
        "light.door",
        "camera.",
        "camera.door.jpg",
        "camera",
    ],
)
@pytest.mark.usefixtures("entry", "served")
async def test_what_is_not_there(hass: HomeAssistant, pbx: Simulator, name: str) -> None:
    """It is told as that, before or beside what goes out."""
    await refused(hass, pbx, "media_not_found", destination=ANN, message="", media=name)
    with pytest.raises(HomeAssistantError) as caught:
        await send(hass, destination=ANN, media=name)
    assert caught.value.translation_key == "words_without_picture"
    assert [message.text for message in pbx.messages] == ["Hi"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    root=st.sampled_from(["/local/", "/media/local/", "/media/nas/"]),
    parts=st.lists(st.sampled_from(["..", "%2e%2e", "%2E.", ".", "/", "%2f", "in", "linked", "red.jpg", "%00", "\\"])),
)
def test_whatever_is_read_is_in_a_folder(hass: HomeAssistant, served: Path, root: str, parts: list[str]) -> None:
    """Whatever a path is put together of, what is read lies in a folder that is allowed."""
    for source in read_sources(hass, [root + "/".join(parts)]):
        if source.path is None:
            continue
        try:
            path = allowed_path(hass, source, source.path)
        except Exception:  # noqa: BLE001 - whatever it is, it is not read
            continue
        assert path.is_relative_to(served / "www") or path.is_relative_to(served / "media")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/config/Front door.jpg", "Front door"),
        ("/config/door.2026-01-02.jpg", "door.2026-01-02"),
        ("/config/.jpg", ".jpg"),
        ("/config/a\u200bb.jpg", "a\u200bb"),
        ("/config/\u200b.jpg", None),
        ("/config/ .jpg", None),
        ("/config/two\n lines.jpg", "two lines"),
        ("/config/half\udcff.jpg", "half"),
        ("/config/👨‍👩‍👧.jpg", "👨‍👩‍👧"),
        ("https://example.com/a/Front%20door.jpg?token=secret", "Front door"),
        ("https://example.com/0123456789abcdef?x=.jpg", None),
        ("https://user:secret@example.com", None),
        ("https://[", None),
        ("media-source://media_source/local/in/Front door.jpg", "Front door"),
        ("media-source://tts/cloud?message=secret.jpg", None),
        ("media-source://image_upload/0123456789abcdef", None),
        ("camera.nobody", None),
    ],
)
def test_names(hass: HomeAssistant, text: str, name: str | None) -> None:
    """A picture is called as a person would call it, and no secret of a URL is shown."""
    (source,) = read_sources(hass, [text])
    assert source.name == name
    assert "secret" not in source.shown


def test_an_entity_without_a_name_has_that_of_its_id(hass: HomeAssistant) -> None:
    """So is one whose entity has no name that can be seen."""
    hass.states.async_set("camera.front_door", "idle")
    hass.states.async_set("camera.blank", "idle", {"friendly_name": "\u200b"})
    assert [one.name for one in read_sources(hass, ["camera.front_door", "camera.blank"])] == ["front door", None]
