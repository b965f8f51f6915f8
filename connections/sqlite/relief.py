"""Keeps SQLite's write-ahead log short while much is written, so that no writer has to write all of it back.

Below the whole corridor, beside `line.py`. SQLite lets whoever commits to a full log copy it into the file: first in
the line, for a quarter of a second in which nobody else can write. Here a thread of its own does most of that before,
while the others go on; it hinders nobody, and the little it leaves is soon done. It looks at statements that are a
transaction of their own, as the door's are; the rest is left to the clock.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Lock, Thread

MOST = 4_000_000  # bytes after which it is worth a look
PAGES = 65_536  # bytes that a statement takes up in the log beside its parameters: a page for every index


class Relief:
    """One process's share in one file's log. `path` is the database file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._written = 0
        self._at_work = Lock()

    def wrote(self, size: int) -> None:
        """Something with parameters of `size` bytes has been committed; costs its caller next to nothing."""
        self._written += PAGES + size
        if self._written >= MOST and self._at_work.acquire(blocking=False):
            self._written = 0
            try:
                Thread(target=self._write_back, name="write-back", daemon=True).start()
            except RuntimeError:  # the system gives no more threads; what is committed is written back later
                self._at_work.release()

    def _write_back(self) -> None:
        try:
            with closing(sqlite3.connect(f"{Path(self._path).absolute().as_uri()}?mode=rw", uri=True)) as database:
                database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            pass  # the file is gone or broken: whoever reads or writes it will say so
        finally:
            self._at_work.release()


_reliefs: dict[str, Relief] = {}


def relief_of(database: str) -> Relief:
    """That of a database file; the same for all threads of this process."""
    return _reliefs.setdefault(database, Relief(database))


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_reliefs.clear)
