"""Django's SQLite backend for processes that all write: who comes to write stands in a line, and waits in short steps.

Below the whole corridor. SQLite's own way of waiting sleeps ever longer, up to 100 ms, so that whoever writes block
after block overtakes all who sleep, and the door answers after a second.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from sqlite3 import SQLITE_BUSY
from sqlite3 import OperationalError as Failed
from time import monotonic
from typing import Any

from django.db.backends.sqlite3 import base

from connections.sqlite.line import line_of
from connections.sqlite.relief import relief_of

STEP_MILLISECONDS = 1  # SQLite's own wait, once; then we ask again, until the patience of the settings is over
WRITING = ("BEGIN", "INSERT", "UPDATE", "DELETE")


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to a file stands in that file's line; one to memory has nobody to wait for."""

    database: str | None = None
    patience = 0.0

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        made = super().get_new_connection(conn_params)
        if not self.is_in_memory_db():
            self.database = str(conn_params["database"])
            self.patience = float(conn_params.get("timeout", 5.0))
            made.execute(f"PRAGMA busy_timeout = {STEP_MILLISECONDS}")
        return made

    def create_cursor(self, name: str | None = None) -> Any:
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        cursor.database, cursor.patience = self.database, self.patience
        return cursor


class Cursor(base.SQLiteCursorWrapper):
    """Waits before a transaction, and before a statement that is one of its own; inside one the lock is ours."""

    database: str | None
    patience: float
    rows: Iterator[Any] | None = None  # what such a statement returned: until all are read, its lock is kept

    def execute(self, query: str, params: Any = None) -> Any:
        self.rows = None
        if self.database is None or self.connection.in_transaction:
            return super().execute(query, params)
        until, is_writing = monotonic() + self.patience, query.lstrip()[:6].upper().startswith(WRITING)
        with line_of(self.database).first(until) if is_writing else nullcontext():
            self._patiently(query, params, until)
            if is_writing and self.description:
                self.rows = iter(super().fetchall())
        if is_writing and not self.connection.in_transaction:
            relief_of(self.database).wrote(sum(len(value) for value in params or () if isinstance(value, bytes)))
        return self

    def executemany(self, query: str, param_list: Sequence[Any]) -> Any:
        self.rows = None
        if self.database is None or self.connection.in_transaction:
            return super().executemany(query, param_list)
        self.execute("BEGIN IMMEDIATE")  # or half of them would be written when the lock is somebody else's again
        with self.connection:
            return super().executemany(query, param_list)

    def fetchone(self) -> Any:
        return super().fetchone() if self.rows is None else next(self.rows, None)

    def fetchmany(self, size: int = 1) -> list[Any]:
        return super().fetchmany(size) if self.rows is None else list(islice(self.rows, size))

    def fetchall(self) -> list[Any]:
        return super().fetchall() if self.rows is None else list(self.rows)

    def __next__(self) -> Any:
        return super().__next__() if self.rows is None else next(self.rows)

    def _patiently(self, query: str, params: Any, until: float) -> None:
        """Run a statement again for as long as another process holds what it needs."""
        while True:
            try:
                super().execute(query, params)
            except Failed as failed:
                if getattr(failed, "sqlite_errorcode", 0) & 0xFF != SQLITE_BUSY or monotonic() > until:
                    raise
            else:
                return
