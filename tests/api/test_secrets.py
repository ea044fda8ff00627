"""A PBX that says back all that it was told, in every spelling: none of it comes out again.

That nothing does in all other tests either is seen to by the fixture ``watch``.
"""

from collections.abc import Callable
import html
import json
import logging
from urllib.parse import quote

import pytest

from custom_components.netsapiens.api import (
    MessageAPI,
    NetsapiensAPI,
    NetsapiensAuthError,
    NetsapiensRequestError,
)
from custom_components.netsapiens.api.answers import Answer, reason_of
from tests.simulator import FaultKind, Simulator

from .conftest import MESSAGE, NUMBER, OUTSIDE, PASSWORD, SECRET, SESSION, Fails, Watch, sms

SPELLINGS: list[Callable[[str], str]] = [
    str,
    json.dumps,
    lambda text: json.dumps(text, ensure_ascii=False),
    html.escape,
    quote,
    lambda text: " ".join(text.split()),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_everything_is_said_back(
    pbx: Simulator, api: NetsapiensAPI, fails: Fails, spelling: Callable[[str], str]
) -> None:
    """A PBX that repeats all that it got, in any spelling, gets none of it into an error or the log."""
    token = await api.get_token()
    private = [MESSAGE, PASSWORD, SECRET, NUMBER, OUTSIDE, token["access_token"], token["refresh_token"]]
    words = "Refused: " + " and ".join(spelling(text) for text in private)
    for body in (json.dumps({"code": 400, "message": words}), words):
        pbx.fault(FaultKind.BODY, path=SESSION, status=400, body=body)
        with fails(NetsapiensRequestError) as caught:
            await MessageAPI(api).send_message(**sms(messagesession=SESSION))
        assert caught.value.reason == ""  # type: ignore[attr-defined]
        assert str(caught.value) == "400"


async def test_numbers_are_said_back(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """Numbers in a refusal are shortened."""
    await api.get_token()
    pbx.fault(FaultKind.STATUS, path=SESSION, code=400, message=f"Not from {NUMBER} to {OUTSIDE}")
    with fails(NetsapiensRequestError) as caught:
        await MessageAPI(api).send_message(**sms(messagesession=SESSION))
    assert caught.value.reason == "Not from …0199 to …0123"  # type: ignore[attr-defined]


async def test_a_call_that_is_not_there_is_known_by_words_that_are_not_shown(
    pbx: Simulator, api: NetsapiensAPI, fails: Fails
) -> None:
    """What a call is known by is read before it is shortened."""
    await api.get_token()
    pbx.fault(FaultKind.STATUS, path=SESSION, code=404, message="No Route Found [92]")
    with fails(NetsapiensRequestError) as caught:
        await MessageAPI(api).send_message(**sms(messagesession=SESSION, message="no route found to the house"))
    assert caught.value.reason == ""  # type: ignore[attr-defined]
    assert caught.value.unknown_route  # type: ignore[attr-defined]


async def test_tokens_are_said_back_by_the_token_call(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """Neither the password nor a token gets out by the call that deals with them."""
    token = await api.get_token()
    words = f"Bad: {PASSWORD} {SECRET} {token['refresh_token']} {token['access_token']}"
    pbx.fault(FaultKind.OAUTH_ERROR, description=words)
    pbx.fault(FaultKind.OAUTH_ERROR, description=words)
    with fails(NetsapiensAuthError) as caught:
        await api.get_token(min_left=float("inf"))
    assert str(caught.value) == "the credentials were refused"


async def test_the_whole_request_is_said_back(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """As some servers do that print what they could not parse."""
    await api.get_token()
    pbx.fault(FaultKind.STATUS, path=SESSION, code=503)
    with pytest.raises(Exception):  # noqa: B017
        await MessageAPI(api).send_message(**sms(messagesession=SESSION))
    body = json.dumps(pbx.requests[-1].body, ensure_ascii=False, separators=(",", ":"))
    pbx.fault(FaultKind.BODY, path=SESSION, status=400, body=f"cannot parse '{body}'", content_type="text/plain")
    with fails(NetsapiensRequestError) as caught:
        await MessageAPI(api).send_message(**sms(messagesession=SESSION))
    assert str(caught.value) == "400"


async def test_media_is_said_back(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """Neither does what was attached."""
    data = "SGVsbG8gV29ybGQh"
    pbx.fault(FaultKind.STATUS, path=SESSION, code=400, message=f"Invalid data: {data}")
    with fails(NetsapiensRequestError) as caught:
        await MessageAPI(api).send_message(
            **sms(message_type="mms", data=data, mime_type="image/png", messagesession=SESSION)
        )
    assert caught.value.reason == ""  # type: ignore[attr-defined]


async def test_logs_are_written(pbx: Simulator, api: NetsapiensAPI, caplog: pytest.LogCaptureFixture) -> None:
    """There is something to watch, and it holds no number even where one stands in a path."""
    with caplog.at_level(logging.DEBUG, "custom_components.netsapiens"):
        pbx.fault(FaultKind.BODY, path=NUMBER, body="{}")
        await api.request("GET", f"domains/~/smsnumbers/{NUMBER}")
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("api.transport")]
    assert [line.partition(" took ")[0] for line in lines] == ["POST tokens", "GET …"]


def test_the_watch_sees(watch: Watch) -> None:
    """The check of these tests finds what it is to find."""
    for text in (MESSAGE, PASSWORD, NUMBER, "+1 (858) 555-0123", "0123456789abcdef" * 2, json.dumps(MESSAGE)):
        watch.texts = [f"x {text}"]
        with pytest.raises(AssertionError):
            watch.check()
    watch.texts = ["…0123"]
    watch.check()


async def test_nothing_in_reprs(api: NetsapiensAPI) -> None:
    """As a debugger or a crash report prints them."""
    token = await api.get_token()
    shown = " ".join(map(repr, (api, api._tokens.newest, api._transport, Answer(200, token, True, False, None))))
    for secret in (PASSWORD, SECRET, token["access_token"], token["refresh_token"]):
        assert secret not in shown


@pytest.mark.parametrize(
    ("words", "private", "shown"),
    [
        ("plain", [], "plain"),
        ("Call +1 (858) 555-0123 now", [], "Call +…0123 now"),
        ("18585550123", [], "…0123"),
        ("858.555.0123", [], "…0123"),
        ("12345 and 1234", [], "…2345 and 1234"),
        ("٣٣٣٣٣٣", [], "…٣٣٣٣"),
        ("No Route Found [92]", [], "No Route Found [92]"),
        ("tabs\tand\nlines\x00and\u202e\ud83d", [], "tabs and lines and"),
        ("x" * 300, [], "x" * 200 + "…"),
        ("x" * 5000, [], ""),
        ("Hi is a bad message; this one", ["Hi"], ""),
        ("Say a", ["a", "", " "], ""),
        ("abcdef abcd", ["abcd", "abcdef"], ""),
        ("what .* is", [".*"], ""),
        ("Say nothing", ["a", "", " "], "Say nothing"),
        ("x" * 190 + "secret-word", ["secret-word"], ""),
    ],
)
def test_reason(words: str, private: list[str], shown: str) -> None:
    """Of what a PBX says, words are shown wherever they stand, and secrets never."""
    for data in (words, {"message": words}, [{"error": words}], {"message": " ", "error": words}):
        assert reason_of(Answer(400, data, not isinstance(data, str), False, None), private) == shown


def test_pages_are_not_shown() -> None:
    """A page of a proxy is no reason that a person could read."""
    assert reason_of(Answer(400, "<p>words</p>", False, True, None)) == ""
