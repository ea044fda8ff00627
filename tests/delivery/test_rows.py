"""What is kept of a message on disk."""

from datetime import UTC, datetime
import json

from custom_components.netsapiens.delivery.deadline import Deadline
from custom_components.netsapiens.delivery.reconcile import Baseline
from custom_components.netsapiens.delivery.rows import KeptMessage, kept_of, row_of
from custom_components.netsapiens.delivery.spool_files import SpooledMessage
from custom_components.netsapiens.outgoing import Media, OutgoingMessage

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def kept(baseline: Baseline) -> KeptMessage:
    """A picture to a group, of which it is not known whether the PBX took it."""
    media = Media(None, "image/jpeg", 3)
    numbers = ("18585550123", "18585550124")
    message = OutgoingMessage(numbers, "mms", "Door", "18585550100", "h" + "0" * 39, media, None, "…0123, …0124")
    return KeptMessage(message, 7, Deadline(1.0, 2.0), baseline)


def test_the_words_beside_a_picture_are_no_picture_after_a_restart() -> None:
    """A PBX lists a group's words as media too: by them a lost picture would count as sent."""
    baseline = Baseline(NOON, 1, frozenset({"Look at that", "Who is it?"}))
    row = json.loads(json.dumps(row_of(kept(baseline))))
    assert kept_of(SpooledMessage("1", row, 3), lambda _: None).baseline == baseline


def test_a_row_of_an_earlier_release_is_read() -> None:
    """It has no such words."""
    row = json.loads(json.dumps(row_of(kept(Baseline(NOON, 1)))))
    del row["texts"]
    assert kept_of(SpooledMessage("1", row, 3), lambda _: None).baseline == Baseline(NOON, 1)
