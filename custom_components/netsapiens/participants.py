"""Who takes part in a conversation beside us."""

from collections.abc import Iterable

from .api import Account
from .api.values import number_of
from .phone import is_same_number


def others_among(
    everybody: Iterable[str], our_number: str | None, account: Account, region: str | None, *, is_chat: bool
) -> tuple[str, ...]:
    """Return everybody in a conversation but us, each once.

    Parameters:
        everybody: numbers, or users; those of our own domain are returned without it, as they are texted.
        our_number: the one in the conversation; None where it is not known, and for a chat.
        account: who we are.
        region: the country (ISO 3166, two letters) of the home.
        is_chat: whether the conversation stays inside the PBX.
    """
    if not is_chat:
        others = [number_of(one) for one in everybody if not is_same_number(one, our_number or "", region)]
        return tuple(dict.fromkeys(others))
    users = map(account.without_domain, everybody)
    return tuple(dict.fromkeys(user for user in users if user not in {account.user, account.uid}))
