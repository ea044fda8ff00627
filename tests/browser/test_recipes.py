"""The recipes of the README in the demo's house: 1 and 3 clicked together, the others as they stand."""

from collections.abc import AsyncIterator
from pathlib import Path
import re
from typing import Any

from playwright.async_api import expect
import pytest
import yaml

from scripts.demo_house import SENSORS, furnish
from tests.browser.conftest import opened
from tests.browser.person import MESSAGES_WITHIN, Person
from tests.real_home import RealHome
from tests.simulator import Simulator

README = (Path(__file__).resolve().parent.parent.parent / "README.md").read_text(encoding="utf-8")
ANN, BEN = ["18585550123"], ["18585550124"]
WET = "The sensor under the kitchen sink is wet."
ASKED = "{{ trigger.to_state.attributes.message | trim | lower == 'garage' }}"
ANSWER = "The garage door is {{ state_translated('binary_sensor.garage_door') | lower }}."


AS_THEY_STAND = ("### 2. Who is at the door", "### 4. An alert", "### 5. Several people")


def recipes() -> str:
    """Return what the README says to put into configuration.yaml, beside what the editors of this house include."""
    config: dict[str, Any] = yaml.safe_load(SENSORS)
    for heading in AS_THEY_STAND:
        block = re.search(r"```yaml\n(.*?)```", README[README.index(heading) :], re.DOTALL)
        assert block is not None
        for domain, what in yaml.safe_load(block[1]).items():
            config[f"{domain} readme" if domain in ("automation", "script") else domain] = what
    return yaml.safe_dump(config, sort_keys=False)


@pytest.fixture
async def home() -> AsyncIterator[RealHome]:
    async with opened(RealHome(extra=recipes(), editable=True)) as house:
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


async def test_recipes_2_4_and_5_as_they_stand(person: Person, home: RealHome, pbx: Simulator, dashboard: str) -> None:
    """What a person sets off on the dashboard is texted as the README says."""

    async def sent(expected: list[tuple[str, list[str], str]]) -> None:
        """Wait for texts; those that came before are not looked at again."""

        async def came() -> bool:
            return len(pbx.messages) >= len(expected)

        await home.wait_for(came, timeout=60)
        assert [(row.type, row.destination, row.text) for row in pbx.messages] == expected
        pbx.messages.clear()

    await person.go(dashboard)
    await person.click("Ring the doorbell")
    await sent([("sms", ANN, "Somebody is at the door."), ("mms", ANN, "Doorbell")])
    await person.click("Open or close it")
    await sent([("sms", ANN, "The garage door is open")])
    await person.click("Open or close it")
    await sent([("sms", ANN, "The garage door is closed.")])

    await home.call("script", "dinner", {})
    await sent([("sms", [*ANN, *BEN], "Dinner is ready.")])
    await home.call("notify", "everybody", {"message": "Now."})
    await sent([("sms", ANN, "Now."), ("sms", BEN, "Now.")])


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
    await person.page.reload()
    await expect(person.page.locator(".target.error").get_by_text("No target set")).to_be_visible()  # see the docs

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
