"""The words by which somebody opts out of texts, and in again; matched as the entire text."""

from typing import Final
import unicodedata

OPT_OUT_WORDS: Final = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "OPTOUT", "OPT OUT", "REVOKE"})
OPT_IN_WORDS: Final = frozenset({"START", "UNSTOP", "OPTIN"})

_LONGEST: Final = 200  # characters; a longer text is none of the words, whatever punctuation it has


def is_opt_out_word(text: str) -> bool:
    """Return whether a text asks for no more texts, apart from case and punctuation.

    Parameters:
        text: all that somebody texted.
    """
    return _bare(text) in OPT_OUT_WORDS


def is_opt_in_word(text: str) -> bool:
    """Return whether a text asks for texts again, apart from case and punctuation.

    Parameters:
        text: all that somebody texted.
    """
    return _bare(text) in OPT_IN_WORDS


def _bare(text: str) -> str:
    """Return a text in capitals, without punctuation and symbols, and with single spaces."""
    text = text.strip()
    if len(text) > _LONGEST:
        return ""
    kept = (char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char)[0] in "LNZC")
    words = "".join(char for char in kept if unicodedata.category(char) != "Cf").upper().split()
    return " ".join(words)
