"""Media that waits: on disk, not in memory, and not without a limit."""

import base64
from collections.abc import Callable
import gc
import os
from pathlib import Path

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.outgoing import Media
from tests.conftest import EntityEvents
from tests.delivery.disk import spool_path
from tests.delivery.test_queue import MESSAGES, QUEUED, _quick, hass_storage, on_disk, send, texts  # noqa: F401
from tests.helpers import until, until_idle
from tests.simulator import Simulator

PICTURE = os.urandom(50_000)
ATTACHED = {"data": base64.b64encode(PICTURE).decode(), "mime_type": "image/jpeg"}


def in_memory() -> list[Media]:
    """Return the media that has its content in memory."""
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, Media) and one.content is not None]


def lead_astray(path: Path) -> None:
    """Let a file lead to its folder: that can be read by nobody, whoever runs the tests, and be deleted."""
    path.unlink()
    path.symlink_to(path.parent)


async def test_it_is_in_memory_only_while_it_is_sent(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """What waits is read when its turn comes, and is what was to be sent."""
    await until_idle(pbx)
    await pbx.stop()
    for number in range(3):
        assert (await send(hass, f"Picture {number}", **ATTACHED))["status"] == "queued"
    assert in_memory() == []
    assert [path.read_bytes() for path in sorted(spool_path(hass, entry).glob("*.media"))] == [PICTURE] * 3
    await pbx.start()
    await until(lambda: hass.states.get(QUEUED).state == "0")
    assert [message.media for message in pbx.messages if message.media] == [PICTURE] * 3
    await until(lambda: list(spool_path(hass, entry).iterdir()) == [])


@pytest.mark.parametrize("lost", [Path.unlink, lambda path: path.write_bytes(PICTURE[:-1]), lead_astray])
async def test_media_that_is_gone_costs_that_text_alone(
    hass: HomeAssistant,
    pbx: Simulator,
    entry: MockConfigEntry,
    entity_events: EntityEvents,
    caplog: pytest.LogCaptureFixture,
    lost: Callable[[Path], object],
) -> None:
    """Gone, cut off or unreadable: it is reported once, in words that say so, and the next one goes."""
    await until_idle(pbx)
    await pbx.stop()
    await send(hass, "Picture", **ATTACHED, keep_for=60)
    await send(hass, "Behind")
    (path,) = spool_path(hass, entry).glob("*.media")
    lost(path)
    await pbx.start()
    await until(lambda: hass.states.get(QUEUED).state == "0")
    (failed,) = [seen for entity_id, seen in entity_events.events if entity_id == MESSAGES]
    assert failed["reason"] == "unexpected"
    assert failed["error"] == (
        "The picture or file of the waiting text could not be read from the disk any more, so it was not sent"
    )
    assert texts(pbx)[-1] == "Behind"
    assert [message.media for message in pbx.messages if message.media] == []
    assert caplog.text.count("The media of a waiting text") == 1
    assert "Unexpected error" not in caplog.text


async def test_more_than_may_wait_is_not_taken(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error comes before anything is sent; what need not wait is taken."""
    monkeypatch.setattr(entry.runtime_data.queue._spool, "limit", 60_000)
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, "", destination=["18585550123", "18585550124"], **ATTACHED)
    assert raised.value.translation_key == "spool_full"
    assert texts(pbx) == []
    assert (await send(hass, "", **ATTACHED))["status"] == "sent"
    await send(hass, "", destination=["18585550123", "18585550124"], keep_for=0, **ATTACHED)
    assert len(pbx.messages) == 3
