"""What a card sends: shown while it is under way, and kept where it fails, so that what is left can be tried again."""

from collections.abc import Iterator
from copy import replace

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .delivery.results import SentMessage
from .outgoing import Conversation
from .outgoing_log import Logged, async_log_of
from .phone import international
from .prepared_send import PreparedSend
from .request import SendRequest
from .sending import async_try, error_of, left_out
from .transcript import Own, Status
from .websocket_target import CardTarget


async def async_send_logged(hass: HomeAssistant, found: CardTarget, logged: Logged, context: Context) -> None:
    """Send what a card asked for, and keep what became of it. What has no request cannot be sent, and stays.

    Parameters:
        found: whom it goes to.
        logged: what to send; it may have failed before.
        context: that of the card's user.
    """
    if (request := logged.request) is None:
        return
    log, api, was = async_log_of(hass, found.entry.entry_id), found.entry.runtime_data.coordinator.api, logged.own
    own = Own(was.key, api.now(), Status.SENDING, was.text, was.media_type, was.media_content_id, was.media_name)
    logged = replace(logged, own=own)
    log.async_sending(logged)
    try:
        (call,) = await async_try(hass, [(found.entry, _request(found, logged, request))], context)
        if (err := error_of([call])) is not None:
            for left, why in _left(call, logged, err):
                log.async_refused(left, api.now(), why)
    except HomeAssistantError as err:
        log.async_refused(logged, api.now(), err)
    except BaseException:
        log.async_forget(own.key)
        raise
    finally:
        log.async_handed_over(own.key)


def _request(found: CardTarget, logged: Logged, request: SendRequest) -> SendRequest:
    """Return what to send: to the recipient, or to that one of several numbers which did not get it."""
    if not logged.destination or len(found.addressee.people) == 1:
        return replace(request, recipients=[found.recipient])
    destinations = [international(number) for number in logged.destination]
    ours = international(logged.from_number) if logged.from_number else None
    return replace(request, destinations=destinations, from_number=ours)


def _left(call: PreparedSend, logged: Logged, err: HomeAssistantError) -> Iterator[tuple[Logged, HomeAssistantError]]:
    """Yield what did not go out, each with why: what went must not go out a second time.

    Parameters:
        call: what became of it.
        logged: what was asked for.
        err: the error of all of it.
    """
    if not any(isinstance(result, SentMessage) for _, result in call.results):
        yield logged, err
        return
    number = 0
    for conversation in call.conversations:
        if (part := _left_of(call, conversation, logged)) is not None:
            yield _numbered(part[0], number), part[1]
            number += 1
    for _, why in left_out(call):  # they opted out: to try again does not help
        yield _numbered(replace(logged, request=None), number), why
        number += 1


def _left_of(
    call: PreparedSend, conversation: Conversation, logged: Logged
) -> tuple[Logged, HomeAssistantError] | None:
    """Return what one conversation did not get, and why; None where it got everything."""
    message = conversation.words or conversation.media
    if message is None or logged.request is None:
        return None
    mine = [(one, result) for one, result in call.results if one.destination == message.destination]
    errors = [*(result for _, result in mine if isinstance(result, HomeAssistantError)), *call.lost]
    if not errors:
        return None
    sent = [one for one, result in mine if isinstance(result, SentMessage)]
    has_picture = any(one.media is not None for one in sent)
    own, request = logged.own, logged.request
    if has_picture and len(call.attached) + len(call.sources) > 1:
        return replace(logged, destination=message.destination, request=None), errors[0]
    if has_picture:
        request = replace(request, data=None, mime_type=None, sources=())
        own = replace(own, media_type=None, media_content_id=None)
    if any(one.media is None for one in sent):
        request, own = replace(request, message=None), replace(own, text="")
    return Logged(own, logged.recipient_id, message.destination, message.from_number, request), errors[0]


def _numbered(logged: Logged, number: int) -> Logged:
    """Return one of several parts under a key of its own; the first keeps that of the message."""
    key = f"{logged.own.key}-{number}" if number else logged.own.key
    return replace(logged, own=replace(logged.own, key=key))
