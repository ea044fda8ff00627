"""The client is also a package of its own, for scripts where there is no Home Assistant."""

import ast
import asyncio
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tomllib

import aiohttp
import pytest

from tests.simulator import Simulator

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
            assert top in {"aiohttp", "yarl"} or top in sys.stdlib_module_names, name
