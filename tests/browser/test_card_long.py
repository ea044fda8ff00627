"""A conversation of 10,000 messages scrolls without a long task."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Browser, Locator
import pytest

from tests.browser.card import ANN, CARD, add_dashboard, card_on, says, show
from tests.browser.person import Person
from tests.real_home import RealHome
from tests.simulator import Simulator

COUNT = 10_000
LONGEST = 50  # ms; a browser calls a task long that takes more
CHANCE = 0.0005  # of the tasks: they are few, and come together
SCREENS = 500  # of the plain list each time that it is scrolled
MAIN_THREAD, TASK = "CrRendererMain", "ThreadControllerImpl::RunTask"  # as Chromium's traces name them
CARD_PART, FLOOR_PART = "card", "floor"
# To the top until there is nothing older, then to the bottom a screen at a time, as fast as frames come.
SCROLL_UP = """async (log) => {
  const card = log.getRootNode().host;
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  performance.mark("card begins");
  while (card._about.has_older || card._first > 0) {
    log.scrollTop = Math.max(0, log.scrollTop - log.clientHeight);
    await frame();
  }
  performance.mark("card ends");
  return card._rows.size;
}"""
SCROLL_DOWN = """async (log) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  let screens = 0;
  const card = log.getRootNode().host;
  performance.mark("card begins");
  while (!card._isAtEnd) {
    log.scrollTop += log.clientHeight;
    screens += 1;
    await frame();
  }
  performance.mark("card ends");
  return screens;
}"""
# As many rows without a script of their own, in the card's place, scrolled in the same way.
SCROLL_FLOOR = """async (log, [count, screens]) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const rest = () => new Promise((resolve) => setTimeout(resolve, 500));
  const { left, top, width, height } = log.getBoundingClientRect();
  const list = document.createElement("div");
  const place = `left: ${left}px; top: ${top}px; width: ${width}px; height: ${height}px`;
  list.style.cssText = `position: fixed; z-index: 9; overflow-y: auto; background: white; ${place}`;
  for (let number = 0; number < count; number += 1) {
    const row = document.createElement("p");
    row.textContent = `Text ${number}: see https://example.com or call (858) 555-0199.`;
    list.append(row);
  }
  document.body.append(list);
  await rest();
  performance.mark("floor begins");
  for (let screen = 0, step = height; screen < screens; screen += 1) {
    const before = list.scrollTop;
    list.scrollTop += step;
    if (list.scrollTop === before) step = -step;
    await frame();
  }
  performance.mark("floor ends");
  await rest();
  list.remove(); // takes long, as to add it does
  await rest();
}"""


class Task(NamedTuple):
    """A task of the page's main thread; in milliseconds."""

    took: float  # as the browser's PerformanceObserver counts it, also while other programs have the core
    ran: float  # on a core


@pytest.fixture
async def long_conversation(pbx: Simulator) -> None:
    """10,000 texts, one a minute, before anybody signs in."""
    began = datetime.now(UTC) - timedelta(minutes=COUNT)
    for number in range(COUNT):
        await pbx.receive(from_number=ANN, text=f"Text {number}: see https://example.com or call (858) 555-0199.")
        row = pbx.inbound[-1]
        row.timestamp = row.bare_timestamp = f"{began + timedelta(minutes=number):%Y-%m-%d %H:%M:%S}"


def tasks_of(trace: bytes) -> dict[str, list[Task]]:
    """The tasks while the card was scrolled, and while the plain list was."""
    events = json.loads(trace)["traceEvents"]
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    tasks = [
        one for one in events if one["name"] == TASK and "tdur" in one and names[one["pid"], one["tid"]] == MAIN_THREAD
    ]
    return {
        part: [
            Task(one["dur"] / 1000, one["tdur"] / 1000)
            for began, ended in zip(_marks(events, f"{part} begins"), _marks(events, f"{part} ends"), strict=True)
            for one in tasks
            if began <= one["ts"] + one["dur"] and one["ts"] <= ended
        ]
        for part in (CARD_PART, FLOOR_PART)
    }


def _marks(events: Sequence[dict[str, object]], name: str) -> list[float]:
    """When the page set a mark, each time."""
    return sorted(float(str(one["ts"])) for one in events if one["name"] == name)


def long_of(tasks: Sequence[Task]) -> float:
    """Which part of the tasks took long."""
    return sum(one.took > LONGEST for one in tasks) / len(tasks)


def figures_of(tasks: Sequence[Task]) -> dict[str, object]:
    """What is kept of some tasks."""
    long = [one for one in tasks if one.took > LONGEST]
    ran = sorted(one.ran for one in tasks)
    return {
        "tasks": len(tasks),
        "ran_99_percent": ran[len(ran) * 99 // 100],
        "ran_longest": ran[-1],
        "took_longest": max(one.took for one in tasks),
        "long": sorted(long),
        "long_of_1000": round(1000 * long_of(tasks), 2),
    }


async def scroll_floor(log: Locator) -> None:
    """Scroll the plain list, which stands there while that lasts."""
    await log.evaluate(SCROLL_FLOOR, [COUNT, SCREENS])


async def test_ten_thousand_messages(
    long_conversation: None, browser: Browser, person: Person, home: RealHome, account: str, tmp_path: Path
) -> None:
    """All are loaded by scrolling up, and scrolled through to the newest: no task runs for more than 50 ms.

    A task also takes long where other programs have the core meanwhile, whatever it does. So a plain list of as many
    rows, without a script, is scrolled before, between and after in the card's place: what takes long there is the
    machine's, and the card may have no more of that than by chance. Both are kept in a file.
    """
    page = person.page
    dashboard = await add_dashboard(home)
    await show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    await says(page, f"Text {COUNT - 1}:")
    await page.wait_for_timeout(3000)  # Home Assistant itself has come to rest
    log = card_on(page).get_by_role("log")
    await browser.start_tracing(page=page, categories=["toplevel", "blink.user_timing"])
    await scroll_floor(log)
    assert await log.evaluate(SCROLL_UP) == COUNT
    await scroll_floor(log)
    screens = await log.evaluate(SCROLL_DOWN)
    await scroll_floor(log)
    tasks = tasks_of(await browser.stop_tracing())
    await says(page, f"Text {COUNT - 1}:")
    figures = {part: figures_of(found) for part, found in tasks.items()} | {"screens": screens}
    (tmp_path / "long_tasks.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    assert screens > 500
    assert len(tasks[CARD_PART]) > screens
    assert len(tasks[FLOOR_PART]) > SCREENS
    assert [one for one in tasks[CARD_PART] if one.ran > LONGEST] == []
    assert long_of(tasks[CARD_PART]) <= 2 * long_of(tasks[FLOOR_PART]) + CHANCE
