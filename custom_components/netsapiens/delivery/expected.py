"""What calls have still to put into the queue while their media is loaded, so that limits hold for all of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..outgoing import OutgoingMessage
from .entry import size_of


class Expected:
    """What one call has still to put into the queue.

    Parameters:
        messages: how many at the most.
        size: how many bytes they take on disk at the most.
    """

    def __init__(self, messages: int, size: int) -> None:
        self.messages = messages
        self.size = size

    def came(self, messages: Sequence[OutgoingMessage]) -> None:
        """Expect these no more: they are put into the queue now, or refused."""
        self.messages = max(0, self.messages - len(messages))
        self.size = max(0, self.size - sum(map(size_of, messages)))


class AllExpected:
    """What all calls have still to put into the queue."""

    def __init__(self) -> None:
        self._calls: set[Expected] = set()

    @property
    def messages(self) -> int:
        """How many messages at the most."""
        return sum([one.messages for one in self._calls])

    @property
    def size(self) -> int:
        """How many bytes they take on disk at the most."""
        return sum([one.size for one in self._calls])

    @contextmanager
    def expect(self, messages: int, size: int) -> Iterator[Expected]:
        """Expect messages until all media is loaded; what did not come by then is not expected any more."""
        one = Expected(messages, size)
        self._calls.add(one)
        try:
            yield one
        finally:
            self._calls.discard(one)
