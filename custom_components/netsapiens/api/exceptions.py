"""What can go wrong between us and the PBX.

Every error answers the one question that a sender has: may the request have been carried out although no clear
answer came back (``maybe_done``)? Nothing in an error's words is a secret, a whole phone number or a message's text.
"""

from __future__ import annotations


class NetsapiensError(Exception):
    """Base of every error that this client raises on its own account.

    Attributes:
        maybe_done: True when the PBX may have carried out the request all the same.
        retry_after: seconds that the PBX asked us to wait, or None where it did not say.
    """

    maybe_done: bool = False
    retry_after: float | None = None

    @property
    def asks_to_wait(self) -> bool:
        """Whether the PBX asked us to come back later."""
        return self.retry_after is not None


class NetsapiensConfigError(NetsapiensError, ValueError):
    """A setting of the client is missing or empty, or is none that it can be."""


class NetsapiensURLError(NetsapiensConfigError):
    """The base_url is not the address of a PBX."""


class NetsapiensInsecureURLError(NetsapiensURLError):
    """The base_url is plain http to another machine: credentials would travel in clear."""


class NetsapiensAuthError(NetsapiensError):
    """The PBX refused the credentials (POST /tokens)."""


class NetsapiensMfaError(NetsapiensAuthError):
    """The login asks for a second factor, which a program cannot give (POST /tokens)."""


class NetsapiensReadOnlyError(NetsapiensAuthError):
    """The API key may read and not send (GET /apikeys/~)."""


class NetsapiensNoUserError(NetsapiensError):
    """The API key belongs to no user, and the config names none.

    Attributes:
        domain: the key's domain; empty where it has none either.
        user: the key's user; likewise.
    """

    def __init__(self, domain: str, user: str) -> None:
        """Keep what is known."""
        super().__init__("the API key does not say whose texts it is to send: give domain and user")
        self.domain = domain
        self.user = user


class NetsapiensConnectionError(NetsapiensError):
    """The PBX was not reached, or the connection broke before it answered."""

    def __init__(self, reason: str, *, maybe_done: bool = False) -> None:
        """Say why, and whether the request may have been carried out."""
        super().__init__(reason)
        self.maybe_done = maybe_done


class NetsapiensTimeoutError(NetsapiensConnectionError):
    """The PBX did not answer in time."""


class NetsapiensTLSError(NetsapiensConnectionError):
    """The PBX's certificate is not one that we trust, or TLS failed otherwise."""


class NetsapiensRateLimitError(NetsapiensError):
    """Come back later: 429, or a firewall's 403 page. Nothing was carried out."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        """Say why, and for how many seconds to wait."""
        super().__init__(reason)
        self.retry_after = retry_after

    @property
    def asks_to_wait(self) -> bool:
        """Whether the PBX asked us to come back later: it did, even where it does not say when."""
        return True


class NetsapiensServerError(NetsapiensError):
    """The PBX failed (5xx), or what answered does not speak its language (HTML, cut or nonsensical answers)."""

    def __init__(self, reason: str, *, maybe_done: bool = True, retry_after: float | None = None) -> None:
        """Say why, whether the request may have been carried out, and for how many seconds to wait."""
        super().__init__(reason)
        self.maybe_done = maybe_done
        self.retry_after = retry_after


class NetsapiensEmptyAnswerError(NetsapiensServerError):
    """The PBX answered with nothing at all where records were asked for, not even with an empty list."""


class NetsapiensRequestError(NetsapiensError):
    """The PBX understood the request and refused it. Nothing was carried out.

    Attributes:
        status: the HTTP status, or the ``code`` of the answer where a 200 carried one.
        reason: the PBX's own words, cleaned; empty where it gave none, or none that can be shown.
        unknown_route: whether this version of the API lacks the call, as opposed to the record.
        of_login: whether it is about the login, so that it may pass: a 401, unless the PBX is known to take the token.
    """

    def __init__(self, status: int, reason: str = "", *, unknown_route: bool = False) -> None:
        """Keep the status and the PBX's words."""
        super().__init__(f"{status}: {reason}" if reason else str(status))
        self.status = status
        self.reason = reason
        self.unknown_route = unknown_route
        self.of_login = status == 401  # noqa: PLR2004

    @property
    def no_record(self) -> bool:
        """Whether there is no such record; some say so of a list that is empty."""
        return self.status == 404 and not self.unknown_route  # noqa: PLR2004
