"""The client is also a package of its own, for scripts where there is no Home Assistant."""

import ast
import asyncio
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import tomllib

import aiohttp
import pytest

from tests.simulator import FaultKind, Simulator

from .conftest import MESSAGE, NUMBER, OUTSIDE

REPOSITORY = Path(__file__).parents[2]
API = REPOSITORY / "custom_components" / "netsapiens" / "api"

SCRIPT = """
import asyncio, json, sys

account, packages, text, number, outside = json.loads(sys.stdin.read())
sys.path[:0] = packages


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"homeassistant", "custom_components", "voluptuous", "phonenumbers"}:
            raise ImportError(name)
        return None


sys.meta_path.insert(0, Blocker())
from netsapiens_asyncio.auth import NetsapiensAPI
from netsapiens_asyncio.messages import MessageAPI


async def main():
    async with NetsapiensAPI(account) as api:
        token = await api.get_token()
        answer = await MessageAPI(api).send_message(
            message_type="sms", message=text, destination=outside, from_number=number
        )
    print(json.dumps([sorted(token), answer, sys.modules["netsapiens_asyncio"].__file__]))


asyncio.run(main())
"""


CLIENT = """
import asyncio

from netsapiens_asyncio.auth import NetsapiensAPI
from netsapiens_asyncio.messages import MessageAPI

CONFIG = {}
API = NetsapiensAPI(CONFIG)


async def use(api=None):
    messages = MessageAPI(api or NetsapiensAPI(CONFIG))
    await asyncio.gather(*(messages.get_messagesessions() for _ in range(3)))


def run(main, close):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main)
    if close:
        loop.close()
"""

# What follows CLIENT: ways to use a client that is never closed.
UNCLOSED = {
    "one loop after another": "asyncio.run(use(API)); asyncio.run(use(API)); asyncio.run(use(API))",
    "dropped in a loop": "asyncio.run(use()); asyncio.run(use())",
    "closed in another loop": "asyncio.run(use(API)); asyncio.run(API.close())",
    "loops closed by hand": "run(use(API), True); run(use(API), True); run(use(), True); asyncio.run(use(API))",
    "a loop that is never closed": "run(use(API), False)",
    "dropped in a loop that is never closed": "run(use(), False)",
    "dropped after its loop": "run(use(API), True); del API",
    "loops in threads": """
import threading
threads = [threading.Thread(target=asyncio.run, args=[use(API)]) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
""",
}

STUCK = """
loop = asyncio.new_event_loop()
stuck = loop.create_task(API.get_token())
loop.run_until_complete(asyncio.sleep(0.1))
assert not stuck.done()
loop.close()
asyncio.run(use(API))
print("done")
"""


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``pip install .`` installs. Built from a copy, for the build leaves folders behind."""
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("target")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in ("pyproject.toml", project["readme"], *project["license-files"]):
        shutil.copy(REPOSITORY / name, copy / name)
    folder = copy / API.relative_to(REPOSITORY)
    shutil.copytree(API, folder, ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--quiet", "--no-deps", "--python", sys.executable, "--target", target]
    command = [sys.executable, "-m", "uv", "pip", "install", *options, copy]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_contents(package: Path) -> None:
    """The folder as it is, the mark of its types included, and nothing besides."""
    installed = package / "netsapiens_asyncio"
    files = {path.name for path in API.iterdir() if path.is_file()}
    assert {path.name for path in installed.iterdir() if path.is_file()} == files
    assert "py.typed" in files
    assert [path for path in package.iterdir() if path.is_dir() and "." not in path.name] == [installed]


async def test_package(package: Path, pbx: Simulator) -> None:
    """It sends a message where nothing but aiohttp is there."""
    packages = [str(package), str(Path(aiohttp.__file__).parents[1])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", SCRIPT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    given = json.dumps([pbx.account, packages, MESSAGE, NUMBER, OUTSIDE])
    out, errors = await process.communicate(given.encode())
    assert process.returncode == 0, errors.decode()
    token, answer, file = json.loads(out)
    assert {"access_token", "refresh_token", "expires_at", "api_url"} <= set(token)
    assert Path(file).is_relative_to(package)
    (sent,) = pbx.messages
    assert (sent.text, sent.destination, sent.from_number) == (MESSAGE, [OUTSIDE], NUMBER)
    assert sent.messagesession == answer["messagesession-id"]


async def run(package: Path, pbx: Simulator, script: str) -> tuple[str, str]:
    """Run a script in which only the config is replaced; return what it prints, and what it complains of."""
    script, found = re.subn(r"^CONFIG = .*$", lambda _: f"CONFIG = {pbx.account!r}", script, flags=re.MULTILINE)
    assert found == 1
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        env={"PYTHONPATH": os.pathsep.join([str(package), str(Path(aiohttp.__file__).parents[1])])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode(), errors.decode()


def examples() -> list[str]:
    """The documented examples of the client."""
    page = (REPOSITORY / "docs/python-client.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("close", [True, False])
async def test_documented_examples(package: Path, pbx: Simulator, close: bool) -> None:
    """As they stand, and as those write them who forget to close: both say nothing of their own."""
    opened = "async with NetsapiensAPI(CONFIG) as api:"
    found = examples()
    assert [example.count(opened) for example in found] == [1, 1]
    sending, reading = found if close else (it.replace(opened, "if api := NetsapiensAPI(CONFIG):") for it in found)
    out, errors = await run(package, pbx, sending)
    (sent,) = pbx.messages
    assert errors == ""
    assert out.split()[-1] == sent.messagesession
    await pbx.receive(OUTSIDE, "4711", messagesession=sent.messagesession)
    out, errors = await run(package, pbx, reading)
    assert errors == ""
    conversation, received, own = out.splitlines()
    assert conversation.startswith(f"{sent.messagesession} ('{OUTSIDE}',)")
    assert f" {OUTSIDE} 4711 " in received
    assert f" we {sent.text} " in own


@pytest.mark.parametrize("way", UNCLOSED)
async def test_a_client_that_is_never_closed(package: Path, pbx: Simulator, way: str) -> None:
    """It works in each loop, and nothing complains of it."""
    assert await run(package, pbx, CLIENT + UNCLOSED[way]) == ("", "")


async def test_nothing_is_left_open_where_a_loop_is_shut_down(package: Path, pbx: Simulator) -> None:
    """Not even a socket that only those see who ask Python for such warnings."""
    warnings = "import warnings; warnings.simplefilter('default', ResourceWarning)"
    for way in ("one loop after another", "dropped in a loop", "loops in threads"):
        assert await run(package, pbx, f"{warnings}\n{CLIENT}{UNCLOSED[way]}") == ("", "")


async def test_a_token_call_whose_loop_is_gone(package: Path, pbx: Simulator) -> None:
    """Nobody waits for it in another loop. (asyncio itself complains of the task.)"""
    pbx.fault(FaultKind.HANG, path="/tokens", seconds=600)
    out, _ = await run(package, pbx, CLIENT + STUCK)
    assert out == "done\n"


@pytest.mark.parametrize("path", sorted(API.glob("*.py")), ids=lambda path: path.name)
def test_sources(path: Path) -> None:
    """Python 3.11's grammar, and no import that a bare aiohttp does not bring."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            assert not isinstance(node, ast.ImportFrom) or node.level == 1, "reaches out of the folder"
            continue
        for name in names:
            top = name.partition(".")[0]
            assert top in {"aiohttp", "idna", "yarl"} or top in sys.stdlib_module_names, name
