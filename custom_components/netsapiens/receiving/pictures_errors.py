"""Why media that came in cannot be had."""

from enum import StrEnum

from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN


class PictureReason(StrEnum):
    """The reasons; each is the key of its translated words.

    Attributes:
        NOT_FOUND: the PBX no longer lists its message.
        ADDRESS: it is at an address that is not read from.
        TOO_LARGE: it has too many bytes.
        KIND: it is no picture, sound, video or contact card.
        UNAVAILABLE: it could not be fetched now.
        NOT_WRITTEN: the disk did not take it.
    """

    NOT_FOUND = "picture_not_found"
    ADDRESS = "picture_address"
    TOO_LARGE = "picture_too_large"
    KIND = "picture_kind"
    UNAVAILABLE = "picture_unavailable"
    NOT_WRITTEN = "picture_not_written"


class PictureError(HomeAssistantError):
    """Media that came in cannot be had.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: PictureReason) -> None:
        super().__init__(translation_domain=DOMAIN, translation_key=reason.value)
        self.reason = reason

    @property
    def may_pass(self) -> bool:
        """Whether another attempt may succeed."""
        return self.reason in {PictureReason.UNAVAILABLE, PictureReason.NOT_WRITTEN}
