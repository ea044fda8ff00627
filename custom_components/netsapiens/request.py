"""What an entry point is asked for, and the parts of it that stand for themselves: the text, and media as base64."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import timedelta
import re
from typing import Any, NamedTuple
import unicodedata

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from .errors import refuse
from .outgoing import Media

# Beside blanks, control and format characters: fillers, an empty Braille pattern, and what only changes its neighbour.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(map(chr, range(0xFE00, 0xFE10)))
_MIME_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}")


class ExistingConversation(NamedTuple):
    """One conversation, for an answer in it.

    Attributes:
        id: the PBX's id of it.
        others: everybody in it but us: digits, the user of an extension, or the name of a sender that is no number.
        from_number: our number in it, digits; None for a chat, and where it is not known.
        is_chat: whether it stays inside the PBX.
        recipient: the recipient that it is with, if it is with one.
    """

    id: str
    others: tuple[str, ...]
    from_number: str | None
    is_chat: bool
    recipient: ConfigSubentry | None = None


class SendRequest(NamedTuple):
    """What an entry point was asked for; the fields are those of ``netsapiens.send_message``.

    Attributes:
        destinations: numbers as people write them, each texted privately unless ``group``.
        recipients: each texted in the way it is configured.
        conversation: to answer in, where neither a destination nor a recipient is named.
        sources: where media is: what the media selector gives, or a text. Each is a message of its own.
        are_sources_optional: whether the rest goes also where a file or URL is not allowed, as where it is not there.
    """

    destinations: Sequence[str] = ()
    recipients: Sequence[ConfigSubentry] = ()
    conversation: ExistingConversation | None = None
    message: str | None = None
    title: str | None = None
    group: bool = False
    from_number: str | None = None
    message_type: str | None = None
    messagesession: str | None = None
    data: str | None = None
    mime_type: str | None = None
    sources: Sequence[str | Mapping[str, Any]] = ()
    are_sources_optional: bool = False
    keep_for: timedelta | None = None


def attached_media(request: SendRequest) -> list[Media]:
    """Return the media that came as base64, if any did.

    Raises:
        ServiceValidationError: it is not base64, or of no kind.
    """
    if request.data is None:
        if request.mime_type is not None:
            refuse("mime_type_without_data")
        return []
    mime_type = (request.mime_type or "").strip().lower()
    if not _MIME_TYPE.fullmatch(mime_type):
        refuse("invalid_mime_type")
    try:
        content = base64.b64decode("".join(request.data.split()), validate=True)  # it is often wrapped
    except binascii.Error, ValueError:
        refuse("invalid_data")
    if not content:
        refuse("invalid_data")
    return [Media(content, mime_type, len(content))]


def text_of(request: SendRequest) -> str:
    """Return the text, the title as its first line; empty where nothing of it can be seen."""
    text = "\n".join([part for part in (request.title, request.message) if part and is_visible(part)])
    try:
        text.encode()
    except UnicodeEncodeError:
        refuse("invalid_text")
    return text


def written_text(value: object) -> str:
    """Return a text that people write in YAML as a word or two, and that is compared or sent as it is.

    Raises:
        vol.Invalid: it is none, or YAML made yes or no of it.
    """
    if isinstance(value, bool):
        raise vol.Invalid(
            'YAML reads yes, no, on and off without quotes as true and false. Write it in quotes, such as "yes"'
        )
    return cv.string(value)


def is_visible(text: str) -> bool:
    """Whether a text has a character that a phone shows."""
    return any(
        not char.isspace() and char not in _INVISIBLE and unicodedata.category(char) not in {"Cc", "Cf"}
        for char in text
    )
