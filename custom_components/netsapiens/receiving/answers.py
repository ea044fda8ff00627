"""Which answer of a question a text is: by its sentences, its ID or its number, and with its PIN."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
import re
from typing import Any, Final, NamedTuple
import unicodedata

# Accents, and the vowel signs that Hebrew and Arabic mostly go without. In other scripts such marks make another word.
_ACCENTS: Final = frozenset(
    {
        *range(0x0300, 0x0370),
        *(*range(0x0591, 0x05BE), 0x05BF, 0x05C1, 0x05C2, 0x05C4, 0x05C5, 0x05C7),
        *(*range(0x064B, 0x0660), 0x0670),
    }
)
# What phones add to a character without changing it: a variation, a keycap, the tone of a skin.
_VARIATIONS: Final = frozenset({0xFE0E, 0xFE0F, 0x20E3, *range(0x1F3FB, 0x1F400)})
# Apostrophes, and letters with an accent that Unicode does not take apart.
_PLAIN: Final = str.maketrans("\u2018\u2019\u02bc\u00b4`\u0131łđø", "'" * 5 + "ildo")
_SPACES: Final = re.compile(r"\s+")
_TEMPLATE: Final = re.compile(r"[\[({<|]")
_MOST_PARTS: Final = 50  # of a sentence template, as far as it is shown
_GLUED: Final = re.compile(r"([,;:/])(?=\S)")
_LONGEST: Final = 20_000  # characters; a longer text is no answer of a choice

# The parts of a sentence template, innermost first, and what is shown for them.
_OPTIONAL: Final = re.compile(r"\[([^\[\](){}<>]*)\]")
_GROUP: Final = re.compile(r"\(([^\[\](){}<>]*)\)")
_SLOT: Final = re.compile(r"\{[^{}]*\}")
_RULE: Final = re.compile(r"<[^<>]*>")


class Choice(NamedTuple):
    """One of a question's answers.

    Attributes:
        id: what a script knows it by.
        sentences: how it may be put; sentence templates where ``hassil`` is installed. One or more.
    """

    id: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """The answer that a text is.

    Attributes:
        id: the choice's; None where every text is an answer.
        slots: what the slots of a sentence template stand for.
    """

    id: str | None
    slots: dict[str, Any] = field(default_factory=dict)


class AnswerMatcher:
    """Tells which answer a text is.

    Parameters:
        choices: the answers; where there are none, every text is an answer.
        numbered: whether a choice's number, counted from 1, is taken for it.
        pin: the word without which nothing is an answer; it stands before or behind the answer.
    """

    def __init__(self, choices: Sequence[Choice] = (), *, numbered: bool = True, pin: str | None = None) -> None:
        self.choices = tuple(choices)
        self._pin = pin
        self._table: dict[str, str] = {}
        for spelling, choice in self._spellings(numbered=numbered):
            self._table.setdefault(spelling, choice.id)

    @property
    def has_templates(self) -> bool:
        """Whether a sentence may be a template."""
        return any(_TEMPLATE.search(sentence) for choice in self.choices for sentence in choice.sentences)

    @property
    def has_pin(self) -> bool:
        """Whether nothing is an answer without a word beside it."""
        return self._pin is not None

    def match(self, text: str) -> Match | None:
        """Return the answer that a text is, letter by letter; None where it is none.

        Case, accents, spaces, and punctuation at the ends make no difference.

        Parameters:
            text: all that somebody texted.
        """
        rest = self.without_pin(text)
        if rest is None:
            return None
        if not self.choices:
            return Match(None)
        found = self._table.get(_known_as(rest)) if len(rest) <= _LONGEST else None
        return None if found is None else Match(found)

    def without_pin(self, text: str) -> str | None:
        """Return what a text says beside the PIN; all of it where none is asked for, None where it is not there."""
        if self._pin is None:
            return text
        if len(text) > _LONGEST:
            return None
        return _beside(self._pin, text.split()) or _beside(self._pin, _GLUED.sub(r"\1 ", text).split())

    def _spellings(self, *, numbered: bool) -> Iterator[tuple[str, Choice]]:
        """Yield what each choice is known as; what comes first counts."""
        for choice in self.choices:
            for sentence in choice.sentences:
                yield _known_as(sentence), choice
        if numbered:
            for number, choice in enumerate(self.choices, 1):
                yield str(number), choice
                for line in (f"{number}{mark} {_as_read(choice.sentences[0])}" for mark in ("", ".", ")")):
                    yield _known_as(line), choice
        for choice in self.choices:
            yield _known_as(choice.id), choice


def numbered_lines(choices: Sequence[Choice]) -> list[str]:
    """Return the lines that stand below a question, such as ``1 Close it``: each choice's first sentence."""
    return [f"{number} {_as_read(choice.sentences[0])}" for number, choice in enumerate(choices, 1)]


def bare(text: str) -> str:
    """Return a text as it is compared: without case, accents, further spaces, and punctuation at its ends.

    A text of punctuation alone stays as it is.
    """
    words = folded(text).strip()
    return without_ends(words, _is_margin) or words


def folded(text: str) -> str:
    """Return a text without case, accents and further spaces; what is at its ends stays."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(char for char in plain.translate(_PLAIN) if not _is_ornament(char))
    return _SPACES.sub(" ", unicodedata.normalize("NFC", kept).casefold())


def without_ends(text: str, is_end: Callable[[str], bool]) -> str:
    """Return a text without some characters at its ends.

    Parameters:
        text: any.
        is_end: tells those characters.
    """
    start, end = 0, len(text)
    while start < end and is_end(text[start]):
        start += 1
    while end > start and is_end(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_ornament(char: str) -> bool:
    """Whether a character is an accent, or one that is not seen."""
    code = ord(char)
    return code in _ACCENTS or code in _VARIATIONS or unicodedata.category(char) == "Cf"


def _is_margin(char: str) -> bool:
    """Whether a character at the end of a text makes no difference."""
    return char.isspace() or unicodedata.category(char).startswith("P")


def _known_as(text: str) -> str:
    """Return what a text is known as. A PBX may take a text of digits for a number, and drop its leading zeros."""
    words = bare(text)
    if not words.isdecimal():
        return words
    return "".join(str(unicodedata.decimal(char)) for char in words).lstrip("0") or "0"


def _beside(pin: str, words: Sequence[str]) -> str | None:
    """Return the words beside a PIN that is the first or the last of them; None where it is neither."""
    wanted, length = _known_as(pin), len(pin.split())
    if len(words) >= length:
        if _known_as(" ".join(words[:length])) == wanted:
            return " ".join(words[length:])
        if _known_as(" ".join(words[-length:])) == wanted:
            return " ".join(words[:-length])
    return None


def _as_read(sentence: str) -> str:
    """Return a sentence as a person reads it: of a template, with its optional words and the first alternatives."""
    text = sentence.strip()
    if not _TEMPLATE.search(text):
        return text
    text = _RULE.sub(" ", _SLOT.sub("\u2026", text))
    for part in (_OPTIONAL, _GROUP) * _MOST_PARTS:
        text = part.sub(lambda found: _first_of(found[1]), text, count=_MOST_PARTS)
    return " ".join(_first_of(text).split()) or sentence.strip()


def _first_of(alternatives: str) -> str:
    """Return the first of alternatives; of words in any order, all."""
    return alternatives.split("|", maxsplit=1)[0].replace(";", " ")
