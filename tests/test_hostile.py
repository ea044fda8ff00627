"""Whatever is put into an action arrives byte for byte, or is refused with a reason."""

from contextlib import suppress
import json
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol
from yarl import URL

from custom_components.netsapiens import sending as sending_module
from custom_components.netsapiens.const import DOMAIN
from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming
from custom_components.netsapiens.request import SendRequest, is_visible
from custom_components.netsapiens.sending import async_send
from tests.simulator import Simulator

ANN = "18585550123"
TEXT = st.characters(exclude_categories=["Cs"])
FIELDS = ("type", "message", "destination", "from-number", "data", "mime-type", "size")


@pytest.fixture(autouse=True)
def _no_rate_limit(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    hass.data[THROTTLE_TIMING] = ThrottleTiming(rate=RateLimit(per_second=10_000.0))
    monkeypatch.setattr(sending_module, "check_limit", lambda *_: None)


async def send(hass: HomeAssistant, **data: Any) -> Any:
    """Call the action."""
    return await hass.services.async_call(DOMAIN, "send_message", data, blocking=True, return_response=True)


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦 é é \u202eright to left\u202c \u200f",
        "x" * 10_000,
        "\u0000\u0001\u001b[31m\u007f\r\n\t",
        '", "from-number": "18585550100", "x": "',
        "../../../tokens?x=1#y",
        "</script><script>alert(1)</script>",
        "{{ states('sensor.x') }} %s %(a)s {0}",
        "\ufeffBOM \ufffe \U0010ffff",
        " leading and trailing ",
    ],
)
async def test_texts_arrive_byte_for_byte(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, text: str
) -> None:
    """Whatever a text looks like, it is a text."""
    await send(hass, destination=ANN, message=text)
    [message] = pbx.messages
    assert message.text == text
    body = pbx.requests_to("/messages")[-1].body
    assert set(body) == {"type", "message", "destination", "from-number"}
    assert body["destination"] == ANN


async def test_half_a_character_is_refused(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """It could not be written as JSON."""
    # Not through the action: Home Assistant's log of the call could not be passed on to the test's report.
    with pytest.raises(HomeAssistantError) as raised:
        await async_send(hass, [(entry, SendRequest(destinations=[ANN], message="half \ud83d"))])
    assert raised.value.translation_key == "invalid_text"
    assert pbx.messages == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.text(TEXT), title=st.text(TEXT))
async def test_any_text(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, message: str, title: str) -> None:
    """Whatever is sent arrives as it is, or is refused as nothing to see."""
    pbx.messages.clear()
    text = "\n".join(part for part in (title, message) if is_visible(part))  # tests/test_messages.py has what that is
    if text:
        await send(hass, destination=ANN, message=message, title=title)
        assert [sent.text for sent in pbx.messages] == [text]
        return
    with pytest.raises(HomeAssistantError) as raised:
        await send(hass, destination=ANN, message=message, title=title)
    assert raised.value.translation_key == "nothing_to_send"
    assert pbx.messages == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from(["destination", "from_number", "messagesession", "message_type", "mime_type", "data"]),
    value=st.text() | st.sampled_from(["~", "*", "a" * 31 + "/", "a" * 32 + "/../x", "1001@other", "%2e%2e%2f" * 8]),
)
async def test_no_field_changes_the_path_or_adds_to_the_body(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, field: str, value: str
) -> None:
    """No value leads a request elsewhere, or smuggles a field into it."""
    before = len(pbx.requests)
    with suppress(HomeAssistantError, vol.Invalid):
        await send(hass, **{"destination": ANN, "message": "Hi", field: value})
    conversations = "/ns-api/v2/domains/acme.example/users/1001/messagesessions"
    for record in pbx.requests[before:]:
        if record.method == "GET":
            assert record.path == conversations  # asked whether an ambiguous number has texted us
            continue
        assert record.path.startswith(f"{conversations}/")
        assert record.path.count("/") == 9
        assert record.path.endswith("/messages")
        assert set(record.body) <= set(FIELDS)
        json.dumps(record.body)


async def test_no_cookie_is_kept(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Two accounts at one host would share it."""
    session = entry.runtime_data.coordinator.api._transport._session
    session.cookie_jar.update_cookies({"session": "of another"}, URL(pbx.url))
    assert not session.cookie_jar.filter_cookies(URL(pbx.url))
    assert session is not async_get_clientsession(hass)
