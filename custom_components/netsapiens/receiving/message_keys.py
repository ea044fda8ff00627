"""What messages are known by, whenever they are read."""

from collections import Counter
from datetime import datetime

from ..api import Message
from ..api.naive_times import ZONE_STEP
from .checkpoint import fingerprint

_STEP = int(ZONE_STEP.total_seconds())


class MessageKeys:
    """What the messages of one conversation are known by.

    Ids are opaque, and may be missing or equal; equal messages of one second differ by their number. The time is as the
    PBX lists it, so that it stays the same once its zone is known.

    Parameters:
        session_id: the conversation.
    """

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._counts: Counter[str] = Counter()

    def next(self, row: Message) -> str:
        """Return what a message is known by. Those of one second must come in the same order each time.

        Parameters:
            row: the message.
        """
        at = row.listed_time
        # A row with an id is known also where the PBX lists its time in another zone than before.
        second = "" if at is None else second_in_any_zone(at) if row.id else int(at.timestamp())
        name = f"{row.id}|{second}|{row.from_number}|{row.from_user_id}|{row.type}|{row.text}"
        self._counts[name] += 1
        return fingerprint(self._session_id, name, str(self._counts[name]))


def second_in_any_zone(at: datetime) -> int:
    """Return what remains of a time, in seconds, where it may turn out to be in another zone."""
    return int(at.timestamp()) % _STEP


def is_zone_apart(seconds: float) -> bool:
    """Whether two times so many seconds apart may be one, read in two zones."""
    return seconds % _STEP == 0
