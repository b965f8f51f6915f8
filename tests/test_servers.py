"""The private servers: they stop, die and come back with what they had, and nothing of them stays behind."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests.servers import Postgres, RedisServer, run_with_servers


def test_postgres_keeps_what_was_committed_through_a_stop(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as session:
        session.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS number")
    postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.url)
    postgres.start()
    with psycopg.connect(postgres.url) as session:
        assert session.execute("SELECT number FROM kept").fetchone() == (7,)


def test_postgres_comes_back_after_a_crash(postgres: Postgres) -> None:
    postgres.kill()
    postgres.start()
    with psycopg.connect(postgres.url) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_redis_comes_back_empty(redis_server: RedisServer) -> None:
    redis.Redis.from_url(redis_server.url).set("word", "gone")
    redis_server.stop()
    redis_server.start()
    assert redis.Redis.from_url(redis_server.url).get("word") is None


def test_an_outside_server_is_used_as_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgres://elsewhere/app")
    monkeypatch.setenv("TEST_REDIS_URL", "redis://elsewhere/0")
    check = "import os, sys; sys.exit(os.environ['TEST_DATABASE_URL'] != 'postgres://elsewhere/app')"
    assert run_with_servers([sys.executable, "-c", check]) == 0


def test_servers_go_when_the_run_that_started_them_is_killed(redis_server: RedisServer, tmp_path: Path) -> None:
    script = (
        "from tests.servers import RedisServer; server = RedisServer(); server.prepare(); server.start();"
        "print(server.process.pid, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as run:
        assert run.stdout
        server = int(run.stdout.readline())
        run.kill()
    assert is_gone(server)


def is_gone(pid: int) -> bool:
    try:
        psutil.wait_procs([psutil.Process(pid)], timeout=5)
    except psutil.NoSuchProcess:
        return True
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
