"""What the pages of Home Assistant show of an account: wide, light and English, and narrow, dark and German.

Other than in the dialogs' test the house speaks the language as well: names of devices and entities are its own.
"""

from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, expect
import pytest

from tests.browser.conftest import EXTRA, opened
from tests.browser.viewer import Json, Look, Viewer, viewed
from tests.real_home import RealHome
from tests.simulator import Simulator

ENGLISH, GERMAN = Look("en", 1280, "light"), Look("de", 390, "dark")
# Home Assistant's own words.
PERFORM = {"en": "Perform action", "de": "Aktion ausführen"}
UNAVAILABLE = {"en": "Unavailable", "de": "Nicht verfügbar"}
UNKNOWN = {"en": "Unknown", "de": "Unbekannt"}
ACTIVITY = {"en": "Activity", "de": "Aktivität"}
REPAIRS = "/config/repairs"
# Where Home Assistant's tools keep the action that was filled in last.
LAST_ACTION = "(action) => localStorage.setItem('panel-dev-action-state-service-data', JSON.stringify(action))"
ANN, BEN = "18585550123", "18585550124"


@pytest.fixture(params=[ENGLISH, GERMAN], ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    """How the pages are looked at."""
    chosen: Look = request.param
    return chosen


@pytest.fixture
async def home(look: Look, tmp_path: Path) -> AsyncIterator[RealHome]:
    """A house that speaks the language."""
    extra = f"{EXTRA.format(media=tmp_path)}  language: {look.language}\nrepairs:\n"
    async with opened(RealHome(extra=extra)) as house:
        yield house


@pytest.fixture
async def viewer(browser: Browser, home: RealHome, look: Look, tmp_path: Path) -> AsyncIterator[Viewer]:
    async with viewed(browser, home, [look], tmp_path) as one:
        yield one


async def test_devices_and_actions(viewer: Viewer, home: RealHome, account: str) -> None:
    """Devices show numbers as people write them; what an action refuses is said in the form's words."""
    own = viewer.strings["common"]
    await open_device(viewer, home, "1001@acme.example")
    await viewer.see(own["device_sender"].format(number="(858) 555-0199"))
    await viewer.see("NetSapiens API 45.0")
    await viewer.shoot("account")
    await open_device(viewer, home, "Ann")
    await viewer.see(own["device_number"].format(numbers="0123"))
    await viewer.shoot("ann")

    await open_action(viewer, "notify.netsapiens_ann")
    await viewer.see(own["action_recipient_name"].format(recipient="Ann"))
    await viewer.see(own["action_recipient_description"].format(recipient="Ann", account="1001@acme.example"))
    await viewer.shoot("action-by-name")

    errors = viewer.strings["exceptions"]
    name = errors["sender_without_number"]["message"].format(sender="hello")
    fragment = errors["invalid_number"]["message"].format(number="555-0123")
    service = viewer.strings["services"]["send_message"]
    fields = service["fields"]
    await open_action(viewer, "netsapiens.send_message")
    await viewer.see(fields["group"]["description"])
    labels = await viewer.page.locator("ha-settings-row [slot=heading]").locator("visible=true").all_inner_texts()
    assert [label.strip() for label in labels][:2] == [fields["destination"]["name"], fields["group"]["name"]]
    await fill_field(viewer, fields["message"]["description"], "Hello")
    numbers = viewer.setting(fields["destination"]["description"])
    await numbers.locator("ha-checkbox").click()
    await numbers.get_by_role("button").last.click()
    for typed, error in (("hello", name), ("555-0123", fragment)):
        await numbers.locator("input[type=tel]").fill(typed)
        await viewer.page.get_by_role("button", name=PERFORM[viewer.look.language]).click()
        await viewer.see(error)
        await viewer.shoot(f"refused-{typed}")
        await expect(viewer.page.get_by_role("button", name=PERFORM[viewer.look.language])).to_be_visible()


async def test_what_an_action_refuses(viewer: Viewer, account: str) -> None:
    """A type that does not reach a number, and a sender that is not ours: the error says what can be done."""
    errors, perform = viewer.strings["exceptions"], PERFORM[viewer.look.language]
    phone, extension = "(858) 555-0123", "1002"
    refused = {
        "chat_to_phone_number": {"destination": phone, "message_type": "chat"},
        "mms_to_extension": {"destination": extension, "message_type": "mms"},
        "foreign_sender": {"destination": phone, "from_number": "(212) 555-0100"},
    }
    placeholders = {
        "chat_to_phone_number": {"message_type": "chat", "number": "…0123"},
        "mms_to_extension": {"number": "…1002"},
        "foreign_sender": {"number": "…0100", "numbers": "…0199"},
    }
    await viewer.go("/config/tools/action")
    for key, data in refused.items():
        action = {"action": "netsapiens.send_message", "target": {}, "data": {"message": "Hello", **data}}
        await viewer.page.evaluate(LAST_ACTION, action)
        await viewer.go("/config/tools/action")
        await viewer.page.get_by_role("button", name=perform).click()
        await viewer.see(errors[key]["message"].format(**placeholders[key]))
        await viewer.shoot(key)


async def test_repairs_and_activity(viewer: Viewer, home: RealHome, pbx: Simulator, account: str) -> None:
    """Activity tells the truth, and repair issues say what to do in plain words."""
    language, issues = viewer.look.language, viewer.strings["issues"]
    form = await home.start_subentry_flow(account)
    await home.subentry_step(form["flow_id"], {"name": "Ben", "destination": [BEN], "group": False})
    await pbx.receive(from_number=ANN, text="Hello")
    await open_device(viewer, home, "Ann")
    received = viewer.strings["entity"]["event"]["messages"]["state_attributes"]["event_type"]["state"]["received"]
    await viewer.see(received)
    (ben,) = [row for row in await home.subentries(account) if row["title"] == "Ben"]
    await home.delete_subentry(account, ben["subentry_id"])
    await let_a_text_wait(home, pbx)
    await open_device(viewer, home, "Ann")
    await viewer.see(ACTIVITY[language])
    await viewer.see(received)
    await viewer.see(UNKNOWN[language])  # when the last text went: none did
    await expect(viewer.page.get_by_text(UNAVAILABLE[language])).to_have_count(0)
    await viewer.shoot("activity")

    await choose_push(home, account)
    await open_issue(viewer, issues["push_without_url"])
    step = issues["push_without_url"]["fix_flow"]["step"]["confirm"]
    await viewer.check("push-without-url", step)
    await viewer.press(step["submit"])

    async def polls() -> bool:
        flow = await home.start_options_flow(account)
        return {"name": "incoming", "default": "poll"}.items() <= chosen(flow, "incoming").items()

    assert await home.wait_for(polls, timeout=20)

    await home.delete(f"/api/config/config_entries/entry/{account}")
    await open_issue(viewer, issues["text_dropped"])
    await viewer.check("text-dropped", issues["text_dropped"]["fix_flow"]["step"]["confirm"])
    assert not viewer.faults, "\n".join(viewer.faults)


async def open_device(viewer: Viewer, home: RealHome, name: str) -> None:
    """Open the page of a device."""
    (device,) = [row for row in await home.command("config/device_registry/list") if row["name"] == name]
    await viewer.go(f"/config/devices/device/{device['id']}")


async def open_action(viewer: Viewer, action: str) -> None:
    """Open an action in Home Assistant's tools."""
    await viewer.go(f"/config/tools/action?service={action}")


async def fill_field(viewer: Viewer, description: str, words: str) -> None:
    """Tick a field of an action, and fill it in."""
    row = viewer.setting(description)
    await row.locator("ha-checkbox").click()
    await row.locator("textarea").first.fill(words)


async def open_issue(viewer: Viewer, issue: Json) -> None:
    """Open the dialog of a repair issue."""
    await viewer.go(REPAIRS)
    await viewer.click(issue["title"])


async def let_a_text_wait(home: RealHome, pbx: Simulator) -> None:
    """Send a text to Ann after the password has changed."""
    pbx.first_user.password = "another-password"
    pbx.revoke_tokens(refresh=True)
    await home.call("notify", "send_message", {"entity_id": "notify.ann", "message": "Hello"})


async def choose_push(home: RealHome, account: str) -> None:
    """Choose push where no address is known that the PBX could reach."""
    flow = await home.start_options_flow(account)
    kept = {row["name"]: row["default"] for row in flow["data_schema"] if "default" in row}
    await home.options_step(flow["flow_id"], {**kept, "incoming": "push"})


def chosen(flow: Json, name: str) -> Json:
    """Return a field of a form."""
    return next(row for row in flow["data_schema"] if row["name"] == name)
