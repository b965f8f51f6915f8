"""Where the delivery engine is measured: a private database, a twin, and each measure in a process of its own.

So that its processor time and memory are its own; PostgreSQL's processor time is counted with ours.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.servers import Postgres
from tests.twin import Twin

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
LATENCY_MS = 150
# One account's single calls as fast as the threads can: what is measured is the engine.
UNBOUND = {"LANE_BULK_ABOVE": "0", "BUDGET_ENABLED": "false"}
SECRETS = {
    "DEBUG": "false",
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "only-for-benchmarks-" + "k" * 50,
    "FIELD_KEYS": "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMhISE=",
    "FINGERPRINT_KEY": "only-for-benchmarks-" + "p" * 50,
    "LOG_LEVEL": "WARNING",
}


class Bench:
    """A database, a twin and the processes that are measured. `postgres` is None where the database is a file."""

    def __init__(self, url: str, twin: Twin, postgres: Postgres | None) -> None:
        self.postgres, self.twin, self.made = postgres, twin, 0
        self.environ = {**os.environ, **SECRETS, "DATABASE_URL": url, "KLAVIYO_BASE_URL": twin.url}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=self.environ, cwd=ROOT, check=True)

    def child(self, what: str, *, environ: dict[str, str] | None = None, **given: Any) -> dict[str, Any]:
        """Run one measure in its own process; adds what PostgreSQL spent on it."""
        before = self.database_seconds()
        found = ended(self.start(what, environ=environ, **given))
        return found | {"database": self.database_seconds() - before}

    def start(self, what: str, *, environ: dict[str, str] | None = None, **given: Any) -> subprocess.Popen[str]:
        """The same, and go on while it runs."""
        arguments = [text for name, value in given.items() for text in (f"--{name}", str(value))]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.bench.delivery_child", what, *arguments],
            env=self.environ | (environ or {}), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def fill(self, rows: int, cid: str = "Bench1") -> dict[str, Any]:
        first, self.made = self.made, self.made + rows
        return self.child("fill", rows=rows, start=first, cid=cid)

    def pump(self, threads: int, seconds: float, **environ: str) -> dict[str, Any]:
        return self.child("pump", seconds=seconds, environ={"LANE_THREADS": str(threads)} | UNBOUND | environ)

    def database_seconds(self) -> float:
        """Processor seconds of PostgreSQL so far, ended back ends included."""
        if self.postgres is None:
            return 0.0
        server = psutil.Process(self.postgres.process.pid)  # type: ignore[union-attr]
        times = [server.cpu_times()]
        for child in server.children():
            try:
                times.append(child.cpu_times())
            except psutil.NoSuchProcess:
                continue
        spent = times[0].children_user + times[0].children_system
        return spent + sum(one.user + one.system for one in times)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a measure found, when it is through."""
    out, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(errors[-2000:])
    return json.loads(out.splitlines()[-1])


@contextmanager
def bench(database: str = "PostgreSQL") -> Iterator[Bench]:
    """On a private PostgreSQL, or else on a SQLite file."""
    with ExitStack() as running:
        postgres = running.enter_context(Postgres()) if database == "PostgreSQL" else None
        folder = running.enter_context(tempfile.TemporaryDirectory())
        twin = Twin()
        running.callback(twin.stop)
        twin.settings(limits="off", store_requests=False)
        yield Bench(postgres.url if postgres else f"sqlite:///{folder}/bench.sqlite3", twin, postgres)
