"""Steps of migrations that add and remove indexes of large tables while everybody goes on writing.

Beside the corridor, for migrations of every floor, which set `atomic = False`. On PostgreSQL they work CONCURRENTLY; a
SQLite file has one writer anyway, who waits for a moment. A migration that was interrupted may simply be run again.
"""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex, RemoveIndex

type States = Any  # the project's state before and after the step


class AddIndexLive(AddIndexConcurrently):
    """AddIndex without a lock."""

    def database_forwards(self, app_label: str, editor: BaseDatabaseSchemaEditor, *states: States) -> None:
        name = editor.quote_name(self.index.name)  # what an interrupted run left behind under it stands in its way
        if editor.connection.vendor != "postgresql":
            editor.execute(f"DROP INDEX IF EXISTS {name}")
            return AddIndex.database_forwards(self, app_label, editor, *states)
        self._ensure_not_in_transaction(editor)
        editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        return super().database_forwards(app_label, editor, *states)

    def database_backwards(self, app_label: str, editor: BaseDatabaseSchemaEditor, *states: States) -> None:
        if editor.connection.vendor != "postgresql":
            return AddIndex.database_backwards(self, app_label, editor, *states)
        return super().database_backwards(app_label, editor, *states)


class RemoveIndexLive(RemoveIndexConcurrently):
    """RemoveIndex without a lock."""

    def database_forwards(self, app_label: str, editor: BaseDatabaseSchemaEditor, *states: States) -> None:
        if editor.connection.vendor != "postgresql":
            return editor.execute(f"DROP INDEX IF EXISTS {editor.quote_name(self.name)}")
        return super().database_forwards(app_label, editor, *states)

    def database_backwards(self, app_label: str, editor: BaseDatabaseSchemaEditor, *states: States) -> None:
        if editor.connection.vendor != "postgresql":
            return RemoveIndex.database_backwards(self, app_label, editor, *states)
        return super().database_backwards(app_label, editor, *states)
