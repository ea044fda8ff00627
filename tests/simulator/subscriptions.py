"""Event subscriptions: who may have which, and for how long."""

from dataclasses import dataclass
from datetime import UTC, datetime
import secrets
from typing import Any

from .errors import ApiError, bad_request
from .model import Subscription, User

MODELS = {
    *("agent", "auditlog", "auditlog_lite", "call", "call_origid", "cdr"),
    *("message", "messagesession", "subscriber", "presence", "voicemail"),
}
ALL_DOMAINS = {"Super User", "Reseller"}
DOMAIN_SCOPES = ALL_DOMAINS | {"Office Manager"}
CONFLICT = "Subscription ID already Exists or matching set of parameters already exists"


@dataclass(slots=True)
class Event:
    """Something that happened, in both spellings."""

    model: str
    domain: str
    user: str
    v1: dict[str, Any]
    v2: dict[str, Any]


class SubscriptionBook:
    """All subscriptions; the ended ones vanish."""

    def __init__(self) -> None:
        self.rows: list[Subscription] = []

    def live(self, now: datetime) -> list[Subscription]:
        """Those that did not end yet."""
        self.rows = [row for row in self.rows if row.expires > now]
        return self.rows

    def matching(self, event: Event, now: datetime) -> list[Subscription]:
        """Those that want this event."""
        return [row for row in self.live(now) if row.model == event.model and _wants(row, event)]

    def of_user(self, user: User, now: datetime) -> list[Subscription]:
        """Those that a user may see."""
        return [row for row in self.live(now) if _may_see(user, row)]

    def find(self, user: User, subscription_id: str, now: datetime) -> Subscription:
        """One by its id."""
        for row in self.of_user(user, now):
            if row.id == subscription_id:
                return row
        raise ApiError(404, "Subscription not found")

    def create(self, body: Any, user: User, now: datetime, default_expiry: datetime) -> Subscription:
        """Make one from a request's body."""
        if not isinstance(body, dict):
            raise bad_request("Invalid JSON body")
        domain, owner = body.get("domain") or user.domain, body.get("user") or _default_user(user)
        _check_reach(user, domain, owner, body.get("reseller") or "")
        row = Subscription(
            id=secrets.token_hex(16),
            model=_model(body.get("model")),
            post_url=_post_url(body.get("post-url")),
            scope=user.scope,
            reseller=body.get("reseller") or "AcmeReseller",
            domain=domain,
            user=owner,
            created=now,
            expires=_expiry(body, now) or default_expiry,
            geo_support="yes" if body.get("subscription-geo-support") == "yes" else "no",
            preferred_server=body.get("preferred-server") or "",
        )
        if any(_same(row, other) for other in self.live(now)):
            raise ApiError(409, CONFLICT, {"message": CONFLICT})
        self.rows.append(row)
        return row

    def update(self, row: Subscription, body: Any, now: datetime) -> None:
        """Change what may be changed; the filters never do."""
        if not isinstance(body, dict):
            raise bad_request("Invalid JSON body")
        if any(body.get(counter) not in (None, 0, "0") for counter in ("error-count", "posts-count")):
            raise bad_request("Only 0 is allowed for a counter")
        row.model = _model(body["model"]) if "model" in body else row.model
        row.post_url = _post_url(body["post-url"]) if "post-url" in body else row.post_url
        row.expires = _expiry(body, now) or row.expires
        row.geo_support = body.get("subscription-geo-support", row.geo_support)
        row.preferred_server = body.get("preferred-server", row.preferred_server)
        row.error_count = 0 if "error-count" in body else row.error_count
        row.posts_count = 0 if "posts-count" in body else row.posts_count

    def remove(self, row: Subscription) -> None:
        """Forget one."""
        self.rows.remove(row)


def _default_user(user: User) -> str:
    return "*" if user.scope in DOMAIN_SCOPES else user.user


def _check_reach(user: User, domain: str, owner: str, reseller: str) -> None:
    if user.scope == "Super User":
        return
    if domain == "*" or reseller == "*":
        raise ApiError(403, "Please include a domain using a Reseller scope")
    if domain != user.domain and user.scope not in ALL_DOMAINS:
        raise ApiError(401, "Domain out of scope")
    if owner != user.user and user.scope not in DOMAIN_SCOPES:
        raise ApiError(403, "Not allowed for this user")


def _may_see(user: User, row: Subscription) -> bool:
    if user.scope in ALL_DOMAINS:
        return True
    return row.domain == user.domain and (user.scope in DOMAIN_SCOPES or row.user == user.user)


def _wants(row: Subscription, event: Event) -> bool:
    return row.domain in ("*", event.domain) and row.user in ("*", event.user)


def _same(one: Subscription, other: Subscription) -> bool:
    names = ("model", "post_url", "reseller", "domain", "user")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _model(value: Any) -> str:
    if not isinstance(value, str) or value not in MODELS:
        raise bad_request("Invalid model")
    return value


def _post_url(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        raise bad_request("Invalid post-url")
    return value


def _expiry(body: dict[str, Any], now: datetime) -> datetime | None:
    value = body.get("subscription-expires-datetime")
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as err:
        raise bad_request("Invalid subscription-expires-datetime") from err
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise bad_request("Invalid subscription-expires-datetime")
    return moment
