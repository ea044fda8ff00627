"""What the PBX says of a refusal -> what of it can be shown: words that have nothing private in them, or none.

Some PBXs say back what they were sent: in part, in capitals, with spaces, escaped or encoded. So nothing is cut out of
their words: where they have a run of characters in common with something private, none of them is shown.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
import html
import re
import unicodedata
from urllib.parse import unquote

_RUN = 8  # characters in common that are no coincidence
_MAX_SHOWN = 200
_MAX_WORDS = 4096  # what is longer is no reason for a refusal
_NUMBER = re.compile(r"\d(?:[-. ()/]{0,3}\d){6,}|\d{5,}")

_JWT = re.compile(r"\beyJ[\w-]{5,}(?:\.[\w-]*)*", re.ASCII)

_ROUNDS = 3  # escapes in escapes
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/]{6,}")
_HEX_RUN = re.compile(r"[0-9A-Fa-f]{8,}")
_FEWEST_DECODED = 4  # characters of a private text that is looked for in what may be base64 by chance alone

_MAX_COMPARED = 10_000  # characters of a private text; longer ones are media
_MEDIA_START = 1_000  # characters of media that are compared
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]*")
_MEDIA_RUN = re.compile(r"[A-Za-z0-9+/]{8,}")
_NO_MEDIA = re.compile(r"[A-Z]?[a-z]+(?:/[a-z]+)*|[A-Z]+|[0-9]+")  # words, MIME types, and numbers
_BETWEEN = re.compile(r"[\W_]+")


def shown(words: str, private: Iterable[str]) -> str:
    """Return what can be shown and logged of the PBX's words; empty where that is nothing.

    Parameters:
        words: what the PBX said.
        private: texts of which nothing may be seen: secrets, a message, media as base64. Numbers are not among them:
            each is cut to its last four digits.
    """
    if len(words) > _MAX_WORDS or _has_private(words, [text for text in private if text.strip()]):
        return ""
    plain = " ".join("".join(char if char.isprintable() else " " for char in words).split())
    plain = _NUMBER.sub(_last_digits, _JWT.sub("…", plain))
    return plain if len(plain) <= _MAX_SHOWN else f"{plain[:_MAX_SHOWN]}…"


def without_numbers(text: str) -> str:
    """Return a text without the numbers in it."""
    return _NUMBER.sub("…", text)


def _last_digits(number: re.Match[str]) -> str:
    """Return what may be shown of a number."""
    return f"…{''.join(char for char in number[0] if char.isdigit())[-4:]}"


def _has_private(words: str, private: list[str]) -> bool:
    """Whether words have a run in common with a private text in any spelling, or a short one as it is."""
    if not words.strip() or not private:
        return False
    unescaped = list(dict.fromkeys(_unescaped(words)))
    decoded = list(dict.fromkeys(part for text in unescaped for part in _decoded(text)))
    runs = {run for text in (*unescaped, *decoded) for bare in (_letters, _marks) for run in _runs(bare(text))}
    return any(
        _is_media_in(text, unescaped, runs)
        if len(text) > _MAX_COMPARED
        else _is_short_in(text, unescaped, decoded) or _has_run(_spellings(text), runs)
        for text in private
    )


def _has_run(spellings: Iterable[str], runs: set[str]) -> bool:
    """Whether a private text has one of the runs, in one of its spellings."""
    return any(not runs.isdisjoint(_runs(bare(text))) for text in spellings for bare in (_letters, _marks))


def _is_short_in(text: str, unescaped: list[str], decoded: list[str]) -> bool:
    """Whether a private text that may be too short for a run stands in words, a word by itself."""
    text = " ".join(text.casefold().split())
    word = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
    texts = unescaped if len(text) < _FEWEST_DECODED else [*unescaped, *decoded]
    return len(text) < 2 * _RUN and any(word.search(" ".join(one.casefold().split())) for one in texts)


def _is_media_in(text: str, unescaped: list[str], runs: set[str]) -> bool:
    """Whether words may have something of media: what looks so, since to search megabytes would take too long."""
    start = text[:_MEDIA_START]
    found = (run for words in unescaped for run in _MEDIA_RUN.findall(words))
    return (
        not _BASE64.fullmatch(start)
        or _has_run((start, *_from_base64(start)), runs)
        or not all(map(_NO_MEDIA.fullmatch, found))
    )


def _spellings(text: str) -> Iterator[str]:
    """Yield a private text as it is, in base64 as a part of something longer, and what it is base64 of."""
    yield text
    content = text.encode(errors="replace")
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + content).decode()
        yield encoded[-(-8 * shift // 6) : 8 * (shift + len(content)) // 6]  # what depends on the text alone
    yield from _from_base64(text)


def _unescaped(words: str) -> Iterator[str]:
    """Yield words as they are, and as they read without the escapes of JSON, HTML and URLs."""
    yield words
    steps: tuple[Callable[[str], str], ...] = (_without_backslashes, html.unescape, unquote)
    for step in steps * _ROUNDS:
        words = step(words)
        yield words


def _without_backslashes(words: str) -> str:
    """Return words without the escapes of JSON and of programming languages."""
    plain = _ESCAPE.sub(_escaped, words)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # of two halves, a character


def _escaped(escape: re.Match[str]) -> str:
    """Return what an escape stands for."""
    if code := escape[1] or escape[2]:
        return chr(int(code, 16))
    return " " if escape[3] in "bfnrt" else str(escape[3])


def _decoded(words: str) -> Iterator[str]:
    """Yield what words stand for that may be base64 or hex, wherever that begins, with or without spaces in it."""
    for text in (words, "".join(words.split())):
        for found in _BASE64_RUN.findall(text.replace("-", "+").replace("_", "/")):
            for start in range(4):
                yield from _from_base64(found[start:])
        for found in _HEX_RUN.findall(text):
            for start in range(2):
                digits = found[start:]
                yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode(errors="ignore")


def _from_base64(text: str) -> Iterator[str]:
    """Yield what a text stands for, if it can be base64, maybe cut off."""
    text = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    if len(text) % 4 == 1:
        text = text[:-1]
    try:
        yield base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode(errors="ignore")
    except (binascii.Error, ValueError):
        return


def _letters(text: str) -> str:
    """Return the letters and digits of a text, small ones, without accents."""
    return _BETWEEN.sub("", unicodedata.normalize("NFKD", text).casefold())


def _marks(text: str) -> str:
    """Return all that can be seen of a text, in small letters: for a text that has few letters."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _runs(text: str) -> Iterator[str]:
    """Yield the runs of a text."""
    return (text[at : at + _RUN] for at in range(len(text) - _RUN + 1))
