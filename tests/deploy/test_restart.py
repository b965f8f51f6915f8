"""A new release without a gap: events go on coming in while one web process after the other restarts."""

import json
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import requests

from tests.bench import deployed
from tests.conftest import need
from tests.events.plain_event import an_event
from tests.running import ROOT, environment, module, web
from tests.servers import find, free_port

PER_SECOND = 40
PATIENCE_SECONDS = 30


class Pour:
    """An event every so often, each told once: what was answered, and what was not."""

    def __init__(self, address: str, key: str) -> None:
        self.address, self.headers = address, {"X-Api-Key": key}
        self.accepted: list[str] = []
        self.others: list[str] = []
        self.is_over = threading.Event()

    def __enter__(self) -> "Pour":
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(4)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def run(self, first: int) -> None:
        number, began = first, time.monotonic()
        while not self.is_over.wait(max(0.0, began + number / PER_SECOND - time.monotonic())):
            number += len(self.threads)
            self.post(number)

    def post(self, number: int) -> None:
        event = an_event(number)
        try:
            answer = requests.post(self.address, json=event, headers=self.headers, timeout=PATIENCE_SECONDS)
        except requests.RequestException as error:
            self.others.append(repr(error))
        else:
            (self.accepted if answer.ok else self.others).append(str(number) if answer.ok else str(answer.status_code))

    def wait_for_more(self, count: int = 20) -> None:
        enough, until = len(self.accepted) + count, time.monotonic() + PATIENCE_SECONDS
        while len(self.accepted) < enough and time.monotonic() < until:
            time.sleep(0.05)


@pytest.fixture
def installed(tmp_path: Path, empty_sqlite: Callable[[Path], str]) -> dict[str, str]:
    """A production environment with a database of its own."""
    return environment(empty_sqlite(tmp_path), ALLOWED_HOSTS="viaduct.example.com", **deployed.documented())


@pytest.fixture
def key(installed: dict[str, str]) -> str:
    return json.loads(module(installed, "tests.bench.ingest_keys"))["bearer"]


@contextmanager
def proxy(folder: Path, ports: list[int]) -> Iterator[str]:
    """nginx with `deploy/nginx.conf` before these ports, without its TLS: its address."""
    need("nginx")
    port, site = free_port(), (ROOT / "deploy/nginx.conf").read_text()
    for named, real in zip(("127.0.0.1:8000", "127.0.0.1:8001"), ports, strict=True):
        site = site.replace(named, f"127.0.0.1:{real}")
    kept = "\n".join(line for line in site.splitlines() if "ssl_certificate" not in line)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; "
        f"events {{}} http {{ access_log {folder}/access.log; {temporary}\n"
        + kept.replace("listen 443 ssl", f"listen 127.0.0.1:{port}") + "\n}\n"
    )  # fmt: skip
    command = [find("nginx") or "nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    running = subprocess.Popen(command)
    try:
        deployed.wait_for(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(PATIENCE_SECONDS)


def stored(environ: dict[str, str]) -> list[str]:
    path = environ["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT event_id FROM events_event")]


def test_a_restart_of_one_after_the_other_refuses_and_loses_nothing(
    tmp_path: Path, installed: dict[str, str], key: str
) -> None:
    log, first, second = tmp_path / "log", ExitStack(), ExitStack()
    with first, second:
        ports = [one.enter_context(deployed.web(installed, log=log)) for one in (first, second)]
        with proxy(tmp_path, ports) as address, Pour(f"{address}/api/v1/events", key) as pour:
            pour.wait_for_more()
            for one, port in zip((first, second), ports, strict=True):
                one.close()
                pour.wait_for_more()
                one.enter_context(deployed.web(installed, log=log, port=port))
                pour.wait_for_more()
    assert pour.others == []
    assert sorted(pour.accepted) == sorted(stored(installed))


def test_the_proxy_keeps_what_is_inside_inside_and_writes_no_secret_down(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    with deployed.web(installed, log=tmp_path / "log") as port, proxy(tmp_path, [port, port]) as address:
        host = {"Host": "viaduct.example.com"}
        assert requests.get(f"{address}/healthz", headers=host, timeout=10).status_code == 200
        for name in ("metrics", "readyz"):
            assert requests.get(f"{address}/{name}", headers=host, timeout=10).status_code == 404
        assert requests.post(f"{address}/api/v1/ingest/va_guessed", headers=host, timeout=10).status_code == 404
    written = (tmp_path / "access.log").read_text() + (tmp_path / "error.log").read_text()
    assert "/metrics" in written
    assert "va_guessed" not in written


def test_what_a_web_process_has_begun_it_answers(tmp_path: Path, installed: dict[str, str], key: str) -> None:
    """Told to end while the database is busy, it waits for it and commits."""
    with ExitStack() as running, closing(sqlite3.connect(tmp_path / "viaduct.sqlite3", isolation_level=None)) as other:
        port, _ = running.enter_context(web(installed | {"HTTPS": "false"}, log=tmp_path / "log"))
        other.execute("BEGIN IMMEDIATE")
        pour = Pour(f"http://127.0.0.1:{port}/api/v1/events", key)
        asking = threading.Thread(target=pour.post, args=(1,))
        asking.start()
        time.sleep(1.0)
        leaving = threading.Thread(target=running.close)
        leaving.start()
        time.sleep(1.0)
        other.execute("ROLLBACK")
        asking.join()
        leaving.join()
    assert (pour.accepted, pour.others) == (["1"], [])
    assert stored(installed) == ["1"]
