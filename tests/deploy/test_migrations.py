"""Migrations of large tables: after the first release nothing is done to one that would lock it for long."""

import re
from collections.abc import Iterator

from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED

from tests.running import ROOT

LARGE = {"event", "customer", "transaction", "subscription", "subscriptionstatus", "delivery", "attempt", "body",
         "attemptcontent"}  # fmt: skip
FLOORS = ("connections", "events", "webhooks_log")
APPLIED = re.compile(r"INSERT INTO \"?django_migrations\"? VALUES\(\d+,'(\w+)','(\w+)'")


def released() -> set[tuple[str, str]]:
    """Migrations that databases out there have: the newest release's dump names them. Before the first one: all."""
    if re.search(r"^### 0\.1\.0, unreleased", (ROOT / "README.md").read_text(), re.MULTILINE):
        return set(MigrationLoader(None).disk_migrations)
    return set(APPLIED.findall(sorted((ROOT / "tests/upgrade").glob("*.sql"))[-1].read_text()))


def later_operations() -> Iterator[tuple[str, object]]:
    known = released()
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        if app in FLOORS and (app, name) not in known:
            yield from ((f"{app}.{name}", operation) for operation in migration.operations)


def why_it_locks(operation: object) -> str:
    """What would hold a large table's writers up; "" for what takes a moment on PostgreSQL however large it is."""
    table = str(getattr(operation, "model_name_lower", ""))
    if table not in LARGE:
        return ""
    if isinstance(operation, migrations.AddField):
        field = operation.field
        waits = not field.null and field.db_default is NOT_PROVIDED and not field.many_to_many
        return "a new column that may not be null and has no default of the database's" if waits else ""
    if isinstance(operation, migrations.AlterField):
        return "a column's type or rule is changed under a lock"
    if isinstance(operation, migrations.AddIndex) and type(operation) is migrations.AddIndex:
        return (
            "an index is built under a lock: AddIndexConcurrently on PostgreSQL, or by hand before (docs/operations.md)"
        )
    if isinstance(operation, migrations.AddConstraint):
        return "all rows are checked under a lock"
    return ""


def test_nothing_after_the_first_release_locks_a_large_table() -> None:
    found = [f"{name}: {type(operation).__name__} {why}" for name, operation in later_operations()
             if (why := why_it_locks(operation))]  # fmt: skip
    assert found == []


def test_a_releases_dump_names_its_migrations() -> None:
    dump = sorted((ROOT / "tests/upgrade").glob("*.sql"))[-1].read_text()
    assert ("connections", "0001_initial") in APPLIED.findall(dump)


def test_what_locks_is_known_when_it_is_seen() -> None:
    text = models.CharField(max_length=9)
    assert why_it_locks(migrations.AddField("event", "word", text))
    assert not why_it_locks(migrations.AddField("event", "word", models.CharField(max_length=9, null=True)))
    assert not why_it_locks(migrations.AddField("event", "word", models.CharField(max_length=9, db_default="")))
    assert why_it_locks(migrations.AlterField("delivery", "word", text))
    assert why_it_locks(migrations.AddIndex("attempt", models.Index(fields=["job"], name="x")))
    assert not why_it_locks(migrations.AddField("merchant", "word", text))
