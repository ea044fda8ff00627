"""What media is, by its first bytes. What somebody says of it does not count."""

from typing import Final

HEAD: Final = 32  # bytes that are enough to know it

# Offset, bytes, kind; the first that fits. HTML and SVG are none of them, since a browser would run them.
_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    *((4, b"ftyp" + brand, "image/avif") for brand in (b"avif", b"avis")),
    *((4, b"ftyp" + brand, "image/heic") for brand in (b"hei", b"hev", b"mif", b"msf")),
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
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp3g", "video/3gpp"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftypcrx", "image/x-canon-cr3"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"BEGIN:VCARD", "text/vcard"),
)
_RIFF: Final = {"image/webp", "audio/wav"}

# By kind, the endings of files.
ENDINGS: Final = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/tiff": "tiff",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/x-canon-cr3": "cr3",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/amr": "amr",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "video/3gpp": "3gp",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "text/vcard": "vcf",
}

# What the PBX may say of media that can be one of these: it often says little.
_MAY_BE: Final = ("image/", "audio/", "video/", "text/vcard", "text/x-vcard", "text/directory", "application/ogg")
_SAYS_NOTHING: Final = {"", "application/octet-stream", "binary/octet-stream"}
_NEVER: Final = ("image/svg",)


def kind_of(content: bytes | bytearray) -> str | None:
    """Return the MIME type of a picture, sound, video or contact card; None where it is none.

    Parameters:
        content: its first bytes, ``HEAD`` of them or all.
    """
    for at, mark, kind in _SIGNATURES:
        if content[at : at + len(mark)] == mark and (kind not in _RIFF or content[:4] == b"RIFF"):
            return kind
    return None


def is_picture(kind: str) -> bool:
    """Whether media of a kind is a picture."""
    return kind.startswith("image/")


def may_be_media(declared: str) -> bool:
    """Whether what the PBX says of media lets it be a picture, sound, video or contact card.

    Parameters:
        declared: the MIME type as the PBX gives it, maybe with parameters; may be empty.
    """
    kind = declared.partition(";")[0].strip().lower()
    return kind in _SAYS_NOTHING or (kind.startswith(_MAY_BE) and not kind.startswith(_NEVER))
