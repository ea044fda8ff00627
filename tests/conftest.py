"""Fixtures: a PBX over real loopback HTTP, a real Home Assistant, and an account in it."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from importlib.util import find_spec
from pathlib import Path
import sys
from typing import Any
from unittest.mock import MagicMock, patch

from homeassistant.components.image import DATA_COMPONENT as IMAGES, ImageEntity
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.syrupy import HomeAssistantSnapshotExtension
from syrupy.assertion import SnapshotAssertion

# Before the plugin looks for custom components in its own folder.
import custom_components.netsapiens as integration
from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.receiving.timing import RECEIVING_TIMING, PollTiming, ReceivingTiming
from custom_components.netsapiens.runtime import async_end
from tests.pictures import BLUE, RED, picture
from tests.simulator import Simulator

_MESSAGES = "event.1001_acme_example_messages"

type AddAccount = Callable[..., Coroutine[Any, Any, MockConfigEntry]]


@pytest.fixture(autouse=True)
def _auto_enable(enable_custom_integrations: None, socket_enabled: None) -> None:
    """Let Home Assistant load the integration, and let it talk to the PBX."""


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Keep snapshots in one place, by whichever plugin they are read."""
    return snapshot.use_extension(HomeAssistantSnapshotExtension)


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """A folder of its own for each test: what is kept on disk must not meet another test's."""
    return hass_tmp_config_dir


@pytest.fixture
async def pbx(socket_enabled: None) -> AsyncGenerator[Simulator]:
    """A PBX with one account and its number."""
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
def account(pbx: Simulator) -> dict[str, Any]:
    """What a person types to sign in."""
    return {**pbx.account, "verify_ssl": True}


def recipient(name: str, *destination: str, recipient_id: str | None = None, **data: Any) -> ConfigSubentryData:
    """A recipient to give to ``add_account``."""
    return {
        "data": {"destination": list(destination), "group": False, **data},
        "subentry_type": "recipient",
        "title": name,
        "unique_id": None,
        **({"subentry_id": recipient_id} if recipient_id else {}),
    }


@pytest.fixture
def add_account(hass: HomeAssistant, pbx: Simulator, account: dict[str, Any]) -> AddAccount:
    """Add an account with recipients and set it up."""

    async def add(*recipients: ConfigSubentryData, login: str | None = None, **kwargs: Any) -> MockConfigEntry:
        login = login or account["username"]
        data = {**account, "username": login, "password": pbx.users[login].password}
        data["action"] = kwargs.pop("action", "netsapiens")
        setup = kwargs.pop("setup", True)
        numbers = pbx.users[login].numbers
        kwargs.setdefault("options", {"from_number": numbers[0].number} if numbers else {})
        # Polling is what most tests are of; those of the live connection say so.
        kwargs["options"] = {"incoming": "poll", **kwargs["options"]}
        entry = MockConfigEntry(
            domain=DOMAIN, title=login, unique_id=login, data=data, subentries_data=recipients, **kwargs
        )
        entry.add_to_hass(hass)
        if setup:
            assert await hass.config_entries.async_setup(entry.entry_id)
            await hass.async_block_till_done()
        return entry

    return add


async def close(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Close an account as the end of Home Assistant does: its queue goes on for no reload."""
    assert await hass.config_entries.async_unload(entry.entry_id)
    await async_end(hass, entry.entry_id)


@pytest.fixture
def setups() -> Generator[list[str]]:
    """The entries that were set up, in order; a reload shows as one more."""
    found: list[str] = []
    genuine = integration.async_setup_entry

    async def setup(hass: HomeAssistant, entry: Any) -> bool:
        found.append(entry.entry_id)
        return await genuine(hass, entry)

    with patch.object(integration, "async_setup_entry", setup):
        yield found


@pytest.fixture
def quick_inbox(hass: HomeAssistant) -> None:
    """Poll ten times a second."""
    timing = PollTiming(interval=0.1, pause=0.01, first_wait=0.05, longest_wait=0.2, batch=0.2)
    hass.data[RECEIVING_TIMING] = ReceivingTiming(poll=timing)


@pytest.fixture
async def entry(add_account: AddAccount) -> MockConfigEntry:
    """An account with the recipient Ann."""
    return await add_account(recipient("Ann", "18585550123"))


@pytest.fixture
async def camera(hass: HomeAssistant, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A camera that sees red."""
    if find_spec("turbojpeg") is None:  # Home Assistant makes pictures smaller with it, which is not asked for
        monkeypatch.setitem(sys.modules, "turbojpeg", MagicMock())
    from homeassistant.components.camera import DATA_COMPONENT as CAMERAS, Camera

    assert await async_setup_component(hass, "camera", {})

    class Door(Camera):
        _attr_name = "Door"
        sees = RED

        async def async_camera_image(self, width: int | None = None, height: int | None = None) -> bytes | None:
            return self.sees

    door = Door()
    await hass.data[CAMERAS].async_add_entities([door])
    assert door.entity_id == "camera.door"
    return door


@pytest.fixture
async def image(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """An image entity that shows blue, as a PNG with alpha."""
    assert await async_setup_component(hass, "image", {})

    class Map(ImageEntity):
        _attr_name = "Map"
        _attr_content_type = "image/png"

        async def async_image(self) -> bytes | None:
            return picture("blue", "PNG", "RGBA")

    await hass.data[IMAGES].async_add_entities([Map(hass)])


@pytest.fixture
def files(hass: HomeAssistant, tmp_path: Path) -> Path:
    """A folder that Home Assistant may read, with a picture, beside one that it may not."""
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "red.jpg").write_bytes(RED)
    (folder / "blue.jpg").write_bytes(BLUE)
    other = tmp_path / "private"
    other.mkdir()
    (other / "red.jpg").write_bytes(RED)
    hass.config.allowlist_external_dirs = {str(folder)}
    hass.config.media_dirs["local"] = str(folder)
    return folder


class EntityEvents:
    """What the event entities reported, as an automation sees it: a state that is another one than the last."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._seen: set[tuple[str, str]] = set()
        hass.bus.async_listen("state_changed", self._note)

    @callback
    def _note(self, event: Event) -> None:
        state = event.data["new_state"]
        if state is None or not state.entity_id.startswith("event.") or state.state in {"unknown", "unavailable"}:
            return
        if (state.entity_id, state.state) in self._seen:
            return  # restored after a reload
        self._seen.add((state.entity_id, state.state))
        self.events.append((state.entity_id, {**state.attributes, "seen_state": state.state}))

    def texts(self, entity_id: str = _MESSAGES) -> list[str]:
        return [attributes["message"] for entity, attributes in self.events if entity == entity_id]


@pytest.fixture
async def entity_events(hass: HomeAssistant) -> EntityEvents:
    """Listen to the event entities."""
    return EntityEvents(hass)
