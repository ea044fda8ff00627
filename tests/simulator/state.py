"""All that the PBX is, without any HTTP: accounts, tokens, conversations, subscriptions."""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
import hashlib
import hmac
import secrets
import time
from typing import Any

from . import render
from .checks import OFFNET_TYPES, Draft
from .mailbox import Mailbox, message_id, server_made_id
from .model import RequestRecord, Session, SmsNumber, StoredMessage, Subscription, User
from .settings import Settings
from .subscriptions import Event, SubscriptionBook
from .tokens import ApiKey, Token, TokenBook

FIRST_LOGIN = "1001@acme.example"
FIRST_NUMBER = "18585550199"
STAMP = "%Y%m%d%H%M%S"  # of a link to media


class Pbx(Settings):
    """The PBX. Tests look at `messages`, `inbound` and `requests`; the routes do the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.url = ""
        self.client_id = "example-client"
        self.client_secret = "example-secret"
        self.users: dict[str, User] = {}
        self.token_book = TokenBook()
        self.mailbox = Mailbox()
        self.subscription_book = SubscriptionBook()
        self.messages: list[StoredMessage] = []
        self.inbound: list[StoredMessage] = []
        self.requests: list[RequestRecord] = []
        self.on_event: Callable[[Event], None] | None = None
        self.watchers: set[Callable[[StoredMessage], None]] = set()
        self._media: dict[str, StoredMessage] = {}
        self._own_ids: dict[tuple[str, ...], str] = {}
        self._link_key = secrets.token_bytes(16)
        self.add_user(FIRST_LOGIN, password="example-password", numbers=[FIRST_NUMBER], display_name="Ann Acme")

    # --- accounts ---------------------------------------------------------------

    def add_user(
        self,
        login: str,
        *,
        password: str = "example-password",
        numbers: Sequence[str | SmsNumber] = (),
        scope: str = "Basic User",
        display_name: str = "",
        mfa: bool = False,
    ) -> User:
        """Add an account; the login `1002@acme.example` makes extension 1002 of domain acme.example."""
        extension, _, domain = login.partition("@")
        rows = [row if isinstance(row, SmsNumber) else SmsNumber(row) for row in numbers]
        user = User(extension, domain or "acme.example", login, password, scope, display_name or extension, mfa, rows)
        self.users[login] = user
        return user

    @property
    def first_user(self) -> User:
        """The account that `account` and `numbers` describe."""
        return next(iter(self.users.values()))

    @property
    def account(self) -> dict[str, str]:
        """What a person types to set the first account up."""
        return self.account_of(self.first_user)

    def account_of(self, user: User) -> dict[str, str]:
        """What a person types to set this account up."""
        return {
            "base_url": self.url,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "username": user.login,
            "password": user.password,
        }

    def add_key(self, prefix: str = "nsu_", *, user: str | None = None, read_only: bool = False) -> ApiKey:
        """Make an API key: a basic user's is the first account's own, others are nobody's, in its domain or in any."""
        own = self.first_user.user if prefix == "nsu_" else ""
        domain = self.first_user.domain if prefix in {"nsu_", "nsd_"} else "*"
        return self.token_book.issue_key(prefix, user=own if user is None else user, domain=domain, read_only=read_only)

    def add_contact(self, first: str = "", last: str = "", *, company: str = "", **numbers: str) -> dict[str, Any]:
        """Add a contact to the first account: `add_contact("Ann", "Acme", cell="8585550123")`."""
        contacts = self.first_user.contacts
        contacts.append(render.contact(f"c{len(contacts)}", first, last, company, numbers))
        return contacts[-1]

    @property
    def numbers(self) -> list[str]:
        """The texting numbers of the first account."""
        return [row.number for row in self.first_user.numbers]

    def find_user(self, domain: str, extension: str) -> User | None:
        """The user with this extension."""
        return next((u for u in self.users.values() if (u.domain, u.user) == (domain, extension)), None)

    @property
    def tokens(self) -> dict[str, Token]:
        """Every access token that was handed out and not revoked, the ended ones included."""
        return self.token_book.access

    def revoke_tokens(self, *, refresh: bool = False) -> None:
        """Let every access token be refused from now on, and refresh tokens too where asked."""
        self.token_book.revoke(refresh=refresh)

    @property
    def subscriptions(self) -> list[Subscription]:
        """The event subscriptions that did not end."""
        return self.subscription_book.live(self.now())

    def requests_to(self, part: str) -> list[RequestRecord]:
        """The recorded requests with `part` somewhere in their path."""
        return [record for record in self.requests if part in record.path]

    def now(self) -> datetime:
        """The time by the PBX's own clock."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_offset)

    # --- messages ---------------------------------------------------------------

    def send(self, user: User, draft: Draft, requested_session: str | None, user_agent: str = "") -> StoredMessage:
        """Take a message that passed the checks."""
        offnet = draft.type in OFFNET_TYPES
        remote = draft.destination if offnet else [self._uid(user.domain, ext) for ext in draft.destination]
        own = draft.from_number or user.uid
        message = self._new_message(
            user,
            draft,
            direction="term" if offnet else "",
            requested_session=requested_session,
            messagesession=self._session_for_send(user, draft, remote, requested_session),
            from_uid=user.uid,
            terminating_uid="" if offnet else ",".join(remote),
            participants=[*remote, own] if len(remote) > 1 else [],
            status="sent" if offnet else "sending",
            user_agent=user_agent,
        )
        self.messages.append(message)
        views = [(user, remote)]
        if not offnet:
            views += self._chat_views(user, remote)
        self._file(message, draft.from_number or "", views)
        return message

    async def receive(
        self,
        from_number: str,
        text: str = "",
        to_number: str | None = None,
        media: bytes | None = None,
        mime_type: str | None = None,
        messagesession: str | None = None,
    ) -> StoredMessage:
        """Somebody outside texts one of the numbers."""
        user, number = self._owner(to_number, messagesession)
        session = self._session_of(user, messagesession)
        if session is not None and session.sms_number:
            number = session.sms_number
        remote = session.remote if session is not None and from_number in session.remote else [from_number]
        pair = (user.domain, user.user, number, from_number)
        session_id = messagesession or (self._own_ids.get(pair) if self.file_under_own_id else None)
        session_id = session_id or self.mailbox.latest_id(user, number, remote) or server_made_id()
        if self.file_under_own_id and len(remote) == 1:
            self._own_ids.setdefault(pair, session_id)
        group = len(remote) > 1
        others = [other for other in remote if other != from_number]
        draft = Draft(_type("sms", media), text, [number, *others], from_number, media, _mime_type(media, mime_type))
        message = self._new_message(
            user,
            draft,
            direction="orig",
            messagesession=session_id,
            terminating_uid=user.uid,
            participants=[*remote, number] if group else [],
            user_agent="ExampleCarrier/1.0",
        )
        self.inbound.append(message)
        self._file(message, number, [(user, remote)])
        return message

    async def receive_chat(
        self,
        from_user: str,
        text: str = "",
        to_user: str | None = None,
        media: bytes | None = None,
        mime_type: str | None = None,
        messagesession: str | None = None,
    ) -> StoredMessage:
        """A colleague writes to the first account, or to extension `to_user`."""
        user = self.find_user(self.first_user.domain, to_user) if to_user else self.first_user
        if user is None:
            raise ValueError(f"No such user: {to_user}")
        sender = self._uid(user.domain, from_user)
        session = self._session_of(user, messagesession)
        remote = session.remote if session is not None and sender in session.remote else [sender]
        session_id = messagesession or self.mailbox.latest_id(user, "", remote) or server_made_id()
        receivers = [user.uid, *(other for other in remote if other != sender)]
        draft = Draft(_type("chat", media), text, [uid.partition("@")[0] for uid in receivers], None, media)
        draft.mime_type = _mime_type(media, mime_type)
        message = self._new_message(
            user,
            draft,
            direction="",
            messagesession=session_id,
            from_uid=sender,
            terminating_uid=",".join(receivers),
            participants=[*remote, user.uid] if len(remote) > 1 else [],
            status="sending",
            user_agent="ExamplePhone/1.0",
        )
        self.inbound.append(message)
        views = [(user, remote)]
        colleague = self.find_user(user.domain, sender.partition("@")[0])
        if colleague is not None and colleague is not user:
            views.append((colleague, receivers))
        self._file(message, "", views)
        return message

    def _new_message(self, user: User, draft: Draft, **details: Any) -> StoredMessage:
        at = time.monotonic()
        return StoredMessage(
            id=message_id(draft.type),
            type=draft.type,
            text=draft.text,
            from_number=draft.from_number,
            destination=draft.destination,
            user=user.user,
            domain=user.domain,
            timestamp=render.bare_time(self.now()),
            bare_timestamp=render.bare_time(self.now() + timedelta(seconds=self.bare_offset)),
            at=at,
            visible_at=at + self.lag,
            media=draft.media,
            mime_type=draft.mime_type,
            size=len(draft.media or b""),
            **details,
        )

    def _session_for_send(self, user: User, draft: Draft, remote: list[str], requested: str | None) -> str:
        if self.file_under_own_id and draft.from_number:
            pair = (user.domain, user.user, draft.from_number, *sorted(remote))
            return self._own_ids.setdefault(pair, server_made_id())
        return requested or server_made_id()

    def _session_of(self, user: User, session_id: str | None) -> Session | None:
        return self.mailbox.sessions.get((user.domain, user.user, session_id)) if session_id else None

    def _chat_views(self, sender: User, remote: list[str]) -> list[tuple[User, list[str]]]:
        users = {uid: self.find_user(sender.domain, uid.partition("@")[0]) for uid in remote}
        return [
            (user, [sender.uid, *(other for other in remote if other != uid)])
            for uid, user in users.items()
            if user is not None and user is not sender
        ]

    def _file(self, message: StoredMessage, sms_number: str, views: list[tuple[User, list[str]]]) -> None:
        if message.media is not None:
            self._media[message.id] = message
        for user, remote in views:
            session = self.mailbox.file(user, message, sms_number, remote)
            self._publish_message(user, message)
            self.publish_session(session, message)
        for watcher in list(self.watchers):
            watcher(message)

    def _owner(self, to_number: str | None, session_id: str | None) -> tuple[User, str]:
        if to_number is None:
            known = next((s for s in self.mailbox.sessions.values() if s.id == session_id and s.sms_number), None)
            owner = self.find_user(known.domain, known.user) if known is not None else None
            if owner is not None and known is not None:
                return owner, known.sms_number
            if not self.numbers:
                raise ValueError("The first account has no number")
            return self.first_user, self.numbers[0]
        for user in self.users.values():
            if any(row.number == to_number for row in user.numbers):
                return user, to_number
        raise ValueError(f"No such number: {to_number}")

    @staticmethod
    def _uid(domain: str, extension: str) -> str:
        return extension if "@" in extension else f"{extension}@{domain}"

    # --- events -----------------------------------------------------------------

    def _publish_message(self, user: User, message: StoredMessage) -> None:
        if self.on_event is None:
            return
        v2 = render.message(message, self, self.file_url(user, message))
        self.on_event(Event("message", user.domain, user.user, render.message_event(message), v2))

    def publish_session(self, session: Session, last: StoredMessage) -> None:
        """Tell subscribers that a session changed; a read-mark counts as such."""
        if self.on_event is None:
            return
        v1, v2 = render.session_event(session, last), render.session(session, last, self)
        self.on_event(Event("messagesession", session.domain, session.user, v1, v2))

    # --- media ------------------------------------------------------------------

    def file_url(self, user: User, message: StoredMessage) -> str:
        """The signed, old-style link to a message's media; empty without media."""
        if message.media is None:
            return ""
        if self.media_link:
            return self.media_link
        stamp = self.now().strftime(STAMP)
        query = f"object=message&action=read_media&domain={user.domain}&user={user.user}&time={stamp}&id={message.id}"
        return f"{self.url}/ns-api/?{query}&auth={self._signature(message.id, stamp)}"

    def media_by_link(self, file_id: str, stamp: str, auth: str) -> StoredMessage | None:
        """The message behind such a link, where the signature holds."""
        if not hmac.compare_digest(auth.encode(), self._signature(file_id, stamp).encode()):
            return None
        made = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
        if self.now() - made > timedelta(seconds=self.link_life):
            return None
        return self._media.get(file_id)

    def media(self, file_id: str) -> StoredMessage | None:
        """The message with this id, where it has media."""
        return self._media.get(file_id)

    def _signature(self, file_id: str, stamp: str) -> str:
        return hmac.new(self._link_key, f"{file_id} {stamp}".encode(), hashlib.md5).hexdigest()


def decode_media(value: str | None) -> bytes | None:
    """Media out of JSON."""
    return base64.b64decode(value) if value else None


def _type(plain: str, media: bytes | None) -> str:
    if media is None:
        return plain
    return "mms" if plain == "sms" else "chat-media"


def _mime_type(media: bytes | None, mime_type: str | None) -> str | None:
    return (mime_type or "image/png") if media is not None else None
