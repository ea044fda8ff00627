"""The phone page: the other end of the line, for people."""

from pathlib import Path

from aiohttp import web

PAGE = Path(__file__).with_name("phone.html")


def routes() -> list[web.RouteDef]:
    """The page; it lives off the control surface."""
    return [web.get("/phone", phone)]


async def phone(_: web.Request) -> web.FileResponse:
    """Serve the page."""
    return web.FileResponse(PAGE, headers={"Cache-Control": "no-store"})
