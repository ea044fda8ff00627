"""GitHub's side: what runs there, with which rights, and what a release holds."""

import json
from pathlib import Path
import re
import subprocess
from typing import Any
import zipfile

from homeassistant.util.yaml import load_yaml_dict
import pytest

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def jobs_of(path: Path) -> dict[str, Any]:
    """Return the jobs of a workflow."""
    jobs: dict[str, Any] = load_yaml_dict(str(path))["jobs"]
    return jobs


def test_there_are_workflows() -> None:
    """Those that the documents name."""
    assert {path.stem for path in WORKFLOWS} == {"test", "nightly", "validate", "release"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_and_pins(path: Path) -> None:
    """No workflow has more rights than it needs, and no action can change under it."""
    assert load_yaml_dict(str(path))["permissions"] == {}
    text = path.read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.*)", text)
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # \S+", one) for one in uses), uses
    for name, job in jobs_of(path).items():
        assert job["timeout-minutes"] <= 60, name
        assert set(job["permissions"].items()) <= {("contents", "read"), ("contents", "write"), ("issues", "write")}
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            assert "${{ github.event" not in step.get("run", "")  # a tag's name is not a script
    if path.stem != "release":
        assert "contents: write" not in text


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_is_run_exists(path: Path) -> None:
    """And can be run."""
    for script in re.findall(r"\bscripts/[a-z]+\b", path.read_text(encoding="utf-8")):
        assert (ROOT / script).stat().st_mode & 0o100, script


def test_both_ends_are_tested() -> None:
    """The newest and the oldest Home Assistant, in each place."""
    commands = [
        row["command"] for row in jobs_of(ROOT / ".github/workflows/test.yml")["test"]["strategy"]["matrix"]["include"]
    ]
    assert commands == ["scripts/test", "scripts/test --oldest"]
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8").split("\n")
    assert {*commands, "scripts/lint", "scripts/demo", "scripts/test --browser"} <= set(ci)


def test_a_bug_report_asks_for_diagnostics() -> None:
    """And for what else is needed."""
    form = load_yaml_dict(str(ROOT / ".github/ISSUE_TEMPLATE/bug.yml"))
    wanted = {field["id"] for field in form["body"] if field.get("validations", {}).get("required")}
    assert wanted == {"what", "integration", "home-assistant", "diagnostics"}


def test_a_release(tmp_path: Path) -> None:
    """As HACS installs it: the folder's content at the top, the tag's version in the manifest."""
    subprocess.run(["git", "clone", "-q", ROOT, tmp_path / "clone"], check=True)
    (tmp_path / "clone/scripts/release").write_bytes((ROOT / "scripts/release").read_bytes())
    subprocess.run(["bash", "scripts/release", "v2.3.4b1"], cwd=tmp_path / "clone", check=True)
    hacs = json.loads((ROOT / "hacs.json").read_text(encoding="utf-8"))
    assert hacs["zip_release"] is True
    with zipfile.ZipFile(tmp_path / "clone/dist" / hacs["filename"]) as archive:
        names = archive.namelist()
        assert json.loads(archive.read("manifest.json"))["version"] == "2.3.4b1"
    assert {"__init__.py", "api/auth.py", "translations/en.json", "brand/icon.png"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.parametrize("version", ["", "1.2", "latest", "1.2.3; true"])
def test_what_is_no_version_is_refused(tmp_path: Path, version: str) -> None:
    """A release cannot be called anything."""
    done = subprocess.run(["bash", ROOT / "scripts/release", version], cwd=tmp_path, check=False, capture_output=True)
    assert done.returncode == 2
