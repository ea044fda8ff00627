"""How the PBX says no: one exception, which the server turns into `{"code", "message"}`."""

from http import HTTPStatus
from typing import Any


class ApiError(Exception):
    """An answer that ends the request; `body` replaces the usual object where the API has another shape."""

    def __init__(self, status: int, message: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = int(status)
        self.body: dict[str, Any] = body if body is not None else {"code": self.status, "message": message}


def bad_request(message: str) -> ApiError:
    """The request itself is at fault."""
    return ApiError(HTTPStatus.BAD_REQUEST, message)


def no_route() -> ApiError:
    """The answer to a path that this version does not know."""
    return ApiError(HTTPStatus.NOT_FOUND, "No Route Found [92]")


def invalid_grant(description: str) -> ApiError:
    """The OAuth server's own shape, which passes through for refresh tokens."""
    body = {"error": "invalid_grant", "error_description": description}
    return ApiError(HTTPStatus.BAD_REQUEST, description, body)
