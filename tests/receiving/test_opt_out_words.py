"""The words that opt out and in."""

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.receiving.opt_out_words import (
    OPT_IN_WORDS,
    OPT_OUT_WORDS,
    is_opt_in_word,
    is_opt_out_word,
)

_PUNCTUATION = st.text("".join(".,;:!?\"'()-*… "), max_size=5)


@pytest.mark.parametrize(
    "text",
    [
        *("STOP", "Stop.", " stop! ", "“Stop”", "opt out", "Opt-out", "opt  out.", "STOP 🛑"),
        "\uff33\uff34\uff2f\uff30",
        "\u200eStop\u200b",
        "opt\nout",
    ],
)
def test_opting_out(text: str) -> None:
    """Case, punctuation, spaces at the ends and characters that are not seen change nothing."""
    assert is_opt_out_word(text)
    assert not is_opt_in_word(text)


@pytest.mark.parametrize(
    "text", ["", "please stop the music", "stop it", "s t o p", "nonstop", "START", "STOP" * 1250, "é" * 5000]
)
def test_not_opting_out(text: str) -> None:
    """A word counts only as the entire text."""
    assert not is_opt_out_word(text)


@pytest.mark.parametrize("text", ["START", "start", "Unstop!", "opt-in", "Optin."])
def test_opting_in(text: str) -> None:
    """The words that undo it are read alike."""
    assert is_opt_in_word(text)
    assert not is_opt_out_word(text)


@given(st.sampled_from(sorted(OPT_OUT_WORDS | OPT_IN_WORDS)), _PUNCTUATION, _PUNCTUATION)
def test_punctuation_around(word: str, before: str, after: str) -> None:
    """Whatever punctuation stands around a word, it is the same word."""
    text = before + word.lower() + after
    assert is_opt_out_word(text) == (word in OPT_OUT_WORDS)
    assert is_opt_in_word(text) == (word in OPT_IN_WORDS)


@given(st.text())
def test_never_both(text: str) -> None:
    """No text opts out and in at once."""
    assert not (is_opt_out_word(text) and is_opt_in_word(text))
