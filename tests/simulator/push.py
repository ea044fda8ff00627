"""Deliver events to the URLs that were subscribed: in order, in batches, and never twice."""

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import aiohttp

from .model import Subscription
from .render import HOSTNAME

if TYPE_CHECKING:
    from .state import Pbx
    from .subscriptions import Event

HIGHEST_SUCCESS = 302
TIMEOUT = aiohttp.ClientTimeout(total=10)


class Pusher:
    """One task for each subscription that has something to deliver."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._session: aiohttp.ClientSession | None = None
        self._waiting: dict[str, list[Event]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to deliver."""
        self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        self._pbx.on_event = self.publish

    async def stop(self) -> None:
        """Drop what was not delivered: nobody makes up for it."""
        self._pbx.on_event = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._waiting.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def publish(self, event: Event) -> None:
        """Queue an event for everyone who wants it."""
        for subscription in self._pbx.subscription_book.matching(event, self._pbx.now()):
            waiting = self._waiting.get(subscription.id)
            if waiting is not None:
                waiting.append(event)
                continue
            self._waiting[subscription.id] = [event]
            task = asyncio.create_task(self._drain(subscription))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drain(self, subscription: Subscription) -> None:
        try:
            while self._waiting[subscription.id]:
                await asyncio.sleep(self._pbx.push_delay)
                events = self._waiting[subscription.id]
                self._waiting[subscription.id] = []
                for body in self._bodies(events):
                    await self._post(subscription, body)
        finally:
            self._waiting.pop(subscription.id, None)

    def _bodies(self, events: list[Event]) -> list[Any]:
        rows = [event.v1 if self._pbx.push_names == "v1" else event.v2 for event in events]
        return [rows] if self._pbx.push_form == "array" else rows

    async def _post(self, subscription: Subscription, body: Any) -> None:
        if await self._delivered(subscription, body):
            subscription.status = "active"
            subscription.active_server = HOSTNAME
        else:
            subscription.status = "error"
            subscription.error_count += 1
        subscription.posts_count += 1

    async def _delivered(self, subscription: Subscription, body: Any) -> bool:
        # A preferred server with a scheme in front breaks delivery on live hosts.
        if self._session is None or "://" in subscription.preferred_server:
            return False
        headers = {"X-Correlation-ID": secrets.token_hex(16)}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
            async with self._session.post(
                subscription.post_url, json=body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status <= HIGHEST_SUCCESS
        return False
