"""When the PBX took a question, and whether a text came in after that.

The PBX lists times in seconds, its clock is known to a second or so, and its lists lag. Close to the moment when it
took the question, the order in its list decides.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from ..listed_text import text_key
from .received import OurText, ReceivedMessage

_CLOSE = timedelta(seconds=3)
_SECOND = timedelta(seconds=1)
_LONGEST_ATTEMPT = timedelta(seconds=15)  # from the attempt that the PBX took until that was known


class Taken(NamedTuple):
    """When the PBX took a question.

    Attributes:
        text: the question.
        started: when sending it began, by the PBX's clock.
        read_after: the same by the event loop's clock.
        known: when it was known that the PBX took it, by the PBX's clock.
        jumped: by how many seconds in all the PBX's clock had been set by then.
    """

    text: str
    started: datetime
    read_after: float
    known: datetime
    jumped: float

    @property
    def earliest(self) -> datetime:
        """When the PBX may have taken it at the earliest: one that was queued was not taken before its last attempt."""
        return max(self.started, self.known - _LONGEST_ATTEMPT)


def came_after(question: Taken, received: ReceivedMessage, jumped: float) -> bool:
    """Return whether a text came in after the PBX took a question.

    Parameters:
        question: when it took it.
        received: the text.
        jumped: by how many seconds in all the PBX's clock has been set by now.
    """
    at = received.timestamp - timedelta(seconds=jumped - question.jumped)
    if received.listed is not None and received.listed.read_at <= question.read_after:
        return False  # it was listed before the question was sent
    if at > question.known + _CLOSE:
        return True
    if at < question.earliest - _CLOSE:
        return False
    order = _order(question, received, jumped)
    return at >= question.earliest.replace(microsecond=0) - _SECOND if order is None else order


def is_listed_after(question: Taken, received: ReceivedMessage, jumped: float) -> bool:
    """Return whether the PBX lists a text after a question, of which it may not be known yet that the PBX took it.

    Parameters:
        question: since when it is sent.
        received: the text.
        jumped: by how many seconds in all the PBX's clock has been set by now.
    """
    return _order(question, received, jumped) is True


def _order(question: Taken, received: ReceivedMessage, jumped: float) -> bool | None:
    """Return whether a text is listed after a question, False for before it; None where the list does not say.

    The same question from before this one was sent does not count. Whether the clock was set before or after the PBX
    took it is not known: it counts where it is late enough by both.
    """
    if received.listed is None:
        return None
    if _holds(received.listed.after, question.text):
        return False
    since = question.started - _CLOSE + timedelta(seconds=max(jumped - question.jumped, 0.0))
    recent = [one for one in received.listed.before if one.at >= since]
    return True if _holds(recent, question.text) else None


def _holds(ours: Iterable[OurText], question: str) -> bool:
    """Whether a question is among texts of ours, whatever the PBX made of its characters."""
    key = text_key(question)
    return any(text_key(one.text) == key for one in ours)
