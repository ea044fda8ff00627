"""When the time of messages is up."""

import asyncio
import time

from custom_components.netsapiens.delivery.deadline import Deadline
from custom_components.netsapiens.delivery.entry import QueueEntry
from custom_components.netsapiens.delivery.expiry import Expiry
from custom_components.netsapiens.delivery.state import Delivery
from tests.delivery.test_backlog import bulk

MONTH = 30 * 86400.0  # seconds; by our clock all that time is left
SOON = 0.05  # seconds


async def test_a_deadline_is_corrected_before_its_message_is_in_the_queue() -> None:
    """Of a long backlog, the first ones learn the PBX's time while the others still come."""
    loop = asyncio.get_running_loop()
    expired: list[QueueEntry] = []
    expiry = Expiry(loop, expired.append)
    pbx = time.time() - 1000.0
    entries = [QueueEntry(bulk(number, "18585550199"), loop.time() + MONTH, number, Delivery()) for number in range(3)]
    for entry, left in zip(entries, (SOON, MONTH, -1.0), strict=True):
        expiry.add_unsure(entry, Deadline(time.time() + MONTH, MONTH, until_pbx=pbx + left))
    expiry.add(entries[0])
    expiry.correct(pbx)
    assert not expiry.is_unsure
    for entry in entries[1:]:
        expiry.add(entry)
    await asyncio.sleep(SOON * 2)
    assert set(map(id, expired)) == {id(entries[0]), id(entries[2])}
    expiry.stop()
