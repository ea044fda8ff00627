"""Event subscriptions, on the flat paths and on those of a domain."""

from datetime import timedelta

from aiohttp import web

from . import render
from .access import Caller, authorize, domain_of, json_body, page
from .errors import ApiError, no_route
from .reply import accepted, json_answer
from .state import Pbx

REFUSALS = {401: "Domain out of scope", 403: "Permission denied", 404: "No Route Found [92]"}


class SubscriptionRoutes:
    """Both families of paths lead here."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx

    def routes(self) -> list[web.RouteDef]:
        """The paths below the API's base; a domain's have no read by id."""
        domain = "/domains/{domain}/subscriptions"
        return [
            *(web.post(path, self.create) for path in ("/subscriptions", domain)),
            *(web.get(path, self.list) for path in ("/subscriptions", domain)),
            web.get("/subscriptions/{id}", self.read),
            *(web.put(path + "/{id}", self.update) for path in ("/subscriptions", domain)),
            *(web.delete(path + "/{id}", self.delete) for path in ("/subscriptions", domain)),
        ]

    def _caller(self, request: web.Request) -> Caller:
        in_domain = "domain" in request.match_info
        if in_domain and not self._pbx.is_45:
            raise no_route()
        caller = authorize(self._pbx, request)
        if in_domain:
            domain_of(caller, request)
        refusal = self._pbx.subscription_refusal
        if refusal is not None:
            raise ApiError(refusal, REFUSALS.get(refusal, "Permission denied"))
        return caller

    async def create(self, request: web.Request) -> web.Response:
        """Subscribe; without an expiry it ends with the token."""
        caller = self._caller(request)
        body = json_body(request)
        if isinstance(body, dict) and "domain" in request.match_info:
            body = {"domain": domain_of(caller, request), **body}
        now = self._pbx.now()
        default_expiry = now + timedelta(seconds=caller.token.left)
        row = self._pbx.subscription_book.create(body, caller.user, now, default_expiry)
        return json_answer(render.subscription(row))

    async def list(self, request: web.Request) -> web.Response:
        """List what the caller may see."""
        caller = self._caller(request)
        rows = self._pbx.subscription_book.of_user(caller.user, self._pbx.now())
        if "domain" in request.match_info:
            domain = domain_of(caller, request)
            rows = [row for row in rows if row.domain == domain]
        return page(self._pbx, request, rows, render.subscription)

    async def read(self, request: web.Request) -> web.Response:
        """Show one."""
        caller = self._caller(request)
        row = self._pbx.subscription_book.find(caller.user, request.match_info["id"], self._pbx.now())
        return json_answer(render.subscription(row))

    async def update(self, request: web.Request) -> web.Response:
        """Change one, which is also how it is renewed."""
        caller = self._caller(request)
        now = self._pbx.now()
        row = self._pbx.subscription_book.find(caller.user, request.match_info["id"], now)
        self._pbx.subscription_book.update(row, json_body(request), now)
        return accepted()

    async def delete(self, request: web.Request) -> web.Response:
        """Remove one."""
        caller = self._caller(request)
        row = self._pbx.subscription_book.find(caller.user, request.match_info["id"], self._pbx.now())
        self._pbx.subscription_book.remove(row)
        return accepted()
