"""What is checked of the files for deployment without a cluster to run them on."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import need
from tests.test_readme import settings_read

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = (DEPLOY / "compose.yaml").read_text()
UNITS = sorted(DEPLOY.glob("systemd/*.service"))


def test_the_image_runs_as_nobody_in_particular_and_holds_no_secret() -> None:
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER \d+$", last, re.MULTILINE)
    assert not re.search(r"^ENV .*(SECRET|KEY|PASSWORD)", DOCKERFILE, re.MULTILINE)
    assert ".env\n" in (ROOT / ".dockerignore").read_text()


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the development environment's programs."""
    command = [str(Path(sys.executable).parent / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say() -> None:
    told = tool("hadolint", str(DEPLOY / "Dockerfile"))
    assert (told.returncode, told.stdout) == (0, ""), told.stdout


def test_compose_is_what_its_schema_asks_for() -> None:
    told = tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml"))
    assert told.returncode == 0, told.stdout


def test_web_and_worker_are_the_commands_of_the_procfile() -> None:
    procfile = (ROOT / "Procfile").read_text()
    web = re.search(r"CMD (\[\"granian.*\])", DOCKERFILE)
    assert web
    said = " ".join(json.loads(web[1]))
    assert said.replace("0.0.0.0", "127.0.0.1").replace("8000", "$PORT") in procfile
    assert "command: [python, manage.py, worker]" in COMPOSE
    assert "python manage.py worker" in procfile


def test_compose_gives_containers_nothing_they_do_not_need() -> None:
    for word in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "service_completed_successfully"):
        assert word in COMPOSE
    assert re.findall(r'"(\S+:\d+:\d+)"', COMPOSE) == ["127.0.0.1:8000:8000"]


def test_the_production_environment_names_settings_that_exist() -> None:
    named = re.findall(r"^([A-Z_]+)=", (DEPLOY / "production.env.example").read_text(), re.MULTILINE)
    assert set(named) <= set(settings_read())


def test_compose_waits_for_the_database_and_its_tables() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    assert set(services) == {"migrate", "web", "worker", "db", "redis"}
    assert services["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert (services[name]["read_only"], services[name]["env_file"]) == (True, "production.env")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_reads_the_unit(unit: Path, tmp_path: Path) -> None:
    """With a program that this machine has in the place of the one that is installed."""
    need("systemd-analyze")
    here = re.sub(r"/opt/viaduct/\.venv/bin/\w+", "/bin/true", unit.read_text()).replace("/opt/viaduct", "/tmp")
    (tmp_path / unit.name).write_text(here.replace("EnvironmentFile=/etc", "EnvironmentFile=-/etc"))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert unit.name not in told.stderr, told.stderr
