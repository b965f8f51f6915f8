"""Real workers as processes of their own, a place where they and the test see the same tables, and their violent ends.

A `Place` is a database and a queue; a `Host` runs `manage.py worker` there, a `PumpHost` one drain and nothing else,
which starts much faster. Both can be killed as a power cut would.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import psutil
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.utils import load_backend
from environ import Env

from tests.servers import Postgres, RedisServer, die_with_parent
from tests.twin import Twin

ROOT = Path(__file__).resolve().parents[2]
DRAIN = "import django; django.setup(); from webhooks_log.pump import Pump; Pump(quiet_seconds={quiet}).run()"
QUICK: dict[str, Any] = {
    "LANE_THREADS": 8,
    "LANE_BLOCK": 20,
    "LANE_LEASE_SECONDS": 2,
    "RETRY_LADDER_SECONDS": "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
    "KLAVIYO_TOTAL_SECONDS": 3,
    "CLOCK_SECONDS": 0.1,
    "Q_WORKERS": 2,
}


@dataclass
class Place:
    """Where workers work: environment variables that name a database and a queue."""

    name: str
    database_url: str
    redis_url: str = ""
    postgres: Postgres | None = None
    redis: RedisServer | None = None

    @property
    def environ(self) -> dict[str, str]:
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


class PumpHost:
    """One process that drains lanes. `settings` are environment variables over QUICK's."""

    def __init__(self, place: Place, twin: Twin | str, *, quiet: float = 0.3, **settings: Any) -> None:
        url = twin if isinstance(twin, str) else twin.url
        named = {"KLAVIYO_BASE_URL": url, "QUEUE_NAME": f"faults-{uuid4().hex[:8]}", **QUICK, **settings}
        self.environ = os.environ | place.environ | {name: str(value) for name, value in named.items()}
        self.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        self.quiet = quiet
        self.log = Path(os.environ["VIADUCT_TEST_FOLDER"]) / f"host-{uuid4().hex[:8]}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, *exc: object) -> None:
        self.kill()
        if kind:
            sys.stderr.write(self.words)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", DRAIN.format(quiet=self.quiet)]

    @property
    def words(self) -> str:
        """What it has logged so far."""
        return self.log.read_text(errors="replace")

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environ,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
        return self

    def family(self) -> list[psutil.Process]:
        """The process and all below it."""
        with suppress(psutil.NoSuchProcess):
            if self.process is not None:
                first = psutil.Process(self.process.pid)
                return [first, *first.children(recursive=True)]
        return []

    def kill(self) -> None:
        """As a power cut does: everything at once, nothing said."""
        for member in self.family():
            with suppress(psutil.NoSuchProcess):
                member.suspend()  # so that no parent sees a child die first
        for member in self.family():
            with suppress(psutil.NoSuchProcess):
                member.kill()
        if self.process is not None:
            self.process.wait(10)

    def finish(self, seconds: float = 30.0) -> None:
        """Wait until it leaves by itself."""
        assert self.process is not None
        assert self.process.wait(seconds) == 0, self.words

    def stop(self, seconds: float = 30.0) -> None:
        """Ask it to leave, and wait until it has."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)


class Host(PumpHost):
    """A whole worker: queue, clock and watchdog."""

    @property
    def command(self) -> list[str]:
        return [sys.executable, "manage.py", "worker"]

    def cluster(self) -> list[psutil.Process]:
        """The queue's processes: first its head, then the sentinel, then workers, monitor and pusher."""
        return self.family()[1:]

    def kill_only_itself(self) -> list[psutil.Process]:
        """Kill clock and watchdog; the cluster's processes, which live on, are returned."""
        orphans = self.cluster()
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        return orphans


def wait_until(is_so: Callable[[], Any], seconds: float = 60.0, *, every: float = 0.02) -> Any:
    """What `is_so` returned when it was true at last; fails after that many seconds."""
    until = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < until, f"still not so after {seconds} s"
        time.sleep(every)
    return found


@contextmanager
def locked(table: str) -> Iterator[Callable[[], bool]]:
    """Nobody else may write (SQLite), or touch this table (PostgreSQL); yields whether somebody waits for that."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield somebody_waits


def somebody_waits() -> bool:
    """PostgreSQL tells; with SQLite a moment must do, since waiting there is only sleeping."""
    if connection.vendor != "postgresql":
        time.sleep(1.0)
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def own_place() -> Place:
    """The suite's own test database, if that is a file that other processes may open."""
    return Place("sqlite", f"sqlite:///{connection.settings_dict['NAME']}")


@contextmanager
def connected(place: Place) -> Iterator[Place]:
    """This process's default connection leads to the place, whose tables are there and empty."""
    own, entry = connections["default"], Env.db_url_config(place.database_url)
    entry = connections["default"].settings_dict | {"TEST": {}, "OPTIONS": {}} | entry
    connections["default"] = load_backend(entry["ENGINE"]).DatabaseWrapper(entry, "default")
    try:
        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
        yield place
    finally:
        connections["default"].close()
        connections["default"] = own


def migrated(server: Postgres, redis: RedisServer) -> Place:
    """A private PostgreSQL with all tables, beside a private Redis."""
    place = Place("postgres", server.url, redis.url, server, redis)
    environ = os.environ | place.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environ, check=True, timeout=120)
    return place
