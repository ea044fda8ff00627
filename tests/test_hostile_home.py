"""A real Home Assistant is killed while texts wait: each of them is out once, and in order."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.disk import rows_in
from tests.helpers import until
from tests.real_home import PYTHON, RealHome
from tests.simulator import FaultKind, Simulator

PEOPLE = ("18585550123", "18585550124", "18585550125")
TEXTS = ["First", "Second", "Third"]

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="scripts/setup demo was not run")


async def sign_in(home: RealHome, pbx: Simulator) -> Path:
    """Add the account; return the folder of its queue once Home Assistant has saved the account."""
    flow = await home.start_flow("netsapiens")
    flow = await home.flow_step(flow["flow_id"], {"next_step_id": "sign_in"})
    flow = await home.flow_step(flow["flow_id"], {**pbx.account, "verify_ssl": True})
    assert flow["type"] == "create_entry"
    entry_id = flow["result"]["entry_id"]
    storage = home.config_dir / ".storage"
    await until(lambda: entry_id in (storage / "core.config_entries").read_text())
    return storage / f"netsapiens.{entry_id}.spool"


def waiting(path: Path) -> list[str]:
    """Return the texts on disk."""
    return [row["text"] for row in rows_in(path)]


async def send(home: RealHome, message: str) -> list[str]:
    """Send a text to each person; return what the caller is answered about each."""
    data = {"destination": list(PEOPLE), "message": message}
    answer = await home.call("netsapiens", "send_message", data, response=True)
    assert answer.status == 200, answer.body
    return [row["status"] for row in answer.body["service_response"]["messages"]]


def fault(pbx: Simulator, kind: FaultKind, method: str = "POST", **details: Any) -> None:
    """Let something go wrong with the texts, or with their lists."""
    pbx.fault(kind, path="/messages", method=method, **details)


@pytest.mark.timeout(300)
async def test_a_kill_while_texts_wait() -> None:
    """Once while the PBX is away, with some that it took without an answer; once in the middle of an attempt."""
    async with Simulator() as pbx, RealHome() as home:
        path = await sign_in(home, pbx)
        fault(pbx, FaultKind.DROP_AFTER, times=2)
        fault(pbx, FaultKind.STATUS, code=503, times=None)
        fault(pbx, FaultKind.STATUS, "GET", code=503, times=None)
        calls = []
        async with home.subscribe_events("call_service") as events:
            for text in TEXTS:
                calls.append(asyncio.create_task(send(home, text)))
                await events.next(timeout=30)  # the next one comes later, not at the same time
        answers = await asyncio.gather(*calls)
        assert answers == [["queued"] * len(PEOPLE)] * len(TEXTS)
        assert len(pbx.messages) == 2
        await home.kill()
        assert sorted(waiting(path)) == sorted(TEXTS * len(PEOPLE))

        pbx.clear_faults()
        fault(pbx, FaultKind.HANG, accept=True)
        await home.start()
        await until(lambda: pbx.fault_counts[FaultKind.HANG], within=60)
        await home.kill()
        assert waiting(path)

        pbx.clear_faults()
        await home.start()
        await until(lambda: not waiting(path), within=90)
        await asyncio.sleep(1)  # a second copy would come by now
        arrived = [(message.destination, message.text) for message in pbx.messages]
    for person in PEOPLE:
        assert [text for destination, text in arrived if person in destination] == TEXTS
    assert len(arrived) == len(PEOPLE) * len(TEXTS)
