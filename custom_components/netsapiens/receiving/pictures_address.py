"""Which addresses media is fetched from: the PBX's own, and public ones by https."""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
import socket
from typing import Final, override

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .pictures_errors import PictureError, PictureReason

type Resolve = Callable[[str], Awaitable[Sequence[ResolveResult]]]

_OUT_OF_USE: Final = (ip_network("::/96"), ip_network("2002::/16"))  # they wrap IPv4 addresses
_NAT64: Final = ip_network("64:ff9b::/96")  # the last 32 bits are an IPv4 address


class AllowedAddresses:
    """Says which addresses may be connected to.

    Parameters:
        pbx: the PBX's address, as ``https://host[:port]``: it is allowed wherever it is, as it stands there.
    """

    def __init__(self, pbx: str) -> None:
        self.pbx = URL(pbx).origin()

    def is_pbx(self, url: URL) -> bool:
        """Whether a URL leads to the PBX's own address."""
        return url.is_absolute() and url.scheme in {"http", "https"} and url.origin() == self.pbx

    def check(self, url: URL) -> None:
        """Check a URL, as far as that can be done before its host's name is resolved.

        Raises:
            PictureError: it is not allowed.
        """
        if not url.is_absolute() or not url.host or url.user is not None or url.password is not None:
            raise PictureError(PictureReason.ADDRESS)
        if self.is_pbx(url):
            return
        if url.scheme != "https" or not _may_be_public(url.host):
            raise PictureError(PictureReason.ADDRESS)

    def check_host(self, host: str, port: int, found: Sequence[ResolveResult]) -> list[ResolveResult]:
        """Return the addresses of a host that may be connected to.

        Parameters:
            host: a name.
            port: where it is connected to.
            found: what the name was resolved to.

        Raises:
            PictureError: there is none.
        """
        if (host, port) == (self.pbx.host, self.pbx.port):
            return list(found)
        allowed = [one for one in found if _may_be_public(one["host"])]
        if not allowed:
            raise PictureError(PictureReason.ADDRESS)
        return allowed


class CheckedResolver(AbstractResolver):
    """Resolves names to allowed addresses only.

    What is connected to is what was checked: a name that is resolved twice may lead elsewhere the second time.

    Parameters:
        allowed: which they are.
        resolve: resolves a name.
    """

    def __init__(self, allowed: AllowedAddresses, resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the allowed addresses of a host.

        Raises:
            PictureError: it has none.
            OSError: it cannot be resolved.
        """
        found = self._allowed.check_host(host, port, await self._resolve(host))
        return [ResolveResult({**one, "hostname": host, "port": port}) for one in found]

    @override
    async def close(self) -> None:
        """Nothing is held."""


def _may_be_public(host: str) -> bool:
    """Whether an address is public; of a name that is not known yet."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        # Resolvers take "127.1", "2130706433" and "0x7f.1" for addresses; no name ends in a number.
        end = host.rstrip(".").rpartition(".")[2].lower()
        return not (end.isdigit() or end.startswith("0x"))
    return _is_public(address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is public, and so is the one that it wraps."""
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address in _NAT64):
        return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if isinstance(address, IPv6Address) and (address.is_site_local or any(address in net for net in _OUT_OF_USE)):
        return False
    return address.is_global and not address.is_multicast
