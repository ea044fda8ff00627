"""A server that answers what no PBX should: whatever bytes a test wants."""

import asyncio
from collections.abc import Awaitable, Callable
import json
import re
from types import TracebackType
from typing import Any, Self

from .conftest import PASSWORD, SECRET

TOKEN = {"access_token": "0123456789abcdef" * 2, "expires_in": 3600, "user": "1001", "domain": "acme.example"}

type Answerer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def http(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """An answer's bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Raw:
    """Gives a token to who asks for one, and bytes to all else.

    Parameters:
        answer: the bytes, or what writes them; the connection is closed after it.
        token: the token call's answer: an object to give as JSON, or bytes.
    """

    def __init__(self, answer: bytes | Answerer = b"", token: Any = TOKEN) -> None:
        self.answer = answer
        self.token = token
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def account(self) -> dict[str, str]:
        return {
            "base_url": self.url,
            "client_id": "example",
            "client_secret": SECRET,
            "username": "1001@acme.example",
            "password": PASSWORD,
        }

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except OSError, asyncio.IncompleteReadError:
            pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        found = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(int(found[1])) if found else b"")
        if "/tokens HTTP" in head:
            token = self.token
            writer.write(token if isinstance(token, bytes) else http("200 OK", json.dumps(token).encode()))
            await writer.drain()
            return True
        if isinstance(self.answer, bytes):
            writer.write(self.answer)
            writer.write_eof()
            await writer.drain()
            await reader.read()  # until the client has had enough
        else:
            await self.answer(writer)
        return False
