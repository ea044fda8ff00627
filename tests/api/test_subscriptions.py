"""Event subscriptions, over the flat paths."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import aiohttp
import pytest

from custom_components.netsapiens.api import NetsapiensAPI, NetsapiensRequestError, SubscriptionAPI
from tests.api.conftest import Fails
from tests.simulator import FaultKind, Simulator

URL = "https://home.example/api/webhook/0a1b2c"
EXPIRES = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def api(pbx: Simulator) -> AsyncGenerator[SubscriptionAPI]:
    async with aiohttp.ClientSession() as session:
        login = NetsapiensAPI({**pbx.account, "verify_ssl": True}, session)
        await login.get_token()
        yield SubscriptionAPI(login)
        await login.close()


def last_body(pbx: Simulator) -> Any:
    return pbx.requests_to("/subscriptions")[-1].body


async def test_life_of_one(pbx: Simulator, api: SubscriptionAPI) -> None:
    """A subscription is made, listed, prolonged and deleted, with its times in UTC."""
    pbx.api_version = "44.1.2"
    made = await api.create_subscription("message", URL, EXPIRES.astimezone(timezone(timedelta(hours=-8))))
    assert made is not None
    assert (made.model, made.post_url, made.status, made.expires) == ("message", URL, "pending", EXPIRES)
    assert last_body(pbx) == {
        "model": "message",
        "post-url": URL,
        "subscription-geo-support": "yes",
        "domain": "acme.example",
        "user": "1001",
        "subscription-expires-datetime": "2099-01-02 03:04:05",
    }
    assert await api.get_subscriptions() == [made]
    [row] = pbx.subscriptions
    row.error_count = 3
    await api.update_subscription(made, "https://other.example/x", EXPIRES + timedelta(days=1))
    assert (row.post_url, row.error_count, row.geo_support) == ("https://other.example/x", 0, "yes")
    assert row.expires == EXPIRES + timedelta(days=1)
    await api.delete_subscription(made)
    assert last_body(pbx) == {"subscription_id": made.id, "domain": "acme.example"}
    assert await api.get_subscriptions() == []
    assert {record.path.split("/subscriptions")[0] for record in pbx.requests_to("/subscriptions")} == {"/ns-api/v2"}


async def test_it_signs_in_by_itself(pbx: Simulator) -> None:
    """Nobody has to have asked for a token before."""
    async with NetsapiensAPI(pbx.account) as login:
        made = await SubscriptionAPI(login).create_subscription("message", URL, EXPIRES)
    assert made is not None
    assert last_body(pbx)["user"] == "1001"
    async with NetsapiensAPI(pbx.account) as login:
        await SubscriptionAPI(login).delete_subscription(made)
    assert pbx.subscriptions == []


async def test_an_equal_one_is_a_conflict(api: SubscriptionAPI, fails: Fails) -> None:
    """Who asks twice is told so, and gets no second one."""
    await api.create_subscription("message", URL, EXPIRES)
    with fails(NetsapiensRequestError) as info:
        await api.create_subscription("message", URL, EXPIRES)
    assert info.value.status == 409


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_refusals(pbx: Simulator, api: SubscriptionAPI, fails: Fails, status: int) -> None:
    """A user without the right is told apart from a failure."""
    pbx.subscription_refusal = status
    with fails(NetsapiensRequestError) as info:
        await api.get_subscriptions()
    assert info.value.status == status


@pytest.mark.parametrize(
    "answer",
    ["", "{}", '{"code":202,"message":"Accepted"}', '"Accepted"', "[]", '[{"id":""}]'],
)
async def test_created_without_a_description(pbx: Simulator, api: SubscriptionAPI, answer: str) -> None:
    """A PBX that says nothing of the new one made it all the same."""
    pbx.fault(FaultKind.BODY, path="/subscriptions", body=answer)
    assert await api.create_subscription("message", URL, EXPIRES) is None


async def test_created_as_a_list(pbx: Simulator, api: SubscriptionAPI) -> None:
    """A PBX that answers with a list made the one that is in it."""
    pbx.fault(FaultKind.BODY, path="/subscriptions", body='[{"id": 12, "model": "message", "post_url": "x"}]')
    made = await api.create_subscription("message", URL, EXPIRES)
    assert made is not None
    assert (made.id, made.post_url, made.expires) == ("12", "x", None)


async def test_a_single_one_comes_as_a_bare_object(pbx: Simulator, api: SubscriptionAPI) -> None:
    """A list of one may come without its brackets."""
    pbx.bare_single = True
    await api.create_subscription("message", URL, EXPIRES)
    assert [one.post_url for one in await api.get_subscriptions()] == [URL]


async def test_none_yet(pbx: Simulator, api: SubscriptionAPI) -> None:
    """A user without any has an empty list, and no error."""
    pbx.fault(FaultKind.BODY, path="/subscriptions", status=404, body='{"code": 404, "message": "Record not found"}')
    assert await api.get_subscriptions() == []


async def test_the_list_is_as_long_as_it_can_be(pbx: Simulator, api: SubscriptionAPI) -> None:
    """An office manager's list holds everybody's: ours is not cut off."""
    user = pbx.first_user
    user.scope = "Office Manager"
    for number in range(150):
        body = {"model": "message", "post-url": f"https://other.example/{number}"}
        pbx.subscription_book.create(body, user, pbx.now(), EXPIRES)
    assert len(await api.get_subscriptions()) == 150


async def test_ids_are_quoted(pbx: Simulator, api: SubscriptionAPI) -> None:
    """An id cannot lead to another path."""
    await api.create_subscription("message", URL, EXPIRES)
    pbx.subscriptions[0].id = "a/b c?d"
    [one] = await api.get_subscriptions()
    await api.delete_subscription(one)
    assert pbx.subscriptions == []


async def test_secrets_are_not_shown(api: SubscriptionAPI) -> None:
    """Its id may come along with posts, and the address is all that keeps others from posting."""
    made = await api.create_subscription("message", URL, EXPIRES)
    assert made is not None
    assert made.id not in repr(made)
    assert "0a1b2c" not in repr(made)
