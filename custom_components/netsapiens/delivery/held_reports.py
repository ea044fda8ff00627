"""What there is to report of messages, held back until somebody listens."""

import asyncio
from collections.abc import Callable

from homeassistant.core import callback

from ..errors import call_safely
from ..outgoing import OutgoingMessage
from .entry import QueueEntry
from .results import FailedMessage


class HeldReports:
    """Reports failed and sent messages, at once or as soon as somebody listens.

    Parameters:
        on_reported: called with each failed message once it was reported; until then it stays on disk.
        sent_after: seconds until a sent message that nobody waits for is reported, with all that were sent meanwhile.
    """

    def __init__(self, on_reported: Callable[[QueueEntry], None], sent_after: float) -> None:
        self._on_reported = on_reported
        self._sent_after = sent_after
        self._report_failed: Callable[[FailedMessage], None] | None = None
        self._report_sent: Callable[[OutgoingMessage], None] | None = None
        self._failed: list[tuple[QueueEntry, FailedMessage]] = []
        self._sent: list[OutgoingMessage] = []
        self._soon: asyncio.TimerHandle | None = None

    @property
    def held(self) -> list[QueueEntry]:
        """The failed messages that nobody was there to hear of yet."""
        return [entry for entry, _ in self._failed]

    @callback
    def failed(self, entry: QueueEntry, failed: FailedMessage) -> None:
        """Report a failed message."""
        if self._report_failed is None:
            self._failed.append((entry, failed))
            return
        call_safely(self._report_failed, failed)
        self._on_reported(entry)

    @callback
    def sent(self, message: OutgoingMessage, *, at_once: bool) -> None:
        """Report a message that the PBX took, soon: what only counts messages must not hold up the next one.

        Parameters:
            message: which.
            at_once: whether somebody may see that it waits. A question or an entity that waits for it is enough, too.
        """
        self._sent.append(message)
        if at_once or message.reference is not None or message.recipient_id is not None:
            self.report_all_sent()
        elif self._soon is None and self._report_sent is not None:
            self._soon = asyncio.get_running_loop().call_later(self._sent_after, self.report_all_sent)

    @callback
    def report_all_sent(self) -> None:
        """Report the messages that the PBX took now, if somebody listens."""
        self.end_wait()
        if (report := self._report_sent) is None:
            return
        held, self._sent = self._sent, []
        for message in held:
            call_safely(report, message)

    @callback
    def end_wait(self) -> None:
        """Wait no longer to report what was sent; it stays held."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    @callback
    def listen_failed(self, report: Callable[[FailedMessage], None]) -> None:
        """Report failures from now on, and those that are held."""
        self._report_failed = report
        held, self._failed = self._failed, []
        for entry, failed in held:
            self.failed(entry, failed)

    @callback
    def listen_sent(self, report: Callable[[OutgoingMessage], None]) -> None:
        """Report sent messages from now on, and those that are held."""
        self._report_sent = report
        self.report_all_sent()

    @callback
    def hold(self) -> None:
        """Hold what there is to report from now on until somebody listens again."""
        self.report_all_sent()
        self._report_failed = self._report_sent = None
