"""Bytes of any kind -> bytes that carriers take: every format, every defect, nothing left but the picture."""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
import random
import re
import struct
from typing import Any
import zlib

from hypothesis import HealthCheck, assume, given, settings, strategies as st
from PIL import Image, ImageChops, ImageCms, ImageFile, PngImagePlugin
import pytest

from custom_components.netsapiens.media import transcode as fit_module
from custom_components.netsapiens.media.metadata import strip
from custom_components.netsapiens.media.transcode import (
    CutOffMediaError,
    Fitted,
    TooLargeMediaError,
    UnreadableMediaError,
    fit,
)

LIMIT = 600_000
TAKEN = {"image/jpeg", "image/png", "image/gif", "text/vcard"}
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
GPS = b"32.8700N"
SECRET = b"Our house"


def quarters(mode: str = "RGB", size: tuple[int, int] = (64, 32)) -> Image.Image:
    """A picture whose top left is red, top right green, bottom left blue, and bottom right white."""
    picture = Image.new("RGB", size, WHITE)
    width, height = size[0] // 2, size[1] // 2
    picture.paste(RED, (0, 0, width, height))
    picture.paste(GREEN, (width, 0, size[0], height))
    picture.paste(BLUE, (0, height, width, size[1]))
    return picture.convert(mode)


def photo(width: int, height: int, detail: float = 40) -> Image.Image:
    """A picture about as hard to squeeze as a photo."""
    coarse = Image.effect_noise((max(1, width // 8), max(1, height // 8)), 120).resize((width, height))
    fine = Image.effect_noise((width, height), detail)
    slope = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (Image.blend(coarse, fine, 0.3), Image.blend(slope, fine, 0.25), slope))


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture's bytes."""
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    """A picture, wholly read."""
    picture = Image.open(BytesIO(content))
    picture.load()
    return picture


def exif(orientation: int | None = None) -> Image.Exif:
    """What a phone writes: how it was held, and where."""
    found = Image.Exif()
    if orientation is not None:
        found[0x0112] = orientation
    found[0x010E] = SECRET.decode()
    found.get_ifd(0x8825)[29] = GPS.decode()
    found.get_ifd(0x8825)[2] = (32.0, 52.0, 12.0)
    return found


def is_near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 60 for one, other in zip(pixel, colour, strict=True))


def assert_upright(picture: Image.Image) -> None:
    """The quarters stand where they belong."""
    width, height = picture.size
    rgb = picture.convert("RGB")
    for (x, y), colour in {(1, 1): RED, (3, 1): GREEN, (1, 3): BLUE, (3, 3): WHITE}.items():
        assert is_near(rgb.getpixel((width * x // 4, height * y // 4)), colour), (x, y)


def assert_plain(content: bytes) -> None:
    """Nothing is left but the picture."""
    assert SECRET not in content
    assert GPS not in content
    for mark in (b"Exif", b"http://ns.adobe.com", b"ICC_PROFILE", b"iCCP", b"tEXt", b"iTXt", b"eXIf", b"Photoshop"):
        assert mark not in content, mark
    assert content.count(b"\xff\xd8\xff") <= 1, "there is a second picture in it"
    picture = opened(content)
    assert not dict(picture.getexif())
    assert not picture.info.keys() & {"exif", "xmp", "icc_profile", "comment", "photoshop", "mp"}


# --- what is sent as it is ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mode", "mime_type"),
    [
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("PNG", "RGB", "image/png"),
        ("PNG", "L", "image/png"),
        ("PNG", "P", "image/png"),
        ("PNG", "1", "image/png"),
        ("GIF", "P", "image/gif"),
    ],
)
def test_what_carriers_take_is_not_touched(kind: str, mode: str, mime_type: str) -> None:
    """A picture of a kind that carriers take keeps its pixels and its kind."""
    picture = quarters(mode)
    fitted = fit(saved(picture, kind), LIMIT)
    assert fitted.mime_type == mime_type
    assert opened(fitted.content).format == kind
    original = opened(saved(picture, kind))
    assert opened(fitted.content).convert("RGB").tobytes() == original.convert("RGB").tobytes()


def test_a_plain_jpeg_stays_as_it_is_to_the_byte() -> None:
    """Nothing is done to what needs nothing."""
    for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True, "quality": 30}):
        content = saved(photo(320, 240), "JPEG", **options)
        assert fit(content, LIMIT).content == content


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (b"ID3\x04" + bytes(50), "audio/mpeg"),
        (b"\xff\xfb\x90" + bytes(50), "audio/mpeg"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(50), "audio/wav"),
        (b"OggS" + bytes(50), "audio/ogg"),
        (b"#!AMR\n" + bytes(50), "audio/amr"),
        (b"\0\0\0\x20ftypM4A " + bytes(50), "audio/mp4"),
        (b"\0\0\0\x20ftypisom" + bytes(50), "video/mp4"),
        (b"\0\0\0\x20ftypmp42" + bytes(50), "video/mp4"),
        (b"\0\0\0\x20ftypavc1" + bytes(50), "video/mp4"),
        (b"\0\0\0\x20ftyp3gp4" + bytes(50), "video/3gpp"),
        (b"\0\0\0\x20ftypqt  " + bytes(50), "video/quicktime"),
        (b"\x1a\x45\xdf\xa3" + bytes(50), "video/webm"),
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann\r\nEND:VCARD\r\n", "text/vcard"),
    ],
)
def test_what_is_no_picture_goes_as_it_is(content: bytes, mime_type: str) -> None:
    """Sound and video cannot be made smaller: they fit or are refused."""
    assert fit(content, LIMIT) == Fitted(content, mime_type)
    with pytest.raises(TooLargeMediaError) as caught:
        fit(content, len(content) - 1)
    assert caught.value.size == len(content)


@pytest.mark.parametrize("brand", ["heic", "heix", "hevc", "mif1", "msf1", "avif", "crx "])
def test_a_picture_that_pillow_cannot_read_is_no_video(brand: str) -> None:
    """HEIF pictures look like videos at first, and are none."""
    with pytest.raises(UnreadableMediaError):
        fit(b"\0\0\0\x20ftyp" + brand.encode() + bytes(50), LIMIT)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"just some words\n", b"<html></html>", b"%PDF-1.7\n", b"PK\x03\x04" + bytes(40), bytes(1000)],
)
def test_what_is_of_no_kind_that_is_sent(content: bytes) -> None:
    """A page or a program is never sent as a picture."""
    with pytest.raises(UnreadableMediaError):
        fit(content, LIMIT)


def test_no_other_program_is_called() -> None:
    """Pillow would hand EPS to Ghostscript."""
    for kind in ("EPS", "PPM", "TGA", "ICNS", "PDF"):
        with pytest.raises(UnreadableMediaError):
            fit(saved(quarters(size=(128, 128)), kind), LIMIT)


# --- what becomes a JPEG --------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("BMP", "RGB", {}),
        ("BMP", "P", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "CMYK", {}),
        ("TIFF", "LAB", {}),
        ("JPEG", "CMYK", {"quality": 95}),
        ("AVIF", "RGB", {"quality": 95}),
        ("PNG", "RGBA", {}),
    ],
)
def test_other_pictures_become_jpeg(kind: str, mode: str, options: dict[str, Any]) -> None:
    """What carriers do not take becomes what they do, and looks the same."""
    if mode == "LAB":
        picture = ImageCms.profileToProfile(
            quarters(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
        assert picture is not None
    else:
        picture = quarters(mode)
    fitted = fit(saved(picture, kind, **options), LIMIT)
    assert fitted.mime_type == "image/jpeg"
    result = opened(fitted.content)
    assert (result.format, result.size) == ("JPEG", (64, 32))
    assert result.mode in {"RGB", "L"}
    if mode != "LAB":  # its colours are another matter
        assert_upright(result)


@pytest.mark.parametrize(
    ("mode", "values"), [("LA", (0, 255)), ("L", (0, 255)), ("I;16", (0, 65535)), ("1", (0, 255)), ("I", (0, 65535))]
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_pictures(mode: str, values: tuple[int, int], kind: str) -> None:
    """Grey stays as light as it was, in every form of it."""
    full = (values[1], 255) if mode == "LA" else values[1]
    picture = Image.new(mode, (64, 32), (values[0], 255) if mode == "LA" else values[0])
    picture.paste(full, (32, 0, 64, 32))
    result = opened(fit(saved(picture, kind), LIMIT).content).convert("L")
    assert result.getpixel((10, 10)) < 10
    assert result.getpixel((50, 10)) > 245


def test_sixteen_bits_keep_their_shades() -> None:
    """A deep picture is not burnt out by the conversion."""
    picture = Image.new("I;16", (64, 64), 0x8000)
    fitted = fit(saved(picture, "PNG"), LIMIT)
    assert fitted.mime_type == "image/jpeg"
    assert abs(opened(fitted.content).convert("L").getpixel((9, 9)) - 128) < 3


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_was_transparent_is_white(kind: str) -> None:
    """A phone shows no transparency; black would hide what is drawn."""
    picture = Image.new("RGBA", (64, 32), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 32, 32))
    result = opened(fit(saved(picture, kind), LIMIT).content)
    assert (result.format, result.mode) == ("JPEG", "RGB")
    assert is_near(result.getpixel((10, 16)), RED)
    assert is_near(result.getpixel((54, 16)), WHITE)


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_transparent_colour_is_white(mode: str) -> None:
    """The same where one colour stands for transparency."""
    picture = quarters(mode)
    transparent = picture.getpixel((1, 1))
    result = opened(fit(saved(picture, "PNG", transparency=transparent), LIMIT).content)
    assert result.format == "JPEG"
    assert is_near(result.convert("RGB").getpixel((10, 8)), WHITE)


def test_half_transparent_is_half_white() -> None:
    """And in between."""
    result = opened(fit(saved(Image.new("RGBA", (32, 32), (0, 0, 0, 128)), "PNG"), LIMIT).content)
    assert abs(result.getpixel((9, 9))[0] - 127) < 6


def animation(kind: str, **options: Any) -> bytes:
    frames = [quarters(), Image.new("RGB", (64, 32), RED), Image.new("RGB", (64, 32), BLUE)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=80, loop=0, **options)


def test_an_animated_gif_goes_on_moving() -> None:
    """It keeps its frames and times, and loses what it tells of its maker."""
    content = animation("GIF", comment=SECRET)
    assert SECRET in content
    fitted = fit(content, LIMIT)
    assert fitted.mime_type == "image/gif"
    result = opened(fitted.content)
    assert (result.n_frames, result.info["loop"], result.info["duration"]) == (3, 0, 80)
    assert SECRET not in fitted.content
    for number in range(3):
        result.seek(number)
        before = Image.open(BytesIO(content))
        before.seek(number)
        assert result.convert("RGB").tobytes() == before.convert("RGB").tobytes()


def test_a_gif_that_does_not_fit_becomes_a_still() -> None:
    """Better a still that arrives than nothing."""
    frames = [photo(200, 200, 120) for _ in range(4)]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    fitted = fit(content, 50_000)
    assert len(content) > 50_000 >= len(fitted.content)
    assert fitted.mime_type == "image/jpeg"
    assert opened(fitted.content).size == (200, 200)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_other_animations_become_a_still(kind: str) -> None:
    """Phones play only GIF."""
    fitted = fit(animation(kind), LIMIT)
    assert fitted.mime_type == "image/jpeg"
    assert_upright(opened(fitted.content))


def test_an_animated_png_becomes_a_still() -> None:
    """It stays a PNG, of one frame."""
    fitted = fit(animation("PNG"), LIMIT)
    assert fitted.mime_type == "image/png"
    assert getattr(opened(fitted.content), "n_frames", 1) == 1
    assert b"fdAT" not in fitted.content
    assert_upright(opened(fitted.content))


# --- upright, and nothing told --------------------------------------------------------

TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def as_held(orientation: int, size: tuple[int, int] = (64, 32)) -> Image.Image:
    """The quarters as a sensor sees them that is held that way."""
    turn = TURNED[orientation]
    return quarters(size=size) if turn is None else quarters(size=size).transpose(turn)


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_upright(orientation: int, kind: str) -> None:
    """A picture is turned as its camera was held, since phones do not read how."""
    options = {"quality": 95} if kind in {"JPEG", "AVIF"} else {}
    content = saved(as_held(orientation), kind, exif=exif(orientation).tobytes(), **options)
    fitted = fit(content, LIMIT)
    result = opened(fitted.content)
    assert result.size == (64, 32)
    assert_upright(result)
    assert_plain(fitted.content)


@pytest.mark.parametrize("orientation", TURNED)
def test_upright_and_smaller(orientation: int) -> None:
    """A large one is read at a part of its size."""
    content = saved(as_held(orientation, (1600, 1200)), "JPEG", quality=100, exif=exif(orientation).tobytes())
    content += bytes(60_000)  # over the limit
    fitted = fit(content, 50_000)
    result = opened(fitted.content)
    assert len(fitted.content) <= 50_000
    assert abs(result.width / result.height - 4 / 3) < 0.02
    assert_upright(result)
    assert_plain(fitted.content)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not(orientation: int) -> None:
    """A value that means nothing turns nothing."""
    content = saved(quarters(), "JPEG", quality=95, exif=exif(orientation).tobytes())
    assert_upright(opened(fit(content, LIMIT).content))


def test_broken_exif_is_no_reason_to_refuse() -> None:
    """It goes, as all of it does."""
    for broken in (b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"):
        content = saved(quarters(), "JPEG", quality=95, exif=broken)
        fitted = fit(content, LIMIT)
        assert_upright(opened(fitted.content))
        assert_plain(fitted.content)


def icc() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def told_jpeg(orientation: int = 1, picture: Image.Image | None = None) -> bytes:
    """A JPEG that tells all that it can: place, comment, colours, XMP, thumbnails, unknown things, a film behind it."""
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    content = saved(
        picture or as_held(orientation),
        *("JPEG",),
        quality=95,
        exif=exif(orientation).tobytes(),
        comment=SECRET,
        icc_profile=icc(),
        xmp=xmp[29:],
    )
    thumbnail = saved(quarters(size=(16, 16)), "JPEG")
    extra = b"".join(
        (
            segment(0xE0, b"JFXX\0\x10" + thumbnail),
            segment(0xE2, b"MPF\0" + SECRET),
            segment(0xE5, SECRET),
            segment(0xEB, b"JP\0\x01" + SECRET),
            segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x09" + SECRET + b"\0"),
        )
    )
    return content[:20] + extra + content[20:] + b"\0\0\0\x18ftypmp42" + SECRET + thumbnail


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("limit", [LIMIT, 3_000])
def test_nothing_is_told_by_a_jpeg(orientation: int, limit: int) -> None:
    """Neither place nor words of its maker get out, whatever has to be done to it."""
    content = told_jpeg(orientation)
    assert SECRET in content
    assert GPS in content
    fitted = fit(content, limit)
    assert fitted.mime_type == "image/jpeg"
    assert_upright(opened(fitted.content))
    assert_plain(fitted.content)


def test_a_jpeg_loses_nothing_with_its_metadata() -> None:
    """Its pixels stay as they are."""
    fitted = fit(told_jpeg(), LIMIT)
    assert opened(fitted.content).tobytes() == opened(told_jpeg()).tobytes()


def test_the_thumbnail_in_the_first_header_goes() -> None:
    """A small copy may show what was cut away."""
    content = saved(quarters(), "JPEG")
    assert content[2:4] == b"\xff\xe0"
    pixels = (SECRET * 9)[: 4 * 4 * 3]
    with_thumbnail = content[:2] + segment(0xE0, content[6:18] + b"\x04\x04" + pixels) + content[20:]
    fitted = fit(with_thumbnail, LIMIT)
    assert_plain(fitted.content)
    assert fitted.content == content


@pytest.mark.parametrize("limit", [LIMIT, 2_000])
def test_nothing_is_told_by_several_pictures_in_one(limit: int) -> None:
    """Only the first of them is sent."""
    content = saved(
        quarters(),
        "MPO",
        save_all=True,
        append_images=[quarters(), quarters()],
        exif=exif(1).tobytes(),
        quality=95,
    )
    assert Image.open(BytesIO(content)).format == "MPO"
    fitted = fit(content, limit)
    assert fitted.mime_type == "image/jpeg"
    assert opened(fitted.content).format == "JPEG"
    assert_upright(opened(fitted.content))
    assert_plain(fitted.content)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_nothing_is_told_by_a_png(mode: str) -> None:
    """None of its chunks that may hold words gets out."""
    words = PngImagePlugin.PngInfo()
    words.add_text("comment", SECRET.decode())
    words.add_text("Comment", SECRET.decode(), zip=True)
    words.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{SECRET.decode()}</x:xmpmeta>")
    words.add(b"prVt", SECRET)
    words.add(b"laTe", SECRET, after_idat=True)
    picture = Image.new(mode, (64, 32)) if mode == "I;16" else quarters(mode)
    content = saved(picture, "PNG", pnginfo=words, exif=exif().tobytes(), icc_profile=icc()) + SECRET
    fitted = fit(content, LIMIT)
    assert fitted.mime_type == ("image/png" if mode == "RGB" else "image/jpeg")
    assert_plain(fitted.content)


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "AVIF"])
def test_nothing_is_told_by_others(kind: str) -> None:
    """Neither do those of other kinds."""
    content = saved(quarters(), kind, exif=exif().tobytes(), icc_profile=icc())
    assert_plain(fit(content, LIMIT).content)


def test_nothing_is_told_by_a_gif() -> None:
    """Nor its comments, and what stands behind its end."""
    content = saved(quarters(), "GIF", comment=SECRET)
    xmp = b"!\xff\x0bXMP DataXMP" + bytes((len(SECRET),)) + SECRET + b"\0"
    content = content[:-1] + xmp + b";" + SECRET
    fitted = fit(content, LIMIT)
    assert fitted.mime_type == "image/gif"
    assert SECRET not in fitted.content
    assert_upright(opened(fitted.content))


# --- made to fit ----------------------------------------------------------------------


@pytest.fixture
def encodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all JPEGs that are made on the way."""
    made: list[int] = []
    encoded = fit_module._encoded

    def count(picture: Image.Image, quality: int) -> bytes:
        made.append(len(encoded(picture, quality)))
        return encoded(picture, quality)

    monkeypatch.setattr(fit_module, "_encoded", count)
    return made


@pytest.mark.parametrize("detail", [5, 20, 60, 120])
@pytest.mark.parametrize("limit", [50_000, 300_000, 600_000, 1_000_000])
def test_a_photo_uses_what_it_may(detail: float, limit: int, encodes: list[int]) -> None:
    """It is as good as the limit allows, with few attempts."""
    content = saved(photo(2400, 1800, detail), "JPEG", quality=97)
    assert len(content) > limit
    fitted = fit(content, limit)
    assert limit * 0.85 <= len(fitted.content) <= limit
    assert len(encodes) <= 3
    result = opened(fitted.content)
    assert abs(result.width / result.height - 4 / 3) < 0.01
    # A picture that is soft to begin with is not made small.
    assert result.width * result.height >= limit / 0.35


def test_a_smooth_picture_has_the_best_quality(encodes: list[int]) -> None:
    """There is no loss where there is room."""
    content = saved(Image.radial_gradient("L").resize((3000, 3000)).convert("RGB"), "BMP")
    fitted = fit(content, LIMIT)
    assert len(fitted.content) <= LIMIT
    assert len(fitted.content) >= LIMIT * 0.85 or opened(fitted.content).quantization[0][0] <= 2  # quality 95


def test_noise_under_a_low_limit() -> None:
    """Even what compresses worst is made to fit, and is still to be seen."""
    noise = Image.frombytes("RGB", (2000, 2000), random.Random(1).randbytes(12_000_000))
    for kind in ("PNG", "JPEG"):
        fitted = fit(saved(noise, kind), 50_000)
        assert len(fitted.content) <= 50_000
        assert min(opened(fitted.content).size) >= 64


def test_what_fits_at_no_quality_is_made_smaller(encodes: list[int]) -> None:
    """Size gives way once quality cannot."""
    noise = Image.frombytes("RGB", (400, 400), random.Random(1).randbytes(480_000))
    fitted = fit(saved(noise, "PNG"), 48_000)
    assert min(encodes[:2]) > 48_000
    assert 40_000 < len(fitted.content) <= 48_000
    assert 250 < opened(fitted.content).width < 400


@pytest.mark.parametrize("size", [(1, 1), (30000, 1), (1, 30000), (2, 9000)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "1", "L"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_odd_shapes(size: tuple[int, int], mode: str, kind: str) -> None:
    """A line of pixels is made to fit as well."""
    fitted = fit(saved(Image.new(mode, size, 1), kind), 50_000)
    assert len(fitted.content) <= 50_000
    assert min(opened(fitted.content).size) >= 1
    assert max(opened(fitted.content).size) <= 2048


def test_a_picture_that_cannot_be_made_to_fit() -> None:
    """Where nothing helps, the error says how large it is."""
    content = saved(photo(300, 300), "JPEG")
    with pytest.raises(TooLargeMediaError) as caught:
        fit(content, 300)
    assert caught.value.size == len(content)


def test_a_small_picture_is_not_made_larger() -> None:
    """It stays as it is."""
    assert opened(fit(saved(quarters("RGBA"), "PNG"), LIMIT).content).size == (64, 32)


# --- broken and hostile ---------------------------------------------------------------


def test_a_jpeg_without_its_end() -> None:
    """Some cameras never send it; a browser shows what there is."""
    for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}):
        picture = photo(400, 300)
        content = saved(picture, "JPEG", quality=90, exif=exif(6).tobytes(), **options)
        turned = opened(fit(content, LIMIT).content)
        for lost in (1, 2, 3, 21, 200):
            fitted = fit(content[:-lost], LIMIT)
            assert fitted.mime_type == "image/jpeg"
            assert_plain(fitted.content)
            assert strip(fitted.content).is_cut_off is False
            result = opened(fitted.content)
            assert result.size == (300, 400)
            difference = ImageChops.difference(result, turned)
            assert max(max(band) for band in difference.crop((40, 0, 300, 400)).getextrema()) < 60
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("colour", ["noise", "grey"])
def test_how_much_of_a_jpeg_is_missing(kind: str, colour: str) -> None:
    """Counted in what can be seen: grey is no sign, and a smooth part has few bytes."""
    picture = photo(800, 800) if colour == "noise" else Image.new("RGB", (800, 800), (128, 128, 128))
    content = saved(picture.convert(kind), "JPEG", restart_marker_rows=1)
    rows = [strip(content).content.index(b"\xff\xda"), *(found.start() for found in RESTART.finditer(content))]
    assert len(rows) in {50, 100}
    for missing in (0.04, 0.08):
        fit(content[: rows[-int(len(rows) * missing)]], LIMIT)
    for missing in (0.12, 0.5, 0.9):
        with pytest.raises(CutOffMediaError):
            fit(content[: rows[-int(len(rows) * missing)]], LIMIT)


def test_a_progressive_jpeg_that_is_cut_off_in_a_later_scan_is_all_there() -> None:
    """What only lacks the last details is sent."""
    content = saved(quarters(size=(800, 600)), "JPEG", progressive=True)
    scans = [at for at in range(len(content)) if content[at : at + 2] == b"\xff\xda"]
    result = opened(fit(content[: scans[1] + 12], LIMIT).content)
    assert_upright(result)
    with pytest.raises(CutOffMediaError):
        fit(content[: scans[0] + 20], LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
@pytest.mark.parametrize("size", [(2049, 100), (100, 2049), (3000, 2000)])
def test_no_side_is_longer_than_carriers_take(kind: str, size: tuple[int, int]) -> None:
    """Nor where there are few bytes."""
    content = saved(quarters(size=size), kind)
    assert len(content) < LIMIT
    fitted = fit(content, LIMIT)
    assert fitted.mime_type == "image/jpeg"
    assert max(opened(fitted.content).size) == 2048
    assert_upright(opened(fitted.content))
    longest = saved(quarters(size=(2048, 512)), kind)
    assert opened(fit(longest, LIMIT).content).format == kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.8])
def test_cut_off(kind: str, part: float) -> None:
    """What lacks more is refused: a grey half would help nobody."""
    content = saved(photo(200, 200), kind)
    for limit in (LIMIT, len(content) // 4):
        with pytest.raises(UnreadableMediaError):
            fit(content[: int(len(content) * part)], limit)


def test_a_gif_cut_off_in_its_first_frame() -> None:
    """The same for a GIF."""
    content = saved(photo(200, 200), "GIF")
    with pytest.raises(UnreadableMediaError):
        fit(content[: len(content) // 2], LIMIT)


def png_claim(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")
    )


def tiff_claim(width: int, height: int) -> bytes:
    content = bytearray(saved(Image.new("L", (8, 8)), "TIFF"))
    offset = struct.unpack_from("<I", content, 4)[0]
    for number in range(struct.unpack_from("<H", content, offset)[0]):
        at = offset + 2 + number * 12
        tag = struct.unpack_from("<H", content, at)[0]
        if tag in (256, 257):
            struct.pack_into("<HII", content, at + 2, 4, 1, width if tag == 256 else height)
    return bytes(content)


def jpeg_claim(width: int, height: int, **options: Any) -> bytes:
    content = bytearray(saved(Image.new("RGB", (16, 16)), "JPEG", **options))
    at = content.index(b"\xff\xc2" if options else b"\xff\xc0")
    struct.pack_into(">HH", content, at + 5, height, width)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        png_claim(60000, 60000),
        png_claim(10000, 10000),
        saved(Image.new("L", (7000, 7000)), "PNG"),
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"\x2c" + bytes(9) + b"\x02\x01\x00\x00;",
        tiff_claim(100_000, 100_000),
        tiff_claim(9000, 9000),
        jpeg_claim(65500, 65500),
        jpeg_claim(9000, 9000, progressive=True),
        saved(Image.new("L", (8000, 8000)), "BMP"),
        saved(Image.new("L", (9000, 9000)), "WEBP"),
    ],
    ids=["png", "png claim", "png true", "gif", "tiff", "tiff small", "jpeg", "progressive", "bmp", "webp"],
)
def test_bombs_are_not_unpacked(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that becomes huge is refused by what it says of itself."""
    for module in (ImageFile.ImageFile, Image.Image):
        monkeypatch.setattr(module, "load", lambda self: pytest.fail("it was unpacked"))
    with pytest.raises(UnreadableMediaError):
        fit(content, LIMIT)


def test_a_photo_of_many_pixels_is_no_bomb() -> None:
    """50 and 108 megapixels are what phones do."""
    content = saved(photo(500, 400).resize((8160, 6120)), "JPEG", quality=90)
    assert len(content) > LIMIT
    assert LIMIT * 0.85 <= len(fit(content, LIMIT).content) <= LIMIT


def check(content: bytes, limit: int) -> None:
    """Only what is promised comes out."""
    try:
        fitted = fit(content, limit)
    except UnreadableMediaError, TooLargeMediaError:
        return
    assert 0 < len(fitted.content) <= limit
    assert fitted.mime_type in TAKEN or fitted.mime_type.startswith(("audio/", "video/"))
    if fitted.mime_type.startswith("image/"):
        assert f"image/{opened(fitted.content).format or ''}".lower() == fitted.mime_type


SAMPLES = [
    told_jpeg(6),
    saved(photo(80, 60), "JPEG", progressive=True),
    saved(photo(80, 60).convert("CMYK"), "JPEG"),
    saved(quarters("RGBA"), "PNG"),
    saved(quarters("P"), "PNG"),
    animation("GIF", comment=SECRET),
    animation("WEBP"),
    animation("PNG"),
    saved(quarters(), "WEBP", exif=exif(3).tobytes()),
    saved(quarters(), "BMP"),
    saved(quarters(), "TIFF", compression="tiff_lzw"),
    saved(quarters(), "TIFF", exif=exif(5).tobytes()),
    saved(quarters(), "AVIF"),
    saved(quarters(), "MPO", save_all=True, append_images=[quarters()]),
    b"\0\0\0\x20ftypisom" + bytes(50),
]
STARTS = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"BM", b"II*\0", b"MM\0*"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STARTS), st.binary(max_size=300), st.integers(1, 10_000))
def test_any_bytes(start: bytes, rest: bytes, limit: int) -> None:
    """Whatever bytes come, there is a picture that fits or an error that is meant."""
    check(start + rest, limit)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_damage(data: st.DataObject) -> None:
    """So with any damage to a real picture."""
    content = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["set", "cut", "insert", "remove"])):
            case "set":
                content[at] = data.draw(st.integers(0, 255))
            case "cut":
                del content[at + 1 :]
            case "insert":
                content[at:at] = data.draw(st.binary(min_size=1, max_size=8))
            case _:
                del content[at : at + data.draw(st.integers(1, 8))]
        assume(content)
    check(bytes(content), data.draw(st.integers(200, 20_000)))


def test_a_marker_that_stands_alone_has_no_length() -> None:
    """Such a marker does not lead the parser astray."""
    content = told_jpeg()
    assert (
        strip(content[:2] + b"\xff\x01" + content[2:]).content == content[:2] + b"\xff\x01" + strip(content).content[2:]
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_stripping_any_bytes(data: st.DataObject) -> None:
    """It ends, gives no more than there was, and changes nothing in what it once gave."""
    content = data.draw(st.sampled_from(SAMPLES) | st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary()))
    at = data.draw(st.integers(0, max(0, len(content) - 1)))
    content = content[:at] + data.draw(st.binary(max_size=4)) + content[at:]
    try:
        plain = strip(content)
    except ValueError:
        return
    assert len(plain.content) <= len(content) + 2
    assert strip(plain.content).content == plain.content


@pytest.mark.parametrize("make", [told_jpeg, lambda: animation("PNG"), lambda: animation("GIF")])
def test_stripping_what_is_cut_off(make: Callable[[], bytes]) -> None:
    """It is noticed wherever a file ends too early."""
    plain = strip(make()).content
    last = len(plain) - 5 if plain.endswith(b"IEND\xaeB`\x82") else len(plain) - 1  # a check sum is nobody's loss
    for end in range(13, last):
        with suppress(ValueError):  # there is no picture yet
            assert strip(plain[:end]).is_cut_off, end
    assert strip(plain[: last - 1]).is_cut_off
    assert not strip(plain).is_cut_off
