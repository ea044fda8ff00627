"""The benchmark: what a message costs; texts through faults, restarts and kills; what comes in; what it takes to start;
how cost grows; what the operator of a PBX sees.

One module a part; each part prints a Markdown table and says whether its bar was reached.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
import contextlib
from pathlib import Path
import signal
import sys

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the house and the PBX are the tests'

import bench_faults
import bench_growth
import bench_inbox
import bench_media
import bench_operator
import bench_picture
import bench_setup
import bench_speed
import bench_spool

from tests.real_home import RealHomeError

TEXTS_A_RESTART = 50

type Part = Callable[[], Awaitable[bool]]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="The benchmark; without options, what a message costs."
    )
    parser.add_argument(
        "--faults",
        type=int,
        metavar="N",
        default=0,
        help="send N texts through faults",
    )
    parser.add_argument(
        "--pictures", action="store_true", help="with --faults: a fifth of the messages carry a picture"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of everything that is random (default 1)")
    parser.add_argument(
        "--restarts", type=int, metavar="R", help="of Home Assistant, half of them SIGKILL (default: one in 50 texts)"
    )
    parser.add_argument(
        "--inbox", action="store_true", help="what comes in: by polls, live and pushes, a flood through kills"
    )
    parser.add_argument(
        "--media", action="store_true", help="a photo of 12 megapixels made to fit an MMS, and a picture out and in"
    )
    parser.add_argument("--spool", action="store_true", help="60 and 200 pictures that wait: bytes written, and memory")
    parser.add_argument("--growth", action="store_true", help="4,000 recipients, 50 accounts, 10,000 waiting texts")
    parser.add_argument(
        "--setup", action="store_true", help="importing it and setting up an account, beside core's ntfy"
    )
    parser.add_argument("--operator", action="store_true", help="what a home costs a PBX, and 10,000 after an outage")
    parser.add_argument(
        "--minutes",
        type=float,
        default=bench_operator.MINUTES,
        metavar="M",
        help="with --operator: how long the idle stretch is; 0: only the outage (default 10)",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep Home Assistant's config dir with its log there, and a record"
    )
    options = parser.parse_args()
    if options.restarts is None:
        options.restarts = max(1, options.faults // TEXTS_A_RESTART)
    return options


def parts_of(options: argparse.Namespace) -> list[Part]:
    """Return what was asked for, in its order."""
    parts: list[Part] = []
    if options.faults:
        plan = bench_faults.Plan(options.faults, options.seed, options.restarts, options.keep, options.pictures)
        parts.append(lambda: bench_faults.run(plan))
    if options.inbox:
        parts.append(lambda: bench_inbox.measure(options.seed))
    if options.media:
        parts.append(measure_media)
        parts.append(bench_picture.run)
    if options.spool:
        parts.append(bench_spool.run)
    if options.setup:
        parts.append(bench_setup.run)
    if options.growth:
        parts.append(bench_growth.run)
    if options.operator:
        parts.append(lambda: bench_operator.run(options.minutes))
    return parts or [bench_speed.run]


async def measure_media() -> bool:
    """Run the part that has an event loop of its own."""
    return await asyncio.to_thread(bench_media.run) == 0


async def run(parts: list[Part]) -> int:
    """Run the parts one after the other and return the exit status."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
    reached = [await part() for part in parts]
    return 0 if all(reached) else 1


def main() -> int:
    """Run the benchmark."""
    options = parse()
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        try:
            return asyncio.run(run(parts_of(options)))
        except RealHomeError as err:
            print(err, file=sys.stderr)
            return 1
    return 130


if __name__ == "__main__":
    sys.exit(main())
