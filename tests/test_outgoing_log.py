"""What is kept of an account's own messages for the cards has limits."""

from copy import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.netsapiens.address_book import Addressee
from custom_components.netsapiens.delivery.results import FailedMessage
from custom_components.netsapiens.outgoing import Media, OutgoingMessage
from custom_components.netsapiens.outgoing_log import Logged, OutgoingLog
from custom_components.netsapiens.request import SendRequest
from custom_components.netsapiens.transcript import Own, Status

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
NUMBER = "18585550123"
ANN = Addressee("ann", frozenset({frozenset({NUMBER})}))


def message(text: str, media: Media | None = None) -> OutgoingMessage:
    """A text to Ann's number, by whoever knows no recipient."""
    return OutgoingMessage((NUMBER,), "sms", text, None, "s" * 32, media, None, "…0123")


def failed(text: str, media: Media | None = None, reason: str = "expired") -> FailedMessage:
    """One that did not get out."""
    return FailedMessage(message(text, media), reason, "It expired.", NOON)


@pytest.fixture
def log() -> OutgoingLog:
    """An empty log."""
    return OutgoingLog()


def test_the_latest_are_kept(log: OutgoingLog) -> None:
    """Months of texts must not fill the memory: 200 that went out, and 100 that failed."""
    for number in range(250):
        log.async_sent(message(f"Sent {number}"), NOON + timedelta(seconds=number))
        log.async_failed(failed(f"Failed {number}"), NOON + timedelta(seconds=number))
    kept = [one.text for one in log.to(ANN)]
    assert [text for text in kept if text.startswith("Sent")] == [f"Sent {number}" for number in range(50, 250)]
    assert [text for text in kept if text.startswith("Failed")] == [f"Failed {number}" for number in range(150, 250)]


def test_the_pictures_of_a_few_are_kept(log: OutgoingLog) -> None:
    """Of those that failed, ten can be tried again with their picture; older ones say that they failed."""
    for number in range(12):
        log.async_failed(failed(f"Picture {number}", Media(b"x", "image/jpeg", 1)), NOON + timedelta(seconds=number))
    shown = log.to(ANN)
    assert [one.can_retry for one in shown] == [False, False, *[True] * 10]
    logged = log.failed(shown[-1].key, ANN)
    assert logged is not None
    assert logged.request == SendRequest(message="Picture 11", data="eA==", mime_type="image/jpeg")


def test_a_picture_alone_is_tried_again_without_words(log: OutgoingLog) -> None:
    """What it is called stood in for them: else that would go out as a text of its own."""
    named = replace(message("porch", Media(b"x", "image/jpeg", 1)), is_named=True)
    log.async_failed(FailedMessage(named, "expired", "It expired.", NOON), NOON)
    (own,) = log.to(ANN)
    assert (own.text, own.media_name) == ("", "porch")
    logged = log.failed(own.key, ANN)
    assert logged is not None
    assert logged.request == SendRequest(data="eA==", mime_type="image/jpeg")


def test_the_latest_names_are_kept(log: OutgoingLog) -> None:
    """200 of them, and one that is used again stays."""
    for number in (*range(200), 0, 200):
        named = replace(message(f"Name {number}", Media(b"x", "image/jpeg", 1)), is_named=True)
        log.async_sent(named, NOON)
    log.async_sent(message("Words", Media(b"x", "image/jpeg", 1)), NOON)
    names = [f"Name {number}" for number in range(201)]
    assert [one for one in (*names, "Words") if not log.is_media_name(one)] == ["Name 1", "Words"]


@pytest.mark.parametrize("reason", ["expired", "unconfirmed"])
def test_one_that_may_have_arrived(log: OutgoingLog, reason: str) -> None:
    """Only an unconfirmed text can be among those that the PBX lists."""
    log.async_failed(failed("Hi", reason=reason), NOON)
    (own,) = log.to(ANN)
    assert (own.listed_since is not None) is (reason == "unconfirmed")


@pytest.mark.parametrize(("recipient_id", "gets"), [("ann", True), ("bob", False), (None, False)])
def test_whom_it_is_for(log: OutgoingLog, recipient_id: str | None, gets: bool) -> None:
    """One that a card sends is known by its recipient alone; nobody else sees, retries or dismisses it."""
    changes: list[Any] = []
    end = log.async_listen(lambda: changes.append(1))
    own = Own("c1", NOON, Status.SENDING, "Hi")
    logged = Logged(own, recipient_id, request=SendRequest(message="Hi"))
    log.async_sending(logged)
    log.async_refused(logged, NOON, HomeAssistantError("no"))
    assert len(changes) == 2
    assert (log.failed("c1", ANN) is not None) is gets
    log.async_dismiss("c1", ANN)
    end()
    assert len(changes) == 2 + gets
    log.async_handed_over("c1")
    assert log.to(ANN) == []


def test_what_was_taken_is_forgotten(log: OutgoingLog) -> None:
    """A message of a card is known for as long as it may be asked for twice: not once it failed, and 200 at most."""
    for number in range(201):
        own = Own(f"c{number}", NOON, Status.SENDING, "Hi")
        log.async_sending(Logged(own, "ann", request=SendRequest(message="Hi")))
        log.async_handed_over(own.key)
    assert [log.is_taken(key) for key in ("c0", "c1", "c200", "c201")] == [False, True, True, False]
    log.async_refused(Logged(Own("c1", NOON, Status.SENDING, "Hi"), "ann"), NOON, HomeAssistantError("no"))
    log.async_forget("c2")
    assert [log.is_taken(key) for key in ("c1", "c2", "c3")] == [False, False, True]


def test_a_listener_that_breaks_keeps_no_text_from_being_sent(log: OutgoingLog) -> None:
    """What a card does of it is none of the sender's business; the next card hears of it."""
    heard: list[str] = []

    def broken() -> None:
        raise RuntimeError

    log.async_listen(broken)
    log.async_listen(lambda: heard.append("changed"))
    log.async_sent(message("Hi"), NOON)
    assert heard == ["changed"]
