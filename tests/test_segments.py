"""What a text costs: how many SMS it is billed as, and the plain form that is cheaper."""

from typing import Any

from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.segments import plain_where_cheaper, segments_of
from tests.conftest import AddAccount
from tests.pictures import PNG_BASE64
from tests.simulator import Simulator

ANN = "18585550123"
QUOTE, DASH, ELLIPSIS, BLANK = "\u201c", "\u2013", "\u2026", "\u00a0"
EMOJI = "\N{GRINNING FACE}"
TEXTS = st.text(st.sampled_from(f"aZ0 \n@€[]~ñ\t{QUOTE}\u2019{DASH}{ELLIPSIS}{BLANK}{EMOJI}\u4e2d"), max_size=400)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 153, 3),  # 76 in each: none is cut in two
        (QUOTE * 70, 1),
        (QUOTE * 71, 2),
        (QUOTE * 134, 2),
        (QUOTE * 135, 3),
        (EMOJI * 35, 1),
        (EMOJI * 36, 2),
        (EMOJI * 67, 3),  # 33 in each
        ("äöüñà ÄÖÜÉ ¿¡ @£$¥ ΔΦΓΛΩΠΨΣΘΞ" + "x" * 130, 1),
        ("ç" + "x" * 69, 1),  # the small one is not in the alphabet
        ("ç" + "x" * 70, 2),
    ],
)
def test_segments(text: str, segments: int) -> None:
    """The limits of one SMS and of several, in both alphabets."""
    assert segments_of(text) == segments


@given(TEXTS)
def test_a_text_is_never_billed_as_more_than_its_parts(text: str) -> None:
    """No text has fewer segments than its length allows, nor more than one for each character."""
    assert len(text) / 160 <= segments_of(text) <= max(1, len(text))
    assert segments_of(text) <= segments_of(text + "a") <= segments_of(text) + 1


@given(TEXTS)
def test_a_plain_text_is_cheaper_or_the_same_text(text: str) -> None:
    """A text is changed only where that saves an SMS."""
    plain = plain_where_cheaper(text)
    assert plain == text or segments_of(plain) < segments_of(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (f"{QUOTE}It\u2019s{BLANK}late{ELLIPSIS}\u201d {DASH} " + "x" * 60, '"It\'s late..." - ' + "x" * 60),
        (f"{QUOTE}short\u201d", f"{QUOTE}short\u201d"),
        (EMOJI + QUOTE + "x" * 70, EMOJI + QUOTE + "x" * 70),
        (ELLIPSIS * 67, ELLIPSIS * 67),  # 201 plain dots need two
    ],
)
def test_plain_characters(text: str, plain: str) -> None:
    """Quotes, dashes, dots and blanks become plain where that is cheaper."""
    assert plain_where_cheaper(text) == plain


async def _send(hass: HomeAssistant, **data: Any) -> list[Any]:
    answer = await hass.services.async_call(
        "netsapiens", "send_message", {"destination": ANN, **data}, blocking=True, return_response=True
    )
    assert answer is not None
    return answer["messages"]  # type: ignore[return-value]


async def test_rows_say_how_many_segments_a_text_has(hass: HomeAssistant, pbx: Simulator, entry: Any) -> None:
    """An SMS has them; an MMS and a chat do not."""
    rows = await _send(hass, message="a" * 161, data=PNG_BASE64, mime_type="image/png")
    assert [(row["message_type"], row["segments"]) for row in rows] == [("sms", 2), ("mms", None)]
    (row,) = await _send(hass, destination="1002", message="a" * 161)
    assert (row["message_type"], row["segments"]) == ("chat", None)


async def test_the_limits_as_a_row_says_them(hass: HomeAssistant, pbx: Simulator, entry: Any) -> None:
    """What goes out is counted, as the PBX gets it: one SMS up to the limit of its alphabet, two beyond."""
    for character, most in (("a", 160), ("€", 80), (QUOTE, 70), (EMOJI, 35)):
        for text, segments in ((character * most, 1), (character * (most + 1), 2)):
            (row,) = await _send(hass, message=text)
            assert (pbx.messages[-1].text, row["segments"]) == (text, segments)


@pytest.mark.parametrize(
    ("options", "sent", "segments"),
    [
        ({}, QUOTE * 71, 2),
        ({"plain_characters": True}, '"' * 71, 1),
        ({"plain_characters": True, "picture_text": "together"}, '"' * 71, 1),
    ],
)
async def test_the_option_for_plain_characters(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, options: dict[str, Any], sent: str, segments: int
) -> None:
    """It changes what goes out where that is cheaper, and nothing that goes with a picture or is a chat."""
    await add_account(options={"from_number": pbx.numbers[0], **options})
    (row,) = await _send(hass, message=QUOTE * 71)
    assert (pbx.messages[-1].text, row["segments"]) == (sent, segments)
    await _send(hass, message=QUOTE * 70)
    assert pbx.messages[-1].text == QUOTE * 70
    await _send(hass, destination="1002", message=QUOTE * 71)
    assert pbx.messages[-1].text == QUOTE * 71
    if options.get("picture_text") == "together":
        await _send(hass, message=QUOTE * 71, data=PNG_BASE64, mime_type="image/png")
        assert pbx.messages[-1].text == QUOTE * 71
