"""When to poll: at an interval, after a wake-up, and later where the PBX is away.

The PBX's lists are the truth; what it announces only says that it is time to poll.
"""

import asyncio
import logging

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

from ..api import NetsapiensError
from ..errors import log_unexpected
from ..pbx.backoff import Backoff, jitter
from ..pbx.coordinator import NetsapiensCoordinator
from ..pbx.facts import shared_senders
from .announcer import Announcer
from .checkpoint import Checkpoint
from .inbox import Inbox
from .intervals import AdaptiveInterval
from .timing import PollTiming

_LOGGER = logging.getLogger(__name__)

_SPREAD = 0.1
_WORTH_A_LINE = 5  # failures in a row


class Poller:
    """Polls for an account's inbound messages.

    Parameters:
        coordinator: the account.
        inbox: what is new.
        timing: how often to poll.

    Attributes:
        announcer: what has the PBX announce messages; None where nothing does.
        ready: set once the first poll came to its end.
        inbox: the same.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, inbox: Inbox, timing: PollTiming) -> None:
        self._hass: HomeAssistant = coordinator.hass
        self._coordinator = coordinator
        self._timing = timing
        self.inbox = inbox
        self._polls_left: list[float] = []  # when to poll again after an announcement, by the loop's clock
        self._failures = 0
        self._is_logged = False  # that messages cannot be read
        self._unexpected: type[Exception] | None = None  # what nobody foresaw, logged once until a poll goes well
        self._is_behind = False
        self._adaptive = AdaptiveInterval(timing, self._hass.loop.time)
        self._replan = asyncio.Event()  # set while the wait for the next poll is to be worked out again
        self._task: asyncio.Task[None] | None = None
        self._awaited: list[asyncio.Future[None]] = []  # each done when the next poll to begin has ended
        self.announcer: Announcer | None = None
        self.ready = asyncio.Event()

    @property
    def interval(self) -> float:
        """Seconds between polls, ±10 %."""
        return self._timing.backstop_interval if self.is_announced else self._adaptive.seconds

    @property
    def is_announced(self) -> bool:
        """Whether all messages are known to be announced. Replies to numbers of others in the domain are not."""
        if self.announcer is None or not self.announcer.is_proven:
            return False
        region = self._hass.config.country
        return not shared_senders(self._coordinator.config_entry, self._coordinator.data, region)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """How far we are; None before the very first poll came to its end."""
        return self.inbox.checkpoint

    @property
    def diagnostics(self) -> dict[str, int | str]:
        """What helps to find a fault."""
        return self.inbox.diagnostics

    @callback
    def async_start(self) -> None:
        """Poll from now on."""
        self._task = self._hass.async_create_background_task(self._run(), "netsapiens poller", eager_start=False)

    async def async_stop(self) -> None:
        """Stop; what was reported is on disk first."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        _set_done(self._awaited)
        await self.inbox.finish()

    @callback
    def poll_soon(self) -> None:
        """Poll at once, and some times more: something was announced, which the PBX's lists may not show yet."""
        now = self._hass.loop.time()
        self._polls_left = [now + after for after in self._timing.follow_ups]
        self.poll_once()

    @callback
    def poll_once(self) -> None:
        """Poll at once: something may have come in while nothing was announced."""
        self.inbox.wake_up.set()
        self._replan.set()

    async def async_poll_now(self) -> None:
        """Poll at once, and return when that poll has ended, however it ended."""
        if self._task is None:
            return
        awaited = self._hass.loop.create_future()
        self._awaited.append(awaited)
        self.poll_once()
        await awaited

    @callback
    def async_replan(self) -> None:
        """Work out again how long to wait: whether messages are announced has changed."""
        self._replan.set()

    @callback
    def async_expect_answer(self) -> CALLBACK_TYPE:
        """Poll more often while a question waits for its answer, until the returned callback is called."""
        end = self._adaptive.async_expect_answer()
        self._replan.set()
        return end

    @callback
    def async_text_went_out(self) -> None:
        """Poll more often for a while: a text went out, and an answer to it is likely."""
        self._adaptive.async_text_went_out()
        self._replan.set()

    # --- when to poll ----------------------------------------------------------------

    async def _run(self) -> None:
        """Poll again and again, one poll at a time."""
        while True:
            self.inbox.wake_up.clear()
            awaited, self._awaited = self._awaited, []
            try:
                self._count(await self._poll_safely())
            finally:
                _set_done(awaited)  # also where it is stopped in the middle of a poll
            await asyncio.sleep(self._timing.pause)
            await self._rest()

    async def _poll_safely(self) -> Exception | None:
        """Poll once; return why not all could be read, if so. No fault ends the poller: the next poll may go well."""
        try:
            failure = await self._poll_noted()
        except NetsapiensError as err:
            return err
        except Exception as err:  # noqa: BLE001
            if type(err) is not self._unexpected:
                log_unexpected(_LOGGER, "polling for messages", err)
            self._unexpected = type(err)
            return err
        self._unexpected = None
        return failure

    async def _poll_noted(self) -> NetsapiensError | None:
        """Poll once, as ``_poll`` does; the account learns how it went."""
        try:
            failure = await self._poll()
        except NetsapiensError as err:
            self._coordinator.note_failure(err)
            raise
        self._coordinator.note_success()
        return failure

    async def _rest(self) -> None:
        """Wait until the next poll is due, or asked for."""
        began, share = self._hass.loop.time(), jitter(_SPREAD)
        while not self.inbox.wake_up.is_set():
            self._replan.clear()
            try:
                async with asyncio.timeout_at(began + self._wait(share)):
                    await self._replan.wait()
            except TimeoutError:
                return

    def _count(self, failure: Exception | None) -> None:
        """Count the failures in a row. The log has a line where there are several, and one once they are over."""
        if failure is None:
            if self._is_logged:
                _LOGGER.info("Messages can be read again")
            self._failures, self._is_logged = 0, False
            return
        self._failures += 1
        if self._failures >= _WORTH_A_LINE and not self._is_logged:
            # The words of one that nobody foresaw may hold a text or a number.
            shown = failure if isinstance(failure, NetsapiensError) else type(failure).__name__
            _LOGGER.warning("Messages cannot be read, which is tried again: %s", shown)
            self._is_logged = True

    def _wait(self, share: float) -> float:
        """Return how long to wait for the next poll, in seconds.

        Parameters:
            share: which share of the interval to wait.
        """
        if self._failures:
            first, longest = self._timing.first_wait, self._timing.longest_wait
            return first / 2 + Backoff(first, longest).wait(self._failures - 1)
        if self._is_behind:
            return 0.0
        now = self._hass.loop.time()
        self._polls_left = [due for due in self._polls_left if due > now]
        if self._polls_left:
            return self._polls_left[0] - now
        return self.interval * share

    async def _poll(self) -> NetsapiensError | None:
        """Poll once, from the checkpoint on disk; return why some conversations could not be read, if so.

        Raises:
            NetsapiensError: the list of conversations could not be read.
        """
        self._is_behind = False
        await self.inbox.load()
        result = await self.inbox.poll(self.interval)
        self._is_behind = result.is_behind
        self._adaptive.count(result.requests)
        if result.gets_on:
            self._failures = 0
        self.ready.set()
        return result.failure


def _set_done(awaited: list[asyncio.Future[None]]) -> None:
    """Let those go on who wait for a poll."""
    for one in awaited:
        if not one.done():
            one.set_result(None)
