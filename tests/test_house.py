"""The house rules, read from the syntax trees without running the code: floors, imports, borders, settings, words."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("connections", "events", "webhooks_log")  # each imports only from those before it
FORBIDDEN_UP = {floor: {*FLOORS[level + 1 :], "config"} for level, floor in enumerate(FLOORS)}
PURE = (
    "connections/klaviyo",
    "events/catalogue.py",
    "events/countries.py",
    "events/demo",
    "events/envelope.py",
    "events/facts.py",
    "events/fields.py",
    "events/json_depth.py",
    "events/phones.py",
    "events/quick_json.py",
    "events/strict_json.py",
    "events/translate.py",
    "events/vrio",
)
BORDERS = {"webhooks_log/dispatch.py", "webhooks_log/deliver.py"}  # one event, one row: a bug in it stops at it
TOLD_BY_PARENT = {"webhooks_log/stopping.py"}  # a worker tells its own children something
VAGUE = {"common", "helpers", "manager", "misc", "services", "util", "utils"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def modules(*folders: str) -> list[Path]:
    """All of our Python but migrations, which Django writes."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "migrations" not in path.parts and "__pycache__" not in path.parts
    )


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


OURS = modules("config", *FLOORS)
EVERYTHING = [*OURS, *modules("tests")]


def imported(path: Path) -> Iterator[str]:
    """Dotted names of what a module imports, relative ones made absolute."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            yield (base + (node.module or "")).strip(".")


def test_a_floor_imports_only_floors_below_it() -> None:
    climbing = [
        f"{name_of(path)} imports {name}"
        for floor in FLOORS
        for path in modules(floor)
        for name in imported(path)
        if name.split(".")[0] in FORBIDDEN_UP[floor]
    ]
    assert climbing == []


def test_nothing_is_imported_inside_a_function() -> None:
    inside = [
        f"{name_of(path)}:{node.lineno}"
        for path in EVERYTHING
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


def test_pure_modules_know_no_database() -> None:
    knowing = [
        f"{name_of(path)} imports {name}"
        for path in OURS
        if name_of(path).startswith(PURE)
        for name in imported(path)
        if (name.startswith(("django", "rest_framework")) and name != "django.conf") or name.endswith(".models")
    ]
    assert knowing == []


def test_pure_modules_are_strictly_typed() -> None:
    files = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    assert [name for name in PURE if name not in files] == []


def test_a_broad_except_stands_only_at_the_two_borders() -> None:
    broad = [
        name_of(path)
        for path in EVERYTHING
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
    ]
    assert set(broad) <= BORDERS
    assert len(broad) == len(set(broad))


def catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"} for kind in kinds)


def test_a_setting_is_read_by_one_module_only() -> None:
    readers: dict[str, set[str]] = defaultdict(set)
    for path in modules(*FLOORS):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "settings":
                readers[node.attr].add(name_of(path))
    shared = {name: sorted(by) for name, by in readers.items() if name in settings_from_environment() and len(by) > 1}
    assert shared == {}


def test_the_environment_is_read_by_the_settings_only() -> None:
    reading = [
        f"{name_of(path)}:{node.lineno}"
        for path in modules(*FLOORS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute | ast.Subscript)
        if re.match(r"os\.(getenv|environ\.get|environ\[)", ast.unparse(node))
        if name_of(path) not in TOLD_BY_PARENT
    ]
    assert reading == []


def settings_from_environment() -> set[str]:
    """Names that config/settings.py assigns from something it read."""
    return {
        target.id
        for node in tree(ROOT / "config/settings.py").body
        if isinstance(node, ast.Assign) and reads_environment(node)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def reads_environment(node: ast.AST) -> bool:
    """By `env.kind("NAME")` or `secret("NAME")`."""
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
    return any(ast.unparse(call.func).startswith("env.") or ast.unparse(call.func) == "secret" for call in calls)


def test_models_keep_no_logic_in_save_and_nobody_listens_to_signals() -> None:
    hidden = [
        f"{name_of(path)}:{node.lineno}"
        for path in modules(*FLOORS)
        for node in ast.walk(tree(path))
        if (path.name == "models.py" and isinstance(node, ast.FunctionDef) and node.name in {"save", "delete"})
        or (isinstance(node, ast.ImportFrom) and node.module in {"django.db.models.signals", "django.dispatch"})
    ]
    assert hidden == []


def test_names_say_what_things_are() -> None:
    vague = [name_of(path) for path in EVERYTHING if VAGUE & {path.stem, *path.relative_to(ROOT).parts[:-1]}]
    vague += [
        f"{name_of(path)}: {node.name}"
        for path in OURS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.name.startswith(("handle_", "process_"))
        if not (path.name == "middleware.py" and node.name in {"process_view", "process_request", "process_response"})
    ]
    assert vague == []


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_a_module_says_its_job(path: Path) -> None:
    is_marker = path.name == "__init__.py" and not path.read_text().strip()
    assert is_marker or ast.get_docstring(tree(path))


def test_nothing_is_left_unfinished() -> None:
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b|NotImplemented" + "Error")
    places = [
        f"{name_of(path)}:{number}"
        for path in EVERYTHING
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert places == []


def test_lock_files_pin_by_hash_and_name_no_index() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert not re.search(r"--(extra-)?index-url|--find-links|https?://", text)
        pins = re.findall(r"^[a-z0-9][\w.-]*==.*$", text, re.MULTILINE)
        assert pins
        assert all(pin.endswith("\\") for pin in pins)
