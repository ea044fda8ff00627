"""What media is, by its bytes and by what the PBX says of it."""

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.media_kinds import ENDINGS, HEAD, is_picture, kind_of, may_be_media
from tests.pictures import RED, picture


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (RED, "image/jpeg"),
        (picture("red", "PNG"), "image/png"),
        (picture("red", "GIF"), "image/gif"),
        (picture("red", "WEBP"), "image/webp"),
        (picture("red", "TIFF"), "image/tiff"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "image/heic"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "image/avif"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4"),
        (b"\0\0\0\x18ftyp3gp4\0\0\0\0", "video/3gpp"),
        (b"#!AMR\n\0", "audio/amr"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"XXXX\0\0\0\0WAVEfmt ", None),
        (b"BEGIN:VCARD\r\nVERSION:3.0", "text/vcard"),
        (b"<html><script>alert(1)</script>", None),
        (b"  <svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"<?xml version='1.0'?><svg/>", None),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_a_kind_by_its_bytes(content: bytes, kind: str | None) -> None:
    """What a browser would run, and what is unknown, is no kind at all."""
    assert kind_of(content) == kind


@given(st.binary(max_size=3 * HEAD))
def test_a_kind_shows_in_the_first_bytes(content: bytes) -> None:
    """The head is enough, every kind has an ending, and none is one that a browser runs."""
    kind = kind_of(content)
    assert kind_of(content[:HEAD]) == kind
    assert kind is None or kind in ENDINGS
    assert kind not in {"text/html", "image/svg+xml"}


@pytest.mark.parametrize(
    ("declared", "may"),
    [
        ("", True),
        ("image/jpeg", True),
        ("IMAGE/PNG; name=x", True),
        ("audio/amr", True),
        ("video/3gpp", True),
        ("text/x-vCard", True),
        ("application/octet-stream", True),
        ("text/html", False),
        ("image/svg+xml", False),
        ("Image/SVG", False),
        ("application/xhtml+xml", False),
        ("application/smil", False),
        ("text/plain", False),
    ],
)
def test_what_the_pbx_says(declared: str, may: bool) -> None:
    """HTML and SVG have no id."""
    assert may_be_media(declared) is may


def test_pictures() -> None:
    """Sound, video and contact cards are none."""
    assert [kind for kind in ENDINGS if is_picture(kind)] == [kind for kind in ENDINGS if kind.startswith("image/")]
