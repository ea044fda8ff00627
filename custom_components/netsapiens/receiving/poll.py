"""One poll of the PBX's lists: what is new in them, and what is left for the next one."""

from datetime import datetime, timedelta
from typing import NamedTuple

from ..api import Account, MessageSession, NetsapiensError
from ..api.models import same_number
from .checkpoint import Checkpoint
from .reader import Inbound

OLDEST = timedelta(hours=24)  # what is older is not reported
_WINDOW = timedelta(minutes=10)  # a message may show so late
_LONGEST_AWAY = timedelta(days=30)  # what is older is not even counted
_BACK = timedelta(hours=1, minutes=5)  # a zone's summer may have ended between two messages
_BATCH_ROWS, _BATCH_TEXT = 1000, 2 * 1024 * 1024  # messages and characters, gathered at the most


class Found(NamedTuple):
    """A message that was not seen before."""

    inbound: Inbound
    is_history: bool  # it was there before us


class Poll:
    """One poll: what was found, and what could not be read.

    Parameters:
        checkpoint: how far the inbox is.
        now: by the PBX's clock.
        began: by the loop's clock.
    """

    def __init__(self, checkpoint: Checkpoint, now: datetime, began: float) -> None:
        self.checkpoint, self.now = checkpoint, now
        self.since = max(min(checkpoint.until, now), now - _LONGEST_AWAY) - _WINDOW
        self.failed: dict[str, NetsapiensError] = {}
        self.left: list[MessageSession] = []  # for the next poll
        self.is_clock_doubted = False  # what came in after the PBX's clock was set back does not seem new yet
        self.begin_batch(began)

    def begin_batch(self, now: float) -> None:
        """Gather anew."""
        self.found: list[Found] = []
        self.read: list[MessageSession] = []
        self.newest: dict[str, str] = {}
        self.began = now

    @property
    def is_complete(self) -> bool:
        """Whether all was read that had to be, as far as the PBX's clock can be believed."""
        return not self.failed and not self.left and not self.is_clock_doubted

    def is_full(self, now: float, longest: float) -> bool:
        """Whether what was gathered is to be reported."""
        if not self.found:
            return False
        text = sum(len(one.inbound.row.text) for one in self.found)
        return now - self.began >= longest or len(self.found) >= _BATCH_ROWS or text >= _BATCH_TEXT


def unseen(rows: list[Inbound], checkpoint: Checkpoint, since: datetime, latest: str | None) -> list[Inbound]:
    """Return a conversation's messages that were not seen before.

    They are new by their time; or since they are listed above one that was seen, if the clocks do not agree.
    """
    above = next((one for one in reversed(rows) if one.key == latest), None)
    return [
        one
        for one in rows
        if one.key not in checkpoint.seen
        and (one.at >= since or (above is not None and one.listed > above.listed and one.at >= above.at - _BACK))
    ]


def signature(session: MessageSession) -> int:
    """Return what changes when a conversation gets a message; its hash, since texts need not be kept."""
    return hash((session.last_time, session.last_message, session.last_sender))


def is_ours_last(session: MessageSession, account: Account) -> bool:
    """Whether a conversation's last message is one that we sent; False where that is not sure."""
    sender = session.last_sender
    if not sender or any(same_number(sender, remote) for remote in session.remotes):
        return False
    if session.sms_number and same_number(sender, session.sms_number):
        return True
    return sender == account.uid or account.without_domain(sender) in {account.user, session.owner or account.user}
