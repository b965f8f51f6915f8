"""What `make lint` and `make sbom` say of what we are made of: a list others can read, no secret among our files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cyclonedx.schema
import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"


def made() -> bytes:
    command = [sys.executable, ".ci/write_sbom.py", "requirements/run.txt"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


def schema(name: str) -> dict[str, object]:
    return json.loads((SCHEMAS / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8"))


def test_the_list_of_parts_is_valid_cyclonedx() -> None:
    names = {"spdx": "spdx", "jsf-0.82": "jsf-0.82"}
    beside = [(f"{name}.SNAPSHOT.schema.json", Resource.from_contents(schema(name))) for name in names]
    bom = schema("bom-1.5")
    base = str(bom["$id"]).rpartition("/")[0]
    registry = Registry().with_resources([*beside, *((f"{base}/{name}", told) for name, told in beside)])
    assert [error.message for error in Draft7Validator(bom, registry=registry).iter_errors(json.loads(made()))] == []


def test_the_list_names_every_pinned_package_with_its_hashes_and_is_the_same_each_time() -> None:
    pinned = [line for line in (ROOT / "requirements/run.txt").read_text().splitlines() if "==" in line]
    parts = json.loads(made())["components"]
    assert len(parts) == len(pinned) > 20
    assert all(part["hashes"] and part["purl"].startswith("pkg:pypi/") for part in parts)
    assert made() == made()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for command in (["init", "-q"], ["config", "user.email", "t@t.test"], ["config", "user.name", "t"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def scan(repository: Path, name: str, text: str) -> subprocess.CompletedProcess[str]:
    (repository / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "add", "-f", name], cwd=repository, check=True)
    command = [sys.executable, str(ROOT / ".ci/scan_secrets.py")]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("settings.py", "KEY = 'pk_" + "9f3c8a71" * 4 + "'"),
        ("deploy.sh", "export TOKEN=ghp_" + "a1B2c3D4e5F6" * 3),
        ("alerts.yaml", "url: https://hooks.slack.com/services/T" + "0A1B2C3D4/B1/x"),
        ("x.env", "DATABASE_URL=postgres://viaduct:" + "hunter2hunter2@db/viaduct"),
        ("id.txt", "-----BEGIN OPENSSH PRIVATE" + " KEY-----"),
        (".env", "DEBUG=true"),
    ],
)
def test_a_secret_among_the_files_is_found(repository: Path, name: str, text: str) -> None:
    told = scan(repository, name, text)
    assert (told.returncode, name in told.stdout) == (1, True)


def test_what_is_no_secret_is_not_taken_for_one(repository: Path) -> None:
    assert (
        scan(repository, "readme.md", "A key begins with pk_, and DATABASE_URL=postgres://viaduct@db/x").returncode == 0
    )


def test_packages_that_could_not_be_looked_up_are_called_not_audited() -> None:
    away = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), "http://127.0.0.1:9")
    told = subprocess.run(
        [sys.executable, ".ci/audit_dependencies.py"],
        cwd=ROOT, env=os.environ | away | {"NO_PROXY": "", "no_proxy": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0
    assert told.stdout.count("NOT AUDITED") == 2
