"""What the documents say of the code is true."""

from pathlib import Path
import re

from homeassistant.util.yaml import load_yaml_dict

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "custom_components/netsapiens"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_contributing_names_every_module_and_no_other() -> None:
    table = re.findall(r"^\| `([\w/]+\.py)` \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.py") if path.name != "__init__.py"} | {
        "__init__.py"
    }
    assert sorted(table) == sorted(modules)


def test_the_scripts_that_documents_name_exist() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        for script in re.findall(r"scripts/[a-z]+\b", (ROOT / name).read_text(encoding="utf-8")):
            assert (ROOT / script).exists(), script
        for test in re.findall(r"tests/[\w/]+\.py", (ROOT / name).read_text(encoding="utf-8")):
            assert (ROOT / test).exists(), test


def test_the_readme_names_every_field_of_the_action() -> None:
    fields = load_yaml_dict(str(FOLDER / "services.yaml"))["send_message"]["fields"]
    names = {name for key, field in fields.items() for name in (field.get("fields") or {key: field})}
    assert {"destination", "media", "data"} <= names
    assert [name for name in names if f"`{name}`" not in README] == []


def test_the_readme_shows_pictures_that_are_there_and_leads_nowhere_else() -> None:
    found = re.findall(r"""!\[[^]]+\]\((docs/[^)]+)\)|<img src="(docs/[^"]+)" width="\d+" alt="[^"]+">""", README)
    pictures = [markdown or html for markdown, html in found]
    assert 1 <= len(pictures) <= 4
    assert sorted(pictures) == sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/images").iterdir())
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors
