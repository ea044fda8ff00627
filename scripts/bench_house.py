"""A Home Assistant that receives, for the benches: set up through its forms, with a witness in it.

The witness writes down each event as it is fired, before anything else can happen to the process.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
import contextlib
import json
import time
from typing import Any

from tests.real_home import RealHome, RealHomeError
from tests.simulator import Simulator
from tests.simulator.live_node import NodeLiveServer

EVENT = "event.1001_acme_example_messages"
LIVE, NODE = "live", "node"  # the live connection, to the simulator's server or to Node's

WITNESS = """
import json, os, time
from homeassistant.core import callback

async def async_setup(hass, config):
    out = os.open(hass.config.path("witness.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    @callback
    def note(event):
        old, new = event.data["old_state"], event.data["new_state"]
        if new is None or not new.entity_id.startswith("event.") or new.attributes.get("event_type") != "received":
            return
        if old is None or old.state == "unavailable" or old.state == new.state:
            return  # restored
        row = {"entity": new.entity_id, "at": time.time(), **new.attributes}
        os.write(out, (json.dumps(row) + "\\n").encode())
    hass.bus.async_listen("state_changed", note)
    return True
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|---{'|--:' * (len(head) - 1)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


@contextlib.asynccontextmanager
async def live_server(pbx: Simulator, incoming: str) -> AsyncIterator[str]:
    """Start the live server where one is wanted; yield its address, which is empty where none is."""
    if incoming == NODE:
        async with NodeLiveServer(pbx) as server:
            yield server.url
    else:
        yield (await pbx.start_live()).url if incoming == LIVE else ""  # it ends with the PBX


def house(incoming: str) -> RealHome:
    """Return a house with a witness in it."""
    home = RealHome(extra="witness:\n", log_level="warning")
    folder = home.config_dir / "custom_components" / "witness"
    folder.mkdir()
    (folder / "__init__.py").write_text(WITNESS, encoding="utf-8")
    manifest = {"domain": "witness", "name": "Witness", "version": "1.0.0", "documentation": "", "codeowners": []}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    if incoming == "push":
        path = home.config_dir / "configuration.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("  internal_url:", f"  external_url: {home.url}\n  internal_url:", 1), "utf-8")
    return home


async def set_up(home: RealHome, pbx: Simulator, incoming: str, live_url: str = "") -> str:
    """Sign in through the forms and choose how messages come in; return the entry's id."""
    flow = await home.start_flow("netsapiens")
    if flow["type"] == "menu":
        flow = await home.flow_step(flow["flow_id"], {"next_step_id": "sign_in"})
    flow = await home.flow_step(flow["flow_id"], {**pbx.account, "verify_ssl": True})
    if flow["type"] != "create_entry":
        raise RealHomeError(f"The account was not accepted: {flow.get('errors') or flow}")
    entry_id: str = flow["result"]["entry_id"]
    form = await home.start_options_flow(entry_id)
    defaults = {row["name"]: row["default"] for row in form["data_schema"] if "default" in row}
    options = {**defaults, "from_number": pbx.numbers[0], "incoming": LIVE if live_url else incoming}
    if live_url:
        options["live_url"] = live_url
    form = await home.options_step(form["flow_id"], options)
    if form["type"] != "create_entry":
        raise RealHomeError(f"The options were not accepted: {form.get('errors')}")
    await asyncio.sleep(4)  # Home Assistant saves what is new after a second
    if incoming == "push" and len(pbx.subscriptions) != 1:
        raise RealHomeError(f"There is no subscription:\n{home.log_tail()}")
    return entry_id


def witnessed(home: RealHome, entity: str = EVENT) -> list[dict[str, Any]]:
    """Return the events that were fired, in order."""
    path = home.config_dir / "witness.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["entity"] == entity]


def noted(home: RealHome) -> int:
    """Return how many messages Home Assistant has noted as told."""
    [path] = (home.config_dir / ".storage").glob("netsapiens.inbox.*")
    return len(json.loads(path.read_text(encoding="utf-8"))["data"]["seen"])


async def until_told(home: RealHome, texts: Iterable[str], within: float) -> bool:
    """Wait until all were told; return whether they were."""
    texts, end = set(texts), time.monotonic() + within
    while time.monotonic() < end:
        if texts <= {row["message"] for row in witnessed(home)}:
            return True
        await asyncio.sleep(0.1)
    return False
