"""What the tests of the conversation card need."""

import json
from pathlib import Path

from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.real_home import RealHome

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


async def add_dashboard(home: RealHome) -> str:
    """Add an empty dashboard; return its path."""
    await home.command("lovelace/dashboards/create", url_path="card-test", title="Texts", mode="storage")
    await show(home, [])
    return "/card-test"


async def show(home: RealHome, cards: list[dict[str, object]]) -> None:
    """Put cards on the dashboard."""
    kind = "panel" if len(cards) == 1 else "masonry"
    views = [
        {"title": "Texts", "path": "texts", "type": kind, "cards": cards},
        {"title": "Weather", "path": "weather", "cards": [{"type": "markdown", "content": "It rains."}]},
    ]
    await home.command("lovelace/config/save", url_path="card-test", config={"views": views})


def card_on(page: Page) -> Locator:
    """The card."""
    return page.locator("netsapiens-conversation-card").locator("visible=true").first


async def says(page: Page, text: str, *, within: int = 20_000) -> None:
    """Wait until the card shows a text, once."""
    await expect(card_on(page).locator(".bubble", has_text=text)).to_have_count(1, timeout=within)


async def broken_rules(page: Page) -> list[str]:
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


async def draw_porch(context: BrowserContext, path: Path) -> bytes:
    """Draw a picture of a door; return it as PNG."""
    sketch = await context.new_page()
    await sketch.set_content(PORCH)
    drawn = await sketch.locator("svg").screenshot(path=path)
    await sketch.close()
    return drawn


async def look(page: Page, *, language: str = "en", dark: bool = False) -> None:
    """Let a person see Home Assistant in a language, light or dark, from the next page on."""
    stored = {"selectedLanguage": json.dumps(language), "selectedTheme": json.dumps({"dark": dark})}
    for key, value in stored.items():
        await page.add_init_script(f"localStorage.setItem({json.dumps(key)}, {json.dumps(value)})")
