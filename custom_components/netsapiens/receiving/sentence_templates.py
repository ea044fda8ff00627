"""Sentence templates of ``hassil``, as Assist has them: ``[please] close (it|the garage) in {minutes} minutes``.

Imported by `question` where it is needed and in a thread: ``hassil`` comes with Home Assistant's ``conversation`` and
need not be there, and both to import it and to match takes a while.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import logging
import time
from typing import Any, override

from hassil import Intents, recognize
from hassil.expression import Expression, Group, ListReference, TextChunk
from hassil.intents import SlotList, WildcardSlotList

from .answers import Choice, Match

_LOGGER = logging.getLogger(__name__)

_LONGEST_TEMPLATE = 500  # characters
_LONGEST_TEXT = 2000
_WITHIN = 0.5  # seconds for one text, whatever its templates are
_MOST_NUMBERS = 1000  # of a range such as {0..100:percent}: each is put into words
_INTENT = "Answer"


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

    Parameters:
        choices: the answers; what is no valid template is left out.
        language: Home Assistant's, for numbers in words.
    """

    def __init__(self, choices: Sequence[Choice], language: str) -> None:
        self._budget = _Budget()
        self._templates = [
            (choice.id, intents)
            for choice in choices
            for sentence in choice.sentences
            if (intents := self._parsed(sentence, language)) is not None
        ]

    def match(self, text: str) -> Match | None:
        """Return the answer whose template a text matches, with its slots; None where there is none, or in that time.

        Parameters:
            text: all that somebody texted, without the PIN.
        """
        if len(text) > _LONGEST_TEXT:
            return None
        text = " ".join(text.split())
        self._budget.until = time.monotonic() + _WITHIN
        for choice_id, intents in self._templates:
            try:
                found = recognize(text, intents)
            except _TooSlowError:
                _LOGGER.warning("The sentences of a question take too long to match; a simpler template helps")
                return None
            except Exception as err:  # noqa: BLE001
                # Such as a rule that is not there; the other templates count.
                _LOGGER.debug("A sentence of a question cannot be matched: %s", type(err).__name__)
                continue
            if found is not None:
                return Match(choice_id, {name: _value(one.value) for name, one in found.entities.items()})
        return None

    def _parsed(self, sentence: str, language: str) -> Intents | None:
        """Return a sentence ready to be matched; None where it is no template."""
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
                self._time(expression)
        except Exception as err:  # noqa: BLE001
            # The sentence still counts letter by letter.
            _LOGGER.debug("A sentence of a question is no template: %s", type(err).__name__)
            return None
        return intents

    def _time(self, expression: Expression) -> None:
        """See that matching an expression stops when the time is up."""
        if not isinstance(expression, Group):
            return
        for number, item in enumerate(expression.items):
            if isinstance(item, TextChunk):
                chunk = _TimedChunk(item.text, item.original_text, item.parent)
                chunk.budget = self._budget
                expression.items[number] = chunk
            else:
                self._time(item)


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
