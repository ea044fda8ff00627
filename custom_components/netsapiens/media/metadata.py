"""A picture's bytes -> the same picture, without a bit lost, and without all that is not the picture.

Where it was taken, with what, thumbnails, comments, and whatever was put behind the picture's end stay at home. What
is left is also all that Pillow gets to read: some of its loops over metadata take a time that grows with the square of
it, or as much memory as it claims to have. Every loop here takes a time in proportion to the bytes.
"""

from collections.abc import Iterator
import re
import struct
from typing import Final, NamedTuple

# Parts that one picture may have; real ones of 50 MB have fewer. Each costs Pillow some microseconds.
_MOST_PARTS = 250_000
# Bytes that are searched at once; until a search ends, no other thread runs.
_STEP = 250_000

_JPEG_START = b"\xff\xd8\xff"
JPEG_END: Final = b"\xff\xd9"
_FILL = re.compile(rb"\xff+")  # a marker may have any number of them before it, and so may a byte FF of the pixels
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_JPEG_ENDS = 0xD9
_JPEG_ALONE = {0x00, 0x01, *range(0xD0, 0xD8)}
_JPEG_SCAN = 0xDA
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_JPEG_DROPPED = {0x00, *range(0xE0, 0xF0), 0xFE}
# Of what can be dropped, what says how to read the colours: marker, how it begins, how much of it is kept.
_JPEG_KEPT = {0xE0: (b"JFIF\0", 12), 0xEE: (b"Adobe", 12)}
_JFIF = 0xE0
_JPEG_EXIF, _EXIF = 0xE1, b"Exif\0\0"

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT"}

_GIF_STARTS = (b"GIF87a", b"GIF89a")
_GIF_HEAD = 13
_GIF_EXTENSION, _GIF_PICTURE, _GIF_END = 0x21, 0x2C, 0x3B
_GIF_CONTROL, _GIF_APPLICATION = 0xF9, 0xFF
_GIF_LOOPS = (b"\x0bNETSCAPE2.0", b"\x0bANIMEXTS1.0")

# AVIF and its kin; Pillow would read the Exif of an AVIF as soon as it is opened.
_BOXES, _BOX_BRANDS = b"ftyp", (b"avi", b"mif", b"msf")


class Plain(NamedTuple):
    """A picture without its metadata.

    Attributes:
        content: its bytes. Of an MPO the first picture is left, of a PNG the first frame.
        exif: what it says of itself in the form of Exif; empty where it says nothing.
        is_stripped: whether nothing but the picture is left; False for kinds that are not known here.
        is_cut_off: whether its end was missing. A JPEG has an end again, the last two bytes.
        scans: how often a JPEG goes over its pixels; 1 for other kinds.
        is_buffered: whether a JPEG has to be decoded at its size, since it does not go from top to bottom.
    """

    content: bytes
    exif: bytes = b""
    is_stripped: bool = True
    is_cut_off: bool = False
    scans: int = 1
    is_buffered: bool = False


def strip(content: bytes) -> Plain:
    """Return a picture without its metadata.

    Parameters:
        content: the picture; what is no JPEG, PNG or GIF is left as it is, but for the Exif of an AVIF.

    Raises:
        ValueError: it has no picture in it, or more parts than a real one.
    """
    if content.startswith(_JPEG_START):
        return _jpeg(content)
    if content.startswith(_PNG_START):
        return _png(content)
    if content.startswith(_GIF_STARTS):
        return _gif(content)
    if content[4:8] == _BOXES and content[8:11] in _BOX_BRANDS:
        content = content.replace(b"Exif", b"free")
    return Plain(content, is_stripped=False)


def _jpeg(content: bytes) -> Plain:
    """Return a JPEG without its metadata."""
    view = memoryview(content)
    plain: list[bytes | memoryview] = [content[:2]]
    exif = b""
    scans = components = scanned = 0
    progressive = False
    at = 2
    for _ in range(_MOST_PARTS):
        marker, at = _jpeg_marker(content, at)
        if marker is None or marker == _JPEG_ENDS:
            break
        end = at if marker in _JPEG_ALONE else at + int.from_bytes(content[at : at + 2])
        if end > len(content) or at + 2 > len(content):
            marker = None
            break
        segment = view[at:end]
        if marker in _JPEG_FRAMES and not scans and len(segment) > 7:  # noqa: PLR2004 - where the colours are counted
            progressive, components = marker in _JPEG_PROGRESSIVE, segment[7]
        elif marker == _JPEG_EXIF and not exif and segment[2:8] == _EXIF:
            exif = bytes(segment[2:])
        elif marker == _JPEG_SCAN:
            scans += 1
            scanned = scanned or (segment[2] if len(segment) > 2 else 0)  # noqa: PLR2004 - likewise
            end = _jpeg_scan_end(content, end)
            segment = view[at:end]
            if content.find(b"\xff\xff", at, end) >= 0:  # Pillow begins anew with each block in which they do not end
                segment = memoryview(_FILL.sub(b"\xff", segment))
        plain += _jpeg_kept(marker, segment)
        at = end
    else:
        raise ValueError("too many parts")
    if not scans:
        raise ValueError("no picture")
    buffered = progressive or scans > 1 or scanned < components
    return Plain(b"".join([*plain, JPEG_END]), exif, is_cut_off=marker is None, scans=scans, is_buffered=buffered)


def _jpeg_marker(content: bytes, at: int) -> tuple[int | None, int]:
    """Return the next marker, if there is one, and where it ends. What stands before it is skipped, as browsers do."""
    start = content.find(b"\xff", at)
    if start < 0 or (found := _FILL.match(content, start)) is None or found.end() >= len(content):
        return None, len(content)
    return content[found.end()], found.end() + 1


def _jpeg_scan_end(content: bytes, at: int) -> int:
    """Return where the pixels end that begin here: before the next marker, or where the picture is cut off."""
    for start in range(at, len(content), _STEP):
        if found := _END_OF_SCAN.search(content, start, start + _STEP + 1):
            return found.start()
    return len(content) - content.endswith(b"\xff")


def _jpeg_kept(marker: int, segment: memoryview) -> tuple[bytes | memoryview, ...]:
    """Return what is kept of a segment, which begins with its length."""
    if marker not in _JPEG_DROPPED:
        return bytes((0xFF, marker)), segment
    start, length = _JPEG_KEPT.get(marker, (b"", 0))
    kept = bytes(segment[2 : 2 + length])
    if not start or not kept.startswith(start) or len(kept) < length:
        return ()
    if marker == _JFIF:
        kept += b"\0\0"  # the size of its thumbnail
    return bytes((0xFF, marker)), struct.pack(">H", len(kept) + 2), kept


def _png(content: bytes) -> Plain:
    """Return a PNG without its metadata."""
    view = memoryview(content)
    plain: list[bytes | memoryview] = [_PNG_START]
    exif = b""
    at = len(_PNG_START)
    for _ in range(_MOST_PARTS):
        if at + 8 > len(content):
            return Plain(b"".join(plain), exif, is_cut_off=True)
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + length + 12
        if name in _PNG_KEPT:
            plain.append(view[at:end])
        elif name == b"eXIf":
            exif = exif or content[at + 8 : end - 4]
        if name == b"IEND":
            return Plain(b"".join(plain), exif)
        at = end
    raise ValueError("too many parts")


def _gif(content: bytes) -> Plain:
    """Return a GIF without its metadata."""
    view = memoryview(content)
    plain: list[bytes | memoryview] = []
    parts = iter(range(_MOST_PARTS))
    kind: int | None = None
    pictures = 0
    try:
        at = _GIF_HEAD + _gif_colours(content[10])
        plain.append(view[:at])
        while (kind := content[at]) in {_GIF_PICTURE, _GIF_EXTENSION}:
            if kind == _GIF_PICTURE:
                end = _gif_blocks_end(content, at + 11 + _gif_colours(content[at + 9]), parts)
                pictures += 1
                kept = True
            else:
                end = _gif_blocks_end(content, at + 2, parts)
                label = content[at + 1]
                loops = label == _GIF_APPLICATION and content[at + 2 : at + 14] in _GIF_LOOPS
                kept = label == _GIF_CONTROL or loops
            if kept:
                plain.append(view[at:end])
            at = end
    except IndexError:  # what is cut off goes: one picture that is left can be seen
        kind = None
    if not pictures:
        raise ValueError("no picture")
    return Plain(b"".join([*plain, b";"]), is_cut_off=kind != _GIF_END)


def _gif_colours(flags: int) -> int:
    """Return how many bytes a table of colours has."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _gif_blocks_end(content: bytes, at: int, parts: Iterator[int]) -> int:
    """Return where a chain of blocks ends; each is one of the parts that the picture may have."""
    for _ in parts:
        size = content[at]
        at += size + 1
        if not size:
            return at
    raise ValueError("too many parts")
