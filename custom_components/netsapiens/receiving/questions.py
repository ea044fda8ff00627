"""The questions of an account that wait for an answer; a person is asked one at a time."""

import asyncio
from collections.abc import Callable, Collection
from copy import replace

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.async_ import create_eager_task

from ..const import DOMAIN
from ..outgoing import OutgoingMessage
from ..pbx.coordinator import NetsapiensCoordinator
from ..phone import digits_from_pbx
from .poller import Poller
from .question import Ask, AskState, Question
from .received import ReceivedMessage
from .taken import Taken, came_after, is_listed_after
from .timing import timing_of

_WHILE_MATCHING = 0.05  # seconds until it is looked again whether a text that came in time is an answer


class Questions:
    """Puts an account's questions, and finds the texts that answer them.

    Parameters:
        coordinator: the account.
        poller: gives what polls for messages now; None where that is switched off.
        refuse_waiting: ends the waiting messages that a function names, with an error.
        opts_out: tells the texts that opt out of texts, which are never an answer.
    """

    def __init__(
        self,
        coordinator: NetsapiensCoordinator,
        poller: Callable[[], Poller | None],
        refuse_waiting: Callable[[Callable[[OutgoingMessage], bool], HomeAssistantError], None],
        opts_out: Callable[[str], bool],
    ) -> None:
        self._hass: HomeAssistant = coordinator.hass
        self._coordinator = coordinator
        self._poller = poller
        self._refuse_waiting = refuse_waiting
        self._opts_out = opts_out
        self._asks: dict[str, Ask] = {}  # by reference
        self._by_person: dict[tuple[str, str], dict[Ask, None]] = {}  # and our number; in the order of their turns
        self._ends: dict[Ask, list[Callable[[], object]]] = {}  # what ends with an ask: timers, and polling more often

    @callback
    def async_add(self, question: Question, message: OutgoingMessage, *, has_picture: bool = False) -> Ask:
        """Return a question to a conversation, which has its turn once those before have ended.

        Parameters:
            question: what is asked.
            message: the words that ask it; those to be sent are the returned one's, which have a reference.
            has_picture: whether a picture goes with it as a message of its own, by the same reference.
        """
        is_chat = message.message_type.startswith("chat")
        persons = frozenset(self._person(number, is_chat=is_chat) for number in message.destination)
        ours = "" if is_chat else self._digits(message.from_number or "")
        ask = Ask(question, message, persons, ours, has_picture=has_picture)
        ask.message = replace(message, reference=ask.reference)
        question.asks.append(ask)
        self._asks[ask.reference] = ask
        self._ends[ask] = []
        for person in persons:
            self._by_person.setdefault((person, ask.ours), {})[ask] = None
        self._start_if_first(ask)
        return ask

    async def async_catch_up(self) -> None:
        """Report what has come in up to now, as far as the PBX can be asked in time: it answers no later question."""
        if (poller := self._poller()) is None or self._coordinator.throttle.is_away:
            return
        try:
            async with asyncio.timeout(timing_of(self._hass).question.poll_within):
                await poller.async_poll_now()
        except TimeoutError:
            pass

    @callback
    def async_begin(self, ask: Ask) -> None:
        """Take up that a question is sent from now on."""
        clock = self._coordinator.api.clock
        now = clock.now()
        ask.taken = Taken(ask.message.text, now, self._hass.loop.time(), now, clock.jumped)
        ask.state = AskState.SENDING

    @callback
    def async_sent(self, reference: str) -> None:
        """Take up that the PBX took a message: its question waits for an answer, and its time runs."""
        ask = self._asks.get(reference)
        if ask is None or ask.state is not AskState.SENDING or ask.taken is None:
            return
        ask.state = AskState.ASKED
        ask.taken = replace(ask.taken, known=self._coordinator.api.clock.now())
        self._call_later(ask, ask.question.timeout, self._poll_last)
        if (poller := self._poller()) is not None:
            self._ends[ask].append(poller.async_expect_answer())
        for received in ask.early:
            ask.question.async_take(ask, received)

    @callback
    def async_failed(self, reference: str, error: HomeAssistantError) -> None:
        """Take up that a message of a question that waits will not get out."""
        self.async_end(self._asks[reference], error)

    @callback
    def async_end(self, ask: Ask, error: HomeAssistantError | None = None) -> None:
        """End a question to a conversation, and let the next one go.

        Parameters:
            ask: which.
            error: why there will be no answer; None where its time is up.
        """
        if self._asks.pop(ask.reference, None) is None:
            return
        ask.state, ask.error = AskState.ENDED, error
        for end in self._ends.pop(ask):
            end()
        for person in ask.persons:
            waiting = self._by_person[person, ask.ours]
            del waiting[ask]
            if not waiting:
                del self._by_person[person, ask.ours]
            for following in [*waiting]:
                self._start_if_first(following)
        ask.question.async_check_end()

    @callback
    def async_withdraw(self, asks: Collection[Ask], error: HomeAssistantError | None = None) -> None:
        """End questions that nobody waits for any more; what of them is still queued is not sent.

        Parameters:
            asks: which.
            error: why there will be no answer; None where there is one, or its caller has gone.
        """
        queued = {ask.reference for ask in asks if ask.may_be_queued}
        for ask in asks:
            self.async_end(ask, error)
        if queued:
            # Nobody sees the error: the question has ended, so `Reports` is silent about its messages.
            over = HomeAssistantError(translation_domain=DOMAIN, translation_key="question_withdrawn")
            self._refuse_waiting(lambda one: one.reference in queued or one.goes_with in queued, over)

    @callback
    def async_start(self) -> CALLBACK_TYPE:
        """End all questions when Home Assistant stops; return what ends them when the account is unloaded."""
        forget_stop = self._hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, self.async_interrupt)

        @callback
        def end() -> None:
            """End all questions, and what waits for the stop."""
            forget_stop()
            self.async_interrupt()

        return end

    @callback
    def async_interrupt(self, _event: Event | None = None) -> None:
        """End all questions: the account is unloaded or Home Assistant stops, and nothing comes in any more."""
        error = HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="question_interrupted",
            translation_placeholders={"account": self._coordinator.config_entry.title},
        )
        self.async_withdraw([*self._asks.values()][::-1], error)  # so that no other has its turn

    def is_over(self, message: OutgoingMessage) -> bool:
        """Whether a message belongs to a question that nobody waits for any more."""
        reference = message.reference or message.goes_with
        return reference is not None and reference not in self._asks

    @callback
    def async_received(self, received: ReceivedMessage) -> ReceivedMessage:
        """Return a message that came in, with whether a question was waiting for it; match it where one was.

        Parameters:
            received: the message.
        """
        asks = [] if not self._asks or self._opts_out(received.text) else self._asks_of(received)
        answered = [ask for ask in asks if self._take(ask, received)]
        return replace(received, is_answer=True) if answered else received

    def _take(self, ask: Ask, received: ReceivedMessage) -> bool:
        """Take a text for a question that is under way; return whether the question was waiting for it."""
        if ask.taken is None:
            return False
        jumped = self._coordinator.api.clock.jumped
        if ask.state is AskState.ASKED and came_after(ask.taken, received, jumped):
            ask.question.async_take(ask, received)
            return True
        if ask.state is AskState.SENDING and is_listed_after(ask.taken, received, jumped):
            ask.early.append(received)
            return True
        return False

    def _asks_of(self, received: ReceivedMessage) -> list[Ask]:
        """Return the questions under way that whoever sent a message was asked."""
        is_chat = received.message_type.startswith("chat")
        person = self._person(received.from_number, is_chat=is_chat)
        ours = "" if is_chat else self._digits(received.to_number)
        waiting = [*self._by_person.get((person, ours), ())] or [
            # Of some messages the PBX does not say to which number they came, but in which conversation.
            ask
            for ask in self._asks.values()
            if person in ask.persons and ask.message.messagesession == received.messagesession
        ]
        return [ask for ask in waiting if ask.state in {AskState.SENDING, AskState.ASKED}][:1]

    def _start_if_first(self, ask: Ask) -> None:
        """Let a question have its turn, unless another one to the same people comes before it."""
        first = (next(iter(self._by_person[person, ask.ours])) for person in ask.persons)
        if ask.state is AskState.WAITING and all(one.question is ask.question for one in first):
            ask.turn.set()

    def _call_later(self, ask: Ask, delay: float, action: Callable[[Ask], None]) -> None:
        """Call later, unless the question has ended by then."""
        self._ends[ask].append(self._hass.loop.call_later(delay, action, ask).cancel)

    @callback
    def _poll_last(self, ask: Ask) -> None:
        """Poll once more where the time is up: an answer that came in time may not have been read yet."""

        async def poll() -> None:
            """Poll, then end the question."""
            await self.async_catch_up()
            self._time_up(ask)

        polling = create_eager_task(poll(), name="netsapiens last poll", loop=self._hass.loop)
        if not polling.done():  # as it is where the PBX is not asked
            self._ends[ask].append(polling.cancel)

    @callback
    def _time_up(self, ask: Ask) -> None:
        """End a question that nobody answered in time."""
        if ask.question.is_matching:
            self._call_later(ask, _WHILE_MATCHING, self._time_up)
        else:
            self.async_end(ask)

    def _person(self, number: str, *, is_chat: bool) -> str:
        """Return what somebody is known by: digits with country code; a user of our own domain without it."""
        if is_chat:
            return self._coordinator.data.account.without_domain(number)
        return self._digits(number)

    def _digits(self, number: str) -> str:
        """Return a number that the PBX gave as digits with country code; a name as it is."""
        return digits_from_pbx(number, self._hass.config.country)
