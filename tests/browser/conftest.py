"""A PBX, a whole Home Assistant 2026.11 and a browser, all on this machine alone."""

from collections.abc import AsyncIterator
import contextlib
import os
from pathlib import Path
import shutil

from playwright.async_api import Browser, async_playwright
import pytest

from tests.browser.person import HEIGHT, PATIENCE, WIDTH, Person, signed_in
from tests.real_home import RealHome
from tests.simulator import Simulator

EXTRA = """
diagnostics:
history:
logbook:
media_source:
homeassistant:
  media_dirs:
    local: {media}
"""
# What a browser would do on the internet by itself is switched off.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
async def pbx() -> AsyncIterator[Simulator]:
    async with Simulator(live_port=0) as simulator:
        yield simulator


@contextlib.asynccontextmanager
async def opened(house: RealHome) -> AsyncIterator[RealHome]:
    """Start a house, and end it at once when it is needed no more: a clean end takes seconds."""
    try:
        await house.start()
        yield house
    finally:
        await house.kill()
        await house.close()


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RealHome]:
    async with opened(RealHome(extra=EXTRA.format(media=tmp_path))) as house:
        yield house


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def person(browser: Browser, home: RealHome, tmp_path: Path) -> AsyncIterator[Person]:
    context = await browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
    page = await context.new_page()
    page.set_default_timeout(PATIENCE)
    await signed_in(page, home)
    yield Person(page, home)
    await page.screenshot(path=tmp_path / "last.png")  # shows why a test failed; pytest keeps the folder


@pytest.fixture
async def account(home: RealHome, pbx: Simulator) -> str:
    """An account with the recipient Ann and a live connection; its entry's id."""
    flow = await home.start_flow("netsapiens")
    flow = await home.flow_step(flow["flow_id"], {"next_step_id": "sign_in"})
    flow = await home.flow_step(flow["flow_id"], {**pbx.account, "verify_ssl": True})
    entry_id: str = flow["result"]["entry_id"]
    await _connect_live(home, pbx, entry_id)
    form = await home.start_subentry_flow(entry_id)
    await home.subentry_step(form["flow_id"], {"name": "Ann", "destination": ["(858) 555-0123"], "group": False})

    async def has_ann() -> bool:
        return "notify.ann" in await home.states()

    assert await home.wait_for(has_ann, timeout=20)
    return entry_id


async def _connect_live(home: RealHome, pbx: Simulator, entry_id: str) -> None:
    """Name the live server, which is not at port 8001 here, and wait for the connection."""
    assert pbx.live is not None
    flow = await home.start_options_flow(entry_id)
    kept = {row["name"]: row["default"] for row in flow["data_schema"] if "default" in row}
    await home.options_step(flow["flow_id"], {**kept, "live_url": pbx.live.url})

    async def is_connected() -> bool:
        return pbx.live is not None and pbx.live.subscribed > 0

    assert kept["incoming"] == "live"
    assert await home.wait_for(is_connected, timeout=20)
