"""The ids of media, and whose is fetched next."""

from datetime import UTC, datetime
from typing import Any

from homeassistant.components.media_source import is_media_source_id
from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.api import Message, MessageSession
from custom_components.netsapiens.receiving.pictures_id import MediaId, media_id_of
from custom_components.netsapiens.receiving.pictures_index import FetchJob, Origin
from custom_components.netsapiens.receiving.pictures_link import _match
from custom_components.netsapiens.receiving.pictures_queue import FetchQueue

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(WORDS, WORDS, st.integers(0, 2**40 - 1), WORDS | st.just(""), st.none() | WORDS)
def test_an_id_means_what_it_was_made_of(entry: str, session: str, at: int, message: str, owner: str | None) -> None:
    """Whatever the PBX calls its conversations and messages, and Home Assistant takes it as an id."""
    media_id = MediaId(entry, session, at, "" if message == "~" else message, owner)
    assert MediaId.parse(media_id.identifier) == media_id
    assert is_media_source_id(media_id.content_id)
    assert media_id.identifier.count("/") == (3 if owner is None else 4)


@given(st.text(max_size=80))
def test_any_text_is_an_id_or_none(text: str) -> None:
    """What people and dashboards make up raises nothing, and means one thing."""
    media_id = MediaId.parse(text)
    assert media_id is None or MediaId.parse(media_id.identifier) == media_id


@pytest.mark.parametrize("text", ["", "a", "a/b", "a/b/x/d", "a/b/-1/d", "a/b/1/d/e/f", "a//1/d", f"a/b/{10**30}/d"])
def test_what_is_no_id(text: str) -> None:
    """Folders, and what is cut off or too long."""
    assert MediaId.parse(text) is None


@pytest.mark.parametrize(
    ("row", "has"),
    [
        ({"media-type": "image/png", "file-access-url": "https://x/"}, True),
        ({"media-type": "image/png"}, True),
        ({"media-type": "", "file-access-url ": "https://x/"}, True),
        ({"media-type": "", "file-access-url": ""}, False),
        ({"media-type": "text/html", "file-access-url": "https://x/"}, False),
        ({"media-type": "image/svg+xml", "file-access-url": "https://x/"}, False),
    ],
)
def test_which_messages_have_one(row: dict[str, str], has: bool) -> None:
    """A message with media that may be shown, whether there is a link yet or not."""
    message = Message.from_row({"id": 7, "timestamp": "2026-01-02 03:04:05", **row})
    session = MessageSession.from_row({"messagesession-id": "s1"}, "1002")
    media_id = media_id_of("entry", session, message)
    at = int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp())
    assert media_id == (MediaId("entry", "s1", at, "7", "1002") if has else None)


def test_an_endless_id_is_none() -> None:
    """It would stand in every state of an event."""
    row = Message.from_row({"id": "x" * 5000, "timestamp": "2026-01-02 03:04:05", "media-type": "image/png"})
    assert media_id_of("entry", MessageSession.from_row({"messagesession-id": "s1"}), row) is None


def listed(number: int, row_id: str, at: int, *, has_media: bool = True) -> Message:
    """Return a message as the PBX lists it."""
    media = {"media-type": "image/png", "file-access-url": f"https://x/{number}"} if has_media else {}
    time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Message.from_row({"id": row_id, "timestamp": time, **media})


@given(st.lists(st.tuples(st.sampled_from(["", "1", "m-2"]), st.integers(0, 40_000)), unique=True), st.randoms())
def test_each_message_is_found_by_its_id(rows: list[tuple[str, int]], random: Any) -> None:
    """In whatever order they are listed, with ids that are missing or equal."""
    messages = [listed(number, *row) for number, row in enumerate(rows)]
    others = [listed(99, *row, has_media=False) for row in rows]
    shuffled = [*messages, *others]
    random.shuffle(shuffled)
    for (row_id, at), message in zip(rows, messages, strict=True):
        assert _match(shuffled, MediaId("entry", "session", at, row_id)) is message


@pytest.mark.parametrize("hours", [-12, -3.5, 5.75, 14])
def test_a_message_is_found_in_another_zone(hours: float) -> None:
    """The zone of bare times may be learned after the id was made."""
    rows = [listed(0, "", 1_000_000), listed(1, "", 1_000_007)]
    found = _match(rows, MediaId("entry", "session", 1_000_007 + int(hours * 3600), ""))
    assert found is rows[1]


def job(sender: str, number: int) -> FetchJob:
    """Return media of a sender."""
    return FetchJob(MediaId("entry", "session", number, str(number)), Origin(sender))


def test_senders_take_turns() -> None:
    """Of each one at a time: a hundred from one do not hold back the other's."""
    queue = FetchQueue()
    for number in range(5):
        queue.add(job("ann", number))
    queue.add(job("bob", 9))
    first, second = queue.next(), queue.next()
    assert first
    assert second
    assert queue.next() is None
    assert [(one.origin.sender, one.media_id.at) for one in (first, second)] == [("ann", 0), ("bob", 9)]
    queue.done(first)
    third = queue.next()
    assert third is not None
    assert third.media_id.at == 1


@given(st.lists(st.sampled_from("abc"), max_size=250))
def test_the_queue_is_bounded(senders: list[str]) -> None:
    """However many come, a hundred wait at the most, and each of them comes out once, in its sender's order."""
    queue = FetchQueue()
    for number, sender in enumerate(senders):
        queue.add(job(sender, number))
    assert len(queue) == min(len(senders), 100)
    out: list[FetchJob] = []
    while (one := queue.next()) is not None:
        out.append(one)
        queue.done(one)
    assert len(out) == min(len(senders), 100)
    for sender in "abc":
        numbers = [one.media_id.at for one in out if one.origin.sender == sender]
        assert numbers == sorted(numbers)
        assert numbers == [at for at, name in enumerate(senders) if name == sender][-len(numbers) or len(senders) :]


def test_who_sent_the_most_makes_room() -> None:
    """A flood of one sender's pushes its own oldest ones out of the queue, and nobody else's."""
    queue = FetchQueue()
    queue.add(job("bob", 0))
    for number in range(150):
        queue.add(job("ann", number))
    assert len(queue) == 100
    bobs, anns = queue.next(), queue.next()
    assert bobs is not None
    assert anns is not None
    assert (bobs.origin.sender, anns.origin.sender, anns.media_id.at) == ("bob", "ann", 51)
