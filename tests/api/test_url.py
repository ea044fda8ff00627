"""The address of a PBX: every form that is handed out, and nothing else."""

import ipaddress
import traceback
from urllib.parse import urlsplit

from hypothesis import example, given, strategies as st
import pytest
from yarl import URL

from custom_components.netsapiens.api import (
    NetsapiensAPI,
    NetsapiensError,
    NetsapiensInsecureURLError,
    NetsapiensURLError,
    normalise_base_url,
)

LONGEST_HOST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])

GOOD = {
    "api.example.com": "https://api.example.com",
    "  api.example.com\n": "https://api.example.com",
    "API.Example.COM": "https://api.example.com",
    "api.example.com.": "https://api.example.com",
    "api.example.com:8443": "https://api.example.com:8443",
    "api.example.com:443": "https://api.example.com",
    "api.example.com:": "https://api.example.com",
    "api.example.com:0080": "https://api.example.com:80",
    "api.example.com:65535": "https://api.example.com:65535",
    "api.example.com/": "https://api.example.com",
    "api.example.com//": "https://api.example.com",
    "api.example.com/ns-api": "https://api.example.com",
    "api.example.com/ns-api/": "https://api.example.com",
    "api.example.com/ns-api/v2": "https://api.example.com",
    "api.example.com/NS-API/V2/": "https://api.example.com",
    "api.example.com:8443/ns-api/v2/": "https://api.example.com:8443",
    "https://api.example.com": "https://api.example.com",
    "HTTPS://API.example.com/ns-api": "https://api.example.com",
    "https://api.example.com:443/ns-api/v2/": "https://api.example.com",
    "https://api.example.com:80": "https://api.example.com:80",
    "pbx": "https://pbx",
    "my_pbx-1.example": "https://my_pbx-1.example",
    "bücher.example": "https://xn--bcher-kva.example",
    "BÜCHER.example": "https://xn--bcher-kva.example",
    "xn--bcher-kva.example": "https://xn--bcher-kva.example",
    "例え.jp:8443": "https://xn--r8jz45g.jp:8443",
    "pbx.straße.example": "https://pbx.xn--strae-oqa.example",
    "pbx.STRASSE.example": "https://pbx.strasse.example",
    "βόλος.example": "https://xn--nxasmm1c.example",
    "bücher。example": "https://xn--bcher-kva.example",
    LONGEST_HOST: f"https://{LONGEST_HOST}",
    "192.0.2.7": "https://192.0.2.7",
    "192.0.2.7:8443": "https://192.0.2.7:8443",
    "[2001:DB8::1]": "https://[2001:db8::1]",
    "[2001:db8:0:0:0:0:0:1]:8443": "https://[2001:db8::1]:8443",
    "https://[2001:db8::1]:443/ns-api": "https://[2001:db8::1]",
    "http://127.0.0.1": "http://127.0.0.1",
    "http://127.0.0.1:80": "http://127.0.0.1",
    "http://127.0.0.1:443": "http://127.0.0.1:443",
    "http://127.1.2.3:8080/ns-api/v2": "http://127.1.2.3:8080",
    "http://localhost:8080/": "http://localhost:8080",
    "HTTP://LocalHost.": "http://localhost",
    "http://[::1]:8080": "http://[::1]:8080",
    "localhost:8080": "https://localhost:8080",
}
INSECURE = [
    "http://api.example.com",
    "http://api.example.com:443/ns-api",
    "HTTP://api.example.com",
    "http://192.0.2.7",
    "http://10.0.0.1",
    "http://0.0.0.0",
    "http://[2001:db8::1]",
    "http://localhost.example.com",
    "http://notlocalhost",
    "http://127.0.0.1.example.com",
    "http://xn--localhost-x.example",
]
BAD = [
    "",
    " ",
    "\n",
    "https://",
    "http://",
    "https:///ns-api",
    "//api.example.com",
    "/ns-api/v2",
    "ftp://api.example.com",
    "ws://127.0.0.1",
    "file:///etc/passwd",
    "javascript://api.example.com",
    "https:api.example.com",
    "https://https://api.example.com",
    "https//api.example.com",
    "user@api.example.com",
    "https://user:password@api.example.com",
    "https://api.example.com@evil.example",
    "https://@api.example.com",
    "api.example.com?x=1",
    "api.example.com/?",
    "api.example.com#x",
    "api.example.com/ns-api/v2#",
    "api.example.com/portal",
    "api.example.com/ns-api/v1",
    "api.example.com/ns-api/v2/tokens",
    "api.example.com/ns-apiv2",
    "api.example.com//ns-api",
    "api.example.com/ns-api;x",
    "api.example.com/%6es-api",
    "api.example.com/..",
    "api.example.com:0",
    "api.example.com:70000",
    "api.example.com:65536",
    "api.example.com:-1",
    "api.example.com:+80",
    "api.example.com:80:80",
    "api.example.com:https",
    "api.example.com:٣٣",
    "api.example.com:8 0",
    "api example.com",
    "api.example.com /",
    "api.\texample.com",
    "api.\nexample.com",
    "api.\0example.com",
    "api.\x7fexample.com",
    "api.\u200bexample.com",
    "api.\u202eexample.com",
    "api.\u00a0example.com",
    "\ud800.example.com",
    "api.example.com\\ns-api",
    "https:\\\\api.example.com",
    "api.example.com%2f",
    "api%41.example.com",
    ".",
    "..",
    ".api.example.com",
    "api..example.com",
    "api.example.com..",
    "-api.example.com",
    "api-.example.com",
    "api!.example.com",
    "api,example.com",
    "*.example.com",
    "a" * 64 + ".example.com",
    LONGEST_HOST + "d",
    "ü" * 64,
    "☃.example",
    "straße☃.example",
    "api\u2100example.com",
    "api\uff0fexample.com",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.04",
    "0x7f.0.0.1",
    "2130706433",
    "2001:db8::1",
    "[2001:db8::1",
    "2001:db8::1]",
    "[2001:db8::g]",
    "[2001:db8::1]x",
    "x[2001:db8::1]",
    "[192.0.2.7]",
    "[fe80::1%eth0]",
    "[fe80::1%25eth0]",
    "[v1.x]",
    "[]",
    "[::1]:70000",
]


@pytest.mark.parametrize(("given", "expected"), GOOD.items())
def test_good(given: str, expected: str) -> None:
    """What people type for an address becomes one form, which stays as it is."""
    assert normalise_base_url(given) == expected
    assert normalise_base_url(expected) == expected
    # What aiohttp makes of it is the same.
    assert str(URL(f"{expected}/ns-api/v2/tokens", encoded=True)) == f"{expected}/ns-api/v2/tokens"
    # And it would go to the same host by what was typed.
    typed = given.strip()
    host = URL(typed if "://" in typed else f"https://{typed}").raw_host or ""
    assert host.removesuffix(".") == URL(expected).raw_host


@pytest.mark.parametrize("text", INSECURE)
def test_insecure(text: str) -> None:
    """Plain http is refused, except on this machine: the password would go out in the clear."""
    with pytest.raises(NetsapiensInsecureURLError):
        normalise_base_url(text)


@pytest.mark.parametrize("text", BAD)
def test_bad(text: str) -> None:
    """What is no address is an error that callers can catch in two ways."""
    with pytest.raises(NetsapiensURLError) as caught:
        normalise_base_url(text)
    assert type(caught.value) is NetsapiensURLError
    assert isinstance(caught.value, NetsapiensError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("text", ["admin:hunter2", "https://admin:hunter2@api.example.com", "hunter2!", "hunter2/x"])
def test_what_was_pasted_is_not_said_back(text: str) -> None:
    """It may be a password that slipped into the wrong field."""
    with pytest.raises(NetsapiensURLError) as caught:
        normalise_base_url(text)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_the_client_refuses_it() -> None:
    """The client itself takes no such address, whoever passes it."""
    config = dict.fromkeys(("client_id", "client_secret", "username", "password"), "x")
    with pytest.raises(NetsapiensInsecureURLError):
        NetsapiensAPI({**config, "base_url": "http://api.example.com"})


PIECES = st.sampled_from(
    [
        *("https://", "http://", "HTTP://", "ftp://", "//", "/", "\\", "@", ":", "?", "#", "%", "[", "]", ".", ";"),
        *("localhost", "127.0.0.1", "::1", "api.example.com", "bücher", "ß", "ς", "\u212a", "。", "٣", "xn--", "0x7f"),
        *(
            "/ns-api",
            "/v2",
            "443",
            "80",
            "0",
            "65535",
            "70000",
            " ",
            "\t",
            "\0",
            "\u200d",
            "\u00ad",
            "-",
            "_",
            "\u017f",
        ),
    ]
)


def check(text: str) -> None:
    try:
        url = normalise_base_url(text)
    except NetsapiensURLError:
        return
    parts = urlsplit(url)
    assert url == f"{parts.scheme}://{parts.netloc}"
    assert url.isascii()
    assert url.isprintable()
    assert parts.hostname
    assert (parts.username, parts.password, parts.path, parts.query, parts.fragment) == (None, None, "", "", "")
    assert parts.port is None or 0 < parts.port < 65536
    assert parts.scheme in {"https", "http"}
    if parts.scheme == "http" and parts.hostname != "localhost":
        assert ipaddress.ip_address(parts.hostname).is_loopback
    assert normalise_base_url(url) == url
    # The host is the one that was written, as any other reader of addresses sees it.
    written = text.strip()
    seen = urlsplit(written if "://" in written else f"https://{written}").hostname or ""
    if seen.isascii() and "[" not in text:
        assert parts.hostname == seen.rstrip(".")
    elif "[" not in text:
        assert parts.hostname == (URL.build(scheme="https", host=seen).raw_host or "").rstrip(".")
    # And aiohttp goes there.
    target = URL(f"{url}/ns-api/v2/tokens", encoded=True)
    assert (target.raw_host, target.path, target.user) == (parts.hostname, "/ns-api/v2/tokens", None)
    assert target.port == (parts.port or {"https": 443, "http": 80}[parts.scheme])


@given(st.text())
@example("https://ns-api.com")
def test_any_text(text: str) -> None:
    """No text makes an address that leads elsewhere than it says."""
    check(text)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_any_pieces(text: str) -> None:
    """Neither do pieces of addresses, however they are put together."""
    check(text)
