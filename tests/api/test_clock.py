"""The PBX's clock is what several of its answers agree on."""

from datetime import UTC, datetime, timedelta
import time

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.api import MessageAPI, NetsapiensAPI, NetsapiensError
from custom_components.netsapiens.api.clock import PbxClock
from tests.simulator import FaultKind, Simulator

TRUE = 1_795_000_000.0  # the PBX's time when the monotonic clock shows 0
WRONG = st.sampled_from([5 * 3600.0, 2 * 86400.0, -26 * 3600.0, -TRUE, 3600.0, -3600.0])
WAY = st.floats(0.0, 3.0)  # seconds that an answer takes


class Answers:
    """A PBX's answers, as the clock sees them."""

    def __init__(self, *, wall: float = 0.0) -> None:
        self.at = 0.0
        self.pbx = 0.0  # by how much the PBX's clock was set
        self.clock = PbxClock(lambda: self.at, lambda: TRUE + self.at + wall)

    def give(self, way: float = 0.0, wrong: float = 0.0, after: float = 30.0) -> None:
        """Give one, some seconds after the last."""
        self.at += after
        shown = int(TRUE + self.pbx + self.at - way + wrong)
        self.clock.note(datetime.fromtimestamp(shown, UTC), self.at)

    @property
    def error(self) -> float:
        """By how many seconds the estimate is ahead of the PBX's clock."""
        return self.clock.now().timestamp() - (TRUE + self.pbx + self.at)


@given(st.lists(WAY, min_size=1), st.floats(-300.0, 300.0))
def test_it_is_at_most_a_few_seconds_late(ways: list[float], wall: float) -> None:
    """Whatever the ways take and our clock says, the PBX's time is known within seconds, never ahead."""
    answers = Answers(wall=wall)
    for way in ways:
        answers.give(way)
        assert -4.01 <= answers.error <= 0.01


@given(st.lists(st.tuples(WAY, st.one_of(st.none(), WRONG)), min_size=1))
def test_single_wrong_ones_change_nothing(given_: list[tuple[float, float | None]]) -> None:
    """A proxy that answers with another date now and then moves nothing."""
    answers = Answers()
    for way, wrong in given_:
        answers.give(way)
        if wrong is not None:
            answers.give(way, wrong)
        assert -4.01 <= answers.error <= 0.01
        assert answers.clock.jumped == 0


@given(st.lists(WAY, min_size=3, max_size=3), WRONG)
def test_the_very_first_is_the_wrong_one(ways: list[float], wrong: float) -> None:
    """One date alone is not believed, and later ones put it right."""
    answers = Answers()
    answers.give(0.0, wrong)
    assert not answers.clock.is_settled
    for way in ways:
        answers.give(way)
        assert answers.clock.is_settled
        assert -4.01 <= answers.error <= 0.01


@given(WRONG, st.lists(WAY, min_size=3, max_size=3))
def test_ours_may_be_the_wrong_one(wall: float, ways: list[float]) -> None:
    """A home whose own clock is off has the PBX's time as soon as two answers agree."""
    answers = Answers(wall=wall)
    for way in ways:
        assert not answers.clock.is_settled
        answers.give(way)
        assert -4.01 <= answers.error <= 0.01
    assert answers.clock.is_settled
    answers.give(0.0, 5 * 3600.0 + 1)
    assert -4.01 <= answers.error <= 0.01


@given(WRONG, st.floats(1.0, 60.0), st.floats(-300.0, 300.0))
def test_a_jump_is_believed_once_it_held(jump: float, every: float, wall: float) -> None:
    """A PBX whose clock was set is followed, but only once it stayed that way."""
    answers = Answers(wall=wall)
    for _ in range(5):
        answers.give()
    answers.pbx = jump
    began = answers.at
    while answers.at - began < 180:
        assert answers.clock.jumped == 0
        answers.give(after=every)
    answers.give(after=every)
    answers.give(after=every)
    answers.give(after=every)
    assert answers.clock.jumped == pytest.approx(jump, abs=2)
    assert -2 <= answers.error <= 0.01


def test_a_jump_to_our_own_time_is_believed_sooner() -> None:
    """As after a computer slept, whose monotonic clock stood still."""
    answers = Answers(wall=7200.0)
    for _ in range(3):
        answers.give()
    answers.pbx = 7200.0
    for _ in range(3):
        answers.give(after=1)
    assert answers.clock.jumped == pytest.approx(7200, abs=2)


@given(st.lists(WRONG, max_size=40))
def test_one_that_wanders_is_not_believed(wrongs: list[float]) -> None:
    """Wrong dates that do not agree with each other are no new time."""
    answers = Answers()
    for _ in range(3):
        answers.give()
    for number, wrong in enumerate(wrongs):
        answers.give(0.0, wrong + 60 * number)
    assert -2 <= answers.error <= 0.01


async def test_ours_stands_in(pbx: Simulator, api: NetsapiensAPI) -> None:
    """Until the PBX has answered there is a time all the same, and it is said to be a guess."""
    assert abs(api.now() - datetime.now(UTC)) < timedelta(seconds=30)
    assert not api.clock.is_settled


@pytest.mark.parametrize(
    "details", [{"code": 500}, {"code": 502, "html": True}, {"code": 404, "html": True}, {"code": 503}]
)
async def test_error_pages_do_not_count(pbx: Simulator, messages: MessageAPI, details: dict[str, int]) -> None:
    """A page of a proxy in between has that one's date, not the PBX's."""
    api = messages._api
    await api.get_token()
    pbx.clock_offset = 86400
    pbx.fault(FaultKind.STATUS, path="messagesessions", times=3, **details)
    for _ in range(3):
        with pytest.raises(NetsapiensError):
            await messages.get_messagesessions()
    pbx.clock_offset = 0
    await messages.get_messagesessions()
    assert abs(api.now() - datetime.now(UTC)) < timedelta(seconds=30)
    assert not api.clock._others


async def test_it_is_settled_by_small_requests(pbx: Simulator, messages: MessageAPI) -> None:
    """Two small requests settle the clock, and no further ones are made."""
    pbx.clock_offset = 86400
    await messages.settle_clock()
    assert messages._api.clock.is_settled
    assert [record.query["limit"] for record in pbx.requests_to("messagesessions")] == ["1", "1"]
    await messages.settle_clock()
    assert len(pbx.requests_to("messagesessions")) == 2


async def test_a_refusal_shows_it_as_well(pbx: Simulator, messages: MessageAPI) -> None:
    """A login may not be allowed to read the list that is asked for."""
    pbx.clock_offset = 86400
    pbx.fault(
        FaultKind.BODY, path="/messagesessions", status=403, body='{"code": 403, "message": "Forbidden"}', times=None
    )
    await messages.settle_clock()
    assert messages._api.clock.is_settled
    assert len(pbx.requests_to("messagesessions")) == 2


async def test_answers_that_do_not_show_it(
    pbx: Simulator, messages: MessageAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not asked for it again and again, but after a while."""
    pbx.shows_clock = False
    for _ in range(3):
        await messages.settle_clock()
    assert not messages.needs_clock
    assert len(pbx.requests_to("messagesessions")) == 5
    pbx.shows_clock = True
    now = time.monotonic()
    monkeypatch.setattr(messages._api.clock, "monotonic", lambda: now + 601)
    assert messages.needs_clock
    await messages.settle_clock()
    assert messages._api.clock.is_settled
