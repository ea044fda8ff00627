"""Where the PBX's live server may be."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from ..api import NetsapiensRequestError, NetsapiensURLError, normalise_base_url
from ..pbx.coordinator import NetsapiensCoordinator

_PORT = 8001  # on every core


class LiveAddresses:
    """The addresses to try.

    Parameters:
        coordinator: the account.
        chosen: the one that the options name, normalised; None where they name none.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, chosen: str | None) -> None:
        self._coordinator = coordinator
        self.chosen = chosen

    async def candidates(self) -> AsyncIterator[str]:
        """Yield the one that was chosen; or the account's host, then the host that the PBX names.

        Raises:
            NetsapiensError: the PBX could not be asked for its host.
        """
        if self.chosen is not None:
            yield self.chosen
            return
        own = urlsplit(self._coordinator.api.api_url)
        first = _address(own.scheme, own.hostname or "")
        if first is not None:
            yield first
        second = _address("https", await self._named())
        if second is not None and urlsplit(second).hostname != own.hostname:
            yield second

    async def _named(self) -> str:
        """Return the host that the PBX names, which may be another one each time; empty where it names none.

        Raises:
            NetsapiensError: the PBX could not be asked; a refusal names no host.
        """
        try:
            return await self._coordinator.throttle.run(self._coordinator.api.get_hostname, may_fail=True)
        except NetsapiensRequestError:
            return ""


def _address(scheme: str, host: str) -> str | None:
    """Return the address of a live server; None where that is no host."""
    shown = f"[{host}]" if ":" in host else host
    try:
        return normalise_base_url(f"{scheme}://{shown}:{_PORT}") if host else None
    except NetsapiensURLError:
        return None
