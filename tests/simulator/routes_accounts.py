"""Tokens, the version, users and their numbers."""

from typing import Any

from aiohttp import web

from . import render
from .access import authorize, page, record_of, user_of, whole_domain_of
from .errors import ApiError, bad_request
from .model import User
from .reply import json_answer
from .state import Pbx
from .tokens import PASSCODE, ApiKey

MFA_LIFE = 300


class AccountRoutes:
    """What comes before any message."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx

    def routes(self) -> list[web.RouteDef]:
        """The paths below the API's base."""
        return [
            web.post("/tokens", self.tokens),
            web.get("/version", self.version),
            web.get("/apikeys/~", self.key),
            web.get("/domains/{domain}/smsnumbers", self.domain_numbers),
            web.get("/domains/{domain}/users/{user}", self.user),
            web.get("/domains/{domain}/users/{user}/contacts", self.contacts),
            web.get("/domains/{domain}/users/{user}/smsnumbers", self.numbers),
            web.get("/domains/{domain}/users/{user}/smsnumbers/count", self.count),
        ]

    async def version(self, _: web.Request) -> web.Response:
        """Say which version this is, to anybody."""
        now = render.bare_time(self._pbx.now())
        return json_answer({"apiversion": self._apiversion(), "hostname": render.HOSTNAME, "current-time": now})

    async def key(self, request: web.Request) -> web.Response:
        """Describe the API key of the request."""
        caller = authorize(self._pbx, request)
        if not self._pbx.describes_keys or not isinstance(caller.token, ApiKey):
            raise ApiError(404, "No Route Found [92]")
        key = caller.token
        row = {
            "description": "Home Assistant",
            "key-id": key.key[:12],
            "reseller": "AcmeReseller",
            "user": key.user,
            "domain": key.domain,
            "user-scope": key.scope,
            "ip-address": "",
            "readonly": "yes" if key.read_only else "no",
            "can-create-keys": "no",
            "created-datetime": render.bare_time(self._pbx.now()),
        }
        return json_answer(render.cast(row, self._pbx))

    async def tokens(self, request: web.Request) -> web.Response:
        """Sign in, whatever way the parameters came."""
        record = record_of(request)
        fields = record.body if isinstance(record.body, dict) else record.form or record.query
        self._check_client(fields)
        grant_type = fields.get("grant_type")
        if grant_type == "password":
            return self._password(fields)
        if grant_type == "refresh_token":
            return self._refresh(fields)
        if grant_type == "mfa":
            return self._mfa(fields)
        raise bad_request("Invalid grant_type")

    def _check_client(self, fields: dict[str, Any]) -> None:
        if not fields.get("grant_type"):
            raise bad_request("Missing required field: grant_type")
        if not fields.get("client_id") or not fields.get("client_secret"):
            raise bad_request("Client credentials were not found")
        if (fields["client_id"], fields["client_secret"]) != (self._pbx.client_id, self._pbx.client_secret):
            raise bad_request("The client credentials are invalid")

    def _user(self, fields: dict[str, Any]) -> User:
        if not fields.get("username") or not fields.get("password"):
            raise bad_request("Missing required field: username and password are needed")
        user = self._pbx.users.get(str(fields["username"]))
        if user is None or user.password != fields["password"]:
            raise ApiError(401, "Invalid username and password combination")
        return user

    def _password(self, fields: dict[str, Any]) -> web.Response:
        user = self._user(fields)
        return self._challenge(user) if user.mfa else self._grant(user)

    def _refresh(self, fields: dict[str, Any]) -> web.Response:
        user = self._pbx.users.get(self._pbx.token_book.redeem(str(fields.get("refresh_token", ""))))
        if user is None:
            raise ApiError(401, "Invalid username and password combination")
        return self._grant(user)

    def _challenge(self, user: User) -> web.Response:
        """Succeed with a token that is good for nothing but the passcode."""
        token = self._pbx.token_book.issue(user, MFA_LIFE, mfa_pending=True)
        return json_answer(
            {
                "mfa_type": "authenticator",
                "mfa_vendor": "google",
                "access_token": token.access_token,
                "expires_in": MFA_LIFE,
                "token_type": "Bearer",
                "apiversion": self._apiversion(),
            }
        )

    def _mfa(self, fields: dict[str, Any]) -> web.Response:
        user = self._user(fields)
        token = self._pbx.tokens.get(str(fields.get("access_token", "")))
        if token is None or not token.mfa_pending or token.login != user.login or token.left <= 0:
            raise ApiError(403, "Invalid access_token")
        if fields.get("passcode") != PASSCODE:
            raise ApiError(403, "Invalid passcode")
        del self._pbx.tokens[token.access_token]
        return self._grant(user)

    def _grant(self, user: User) -> web.Response:
        token = self._pbx.token_book.issue(user, self._pbx.token_life)
        return json_answer(
            {
                "username": user.login,
                "user": user.user,
                "territory": "AcmeReseller",
                "domain": user.domain,
                "site": "",
                "group": "",
                "department": "n/a",
                "uid": user.uid,
                "login": user.login,
                "scope": user.scope,
                "user_email": user.uid,
                "displayName": user.display_name,
                "access_token": token.access_token,
                "expires_in": int(self._pbx.token_life),
                "token_type": "Bearer",
                "refresh_token": self._pbx.token_book.issue_refresh(user),
                "client_id": self._pbx.client_id,
                "apiversion": self._apiversion(),
            }
        )

    def _apiversion(self) -> str:
        return f"Version: {self._pbx.api_version}"

    async def user(self, request: web.Request) -> web.Response:
        """Show one user."""
        _, user = user_of(self._pbx, request)
        return json_answer(render.user(user))

    async def numbers(self, request: web.Request) -> web.Response:
        """List a user's texting numbers."""
        _, user = user_of(self._pbx, request)
        return self._number_page(request, [user])

    async def contacts(self, request: web.Request) -> web.Response:
        """List a user's contacts."""
        _, user = user_of(self._pbx, request)
        if self._pbx.contacts_refusal is not None:
            raise ApiError(self._pbx.contacts_refusal, "Permission denied")
        return page(self._pbx, request, user.contacts, lambda row: render.cast(row, self._pbx))

    async def count(self, request: web.Request) -> web.Response:
        """Count a user's texting numbers."""
        _, user = user_of(self._pbx, request)
        return json_answer({"total": len(user.numbers)})

    async def domain_numbers(self, request: web.Request) -> web.Response:
        """List a domain's texting numbers."""
        domain = whole_domain_of(authorize(self._pbx, request), request)
        users = [user for user in self._pbx.users.values() if user.domain == domain]
        return self._number_page(request, users)

    def _number_page(self, request: web.Request, users: list[User]) -> web.Response:
        rows = [render.sms_number(user, number) for user in users for number in user.numbers]
        return page(self._pbx, request, rows, lambda row: render.cast(row, self._pbx))
