"""The conversation card, as a person meets it: in the card picker, by keyboard, and by a screen reader's rules."""

import json
from pathlib import Path

from playwright.async_api import Locator, Page, expect
import pytest

from tests.browser.person import MESSAGES_WITHIN, Person, take_picture
from tests.real_home import RealHome
from tests.simulator import Simulator

ANN = "18585550123"
AXE = Path(__file__).parents[2] / ".tools" / "js" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
EVIL = "<img src=x onerror=document.title='evil'>"
CARD = {"type": "custom:netsapiens-conversation-card", "entity": "notify.ann"}
PORCH = """
<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480">
<rect width="640" height="480" fill="#c9b8a3"/>
<rect y="370" width="640" height="110" fill="#8c8378"/>
<rect x="230" y="70" width="180" height="305" rx="4" fill="#2f4a4a"/>
<rect x="255" y="95" width="130" height="90" fill="#9fc3cf"/>
<rect x="420" y="305" width="120" height="85" fill="#b98a54"/>
</svg>
"""
HELLO = "Is the parcel there yet?"


@pytest.fixture
async def dashboard(home: RealHome, account: str) -> str:
    """The path of an empty dashboard."""
    await home.command("lovelace/dashboards/create", url_path="card-test", title="Texts", mode="storage")
    await _show(home, [])
    return "/card-test"


async def _show(home: RealHome, cards: list[dict[str, object]]) -> None:
    """Put cards on the dashboard."""
    views = [{"title": "Texts", "path": "texts", "type": "panel" if len(cards) == 1 else "masonry", "cards": cards}]
    await home.command("lovelace/config/save", url_path="card-test", config={"views": views})


def _card(page: Page) -> Locator:
    """The card."""
    return page.locator("netsapiens-conversation-card").locator("visible=true").first


async def _says(page: Page, text: str, *, within: int = 20_000) -> None:
    """Wait until the card shows a text, once."""
    await expect(_card(page).locator(".bubble", has_text=text)).to_have_count(1, timeout=within)


async def _axe(page: Page) -> list[str]:
    """What breaks a rule of WCAG 2.2 AA in the card."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(
        """async (rules) => {
          const deep = (root) => { for (const node of root.querySelectorAll("*")) {
            if (node.localName === "netsapiens-conversation-card") return node;
            const inner = node.shadowRoot && deep(node.shadowRoot); if (inner) return inner; } return null; };
          const result = await axe.run(deep(document), { runOnly: { type: "tag", values: rules } });
          const why = (one) => one.nodes.map((node) => `${node.html} ${node.failureSummary}`);
          return result.violations.map((one) => `${one.id}: ${why(one)}`);
        }""",
        RULES,
    )
    return list(found)


async def test_the_card_from_the_picker(person: Person, pbx: Simulator, home: RealHome, dashboard: str) -> None:
    """It is found in the picker with its preview, configured by clicks, and shows the conversation."""
    await pbx.receive(from_number=ANN, text=HELLO)
    await home.command(
        "lovelace/config/save", url_path="card-test", config={"views": [{"title": "Texts", "cards": []}]}
    )
    await person.go(f"{dashboard}/0?edit=1")
    await person.press("Add card")
    await person.click("By card")
    await person.page.wait_for_timeout(700)
    await person.page.keyboard.type("NetSapiens")
    found = person.page.locator("div.card").filter(has_text="NetSapiens conversation").locator("visible=true")
    await found.first.click()
    await _says(person.page, HELLO)
    await person.press("Save")
    await person.go(f"{dashboard}/0")
    await _says(person.page, HELLO)


async def test_a_conversation_by_keyboard(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str, tmp_path: Path
) -> None:
    """Texts and a picture go out, answers come in without a reload, hostile text is text, older ones are loaded."""
    page = person.page
    for number in range(45):
        await pbx.receive(from_number=ANN, text=f"Older {number}.")
    sketch = await page.context.new_page()
    await sketch.set_content(PORCH)
    porch = await sketch.locator("svg").screenshot(path=tmp_path / "porch.png")
    await sketch.close()
    for text in ("x" * 5000, EVIL, HELLO):
        await pbx.receive(from_number=ANN, text=text)
    await pbx.receive(from_number=ANN, text="Look", media=porch, mime_type="image/png")
    await _show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    await _says(page, "Look")
    await expect(_card(page).locator(".picture img")).to_have_js_property("naturalWidth", 640)
    await _says(page, EVIL)
    assert await page.title() != "evil"
    wide = await _card(page).evaluate("card => card.shadowRoot.querySelector('.log').scrollWidth - card.clientWidth")
    assert wide <= 0

    box = _card(page).get_by_role("textbox", name="Text message")
    await box.focus()
    await page.keyboard.type("It is at the door.")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("Take it in!")
    await page.keyboard.press("Enter")
    await _says(page, "Take it in!")
    assert [row.text for row in pbx.messages] == ["It is at the door.\nTake it in!"]
    await pbx.receive(from_number=ANN, text="Thanks, on my way.")
    await _says(page, "Thanks, on my way.", within=MESSAGES_WITHIN)

    await _card(page).get_by_role("log").focus()
    await page.keyboard.press("Home")
    await _says(page, "Older 3.")


async def test_a_text_waits_fails_and_is_tried_again(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str
) -> None:
    """What waits says so and goes by itself; what was refused says why, and goes when it is tried again."""
    page = person.page
    await _show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    box = _card(page).get_by_role("textbox", name="Text message")
    pbx.fault("status", path="/messages", method="POST", code=503, times=None)
    await box.fill("Wait for me")
    await page.keyboard.press("Enter")
    await expect(_card(page).get_by_text("Waiting")).to_be_visible(timeout=20_000)
    pbx.clear_faults()
    await expect(_card(page).get_by_text("Waiting")).to_have_count(0, timeout=60_000)
    await _says(page, "Wait for me")

    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    await box.fill("Try me")
    await page.keyboard.press("Enter")
    await expect(_card(page).get_by_text("Not sent.")).to_be_visible()
    await _card(page).get_by_role("button", name="Try again").click()
    await expect(_card(page).get_by_text("Not sent.")).to_have_count(0)
    assert [row.text for row in pbx.messages] == ["Wait for me", "Try me"]


@pytest.mark.parametrize(
    ("language", "dark"), [("en", False), ("en", True), ("de", False), ("de", True), ("he", False)]
)
async def test_rules_of_accessibility(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str, language: str, dark: bool
) -> None:
    """No rule of WCAG 2.2 AA is broken, in light and dark, in three languages; a right-to-left one is mirrored."""
    page = person.page
    await pbx.receive(from_number=ANN, text="Hi! Your code is 482913, see https://example.com.")
    await home.call("notify", "send_message", {"entity_id": "notify.ann", "message": "Thanks"})
    await _show(home, [CARD])
    stored = {"selectedLanguage": json.dumps(language), "selectedTheme": json.dumps({"dark": dark})}
    await page.add_init_script(
        ";".join(f"localStorage.setItem({json.dumps(key)}, {json.dumps(value)})" for key, value in stored.items())
    )
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    await person.go(f"{dashboard}/texts")
    await _says(page, "Thanks")
    await _card(page).locator("textarea").fill("This fails")
    await page.keyboard.press("Enter")
    await expect(_card(page).locator(".failed")).to_be_visible()
    label = {"en": "Text message", "de": "Textnachricht", "he": "Text message"}[language]
    await expect(_card(page).get_by_role("textbox", name=label)).to_be_visible()
    assert await _axe(page) == []


async def test_the_picture_of_the_readme(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str, tmp_path: Path
) -> None:
    """A conversation on a dashboard, as the README shows it first."""
    page = person.page
    sketch = await page.context.new_page()
    await sketch.set_content(PORCH)
    await sketch.locator("svg").screenshot(path=tmp_path / "porch.png")
    await sketch.close()
    media = {"media": "media-source://media_source/local/porch.png"}
    target = {"entity_id": "notify.ann", "message": "A parcel is at the door."}
    await home.call("netsapiens", "send_message", target | media, response=True)
    await pbx.receive(from_number=ANN, text="Thanks! I'll be right down.")
    await _show(home, [CARD])
    await page.set_viewport_size({"width": 760, "height": 640})
    await person.go(f"{dashboard}/texts")
    await _says(page, "right down")
    await expect(_card(page).locator(".picture img")).to_have_js_property("complete", True)
    await take_picture(page, "card")
