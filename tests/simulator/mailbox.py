"""Conversations and the messages in them: where a message is filed, and who sees it."""

from collections.abc import Iterable
import secrets
import time

from .model import Session, StoredMessage, User

type Key = tuple[str, str, str]


def server_made_id() -> str:
    """A session id as the PBX makes them."""
    return secrets.token_hex(16)


def message_id(message_type: str) -> str:
    """An id in one of the forms that live hosts mix: integers, `m-` and hex, plain hex."""
    if message_type.startswith("chat"):
        return str(10**10 + secrets.randbelow(9 * 10**10))
    return f"m-{secrets.token_hex(7)[:13]}" if message_type == "sms" else secrets.token_hex(16)


class Mailbox:
    """All sessions, each under its user's name."""

    def __init__(self) -> None:
        self.sessions: dict[Key, Session] = {}
        self._latest: dict[tuple[str, str, str, str], str] = {}
        self._filed = 0

    def get(self, user: User, session_id: str) -> Session | None:
        """A user's view of a session, once something in it can be seen."""
        session = self.sessions.get((user.domain, user.user, session_id))
        return session if session is not None and self.visible(session) else None

    def of_user(self, user: User) -> list[Session]:
        """The visible sessions of one user."""
        return self._visible(s for s in self.sessions.values() if (s.domain, s.user) == (user.domain, user.user))

    def of_domain(self, domain: str) -> list[Session]:
        """The visible sessions of a whole domain."""
        return self._visible(s for s in self.sessions.values() if s.domain == domain)

    @staticmethod
    def visible(session: Session) -> list[StoredMessage]:
        """The messages that made it into the lists by now, oldest first."""
        now = time.monotonic()
        return [message for message in session.messages if message.visible_at <= now]

    def _visible(self, sessions: Iterable[Session]) -> list[Session]:
        return [session for session in sessions if self.visible(session)]

    def latest_id(self, user: User, sms_number: str, remote: list[str]) -> str | None:
        """The session in which this pair of numbers talked last."""
        return self._latest.get((user.domain, user.user, sms_number, _together(remote)))

    def file(self, user: User, message: StoredMessage, sms_number: str, remote: list[str]) -> Session:
        """Put a message into the user's view of its session, which is made where needed."""
        key = (user.domain, user.user, message.messagesession)
        session = self.sessions.get(key)
        if session is None:
            session = Session(message.messagesession, user.user, user.domain, remote, sms_number, message.timestamp)
            self.sessions[key] = session
        session.remote, session.sms_number = remote, sms_number
        session.participants = message.participants or session.participants
        session.last_status = "read" if message.from_uid == user.uid else "unread"
        self._filed += 1
        message.sequence = message.sequence or self._filed
        session.messages.append(message)
        self._latest[user.domain, user.user, sms_number, _together(remote)] = session.id
        return session

    def remove(self, session: Session) -> None:
        """Take a session out of its user's view; the other side keeps its own."""
        self.sessions.pop((session.domain, session.user, session.id), None)
        pair = (session.domain, session.user, session.sms_number, _together(session.remote))
        if self._latest.get(pair) == session.id:
            del self._latest[pair]


def _together(remote: list[str]) -> str:
    return ",".join(sorted(remote))
