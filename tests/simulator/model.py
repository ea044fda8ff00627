"""The things a PBX knows: users, numbers, messages, conversations, subscriptions. Plain data, no behaviour."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class SmsNumber:
    """A texting number; `dest` is empty where it belongs to the user that holds it."""

    number: str
    application: str = "user"
    dest: str = ""
    carrier: str = "examplecarrier"
    mms_capable: bool = True
    group_mms_capable: bool = True


@dataclass(slots=True)
class User:
    """One extension and the login that goes with it."""

    user: str
    domain: str
    login: str
    password: str
    scope: str = "Basic User"
    display_name: str = ""
    mfa: bool = False
    numbers: list[SmsNumber] = field(default_factory=list)
    contacts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def uid(self) -> str:
        """The extension at its domain: how the PBX names a user everywhere else."""
        return f"{self.user}@{self.domain}"


@dataclass(slots=True)
class StoredMessage:
    """A message as the PBX took it in: `text` is never touched, whatever the lists make of it later."""

    id: str
    type: str
    text: str
    from_number: str | None
    destination: list[str]
    messagesession: str
    user: str
    domain: str
    timestamp: str
    at: float
    direction: str
    requested_session: str | None = None
    media: bytes | None = None
    mime_type: str | None = None
    size: int = 0
    from_uid: str = ""
    terminating_uid: str = ""
    participants: list[str] = field(default_factory=list)
    status: str = ""
    user_agent: str = ""
    visible_at: float = 0.0
    sequence: int = 0
    bare_timestamp: str = ""  # in the zone of bare times


@dataclass(slots=True)
class Session:
    """One user's view of one conversation; the other side's view is another row under the same id."""

    id: str
    user: str
    domain: str
    remote: list[str]
    sms_number: str
    started: str
    participants: list[str] = field(default_factory=list)
    name: str = ""
    last_status: str = "read"
    messages: list[StoredMessage] = field(default_factory=list)

    @property
    def is_chat(self) -> bool:
        """Whether it stays inside the PBX."""
        return not self.sms_number

    @property
    def is_group(self) -> bool:
        """Whether there is more than one on the other side."""
        return len(self.remote) > 1


@dataclass(slots=True)
class Subscription:
    """An event subscription and how its deliveries went."""

    id: str
    model: str
    post_url: str
    scope: str
    reseller: str
    domain: str
    user: str
    created: datetime
    expires: datetime
    geo_support: str = "no"
    preferred_server: str = ""
    active_server: str = ""
    status: str = "pending"
    error_count: int = 0
    posts_count: int = 0


@dataclass(slots=True)
class RequestRecord:
    """One request to the API; `status` stays 0 where no answer left the PBX."""

    method: str
    path: str
    query: dict[str, str]
    at: float
    body: Any = None
    form: dict[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0
