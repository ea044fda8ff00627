"""The JWT of the live connection: had when it is needed, and renewed ahead of its end."""

from collections.abc import Awaitable, Callable
import random

from ..api import Jwt, JwtAPI, NetsapiensError, NetsapiensRequestError
from ..pbx.coordinator import NetsapiensCoordinator
from .timing import LiveTiming


class _NotCountedError(Exception):
    """Carries a failure past the circuit breaker.

    Attributes:
        failure: the failure.
    """

    def __init__(self, failure: NetsapiensError) -> None:
        super().__init__()
        self.failure = failure


async def not_counted[ResultT](coordinator: NetsapiensCoordinator, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Make a request whose failure says nothing of the PBX's health: texts must not wait for it.

    Parameters:
        coordinator: the account.
        call: makes the request.

    Raises:
        NetsapiensError: the request's own.
    """

    async def run() -> ResultT:
        try:
            return await call()
        except NetsapiensError as err:
            raise _NotCountedError(err) from None

    try:
        return await coordinator.throttle.run(run)
    except _NotCountedError as err:
        raise err.failure from None


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
        return await not_counted(self._coordinator, self._api.create_jwt)

    async def _next(self, former: Jwt) -> Jwt:
        """Get one by the former one's refresh token, which serves once, however that ends."""
        self._jwt = None
        try:
            return await not_counted(self._coordinator, lambda: self._api.refresh_jwt(former))
        except NetsapiensRequestError:
            return await self._first()
