"""Pictures to send, and what arrived of them."""

import base64
from io import BytesIO
from typing import Any

from PIL import Image

from tests.simulator import Simulator

CAMERA = "media-source://camera/camera.door"
IMAGE = "media-source://image/image.map"


def picture(colour: str, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    """The bytes of a picture in one colour."""
    buffer = BytesIO()
    Image.new(mode, (64, 48), colour).save(buffer, kind)
    return buffer.getvalue()


RED, BLUE, GREEN = picture("red"), picture("blue"), picture("green")


def picked(name: str, kind: str = "image/jpeg") -> dict[str, Any]:
    """What the media selector gives."""
    return {"media_content_id": name, "media_content_type": kind, "metadata": {"title": "x", "navigateIds": [{}]}}


def arrived(pbx: Simulator) -> list[bytes | None]:
    """The pictures that the PBX got, in order."""
    return [message.media for message in pbx.messages]


PNG_BASE64 = base64.b64encode(picture("red", "PNG")).decode()
