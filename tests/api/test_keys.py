"""API keys in place of a login."""

from datetime import UTC, datetime
import json
from typing import Any

import aiohttp
import pytest

from custom_components.netsapiens.api import (
    MessageAPI,
    NetsapiensAPI,
    NetsapiensAuthError,
    NetsapiensEmptyAnswerError,
    NetsapiensNoUserError,
    NetsapiensRateLimitError,
    NetsapiensReadOnlyError,
    NetsapiensRequestError,
    NetsapiensServerError,
    NumberAPI,
    SubscriptionAPI,
)
from tests.simulator import FaultKind, Simulator

from .conftest import NUMBER, SESSION, Fails, sms

EXPIRES = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)


def config(pbx: Simulator, prefix: str = "nsu_", **more: Any) -> dict[str, Any]:
    """Return the config of a client with a new key."""
    return {"base_url": pbx.url, "api_key": pbx.add_key(prefix).key, **more}


async def test_a_key_sends(pbx: Simulator) -> None:
    """A key alone sends and reads, without any sign-in."""
    async with MessageAPI(NetsapiensAPI(config(pbx))) as messages:
        await messages.send_message(**sms(messagesession=SESSION))
        await messages.send_message(**sms(messagesession=SESSION))
        assert [message.messagesession for message in await messages.get_messages(SESSION)] == [SESSION] * 2
    assert len(pbx.messages) == 2
    paths = [record.path.partition("/ns-api/v2/")[2] for record in pbx.requests]
    in_session = f"domains/acme.example/users/1001/messagesessions/{SESSION}/messages"
    assert paths == ["apikeys/~", in_session, in_session, in_session]


async def test_the_key_in_the_shape_of_a_token(pbx: Simulator) -> None:
    """Callers need not know the two ways in apart: a key looks like a token without end."""
    login = config(pbx, "nsd_", domain="acme.example", user=1001)
    async with NetsapiensAPI(login) as api:
        assert (api.token_left, api.token_life) == (0, 0)
        token = await api.get_token(min_left=float("inf"))
        assert token == await api.get_token()
        wanted = {"domain": "acme.example", "user": "1001", "scope": "Office Manager", "token_type": "Bearer"}
        assert {
            **wanted,
            "access_token": login["api_key"],
            "expires_at": None,
            "api_url": pbx.url,
        }.items() <= token.items()
        assert api.account.uid == api.account.login == "1001@acme.example"
        assert api.token_left == api.token_life == float("inf")
        assert await api.get_version() == "45.0"
        assert [number.number for number in await NumberAPI(api).get_numbers()] == [NUMBER]
        assert login["api_key"] not in repr(vars(api))
    assert len(pbx.requests_to("/apikeys/")) == 1


@pytest.mark.parametrize(
    "body", [{"user": 1001, "domain": "acme.example"}, [{"user": "1001", "domain": "acme.example"}]]
)
async def test_whose_key_it_is_in_any_form(pbx: Simulator, body: Any) -> None:
    """PBXs describe keys in several forms, all of which say whose they are."""
    pbx.fault(FaultKind.BODY, path="/apikeys/", body=json.dumps(body))
    async with NetsapiensAPI(config(pbx)) as api:
        await api.get_token()
        assert (api.account.uid, api.account.scope) == ("1001@acme.example", "Basic User")


@pytest.mark.parametrize("prefix", ["nsr_", "nss_"])
async def test_a_key_above_domains(pbx: Simulator, fails: Fails, prefix: str) -> None:
    """The PBX says `*` of its domain; the config says which one is meant."""
    login = config(pbx, prefix)
    async with NetsapiensAPI(login) as api:
        with fails(NetsapiensNoUserError) as caught:
            await api.get_token()
    assert (caught.value.domain, caught.value.user) == ("", "")  # type: ignore[attr-defined]
    bearer = {"Authorization": f"Bearer {login['api_key']}"}
    async with aiohttp.request("GET", f"{pbx.url}/ns-api/v2/apikeys/~", headers=bearer) as response:
        assert (await response.json())["domain"] == "*"
    async with NetsapiensAPI({**login, "domain": "acme.example", "user": "1001"}) as api:
        await MessageAPI(api).send_message(**sms(messagesession=SESSION))
        assert len(await MessageAPI(api).get_messages(SESSION)) == 1
        assert [number.number for number in await NumberAPI(api).get_domain_numbers()] == [NUMBER]
        subscriptions = SubscriptionAPI(api)
        made = await subscriptions.create_subscription("message", "https://home.example/x", EXPIRES)
        assert made is not None
        assert await subscriptions.get_subscriptions() == [made]
        await subscriptions.delete_subscription(made)
    assert not pbx.subscriptions


@pytest.mark.parametrize("nobody", ["", "*", "~", " ", None])
async def test_a_key_of_nobody(pbx: Simulator, fails: Fails, nobody: str | None) -> None:
    """A key of a whole domain says that a user has to be named."""
    pbx.fault(FaultKind.BODY, path="/apikeys/", body=json.dumps({"user": nobody, "domain": "acme.example"}))
    async with NetsapiensAPI(config(pbx, user=nobody)) as api:
        with fails(NetsapiensNoUserError) as caught:
            await api.get_token()
    assert (caught.value.domain, caught.value.user) == ("acme.example", "")  # type: ignore[attr-defined]


@pytest.mark.parametrize("read_only", ["yes", "YES", True, 1, "1"])
async def test_a_read_only_key(pbx: Simulator, fails: Fails, read_only: Any) -> None:
    """A key that cannot send is told as that, not as a wrong one."""
    body = {"user": "1001", "domain": "acme.example", "readonly": read_only}
    pbx.fault(FaultKind.BODY, path="/apikeys/", body=json.dumps(body))
    async with NetsapiensAPI(config(pbx)) as api:
        with fails(NetsapiensReadOnlyError):
            await MessageAPI(api).send_message(**sms())
    assert not pbx.messages


@pytest.mark.parametrize("key", ["nsu_0 1", "nsu_0\n1", "nsu_0\r\nX: 1", "nsu_ü", "nsu_\ud83d"])
async def test_what_is_no_key_goes_nowhere(pbx: Simulator, fails: Fails, key: str) -> None:
    """A text that cannot be a header is refused before anything is sent."""
    async with NetsapiensAPI({**config(pbx), "api_key": key}) as api:
        with fails(NetsapiensAuthError):
            await api.get_token()
    assert not pbx.requests


async def test_a_revoked_key(pbx: Simulator, fails: Fails) -> None:
    """A key that is revoked while it is used is an error of the login, once."""
    async with NetsapiensAPI(config(pbx)) as api:
        messages = MessageAPI(api)
        await messages.send_message(**sms())
        pbx.token_book.keys.clear()
        with fails(NetsapiensAuthError):
            await messages.send_message(**sms())
    assert len(pbx.messages) == 1
    assert not pbx.requests_to("/tokens")


async def test_a_domain_out_of_reach_is_no_bad_key(pbx: Simulator, fails: Fails) -> None:
    """A 401 for another domain does not ask for a new key."""
    async with NetsapiensAPI(config(pbx, "nsd_", domain="other.example", user="1001")) as api:
        with fails(NetsapiensRequestError) as caught:
            await NumberAPI(api).get_numbers()
    assert caught.value.status == 401  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", [200, 400, 404, 405])
async def test_a_pbx_that_does_not_describe_keys(pbx: Simulator, fails: Fails, status: int) -> None:
    """Older PBXs have no such call; the user who was named is believed then."""
    no_route = "[]" if status == 200 else json.dumps({"code": status, "message": "No Route Found [92]"})
    pbx.fault(FaultKind.BODY, path="/apikeys/", status=status, body=no_route, times=2)
    async with NetsapiensAPI(config(pbx, domain="acme.example", user="1001")) as api:
        await MessageAPI(api).send_message(**sms())
        assert api.account.scope == "Basic User"
    async with NetsapiensAPI(config(pbx)) as api:
        with fails(NetsapiensNoUserError):
            await api.get_token()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, '{"code": 403, "message": "Not from this address"}', NetsapiensAuthError),
        (403, "<html>", NetsapiensRateLimitError),
        (404, "<html>", NetsapiensServerError),
        (200, '{"code": 500, "message": "?"}', NetsapiensServerError),
        (200, '{"message": "Database is busy"}', NetsapiensServerError),
        (200, "", NetsapiensEmptyAnswerError),
        (503, "", NetsapiensServerError),
    ],
)
async def test_other_answers(
    pbx: Simulator, fails: Fails, status: int, body: str, kind: type[NetsapiensServerError]
) -> None:
    """Whatever it is: the message that waited for it did not go out."""
    pbx.fault(FaultKind.BODY, path="/apikeys/", status=status, body=body)
    async with NetsapiensAPI(config(pbx, domain="acme.example", user="1001")) as api:
        with fails(kind):
            await MessageAPI(api).send_message(**sms())
        await MessageAPI(api).send_message(**sms())
    assert len(pbx.messages) == 1


async def test_a_key_is_not_said_back(pbx: Simulator, fails: Fails) -> None:
    """A PBX that repeats the key in its refusal does not get it into an error."""
    login = config(pbx)
    for status, path, kind in ((403, "/apikeys/", NetsapiensAuthError), (400, SESSION, NetsapiensRequestError)):
        pbx.fault(
            FaultKind.BODY, path=path, status=status, body=json.dumps({"code": status, "message": login["api_key"]})
        )
        async with NetsapiensAPI(login) as api:
            with fails(kind) as caught:
                await MessageAPI(api).send_message(**sms(messagesession=SESSION))
        assert login["api_key"] not in str(caught.value)
