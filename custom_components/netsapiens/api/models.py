"""The records that the PBX lists, as plain objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
import re
from typing import Any, NamedTuple

from .values import (
    as_known_flag,
    as_text,
    as_time,
    as_words,
    either,
    is_digits,
    number_of,
    read_time,
    same_number,
)

# A row without any of these is no record of its kind. What else a record has, an error may have as well.
MESSAGE_KEYS = frozenset({"messagesession-id", "direction", "from-number", "from-user-id", "dialed"})
SESSION_KEYS = frozenset({"messagesession-id", "messagesession-remote"})
NUMBER_KEYS = frozenset({"number", "dest", "application"})
SUBSCRIPTION_KEYS = frozenset({"model", "post-url", "post_url"})

_DOMAIN_SCOPES = {"officemanager", "reseller", "superuser"}
_VERSION = re.compile(r"^\s*version:?\s*", re.IGNORECASE)


class Account(NamedTuple):
    """Who we are to the PBX, as a token's answer says (POST /tokens).

    Attributes:
        uid: the account's own id, e.g. ``1001@acme.example``.
        user: the extension, e.g. ``1001``.
        domain: e.g. ``acme.example``.
        login: what one signs in with; often, not always, the uid.
        scope: the login's rights, e.g. ``Basic User``; may be empty.
        version: the API's version, e.g. ``44.1.2``; may be empty.
    """

    uid: str
    user: str
    domain: str
    login: str
    scope: str
    version: str

    @property
    def has_domain_rights(self) -> bool:
        """Whether the login may act for the other users of its domain."""
        return has_domain_rights(self.scope)

    def without_domain(self, user: str) -> str:
        """Return a user of our own domain, in whatever case the PBX writes it, without it; anybody else as they are."""
        name, _, domain = user.partition("@")
        return name if domain.lower() in {"", self.domain.lower()} else user

    @classmethod
    def from_token(cls, answer: Mapping[str, Any], username: str) -> Account:
        """Read the answer to a token call; ``username`` stands in for what it lacks."""
        user, domain = as_text(answer.get("user")).strip(), as_text(answer.get("domain")).strip()
        login = as_text(answer.get("login")).strip() or as_text(answer.get("username")).strip() or username
        uid = as_text(answer.get("uid")).strip() or (f"{user}@{domain}" if user and domain else login)
        return cls(
            uid=uid,
            user=user,
            domain=domain,
            login=login,
            scope=as_text(answer.get("scope")),
            version=version_of(answer),
        )


def has_domain_rights(scope: str) -> bool:
    """Whether a scope, in any spelling, is one with rights over a domain."""
    return "".join(filter(str.isalpha, scope)).lower() in _DOMAIN_SCOPES


def version_of(answer: Mapping[str, Any]) -> str:
    """Return the API's version, without the words around it."""
    return _VERSION.sub("", as_text(answer.get("apiversion"))).strip()


class SmsNumber(NamedTuple):
    """A number that the account may text from (GET /domains/{domain}/users/{user}/smsnumbers).

    Attributes:
        number: digits, as the PBX lists them.
        dest: the user or queue that owns the number; may be empty.
        mms_capable: may send pictures to one number; None where the PBX does not say.
        group_mms_capable: may send pictures to several numbers in one conversation; likewise.
        application: what it is for: ``user``, ``callqueue`` or ``available``; may be empty.
    """

    number: str
    dest: str
    mms_capable: bool | None
    group_mms_capable: bool | None
    application: str = ""

    @property
    def owner(self) -> str:
        """The user under whom it sends; empty where it is a queue's, or nobody's."""
        return self.dest.partition("@")[0] if self.application.lower() in {"", "user"} else ""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> SmsNumber | None:
        """Read one row; None where it holds no number."""
        number = number_of(row.get("number"))
        if not is_digits(number):
            return None
        return cls(
            number=number,
            dest=as_text(row.get("dest")).strip(),
            mms_capable=as_known_flag(row.get("mms-capable")),
            group_mms_capable=as_known_flag(row.get("group-mms-capable")),
            application=as_text(row.get("application")).strip(),
        )


class Message(NamedTuple):
    """One message of a conversation (GET …/messagesessions/{messagesession}/messages).

    Attributes:
        id: opaque; not surely unique, may be empty.
        type: ``sms``, ``mms``, ``chat``, ``chat-media`` and the PBX's own further kinds, in lower case; where the PBX
            gives none, as the sender and the attachment say; empty where there is no sender either.
        text: as the PBX gives it back, so "0012" may have become "12".
        direction: ``orig`` for what came in, ``term`` for what went out, empty for chat.
        from_number: digits, the name that a sender has in place of a number, or empty.
        from_user_id: ``user@domain`` of an inside sender, or empty.
        dialed: what the sender dialled: digits, or an extension.
        time: in UTC by the PBX's clock, to the second; None where it gave none.
        bare_time: the same as the PBX listed it, if that was without a zone; else None.
        messagesession: the conversation's id.
        media_type: MIME type of the attachment, or empty.
        media_url: where the attachment can be fetched for a while, or empty.
        participants: numbers or users of a group, in the PBX's order.
    """

    id: str
    type: str
    text: str
    direction: str
    from_number: str
    from_user_id: str
    dialed: str
    time: datetime | None
    messagesession: str
    media_type: str
    media_url: str
    participants: tuple[str, ...]
    bare_time: datetime | None = None

    @property
    def listed_time(self) -> datetime | None:
        """Its time as the PBX listed it, whatever is known of its zone."""
        return self.time if self.bare_time is None else self.bare_time

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Message:
        """Read one row."""
        time, is_bare = read_time(row.get("timestamp") or row.get("datetime"))
        from_number, from_user_id = number_of(row.get("from-number")), as_text(row.get("from-user-id"))
        # The trailing space is the PBX's own.
        media_url = as_text(row.get("file-access-url") or row.get("file-access-url "))
        media_type = _media_type(row.get("media-type"), media_url)
        return cls(
            id=as_text(row.get("id")),
            type=_keyword(row.get("type")) or _type_of(from_number, from_user_id, media_type or media_url),
            text=as_words(row.get("text")),
            direction=_keyword(row.get("direction")),
            from_number=from_number,
            from_user_id=from_user_id,
            dialed=as_text(row.get("dialed")),
            time=time,
            messagesession=as_text(row.get("messagesession-id")),
            media_type=media_type,
            media_url=media_url,
            participants=_split(row.get("messagesession-participants")),
            bare_time=time if is_bare else None,
        )

    @property
    def is_media_kind(self) -> bool:
        """Whether its type is one of media; a group's text may be of such a type as well."""
        return self.type == "mms" or self.type.endswith("-media")

    def is_outbound(
        self,
        account: Account,
        sms_number: str | None = None,
        is_same_number: Callable[[str, str], bool] = same_number,
    ) -> bool:
        """Whether the account sent it. A chat has no direction, only a sender; some PBXs give a text none either.

        Parameters:
            account: who we are.
            sms_number: our number in the conversation; None or empty for a chat.
            is_same_number: whether two numbers are the same line, where more is known of countries than here.
        """
        if self.direction in {"orig", "term"}:
            return self.direction == "term"
        if sms_number and is_same_number(self.from_number, sms_number):
            return True
        sender = self.from_user_id or self.from_number
        return bool(sender) and (account.without_domain(sender) == account.user or sender == account.uid)


class MessageSession(NamedTuple):
    """One conversation (GET /domains/{domain}/users/{user}/messagesessions).

    Attributes:
        id: the conversation's id.
        remotes: the others: digits of outside numbers, ``user@domain`` of inside ones.
        sms_number: our number in it, or empty for a chat.
        last_time: of its last message, in UTC by the PBX's clock; None where it gave none.
        bare_time: the same as the PBX listed it, if that was without a zone; else None.
        is_bare: whether it was without a zone, and it is not known yet in which: then `last_time` may be hours off.
        participants: everybody in a chat, ourselves too; empty where the PBX does not say.
        last_message: its text, as the PBX gives it back.
        last_sender: who sent it: digits, or ``user@domain``.
        owner: the user whose conversation it is; None for the login's own.
    """

    id: str
    remotes: tuple[str, ...]
    sms_number: str
    last_time: datetime | None
    last_message: str
    last_sender: str
    participants: tuple[str, ...] = ()
    owner: str | None = None
    is_bare: bool = False
    bare_time: datetime | None = None

    @property
    def listed_time(self) -> datetime | None:
        """Its last time as the PBX listed it, whatever is known of its zone."""
        return self.last_time if self.bare_time is None else self.bare_time

    @classmethod
    def from_row(cls, row: Mapping[str, Any], owner: str | None = None) -> MessageSession:
        """Read one row of a user's list."""
        last_time, is_bare = read_time(either(row, "messagesession-last-"))
        return cls(
            id=as_text(row.get("messagesession-id")),
            remotes=_split(row.get("messagesession-remote")),
            sms_number=number_of(row.get("messagesession-sms-number")),
            last_time=last_time,
            last_message=as_words(row.get("messagesession-last-message")),
            last_sender=as_text(row.get("messagesession-last-sender")),
            participants=_split(row.get("messagesession-participants")),
            owner=owner,
            is_bare=is_bare,
            bare_time=last_time if is_bare else None,
        )


@dataclass(frozen=True, slots=True)
class Subscription:
    """One event subscription (GET /subscriptions).

    Attributes:
        id: its id; secret, since the PBX may send it along with what it posts.
        model: ``message``, ``messagesession``, …
        post_url: where it posts.
        status: ``pending``, ``active`` or ``error``.
        expires: when it ends; None where the PBX does not say.
    """

    id: str = field(repr=False)
    model: str
    post_url: str = field(repr=False)
    status: str
    expires: datetime | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Subscription:
        """Read one row."""
        return cls(
            id=as_text(row.get("id")),
            model=_keyword(row.get("model")),
            post_url=as_text(row.get("post-url") or row.get("post_url")),
            status=_keyword(row.get("status")),
            expires=as_time(either(row, "subscription-expires-")),
        )


def _type_of(from_number: str, from_user_id: str, media: str) -> str:
    """Return the type of a message to which the PBX gives none; empty where nobody sent it."""
    if from_number:
        return "mms" if media else "sms"
    if from_user_id:
        return "chat-media" if media else "chat"
    return ""


def _keyword(value: object) -> str:
    """Return one of the API's own words, which come in any case."""
    return as_text(value).strip().lower()


def _media_type(value: object, url: str) -> str:
    """Return a MIME type. That of a text without a link is none of media, and what is no MIME type is none."""
    kind = as_text(value)
    is_media = "/" in kind and (url or not kind.strip().lower().startswith("text/"))
    return kind if is_media else ""


def _split(value: object) -> tuple[str, ...]:
    """Return the parts of a list, comma-joined or not."""
    if isinstance(value, list):
        value = ",".join(map(as_text, value))
    text = as_text(value).strip()
    if "," not in text:
        return (text,) if text else ()
    return tuple(part.strip() for part in text.split(",") if part.strip())
