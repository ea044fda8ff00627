"""One poll of the PBX's lists: what is new in them, and what is left for the next one."""

from datetime import datetime, timedelta
from typing import NamedTuple

from ..api import Account, MessageSession, NetsapiensError
from ..api.values import same_number
from .checkpoint import EPOCH, Checkpoint
from .reader import Inbound

OLDEST = timedelta(hours=24)  # what is older is not reported
_WINDOW = timedelta(minutes=10)  # a message may show so late
_LONGEST_AWAY = timedelta(days=30)  # what is older is not even counted
_BACK = timedelta(hours=1, minutes=5)  # a zone's summer may have ended between two messages
_MOST_AHEAD = timedelta(hours=14)  # of UTC, of all zones
_SECOND = timedelta(seconds=1)  # to which times are listed
_BATCH_ROWS, _BATCH_TEXT = 1000, 2 * 1024 * 1024  # messages and characters, gathered at the most


class Found(NamedTuple):
    """A message that was not seen before."""

    inbound: Inbound
    is_history: bool  # it was there before us


class Poll:
    """One poll: what was found, and what could not be read.

    Parameters:
        checkpoint: how far the inbox is; None at the very first poll.
        now: by the PBX's clock.
        began: by the loop's clock.
        first_failed: when the very first poll began, if it failed.
    """

    def __init__(
        self, checkpoint: Checkpoint | None, now: datetime, began: float, first_failed: datetime | None = None
    ) -> None:
        self._is_first = checkpoint is None
        self.checkpoint = checkpoint or Checkpoint(first_failed or now)
        self.now = now
        self._latest_bare: datetime | None = None
        self.since = max(min(self.checkpoint.until, now), now - _LONGEST_AWAY) - _WINDOW
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

    def note_listed(self, listed: list[MessageSession]) -> None:
        """Note which conversations there are, and with that the latest of the times that have no zone."""
        most = self.now + _MOST_AHEAD + _WINDOW
        times = [time for row in listed if (time := row.bare_time) is not None and time <= most]
        self._latest_bare = max(times, default=None if listed else EPOCH)

    def since_of(self, session: MessageSession) -> datetime:
        """Return since when a conversation's messages are new, by the times that it lists.

        Where their zone is not known, they can only be compared with one another: what is later than all that was
        looked at came in after it.
        """
        if not session.is_bare or (latest := self._latest_bare) is None:
            return self.since
        if self._is_first:
            return latest - _WINDOW  # nothing of it is reported, but it has to be known as seen
        until = self.checkpoint.bare_until
        return latest + _SECOND if until is None else max(until + _SECOND, latest - OLDEST)

    def reach_bare(self) -> None:
        """Note, at the end, that all was looked at up to the latest of the times that have no zone."""
        until, latest = self.checkpoint.bare_until, self._latest_bare
        if latest is not None and (until is None or (self.is_complete and latest > until)):
            self.checkpoint.bare_until = latest

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

    They are new by their time; or since they are listed above one that was seen, if the clocks do not agree, or the PBX
    gives no times.
    """
    above = next((one for one in reversed(rows) if one.key == latest), None)

    def is_new(one: Inbound) -> bool:
        """Whether it came in since then."""
        is_above = above is not None and one.listed > above.listed and one.at >= above.at - _BACK
        return is_above or (one.at >= since and not one.is_guess)

    return [one for one in rows if one.key not in checkpoint.seen and is_new(one)]


def signature(session: MessageSession) -> int:
    """Return what changes when a conversation gets a message; its hash, since texts need not be kept."""
    return hash((session.listed_time, session.last_message, session.last_sender))


def is_ours_last(session: MessageSession, account: Account) -> bool:
    """Whether a conversation's last message is one that we sent; False where that is not sure."""
    sender = session.last_sender
    if not sender or any(same_number(sender, remote) for remote in session.remotes):
        return False
    if session.sms_number and same_number(sender, session.sms_number):
        return True
    return sender == account.uid or account.without_domain(sender) in {account.user, session.owner or account.user}
