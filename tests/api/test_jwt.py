"""JWTs: by password, by a refresh token that serves once, and with an API key."""

import base64
import json

import pytest

from custom_components.netsapiens.api import (
    JwtAPI,
    NetsapiensAPI,
    NetsapiensMfaError,
    NetsapiensRequestError,
    NetsapiensServerError,
)
from custom_components.netsapiens.api.jwt import _life
from custom_components.netsapiens.api.redaction import shown
from tests.simulator import Simulator


async def test_by_password_and_by_refresh(pbx: Simulator) -> None:
    """A refresh token gives the next JWT once, and its life is that of the claims."""
    async with NetsapiensAPI({**pbx.account, "verify_ssl": True}) as api:
        jwts = JwtAPI(api)
        first = await jwts.create_jwt()
        second = await jwts.refresh_jwt(first)
        assert first.token != second.token
        assert {first.token, second.token} <= pbx.jwt_book.live.keys()
        assert 86000 < second.left <= second.life == 86400
        with pytest.raises(NetsapiensRequestError) as refusal:
            await jwts.refresh_jwt(first)
    assert refusal.value.status == 403
    assert first.refresh not in str(refusal.value)
    assert first.token not in repr(first)


async def test_delegated(pbx: Simulator) -> None:
    """An API key gives a JWT of the account's user."""
    config = {"base_url": pbx.url, "api_key": pbx.add_key("nsd_").key, "domain": "acme.example", "user": "1001"}
    async with NetsapiensAPI(config) as api:
        jwt = await JwtAPI(api).create_jwt()
    assert pbx.jwt_book.live[jwt.token].user.uid == "1001@acme.example"


async def test_the_host_names_itself(pbx: Simulator) -> None:
    """The host's name needs no token."""
    async with NetsapiensAPI({**pbx.account, "verify_ssl": True}) as api:
        assert await api.get_hostname() == pbx.hostname
    assert [record.path for record in pbx.requests] == ["/ns-api/v2/version"]


@pytest.mark.parametrize("claims", [{}, {"exp": "soon", "iat": 1}, {"exp": 1, "iat": 5}, {"exp": 1e999, "iat": 1}])
def test_a_life_that_cannot_be_read(claims: dict[str, object]) -> None:
    """Without sane claims a JWT lives for an hour."""
    assert _life(claims) == 3600


def test_a_jwt_is_not_shown() -> None:
    """What looks like a JWT does not get into an error, whoever's it is."""
    assert shown("No: eyJhbGciOi.eyJzdWIiOi.c2ln here", []) == "No: … here"


def encoded(claims: object) -> str:
    """A JWT that says this."""
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOi.{part}.c2ln"


@pytest.mark.parametrize(
    "token",
    [
        encoded({"user_scope": "mfa_required"}),
        encoded({"iat": 1, "exp": 2, "user_scope": "mfa_required"}),
    ],
)
async def test_a_second_factor(pbx: Simulator, token: str) -> None:
    """A JWT that only serves to enter a second factor is none, whether its claims say so or the answer."""
    async with NetsapiensAPI({**pbx.account, "verify_ssl": True}) as api:
        for body in ({"token": token}, {"token": "eyJhbGciOi.e30.c2ln", "user_scope": "mfa_required"}):
            pbx.fault("body", path="/jwt", body=json.dumps(body))
            with pytest.raises(NetsapiensMfaError):
                await JwtAPI(api).create_jwt()


@pytest.mark.parametrize(
    "body", ["{}", "[]", '{"token": ""}', '{"token": " "}', '{"token": "a\\nb"}', '{"token": "é"}']
)
async def test_an_answer_without_a_jwt(pbx: Simulator, body: str) -> None:
    """Where the PBX says yes and gives nothing that could be sent, that is an error of the PBX."""
    async with NetsapiensAPI({**pbx.account, "verify_ssl": True}) as api:
        pbx.fault("body", path="/jwt", body=body)
        with pytest.raises(NetsapiensServerError):
            await JwtAPI(api).create_jwt()


@pytest.mark.parametrize("token", ["opaque", "a.b", "a.!.c", "a.bm8.c", "a.AAAA.c", encoded([1]), encoded("no")])
async def test_a_jwt_that_cannot_be_read(pbx: Simulator, token: str) -> None:
    """What a JWT says need not be readable: it is used, and taken to live for an hour."""
    async with NetsapiensAPI({**pbx.account, "verify_ssl": True}) as api:
        pbx.fault("body", path="/jwt", body=json.dumps({"token": token}))
        jwt = await JwtAPI(api).create_jwt()
    assert (jwt.token, jwt.refresh, jwt.life) == (token, "", 3600)
