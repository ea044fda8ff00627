"""Whatever a PBX answers becomes plain objects, or one of our own errors."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
import json
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.api import (
    Account,
    Message,
    MessageSession,
    NetsapiensError,
    NetsapiensServerError,
    SmsNumber,
    tokens as tokens_module,
)
from custom_components.netsapiens.api.answers import (
    Answer,
    _loads_by_rows,
    _parse,
    check,
    http_date,
    reason_of,
    retry_after_of,
)
from custom_components.netsapiens.api.models import MESSAGE_KEYS, NUMBER_KEYS, SESSION_KEYS, version_of
from custom_components.netsapiens.api.values import as_flag, as_text, as_time, as_words, number_of, rows, same_number

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=40)  # lone surrogates included
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | ANY_TEXT
    | st.sampled_from(["18585550100", "2026-01-02 03:04:05", "0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59", "4e2"])
)
KEYS = st.sampled_from(
    [
        *("id", "timestamp", "datetime", "type", "direction", "text", "from-number", "from-user-id", "dialed"),
        *("messagesession-id", "media-type", "file-access-url", "file-access-url ", "messagesession-participants"),
        *("messagesession-remote", "messagesession-sms-number", "messagesession-last-datetime"),
        *("messagesession-last-timestamp", "messagesession-last-message", "messagesession-last-sender"),
        *("number", "dest", "mms-capable", "group-mms-capable", "uid", "user", "domain", "login", "username", "scope"),
        *("apiversion", "code", "message", "error", "error_description", "access_token", "expires_in", "mfa_type"),
    ]
)
JSON = st.recursive(
    LEAVES, lambda more: st.lists(more, max_size=4) | st.dictionaries(KEYS | ANY_TEXT, more, max_size=8)
)
ROWS = st.dictionaries(KEYS, JSON, max_size=12)
BODIES = (
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda value, encoding: json.dumps(value).encode(encoding),
        JSON,
        st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-32-be"]),
    )
    | st.builds(lambda value: json.dumps(value, ensure_ascii=False).encode("latin-1", "replace"), JSON)
    | st.integers(1, 3000).map(lambda depth: b"[" * depth + b"]" * depth)
    | st.integers(1, 6000).map(lambda digits: b'{"code":' + b"4" * digits + b"}")
)
HEADERS = st.fixed_dictionaries(
    {}, optional={"Content-Type": ANY_TEXT | st.just("text/html"), "Retry-After": ANY_TEXT | st.just("5")}
)


def check_strings(thing: object, names: tuple[str, ...]) -> None:
    for name in names:
        assert isinstance(getattr(thing, name), str)


@given(JSON)
def test_any_value(value: Any) -> None:
    """Whatever stands in a field, reading it raises nothing and reads the same twice."""
    text = as_text(value)
    assert isinstance(text, str)
    assert as_flag(value) in {True, False, None}
    number = number_of(value)
    assert number_of(number) == number
    assert (number.isascii() and number.isdigit()) or number == as_text(value).strip()
    time = as_time(value)
    assert time is None or time.utcoffset() == timedelta(0)


@given(st.integers(0, 10**300))
def test_digits_survive(number: int) -> None:
    """A number that comes as a number reads as the one that comes as a text."""
    assert as_text(number) == as_text(str(number)) == number_of(number) == str(number)


@given(ANY_TEXT, ANY_TEXT)
def test_same_number_is_symmetric(one: str, other: str) -> None:
    """It makes no difference which of two numbers stands first."""
    assert same_number(one, other) is same_number(other, one)
    assert same_number(one, one) is bool(number_of(one))


@given(ROWS)
def test_any_row(row: Mapping[str, Any]) -> None:
    """A row of whatever the PBX may send becomes an object of texts, or of nothing."""
    account = Account.from_token(row, "me")
    check_strings(account, Account.__slots__)  # type: ignore[attr-defined]
    assert account.login
    assert account.uid
    message = Message.from_row(row)
    check_strings(message, ("id", "type", "text", "direction", "from_number", "from_user_id", "dialed"))
    check_strings(message, ("messagesession", "media_type", "media_url", *message.participants[:0]))
    assert isinstance(message.is_outbound(account), bool)
    session = MessageSession.from_row(row)
    check_strings(session, ("id", "sms_number", "last_message", "last_sender"))
    for part in (*message.participants, *session.remotes):
        assert part == part.strip() != ""
        assert "," not in part
    number = SmsNumber.from_row(row)
    assert number is None or number.number.isdigit()


@given(JSON)
def test_any_answer_as_rows(answer: Any) -> None:
    """An answer of any shape is rows or a server error, and nothing else."""
    try:
        for row in rows(answer, MESSAGE_KEYS | SESSION_KEYS | NUMBER_KEYS):
            Message.from_row(row)
            MessageSession.from_row(row)
            SmsNumber.from_row(row)
    except NetsapiensServerError:
        assert answer != []


@given(st.integers(100, 999), HEADERS, BODIES)
def test_any_body(status: int, headers: dict[str, str], body: bytes) -> None:
    """Parsing never fails, and checking only in our own words."""
    answer = _parse(status, headers, body)
    assert not (answer.is_json and answer.is_html)
    assert answer.status == status or 400 <= answer.status < 600
    assert answer.retry_after is None or 0 <= answer.retry_after < 1e12
    reason = reason_of(answer, ["secret", "x", ""])
    assert len(reason) <= 201
    assert reason.isprintable()
    for call in (check, tokens_module._token_answer):
        words = ""
        try:
            call(answer, ["secret", "x", ""])  # type: ignore[operator]
        except NetsapiensError as err:
            words = str(err)
        assert words.isprintable()
        assert words or 200 <= status < 300


@given(ANY_TEXT | st.none())
def test_any_date(text: str | None) -> None:
    """A Date header of any content is a time in UTC or none."""
    date = http_date(text)
    assert date is None or date.tzinfo is UTC
    retry_after_of({"Retry-After": text or "", "Date": text or ""})


@given(JSON)
def test_any_life(expires_in: Any) -> None:
    """A token's life is within bounds, whatever the PBX says of it."""
    assert 1 <= tokens_module._life_of(expires_in) <= 30 * 86400


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (18585550100, "18585550100"),
        (18585550100.0, "18585550100"),
        (1.5, "1.5"),
        (-3, "-3"),
        (0, "0"),
        (True, ""),
        (False, ""),
        (None, ""),
        ([1], ""),
        ({"a": 1}, ""),
        (" x ", " x "),
        (10**400, ""),
        pytest.param(10**5000, "", id="huge"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_as_text(value: object, text: str) -> None:
    """What JSON has for texts reads as the text that a person would see."""
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        *((value, True) for value in (True, "yes", "Yes ", "true", "1", 1, 1.0)),
        *((value, False) for value in (False, None, "no", "", "0", 0, [], [True], "2", "on")),
    ],
)
def test_as_flag(value: object, flag: bool) -> None:
    """The many spellings of yes and no are known; others are neither."""
    assert as_flag(value) is flag


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (" 2026-01-02T03:04:05+00:00 ", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-01T20:04:05-07:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05 UTC", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026/01/02 03:04:05  GMT", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1767323045, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1767323045678, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("967323045678", datetime(2000, 8, 26, 20, 50, 45, tzinfo=UTC)),
        ("2026-01-02 03:04:05 PST", None),
        ("17673230456789", None),
        ("0000-00-00 00:00:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("now", None),
        ("", None),
        (None, None),
        ([], None),
        (float("nan"), None),
    ],
)
def test_as_time(value: object, time: datetime | None) -> None:
    """Times with and without a zone, and what is none."""
    assert as_time(value) == time


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("18585550100", "18585550100", True),
        ("+1 (858) 555-0100", "18585550100", True),
        ("8585550100", "18585550100", True),
        ("18585550100", "8585550100", True),
        ("5550100", "18585550100", False),
        ("18585550100", "18585550101", False),
        ("1001", "1001", True),
        ("1001", "11001", False),
        ("72727", "72727", True),
        ("", "", False),
        ("", "1001", False),
        ("ann@acme.example", "bob@acme.example", False),
        ("bob123@gmail.com", "123", False),
        ("Bank24", "24", False),
        ("AMAZON", "AMAZON", True),
        ("18585550100 home", "18585550100", False),
    ],
)
def test_same_number(one: str, other: str, same: bool) -> None:
    """Spellings of one number are one, other numbers are not."""
    assert same_number(one, other) is same


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (18585550100, "18585550100"),
        (" +1 (858) 555-0100 ", "18585550100"),
        ("AMAZON", "AMAZON"),
        ("O2", "O2"),
        ("Bank24", "Bank24"),
        ("bob123@gmail.com", "bob123@gmail.com"),
        ("1002@acme.example", "1002@acme.example"),
        ("+", "+"),
        (None, ""),
    ],
)
def test_a_sender_with_a_name_keeps_it(value: object, number: str) -> None:
    """A sender that is a name is not cut down to its digits."""
    assert number_of(value) == number


@pytest.mark.parametrize(
    ("answer", "count"), [([], 0), ([{"a": 1}], 1), ([{"a": 1}, {"b": None, "x": 2}], 2), ({"b": 1}, 1)]
)
def test_rows(answer: object, count: int) -> None:
    """A list is as many rows as it holds, and one bare object is one."""
    assert len(list(rows(answer, {"a", "b"}))) == count


@pytest.mark.parametrize(
    "answer",
    [
        *(None, {}, "", "Accepted", 0, False, [None], [{}], [{"a": 1}, []], [{"a": 1}, {"c": 1}]),
        *({"code": 200, "a": 1}, {"error": "server_error", "a": 1}, [{"a": 1, "error": "busy"}], {"message": "busy"}),
    ],
)
def test_no_rows(answer: object) -> None:
    """An answer that is neither is a fault of the server."""
    with pytest.raises(NetsapiensServerError):
        list(rows(answer, {"a", "b"}))


@pytest.mark.parametrize("key", ["messagesession-last-datetime", "messagesession-last-timestamp"])
@pytest.mark.parametrize("twin", [None, ""])
def test_time_twins(key: str, twin: str | None) -> None:
    """The other name may be there too, empty."""
    row = {"messagesession-last-datetime": twin, "messagesession-last-timestamp": twin, key: "2026-01-02 03:04:05"}
    assert MessageSession.from_row(row).last_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("key", ["timestamp", "datetime"])
def test_message_time(key: str) -> None:
    """PBXs put a message's time under several keys."""
    assert Message.from_row({key: "2026-01-02 03:04:05"}).time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("key", ["file-access-url", "file-access-url "])
def test_media_url(key: str) -> None:
    """PBXs put the link to media under several keys, and leave others empty."""
    assert (
        Message.from_row({"file-access-url": "", key: "https://core.example/x"}).media_url == "https://core.example/x"
    )


@pytest.mark.parametrize(
    ("given", "url", "media_type"),
    [
        ("image/png", "", "image/png"),
        ("", "", ""),
        (None, "", ""),
        (0, "", ""),
        ("0", "https://core.example/x", ""),
        ("text/plain", "", ""),
        ("Text/Plain; charset=utf-8", "", ""),
        ("text/html", "", ""),
        ("text/plain", "https://core.example/x", "text/plain"),
        ("video/mp4", "https://core.example/x", "video/mp4"),
    ],
)
def test_media_type(given: object, url: str, media_type: str) -> None:
    """A text that is listed with a type of its own, or with a 0, has no media."""
    assert Message.from_row({"media-type": given, "file-access-url ": url}).media_type == media_type


def test_numbers_as_numbers() -> None:
    """What the PBX cast is text again."""
    message = Message.from_row({"id": 5, "text": 42, "from-number": 18585550100, "dialed": 18585550199})
    assert (message.id, message.text, message.from_number, message.dialed) == ("5", "42", "18585550100", "18585550199")
    session = MessageSession.from_row(
        {"messagesession-id": 7, "messagesession-remote": 18585550100, "messagesession-sms-number": 18585550199}
    )
    assert (session.id, session.remotes, session.sms_number) == ("7", ("18585550100",), "18585550199")
    number = SmsNumber.from_row({"number": 18585550199, "dest": 1001, "mms-capable": "yes", "group-mms-capable": "no"})
    assert number == SmsNumber("18585550199", "1001", mms_capable=True, group_mms_capable=False)
    for unknown in ({}, {"mms-capable": None, "group-mms-capable": ""}):
        number = SmsNumber.from_row({"number": "18585550199", **unknown})
        assert number == SmsNumber("18585550199", "", mms_capable=None, group_mms_capable=None)
    assert SmsNumber.from_row({"number": "none"}) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true"),
        (False, "false"),
        ([1, "ü"], '[1, "ü"]'),
        ({"a": None}, '{"a": null}'),
        (None, ""),
        (5, "5"),
        pytest.param([10**5000], "", id="huge"),
    ],
)
def test_words_that_are_json_by_chance(value: object, words: str) -> None:
    """A text such as null or 1e3 is a text, however the PBX sent it."""
    assert as_words(value) == Message.from_row({"text": value}).text == words
    assert MessageSession.from_row({"messagesession-last-message": value}).last_message == words


def test_joined_remotes() -> None:
    """Several people come as one text with commas, with and without spaces."""
    row = {"messagesession-remote": "18585550100, 18585550101,,1002@acme.example "}
    assert MessageSession.from_row(row).remotes == ("18585550100", "18585550101", "1002@acme.example")
    assert MessageSession.from_row({"messagesession-remote": [18585550100, " 18585550101", None]}).remotes == (
        "18585550100",
        "18585550101",
    )
    assert Message.from_row({"messagesession-participants": "a,b"}).participants == ("a", "b")
    assert Message.from_row({"messagesession-participants": ["a", "b"]}).participants == ("a", "b")
    assert Message.from_row({"messagesession-participants": None}).participants == ()


ANN = Account("1001@acme.example", "1001", "acme.example", "ann", "Basic User", "45.0")
PORTAL = Account("ann@mail.example", "1001", "acme.example", "ann", "Basic User", "45.0")


@pytest.mark.parametrize("account", [ANN, PORTAL])
@pytest.mark.parametrize(
    ("row", "outbound"),
    [
        ({"direction": "term"}, True),
        ({"direction": "orig"}, False),
        ({"direction": "orig", "from-user-id": "1001@acme.example"}, False),
        ({"direction": "", "from-user-id": "1001@acme.example"}, True),
        ({"from-user-id": "1001@acme.example"}, True),
        ({"from-user-id": "1001@Acme.Example"}, True),
        ({"from-user-id": "1001"}, True),
        ({"from-user-id": "1001@other.example"}, False),
        ({"direction": None, "from-user-id": "1002@acme.example"}, False),
        ({"direction": "", "from-user-id": ""}, False),
        ({"direction": "", "from-user-id": None, "from-number": 1001}, True),
        ({"direction": "", "from-user-id": None, "from-number": 1002}, False),
        ({"direction": "both", "from-user-id": "1002@acme.example"}, False),
    ],
)
def test_direction(row: dict[str, Any], outbound: bool, account: Account) -> None:
    """A chat has none: it came in unless we sent it."""
    assert Message.from_row(row).is_outbound(account) is outbound


@pytest.mark.parametrize(
    ("user", "known_as"),
    [
        ("1002@acme.example", "1002"),
        ("1002@ACME.Example", "1002"),
        ("1002@", "1002"),
        ("1002", "1002"),
        ("1002@other.example", "1002@other.example"),
        ("1002@acme.example.com", "1002@acme.example.com"),
        ("", ""),
    ],
)
def test_a_user_of_the_own_domain(user: str, known_as: str) -> None:
    """They are known without it, however the PBX writes it; others with theirs."""
    assert ANN.without_domain(user) == known_as


@pytest.mark.parametrize(
    ("row", "outbound"),
    [
        ({"direction": "", "from-number": 18585550100}, True),
        ({"direction": None, "from-number": "8585550100"}, True),
        ({"direction": "", "from-number": "18585550123"}, False),
        ({"direction": "", "from-number": "", "from-user-id": ""}, False),
        ({"direction": "orig", "from-number": "18585550100"}, False),
    ],
)
def test_a_text_without_a_direction(row: dict[str, Any], outbound: bool) -> None:
    """It went out where it is from our number."""
    assert Message.from_row(row).is_outbound(ANN, "18585550100") is outbound
    assert not Message.from_row({**row, "direction": ""}).is_outbound(ANN, "")


@pytest.mark.parametrize(
    ("answer", "uid", "login"),
    [
        ({"uid": "u@d", "login": "ann", "user": "1", "domain": "d"}, "u@d", "ann"),
        ({"username": "ann", "user": 1001, "domain": "d"}, "1001@d", "ann"),
        ({"user": "1", "domain": ""}, "me", "me"),
        ({"login": " ", "username": None}, "me", "me"),
        ({}, "me", "me"),
    ],
)
def test_account(answer: dict[str, Any], uid: str, login: str) -> None:
    """Who we are comes out of whichever fields a token has."""
    account = Account.from_token(answer, "me")
    assert (account.uid, account.login) == (uid, login)


@pytest.mark.parametrize(
    ("said", "version"),
    [("Version: 44.1.2", "44.1.2"), ("version 45", "45"), ("44.1", "44.1"), (45, "45"), (None, ""), ("Version:", "")],
)
def test_version(said: object, version: str) -> None:
    """Only the number is taken out of what a PBX says of its version."""
    assert version_of({"apiversion": said}) == version


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"code": 404}', 404),
        (b'{"code": " 404 "}', 404),
        (b'{"code": 404.0}', 404),
        (b'{"code": 599}', 599),
        (b'{"code": 202}', 200),
        (b'{"code": 399}', 200),
        (b'{"code": 600}', 200),
        (b'{"code": 4040}', 200),
        (b'{"code": -404}', 200),
        (b'{"code": true}', 200),
        (b'{"code": "E404"}', 200),
        ('{"code": "٤٠٤"}'.encode(), 200),
        (b'[{"code": 404}]', 404),
        (b'[{"code": 404}, {"code": 404}]', 200),
        (b'[[{"code": 404}]]', 200),
    ],
)
def test_code_in_a_success(body: bytes, status: int) -> None:
    """A refusal inside of a 200 is the refusal that it says."""
    assert _parse(200, {}, body).status == status


def test_status_is_not_bettered_by_the_body() -> None:
    """A server error stays one, whatever its body says."""
    assert _parse(500, {}, b'{"code": 404}').status == 500


@pytest.mark.parametrize(
    ("kind", "body", "is_html"),
    [
        ("text/html", b"words", True),
        ("TEXT/HTML; charset=utf-8", b" ", False),
        ("application/json", b"\n <html>", True),
        ("text/html", b"{}", False),
        ("text/plain", b"Accepted", False),
    ],
)
def test_is_html(kind: str, body: bytes, is_html: bool) -> None:
    """A page of a proxy is known by its type, in any spelling."""
    assert _parse(200, {"Content-Type": kind}, body).is_html is is_html


def test_answer_without_a_body() -> None:
    """An empty answer is one, and no error."""
    assert _parse(202, {}, b"") == Answer(202, None, False, False, None)


# --- large answers ---------------------------------------------------------------


def outcome(read: Callable[[bytes], Any], body: bytes) -> str:
    """What a reader makes of a body."""
    try:
        return repr(read(body))
    except ValueError, RecursionError:
        return "no JSON"


@given(BODIES | st.lists(ROWS).map(lambda rows: json.dumps(rows).encode()))
def test_a_list_is_read_by_rows_as_at_once(body: bytes) -> None:
    """Reading row by row, which blocks nobody, gives what reading at once gives."""
    assert outcome(_loads_by_rows, body) == outcome(json.loads, body)


@pytest.mark.parametrize(
    "body",
    ["[]", " [ ] ", "[1]", "[1,]", "[,]", "[1 2]", "[1", "[", "[1]x", "[[1],[]] ", "\ufeff[1]", '{"a": [1]}', "5", ""],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_what_is_a_list_and_what_is_none(body: str, encoding: str) -> None:
    """The same in every encoding, and for what is no list."""
    assert outcome(_loads_by_rows, body.encode(encoding)) == outcome(json.loads, body.encode(encoding))
