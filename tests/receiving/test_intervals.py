"""Polling follows how likely an answer is, and keeps within its budget of requests."""

import asyncio
from copy import replace
from typing import Any, ClassVar

from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.receiving.announcer import Announcer
from custom_components.netsapiens.receiving.intervals import AdaptiveInterval
from custom_components.netsapiens.receiving.timing import RECEIVING_TIMING, PollTiming, ReceivingTiming
from tests.conftest import AddAccount, recipient
from tests.helpers import until, until_idle
from tests.simulator import Simulator

ANN = "18585550123"
TIMING = PollTiming()


class Proven(Announcer):
    """Something that announces all messages."""

    is_proven = True
    diagnostics: ClassVar[dict[str, int | str]] = {}

    def async_start(self) -> None:
        """Do nothing."""

    async def async_stop(self) -> None:
        """Do nothing."""

    def async_check(self) -> None:
        """Do nothing."""

    def async_found(self, received: Any) -> None:
        """Do nothing."""

    def async_text_went_out(self) -> None:
        """Do nothing."""


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def adaptive(clock: Clock) -> AdaptiveInterval:
    """The usual intervals."""
    return AdaptiveInterval(TIMING, clock)


def test_nothing_waits(adaptive: AdaptiveInterval) -> None:
    """Without a text or a question the interval is the usual one."""
    assert adaptive.seconds == 30


def test_a_text_shortens_the_interval_for_a_while(adaptive: AdaptiveInterval, clock: Clock) -> None:
    """After a text went out: 3 s for two minutes, 10 s for three more, then 30 s."""
    adaptive.async_text_went_out()
    seen = []
    for _ in range(8):
        seen.append(adaptive.seconds)
        clock.now += 50
    assert seen == [3, 3, 3, 10, 10, 10, 30, 30]


def test_a_question_shortens_the_interval_until_it_ends(adaptive: AdaptiveInterval, clock: Clock) -> None:
    """A question keeps the interval short: 3 s for two minutes, then 10 s for as long as it waits."""
    end = adaptive.async_expect_answer()
    assert adaptive.seconds == 3
    clock.now += 121
    other = adaptive.async_expect_answer()
    assert adaptive.seconds == 3
    other()
    assert adaptive.seconds == 10
    clock.now += 86_400
    assert adaptive.seconds == 10
    end()
    end()  # a second call changes nothing
    assert adaptive.seconds == 30


@given(texts=st.lists(st.floats(0, 20_000), max_size=60), asks=st.booleans(), cost=st.integers(1, 2))
def test_the_budget_holds(texts: list[float], asks: bool, cost: int) -> None:
    """However a home texts and asks, polls take under one request in 10 s in the long run, beyond the burst."""
    clock = Clock()
    began = clock.now
    adaptive = AdaptiveInterval(TIMING, clock)
    if asks:
        adaptive.async_expect_answer()
    due = sorted(began + at for at in texts)
    requests = 0
    while clock.now < began + 20_000:
        requests += cost
        adaptive.count(cost)
        while due and due[0] <= clock.now:
            due.pop(0)
            adaptive.async_text_went_out()
        clock.now += adaptive.seconds
    assert requests <= TIMING.budget.burst + (clock.now - began) * 0.1


def lists(pbx: Simulator) -> int:
    """Count the polls."""
    return sum(request.path.endswith("/messagesessions") for request in pbx.requests if request.method == "GET")


@pytest.fixture
async def slow(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> MockConfigEntry:
    """An account that polls once in ten minutes, and ten times a second while an answer is likely."""
    poll = replace(TIMING, interval=600.0, pause=0.01, answer_interval=0.1, late_answer_interval=0.2, active=0.0)
    hass.data[RECEIVING_TIMING] = ReceivingTiming(poll=replace(poll, answer_soon=0.5, answer_late=0.6))
    entry = await add_account(recipient("Ann", ANN), options={"from_number": pbx.numbers[0], "incoming": "poll"})
    await until(entry.runtime_data.poller.ready.is_set)
    return entry


async def test_a_sent_text_hastens_the_polls(hass: HomeAssistant, pbx: Simulator, slow: MockConfigEntry) -> None:
    """A text that the PBX took makes the poller look for the answer at once, and not for long."""
    await until_idle(pbx)
    before = lists(pbx)
    action = {"entity_id": "notify.ann", "message": "Shall I close it?"}
    await hass.services.async_call("notify", "send_message", action, blocking=True)
    await until(lambda: lists(pbx) >= before + 4)
    await asyncio.sleep(0.7)
    before = lists(pbx)
    await asyncio.sleep(0.5)
    assert lists(pbx) <= before + 1


async def test_a_question_hastens_the_polls(pbx: Simulator, slow: MockConfigEntry) -> None:
    """A question that waits makes the poller look more often until it ends."""
    await until_idle(pbx)
    before = lists(pbx)
    end = slow.runtime_data.poller.async_expect_answer()
    await until(lambda: lists(pbx) >= before + 6)
    end()
    await asyncio.sleep(0.3)
    before = lists(pbx)
    await asyncio.sleep(0.5)
    assert lists(pbx) == before


async def test_a_pushed_account_keeps_its_interval(hass: HomeAssistant, pbx: Simulator, slow: MockConfigEntry) -> None:
    """Where the PBX says what came in, a text makes no more polls."""
    poller = slow.runtime_data.poller
    poller.announcer = Proven()
    await until_idle(pbx)
    before = lists(pbx)
    poller.async_text_went_out()
    await asyncio.sleep(0.5)
    assert lists(pbx) == before
