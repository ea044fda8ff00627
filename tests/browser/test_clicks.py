"""Everything that a person does with the integration, done in a browser."""

import json
from pathlib import Path

from playwright.async_api import expect

from tests.browser.person import Person, take_picture
from tests.real_home import RealHome
from tests.simulator import Simulator, SmsNumber

PORCH = """
<svg xmlns="http://www.w3.org/2000/svg" width="640" height="420">
<rect width="640" height="420" fill="#c9b8a3"/>
<rect y="320" width="640" height="100" fill="#8c8378"/>
<rect x="230" y="50" width="180" height="275" rx="4" fill="#2f4a4a"/>
<rect x="255" y="75" width="130" height="90" fill="#9fc3cf"/>
<circle cx="390" cy="195" r="7" fill="#d9b45b"/>
<rect x="70" y="70" width="100" height="130" fill="#86a9b6"/>
<rect x="420" y="265" width="120" height="85" fill="#b98a54"/>
<rect x="472" y="265" width="16" height="85" fill="#8f6a3f"/>
<rect width="640" height="34" fill="#00000088"/>
<text x="12" y="23" font-family="monospace" font-size="17" fill="#fff">FRONT DOOR</text>
</svg>
"""


async def test_add_an_account_and_a_recipient(person: Person, pbx: Simulator, home: RealHome) -> None:
    """Somebody new gets from nothing to a recipient, with the usual mistakes on the way."""
    pbx.first_user.numbers.append(SmsNumber("18585550198"))
    account = dict(pbx.account)
    await person.start_adding("User name and password")
    await person.fill({**account, "base_url": "http://127.0.0.1:1", "password": "not-this-one"})
    await person.press("Submit")
    await person.see("The phone system could not be reached")
    assert await person.typed("password") == "not-this-one"  # only the address was wrong
    await person.fill({"base_url": account["base_url"]})
    await person.press("Submit")
    await person.see("Passwords and secrets that you typed must be entered again.")
    assert await person.typed("username") == account["username"]
    assert await person.typed("password") == await person.typed("client_secret") == ""

    await person.fill({key: account[key] for key in ("client_secret", "password")})
    await person.press("Submit")
    await person.see("Which number do texts come from?")
    await person.start_adding("User name and password")  # the page was closed; a new try takes over
    await person.fill(account)
    await person.press("Submit")
    await person.see("Which number do texts come from?")
    await person.choose("Sender number", "(858) 555-0198")
    await person.press("Submit")
    await person.press("Skip and finish")

    await person.open_integration()
    await person.press("Add recipient")
    await person.fill({"name": "Ann"})
    number = person.page.locator("ha-form input[type=tel]")
    await number.fill("555-01, (858) 555-0123")
    await person.press("Submit")
    await person.see("Not a number that can be texted: 555-01.")
    await number.fill("(858) 555-0123")
    await person.press("Submit")
    await person.see("Created configuration for Ann.")
    await person.press("Finish")
    await person.see("Recipient")

    assert "notify.ann" in await home.states()
    await home.call("notify", "send_message", {"entity_id": "notify.ann", "message": "Hello"})
    assert [(row.from_number, row.destination) for row in pbx.messages] == [("18585550198", ["18585550123"])]


async def test_a_key_of_the_whole_domain(person: Person, pbx: Simulator) -> None:
    """The way in by a key that belongs to no single user."""
    pbx.add_user("1002@acme.example", numbers=["18585550188"])
    key = pbx.add_key("nsd_").key
    await person.start_adding("API key")
    await person.fill({"base_url": pbx.url, "api_key": pbx.add_key(read_only=True).key})
    await person.press("Submit")
    await person.see("This API key is read-only.")
    await person.fill({"api_key": key})
    await person.press("Submit")
    await person.see("Whose texts are they?")
    await person.fill({"user": "1001"})
    await person.press("Submit")
    await person.see("Which number do texts come from?")
    await person.choose("Sender number", "(858) 555-0188 · 1002")
    await person.press("Submit")
    await person.press("Skip and finish")
    await person.open_integration()
    await person.see("1001@acme.example")


async def test_send_from_the_actions_tool_and_get_a_reply(
    person: Person, account: str, pbx: Simulator, home: RealHome, tmp_path: Path
) -> None:
    """A text goes out from the developer tools, and its answer shows."""
    await person.open_integration()
    await person.see("Ann")
    await person.picture("recipients", height=720)

    await person.go("/config/tools/action")
    await person.choose("Action", "netsapiens.send_message", search="netsapiens")
    await person.choose("Add target", "Ann", search="Ann")
    row = person.page.locator("ha-settings-row").filter(has_text="The text.")
    await row.locator("[slot=heading]").first.click()
    await row.locator("textarea").first.fill("The washing machine is done.")
    await person.picture("action", height=1200)
    await person.press("Perform action")
    await person.see("status: sent")
    assert [(row.text, row.destination) for row in pbx.messages] == [("The washing machine is done.", ["18585550123"])]

    await _send_the_porch(person, home, tmp_path)
    phone = await person.page.context.new_page()
    await phone.set_viewport_size({"width": 960, "height": 760})
    await phone.goto(f"{pbx.url}/phone")
    await phone.get_by_placeholder("Text message").fill("Thanks! I'll be right down.")
    await phone.keyboard.press("Enter")

    await person.open_integration()
    await person.page.locator("ha-config-entry-device-row").filter(has_text="Ann").locator("visible=true").click()
    await person.see("Received")
    await person.picture("device", height=680)
    await person.click("Messages")
    await person.press_icon("Menu", of="ha-more-info-dialog")
    await person.click("Details")
    reply = person.page.get_by_role("listitem").filter(has_text="Thanks! I'll be right down.")
    await expect(reply).to_be_visible()
    await take_picture(phone, "phone")


async def _send_the_porch(person: Person, home: RealHome, folder: Path) -> None:
    """Text what a camera would see, from the media folder."""
    sketch = await person.page.context.new_page()
    await sketch.set_content(PORCH)
    await sketch.locator("svg").screenshot(path=folder / "Porch.png")
    await sketch.close()
    data = {"entity_id": "notify.ann", "message": "A parcel is at the door."}
    answer = await home.call(
        "netsapiens", "send_message", {**data, "media": "media-source://media_source/local/Porch.png"}, response=True
    )
    assert answer.status == 200, answer


async def test_diagnostics_can_be_downloaded_and_shown_to_anybody(
    person: Person, account: str, pbx: Simulator, tmp_path: Path
) -> None:
    """What is downloaded holds nothing private."""
    async with person.page.expect_download() as download:
        await person.open_menu("Download diagnostics")
    await (await download.value).save_as(tmp_path / "diagnostics.json")
    text = (tmp_path / "diagnostics.json").read_text(encoding="utf-8")
    assert json.loads(text)["data"]["account"]["version"] == "45.0"
    private = ("8585550123", "8585550199", "Ann", pbx.account["password"], pbx.account["client_secret"])
    assert [word for word in private if word in json.dumps(json.loads(text)["data"])] == []


async def test_sign_in_again_after_the_password_changed(
    person: Person, account: str, pbx: Simulator, home: RealHome
) -> None:
    """From the repair to a login that works."""
    pbx.first_user.password = "another-password"
    pbx.revoke_tokens(refresh=True)
    await home.call("notify", "send_message", {"entity_id": "notify.ann", "message": "Hello"})
    await person.go("/config/integrations/dashboard")
    await person.press("Reconfigure")
    await person.see("The phone system no longer accepts the credentials")
    await person.fill({"password": "not-this-one"})
    await person.press("Submit")
    await person.see("The phone system refused the credentials")
    await person.fill({"password": "another-password"})
    await person.press("Submit")
    await person.see("Re-authentication was successful")

    async def arrived() -> bool:
        return [row.text for row in pbx.messages] == ["Hello"]

    assert await home.wait_for(arrived, timeout=40)


async def test_reconfigure_the_address(person: Person, account: str, pbx: Simulator, home: RealHome) -> None:
    """The account moves to another address, and cannot become another account."""
    await person.open_menu("Reconfigure")
    await person.see("Change where and how")
    assert await person.typed("username") == "1001@acme.example"
    other = pbx.add_user("1002@acme.example")
    await person.fill({"username": "1002@acme.example", "password": other.password})
    await person.press("Submit")
    await person.see("This login belongs to another account.")
    await person.fill({"username": "1001@acme.example", "password": "", "base_url": "http://127.0.0.1:1"})
    await person.press("Submit")
    await person.see("The phone system could not be reached")
    await person.fill({"base_url": f"http://localhost:{pbx.port}/ns-api/v2"})
    await person.press("Submit")
    await person.see("Reconfiguration was successful")

    async def moved() -> bool:
        return pbx.requests_to("/messagesessions")[-1].headers["Host"] == f"localhost:{pbx.port}"

    assert await home.wait_for(moved, timeout=20)
    await home.call("notify", "send_message", {"entity_id": "notify.ann", "message": "Hello"})
    assert [row.text for row in pbx.messages] == ["Hello"]


async def test_change_the_options(person: Person, account: str, home: RealHome) -> None:
    """Options are saved, and the dialog shows them the next time."""
    await person.open_integration()
    await person.press_icon("Configure")
    await expect(await person.see("Options")).to_be_visible()
    await person.click("Off")
    await person.press("Submit")
    await person.see("Options successfully saved.")
    flow = await home.start_options_flow(account)
    shown = {row["name"]: row.get("description", {}).get("suggested_value") for row in flow["data_schema"]}
    assert shown["incoming"] == "off"
