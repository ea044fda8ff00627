"""The other languages say all that English says."""

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations
import pytest

FOLDER = Path(__file__).parent.parent / "custom_components/netsapiens/translations"
BLUEPRINTS = Path(__file__).parent.parent / "blueprints"
LANGUAGES = ["de", "es", "fr", "nl"]
# Words that are the same in another language.
SAME = {
    *("MMS", "SMS", "Chat", "Client-ID", "Domain", "Name", "Number", "Data", "Media", "Account", "Message", "Messages"),
    *("Conversation", "Options", "messages", "API-sleutel", "Error", "Participants", "Video", "PIN", "Text", "No"),
    *("Contact", "{count} SMS", "Question"),
}


def texts_of(words: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of a file, each with its path."""
    if isinstance(words, dict):
        for key, value in words.items():
            yield from texts_of(value, f"{path}.{key}")
    else:
        yield path, words


def texts_in(language: str) -> dict[str, str]:
    """Return the texts of a language."""
    return dict(texts_of(json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))))


ENGLISH = texts_in("en")


def marks_of(text: str) -> tuple[list[str], list[str]]:
    """Return what must stay as it is: placeholders and code."""
    return sorted(re.findall(r"\{\w+\}", text)), sorted(re.findall(r"`[^`]*`", text))


def crowded(text: str) -> bool:
    """Return whether a full stop or the like stands directly behind code."""
    return any(text[code.end() :].startswith(tuple(".,;:!?")) for code in re.finditer(r"`[^`]*`", text))


def test_each_language_is_checked() -> None:
    """A language that is added is in these tests."""
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(["en", *LANGUAGES])


@pytest.mark.parametrize("language", LANGUAGES)
def test_same_keys_in_the_same_order(language: str) -> None:
    """So that they can be compared."""
    assert list(texts_in(language)) == list(ENGLISH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_same_placeholders_and_code(language: str) -> None:
    """What is filled in and what has to be typed is the same."""
    for path, text in texts_in(language).items():
        assert marks_of(text) == marks_of(ENGLISH[path]), path
        assert text.strip() == text != "", path
        assert not re.search(r"<\w", text), path


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_no_code_stands_before_a_full_stop(language: str) -> None:
    """Home Assistant puts a margin around code: what follows it directly seems to stand alone."""
    assert [path for path, text in texts_in(language).items() if crowded(text)] == []


def test_no_code_stands_before_a_full_stop_in_a_blueprint() -> None:
    """As in the translations: blueprints are rendered in the same way."""
    for path in BLUEPRINTS.rglob("*.yaml"):
        words = path.read_text(encoding="utf-8").split("\ntriggers:")[0]
        assert [line for line in words.splitlines() if crowded(line)] == [], path.name


def test_dialogs_leave_their_words_to_the_browser() -> None:
    """What the server translates is in the house's language, and a person's browser may speak another one."""
    dialogs = [path for path in FOLDER.parent.glob("*.py") if "flow" in path.stem or path.stem == "repairs"]
    assert len(dialogs) > 4
    for path in dialogs:
        assert not re.search(r"import .*sentence|async_get_(?:cached_)?translations", path.read_text()), path.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_was_left_in_english(language: str) -> None:
    """But for words that are the same."""
    for path, text in texts_in(language).items():
        assert text != ENGLISH[path] or text in SAME, path


@pytest.mark.parametrize("language", LANGUAGES)
async def test_home_assistant_shows_it(hass: HomeAssistant, language: str) -> None:
    """Its own loader takes every text."""
    for category in ("common", "config", "exceptions", "services"):
        shown = await async_get_translations(hass, language, category, {"netsapiens"})
        wanted = {path: text for path, text in texts_in(language).items() if path.startswith(f".{category}.")}
        assert {text for key, text in shown.items() if ".netsapiens." in key} == set(wanted.values())


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_titles_of_repair_dialogs_fit_a_phone(language: str) -> None:
    """On a phone, a second line of such a title lies over the line below it."""
    titles = {path: text for path, text in texts_in(language).items() if path.endswith(".step.confirm.title")}
    assert titles
    assert [text for text in titles.values() if len(text) > 28] == []


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_the_address_of_a_live_server_has_a_port(language: str) -> None:
    """Without its port, the live server's address is another one."""
    assert "core1.example.com:8001" in texts_in(language)[".options.error.invalid_url"]


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_what_could_not_be_read_and_what_follows_are_two_sentences(language: str) -> None:
    """Code before a full stop is avoided by other words, not by running the sentences into one."""
    first, then, *_ = texts_in(language)[".issues.opt_outs_damaged.fix_flow.step.confirm.description"].split(". ")
    assert "`{account}`" in first
    assert "STOP" in then


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_where_a_key_goes_is_said_wherever_a_second_factor_is_asked_for(language: str) -> None:
    """The dialog to sign in again has no field for a key."""
    texts = texts_in(language)
    name = {"en": "Reconfigure", "de": "Neu konfigurieren", "es": "Reconfigurar", "fr": "Reconfigurer"}
    for path in (".config.error.mfa_required", ".exceptions.mfa_required.message"):
        assert name.get(language, "Configureer opnieuw") in texts[path]
