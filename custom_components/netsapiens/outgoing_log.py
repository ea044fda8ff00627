"""What of an account's messages is being sent, went out lately or failed, for the cards that show conversations.

It is kept in memory, also while the account is reloaded: what failed is reported by the event entities as well, and
what went out is in the PBX's lists.
"""

import base64
from collections import OrderedDict
from collections.abc import Callable
from copy import replace
from datetime import datetime, timedelta
import time
from typing import NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.ulid import ulid_now

from .address_book import Addressee
from .delivery.results import FailedMessage
from .delivery.state import Reason
from .errors import call_safely
from .listed_text import text_key
from .outgoing import OutgoingMessage
from .request import SendRequest
from .transcript import Own, Status

_MOST_SENT = 200
_MOST_FAILED = 100
_MOST_RETRIED = 10  # that are kept with their pictures
_MOST_TAKEN = 200
_MOST_NAMES = 200
_TAKEN = 300.0  # seconds; a card whose connection was lost asks once more within them
_REQUEST = timedelta(seconds=30)  # a message is listed with the time of its request, which is before its answer
_UNCONFIRMED = timedelta(minutes=5)  # for which one may have been looked for before it was given up

_LOGS: HassKey[dict[str, OutgoingLog]] = HassKey("netsapiens_outgoing_logs")


class Logged(NamedTuple):
    """A message of ours, and whom it is for.

    Attributes:
        own: the message.
        recipient_id: the recipient's, or None.
        destination: the numbers that it goes to; empty where only the recipient is known.
        from_number: ours, where it is known.
        request: what to ask for again, where that is known.
    """

    own: Own
    recipient_id: str | None
    destination: tuple[str, ...] = ()
    from_number: str | None = None
    request: SendRequest | None = None


class OutgoingLog:
    """The messages of one account."""

    def __init__(self) -> None:
        self._sending: dict[str, Logged] = {}
        self._failed: OrderedDict[str, Logged] = OrderedDict()
        self._sent: OrderedDict[str, Logged] = OrderedDict()
        self._taken: OrderedDict[str, float] = OrderedDict()  # what cards sent, and when (monotonic)
        self._names: OrderedDict[str, None] = OrderedDict()  # of media, the last one used at the end
        self._listeners: list[Callable[[], None]] = []

    @callback
    def async_listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener whenever something changes; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def to(self, addressee: Addressee) -> list[Own]:
        """Return the messages to somebody: what failed or went out in the order of that, then what is being sent."""
        done = sorted([*self._sent.values(), *self._failed.values()], key=lambda one: one.own.at)
        known = [*done, *self._sending.values()]
        return [one.own for one in known if addressee.gets(one.recipient_id, one.destination)]

    @callback
    def async_sending(self, logged: Logged) -> None:
        """Keep a message that a card is sending, or sends again."""
        self._failed.pop(logged.own.key, None)
        self._sending[logged.own.key] = logged
        self._taken[logged.own.key] = time.monotonic()
        if len(self._taken) > _MOST_TAKEN:
            self._taken.popitem(last=False)
        self._changed()

    def is_taken(self, key: str) -> bool:
        """Whether a message of a card was taken a moment ago, and did not fail: it must not be sent twice."""
        return self._taken.get(key, -_TAKEN) > time.monotonic() - _TAKEN

    @callback
    def async_handed_over(self, key: str) -> None:
        """Forget a message of a card: what became of it is known from elsewhere."""
        if self._sending.pop(key, None) is not None:
            self._changed()

    @callback
    def async_forget(self, key: str) -> None:
        """Forget a message of a card of which it is not known what became of it, so that it can be sent again."""
        self._taken.pop(key, None)

    @callback
    def async_refused(self, logged: Logged, at: datetime, err: HomeAssistantError) -> None:
        """Keep why a message of a card, or what is left of it, was not sent.

        Parameters:
            logged: the message; it can be tried again where it has a request.
            at: when, by the PBX's clock.
            err: why.
        """
        self._sending.pop(logged.own.key, None)
        self._taken.pop(logged.own.key, None)
        own = replace(
            logged.own,
            at=at,
            status=Status.FAILED,
            error=str(err),
            translation_key=err.translation_key,
            placeholders=err.translation_placeholders,
            can_retry=logged.request is not None,
        )
        self._keep_failed(replace(logged, own=own))

    @callback
    def async_sent(self, message: OutgoingMessage, at: datetime) -> None:
        """Keep that the PBX took a message, until its lists say so."""
        own = Own(
            f"s{ulid_now()}",
            at,
            Status.SENT,
            message.words,
            media_type=message.media.mime_type if message.media else None,
            media_name=message.media_name,
            listed_since=at - _REQUEST,
        )
        self._keep_name(message)
        self._sent[own.key] = Logged(own, message.recipient_id, message.destination)
        if len(self._sent) > _MOST_SENT:
            self._sent.popitem(last=False)
        self._changed()

    @callback
    def async_failed(self, failed: FailedMessage, at: datetime) -> None:
        """Keep a message that was answered ``queued`` and did not get out."""
        message, media = failed.message, failed.message.media
        self._keep_name(message)
        is_whole = media is None or media.content is not None  # else only the disk had it, and forgets it now
        own = Own(
            f"f{ulid_now()}",
            at,
            Status.FAILED,
            message.words,
            media_type=media.mime_type if media else None,
            media_name=message.media_name,
            listed_since=at - _UNCONFIRMED if failed.reason == Reason.UNCONFIRMED.value else None,
            reason=failed.reason,
            error=failed.error,
            can_retry=is_whole,
        )
        request = _request_of(message) if is_whole else None
        logged = Logged(own, message.recipient_id, message.destination, message.from_number, request)
        self._keep_failed(logged)

    def is_media_name(self, text: str) -> bool:
        """Whether media that went out lately was called so, and had no words with it."""
        return text_key(text) in self._names

    def _keep_name(self, message: OutgoingMessage) -> None:
        """Keep what media is called that went out, or may have."""
        if message.media_name is None:
            return
        key = text_key(message.media_name)
        self._names[key] = None
        self._names.move_to_end(key)
        if len(self._names) > _MOST_NAMES:
            self._names.popitem(last=False)

    def _keep_failed(self, logged: Logged) -> None:
        """Keep a message that failed; of the older ones, without their pictures."""
        self._failed[logged.own.key] = logged
        if len(self._failed) > _MOST_FAILED:
            self._failed.popitem(last=False)
        with_picture = [key for key, one in self._failed.items() if one.request is not None and one.request.data]
        for key in with_picture[:-_MOST_RETRIED]:
            one = self._failed[key]
            self._failed[key] = replace(one, own=replace(one.own, can_retry=False), request=None)
        self._changed()

    def failed(self, key: str, addressee: Addressee) -> Logged | None:
        """Return a message to somebody that failed; None where it is not known."""
        logged = self._failed.get(key)
        is_theirs = logged is not None and addressee.gets(logged.recipient_id, logged.destination)
        return logged if is_theirs else None

    @callback
    def async_dismiss(self, key: str, addressee: Addressee) -> None:
        """Forget a message to somebody that failed."""
        if self.failed(key, addressee) is not None:
            del self._failed[key]
            self._changed()

    def _changed(self) -> None:
        """Call the listeners."""
        for listener in list(self._listeners):
            call_safely(listener)


def _request_of(message: OutgoingMessage) -> SendRequest:
    """Return what asks for a message once more."""
    media = message.media
    if media is None or media.content is None:
        return SendRequest(message=message.words)
    data = base64.b64encode(media.content).decode()
    return SendRequest(message=message.words or None, data=data, mime_type=media.mime_type)


@callback
def async_log_of(hass: HomeAssistant, entry_id: str) -> OutgoingLog:
    """Return the log of an account."""
    return hass.data.setdefault(_LOGS, {}).setdefault(entry_id, OutgoingLog())


@callback
def async_forget_log(hass: HomeAssistant, entry_id: str) -> None:
    """Forget the log of an account that is removed."""
    hass.data.get(_LOGS, {}).pop(entry_id, None)
