"""Settings that are not there are named, and nothing is sent in their place."""

from typing import Any

import pytest

from custom_components.netsapiens.api import NetsapiensAPI, NetsapiensConfigError, NetsapiensError, NetsapiensURLError

from .conftest import PASSWORD, SECRET

LOGIN = {
    "base_url": "api.example.com",
    "client_id": "example",
    "client_secret": SECRET,
    "username": "1001@acme.example",
    "password": PASSWORD,
}
KEY = {"base_url": "api.example.com", "api_key": "nsu_0"}
MISSING = object()


def without(config: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    """Return a config in which one setting has another value, or is not there."""
    return {key: kept for key, kept in {**config, name: value}.items() if kept is not MISSING}


@pytest.mark.parametrize("value", [MISSING, None, "", " ", [], {}, False, b"battery"])
@pytest.mark.parametrize("name", LOGIN)
def test_a_setting_that_is_not_there(name: str, value: object) -> None:
    """The error names what is missing, and is one of the client's own."""
    with pytest.raises(ValueError, match=rf"\b{name} is missing or empty") as caught:
        NetsapiensAPI(without(LOGIN, name, value))
    assert isinstance(caught.value, NetsapiensError)
    assert type(caught.value) is (NetsapiensURLError if name == "base_url" else NetsapiensConfigError)
    assert not caught.value.maybe_done
    assert not any(text in str(caught.value) for text in (PASSWORD, SECRET, "battery"))


@pytest.mark.parametrize("value", [None, "", "\n"])
def test_an_api_key_that_is_not_there(value: object) -> None:
    """A key that is empty is not taken for a way to sign in."""
    with pytest.raises(NetsapiensConfigError, match="api_key is missing or empty"):
        NetsapiensAPI(without(KEY, "api_key", value))


@pytest.mark.parametrize("value", [None, "", "\n"])
def test_a_login_beside_an_empty_api_key(value: object) -> None:
    """Forms have both; what is filled in counts."""
    NetsapiensAPI({**LOGIN, "api_key": value, "domain": None, "user": ""})
    NetsapiensAPI({**KEY, **dict.fromkeys(LOGIN.keys() - KEY.keys(), value)})
    with pytest.raises(NetsapiensConfigError, match="password is missing"):
        NetsapiensAPI(without({**LOGIN, "api_key": value}, "password", value))


@pytest.mark.parametrize("value", [MISSING, None, "", True, False])
def test_verify_ssl(value: object) -> None:
    """Certificates are verified unless that is turned off in so many words."""
    api = NetsapiensAPI(without(LOGIN, "verify_ssl", value))
    assert api._transport._verify_ssl is (value is not False)


@pytest.mark.parametrize("value", [0, "false", "no", []])
def test_verify_ssl_is_a_boolean(value: object) -> None:
    """A text such as "false" must not silently mean the contrary."""
    with pytest.raises(NetsapiensConfigError, match="verify_ssl"):
        NetsapiensAPI({**LOGIN, "verify_ssl": value})


def test_settings_that_are_numbers() -> None:
    """As YAML and templates make them."""
    api = NetsapiensAPI({**LOGIN, "username": 1001, "password": 4711})
    assert api._tokens._login == {"username": "1001", "password": "4711"}
