"""The address of a PBX, in every form in which operators hand it out."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

import idna

from .exceptions import NetsapiensInsecureURLError, NetsapiensURLError

_API_PATH = re.compile(r"(?:/ns-api(?:/v2)?)?/*", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_MAX_HOST = 253
_DEFAULT_PORTS = {"https": 443, "http": 80}


def normalise_base_url(base_url: str) -> str:
    """Return the address as ``https://host[:port]``.

    Parameters:
        base_url: a bare host, ``host:port``, ``https://…``, each with or without ``/ns-api`` or ``/ns-api/v2`` behind
            it. Plain ``http://`` is for a loopback host only.

    Raises:
        NetsapiensInsecureURLError: plain http to another machine.
        NetsapiensURLError: anything else that is not such an address, user info, query and fragment included.
    """
    text = base_url.strip()
    if not text.isprintable() or any(char in text for char in " \\?#@%"):
        raise NetsapiensURLError("not the address of a PBX")
    if not _SCHEME.match(text):
        if "://" in text:
            raise NetsapiensURLError("not the address of a PBX")
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
        host = _normalise_host(parts.hostname or "", bracketed="[" in parts.netloc)
    except ValueError:
        # From None: what was pasted may hold a password.
        raise NetsapiensURLError("not the address of a PBX") from None
    if parts.scheme not in _DEFAULT_PORTS or not _API_PATH.fullmatch(parts.path) or port == 0:
        raise NetsapiensURLError("not the address of a PBX")
    if parts.scheme == "http" and not _is_loopback(host):
        raise NetsapiensInsecureURLError("plain http is for this machine only")
    if port is None or port == _DEFAULT_PORTS[parts.scheme]:
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{port}"


def _normalise_host(host: str, *, bracketed: bool) -> str:
    """Return the host as it belongs in a URL; ValueError where it is none."""
    if bracketed:
        return f"[{ipaddress.IPv6Address(host).compressed}]"
    # Python's own codec has the rules of 2003, by which "straße" is another name than for browsers and aiohttp.
    ascii_host = host if host.isascii() else idna.encode(host, uts46=True).decode()
    labels = ascii_host.lower().removesuffix(".").split(".")
    if len(ascii_host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(host)
    if labels[-1].isdigit():
        return str(ipaddress.IPv4Address(".".join(labels)))
    return ".".join(labels)


def _is_loopback(host: str) -> bool:
    """Whether the host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
