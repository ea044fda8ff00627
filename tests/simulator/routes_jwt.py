"""JWTs: by password, by a refresh token that serves once, or delegated with an API key."""

from typing import Any

from aiohttp import web

from .access import authorize, record_of
from .errors import ApiError, bad_request
from .model import User
from .reply import json_answer
from .state import Pbx
from .tokens import ApiKey


class JwtRoutes:
    """POST /jwt."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx

    def routes(self) -> list[web.RouteDef]:
        """The paths below the API's base."""
        return [web.post("/jwt", self.create)]

    async def create(self, request: web.Request) -> web.Response:
        """Give a JWT."""
        body = record_of(request).body
        if self._pbx.jwt_refusal is not None:
            raise ApiError(self._pbx.jwt_refusal, "Permission denied")
        if not isinstance(body, dict):
            raise bad_request("Invalid JSON body")
        user = self._user(request, body)
        return json_answer(self._pbx.jwt_book.issue(user, self._pbx.jwt_life))

    def _user(self, request: web.Request, body: dict[str, Any]) -> User:
        if "refresh" in body:
            user = self._pbx.jwt_book.refresh.pop(str(body["refresh"]), None)
            if user is None:
                raise ApiError(403, "Invalid refresh token")
            return user
        if "grant_type" in body:
            return self._by_password(body)
        caller = authorize(self._pbx, request)
        user = self._pbx.find_user(str(body.get("domain")), str(body.get("user")))
        if not isinstance(caller.token, ApiKey) or user is None:
            raise ApiError(403, "Permission denied")
        return user

    def _by_password(self, body: dict[str, Any]) -> User:
        if (body.get("client_id"), body.get("client_secret")) != (self._pbx.client_id, self._pbx.client_secret):
            raise bad_request("The client credentials are invalid")
        user = self._pbx.users.get(str(body.get("username")))
        if user is None or user.password != body.get("password") or user.mfa:
            raise ApiError(403, "Invalid username and password combination")
        return user
