"""The card counts SMS as the integration does."""

import base64
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
import random

from playwright.async_api import Browser

FOLDER = Path(__file__).parents[2] / "custom_components" / "netsapiens"
CARD = (FOLDER / "frontend" / "netsapiens-conversation-card.js").read_bytes()
QUOTE, DASH, DOTS, BLANK, EMOJI = "\u201c", "\u2013", "\u2026", "\u00a0", "\N{GRINNING FACE}"
TABLE = [
    "",
    *("a" * count for count in (160, 161, 306, 307)),
    *("€" * count for count in (80, 81, 153)),
    *("^{}\\[~]|\f" * count for count in (8, 9, 17, 18)),
    *(QUOTE * count for count in (70, 71, 134, 135)),
    *(EMOJI * count for count in (35, 36, 67)),
    "äöüñà ÄÖÜÉ ¿¡ @£$¥ ΔΦΓΛΩΠΨΣΘΞ" + "x" * 130,
    *("ç" + "x" * count for count in (69, 70)),
    DOTS * 70 + "a",
    f"{QUOTE}No{DASH}no{DOTS}{BLANK}" * 20,
]
ALPHABET = f"aZ0 \n@€[]~ñ\té{QUOTE}\u2019{DASH}{DOTS}{BLANK}{EMOJI}\u4e2d\u2212\x1b"


async def test_the_card_counts_as_the_integration_does(browser: Browser) -> None:
    """For texts at every limit, and a thousand made at random, whether they are made plain or not."""
    spec = spec_from_file_location("segments", FOLDER / "segments.py")
    assert spec is not None
    assert spec.loader is not None
    segments = module_from_spec(spec)
    spec.loader.exec_module(segments)
    made = random.Random(1)
    texts = TABLE + ["".join(made.choices(ALPHABET, k=made.randrange(400))) for _ in range(1000)]
    texts += ["".join(made.choices("aZ€[", k=made.randrange(400))) for _ in range(200)]  # of the GSM alphabet alone
    page = await browser.new_page()
    url = f"data:text/javascript;base64,{base64.b64encode(CARD).decode()}"
    counted = await page.evaluate(
        """async ([url, texts]) => {
          const { segmentsOf } = await import(url);
          return texts.map((text) => [segmentsOf(text, false), segmentsOf(text, true)]);
        }""",
        [url, texts],
    )
    expected = [[segments.segments_of(one), segments.segments_of(segments.plain_where_cheaper(one))] for one in texts]
    wrong = [
        (text, shown, right) for text, shown, right in zip(texts, counted, expected, strict=True) if shown != right
    ]
    assert wrong == []
