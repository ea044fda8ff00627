"""The JWT of the live connection: had when it is needed, and renewed ahead of its end."""

import random

from ..api import Jwt, JwtAPI, NetsapiensRequestError
from ..pbx.coordinator import NetsapiensCoordinator
from .timing import LiveTiming


class LiveJwt:
    """Keeps one JWT for an account.

    Parameters:
        coordinator: the account.
        timing: when to renew it.
    """

    def __init__(self, coordinator: NetsapiensCoordinator, timing: LiveTiming) -> None:
        self._coordinator = coordinator
        self._api = JwtAPI(coordinator.api)
        self._timing = timing
        self._jwt: Jwt | None = None
        self._ahead = 0.0

    @property
    def renew_in(self) -> float:
        """Seconds until it is to be renewed."""
        return max(0.0, self._jwt.left - self._ahead) if self._jwt is not None else 0.0

    def forget(self) -> None:
        """Have a new one next time: the server refuses this one."""
        self._jwt = None

    async def get(self) -> str:
        """Return a JWT that is not to be renewed yet.

        Raises:
            NetsapiensError: none could be had.
        """
        if self._jwt is None or self.renew_in <= 0:
            await self.renew()
        return self._jwt.token if self._jwt is not None else ""

    async def renew(self) -> None:
        """Get a new one: by the refresh token, and where that is refused, as at first.

        Raises:
            NetsapiensError: none could be had.
        """
        await self._coordinator.async_ensure_token()
        former = self._jwt
        self._jwt = await self._next(former) if former is not None and former.refresh else await self._first()
        self._ahead = min(random.uniform(*self._timing.renew_ahead), self._jwt.life / 3)  # noqa: S311

    async def _first(self) -> Jwt:
        """Get one by the credentials."""
        return await self._coordinator.throttle.run(self._api.create_jwt, may_fail=True)

    async def _next(self, former: Jwt) -> Jwt:
        """Get one by the former one's refresh token, which serves once, however that ends."""
        self._jwt = None
        try:
            return await self._coordinator.throttle.run(lambda: self._api.refresh_jwt(former), may_fail=True)
        except NetsapiensRequestError:
            return await self._first()
