"""Exif, and TIFF, whose form it has: how a picture was held, and whether its directory can be read at all.

Pillow reads every value that a directory names, and keeps them all. Values may lie on top of each other, so that a
picture of 600 kB can name gigabytes.
"""

from collections.abc import Iterator
import struct
from typing import NamedTuple

_START = b"Exif\0\0"
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_TIFFS = (b"II", b"MM")
_ORIENTATION = 0x0112
_SHORT = 3
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_BYTES = {1, 2, 6, 7}
_MOST_VALUES = 65_536  # of a kind that Pillow makes an object of each


class _Value(NamedTuple):
    """One value of a directory."""

    tag: int
    kind: int
    length: int  # how many of its kind it is made of
    short: int  # what it is where it is one short number


def orientation(exif: bytes) -> int:
    """Return how a picture was held, 1 to 8; 1 where its Exif does not say or is broken."""
    try:
        found = next(value for value in _directory(exif.removeprefix(_START)) if value.tag == _ORIENTATION)
    except StopIteration, struct.error, ValueError:
        return 1
    return found.short if found.kind == _SHORT and 1 <= found.short <= 8 else 1  # noqa: PLR2004 - as there are


def check_directory(content: bytes) -> None:
    """Check that Pillow can open a TIFF; other content passes.

    Raises:
        ValueError: it is broken, of the kind for more than 4 GB, or its directory names more than it has.
    """
    if not content.startswith(_TIFFS):
        return
    try:
        values = list(_directory(content))
    except struct.error as err:
        raise ValueError("cut off") from err
    if sum(value.length * _SIZES.get(value.kind, 0) for value in values) > len(content):
        raise ValueError("more values than bytes")
    if any(value.length > _MOST_VALUES and value.kind not in _BYTES for value in values):
        raise ValueError("too many values")


def _directory(content: bytes) -> Iterator[_Value]:
    """Yield what the first directory names."""
    order = _ORDERS.get(content[:4])
    if order is None:
        raise ValueError("no directory")
    start = struct.unpack_from(f"{order}I", content, 4)[0]
    for number in range(struct.unpack_from(f"{order}H", content, start)[0]):
        yield _Value(*struct.unpack_from(f"{order}HHIH", content, start + 2 + number * 12))
