"""A certificate for this machine, signed by itself, for tests that want real TLS."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=30)


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Write certificate and key to `folder`; the certificate doubles as the CA file for clients."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(key)
    cafile, keyfile = folder / "certificate.pem", folder / "key.pem"
    cafile.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cafile, keyfile)
    return cafile, context


class TlsDoor:
    """Does the handshakes, and keeps the failed ones to itself.

    asyncio's own TLS server reports every client that does not like the certificate to the loop's exception
    handler when the loop is in debug mode, and Home Assistant's test harness fails the test for it.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, make_protocol: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        """A protocol for a fresh TCP connection, which `make_protocol`'s takes over after the handshake."""
        return _Waiting(lambda waiting, transport: self._spawn(self._shake(waiting, transport, make_protocol)))

    def close(self) -> None:
        """Give up on the handshakes that are under way."""
        for task in self._tasks:
            task.cancel()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _shake(
        self, waiting: _Waiting, transport: asyncio.Transport, make_protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        try:
            loop = asyncio.get_running_loop()
            secure = await loop.start_tls(transport, waiting, self._context, server_side=True)
        except OSError:
            return
        if secure is None or secure.is_closing():
            return
        protocol = make_protocol()
        secure.set_protocol(protocol)
        protocol.connection_made(secure)
        if waiting.early:
            protocol.data_received(bytes(waiting.early))


class _Waiting(asyncio.Protocol):
    """Holds what the client says before anybody listens."""

    def __init__(self, connected: Callable[[_Waiting, asyncio.Transport], None]) -> None:
        self._connected = connected
        self.early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._connected(self, transport)

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.early += data


def _sign(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "NetSapiens simulator")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    hosts = [
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address("127.0.0.1")),
        x509.IPAddress(ip_address("::1")),
    ]
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
