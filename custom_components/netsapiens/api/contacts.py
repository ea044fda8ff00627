"""The contacts that a user keeps at the PBX."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

from .client import NetsapiensAPI
from .exceptions import NetsapiensRequestError
from .values import as_text, rows

MAX_CONTACTS = 1000  # the most that one list answer can hold; without a limit the PBX cuts it at 100
_NAMES = ("name-first-name", "name-middle-name", "name-last-name")
_NUMBERS = ("phonenumber-cell", "phonenumber-work", "phonenumber-home", "phonenumber-fax")
_KEYS = {"unique-id", "uid", "company", *_NAMES, *_NUMBERS}  # a row without any of them is no contact
_LONGEST = 100  # characters of a name or number; more is a slip


class Contact(NamedTuple):
    """A contact (GET /domains/{domain}/users/{user}/contacts).

    Attributes:
        id: the PBX's; may be empty.
        name: first, middle and last name, else the company; may be empty.
        company: may be empty.
        numbers: as they were written there: mobile, work, home, fax; each once, those that are empty left out.
    """

    id: str
    name: str
    company: str
    numbers: tuple[str, ...]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Contact:
        """Read one row."""
        company = _line(row.get("company"))
        name = _line(" ".join(as_text(row.get(key)) for key in _NAMES))
        numbers = [number for key in _NUMBERS if (number := _line(row.get(key)))]
        # Rows of the directory, which are among the others, have an id of another name.
        contact_id = as_text(row.get("unique-id")) or as_text(row.get("uid"))
        return cls(contact_id, name or company, company, tuple(dict.fromkeys(numbers)))


class ContactAPI:
    """The contacts of one login.

    Parameters:
        api: the login; not closed here.
    """

    def __init__(self, api: NetsapiensAPI) -> None:
        self._api = api

    async def get_contacts(self, *, limit: int = MAX_CONTACTS, start: int = 0) -> list[Contact]:
        """Return the user's own contacts, in the PBX's order.

        Parameters:
            limit: how many rows at the most, 1 to 1000.
            start: how many rows to skip.

        Raises:
            NetsapiensRequestError: the login may not see them, or this version has none.
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/contacts
        """
        params = {"limit": str(limit)} | ({"start": str(start)} if start else {})
        try:
            answer = await self._api.request("GET", f"{await self._api.user_path()}/contacts", params=params)
        except NetsapiensRequestError as err:
            if not err.no_record:
                raise
            return []  # so some say that there are none yet
        return [Contact.from_row(row) for row in islice(rows(answer or [], _KEYS), MAX_CONTACTS)]


def _line(value: object) -> str:
    """Return a name or number as one line of what shows; empty where it is none."""
    text = "".join(char if char.isprintable() else " " for char in as_text(value)[: 2 * _LONGEST])
    return " ".join(text.split())[:_LONGEST].strip()
