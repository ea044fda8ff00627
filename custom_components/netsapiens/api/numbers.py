"""The numbers that an account may text from."""

from __future__ import annotations

from .client import NetsapiensAPI
from .models import NUMBER_KEYS, SmsNumber
from .values import rows

_LIMIT = 1000  # without it the PBX cuts the list at 100 and does not say so
_MOST_PAGES = 10


class NumberAPI:
    """The SMS numbers of one login.

    Parameters:
        api: the login; not closed here.
    """

    def __init__(self, api: NetsapiensAPI) -> None:
        self._api = api

    async def get_numbers(self) -> list[SmsNumber]:
        """Return the user's SMS numbers, in the PBX's order.

        Raises:
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/domains/{domain}/users/{user}/smsnumbers
        """
        return await self._list(await self._api.user_path())

    async def get_domain_numbers(self) -> list[SmsNumber]:
        """Return the SMS numbers of all users of the domain, in the PBX's order.

        Raises:
            NetsapiensRequestError: with status 401 or 403 where the login has no rights over its domain.
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/domains/{domain}/smsnumbers
        """
        return await self._list(await self._api.domain_path())

    async def _list(self, whose: str) -> list[SmsNumber]:
        """Return the numbers of a user or a domain, given by its path."""
        numbers: dict[str, SmsNumber] = {}
        for page in range(_MOST_PAGES):
            params = {"limit": str(_LIMIT)} | ({"start": str(page * _LIMIT)} if page else {})
            found = list(rows(await self._api.request("GET", f"{whose}/smsnumbers", params=params), NUMBER_KEYS))
            known = len(numbers)
            numbers |= {number.number: number for row in found if (number := SmsNumber.from_row(row))}
            if len(found) < _LIMIT or len(numbers) == known:  # the last page, or it does not know `start`
                break
        return list(numbers.values())
