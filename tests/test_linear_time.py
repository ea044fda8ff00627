"""What comes from elsewhere is read in a time in proportion to its length, however it was crafted.

The processor's time of this thread counts, so that a busy machine changes little: ten times the bytes may take
fifteen times as long, and a little more for what was too fast to be measured.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
import json
import struct
import threading
import time
from typing import Any
import zlib

from PIL import Image
import pytest

from custom_components.netsapiens import phone, phone_metadata
from custom_components.netsapiens.api.answers import _parse, http_date, reason_of, retry_after_of
from custom_components.netsapiens.api.models import Account, Message, MessageSession, SmsNumber, Subscription
from custom_components.netsapiens.api.values import rows
from custom_components.netsapiens.listed_text import text_key
from custom_components.netsapiens.media.metadata import strip
from custom_components.netsapiens.media.transcode import TooLargeMediaError, UnreadableMediaError, fit
from custom_components.netsapiens.transcript import Listed, Own, Status, merged

LIMIT = 600_000
FULL = 600_000  # bytes of a picture that reaches a home easily
LARGE = 6_000_000  # of one for which somebody has to be trusted
GROWTH, SLACK = 15, 0.05  # times; seconds
MOST = 3.0  # seconds, on a slow and busy machine
MOST_WAITING = 1.0  # seconds that another request may wait


def seconds(work: Callable[[], Any]) -> float:
    """The time that a thread needs for something, the least of two."""
    took = []
    for _ in range(2):
        before = time.thread_time()
        work()
        took.append(time.thread_time() - before)
    return min(took)


def assert_linear(work: Callable[[Any], Any], make: Callable[[int], Any], size: int) -> None:
    """Ten times as much takes about ten times as long at most."""
    small, large = make(size // 10), make(size)
    short = seconds(lambda: work(small))
    long = seconds(lambda: work(large))
    assert long <= GROWTH * short + SLACK, f"{short:.3f} s became {long:.3f} s"
    assert long < MOST


def test_a_square_is_seen() -> None:
    """The check of these tests finds what it is to find."""
    with pytest.raises(AssertionError, match="became"):
        assert_linear(lambda size: sum(range(size * size // 100)), int, 50_000)


# --- pictures -------------------------------------------------------------------------


def saved(mode: str, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.new(mode, (64, 64)).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff(size: int) -> bytes:
    """A directory whose values lie on top of each other, each as long as half of it."""
    count = min(size // 24, 65_535)
    values = b"".join(struct.pack("<HHII", number, 7, size // 2, 8) for number in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + values + bytes(size - 10 - len(values))


def bmp(size: int) -> bytes:
    """A BMP of runs of one pixel each."""
    header = struct.pack("<IiiHHIIiiII", 40, 6000, 6000, 1, 8, 1, size, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + size, 0, 0, 1078) + header + bytes(1024) + b"\x01\x07" * (size // 2)


def bmp_line(width: int) -> bytes:
    """A BMP of one line."""
    buffer = BytesIO()
    Image.new("RGB", (width, 1)).save(buffer, "BMP")
    return buffer.getvalue()


JPEG = saved("RGB", "JPEG")
SCAN = JPEG.index(b"\xff\xda")
PROGRESSIVE = saved("RGB", "JPEG", progressive=True)
NO_PIXELS = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x10"  # a scan over all of them
PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
PIXELS = chunk(b"IDAT", zlib.compress(bytes(64 * (64 * 3 + 1))))
PNG_END = chunk(b"IEND", b"")
GIF = saved("P", "GIF")
FRAME = GIF.index(b",", 13)

PICTURES: dict[str, Callable[[int], bytes]] = {
    "JPEG: FF in the pixels, then 00": lambda size: JPEG[:-2] + b"\xff" * size + b"\x00",
    "JPEG: FF 00 in the pixels": lambda size: JPEG[:-2] + b"\xff\x00" * (size // 2),
    "JPEG: FF in the head": lambda size: JPEG[:2] + b"\xff" * size + JPEG[2:],
    "JPEG: junk in the head": lambda size: JPEG[:20] + bytes(size) + JPEG[20:],
    "JPEG: junk of escapes in the head": lambda size: JPEG[:20] + b"\xff\x00" * (size // 2) + JPEG[20:],
    "JPEG: Exif by the thousand": lambda size: JPEG[:2] + b"\xff\xe1\0\x09Exif\0\0X" * (size // 11) + JPEG[2:],
    "JPEG: comments": lambda size: JPEG[:2] + b"\xff\xfe\0\x02" * (size // 4) + JPEG[2:],
    "JPEG: heads": lambda size: JPEG[:2] + JPEG[2:20] * (size // 18) + JPEG[2:],
    "JPEG: restarts": lambda size: JPEG[:-2] + b"\xff\xd0" * (size // 2),
    "JPEG: intervals": lambda size: JPEG[:SCAN] + b"\xff\xdd\0\x04\0\0" * (size // 6) + JPEG[SCAN:],
    "JPEG: scans": lambda size: PROGRESSIVE[:-2] + NO_PIXELS * (size // 10) + b"\xff\xd9",
    "JPEG: cut off, all one": lambda size: JPEG[:-2] + b"\x7f" * size,
    "PNG: empty chunks": lambda size: PNG + chunk(b"tEXt", b"") * (size // 12) + PIXELS + PNG_END,
    "PNG: no pixels at first": lambda size: PNG + chunk(b"IDAT", b"") * (size // 12) + PIXELS + PNG_END,
    "PNG: no pixels at last": lambda size: PNG + PIXELS + chunk(b"IDAT", b"") * (size // 12) + PNG_END,
    "PNG: texts that grow": lambda size: (
        PNG + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000))) * (size // 900) + PIXELS + PNG_END
    ),
    "PNG: pixels that grow": lambda size: PNG + chunk(b"IDAT", zlib.compress(bytes(size * 10), 1)) + PNG_END,
    "PNG: Exif on top of itself": lambda size: PNG + chunk(b"eXIf", tiff(size)) + PIXELS + PNG_END,
    "PNG: Exif before Exif": lambda size: PNG + chunk(b"eXIf", b"Exif\0\0" * (size // 6)) + PIXELS + PNG_END,
    "GIF: a comment of small blocks": lambda size: (
        GIF[:FRAME] + b"!\xfe" + b"\x01x" * (size // 2) + b"\0" + GIF[FRAME:]
    ),
    "GIF: comments": lambda size: GIF[:FRAME] + b"!\xfe\x01x\0" * (size // 5) + GIF[FRAME:],
    "GIF: frames": lambda size: GIF[:-1] + GIF[FRAME:-1] * (size // len(GIF[FRAME:-1])) + b";",
    "GIF: a frame of small blocks": lambda size: GIF[: FRAME + 11] + b"\x01\0" * (size // 2) + b"\0;",
    "TIFF: values on top of each other": tiff,
    "BMP: runs of one": bmp,
    "BMP: one line": lambda size: bmp_line(size // 3),
    "WebP: Exif on top of itself": lambda size: saved("RGB", "WEBP", exif=b"Exif\0\0" + tiff(size)),
    "WebP: Exif before Exif": lambda size: saved("RGB", "WEBP", exif=b"Exif\0\0" * (size // 6)),
}


def fitted(content: bytes) -> None:
    """Make a picture fit, if it is one."""
    with suppress(UnreadableMediaError, TooLargeMediaError):
        fit(content, LIMIT)


def stripped(content: bytes) -> None:
    """Strip a picture, if it is one."""
    with suppress(ValueError):
        strip(content)


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_crafted_pictures(make: Callable[[int], bytes]) -> None:
    """Making a crafted picture fit takes time in proportion to its size."""
    assert_linear(fitted, make, LARGE)


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_crafted_pictures_are_stripped(make: Callable[[int], bytes]) -> None:
    """So does taking its metadata away."""
    assert_linear(stripped, make, LARGE)


def longest_wait(work: Callable[[], Any]) -> float:
    """The longest that this thread waited while another one did something."""
    thread = threading.Thread(target=work)
    longest = 0.0
    thread.start()
    while thread.is_alive():
        before = time.perf_counter()
        time.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)
    return longest


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_nobody_waits_for_a_crafted_picture(make: Callable[[int], bytes]) -> None:
    """Other requests go on meanwhile."""
    content = make(FULL)
    assert longest_wait(lambda: fitted(content)) < MOST_WAITING


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_nobody_waits_for_a_picture_of_many_pixels(kind: str) -> None:
    """Their decoders let no other thread run."""
    buffer = BytesIO()
    Image.new("RGB", (3600, 3600), "red").save(buffer, kind, quality=30, **({"speed": 10} if kind == "AVIF" else {}))
    assert longest_wait(lambda: fit(buffer.getvalue(), LIMIT)) < MOST_WAITING
    buffer = BytesIO()
    Image.new("RGB", (3700, 3700), "red").save(buffer, kind, quality=30, **({"speed": 10} if kind == "AVIF" else {}))
    with pytest.raises(UnreadableMediaError, match="too many pixels"):
        fit(buffer.getvalue(), LIMIT)


def test_a_large_picture_with_many_scans_is_refused() -> None:
    """Each costs as much as a picture; a thousand in 20 kB were minutes."""
    buffer = BytesIO()
    Image.new("RGB", (6000, 6000)).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    fit(content, LIMIT)
    with pytest.raises(UnreadableMediaError, match="too many pixels"):
        fit(content[:-2] + NO_PIXELS * 1000 + b"\xff\xd9", LIMIT)


def test_a_large_picture_in_scans_of_one_colour_is_no_large_picture() -> None:
    """It would be unpacked at its size, as a progressive one is."""
    content = bytearray(JPEG)
    frame = content.index(b"\xff\xc0")
    struct.pack_into(">HH", content, frame + 5, 9000, 9000)
    assert not strip(bytes(content)).is_buffered
    scan = content.index(b"\xff\xda")
    one = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    alone = bytes(content[:scan]) + one + bytes(content[scan + 14 :])
    assert strip(alone).is_buffered
    with pytest.raises(UnreadableMediaError, match="too many pixels"):
        fit(alone, LIMIT)


@pytest.mark.parametrize(
    "content",
    [
        JPEG[:2] + b"\xff\xfe\0\x02" * 300_000 + JPEG[2:],
        PNG + chunk(b"tEXt", b"") * 300_000 + PIXELS + PNG_END,
        GIF[:FRAME] + b"!\xfe" + b"\x01x" * 300_000 + b"\0" + GIF[FRAME:],
    ],
    ids=["JPEG", "PNG", "GIF"],
)
def test_no_picture_has_so_many_parts(content: bytes) -> None:
    """A picture of a million parts is refused."""
    with pytest.raises(ValueError, match="too many parts"):
        strip(content)


# --- numbers --------------------------------------------------------------------------

NUMBERS: dict[str, Callable[[int], str]] = {
    "digits": lambda size: "8" * size,
    "pluses": lambda size: "+" * size,
    "spaces": lambda size: " " * size,
    "brackets": lambda size: "(" * size,
    "what becomes long": lambda size: "\ufdfa" * size,
    "marks of direction": lambda size: "\u202e" * size,
    "tel:": lambda size: "tel:" * (size // 4),
    "dots": lambda size: "1.0" * (size // 3),
    "letters": lambda size: "A" * size,
    "an extension": lambda size: "8585550123" + "x" * (size - 10),
}


def read_number(text: str) -> None:
    """Do with a text all that is done with numbers."""
    for parse in (phone.parse_destination.__wrapped__, phone.parse_sender.__wrapped__, phone.to_store):
        with suppress(phone.InvalidNumberError):
            parse(text, "US")
    phone.from_pbx(text, "US")
    phone.mask(text)
    phone.split_numbers(text)


@pytest.mark.parametrize("make", NUMBERS.values(), ids=NUMBERS)
def test_crafted_numbers(make: Callable[[int], str]) -> None:
    """Reading what is no number takes no longer than its length."""
    phone_metadata.load_metadata()
    for length in (30, 60):  # as long as one number may be
        read_number(make(length))
    assert_linear(read_number, make, 1_000_000)


def test_crafted_lists_of_numbers() -> None:
    """So does splitting lists."""
    for separators in (",", ";\n", "8,", " ,"):
        assert_linear(phone.split_numbers, lambda size, one=separators: one * (size // 2), 1_000_000)  # type: ignore[misc]


# --- what the PBX answers -------------------------------------------------------------

BODIES: dict[str, Callable[[int], bytes]] = {
    "brackets": lambda size: b"[" * size,
    "objects": lambda size: b'{"a":' * (size // 5),
    "spaces": lambda size: b" " * size + b"x" + b" " * size,
    "digits": lambda size: b"[" + b"1" * size + b"]",
    "a code of digits": lambda size: b'{"code": "' + b"4" * size + b'"}',
    "escapes": lambda size: b'["' + b"\\u0000" * (size // 6) + b'"]',
    "a message": lambda size: json.dumps({"code": 400, "message": "a1 " * (size // 3)}).encode(),
    "a message of one number": lambda size: json.dumps({"code": 400, "message": "1 - " * (size // 4)}).encode(),
    "words": lambda size: b"\xff" * size,
    "rows": lambda size: json.dumps([{"id": 1, "messagesession-remote": "1,2"}] * (size // 40)).encode(),
    "a row": lambda size: json.dumps(
        [dict.fromkeys(KEYS, "1, " * (size // 90)) | {"term": "+1" * (size // 90)} for _ in range(1)]
    ).encode(),
    "a row of spaces": lambda size: json.dumps([dict.fromkeys(KEYS, " " * (size // 30))]).encode(),
}
KEYS = (
    *("id", "text", "messagesession-id", "message-timestamp", "messagesession-last-datetime", "apiversion", "type"),
    *("messagesession-remote", "messagesession-participants", "number", "dest", "from-number", "domain", "user", "uid"),
    *("messagesession-last-message", "messagesession-last-sender", "scope", "term", "expires_in", "subscription-id"),
)


def read_answer(body: bytes) -> None:
    """Do with an answer all that is done with one."""
    answer = _parse(200, {}, body)
    reason_of(answer, ["A text that nobody may see", "x" * 12_000])
    found: list[Any] = []
    with suppress(Exception):
        found = list(rows(answer.data))
    for row in found:
        Message.from_row(row)
        MessageSession.from_row(row)
        SmsNumber.from_row(row)
        Subscription.from_row(row)
        Account.from_token(row, "")


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_crafted_answers(make: Callable[[int], bytes]) -> None:
    """And reading whatever a PBX answers."""
    assert_linear(read_answer, make, 1_000_000)


@pytest.mark.parametrize("one", ["1", " ", ":", "(", "Mon, ", "1 Jan ", "1:", "+", "-1", "\\"])
def test_crafted_headers(one: str) -> None:
    """As long as aiohttp lets one be, which is 8190 bytes, and far beyond."""

    def read(text: str) -> None:
        http_date.__wrapped__(text)
        retry_after_of({"Retry-After": text, "Date": text})

    assert_linear(read, lambda size: one * (size // len(one)), 80_000)


@pytest.mark.parametrize(
    "one",
    [*("&", "&amp;", "&amp", "&#1", "&#1;", "&lt;", "?", "🚪", "\ud83d"), *(" ", "a ", "\u0315\u0327", "[", "[1,")],
)
def test_crafted_texts(one: str) -> None:
    """What is compared of a text that a PBX lists."""
    assert_linear(text_key, lambda size: one * (size // len(one)), 1_000_000)


def test_texts_that_look_like_json() -> None:
    """Each text of a conversation is read once, however many of ours may be it: nobody waits for an open card."""
    noon, text = datetime(2026, 11, 27, 12, tzinfo=UTC), json.dumps([[1.5, "x"]] * 100)
    session = MessageSession("s", ("18585550123",), "18585550100", noon, "", "")
    row = Message("1", "sms", text, "term", "18585550100", "", "18585550123", noon, "s", "", "", ())
    listed = [Listed(str(number), noon, number, row, session, True) for number in range(200)]
    own = [Own(f"s{number}", noon, Status.SENT, f"[{number}]", listed_since=noon) for number in range(200)]
    assert seconds(lambda: merged(listed, own)) < MOST_WAITING / 4
