"""Whose media is fetched next: senders take turns, and what waits stays within bounds."""

from custom_components.netsapiens.receiving.pictures_id import MediaId
from custom_components.netsapiens.receiving.pictures_index import FetchJob, Origin
from custom_components.netsapiens.receiving.pictures_queue import FetchQueue
from custom_components.netsapiens.receiving.pictures_store import MOST_KEPT

ANN, BOB = "18585550123", "18585550124"


def job(sender: str, number: int) -> FetchJob:
    """Media that somebody sent."""
    return FetchJob(MediaId("account", "s" * 32, number, str(number)), Origin(sender))


def test_one_of_each_sender_at_a_time_in_order() -> None:
    """The first of one sender, then the other's, then nothing until one of them is done."""
    queue = FetchQueue()
    for one in (job(ANN, 1), job(ANN, 2), job(BOB, 3)):
        queue.add(one)
    assert [queue.next(), queue.next(), queue.next()] == [job(ANN, 1), job(BOB, 3), None]
    queue.done(job(ANN, 1))
    assert queue.next() == job(ANN, 2)


def test_the_oldest_of_who_sent_the_most_makes_room() -> None:
    """The newest are kept, so the oldest is not fetched; whoever sent a single one loses nothing."""
    queue = FetchQueue()
    queue.add(job(BOB, 0))
    for number in range(1, MOST_KEPT + 3):
        queue.add(job(ANN, number))
    assert len(queue) == MOST_KEPT
    assert queue.next() == job(BOB, 0)
    assert queue.next() == job(ANN, 4)


def test_of_senders_that_were_dropped_nothing_is_left() -> None:
    """More of them than may wait leave one each; the queue is as long as what waits, and ends."""
    queue = FetchQueue()
    for number in range(5000):
        queue.add(job(str(number), number))
    assert len(queue) == MOST_KEPT
    turns = []
    while (turn := queue.next()) is not None:
        turns.append(turn)
        queue.done(turn)
    assert len(turns) == MOST_KEPT
    assert not queue._waiting
