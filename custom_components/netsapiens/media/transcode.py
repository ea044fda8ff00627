"""Bytes of any kind -> bytes that carriers take, under the limit. Blocking: for the executor only."""

from io import BytesIO
from itertools import pairwise
import math
import struct
from typing import Final, NamedTuple
import zlib

from PIL import Image, ImageChops, ImageFile, UnidentifiedImageError

from ..media_kinds import HEAD, is_picture, kind_of
from .exif import check_directory, orientation
from .metadata import JPEG_END, Plain, strip

KILOBYTE: Final = 1000

_MAX_PIXELS = 36_000_000  # of a picture that has to be decoded whole
_MAX_JPEG_PIXELS = 120_000_000  # a JPEG that goes from top to bottom can be decoded smaller than it is
_MAX_HELD_PIXELS = 13_000_000  # of kinds whose decoders let no other thread run meanwhile
_MAX_SCANNED = 720_000_000  # pixels of a JPEG, counted once a scan: about a second
_BYTES_PER_PIXEL = 0.30  # of a photo as JPEG at _FIRST_QUALITY; sets how large the first try is
_MAX_SIDE = 65_535  # Pillow begins anew with each block in which a line of a BMP does not end
_LONGEST_SIDE = 2048  # carriers refuse what is much longer
_MOST_MISSING = 0.1  # of a picture that is cut off
_RESTARTS = range(0xD0, 0xD8)  # markers in the pixels of a JPEG; one follows the other
_FILLER = b"\x5a\xa5\x36" * 20  # goes on where a JPEG is cut off, as no picture does
_SHORTEST_SIDE = 64  # of the longer side: less is of no use
_FIRST_QUALITY = 82
_QUALITIES = (50, 95)
_ENCODINGS = 4  # tries at one size
_CLOSE = 0.85  # of the limit is close enough
# How the size of a JPEG grows with its quality, the size at 82 being 1.
_GROWTH = ((50, 0.55), (60, 0.63), (70, 0.75), (75, 0.83), (82, 1.0), (88, 1.28), (92, 1.65), (95, 2.2))

# What is opened as a picture; Pillow knows many more, some of which call other programs.
_OPENED = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF")
_HELD = {"WEBP", "AVIF"}
# Pictures that carriers take as they are; of the rest, a JPEG is made.
_TAKEN = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif"}

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


class UnreadableMediaError(Exception):
    """The bytes are broken, too large to be opened, or no picture, sound, video or contact."""


class CutOffMediaError(UnreadableMediaError):
    """More than a tenth of a picture is missing."""


class TooLargeMediaError(Exception):
    """The bytes cannot be made to fit.

    Attributes:
        size: how many there are.
    """

    def __init__(self, size: int) -> None:
        """Keep the size."""
        super().__init__(size)
        self.size = size


class Fitted(NamedTuple):
    """Bytes that fit, and what they are."""

    content: bytes
    mime_type: str


def fit(content: bytes, limit: int) -> Fitted:
    """Return what carriers take of some media, without a picture's metadata.

    Parameters:
        content: the bytes.
        limit: how many there may be.

    Raises:
        CutOffMediaError: they are a JPEG of which more than a tenth is missing.
        UnreadableMediaError: they are of no known kind, or broken.
        TooLargeMediaError: they are over the limit and cannot be made smaller, as pictures mostly can.
    """
    try:
        check_directory(content)
        plain = strip(content)
        with _opened(plain.content) as image:
            return _fit_picture(image, plain, len(content), limit)
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
    mime_type = kind_of(content[:HEAD])
    if mime_type is None or is_picture(mime_type):
        raise UnreadableMediaError("unknown kind")
    if len(content) > limit:
        raise TooLargeMediaError(len(content))
    return Fitted(content, mime_type)


def _fit_picture(image: ImageFile.ImageFile, plain: Plain, size: int, limit: int) -> Fitted:
    """Return a picture as it is where carriers take it so, else as JPEG. It was of this size with its metadata."""
    kind = image.format or ""
    pixels = image.width * image.height
    scanned = pixels * plain.scans
    if pixels > _max_pixels(kind, plain) or scanned > _MAX_SCANNED or max(image.size) > _MAX_SIDE:
        raise UnreadableMediaError("too many pixels")
    if plain.is_cut_off and kind == "JPEG" and _missing(plain) > _MOST_MISSING:
        raise CutOffMediaError
    turn = _TURNS.get(orientation(plain.exif or image.info.get("exif", b"")))
    if len(plain.content) <= limit and turn is None and _is_taken(image, plain):
        image.draft(None, (1, 1))
        image.load()  # raises where it is broken
        return Fitted(plain.content, _TAKEN[kind])
    jpeg = _as_jpeg(image, turn, limit, len(plain.content))
    if jpeg is None:
        raise TooLargeMediaError(size)
    return Fitted(jpeg, "image/jpeg")


def _max_pixels(kind: str, plain: Plain) -> int:
    """Return how many pixels a picture may have."""
    if kind in _HELD:
        return _MAX_HELD_PIXELS
    return _MAX_JPEG_PIXELS if kind == "JPEG" and not plain.is_buffered else _MAX_PIXELS


def _is_taken(image: Image.Image, plain: Plain) -> bool:
    """Whether carriers take a picture as it is: a JPEG, PNG or GIF, not too long, without alpha, not in CMYK."""
    if image.format not in _TAKEN or not plain.is_stripped or plain.is_cut_off or max(image.size) > _LONGEST_SIDE:
        return False
    return image.format == "GIF" or (image.mode in {"RGB", "L", "1", "P"} and "transparency" not in image.info)


def _missing(plain: Plain) -> float:
    """Return which part of a JPEG that is cut off is missing: all from where it matters how it goes on.

    One that is cut off in a later scan is all there, only coarser.
    """
    if plain.scans > 1:
        return 0.0
    start = plain.content.removesuffix(JPEG_END)
    at, last = max((start.rfind(bytes((0xFF, mark))), mark) for mark in _RESTARTS)
    restart = bytes((0xFF, _RESTARTS[0] if at < 0 else _RESTARTS[(last + 1) % 8]))
    rests = (b"", _FILLER + restart + _FILLER)  # where a marker was to come, nothing but that one goes on
    one, other = (_overview(start + rest + JPEG_END) for rest in rests)
    differs = ImageChops.difference(one, other).getbbox()
    return 0.0 if differs is None else 1 - differs[1] / one.height


def _overview(content: bytes) -> Image.Image:
    """Return a JPEG decoded at an eighth of its size."""
    with _opened(content) as image:
        image.draft(None, (1, 1))
        image.load()
        return image.copy()


def _as_jpeg(image: ImageFile.ImageFile, turn: Image.Transpose | None, limit: int, size: int) -> bytes | None:
    """Return a picture of some bytes as the best JPEG under the limit, turned, or None where there is none."""
    if image.format == "JPEG":
        # Decodes at a half, a quarter or an eighth of the size: faster, and a fraction of the memory.
        image.draft(None, _target(image.size, limit, size))
    image.load()
    picture = _on_white(image)
    picture = _resized(picture, _target(picture.size, limit, size))
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


def _target(size: tuple[int, int], limit: int, encoded: int) -> tuple[int, int]:
    """Return the size that a picture has at most as a JPEG under the limit; one that is under it keeps its detail."""
    detail = 1.0 if encoded <= limit else math.sqrt(limit / _BYTES_PER_PIXEL / (size[0] * size[1]))
    return _scaled(size, min(1.0, detail, _LONGEST_SIDE / max(size)))


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
