"""Answers in the content types that the PBX's web server uses."""

import json
from typing import Any

from aiohttp import web

JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


def json_answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=json.dumps(body).encode(), status=int(status), headers=JSON_HEADERS)


def html(page: str, status: int = 200) -> web.Response:
    """An HTML answer, as the web server in front of the API gives."""
    return web.Response(text=page, status=int(status), content_type="text/html", charset="utf-8")


def accepted() -> web.Response:
    """What most writes are answered with."""
    return json_answer({"code": 202, "message": "Accepted"}, 202)
