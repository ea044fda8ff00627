"""Recipes 1 and 3 of the README, clicked together in the demo's house as a person would."""

from collections.abc import AsyncIterator

from playwright.async_api import expect
import pytest

from scripts.demo_house import SENSORS, furnish
from tests.browser.person import MESSAGES_WITHIN, Person
from tests.real_home import RealHome
from tests.simulator import Simulator

WET = "The sensor under the kitchen sink is wet."
ASKED = "{{ trigger.to_state.attributes.message | trim | lower == 'garage' }}"
ANSWER = "The garage door is {{ state_translated('binary_sensor.garage_door') | lower }}."


@pytest.fixture
async def home() -> AsyncIterator[RealHome]:
    async with RealHome(extra=SENSORS, editable=True) as house:
        yield house


@pytest.fixture
async def dashboard(home: RealHome, pbx: Simulator, account: str) -> str:
    """The path of the demo's dashboard."""
    return (await furnish(home, f"{pbx.url}/phone")).removeprefix(home.url)


async def test_recipe_1_a_leak(person: Person, pbx: Simulator, dashboard: str) -> None:
    await person.start_automation()
    await person.add_by_target("trigger", "Kitchen sink", "Kitchen sink", "Moisture detected")
    await person.add_by_target("action", "Ann", "Ann", "Send a notification message")
    await person.setting("Your notification message.").locator("input").fill(WET)
    await person.save_automation("Leak by clicks")

    await person.go(dashboard)
    await person.click("Make it leak, or dry it")
    await person.see("Wet")
    await person.click("Open the simulated phone")
    await _phone_shows(person, WET)
    assert [(row.text, row.destination) for row in pbx.messages] == [(WET, ["18585550123"])]


async def test_recipe_3_an_answer_to_a_text(person: Person, pbx: Simulator, dashboard: str) -> None:
    await person.start_automation()
    await person.add_by_target("trigger", "Ann", "Messages", "Event received")
    await person.choose("Event type", "Received")
    await person.page.keyboard.press("Escape")
    await person.add_by_name("condition", "Template", "Template")
    await person.page.locator(".cm-content").locator("visible=true").first.click()
    await person.page.keyboard.insert_text(ASKED)
    await person.add_by_name("action", "netsapiens", "NetSapiens: Send a text")
    await _fill(person, "The text.", ANSWER)
    await person.click("How to send")  # its fields are folded away
    await _fill(person, "Continues this conversation", "{{ trigger.to_state.attributes.messagesession }}")
    await person.save_automation("Garage by text")

    phone = await person.page.context.new_page()
    await phone.goto(f"{pbx.url}/phone")
    await phone.locator("#number").fill("hello")
    await phone.keyboard.press("Enter")
    await expect(phone.get_by_role("alert").filter(has_text="“hello” is neither a name nor")).to_be_visible()
    await phone.locator("#number").fill("Ann")
    await phone.keyboard.press("Enter")
    await phone.get_by_placeholder("Text message").fill("Garage")
    await phone.keyboard.press("Enter")
    await expect(phone.get_by_text("The garage door is closed.").locator("visible=true").first).to_be_visible(
        timeout=MESSAGES_WITHIN
    )
    assert [(row.text, row.requested_session) for row in pbx.messages] == [
        ("The garage door is closed.", pbx.inbound[0].messagesession)
    ]


async def _fill(person: Person, what: str, words: str) -> None:
    """Tick an optional field of the action, and fill it in."""
    row = person.setting(what)
    await row.locator("[slot=heading]").first.click()
    await row.locator("textarea, input:not([type=checkbox])").last.fill(words)


async def _phone_shows(person: Person, text: str) -> None:
    """The dashboard's link opens the phone in a tab of its own."""
    pages = person.page.context.pages
    if len(pages) < 2:
        await person.page.context.wait_for_event("page")
    phone = person.page.context.pages[-1]
    await expect(phone.locator("#bubbles").get_by_text(text)).to_be_visible()
    await expect(phone.locator("#who")).to_have_text("Ann, (858) 555-0123")
