"""The delivery of one message: attempts until it has ended, and the PBX's lists where an answer was lost."""

import asyncio
import base64
from functools import partial
import logging
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from ..api import MessageAPI, NetsapiensError, NetsapiensRequestError
from ..api.values import as_text
from ..errors import call_safely, log_unexpected, translated
from ..outgoing import OutgoingMessage
from ..pbx.coordinator import NetsapiensCoordinator
from .entry import QueueEntry
from .expiry import Expiry
from .held_reports import HeldReports
from .outcomes import Outcomes
from .persistence import Persistence
from .reconcile import Baseline, RecentSends, Reconciler
from .results import error
from .spool import Spool
from .state import Event, State, Step
from .timing import QueueTiming

_LOGGER = logging.getLogger(__name__)


class _NotMadeError(Exception):
    """What an attempt needs could not be written or read, so it is not made. Nothing is known of the PBX by that."""


class Deliverer:
    """Brings messages to their ends.

    Parameters:
        history: the account's messages that ended lately.
        spool: holds the media of those that wait.
        persistence: writes down what has to be before an attempt.
        outcomes: changes the messages' states.
        reports: those who want to know what was sent.
        expiry: is corrected once the PBX's clock is known.
        timing: how long to wait.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        *,
        history: RecentSends,
        spool: Spool,
        persistence: Persistence,
        outcomes: Outcomes,
        reports: HeldReports,
        expiry: Expiry,
        timing: QueueTiming,
    ) -> None:
        self._hass = hass
        self._loop = hass.loop
        self._history = history
        self._spool = spool
        self._persistence = persistence
        self._apply = outcomes.apply
        self._reports = reports
        self._expiry = expiry
        self._timing = timing
        self.is_stopped = False

    @callback
    def use(self, coordinator: NetsapiensCoordinator) -> None:
        """Send through this coordinator from now on."""
        self._coordinator = coordinator
        self._api = MessageAPI(coordinator.api)
        self._throttle = coordinator.throttle
        self._reconciler = Reconciler(self._hass, self._api, self._throttle, lambda: coordinator.data.account)

    @callback
    def pbx_now(self) -> float | None:
        """Return the time by the PBX's clock, seconds since 1970; None where it is not known for sure."""
        api = self._coordinator.api
        return api.now().timestamp() if api.clock.is_settled else None

    async def deliver(self, entry: QueueEntry) -> None:
        """Bring a message to its end, also where something breaks that nobody foresaw: the next one must go.

        Raises:
            CancelledError: the queue stops, or the message has ended or begins anew.
        """
        task = entry.task = asyncio.current_task()
        try:
            while not entry.delivery.is_done and not self.is_stopped:
                if entry.delivery.step is Step.RECONCILE:
                    await self._reconcile(entry)
                else:
                    await self._attempt(entry)
        except (Exception, asyncio.CancelledError) as err:
            if isinstance(err, asyncio.CancelledError) and (self.is_stopped or entry.task is not task):
                if entry.task in (None, task):  # else its successor goes on with the message
                    self._apply(entry, Event.CANCELLED)
                raise
            log_unexpected(_LOGGER, "sending a text", err)
            self._apply(entry, Event.UNEXPECTED)

    # --- an attempt ------------------------------------------------------------------

    async def _attempt(self, entry: QueueEntry) -> None:
        """Make an attempt when the message's turn has come."""
        api = self._coordinator.api
        try:
            await self._prepare(entry)
            if not entry.delivery.is_done:
                await self._throttle.run(lambda: self._send(entry), entry.caller, fresh=entry.is_fresh)
        except _NotMadeError:
            pass  # it has ended, or waits until there is room
        except NetsapiensError as err:
            if api is self._coordinator.api:  # else it says nothing of the login that is used now
                self._coordinator.note_failure(err)
            await self._after_failure(entry)
        finally:
            entry.release_media()

    async def _prepare(self, entry: QueueEntry) -> None:
        """Sign in if need be, so that the PBX's clock is known; count what may be taken for the message later.

        Raises:
            NetsapiensError: that failed, and the message was surely not accepted by it.
        """
        if entry.delivery.needs_persist:
            await self._persistence.writable.wait()  # not as one of those that wait for the PBX
        api = self._coordinator.api
        try:
            await self._coordinator.async_ensure_token()
            if self._api.needs_clock:
                await self._throttle.run(self._api.settle_clock, entry.caller, fresh=entry.is_fresh)
            if self._expiry.is_unsure:
                self._expiry.correct(self.pbx_now())
            if entry.delivery.step is Step.COUNT and not self._history.is_certain(entry.fingerprint):
                since = self._history.baseline(entry.fingerprint, api.now()).since
                baseline = await self._reconciler.baseline(entry.message, since, entry.caller)
                if entry.delivery.step is Step.COUNT:
                    self._apply(entry, Event.ATTEMPT_MAY_BEGIN, baseline=baseline)
        except NetsapiensError as err:
            self._not_sent(entry, err)
            raise

    async def _send(self, entry: QueueEntry) -> None:
        """Make the request, once all that it needs is there.

        Raises:
            NetsapiensError: it failed.
        """
        content = await self._ready_to_send(entry)
        if entry.delivery.step is not Step.SEND:
            return  # it ended meanwhile
        self._apply(entry, Event.REQUEST_BEGINS)
        try:
            answer = await _request(self._api, entry.message, content)
        except NetsapiensError as err:
            self._not_accepted(entry, err)
            raise
        entry.note_conversation(answer["messagesession-id"])
        self._accepted(entry, Event.ACCEPTED, as_text(answer.get("id")) or None)

    async def _ready_to_send(self, entry: QueueEntry) -> bytes | None:
        """Count, write down and read what an attempt needs; return the media."""
        media = entry.message.media
        content = media.content if media is not None else None
        while True:
            match entry.delivery.step:
                case Step.COUNT:
                    baseline = self._history.baseline(entry.fingerprint, self._coordinator.api.now())
                    self._apply(entry, Event.ATTEMPT_MAY_BEGIN, baseline=baseline)
                case Step.PERSIST | Step.WAIT:
                    await self._persist(entry)
                case Step.SEND if media is not None and content is None:
                    content = await self._read_media(entry)
                case _:
                    return content

    async def _persist(self, entry: QueueEntry) -> None:
        """Write down that a message may have been accepted from now on: a kill in between must not send it twice.

        Raises:
            _NotMadeError: the disk is full, for instance, and holds the message as one that was not tried.
        """
        await self._persistence.async_persist([entry])
        if entry.delivery.step in (Step.COUNT, Step.PERSIST) and entry.delivery.stored:
            raise _NotMadeError

    async def _read_media(self, entry: QueueEntry) -> bytes:
        """Return the media of a message that waited; where it is gone, fail the message and raise `_NotMadeError`."""
        content = await self._spool.async_read_media(entry.spool_id) if entry.spool_id is not None else None
        if content is None:
            self._apply(entry, Event.UNEXPECTED, err=error("media_lost"))
            raise _NotMadeError
        return content

    # --- what became of it -----------------------------------------------------------

    @callback
    def _accepted(self, entry: QueueEntry, event: Event, message_id: str | None = None) -> None:
        """Record that the PBX has a message; it may have been given up meanwhile."""
        message, baseline = entry.message, entry.delivery.baseline
        if baseline is not None:
            call_safely(partial(self._history.remember, entry.fingerprint, baseline, accepted=True))
        if not entry.delivery.is_done:
            self._coordinator.note_success()
        self._apply(entry, event, message_id=message_id)
        self._reports.sent(message, at_once=entry.delivery.stored)  # else a card would show for a while that it is gone

    @callback
    def _not_accepted(self, entry: QueueEntry, err: NetsapiensError) -> None:
        """Record a failed request."""
        if err.maybe_done:
            self._apply(entry, Event.ANSWER_LOST)
        elif _is_refusal(err):
            self._apply(entry, Event.REFUSED, err=translated(err, HomeAssistantError))
        else:
            self._not_sent(entry, err)

    @callback
    def _not_sent(self, entry: QueueEntry, err: NetsapiensError) -> None:
        """Record that a message surely was not accepted."""
        is_late = entry.delivery.late and entry.delivery.keep  # that says more than the last error
        self._apply(entry, Event.NOT_SENT, err=None if is_late else translated(err, HomeAssistantError))
        self._persistence.refresh(entry)

    async def _after_failure(self, entry: QueueEntry) -> None:
        """Keep a message whose attempt failed, and wait before the next one."""
        if entry.is_unsaved:
            await self._persistence.async_persist([entry])
        if entry.delivery.state is State.PENDING and not self._throttle.is_away:
            await self._pause(entry)

    async def _pause(self, entry: QueueEntry) -> None:
        """Wait before the next attempt, longer each time."""
        left = 0.0 if self.is_stopped else entry.deadline - self._loop.time()
        wait = min(self._timing.retry.wait(entry.failures), max(left, 0.0))
        entry.failures += 1
        await asyncio.sleep(wait)

    # --- a lost answer ---------------------------------------------------------------

    async def _reconcile(self, entry: QueueEntry) -> None:
        """Look in the PBX's lists for a message that may have been accepted."""
        if entry.delivery.baseline is None:
            raise ValueError("no baseline")
        event = await self._look(entry, entry.delivery.baseline)
        if event is Event.FOUND:
            self._accepted(entry, event)
        elif event is Event.NOT_FOUND:
            entry.failures = 0
            self._apply(entry, event, err=None if entry.delivery.keep else error("not_taken"))
        else:
            self._apply(entry, event)
            if not entry.delivery.is_done:
                await self._pause(entry)

    async def _look(self, entry: QueueEntry, baseline: Baseline) -> Event:
        """Return whether a message is listed, after as many looks as the lists may lag."""
        looks = self._timing.looks
        for after in looks:
            due, is_last = entry.lost_at + after, after == looks[-1]
            if not is_last and self._loop.time() > due + 1:
                continue  # long past: only the last look still says something new
            await asyncio.sleep(due - self._loop.time())
            try:
                async with asyncio.timeout_at(max(entry.deadline, due) + self._timing.answer_within):
                    found = await self._reconciler.count(entry.message, baseline, entry.caller)
            except TimeoutError:
                return Event.LIST_UNREADABLE
            except NetsapiensError as err:
                self._coordinator.note_failure(err)
                if is_last:
                    return Event.LIST_UNREADABLE
                continue
            self._coordinator.note_success()
            if found > baseline.known:
                return Event.FOUND
        return Event.NOT_FOUND


async def _request(api: MessageAPI, message: OutgoingMessage, content: bytes | None) -> dict[str, Any]:
    """Post a message; return the PBX's answer."""
    media = message.media
    return await api.send_message(
        message.message_type,
        message.text,
        message.destination[0] if len(message.destination) == 1 else message.destination,
        message.from_number,
        message.messagesession,
        data=base64.b64encode(content).decode() if content is not None else None,
        mime_type=media.mime_type if media else None,
        size=media.size if media else None,
        user=message.owner,
    )


def _is_refusal(err: NetsapiensError) -> bool:
    """Whether the PBX refused this very message. What is about the login passes."""
    return isinstance(err, NetsapiensRequestError) and not err.of_login
