"""The numbers that an account may text from."""

from __future__ import annotations

from .auth import NetsapiensAPI
from .models import SmsNumber, rows

_LIMIT = "1000"  # without it the PBX cuts the list at 100 and does not say so


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
        path = f"{await self._api.user_path()}/smsnumbers"
        answer = await self._api.request("GET", path, params={"limit": _LIMIT})
        numbers = {number.number: number for row in rows(answer or []) if (number := SmsNumber.from_row(row))}
        return list(numbers.values())
