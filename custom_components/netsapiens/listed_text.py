"""What the PBX makes of a text when it lists it."""

from contextlib import suppress
import html
import json
import re
import unicodedata

_NUMERIC = re.compile(r"[+-]?(?:[0-9]{1,300}(?:\.[0-9]*)?|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?")
_ESCAPED = re.compile(r"&(?:amp;)*(#?[0-9A-Za-z]{1,32};)")  # once or several times
_NOT_STORED = re.compile("[\ufffd\ud800-\udfff\U00010000-\U0010ffff]")
_QUESTION_MARKS = re.compile(r"\?+")
_COMPARED = 100  # characters of a text
_READ = 1000  # characters that make those


def text_key(text: str) -> str:
    """Return what texts have in common that the PBX gives back alike.

    It trims them, makes numbers of those that look like one ("0012" comes back as 12), and may read JSON where some
    words are that by chance. It may escape them for HTML, join their blanks, compose their accents otherwise, give
    question marks for an emoji, and cut a long one.
    """
    words = " ".join(_ESCAPED.sub(_unescaped, text).split())
    if _NUMERIC.fullmatch(words):
        return repr(float(words) + 0.0)
    if words == "null":
        return ""
    if words.startswith(("[", "{")):
        with suppress(ValueError, RecursionError):
            words = json.dumps(json.loads(words, parse_int=float), sort_keys=True, ensure_ascii=False)
    return _stored(words[:_READ])[:_COMPARED]


def _unescaped(escaped: re.Match[str]) -> str:
    """Return the character that was escaped."""
    return html.unescape(f"&{escaped[1]}")


def _stored(text: str) -> str:
    """Return a text as a poor database keeps it: what takes four bytes in UTF-8 becomes question marks, here one."""
    if not text.isascii():
        text = _NOT_STORED.sub("?", unicodedata.normalize("NFC", text))
    return _QUESTION_MARKS.sub("?", text)
