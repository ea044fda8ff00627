"""The control surface under /_sim/, for other processes: what tests do in Python, as JSON over HTTP."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .faults import FaultKind
from .model import RequestRecord, StoredMessage
from .reply import json_answer
from .state import decode_media

if TYPE_CHECKING:
    from .server import Simulator

HEARTBEAT = 15
RECEIVE_FIELDS = ("from_number", "text", "to_number", "messagesession", "mime_type")
CHAT_FIELDS = ("from_user", "text", "to_user", "messagesession", "mime_type")


class ControlRoutes:
    """No auth, never recorded, never struck by a fault."""

    def __init__(self, pbx: Simulator) -> None:
        self._pbx = pbx

    def routes(self) -> list[web.RouteDef]:
        """The paths."""
        return [
            web.get("/_sim/messages", self.messages),
            web.get("/_sim/inbound", self.inbound),
            web.get("/_sim/requests", self.requests),
            web.get("/_sim/state", self.state),
            web.get("/_sim/events", self.events),
            web.get("/_sim/media/{id}", self.media),
            web.post("/_sim/fault", self.fault),
            web.delete("/_sim/fault", self.clear_faults),
            web.post("/_sim/receive", self.receive),
            web.post("/_sim/settings", self.settings),
            web.post("/_sim/revoke", self.revoke),
            web.post("/_sim/password", self.password),
            web.post("/_sim/user", self.user),
            web.post("/_sim/key", self.key),
        ]

    async def messages(self, _: web.Request) -> web.Response:
        """Everything that was sent."""
        return json_answer([describe(row) for row in self._pbx.messages])

    async def inbound(self, _: web.Request) -> web.Response:
        """Everything that was received."""
        return json_answer([describe(row) for row in self._pbx.inbound])

    async def requests(self, request: web.Request) -> web.Response:
        """Every request to the API; `?path=` picks some."""
        return json_answer([_request(row) for row in self._pbx.requests_to(request.query.get("path", ""))])

    async def state(self, _: web.Request) -> web.Response:
        """Counters and knobs."""
        pbx = self._pbx
        return json_answer(
            {
                "url": pbx.url,
                "settings": pbx.knobs(),
                "users": [user.login for user in pbx.users.values()],
                "numbers": pbx.numbers,
                "all_numbers": [
                    {"number": row.number, "user": user.user} for user in pbx.users.values() for row in user.numbers
                ],
                "messages": len(pbx.messages),
                "inbound": len(pbx.inbound),
                "requests": len(pbx.requests),
                "connections": pbx.connections,
                "tokens": len(pbx.tokens),
                "tokens_in_flight_peak": pbx.tokens_in_flight_peak,
                "fault_counts": dict(pbx.fault_counts),
                "faults": [fault.kind.value for fault in pbx.faults],
                "subscriptions": len(pbx.subscriptions),
                "live_url": pbx.live.url if pbx.live else None,
                "live_subscribed": pbx.live.subscribed if pbx.live else 0,
            }
        )

    async def fault(self, request: web.Request) -> web.Response:
        """Set a fault: the fields are the arguments of `Simulator.fault`, details beside them."""
        body = await _body(request)
        try:
            kind = FaultKind(body.pop("kind", ""))
        except ValueError as err:
            raise _wrong(str(err)) from err
        fault = self._pbx.fault(kind, **body)
        return json_answer({"kind": fault.kind.value, "times": fault.times})

    async def clear_faults(self, _: web.Request) -> web.Response:
        """Behave again."""
        self._pbx.clear_faults()
        return json_answer({})

    async def receive(self, request: web.Request) -> web.Response:
        """Somebody texts in: `from_number` from outside, `from_user` a colleague. `media` is base64."""
        body = await _body(request)
        fields = CHAT_FIELDS if body.get("from_user") else RECEIVE_FIELDS
        values = {key: str(body[key]) for key in fields if body.get(key) is not None}
        if not values.get(fields[0]):
            raise _wrong("from_number or from_user is needed")
        try:
            media = decode_media(body.get("media"))
            receive = self._pbx.receive_chat if body.get("from_user") else self._pbx.receive
            message = await receive(media=media, **values)
        except ValueError as err:
            raise _wrong(str(err)) from err
        return json_answer(describe(message))

    async def settings(self, request: web.Request) -> web.Response:
        """Turn knobs."""
        try:
            self._pbx.turn(await _body(request))
        except ValueError as err:
            raise _wrong(str(err)) from err
        return json_answer(self._pbx.knobs())

    async def revoke(self, request: web.Request) -> web.Response:
        """End all tokens; `refresh` ends the refresh tokens as well."""
        body = await _body(request)
        self._pbx.revoke_tokens(refresh=bool(body.get("refresh")))
        return json_answer({})

    async def password(self, request: web.Request) -> web.Response:
        """Change a user's password, the first one's without `login`."""
        body = await _body(request)
        user = self._pbx.users.get(body.get("login") or self._pbx.first_user.login)
        if user is None or not body.get("password"):
            raise _wrong("login or password")
        user.password = str(body["password"])
        return json_answer({})

    async def user(self, request: web.Request) -> web.Response:
        """Add an account."""
        body = await _body(request)
        try:
            user = self._pbx.add_user(body.pop("login", "") or "1002@acme.example", **body)
        except TypeError as err:
            raise _wrong(str(err)) from err
        return json_answer({**self._pbx.account_of(user), "numbers": [row.number for row in user.numbers]})

    async def key(self, request: web.Request) -> web.Response:
        """Make an API key: the fields are the arguments of `Pbx.add_key`; `revoke` ends one."""
        body = await _body(request)
        if (revoked := body.pop("revoke", None)) is not None:
            self._pbx.token_book.keys.pop(revoked, None)
            return json_answer({})
        try:
            return json_answer({"api_key": self._pbx.add_key(**body).key})
        except (KeyError, TypeError) as err:
            raise _wrong(str(err)) from err

    async def media(self, request: web.Request) -> web.Response:
        """A message's media, for the phone page."""
        message = self._pbx.media(request.match_info["id"])
        if message is None:
            raise web.HTTPNotFound
        # Whatever was sent, it must not run as a page beside the control surface.
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        return web.Response(body=message.media, headers={"Content-Type": message.mime_type or "image/png", **headers})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Every message as it happens, as server-sent events."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await answer.prepare(request)
        queue: asyncio.Queue[StoredMessage] = asyncio.Queue()
        self._pbx.watchers.add(queue.put_nowait)
        try:
            await answer.write(b"retry: 1000\n\n: hello\n\n")
            while True:
                await answer.write(await _next_event(queue))
        except ConnectionError:
            return answer
        finally:
            self._pbx.watchers.discard(queue.put_nowait)


async def _next_event(queue: asyncio.Queue[StoredMessage]) -> bytes:
    try:
        async with asyncio.timeout(HEARTBEAT):
            message = await queue.get()
    except TimeoutError:
        return b": still here\n\n"
    return f"data: {json.dumps(describe(message))}\n\n".encode()


async def _body(request: web.Request) -> dict[str, Any]:
    text = await request.text()
    try:
        body = json.loads(text) if text.strip() else {}
    except ValueError as err:
        raise _wrong("not JSON") from err
    if not isinstance(body, dict):
        raise _wrong("not an object")
    return body


def _wrong(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": message}), content_type="application/json")


def describe(row: StoredMessage) -> dict[str, Any]:
    """A message for people and tests: nothing cast, nothing renamed."""
    return {
        "id": row.id,
        "type": row.type,
        "text": row.text,
        "from_number": row.from_number,
        "from_uid": row.from_uid,
        "destination": row.destination,
        "messagesession": row.messagesession,
        "requested_session": row.requested_session,
        "participants": row.participants,
        "user": row.user,
        "domain": row.domain,
        "direction": row.direction,
        "timestamp": row.timestamp,
        "at": row.at,
        "mime_type": row.mime_type,
        "size": row.size,
        "media_url": f"/_sim/media/{row.id}" if row.media is not None else None,
    }


def _request(row: RequestRecord) -> dict[str, Any]:
    return {
        "method": row.method,
        "path": row.path,
        "query": row.query,
        "body": row.body,
        "status": row.status,
        "at": row.at,
    }
