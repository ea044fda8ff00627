"""Messages and sessions."""

from typing import Any

from aiohttp import web

from . import render
from .access import authorize, json_body, page, user_of, whole_domain_of
from .checks import check_send, check_session_id
from .errors import ApiError, bad_request, no_route
from .model import Session, StoredMessage, User
from .reply import accepted, json_answer
from .state import Pbx

USER = "/domains/{domain}/users/{user}"
SESSION = USER + "/messagesessions/{messagesession}"
READ_MARKS = {"read", "unread"}


class MessageRoutes:
    """What the PBX is there for."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx

    def routes(self) -> list[web.RouteDef]:
        """The paths below the API's base."""
        return [
            web.post(USER + "/messages", self.send_new),
            web.post(USER + "/messagesessions", self.send_without_id),
            web.get(USER + "/messagesessions", self.user_sessions),
            web.get("/domains/{domain}/messagesessions", self.domain_sessions),
            web.get(SESSION, self.session),
            web.put(SESSION, self.update),
            web.delete(SESSION, self.delete),
            web.put(SESSION + "/leave", self.leave),
            web.get(SESSION + "/messages", self.messages),
            web.post(SESSION + "/messages", self.send),
        ]

    # --- sending ----------------------------------------------------------------

    async def send_new(self, request: web.Request) -> web.Response:
        """Send in a new session, whose id the PBX chooses."""
        return self._send(request, None, 200)

    async def send(self, request: web.Request) -> web.Response:
        """Send in the session of the path, which begins with this where it is new."""
        return self._send(request, request.match_info["messagesession"], 202)

    async def send_without_id(self, request: web.Request) -> web.Response:
        """Fail: most hosts trip over this form."""
        authorize(self._pbx, request)
        raise ApiError(500, "Internal Server Error")

    def _send(self, request: web.Request, session_id: str | None, status: int) -> web.Response:
        _, user = user_of(self._pbx, request)
        if session_id is not None:
            check_session_id(session_id)
        extensions = {other.user for other in self._pbx.users.values() if other.domain == user.domain}
        draft = check_send(json_body(request), user, extensions)
        message = self._pbx.send(user, draft, session_id, request.headers.get("User-Agent", ""))
        return self._sent(user, message, self._pbx.send_status or status)

    def _sent(self, user: User, message: StoredMessage, status: int) -> web.Response:
        shape = self._pbx.accept_body
        if shape == "empty":
            return web.Response(status=status)
        if shape == "text":
            return web.Response(status=status, text="Accepted")
        if shape == "accepted":
            return json_answer({"code": 202, "message": "Accepted"}, status)
        row = self._message(user, message)
        return json_answer([row] if shape == "list" else row, status)

    # --- reading ----------------------------------------------------------------

    async def user_sessions(self, request: web.Request) -> web.Response:
        """List a user's sessions."""
        _, user = user_of(self._pbx, request)
        return self._session_page(request, self._pbx.mailbox.of_user(user))

    async def domain_sessions(self, request: web.Request) -> web.Response:
        """List a domain's sessions."""
        domain = whole_domain_of(authorize(self._pbx, request), request)
        return self._session_page(request, self._pbx.mailbox.of_domain(domain))

    async def session(self, request: web.Request) -> web.Response:
        """Show one session: as a list, by the documents."""
        if not self._pbx.is_45:
            raise no_route()
        _, session = self._one(request)
        return json_answer([self._session_row(session)])

    async def messages(self, request: web.Request) -> web.Response:
        """List the messages of one session."""
        user, session = self._one(request)
        rows = self._ordered(self._pbx.mailbox.visible(session))
        return page(self._pbx, request, rows, lambda message: self._message(user, message))

    def _one(self, request: web.Request) -> tuple[User, Session]:
        _, user = user_of(self._pbx, request)
        session = self._pbx.mailbox.get(user, request.match_info["messagesession"])
        if session is None:
            raise ApiError(404, "Messagesession not found")
        return user, session

    def _ordered(self, messages: list[StoredMessage]) -> list[StoredMessage]:
        return sorted(messages, key=lambda message: message.sequence, reverse=self._pbx.newest_first)

    def _message(self, user: User, message: StoredMessage) -> dict[str, Any]:
        return render.cast(render.message(message, self._pbx, self._pbx.file_url(user, message)), self._pbx)

    def _session_page(self, request: web.Request, sessions: list[Session]) -> web.Response:
        last = {id(session): self._pbx.mailbox.visible(session)[-1].sequence for session in sessions}
        rows = sorted(sessions, key=lambda session: last[id(session)], reverse=self._pbx.newest_first)
        return page(self._pbx, request, rows, self._session_row)

    def _session_row(self, session: Session) -> dict[str, Any]:
        last = self._pbx.mailbox.visible(session)[-1]
        return render.cast(render.session(session, last, self._pbx), self._pbx)

    # --- changing ---------------------------------------------------------------

    async def update(self, request: web.Request) -> web.Response:
        """Change who takes part, the name, or the read-mark."""
        _, session = self._one(request)
        body = json_body(request)
        if not isinstance(body, dict):
            raise bad_request("Invalid JSON body")
        if "participants" in body:
            self._set_participants(session, body["participants"])
        elif "session-name" in body:
            session.name = str(body["session-name"])
        elif body.get("messagesession-last-status") in READ_MARKS:
            session.last_status = body["messagesession-last-status"]
        else:
            raise bad_request("Nothing to update")
        self._pbx.publish_session(session, self._pbx.mailbox.visible(session)[-1])
        return accepted()

    def _set_participants(self, session: Session, value: Any) -> None:
        if not session.is_chat or not isinstance(value, str) or not value:
            raise bad_request("Invalid participants")
        session.participants = value.split(",")
        session.remote = [uid for uid in session.participants if uid != f"{session.user}@{session.domain}"]

    async def leave(self, request: web.Request) -> web.Response:
        """Leave a group chat, which the others keep."""
        user, session = self._one(request)
        if not session.is_chat or not session.is_group:
            raise bad_request("Not a group chat")
        for other in self._pbx.mailbox.sessions.values():
            if other.id == session.id and other.domain == session.domain:
                other.participants = [uid for uid in other.participants if uid != user.uid]
                other.remote = [uid for uid in other.remote if uid != user.uid]
        self._pbx.mailbox.remove(session)
        return accepted()

    async def delete(self, request: web.Request) -> web.Response:
        """Delete the user's view of a session."""
        _, session = self._one(request)
        self._pbx.mailbox.remove(session)
        return accepted()
