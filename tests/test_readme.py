"""The README says what is so: settings and their defaults, Klaviyo's answers, commands and make targets."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

from django.core.management import get_commands

from webhooks_log.verdicts import VERDICTS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
OWN_APPS = {"connections", "events", "webhooks_log"}


def part(name: str) -> str:
    """What stands between `<!-- name -->` and `<!-- /name -->`."""
    assert f"<!-- /{name} -->" in README
    return README.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


def rows(name: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line.strip().strip("|") for line in part(name).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split(" | ")] for line in lines[2:]]


@cache
def settings_read() -> dict[str, Any]:
    """Variables that config/settings.py reads, with their defaults as text; None where there is none in plain sight."""
    calls = (
        node for node in ast.walk(ast.parse((ROOT / "config/settings.py").read_text())) if isinstance(node, ast.Call)
    )
    return {
        call.args[0].value: default_of(call)
        for call in calls
        if re.fullmatch(r"env\.\w+|secret", ast.unparse(call.func))
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def default_of(call: ast.Call) -> str | None:
    value = next((keyword.value for keyword in call.keywords if keyword.arg == "default"), None)
    try:
        plain = ast.literal_eval(value) if value is not None else None
    except ValueError:
        return None
    if isinstance(plain, list):
        return ",".join(map(str, plain)) or None
    return str(plain).lower() if isinstance(plain, bool) else str(plain) if plain not in (None, "") else None


def test_every_setting_stands_in_the_readme() -> None:
    assert sorted(row[0].strip("`") for row in rows("settings")) == sorted(settings_read())


def test_every_setting_stands_in_the_example() -> None:
    assert sorted(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", EXAMPLE, re.MULTILINE)) == sorted(settings_read())


def test_defaults_in_the_readme_are_the_real_ones() -> None:
    said = {row[0].strip("`"): row[1].strip("`") for row in rows("settings")}
    assert {name: said[name] for name, real in settings_read().items() if real is not None and said[name] != real} == {}


def test_defaults_in_the_example_are_the_real_ones() -> None:
    said = dict(re.findall(r"^# ([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    real = settings_read()
    assert {name: value for name, value in said.items() if real[name] not in (None, value)} == {}


def test_what_klaviyo_answers_stands_in_the_readme() -> None:
    assert rows("verdicts") == [[v.answer, v.sentence, v.then.value, v.advice or "–"] for v in VERDICTS]


def test_every_command_of_ours_stands_in_the_readme_and_the_other_way_round() -> None:
    ours = {name for name, app in get_commands().items() if app in OWN_APPS}
    assert {row[0].split()[1].strip("`") for row in rows("commands")} == ours


def test_make_targets_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)`", README)) <= targets


def test_links_inside_the_project_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert [target for target in targets if not (ROOT / target).exists()] == []
