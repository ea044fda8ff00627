"""Sending and reading messages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from itertools import islice
import re
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
import uuid

from .auth import NetsapiensAPI
from .exceptions import NetsapiensRequestError, NetsapiensServerError
from .http import UPLOAD_TIMEOUT
from .models import Message, MessageSession, rows

MAX_ROWS = 1000  # the most that one list answer can hold
_CLOCK_READINGS = 5  # at the most
_SESSION_ID = re.compile(r"[A-Za-z0-9_]{32,}")


def is_session_id(messagesession: str) -> bool:
    """Whether a conversation's id is one that the API takes: at least 32 letters, digits and underscores."""
    return isinstance(messagesession, str) and _SESSION_ID.fullmatch(messagesession) is not None


class MessageAPI:
    """The messages of one login.

    Parameters:
        api: the login; closed with this object only where it is used as a context manager.
    """

    def __init__(self, api: NetsapiensAPI) -> None:
        self._api = api

    async def __aenter__(self) -> Self:
        """Return this API."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the login."""
        await self._api.close()

    async def send_message(
        self,
        message_type: str,
        message: str,
        destination: str | Sequence[str],
        from_number: str | None = None,
        messagesession: str | None = None,
        data: str | None = None,
        mime_type: str | None = None,
        size: int | None = None,
        *,
        user: str | None = None,
    ) -> dict[str, Any]:
        """Send one message, to one number or to a group.

        Parameters:
            message_type: ``sms``, ``mms``, ``chat`` or ``chat-media``.
            message: the text; may be empty where there is media.
            destination: a number with country code, digits only (an extension for chat); a list is one group.
            from_number: one of the account's SMS numbers, for sms and mms.
            messagesession: the conversation to continue, at least 32 letters, digits and underscores; a new one
                where it is left out.
            data: the media, base64.
            mime_type: of the media, e.g. ``image/jpeg``.
            size: of the media in bytes; counted where it is left out.
            user: who owns the from_number, where that is another user of the domain.

        Returns:
            The API's answer (which may be empty, or a ``code`` of 202), with the ``messagesession-id`` used.

        Raises:
            ValueError: the messagesession or the base64 is malformed, or there is no destination.
            NetsapiensError: one of its kinds; ``maybe_done`` says whether the message may be on its way all the same.

        API: POST /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
        """
        if messagesession is None:
            messagesession = f"m{uuid.uuid4().hex}"  # a letter first: the PBX takes some ids for numbers
        elif not is_session_id(messagesession):
            raise ValueError("a messagesession has at least 32 characters, all of them letters, digits or underscores")
        to = destination if isinstance(destination, str) else [str(number) for number in destination]
        if not to:
            raise ValueError("there is no destination")
        body: dict[str, Any] = {"type": message_type, "message": message, "destination": to}
        if from_number is not None:
            body["from-number"] = from_number
        if data is not None:
            body |= {"data": data, "mime-type": mime_type, "size": _size_of(data) if size is None else int(size)}
        path = f"{await self._api.user_path(user)}/messagesessions/{messagesession}/messages"
        answer = await self._api.request(
            "POST", path, body=body, private=(message, data or ""), timeout=None if data is None else UPLOAD_TIMEOUT
        )
        if isinstance(answer, list):
            answer = answer[0] if answer else None
        if not isinstance(answer, dict):
            answer = {}
        if answer.get("error"):
            raise NetsapiensServerError("the answer is a success and an error in one")
        return {**answer, "messagesession-id": messagesession}

    async def get_messages(
        self, messagesession: str, *, limit: int = MAX_ROWS, start: int = 0, user: str | None = None
    ) -> list[Message]:
        """Return the messages of one conversation, usually the newest first.

        Parameters:
            messagesession: the conversation's id.
            limit: how many rows at the most, 1 to 1000.
            start: how many rows to skip.
            user: whose conversation, where it is another user's of the domain.

        Raises:
            NetsapiensRequestError: with status 404 where there is no such conversation.
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
        """
        session = quote(messagesession, safe="", errors="replace")  # one that the PBX made can have any form
        path = f"{await self._api.user_path(user)}/messagesessions/{session}/messages"
        answer = await self._api.request("GET", path, params=_page(limit, start))
        found = [Message.from_row(row) for row in islice(rows(answer), MAX_ROWS)]
        return self._api.bare_times.corrected(messagesession, found, is_first_page=not start)

    async def get_messagesessions(
        self, *, limit: int = MAX_ROWS, start: int = 0, user: str | None = None
    ) -> list[MessageSession]:
        """Return the user's conversations, usually the last active first.

        Parameters:
            limit: how many rows at the most, 1 to 1000.
            start: how many rows to skip.
            user: whose, where they are another user's of the domain.

        Raises:
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions
        """
        path = f"{await self._api.user_path(user)}/messagesessions"
        try:
            answer = await self._api.request("GET", path, params=_page(limit, start))
        except NetsapiensRequestError as err:
            if not err.no_record:
                raise
            return []  # so some say that there is none yet
        return self._api.bare_times.noted(
            [MessageSession.from_row(row, user) for row in islice(rows(answer), MAX_ROWS)]
        )

    @property
    def knows_zone(self) -> bool:
        """Whether the zone of times without one is known for sure."""
        return self._api.bare_times.is_confirmed

    async def settle_clock(self) -> None:
        """Make small requests until the PBX's clock is known for sure, which mostly takes none.

        Raises:
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions
        """
        for _ in range(_CLOCK_READINGS):
            if self._api.clock.is_settled:
                return
            await self.get_messagesessions(limit=1)


def _page(limit: int, start: int) -> dict[str, str]:
    """Return the query for one page; ``start`` only where it is needed, since some reads do not know it."""
    return {"limit": str(limit), "start": str(start)} if start else {"limit": str(limit)}


def _size_of(data: str) -> int:
    """Return how many bytes base64 stands for."""
    try:
        return len(base64.b64decode(data, validate=True))
    except binascii.Error as err:
        raise ValueError("the data is not base64") from err
