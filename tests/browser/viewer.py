"""Looks at Home Assistant in a language, a width and a colour scheme, and checks what can be read."""

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
import contextlib
import json
from pathlib import Path
import re
from typing import Any, Literal, NamedTuple

from playwright.async_api import Browser, Locator, Page

from tests.browser.person import PATIENCE, Person, signed_in
from tests.real_home import INTEGRATION, RealHome

type Json = Any
type Scheme = Literal["light", "dark"]

LANGUAGES = {"en": "en-US", "de": "de-DE", "es": "es-ES", "fr": "fr-FR", "nl": "nl-NL"}
HEIGHT, LONGEST = 1200, 2400  # px; what is longer than a window is seen in one that is as long

FLOW = "ui.panel.config.integrations.config_flow"  # where the frontend keeps its own words

# A key that nobody translated, and a placeholder that nobody filled in.
UNTRANSLATED = re.compile(r"component\.netsapiens|\bui\.(?:panel|common)\.|(?<![\w.@])[a-z]+(?:_[a-z]+)+\b|\{\w+\}")

# What scrolls sideways anywhere, and what is cut off in the dialog; shadow roots are searched too.
TOO_WIDE = """() => {
  const found = [];
  const check = (element, inDialog) => {
    const style = getComputedStyle(element);
    if (!element.getBoundingClientRect().width || element.scrollWidth <= element.clientWidth + 1) return;
    const widths = `${element.localName}.${element.className}: ${element.scrollWidth} > ${element.clientWidth}`;
    if (["auto", "scroll"].includes(style.overflowX)) found.push(`scrolls: ${widths}`);
    if (inDialog && style.textOverflow === "ellipsis") found.push(`cut off: ${widths}`);
  };
  const walk = (root, inDialog) => {
    for (const element of root.querySelectorAll("*")) {
      check(element, inDialog);
      const enters = inDialog || element.localName === "dialog-data-entry-flow";
      if (element.shadowRoot) walk(element.shadowRoot, enters);
    }
  };
  walk(document, false);
  const page = document.scrollingElement;
  if (page.scrollWidth > innerWidth) found.push(`page scrolls: ${page.scrollWidth} > ${innerWidth}`);
  return found;
}"""

# Waits until nothing folds, fades or spins to its end any more, for the picture.
AT_REST = """async () => {
  await new Promise((resolve) => setTimeout(resolve, 150));
  const ends = document.getAnimations().filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime));
  await Promise.all(ends.map((one) => one.finished.catch(() => null)));
}"""

# The words that can be read in an element, and the right edge of what holds them.
WORDS = """(dialog) => {
  const found = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.textContent.trim();
      const range = document.createRange();
      range.selectNodeContents(node);
      const box = range.getBoundingClientRect();
      if (text && box.width) found.push({ text, right: box.right });
      return;
    }
    if (["STYLE", "SCRIPT"].includes(node.nodeName)) return;
    if (node.nodeName === "SLOT" && node.assignedNodes().length) return node.assignedNodes().forEach(walk);
    (node.shadowRoot || node).childNodes.forEach(walk);
  };
  walk(dialog);
  return found;
}"""


class Look(NamedTuple):
    """How a person looks at Home Assistant."""

    language: str
    width: int
    scheme: Scheme

    def __str__(self) -> str:
        return "-".join(map(str, self))


class Viewer(Person):
    """Opens dialogs in one look, and checks what they show in that and in others of the same language."""

    def __init__(self, page: Page, home: RealHome, looks: Sequence[Look], folder: Path) -> None:
        super().__init__(page, home)
        self.look = look = looks[0]
        self._others = looks[1:]
        self.strings = read_strings(look.language)
        self.faults: list[str] = []
        own = {part for text in every_text(self.strings) for part in plain(text)}
        others = (read_strings(language) for language in LANGUAGES if language != look.language)
        self._other_languages = {
            part
            for strings in others
            for text in every_text(strings)
            for part in plain(text)
            if len(part) > 12 and part not in own
        }
        self._folder = folder
        self._pictures = 0

    @property
    def dialog(self) -> Locator:
        return self.page.locator("dialog-data-entry-flow")

    async def word(self, key: str) -> str:
        """Return a word of Home Assistant's own, in the page's language."""
        script = "(key) => document.querySelector('home-assistant')?.hass?.localize?.(key)"
        await self.page.wait_for_function(script, arg=key)
        word: str = await self.page.evaluate(script, key)
        return word

    async def submit(self) -> None:
        """Press the button that submits a form."""
        await self.press(await self.word(f"{FLOW}.submit"))

    async def shoot(self, name: str) -> None:
        """Leave a picture of the page."""
        await self.page.evaluate(AT_REST)
        self._pictures += 1
        await self.page.screenshot(path=self._folder / f"{self.look}-{self._pictures}-{name}.png")

    async def check(
        self, name: str, step: Json, *, error: str = "", but: Collection[str] = (), height: int = HEIGHT
    ) -> None:
        """Check a dialog in each look: all of it is translated, and it fits into the window. Leave pictures.

        Parameters:
            name: what the picture is called.
            step: the translation of the dialog's step.
            error: the translation of an error that is shown.
            but: fields that this dialog does not have.
            height: of the window, in pixels.
        """
        await self.see(plain(error or step.get("description", step["title"]))[0])
        expected = [part for text in (*texts_of(step, but), error) for part in plain(text)]
        first = self.look
        for look in (first, *self._others):
            await self._dress(look, height)
            await self._check_look(name, expected)
        await self._dress(first, HEIGHT)

    async def _dress(self, look: Look, height: int) -> None:
        """Change how the page is looked at; its language stays."""
        self.look = look
        await self.page.set_viewport_size({"width": look.width, "height": height})
        await self.page.emulate_media(color_scheme=look.scheme)

    async def _check_look(self, name: str, expected: Sequence[str]) -> None:
        """Note what is wrong with the dialog as it is looked at."""
        await self.shoot(name)
        words = await self.dialog.evaluate(WORDS)
        read = " ".join(" ".join(word["text"].split()) for word in words)
        faults = [
            *(f"missing: {part}" for part in expected if part not in read),
            *(f"untranslated: {key}" for key in UNTRANSLATED.findall(read)),
            *(f"in another language: {part}" for part in self._other_languages if part in read),
            *(f"sticks out: {word['text']}" for word in words if word["right"] > self.look.width),
            *await self.page.evaluate(TOO_WIDE),
        ]
        self.faults += [f"{self.look} {name}: {fault}" for fault in faults]


def read_strings(language: str) -> Json:
    """Return the integration's translation into a language."""
    return json.loads((INTEGRATION / "translations" / f"{language}.json").read_text("utf-8"))


def every_text(strings: Json) -> Iterator[str]:
    """Yield all that a translation says."""
    if isinstance(strings, str):
        yield strings
    else:
        for part in strings.values():
            yield from every_text(part)


def texts_of(step: Json, but: Collection[str] = ()) -> list[str]:
    """Return all that a dialog's translation says, less the words of some fields."""
    keys = ("data", "data_description", "menu_options", "menu_option_descriptions")
    fields = (step.get(key, {}).items() for key in keys)
    return [
        step["title"],
        step.get("description", ""),
        *(text for rows in fields for name, text in rows if name not in but),
    ]


def plain(text: str) -> list[str]:
    """Return how a text can be read: without its Markdown, in the parts between the placeholders and the code."""
    parts = re.split(r"`[^`]*`|\{\w+\}", text)
    return [part for part in (" ".join(part.split()) for part in parts) if len(part) > 1]


@contextlib.asynccontextmanager
async def viewed(browser: Browser, home: RealHome, looks: Sequence[Look], folder: Path) -> AsyncIterator[Viewer]:
    """Open a browser window in the first of the looks."""
    look = looks[0]
    context = await browser.new_context(
        viewport={"width": look.width, "height": HEIGHT},
        locale=LANGUAGES[look.language],
        color_scheme=look.scheme,
        reduced_motion="reduce",  # frames are drawn by the processor here
    )
    page = await context.new_page()
    page.set_default_timeout(PATIENCE)
    await signed_in(page, home)
    try:
        yield Viewer(page, home, looks, folder)
    finally:
        await page.screenshot(path=folder / f"{look}-last.png")
        await context.close()
