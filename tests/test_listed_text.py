"""What a text has in common with what the PBX lists of it."""

import html
import unicodedata

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.listed_text import text_key


@pytest.mark.parametrize(
    ("sent", "listed"),
    [
        *(("0012", "12"), (" 12", "12"), ("1.50", "1.5"), ("1e3", "1000"), ("+5", "5"), ("-0", "0"), (".5", "0.5")),
        *(("a\r\nb", "a\nb"), ("null", ""), ("[1,2 ]", "[1, 2]"), ('{"b": 1, "a": 2}', '{"a": 2.0, "b": 1}')),
        *(("a & b", "a &amp; b"), ("<3 \"'", "&lt;3 &quot;&#039;"), ("a & b", "a &amp;amp; b"), ("&lt;", "&amp;lt;")),
        *(("Tür", "T&uuml;r"), ("Tür", "Tu\u0308r"), ("[1, 2]", "[1,&#32;2]"), ('["&"]', "[&quot;&amp;&quot;]")),
        *(("a  b", "a b"), ("a\n\nb", "a\nb"), ("a\u00a0b", "a b")),
        *(("Door 🚪", "Door ?"), ("Door 🚪🚪!", "Door ????????!"), ("Door 🚪", "Door \ufffd"), ("🚪?", "??")),
        *(("Door 🚪", "Door &#128682;"), ("Door 🚪", "Door \ud83d\udeaa"), ('["🚪"]', '["?"]')),
        *(("x" * 200, "x" * 160), (f"{'Word ' * 60}end", f"{'Word ' * 60}end"[:255]), ("🚪" * 200, "?" * 160)),
    ],
)
def test_equal_texts(sent: str, listed: str) -> None:
    """What the PBX does to a text on its way does not make it another."""
    assert text_key(sent) == text_key(listed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("12", "13"), ("12", "12a"), ("a b", "ab"), ("١٢", "12"), ("Ok", "OK"), ("[", "[" * 9)),
        *(("a & b", "a b"), ("Door 🚪", "Door"), ("Door?", "Door!"), ("Tür", "Tur"), ("Alarm: garage", "Alarm")),
    ],
)
def test_different_texts(one: str, other: str) -> None:
    """Texts that differ to a reader stay different."""
    assert text_key(one) != text_key(other)


@given(st.text())
def test_every_text_has_a_key_that_trimming_does_not_change(text: str) -> None:
    """Blanks and line ends at the ends are lost on the way."""
    assert text_key(f" {text}\n") == text_key(text)


@given(st.text(st.sampled_from("&#;?lt <amp109xa\"'") | st.characters()))
def test_every_text_has_a_key_that_escapes_do_not_change(text: str) -> None:
    """Also where it looks like one of them, or is escaped twice."""
    escaped = html.escape(text)
    assert text_key(escaped) == text_key(html.escape(escaped)) == text_key(text)


@given(st.text(st.sampled_from("🚪🔥? ") | st.characters(max_codepoint=0xFFFF)), st.integers(min_value=1, max_value=4))
def test_every_text_has_a_key_that_a_poor_database_does_not_change(text: str, marks: int) -> None:
    """It knows no character beyond the first 65,536."""
    stored = "".join(char if ord(char) < 2**16 else "?" * marks for char in unicodedata.normalize("NFD", text))
    assert text_key(stored) == text_key(text)


@given(st.integers(min_value=0, max_value=10**40))
def test_a_number_is_the_same_after_a_cast(number: int) -> None:
    """A text of digits may come back as a number."""
    assert text_key(f"00{number}") == text_key(str(number)) == text_key(str(float(number)))
