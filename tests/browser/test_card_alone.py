"""The card by itself, in a page that stands in for Home Assistant: what takes hours, or a home without HTTPS."""

from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, Page, Route, expect
import pytest

FOLDER = Path(__file__).parents[2] / "custom_components" / "netsapiens" / "frontend"
CARD = FOLDER / "netsapiens-conversation-card.js"
ADDRESS = "http://homeassistant.test/"  # as at home: neither encrypted nor this machine
PAGE = """<!doctype html><meta charset=utf-8><body style="height: 600px">
<script type=module>
  import "./card.js";
  const words = (key) => key.split(".").pop();
  const pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==";
  window.asked = 0;
  window.sent = [];
  window.refusal = null; // what sending is answered with
  window.error = null; // why the phone system could not be asked
  window.answers = []; // of what is asked for pictures: an address each, or null where there is none
  window.row = (values) => ({ key: "1", status: "received", at: new Date().toISOString(), order: [0, 1, 1], text: "",
    sender: "Ann", media_type: null, media_content_id: null, ...values });
  const card = document.createElement("netsapiens-conversation-card");
  const base = {
    language: "en", localize: words, connected: true, states: {}, config: { time_zone: "UTC" }, hassUrl: (url) => url,
    locale: { language: "en", time_format: "24", time_zone: "server" },
    loadBackendTranslation: async () => words,
    callWS: async ({ type, message }) => {
      if (type.endsWith("/send")) {
        if (window.refusal) throw window.refusal;
        window.sent.push(message);
        return null;
      }
      if (type !== "media_source/resolve_media") return { messages: [], has_older: false };
      window.asked += 1;
      const url = window.answers.length ? window.answers.shift() : pixel;
      if (url === null) throw { code: "resolve_media_failed" };
      return { url };
    },
    connection: { subscribeMessage: async (take) => {
      setTimeout(() => take({ name: "Ann", is_group: false, is_sms: true, plain_characters: false, can_send: true,
        has_older: false, opted_out: false, error: window.error, messages: window.rows }));
      return () => undefined;
    } },
  };
  window.another = () => {
    const other = document.createElement("netsapiens-conversation-card");
    other.setConfig({ entity: "notify.ann" });
    document.body.append(other);
    other.hass = base;
  };
  window.tell = (values) => { card.hass = { ...base, ...values }; };
  window.start = (rows) => {
    window.rows = rows;
    card.setConfig({ entity: "notify.ann" });
    document.body.append(card);
    window.tell({});
  };
</script>"""
PICTURE = {"media_type": "image/jpeg", "media_content_id": "media-source://netsapiens/x"}


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(locale="en-US", timezone_id="UTC")
    page = await context.new_page()

    async def answer(route: Route) -> None:
        if route.request.url.endswith("card.js"):
            await route.fulfill(path=CARD, content_type="text/javascript")
        elif route.request.url == ADDRESS:
            await route.fulfill(body=PAGE, content_type="text/html")
        else:
            await route.fulfill(status=404)

    await page.route("**/*", answer)
    yield page
    await context.close()


async def show(page: Page, *rows: dict[str, object]) -> None:
    """Open the page, and show messages."""
    await page.goto(ADDRESS)
    await page.evaluate("(rows) => start(rows.map(row))", list(rows))


async def test_a_picture_that_could_not_be_had_is_asked_for_again(page: Page) -> None:
    """When it is selected, and when the connection is there again; not by itself, again and again."""
    await page.goto(ADDRESS)
    await page.evaluate("answers.push(null, null, '/gone.jpg')")
    await page.evaluate("(values) => start([row(values)])", PICTURE)
    picture = page.locator(".picture")
    await expect(picture).to_have_text("card_picture")
    for asked in (2, 3):  # once there is no address, once nothing at it
        await picture.click()
        await page.wait_for_function("(count) => asked === count", arg=asked)
        await expect(picture).to_have_text("card_picture")
    await page.wait_for_timeout(500)
    assert await page.evaluate("asked") == 3
    await expect(page.locator("dialog")).not_to_be_visible()
    await page.evaluate("tell({ connected: false }); tell({ connected: true });")
    await expect(picture.locator("img")).to_have_js_property("naturalWidth", 1)
    await picture.click()
    await expect(page.locator("dialog img")).to_have_js_property("naturalWidth", 1)
    assert await page.evaluate("asked") == 4


async def test_a_day_ends(page: Page) -> None:
    """The next morning, the messages of the day before are no longer today's, though none came."""
    await page.clock.install(time="2026-11-27T23:50:00Z")
    await show(page, {"text": "Door open"})
    day = page.locator(".day")
    await expect(day).to_have_text("card_today")
    await page.clock.fast_forward("09:00:00")
    await page.evaluate("tell({ states: {} })")
    await expect(day).to_have_text("card_yesterday")


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_a_code_is_copied_without_https(page: Page, is_allowed: bool) -> None:
    """Where there is no clipboard to write to, as a selection; "Copied" is only said where that is so."""
    await show(page, {"text": "Your code is 481516"})
    assert await page.evaluate("navigator.clipboard === undefined")
    if not is_allowed:
        await page.evaluate("document.execCommand = () => false")
    code = page.get_by_role("button", name="481516")
    await code.click()
    said = page.get_by_role("status").filter(has_text="card_copied")
    await expect(said).to_have_count(1 if is_allowed else 0)
    await expect(code).to_be_focused()
    await expect(page.locator("textarea")).to_have_count(1)  # the box to answer in
    if is_allowed:
        await page.locator("textarea").focus()
        await page.keyboard.press("Control+V")
        await expect(page.locator("textarea")).to_have_value("481516")


LINKS = {
    "Motion at 2026-11-28 00:47:07": [],
    "2026-11-28 00:47:07.123456+00:00": [],
    "2026-11-28 14 h": [],
    "28.11.2026 14:05": [],
    "28.11.26 14.05": [],
    "28.11.2026-30.11.2026": [],
    "11/28/2026 14": [],
    "Router is 192.168.100.200 now": [],
    "http is at 192.168.100.200:8123": [],
    "19.5 20.1 21.3 20.9 C": [],
    "It is at 48.8583701, 2.2944813": [],
    "1.234.567.890 and 1234567890.50": [],
    "DE89 3704 0044 0532 0130 00": [],
    "GB29 NWBK 6016 1331 9268 19": [],
    "call (858) 555-0123": ["tel:8585550123 (858) 555-0123"],
    "(call (858) 555-0123)": ["tel:8585550123 (858) 555-0123"],
    "(8585550123)": ["tel:8585550123 8585550123"],
    "+1 (858) 555-0123, please": ["tel:+18585550123 +1 (858) 555-0123"],
    "(+49) 176 12345678": ["tel:+4917612345678 (+49) 176 12345678"],
    "Tel:0176 12345678.": ["tel:017612345678 0176 12345678"],
    "858.555.0123": ["tel:8585550123 858.555.0123"],
    "06.12.34.56.78": ["tel:0612345678 06.12.34.56.78"],
    "044.123.45.67": ["tel:0441234567 044.123.45.67"],
    "0176.12345678": ["tel:017612345678 0176.12345678"],
    "2026-11-28 00:47 0176 12345678 10:30": ["tel:017612345678 0176 12345678"],
    "DE89 3704 0044 0532 0130 00 0176 12345678": ["tel:017612345678 0176 12345678"],
    "(HTTPS://a.example/x).": ["https://a.example/x HTTPS://a.example/x"],
    "https://a.example/2026-11-28/192.168.1.10": [
        "https://a.example/2026-11-28/192.168.1.10 https://a.example/2026-11-28/192.168.1.10"
    ],
    "https://a.example/wiki/A_(b)": ["https://a.example/wiki/A_(b) https://a.example/wiki/A_(b)"],
}


async def test_what_is_a_link(page: Page) -> None:
    """Addresses and phone numbers are; dates, times, measurements and account numbers are not."""
    await show(page, *({"key": str(at), "order": [0, 1, at], "text": text} for at, text in enumerate(LINKS)))
    await expect(page.locator(".bubble")).to_have_count(len(LINKS))
    found = await page.locator(".bubble").evaluate_all(
        """(all) => all.map((one) => [one.textContent,
          [...one.querySelectorAll("a")].map((link) => `${link.href} ${link.textContent}`)])"""
    )
    assert dict(found) == LINKS


ENDLESS = ["1.1 ", "1 ", "(1", "1", "2026-11-28 ", "1.1.1.", "AB12 ", "1.11111-", "http://("]


async def test_long_texts_are_read_in_no_time(page: Page) -> None:
    """Each character of them is looked at a few times, whatever it looks like."""
    texts = [part * (100_000 // len(part)) for part in ENDLESS]
    await show(page, *({"key": str(at), "order": [0, 1, at], "text": text} for at, text in enumerate(texts)))
    await expect(page.locator(".bubble")).to_have_count(len(ENDLESS), timeout=10_000)


async def test_two_cards_show_what_is_written_to_one_recipient(page: Page) -> None:
    """As a card and its preview in the editor do: what is sent is what the box shows."""
    await show(page)
    await page.evaluate("another()")
    first, second = page.locator("textarea").nth(0), page.locator("textarea").nth(1)
    await first.fill("First")
    await expect(second).to_have_value("First")
    await second.fill("Second")
    await expect(first).to_have_value("Second")
    await first.press("Enter")
    await expect(second).to_have_value("")
    assert await page.evaluate("sent") == ["Second"]


async def test_a_connection_that_is_lost_has_words(page: Page) -> None:
    """Home Assistant's own; the text stays in the box."""
    await show(page)
    await page.evaluate("refusal = { type: 'result', success: false, error: { code: 3, message: 'Connection lost' } }")
    await page.locator("textarea").fill("Hi")
    await page.locator("textarea").press("Enter")
    await expect(page.locator(".banner")).to_have_text("connection_lost")
    await expect(page.locator("textarea")).to_have_value("Hi")


async def test_what_could_not_be_read_is_not_empty(page: Page) -> None:
    """Nor is it said that something was not sent, where the words come late."""
    await page.goto(ADDRESS)
    await page.evaluate("""() => {
      error = { translation_key: "cannot_connect", placeholders: {} };
      let asked = 0;
      const words = (key) => (key.includes("exceptions") && (asked += 1) < 3 ? "" : key.split(".").pop());
      start([]);
      tell({ localize: (key) => (key.includes("exceptions") ? "" : key), loadBackendTranslation: async () => words });
    }""")
    await expect(page.locator(".banner")).to_have_text("message")
    await expect(page.get_by_text("card_empty")).to_have_count(0)


async def test_a_number_is_read_from_left_to_right(page: Page) -> None:
    """Also in a text in Arabic or Hebrew."""
    await show(page, {"text": "طلب (050-123-4567) call"})
    await expect(page.locator(".bubble a")).to_have_attribute("dir", "ltr")
