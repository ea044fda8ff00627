"""When the PBX took a question, and whether a text came in after that.

The PBX lists times in seconds, its clock is known to a second or so, and its lists lag. Close to the moment when it
took the question, the order in its list decides.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from .received import ReceivedMessage

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
    if _holds(received.listed.after if received.listed else (), question.text):
        return False
    if is_listed_before(question.text, received):
        return True
    return at >= question.earliest.replace(microsecond=0) - _SECOND


def is_listed_before(question: str, received: ReceivedMessage) -> bool:
    """Return whether the PBX lists a question of ours before a text, and not after it.

    Parameters:
        question: its text.
        received: the text.
    """
    between = received.listed
    return between is not None and _holds(between.before, question) and not _holds(between.after, question)


def _holds(texts: tuple[str, ...], question: str) -> bool:
    """Whether a question is among texts; PBXs drop spaces at the ends."""
    return any(text.strip() == question.strip() for text in texts)
