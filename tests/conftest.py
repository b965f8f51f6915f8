"""What every test may ask for, and what the run says loudly when it had to leave something out."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

import tests.environment as environment
from connections.models import Connection, Merchant
from events import auth
from events.models import Customer
from tests.running import environment as running_environment
from tests.running import manage
from tests.servers import Postgres, RedisServer, is_missing
from tests.webhooks_log import shop

pytest_plugins = ["tests.twin"]

LEFT_OUT = "LEFT OUT"
EMPTY = environment.FOLDER / f"empty-{environment.WORKER}.sqlite3"
# Whoever asks for one of these starts processes; at the end of a run that would leave the other cores idle.
LONG = {"browser", "house", "place", "one_place", "postgres", "empty_sqlite", "household"}
LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A private PostgreSQL of this test process, with `stop()`, `kill()` and `start()` for faults."""
    need("postgres")
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A private Redis of this test process, with `stop()`, `kill()` and `start()` for faults."""
    need("redis-server")
    with RedisServer() as server:
        yield server


@pytest.fixture
def vita() -> Merchant:
    """A shop."""
    return shop.merchant()


@pytest.fixture
def klaviyo(vita: Merchant) -> Connection:
    """Its connection."""
    return shop.connection(vita)


@pytest.fixture
def sarah(vita: Merchant) -> Customer:
    """A customer of it."""
    return shop.customer(vita)


@pytest.fixture
def support(vita: Merchant, client: Client) -> Client:
    """Somebody of its support, signed in."""
    client.force_login(shop.person(vita), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture(autouse=True)
def _the_door_remembers_nothing() -> None:
    auth.forget()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the machine's Chromium."""
    need("chromium")
    return next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))


def need(program: str) -> None:
    """Goes on only if the machine has this program; else fails in CI, and elsewhere leaves the test out, loudly."""
    if not is_missing(program):
        return
    if os.environ.get("CI"):
        pytest.fail(f"{program} is not installed, and a CI run leaves nothing out (.ci/run installs it)")
    pytest.skip(f"{LEFT_OUT}: {program} is not installed")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """On SQLite a test's tables are emptied by DELETE, which the history forbids: the one trigger that is put away.

    `tests/connections/test_append_only.py` brings it back to show it.
    """
    if connection.vendor == "sqlite":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            if not connection.introspection.table_names(cursor):
                return  # no test of this run asks for the database, so there is none
            cursor.execute("VACUUM INTO %s", [str(EMPTY)])
            cursor.execute("DROP TRIGGER IF EXISTS audit_is_never_deleted")


@pytest.fixture(scope="session")
def empty_sqlite(django_db_setup: None) -> Callable[[Path], str]:
    """Makes SQLite files with all tables and no rows, by copying: the DATABASE_URL of such a file in a folder."""
    if not EMPTY.exists():
        manage(running_environment(f"sqlite:///{EMPTY}"), "migrate", "-v", "0")

    def copied(folder: Path) -> str:
        return f"sqlite:///{shutil.copy(EMPTY, folder / 'viaduct.sqlite3')}"

    return copied


@pytest.fixture(autouse=True, scope="session")
def _only_loopback() -> Iterator[None]:
    """No test reaches a machine other than this one."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise ConnectionRefusedError(f"a test may reach loopback only, not {address[0]}")
        return connect(self, address)

    socket.socket.connect = guarded
    yield
    socket.socket.connect = connect


def pytest_configure(config: pytest.Config) -> None:
    """One folder for the whole run: the processes of xdist inherit its name from the one that starts them."""
    if not hasattr(config, "workerinput"):
        os.environ["VIADUCT_TEST_FOLDER"] = str(environment.FOLDER)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(environment.FOLDER, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Benchmarks and soaks run when they are named, never with the suite; what takes long begins first."""
    items.sort(key=lambda item: LONG.isdisjoint(item.fixturenames))
    if any(name in str(argument) for argument in config.args for name in ("bench", "soak")):
        return
    named_only = {Path(__file__).parent / name for name in ("bench", "soak")}
    items[:] = [item for item in items if named_only.isdisjoint(item.path.parents)]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says in plain sight which promises this run did not look at, and what to install."""
    left_out = [report for report in terminalreporter.stats.get("skipped", []) if LEFT_OUT in str(report.longrepr)]
    if not left_out:
        return
    programs = sorted({str(report.longrepr).rsplit(f"{LEFT_OUT}: ", 1)[1].split(" is ")[0] for report in left_out})
    terminalreporter.section(f"{LEFT_OUT}: {len(left_out)} tests", sep="!", red=True, bold=True)
    terminalreporter.line(f"Not on this machine: {', '.join(programs)}. What they show was NOT checked by this run.")
    terminalreporter.line("On Debian: apt-get install chromium nginx-light postgresql redis-server systemd")
