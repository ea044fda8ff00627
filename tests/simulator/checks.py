"""What the PBX demands of a message before it takes it; every refusal is a 400."""

import base64
import binascii
from dataclasses import dataclass
import re
from typing import Any

from .errors import bad_request
from .model import SmsNumber, User

SESSION_ID = re.compile(r"[A-Za-z0-9_]{32,}", re.ASCII)
PHONE_NUMBER = re.compile(r"[0-9]{5,15}", re.ASCII)
EXTENSION = re.compile(r"[0-9]{3,6}(@[A-Za-z0-9._-]+)?", re.ASCII)

OFFNET_TYPES = {"sms", "mms"}
MEDIA_TYPES = {"mms", "chat-media"}
TYPES = (
    OFFNET_TYPES
    | MEDIA_TYPES
    | {"chat", "chat-video", "chat-vid", "chat-video-invite", "chat-name-change"}
    | {"chat-participant-add", "chat-participant-remove", "chat-participant-leave"}
)
MMS_MIME_TYPES = {"image/jpeg", "image/png", "image/gif", "text/vcard"}
MMS_MIME_FAMILIES = ("audio/", "video/")


@dataclass(slots=True)
class Draft:
    """A send request that passed."""

    type: str
    text: str
    destination: list[str]
    from_number: str | None
    media: bytes | None = None
    mime_type: str | None = None


def check_session_id(session_id: str) -> str:
    """Clients choose ids themselves, within this."""
    if not SESSION_ID.fullmatch(session_id):
        raise bad_request("Invalid messagesession: at least 32 characters of A-Z, a-z, 0-9 and _ are needed")
    return session_id


def check_send(body: Any, user: User, extensions: set[str]) -> Draft:
    """Read a send request on behalf of `user`; `extensions` are those that exist in the domain."""
    if not isinstance(body, dict):
        raise bad_request("Invalid JSON body")
    for key in ("type", "message", "destination"):
        if body.get(key) is None:
            raise bad_request(f"Missing required field: {key}")
    message_type, text = body["type"], body["message"]
    if not isinstance(message_type, str) or message_type not in TYPES:
        raise bad_request("Invalid type")
    if not isinstance(text, str):
        raise bad_request("Invalid message")
    if not text.strip():  # media or not, as a live operator refuses it
        raise bad_request("Please include field message")
    destination = _destinations(body["destination"], message_type, extensions)
    number = _sender(body.get("from-number"), user) if message_type in OFFNET_TYPES else None
    draft = Draft(message_type, text, destination, number.number if number else None)
    if message_type in MEDIA_TYPES:
        draft.media, draft.mime_type = _media(body)
    if number is not None and message_type == "mms":
        _check_mms(number, draft)
    return draft


def _destinations(value: Any, message_type: str, extensions: set[str]) -> list[str]:
    destinations = [value] if isinstance(value, str) else value
    if not isinstance(destinations, list) or not destinations:
        raise bad_request("Invalid destination")
    for destination in destinations:
        if not isinstance(destination, str) or not _is_reachable(destination, message_type, extensions):
            raise bad_request("Invalid destination")
    return list(destinations)


def _is_reachable(destination: str, message_type: str, extensions: set[str]) -> bool:
    if message_type in OFFNET_TYPES:
        return PHONE_NUMBER.fullmatch(destination) is not None
    return destination in extensions or EXTENSION.fullmatch(destination) is not None


def _sender(value: Any, user: User) -> SmsNumber:
    for number in user.numbers:
        if value == number.number and number.application == "user" and number.dest in ("", user.user, user.uid):
            return number
    raise bad_request("Invalid from-number")


def _media(body: dict[str, Any]) -> tuple[bytes | None, str | None]:
    data, mime_type, size = body.get("data"), body.get("mime-type"), body.get("size")
    if data is None or data == "":
        return None, None
    if not isinstance(mime_type, str) or "/" not in mime_type:
        raise bad_request("Missing required field: mime-type")
    try:
        media = base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError) as err:
        raise bad_request("Invalid data: not base64") from err
    if size is not None and str(size) != str(len(media)):
        raise bad_request("Invalid size: does not match data")
    return media, mime_type


def _check_mms(number: SmsNumber, draft: Draft) -> None:
    if not number.mms_capable:
        raise bad_request("Invalid from-number: not MMS capable")
    if len(draft.destination) > 1 and not number.group_mms_capable:
        raise bad_request("Invalid from-number: not group MMS capable")
    mime_type = draft.mime_type
    if mime_type and mime_type not in MMS_MIME_TYPES and not mime_type.startswith(MMS_MIME_FAMILIES):
        raise bad_request("Invalid mime-type: not supported by carrier")
