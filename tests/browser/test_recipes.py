"""The recipes of the README in the demo's house: 1, 3 and 4 clicked together, the others as they stand."""

from collections.abc import AsyncIterator
from pathlib import Path
import re
from typing import Any

from playwright.async_api import Page, expect
import pytest
import yaml

from scripts.demo_house import SENSORS, furnish
from tests.browser.conftest import opened
from tests.browser.person import Person
from tests.real_home import RealHome
from tests.simulator import Simulator

type Texts = list[tuple[str, list[str], str]]

README = (Path(__file__).resolve().parent.parent.parent / "README.md").read_text(encoding="utf-8")
ANN, BEN = ["18585550123"], ["18585550124"]
WET = "The sensor under the kitchen sink is wet."
ASKED = "{{ trigger.to_state.attributes.message | trim | lower == 'garage' }}"
ANSWER = "The garage door is {{ state_translated('binary_sensor.garage_door') | lower }}."
QUESTION = "The garage is open. Close it?"
ANSWERS = {"close": ("Close it", "yes"), "leave": ("Leave it", "no")}

AS_THEY_STAND = ("### 2. Who is at the door", "### 5. An alert", "### 6. Several people")


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
def config() -> str:
    """What stands in configuration.yaml."""
    return SENSORS


@pytest.fixture
async def home(config: str) -> AsyncIterator[RealHome]:
    async with opened(RealHome(extra=config, editable=True)) as house:
        yield house


@pytest.fixture
async def dashboard(home: RealHome, pbx: Simulator, account: str) -> str:
    """The path of the demo's dashboard."""
    return (await furnish(home, f"{pbx.url}/phone")).removeprefix(home.url)


async def test_recipes_1_3_and_4_clicked_together(person: Person, pbx: Simulator, dashboard: str) -> None:
    """A person builds a leak alert, a question and an answer in the automation editor; all three work side by side."""
    await _build_the_alert(person)
    await _build_the_question(person)
    await _build_the_answer(person)

    await person.go(dashboard)
    await person.click("Make it leak, or dry it")
    await person.see("Wet")
    await person.click("Open the simulated phone")
    phone = await _phone(person)
    await _look_up(phone, "hello")
    await expect(phone.get_by_role("alert").filter(has_text="“hello” is neither a name nor")).to_be_visible()
    await _look_up(phone, "Ann")
    await expect(phone.locator("#who")).to_have_text("Ann, (858) 555-0123")
    await _shows(phone, WET)
    await person.page.bring_to_front()
    await person.click("Open or close it")  # the door opens
    await person.see("Open", exact=True)
    await _shows(phone, QUESTION)
    await _text(phone, "Garage")
    await _shows(phone, "The garage door is open.")
    await _text(phone, "1")
    await person.see("Closed")
    await _text(phone, "Garage")
    await _shows(phone, "The garage door is closed.")
    question = f"{QUESTION}\n1 Close it\n2 Leave it"
    texts = [WET, question, "The garage door is open.", "The garage door is closed."]
    assert [(row.text, row.destination) for row in pbx.messages] == [(text, ANN) for text in texts]
    assert [row.requested_session for row in pbx.messages[2:]] == [pbx.inbound[0].messagesession] * 2


async def _build_the_alert(person: Person) -> None:
    """Recipe 1."""
    await person.start_automation()
    await person.add_by_target("trigger", "Kitchen sink", "Kitchen sink", "Moisture detected")
    await person.add_by_target("action", "Ann", "Ann", "Send a notification message")
    await person.setting("Your notification message.").locator("input").fill(WET)
    await person.save_automation("Leak by clicks")


async def _build_the_question(person: Person) -> None:
    """Recipe 3, when the door opens instead of at 23:00."""
    await person.start_automation()
    await person.add_by_target("trigger", "Garage", "Garage", "Garage door opened")
    await person.add_by_target("action", "Ann", "Ann", "Ask a question")
    await person.setting("What to ask.").locator("textarea").fill(QUESTION)
    for answer, sentences in ANSWERS.items():
        await _add_answer(person, answer, sentences)
    response = person.setting("This action returns a response").locator("input")
    await response.click()
    await person.page.keyboard.type("answer")
    await person.page.keyboard.press("Tab")  # what is typed there counts once the field is left
    await person.page.wait_for_timeout(500)
    await person.add_by_name("action", "If-then", "If-then")
    await _add_template(person, "{{ answer.id == 'close' }}", within="If:")
    await person.add_by_target("action", "Garage", "Garage", "Close cover", within="Then:")
    await person.save_automation("Garage by question")


async def _add_answer(person: Person, answer: str, sentences: tuple[str, ...]) -> None:
    """Add an answer to a question."""
    row = person.setting("The answers to choose from.")
    await row.get_by_role("button", name="Add", exact=True).click()
    dialog = person.page.locator("dialog-form")
    await dialog.locator("input").locator("visible=true").first.fill(answer)
    for sentence in sentences:
        fields = await dialog.locator("input").count()
        await dialog.get_by_role("button", name="Add Sentences").click()
        await expect(dialog.locator("input")).to_have_count(fields + 1)
        await dialog.locator("input").locator("visible=true").last.fill(sentence)
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(row.get_by_text(", ".join(sentences))).to_be_visible()


async def _add_template(person: Person, template: str, *, within: str = "") -> None:
    """Add a condition."""
    await person.add_by_name("condition", "Template", "Template", within=within)
    await person.page.locator(".cm-content").locator("visible=true").last.click()
    await person.page.keyboard.insert_text(template)


async def _build_the_answer(person: Person) -> None:
    """Recipe 4. Its text is for nobody but a conversation, which the editor has a red warning for."""
    await person.start_automation()
    await person.add_by_target("trigger", "Ann", "Messages", "Event received")
    await person.choose("Event type", "Received")
    await person.page.keyboard.press("Escape")
    await _add_template(person, ASKED)
    await person.add_by_name("action", "netsapiens", "NetSapiens: Send a text")
    await _fill(person, "The text.", ANSWER)
    await person.click("How to send")  # its fields are folded away
    await person.page.wait_for_timeout(500)  # they fold out
    await _fill(person, "Continues this conversation", "{{ trigger.to_state.attributes.messagesession }}")
    await person.save_automation("Garage by text")
    await person.page.reload()
    await expect(person.page.locator(".target.error").get_by_text("No target set")).to_be_visible()  # see the docs


@pytest.mark.parametrize("config", [recipes()])
async def test_recipes_2_5_and_6_as_they_stand(person: Person, home: RealHome, pbx: Simulator, dashboard: str) -> None:
    """What a person sets off on the dashboard is texted as the README says."""

    async def sent(expected: Texts) -> None:
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


async def _fill(person: Person, what: str, words: str) -> None:
    """Tick an optional field of the action, and fill it in."""
    row = person.setting(what)
    await row.locator("[slot=heading]").first.click()
    await row.locator("textarea, input:not([type=checkbox])").last.fill(words)


async def _phone(person: Person) -> Page:
    """Return the tab that the dashboard's link opens."""
    context = person.page.context
    return context.pages[-1] if len(context.pages) > 1 else await context.wait_for_event("page")


async def _look_up(phone: Page, who: str) -> None:
    """Open a conversation by name or number."""
    await phone.locator("#number").fill(who)
    await phone.keyboard.press("Enter")


async def _shows(phone: Page, text: str) -> None:
    """Wait until the phone shows a text."""
    await expect(phone.locator("#bubbles").get_by_text(text).last).to_be_visible()


async def _text(phone: Page, words: str) -> None:
    """Text as the person whose phone it is."""
    await phone.get_by_placeholder("Text message").fill(words)
    await phone.keyboard.press("Enter")


async def test_blueprints_offer_recipients_only(person: Person, account: str) -> None:
    """Who may text is chosen among the recipients; the account, for which any text counts, is not among them."""
    for blueprint in ("NetSapiens: text your home", "NetSapiens: a command by text"):
        await person.go("/config/blueprint/dashboard")
        await person.click(blueprint)
        await person.see("Who may text")
        await person.click("Select a device")
        offered = person.page.locator("ha-combo-box-item").locator("visible=true").filter(has_text="1001@acme.example")
        await expect(offered).to_have_count(1)
        await expect(offered.get_by_text("Ann", exact=True)).to_be_visible()
