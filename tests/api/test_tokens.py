"""Signing in: as seldom as can be, and never twice at once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from copy import replace
from datetime import UTC, datetime, timedelta
import gc
import json
import logging
import time
from typing import Any

import aiohttp
import pytest

from custom_components.netsapiens.api import (
    NetsapiensAPI,
    NetsapiensAuthError,
    NetsapiensConnectionError,
    NetsapiensError,
    NetsapiensMfaError,
    NetsapiensRateLimitError,
    NetsapiensRequestError,
    NetsapiensServerError,
    NetsapiensTimeoutError,
    NumberAPI,
    tokens as tokens_module,
)
from tests.helpers import until
from tests.simulator import FaultKind, Simulator

from .conftest import PASSWORD, SECRET, Clock, Fails, Watch, grants

SHORT = aiohttp.ClientTimeout(total=0.3)


async def numbers(api: NetsapiensAPI) -> list[str]:
    return [row.number for row in await NumberAPI(api).get_numbers()]


@pytest.fixture
async def hasty(pbx: Simulator) -> AsyncGenerator[NetsapiensAPI]:
    """A login that does not wait long."""
    async with NetsapiensAPI(pbx.account, timeout=SHORT) as api:
        yield api


# --- when ---------------------------------------------------------------------


async def test_kept_while_it_lives(pbx: Simulator, api: NetsapiensAPI, clock: Clock) -> None:
    """A token serves until just before its end: signing in again would cost the PBX."""
    first = await api.get_token()
    clock.at += 3600 - 11
    assert await api.get_token() == first
    await numbers(api)
    assert grants(pbx) == ["password"]


async def test_refreshed_ahead_of_its_end(pbx: Simulator, api: NetsapiensAPI, clock: Clock) -> None:
    """A request never goes out with a token that may end on its way."""
    first = await api.get_token()
    clock.at += 3600 - 9
    await numbers(api)
    assert grants(pbx) == ["password", "refresh_token"]
    assert pbx.requests_to("/tokens")[1].body == {
        "grant_type": "refresh_token",
        "client_id": pbx.client_id,
        "client_secret": SECRET,
        "refresh_token": first["refresh_token"],
    }
    assert all(record.status == 200 for record in pbx.requests)
    assert pbx.requests[-1].headers["Authorization"] != f"Bearer {first['access_token']}"
    assert api.token_left == 3600


async def test_short_lives(pbx: Simulator, api: NetsapiensAPI, clock: Clock) -> None:
    """Of a short life the last tenth is left, not ten seconds: else each request would need a token of its own."""
    pbx.token_life = 10
    await api.get_token()
    clock.at += 8.9
    await api.get_token()
    assert len(grants(pbx)) == 1
    clock.at += 0.2
    await api.get_token()
    assert len(grants(pbx)) == 2


async def test_min_left(pbx: Simulator, api: NetsapiensAPI, clock: Clock) -> None:
    """Who needs a token for a while gets a new one in time, and only then."""
    await api.get_token()
    clock.at += 3000
    await api.get_token(min_left=600)
    assert len(grants(pbx)) == 1
    await api.get_token(min_left=601)
    assert len(grants(pbx)) == 2
    await api.get_token(min_left=float("inf"))
    assert len(grants(pbx)) == 3


async def test_refresh_tokens_rotate(pbx: Simulator, api: NetsapiensAPI) -> None:
    """Each is used once."""
    tokens = [await api.get_token(min_left=float("inf")) for _ in range(5)]
    assert grants(pbx) == ["password", *["refresh_token"] * 4]
    used = [record.body["refresh_token"] for record in pbx.requests_to("/tokens")[1:]]
    assert used == [token["refresh_token"] for token in tokens[:4]]
    assert all(record.status == 200 for record in pbx.requests)


async def test_refresh_token_that_is_not_replaced(pbx: Simulator, api: NetsapiensAPI) -> None:
    """Where an answer brings no new one, the old one is used again."""
    first = await api.get_token()
    pbx.fault(FaultKind.BODY, path="/tokens", body=json.dumps({"access_token": "t"}))
    await api.get_token(min_left=float("inf"))
    await api.get_token(min_left=float("inf"))
    used = [record.body.get("refresh_token") for record in pbx.requests_to("/tokens")]
    assert used == [None, first["refresh_token"], first["refresh_token"]]


async def test_no_refresh_token(pbx: Simulator, api: NetsapiensAPI) -> None:
    """Without a refresh token the password serves again."""
    pbx.fault(FaultKind.BODY, path="/tokens", body='{"access_token": "t"}')
    await api.get_token()
    await api.get_token(min_left=float("inf"))
    assert grants(pbx) == ["password", "password"]


async def test_wall_clock_does_not_matter(pbx: Simulator, api: NetsapiensAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it jumps to, a token lives as long as it lives."""

    class Jumping(datetime):
        ahead = timedelta()

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + cls.ahead

    monkeypatch.setattr(tokens_module, "datetime", Jumping)
    real = time.time
    for days in (0, 3650, -3650):
        Jumping.ahead = timedelta(days=days)
        monkeypatch.setattr(time, "time", lambda days=days: real() + 86400 * days)
        await numbers(api)
        assert 3500 < api.token_left <= 3600
    assert grants(pbx) == ["password"]


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [
        (600, 600),
        ("600", 600),
        (" 600 ", 600),
        (600.5, 600.5),
        ("6e2", 600),
        (0.25, 1),
        (10**9, 30 * 86400),
        (10**400, 3600),
        ("1e999", 30 * 86400),
        (float("inf"), 30 * 86400),
        (0, 3600),
        ("0", 3600),
        (-5, 3600),
        (float("-inf"), 3600),
        (float("nan"), 3600),
        ("NaN", 3600),
        ("", 3600),
        ("soon", 3600),
        (None, 3600),
        (True, 3600),
        ([600], 3600),
        ({}, 3600),
    ],
)
async def test_expires_in(pbx: Simulator, api: NetsapiensAPI, expires_in: object, life: float) -> None:
    """How long a token lives is read in every form, and kept within bounds."""
    pbx.fault(FaultKind.BODY, path="/tokens", body=json.dumps({"access_token": "t", "expires_in": expires_in}))
    before = datetime.now(UTC).replace(microsecond=0)
    token = await api.get_token()
    after = datetime.now(UTC)
    assert api.token_life == life
    assert life - 30 < api.token_left <= life
    expires_at = datetime.strptime(token["expires_at"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert before + timedelta(seconds=int(life)) <= expires_at <= after + timedelta(seconds=life)


async def test_expires_in_missing(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A token that does not say how long it lives is taken for an hour's."""
    pbx.fault(FaultKind.BODY, path="/tokens", body='{"access_token": "t"}')
    await api.get_token()
    assert api.token_life == 3600


# --- many callers -------------------------------------------------------------


async def test_one_call_for_all(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A hundred that need a token at once make one call."""
    pbx.fault(FaultKind.SLOW, path="/tokens", seconds=0.05)
    tokens = await asyncio.gather(*(api.get_token() for _ in range(100)))
    assert len({token["access_token"] for token in tokens}) == 1
    assert grants(pbx) == ["password"]
    assert pbx.tokens_in_flight_peak == 1


async def test_one_refresh_for_all(pbx: Simulator, api: NetsapiensAPI, clock: Clock) -> None:
    """So do a hundred whose token has ended."""
    await api.get_token()
    clock.at += 4000
    pbx.fault(FaultKind.SLOW, path="/tokens", seconds=0.05)
    await asyncio.gather(*(numbers(api) for _ in range(100)))
    assert grants(pbx) == ["password", "refresh_token"]
    assert pbx.tokens_in_flight_peak == 1


async def test_one_failure_for_all(pbx: Simulator, api: NetsapiensAPI, watch: Watch) -> None:
    """Who waits for a call that fails shares its error; who comes later makes a call of its own."""
    pbx.fault(FaultKind.SLOW, path="/tokens", seconds=0.05)
    pbx.first_user.password = "another"
    results = await asyncio.gather(*(api.get_token() for _ in range(100)), return_exceptions=True)
    assert {type(result) for result in results} == {NetsapiensAuthError}
    watch.note(results[0])  # type: ignore[arg-type]
    assert grants(pbx) == ["password"]
    pbx.first_user.password = PASSWORD
    assert (await api.get_token())["access_token"]
    assert pbx.tokens_in_flight_peak == 1


async def test_others_go_on_with_the_old_token_meanwhile(pbx: Simulator, api: NetsapiensAPI, clock: Clock) -> None:
    """Nobody waits for a refresh while the old token still lives."""
    await api.get_token()
    clock.at += 3600 - 5
    hang = pbx.fault(FaultKind.HANG, path="/tokens", seconds=600)
    first = asyncio.create_task(numbers(api))
    await until(lambda: hang.struck)
    await numbers(api)
    assert not first.done()
    first.cancel()
    await asyncio.wait([first])


async def test_cancelled_waiter(pbx: Simulator, api: NetsapiensAPI) -> None:
    """It leaves the others their call."""
    slow = pbx.fault(FaultKind.SLOW, path="/tokens", seconds=0.2)
    waiters = [asyncio.create_task(api.get_token()) for _ in range(3)]
    await until(lambda: slow.struck)
    waiters[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiters[0]
    token = await waiters[1]
    assert await waiters[2] == token
    assert grants(pbx) == ["password"]


async def test_all_waiters_cancelled(pbx: Simulator, api: NetsapiensAPI) -> None:
    """The call goes on, since it uses up a refresh token, and serves who comes next."""
    slow = pbx.fault(FaultKind.SLOW, path="/tokens", seconds=0.2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await api.get_token()
    await until(lambda: slow.struck)
    await api.get_token()
    assert grants(pbx) == ["password"]


async def test_nobody_waits_for_a_call_that_fails(
    pbx: Simulator, api: NetsapiensAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged of an error that nobody fetched."""
    fault = pbx.fault(FaultKind.HANG, path="/tokens", seconds=0.1)
    waiter = asyncio.create_task(api.get_token())
    await until(lambda: fault.struck)
    waiter.cancel()
    await asyncio.wait([waiter])
    await until(lambda: api._tokens._renewal is None)
    gc.collect()
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_close_during_a_call(pbx: Simulator, fails: Fails) -> None:
    """Who waits is told, and nothing stays behind."""
    fault = pbx.fault(FaultKind.HANG, path="/tokens", seconds=600)
    api = NetsapiensAPI(pbx.account)
    waiters = [asyncio.create_task(coro) for coro in (api.get_token(), numbers(api))]
    await until(lambda: fault.struck)
    await api.close()
    for waiter in waiters:
        with fails(NetsapiensConnectionError):
            await waiter


async def test_close_during_a_refresh(pbx: Simulator, clock: Clock, fails: Fails) -> None:
    """A token that still lives does not open a new session."""
    api = NetsapiensAPI(pbx.account)
    await api.get_token()
    clock.at += 3600 - 5
    fault = pbx.fault(FaultKind.HANG, path="/tokens", seconds=600)
    waiter = asyncio.create_task(numbers(api))
    await until(lambda: fault.struck)
    await api.close()
    with fails(NetsapiensConnectionError):
        await waiter
    assert not pbx.requests_to("/smsnumbers")


# --- 401 ----------------------------------------------------------------------


async def test_revoked_token(pbx: Simulator, api: NetsapiensAPI) -> None:
    """One refresh, one more try."""
    await api.get_token()
    pbx.revoke_tokens()
    assert await numbers(api) == [pbx.numbers[0]]
    assert grants(pbx) == ["password", "refresh_token"]
    assert [record.status for record in pbx.requests_to("/smsnumbers")] == [401, 200]


async def test_401_again(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """Not more than one more try."""
    pbx.fault(FaultKind.UNAUTHORIZED, path="/smsnumbers", times=None, message=f"Bad token, {PASSWORD}")
    with fails(NetsapiensRequestError) as caught:
        await numbers(api)
    assert caught.value.status == 401
    assert caught.value.reason == ""
    assert len(pbx.requests_to("/smsnumbers")) == 2
    assert grants(pbx) == ["password", "refresh_token"]


@pytest.mark.parametrize(
    "details",
    [
        {"body": "<html>who are you?</html>", "content_type": "text/html", "status": 401},
        {"body": "", "status": 401},
        {"body": '{"code": 401, "message": "The access token provided has expired"}', "status": 200},
        {"body": '{"code": "401"}', "status": 202},
    ],
)
async def test_forms_of_401(pbx: Simulator, api: NetsapiensAPI, details: dict[str, Any]) -> None:
    """Every form in which a PBX says that a token is of no use leads to a new one."""
    pbx.fault(FaultKind.BODY, path="/smsnumbers", **details)
    assert await numbers(api) == [pbx.numbers[0]]
    assert grants(pbx) == ["password", "refresh_token"]


async def test_many_401(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A revoked token leads to one new one, however many met it."""
    await api.get_token()
    pbx.revoke_tokens()
    pbx.fault(FaultKind.SLOW, path="/tokens", seconds=0.05)
    results = await asyncio.gather(*(numbers(api) for _ in range(50)))
    assert results == [[pbx.numbers[0]]] * 50
    assert grants(pbx) == ["password", "refresh_token"]
    assert pbx.tokens_in_flight_peak == 1


async def test_late_401(pbx: Simulator, api: NetsapiensAPI) -> None:
    """One that comes when there is a newer token already asks for no other."""
    await api.get_token()
    late = pbx.fault(FaultKind.SLOW, path="/smsnumbers", seconds=0.2)
    waiter = asyncio.create_task(numbers(api))
    await until(lambda: late.struck)
    pbx.revoke_tokens()
    await numbers(api)
    assert await waiter == [pbx.numbers[0]]
    assert grants(pbx) == ["password", "refresh_token"]


async def test_401_between_refused_refresh_and_password(pbx: Simulator, api: NetsapiensAPI) -> None:
    """The old token is not taken for a new one while the password is on its way."""
    await api.get_token()
    late = pbx.fault(FaultKind.SLOW, path="/smsnumbers", seconds=0.3)
    waiter = asyncio.create_task(numbers(api))
    await until(lambda: late.struck)
    pbx.revoke_tokens()
    pbx.fault(FaultKind.REFRESH_REFUSED)
    pbx.fault(FaultKind.SLOW, path="/tokens", seconds=0.8)
    assert await numbers(api) == [pbx.numbers[0]]
    assert await waiter == [pbx.numbers[0]]
    assert grants(pbx) == ["password", "refresh_token", "password"]


async def test_token_away_after_401(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """The request was refused and not sent again, so it was surely not carried out."""
    await api.get_token()
    pbx.revoke_tokens()
    pbx.fault(FaultKind.DROP_AFTER, path="/tokens")
    with fails(NetsapiensConnectionError):
        await numbers(api)
    assert [record.status for record in pbx.requests_to("/smsnumbers")] == [401]


async def test_further_requests_go_when_they_may(pbx: Simulator, api: NetsapiensAPI) -> None:
    """Whoever limits requests limits the token calls and the repetition after a 401 as well."""
    further: list[str] = []

    async def limited[ResultT](call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        before = len(pbx.requests)
        result = await call()
        further.extend(record.path.rpartition("/")[2] for record in pbx.requests[before:])
        return result

    api.run_further = limited
    await numbers(api)
    assert further == ["tokens"]
    pbx.revoke_tokens()
    await numbers(api)
    assert further == ["tokens", "tokens", "smsnumbers"]


async def test_a_token_call_that_has_not_gone_out_ends_with_the_last_who_waits(
    pbx: Simulator, api: NetsapiensAPI
) -> None:
    """While its turn has not come, nothing is lost by dropping it; and the next one who needs a token makes another."""
    turn = asyncio.Event()

    async def limited[ResultT](call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        await turn.wait()
        return await call()

    api.run_further = limited
    first, second = (asyncio.create_task(api.get_token()) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    assert api._tokens._renewal is not None
    second.cancel()
    await asyncio.wait([second])
    assert api._tokens._renewal is None
    turn.set()
    await api.get_token()
    assert grants(pbx) == ["password"]


# --- refusals -----------------------------------------------------------------


async def test_refresh_refused(pbx: Simulator, api: NetsapiensAPI) -> None:
    """The password, once."""
    await api.get_token()
    pbx.fault(FaultKind.REFRESH_REFUSED)
    await api.get_token(min_left=float("inf"))
    assert grants(pbx) == ["password", "refresh_token", "password"]


async def test_refresh_token_not_found(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A 404 is also how a record that is gone is refused."""
    await api.get_token()
    pbx.fault(FaultKind.STATUS, path="/tokens", code=404)
    await api.get_token(min_left=float("inf"))
    assert grants(pbx) == ["password", "refresh_token", "password"]


async def test_refresh_that_does_not_say_who_we_are(pbx: Simulator, api: NetsapiensAPI) -> None:
    """Who we are stays known where a later token does not say it."""
    await api.get_token()
    known = api.account
    for body in ({"access_token": "t"}, {"access_token": "u", "user": None, "uid": "", "scope": "Reseller"}):
        pbx.fault(FaultKind.BODY, path="/tokens", body=json.dumps(body))
        await api.get_token(min_left=float("inf"))
    assert api.account == replace(known, scope="Reseller", version="")


async def test_refresh_token_already_used(pbx: Simulator, api: NetsapiensAPI) -> None:
    """As when an answer with the next one got lost."""
    await api.get_token()
    pbx.fault(FaultKind.DROP_AFTER, path="/tokens")
    with pytest.raises(NetsapiensConnectionError):
        await api.get_token(min_left=float("inf"))
    await api.get_token(min_left=float("inf"))
    assert grants(pbx) == ["password", "refresh_token", "refresh_token", "password"]
    assert [record.status for record in pbx.requests_to("/tokens")] == [200, 0, 400, 200]


@pytest.mark.parametrize(
    "body", ["{}", "[]", "", "null", '{"access_token": ""}', "<html>Welcome</html>", '{"message": "Session expired"}']
)
async def test_refresh_without_a_token(pbx: Simulator, api: NetsapiensAPI, body: str) -> None:
    """A 200 with nothing in it is how some refuse it."""
    await api.get_token()
    pbx.fault(FaultKind.BODY, path="/tokens", body=body)
    await api.get_token(min_left=float("inf"))
    assert grants(pbx) == ["password", "refresh_token", "password"]


async def test_refused_refresh_token_is_not_tried_again(pbx: Simulator, api: NetsapiensAPI) -> None:
    """A refresh token serves once: what was refused is not sent again."""
    await api.get_token()
    pbx.fault(FaultKind.REFRESH_REFUSED)
    pbx.fault(FaultKind.STATUS, path="/tokens", code=503)
    with pytest.raises(NetsapiensServerError):
        await api.get_token(min_left=float("inf"))
    await api.get_token(min_left=float("inf"))
    assert grants(pbx) == ["password", "refresh_token", "password", "password"]


async def test_failing_refresh_is_no_refusal(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """A PBX that fails does not get the password as well."""
    await api.get_token()
    pbx.fault(FaultKind.STATUS, path="/tokens", code=500)
    with fails(NetsapiensServerError):
        await api.get_token(min_left=float("inf"))
    await api.get_token(min_left=float("inf"))
    assert grants(pbx) == ["password", "refresh_token", "refresh_token"]


async def test_password_changed(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """A password that is refused is told in the PBX's words."""
    await api.get_token()
    pbx.first_user.password = "another"
    pbx.revoke_tokens(refresh=True)
    with fails(NetsapiensAuthError) as caught:
        await numbers(api)
    assert str(caught.value) == "Invalid username and password combination"
    assert grants(pbx) == ["password", "refresh_token", "password"]


async def test_password_changed_while_the_token_lives(
    pbx: Simulator, api: NetsapiensAPI, clock: Clock, fails: Fails
) -> None:
    """It is said at once, not when the token ends."""
    await api.get_token()
    pbx.first_user.password = "another"
    pbx.token_book.refresh.clear()
    clock.at += 3600 - 5
    with fails(NetsapiensAuthError):
        await numbers(api)


@pytest.mark.parametrize(
    "changes", [{"client_secret": "other"}, {"client_id": "other"}, {"username": "1009@acme.example"}]
)
async def test_bad_credentials(pbx: Simulator, fails: Fails, changes: dict[str, str]) -> None:
    """Each part of the credentials that is wrong is an error of the login, after one call."""
    async with NetsapiensAPI({**pbx.account, **changes}) as api:
        with fails(NetsapiensAuthError):
            await api.get_token()
    assert grants(pbx) == ["password"]


async def test_mfa(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """A 200 with a token that is good for nothing."""
    pbx.first_user.mfa = True
    with fails(NetsapiensMfaError):
        await numbers(api)
    assert api.token_left == 0


@pytest.mark.parametrize(
    "body",
    [
        {"mfa_type": "authenticator", "access_token": "t"},
        {"mfa_vendor": "google", "access_token": "t"},
        {"user_scope": "mfa_required", "access_token": "t"},
    ],
)
@pytest.mark.parametrize("status", [200, 403])
async def test_mfa_forms(pbx: Simulator, api: NetsapiensAPI, fails: Fails, body: dict[str, str], status: int) -> None:
    """A login that wants a second factor is told as that, in every form."""
    await api.get_token()
    pbx.fault(FaultKind.BODY, path="/tokens", status=status, body=json.dumps(body))
    with fails(NetsapiensMfaError):
        await api.get_token(min_left=float("inf"))
    assert grants(pbx) == ["password", "refresh_token"]


@pytest.mark.parametrize(
    ("kind", "details", "error", "words"),
    [
        (FaultKind.OAUTH_ERROR, {}, NetsapiensAuthError, "The client credentials are invalid"),
        (FaultKind.OAUTH_ERROR, {"code": 401, "description": ""}, NetsapiensAuthError, "invalid_client"),
        (FaultKind.OAUTH_ERROR, {"code": 200}, NetsapiensAuthError, "The client credentials are invalid"),
        (FaultKind.OAUTH_ERROR, {"code": 200, "error": "server_error"}, NetsapiensServerError, "no token now"),
        (FaultKind.OAUTH_ERROR, {"error": "temporarily_unavailable"}, NetsapiensServerError, "no token now"),
        (FaultKind.STATUS, {"code": 400, "message": " "}, NetsapiensAuthError, "refused"),
        (FaultKind.STATUS, {"code": 401, "message": "No"}, NetsapiensAuthError, "No"),
        (FaultKind.STATUS, {"code": 401, "html": True}, NetsapiensAuthError, "refused"),
        (FaultKind.STATUS, {"code": 403, "message": "No"}, NetsapiensAuthError, "No"),
        (FaultKind.STATUS, {"code": 404, "message": "No"}, NetsapiensServerError, "no NetSapiens API v2"),
        (FaultKind.STATUS, {"code": 405, "message": "No"}, NetsapiensServerError, "no NetSapiens API v2"),
        (FaultKind.STATUS, {"code": 404, "html": True}, NetsapiensServerError, "web page"),
        (FaultKind.STATUS, {"code": 400, "html": True}, NetsapiensServerError, "web page"),
        (FaultKind.STATUS, {"code": 200, "html": True}, NetsapiensServerError, "web page"),
        (FaultKind.STATUS, {"code": 500}, NetsapiensServerError, "500"),
        (FaultKind.STATUS, {"code": 503, "html": True}, NetsapiensServerError, "503"),
        (FaultKind.BODY, {"body": '{"code": 401, "message": "No"}'}, NetsapiensAuthError, "No"),
        (FaultKind.BODY, {"body": '{"code": 503, "message": "No"}'}, NetsapiensServerError, "503"),
        (FaultKind.BODY, {"body": '{"message": "Database is busy"}'}, NetsapiensServerError, "no access token"),
        (FaultKind.BODY, {"body": '{"error": "invalid_grant"}'}, NetsapiensAuthError, "invalid_grant"),
        (FaultKind.BODY, {"body": ""}, NetsapiensServerError, "no access token"),
        (FaultKind.BODY, {"body": "[]"}, NetsapiensServerError, "no access token"),
        (FaultKind.BODY, {"body": "Welcome"}, NetsapiensServerError, "no access token"),
        (FaultKind.BODY, {"body": '{"access_token": null}'}, NetsapiensServerError, "no access token"),
        (FaultKind.BODY, {"body": '{"access_token": ["t"]}'}, NetsapiensServerError, "no access token"),
        (FaultKind.BODY, {"body": '{"access_token": " "}'}, NetsapiensServerError, "no access token"),
        (FaultKind.BODY, {"body": '{"access_token": "t\\r\\nX: y"}'}, NetsapiensServerError, "no access token"),
        (FaultKind.BODY, {"body": '{"access_token": "ü"}'}, NetsapiensServerError, "no access token"),
        (FaultKind.BODY, {"body": '{"access_token": "\\ud83d"}'}, NetsapiensServerError, "no access token"),
        (FaultKind.TOKEN_WITHOUT_ACCESS_TOKEN, {}, NetsapiensServerError, "no access token"),
        (FaultKind.FORBIDDEN_HTML, {}, NetsapiensRateLimitError, "firewall"),
        (FaultKind.BODY, {"status": 403, "body": ""}, NetsapiensRateLimitError, "firewall"),
        (FaultKind.REDIRECT, {"location": "https://portal.example/"}, NetsapiensConnectionError, "redirect"),
        (FaultKind.DROP_BEFORE, {}, NetsapiensConnectionError, "broke"),
        (FaultKind.DROP_AFTER, {}, NetsapiensConnectionError, "broke"),
        (FaultKind.TRUNCATE, {}, NetsapiensServerError, "cut off"),
    ],
)
async def test_failing_token_call(
    pbx: Simulator,
    api: NetsapiensAPI,
    fails: Fails,
    kind: FaultKind,
    details: dict[str, Any],
    error: type[NetsapiensError],
    words: str,
) -> None:
    """One call, the right kind of error, and what was to be sent is surely not on its way. Then all is well again."""
    pbx.fault(kind, path="/tokens", **details)
    with fails(error) as caught:
        await api.request("POST", "domains/~/users/~/messages", body={})
    assert words in str(caught.value)
    assert len(pbx.requests) == 1
    assert await numbers(api) == [pbx.numbers[0]]


@pytest.mark.parametrize(("given", "seconds"), [(7, 7), ("soon", None), ("", None)])
async def test_token_rate_limit(
    pbx: Simulator, api: NetsapiensAPI, fails: Fails, given: object, seconds: float | None
) -> None:
    """How long the PBX asks to wait is passed on."""
    pbx.fault(FaultKind.RATE_LIMIT, path="/tokens", retry_after=given)
    with fails(NetsapiensRateLimitError) as caught:
        await api.get_token()
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("kind", "details"),
    [(FaultKind.STATUS, {"code": 503}), (FaultKind.OAUTH_ERROR, {"error": "temporarily_unavailable"})],
)
async def test_token_from_a_pbx_that_is_overloaded(
    pbx: Simulator, api: NetsapiensAPI, fails: Fails, kind: FaultKind, details: dict[str, Any]
) -> None:
    """It is passed on as well where the PBX says with another status that it cannot give a token now."""
    pbx.fault(kind, path="/tokens", retry_after=7, **details)
    with fails(NetsapiensServerError) as caught:
        await api.get_token()
    assert caught.value.retry_after == 7


async def test_token_timeout(pbx: Simulator, hasty: NetsapiensAPI, fails: Fails) -> None:
    """A sign-in that is never answered ends."""
    pbx.fault(FaultKind.HANG, path="/tokens")
    with fails(NetsapiensTimeoutError):
        await numbers(hasty)


async def test_away(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """A PBX that is away is a connection error, and nothing is left of it once it is back."""
    await pbx.stop()
    with fails(NetsapiensConnectionError):
        await numbers(api)
    await pbx.start()
    assert await numbers(api) == [pbx.numbers[0]]


async def test_numeric_token(api: NetsapiensAPI, pbx: Simulator) -> None:
    """The PBX's cast can hit a token too."""
    pbx.fault(FaultKind.BODY, path="/tokens", body='{"access_token": 1234, "refresh_token": 5678}')
    pbx.fault(FaultKind.BODY, path="/smsnumbers", body="[]")
    await numbers(api)
    assert pbx.requests[-1].headers["Authorization"] == "Bearer 1234"


# --- the token call is away while the old token lives -------------------------


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        (FaultKind.STATUS, {"code": 500}),
        (FaultKind.STATUS, {"code": 404}),
        (FaultKind.BODY, {"body": "<html>"}),
        (FaultKind.FORBIDDEN_HTML, {}),
        (FaultKind.RATE_LIMIT, {}),
        (FaultKind.DROP_BEFORE, {}),
        (FaultKind.DROP_AFTER, {}),
        (FaultKind.HANG, {}),
        (FaultKind.REDIRECT, {}),
    ],
)
async def test_requests_go_on(
    pbx: Simulator, hasty: NetsapiensAPI, clock: Clock, kind: FaultKind, details: dict[str, Any], fails: Fails
) -> None:
    """Until it ends; then the error comes out."""
    await hasty.get_token()
    clock.at += 3600 - 5
    fault = pbx.fault(kind, path="/tokens", times=None, **details)
    assert await numbers(hasty) == [pbx.numbers[0]]
    assert fault.struck
    clock.at += 5
    with pytest.raises(NetsapiensError) as caught:
        await numbers(hasty)
    assert not isinstance(caught.value, NetsapiensAuthError)
    assert not caught.value.maybe_done
    assert len(pbx.requests_to("/smsnumbers")) == 1
    pbx.clear_faults()
    assert await numbers(hasty) == [pbx.numbers[0]]


async def test_token_ends_during_a_failing_refresh(
    pbx: Simulator, api: NetsapiensAPI, clock: Clock, fails: Fails
) -> None:
    """Who waits gets the refresh's failure, not a request with a token that has ended."""
    await api.get_token()
    clock.at += 3600 - 5
    fault = pbx.fault(FaultKind.HANG, path="/tokens", seconds=0.2)
    waiter = asyncio.create_task(numbers(api))
    await until(lambda: fault.struck)
    clock.at += 5
    with fails(NetsapiensConnectionError):
        await waiter
    assert not pbx.requests_to("/smsnumbers")


async def test_get_token_does_not_hide_it(pbx: Simulator, api: NetsapiensAPI, fails: Fails) -> None:
    """Who asks for a newer token is told when there is none."""
    await api.get_token()
    pbx.fault(FaultKind.STATUS, path="/tokens", code=503)
    with fails(NetsapiensServerError):
        await api.get_token(min_left=3601)
