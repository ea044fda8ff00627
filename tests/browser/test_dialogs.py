"""Every dialog in English and German, wide and narrow, light and dark; each leaves a picture of itself.

The other languages are seen in one look, narrow and light.

The house speaks English throughout: what is German comes from the browser, and nothing may stay English there.
"""

from collections.abc import Mapping
from pathlib import Path

from playwright.async_api import Browser, expect
import pytest

from tests.browser.viewer import FLOW, LANGUAGES, LONGEST, Look, Viewer, viewed
from tests.real_home import RealHome
from tests.simulator import Simulator, SmsNumber

LONE = "1002@acme.example"  # has no number
INTEGRATION_PAGE = "/config/integrations/integration/netsapiens"
ENTRY = "ui.panel.config.integrations.config_entry"  # where the frontend keeps its own words


def looks_of(language: str) -> list[Look]:
    """Return how a language is looked at; a person clicks through the dialogs in the first of the looks."""
    looks = [Look(language, 1280, "light"), Look(language, 1280, "dark"), Look(language, 390, "light")]
    looks.append(Look(language, 390, "dark"))
    return {"en": looks, "de": looks[::-1]}.get(language, looks[2:3])


@pytest.mark.timeout(900)
async def test_every_dialog_in_every_look(browser: Browser, home: RealHome, pbx: Simulator, tmp_path: Path) -> None:
    """No dialog is cut off, overflows or lacks words in any language, width or theme."""
    pbx.first_user.numbers.append(SmsNumber("18585550198"))
    pbx.add_user(LONE)
    pbx.add_contact("Ben", "Acme", cell="8585550124")
    faults: list[str] = []
    for language in LANGUAGES:
        async with viewed(browser, home, looks_of(language), tmp_path) as viewer:
            await look_at_the_ways_in(viewer, pbx)
            await add_the_account(viewer, pbx.account)
            (entry,) = await home.entries("netsapiens")
            await add_a_recipient(viewer)
            await change_options(viewer)
            await sign_in_again(viewer, home, pbx)  # before: Home Assistant does not ask while another dialog is open
            await reconfigure(viewer)
            await home.delete(f"/api/config/config_entries/entry/{entry['entry_id']}")
        faults += viewer.faults
    assert not faults, "\n".join(faults)


async def open_the_menu(viewer: Viewer) -> None:
    await viewer.go("/config/integrations/dashboard/add?domain=netsapiens")
    await viewer.press(await viewer.word("ui.common.ok"))
    await viewer.check("menu", viewer.strings["config"]["step"]["user"])


async def look_at_the_ways_in(viewer: Viewer, pbx: Simulator) -> None:
    """With a key that is nobody's own; and as a user who has no number."""
    steps = viewer.strings["config"]["step"]
    await open_the_menu(viewer)
    await (
        viewer.dialog.get_by_text(steps["user"]["menu_options"]["api_key"], exact=True).locator("visible=true").click()
    )
    await viewer.check("api-key", steps["api_key"])
    await viewer.fill({"base_url": pbx.url, "api_key": pbx.add_key("nsd_").key})
    await viewer.submit()
    await viewer.check("api-key-user", steps["api_key_user"])
    await open_the_menu(viewer)
    await viewer.dialog.get_by_text(steps["user"]["menu_options"]["sign_in"]).locator("visible=true").click()
    await viewer.fill({**pbx.account, "username": LONE, "password": pbx.users[LONE].password})
    await viewer.submit()
    await viewer.check("no-number", steps["sender"])
    await viewer.choose(steps["sender"]["data"]["from_number"], viewer.strings["selector"]["sender"]["options"]["none"])


async def add_the_account(viewer: Viewer, account: Mapping[str, str]) -> None:
    config = viewer.strings["config"]
    steps = config["step"]
    await open_the_menu(viewer)
    await viewer.dialog.get_by_text(steps["user"]["menu_options"]["sign_in"]).locator("visible=true").click()
    await viewer.check("sign-in", steps["sign_in"])
    await viewer.fill({**account, "password": "not-this-one"})
    await viewer.submit()
    await viewer.check("refused", steps["sign_in"], error=config["error"]["invalid_auth"])
    await viewer.fill({key: account[key] for key in ("client_secret", "password")})
    await viewer.submit()
    await viewer.check("sender", steps["sender"])
    await viewer.choose(steps["sender"]["data"]["from_number"], "(858) 555-0198")
    await viewer.submit()
    await viewer.press(await viewer.word(f"{FLOW}.finish_skip"))
    await expect(viewer.dialog).not_to_be_visible()
    await viewer.page.wait_for_function("() => !history.state?.open")  # else it goes back after another page was opened


async def add_a_recipient(viewer: Viewer) -> None:
    words = viewer.strings["config_subentries"]["recipient"]
    step = words["step"]["user"]
    await viewer.go(INTEGRATION_PAGE)
    await viewer.press(words["initiate_flow"]["user"])
    await viewer.check("recipient", step)
    await viewer.fill({"name": "Ann"})
    await viewer.dialog.locator("input[type=tel]").fill("(858) 555-0123, 1002")
    await viewer.dialog.locator("ha-switch").click()
    await viewer.submit()
    await viewer.check("mixed-group", step, error=words["error"]["mixed_group"])


async def change_options(viewer: Viewer) -> None:
    await viewer.go(INTEGRATION_PAGE)
    await viewer.press_icon(await viewer.word(f"{ENTRY}.configure"))
    await viewer.check("options", viewer.strings["options"]["step"]["init"], height=LONGEST)


async def reconfigure(viewer: Viewer) -> None:
    await viewer.go(INTEGRATION_PAGE)
    await viewer.press_icon(await viewer.word("ui.common.menu"))
    item = await viewer.word(f"{ENTRY}.reconfigure")
    await viewer.page.locator("ha-config-entry-row").get_by_text(item, exact=True).locator("visible=true").click()
    await viewer.check("reconfigure", viewer.strings["config"]["step"]["reconfigure"])


async def sign_in_again(viewer: Viewer, home: RealHome, pbx: Simulator) -> None:
    """While a text waits."""
    password, pbx.first_user.password = pbx.first_user.password, "another-password"
    pbx.revoke_tokens(refresh=True)
    await home.call("netsapiens", "send_message", {"destination": "(858) 555-0123", "message": "Hello"})
    await viewer.go("/config/integrations/dashboard")
    await viewer.press(await viewer.word("ui.panel.config.integrations.reconfigure"))
    words = viewer.strings["config"]
    await viewer.check("sign-in-again", words["step"]["reauth_confirm"], but={"api_key"})
    await viewer.fill({"password": "not-this-one"})
    await viewer.submit()
    await viewer.check(
        "refused-again", words["step"]["reauth_confirm"], error=words["error"]["invalid_auth"], but={"api_key"}
    )
    pbx.first_user.password = password
