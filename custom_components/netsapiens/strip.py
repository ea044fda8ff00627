"""A picture's bytes -> the same picture, without a bit lost, and without all that is not the picture.

Where it was taken, with what, thumbnails, comments, and whatever was put behind the picture's end stay at home.
"""

import re
import struct
from typing import Final

_END_OF_SCAN = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_JPEG_END = 0xD9
_JPEG_ALONE = {0x01, *range(0xD0, 0xD8)}
_JPEG_SCAN = 0xDA
_JPEG_DROPPED = {*range(0xE0, 0xF0), 0xFE}
# Of what can be dropped, what says how to read the colours: marker, how it begins, how much of it is told.
_JPEG_KEPT = {0xE0: (b"JFIF\0", 12), 0xEE: (b"Adobe", 12)}
_JFIF = 0xE0

_PNG_START = 8
_PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT"}

_GIF_START = 13
_GIF_EXTENSION, _GIF_PICTURE, _GIF_END = 0x21, 0x2C, 0x3B
_GIF_CONTROL, _GIF_APPLICATION = 0xF9, 0xFF
_GIF_LOOPS = (b"\x0bNETSCAPE2.0", b"\x0bANIMEXTS1.0")


def strip(content: bytes, kind: str) -> bytes:
    """Return a picture without its metadata.

    Parameters:
        content: the picture.
        kind: JPEG, MPO (of which the first picture is left), PNG (of which the first frame is left) or GIF.

    Raises:
        ValueError: it is broken.
    """
    try:
        return _STRIPPERS[kind](content)
    except (IndexError, struct.error) as err:
        raise ValueError("cut off") from err


def _jpeg(content: bytes) -> bytes:
    plain = bytearray(content[:2])
    at = 2
    while True:
        if content[at] != 0xFF:  # noqa: PLR2004 - how every marker begins
            raise ValueError("no marker")
        while content[at] == 0xFF:  # noqa: PLR2004
            at += 1
        marker = content[at]
        at += 1
        if marker == _JPEG_END:
            return bytes(plain + b"\xff\xd9")
        end = at
        if marker not in _JPEG_ALONE:
            end += struct.unpack_from(">H", content, at)[0]
        segment = _jpeg_segment(marker, content[at:end])
        if marker == _JPEG_SCAN:
            found = _END_OF_SCAN.search(content, end)
            if found is None:
                raise ValueError("cut off")
            segment = content[at : found.start()]
            end = found.start()
        if segment is not None:
            plain += bytes((0xFF, marker)) + segment
        at = end


def _jpeg_segment(marker: int, segment: bytes) -> bytes | None:
    """Return what is kept of a segment, which begins with its length."""
    if marker not in _JPEG_DROPPED:
        return segment
    start, length = _JPEG_KEPT.get(marker, (b"", 0))
    told = segment[2 : 2 + length]
    if not start or not told.startswith(start) or len(told) < length:
        return None
    if marker == _JFIF:
        told += b"\0\0"  # the size of its thumbnail
    return struct.pack(">H", len(told) + 2) + told


def _png(content: bytes) -> bytes:
    plain = bytearray(content[:_PNG_START])
    at = _PNG_START
    while True:
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + length + 12
        if name in _PNG_KEPT:
            plain += content[at:end]
        if name == b"IEND":
            return bytes(plain)
        at = end


def _gif(content: bytes) -> bytes:
    at = _GIF_START + _gif_colours(content[10])
    plain = bytearray(content[:at])
    while (kind := content[at]) != _GIF_END:
        if kind == _GIF_PICTURE:
            end = _gif_blocks_end(content, at + 11 + _gif_colours(content[at + 9]))
            kept = True
        elif kind == _GIF_EXTENSION:
            end = _gif_blocks_end(content, at + 2)
            label = content[at + 1]
            loops = label == _GIF_APPLICATION and content[at + 2 : at + 14] in _GIF_LOOPS
            kept = label == _GIF_CONTROL or loops
        else:
            raise ValueError("unknown block")
        if kept:
            plain += content[at:end]
        at = end
    return bytes(plain + b";")


def _gif_colours(flags: int) -> int:
    """Return how many bytes a table of colours has."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _gif_blocks_end(content: bytes, at: int) -> int:
    """Return where a chain of blocks ends."""
    while size := content[at]:
        at += size + 1
    return at + 1


_STRIPPERS: Final = {"JPEG": _jpeg, "MPO": _jpeg, "PNG": _png, "GIF": _gif}
