"""How many SMS a text is billed as, and its plain form where that is cheaper.

The alphabet is that of GSM 03.38 (3GPP TS 23.038), with its extension table.
"""

from collections.abc import Iterable
from typing import Final

_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED: Final = frozenset("\f^{}\\[~]|€")  # each takes the room of two
_GSM_ONE, _GSM_EACH = 160, 153  # characters of a text that fits one SMS, and of each SMS of a longer one
_UCS2_ONE, _UCS2_EACH = 70, 67
_UCS2_LAST = 0xFFFF  # what is beyond takes two units, as emoji do

_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u00a0\u2007\u202f", " "),
        "\u2026": "...",
    }
)


def segments_of(text: str) -> int:
    """Return how many SMS a text is billed as; at least one.

    One character outside the GSM alphabet makes all of them UCS-2. No SMS ends within a character of two units.

    Parameters:
        text: what is sent as type ``sms``.
    """
    if all(char in _GSM or char in _GSM_EXTENDED for char in text):
        return _filled((2 if char in _GSM_EXTENDED else 1 for char in text), _GSM_ONE, _GSM_EACH)
    return _filled((2 if ord(char) > _UCS2_LAST else 1 for char in text), _UCS2_ONE, _UCS2_EACH)


def plain_where_cheaper(text: str) -> str:
    """Return a text with plain quotes, dashes, dots and spaces where it is billed as fewer SMS then; else as it is."""
    plain = text.translate(_PLAIN)
    return plain if plain != text and segments_of(plain) < segments_of(text) else text


def _filled(units: Iterable[int], one: int, each: int) -> int:
    """Return how many SMS characters fill, given the units of each."""
    total, segments, used = 0, 1, 0
    for unit in units:
        total += unit
        if used + unit > each:
            segments, used = segments + 1, 0
        used += unit
    return 1 if total <= one else segments
