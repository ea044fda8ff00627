"""Event subscriptions: the PBX posts to a URL when something happens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from .client import NetsapiensAPI
from .exceptions import NetsapiensRequestError
from .messages import MAX_ROWS
from .models import SUBSCRIPTION_KEYS, Subscription
from .values import rows

_PATH = "subscriptions"  # the flat one, since older versions know no other


class SubscriptionAPI:
    """The event subscriptions of one login.

    Parameters:
        api: the login; not closed here.
    """

    def __init__(self, api: NetsapiensAPI) -> None:
        self._api = api

    async def get_subscriptions(self) -> list[Subscription]:
        """Return the subscriptions that the login may see.

        Raises:
            NetsapiensError: one of its kinds.

        API: GET /ns-api/v2/subscriptions
        """
        try:
            answer = await self._api.request("GET", _PATH, params={"limit": str(MAX_ROWS)})
        except NetsapiensRequestError as err:
            if not err.no_record:
                raise
            return []  # so some say that there is none yet
        return [Subscription.from_row(row) for row in rows(answer or [], SUBSCRIPTION_KEYS)]

    async def create_subscription(self, model: str, post_url: str, expires: datetime) -> Subscription | None:
        """Ask for the login's own events of one kind.

        Parameters:
            model: ``message``, ``messagesession``, …
            post_url: where to post them, with https.
            expires: when the PBX stops, with a time zone; without it, it would with the token.

        Returns:
            The subscription; None where the PBX accepts without describing it.

        Raises:
            NetsapiensRequestError: with status 409 where an equal one exists; 401, 403 or 404 where the login may not.
            NetsapiensError: one of its kinds.

        API: POST /ns-api/v2/subscriptions
        """
        account = await self._api.signed_in()
        body = {
            "model": model,
            "post-url": post_url,
            "subscription-geo-support": "yes",  # left out it counts as no, whatever the documents say
            "domain": account.domain,
            "user": account.user,
            "subscription-expires-datetime": _moment(expires),
        }
        answer = await self._api.request("POST", _PATH, body=body, private=(post_url,))
        described = answer if isinstance(answer, list) else [answer]
        found = [Subscription.from_row(row) for row in described if isinstance(row, dict)]
        return next((one for one in found if one.id), None)

    async def update_subscription(self, subscription: Subscription, post_url: str, expires: datetime) -> None:
        """Renew a subscription, and forget its errors.

        Parameters:
            subscription: which.
            post_url: where to post, with https.
            expires: when the PBX stops, with a time zone.

        Raises:
            NetsapiensError: one of its kinds.

        API: PUT /ns-api/v2/subscriptions/{id}
        """
        body: dict[str, Any] = {
            "model": subscription.model,
            "post-url": post_url,
            "subscription-geo-support": "yes",
            "subscription-expires-datetime": _moment(expires),
            "error-count": 0,
        }
        await self._api.request("PUT", _path_of(subscription), body=body, private=(post_url,))

    async def delete_subscription(self, subscription: Subscription) -> None:
        """End a subscription.

        Parameters:
            subscription: which.

        Raises:
            NetsapiensError: one of its kinds.

        API: DELETE /ns-api/v2/subscriptions/{id}
        """
        account = await self._api.signed_in()
        body = {"subscription_id": subscription.id, "domain": account.domain}
        await self._api.request("DELETE", _path_of(subscription), body=body)


def _path_of(subscription: Subscription) -> str:
    """Return the path of one subscription."""
    return f"{_PATH}/{quote(subscription.id, safe='')}"


def _moment(time: datetime) -> str:
    """Return a time as the PBX takes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
