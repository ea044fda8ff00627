"""What an account's entry holds. Storage that was edited or restored by hand may hold anything."""

from collections.abc import Mapping
from datetime import timedelta
import math
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_WEBHOOK_ID

from .api import NetsapiensURLError, normalise_base_url
from .const import (
    CONF_CLOUDHOOK_URL,
    CONF_FROM_NUMBER,
    CONF_HOURLY_LIMIT,
    CONF_INCOMING,
    CONF_KEEP_UNDELIVERED,
    CONF_LIVE_URL,
    CONF_MMS_LIMIT,
    CONF_OPT_OUT,
    CONF_PICTURE_TEXT,
    CONF_PLAIN_CHARACTERS,
    CONF_SAVE_PICTURES,
    DEFAULT_HOURLY_LIMIT,
    DEFAULT_KEEP_UNDELIVERED,
    DEFAULT_MMS_LIMIT,
    INCOMING_LIVE,
    INCOMING_OFF,
    INCOMING_POLL,
    INCOMING_PUSH,
    PICTURE_TEXT_SEPARATE,
    PICTURE_TEXT_TOGETHER,
    SAVE_EVERYBODY,
    SAVE_NOBODY,
    SAVE_RECIPIENTS,
)

# The least and the most that the options' form takes.
KEEP_UNDELIVERED_RANGE = (0, 7 * 24 * 60)  # minutes
HOURLY_LIMIT_RANGE = (0, 100_000)  # texts
MMS_LIMIT_RANGE = (50, 5000)  # kB


class Settings(NamedTuple):
    """An account's options. What cannot be read has its default.

    Attributes:
        from_number: the number to send from, as it is kept; None where there is none.
        incoming: ``live``, ``poll``, ``push`` or ``off``.
        live_url: the address of the PBX's live server, normalised; None where it is to be found.
        keep_undelivered: how long to keep trying, in minutes.
        hourly_limit: how many texts an hour are taken; 0 = any.
        mms_limit_kb: how large media may be.
        picture_text: ``separate`` or ``together``.
        opt_out: whether people can opt out of texts.
        plain_characters: whether a text gets plain quotes and dashes where that makes it cheaper.
        save_pictures: whose media that comes in is kept: ``recipients``, ``everybody`` or ``nobody``.
        damaged: the names of the options that cannot be read.
    """

    from_number: str | None = None
    incoming: str = INCOMING_LIVE
    live_url: str | None = None
    keep_undelivered: float = DEFAULT_KEEP_UNDELIVERED
    hourly_limit: int = DEFAULT_HOURLY_LIMIT
    mms_limit_kb: int = DEFAULT_MMS_LIMIT
    picture_text: str = PICTURE_TEXT_SEPARATE
    opt_out: bool = True
    plain_characters: bool = False
    save_pictures: str = SAVE_RECIPIENTS
    damaged: tuple[str, ...] = ()

    @property
    def keep_for(self) -> timedelta:
        """How long to keep trying."""
        return timedelta(minutes=self.keep_undelivered)

    @property
    def words_with_picture(self) -> bool:
        """Whether the first picture carries the words."""
        return self.picture_text == PICTURE_TEXT_TOGETHER


_READ: WeakKeyDictionary[ConfigEntry, tuple[Mapping[str, Any], Settings]] = WeakKeyDictionary()


def read_settings(entry: ConfigEntry) -> Settings:
    """Return an account's options, which are read anew when they have changed: each message asks several times."""
    options, settings = _READ.get(entry, (None, None))
    if settings is None or options is not entry.options:
        settings = _read(entry.options)
        _READ[entry] = entry.options, settings
    return settings


def _read(from_entry: Mapping[str, Any]) -> Settings:
    """Return the options that an entry holds."""
    options = _Options(from_entry)
    return Settings(
        from_number=options.text(CONF_FROM_NUMBER),
        incoming=options.choice(CONF_INCOMING, (INCOMING_LIVE, INCOMING_POLL, INCOMING_PUSH, INCOMING_OFF)),
        live_url=options.address(CONF_LIVE_URL),
        keep_undelivered=options.number(CONF_KEEP_UNDELIVERED, KEEP_UNDELIVERED_RANGE, DEFAULT_KEEP_UNDELIVERED),
        hourly_limit=int(options.number(CONF_HOURLY_LIMIT, HOURLY_LIMIT_RANGE, DEFAULT_HOURLY_LIMIT)),
        mms_limit_kb=int(options.number(CONF_MMS_LIMIT, MMS_LIMIT_RANGE, DEFAULT_MMS_LIMIT)),
        picture_text=options.choice(CONF_PICTURE_TEXT, (PICTURE_TEXT_SEPARATE, PICTURE_TEXT_TOGETHER)),
        opt_out=options.flag(CONF_OPT_OUT, default=True),
        plain_characters=options.flag(CONF_PLAIN_CHARACTERS, default=False),
        save_pictures=options.choice(CONF_SAVE_PICTURES, (SAVE_RECIPIENTS, SAVE_EVERYBODY, SAVE_NOBODY)),
        damaged=tuple(options.damaged),
    )


class _Options:
    """Reads options one by one.

    Attributes:
        damaged: the names of those that could not be read.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self.damaged: list[str] = []

    def text(self, key: str) -> str | None:
        """Return a text; None where there is none."""
        value = self._options.get(key)
        if value is None or isinstance(value, str):
            return value or None
        self.damaged.append(key)
        return None

    def address(self, key: str) -> str | None:
        """Return an address, normalised; None where there is none."""
        text = self.text(key)
        try:
            return normalise_base_url(text) if text else None
        except NetsapiensURLError:
            self.damaged.append(key)
            return None

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Return one of several words; the first one where there is none."""
        value = self._options.get(key, choices[0])
        if isinstance(value, str) and value in choices:
            return value
        self.damaged.append(key)
        return choices[0]

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a yes or no; the default where there is none."""
        value = self._options.get(key, default)
        if isinstance(value, bool):
            return value
        self.damaged.append(key)
        return default

    def number(self, key: str, within: tuple[int, int], default: float) -> float:
        """Return a number; the default where there is none."""
        value = self._options.get(key, default)
        if _is_number(value) and within[0] <= value <= within[1]:
            return float(value) if isinstance(value, float) and not value.is_integer() else int(value)
        self.damaged.append(key)
        return default


def _is_number(value: object) -> bool:
    """Whether a value is a number that can be counted with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def webhook_id_of(data: Mapping[str, Any]) -> str | None:
    """Return the id of an account's webhook; None where it has none.

    Parameters:
        data: an entry's.
    """
    return _text_in(data, CONF_WEBHOOK_ID)


def cloudhook_url_of(data: Mapping[str, Any]) -> str | None:
    """Return the address of an account's cloudhook; None where it has none.

    Parameters:
        data: an entry's.
    """
    return _text_in(data, CONF_CLOUDHOOK_URL)


def _text_in(data: Mapping[str, Any], key: str) -> str | None:
    """Return a text of an entry's data; None where it holds none."""
    value = data.get(key)
    return value if isinstance(value, str) and value else None
