"""Sending and reading messages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
import math
import re
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
import uuid

from .client import NetsapiensAPI
from .exceptions import NetsapiensRequestError, NetsapiensServerError
from .models import MESSAGE_KEYS, SESSION_KEYS, Message, MessageSession
from .transport import UPLOAD_TIMEOUT
from .values import as_text, rows

MAX_ROWS = 1000  # the most that one list answer can hold
_CLOCK_READINGS = 5  # at the most
_CLOCK_AGAIN = 600.0  # seconds
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
        self._clock_asked_until = -math.inf  # by the monotonic clock

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
        destination: str | int | Sequence[str | int],
        from_number: str | int | None = None,
        messagesession: str | None = None,
        data: str | None = None,
        mime_type: str | None = None,
        size: int | None = None,
        *,
        user: str | None = None,
    ) -> dict[str, Any]:
        """Send one message, to one number or to a group.

        An optional parameter that is None or empty is left out.

        Parameters:
            message_type: ``sms``, ``mms``, ``chat`` or ``chat-media``.
            message: the text; PBXs refuse an empty one, also where there is media.
            destination: a number with country code, digits only (an extension for chat); a list is one group.
            from_number: one of the account's SMS numbers, digits only, for sms and mms.
            messagesession: the conversation to continue, at least 32 letters, digits and underscores; a new one
                where it is left out.
            data: the media, base64, with or without line breaks.
            mime_type: of the media, e.g. ``image/jpeg``.
            size: of the media in bytes; counted where it is left out.
            user: who owns the from_number, where that is another user of the domain.

        Returns:
            The API's answer (which may hold nothing else, or a ``code`` of 202), with the ``messagesession-id`` of the
            conversation: as the PBX names it, else the one that was asked for. Where it names the message, its ``id``
            is a text.

        Raises:
            ValueError: the messagesession or the base64 is malformed, or a destination is missing or empty.
            NetsapiensError: one of its kinds; ``maybe_done`` says whether the message may be on its way all the same.

        API: POST /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
        """
        if not messagesession:
            messagesession = f"m{uuid.uuid4().hex}"  # a letter first: the PBX takes some ids for numbers
        elif not is_session_id(messagesession):
            raise ValueError("a messagesession has at least 32 characters, all of them letters, digits or underscores")
        body: dict[str, Any] = {"type": message_type, "message": message, "destination": _destination_of(destination)}
        if from_number:
            body["from-number"] = as_text(from_number)
        data = "".join(data.split()) if data else ""
        if data:
            body |= {"data": data, "size": int(size) if size else _size_of(data)}
            body |= {"mime-type": mime_type} if mime_type else {}
        path = f"{await self._api.user_path(user)}/messagesessions/{messagesession}/messages"
        answer = await self._api.request(
            "POST",
            path,
            body=body,
            private=(message, data),
            timeout=UPLOAD_TIMEOUT if data else None,
            is_of_other=user is not None,
        )
        return _sent(answer, messagesession)

    async def get_messages(
        self, messagesession: str, *, limit: int | None = None, start: int = 0, user: str | None = None
    ) -> list[Message]:
        """Return the messages of one conversation, usually the newest first.

        Parameters:
            messagesession: the conversation's id.
            limit: how many rows at the most, 1 to 1000; the default is 1000.
            start: how many rows to skip.
            user: whose conversation, where it is another user's of the domain.

        Raises:
            NetsapiensRequestError: with status 404 where there is no such conversation, unless ``start`` is given.
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions/{messagesession}/messages
        """
        session = quote(messagesession, safe="", errors="replace")  # one that the PBX made can have any form
        path = f"{await self._api.user_path(user)}/messagesessions/{session}/messages"
        try:
            answer = await self._api.request("GET", path, params=_page(limit, start))
        except NetsapiensRequestError as err:
            if not (start and err.no_record):
                raise
            return []  # so some say that the list has ended
        found = [Message.from_row(row) for row in islice(rows(answer, MESSAGE_KEYS), MAX_ROWS)]
        return self._api.naive_times.corrected(messagesession, found, is_first_page=not start)

    async def get_messagesessions(
        self, *, limit: int | None = None, start: int = 0, user: str | None = None
    ) -> list[MessageSession]:
        """Return the user's conversations, usually the last active first.

        Parameters:
            limit: how many rows at the most, 1 to 1000; the default is 1000.
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
        found = [MessageSession.from_row(row, user) for row in islice(rows(answer, SESSION_KEYS), MAX_ROWS)]
        is_whole_page = not start and limit in {None, MAX_ROWS}
        return self._api.naive_times.learn(found, user, is_whole_page=is_whole_page)

    @property
    def knows_zone(self) -> bool:
        """Whether the zone of times without one is known for sure."""
        return self._api.naive_times.is_confirmed

    @property
    def needs_clock(self) -> bool:
        """Whether the PBX's clock is not known for sure, and ``settle_clock`` did not find that out a while ago."""
        clock = self._api.clock
        return not clock.is_settled and clock.monotonic() >= self._clock_asked_until

    def knows_zone_of(self, messagesession: str) -> bool:
        """Whether a conversation's times are right, as far as can be known; else those without a zone may be hours off.

        Parameters:
            messagesession: the conversation's id.
        """
        return self._api.naive_times.knows_zone_of(messagesession)

    async def settle_clock(self) -> None:
        """Make small requests until the PBX's clock is known for sure, which mostly takes none.

        A refusal shows the clock as well. Where the answers do not show it, this does nothing more for a while.

        Raises:
            NetsapiensError: one of its kinds, but no refusal.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/messagesessions
        """
        read = partial(self.get_messagesessions, limit=1)
        for reading in range(_CLOCK_READINGS):
            if not self.needs_clock:
                return
            with suppress(NetsapiensRequestError):
                await (self._api.run_further(read) if reading else read())
        if self.needs_clock:
            self._clock_asked_until = self._api.clock.monotonic() + _CLOCK_AGAIN


def _page(limit: int | None, start: int) -> dict[str, str]:
    """Return the query for one page; ``start`` only where it is needed, since some reads do not know it."""
    rows_at_most = {"limit": str(MAX_ROWS if limit is None else limit)}
    return rows_at_most | {"start": str(start)} if start else rows_at_most


def _destination_of(destination: str | int | Sequence[str | int]) -> str | list[str]:
    """Return the destination as the API takes it: a text, or a list of such."""
    numbers = [destination] if isinstance(destination, str | int) else destination
    texts = [as_text(number) for number in numbers]
    if not texts or not all(map(str.strip, texts)):
        raise ValueError("there is no destination, or an empty one")
    return texts[0] if isinstance(destination, str | int) else texts


def _is_error(answer: Mapping[str, Any]) -> bool:
    """Whether a success says that it is none."""
    if answer.get("error") or answer.get("errors") or answer.get("success") in (False, "false"):
        return True
    return as_text(answer.get("status")).lower() == "error"


def _sent(answer: object, messagesession: str) -> dict[str, Any]:
    """Return what the PBX says of a message that it took.

    Raises:
        NetsapiensServerError: it says that it failed, under a status of success.
    """
    first = answer[0] if isinstance(answer, list) and answer else answer
    said: dict[str, Any] = first if isinstance(first, dict) else {}
    if _is_error(said):
        raise NetsapiensServerError("the answer is a success and an error in one")
    named = {"messagesession-id": _named_session(said) or messagesession}
    if message_id := as_text(said.get("id")) or as_text(said.get("message_id")):
        named["id"] = message_id
    return {**said, **named}


def _named_session(answer: Mapping[str, Any]) -> str:
    """Return the conversation's id that an answer names; empty where it names none.

    An id of digits comes back as a number, which may have lost some of them.
    """
    for key in ("messagesession-id", "messagesession_id", "messagesession"):
        text = answer.get(key)
        if isinstance(text, str) and is_session_id(text):
            return text
    return ""


def _size_of(data: str) -> int:
    """Return how many bytes base64 stands for."""
    try:
        return len(base64.b64decode(data, validate=True))
    except binascii.Error as err:
        raise ValueError("the data is not base64") from err
