"""What the validators of Home Assistant and HACS look at, and that words and code belong together."""

import ast
from collections.abc import Iterator
import json
import os
from pathlib import Path
import re
from string import Formatter
import struct
import subprocess
import sys
from typing import Any

from awesomeversion import AwesomeVersion
from homeassistant.const import EntityCategory, __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv, entity_registry as er, selector
from homeassistant.helpers.service import _SERVICES_SCHEMA
from homeassistant.loader import Integration
from homeassistant.util.yaml import load_yaml_dict
import pytest

import custom_components
from custom_components.netsapiens import PLATFORMS, ask, get_messages, services
from custom_components.netsapiens.config_flow import NetsapiensConfigFlow
from custom_components.netsapiens.delivery.state import Reason
from custom_components.netsapiens.options_flow import NetsapiensOptionsFlow
from custom_components.netsapiens.recipient_flow import RecipientFlow
from tests.conftest import AddAccount, recipient

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "custom_components" / "netsapiens"
SOURCES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.rglob("*.py"))}
FLOWS = [SOURCES[path] for path in SOURCES if path.stem.endswith("_flow") or path.stem.startswith("flow_")]
INTEGRATION = {path: tree for path, tree in SOURCES.items() if not path.is_relative_to(FOLDER / "api")}
WORDS: dict[str, Any] = json.loads((FOLDER / "translations" / "en.json").read_text(encoding="utf-8"))
ICONS: dict[str, Any] = json.loads((FOLDER / "icons.json").read_text(encoding="utf-8"))
MANIFEST: dict[str, Any] = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
SERVICES = load_yaml_dict(str(FOLDER / "services.yaml"))
SCHEMAS = {"ask_question": ask.SCHEMA, "get_messages": get_messages.SCHEMA, "send_message": services.SCHEMA}

KEY = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
DOMAINS_OWN_ABORTS = {"reauth_successful", "reconfigure_successful"}  # Home Assistant has the words
CORE_DOMAIN = "homeassistant"
BASE_PLATFORMS_AND_ALLOWED = {
    "binary_sensor",
    "camera",
    "diagnostics",
    "event",
    "homeassistant",
    "frontend",
    "image",
    "llm",
    "media_player",
    "media_source",
    "notify",
    "persistent_notification",
    "repairs",
    "sensor",
    "tts",
    "webhook",
}


def leaves(words: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with the path to it."""
    if isinstance(words, str):
        yield path, words
        return
    for key, value in words.items():
        yield from leaves(value, f"{path}.{key}" if path else key)


def placeholders_of(text: str) -> set[str]:
    """Return what a text leaves open."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def strings_in(node: ast.AST) -> set[str]:
    """Return the strings in a piece of code."""
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


# --- manifest -----------------------------------------------------------------------


async def test_manifest(hass: HomeAssistant) -> None:
    """Home Assistant can load it, and it is sorted as hassfest wants it."""
    integration = await hass.async_add_executor_job(
        Integration.resolve_from_root, hass, custom_components, "netsapiens"
    )
    assert integration is not None
    assert integration.domain == FOLDER.name == MANIFEST["domain"]
    assert integration.version is not None
    assert integration.version.strategy != "unknown"
    keys = list(MANIFEST)
    assert keys == ["domain", "name", *sorted(set(keys) - {"domain", "name"})]
    assert set(keys) >= {"codeowners", "documentation", "iot_class", "issue_tracker", "version", "integration_type"}
    assert "homeassistant" not in keys
    assert MANIFEST["config_flow"] is True
    assert MANIFEST["integration_type"] == "service"
    assert MANIFEST["documentation"].startswith("https://")
    assert MANIFEST["issue_tracker"].startswith("https://")
    assert all(owner.startswith("@") for owner in MANIFEST["codeowners"])
    assert f'"{MANIFEST["version"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_every_import_of_a_component_is_declared() -> None:
    """Else it may be loaded before what it needs."""
    declared = {*MANIFEST.get("dependencies", []), *MANIFEST.get("after_dependencies", [])}
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if module is None or not module.startswith("homeassistant.components"):
                continue
            used = (
                {alias.name for alias in node.names} if module == "homeassistant.components" else {module.split(".")[2]}
            )
            assert used <= declared | BASE_PLATFORMS_AND_ALLOWED, path.name


def test_hacs() -> None:
    """HACS takes it, for the releases that are tested."""
    hacs = json.loads((ROOT / "hacs.json").read_text(encoding="utf-8"))
    known = {"name", "content_in_root", "country", "filename", "hacs", "hide_default_branch", "homeassistant"}
    assert set(hacs) <= known | {"persistent_directory", "render_readme", "zip_release"}
    assert hacs["name"]
    floor, tested = (AwesomeVersion(version) for version in (hacs["homeassistant"], __version__))
    assert floor <= tested
    assert floor in (ROOT / "scripts/requirements_oldest.txt").read_text(encoding="utf-8")
    assert {
        load_yaml_dict(path)["blueprint"]["homeassistant"]["min_version"]
        for path in (ROOT / "blueprints").rglob("*.yaml")
    } == {floor}
    assert [path.name for path in FOLDER.parent.iterdir() if (path / "manifest.json").exists()] == ["netsapiens"]


@pytest.mark.parametrize(
    ("name", "size"), [("icon.png", 256), ("icon@2x.png", 512), ("dark_icon.png", 256), ("dark_icon@2x.png", 512)]
)
def test_brand_sizes(name: str, size: int) -> None:
    """The pictures have the sizes that are asked for."""
    data = (FOLDER / "brand" / name).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (size, size)


def test_brand_has_no_doubles() -> None:
    """A dark one that is the light one is none."""
    pictures = [path.read_bytes() for path in (FOLDER / "brand").iterdir()]
    assert len(set(pictures)) == len(pictures)


# --- services -----------------------------------------------------------------------


def fields_of(description: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return the fields of an action, and the sections that they stand in."""
    fields, sections = set(), set()
    for name, field in description.get("fields", {}).items():
        if isinstance(field, dict) and "fields" in field:
            sections.add(name)
            fields |= set(field["fields"])
        else:
            fields.add(name)
    return fields, sections


def selectors_in(description: Any) -> Iterator[dict[str, Any]]:
    """Yield the selectors of an action's fields."""
    for field in description.get("fields", {}).values():
        if "fields" in field:
            yield from selectors_in(field)
        elif "selector" in field:
            yield field["selector"]


def test_services_yaml() -> None:
    """Home Assistant's own checks take it."""
    _SERVICES_SCHEMA(SERVICES)
    assert set(SERVICES) == set(WORDS["services"]) == set(SCHEMAS)
    for description in SERVICES.values():
        for config in selectors_in(description):
            selector.validate_selector(config)


@pytest.mark.parametrize("name", SERVICES)
def test_every_field_has_words_and_a_check(name: str) -> None:
    """In the same sections, in the dialog as in the schema."""
    fields, sections = fields_of(SERVICES[name])
    words = WORDS["services"][name]
    assert set(words["fields"]) == fields
    assert set(words.get("sections", {})) == sections
    assert words["name"]
    assert words["description"]
    for field in words["fields"].values():
        assert field["name"]
        assert field["description"]
    checked = {str(marker) for marker in SCHEMAS[name].schema}
    target = {str(marker) for marker in cv.TARGET_SERVICE_FIELDS}
    assert checked - target == fields
    assert target <= checked


def test_options_of_selects_have_words() -> None:
    """Each choice can be read."""
    found = set()
    for description in SERVICES.values():
        for config in selectors_in(description):
            for kind in config.values():
                if isinstance(kind, dict) and (key := kind.get("translation_key")):
                    found.add(key)
                    if "options" in kind:
                        assert set(WORDS["selector"][key]["options"]) == set(kind["options"])
    for tree in SOURCES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("SelectorConfig"):
                found |= {
                    str(ast.literal_eval(keyword.value))
                    for keyword in node.keywords
                    if keyword.arg == "translation_key" and isinstance(keyword.value, ast.Constant)
                }
    assert found <= set(WORDS.get("selector", {}))


def test_icons() -> None:
    """Each is one that there is, for what there is."""
    for path, icon in leaves(ICONS):
        assert re.fullmatch(r"mdi:[a-z0-9]+(?:-[a-z0-9]+)*", icon), path
    for name, icons in ICONS["services"].items():
        _, sections = fields_of(SERVICES[name])
        assert set(icons.get("sections", {})) <= sections
    used = set.union(*(strings_in(tree) for tree in INTEGRATION.values()))
    for platform, keys in ICONS["entity"].items():
        assert platform in {str(one) for one in PLATFORMS}
        assert set(keys) <= used


# --- words --------------------------------------------------------------------------


def test_no_html_and_no_references() -> None:
    """The words are what Home Assistant allows of a custom integration."""
    for path, text in leaves(WORDS):
        assert not re.search(r"<[a-zA-Z/!]", text), path
        assert "[%key:" not in text, path
        assert text == text.strip(), path
        assert not re.search(r"https?://", text), path
        placeholders_of(text)
    assert not (FOLDER / "strings.json").exists()
    known = {
        "common",
        "config",
        "config_subentries",
        "device",
        "entity",
        "exceptions",
        "issues",
        "options",
        "selector",
        "services",
        "triggers",
        "title",
    }
    assert set(WORDS) <= known


def _given(call: ast.Call) -> tuple[list[str], set[str] | None]:
    """Return the translation keys that a call raises, and its placeholders where the code shows them."""
    name = ast.unparse(call.func).rpartition(".")[2]
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in ("refuse", "_refuse", "MediaError") and call.args:
        return sorted(_constants(call.args[0])), {str(key) for key in keywords}
    if name == "_refuse_target" and call.args:
        return sorted(_constants(call.args[0])), {"target"}
    if "translation_key" in keywords and "translation_domain" in keywords:
        shown = keywords.get("translation_placeholders")
        given: set[str] | None = set()
        if isinstance(shown, ast.Dict):
            given = {str(ast.literal_eval(key)) for key in shown.keys if isinstance(key, ast.Constant)}
        elif shown is not None and not (isinstance(shown, ast.Constant) and shown.value is None):
            given = None
        return sorted(_constants(keywords["translation_key"])), given
    return [], None


def _constants(node: ast.expr) -> set[str]:
    """Return the strings that an expression can be, as far as the code shows."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return _constants(node.body) | _constants(node.orelse)
    return set()


def raised() -> Iterator[tuple[str, str, set[str] | None]]:
    """Yield file, key and placeholders of each translated error in the code, repair issues left out."""
    for path, tree in INTEGRATION.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or "issue" in ast.unparse(node.func):
                continue
            keys, given = _given(node)
            for key in keys:
                yield path.name, key, given


def keys_of_client_errors() -> set[str]:
    """Return the keys in errors.py that the client's errors become."""
    tree = SOURCES[FOLDER / "errors.py"]
    table = next(
        node
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "_KEYS"
    )
    assert table.value is not None
    return strings_in(table.value) | {"pbx_failed"}


def test_every_error_has_words_and_all_words_are_used() -> None:
    """No error shows its key, and no words are left over."""
    found = {key for _, key, _ in raised()}
    assert {"nothing_to_send", "not_a_recipient", "some_failed", "foreign_sender"} <= found, "the scan sees nothing"
    defined = set(WORDS["exceptions"])
    assert found | keys_of_client_errors() <= defined
    # A key may also be told in a constant or a table.
    entity_events = set.union(*(strings_in(tree) for tree in INTEGRATION.values()))
    assert defined <= entity_events
    assert all(KEY.fullmatch(key) and set(WORDS["exceptions"][key]) == {"message"} for key in defined)


def test_every_placeholder_is_given() -> None:
    """Else the words could not be shown."""
    for name, key, given in raised():
        if given is not None:
            assert placeholders_of(WORDS["exceptions"][key]["message"]) == given, f"{name}: {key}"
    for key in keys_of_client_errors() - {"refused", "refused_without_words"}:
        assert not placeholders_of(WORDS["exceptions"][key]["message"]), key
    assert placeholders_of(WORDS["exceptions"]["refused"]["message"]) == {"status", "reason"}
    assert placeholders_of(WORDS["exceptions"]["refused_without_words"]["message"]) == {"status"}


def _steps(flow: type) -> set[str]:
    """Return the steps of a flow that can show a form."""
    names = {name.removeprefix("async_step_") for name in vars(flow) if name.startswith("async_step_")}
    return names - {"reauth"}


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (NetsapiensConfigFlow, WORDS["config"]),
        (NetsapiensOptionsFlow, WORDS["options"]),
        (RecipientFlow, WORDS["config_subentries"]["recipient"]),
    ],
)
def test_every_step_has_words(flow: type, words: dict[str, Any]) -> None:
    """For each field what it is and what to enter."""
    assert set(words["step"]) == _steps(flow)
    for step in words["step"].values():
        assert step["title"]
        assert set(step.get("data", {})) == set(step.get("data_description", {}))


def test_every_placeholder_of_a_form_is_given() -> None:
    """The same for dialogs."""
    given: dict[str, set[str]] = {}
    for node in (node for tree in FLOWS for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.async_show_form":
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            shown = keywords.get("description_placeholders")
            for step in _constants(keywords["step_id"]) if isinstance(shown, ast.Dict) else ():
                given[step] = {str(ast.literal_eval(key)) for key in shown.keys if key}
    for words in (WORDS["config"], WORDS["options"], WORDS["config_subentries"]["recipient"]):
        for name, step in words["step"].items():
            used = {one for _, text in leaves(step) for one in placeholders_of(text)}
            assert used <= given.get(name, set()), name


def test_every_error_of_a_form_has_words() -> None:
    """All errors that the dialogs put on a form are constants in their modules."""
    entity_events = set.union(*(strings_in(tree) for tree in FLOWS))
    for words in (WORDS["config"], WORDS["options"], WORDS["config_subentries"]["recipient"]):
        assert set(words["error"]) <= entity_events
        assert set(words.get("abort", {})) <= entity_events | {"already_configured"} | DOMAINS_OWN_ABORTS
    everything = {*WORDS["config"]["error"], *WORDS["config_subentries"]["recipient"]["error"]}
    for node in (node for tree in FLOWS for node in ast.walk(tree)):
        if isinstance(node, ast.Assign) and "errors[" in ast.unparse(node.targets[0]):
            assert strings_in(node.value) <= everything
    assert {"account_mismatch", "already_configured"} <= set(WORDS["config"]["abort"])


# --- code ---------------------------------------------------------------------------


def test_every_platform_says_how_many_updates_run_at_once() -> None:
    """As the quality scale asks."""
    for platform in PLATFORMS:
        names = {
            target.id
            for node in SOURCES[FOLDER / f"{platform}.py"].body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        assert "PARALLEL_UPDATES" in names, platform


def test_the_client_knows_nothing_of_home_assistant() -> None:
    """It can be used by itself."""
    for path in sorted((FOLDER / "api").glob("*.py")):
        for node in ast.walk(SOURCES[path]):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith(("homeassistant", "custom_components")) for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith(("homeassistant", "custom_components"))
                assert node.level <= 1, path.name


def test_nothing_is_printed_and_no_secret_is_logged() -> None:
    """As far as that can be seen in the source."""
    private = {"password", "secret", "token", "access", "refresh", "data", "body", "text", "message", "destination"}
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called != "print", path.name
            if not called.startswith("_LOGGER."):
                continue
            for argument in node.args[1:]:
                ends = {one.attr for one in ast.walk(argument) if isinstance(one, ast.Attribute)}
                ends |= {one.id for one in ast.walk(argument) if isinstance(one, ast.Name)}
                shown = ast.unparse(argument)
                assert not ends & private or shown.startswith(("len(", "mask(")), f"{path.name}: {shown}"


# --- the tests -----------------------------------------------------------------------


def test_what_the_scripts_use_of_the_tests_needs_no_pytest() -> None:
    """The demo and the benches run where it is not installed."""
    used = {
        line.split()[1]
        for path in (ROOT / "scripts").glob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("from tests.")
    }
    assert used
    code = (
        "import importlib, sys\nsys.modules['pytest'] = None\nfor name in sys.argv[1:]: importlib.import_module(name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *sorted(used)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_bench_finds_the_poller_that_it_measures(tmp_path: Path) -> None:
    """It builds one without an account around it, so nobody else sees when that needs something more."""
    code = "import asyncio, sys, bench_inbox; print(asyncio.run(bench_inbox.polls(3, sys.argv[1]))[1])"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "1 request," in done.stdout


def test_every_test_says_what_it_is_for() -> None:
    """Who sees it fail has to know what is broken then."""
    found = 0
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
                found += 1
    assert found > 1000


# --- the quality scale --------------------------------------------------------------

RULES = """
action-setup appropriate-polling brands common-modules config-flow-test-coverage config-flow dependency-transparency
docs-actions docs-conditions docs-high-level-description docs-installation-instructions docs-removal-instructions
docs-triggers entity-event-setup entity-unique-id has-entity-name runtime-data test-before-configure test-before-setup
unique-config-entry
action-exceptions config-entry-unloading docs-configuration-parameters docs-installation-parameters entity-unavailable
integration-owner log-when-unavailable parallel-updates reauthentication-flow test-coverage
devices diagnostics discovery-update-info discovery docs-data-update docs-examples docs-known-limitations
docs-supported-devices docs-supported-functions docs-troubleshooting docs-use-cases dynamic-devices entity-category
entity-device-class entity-disabled-by-default entity-translations exception-translations icon-translations
reconfiguration-flow repair-issues stale-devices
async-dependency inject-websession strict-typing
"""


def test_every_rule_of_the_quality_scale_is_answered() -> None:
    """Each by done, or with a reason."""
    rules = load_yaml_dict(str(FOLDER / "quality_scale.yaml"))["rules"]
    assert list(rules) == RULES.split()
    assert len(rules) == 54
    for name, answer in rules.items():
        if answer != "done":
            assert answer["status"] in {"done", "exempt"}, name
            assert answer["comment"].strip(), name


def test_every_attribute_of_an_event_has_words() -> None:
    """Home Assistant shows them under Details."""
    tree = SOURCES[FOLDER / "event.py"]
    fired = [node.args[1] for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 2]
    keys = {str(ast.literal_eval(key)) for event in fired if isinstance(event, ast.Dict) for key in event.keys if key}
    words = WORDS["entity"]["event"]["messages"]["state_attributes"]
    assert {"message", "reason"} <= keys
    assert set(words) - {"event_type"} == keys
    assert set(words["reason"]["state"]) == {reason.value for reason in Reason}
    assert set(words["message_type"]["state"]) == set(WORDS["selector"]["message_type"]["options"])


async def test_every_entity_has_a_unique_id_words_and_a_device(hass: HomeAssistant, add_account: AddAccount) -> None:
    """As Home Assistant registers them, for an account and a recipient."""
    entry = await add_account(recipient("Ann", "18585550123"))
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert {entity.domain for entity in entities} == {
        one for one in PLATFORMS if one != "image"
    }  # added with a picture
    words = WORDS["entity"]
    for entity in entities:
        assert entity.unique_id, entity.entity_id
        assert entity.device_id, entity.entity_id
        assert entity.has_entity_name, entity.entity_id
        assert entity.translation_key in words.get(entity.domain, {}) or entity.original_name is None, entity.entity_id
        assert entity.entity_category is (
            EntityCategory.DIAGNOSTIC if entity.translation_key in {"opted_out", "queued_messages"} else None
        )
