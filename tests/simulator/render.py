"""What the API makes of the PBX's data: key names, time formats, and the habit of turning digits into numbers."""

from datetime import UTC, datetime
import html
from typing import Any

from .model import Session, SmsNumber, StoredMessage, Subscription, User
from .settings import Settings

# Only these go through the server's numeric cast; `user`, for one, stays text in every sample.
CAST_KEYS = {
    "id",
    "number",
    "text",
    "dialed",
    "from-number",
    "terminating-number",
    "phonenumber-work",
    "phonenumber-cell",
    "phonenumber-home",
    "phonenumber-fax",
    "messagesession-id",
    "messagesession-remote",
    "messagesession-sms-number",
    "messagesession-last-message",
    "messagesession-last-sender",
}
LONGEST_INTEGER = 2**63 - 1
LONG_CHARACTERS = 2**16  # from there on, UTF-8 needs four bytes, which a poor database does not keep
BARE_TIME = "%Y-%m-%d %H:%M:%S"
HOSTNAME = "core1.acme.example"


def cast(row: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Turn digit-only text into JSON numbers, losing leading zeros and the precision of long ones on the way."""
    if not settings.cast_numbers:
        return row
    return {key: _number(value) if key in CAST_KEYS else value for key, value in row.items()}


def _number(value: Any) -> Any:
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        return value
    number = int(value) if len(value) < 300 else LONGEST_INTEGER + 1  # int() has a limit of its own
    return number if number <= LONGEST_INTEGER else float(number)


def bare_time(moment: datetime) -> str:
    """Without a zone, as messages carry it."""
    return moment.astimezone(UTC).strftime(BARE_TIME)


def iso_time(moment: datetime) -> str:
    """With an offset, as sessions and subscriptions carry it on live hosts."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def user(row: User) -> dict[str, Any]:
    """A user as `GET /domains/{domain}/users/{user}` has it."""
    first, _, last = row.display_name.partition(" ")
    return {
        "user": row.user,
        "domain": row.domain,
        "name-first-name": first,
        "name-last-name": last,
        "login-username": row.login,
        "email-address": f"{row.user}@{row.domain}",
        "user-scope": row.scope,
        "department": "n/a",
        "site": "",
        "account-status": "standard",
        "time-zone": "US/Pacific",
    }


def sms_number(owner: User, row: SmsNumber) -> dict[str, Any]:
    """A texting number."""
    return {
        "number": row.number,
        "application": row.application,
        "domain": owner.domain,
        "dest": row.dest or owner.user,
        "carrier": row.carrier,
        "mms-capable": row.mms_capable,
        "group-mms-capable": row.group_mms_capable,
    }


def contact(contact_id: str, first: str, last: str, company: str, numbers: dict[str, str]) -> dict[str, Any]:
    """A contact; its numbers by ``work``, ``cell``, ``home`` and ``fax``."""
    return {
        "unique-id": contact_id,
        "name-first-name": first,
        "name-middle-name": "",
        "name-last-name": last,
        "email": "",
        "company": company,
        **{f"phonenumber-{kind}": numbers.get(kind, "") for kind in ("work", "cell", "fax", "home")},
        "tags": "",
        "created-datetime": "2026-01-02T03:04:05+00:00",
    }


def _text(row: StoredMessage, settings: Settings) -> str:
    """What the lists show of a message's words: some hosts lose those that stand beside media, or change characters."""
    if settings.loses_mms_text and row.media is not None:
        return ""
    match settings.listed_text:
        case "marks":
            return "".join(char if ord(char) < LONG_CHARACTERS else "????" for char in row.text)
        case "crlf":
            return row.text.replace("\n", "\r\n")
        case "escaped":
            return html.escape(row.text)
        case "usual":
            return row.text


def _last_text(last: StoredMessage, settings: Settings) -> str:
    """What a session's row shows of its last message."""
    text = _text(last, settings)
    return text[:3] if settings.last_shown == "cut" else text


def _last_sender(last: StoredMessage, settings: Settings) -> str:
    """Who sent it, as far as a session's row says so."""
    sender = last.from_uid or last.from_number or ""
    if settings.last_shown == "nobody":
        return ""
    return sender.partition("@")[0] if settings.last_shown == "user" else sender


def message(row: StoredMessage, settings: Settings, file_url: str = "") -> dict[str, Any]:
    """A message of the lists."""
    body: dict[str, Any] = {
        "id": row.id,
        "timestamp": _message_time(row, settings),
        "type": _message_type(row, settings),
        "domain": row.domain,
        "direction": row.direction if settings.gives_direction else "",
        "dialed": _dialed(row, settings),
        "text": _text(row, settings),
        "status": row.status,
        "messagesession-reciever-hostname": HOSTNAME,
        "from-number": _sender(row, settings),
        "from-user-id": row.from_uid if settings.gives_direction or not row.from_number else "",
        "from-video-attendee-id": None,
        "from-user-agent": row.user_agent[:64],
        "terminating-user-id": row.terminating_uid,
        "terminating-number": ",".join(row.destination) if row.direction == "term" else "",
        "messagesession-id": row.messagesession,
        "video-instance-id": None,
        "media-type": row.mime_type or settings.plain_media_type,
        "media-size": row.size,
        "messagesession-participants": ",".join(row.participants) or None,
        f"deleted-{settings.key_suffix}": "",
    }
    if file_url:
        body["file-access-url "] = file_url
    if settings.message_types == "missing":
        del body["type"]
    return body


def _sender(row: StoredMessage, settings: Settings) -> str | None:
    """The number that a text is from; null, which the schema allows, where it came in and that is not named."""
    return (row.from_number or "") if settings.names_sender or row.direction != "orig" else None


def _dialed(row: StoredMessage, settings: Settings) -> str:
    """Empty where our number is not named, as in the vendor's own examples."""
    is_hidden = row.direction == "orig" and not settings.names_our_number
    return ",".join(row.destination) if row.from_number and not is_hidden else ""


def _message_time(row: StoredMessage, settings: Settings) -> str | int | None:
    """A message's time, or what some hosts list in its place."""
    seconds = int(datetime.fromisoformat(f"{row.timestamp}+00:00").timestamp())
    return {
        "usual": row.bare_timestamp,
        "null": None,
        "empty": "",
        "zeros": "0000-00-00 00:00:00",
        "seconds": seconds,
        "milliseconds": seconds * 1000 + 7,
        "utc": f"{row.timestamp} UTC",
        "slashes": row.bare_timestamp.replace("-", "/"),
    }[settings.message_times]


def _message_type(row: StoredMessage, settings: Settings) -> str | None:
    """A message's type, or what some hosts may list in its place."""
    return {"usual": row.type, "missing": None, "null": None, "empty": "", "upper": row.type.upper()}[
        settings.message_types
    ]


def session(row: Session, last: StoredMessage, settings: Settings) -> dict[str, Any]:
    """A session of the lists, as of its last visible message."""
    suffix = settings.key_suffix
    return {
        "user": row.user,
        "domain": row.domain,
        "messagesession-id": row.id,
        "messagesession-remote": ",".join(row.remote),
        "messagesession-sms-number": row.sms_number if settings.names_our_number else None,
        f"messagesession-last-{suffix}": _session_time(last.timestamp, last.bare_timestamp, settings),
        f"messagesession-start-{suffix}": _session_time(row.started, row.started, settings),
        "messagesession-last-message": _last_text(last, settings),
        "messagesession-last-sender": _last_sender(last, settings),
        "messagesession-last-status": row.last_status,
        "messagesession-muted": "no",
        f"messagesession-last-email-reminder-{suffix}": None,
        "messagesession-reciever-hostname": HOSTNAME,
        "messagesession-queue-termination": None,
        "messagesession-queue-status": None,
        "messagesession-queue-session-id": None,
        f"messagesession-agent-start-{suffix}": None,
        "messagesession-last-type": last.type,
        "messagesession-last-media-type": last.mime_type or "",
        "messagesession-last-media-size": last.size,
        "messagesession-type": "group-chat" if row.is_chat and row.is_group else "",
        "messagesession-name": row.name,
        "messagesession-participants": ",".join(row.participants),
    }


def _session_time(stamp: str, bare: str, settings: Settings) -> str:
    return bare if settings.key_suffix == "timestamp" else f"{stamp.replace(' ', 'T')}+00:00"


def subscription(row: Subscription) -> dict[str, Any]:
    """An event subscription."""
    return {
        "id": row.id,
        "subscription-geo-support": row.geo_support,
        "post-url": row.post_url,
        "model": row.model,
        "user-scope": row.scope,
        "reseller": row.reseller,
        "domain": row.domain,
        "user": row.user,
        "preferred-server": row.preferred_server,
        "current-active-server": row.active_server,
        "status": row.status,
        "error-count": row.error_count,
        "posts-count": row.posts_count,
        "subscription-creation-datetime": iso_time(row.created),
        "subscription-expires-datetime": iso_time(row.expires),
    }


def message_event(row: StoredMessage) -> dict[str, Any]:
    """A message as events carry it: the old snake_case names, and everything is text."""
    return {
        "id": row.id,
        "timestamp": row.bare_timestamp,
        "type": row.type,
        "domain": row.domain,
        "direction": row.direction,
        "dialed": ",".join(row.destination) if row.from_number else "",
        "text": row.text,
        "status": row.status,
        "from_num": row.from_number or "",
        "from_uid": row.from_uid,
        "from_user_agent": row.user_agent[:64],
        "term_uid": row.terminating_uid,
        "term_num": ",".join(row.destination) if row.direction == "term" else "",
        "session_id": row.messagesession,
        "media_type": row.mime_type or "",
        "media_size": str(row.size),
        "participants": ",".join(row.participants),
    }


def session_event(row: Session, last: StoredMessage) -> dict[str, Any]:
    """A session as events carry it."""
    return {
        "session_id": row.id,
        "user": row.user,
        "domain": row.domain,
        "remote": ",".join(row.remote),
        "smsani": row.sms_number,
        "start_timestamp": row.started,
        "last_timestamp": last.bare_timestamp,
        "last_mesg": last.text,
        "last_sender": last.from_uid or last.from_number or "",
        "last_status": row.last_status,
        "last_mesg_type": last.type,
        "last_mesg_media_type": last.mime_type or "",
        "last_mesg_media_size": str(last.size),
        "muted": "no",
        "session_type": "group-chat" if row.is_chat and row.is_group else "",
        "session_name": row.name,
    }
