"""Does the PBX announce texts? What polling finds says so, without reading what is announced."""

import math

from .timing import ProofTiming


class Proof:
    """What is known of one connection.

    A text that polling found is announced where something was, shortly before or after. What may be the announcement
    of a text of our own proves nothing, and where there was nothing else, neither does what was found.

    Parameters:
        timing: what counts as shortly.

    Attributes:
        is_proven: whether a text was announced.
        missed: how many texts in a row only a poll found.
    """

    def __init__(self, timing: ProofTiming) -> None:
        self._timing = timing
        self._announced_at = -math.inf
        self._echo_at = -math.inf  # of what may have been a text of our own
        self._sent_at = -math.inf
        self._found: list[float] = []  # when texts were found that were not announced so far
        self.is_proven = False
        self.missed = 0

    @property
    def is_deaf(self) -> bool:
        """Whether so many texts in a row were not announced that none is expected to be."""
        return self.missed >= self._timing.most_missed

    def announced(self, now: float) -> None:
        """Learn that something was announced.

        Parameters:
            now: the time in seconds, by a clock that does not go back; so in all of this.
        """
        if now - self._sent_at < self._timing.echo:
            self._echo_at = now
            return
        self._announced_at = now
        if self._found:
            self._prove()

    def text_went_out(self, now: float) -> None:
        """Learn that a text of our own went out; its announcement may have come before."""
        self._sent_at = now
        if now - self._announced_at < self._timing.echo:
            self._echo_at, self._announced_at = self._announced_at, -math.inf

    def found(self, now: float) -> None:
        """Learn that a poll found a text that came in while the connection was up."""
        if now - self._announced_at < self._timing.before:
            self._prove()
        elif now - self._echo_at >= self._timing.before:
            self._found.append(now)

    def settle(self, now: float) -> None:
        """Count the texts for which no announcement came, and will not."""
        late = [at for at in self._found if now - at >= self._timing.after]
        self._found = self._found[len(late) :]
        if not now - self._echo_at < self._timing.before:
            self.missed += len(late)

    def _prove(self) -> None:
        """A text was announced."""
        self._found.clear()
        self.is_proven, self.missed = True, 0
