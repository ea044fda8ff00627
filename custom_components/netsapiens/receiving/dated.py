"""When messages were: where the PBX gives one no time that can be read, its neighbours say about when."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ..api import Message, MessageSession


class Dated(NamedTuple):
    """A message and its time.

    Attributes:
        at: its time.
        listed: its position; the newest has the highest.
        row: the message.
        is_guess: whether the time is a neighbour's, so that only the message's position tells whether it is new.
    """

    at: datetime
    listed: int
    row: Message
    is_guess: bool


def dated(session: MessageSession, rows: Sequence[Message], now: datetime) -> list[Dated]:
    """Return a conversation's messages by their times; those of one second stay in the PBX's order.

    One without a time has that of the next one which has it: what nobody answered yet must not look old. The last of
    all has the conversation's.

    Parameters:
        session: the conversation.
        rows: its messages, oldest first.
        now: by the PBX's clock.
    """
    found = []
    at = session.last_time or next((row.time for row in reversed(rows) if row.time is not None), now)
    for listed in range(len(rows) - 1, -1, -1):
        row = rows[listed]
        at = row.time or at
        is_last = listed == len(rows) - 1 and session.last_time is not None and is_last_of(session, row)
        found.append(Dated(at, listed, row, row.time is None and not is_last))
    return sorted(found, key=lambda one: one[:2])


def is_last_of(session: MessageSession, row: Message) -> bool:
    """Whether a message may be a conversation's last one, whatever its time."""
    return row.text == session.last_message and session.last_sender in {row.from_number, row.from_user_id}
