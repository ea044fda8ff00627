"""Fixtures: the client against a PBX, and a watch that nothing private comes out in errors or logs."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
import logging
import re
import traceback
from typing import Any

import aiohttp
import pytest

from custom_components.netsapiens.api import MessageAPI, NetsapiensAPI, NetsapiensError, tokens as tokens_module
from tests.helpers import until
from tests.simulator import Simulator

NUMBER = "18585550199"
OUTSIDE = "18585550123"
OTHER_OUTSIDE = "18585550124"
MESSAGE = 'The "vault" is ajar:\n<midnight> & the puppy is out / ünïcode 🐕'
PASSWORD = "correct horse battery staple"
SECRET = "correct horse"  # a part of the password
SESSION = "s" + "a1" * 16

TOKEN = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")
PRIVATE = re.compile(
    r"858[ .)-]*555[ .-]*\d\d|horse|battery|vault|ajar|midnight|puppy|ünïcode|u00fcn|%C3%BCn", re.IGNORECASE
)

type Fails = Callable[..., AbstractContextManager[pytest.ExceptionInfo[NetsapiensError]]]


@pytest.fixture(autouse=True)
def _auto_enable(socket_enabled: None) -> None:
    """In place of the one that starts a Home Assistant."""


class Watch(logging.Handler):
    """Keeps every log record and every error's text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    def note(self, err: BaseException) -> None:
        self.texts += [str(err), repr(err), repr(err.args), "".join(traceback.format_exception(err))]
        self.texts += [str(value) for value in vars(err).values()]

    def check(self) -> None:
        for text in self.texts:
            assert not TOKEN.search(text), text
            assert not PRIVATE.search(text), text


@pytest.fixture(autouse=True)
def watch() -> Generator[Watch]:
    """Fail a test in which something private came out."""
    watch = Watch()
    root = logging.getLogger()
    names = (
        "",
        "asyncio",
        "aiohttp",
        "aiohttp.client",
        tokens_module.__name__,
        tokens_module.__name__.rpartition(".")[0],
    )
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(watch)
    yield watch
    root.removeHandler(watch)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    watch.check()


@pytest.fixture
def fails(watch: Watch) -> Fails:
    """Expect an error of exactly this kind; what it says is watched."""

    @contextmanager
    def fails(
        kind: type[NetsapiensError], *, maybe_done: bool = False
    ) -> Generator[pytest.ExceptionInfo[NetsapiensError]]:
        with pytest.raises(NetsapiensError) as caught:
            yield caught
        watch.note(caught.value)
        public = (base for base in type(caught.value).__mro__ if not base.__name__.startswith("_"))
        assert next(public) is kind
        assert caught.value.maybe_done is maybe_done

    return fails


@pytest.fixture
async def pbx() -> AsyncGenerator[Simulator]:
    """A PBX with one account and its number."""
    async with Simulator() as simulator:
        simulator.first_user.password = PASSWORD
        simulator.client_secret = SECRET
        yield simulator
    # Hung requests notice a moment later that their client is gone.
    await until(lambda: not any("RequestHandler" in repr(task) for task in asyncio.all_tasks()))


@pytest.fixture
async def api(pbx: Simulator) -> AsyncGenerator[NetsapiensAPI]:
    """A login at it."""
    async with NetsapiensAPI(pbx.account) as api:
        yield api


@pytest.fixture
def messages(api: NetsapiensAPI) -> MessageAPI:
    """Its messages."""
    return MessageAPI(api)


@pytest.fixture
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    """A session that is not the client's own."""
    async with aiohttp.ClientSession() as session:
        yield session


class Clock:
    """The client's monotonic clock, which can be put forward."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which tokens live."""
    clock = Clock()
    monkeypatch.setattr(tokens_module, "time", clock)
    return clock


def grants(pbx: Simulator) -> list[str]:
    """The kinds of the token calls so far."""
    return [record.body["grant_type"] for record in pbx.requests_to("/tokens")]


def sms(**changes: Any) -> dict[str, Any]:
    """What to give to ``send_message``."""
    return {
        "message_type": "sms",
        "message": MESSAGE,
        "destination": OUTSIDE,
        "from_number": NUMBER,
        **changes,
    }
