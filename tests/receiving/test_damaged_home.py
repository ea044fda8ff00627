"""How far the poller is, damaged, in the whole Home Assistant that people run."""

from pathlib import Path
from typing import Any

import pytest

from tests.real_home import PYTHON, RealHome
from tests.receiving.conftest import ANN, BOB
from tests.simulator import Simulator

EVERYBODY, FROM_ANN = "event.1001_acme_example_messages", "event.ann_messages"


async def shows(home: RealHome, entity_id: str, text: str) -> bool:
    """Wait until an event entity shows a text."""

    async def check() -> bool:
        state: dict[str, Any] = (await home.states()).get(entity_id, {"attributes": {}})
        return state["attributes"].get("message") == text

    return await home.wait_for(check, timeout=30)


@pytest.mark.timeout(240)
@pytest.mark.skipif(not PYTHON.exists(), reason="scripts/setup demo was not run")
async def test_a_damaged_file_loses_nothing() -> None:
    """What was missed is reported after a restart, and what the events show as reported is not."""
    async with Simulator() as pbx, RealHome() as home:
        flow = await home.start_flow("netsapiens")
        flow = await home.flow_step(flow["flow_id"], {"next_step_id": "sign_in"})
        flow = await home.flow_step(flow["flow_id"], {**pbx.account, "verify_ssl": True})
        entry_id = flow["result"]["entry_id"]
        form = await home.start_subentry_flow(entry_id)
        await home.subentry_step(form["flow_id"], {"name": "Ann", "destination": [ANN], "group": False})
        path = Path(home.config_dir, ".storage", f"netsapiens.inbox.{entry_id}")

        async def is_there() -> bool:
            return path.exists()

        assert await home.wait_for(is_there, timeout=30)
        await pbx.receive(from_number=ANN, text="Seen")
        await home.post(f"/api/config/config_entries/entry/{entry_id}/reload")  # polls at once
        assert await shows(home, FROM_ANN, "Seen")
        seen = (await home.states())[FROM_ANN]["state"]
        await home.stop()
        path.write_bytes(path.read_bytes()[:60])
        pbx.clock_offset += 2  # times are listed to the second
        await pbx.receive(from_number=BOB, text="Missed")
        await home.start()
        assert await shows(home, EVERYBODY, "Missed")
        assert (await home.states())[FROM_ANN]["state"] == seen
        assert list(path.parent.glob(f"{path.name}.*"))
