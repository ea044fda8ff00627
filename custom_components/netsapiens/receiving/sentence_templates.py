"""Sentence templates of ``hassil``, as Assist has them: ``[please] close (it|the garage) in {minutes} minutes``.

Imported by `question` where it is needed and in a thread: ``hassil`` comes with Home Assistant's ``conversation`` and
need not be there, and both to import it and to match takes a while.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
import logging
import time
from typing import Any, override
import unicodedata

from hassil import Intents, recognize
from hassil.expression import Expression, Group, ListReference, TextChunk
from hassil.intents import SlotList, WildcardSlotList
from hassil.util import remove_punctuation

from .answers import Choice, Match, bare, folded, without_ends

_LOGGER = logging.getLogger(__name__)

_LONGEST_TEMPLATE = 500  # characters
_LONGEST_TEXT = 2000
_WITHIN = 0.5  # seconds for one text, whatever its templates are
_MOST_NUMBERS = 1000  # of a range such as {0..100:percent}: each is put into words
_INTENT = "Answer"
_PERCENT = "%\u066a\uff05"


type _Templates = list[tuple[str, Intents]]  # with the ID of each one's answer


class _TooSlowError(Exception):
    """The time for matching a text is up."""


@dataclass(slots=True)
class _Budget:
    """When the time for matching a text is up, by the monotonic clock."""

    until: float = 0.0


class _TimedChunk(TextChunk):
    """Words of a template; the matcher looks at them again and again, and stops there once its time is up."""

    budget: _Budget

    @property
    @override
    def is_empty(self) -> bool:
        """Whether there are none.

        Raises:
            _TooSlowError: the time is up.
        """
        if time.monotonic() > self.budget.until:
            raise _TooSlowError
        return self.text == ""


class SentenceTemplates:
    """The sentence templates of a question's answers. To be used in a thread.

    Each is there twice: as it is written, and without case, accents and punctuation, as a text is compared that is not
    written exactly like it. The former gives a slot its exact words, and knows the language's numbers in words.

    Parameters:
        choices: the answers; what is no valid template is left out.
        language: Home Assistant's, for numbers in words.
    """

    def __init__(self, choices: Sequence[Choice], language: str) -> None:
        self._budget = _Budget()
        self._written = self._all_parsed(choices, language, str)
        self._compared = self._all_parsed(choices, language, _compared_words)

    def match(self, text: str) -> Match | None:
        """Return the answer whose template a text matches, with its slots; None where there is none, or in that time.

        Parameters:
            text: all that somebody texted, without the PIN.
        """
        if len(text) > _LONGEST_TEXT:
            return None
        words = text.split()
        self._budget.until = time.monotonic() + _WITHIN
        try:
            if (found := _first_match(" ".join(words), self._written)) is not None:
                return found
            found = _first_match(without_ends(folded(text), _is_margin), self._compared)
        except _TooSlowError:
            _LOGGER.warning("The sentences of a question take too long to match; a simpler template helps")
            return None
        if found is None:
            return None
        exact = {name: _as_texted(one, words) if isinstance(one, str) else one for name, one in found.slots.items()}
        return Match(found.id, exact)

    def _all_parsed(self, choices: Sequence[Choice], language: str, spell: Callable[[str], str]) -> _Templates:
        """Return the templates of all answers, ready to be matched, each with its answer."""
        return [
            (choice.id, intents)
            for choice in choices
            for sentence in choice.sentences
            if (intents := self._parsed(sentence, language, spell)) is not None
        ]

    def _parsed(self, sentence: str, language: str, spell: Callable[[str], str]) -> Intents | None:
        """Return a sentence ready to be matched, its words spelled in a way; None where it is no template."""
        if len(sentence) > _LONGEST_TEMPLATE:
            return None
        data = {
            "language": language,
            "settings": {"filter_with_regex": False},  # a regular expression cannot be stopped
            "intents": {_INTENT: {"data": [{"sentences": [sentence]}]}},
        }
        try:
            intents = Intents.from_dict(data)
            expressions = [one.expression for row in intents.intents[_INTENT].data for one in row.sentences]
            slots = {one.list_name: one for expression in expressions for one in _slots_of(expression)}
            intents.slot_lists.update({name: _slot_list(one) for name, one in slots.items() if not one.is_inline_range})
            if any(_numbers_of(one) > _MOST_NUMBERS for one in slots.values()):
                return None
            for expression in expressions:
                self._prepare(expression, spell)
        except Exception as err:  # noqa: BLE001
            # The sentence still counts letter by letter.
            _LOGGER.debug("A sentence of a question is no template: %s", type(err).__name__)
            return None
        return intents

    def _prepare(self, expression: Expression, spell: Callable[[str], str]) -> None:
        """Spell the words of an expression, and see that matching it stops when the time is up."""
        if not isinstance(expression, Group):
            return
        for number, item in enumerate(expression.items):
            if isinstance(item, TextChunk):
                chunk = _TimedChunk(spell(item.text), item.original_text, item.parent)
                chunk.budget = self._budget
                expression.items[number] = chunk
            else:
                self._prepare(item, spell)


def _first_match(text: str, templates: _Templates) -> Match | None:
    """Return the answer whose template a text matches first; None where there is none.

    Raises:
        _TooSlowError: the time is up.
    """
    for choice_id, intents in templates:
        try:
            found = recognize(text, intents)
        except _TooSlowError:
            raise
        except Exception as err:  # noqa: BLE001
            # Such as a rule that is not there; the other templates count.
            _LOGGER.debug("A sentence of a question cannot be matched: %s", type(err).__name__)
            continue
        if found is not None:
            return Match(choice_id, {name: _value(one.value) for name, one in found.entities.items()})
    return None


def _compared_words(words: str) -> str:
    """Return words of a template as a text is compared; ``hassil`` takes such punctuation out of the text itself."""
    return remove_punctuation(folded(words))


def _is_margin(char: str) -> bool:
    """Whether a character at the end of a text makes no difference; the signs of numbers do: -5, 20 %."""
    category = unicodedata.category(char)
    return char.isspace() or (category.startswith("P") and category != "Pd" and char not in _PERCENT)


def _as_texted(value: str, words: Sequence[str]) -> str:
    """Return what a slot stands for as it was texted; as it was compared where that is not found.

    Parameters:
        value: as it was compared.
        words: those of the text.
    """
    wanted, compared = [bare(word) for word in value.split()], [bare(word) for word in words]
    for start in range(len(words) - len(wanted) + 1):
        if compared[start : start + len(wanted)] == wanted:
            return without_ends(" ".join(words[start : start + len(wanted)]), _is_margin)
    return " ".join(value.split())


def _slots_of(expression: Expression) -> Iterable[ListReference]:
    """Yield the slots of an expression."""
    if isinstance(expression, ListReference):
        yield expression
    elif isinstance(expression, Group):
        for item in expression.items:
            yield from _slots_of(item)


def _slot_list(slot: ListReference) -> SlotList:
    """Return what a slot takes: any words."""
    return WildcardSlotList(slot.list_name)


def _numbers_of(slot: ListReference) -> int:
    """Return how many numbers a slot takes; 0 where it takes words."""
    numbers = slot.get_inline_range()
    return len(range(numbers[0], numbers[1], numbers[2] or 1)) if numbers is not None else 0


def _value(value: Any) -> Any:
    """Return a slot's value as a script uses it: 20 percent is 20, also where it was written in digits."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.strip() if isinstance(value, str) else value
