"""What the PBX lists and what we know of make one conversation, each message once."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, strategies as st

from custom_components.netsapiens.api import Message, MessageSession
from custom_components.netsapiens.transcript import Listed, Own, Status, merged, shown_from

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
SESSION = MessageSession.from_row({"messagesession-id": "s" * 32, "messagesession-remote": "18585550123"})
WORDS = ("Ok", "Yes", "12")


def listed(text: str, second: float = 0, *, out: bool = True, kind: str = "sms", order: int = 0) -> Listed:
    """A message as the PBX lists it."""
    row = Message.from_row({"id": f"{text}{second}{order}", "text": text, "type": kind})
    return Listed(f"l{text}{second}{order}", NOON + timedelta(seconds=second), order, row, SESSION, out)


def own(text: str, second: float = 0, status: Status = Status.SENT, **details: Any) -> Own:
    """A message as we know of it; one that may be listed since half a minute before."""
    at = NOON + timedelta(seconds=second)
    since = None if status is Status.SENDING else at - timedelta(seconds=30)
    return Own(f"o{text}{second}{status}", at, status, text, **{"listed_since": since, **details})


def texts(shown: list[Listed | Own]) -> list[str]:
    """What the messages say."""
    return [one.row.text if isinstance(one, Listed) else one.text for one in shown]


def test_what_went_out_shows_at_once_and_once() -> None:
    """A message that the PBX took stands in the conversation until its list has it, and then once."""
    assert texts(merged([listed("Hi", out=False)], [own("Ok", 5)])) == ["Hi", "Ok"]
    assert merged([listed("Hi", out=False), listed("Ok", 4)], [own("Ok", 5)])[1:] == [listed("Ok", 4)]


def test_equal_words_before_it_are_other_messages() -> None:
    """What was said before, or by them, is not taken for what we say now."""
    before = [listed("Ok", -60), listed("Ok", 1, out=False)]
    assert texts(merged(before, [own("Ok", 5)])) == ["Ok", "Ok", "Ok"]


def test_one_that_is_listed_in_the_second_of_its_attempt_is_that_one() -> None:
    """The PBX lists times in seconds: the first moment from which it may list a text counts."""
    assert merged([listed("Ok", 4)], [own("Ok", 5, listed_since=NOON + timedelta(seconds=4))]) == [listed("Ok", 4)]


def test_what_waits_stands_last() -> None:
    """A message that waits stands below what came in meanwhile, whatever its time."""
    shown = merged([listed("Later", 60, out=False)], [own("Ok", 5, Status.WAITING, listed_since=None)])
    assert texts(shown) == ["Later", "Ok"]


def test_one_that_may_have_arrived_is_not_shown_beside_itself() -> None:
    """The PBX lists a text whose answer was lost: the text that waits to be cleared up is that one."""
    assert merged([listed("Ok", 4)], [own("Ok", 5, Status.WAITING)]) == [listed("Ok", 4)]


def test_a_refused_text_stays_although_its_words_are_listed() -> None:
    """What surely did not get out is shown as failed, whatever else says the same."""
    assert len(merged([listed("Ok", 4)], [own("Ok", 5, Status.FAILED, listed_since=None)])) == 2


def test_what_went_out_before_all_that_is_listed() -> None:
    """Where the PBX has older messages than these, one that went out before them is among those; what failed is not."""
    row, sent, failed = listed("Hi", 60, out=False), own("Ok", 5), own("Yes", 5, Status.FAILED, listed_since=None)
    assert texts(merged([row], [sent, failed])) == ["Ok", "Yes", "Hi"]
    assert texts(merged([row], [sent, failed], has_older=True)) == ["Yes", "Hi"]
    assert texts(shown_from(merged([row], [sent, failed]), row)) == ["Yes", "Hi"]


def test_a_picture_is_taken_for_a_picture_only() -> None:
    """Some PBXs list a picture without the words that went with it."""
    sent = own("Door", 5, media_type="image/jpeg")
    assert merged([listed("", 4, kind="mms")], [sent]) == [listed("", 4, kind="mms")]
    assert len(merged([listed("Door", 4)], [sent])) == 2


def test_words_that_went_ahead_of_their_picture_are_shown_once() -> None:
    """Words go out first, while the picture that was sent with them is still being made."""
    sending = own("Look", 0, Status.SENDING, media_type="image/jpeg")
    assert texts(merged([], [sending])) == ["Look"]
    assert texts(merged([], [own("Look", 1), sending])) == ["Look", ""]
    assert texts(merged([], [own("Look", 1), own("Look", 0, Status.SENDING)])) == ["Look"]


@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 50), st.booleans(), st.booleans()), max_size=12),
    st.lists(st.tuples(st.sampled_from(WORDS), st.integers(-600, -200)), max_size=6),
)
def test_each_message_once_in_order(sends: list[tuple[str, int, bool, bool]], history: list[tuple[str, int]]) -> None:
    """However many say the same: those sent and those listed make as many messages as there are."""
    sends.sort(key=lambda one: one[1])
    rows = [listed(text, second, order=number) for number, (text, second) in enumerate(history)]
    known, expected = [], len(history)
    for number, (text, second, is_listed, is_ours) in enumerate(sends):
        if is_listed:
            rows.append(listed(text, second, order=100 + number))
        if is_ours:
            known.append(own(text, second + 1))
        expected += is_listed or is_ours
    rows.sort(key=lambda one: (one.at, one.order))
    shown = merged(rows, known)
    assert [one for one in shown if isinstance(one, Listed)] == rows
    assert [one.at for one in shown] == sorted(one.at for one in shown)
    assert len({one.key for one in shown}) == len(shown) or len({one.key for one in known}) < len(known)
    # A message that was sent from another phone may be taken for a later one of ours; no listed one is lost by that.
    others = sum(is_listed and not is_ours for _, _, is_listed, is_ours in sends)
    assert expected - others <= len(shown) <= expected
