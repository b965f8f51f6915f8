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
    assert re.findall(r'"(\S+:\d+:\d+)"', COMPOSE) == ["127.0.0.1:8000:8000", "127.0.0.1:8001:8000"]


def test_the_production_environment_names_settings_that_exist() -> None:
    named = re.findall(r"^([A-Z_]+)=", (DEPLOY / "production.env.example").read_text(), re.MULTILINE)
    assert set(named) <= set(settings_read())


def test_compose_waits_for_the_database_and_its_tables() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    assert set(services) == {"migrate", "web", "web-2", "worker", "db", "redis"}
    assert services["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    for name in ("web", "web-2", "worker"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert (services[name]["read_only"], services[name]["env_file"]) == (True, "production.env")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_reads_the_unit(unit: Path, tmp_path: Path) -> None:
    """With a program that this machine has in the place of the one that is installed."""
    need("systemd-analyze")
    here = re.sub(r"/opt/viaduct/\.venv/bin/\w+", "/bin/true", unit.read_text()).replace("/opt/viaduct", "/tmp")
    file = tmp_path / unit.name.replace("@.", "@8000.")
    file.write_text(here.replace("EnvironmentFile=/etc", "EnvironmentFile=-/etc").replace("/usr/bin/curl", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(file)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert file.name not in told.stderr, told.stderr


def test_the_units_run_the_commands_of_the_procfile() -> None:
    web, worker = (unit.read_text() for unit in UNITS)
    told = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert f"\nExecStart=/opt/viaduct/.venv/bin/{told['web'].replace('$PORT', '%i')}\n" in web
    assert f"\nExecStart=/opt/viaduct/.venv/bin/{told['worker']}\n" in worker


def test_the_proxy_asks_every_web_process_that_compose_starts() -> None:
    asked = re.findall(r"server (127\.0\.0\.1:\d+) ", (DEPLOY / "nginx.conf").read_text())
    assert asked == re.findall(r'"(127\.0\.0\.1:\d+):8000"', COMPOSE)
