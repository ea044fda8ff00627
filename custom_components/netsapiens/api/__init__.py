"""Async client for the messaging part of the NetSapiens API v2.

Needs aiohttp and nothing of Home Assistant. ``pip install .`` of the repository installs this folder as
``netsapiens_asyncio``.
"""

from .client import NetsapiensAPI
from .contacts import Contact, ContactAPI
from .exceptions import (
    NetsapiensAuthError,
    NetsapiensConfigError,
    NetsapiensConnectionError,
    NetsapiensEmptyAnswerError,
    NetsapiensError,
    NetsapiensInsecureURLError,
    NetsapiensMfaError,
    NetsapiensNoUserError,
    NetsapiensRateLimitError,
    NetsapiensReadOnlyError,
    NetsapiensRequestError,
    NetsapiensServerError,
    NetsapiensTimeoutError,
    NetsapiensTLSError,
    NetsapiensURLError,
)
from .jwt import Jwt, JwtAPI
from .messages import MessageAPI
from .models import Account, Message, MessageSession, SmsNumber, Subscription
from .numbers import NumberAPI
from .subscriptions import SubscriptionAPI
from .url import normalise_base_url

__all__ = [
    "Account",
    "Contact",
    "ContactAPI",
    "Jwt",
    "JwtAPI",
    "Message",
    "MessageAPI",
    "MessageSession",
    "NetsapiensAPI",
    "NetsapiensAuthError",
    "NetsapiensConfigError",
    "NetsapiensConnectionError",
    "NetsapiensEmptyAnswerError",
    "NetsapiensError",
    "NetsapiensInsecureURLError",
    "NetsapiensMfaError",
    "NetsapiensNoUserError",
    "NetsapiensRateLimitError",
    "NetsapiensReadOnlyError",
    "NetsapiensRequestError",
    "NetsapiensServerError",
    "NetsapiensTLSError",
    "NetsapiensTimeoutError",
    "NetsapiensURLError",
    "NumberAPI",
    "SmsNumber",
    "Subscription",
    "SubscriptionAPI",
    "normalise_base_url",
]
