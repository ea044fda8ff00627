"""What the PBX says of an account: who it is, and the numbers that it may text from."""

from collections.abc import Awaitable, Callable, Collection
from copy import replace
from functools import partial
import logging
from typing import NamedTuple

from homeassistant.config_entries import ConfigEntry

from ..api import Account, NetsapiensAPI, NetsapiensEmptyAnswerError, NetsapiensRequestError, NumberAPI, SmsNumber
from ..phone import is_same_number
from ..recipients import readable_recipients
from ..settings import read_settings
from .throttle import Throttle

_LOGGER = logging.getLogger(__name__)

_NOT_SHOWN = {400, 403, 404}  # statuses of a list that a login may not see or that this version lacks
_NOT_ITS_DOMAIN = _NOT_SHOWN | {401}  # so some answer for a domain that the login has no rights over


class AccountFacts(NamedTuple):
    """What the PBX says of the account.

    Attributes:
        account: who we are.
        version: the API's, e.g. ``44.1.2``; may be empty.
        numbers: the SMS numbers, by their digits, in the PBX's order: the login's own, then those of the others in
            its domain, if it has rights over that.
    """

    account: Account
    version: str
    numbers: dict[str, SmsNumber]

    def listed(self, number: str, region: str | None) -> str | None:
        """Return a number as the PBX lists it, maybe without its country code; None where it does not.

        Parameters:
            number: which, in any of the PBX's spellings.
            region: the country (ISO 3166, two letters) of the home.
        """
        if number in self.numbers:
            return number
        return next((own for own in self.numbers if is_same_number(own, number, region)), None)

    def owner_of(self, number: str) -> str | None:
        """Return the user under whom a number sends; None for the login's own ones, and where that is not known."""
        listed = self.numbers.get(number)
        return listed.owner if listed is not None and listed.owner not in {"", self.account.user} else None


def shared_senders(entry: ConfigEntry, facts: AccountFacts, region: str | None) -> dict[str, set[str]]:
    """Return the chosen sender numbers that are other users' of the domain, by their owners: replies come in there.

    Parameters:
        entry: the account.
        facts: what the PBX says of it.
        region: the country (ISO 3166, two letters) of the home.
    """
    chosen = [read_settings(entry).from_number, *(data.from_number for _, data in readable_recipients(entry))]
    found: dict[str, set[str]] = {}
    for sender in chosen:
        number = facts.listed(sender or "", region)
        if number is not None and (owner := facts.owner_of(number)) is not None:
            found.setdefault(owner, set()).add(number)
    return found


async def async_get_numbers(
    api: NetsapiensAPI,
    known: dict[str, SmsNumber] | None = None,
    *,
    typed_user: bool = False,
    throttle: Throttle | None = None,
) -> dict[str, SmsNumber]:
    """Return the numbers that the account may text from, by their digits.

    Parameters:
        api: a login that has a token.
        known: those that it had before, which stay where the PBX does not show them now.
        typed_user: whether a person named the user, so that there may be none: then that is an error.
        throttle: lets each request through; none while the login is signed in for the first time.

    Raises:
        NetsapiensError: as ``NumberAPI``.

    API: GET /ns-api/v2/domains/{domain}/users/{user}/smsnumbers, GET /ns-api/v2/domains/{domain}/smsnumbers
    """

    async def shown(
        read: Callable[[], Awaitable[list[SmsNumber]]], not_shown: Collection[int], *, must_exist: bool = False
    ) -> list[SmsNumber] | None:
        """Read a list when its turn has come."""
        call = partial(_shown, read, not_shown, must_exist=must_exist)
        return await (throttle.run(call) if throttle else call())

    account, numbers = api.account, NumberAPI(api)
    own = await shown(numbers.get_numbers, _NOT_SHOWN, must_exist=typed_user)
    if own is None:
        own = [number for number in (known or {}).values() if number.owner == account.user]
    # What a user's own list holds is the user's, whatever the row says of it.
    found = {number.number: replace(number, dest=account.user, application="user") for number in own}
    if not account.has_domain_rights:
        return found
    others = await shown(numbers.get_domain_numbers, _NOT_ITS_DOMAIN)
    if others is None:
        others = list((known or {}).values())
    return found | {number.number: number for number in others if number.owner and number.number not in found}


async def _shown(
    read: Callable[[], Awaitable[list[SmsNumber]]], not_shown: Collection[int], *, must_exist: bool = False
) -> list[SmsNumber] | None:
    """Return a list of numbers; None where the PBX does not show it to the login."""
    try:
        return await read()
    except NetsapiensRequestError as err:
        if err.status not in not_shown or (must_exist and err.no_record):
            raise
        _LOGGER.debug("The PBX does not list SMS numbers to this login: status %s", err.status)
        return None
    except NetsapiensEmptyAnswerError:
        _LOGGER.debug("The PBX gave an empty answer instead of SMS numbers")  # so may one that has none
        return None
