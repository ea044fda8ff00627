"""Misbehaviour on demand: dropped connections, silence, errors of every kind."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
import random
from typing import Any

from aiohttp import web

from .model import RequestRecord
from .reply import html, json_answer


class FaultKind(StrEnum):
    """What can go wrong."""

    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    HANG = "hang"
    STATUS = "status"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN_HTML = "forbidden_html"
    RATE_LIMIT = "rate_limit"
    SLOW = "slow"
    REDIRECT = "redirect"
    BODY = "body"
    TRUNCATE = "truncate"
    NO_ROUTE = "no_route"
    TOKEN_WITHOUT_ACCESS_TOKEN = "token_without_access_token"
    MFA = "mfa"
    REFRESH_REFUSED = "refresh_refused"
    OAUTH_ERROR = "oauth_error"
    WRONG_DATE = "wrong_date"

    @property
    def default_path(self) -> str:
        """Where it strikes when nothing else is said: some only make sense at sign-in."""
        return "/tokens" if self in TOKEN_KINDS else ""


TOKEN_KINDS = {
    FaultKind.TOKEN_WITHOUT_ACCESS_TOKEN,
    FaultKind.MFA,
    FaultKind.REFRESH_REFUSED,
    FaultKind.OAUTH_ERROR,
}
ACCEPTING_KINDS = {FaultKind.DROP_AFTER, FaultKind.TRUNCATE}
FORBIDDEN_PAGE = """<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">
<html><head><title>403 Forbidden</title></head><body>
<h1>Forbidden</h1><p>You don't have permission to access this resource.</p>
<hr><address>Apache/2.4.62 (Debian) Server</address></body></html>
"""
ERROR_PAGE = "<html><head><title>{code}</title></head><body><h1>{code}</h1></body></html>\n"
LONGEST_NAP = 0.05
DATE_OFF_BY = "date_off_by"


class Dropped(web.Response):
    """What a handler returns when its connection is gone; nobody will see it."""


type Handler = Callable[[], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Fault:
    """One misbehaviour that waits for its requests; `times` counts down to 0, None is for ever."""

    kind: FaultKind
    path: str = ""
    method: str | None = None
    times: int | None = 1
    probability: float = 1.0
    details: dict[str, Any] = field(default_factory=dict)
    struck: int = 0
    dice: random.Random = field(default_factory=random.Random)

    @property
    def accepts(self) -> bool:
        """Whether the request is carried out all the same."""
        return bool(self.details.get("accept", self.kind in ACCEPTING_KINDS))

    def matches(self, record: RequestRecord) -> bool:
        """Whether it strikes this request."""
        action = record.query.get("action", "")  # of the old-style calls, which share one path
        if self.times == 0 or self.path not in f"{record.path}?action={action}":
            return False
        if self.method is not None and self.method.upper() != record.method:
            return False
        if self.kind is FaultKind.REFRESH_REFUSED and _grant_type(record) != "refresh_token":
            return False
        return self.probability >= 1 or self.dice.random() < self.probability


class FaultBook:
    """The faults that are set, and a count of those that struck."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.counts: Counter[str] = Counter()

    def add(self, fault: Fault) -> None:
        """Set one; the oldest that matches strikes first."""
        self.faults.append(fault)

    def strike(self, record: RequestRecord) -> Fault | None:
        """The fault that hits this request, if any."""
        for fault in self.faults:
            if fault.matches(record):
                fault.struck += 1
                self.counts[fault.kind.value] += 1
                if fault.times is not None:
                    fault.times -= 1
                self.faults = [left for left in self.faults if left.times != 0]
                return fault
        return None


def _grant_type(record: RequestRecord) -> str | None:
    source = record.body if isinstance(record.body, dict) else record.form or record.query
    return source.get("grant_type")


async def misbehave(fault: Fault, request: web.Request, record: RequestRecord, handler: Handler) -> web.StreamResponse:
    """Answer as the fault wants it; a record whose connection is dropped keeps status 0."""
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(float(fault.details.get("seconds", 1)))
        return await handler()
    if fault.kind is FaultKind.WRONG_DATE:
        request[DATE_OFF_BY] = float(fault.details.get("seconds", 86400))
        return await handler()
    answer = await handler() if fault.accepts else None
    if fault.kind in (FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER):
        return drop(request)
    if fault.kind is FaultKind.HANG:
        await _hang(request, float(fault.details.get("seconds", 3600)))
        return drop(request)
    if fault.kind is FaultKind.TRUNCATE:
        return _truncate(request, record, answer)
    return canned(fault)


def drop(request: web.Request) -> web.StreamResponse:
    """Close the connection without a word."""
    if request.transport is not None:
        request.transport.abort()
    return Dropped()


async def _hang(request: web.Request, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    # There is nothing to wait on: a hung connection only shows its end.
    while loop.time() < end and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(min(LONGEST_NAP, max(0.0, end - loop.time())))


def _truncate(request: web.Request, record: RequestRecord, answer: web.StreamResponse | None) -> web.StreamResponse:
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    body = body or b'{"code":202,"message":"Accepted"}'
    status = answer.status if answer is not None else 200
    head = (
        f"HTTP/1.1 {status} OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    if request.transport is not None:
        request.transport.write(head.encode() + body[: len(body) // 2])
        request.transport.close()
    record.status = status
    return Dropped()


def canned(fault: Fault) -> web.Response:
    """The answers that need nothing of the PBX; each may ask to come back after so many seconds."""
    answer = _CANNED[fault.kind](fault.details)
    if (retry_after := fault.details.get("retry_after", _RETRY_AFTER.get(fault.kind))) is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


def _status(details: dict[str, Any]) -> web.Response:
    code = int(details.get("code", 500))
    if details.get("html"):
        return html(ERROR_PAGE.format(code=code), code)
    return json_answer({"code": code, "message": str(details.get("message", "Internal Error"))}, code)


def _unauthorized(details: dict[str, Any]) -> web.Response:
    message = str(details.get("message", "The access token provided has expired"))
    return json_answer({"code": 401, "message": message}, 401)


def _forbidden_html(_: dict[str, Any]) -> web.Response:
    return html(FORBIDDEN_PAGE, 403)


def _rate_limit(_: dict[str, Any]) -> web.Response:
    return json_answer({"code": 429, "message": "Too Many Requests"}, 429)


def _redirect(details: dict[str, Any]) -> web.Response:
    return web.Response(status=int(details.get("code", 302)), headers={"Location": str(details.get("location", "/"))})


def _body(details: dict[str, Any]) -> web.Response:
    body = details.get("body", b"")
    return web.Response(
        body=body.encode() if isinstance(body, str) else body,
        status=int(details.get("status", 200)),
        headers={"Content-Type": str(details.get("content_type", "application/json; charset=utf-8"))},
    )


def _no_route(_: dict[str, Any]) -> web.Response:
    return json_answer({"code": 404, "message": "No Route Found [92]"}, 404)


def _token_without_access_token(details: dict[str, Any]) -> web.Response:
    return json_answer(details.get("body", {}), 200)


def _mfa(_: dict[str, Any]) -> web.Response:
    challenge = {"mfa_type": "authenticator", "mfa_vendor": "google", "access_token": "0" * 32, "expires_in": 300}
    return json_answer(challenge, 200)


def _refresh_refused(_: dict[str, Any]) -> web.Response:
    return json_answer({"error": "invalid_grant", "error_description": "Invalid refresh token"}, 400)


def _oauth_error(details: dict[str, Any]) -> web.Response:
    error = str(details.get("error", "invalid_client"))
    description = str(details.get("description", "The client credentials are invalid"))
    return json_answer({"error": error, "error_description": description}, int(details.get("code", 400)))


_RETRY_AFTER = {FaultKind.RATE_LIMIT: 1}  # where nothing else is said
_CANNED: dict[FaultKind, Callable[[dict[str, Any]], web.Response]] = {
    FaultKind.STATUS: _status,
    FaultKind.UNAUTHORIZED: _unauthorized,
    FaultKind.FORBIDDEN_HTML: _forbidden_html,
    FaultKind.RATE_LIMIT: _rate_limit,
    FaultKind.REDIRECT: _redirect,
    FaultKind.BODY: _body,
    FaultKind.NO_ROUTE: _no_route,
    FaultKind.TOKEN_WITHOUT_ACCESS_TOKEN: _token_without_access_token,
    FaultKind.MFA: _mfa,
    FaultKind.REFRESH_REFUSED: _refresh_refused,
    FaultKind.OAUTH_ERROR: _oauth_error,
}
