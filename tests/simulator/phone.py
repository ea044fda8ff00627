"""The phone page: the other end of the line, for people."""

from pathlib import Path

from aiohttp import web

from .reply import json_answer

PAGE = Path(__file__).with_name("phone.html")
# The page's address book. Extensions are left out: they are colleagues at the PBX.
PEOPLE = {
    "18585550123": "Ann",
    "18585550124": "Ben",
    "18585550166": "The neighbor",
    "18585550177": "The plumber",
}


def routes() -> list[web.RouteDef]:
    """The page and its address book; messages come from the control surface."""
    return [web.get("/phone", phone), web.get("/phone/people", people)]


async def people(_: web.Request) -> web.Response:
    """Return the names of the people, by number."""
    return json_answer(PEOPLE)


async def phone(_: web.Request) -> web.FileResponse:
    """Serve the page."""
    return web.FileResponse(PAGE, headers={"Cache-Control": "no-store"})
