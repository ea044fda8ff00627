"""What a person does at a browser, in their own words."""

from collections.abc import Mapping
import json
from pathlib import Path
import re
import time

from playwright.async_api import Error, Locator, Page, expect

from tests.real_home import RealHome

IMAGES = Path(__file__).resolve().parent.parent.parent / "docs" / "images"
WIDTH, HEIGHT = 1280, 900
PATIENCE = 60_000  # ms; the machine may be busy
MESSAGES_WITHIN = 90_000  # ms; Home Assistant asks every 30 seconds where nothing is announced


# Whether the cursor is in a field; shadow roots are searched too.
CAN_TYPE = """() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return ["INPUT", "TEXTAREA"].includes(element?.tagName);
}"""


class Person:
    """Looks at Home Assistant, clicks and types."""

    def __init__(self, page: Page, home: RealHome) -> None:
        self.page = page
        self.home = home

    # --- looking ------------------------------------------------------------------------

    async def go(self, path: str) -> None:
        """Open a page of Home Assistant."""
        try:
            await self.page.goto(self.home.url + path)
        except Error as err:
            if "net::ERR_ABORTED" not in str(err):
                raise
            # A dialog that closes goes back in the history, which ends the loading of the page that follows.
            await self.page.goto(self.home.url + path)

    async def see(self, text: str, *, within: int = PATIENCE, exact: bool = False) -> Locator:
        """Wait until a text can be read somewhere; return where."""
        found = self.page.get_by_text(text, exact=exact).locator("visible=true").first
        await expect(found).to_be_visible(timeout=within)
        return found

    async def picture(self, name: str, *, height: int) -> None:
        """Take a picture for the README, so many pixels high."""
        await self.page.set_viewport_size({"width": WIDTH, "height": height})
        await take_picture(self.page, name)
        await self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    # --- clicking and typing ------------------------------------------------------------

    async def press(self, name: str) -> None:
        """Press a button."""
        await self.page.get_by_role("button", name=name, exact=True).locator("visible=true").last.click()

    async def press_icon(self, label: str, *, of: str = "ha-config-entry-row") -> None:
        """Press a button that only has an icon, the first one with this label."""
        icon = self.page.locator(f"{of} ha-icon-button")
        await expect(icon.first).to_be_visible()
        labels = await icon.evaluate_all("icons => icons.map(icon => icon.label)")
        assert label in labels, labels
        await icon.nth(labels.index(label)).click()

    async def click(self, text: str) -> None:
        """Click on what reads like this."""
        await (await self.see(text)).click()

    async def type(self, text: str) -> None:
        """Type into the field that gets the focus by itself, once what it is in has folded out."""
        await self.page.wait_for_timeout(500)
        await self.page.wait_for_function(CAN_TYPE)
        await self.page.keyboard.type(text)

    async def fill(self, fields: Mapping[str, str]) -> None:
        """Type into the fields of a form, by their names."""
        for name, value in fields.items():
            await self.page.locator(f"input[name={name}]").locator("visible=true").fill(value)

    async def typed(self, name: str) -> str:
        """Return what stands in a field."""
        return await self.page.locator(f"input[name={name}]").locator("visible=true").input_value()

    async def choose(self, label: str, option: str, *, search: str = "") -> None:
        """Choose from a list that folds out, maybe after a search in it."""
        label_or_required = re.compile(rf"^\s*{re.escape(label)}\s*\*?\s*$")
        await self.page.get_by_text(label_or_required).locator("visible=true").last.click()
        if search:
            await self.type(search)
        await self.page.get_by_text(option, exact=True).locator("visible=true").first.click()

    # --- ways that are taken often ------------------------------------------------------

    async def open_integration(self) -> None:
        """Open the integration's own page."""
        await self.go("/config/integrations/integration/netsapiens")
        await self.see("Add recipient")

    async def open_menu(self, item: str) -> None:
        """Choose from the account's menu."""
        await self.open_integration()
        await self.press_icon("Menu")
        await self.page.locator("ha-config-entry-row").get_by_text(item, exact=True).locator("visible=true").click()

    async def start_adding(self, way: str) -> None:
        """Add the integration, as far as the way in."""
        await self.go("/config/integrations/dashboard")
        await self.press("Add integration")
        await self.see("Select brand")
        await self.type("netsapiens")
        await self.page.get_by_text("NetSapiens", exact=True).locator("visible=true").last.click()
        await self.see("How do you want to sign in")
        await self.click(way)

    # --- the automation editor ----------------------------------------------------------

    async def start_automation(self) -> None:
        """Open the editor on a new automation."""
        await self.go("/config/automation/edit/new")

    async def add_by_name(self, kind: str, search: str, name: str, *, within: str = "") -> None:
        """Add a trigger, condition or action that the search finds, below everything or within a block's part."""
        if within:
            part = self.page.locator("ha-automation-action-if").locator("visible=true").last
            await part.get_by_text(within, exact=True).locator("+ *").get_by_role("button").last.click()
        else:
            await self.press(f"Add {kind}")
        await self.see("By type" if kind != "condition" else f"Add {kind}")
        await self.type(search)
        await self.page.wait_for_timeout(700)
        dialog = self.page.locator("add-automation-element-dialog")
        await dialog.get_by_text(name, exact=True).locator("visible=true").first.click()
        await self.page.wait_for_timeout(500)

    async def add_by_target(self, kind: str, search: str, target: str, name: str, *, within: str = "") -> None:
        """Add a trigger or action of an entity."""
        await self.add_by_name(kind, search, target, within=within)
        await self.click(name)
        await self.page.wait_for_timeout(500)

    def setting(self, words: str) -> Locator:
        """Return the row of an action's field, by a part of its name or description."""
        return self.page.locator("ha-settings-row").filter(has_text=words).locator("visible=true").first

    async def save_automation(self, name: str) -> None:
        """Save the automation under a name."""
        await self.press("Save")
        await self.type(name)
        await self.press("Save")
        await self.see("Traces")


async def take_picture(page: Page, name: str) -> None:
    """Take a picture of a page for the README."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    await page.wait_for_timeout(700)  # what folds, fades or spins comes to rest
    await page.screenshot(path=IMAGES / f"{name}.png")


async def signed_in(page: Page, home: RealHome, login: Mapping[str, object] | None = None) -> None:
    """Give the browser what Home Assistant's login page would, of the demo's user or another one."""
    answer = {
        "hassUrl": home.url,
        "clientId": f"{home.url}/",
        **(login or await home.browser_login()),
        "token_type": "Bearer",
        "expires": int((time.time() + 1500) * 1000),
    }
    await page.add_init_script(f"localStorage.setItem('hassTokens', {json.dumps(json.dumps(answer))})")
