"""What proves that texts are announced, and what does not."""

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.receiving.proof import Proof
from custom_components.netsapiens.receiving.timing import ProofTiming

TIMING = ProofTiming()


@pytest.fixture
def proof() -> Proof:
    """Nothing is known yet."""
    return Proof(TIMING)


def test_an_announcement_before_the_find_proves(proof: Proof) -> None:
    """An event, then what a poll found: announced."""
    proof.announced(100)
    proof.found(101)
    assert proof.is_proven


def test_an_announcement_just_after_the_find_proves(proof: Proof) -> None:
    """A poll may be quicker than the event."""
    proof.found(100)
    assert not proof.is_proven
    proof.announced(101)
    proof.settle(106)
    assert proof.is_proven
    assert proof.missed == 0


def test_three_in_a_row_are_deaf(proof: Proof) -> None:
    """Three texts without an announcement make it deaf; one with begins the count anew."""
    for at in (100, 200):
        proof.found(at)
        proof.settle(at + 5)
    assert proof.missed == 2
    proof.announced(300)
    proof.found(300)
    assert proof.missed == 0
    for at in (400, 401, 402):
        proof.found(at)
    proof.settle(405)
    assert not proof.is_deaf
    proof.settle(407)
    assert proof.is_deaf


@pytest.mark.parametrize("event", [99.5, 100.5])
def test_an_echo_of_our_own_text_says_nothing(proof: Proof, event: float) -> None:
    """Beside a text of ours, an event is no proof, and its lack is none either."""
    for what, at in sorted([(proof.announced, event), (proof.text_went_out, 100)], key=lambda one: one[1]):
        what(at)
    proof.found(104)
    proof.settle(110)
    assert not proof.is_proven
    assert proof.missed == 0


def test_one_that_an_echo_may_have_announced_is_not_proven_later(proof: Proof) -> None:
    """The next announcement is that of another text, which is still to be found."""
    proof.text_went_out(100)
    proof.announced(100.5)
    proof.found(104)
    proof.announced(108)
    assert not proof.is_proven


def test_an_echo_just_after_the_find_says_nothing(proof: Proof) -> None:
    """What may be an echo may also be the announcement of the text that was found: that one was not missed."""
    proof.found(100)
    proof.text_went_out(101)
    proof.announced(102)
    proof.settle(105)
    assert not proof.is_proven
    assert proof.missed == 0


def test_an_announcement_beside_an_echo_proves(proof: Proof) -> None:
    """An answer that is announced a while after our text proves."""
    proof.text_went_out(100)
    proof.announced(100.1)
    proof.announced(104)
    proof.found(104)
    assert proof.is_proven


_STEPS = st.lists(st.tuples(st.sampled_from(["announced", "found", "settle"]), st.floats(0.01, 30)), max_size=40)


@given(steps=_STEPS)
def test_deaf_needs_three_finds_and_no_announcement(steps: list[tuple[str, float]]) -> None:
    """Whatever the order: it is deaf only after three finds since the last proof, and proven only after both."""
    proof, now, events, finds = Proof(TIMING), 1000.0, 0, 0
    for step, passes in steps:
        now += passes
        getattr(proof, step)(now)
        events += step == "announced"
        finds += step == "found"
        assert proof.missed <= finds
        assert not proof.is_proven or (events and finds)
        if not events:
            assert not proof.is_proven
