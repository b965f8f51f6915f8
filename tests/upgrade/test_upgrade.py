"""A database of an earlier release migrates, keeps its rows, and goes on working."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.running import environment, manage

DUMPS = sorted(Path(__file__).parent.glob("*.sql"))
TELL = """
import json
from connections.models import AuditEntry, Connection, Merchant
from events.models import Customer, Event
from webhooks_log.models import Attempt, Delivery, Erasure
from webhooks_log.packing import unpack_body
from webhooks_log import dispatch
dispatch.run()
row = Delivery.objects.get(state="waiting")
print(json.dumps({
    "merchant": Merchant.objects.get().name,
    "states": sorted(Delivery.objects.values_list("state", flat=True)),
    "attempts": Attempt.objects.count(),
    "message": json.loads(unpack_body(row.body))["data"]["type"],
    "undispatched": Event.objects.filter(state="received").count(),
    "erasure": Erasure.objects.get().state,
    "history": AuditEntry.objects.filter(action="changed").count(),
}))
"""


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_a_database_of_an_earlier_release_goes_on_working(dump: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.sqlite3") as database:
        database.executescript(dump.read_text(encoding="utf-8"))
    environ = environment(f"sqlite:///{tmp_path}/old.sqlite3")
    manage(environ, "migrate", "-v", "0")
    manage(environ, "migrate", "--check")
    assert json.loads(manage(environ, "shell", "--no-imports", "-c", TELL).splitlines()[-1]) == {
        "merchant": "Vita",
        "states": ["delivered", "waiting"],
        "attempts": 2,
        "message": "event",
        "undispatched": 0,
        "erasure": "done",
        "history": 1,
    }
    manage(environ, "prune")


def test_there_is_a_database_to_upgrade() -> None:
    assert DUMPS
