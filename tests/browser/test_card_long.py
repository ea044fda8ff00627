"""A conversation of 10,000 messages scrolls without a long task."""

from datetime import UTC, datetime, timedelta
import json
from pathlib import Path

from playwright.async_api import Browser
import pytest

from tests.browser.card import ANN, CARD, add_dashboard, card_on, says, show
from tests.browser.person import Person
from tests.real_home import RealHome
from tests.simulator import Simulator

COUNT = 10_000
LONGEST = 50  # ms; a browser calls a task long that takes more
MAIN_THREAD, TASK = "CrRendererMain", "ThreadControllerImpl::RunTask"  # as Chromium's traces name them
OBSERVE = """() => {
  window.longTasks = [];
  const note = (list) => window.longTasks.push(...list.getEntries().map((one) => one.duration));
  new PerformanceObserver(note).observe({ entryTypes: ["longtask"] });
}"""
# To the top until there is nothing older, then to the bottom a screen at a time, as fast as frames come.
SCROLL_UP = """async (log) => {
  const card = log.getRootNode().host;
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  while (card._about.has_older || card._first > 0) {
    log.scrollTop = Math.max(0, log.scrollTop - log.clientHeight);
    await frame();
  }
  return card._rows.size;
}"""
SCROLL_DOWN = """async (log) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  let screens = 0;
  const card = log.getRootNode().host;
  while (!card._isAtEnd) {
    log.scrollTop += log.clientHeight;
    screens += 1;
    await frame();
  }
  return screens;
}"""


@pytest.fixture
async def long_conversation(pbx: Simulator) -> None:
    """10,000 texts, one a minute, before anybody signs in."""
    began = datetime.now(UTC) - timedelta(minutes=COUNT)
    for number in range(COUNT):
        await pbx.receive(from_number=ANN, text=f"Text {number}: see https://example.com or call (858) 555-0199.")
        row = pbx.inbound[-1]
        row.timestamp = row.bare_timestamp = f"{began + timedelta(minutes=number):%Y-%m-%d %H:%M:%S}"


def tasks_of(trace: bytes) -> list[float]:
    """The tasks of the page's main thread: the milliseconds that each ran, without those that it waited for a core."""
    events = json.loads(trace)["traceEvents"]
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    return [
        one["tdur"] / 1000
        for one in events
        if one["name"] == TASK and "tdur" in one and names[one["pid"], one["tid"]] == MAIN_THREAD
    ]


async def test_ten_thousand_messages(
    long_conversation: None, browser: Browser, person: Person, home: RealHome, account: str, tmp_path: Path
) -> None:
    """All are loaded by scrolling up, and scrolled through to the newest: no task runs for more than 50 ms.

    What the browser's own PerformanceObserver calls long also counts while other programs have the core; it is kept in
    a file beside that.
    """
    page = person.page
    dashboard = await add_dashboard(home)
    await show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    await says(page, f"Text {COUNT - 1}:")
    await page.wait_for_timeout(3000)  # Home Assistant itself has come to rest
    log = card_on(page).get_by_role("log")
    await page.evaluate(OBSERVE)
    await browser.start_tracing(page=page, categories=["toplevel"])
    assert await log.evaluate(SCROLL_UP) == COUNT
    screens = await log.evaluate(SCROLL_DOWN)
    tasks = tasks_of(await browser.stop_tracing())
    await says(page, f"Text {COUNT - 1}:")
    observed = await page.evaluate("window.longTasks")
    figures = {"longest": max(tasks), "tasks": len(tasks), "observed": sorted(observed), "screens": screens}
    (tmp_path / "long_tasks.json").write_text(json.dumps(figures), encoding="utf-8")
    assert screens > 500
    assert len(tasks) > screens
    assert [one for one in tasks if one > LONGEST] == []
