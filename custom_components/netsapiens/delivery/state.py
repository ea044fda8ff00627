"""The states of one message, and what leads from one to the next.

A message is PENDING, then ATTEMPTING while a request is under way, UNKNOWN where its answer was lost, and ends as SENT
or FAILED. Nothing here waits, reads or writes: who drives it does the next ``Step`` and applies what came of it.
"""

from enum import Enum, IntEnum, auto
from types import MappingProxyType
from typing import Any, NamedTuple


class State(IntEnum):  # whose hash is quick
    """Where a message is on its way."""

    PENDING = auto()  # surely not accepted
    ATTEMPTING = auto()  # a request is under way
    UNKNOWN = auto()  # a request ended without a clear answer
    SENT = auto()
    FAILED = auto()


ENDS = (State.SENT, State.FAILED)
"""The states that a message does not leave."""


class Reason(Enum):
    """Why a message failed. The values are those of the event that reports it."""

    EXPIRED = "expired"
    REFUSED = "refused"
    UNCONFIRMED = "unconfirmed"
    OPTED_OUT = "opted_out"
    UNEXPECTED = "unexpected"


class Event(IntEnum):
    """What happens to a message."""

    ATTEMPT_MAY_BEGIN = auto()  # with its baseline
    PERSISTING = auto()  # a write begins; from now on the disk may hold the message
    PERSISTED = auto()  # the write has ended; with the baseline that was written
    PERSIST_FAILED = auto()  # the disk holds what it held before
    PROMISED = auto()  # `queued` was answered
    REQUEST_BEGINS = auto()
    ACCEPTED = auto()
    REFUSED = auto()  # the PBX does not want this very message
    NOT_SENT = auto()  # surely not accepted, but another attempt may be
    ANSWER_LOST = auto()
    FOUND = auto()  # in the PBX's lists
    NOT_FOUND = auto()  # and the lists cannot lag any more
    LIST_UNREADABLE = auto()
    DEADLINE = auto()
    CANCELLED = auto()  # the queue stops; the message stays on disk
    GIVEN_UP = auto()  # it was not promised and cannot be kept: the queue stops, or the disk is full
    OPTED_OUT = auto()  # its recipient wants no texts any more
    UNEXPECTED = auto()  # an error that nobody foresaw


class Step(Enum):
    """What a message needs next."""

    COUNT = auto()  # get a baseline: count what may be taken for the message later
    PERSIST = auto()  # write the baseline down: the disk would send the message again after a kill
    SEND = auto()
    WAIT = auto()  # for the request or the write under way
    RECONCILE = auto()  # look for it in the PBX's lists
    REPORT = auto()  # it has ended


class IllegalTransitionError(Exception):
    """An event that cannot happen to a message in its state."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event.name} in {state.name}")


class Outcome(NamedTuple):
    """What an event leads to.

    Attributes:
        state: the next state.
        reason: why the message failed, if it did.
        last: what it leads to instead where the message may not be tried again; None: to the same.
    """

    state: State
    reason: Reason | None = None
    last: Outcome | None = None


_PENDING, _ATTEMPTING = Outcome(State.PENDING), Outcome(State.ATTEMPTING)
_UNKNOWN, _SENT = Outcome(State.UNKNOWN), Outcome(State.SENT)
_EXPIRED, _REFUSED = Outcome(State.FAILED, Reason.EXPIRED), Outcome(State.FAILED, Reason.REFUSED)
_UNCONFIRMED, _UNEXPECTED = Outcome(State.FAILED, Reason.UNCONFIRMED), Outcome(State.FAILED, Reason.UNEXPECTED)
_OPTED_OUT = Outcome(State.FAILED, Reason.OPTED_OUT)
_AGAIN = Outcome(State.PENDING, last=_EXPIRED)
_LOOK_AGAIN = Outcome(State.UNKNOWN, last=_UNCONFIRMED)

TRANSITIONS = MappingProxyType(
    {
        **{
            (state, event): Outcome(state)
            for state in (State.PENDING, State.ATTEMPTING, State.UNKNOWN)
            for event in (Event.PERSISTING, Event.PERSISTED, Event.PERSIST_FAILED, Event.PROMISED)
        },
        (State.PENDING, Event.ATTEMPT_MAY_BEGIN): _PENDING,
        (State.PENDING, Event.REQUEST_BEGINS): _ATTEMPTING,
        (State.PENDING, Event.NOT_SENT): _AGAIN,  # what comes before the request failed, the login for instance
        (State.PENDING, Event.DEADLINE): _EXPIRED,
        (State.PENDING, Event.CANCELLED): _PENDING,
        (State.PENDING, Event.GIVEN_UP): _EXPIRED,
        (State.PENDING, Event.OPTED_OUT): _OPTED_OUT,
        (State.PENDING, Event.UNEXPECTED): _UNEXPECTED,
        (State.ATTEMPTING, Event.ACCEPTED): _SENT,
        (State.ATTEMPTING, Event.REFUSED): _REFUSED,
        (State.ATTEMPTING, Event.NOT_SENT): _AGAIN,
        (State.ATTEMPTING, Event.ANSWER_LOST): _UNKNOWN,
        (State.ATTEMPTING, Event.DEADLINE): _ATTEMPTING,  # a request under way comes to its end
        (State.ATTEMPTING, Event.CANCELLED): _UNKNOWN,
        (State.ATTEMPTING, Event.GIVEN_UP): _UNCONFIRMED,
        (State.ATTEMPTING, Event.OPTED_OUT): _ATTEMPTING,
        (State.ATTEMPTING, Event.UNEXPECTED): _UNCONFIRMED,
        (State.UNKNOWN, Event.FOUND): _SENT,
        (State.UNKNOWN, Event.NOT_FOUND): _AGAIN,
        (State.UNKNOWN, Event.LIST_UNREADABLE): _LOOK_AGAIN,
        (State.UNKNOWN, Event.DEADLINE): _UNKNOWN,  # one more look says what became of it
        (State.UNKNOWN, Event.CANCELLED): _UNKNOWN,
        (State.UNKNOWN, Event.GIVEN_UP): _UNCONFIRMED,
        (State.UNKNOWN, Event.OPTED_OUT): _UNKNOWN,  # it may not be sent again, but may have been accepted
        (State.UNKNOWN, Event.UNEXPECTED): _UNCONFIRMED,
    }
)


class Delivery[BaselineT](NamedTuple):
    """One message on its way. ``apply`` returns what an event makes of it.

    Attributes:
        state: where it is.
        keep: whether it is tried again after a failure.
        reason: why it failed.
        attempts: how many requests were begun since it was taken or loaded.
        baseline: what distinguishes it from its duplicates; set before each first attempt.
        was_unknown: whether the outcome of an attempt was unknown once; the baseline stays then.
        late: whether its deadline has passed.
        opted_out: whether its recipient wants no texts any more; there is no other attempt then.
        promised: whether it was answered ``queued``.
        stored: whether the disk holds it, so that it goes on after a kill.
        stored_baseline: the baseline that the disk holds. With one, it is looked up after a kill, else sent.
        writes: how many writes are under way.
    """

    state: State = State.PENDING
    keep: bool = True
    reason: Reason | None = None
    attempts: int = 0
    baseline: BaselineT | None = None
    was_unknown: bool = False
    late: bool = False
    opted_out: bool = False
    promised: bool = False
    stored: bool = False
    stored_baseline: BaselineT | None = None
    writes: int = 0

    @classmethod
    def restored(cls, baseline: BaselineT | None, *, opted_out: bool = False) -> Delivery[BaselineT]:
        """Return a message that was read from disk: one with a baseline may have been accepted.

        Parameters:
            baseline: what distinguishes it from its duplicates; None where it was surely not accepted.
            opted_out: whether its recipient wants no texts any more. It has ended, unless it may have been accepted.
        """
        tried = baseline is not None
        untried = _OPTED_OUT if opted_out else _PENDING
        return cls(
            State.UNKNOWN if tried else untried.state,
            reason=None if tried else untried.reason,
            baseline=baseline,
            was_unknown=tried,
            opted_out=opted_out,
            promised=True,
            stored=True,
            stored_baseline=baseline,
        )

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self.state in ENDS

    @property
    def may_be_accepted(self) -> bool:
        """Whether the PBX may have it, without having said so."""
        return self.state in (State.ATTEMPTING, State.UNKNOWN)

    @property
    def needs_persist(self) -> bool:
        """Whether the disk would send it after a kill although this attempt was made."""
        return self.stored and (self.baseline is None or self.stored_baseline != self.baseline)

    @property
    def step(self) -> Step:
        """What it needs next."""
        match self.state:
            case State.PENDING if self.baseline is None:
                return Step.COUNT
            case State.PENDING if self.writes:
                return Step.WAIT
            case State.PENDING:
                return Step.PERSIST if self.needs_persist else Step.SEND
            case State.ATTEMPTING:
                return Step.WAIT
            case State.UNKNOWN:
                return Step.RECONCILE
        return Step.REPORT

    def apply(self, event: Event, baseline: BaselineT | None = None) -> Delivery[BaselineT]:
        """Return the message after an event.

        Parameters:
            event: what happened. A message that has ended stays as it is, whatever comes late.
            baseline: of ATTEMPT_MAY_BEGIN the one that was counted, of PERSISTED the one that was written.

        Raises:
            IllegalTransitionError: that cannot happen to it now.
        """
        outcome = TRANSITIONS.get((self.state, event))  # none leads on from an end
        legal, facts = self._facts(event, baseline)
        if not legal or (outcome is None and not self.is_done):
            raise IllegalTransitionError(self.state, event)
        if outcome is None:
            return self._replace(**facts) if facts else self
        if self.opted_out and outcome.state is State.PENDING:
            outcome = _OPTED_OUT
        elif outcome.last is not None and (self.late or not self.keep):
            outcome = outcome.last
        return self._replace(
            state=outcome.state,
            reason=outcome.reason,
            was_unknown=self.was_unknown or outcome.state is State.UNKNOWN,
            **facts,
        )

    def _facts(self, event: Event, baseline: BaselineT | None) -> tuple[bool, dict[str, Any]]:
        """Return whether an event can happen now, and what it says beside the state."""
        facts: dict[str, Any] = {}
        legal = True
        match event:
            case Event.ATTEMPT_MAY_BEGIN:
                legal, facts = self.step is Step.COUNT and baseline is not None, {"baseline": baseline}
            case Event.REQUEST_BEGINS:
                legal, facts = self.step is Step.SEND, {"attempts": self.attempts + 1}
            case Event.PERSISTING:
                facts = {"writes": self.writes + 1}
            case Event.PERSISTED:
                legal, facts = self.writes > 0, {"stored": True, "stored_baseline": baseline, "writes": self.writes - 1}
            case Event.PERSIST_FAILED:
                legal, facts = self.writes > 0, {"writes": self.writes - 1}
                facts["baseline"] = self._baseline_after(ended=False)
            case Event.PROMISED:
                legal, facts = self.stored or self.is_done, {"promised": True}
            case Event.GIVEN_UP:
                legal = not self.promised or self.is_done
            case Event.DEADLINE | Event.OPTED_OUT:
                facts = {"late" if event is Event.DEADLINE else "opted_out": True}
            case Event.NOT_SENT:
                facts = {"baseline": self._baseline_after(ended=True)}
        return legal, facts

    def _baseline_after(self, *, ended: bool) -> BaselineT | None:
        """Return the baseline after a failure: none if it never was unknown; the next attempt is a first one.

        Parameters:
            ended: whether the request under way has ended.
        """
        if self.was_unknown or (self.may_be_accepted and not ended):
            return self.baseline
        return None
