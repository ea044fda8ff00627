"""One small file a message, its media beside it: whole or absent, in order, private, and soon gone."""

import asyncio
import json
import os
from pathlib import Path
import signal
import stat
import subprocess
import sys
import textwrap
from typing import Any
from unittest.mock import Mock

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.file import WriteError
import pytest

from custom_components.netsapiens.delivery import spool_files
from custom_components.netsapiens.delivery.spool import Spool
from tests.helpers import until

PICTURE = os.urandom(400_000)


async def spool_of(hass: HomeAssistant, **kwargs: Any) -> Spool:
    """Return a loaded spool."""
    spool = Spool(hass, "account", **kwargs)
    await spool.async_load()
    return spool


async def texts_in(hass: HomeAssistant) -> list[str]:
    """Return the texts that a new start of Home Assistant finds, in order."""
    return [message.row["text"] for message in (await Spool(hass, "account").async_load()).messages]


def rows(*texts: str, media: bytes | None = None) -> list[tuple[dict[str, Any], bytes | None]]:
    return [({"text": text}, media) for text in texts]


def held(spool: Spool) -> int:
    """Return how many bytes a spool takes to be held."""
    return spool._size


def names(spool: Spool) -> list[str]:
    return sorted(path.name for path in spool.path.iterdir())


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each write had, by what stands in the file afterwards."""
    sizes: list[int] = []
    for name in ("save_json", "write_utf8_file"):
        original = getattr(spool_files, name)

        def write(path: str, *args: Any, _original: Any = original, **kwargs: Any) -> None:
            _original(path, *args, **kwargs)
            sizes.append(Path(path).stat().st_size)

        monkeypatch.setattr(spool_files, name, write)
    return sizes


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A disk that takes as many more files as its one number says."""
    left = [10**9]
    for name in ("save_json", "write_utf8_file"):
        original = getattr(spool_files, name)

        def write(*args: Any, _original: Any = original, **kwargs: Any) -> None:
            if not left[0]:
                raise WriteError("No space left on device")
            left[0] -= 1
            _original(*args, **kwargs)

        monkeypatch.setattr(spool_files, name, write)
    return left


async def test_a_message_and_its_media_come_back(hass: HomeAssistant) -> None:
    """The row at a start, the media when it is asked for; what is done is gone."""
    spool = await spool_of(hass)
    first, second = await spool.async_add([({"text": "ä", "n": [1, None]}, PICTURE), ({"text": "b"}, None)])

    again = Spool(hass, "account")
    contents = await again.async_load()
    assert [(message.id, message.row, message.media_size) for message in contents.messages] == [
        (first, {"text": "ä", "n": [1, None]}, len(PICTURE)),
        (second, {"text": "b"}, 0),
    ]
    assert contents.damaged == []
    assert await again.async_read_media(first) == PICTURE
    assert await again.async_read_media(second) is None

    await again.async_discard([first, second])
    assert names(again) == []
    assert held(again) == 0


async def test_pictures_are_written_once(hass: HomeAssistant, written: list[int]) -> None:
    """60 pictures that wait, each with three changes of state, cost little more than their own bytes."""
    spool = await spool_of(hass)
    ids = await spool.async_add(rows(*"x" * 60, media=PICTURE))
    for state in ("attempting", "pending", "attempting"):
        await asyncio.gather(*(spool.async_update(message_id, {"text": "x", "state": state}) for message_id in ids))
    await spool.async_discard(ids)
    assert sum(written) < 1.1 * 60 * len(PICTURE)
    assert written.count(len(PICTURE)) == 60


async def test_rows_hold_no_media(hass: HomeAssistant) -> None:
    """So a start with many pictures reads little, and keeps little in memory."""
    spool = await spool_of(hass)
    [message_id] = await spool.async_add(rows("a", media=PICTURE))
    assert (spool.path / f"{message_id}.json").stat().st_size < 200
    assert (spool.path / f"{message_id}.media").read_bytes() == PICTURE


async def test_order_survives(hass: HomeAssistant) -> None:
    """Also where some have gone, others were changed, and Home Assistant was started again in between."""
    spool = await spool_of(hass)
    ids = await spool.async_add(rows("a", "b", "c"))
    await spool.async_update(ids[0], {"text": "a2"})
    await spool.async_discard([ids[1]])
    spool = await spool_of(hass)
    await asyncio.gather(*(spool.async_add(rows(text)) for text in ("d", "e", "f")))
    assert await texts_in(hass) == ["a2", "c", "d", "e", "f"]


async def test_only_the_own_user_may_read(hass: HomeAssistant) -> None:
    """Whatever writes a file, and after a change as well."""
    spool = await spool_of(hass)
    [message_id] = await spool.async_add(rows("a", media=PICTURE))
    await spool.async_update(message_id, {"text": "b"})
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": 1, "media_size": 7}', b"\xff\x00"]
)
async def test_a_damaged_file_costs_its_message(hass: HomeAssistant, damage: bytes) -> None:
    """It is set aside with its media and reported; the others load, and the next start is in order again."""
    spool = await spool_of(hass)
    ids = await spool.async_add(rows("a", "b", "c", media=b"picture"))
    (spool.path / f"{ids[1]}.json").write_bytes(damage)

    again = Spool(hass, "account")
    contents = await again.async_load()
    assert [message.row["text"] for message in contents.messages] == ["a", "c"]
    [name] = contents.damaged
    assert name.startswith(f"{ids[1]}.json.damaged.")
    assert (spool.path / name).read_bytes() == damage
    assert (spool.path / name.replace(".json.", ".media.")).read_bytes() == b"picture"
    assert (await Spool(hass, "account").async_load()).damaged == []


@pytest.mark.parametrize("torn", [None, b"pic"])
async def test_a_message_without_all_of_its_media_is_damaged(hass: HomeAssistant, torn: bytes | None) -> None:
    """It would go out without its picture, or with half of it."""
    spool = await spool_of(hass)
    [message_id] = await spool.async_add(rows("a", media=b"picture"))
    path = spool.path / f"{message_id}.media"
    path.unlink() if torn is None else path.write_bytes(torn)
    assert await spool.async_read_media(message_id) is None
    contents = await Spool(hass, "account").async_load()
    assert contents.messages == []
    assert len(contents.damaged) == 1


async def test_a_row_that_is_no_message_can_be_set_aside(hass: HomeAssistant) -> None:
    """Who reads the row finds that out."""
    spool = await spool_of(hass)
    first, _ = await spool.async_add(rows("a", "b", media=b"picture"))
    name = await spool.async_set_aside(first)
    assert (spool.path / name).exists()
    assert await texts_in(hass) == ["b"]


async def test_what_cannot_be_set_aside_stays(hass: HomeAssistant) -> None:
    """An account must start although the disk takes no other name for a damaged file, or somebody deleted it."""
    spool = await spool_of(hass)
    (message_id,) = await spool.async_add(rows("Odd"))
    (spool.path / f"{message_id}.json").unlink()
    assert await spool.async_set_aside(message_id) == f"{message_id}.json"
    assert held(spool) == 0


@pytest.mark.parametrize("kind", ["json", "media"])
async def test_nothing_is_written_over(hass: HomeAssistant, kind: str) -> None:
    """Whatever a folder has got meanwhile, by a restored backup for instance: a new message takes a free id."""
    spool = await spool_of(hass)
    [first] = await spool.async_add(rows("a"))
    taken = [spool.path / f"{int(first) + number:012d}.{kind}" for number in (1, 2, 4)]
    for path in taken:
        path.write_bytes(b"another")
    size = held(spool)
    ids = await spool.async_add(rows("b", "c", media=b"picture"))
    assert [int(message_id) - int(first) for message_id in ids] == [3, 5]
    assert [path.read_bytes() for path in taken] == [b"another"] * 3
    await spool.async_discard(ids)
    assert held(spool) == size


async def test_nothing_is_written_where_it_cannot_be_told_what_is_there(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error, as a full disk is."""
    spool = await spool_of(hass)
    await spool.async_add(rows("a"))
    size = held(spool)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "lstat", Mock(side_effect=OSError(5, "Input/output error")))
        with pytest.raises(HomeAssistantError):
            await spool.async_add(rows("b", media=PICTURE))
    assert await texts_in(hass) == ["a"]
    assert held(spool) == size


async def test_what_a_kill_left_is_deleted(hass: HomeAssistant) -> None:
    """Media without a message, and temporary files; nothing else."""
    spool = await spool_of(hass)
    [message_id] = await spool.async_add(rows("a", media=b"picture"))
    for name in ("000000000009.media", "tmpabc123", "README"):
        (spool.path / name).write_bytes(b"left")
    again = await spool_of(hass)
    assert names(again) == [f"{message_id}.json", f"{message_id}.media", "README"]
    [new] = await again.async_add(rows("b"))
    assert new > "000000000009"


async def test_size_and_limit(hass: HomeAssistant) -> None:
    """What waits is known to the byte, and counts from the moment in which it is asked for."""
    spool = await spool_of(hass, limit=1_000_000)
    adding = asyncio.create_task(spool.async_add(rows("a", "b", media=PICTURE)))
    await asyncio.sleep(0)
    assert not spool.has_room_for(200_001)
    ids = await adding
    on_disk = sum(path.stat().st_size for path in spool.path.iterdir())
    assert held(spool) == on_disk > 800_000
    assert spool.has_room_for(1_000_000 - on_disk)
    assert not spool.has_room_for(1_000_001 - on_disk)
    again = Spool(hass, "account")
    assert held(again) == 0
    await again.async_load()
    assert held(again) == on_disk
    await spool.async_discard(ids)
    assert spool.has_room_for(1_000_000)


async def test_a_full_disk_takes_all_or_none(hass: HomeAssistant, full_disk: list[int]) -> None:
    """The caller gets an error; nothing of what it asked for is left, and nothing that was there is touched."""
    spool = await spool_of(hass)
    [kept] = await spool.async_add(rows("kept", media=PICTURE))
    size = held(spool)
    full_disk[0] = 3
    with pytest.raises(HomeAssistantError) as error:
        await spool.async_add(rows("a", "b", "c", media=PICTURE))
    assert error.value.translation_key == "not_kept"
    with pytest.raises(HomeAssistantError):
        await spool.async_update(kept, {"text": "changed"})
    assert names(spool) == [f"{kept}.json", f"{kept}.media"]
    assert await texts_in(hass) == ["kept"]
    assert held(spool) == size

    full_disk[0] = 10
    await spool.async_add(rows("later"))
    assert await texts_in(hass) == ["kept", "later"]


async def test_changes_of_a_message_keep_their_order(hass: HomeAssistant) -> None:
    """Whoever asks first is written first; the last one stands."""
    spool = await spool_of(hass)
    ids = await spool.async_add(rows("a", "b"))
    await asyncio.gather(*(spool.async_update(ids[n % 2], {"text": f"{n}"}) for n in range(40)))
    assert await texts_in(hass) == ["38", "39"]


async def test_a_change_does_not_bring_back_what_is_done(hass: HomeAssistant) -> None:
    """It says so instead."""
    spool = await spool_of(hass)
    [message_id] = await spool.async_add(rows("a"))
    results = await asyncio.gather(
        spool.async_discard([message_id]), spool.async_update(message_id, {"text": "b"}), return_exceptions=True
    )
    assert results[0] is None
    assert isinstance(results[1], HomeAssistantError)
    assert names(spool) == []
    assert held(spool) == 0


async def test_the_row_of_what_is_done_goes_first(hass: HomeAssistant) -> None:
    """A kill in between leaves media without a row, which is deleted; a row without media would count as damaged."""
    spool = await spool_of(hass)
    [message_id] = await spool.async_add(rows("a", media=b"picture"))
    media = spool.path / f"{message_id}.media"
    media.unlink()
    media.mkdir()  # it cannot be deleted as a file
    with pytest.raises(HomeAssistantError):
        await spool.async_discard([message_id])
    assert names(spool) == [f"{message_id}.media"]


async def test_a_cancelled_caller_cuts_off_no_write(hass: HomeAssistant) -> None:
    """What was begun is finished, before what comes next."""
    spool = await spool_of(hass)
    [message_id] = await spool.async_add(rows("a"))
    change = asyncio.create_task(spool.async_update(message_id, {"text": "b"}))
    await asyncio.sleep(0)
    change.cancel()
    await spool.async_add(rows("c"))
    assert await texts_in(hass) == ["b", "c"]


async def test_many_at_once_are_few_jobs(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 texts are one; 300 changes that come together are two."""
    spool = await spool_of(hass)
    jobs: list[Any] = []
    original = hass.loop.run_in_executor
    monkeypatch.setattr(hass.loop, "run_in_executor", lambda *args: (jobs.append(args), original(*args))[1])
    ids = await spool.async_add(rows(*map(str, range(300))))
    assert len(jobs) == 1
    await asyncio.gather(*(spool.async_update(message_id, {"text": "x"}) for message_id in ids))
    assert len(jobs) <= 3


async def test_the_loop_goes_on_while_many_are_read(hass: HomeAssistant) -> None:
    """A start with thousands that wait lets everything else go on."""
    spool = await spool_of(hass)
    await spool.async_add(rows("first"))
    for number in range(1, 5000):
        (spool.path / f"{number:012d}.json").write_text(
            json.dumps({"version": 1, "media_size": 0, "message": {"text": str(number)}})
        )
    turns = 0
    loading = asyncio.create_task(Spool(hass, "account").async_load())
    while not loading.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert len(loading.result().messages) == 5000
    assert turns > 10


async def test_the_account_takes_its_folder_along(hass: HomeAssistant) -> None:
    """Also where there is none."""
    spool = await spool_of(hass)
    await spool.async_remove()
    await spool.async_add(rows("a", media=PICTURE))
    await spool.async_remove()
    assert not spool.path.exists()
    assert held(spool) == 0


KILLED = """
import sys
from pathlib import Path
from custom_components.netsapiens.delivery.spool_files import SpoolFiles

files = SpoolFiles(Path(sys.argv[1]))
files.load()
for n in range(10**6):
    files.add([({"text": "a" * 1000}, bytes([n % 256]) * 400_000)])
    files.update(f"{n:012d}", {"text": "b" * 100_000}, 400_000)
    print(n, flush=True)
"""


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
async def test_a_kill_leaves_each_message_whole_or_absent(hass: HomeAssistant, tmp_path: Path, after: int) -> None:
    """Whatever was being written: all that was acknowledged is there, and nothing is damaged."""
    spool = Spool(hass, "account")
    spool.path.parent.mkdir(exist_ok=True)
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(spool.path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    stdout = writer.stdout
    lines: list[bytes] = []

    def read() -> None:
        while len(lines) <= after and (line := stdout.readline()):
            lines.append(line)

    await asyncio.to_thread(read)
    await until(lambda: len(list(spool.path.iterdir())) % 2 == after % 2)  # in the middle of another step each time
    writer.send_signal(signal.SIGKILL)
    lines += await asyncio.to_thread(stdout.readlines)
    writer.wait()

    contents = await spool.async_load()
    assert contents.damaged == []
    found = {int(message.id): message for message in contents.messages}
    acknowledged = [int(line) for line in lines if line.endswith(b"\n")]
    assert set(acknowledged) <= set(found)
    for number, message in found.items():
        assert message.row["text"] in {"a" * 1000, "b" * 100_000}
        assert await spool.async_read_media(message.id) == bytes([number % 256]) * 400_000
    assert len(names(spool)) == 2 * len(found)


async def test_nothing_hangs_once_home_assistant_has_ended(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that can no longer be made is an error, and not waited for."""
    spool = Spool(hass, "ended")
    await spool.async_load()

    def ended(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(hass.loop, "run_in_executor", ended)
    async with asyncio.timeout(5):
        with pytest.raises((HomeAssistantError, RuntimeError)):
            await spool.async_add([({"text": "Late"}, None)])
