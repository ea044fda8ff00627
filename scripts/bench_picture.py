"""What a picture costs on its way out and in, in a Home Assistant, beside bare aiohttp.

Out: ``netsapiens.send_message`` with a picture as base64, beside a post of the same body. In: a picture that somebody
opens, whose message is read for a fresh link, which is fetched, checked and kept; beside a read of the same list, a
fetch of the same link and a file written, over a kept connection. Round by round in turn, over TLS to one light server.
"""

import asyncio
import base64
from pathlib import Path
import statistics
import sys
from typing import Any

from aiohttp import ClientSession, TCPConnector, web
from bench_growth import add
from bench_speed import (
    A_ROUND,
    DESTINATION,
    MESSAGES,
    REFILL,
    SENDER,
    TOKEN,
    Times,
    account_of,
    answer_as_pbx,
    house,
    one_after_the_other,
    serve,
    server,
    table,
    trusting,
    yes,
)
from homeassistant.core import HomeAssistant

ROUNDS = 8
EACH = A_ROUND // 3  # in a round: one that is opened takes two requests
PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 1562  # a JPEG by its head; about 400 kB
DATA = base64.b64encode(PICTURE).decode()
AT = "2026-11-01T00:00:00+00:00"
SESSION = "s" * 32
OUT_BAR, IN_BAR = 3.0, 3.0

HEADERS = {"Authorization": f"Bearer {TOKEN['access_token']}"}


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer as a PBX that lists pictures."""
    if request.path == "/picture":
        return web.Response(body=PICTURE, content_type="image/jpeg")
    if request.method == "GET" and request.path == MESSAGES:
        row = {"type": "mms", "timestamp": AT, "text": "", "direction": "orig", "from-number": DESTINATION}
        media = {"media-type": "image/jpeg", "file-access-url": f"{request.url.origin()}/picture"}
        return web.json_response([{**row, **media, "id": f"m{number}"} for number in range(ROUNDS * EACH + 1)])
    return await answer_as_pbx(request)


async def measure(url: str) -> tuple[Times, Times]:
    """Return the times of each way, round by round: out and in."""
    out: Times = {"ours": [], "bare": []}
    into: Times = {"ours": [], "bare": []}
    async with house() as hass, ClientSession(connector=TCPConnector(ssl=trusting()), headers=HEADERS) as session:
        await add(hass, account := account_of(url))
        ways = Ways(hass, account, session, url)
        for way in (ways.send, ways.post, ways.open, ways.fetch):
            await way(0)
        for turn in range(ROUNDS):
            numbers = range(1 + turn * EACH, 1 + (turn + 1) * EACH)
            for times, ours, bare in ((out, ways.send, ways.post), (into, ways.open, ways.fetch)):
                await asyncio.sleep(REFILL)
                for name, way in sorted({"ours": ours, "bare": bare}.items(), reverse=turn % 2 == 1):
                    times[name].append(await one_after_the_other(way, numbers))
    return out, into


class Ways:
    """Each way of one picture, by its number."""

    def __init__(self, hass: HomeAssistant, account: Any, session: ClientSession, url: str) -> None:
        self._hass = hass
        self._account = account
        self._session = session
        self._url = url
        self._path = Path(hass.config.path("picture"))

    async def send(self, _number: int) -> None:
        """Send one by the action."""
        data = {"destination": DESTINATION, "data": DATA, "mime_type": "image/jpeg"}
        await self._hass.services.async_call("netsapiens", "send_message", data, blocking=True)

    async def post(self, number: int) -> None:
        """Post one."""
        body = {"type": "mms", "message": f"Picture {number}", "destination": DESTINATION, "from-number": SENDER}
        media = {"data": DATA, "size": len(PICTURE), "mime-type": "image/jpeg"}
        async with self._session.post(self._url + MESSAGES, json=body | media) as response:
            assert response.status == 202
            await response.json()

    async def open(self, number: int) -> None:
        """Open one that came in."""
        from custom_components.netsapiens.receiving.pictures_id import MediaId  # noqa: PLC0415 - what is loaded counts

        at = 1_793_491_200  # AT, in seconds since 1970
        media_id = MediaId(self._account.entry_id, SESSION, at, f"m{number}")
        _, path = await self._account.runtime_data.pictures.async_open(media_id)
        assert path.stat().st_size == len(PICTURE)

    async def fetch(self, number: int) -> None:
        """Fetch one, and write it."""
        async with self._session.get(self._url + MESSAGES, params={"limit": "100"}) as response:
            row = (await response.json())[number]
        async with self._session.get(row["file-access-url"]) as response:
            content = await response.read()
        await self._hass.async_add_executor_job(self._path.write_bytes, content)


async def run() -> bool:
    """Print the table; return whether every bar was reached."""
    with server(__file__) as url:
        ways = await measure(url)
    rows = []
    for name, times, bar in zip(("out", "in"), ways, (OUT_BAR, IN_BAR), strict=True):
        ratio = statistics.median(x / y for x, y in zip(times["ours"], times["bare"], strict=True))
        took = (f"{statistics.median(times[way]):.1f}" for way in ("ours", "bare"))
        rows.append((name, f"{ratio:.2f}", f"at most {bar}", yes(ratio <= bar), *took))
    table(f"A picture of {len(PICTURE) // 1000} kB | of bare aiohttp | Bar | | netsapiens, ms | bare aiohttp, ms", rows)
    print(f"\nMedians of {ROUNDS} rounds of {EACH} pictures over TLS, in turn. Python {sys.version.split()[0]}.")
    return all(row[3] == yes(True) for row in rows)


if __name__ == "__main__" and sys.argv[1:2] == ["serve"]:
    asyncio.run(serve(answer, sys.argv[2]))
