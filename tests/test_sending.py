"""Words and pictures: in which order they go, and what becomes of the rest when one fails."""

import asyncio
import base64
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitTiming
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from tests.conftest import AddAccount, close, recipient
from tests.delivery.quick import QUICK, set_timing
from tests.helpers import until
from tests.pictures import BLUE, CAMERA, RED, arrived
from tests.simulator import FaultKind, Simulator
from tests.simulator.model import SmsNumber
from tests.test_services import ANN, BOB, OWN, refused, send

BASE64 = {"data": base64.b64encode(BLUE).decode(), "mime_type": "image/jpeg"}
PICTURES = [("mms", "red", RED), ("mms", "blue", BLUE), ("mms", "red", RED)]
TOGETHER = {"from_number": OWN, "picture_text": "together"}

type Row = tuple[str, str, bytes | None]


def rows_of(pbx: Simulator, *destination: str) -> list[Row]:
    """Kind, words and picture of what was sent, in order: all of it, or to one destination."""
    return [
        (one.type, one.text, one.media)
        for one in pbx.messages
        if not destination or one.destination == list(destination)
    ]


@pytest.fixture
def quick(hass: HomeAssistant) -> None:
    """Look again at once where an answer was lost."""
    set_timing(hass, looks=QUICK["looks"], retry=QUICK["retry"])
    hass.data[THROTTLE_TIMING] = ThrottleTiming(circuit=CircuitTiming(away=Backoff(0.05, 60.0)))


@pytest.fixture
def slow(camera: Any, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let the camera hang until this is set."""
    shutter = asyncio.Event()

    async def look(*args: Any, **kwargs: Any) -> bytes:
        await shutter.wait()
        return RED

    monkeypatch.setattr(camera, "async_camera_image", look)
    return shutter


# --- separate -------------------------------------------------------------------------


async def test_words_do_not_wait_for_a_slow_camera(hass: HomeAssistant, pbx: Simulator, slow: asyncio.Event) -> None:
    """Whoever is texted knows at once."""
    call = hass.async_create_task(send(hass, destination=ANN, message="Glass broke", media=CAMERA))
    await until(lambda: pbx.messages)
    assert rows_of(pbx) == [("sms", "Glass broke", None)]
    assert not call.done()
    slow.set()
    rows = await call
    assert rows_of(pbx) == [("sms", "Glass broke", None), ("mms", "Door", RED)]
    assert [(row["message_type"], row["status"]) for row in rows] == [("sms", "sent"), ("mms", "sent")]
    assert len({row["messagesession"] for row in rows}) == 1


async def test_a_call_that_is_stopped_while_the_camera_hangs(
    hass: HomeAssistant, pbx: Simulator, slow: asyncio.Event
) -> None:
    """It ends, and what went out stays out."""
    call = hass.async_create_task(send(hass, destination=ANN, message="Glass broke", media=CAMERA))
    await until(lambda: pbx.messages)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert rows_of(pbx) == [("sms", "Glass broke", None)]


async def test_words_that_hang_do_not_hold_back_the_next_conversations(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, camera: Any
) -> None:
    """The picture is in the queue behind them, and both are kept."""
    await close(hass, entry)
    set_timing(hass, answer_within=0.3)
    await hass.config_entries.async_setup(entry.entry_id)
    pbx.fault(FaultKind.HANG, path="/messages", method="POST", times=1)
    rows = await send(hass, destination=ANN, message="Look", media=CAMERA, keep_for=60)
    assert [(row["message_type"], row["status"]) for row in rows] == [("sms", "queued"), ("mms", "queued")]
    pbx.clear_faults()


async def test_a_reload_while_the_camera_hangs(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, slow: asyncio.Event
) -> None:
    """The picture goes by the account as it is loaded then."""
    call = hass.async_create_task(send(hass, destination=ANN, message="Glass broke", media=CAMERA))
    await until(lambda: pbx.messages)
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    slow.set()
    assert [row["status"] for row in await call] == ["sent", "sent"]
    assert rows_of(pbx) == [("sms", "Glass broke", None), ("mms", "Door", RED)]


@pytest.mark.parametrize(
    ("destination", "asked", "expected"),
    [
        (ANN, None, ["sms", "mms"]),
        (ANN, "mms", ["sms", "mms"]),
        ("1002", None, ["chat", "chat-media"]),
        ("1002", "chat-media", ["chat", "chat-media"]),
        ("12345", "chat-media", ["chat", "chat-media"]),
    ],
)
async def test_the_kind_of_words_beside_media(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    destination: str,
    asked: str | None,
    expected: list[str],
) -> None:
    """Words go as a text, or by chat, as their picture's way is."""
    how = {"message_type": asked} if asked else {}
    rows = await send(hass, destination=destination, title="Door", **BASE64, **how)
    assert [row["message_type"] for row in rows] == [one.type for one in pbx.messages] == expected
    assert [(one.text, one.media) for one in pbx.messages] == [("Door\nHi", None), ("Picture", BLUE)]


async def test_a_group_of_people(hass: HomeAssistant, pbx: Simulator, camera: Any) -> None:
    """All is one conversation."""
    rows = await send(hass, destination=[ANN, BOB], group=True, message="Look", media=[CAMERA, CAMERA])
    assert rows_of(pbx, ANN, BOB) == [("sms", "Look", None), ("mms", "Door", RED), ("mms", "Door", RED)]
    assert len({row["messagesession"] for row in rows}) == 1


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "nl", "xx"])
async def test_what_has_no_name_is_called_by_its_kind(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, language: str
) -> None:
    """In Home Assistant's language."""
    hass.config.language = language
    for mime_type in ("image/jpeg", "audio/mpeg", "video/mp4", "text/vcard"):
        await send(hass, destination=ANN, message="", data=BASE64["data"], mime_type=mime_type)
    words = {
        "de": ["Bild", "Ton", "Video", "Visitenkarte"],
        "es": ["Imagen", "Sonido", "Vídeo", "Tarjeta de contacto"],
        "fr": ["Image", "Son", "Vidéo", "Fiche de contact"],
        "nl": ["Afbeelding", "Geluid", "Video", "Visitekaartje"],
    }
    assert [one.text for one in pbx.messages] == words.get(language, ["Picture", "Sound", "Video", "Contact card"])


# --- what fails -----------------------------------------------------------------------


async def test_a_failing_camera_and_a_group(hass: HomeAssistant, pbx: Simulator, files: Any, camera: Any) -> None:
    """The error says once what is missing for all."""
    camera.sees = None
    media = [CAMERA, str(files / "blue.jpg")]
    with pytest.raises(HomeAssistantError) as caught:
        await send(hass, destination=[ANN, BOB], group=True, message="Look", media=media)
    assert caught.value.translation_key == "words_without_picture"
    assert "camera.door" in str(caught.value)
    assert rows_of(pbx, ANN, BOB) == [("sms", "Look", None), ("mms", "blue", BLUE)]


async def test_a_failing_camera_and_an_alert(hass: HomeAssistant, pbx: Simulator, camera: Any) -> None:
    """An alert that cannot have its picture still has its words."""
    camera.sees = None
    alert = {
        "name": "Leak",
        "entity_id": "binary_sensor.leak",
        "state": "on",
        "repeat": 30,
        "notifiers": ["netsapiens_ann"],
        "message": "Water!",
        "data": {"image": "/api/camera_proxy/camera.door?token=1"},
        "done_message": "Dry again",
    }
    hass.states.async_set("binary_sensor.leak", STATE_OFF)
    assert await async_setup_component(hass, "alert", {"alert": {"leak": alert}})
    hass.states.async_set("binary_sensor.leak", STATE_ON)
    await hass.async_block_till_done()
    assert rows_of(pbx) == [("sms", "Water!", None)]
    camera.sees = RED
    hass.states.async_set("binary_sensor.leak", STATE_OFF)
    await hass.async_block_till_done()
    assert rows_of(pbx)[1:] == [("sms", "Dry again", None), ("mms", "Door", RED)]


async def test_words_and_picture_fail(hass: HomeAssistant, pbx: Simulator, camera: Any) -> None:
    """The error counts both."""
    camera.sees = None
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    with pytest.raises(HomeAssistantError, match="2 of 2") as caught:
        await send(hass, destination=ANN, message="Secret words", media=CAMERA)
    assert caught.value.translation_key == "some_failed"
    assert "Invalid destination" in str(caught.value)
    assert "camera.door" in str(caught.value)
    assert "Secret" not in str(caught.value)
    assert pbx.messages == []


async def test_the_pbx_refuses_the_picture_alone(hass: HomeAssistant, pbx: Simulator, camera: Any) -> None:
    """The words went out, and the error says what did not."""

    async def refuse(*args: Any, **kwargs: Any) -> bytes:
        await until(lambda: pbx.messages)
        pbx.fault("status", path="/messages", method="POST", code=400, message="Too large")
        return RED

    camera.async_camera_image = refuse
    with pytest.raises(HomeAssistantError, match="1 of 2") as caught:
        await send(hass, entity_id="notify.ann", message="Look", media=CAMERA)
    assert "Ann: " in str(caught.value)
    assert "Too large" in str(caught.value)
    assert rows_of(pbx) == [("sms", "Look", None)]


async def test_rules_are_checked_before_anything_goes_out(
    hass: HomeAssistant, pbx: Simulator, files: Any, camera: Any
) -> None:
    """No words go out of a call that breaks a rule."""
    path = str(files / "red.jpg")
    await refused(hass, pbx, "type_without_media", destination=ANN, message_type="sms", media=path)
    await refused(hass, pbx, "type_without_media", destination=ANN, message_type="sms", **BASE64)
    await refused(hass, pbx, "foreign_sender", destination=ANN, from_number="8585550177", media=path)
    await refused(hass, pbx, "media_path_not_allowed", destination=ANN, media=[path, "/etc/passwd"])


async def test_a_sender_without_mms_sends_no_words_either(
    hass: HomeAssistant, pbx: Simulator, files: Any, add_account: AddAccount
) -> None:
    """The same where the number cannot."""
    pbx.first_user.numbers = [SmsNumber(OWN, mms_capable=False)]
    await add_account(options={"from_number": OWN})
    await refused(
        hass, pbx, "sender_without_mms_nor_others", destination=ANN, message="Look", media=str(files / "red.jpg")
    )


async def test_the_hourly_limit_counts_all_messages(
    hass: HomeAssistant, pbx: Simulator, files: Any, add_account: AddAccount
) -> None:
    """A call that is too much sends nothing."""
    entry = await add_account(options={"from_number": OWN, "hourly_limit": 5})
    media = [str(files / "red.jpg"), str(files / "blue.jpg")]
    with pytest.raises(HomeAssistantError) as caught:
        await send(hass, destination=[ANN, BOB], media=media)  # 2 of words, 4 of pictures
    assert caught.value.translation_key == "hourly_limit"
    assert pbx.messages == []
    hass.config_entries.async_update_entry(entry, options={**entry.options, "picture_text": "together"})
    await hass.async_block_till_done()
    assert len(await send(hass, destination=[ANN, BOB], media=media)) == 4


async def test_the_limits_count_pictures_that_are_being_loaded(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, slow: asyncio.Event
) -> None:
    """An automation in a loop is stopped at the limit, however long its camera takes."""
    hass.config_entries.async_update_entry(entry, options={**entry.options, "hourly_limit": 4})
    queue = entry.runtime_data.queue
    stopped = hass.async_create_task(send(hass, destination=ANN, message="", media=CAMERA))
    await until(lambda: queue.taken_last_hour == 1)
    assert not queue.has_space_for(queue.space)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    assert queue.taken_last_hour == 0
    assert queue.has_space_for(queue.space)
    calls = [hass.async_create_task(send(hass, destination=ANN, message="Look", media=CAMERA)) for _ in range(9)]
    results = asyncio.gather(*calls, return_exceptions=True)
    await until(lambda: len(pbx.messages) == 2)
    assert queue.taken_last_hour == 4
    slow.set()
    errors = [one.translation_key for one in await results if isinstance(one, HomeAssistantError)]
    assert errors == ["hourly_limit"] * 7
    assert len(pbx.messages) == 4
    assert queue.taken_last_hour == 4


async def test_a_picture_that_cannot_be_had_counts_for_no_limit(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, camera: Any
) -> None:
    """Only its words were sent."""
    camera.sees = None
    with pytest.raises(HomeAssistantError):
        await send(hass, destination=ANN, message="Look", media=CAMERA)
    assert rows_of(pbx) == [("sms", "Look", None)]
    assert entry.runtime_data.queue.taken_last_hour == 1


async def test_each_is_kept_for_as_long_as_the_call_says(
    hass: HomeAssistant, pbx: Simulator, camera: Any, quick: None
) -> None:
    """Where nothing is to be kept, neither the words nor the picture are."""
    pbx.fault("status", path="/messages", method="POST", code=503, times=None)
    with pytest.raises(HomeAssistantError, match="2 of 2"):
        await send(hass, destination=ANN, message="Look", media=CAMERA, keep_for=0)
    assert pbx.messages == []


# --- together -------------------------------------------------------------------------


@pytest.fixture
async def together(add_account: AddAccount) -> MockConfigEntry:
    """An account whose first picture carries the words."""
    return await add_account(recipient("Ann", ANN), options=TOGETHER)


async def test_the_first_picture_carries_the_words(
    hass: HomeAssistant, pbx: Simulator, together: MockConfigEntry, files: Any
) -> None:
    """With the option that they go together."""
    media = [str(files / "red.jpg"), str(files / "blue.jpg")]
    rows = await send(hass, destination=[ANN, "1002"], message="Look", media=media)
    assert rows_of(pbx, ANN) == [("mms", "Look", RED), ("mms", "blue", BLUE)]
    assert rows_of(pbx, "1002") == [("chat-media", "Look", RED), ("chat-media", "blue", BLUE)]
    assert [row["message_type"] for row in rows] == ["mms", "mms", "chat-media", "chat-media"]
    pbx.messages.clear()
    await send(hass, destination=ANN, message="", media=media[1])
    await send(hass, destination=ANN, message="Look", media=media[1], **BASE64)
    await send(hass, destination=ANN, message="Look")
    assert rows_of(pbx) == [
        ("mms", "blue", BLUE),
        ("mms", "Look", BLUE),
        ("mms", "blue", BLUE),
        ("sms", "Look", None),
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["missing.jpg"], [("sms", "Look", None)]),
        (["missing.jpg", "gone.jpg"], [("sms", "Look", None)]),
        (["missing.jpg", "red.jpg", "blue.jpg"], [("mms", "Look", RED), ("mms", "blue", BLUE)]),
        (["red.jpg", "missing.jpg"], [("mms", "Look", RED)]),
    ],
)
async def test_words_whose_picture_fails_are_not_lost(
    hass: HomeAssistant,
    pbx: Simulator,
    together: MockConfigEntry,
    files: Any,
    names: list[str],
    expected: list[Row],
) -> None:
    """They go alone then."""
    with pytest.raises(HomeAssistantError) as caught:
        await send(hass, destination=ANN, message="Look", media=[str(files / name) for name in names])
    assert caught.value.translation_key == "words_without_picture"
    assert "missing.jpg" in str(caught.value)
    assert rows_of(pbx) == expected


async def test_the_option_takes_effect_at_once(
    hass: HomeAssistant, pbx: Simulator, camera: Any, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a reload."""
    monkeypatch.setattr(hass.config_entries, "async_schedule_reload", lambda _: None)
    hass.config_entries.async_update_entry(entry, options=TOGETHER)
    await send(hass, destination=ANN, message="Look", media=CAMERA)
    assert rows_of(pbx) == [("mms", "Look", RED)]


# --- answers that are lost ------------------------------------------------------------


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
@pytest.mark.parametrize("loses_text", [False, True])
@pytest.mark.parametrize("message", ["Look", ""])
@pytest.mark.parametrize("clear", [0, 1, 2, 3])
@pytest.mark.usefixtures("quick", "entry")
async def test_a_lost_answer_repeats_no_picture_and_loses_none(
    hass: HomeAssistant, pbx: Simulator, files: Any, kind: FaultKind, loses_text: bool, message: str, clear: int
) -> None:
    """Clear is how many answers arrive before one is lost."""
    pbx.loses_mms_text = loses_text
    if clear:
        pbx.fault(FaultKind.SLOW, path="/messages", method="POST", seconds=0, times=clear)
    pbx.fault(kind, path="/messages", method="POST")
    pictures = [str(files / name) for name in ("red.jpg", "blue.jpg", "red.jpg")]
    rows = await send(hass, destination=ANN, message=message, media=pictures)
    expected = [*([("sms", message, None)] if message else []), *PICTURES]
    assert rows_of(pbx) == expected
    assert [row["status"] for row in rows] == ["sent"] * len(expected)


@pytest.mark.parametrize("loses_text", [False, True])
@pytest.mark.usefixtures("quick", "entry")
async def test_a_picture_right_after_another_call_is_told_apart(
    hass: HomeAssistant, pbx: Simulator, files: Any, loses_text: bool
) -> None:
    """A lost answer is looked up by what can be known of pictures."""
    pbx.loses_mms_text = loses_text
    red, blue = str(files / "red.jpg"), str(files / "blue.jpg")
    await send(hass, destination=ANN, message="", media=red)
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    await send(hass, destination=ANN, message="", media=blue)
    pbx.fault(FaultKind.DROP_AFTER, path="/messages", method="POST")
    await send(hass, destination=ANN, message="", media=red)
    pbx.fault(FaultKind.DROP_BEFORE, path="/messages", method="POST")
    await send(hass, destination=ANN, message="red")  # what a picture was called is no picture
    assert arrived(pbx) == [RED, BLUE, RED, None]


async def test_nobody_may_send_what_they_may_not_see(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, hass_read_only_user: Any
) -> None:
    """A user's rights are asked for before a single word goes out."""
    hass_read_only_user.mock_policy({})
    with pytest.raises(Unauthorized):
        await send(hass, Context(user_id=hass_read_only_user.id), destination=ANN, media="camera.door")
    assert pbx.messages == []
