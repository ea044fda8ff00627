"""What it costs to make a photo of 12 megapixels fit an MMS, beside Pillow doing the least that can be done.

The least is: read the JPEG at the smallest size that Pillow can, resize it to what we send, encode it once at the
quality that we send. Both run in turns, each in the executor of a running event loop; medians count. Peak memory is
that of fresh processes.
"""

import argparse
import asyncio
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
import statistics
import subprocess
import sys
import time

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the integration is not installed

from custom_components.netsapiens.media.transcode import KILOBYTE, fit  # noqa: E402

SIZE = (4000, 3000)
LIMIT = 600 * KILOBYTE
ROUNDS = 15
MOST_TIMES, MOST_BLOCKED, MOST_MEMORY = 1.5, 0.020, 120.0
TICK = 0.001


def make_photo() -> bytes:
    """Return a JPEG of 12 megapixels and about 8 MB, upright after a quarter turn, as a phone gives it."""
    coarse = Image.effect_noise((SIZE[0] // 8, SIZE[1] // 8), 120).resize(SIZE, Image.Resampling.BICUBIC)
    fine = Image.effect_noise(SIZE, 60)
    slope = Image.linear_gradient("L").resize(SIZE)
    bands = (Image.blend(coarse, fine, 0.3), Image.blend(slope, fine, 0.25), Image.blend(coarse, slope, 0.5))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = BytesIO()
    Image.merge("RGB", bands).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def floor(content: bytes, size: tuple[int, int], quality: int) -> bytes:
    """Do the same with plain Pillow: one resize, one encode, nothing found out."""
    with Image.open(BytesIO(content)) as image:
        image.draft(None, size)
        resized = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = BytesIO()
    resized.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def quality_of(content: bytes) -> int:
    """Return the quality at which a JPEG was encoded."""
    wanted = Image.open(BytesIO(content)).quantization  # type: ignore[attr-defined]
    for quality in range(100, 0, -1):
        buffer = BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=quality)
        if Image.open(buffer).quantization == wanted:  # type: ignore[attr-defined]
            return quality
    raise ValueError("not one of Pillow's own")


async def timed(work: Callable[[], bytes]) -> tuple[float, float]:
    """Run something in the executor; return how long it took, and the longest that the event loop stood still."""
    loop = asyncio.get_running_loop()
    blocked = 0.0

    async def tick() -> None:
        nonlocal blocked
        while True:
            before = loop.time()
            await asyncio.sleep(TICK)
            blocked = max(blocked, loop.time() - before - TICK)

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    began = time.perf_counter()
    await loop.run_in_executor(None, work)
    took = time.perf_counter() - began
    await asyncio.sleep(0.01)
    ticker.cancel()
    return took, blocked


def peak_above_idle(path: Path, code: str) -> float:
    """Return by how many megabytes a fresh process grows that does something once, its imports and modules loaded."""
    answer = subprocess.run(
        [sys.executable, __file__, "--child", code, str(path)], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return float(answer.stdout)


def child(code: str, path: Path) -> None:
    """Print how much memory one run takes beyond what is there before it reads the photo."""
    Image.init()
    before = memory("VmRSS")
    content = path.read_bytes()
    if code == "fit":
        fit(content, LIMIT)
    else:
        width, height, quality = (int(part) for part in code.split(","))
        floor(content, (width, height), quality)
    print(memory("VmHWM") - before)


def memory(name: str) -> float:
    """Return how many megabytes this process has, or had at most."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024 / 1e6


async def measure(content: bytes, path: Path, rounds: int) -> bool:
    """Print the table, and return whether the bar was reached."""
    fitted = fit(content, LIMIT)
    with Image.open(BytesIO(fitted.content)) as image:
        size = image.size
    lying = (size[1], size[0])  # as it is before it is set upright
    quality = quality_of(fitted.content)
    ours: list[float] = []
    least: list[float] = []
    stood: list[float] = []
    for _ in range(rounds):
        took, blocked = await timed(lambda: fit(content, LIMIT).content)
        ours.append(took)
        stood.append(blocked)
        least.append((await timed(lambda: floor(content, lying, quality)))[0])
    times = statistics.median(one / other for one, other in zip(ours, least, strict=True))
    most = await asyncio.to_thread(peak_above_idle, path, "fit")
    floor_most = await asyncio.to_thread(peak_above_idle, path, f"{lying[0]},{lying[1]},{quality}")
    rows = [
        ("time", f"{statistics.median(ours) * 1000:.0f} ms", f"{statistics.median(least) * 1000:.0f} ms"),
        ("times the floor", f"{times:.2f}", f"at most {MOST_TIMES}"),
        ("peak memory above idle", f"{most:.0f} MB", f"{floor_most:.0f} MB"),
        ("event loop stood still", f"{max(stood) * 1000:.1f} ms", f"at most {MOST_BLOCKED * 1000:.0f} ms"),
    ]
    print(
        f"A photo of {SIZE[0]} x {SIZE[1]} pixels and {len(content) / 1e6:.1f} MB becomes {size[0]} x {size[1]} pixels"
    )
    print(f"and {len(fitted.content) / 1000:.0f} kB at quality {quality}. Medians of {rounds} rounds.\n")
    print("| | netsapiens | plain Pillow, or the bar |")
    print("|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    reached = times <= MOST_TIMES and most < MOST_MEMORY and max(stood) <= MOST_BLOCKED
    bar = f"{MOST_TIMES} times, {MOST_MEMORY:.0f} MB, {MOST_BLOCKED * 1000:.0f} ms"
    print(f"\n{'Reached' if reached else 'MISSED'}: {bar}")
    return reached


def run(args: argparse.Namespace | None = None) -> int:
    """Run the benchmark; `args.rounds` says how often."""
    import tempfile  # noqa: PLC0415 - the child's memory is measured

    rounds: int = getattr(args, "rounds", None) or ROUNDS
    content = make_photo()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(content)
        return 0 if asyncio.run(measure(content, path, rounds)) else 1


def main() -> int:
    """Run it alone."""
    parser = argparse.ArgumentParser(prog="scripts/bench_media.py", description="A photo made to fit an MMS.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"default {ROUNDS}")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child[0], Path(args.child[1]))
        return 0
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
