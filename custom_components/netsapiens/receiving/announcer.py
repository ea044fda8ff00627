"""What lets the PBX announce messages by itself: the interface that the live connection and push share."""

from abc import ABC, abstractmethod

from homeassistant.core import callback

from .received import ReceivedMessage


class Announcer(ABC):
    """Has the PBX announce messages, each of which is a reason to poll and nothing else."""

    @property
    @abstractmethod
    def is_proven(self) -> bool:
        """Whether the PBX is known to announce messages, so that polling may be seldom."""

    @property
    @abstractmethod
    def diagnostics(self) -> dict[str, int | str]:
        """What helps to find a fault."""

    @abstractmethod
    @callback
    def async_start(self) -> None:
        """Begin."""

    @abstractmethod
    async def async_stop(self) -> None:
        """End; what the PBX was asked to do may stay, as this may be a restart."""

    @abstractmethod
    @callback
    def async_check(self) -> None:
        """Take over the account's options and Home Assistant's own URL, which may have changed."""

    @abstractmethod
    @callback
    def async_found(self, received: ReceivedMessage) -> None:
        """Learn that a poll found a message."""

    @abstractmethod
    @callback
    def async_text_went_out(self) -> None:
        """Learn that a text of ours went out, which may be announced as well."""
