"""Telling a message from its equals."""

from collections.abc import Callable
from copy import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.netsapiens.api import Account, NetsapiensRequestError, NetsapiensServerError
from custom_components.netsapiens.api.models import Message, MessageSession
from custom_components.netsapiens.delivery.reconcile import Baseline, RecentSends, Reconciler, fingerprint_of
from custom_components.netsapiens.delivery.timing import SLACK
from custom_components.netsapiens.outgoing import Media, OutgoingMessage
from custom_components.netsapiens.pbx.throttle import Throttle
from custom_components.netsapiens.phone_metadata import load_metadata

ACCOUNT = Account("1001@acme.example", "1001", "acme.example", "1001@acme.example", "Basic User", "45.0")
OWN, ANN = "18585550199", "18585550123"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def outgoing(
    text: str = "Alarm", session: str = "h" * 32, *destination: str, sender: str | None = OWN
) -> OutgoingMessage:
    """A message to send."""
    return OutgoingMessage(destination or (ANN,), "sms", text, sender, session, None, None, "…0123")


def row(text: Any = "Alarm", at: datetime | None = NOW, **more: Any) -> Message:
    """A message as the PBX lists it."""
    timestamp = None if at is None else at.strftime("%Y-%m-%d %H:%M:%S")
    return Message.from_row({"text": text, "timestamp": timestamp, "direction": "term", "type": "sms", **more})


class Listing:
    """A PBX's lists, without a PBX: what the simulator cannot be made to say."""

    def __init__(self, **sessions: list[Message]) -> None:
        self.messages = sessions
        self.sessions: list[MessageSession] = []
        self.knows_start = True
        self.knows_zone = True
        self.calls = 0

    def knows_zone_of(self, session: str) -> bool:
        return self.knows_zone or bool(self.sessions)

    async def get_messages(self, session: str, *, limit: int, start: int = 0, user: str | None = None) -> list[Message]:
        self.calls += 1
        if session not in self.messages:
            raise NetsapiensRequestError(404, "Record not found")
        return self.messages[session][start if self.knows_start else 0 :][:limit]

    async def get_messagesessions(self, *, limit: int, start: int = 0, user: str | None = None) -> list[MessageSession]:
        return self.sessions[start if self.knows_start else 0 :][:limit]


def lookup(listing: Listing, country: str | None = "US") -> Reconciler:
    """What counts in it."""
    load_metadata()
    hass: Any = SimpleNamespace(config=SimpleNamespace(country=country), data={})
    return Reconciler(hass, listing, Throttle(), lambda: ACCOUNT)  # type: ignore[arg-type]


def session(
    session_id: str, remote: Any = ANN, sms_number: Any = OWN, last: datetime | None = NOW, among: str | None = None
) -> MessageSession:
    """A conversation as the PBX lists it."""
    return MessageSession.from_row(
        {
            "messagesession-id": session_id,
            "messagesession-remote": remote,
            "messagesession-sms-number": sms_number,
            "messagesession-last-datetime": last and last.isoformat(),
            "messagesession-participants": among,
        }
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], 0),
        ([row()], 1),
        ([row(), row(at=NOW + timedelta(seconds=3))], 2),
        ([row(at=NOW - timedelta(seconds=1))], 0),
        ([row("Alarm ")], 1),
        ([row("Alarm!")], 0),
        ([row(direction="orig")], 0),
        ([row(**{"direction": "", "from-user-id": "1001@acme.example"})], 1),
        ([row(**{"direction": "", "from-user-id": "1002@acme.example", "from-number": ANN})], 0),
        ([row(**{"direction": "", "from-number": OWN})], 1),
        ([row(**{"direction": "", "from-number": ANN})], 0),
        ([row(**{"media-type": "image/png"})], 0),
        ([row(**{"media-type": "text/plain"})], 1),
        ([row(**{"media-type": 0})], 1),
        ([row("Other", at=None)], 0),
    ],
)
async def test_count(rows: list[Message], expected: int) -> None:
    """Only rows that are surely this message, sent since then, count."""
    assert await lookup(Listing(**{"h" * 32: rows})).count(outgoing(), Baseline(NOW, 0)) == expected


def picture(name: str = "Alarm", session: str = "h" * 32, *destination: str) -> OutgoingMessage:
    """A picture to send."""
    message = outgoing(name, session, *destination)
    return replace(message, message_type="mms", media=Media(b"\0", "image/png", 1))


@pytest.mark.parametrize("text", ["Alarm", "", "Picture", "0012"])
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"type": "mms"}, 1),
        ({"type": "MMS"}, 1),
        ({"type": "chat-media"}, 1),
        ({"type": "sms-media"}, 1),
        ({"media-type": "image/png"}, 1),
        ({"file-access-url ": "https://pbx.example/1"}, 1),
        ({}, 0),
        ({"type": "mms", "direction": "orig"}, 0),
    ],
)
async def test_media_of_which_little_is_said(text: str, more: dict[str, Any], expected: int) -> None:
    """Nor does its text count: a PBX may lose what stands beside media."""
    listing = Listing(**{"h" * 32: [row(text, **more)]})
    assert await lookup(listing).count(picture(), Baseline(NOW, 0)) == expected


async def test_pictures_are_counted_whatever_they_are_called() -> None:
    """A PBX may give a picture any name or none; words beside it are no picture."""
    rows = [row("", at=NOW + timedelta(seconds=number), type="mms") for number in range(3)]
    listing = Listing(**{"h" * 32: [*rows, row("Look"), row("")]})
    assert await lookup(listing).count(picture("Door"), Baseline(NOW, 2)) == 3


async def test_a_text_that_is_listed_as_an_mms_is_no_picture() -> None:
    """Many a PBX makes one of what goes to a group."""
    listing = Listing(**{"h" * 32: [row("Look", type="mms")]})
    assert await lookup(listing).count(picture("Door"), Baseline(NOW, 0, frozenset({"Look"}))) == 0
    assert await lookup(listing).count(outgoing("Look"), Baseline(NOW, 0)) == 1
    listing = Listing(**{"h" * 32: [row("Look", type="mms", **{"media-type": "image/png"})]})
    assert await lookup(listing).count(picture("Door"), Baseline(NOW, 0, frozenset({"Look"}))) == 1
    listing = Listing(**{"h" * 32: [row("Door", type="mms")]})
    assert await lookup(listing).count(picture("Door"), Baseline(NOW, 0, frozenset({"Door"}))) == 1


@pytest.mark.parametrize(("hours", "tells"), [(-5, False), (-14, False), (-16, True)])
async def test_equal_in_an_unknown_zone_tells_nothing(hours: int, tells: bool) -> None:
    """It may be the message, which is not sent again as long as that is not known."""
    listing = Listing(**{"h" * 32: [row(at=NOW + timedelta(hours=hours))]})
    listing.knows_zone = False
    if tells:
        assert await lookup(listing).count(outgoing(), Baseline(NOW, 0)) == 0
        return
    with pytest.raises(NetsapiensServerError, match="zone"):
        await lookup(listing).count(outgoing(), Baseline(NOW, 0))


async def test_equal_without_a_time_tells_nothing() -> None:
    """An equal row of which nobody knows when it was sent decides nothing."""
    with pytest.raises(NetsapiensServerError):
        await lookup(Listing(**{"h" * 32: [row(at=None)]})).count(outgoing(), Baseline(NOW, 0))


@pytest.mark.parametrize(
    ("other", "message", "counts"),
    [
        (session("own"), outgoing(), True),
        (session("own", remote=int(ANN), sms_number=int(OWN)), outgoing(), True),
        (session("own", remote=ANN[1:], sms_number=OWN[1:]), outgoing(), True),
        (session("own", remote="18585550124"), outgoing(), False),
        (session("own", sms_number="18585550198"), outgoing(), False),
        (session("own", last=NOW - timedelta(seconds=1)), outgoing(), False),
        (session("own", last=None), outgoing(), True),
        (session("own", remote=f"{ANN},18585550124"), outgoing(), False),
        (session("own", remote=f"18585550124, {ANN}"), outgoing("Alarm", "h" * 32, ANN, "18585550124"), True),
        (session("own", sms_number=None), outgoing(), True),
        (session("own", remote=f"{ANN},{OWN}", sms_number=None), outgoing(), True),
        (session("own", remote=f"{ANN},18585550124,{OWN}"), outgoing("Alarm", "h" * 32, ANN, "18585550124"), True),
        (session("own", remote=[int(ANN), "18585550124"]), outgoing("Alarm", "h" * 32, ANN, "18585550124"), True),
        (session("own", remote="", among=f"{OWN},{ANN}"), outgoing(), True),
        (session("own", remote="", among=f"{OWN},18585550124"), outgoing(), False),
        (session("own", remote="", among=""), outgoing(), False),
        (
            session("own", remote="", sms_number="", among="1001@acme.example,1002@acme.example"),
            outgoing("Alarm", "h" * 32, "1002", sender=None),
            True,
        ),
        (
            session("own", remote="1002@acme.example", sms_number=""),
            outgoing("Alarm", "h" * 32, "1002", sender=None),
            True,
        ),
        (
            session("own", remote="1003@acme.example", sms_number=""),
            outgoing("Alarm", "h" * 32, "1002", sender=None),
            False,
        ),
    ],
)
async def test_other_conversations(other: MessageSession, message: OutgoingMessage, counts: bool) -> None:
    """A message that the PBX filed elsewhere counts where it can be the same one."""
    listing = Listing(own=[row()])
    listing.sessions = [other]
    assert await lookup(listing).count(message, Baseline(NOW, 0)) == int(counts)


@pytest.mark.parametrize(
    ("country", "listed", "digits"),
    [
        ("US", "8585550123", "18585550123"),
        ("GB", "07700900123", "447700900123"),
        ("AU", 412340123, "61412340123"),
        ("SG", "91230123", "6591230123"),
    ],
)
async def test_other_conversations_with_numbers_as_the_country_writes_them(
    country: str, listed: str | int, digits: str
) -> None:
    """They are counted, whichever of the PBX's lists has the country code; so are texts without a direction."""
    listing = Listing(own=[row(**{"direction": "", "from-number": listed})])
    listing.sessions = [session("own", remote=listed, sms_number=listed)]
    message = outgoing("Alarm", "h" * 32, digits, sender=digits)
    assert await lookup(listing, country).count(message, Baseline(NOW, 0)) == 1
    stranger = outgoing("Alarm", "h" * 32, f"{digits[:-5]}{9 - int(digits[-5])}{digits[-4:]}", sender=digits)
    assert await lookup(listing, country).count(stranger, Baseline(NOW, 0)) == 0


async def test_known_ones_are_not_counted_twice_in_the_own_conversation() -> None:
    """The baseline and the count look at the same places."""
    listing = Listing(**{"h" * 32: [row(), row()], "own": [row()]})
    listing.sessions = [session("own")]
    assert await lookup(listing).count(outgoing(), Baseline(NOW, 2)) == 3
    assert (await lookup(listing).baseline(outgoing(), NOW)).known == 3
    assert await lookup(listing).count(outgoing(), Baseline(NOW, 1)) == 2  # enough to know; no further request


@pytest.mark.parametrize("knows_zone", [True, False])
async def test_the_list_of_conversations_is_not_needed_for_what_is_found(knows_zone: bool) -> None:
    """What stands in its own conversation is found without the other list."""

    class Refusing(Listing):
        async def get_messagesessions(
            self, *, limit: int, start: int = 0, user: str | None = None
        ) -> list[MessageSession]:
            raise NetsapiensRequestError(403, "No")

    listing = Refusing(**{"h" * 32: [row()]})
    listing.knows_zone = knows_zone
    assert await lookup(listing).count(outgoing(), Baseline(NOW, 0)) == 1
    with pytest.raises(NetsapiensRequestError):
        await lookup(listing).count(outgoing(), Baseline(NOW, 1))


async def test_no_route_and_refusals_say_nothing() -> None:
    """A list that is refused does not say that the message is not there."""

    class Old(Listing):
        async def get_messages(
            self, session: str, *, limit: int, start: int = 0, user: str | None = None
        ) -> list[Message]:
            raise NetsapiensRequestError(404, "No Route Found [92]", unknown_route=True)

    with pytest.raises(NetsapiensRequestError):
        await lookup(Old()).count(outgoing(), Baseline(NOW, 0))


def long_list(order: Callable[[list[Message]], list[Message]]) -> list[Message]:
    """2,500 messages, ours the newest."""
    return order([row(f"Text {number}", NOW + timedelta(seconds=number - 2500)) for number in range(2499)] + [row()])


async def test_a_cut_list_is_read_on_until_it_is_whole() -> None:
    """A long list in either order is read as far as it matters."""
    newest_first = Listing(**{"h" * 32: long_list(lambda rows: rows[::-1])})
    assert await lookup(newest_first).count(outgoing(), Baseline(NOW, 0)) == 1
    assert newest_first.calls == 1
    oldest_first = Listing(**{"h" * 32: long_list(lambda rows: rows)})
    assert await lookup(oldest_first).count(outgoing(), Baseline(NOW, 0)) == 1
    oldest_first.knows_start = False
    with pytest.raises(NetsapiensServerError):
        await lookup(oldest_first).count(outgoing(), Baseline(NOW, 0))


async def test_what_a_short_page_shows_once_more_counts_once() -> None:
    """A PBX that does not know `start` gives it again, with links and conversations that have changed meanwhile."""

    class Changing(Listing):
        async def get_messages(
            self, session: str, *, limit: int, start: int = 0, user: str | None = None
        ) -> list[Message]:
            found = await super().get_messages(session, limit=limit)
            return [replace(one, media_url=f"https://pbx.example/{self.calls}") for one in found]

        async def get_messagesessions(
            self, *, limit: int, start: int = 0, user: str | None = None
        ) -> list[MessageSession]:
            return [session("x" * 32, last=NOW + timedelta(seconds=start))]

    listing = Changing(**{"h" * 32: [row(type="mms")], "x" * 32: [row(type="mms")]})
    assert await lookup(listing).count(picture(), Baseline(NOW, 9)) == 2


async def test_a_list_without_end_tells_nothing() -> None:
    """And not for ever."""
    endless = Listing(**{"h" * 32: [row(f"Text {number}") for number in range(20_000)]})
    with pytest.raises(NetsapiensServerError):
        await lookup(endless).count(outgoing(), Baseline(NOW - timedelta(days=1), 0))


# --- what is known already ---------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A monotonic clock to set."""
    now = [1000.0]
    monkeypatch.setattr("custom_components.netsapiens.delivery.reconcile.time.monotonic", lambda: now[0])
    return now


def baseline(history: RecentSends, message: OutgoingMessage, clock: list[float]) -> tuple[float, int, bool]:
    """The baseline, its time as seconds before now."""
    asked = fingerprint_of(message)
    found, certain = history.baseline(asked, NOW + timedelta(seconds=clock[0])), history.is_certain(asked)
    return (NOW + timedelta(seconds=clock[0]) - found.since).total_seconds(), found.known, certain


def remember(history: RecentSends, message: OutgoingMessage, clock: list[float], *, accepted: bool = True) -> None:
    """Send a message, and note its end a second later."""
    found = history.baseline(fingerprint_of(message), NOW + timedelta(seconds=clock[0]))
    clock[0] += 1
    history.remember(fingerprint_of(message), found, accepted=accepted)


@pytest.fixture
def history(clock: list[float]) -> RecentSends:
    """The history of a process that runs for a while."""
    history = RecentSends(SLACK)
    clock[0] += 100
    return history


def test_history_counts_duplicates_that_may_be_in_sight(history: RecentSends, clock: list[float]) -> None:
    """What was sent lately and may still be listed is no new message."""
    assert baseline(history, outgoing(), clock) == (2, 0, True)
    remember(history, outgoing(), clock)
    assert baseline(history, outgoing(), clock) == (3, 1, True)
    clock[0] += 3
    remember(history, outgoing(), clock)
    assert baseline(history, outgoing(), clock) == (7, 2, True)  # the first may be seen beside the second
    clock[0] += 11
    assert baseline(history, outgoing(), clock) == (2, 0, True)  # a gap in which none was sent


def test_history_goes_on_from_what_was_known_before_a_restart(history: RecentSends, clock: list[float]) -> None:
    """The duplicates before a message that was taken up again are known to its baseline alone."""
    history.remember(fingerprint_of(outgoing()), Baseline(NOW, 3), accepted=True)
    assert history.baseline(fingerprint_of(outgoing()), NOW + timedelta(seconds=60)) == Baseline(NOW, 4)
    assert history.is_certain(fingerprint_of(outgoing()))


def test_history_never_goes_back_before_the_process(clock: list[float]) -> None:
    """What is older than the process cannot be its own."""
    history = RecentSends(SLACK)
    clock[0] += 1
    assert baseline(history, outgoing(), clock) == (1, 0, True)


def test_history_keeps_others_apart(history: RecentSends, clock: list[float]) -> None:
    """Other words, people or conversations are no duplicates."""
    remember(history, outgoing("Other"), clock)
    remember(history, outgoing("Alarm", "x" * 32, "18585550124"), clock)
    assert baseline(history, outgoing(), clock) == (2, 0, True)
    remember(history, outgoing("Alarm", "x" * 32), clock)  # same people, another conversation
    assert baseline(history, outgoing(), clock)[1:] == (2, True)
    remember(history, outgoing("Alarm", "h" * 32, "18585550125"), clock)  # same conversation, other people
    assert baseline(history, outgoing(), clock)[1] == 1


def test_history_says_when_it_does_not_know(history: RecentSends, clock: list[float]) -> None:
    """After one that may have arrived only the PBX's lists can say."""
    remember(history, outgoing(), clock, accepted=False)
    assert baseline(history, outgoing(), clock) == (3, 0, False)
    clock[0] += 11
    assert baseline(history, outgoing(), clock) == (2, 0, True)


def test_history_forgets(history: RecentSends, clock: list[float]) -> None:
    """It does not grow for ever."""
    remember(history, outgoing(), clock)
    clock[0] += 11
    remember(history, outgoing("Other"), clock)
    assert len(history._past) == len(history._duplicates) == 1


def test_history_forgets_duplicates_one_by_one(history: RecentSends, clock: list[float]) -> None:
    """Of several equal ones only those go that are old."""
    for _ in range(3):
        remember(history, outgoing(), clock)
        clock[0] += 6
    remember(history, outgoing("Other"), clock)
    assert [len(equals) for equals in history._duplicates.values()] == [1, 1]
    assert baseline(history, outgoing(), clock)[1] == 3  # counted on from the ones before


def test_history_counts_every_picture(history: RecentSends, clock: list[float]) -> None:
    """Pictures to one person cannot be told apart, so each counts."""
    remember(history, picture("Door"), clock)
    remember(history, picture("Map"), clock)
    assert baseline(history, picture("Door"), clock)[1:] == (2, True)
    assert baseline(history, outgoing("Door"), clock)[1:] == (0, True)
    assert baseline(history, picture("Door", "x" * 32, "18585550124"), clock)[1:] == (0, True)
    remember(history, picture("Door"), clock, accepted=False)
    assert baseline(history, picture("Map"), clock)[1:] == (2, False)


def test_history_knows_the_texts_beside_pictures(history: RecentSends, clock: list[float]) -> None:
    """Texts that a PBX lists as media are not counted as pictures."""

    def texts(message: OutgoingMessage) -> set[str]:
        return set(history.baseline(fingerprint_of(message), NOW).texts)

    remember(history, outgoing("null"), clock)
    remember(history, outgoing("Look"), clock)
    remember(history, outgoing("Elsewhere", "x" * 32, "18585550124"), clock)
    assert texts(picture()) == {"Look"}
    assert texts(outgoing("Look")) == set()
    clock[0] += 8
    remember(history, picture(), clock)
    clock[0] += 4
    assert texts(picture()) == {"Look"}, "as far back as is counted"
    clock[0] += 11
    assert texts(picture()) == set()


# --- equal texts ---------------------------------------------------------------------


def test_texts_that_begin_alike_are_counted_alike(history: RecentSends, clock: list[float]) -> None:
    """The PBX may list either of them cut off, so the one that went out before is none that was looked for."""
    first, second = (outgoing("x" * 150 + end) for end in ("", "second"))
    assert fingerprint_of(first).likeness == fingerprint_of(second).likeness
    remember(history, first, clock)
    assert history.baseline(fingerprint_of(second), NOW).known == 1
