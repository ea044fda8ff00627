"""The conversation card, as a person meets it: in the card picker, by keyboard, and by a screen reader's rules."""

import base64
from pathlib import Path

from playwright.async_api import Browser, expect
import pytest

from tests.browser.card import (
    ANN,
    CARD,
    EVIL,
    HELLO,
    add_dashboard,
    broken_rules,
    card_on,
    draw_porch,
    look,
    says,
    show,
)
from tests.browser.person import MESSAGES_WITHIN, PATIENCE, Person, signed_in, take_picture
from tests.real_home import RealHome
from tests.simulator import Simulator

RESTS = """async (log) => {
  let changes = 0;
  const observer = new MutationObserver((list) => { changes += list.length; });
  observer.observe(log, { childList: true });
  await new Promise((resolve) => setTimeout(resolve, 500));
  observer.disconnect();
  return { changes, count: log.childElementCount };
}"""


@pytest.fixture
async def dashboard(home: RealHome, account: str) -> str:
    """The path of an empty dashboard."""
    return await add_dashboard(home)


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
    await says(person.page, HELLO)
    await person.press("Save")
    await person.go(f"{dashboard}/0")
    await says(person.page, HELLO)


async def test_a_conversation_by_keyboard(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str, tmp_path: Path
) -> None:
    """Texts and a picture go out, answers come in without a reload, hostile text is text, older ones are loaded."""
    page = person.page
    for number in range(45):
        await pbx.receive(from_number=ANN, text=f"Older {number}.")
    porch = await draw_porch(page.context, tmp_path / "porch.png")
    for text in ("x" * 5000, EVIL, HELLO):
        await pbx.receive(from_number=ANN, text=text)
    await pbx.receive(from_number=ANN, text="Look", media=porch, mime_type="image/png")
    await show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    await says(page, "Look")
    await expect(card_on(page).locator(".picture img")).to_have_js_property("naturalWidth", 640)
    await says(page, EVIL)
    assert await page.title() != "evil"
    wide = await card_on(page).evaluate("card => card.shadowRoot.querySelector('.log').scrollWidth - card.clientWidth")
    assert wide <= 0

    box = card_on(page).get_by_role("textbox", name="Text message")
    await box.focus()
    low = await box.evaluate("box => box.clientHeight")
    await page.keyboard.type("It is at the door.")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("Take it in!")
    await page.keyboard.press("Enter")
    await says(page, "Take it in!")
    assert [row.text for row in pbx.messages] == ["It is at the door.\nTake it in!"]
    assert await box.evaluate("box => box.clientHeight") == low
    await pbx.receive(from_number=ANN, text="Thanks, on my way.")
    await says(page, "Thanks, on my way.", within=MESSAGES_WITHIN)

    await card_on(page).get_by_role("log").focus()
    await page.keyboard.press("Home")
    await says(page, "Older 3.")


async def test_a_text_waits_fails_and_is_tried_again(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str
) -> None:
    """What waits says so and goes by itself; what was refused says why, and goes when it is tried again."""
    page = person.page
    await show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    box = card_on(page).get_by_role("textbox", name="Text message")
    pbx.fault("status", path="/messages", method="POST", code=503, times=None)
    await box.fill("Wait for me")
    await page.keyboard.press("Enter")
    await expect(card_on(page).get_by_text("Waiting")).to_be_visible(timeout=20_000)
    pbx.clear_faults()
    await expect(card_on(page).get_by_text("Waiting")).to_have_count(0, timeout=60_000)
    await says(page, "Wait for me")

    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    await box.fill("Try me")
    await page.keyboard.press("Enter")
    await expect(card_on(page).get_by_text("Not sent.")).to_be_visible()
    await card_on(page).get_by_role("log").focus()
    await page.keyboard.press("Tab")
    await expect(card_on(page).get_by_role("button", name="Try again")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(card_on(page).get_by_text("Not sent.")).to_have_count(0)
    assert [row.text for row in pbx.messages] == ["Wait for me", "Try me"]


async def test_a_connection_that_is_lost_while_a_text_goes_out(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str
) -> None:
    """The text was taken, but its answer is lost: it is in the box again, and goes out no second time."""
    page = person.page
    await show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    box = card_on(page).get_by_role("textbox", name="Text message")
    await box.fill("Only once")
    await card_on(page).evaluate(
        """(card) => {
          const real = card.hass.callWS;
          let isLost = false;
          Object.defineProperty(card._hass, "callWS", { configurable: true, writable: true, value: async (command) => {
            const answer = await real(command);
            if (command.type.endsWith("/send") && !isLost) { isLost = true; throw { code: 3 }; }
            return answer;
          } });
        }"""
    )
    await page.keyboard.press("Enter")
    await says(page, "Only once")
    await expect(box).to_have_value("Only once")
    await box.focus()
    await page.keyboard.press("Enter")
    await expect(box).to_have_value("")
    await page.wait_for_timeout(1000)
    await says(page, "Only once")
    assert [row.text for row in pbx.messages] == ["Only once"]


@pytest.mark.parametrize(
    ("language", "dark"), [("en", False), ("en", True), ("de", False), ("de", True), ("he", False)]
)
async def test_rules_of_accessibility(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str, tmp_path: Path, language: str, dark: bool
) -> None:
    """No rule of WCAG 2.2 AA is broken, in light and dark, in three languages; a right-to-left one is mirrored."""
    page = person.page
    await pbx.receive(from_number=ANN, text="Hi! Your code is 482913, see https://example.com.")
    await home.call("notify", "send_message", {"entity_id": "notify.ann", "message": "Thanks"})
    await show(home, [CARD])
    await look(page, language=language, dark=dark)
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    await person.go(f"{dashboard}/texts")
    await says(page, "Thanks")
    await card_on(page).locator("textarea").fill("This fails")
    await page.keyboard.press("Enter")
    await expect(card_on(page).locator(".failed")).to_be_visible()
    label = {"en": "Text message", "de": "Textnachricht", "he": "Text message"}[language]
    await expect(card_on(page).get_by_role("textbox", name=label)).to_be_visible()
    assert await broken_rules(page) == []
    ours = await card_on(page).locator(".mine").last.bounding_box()
    theirs = await card_on(page).locator(".item:not(.mine):not(.day)").last.bounding_box()
    assert ours is not None
    assert theirs is not None
    assert (ours["x"] < theirs["x"]) is (language == "he")
    await page.screenshot(path=tmp_path / f"{language}-{'dark' if dark else 'light'}.png")


async def test_pictures(person: Person, pbx: Simulator, home: RealHome, dashboard: str, tmp_path: Path) -> None:
    """One of the media picker, one of the clipboard, and one that came in: it is shown large, and closed by Escape."""
    page = person.page
    porch = await draw_porch(page.context, tmp_path / "porch.png")
    await pbx.receive(from_number=ANN, text="Look", media=porch, mime_type="image/png")
    await show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    card = card_on(page)
    await says(page, "Look")

    await card.get_by_role("button", name="Open the picture").click()
    large = card.locator("dialog img")
    await expect(large).to_be_visible()
    await expect(large).to_have_js_property("naturalWidth", 640)
    await page.keyboard.press("Escape")
    await expect(large).not_to_be_visible()

    await card.get_by_role("button", name="Add a picture").click()
    await person.click("My media")
    await person.click("porch.png")
    await expect(card.locator(".picked")).to_contain_text("porch.png")
    await card.get_by_role("button", name="Send").click()
    await expect(card.locator(".mine .picture img")).to_have_js_property("naturalWidth", 640)
    await expect(card.locator(".mine .meta time")).to_be_attached()  # it is out
    await expect(card.locator(".mine .bubble")).to_have_text("")
    await expect(card.locator(".mine .picture")).to_have_accessible_name("Open the picture: porch")

    await card.get_by_role("textbox").focus()
    await card.get_by_role("textbox").evaluate(
        """(box, data) => {
          const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
          const clipboard = new DataTransfer();
          clipboard.items.add(new File([bytes], "shot.png", { type: "image/png" }));
          box.dispatchEvent(new ClipboardEvent("paste", { clipboardData: clipboard, bubbles: true, cancelable: true }));
        }""",
        base64.b64encode(porch).decode(),
    )
    await expect(card.locator(".picked")).to_contain_text("shot.png")
    await page.keyboard.type("Pasted")
    await page.keyboard.press("Enter")
    await says(page, "Pasted")
    await expect(card.locator(".mine .picture img")).to_have_count(2)
    assert [(row.type, row.text) for row in pbx.messages] == [("mms", "porch"), ("sms", "Pasted"), ("mms", "Picture")]


async def test_a_narrow_phone_and_a_look_elsewhere(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str, tmp_path: Path
) -> None:
    """Nothing is wider than 320 px, or moves where that is not wanted; a draft stays; what is unseen costs nothing."""
    page = person.page
    await page.emulate_media(reduced_motion="reduce")
    await page.set_viewport_size({"width": 320, "height": 640})
    for number in range(40):
        await pbx.receive(from_number=ANN, text=f"Older {number}. {'x' * 200 if number % 9 == 0 else 'Yes.'}")
    await show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    await says(page, "Older 39.")
    card = card_on(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    log = card.get_by_role("log")
    below = "log => log.scrollHeight - log.scrollTop - log.clientHeight"
    assert await log.evaluate(below) <= 1
    await page.set_viewport_size({"width": 320, "height": 480})  # a keyboard folds out
    await page.wait_for_timeout(300)
    assert await log.evaluate(below) <= 1
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await broken_rules(page) == []
    await log.evaluate("log => log.scrollTo(0, 900)")
    await pbx.receive(from_number=ANN, text="News")
    newest = card.get_by_role("button", name="1 new text")
    await expect(newest).to_be_visible(timeout=MESSAGES_WITHIN)
    await page.screenshot(path=tmp_path / "narrow.png")
    assert await log.evaluate("log => log.scrollTop + log.clientHeight < log.scrollHeight - 100")
    await newest.click()
    await expect(card.get_by_text("News", exact=True)).to_be_in_viewport()
    moving = (
        "log => [...log.querySelectorAll('.bubble')].filter((one) => getComputedStyle(one).animationName !== 'none')"
    )
    assert await log.evaluate(f"log => ({moving})(log).length") == 0

    box = card.get_by_role("textbox")
    await box.fill("€" * 81)
    await expect(card.get_by_text("2 SMS")).to_be_visible()
    await box.fill("Half a thought")
    await person.click("Weather")
    await person.see("It rains.")

    def reads() -> int:
        return len([one for one in pbx.requests_to("/messages") if one.query.get("limit") == "30"])

    before = reads()
    await pbx.receive(from_number=ANN, text="Unseen")

    async def has_come() -> bool:
        return (await home.states())["event.ann_messages"]["attributes"].get("message") == "Unseen"

    assert await home.wait_for(has_come, timeout=MESSAGES_WITHIN / 1000)
    await page.wait_for_timeout(1500)
    assert reads() == before
    await page.get_by_role("tab").first.click()
    await says(page, "Unseen")
    await expect(card_on(page).get_by_role("textbox")).to_have_value("Half a thought")


async def test_a_high_screen(person: Person, pbx: Simulator, home: RealHome, dashboard: str) -> None:
    """Where the messages of `limit` do not fill it, nobody could scroll to older ones: so they come by themselves.

    A window of messages stays in the page, and rests once there is enough on the side that somebody scrolls to. An
    empty title is none.
    """
    page = person.page
    await page.set_viewport_size({"width": 1280, "height": 2400})
    for number in range(200):
        await pbx.receive(from_number=ANN, text=f"Text {number}.")
    await show(home, [CARD | {"limit": 3, "title": ""}])
    await person.go(f"{dashboard}/texts")
    await says(page, "Text 199.")
    await says(page, "Text 150.")
    card = card_on(page)
    await expect(card.locator("h2")).to_be_hidden()
    log = card.get_by_role("log")
    await log.hover()
    for step, last in ((-700, "Text 0."), (700, "Text 199.")):
        for _ in range(30):
            await page.mouse.wheel(0, step)
            await page.wait_for_timeout(50)
        await expect(card.get_by_text(last, exact=True)).to_be_in_viewport()
        shown = await log.evaluate(RESTS)
        assert shown["changes"] == 0
        assert shown["count"] <= 130


async def test_somebody_who_opted_out(person: Person, pbx: Simulator, home: RealHome, dashboard: str) -> None:
    """The card says so and has no box, until they opt in again."""
    page = person.page
    await show(home, [CARD])
    await person.go(f"{dashboard}/texts")
    box = card_on(page).get_by_role("textbox")
    await expect(box).to_be_visible()
    await pbx.receive(from_number=ANN, text="STOP")
    await expect(card_on(page).get_by_text("Ann has opted out")).to_be_visible(timeout=MESSAGES_WITHIN)
    await expect(box).not_to_be_visible()
    assert await broken_rules(page) == []
    await pbx.receive(from_number=ANN, text="START")
    await expect(box).to_be_visible(timeout=MESSAGES_WITHIN)
    await expect(card_on(page).get_by_text("Ann has opted out")).not_to_be_visible()


async def test_who_may_read_and_who_may_send(browser: Browser, pbx: Simulator, home: RealHome, account: str) -> None:
    """Without permission there is an explanation and no text; with the right to read, the conversation and no box."""
    dashboard = await add_dashboard(home)
    await pbx.receive(from_number=ANN, text="Secret")
    await show(home, [CARD])
    entities = {"reader": {"notify.ann": {"read": True}}, "guest": {"sun.sun": True}}
    await home.add_users({name: {"entities": {"entity_ids": ids}} for name, ids in entities.items()})
    for name in entities:
        context = await browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        await signed_in(page, home, await home.login_of(name))
        await page.goto(f"{home.url}{dashboard}/texts")
        if name == "reader":
            await says(page, "Secret")
        else:
            await expect(card_on(page).get_by_text("You do not have permission")).to_be_visible(timeout=PATIENCE)
            assert "Secret" not in await card_on(page).evaluate("card => card.shadowRoot.textContent")
        await expect(card_on(page).get_by_role("textbox")).not_to_be_visible()
        assert await broken_rules(page) == []
        await context.close()


async def test_the_picture_of_the_readme(
    person: Person, pbx: Simulator, home: RealHome, dashboard: str, tmp_path: Path
) -> None:
    """A conversation on a dashboard, as the README shows it first."""
    page = person.page
    await draw_porch(page.context, tmp_path / "porch.png")
    await pbx.receive(from_number=ANN, text=HELLO)
    media = {"media": "media-source://media_source/local/porch.png"}
    target = {"entity_id": "notify.ann", "message": "A parcel is at the door."}
    await home.call("netsapiens", "send_message", target | media, response=True)
    await pbx.receive(from_number=ANN, text="Thanks! I'll be right down.")
    await show(home, [CARD])
    await page.set_viewport_size({"width": 440, "height": 660})
    await person.go(f"{dashboard}/texts")
    await says(page, "right down")
    await expect(card_on(page).locator(".picture img")).to_have_js_property("complete", True)
    await take_picture(page, "card")
    await look(page, language="de", dark=True)
    await page.reload()
    await says(page, "right down")
    await expect(card_on(page).locator(".picture img")).to_have_js_property("complete", True)
    await page.wait_for_timeout(700)
    await page.screenshot(path=tmp_path / "german-dark.png")
