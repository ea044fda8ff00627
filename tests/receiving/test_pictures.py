"""Pictures that come in: kept, shown, browsed, sent on, read on demand, and gone with the account."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from copy import replace
import json
from pathlib import Path
import tracemalloc
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from homeassistant.components import media_source
from homeassistant.components.media_player import BrowseError
from homeassistant.components.media_source import Unresolvable
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from custom_components.netsapiens.receiving.pictures import PICTURE_TIMING, PictureTiming
from custom_components.netsapiens.receiving.pictures_id import MediaId
from custom_components.netsapiens.receiving.pictures_store import MOST_OPENED
from tests.conftest import AddAccount, recipient
from tests.fixtures import hass_storage  # noqa: F401
from tests.helpers import entity_of, until
from tests.pictures import BLUE, GREEN, RED, picture
from tests.simulator import Simulator
from tests.test_services import user  # noqa: F401 - a fixture

ANN, BOB, EVE = "18585550123", "18585550124", "18585550125"
MESSAGES, FROM_ANN = "event.1001_acme_example_messages", "event.ann_messages"
ALL_PICTURES, ANNS = "image.1001_acme_example_picture", "image.ann_picture"
VCARD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Eve\r\nEND:VCARD\r\n"

pytestmark = pytest.mark.usefixtures("quick_inbox")


@pytest.fixture(autouse=True)
def _quick(hass: HomeAssistant) -> None:
    """Try again soon, and let a hundred requests go at once."""
    hass.data[PICTURE_TIMING] = PictureTiming(fetch_within=5, open_within=5, retry=Backoff(0.05, 0.1), attempts=3)
    hass.data[THROTTLE_TIMING] = ThrottleTiming(rate=RateLimit(burst=1000, per_second=1000))


@pytest.fixture
async def looking(hass: HomeAssistant, add_account: AddAccount) -> MockConfigEntry:
    """An account whose poller has looked once."""
    entry = await add_account(recipient("Ann", ANN, recipient_id="ann"), recipient("Bob", BOB, recipient_id="bob"))
    await until(entry.runtime_data.poller.ready.is_set)
    return entry


@pytest.fixture
async def canary() -> AsyncGenerator[TestServer]:
    """Something on this machine that must never be asked."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=RED)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    yield server
    assert asked == []
    await server.close()


def fetches(pbx: Simulator) -> list[Any]:
    """Return the requests for media."""
    return [one for one in pbx.requests if one.query.get("action") == "read_media"]


def content_id(hass: HomeAssistant, entity_id: str = MESSAGES) -> str | None:
    """Return the id in the last event."""
    state = hass.states.get(entity_id)
    assert state is not None
    return state.attributes.get("media_content_id")


async def reported(hass: HomeAssistant, text: str) -> str | None:
    """Wait for the event of a text; return its media's id."""
    await until(lambda: hass.states.get(MESSAGES).attributes.get("message") == text)
    return content_id(hass)


def kept(entry: MockConfigEntry) -> list[str]:
    """Return the kinds of what is kept, the newest first."""
    return [one.kind for one in entry.runtime_data.pictures.store.kept]


def files_of(hass: HomeAssistant, entry: MockConfigEntry) -> list[Path]:
    """Return the files of an account."""
    return sorted(Path(hass.config.path("netsapiens", entry.entry_id)).glob("*"))


async def resolved(hass: HomeAssistant, media_id: str | None) -> tuple[str, bytes]:
    """Open media by its id; return its type and its bytes."""
    assert media_id is not None
    media = await media_source.async_resolve_media(hass, media_id, None)
    assert media.path is not None
    return media.mime_type, await asyncio.to_thread(media.path.read_bytes)


async def shown_in(hass: HomeAssistant, entity_id: str) -> bytes | None:
    """Return what an image entity shows."""
    image = entity_of(hass, entity_id)
    return None if image is None else await image.async_image()


async def test_a_recipients_picture(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """It is in the event by its id, then in the image entities, the media source and the AI's reach."""
    assert hass.states.get(ANNS) is None
    await pbx.receive(from_number=ANN, text="The meter", media=RED, mime_type="image/jpeg")
    media_id = await reported(hass, "The meter")
    assert content_id(hass, FROM_ANN) == media_id
    await until(lambda: hass.states.get(ANNS) is not None and hass.states.get(ALL_PICTURES) is not None)
    for entity_id in (ANNS, ALL_PICTURES):
        assert await shown_in(hass, entity_id) == RED
        assert entity_of(hass, entity_id).content_type == "image/jpeg"
        assert hass.states.get(entity_id).state not in {"unknown", "unavailable"}
    assert hass.states.get("image.bob_picture") is None
    assert er.async_get(hass).async_get(ANNS).config_subentry_id == "ann"
    before = len(pbx.requests)
    assert await resolved(hass, media_id) == ("image/jpeg", RED)
    assert len(fetches(pbx)) == 1
    assert not [one for one in pbx.requests[before:] if one.path.endswith("/messages")]
    for request in fetches(pbx):
        assert not {"Authorization", "Cookie"} & set(request.headers)


async def test_the_newest_is_shown(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Another one changes the state, of the sender's and the account's entity alone; sound and video change nothing."""
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: hass.states.get(ANNS) is not None)
    first = hass.states.get(ANNS).state
    await pbx.receive(from_number=BOB, text="2", media=BLUE)
    await until(lambda: hass.states.get("image.bob_picture") is not None)
    assert hass.states.get(ANNS).state == first
    assert await shown_in(hass, ALL_PICTURES) == BLUE
    await pbx.receive(from_number=ANN, text="3", media=b"#!AMR\n" + bytes(50), mime_type="audio/amr")
    await pbx.receive(from_number=ANN, text="4", media=VCARD, mime_type="text/x-vcard")
    await until(lambda: len(kept(looking)) == 4)
    assert await shown_in(hass, ANNS) == RED
    await asyncio.sleep(1)  # the PBX's times have seconds
    await pbx.receive(from_number=ANN, text="5", media=picture("green", "PNG"), mime_type="image/png")
    await until(lambda: hass.states.get(ANNS).state != first)
    assert await shown_in(hass, ANNS) == picture("green", "PNG")
    assert entity_of(hass, ANNS).content_type == "image/png"


async def test_it_is_there_after_a_restart(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Without a request for it; the ids go on to mean the same, and what is nobody's on disk is deleted."""
    await pbx.receive(from_number=ANN, text="1", media=RED)
    media_id = await reported(hass, "1")
    await until(lambda: hass.states.get(ANNS) is not None)
    state = hass.states.get(ANNS).state
    orphan = files_of(hass, looking)[0].with_name("orphan.jpg")
    orphan.write_bytes(RED)
    assert await hass.config_entries.async_unload(looking.entry_id)
    assert hass.states.get(ANNS).state == "unavailable"
    assert await hass.config_entries.async_setup(looking.entry_id)
    await hass.async_block_till_done()
    assert hass.states.get(ANNS).state == state
    assert await shown_in(hass, ANNS) == RED
    assert await resolved(hass, media_id) == ("image/jpeg", RED)
    assert not orphan.exists()
    assert len(fetches(pbx)) == 1
    # One whose picture is not kept any more is there all the same, and gets the next one.
    for file in files_of(hass, looking):
        file.unlink()
    await hass.config_entries.async_reload(looking.entry_id)
    assert hass.states.get(ANNS).state == "unknown"
    assert await resolved(hass, media_id) == ("image/jpeg", RED)
    await pbx.receive(from_number=ANN, text="2", media=BLUE)
    await until(lambda: hass.states.get(ANNS).state != "unknown")
    assert await shown_in(hass, ANNS) == BLUE


async def test_a_strangers_picture_is_fetched_when_it_is_opened(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """And only then; often opened it is fetched once, and it is no entity's."""
    await pbx.receive(from_number=EVE, text="Who is this?", media=RED)
    media_id = await reported(hass, "Who is this?")
    await asyncio.sleep(0.5)
    assert fetches(pbx) == []
    assert files_of(hass, looking) == []
    answers = await asyncio.gather(*(resolved(hass, media_id) for _ in range(5)))
    assert answers == [("image/jpeg", RED)] * 5
    assert len(fetches(pbx)) == 1
    assert kept(looking) == []
    assert hass.states.get(ALL_PICTURES) is None
    await hass.config_entries.async_reload(looking.entry_id)
    assert files_of(hass, looking) == []
    assert await resolved(hass, media_id) == ("image/jpeg", RED)


async def behind_a_slow_one(hass: HomeAssistant, pbx: Simulator, *seconds: float) -> tuple[str | None, str | None]:
    """Let Ann text a picture while another one of hers is fetched; return the ids of both.

    Parameters:
        seconds: how long each fetch takes, from the first one on.
    """
    first, *others = seconds
    pbx.fault("slow", path="read_media", seconds=first)
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: len(fetches(pbx)) == 1)
    slow = await reported(hass, "1")
    for one in others:
        pbx.fault("slow", path="read_media", seconds=one)
    await pbx.receive(from_number=ANN, text="2", media=BLUE)
    return slow, await reported(hass, "2")


async def test_one_that_is_opened_before_its_turn(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry
) -> None:
    """An automation opens it as soon as the event fires: it is fetched once, and kept all the same."""
    first, second = await behind_a_slow_one(hass, pbx, 1.5)
    assert await resolved(hass, second) == ("image/jpeg", BLUE)
    assert kept(looking) == []
    assert await resolved(hass, first) == ("image/jpeg", RED)  # which waits for the one under way
    await until(lambda: len(kept(looking)) == 2)
    assert len(fetches(pbx)) == 2
    async with asyncio.timeout(5):  # the entity follows once the index is on disk
        while await shown_in(hass, ANNS) != BLUE:
            await asyncio.sleep(0.02)


async def test_a_recipient_who_is_removed(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Their entity goes; what they sent stays, under their number."""
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: hass.states.get(ANNS) is not None)
    assert hass.config_entries.async_remove_subentry(looking, "ann")
    await hass.async_block_till_done()
    assert hass.states.get(ANNS) is None
    people = await media_source.async_browse_media(hass, f"media-source://netsapiens/{looking.entry_id}")
    assert [one.title for one in people.children] == ["(858) 555-0123"]
    await hass.config_entries.async_reload(looking.entry_id)
    assert hass.states.get(ANNS) is None
    assert await shown_in(hass, ALL_PICTURES) == RED
    for file in files_of(hass, looking):
        file.unlink()
    assert await shown_in(hass, ALL_PICTURES) is None


async def test_few_of_those_opened_stay(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Opening many does not fill the disk."""
    for number in range(MOST_OPENED + 3):
        await pbx.receive(from_number=EVE, text=str(number), media=RED)
        assert await resolved(hass, await reported(hass, str(number))) == ("image/jpeg", RED)
    assert len(files_of(hass, looking)) == MOST_OPENED


@pytest.mark.parametrize(("option", "keeps"), [("everybody", True), ("recipients", False), ("nobody", False)])
async def test_whose_pictures_are_kept(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, option: str, keeps: bool
) -> None:
    """As the option says, from the next one on."""
    options = {**looking.options, "save_pictures": option}
    hass.config_entries.async_update_entry(looking, options=options)
    await hass.async_block_till_done()
    await pbx.receive(from_number=EVE, text="1", media=RED)
    await reported(hass, "1")
    await pbx.receive(from_number=ANN, text="2", media=BLUE)
    media_id = await reported(hass, "2")
    wanted = 2 if keeps else int(option == "recipients")
    await until(lambda: len(kept(looking)) == wanted)
    await asyncio.sleep(0.3)
    assert len(fetches(pbx)) == wanted
    assert (hass.states.get(ANNS) is not None) == (option != "nobody")
    assert await resolved(hass, media_id) == ("image/jpeg", BLUE)


async def test_a_link_that_ended_is_made_anew(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Each time media is fetched, its message is read again."""
    pbx.link_life = 1.0
    await pbx.receive(from_number=EVE, text="1", media=RED)
    media_id = await reported(hass, "1")
    await asyncio.sleep(2.5)
    assert await resolved(hass, media_id) == ("image/jpeg", RED)
    assert {one.status for one in fetches(pbx)} == {200}


async def test_a_failure_that_passes(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """It is tried again, a few times."""
    pbx.fault("status", path="read_media", code=503, times=2)
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: hass.states.get(ANNS) is not None)
    assert [one.status for one in fetches(pbx)] == [503, 503, 200]


async def test_what_is_refused_leaves_the_last_good_one(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, canary: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    """HTML, SVG, 11 MB, another address of this machine, and a redirect there; each is logged once."""
    await pbx.receive(from_number=ANN, text="Good", media=GREEN)
    await until(lambda: hass.states.get(ANNS) is not None)
    state = hass.states.get(ANNS)
    home = f"http://127.0.0.1:{canary.port}/x"
    media_ids = []
    for text, media, link in (
        ("HTML", b"<html><script>alert(1)</script></html>", ""),
        ("More HTML", b"<!doctype html><html></html>" + bytes(1000), ""),
        ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", ""),
        ("11 MB", RED + bytes(11_000_000), ""),
        ("Home", RED, home),
        ("Private", RED, "https://192.168.1.1/x"),
        ("To home", RED, ""),
    ):
        pbx.media_link = link
        if text == "To home":
            pbx.fault("redirect", path="read_media", location=home, times=None)
        await pbx.receive(from_number=ANN, text=text, media=media)
        media_ids.append(await reported(hass, text))
        with pytest.raises(Unresolvable) as caught:
            await resolved(hass, media_ids[-1])
        assert str(caught.value) not in {"", caught.value.translation_key}
    await asyncio.sleep(0.3)
    assert hass.states.get(ANNS) == state
    assert await shown_in(hass, ANNS) == GREEN
    assert len(files_of(hass, looking)) == 1
    warnings = [one.getMessage() for one in caplog.records if "is not kept" in one.getMessage() and one.levelno > 20]
    assert len(warnings) == len(set(warnings)) == 3
    assert "127.0.0.1" not in " ".join(warnings)
    assert ANN not in caplog.text


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml"])
async def test_what_says_that_it_is_no_picture_has_no_id(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, kind: str
) -> None:
    """Nor is it fetched."""
    await pbx.receive(from_number=ANN, text="1", media=b"<svg/>", mime_type=kind)
    assert await reported(hass, "1") is None
    await asyncio.sleep(0.3)
    assert fetches(pbx) == []


async def test_a_hundred_large_ones_at_once(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """One sender's flood costs bounded memory, and another's picture does not wait for it."""
    large = [RED + bytes([number]) * (10_000_000 - len(RED)) for number in range(2)]
    tracemalloc.start()
    for number in range(101):
        await pbx.receive(from_number=ANN, text=f"Ann {number}", media=large[number % 2])
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    await until(lambda: len(fetches(pbx)) > 3)
    await pbx.receive(from_number=BOB, text="Bob", media=BLUE)
    await until(lambda: hass.states.get("image.bob_picture") is not None, within=20)
    assert len(kept(looking)) < 90
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < 120_000_000  # the simulator's copies count, too
    await until(lambda: not looking.runtime_data.pictures.diagnostics["waiting"], within=50)
    await until(lambda: len(kept(looking)) == 100)
    await hass.async_block_till_done()
    assert len(files_of(hass, looking)) == 100
    assert BLUE in {
        await asyncio.to_thread(file.read_bytes) for file in files_of(hass, looking) if file.stat().st_size < 10_000
    }


async def test_it_is_sent_on(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    user: Any,  # noqa: F811
) -> None:
    """By its id as the event has it, by who may read the account's events."""
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await pbx.receive(from_number=EVE, text="2", media=BLUE)
    ids = []
    await until(lambda: hass.states.get(MESSAGES).attributes.get("message") == "2")
    ids = [hass.states.get(one).attributes["media_content_id"] for one in (FROM_ANN, MESSAGES)]
    await hass.services.async_call("netsapiens", "send_message", {"destination": BOB, "media": ids}, blocking=True)
    assert [(one.media, one.mime_type, one.text) for one in pbx.messages] == [
        (RED, "image/jpeg", "Picture"),
        (BLUE, "image/jpeg", "Picture"),
    ]
    data = {"entity_id": "notify.bob", "media": ids[0]}
    for readable, goes in (({}, False), ({MESSAGES: {"read": True}}, True)):
        guest = user({"entities": {"entity_ids": {"notify.bob": True, **readable}}})
        send = hass.services.async_call("netsapiens", "send_message", data, blocking=True, context=guest)
        with nullcontext() if goes else pytest.raises(Unauthorized):
            await send
    assert len(pbx.messages) == 3


async def test_browsing(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Accounts, then people, then what came from each, the newest first."""
    hass.config_entries.async_update_entry(looking, options={**looking.options, "save_pictures": "everybody"})
    await hass.async_block_till_done()
    for number, (sender, media) in enumerate([(ANN, RED), (EVE, BLUE), (ANN, VCARD)]):
        await pbx.receive(from_number=sender, text=str(number), media=media)
        await until(lambda count=number: len(kept(looking)) == count + 1)
        await asyncio.sleep(1.01)
    root = await media_source.async_browse_media(hass, "media-source://netsapiens")
    (account,) = root.children
    assert (account.title, account.can_expand) == ("1001@acme.example", True)
    people = (await media_source.async_browse_media(hass, account.media_content_id)).children
    assert [one.title for one in people] == ["Ann", "(858) 555-0125"]
    anns, eves = [(await media_source.async_browse_media(hass, one.media_content_id)).children for one in people]
    assert [one.media_content_type for one in anns] == ["text/vcard", "image/jpeg"]
    assert [one.thumbnail is not None for one in anns] == [False, True]
    assert await resolved(hass, eves[0].media_content_id) == ("image/jpeg", BLUE)
    assert await resolved(hass, anns[1].media_content_id) == ("image/jpeg", RED)
    for wrong in ("nobody", f"{looking.entry_id}/nobody"):
        with pytest.raises(BrowseError):
            await media_source.async_browse_media(hass, f"media-source://netsapiens/{wrong}")


async def test_what_is_served(
    hass: HomeAssistant,
    pbx: Simulator,
    looking: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """To users alone, by the type that the bytes say, and so that a browser runs nothing of it."""
    await pbx.receive(from_number=ANN, text="1", media=RED, mime_type="image/png")
    media_id = await reported(hass, "1")
    await pbx.receive(from_number=ANN, text="2", media=VCARD, mime_type="image/png")
    card_id = await reported(hass, "2")
    client, stranger = await hass_client(), await hass_client_no_auth()
    for one, kind, shown in ((media_id, "image/jpeg", "inline"), (card_id, "text/vcard", "attachment")):
        media = await media_source.async_resolve_media(hass, one or "", None)
        answer = await client.get(media.url)
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        assert answer.headers["Content-Disposition"].startswith(shown)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert (await stranger.get(media.url)).status == 401
    folder = media.url.rpartition("/")[0]
    for wrong in (f"{folder}/x.jpg", f"{folder}/..%2F..%2Fsecrets.yaml", "/api/netsapiens/media/nobody/x.jpg"):
        assert (await client.get(wrong)).status in {400, 404}
    for file in files_of(hass, looking):
        file.unlink()
    assert (await client.get(media.url)).status == 404


async def test_it_goes_with_the_account(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """Files, index and entities; also what was under way."""
    await pbx.receive(from_number=ANN, text="1", media=RED)
    media_id = await reported(hass, "1")
    await until(lambda: hass.states.get(ANNS) is not None)
    pbx.fault("hang", path="read_media", times=None)
    await pbx.receive(from_number=BOB, text="2", media=BLUE)
    await until(lambda: len(fetches(pbx)) == 2)
    opening = hass.async_create_task(resolved(hass, await reported(hass, "2")))
    assert await hass.config_entries.async_remove(looking.entry_id)
    await hass.async_block_till_done()
    assert not Path(hass.config.path("netsapiens")).exists()
    assert list(Path(hass.config.path(".storage")).glob("netsapiens.media.*")) == []
    assert hass.states.get(ANNS) is None
    for gone in (opening, resolved(hass, media_id)):
        with pytest.raises(Unresolvable):
            await gone


async def test_ids_that_mean_nothing(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, looking: MockConfigEntry
) -> None:
    """Of no account, no conversation, no message, another user's conversation; and of one that was deleted."""
    await pbx.receive(from_number=EVE, text="1", media=RED)
    known = MediaId.parse((await reported(hass, "1") or "").removeprefix("media-source://netsapiens/"))
    assert known is not None
    for wrong in (
        replace(known, entry_id="nobody"),
        replace(known, messagesession="x" * 32),
        replace(known, message_id="other"),
        replace(known, message_id=""),
        replace(known, owner="1002"),
    ):
        with pytest.raises(Unresolvable, match="no longer has"):
            await resolved(hass, wrong.content_id)
    assert fetches(pbx) == []
    for text in ("media-source://netsapiens/x", f"media-source://netsapiens/{looking.entry_id}"):
        with pytest.raises(Unresolvable):
            await media_source.async_resolve_media(hass, text, None)
    await pbx.stop()
    with pytest.raises(Unresolvable, match="Try again later"):
        await resolved(hass, known.content_id)
    await pbx.start()


async def test_another_users_conversations_stay_private(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Of another user of the domain, only those with the number that we send from can be read by an id."""
    pbx.first_user.scope = "Office Manager"
    pbx.add_user("1002@acme.example", numbers=["18585550188", "18585550177"])
    entry = await add_account(recipient("Ann", ANN, from_number="18585550188"))
    await until(entry.runtime_data.poller.ready.is_set)
    await pbx.receive(from_number=ANN, text="1", to_number="18585550188", media=RED)
    media_id = await reported(hass, "1")
    assert media_id is not None
    assert media_id.endswith("/1002")
    assert await resolved(hass, media_id) == ("image/jpeg", RED)
    private = await pbx.receive(from_number=EVE, text="2", to_number="18585550177", media=BLUE)
    known = MediaId.parse(media_id.removeprefix("media-source://netsapiens/"))
    assert known is not None
    with pytest.raises(Unresolvable, match="no longer has"):
        await resolved(hass, replace(known, messagesession=private.messagesession, message_id=private.id).content_id)


async def test_an_old_one_is_found_behind_many(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """In a conversation of more than a page, in whatever order the PBX lists it."""
    await pbx.receive(from_number=EVE, text="First", media=RED)
    media_id = await reported(hass, "First")
    for number in range(150):
        await pbx.receive(from_number=EVE, text=str(number))
    assert await resolved(hass, media_id) == ("image/jpeg", RED)


@pytest.mark.parametrize("damage", ["{", '{"media": 7}', "rows"])
async def test_a_damaged_index(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad row costs one picture; a bad file costs those that it names, which the log says; neither the account."""
    await pbx.receive(from_number=ANN, text="1", media=RED)
    await until(lambda: hass.states.get(ANNS) is not None)
    assert await hass.config_entries.async_unload(looking.entry_id)
    path = Path(hass.config.path(".storage", f"netsapiens.media.{looking.entry_id}"))
    content = json.loads(path.read_text())
    good = content["data"]["media"][0]
    bad = [
        7,
        {},
        {**good, "id": "x"},
        {**good, "kind": "text/html"},
        {**good, "stored_at": "x"},
        {**good, "recipients": 7},
    ]
    content["data"]["media"] = [*bad, good]
    if damage.startswith('{"'):
        content["data"] = json.loads(damage)
    path.write_text(damage if damage == "{" else json.dumps(content))
    assert await hass.config_entries.async_setup(looking.entry_id)
    await hass.async_block_till_done()
    assert kept(looking) == (["image/jpeg"] if damage == "rows" else [])
    assert ("The index of the media that came in cannot be read" in caplog.text) is (damage != "rows")
    await pbx.receive(from_number=ANN, text="2", media=BLUE)
    await until(lambda: hass.states.get(ANNS).state not in {"unknown", "unavailable"})


async def test_a_disk_that_takes_nothing(
    hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again, then logged once; opening says what to check."""
    Path(hass.config.path("netsapiens")).write_text("a file where a folder should be")
    await pbx.receive(from_number=ANN, text="1", media=RED)
    media_id = await reported(hass, "1")
    await until(lambda: "could not be saved" in caplog.text)
    with pytest.raises(Unresolvable, match="free space"):
        await resolved(hass, media_id)
    assert hass.states.get(ANNS) is None


async def test_over_tls_with_a_certificate_of_ones_own(hass: HomeAssistant, tmp_path: Path) -> None:
    """As the account does: verified, or not at all; the PBX's own certificate is nobody else's."""
    async with Simulator(tls=True) as pbx:
        data = {**pbx.account, "verify_ssl": False, "action": "netsapiens"}
        people = [recipient("Ann", ANN, recipient_id="ann")]
        entry = MockConfigEntry(
            domain="netsapiens",
            title="1001@acme.example",
            unique_id="1001@acme.example",
            data=data,
            subentries_data=people,
        )
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        await until(entry.runtime_data.poller.ready.is_set)
        await pbx.receive(from_number=ANN, text="1", media=RED)
        await until(lambda: hass.states.get(ANNS) is not None)
        assert await shown_in(hass, ANNS) == RED
        assert await hass.config_entries.async_remove(entry.entry_id)


async def test_nothing_makes_a_poll_dearer(hass: HomeAssistant, pbx: Simulator, looking: MockConfigEntry) -> None:
    """A text without a picture makes no request more, and reads no file."""
    await pbx.receive(from_number=ANN, text="1")
    await reported(hass, "1")
    await asyncio.sleep(0.3)
    assert fetches(pbx) == []
    assert not Path(hass.config.path("netsapiens")).exists()
