"""A backup is whole: restored elsewhere, the database works and holds the same rows and the same rules."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.conftest import need
from tests.running import ROOT, environment, manage
from tests.servers import Postgres, find


def shell(environ: dict[str, str], code: str) -> str:
    return manage(environ, "shell", "--no-imports", "-c", code)


def script(name: str, environ: dict[str, str], file: Path) -> subprocess.CompletedProcess[str]:
    tool = find("pg_dump")
    path = f"{Path(tool).parent if tool else ''}{os.pathsep}{os.environ['PATH']}"
    command = [str(ROOT / "deploy" / name), str(file)]
    return subprocess.run(command, env=environ | {"PATH": path}, capture_output=True, text=True, check=False)


MAKE = 'from connections.models import Merchant as M; M.objects.create(name="Vita", slug="vita", currency="EUR")'
TELL = 'from connections.models import Merchant as M; print(M.objects.get(slug="vita").currency)'


def test_sqlite_comes_back(tmp_path: Path, empty_sqlite: Callable[[Path], str]) -> None:
    before = environment(empty_sqlite(tmp_path))
    after = environment(f"sqlite:///{tmp_path}/after.sqlite3")
    shell(before, MAKE)
    assert script("backup.sh", before, tmp_path / "backup").returncode == 0
    assert script("restore.sh", after, tmp_path / "backup").returncode == 0
    manage(after, "migrate", "--check")
    assert shell(after, TELL).strip() == "EUR"
    assert script("restore.sh", after, tmp_path / "backup").returncode == 1  # never over one that is there


def test_postgresql_comes_back(postgres: Postgres, tmp_path: Path) -> None:
    need("pg_dump")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        for name in ("backup_before", "backup_after"):
            connection.execute(f"CREATE DATABASE {name}")
    before, after = (
        environment(postgres.url.rpartition("/")[0] + f"/{name}") for name in ("backup_before", "backup_after")
    )
    manage(before, "migrate", "-v", "0")
    shell(before, MAKE)
    assert script("backup.sh", before, tmp_path / "backup").returncode == 0
    told = script("restore.sh", after, tmp_path / "backup")
    assert told.returncode == 0, told.stderr
    manage(after, "migrate", "--check")
    assert shell(after, TELL).strip() == "EUR"


def test_an_unfinished_backup_has_no_name(tmp_path: Path) -> None:
    gone = environment("postgres://nobody@127.0.0.1:1/none")
    assert script("backup.sh", gone, tmp_path / "backup").returncode != 0
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("name", ["backup.sh", "restore.sh"])
def test_a_script_without_a_file_says_what_it_needs(name: str) -> None:
    told = subprocess.run([str(ROOT / "deploy" / name)], capture_output=True, text=True, check=False)
    assert told.returncode != 0
    assert "file" in told.stderr
