"""What pictures cost that wait while the PBX is away: bytes written, and memory, of a Home Assistant of its own."""

import asyncio
from datetime import timedelta
import json
import os
from pathlib import Path
import sys
from typing import Any

from bench_growth import add, resident
from bench_setup import child
from bench_speed import SENDER, account_of, house, server, table, yes

COUNTS, SIZE = (60, 200), 400_000  # 200 are 80 of the 200 MB that may wait
A_CALL = 6
MOST_WRITTEN, MOST_MEMORY = 3.0, 20.0
WARM_UP = 3  # pictures that are sent before anything is measured: what libraries load by that is no cost of waiting


def written() -> int:
    """Return how many bytes this process has had written to disk."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def picture(number: int) -> Any:
    """Return a picture, to one of six people."""
    from custom_components.netsapiens.outgoing import Media, OutgoingMessage  # noqa: PLC0415 - what is loaded counts

    destination, session = f"1212555{number % 6:04}", f"h{number % 6:039}"
    media = Media(os.urandom(SIZE), "image/jpeg", SIZE)
    return OutgoingMessage((destination,), "mms", "Picture", SENDER, session, media, None, destination[-4:])


async def measure(url: str, count: int) -> dict[str, float]:
    """Return how many times their own bytes the pictures wrote, and by how many megabytes memory grew meanwhile."""
    async with house() as hass:
        from custom_components.netsapiens.delivery import timing  # noqa: PLC0415 - what is loaded counts

        hass.data[timing.QUEUE_TIMING] = timing.QueueTiming(answer_within=1.0)
        entry = account_of(url, "first")
        await add(hass, entry)
        account = entry.runtime_data
        for number in range(WARM_UP):
            await account.queue.async_send([picture(number)], timedelta(hours=1))
        idle, began = resident(), written()
        account.coordinator.throttle.breaker.open_for(3600)  # as in a long outage
        for first in range(0, count, A_CALL):
            numbers = range(first, min(first + A_CALL, count))
            await account.queue.async_send([picture(number) for number in numbers], timedelta(hours=1))
        assert account.queue.queued == count
        grown = resident() - idle
        is_empty = asyncio.Event()
        account.queue.async_listen(lambda: is_empty.set() if not account.queue.queued else None)
        account.coordinator.throttle.hurry()
        async with asyncio.timeout(300):
            await is_empty.wait()
        await asyncio.sleep(2)  # until the last one is off the disk
        return {"written": (written() - began) / (count * SIZE), "grown": grown}


async def run() -> bool:
    """Print the table; return whether every bar was reached."""
    with server() as url:
        found = [(await asyncio.to_thread(child, __file__, given=[url, count]))[0] for count in COUNTS]
    rows = [
        ("bytes written, times their own", [one["written"] for one in found], MOST_WRITTEN),
        ("memory while they wait, MB above idle", [one["grown"] for one in found], MOST_MEMORY),
    ]
    table(
        f"Pictures of {SIZE // 1000} kB that wait | {' | '.join(map(str, COUNTS))} | Bar | ",
        (
            [name, *(f"{figure:.2f}" for figure in figures), f"at most {bar}", yes(max(figures) <= bar)]
            for name, figures, bar in rows
        ),
    )
    return all(max(figures) <= bar for _, figures, bar in rows)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(*json.loads(sys.stdin.read())))))
