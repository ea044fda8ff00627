"""Bytes of any kind -> bytes that carriers take, under the limit. Blocking: for the executor only."""

import contextlib
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
import math
import struct
from typing import Final
import zlib

from PIL import Image, ImageFile, UnidentifiedImageError

from .strip import strip

KILOBYTE: Final = 1000

_MAX_PIXELS = 36_000_000  # of a picture that has to be decoded whole
_MAX_JPEG_PIXELS = 120_000_000  # a JPEG can be decoded smaller than it is, a progressive one cannot
_BYTES_PER_PIXEL = 0.30  # of a photo as JPEG at _FIRST_QUALITY; sets how large the first try is
_LONGEST_SIDE = 4096
_SHORTEST_SIDE = 64  # of the longer side: less is of no use
_FIRST_QUALITY = 82
_QUALITIES = (50, 95)
_ENCODINGS = 4  # tries at one size
_CLOSE = 0.85  # of the limit is close enough
# How the size of a JPEG grows with its quality, the size at 82 being 1.
_GROWTH = ((50, 0.55), (60, 0.63), (70, 0.75), (75, 0.83), (82, 1.0), (88, 1.28), (92, 1.65), (95, 2.2))

# What is opened as a picture; Pillow knows many more, some of which call other programs.
_OPENED = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF")
_JPEGS = {"JPEG", "MPO"}
# Pictures that carriers take as they are; of the rest, a JPEG is made.
_TAKEN = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "GIF": "image/gif"}

_ORIENTATION = 0x0112
# What sets a picture upright, by what it says of itself.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow raises of broken pictures.
_BROKEN = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# What is no picture is known by its first bytes: offset, bytes, kind.
_SIGNATURES: tuple[tuple[int, bytes, str | None], ...] = (
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    *((4, b"ftyp" + brand, None) for brand in (b"hei", b"hev", b"mif", b"msf", b"avi", b"crx")),  # pictures
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp3g", "video/3gpp"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"BEGIN:VCARD", "text/vcard"),
)


class UnreadableMediaError(Exception):
    """The bytes are broken, too large to be opened, or no picture, sound, video or contact."""


class TooLargeMediaError(Exception):
    """The bytes cannot be made to fit.

    Attributes:
        size: how many there are.
    """

    def __init__(self, size: int) -> None:
        """Keep the size."""
        super().__init__(size)
        self.size = size


@dataclass(frozen=True, slots=True)
class Fitted:
    """Bytes that fit, and what they are."""

    content: bytes
    mime_type: str


def fit(content: bytes, limit: int) -> Fitted:
    """Return what carriers take of some media, without a picture's metadata.

    Parameters:
        content: the bytes.
        limit: how many there may be.

    Raises:
        UnreadableMediaError: they are of no known kind, or broken.
        TooLargeMediaError: they are over the limit and cannot be made smaller, as pictures mostly can.
    """
    try:
        with _opened(content) as image:
            return _fit_picture(image, content, limit)
    except UnidentifiedImageError:
        return _fit_other(content, limit)
    except _BROKEN as err:
        raise UnreadableMediaError("broken picture") from err


def _opened(content: bytes) -> ImageFile.ImageFile:
    """Return a picture, of which only the head was read."""
    Image.init()
    return Image.open(BytesIO(content), formats=[kind for kind in _OPENED if kind in Image.OPEN])


def _fit_other(content: bytes, limit: int) -> Fitted:
    """Return media that is no picture, as it is."""
    mime_type = next((kind for at, mark, kind in _SIGNATURES if content[at : at + len(mark)] == mark), None)
    if mime_type is None:
        raise UnreadableMediaError("unknown kind")
    if len(content) > limit:
        raise TooLargeMediaError(len(content))
    return Fitted(content, mime_type)


def _fit_picture(image: ImageFile.ImageFile, content: bytes, limit: int) -> Fitted:
    """Return a picture as it is where carriers take it so, else as JPEG."""
    kind = image.format or ""
    pixels = image.width * image.height
    if pixels > (_MAX_JPEG_PIXELS if kind in _JPEGS and "progressive" not in image.info else _MAX_PIXELS):
        raise UnreadableMediaError("too many pixels")
    if len(content) <= limit and kind in _TAKEN and _is_taken(image):
        plain = None
        with contextlib.suppress(ValueError):  # what Pillow can read all the same becomes a JPEG
            plain = strip(content, kind)
        if plain is not None:
            with _opened(plain) as sent:
                sent.draft(None, (1, 1))
                sent.load()  # raises where it is cut off
            return Fitted(plain, _TAKEN[kind])
    jpeg = _as_jpeg(image, limit)
    if jpeg is None:
        raise TooLargeMediaError(len(content))
    return Fitted(jpeg, "image/jpeg")


def _is_taken(image: Image.Image) -> bool:
    """Whether carriers take a JPEG, PNG or GIF as it is: upright, without alpha, not in CMYK."""
    if image.format == "GIF":
        return True
    return (
        _orientation(image) not in _TURNS and image.mode in {"RGB", "L", "1", "P"} and "transparency" not in image.info
    )


def _orientation(image: Image.Image) -> int:
    """Return what a picture says of how it was held; what cannot be read does not count."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        return 1


def _as_jpeg(image: ImageFile.ImageFile, limit: int) -> bytes | None:
    """Return a picture as the best JPEG under the limit, upright and without metadata; None where there is none."""
    if image.format in _JPEGS:
        # Decodes at a half, a quarter or an eighth of the size: faster, and a fraction of the memory.
        image.draft(None, _target(image.size, limit))
    image.load()
    turn = _TURNS.get(_orientation(image))
    picture = _on_white(image)
    picture = _resized(picture, _target(picture.size, limit))
    if turn is not None:
        picture = picture.transpose(turn)
    while True:
        best, smallest = _best_quality(picture, limit)
        if best is not None:
            return best
        shrink = math.sqrt(limit / smallest) * 0.9
        if max(picture.size) * shrink < _SHORTEST_SIDE:
            return None
        picture = _resized(picture, _scaled(picture.size, shrink))


def _target(size: tuple[int, int], limit: int) -> tuple[int, int]:
    """Return the size that a picture has at most as a JPEG of so many bytes."""
    return _scaled(size, min(1.0, math.sqrt(limit / _BYTES_PER_PIXEL / (size[0] * size[1])), _LONGEST_SIDE / max(size)))


def _best_quality(picture: Image.Image, limit: int) -> tuple[bytes | None, int]:
    """Return the largest encoding found under the limit, if any, and the size of the smallest tried."""
    low, high = _QUALITIES[0] - 1, _QUALITIES[1] + 1  # known to fit; known not to
    best: bytes | None = None
    smallest = 0
    quality = _FIRST_QUALITY
    for _ in range(_ENCODINGS):
        encoded = _encoded(picture, quality)
        smallest = min(smallest or len(encoded), len(encoded))
        if len(encoded) <= limit:
            low, best = quality, encoded
        else:
            high = quality
        if (best is not None and len(best) >= limit * _CLOSE) or high - low <= 1:
            break
        guess = _quality_for(limit * 0.97, quality, len(encoded))
        quality = min(max(guess, low + 1), high - 1)
    return best, smallest


def _quality_for(size: float, quality: int, encoded: int) -> int:
    """Return the quality at which a picture has about this size, from what it had at another."""
    wanted = size / encoded * _growth(quality)
    for (low, small), (high, large) in pairwise(_GROWTH):
        if wanted <= large:
            return max(_QUALITIES[0], int(low + (high - low) * (wanted - small) / (large - small)))
    return _QUALITIES[1]


def _growth(quality: int) -> float:
    """Return how large a JPEG is at a quality, beside one at 82."""
    (low, small), (high, large) = next(step for step in pairwise(_GROWTH) if quality <= step[1][0])
    return small + (large - small) * (quality - low) / (high - low)


def _encoded(picture: Image.Image, quality: int) -> bytes:
    """Return a picture as JPEG."""
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _on_white(image: Image.Image) -> Image.Image:
    """Return a picture in colours that a JPEG can have, what was transparent on white, and nothing but the picture."""
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        layered = image if image.mode == "RGBA" else image.convert("RGBA")
        plain = Image.new("RGB", layered.size, "white")
        plain.paste(layered, mask=layered.getchannel("A"))
    elif image.mode in {"RGB", "L"}:
        plain = image
    elif image.mode.startswith("I"):  # 16 bits
        plain = image.point(lambda value: value / 256).convert("L")
    else:
        plain = image.convert("L" if image.mode in {"1", "F"} else "RGB")
    plain.info = {}
    return plain


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture of at most this size."""
    if picture.width <= size[0] and picture.height <= size[1]:
        return picture
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return a size made smaller, never to nothing."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
