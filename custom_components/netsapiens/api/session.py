"""The client's own aiohttp sessions, for scripts that pass none in.

A session belongs to the event loop that it was made in. Every ``asyncio.run`` makes a loop of its own, and not every
script closes its client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any
import weakref

import aiohttp

_Source = AsyncGenerator[aiohttp.ClientSession, None]


class OwnSessions:
    """One session for each event loop that the client is used in."""

    def __init__(self) -> None:
        self._by_loop: dict[asyncio.AbstractEventLoop, _OwnSession] = {}

    async def current(self) -> aiohttp.ClientSession:
        """Return the session of the running event loop, a new one if need be. This never suspends."""
        loop = asyncio.get_running_loop()
        own = self._by_loop.get(loop)
        if own is None or own.session.closed:
            self._by_loop = {other: kept for other, kept in self._by_loop.items() if not other.is_closed()}
            connector = _Connector()
            source = _session(connector)
            own = self._by_loop[loop] = _OwnSession(await anext(source), connector, source)
        return own.session

    async def close(self) -> None:
        """Close the session of the running event loop, and drop those of other ones."""
        own = self._by_loop.pop(asyncio.get_running_loop(), None)
        self._by_loop = {}
        if own is not None:
            await own.source.aclose()


class _Connector(aiohttp.TCPConnector):
    """A connector that does not complain when it is dropped before it was closed."""

    def __del__(self, _warnings: Any = None) -> None:
        """Leave the connections to their transports, which close themselves."""

    def close_kept(self) -> None:
        """Close the connections that wait for the next request."""
        for kept in self._conns.values():
            for protocol, _ in kept:
                protocol.close()


class _OwnSession:
    """A session that is closed when it is dropped, and by the end of its event loop at the latest.

    Parameters:
        session: a new one, of the running event loop.
        connector: the session's.
        source: the generator that yielded it, and closes it when it is closed itself.
    """

    def __init__(self, session: aiohttp.ClientSession, connector: _Connector, source: _Source) -> None:
        self.session = session
        self.source = source
        weakref.finalize(self, _drop, session, connector, source, asyncio.get_running_loop())


async def _session(connector: _Connector) -> _Source:
    """Yield a session; an event loop that shuts down closes the generators that are still open."""
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


def _drop(
    session: aiohttp.ClientSession, connector: _Connector, source: _Source, loop: asyncio.AbstractEventLoop
) -> None:
    """Close a session that nobody can close any more, in whatever state its event loop is."""
    session.detach()
    with suppress(StopIteration, RuntimeError):  # the latter where its closing was broken off
        source.aclose().send(None)  # to its end at once: a detached session has nothing to wait for
    with suppress(RuntimeError):  # the loop is closed, and so are its transports
        loop.call_soon_threadsafe(connector.close_kept)
