"""Every order of answers, losses, kills, restarts and clocks leads to one end, and to one message at most."""

import ast
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
import pytest

from custom_components.netsapiens.delivery import state as state_module
from custom_components.netsapiens.delivery.state import (
    TRANSITIONS,
    Delivery,
    Event,
    IllegalTransitionError,
    Reason,
    State,
    Step,
)

_LAG = 2  # looks; what was accepted is listed then at the latest
_ENDS_WITHIN = 20  # steps, once the deadline has passed and the PBX and the disk answer


class Pbx:
    """What the PBX does with one message."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused = 0
        self.others = 0  # that look the same
        self.in_transit = False  # a request was cut off and may still be accepted
        self.looks = 0  # since the last request
        self.delay = 0  # looks until what was accepted is listed
        self.unresolved = False  # whether it may have the message, for all that its client can know

    def take(self, *, accepts: bool) -> None:
        """Get a request."""
        self.in_transit = False
        if accepts:
            assert not self.accepted, "sent twice"
            self.accepted += 1

    def count(self) -> int:
        """Return how many messages that look the same it lists."""
        return self.others + (self.accepted if self.looks >= self.delay else 0)


LOST = [Event.ANSWER_LOST, Event.ANSWER_LOST, Event.CANCELLED, Event.UNEXPECTED, Event.GIVEN_UP]
ANSWERS = st.sampled_from([Event.ACCEPTED, Event.REFUSED, Event.NOT_SENT, Event.NOT_SENT, *LOST])
RARELY = st.sampled_from([False] * 5 + [True])
FATES = st.sampled_from(["accepted", "not", "later"])  # of a request whose answer was lost


class Machine(RuleBasedStateMachine):
    """Does what the next step says, with whatever may come of it; kills and clocks come in between."""

    def __init__(self) -> None:
        super().__init__()
        self.pbx = Pbx()
        self.message: Delivery[tuple[str, int]] = Delivery()
        self.disk: tuple[tuple[str, int] | None] | None = None  # the row, if there is one: its baseline
        self.writes: list[tuple[str, int] | None] = []  # rows under way, in order
        self.promised = False
        self.opted_out = False

    def apply(self, event: Event, baseline: tuple[str, int] | None = None) -> None:
        self.message = self.message.apply(event, baseline)

    @precondition(lambda self: self.message.is_done and not self.writes)
    @rule(keep=st.sampled_from([True, True, False]))
    def next_message(self, keep: bool) -> None:
        """Take what has ended off the disk, and begin another one."""
        self.pbx, self.disk, self.promised, self.opted_out = Pbx(), None, False, False
        self.message = Delivery(keep=keep)

    # --- the way ahead ---------------------------------------------------------------

    @precondition(lambda self: not self.message.is_done and (self.message.step is not Step.WAIT or not self.writes))
    @rule(
        count=st.sampled_from([None, None, None, Event.NOT_SENT]),
        delay=st.integers(0, _LAG),
        answer=ANSWERS,
        fate=FATES,
        readable=st.sampled_from([True, True, False]),
    )
    def go_on(self, count: Event | None, delay: int, answer: Event, fate: str, readable: bool) -> None:
        """Do the next step. One rule, since the choice of rules leaves some out of a run, and most need all these."""
        match self.message.step:
            case Step.COUNT:
                self.count(count)
            case Step.PERSIST:
                self.write_begins()
            case Step.SEND:
                self.send(delay)
            case Step.RECONCILE:
                self.look(readable=readable)
            case Step.WAIT:
                self.answers(answer, fate)

    def count(self, result: Event | None) -> None:
        if result is None:
            self.apply(Event.ATTEMPT_MAY_BEGIN, ("since", self.pbx.count()))
        else:
            self.apply(result)

    def send(self, delay: int) -> None:
        assert not self.pbx.unresolved, "sent while the outcome of an earlier attempt is unknown"
        assert not self.pbx.accepted, "sent again once accepted"
        assert not self.opted_out, "sent to somebody who has opted out"
        self.apply(Event.REQUEST_BEGINS)
        self.pbx.looks, self.pbx.delay = 0, delay
        self.pbx.unresolved = True

    def answers(self, answer: Event, fate: str) -> None:
        if answer in {Event.ACCEPTED, Event.REFUSED, Event.NOT_SENT}:
            self.pbx.take(accepts=answer is Event.ACCEPTED)
            self.pbx.unresolved = False
        elif answer is Event.GIVEN_UP and self.message.promised:
            return
        else:
            self.cut_off(fate)
        self.apply(answer)

    def look(self, *, readable: bool) -> None:
        if not readable:
            self.apply(Event.LIST_UNREADABLE)
            return
        self.pbx.looks += 1
        last = self.pbx.looks > _LAG
        if last and self.pbx.in_transit:
            self.pbx.take(accepts=False)  # the looks go on for longer than a request can be under way
        assert self.message.baseline is not None
        if self.pbx.count() > self.message.baseline[1]:
            self.pbx.unresolved = False
            self.apply(Event.FOUND)
        elif last:
            self.pbx.unresolved = False
            self.apply(Event.NOT_FOUND)  # before the last look, the lists may still lag

    def cut_off(self, fate: str) -> None:
        """End a request without an answer; it may even arrive a little later."""
        if fate == "later":
            self.pbx.in_transit = True
        else:
            self.pbx.take(accepts=fate == "accepted")

    @precondition(lambda self: self.pbx.in_transit)
    @rule()
    def arrives_late(self) -> None:
        self.pbx.take(accepts=True)

    @precondition(lambda self: self.message.baseline is None)
    @precondition(lambda self: not any(self.writes) and (self.disk is None or self.disk[0] is None))
    @rule()
    def another_looks_the_same(self) -> None:
        self.pbx.others += 1

    # --- the disk --------------------------------------------------------------------

    @precondition(lambda self: self.message.keep and not self.message.is_done and len(self.writes) < 2)
    @rule()
    def write_begins(self) -> None:
        self.apply(Event.PERSISTING)
        self.writes.append(self.message.baseline)

    @precondition(lambda self: self.writes)
    @rule(works=st.sampled_from([True, True, False]))
    def write_ends(self, works: bool) -> None:
        row = self.writes.pop(0)
        if works:
            self.disk = (row,)
            self.apply(Event.PERSISTED, row)
        else:
            self.apply(Event.PERSIST_FAILED)

    @precondition(lambda self: self.message.stored and not self.message.is_done and not self.promised)
    @rule()
    def promise(self) -> None:
        self.apply(Event.PROMISED)
        self.promised = True

    @precondition(lambda self: not self.message.is_done and not self.writes and not self.message.opted_out)
    @rule(happens=RARELY)
    def opts_out(self, happens: bool) -> None:
        """The recipient wants no texts any more; that is written down, so that a kill does not forget it."""
        if happens:
            self.apply(Event.OPTED_OUT)
            self.opted_out = True

    # --- kills, clocks, and what breaks ----------------------------------------------

    @precondition(lambda self: self.disk is not None or self.writes or self.promised)
    @rule(written=st.integers(0, 3), fate=FATES)
    def kill(self, written: int, fate: str) -> None:
        """End the process: the writes under way have come as far as they have; what is on disk begins anew."""
        for row in self.writes[:written]:
            self.disk = (row,)
        self.writes = []
        if self.message.state is State.ATTEMPTING:
            self.cut_off(fate)
        assert self.disk is not None or not self.promised, "promised, and not on disk"
        if self.disk is not None:
            self.message = Delivery.restored(self.disk[0], opted_out=self.opted_out)
            self.promised = True
        elif not self.message.is_done:
            self.message = Delivery(State.FAILED, reason=Reason.UNCONFIRMED)  # its caller is gone, and so is it

    @precondition(lambda self: not self.message.is_done)
    @rule(event=st.sampled_from([Event.DEADLINE, Event.UNEXPECTED, Event.CANCELLED, Event.GIVEN_UP]), happens=RARELY)
    def trouble(self, event: Event, happens: bool) -> None:
        if not happens or (self.message.state is State.ATTEMPTING and event is not Event.DEADLINE):
            return  # how a request ends is said elsewhere
        if event is not Event.GIVEN_UP or not self.message.promised:
            self.apply(event)

    # --- what is always so -----------------------------------------------------------

    @invariant()
    def at_most_once(self) -> None:
        assert self.pbx.accepted <= 1

    @invariant()
    def ends_are_true(self) -> None:
        """Sent means accepted; failed, but for `unconfirmed`, means not accepted."""
        if self.message.state is State.SENT:
            assert self.pbx.accepted == 1
        if self.message.state is State.FAILED:
            assert self.message.reason is not None
            if self.message.reason is not Reason.UNCONFIRMED:
                assert not self.pbx.accepted, "accepted, but reported as surely not"
        else:
            assert self.message.reason is None

    @invariant()
    def a_kill_would_not_send_it_again(self) -> None:
        """Whatever the disk holds, or holds in a moment, says that the message may have been accepted."""
        if self.pbx.unresolved or self.pbx.accepted:
            assert self.disk is None or self.disk[0] is not None
            assert all(row is not None for row in self.writes)

    def teardown(self) -> None:
        """See that it comes to an end once its deadline passes, where everything answers again."""
        self.apply(Event.DEADLINE)
        for _ in range(_ENDS_WITHIN):
            if self.writes:
                self.write_ends(works=True)
            elif self.message.is_done:
                return
            elif self.message.state is State.ATTEMPTING:
                self.answers(Event.NOT_SENT, "not")
            elif self.message.step is Step.RECONCILE:
                self.look(readable=True)
            else:
                raise AssertionError(f"{self.message.step} after its deadline")
        raise AssertionError("no end")


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=300,
    stateful_step_count=60,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def after(*events: Event | tuple[Event, Any], start: Delivery[Any] | None = None) -> Delivery[Any]:
    """Return a message after some events."""
    message = start or Delivery[Any]()
    for event in events:
        message = message.apply(*event) if isinstance(event, tuple) else message.apply(event)
    return message


BASELINE = (Event.ATTEMPT_MAY_BEGIN, "B")


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (after(), Step.COUNT),
        (after(BASELINE), Step.SEND),
        (after(BASELINE, Event.PERSISTING), Step.WAIT),
        (after(Event.PERSISTING, (Event.PERSISTED, None), BASELINE), Step.PERSIST),
        (
            after(Event.PERSISTING, (Event.PERSISTED, None), BASELINE, Event.PERSISTING, (Event.PERSISTED, "B")),
            Step.SEND,
        ),
        (after(BASELINE, Event.REQUEST_BEGINS), Step.WAIT),
        (after(BASELINE, Event.REQUEST_BEGINS, Event.ANSWER_LOST), Step.RECONCILE),
        (after(BASELINE, Event.REQUEST_BEGINS, Event.ANSWER_LOST, Event.NOT_FOUND), Step.SEND),
        (after(BASELINE, Event.REQUEST_BEGINS, Event.NOT_SENT), Step.COUNT),
        (after(BASELINE, Event.REQUEST_BEGINS, Event.ACCEPTED), Step.REPORT),
        (Delivery.restored(None), Step.COUNT),
        (Delivery.restored("B"), Step.RECONCILE),
        (Delivery.restored(None, opted_out=True), Step.REPORT),
        (Delivery.restored("B", opted_out=True), Step.RECONCILE),
    ],
)
def test_what_is_needed_next(message: Delivery[Any], step: Step) -> None:
    """Each state says what it needs next."""
    assert message.step is step


def test_a_baseline_that_the_disk_does_not_hold_is_written_first() -> None:
    """After a clear failure the next attempt has a baseline of its own; the one on disk is out of date."""
    stored = (Event.PERSISTING, (Event.PERSISTED, "B"))
    message = after(BASELINE, *stored, Event.REQUEST_BEGINS, Event.NOT_SENT, (Event.ATTEMPT_MAY_BEGIN, "C"))
    assert message.step is Step.PERSIST
    with pytest.raises(IllegalTransitionError):
        message.apply(Event.REQUEST_BEGINS)


def test_a_write_holds_what_was_known_when_it_began() -> None:
    """The baseline came while the row was written without it: a kill would send the message again."""
    assert after(Event.PERSISTING, BASELINE, (Event.PERSISTED, None)).step is Step.PERSIST


def test_one_on_disk_has_to_be_written_before_its_first_attempt() -> None:
    """Known before it is counted, so that it waits for a full disk and not among those that wait for the PBX."""
    assert Delivery.restored(None).needs_persist
    assert not after(BASELINE).needs_persist


def test_a_failed_write_takes_no_baseline_from_a_request_under_way() -> None:
    """Its answer may be lost, and nothing else distinguishes it from its duplicates then."""
    message = after(BASELINE, Event.REQUEST_BEGINS, Event.PERSISTING, Event.PERSIST_FAILED, Event.ANSWER_LOST)
    assert message.baseline == "B"


def test_one_that_is_given_up_under_way_is_unconfirmed() -> None:
    """The PBX may have it: neither its caller nor the next text that says the same may count on the contrary."""
    assert after(BASELINE, Event.REQUEST_BEGINS, Event.GIVEN_UP).reason is Reason.UNCONFIRMED


def test_a_message_that_is_not_kept_has_one_attempt() -> None:
    """Whatever clear failure it ends with; an unclear one is looked up once."""
    message = after(BASELINE, Event.REQUEST_BEGINS, start=Delivery(keep=False))
    assert message.apply(Event.NOT_SENT).reason is Reason.EXPIRED
    assert after(Event.ANSWER_LOST, Event.NOT_FOUND, start=message).reason is Reason.EXPIRED
    assert after(Event.ANSWER_LOST, Event.LIST_UNREADABLE, start=message).reason is Reason.UNCONFIRMED


def test_what_has_ended_stays_as_it_is() -> None:
    """No answer that comes late changes an end, and nothing begins again."""
    for end in (after(BASELINE, Event.REQUEST_BEGINS, Event.ACCEPTED), after(Event.DEADLINE)):
        for event in Event:
            if event in {Event.ATTEMPT_MAY_BEGIN, Event.REQUEST_BEGINS, Event.PERSISTED, Event.PERSIST_FAILED}:
                with pytest.raises(IllegalTransitionError):
                    end.apply(event, "B")
            else:
                after_it = end.apply(event)
                assert (after_it.state, after_it.reason) == (end.state, end.reason)


def test_every_state_has_an_answer_to_what_can_come_at_any_time() -> None:
    """Deadlines, stops, writes and errors do not ask where a message is."""
    anytime = {
        Event.DEADLINE,
        Event.CANCELLED,
        Event.GIVEN_UP,
        Event.OPTED_OUT,
        Event.UNEXPECTED,
        Event.PERSISTING,
        Event.PERSISTED,
        Event.PERSIST_FAILED,
        Event.PROMISED,
    }
    for state in (State.PENDING, State.ATTEMPTING, State.UNKNOWN):
        assert anytime <= {event for at, event in TRANSITIONS if at is state}


def test_reasons_are_those_of_the_event() -> None:
    """What automations compare with does not change."""
    assert {reason.value for reason in Reason} == {"expired", "refused", "unconfirmed", "opted_out", "unexpected"}


def test_it_knows_neither_home_assistant_nor_asyncio() -> None:
    """It imports from the standard library alone, and nothing that waits."""
    tree = ast.parse(Path(state_module.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"enum", "types", "typing"}
