"""Every dialog in English and German, wide and narrow, light and dark; each leaves a picture of itself.

The house speaks English throughout: what is German comes from the browser, and nothing may stay English there.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
import contextlib
import json
from pathlib import Path
import re
from typing import Any, Literal, NamedTuple

from playwright.async_api import Browser, Locator, Page, expect
import pytest

from tests.browser.person import PATIENCE, Person, signed_in
from tests.real_home import INTEGRATION, RealHome
from tests.simulator import Simulator, SmsNumber

type Json = Any
type Scheme = Literal["light", "dark"]

LANGUAGES = {"en": "en-US", "de": "de-DE"}
WIDTHS = (1280, 390)
LONE = "1002@acme.example"  # has no number
HEIGHT = 1600  # px; the longest dialog is seen from top to bottom
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

INTEGRATION_PAGE = "/config/integrations/integration/netsapiens"
# Where the frontend keeps its own words.
FLOW = "ui.panel.config.integrations.config_flow"
ENTRY = "ui.panel.config.integrations.config_entry"

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


LOOKS = [Look(*look) for look in ((a, b, c) for a in LANGUAGES for b in WIDTHS for c in SCHEMES)]
# The dialogs that few people meet are seen wide and light, narrow and dark: each takes seconds.
SEEN_IN_FULL = [look for look in LOOKS if (look.width, look.scheme) in ((1280, "light"), (390, "dark"))]


class Viewer(Person):
    """Opens dialogs in one look and checks what they show."""

    def __init__(self, page: Page, home: RealHome, look: Look, folder: Path) -> None:
        super().__init__(page, home)
        self.look = look
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

    async def check(self, name: str, step: Json, *, error: str = "", but: Collection[str] = ()) -> None:
        """Check a dialog: all of it is translated, and it fits into the window. Leave a picture.

        Parameters:
            name: what the picture is called.
            step: the translation of the dialog's step.
            error: the translation of an error that is shown.
            but: fields that this dialog does not have.
        """
        await self.see(plain(error or step.get("description", step["title"]))[0])
        await self.page.wait_for_timeout(700)  # what folds or fades comes to rest: it is for the picture
        self._pictures += 1
        await self.page.screenshot(path=self._folder / f"{self.look}-{self._pictures}-{name}.png")
        words = await self.dialog.evaluate(WORDS)
        read = " ".join(" ".join(word["text"].split()) for word in words)
        expected = (part for text in (*texts_of(step, but), error) for part in plain(text))
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
async def viewed(browser: Browser, home: RealHome, look: Look, folder: Path) -> AsyncIterator[Viewer]:
    """Open a browser window in one look."""
    context = await browser.new_context(
        viewport={"width": look.width, "height": HEIGHT}, locale=LANGUAGES[look.language], color_scheme=look.scheme
    )
    page = await context.new_page()
    page.set_default_timeout(PATIENCE)
    await signed_in(page, home)
    try:
        yield Viewer(page, home, look, folder)
    finally:
        await page.screenshot(path=folder / f"{look}-last.png")
        await context.close()


@pytest.mark.timeout(900)
async def test_every_dialog_in_every_look(browser: Browser, home: RealHome, pbx: Simulator, tmp_path: Path) -> None:
    pbx.first_user.numbers.append(SmsNumber("18585550198"))
    pbx.add_user(LONE)
    faults: list[str] = []
    for look in LOOKS:
        async with viewed(browser, home, look, tmp_path) as viewer:
            if look in SEEN_IN_FULL:
                await look_at_the_ways_in(viewer, pbx)
            await add_the_account(viewer, pbx.account)
            (entry,) = await home.entries("netsapiens")
            await add_a_recipient(viewer)
            await change_options(viewer)
            if look in SEEN_IN_FULL:  # before: Home Assistant does not ask while a reconfiguration is open
                await sign_in_again(viewer, home, pbx)
            await reconfigure(viewer)
            await home.delete(f"/api/config/config_entries/entry/{entry['entry_id']}")
        faults += viewer.faults
    assert not faults, "\n".join(faults)


async def open_the_menu(viewer: Viewer) -> None:
    await viewer.go("/config/integrations/dashboard/add?domain=netsapiens")
    await viewer.press(await viewer.word("ui.common.ok"))
    await viewer.check("menu", viewer.strings["config"]["step"]["user"])


async def look_at_the_ways_in(viewer: Viewer, pbx: Simulator) -> None:
    """With a key that is nobody's own; and as a user who has no number."""
    steps = viewer.strings["config"]["step"]
    await open_the_menu(viewer)
    await (
        viewer.dialog.get_by_text(steps["user"]["menu_options"]["api_key"], exact=True).locator("visible=true").click()
    )
    await viewer.check("api-key", steps["api_key"])
    await viewer.fill({"base_url": pbx.url, "api_key": pbx.add_key("nsd_").key})
    await viewer.submit()
    await viewer.check("api-key-user", steps["api_key_user"])
    await open_the_menu(viewer)
    await viewer.dialog.get_by_text(steps["user"]["menu_options"]["sign_in"]).locator("visible=true").click()
    await viewer.fill({**pbx.account, "username": LONE, "password": pbx.users[LONE].password})
    await viewer.submit()
    await viewer.check("no-number", steps["sender"])
    await viewer.choose(steps["sender"]["data"]["from_number"], viewer.strings["selector"]["sender"]["options"]["none"])


async def add_the_account(viewer: Viewer, account: Mapping[str, str]) -> None:
    config = viewer.strings["config"]
    steps = config["step"]
    await open_the_menu(viewer)
    await viewer.dialog.get_by_text(steps["user"]["menu_options"]["sign_in"]).locator("visible=true").click()
    await viewer.check("sign-in", steps["sign_in"])
    await viewer.fill({**account, "password": "not-this-one"})
    await viewer.submit()
    await viewer.check("refused", steps["sign_in"], error=config["error"]["invalid_auth"])
    await viewer.fill({key: account[key] for key in ("client_secret", "password")})
    await viewer.submit()
    await viewer.check("sender", steps["sender"])
    await viewer.choose(steps["sender"]["data"]["from_number"], "(858) 555-0198")
    await viewer.submit()
    await viewer.press(await viewer.word(f"{FLOW}.finish_skip"))
    await expect(viewer.dialog).not_to_be_visible()


async def add_a_recipient(viewer: Viewer) -> None:
    words = viewer.strings["config_subentries"]["recipient"]
    step = words["step"]["user"]
    await viewer.go(INTEGRATION_PAGE)
    await viewer.press(words["initiate_flow"]["user"])
    await viewer.check("recipient", step)
    await viewer.fill({"name": "Ann"})
    await viewer.dialog.locator("input[type=tel]").fill("(858) 555-0123, 1002")
    await viewer.dialog.locator("ha-switch").click()
    await viewer.submit()
    await viewer.check("mixed-group", step, error=words["error"]["mixed_group"])


async def change_options(viewer: Viewer) -> None:
    await viewer.go(INTEGRATION_PAGE)
    await viewer.press_icon(await viewer.word(f"{ENTRY}.configure"))
    await viewer.check("options", viewer.strings["options"]["step"]["init"])


async def reconfigure(viewer: Viewer) -> None:
    await viewer.go(INTEGRATION_PAGE)
    await viewer.press_icon(await viewer.word("ui.common.menu"))
    item = await viewer.word(f"{ENTRY}.reconfigure")
    await viewer.page.locator("ha-config-entry-row").get_by_text(item, exact=True).locator("visible=true").click()
    await viewer.check("reconfigure", viewer.strings["config"]["step"]["reconfigure"])


async def sign_in_again(viewer: Viewer, home: RealHome, pbx: Simulator) -> None:
    """While a text waits."""
    password, pbx.first_user.password = pbx.first_user.password, "another-password"
    pbx.revoke_tokens(refresh=True)
    await home.call("netsapiens", "send_message", {"destination": "(858) 555-0123", "message": "Hello"})
    await viewer.go("/config/integrations/dashboard")
    await viewer.press(await viewer.word("ui.panel.config.integrations.reconfigure"))
    words = viewer.strings["config"]
    await viewer.check("sign-in-again", words["step"]["reauth_confirm"], but={"api_key"})
    await viewer.fill({"password": "not-this-one"})
    await viewer.submit()
    await viewer.check(
        "refused-again", words["step"]["reauth_confirm"], error=words["error"]["invalid_auth"], but={"api_key"}
    )
    pbx.first_user.password = password
