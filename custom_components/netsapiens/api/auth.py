"""``NetsapiensAPI`` under the name that ``netsapiens-asyncio`` gave it; it is in ``client``."""

from .client import NetsapiensAPI

__all__ = ["NetsapiensAPI"]
