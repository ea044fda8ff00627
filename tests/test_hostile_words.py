"""Titles, logins and names that hold Markdown or HTML are shown as plain text."""

import json
from pathlib import Path
import re

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.netsapiens.issues import raise_hourly_limit
from custom_components.netsapiens.markdown import plain
from tests.conftest import AddAccount
from tests.delivery.test_queue import _quick, hass_storage, send  # noqa: F401
from tests.simulator import Simulator

EVIL = "a`[click](http://evil.example)`\n\n<img src=x onerror=alert(1)>**bold**\x1b"
SHOWN = "a'[click](http://evil.example)' <img src=x onerror=alert(1)>**bold**"
TRANSLATIONS = Path(__file__).parent.parent / "custom_components" / "netsapiens" / "translations"
NAMES = r"\{(?:account|recipient|login|username|file)\}"


def test_plain() -> None:
    """What Markdown would render is shown as it is written."""
    assert plain(EVIL) == SHOWN
    assert plain("1001@acme.example") == "1001@acme.example"
    assert plain("\x00 \n") == "-"


@pytest.mark.parametrize("path", sorted(TRANSLATIONS.glob("*.json")), ids=lambda path: path.stem)
def test_every_name_stands_in_a_code_span(path: Path) -> None:
    """Errors, titles and what describes an action by name are shown as they are; all else is rendered."""
    words = json.loads(path.read_text())
    common = {key: sentence for key, sentence in words["common"].items() if not key.startswith("action_")}
    for part in (common, words["issues"], words["options"]["step"], words["config"]["step"]):
        text = re.sub(r'"title": "[^"]*"', "", json.dumps(part))
        assert len(re.findall(NAMES, text)) == len(re.findall(f"`[^`]*{NAMES}`", text))


async def test_in_a_repair_issue(hass: HomeAssistant, add_account: AddAccount) -> None:
    """A title with markup cannot write a repair issue."""
    entry = await add_account()
    hass.config_entries.async_update_entry(entry, title=EVIL)
    raise_hourly_limit(hass, entry, 5)
    [issue] = ir.async_get(hass).issues.values()
    assert issue.translation_placeholders == {"account": SHOWN, "limit": "5"}


async def test_in_a_dialog(hass: HomeAssistant, add_account: AddAccount) -> None:
    """Nor a dialog."""
    entry = await add_account()
    hass.config_entries.async_update_entry(entry, title=EVIL)
    options = await hass.config_entries.options.async_init(entry.entry_id)
    assert options["description_placeholders"]["login"] == SHOWN
    reconfigure = await entry.start_reconfigure_flow(hass)
    assert reconfigure["description_placeholders"]["login"] == SHOWN
    reauth = await entry.start_reauth_flow(hass)
    assert reauth["description_placeholders"]["login"] == SHOWN


async def test_where_an_account_was(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """What is said of one that was removed, with texts that waited."""
    entry = await add_account()
    hass.config_entries.async_update_entry(entry, title=EVIL)
    await pbx.stop()
    assert (await send(hass, "Waits"))["status"] == "queued"
    await hass.config_entries.async_remove(entry.entry_id)
    [issue] = ir.async_get(hass).issues.values()
    assert issue.translation_placeholders == {"account": SHOWN, "count": "1"}
