"""Which answer a text is: letter by letter, by number and ID, with a PIN, and by sentence templates."""

import sys
import time
from typing import Any
import unicodedata

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.receiving.answers import AnswerMatcher, Choice, Match, bare, numbered_lines
from custom_components.netsapiens.receiving.sentence_templates import SentenceTemplates

CHOICES = (
    Choice("close", ("Close it", "Sí, ciérrala")),
    Choice("leave", ("Leave it", "👍")),
    Choice("Later", ("007",)),
)
_ENDS = st.text(" .,!?;:…\"'()-\n", max_size=6)
_WORDS = st.text(
    st.characters(categories=["L", "Nd", "Zs", "Po"], exclude_characters="[](){}<>|\\"), min_size=1, max_size=20
).filter(lambda text: any(char.isalnum() for char in text))


def answer(text: str, **options: Any) -> str | None:
    """Return the ID of the answer that a text is."""
    match = AnswerMatcher(CHOICES, **options).match(text)
    return None if match is None else match.id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("close it", "close"),
        (" CLOSE   IT!!! ", "close"),
        ("si, cierrala", "close"),
        ("1", "close"),
        ("1.", "close"),
        ("1)", "close"),
        ("(2)", "leave"),
        ("1\ufe0f\u20e3", "close"),
        ("2. Leave it", "leave"),
        ("👍🏽", "leave"),
        ("close", "close"),
        ("LATER", "Later"),
        ("7", "Later"),  # as a PBX lists 007
        ("3", "Later"),
        ("4", None),
        ("", None),
        ("close it please", None),
        ("1 2", None),
        ("close it" * 10_000, None),
    ],
)
def test_letter_by_letter(text: str, expected: str | None) -> None:
    """By a sentence, a number or an ID, and by nothing that only looks like one."""
    assert answer(text) == expected


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("Hay\u0131r", "HAYIR"),
        ("Kap\u0131y\u0131 kapat", "KAPIYI KAPAT"),
        ("İptal", "iptal"),
        ("Wyłącz", "wylacz"),
        ("Đóng cửa", "dong cua"),
        ("Sluk på køkkenet", "SLUK PA KOKKENET"),
        ("نعم", "نَعَمْ"),
        ("هٰذا", "هذا"),
        ("כן", "כֵּן"),
        ("Straße", "STRASSE"),
    ],
)
def test_case_and_accents(sentence: str, text: str) -> None:
    """They make no difference in any language, whichever of the two has them."""
    assert bare(sentence) == bare(text)


@pytest.mark.parametrize(("one", "other"), [("कि", "की"), ("ไม่", "ไม"), ("が", "か"), ("בית־ספר", "ביתספר")])
def test_marks_that_make_another_word(one: str, other: str) -> None:
    """What looks like an accent and is a vowel, a tone or a hyphen of its script counts."""
    assert bare(one) != bare(other)


def test_without_numbers() -> None:
    """Then a number is none, unless it is a sentence or an ID."""
    assert [answer(text, numbered=False) for text in ("1", "1 close it", "7", "close")] == [
        None,
        None,
        "Later",
        "close",
    ]


def test_a_sentence_goes_before_a_number() -> None:
    """What a person reads beside a number is what they mean by it."""
    matcher = AnswerMatcher([Choice("a", ("2",)), Choice("1", ("x",))])
    assert [matcher.match(text) for text in ("2", "1")] == [Match("a"), Match("a")]


def test_without_choices_any_text_is_an_answer() -> None:
    """Also that of a picture without words."""
    assert AnswerMatcher().match("") == AnswerMatcher().match("Whatever.") == Match(None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("garage 1", "close"),
        ("Close it. GARAGE!", "close"),
        ("Garage,2", "leave"),
        ("garage: leave it", "leave"),
        ("1", None),
        ("garage", None),
        ("garages 1", None),
        ("close garage it", None),
    ],
)
def test_a_pin(text: str, expected: str | None) -> None:
    """It stands before or behind the answer, as a word of its own."""
    assert answer(text, pin="Garage") == expected


def test_a_pin_in_an_endless_text() -> None:
    """Where a PIN is asked for, a text that nobody types is not looked through for it."""
    text = "0471 " + "a" * 20_000
    assert AnswerMatcher(pin="0471").match(text) is None
    assert AnswerMatcher().match(text) == Match(None)


@pytest.mark.parametrize("text", ["0471", "471", "0471 of course", "ok 0471."])
def test_a_pin_alone(text: str) -> None:
    """Where any text is an answer, the PIN itself is; a PBX may drop its leading zeros where it stands alone."""
    assert AnswerMatcher(pin="0471").match(text) == Match(None)


def test_what_stands_below_the_question() -> None:
    """The first sentence of each answer; of a template, what a person would say."""
    choices = [
        Choice("a", ("[please] close (it|the garage)", "x")),
        Choice("b", ("in {minutes} minutes",)),
        Choice("c", ("Leave it :(",)),
        Choice("d", ("<rule>",)),
        Choice("e", ("(now;quickly) do",)),
    ]
    lines = ["1 please close it", "2 in … minutes", "3 Leave it :(", "4 <rule>", "5 now quickly do"]
    assert numbered_lines(choices) == lines


@given(_WORDS, _ENDS, _ENDS)
def test_what_makes_no_difference(sentence: str, before: str, after: str) -> None:
    """Case, accents, spaces, and punctuation at the ends."""
    matcher = AnswerMatcher([Choice("it", (sentence,))])
    plain = "".join(one for one in unicodedata.normalize("NFD", sentence) if not 0x300 <= ord(one) < 0x370)
    for text in (sentence, f"{before}{sentence}{after}", sentence.casefold(), plain, f"  {sentence}\n"):
        assert matcher.match(text) == Match("it"), text


@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=5), st.text(max_size=8))
def test_nothing_breaks_it(text: str, sentences: list[str], pin: str) -> None:
    """Whatever is texted, and whatever the sentences are: an answer is one of the choices."""
    choices = [Choice(f"id {number}", (sentence,)) for number, sentence in enumerate(sentences)]
    for options in ({}, {"pin": pin or "1"}, {"numbered": False}):
        match = AnswerMatcher(choices, **options).match(text)
        assert match is None or match.id in {choice.id for choice in choices}
    assert len(numbered_lines(choices)) == len(choices)


@given(st.text(max_size=100))
def test_what_is_compared_is_compared_as_itself(text: str) -> None:
    """A text is the same as what is left of it."""
    assert bare(bare(text)) == bare(text)


# --- sentence templates -----------------------------------------------------------------

TEMPLATES = (
    Choice("close", ("[please] close (it|the garage)",)),
    Choice("later", ("in {minutes} minutes", "at {0..100:percent} percent")),
    Choice("broken", ("close (it", "<missing> rule", "{}", "((((", "")),
    Choice("play", ("play {music:genre}",)),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please close the garage!", Match("close")),
        ("close it", Match("close")),
        ("In ten minutes.", Match("later", {"minutes": "ten"})),
        ("at 20 percent", Match("later", {"percent": 20})),
        ("Play  Rock", Match("play", {"genre": "Rock"})),
        ("close the door", None),
        ("", None),
        ("in ten minutes " * 1000, None),
    ],
)
def test_templates(text: str, expected: Match | None) -> None:
    """As in Assist, with slots; a broken one breaks no other."""
    assert SentenceTemplates(TEMPLATES, "en").match(text) == expected


@pytest.mark.parametrize(
    ("language", "template", "text"),
    [
        *(
            ("de", "[bitte] öffnen", text)
            for text in ("Bitte offnen", "“öffnen”", "\u200eÖFFNEN", "(offnen!)", "öffnen.")
        ),
        *(("de", "[bitte] öffnen!", text) for text in ("bitte öffnen", "ÖFFNEN!")),
        *(("de", "schließ[e] das Tor", text) for text in ("SCHLIESSE DAS TOR", "schliess das Tor")),
        *(
            ("fr", "(oui|d'accord), [s'il te plaît]", text)
            for text in ("oui s'il te plait", "D\u2019accord, s\u2019il te plaît !")
        ),
        ("tr", "[lütfen] ışığı kapat", "IŞIĞI KAPAT"),
        ("el", "[παρακαλώ] ναι", "ΠΑΡΑΚΑΛΩ ΝΑΙ"),  # noqa: RUF001 - Greek
        ("he", "[בבקשה] כֵּן", "בבקשה כן"),
        ("ja", "(いいえ|いや)[です]", "「いやです」"),
    ],
)
def test_what_makes_no_difference_to_a_template(language: str, template: str, text: str) -> None:
    """As to a sentence without optional words, whichever of the two has the accent or the punctuation."""
    assert SentenceTemplates([Choice("it", (template,))], language).match(text) == Match("it")


@pytest.mark.parametrize(
    ("template", "text", "slots"),
    [
        ("ajoute {item} à [la] liste", "Ajoute Crème Fraîche a la liste", {"item": "Crème Fraîche"}),
        ("ajoute {item} à [la] liste", "ajoute lait , crème a la liste", {"item": "lait creme"}),
        ("règle à {0..100:percent} [%]", "regle a 20 %", {"percent": 20}),
        ("règle à {0..100:percent} [%]", "Règle à vingt", {"percent": 20}),
        ("à {0..30:degrees} [degrés]", "-5", None),
        ("{0..30:degrees} [degrés]", "-5", None),
        ("é {0..30:degrees} [degrés]", "e -5 degres", None),
    ],
)
def test_slots_of_a_text_with_other_accents(template: str, text: str, slots: dict[str, Any] | None) -> None:
    """A slot has the words as they were texted, where they can be told; a number keeps its sign."""
    expected = None if slots is None else Match("it", slots)
    assert SentenceTemplates([Choice("it", (template,))], "fr").match(text) == expected


@pytest.mark.parametrize(
    "template",
    [
        " ".join(["[a]"] * 100),
        "".join(f"{{s{number}}} a " for number in range(40)),
        f"({';'.join('abcdefghijkl')})",
        "[" * 200 + "a" + "]" * 200,
        "[" * 2000 + "a" + "]" * 2000,
        "{0..100000000:number} a",
        "(a|a a|a a a)" * 30,
    ],
)
@pytest.mark.parametrize("text", ["a " * 900 + "b", "b", "a" * 5000, "1 " * 900])
def test_slow_templates_are_given_up(template: str, text: str) -> None:
    """Whatever the author and the sender make of it, it ends soon."""
    began = time.monotonic()
    SentenceTemplates([Choice("slow", (template,)), Choice("fast", ("yes",))], "en").match(text)
    assert time.monotonic() - began < 5


def test_templates_are_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else imports `hassil`, which need not be installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "hassil"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hassil", None)
    with pytest.raises(ImportError):
        import hassil  # noqa: F401
    assert AnswerMatcher(TEMPLATES).match("1") == Match("close")
