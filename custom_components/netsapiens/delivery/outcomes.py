"""What happens to a message, applied to its state, and what follows from that: answers, reports and counts."""

import asyncio
from collections.abc import Callable
from functools import partial

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..errors import call_safely
from .entry import QueueEntry, Standing
from .held_reports import HeldReports
from .reconcile import Baseline, RecentSends
from .results import FailedMessage, SentMessage, error
from .state import ENDS, Event, Reason, State


class Outcomes:
    """The one place where the state of a message changes.

    Parameters:
        history: the account's messages that ended lately.
        reports: the failures that somebody has to hear of.
        leave: takes a message that has ended out of the queue.
        discard: takes one off the disk that nothing is to be reported of.

    Attributes:
        queued: how many messages wait.
        unsaved: how many bytes those take that may have to be kept and are not on disk.
    """

    def __init__(
        self,
        history: RecentSends,
        reports: HeldReports,
        leave: Callable[[QueueEntry], None],
        discard: Callable[[QueueEntry], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._history = history
        self._reports = reports
        self._leave = leave
        self._discard = discard
        self._listeners: list[Callable[[], None]] = []
        self._notify_handle: asyncio.Handle | None = None
        self.queued = 0
        self.unsaved = 0

    @callback
    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener soon after the number of waiting messages changed; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def apply(
        self,
        entry: QueueEntry,
        event: Event,
        *,
        baseline: Baseline | None = None,
        err: HomeAssistantError | None = None,
        message_id: str | None = None,
    ) -> None:
        """Change a message's state, and do what follows.

        Parameters:
            entry: the message.
            event: what happened to it.
            baseline: what comes with some events.
            err: what its caller gets where it ends by that, if not the words of the reason.
            message_id: the PBX's id, where it gave one.

        Raises:
            IllegalTransitionError: that cannot happen to it now.
        """
        before = entry.delivery.state
        entry.delivery = entry.delivery.apply(event, baseline)
        after = entry.delivery.state
        self.count(entry)
        if after is before:
            return
        if after is State.UNKNOWN:
            entry.lost_at = self._loop.time()
        elif after in ENDS:
            if before is not State.ATTEMPTING:
                entry.cancel()  # else its request comes to its end, whose outcome later messages have to know of
            self.end(entry, err, message_id)

    @callback
    def end(self, entry: QueueEntry, err: HomeAssistantError | None = None, message_id: str | None = None) -> None:
        """Do what follows from the end of a message."""
        delivery, message = entry.delivery, entry.message
        if delivery.state is State.SENT:
            self._leave(entry)
            entry.answer_with(SentMessage(message, "sent", message_id))
            self._discard(entry)
            return
        reason = delivery.reason or Reason.UNEXPECTED
        if reason is Reason.UNCONFIRMED and delivery.baseline is not None:
            call_safely(partial(self._history.remember, entry.fingerprint, delivery.baseline, accepted=False))
        err = (entry.refusal if reason is Reason.OPTED_OUT else err) or error(reason.value)
        self._leave(entry)
        entry.answer_with(err)
        if delivery.promised:
            self._reports.failed(entry, FailedMessage(message, reason.value, str(err), dt_util.utcnow()))
        else:
            self._discard(entry)

    @callback
    def count(self, entry: QueueEntry) -> None:
        """Count a message as what it is now, and no longer as what it was."""
        stood, stands = entry.counted, entry.standing
        if stands is stood:
            return
        entry.counted = stands
        if Standing.UNSAVED in (stands, stood):
            self.unsaved += entry.size if stands is Standing.UNSAVED else -entry.size
        if Standing.WAITING not in (stands, stood):
            return
        self.queued += 1 if stands is Standing.WAITING else -1
        if self._notify_handle is None and self._listeners:
            # Once for all that changes in the same step: of a long backlog hundreds do.
            self._notify_handle = self._loop.call_soon(self._notify)

    @callback
    def _notify(self) -> None:
        """Call those who listen."""
        self._notify_handle = None
        for listener in list(self._listeners):
            call_safely(listener)
