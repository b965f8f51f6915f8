"""A database of an earlier release migrates, keeps its rows, and goes on working: what it owed goes out, what it has
been told it knows, its pages open, and it takes in what is new."""

import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.running import environment, manage
from tests.servers import Postgres, program
from tests.twin import Twin
from tests.upgrade.make_dump import KEY

FOLDER = Path(__file__).parent
RELEASES = sorted({path.name.rsplit(".", 2)[0] for path in FOLDER.glob("*.sql")})
type Load = Callable[[str], str]

COUNT = """
import json
from collections import Counter
from connections.models import AuditEntry, Merchant
from events.models import Event
from webhooks_log.models import Attempt, Delivery, Erasure
print(json.dumps({
    "merchant": Merchant.objects.get().name,
    "events": Counter(Event.objects.values_list("state", flat=True)),
    "messages": Counter(Delivery.objects.values_list("state", flat=True)),
    "calls": Counter(str(status) for status in Attempt.objects.values_list("status", flat=True)),
    "erasures": list(Erasure.objects.values_list("state", flat=True)),
    "history": AuditEntry.objects.filter(action="changed").count(),
}))
"""
WORK = f"""
import json
from tests.events.door import send
from tests.events.vrio_records import customer, sale
from webhooks_log import dispatch
from webhooks_log.pump import Pump
known, new = sale("1001"), sale("1007", customer=customer("7", email="new7@klaviyo-demo.com"))
told = [send("{KEY}", body).status for body in (known, new)]
dispatch.run()
Pump(quiet_seconds=0.3).run()
print(json.dumps(told))
"""
PURGE = """
from django.core.management import call_command
call_command("migrate", check=True)
call_command("prune")
"""
OPEN = """
import json
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from events.models import Customer, Event
from webhooks_log.models import Attempt, Delivery
ALONE = ("index", "webhooks", "customers", "events", "alerts", "privacy", "replays")
OF_ROWS = {
    Customer: ("customer", "customer_webhooks"), Delivery: ("delivery", "delivery_opened"),
    Attempt: ("attempt_opened",), Event: ("event", "event_opened"),
}
pages = [reverse(f"admin:{name}") for name in ALONE]
for model, names in OF_ROWS.items():
    pages += [reverse(f"admin:{name}", args=[row.pk]) for row in model.objects.all() for name in names]
owner = Client(headers={"host": "localhost"})
owner.force_login(get_user_model().objects.get(), backend="django.contrib.auth.backends.ModelBackend")
print(json.dumps([(page, status) for page in pages if (status := owner.get(page).status_code) != 200]))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Load:
    """Loads a release's dump into a database of its own; returns its address."""
    if request.param == "sqlite":
        return lambda release: into_sqlite(FOLDER / f"{release}.sqlite.sql", tmp_path / "old.sqlite3")
    server: Postgres = request.getfixturevalue("postgres")
    return lambda release: into_postgresql(FOLDER / f"{release}.postgresql.sql", server)


def into_sqlite(dump: Path, path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(dump.read_text(encoding="utf-8"))
    return f"sqlite:///{path}"


def into_postgresql(dump: Path, server: Postgres) -> str:
    name = f"upgrade_{dump.name.split('.postgresql')[0]}".replace(".", "_").replace("-", "_")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = server.url.rpartition("/")[0] + f"/{name}"
    command = [program("psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-f", str(dump), url]
    subprocess.run(command, check=True, capture_output=True)
    return url


def told(environ: dict[str, str], *codes: str) -> list[Any]:
    """What each says in a line of JSON, all run in one process."""
    said = manage(environ, "shell", "--no-imports", "-c", "\n".join(codes))
    return [json.loads(line) for line in said.splitlines() if line.startswith(("{", "["))]


@pytest.mark.parametrize("release", RELEASES)
def test_a_database_of_an_earlier_release_goes_on_working(load: Load, release: str, twin: Twin) -> None:
    environ = environment(load(release), KLAVIYO_BASE_URL=twin.url)
    manage(environ, "migrate", "-v", "0")
    found, answers, broken = told(environ, COUNT, WORK, OPEN, PURGE)
    assert found == {
        "merchant": "Vita",
        "events": {"dispatched": 5, "received": 1},
        "messages": {"delivered": 3, "failed": 3, "waiting": 3, "skipped": 3, "queued": 3},
        "calls": {"202": 3, "400": 3, "503": 3},
        "erasures": ["done"],
        "history": 1,
    }
    assert answers == [200, 202]
    said = Counter(event["unique_id"].partition("_")[0] for event in twin.events())
    assert said == {"1003": 3, "1005": 3, "1006": 3, "1007": 3}
    assert broken == []


def test_there_is_a_database_of_the_first_release_to_upgrade() -> None:
    assert "0.1.0" in RELEASES
