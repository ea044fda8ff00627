"""Who asks, and whether what is asked for is theirs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .errors import ApiError, bad_request
from .model import RequestRecord, User
from .reply import json_answer
from .state import Pbx
from .subscriptions import ALL_DOMAINS, DOMAIN_SCOPES
from .tokens import ApiKey, Token

DEFAULT_LIMIT = 100
HIGHEST_LIMIT = 1000

RECORD = web.RequestKey("simulator_record", RequestRecord)


@dataclass(slots=True)
class Caller:
    """The user behind a request's token. A key's user may be nobody: one without an extension."""

    user: User
    token: Token | ApiKey

    @property
    def by_key(self) -> bool:
        """Whether it came with an API key, which knows no `~`."""
        return isinstance(self.token, ApiKey)


def record_of(request: web.Request) -> RequestRecord:
    """The record that the server made of this request; it holds the parsed body."""
    return request[RECORD]


def authorize(pbx: Pbx, request: web.Request) -> Caller:
    """Read the bearer token."""
    scheme, _, access_token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not access_token:
        raise ApiError(401, "Authentication Required")
    key = pbx.token_book.keys.get(access_token.strip())
    if key is not None:
        return _key_caller(key, request)
    token = pbx.token_book.check(access_token.strip())
    user = pbx.users.get(token.login)
    if user is None:
        raise ApiError(401, "Authentication Required")
    return Caller(user, token)


def _key_caller(key: ApiKey, request: web.Request) -> Caller:
    if key.read_only and request.method != "GET":
        raise ApiError(403, "This API key is read only")
    login = f"{key.user}@{key.domain}"
    return Caller(User(key.user, key.domain, login, "", key.scope), key)


def domain_of(caller: Caller, request: web.Request) -> str:
    """The domain in the path, `~` being the caller's own."""
    domain = request.match_info["domain"]
    if domain == "~" and caller.by_key:
        raise bad_request("~ is not supported with an API key")
    if domain == "~":
        return caller.user.domain
    if domain != caller.user.domain and caller.user.scope not in ALL_DOMAINS:
        raise ApiError(401, "Domain out of scope")
    return domain


def whole_domain_of(caller: Caller, request: web.Request) -> str:
    """The domain in the path, for reads that show other users' rows."""
    domain = domain_of(caller, request)
    if caller.user.scope not in DOMAIN_SCOPES:
        raise ApiError(403, "Permission denied")
    return domain


def user_of(pbx: Pbx, request: web.Request) -> tuple[Caller, User]:
    """The user in the path, `~` being the caller."""
    caller = authorize(pbx, request)
    domain = domain_of(caller, request)
    extension = request.match_info["user"]
    if extension == "~" and caller.by_key:
        raise bad_request("~ is not supported with an API key")
    own = extension == "~" or (domain, extension) == (caller.user.domain, caller.user.user)
    if own and not caller.by_key:
        return caller, caller.user
    if not own and caller.user.scope not in DOMAIN_SCOPES:
        raise ApiError(403, "Permission denied")
    user = pbx.find_user(domain, extension)
    if user is None:
        raise ApiError(404, "User not found")
    return caller, user


def json_body(request: web.Request) -> Any:
    """The parsed body, or the refusal of one that is not JSON."""
    body = record_of(request).body
    if body is None:
        raise bad_request("Invalid JSON body")
    return body


def page[Row](
    pbx: Pbx, request: web.Request, rows: Sequence[Row], shown: Callable[[Row], dict[str, Any]]
) -> web.Response:
    """Answer with a list: cut without a word, and with `start` counting from 0. Only what is shown is rendered."""
    start = max(0, _integer(request, "start", 0)) if pbx.knows_start else 0
    limit = _integer(request, "limit", DEFAULT_LIMIT)
    limit = min(limit, HIGHEST_LIMIT, pbx.most_rows) if limit > 0 else DEFAULT_LIMIT
    bodies = [shown(row) for row in rows[start : start + limit]]
    if pbx.bare_single and len(bodies) == 1:
        return json_answer(bodies[0])
    return json_answer(bodies)


def _integer(request: web.Request, name: str, default: int) -> int:
    value = request.query.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else default
