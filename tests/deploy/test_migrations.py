"""Migrations run while everything runs: none after the first release locks a large table for long, or breaks the
processes of the release before, which are still there when it runs.

What the first release has is known from its dump under `tests/upgrade`; everything later is looked at. Before the first
release is out, `make upgrade-dump` takes a new one.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import connection, migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED, Expression

from connections.live_indexes import AddIndexLive, RemoveIndexLive
from tests.running import ROOT

LARGE = {"event", "customer", "transaction", "subscription", "subscriptionstatus", "delivery", "attempt", "body",
         "attemptcontent"}  # fmt: skip
FLOORS = ("connections", "events", "webhooks_log")
FIRST_RELEASE = ROOT / "tests/upgrade/0.1.0.sqlite.sql"
APPLIED = re.compile(r"INSERT INTO \"?django_migrations\"? VALUES\(\d+,'(\w+)','(\w+)'")
CHANGES_TABLES = re.compile(
    r"\b(ALTER TABLE|CREATE\s+(UNIQUE\s+)?INDEX|DROP INDEX|UPDATE|DELETE|LOCK)\b", re.IGNORECASE
)
BOUNDED = re.compile(r"\b(CONCURRENTLY|NOT VALID|VALIDATE CONSTRAINT|lock_timeout)\b", re.IGNORECASE)


def later_migrations() -> Iterator[tuple[migrations.Migration, ProjectState]]:
    """Every migration of ours that the first release did not have, and what the tables are like before it."""
    first = set(APPLIED.findall(FIRST_RELEASE.read_text()))
    loader = MigrationLoader(None)
    for (app, name), migration in loader.disk_migrations.items():
        if app in FLOORS and (app, name) not in first:
            yield migration, loader.project_state((app, name), at_end=False)


def wrong_with(migration: migrations.Migration, before: ProjectState) -> list[str]:
    """What would hold others up, operation by operation; [] for what takes a moment however large a table is."""
    found = []
    for operation in migration.operations:
        why = why_it_hurts(operation, migration, before)
        found += [f"{migration.app_label}.{migration.name}: {type(operation).__name__}: {why}"] if why else []
        operation.state_forwards(migration.app_label, before)
    return found


def why_it_hurts(operation: Any, migration: migrations.Migration, before: ProjectState) -> str:
    is_large = getattr(operation, "model_name_lower", "") in LARGE
    match operation:
        case AddIndexLive() | RemoveIndexLive() | AddConstraintNotValid() | ValidateConstraint():
            return "" if migration.atomic is False else "needs a migration with atomic = False"
        case migrations.AddIndex() | migrations.RemoveIndex() if is_large:
            return "an index comes or goes under a lock: AddIndexLive, RemoveIndexLive"
        case migrations.AddConstraint() if is_large:
            return "all rows are checked under a lock: AddConstraintNotValid, and later ValidateConstraint"
        case migrations.AddField():
            return why_a_column_hurts(operation.field, is_large)
        case migrations.AlterField() if is_large and changes_the_column(operation, migration, before):
            return "a column's type or rule is changed under a lock"
        case migrations.RemoveField() | migrations.RenameField() | migrations.RenameModel() | migrations.DeleteModel():
            return "processes of the release before still name it: SeparateDatabaseAndState, over two releases"
        case migrations.RunSQL():
            words = str(operation.sql)
            return "" if not CHANGES_TABLES.search(words) or BOUNDED.search(words) else "SQL without a lock_timeout"
        case migrations.RunPython():
            return "" if migration.atomic is False else "rows are locked until its end: atomic = False, and blocks"
    return ""


def why_a_column_hurts(field: Any, is_large: bool) -> str:
    if field.many_to_many:
        return ""
    if not field.null and field.db_default is NOT_PROVIDED:
        return "the release before writes rows without it: null=True or a db_default"
    if not is_large:
        return ""
    if isinstance(field.db_default, Expression) or field.generated:
        return "every row is written anew: a db_default is a plain value"
    if field.unique or field.db_index or getattr(field, "db_constraint", False):
        return "an index or a foreign key comes with it under a lock: AddIndexLive, db_constraint=False"
    return ""


def changes_the_column(operation: Any, migration: migrations.Migration, before: ProjectState) -> bool:
    """Words, choices and validators are no business of the database's."""
    old = before.models[migration.app_label, operation.model_name_lower].fields[operation.name]
    old, new = old.clone(), operation.field.clone()
    old.set_attributes_from_name(operation.name)
    new.set_attributes_from_name(operation.name)
    return BaseDatabaseSchemaEditor(connection)._field_should_be_altered(old, new)


def test_nothing_after_the_first_release_holds_anybody_up() -> None:
    assert [line for migration, before in later_migrations() for line in wrong_with(migration, before)] == []


def test_the_first_release_is_known_and_has_migrations_of_every_floor() -> None:
    assert {app for app, _ in APPLIED.findall(FIRST_RELEASE.read_text())} >= set(FLOORS)


# ── That a bad one is seen ───────────────────────────────────────────────────────────────────────────────────────────
TEXT, WORD = models.TextField(), models.CharField(max_length=9, null=True)
BY_WORD = models.Index(fields=["word"], name="event_by_word")
NAMED = models.CheckConstraint(condition=models.Q(word=""), name="event_named")
TO_BODY = models.ForeignKey("webhooks_log.Body", models.PROTECT, null=True)


def made(*operations: Any, atomic: bool = True) -> list[str]:
    """What is wrong with a migration of these operations on a table of events with a `word`."""
    before = ProjectState()
    for model in ("Event", "Merchant"):
        migrations.CreateModel(model, [("id", models.BigAutoField(primary_key=True)), ("word", WORD)]).state_forwards(
            "events", before
        )
    return wrong_with(type("Migration", (migrations.Migration,), {"operations": operations, "atomic": atomic})
                      ("0099_made", "events"), before)  # fmt: skip


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("event", "more", TEXT),
        migrations.AddField("merchant", "more", TEXT),  # small, but the old processes write it
        migrations.AddField("event", "more", models.CharField(max_length=9, null=True, unique=True)),
        migrations.AddField("event", "more", models.DateTimeField(db_default=models.functions.Now())),
        migrations.AddField("event", "more", TO_BODY),
        migrations.AlterField("event", "word", models.IntegerField(null=True)),
        migrations.AlterField("event", "word", models.CharField(max_length=9)),
        migrations.AddIndex("event", BY_WORD),
        migrations.AddConstraint("event", NAMED),
        AddIndexLive("event", BY_WORD),  # in a transaction
        migrations.RemoveField("merchant", "word"),
        migrations.RenameField("event", "word", "name"),
        migrations.DeleteModel("Merchant"),
        migrations.RunSQL("ALTER TABLE events_event ALTER word SET NOT NULL"),
        migrations.RunSQL(["create unique  index i on events_event (word)"]),
        migrations.RunPython(migrations.RunPython.noop),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_locks_a_large_table_or_breaks_old_processes_is_seen(operation: Any) -> None:
    assert len(made(operation)) == 1


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("event", "more", models.CharField(max_length=9, null=True)),
        migrations.AddField("event", "more", models.CharField(max_length=9, db_default="")),
        migrations.AddField("merchant", "more", TO_BODY),
        migrations.AlterField("event", "word", models.CharField("a word", max_length=9, null=True)),
        migrations.AddIndex("merchant", BY_WORD),
        migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))]),
        migrations.RunSQL("SET lock_timeout = '3s'; ALTER TABLE events_event ALTER word SET STATISTICS 1000"),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_takes_a_moment_passes(operation: Any) -> None:
    assert made(operation) == []


def test_indexes_of_large_tables_come_and_go_outside_a_transaction() -> None:
    assert made(AddIndexLive("event", BY_WORD), RemoveIndexLive("event", "event_by_word"), atomic=False) == []
    assert made(migrations.RunPython(migrations.RunPython.noop), atomic=False) == []


@pytest.mark.django_db(transaction=True)
def test_an_interrupted_migration_of_indexes_may_simply_be_run_again() -> None:
    def indexes() -> set[str]:
        with connection.cursor() as cursor:
            return set(connection.introspection.get_constraints(cursor, "events_event"))

    adding = AddIndexLive("event", models.Index(fields=["detail"], name="event_by_detail"))
    removing = RemoveIndexLive("event", "event_by_detail")
    before = MigrationLoader(connection).project_state()
    after = before.clone()
    adding.state_forwards("events", after)
    for _ in range(2):
        with connection.schema_editor(atomic=False) as editor:
            adding.database_forwards("events", editor, before, after)
    assert "event_by_detail" in indexes()
    for _ in range(2):
        with connection.schema_editor(atomic=False) as editor:
            removing.database_forwards("events", editor, after, before)
    assert "event_by_detail" not in indexes()
