"""What the documents say of the code is true, and what they link to exists."""

import ast
from collections.abc import Iterator
from pathlib import Path
import re

from homeassistant.util.yaml import load_yaml_dict
import pytest

from custom_components.netsapiens.delivery.state import Reason

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "custom_components/netsapiens"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md")))
}
README = PAGES["README.md"]
REFERENCE = PAGES["docs/reference.md"]
LINK = re.compile(r"""\]\(([^)\s]+)\)|<img src="([^"]+)\"""")


def anchors_of(page: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def links_of(name: str) -> Iterator[tuple[str, str]]:
    """Yield the file, from the repository's root, and the anchor of each link of a page within the repository."""
    for markdown, html in LINK.findall(PAGES[name]):
        link = markdown or html
        if not re.match(r"[a-z]+:", link):
            target, _, anchor = link.partition("#")
            path = (ROOT / name).parent / target if target else ROOT / name
            yield path.resolve().relative_to(ROOT.resolve()).as_posix(), anchor


def test_contributing_names_every_module_and_no_other() -> None:
    """A module that is added or renamed is in the table."""
    table = re.findall(r"^\| `([\w/]+\.py)` \|", PAGES["CONTRIBUTING.md"], re.MULTILINE)
    modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.py") if path.name != "__init__.py"} | {
        "__init__.py"
    }
    assert sorted(table) == sorted(modules)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    """Also to the heading that it names."""
    for target, anchor in links_of(name):
        assert (ROOT / target).exists(), target
        assert not anchor or anchor in anchors_of(PAGES[target]), f"{target}#{anchor}"


def test_every_page_is_reached_from_the_readme() -> None:
    """No page is lost."""
    linked = {target for target, _ in links_of("README.md")}
    assert {name for name in PAGES if name != "README.md"} <= linked


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_that_documents_name_exist(name: str) -> None:
    """Scripts, tests and options that somebody may copy."""
    for script in re.findall(r"scripts/[a-z]+\b", PAGES[name]):
        assert (ROOT / script).exists(), script
    for test in re.findall(r"\btests/[\w/]+(?:\.py)?", PAGES[name]):
        assert (ROOT / test).exists(), test
    for script, arguments in re.findall(r"(scripts/(?:bench|demo|test))((?: [-\w]+)+)", PAGES[name]):
        sources = [path for path in (ROOT / script, ROOT / f"{script}.py") if path.exists()]
        known = "".join(path.read_text(encoding="utf-8") for path in sources)
        for option in re.findall(r" (--[a-z]+)", arguments):
            assert re.search(rf"{option}\b", known), f"{script} {option}"


@pytest.mark.parametrize(
    ("action", "some"), [("send_message", {"destination", "media", "data"}), ("ask_question", {"question", "pin"})]
)
def test_the_reference_names_every_field_of_the_action(action: str, some: set[str]) -> None:
    """And no other."""
    fields = load_yaml_dict(str(FOLDER / "services.yaml"))[action]["fields"]
    names = {name for key, field in fields.items() for name in (field.get("fields") or {key: field})}
    assert some <= names
    section = REFERENCE[: REFERENCE.index("## Actions by name")]
    assert [name for name in names if f"`{name}`" not in section] == []


def test_the_reference_has_each_reason_of_a_failure_once() -> None:
    """One was there twice, each time in other words."""
    section = REFERENCE[REFERENCE.index("### Event `failed`") : REFERENCE.index("## Triggers")]
    rows = re.findall(r"^\| `(\w+)` \|", section.partition("|---|")[2], re.MULTILINE)
    assert sorted(rows) == sorted(reason.value for reason in Reason)


def test_every_page_with_figures_names_their_command() -> None:
    """Nobody has to believe a figure."""
    for name in ("docs/reliability.md", "docs/performance.md"):
        for section in re.split(r"^## ", PAGES[name], flags=re.MULTILINE):
            if re.search(r"^\|.*\d", section, re.MULTILINE):
                assert "`scripts/bench" in section, section.splitlines()[0]


def test_the_readme_is_short_and_its_first_screen_says_how_to_try_it() -> None:
    """In the order in which somebody new reads."""
    assert len(README.splitlines()) <= 250
    order = ["<img ", "scripts/demo --keep", "scripts/test ", "## Before you start", "## Install", "## Add the first"]
    places = [README.index(part) for part in order]
    assert places == sorted(places)
    assert len(README[: places[2]].splitlines()) <= 30
    assert len(README[: places[-1]].splitlines()) <= 60
    assert [(path, path.endswith(".png")) for path, _ in links_of("README.md") if "images" in path] == [
        ("docs/images/card.png", True)
    ]


def test_every_picture_is_shown_and_none_twice_on_a_page() -> None:
    """And none is missing."""
    shown = [(target, name) for name in PAGES for target, _ in links_of(name) if target.startswith("docs/images/")]
    pictures = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/images").iterdir()}
    assert {target for target, _ in shown} == pictures
    assert len(shown) == len(set(shown))
    assert ("docs/images/card.png", "docs/card.md") in shown
    for page in PAGES.values():
        assert "![](" not in page
        assert all(re.search(r'alt="[^"]+"', tag) for tag in re.findall(r"<img [^>]+>", page))


# The layers, from below: a module imports only from its own layer and from those before it.
LAYERS = [
    ("api",),
    (
        "const",
        "errors",
        "listed_text",
        "markdown",
        "media_kinds",
        "participants",
        "permissions",
        "phone",
        "phone_metadata",
        "recipients",
        "segments",
        "sentences",
        "settings",
        "storage",
    ),
    ("pbx",),
    ("issues", "messages", "outgoing", "request", "senders"),
    ("delivery", "receiving", "media"),
    ("account", "address_book", "addressing", "contacts", "conversations", "refusals", "reports", "signals"),
    ("prepared_send", "sending"),
    ("asking",),
]
SIBLINGS = LAYERS[4]


def imports() -> Iterator[tuple[str, str]]:
    """Yield the part that imports and the part that is imported: a folder, or a module at the top."""
    for path in FOLDER.rglob("*.py"):
        module = path.relative_to(FOLDER)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                package = module.parts[:-1][: len(module.parts) - node.level]
                for name in [node.module] if node.module else [alias.name for alias in node.names]:
                    yield module.parts[0].removesuffix(".py"), (*package, *name.split("."))[0]


def test_nothing_below_knows_what_is_above_it() -> None:
    """Entry points, and what starts the parts, are above all layers and may import anything."""
    height = {part: number for number, parts in enumerate(LAYERS) for part in parts}
    found = {(who, what) for who, what in imports() if who != what}
    assert {("sending", "delivery"), ("pbx", "api")} <= found
    up = {(who, what) for who, what in found if who in height and height.get(what, len(LAYERS)) > height[who]}
    across = {(who, what) for who, what in found if who in SIBLINGS and what in SIBLINGS}
    assert up | across == set()


MODULE, CLASS, FUNCTION = 350, 250, 40  # lines
ENTRY = 90  # of the package's own module, which only puts the parts together


def lines_of(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a class or function has, a function without its docstring."""
    lines = (node.end_lineno or 0) - node.lineno + 1
    documented = ast.get_docstring(node) is not None and not isinstance(node, ast.ClassDef)
    first = node.body[0]
    return lines - ((first.end_lineno or 0) - first.lineno + 1) if documented else lines


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_nothing_is_too_large_to_be_read_at_once(path: Path) -> None:
    """A module, class or function over its size has more than one concern."""
    source = path.read_text(encoding="utf-8")
    found = {"the module": (len(source.splitlines()), ENTRY if path == FOLDER / "__init__.py" else MODULE)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            found[node.name] = (lines_of(node), CLASS)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[f"{node.name}:{node.lineno}"] = (lines_of(node), FUNCTION)
    assert {name: lines for name, (lines, most) in found.items() if lines > most} == {}
