"""What the account had when it was last seen, on disk."""

import logging
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store

from ..api import Account, SmsNumber
from ..const import DOMAIN
from ..storage import DAMAGE, VERSION
from .facts import AccountFacts

_LOGGER = logging.getLogger(__name__)


class FactsStore:
    """What the account had when it was last seen, for a start while the PBX is away.

    Parameters:
        entry_id: the account's.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._store = Store[dict[str, Any]](hass, VERSION, f"{DOMAIN}.account.{entry_id}", private=True)
        self._kept: AccountFacts | None = None

    async def async_load(self) -> AccountFacts | None:
        """Return what is known; None where nothing is."""
        try:
            data = await self._store.async_load()
            if data is None:
                return None
            numbers = [SmsNumber(**row) for row in data["numbers"]]
            self._kept = AccountFacts(
                Account(**data["account"]), str(data["version"]), {number.number: number for number in numbers}
            )
        except (HomeAssistantError, *DAMAGE) as err:
            _LOGGER.debug("What was known of the account cannot be read: %s", type(err).__name__)
        return self._kept

    async def async_save(self, facts: AccountFacts) -> None:
        """Keep what is known now, if it is new."""
        if facts == self._kept:
            return
        self._kept = facts
        await self._store.async_save(
            {
                "account": facts.account._asdict(),
                "version": facts.version,
                "numbers": [number._asdict() for number in facts.numbers.values()],
            }
        )

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()
