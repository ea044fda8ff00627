"""The conversation card is served, and registered once for all accounts."""

import re
from typing import Any

from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL
from homeassistant.core import HomeAssistant
import pytest

from custom_components.netsapiens.transcript import Status
from tests.conftest import AddAccount
from tests.simulator import Simulator
from tests.test_repository import FOLDER, MANIFEST, WORDS

MODULE = (FOLDER / "frontend" / "netsapiens-conversation-card.js").read_text(encoding="utf-8")


class Urls:
    """What the frontend keeps of modules to load."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def add(self, url: str) -> None:
        self.urls.append(url)

    def remove(self, url: str) -> None:
        self.urls.remove(url)


@pytest.fixture
def urls(hass: HomeAssistant) -> list[str]:
    """The modules that dashboards load; the frontend itself is not installed here."""
    hass.data[DATA_EXTRA_MODULE_URL] = urls = Urls()  # type: ignore[assignment]
    return urls.urls


async def test_one_registration_for_several_accounts(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, urls: list[str], hass_client_no_auth: Any
) -> None:
    """It is there with the first account, under a path with the version, and gone with the last."""
    pbx.add_user("1002@acme.example", numbers=["18585550188"])
    entries = [await add_account(), await add_account(login="1002@acme.example")]
    (url,) = urls
    assert re.fullmatch(rf"/netsapiens/{MANIFEST['version']}-[0-9a-f]+/netsapiens-conversation-card\.js", url)
    answer = await (await hass_client_no_auth()).get(url)
    assert answer.content_type in {"text/javascript", "application/javascript"}
    assert await answer.text() == MODULE
    await hass.config_entries.async_remove(entries[0].entry_id)
    assert urls == [url]
    await hass.config_entries.async_remove(entries[1].entry_id)
    assert urls == []
    await add_account(login="1002@acme.example")
    assert urls == [url]


async def test_home_assistant_without_its_frontend(hass: HomeAssistant, add_account: AddAccount) -> None:
    """The integration works where there are no dashboards."""
    assert (await add_account()).state.recoverable


def test_every_word_is_translated_and_used() -> None:
    """What the card asks for is in the translations, and nothing else is."""
    words = {key.removeprefix("card_") for key in WORDS["common"] if key.startswith("card_")}
    asked = set(re.findall(r'_t\("(\w+)"', MODULE)) | set(re.findall(r'\["(\w+)", "\w+"\]', MODULE))
    asked |= set(re.findall(r'\[this\._\w+, "(\w+)"\]', MODULE)) | {
        Status.SENDING,
        Status.WAITING,
        "name",
        "description",
    }
    asked |= {f"editor_{name}" for name in ("entity", "title", "limit")}
    assert asked == words


def test_it_needs_nothing_from_elsewhere_and_makes_no_html() -> None:
    """A text is never read as HTML, and nothing is fetched from anywhere."""
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", MODULE)
    assert not re.search(r"^\s*import |\bimport\(|fetch\(|XMLHttpRequest", MODULE, re.MULTILINE)
