"""What there is to report of messages: at once, soon, or when somebody listens."""

import asyncio
from copy import replace

import pytest

from custom_components.netsapiens.delivery.held_reports import HeldReports
from custom_components.netsapiens.outgoing import OutgoingMessage

SOON = 0.05  # seconds
MESSAGE = OutgoingMessage(("18585550123",), "sms", "Hi", "18585550199", "h" * 40, None, None, "…0123")


@pytest.fixture
async def reports() -> HeldReports:
    """Reports that nobody listens to yet."""
    return HeldReports(lambda _entry: None, SOON)


async def test_a_message_to_a_number_is_reported_soon(reports: HeldReports) -> None:
    """It is only counted, so the next message goes first; all that were sent meanwhile come together, in order."""
    heard: list[str] = []
    reports.listen_sent(lambda message: heard.append(message.text))
    for text in ("One", "Two"):
        reports.sent(replace(MESSAGE, text=text), at_once=False)
    assert heard == []
    await asyncio.sleep(SOON * 2)
    assert heard == ["One", "Two"]


@pytest.mark.parametrize(
    ("waited_for", "is_waiting"), [({"recipient_id": "ann"}, False), ({"reference": "question"}, False), ({}, True)]
)
async def test_what_is_waited_for_is_reported_at_once(
    reports: HeldReports, waited_for: dict[str, str], is_waiting: bool
) -> None:
    """An entity shows when its recipient was texted, a question's time begins, and a card showed it as waiting.

    What came before goes with it.
    """
    heard: list[str] = []
    reports.listen_sent(lambda message: heard.append(message.text))
    reports.sent(MESSAGE, at_once=False)
    reports.sent(replace(MESSAGE, text="Waited for", **waited_for), at_once=is_waiting)
    assert heard == ["Hi", "Waited for"]
    await asyncio.sleep(SOON * 2)
    assert heard == ["Hi", "Waited for"]


async def test_nothing_is_lost_over_a_reload(reports: HeldReports) -> None:
    """What was to be reported soon is reported before nobody listens; what is sent meanwhile, once somebody does."""
    before: list[str] = []
    after: list[str] = []
    reports.listen_sent(lambda message: before.append(message.text))
    reports.sent(replace(MESSAGE, text="Before"), at_once=False)
    reports.hold()
    assert before == ["Before"]
    reports.sent(replace(MESSAGE, text="Between"), at_once=False)
    reports.sent(replace(MESSAGE, text="Between, too", recipient_id="ann"), at_once=False)
    await asyncio.sleep(SOON * 2)
    assert before == ["Before"]
    reports.listen_sent(lambda message: after.append(message.text))
    assert after == ["Between", "Between, too"]
