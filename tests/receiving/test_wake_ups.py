"""However much is announced, polls are few; what messages follow is not limited."""

from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.netsapiens.receiving.wake_ups import WakeUps


class House:
    """A loop whose time is set by hand, and a poller that counts."""

    def __init__(self) -> None:
        self.now, self.polls, self.timers = 0.0, 0, []
        self.loop: Any = SimpleNamespace(time=lambda: self.now, call_later=self._later)
        self.inbox = SimpleNamespace(reported=0)
        self.wake_ups = WakeUps(self, self)  # type: ignore[arg-type]

    def poll_soon(self) -> None:
        self.polls += 1

    def _later(self, wait: float, call: Any) -> Any:
        self.timers.append((self.now + wait, call))
        return SimpleNamespace(cancel=self.timers.clear)

    def announce(self, at: float) -> None:
        """Let time pass, then announce something."""
        self.now = at
        for due, call in list(self.timers):
            if due <= at:
                self.timers.remove((due, call))
                call()
        self.wake_ups.async_ask()


@pytest.fixture
def house() -> House:
    """Nothing was announced yet."""
    return House()


def test_two_thousand_a_second_lead_to_few_polls(house: House) -> None:
    """Ten seconds of a flood lead to ten polls, and the last announcement is not lost."""
    for number in range(20_000):
        house.announce(number / 2000)
    assert 5 <= house.polls <= 10
    assert len(house.timers) == 1


def test_what_messages_follow_is_not_limited(house: House) -> None:
    """Each of many texts is polled for at once."""
    for number in range(200):
        house.inbox.reported = number
        house.announce(number / 10)
    assert house.polls == 200
