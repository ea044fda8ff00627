"""What there is to send of one request, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError

from .account import NetsapiensConfigEntry, NetsapiensData
from .delivery.entry import size_of, size_on_disk
from .delivery.results import SentMessage
from .media.sources import Source
from .media.transcode import KILOBYTE
from .outgoing import Conversation, Media, OutgoingMessage
from .request import SendRequest
from .settings import Settings


@dataclass(slots=True)
class PreparedSend:
    """What was asked of one account, by the rules, and what became of it.

    Attributes:
        account: the account's parts when it was asked.
        settings: the account's options when it was asked.
        attached: the media that is there already.
        sources: where the rest of it is.
        conversations: what each conversation gets; one or more.
        results: each message with what became of it, one conversation after the other.
        lost: why media could not be had.
        refused: why some conversations got nothing, each with whom it is with: somebody opted out.
    """

    entry: NetsapiensConfigEntry
    account: NetsapiensData
    settings: Settings
    request: SendRequest
    attached: Sequence[Media]
    sources: Sequence[Source]
    conversations: Sequence[Conversation]
    results: list[tuple[OutgoingMessage, SentMessage | HomeAssistantError]] = field(default_factory=list)
    lost: list[HomeAssistantError] = field(default_factory=list)
    refused: list[tuple[str, HomeAssistantError]] = field(default_factory=list)

    @property
    def words(self) -> list[OutgoingMessage]:
        """The words to each conversation; empty where there are none."""
        return [one.words for one in self.conversations if one.words is not None]

    @property
    def media(self) -> int:
        """How much media goes with it."""
        return len(self.attached) + len(self.sources)

    @property
    def messages(self) -> int:
        """How many messages it makes at the most."""
        media = self.media
        alone = bool(self.words) and not (media and self.settings.words_with_picture)
        return len(self.conversations) * (media + alone)

    @property
    def keep_for(self) -> timedelta:
        """How long to keep trying: as asked, else as the account's option says."""
        asked = self.request.keep_for
        return self.settings.keep_for if asked is None else asked

    @property
    def most_bytes(self) -> int:
        """How many bytes its messages take on disk at the most, if they have to wait."""
        if not self.media:
            return sum([size_of(message) for message in self.words])
        text = max([message.text for message in self.words], key=len, default="")
        limit = self.settings.mms_limit_kb * KILOBYTE
        media = sum([one.size for one in self.attached]) + len(self.sources) * limit
        return self.messages * size_on_disk(text, 0) + len(self.conversations) * media

    @property
    def current_account(self) -> NetsapiensData:
        """The account's parts now: it may have been reloaded while a picture was loaded."""
        return self.entry.runtime_data if self.entry.state is ConfigEntryState.LOADED else self.account
