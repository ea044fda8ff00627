"""How far a poller is: up to when all was looked at, and which messages were seen since shortly before that."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import hashlib

EPOCH = datetime.fromtimestamp(0, UTC)

_MOST_CONVERSATIONS = 1000  # of which the newest message is known
_READING = timedelta(minutes=1)  # within which one clock is read
_APART = timedelta(hours=1)  # by which two clocks may differ that are both right, more or less


def fingerprint(*parts: str) -> str:
    """Return a short name for what the parts say together."""
    return hashlib.blake2b("\n".join(parts).encode(errors="replace"), digest_size=12).hexdigest()


@dataclass(slots=True)
class Checkpoint:
    """How far the poller is.

    Attributes:
        until: by the PBX's clock; all before was looked at.
        seen: the messages from a while before that on, by what each is known by, with the time of which it is: its own,
            or when it was seen, whichever is later.
        latest: by conversation (its fingerprint), what its newest message that was seen is known by.
        wall: what our wall clock showed then.
        ignored_until: what is not newer, by the PBX's clock, is not reported; it was before this was begun.
        bare_until: the latest time of a conversation that was looked at, of times without a zone; None where the PBX
            lists none.
        zone: what these are ahead of UTC; None where it is not known.
    """

    until: datetime
    seen: dict[str, datetime] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    wall: datetime = field(default_factory=lambda: datetime.now(UTC))
    ignored_until: datetime = EPOCH
    bare_until: datetime | None = None
    zone: timedelta | None = None

    def note(self, session_id: str, key: str, at: datetime) -> None:
        """Note a message as seen, the newest of its conversation so far."""
        self.seen[key] = at
        self.note_latest(session_id, key)

    def note_latest(self, session_id: str, key: str) -> None:
        """Note a conversation's newest message; of the conversations, the last ones are kept."""
        session = fingerprint(session_id)
        self.latest.pop(session, None)
        self.latest[session] = key
        if len(self.latest) > _MOST_CONVERSATIONS:
            del self.latest[next(iter(self.latest))]

    def latest_of(self, session_id: str) -> str | None:
        """Return what a conversation's newest message that was seen is known by."""
        return self.latest.get(fingerprint(session_id))

    def forget_before(self, time: datetime) -> None:
        """Forget the messages that will not be looked at again."""
        self.seen = {key: at for key, at in self.seen.items() if at >= time}

    def reach(self, time: datetime, now: datetime) -> None:
        """Note that all before a time was looked at. It never goes back.

        Parameters:
            time: by the PBX's clock.
            now: what that shows now.
        """
        if time > self.until:
            self.until = time
            self.wall = datetime.now(UTC) - (now - time)

    def move(self, by: timedelta) -> None:
        """Go with the PBX's clock, which was set: what was looked at stays looked at, what was seen stays seen."""
        self.until += by
        if self.ignored_until > EPOCH:
            self.ignored_until += by
        if by > timedelta(0):
            self.seen = {key: at + by for key, at in self.seen.items()}

    def align(self, now: datetime, wall: datetime) -> None:
        """Mend what was written down while the PBX's clock was wrong, as far as our wall clock can tell.

        Parameters:
            now: by the PBX's clock.
            wall: by ours.
        """
        is_ahead = self.until > now + _READING
        # What came in since then must not be passed over, whatever the PBX's clock shows now.
        then = now - max(wall - self.wall, timedelta(0))
        was_late = self.until + _APART < self.wall <= wall + _READING
        if abs(now - wall) < _APART and (is_ahead or was_late):
            self.until = min(self.wall, then)
        elif is_ahead:
            self.until = then
        if self.ignored_until > now + _READING:
            self.ignored_until = then
