"""How long to wait between two polls: less while an answer is likely, within a budget of requests."""

from collections.abc import Callable

from homeassistant.core import CALLBACK_TYPE, callback

from ..pbx.rate_limiter import RateLimiter
from .timing import PollTiming


class AdaptiveInterval:
    """Shortens the wait between two polls while an answer is likely.

    An answer is likely after a text went out, and while a question waits for one. However often that is, polls do not
    take more requests than the budget of the timing.

    Parameters:
        timing: the intervals and the budget.
        clock: gives the seconds since any moment; it must not go back.
    """

    def __init__(self, timing: PollTiming, clock: Callable[[], float]) -> None:
        self._timing = timing
        self._clock = clock
        self._budget = RateLimiter(timing.budget, clock)
        self._questions: dict[object, float] = {}  # since when they wait
        self._sent_at: float | None = None

    @callback
    def async_expect_answer(self) -> CALLBACK_TYPE:
        """Count a question that waits for an answer, until the returned callback is called."""
        question = object()
        self._questions[question] = self._clock()

        @callback
        def end() -> None:
            """Count it no more."""
            self._questions.pop(question, None)

        return end

    @callback
    def async_text_went_out(self) -> None:
        """Learn that a text went out, to which an answer is likely."""
        self._sent_at = self._clock()

    def count(self, requests: int) -> None:
        """Count the requests of a poll."""
        for _ in range(requests):
            self._budget.take()

    @property
    def seconds(self) -> float:
        """How many seconds to wait after a poll for the next one."""
        return min(self._timing.interval, max(self._wanted, self._budget.wait()))

    @property
    def _wanted(self) -> float:
        """How many seconds to wait, whatever the budget says."""
        now, timing = self._clock(), self._timing
        waiting = [now - since for since in self._questions.values()]
        sent = [] if self._sent_at is None else [now - self._sent_at]
        if any(age < timing.answer_soon for age in (*waiting, *sent)):
            return timing.answer_interval
        if waiting or any(age < timing.answer_late for age in sent):
            return timing.late_answer_interval
        return timing.interval
