"""The line in which the writers of one SQLite file wait: only the first in it asks SQLite for the lock.

Beside `base.py`. A thread waits for its process's place, a process for the file's. Whoever has just written must stand
in line again, behind the one who was first meanwhile. This is about turns alone: what keeps the file whole is SQLite's
own lock.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import OperationalError
from threading import Lock
from time import monotonic

try:
    import fcntl
except ImportError:  # no such lock on this system: threads stand in line, processes do not
    fcntl = None  # type: ignore[assignment]


class Line:
    """One file's line, as this process sees it. `path` is an empty file of its own that carries nothing but a lock."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._place = Lock()
        self._file = -1

    @contextmanager
    def first(self, until: float) -> Iterator[None]:
        """Wait to be the first, at most until this moment of the monotonic clock; raises OperationalError then."""
        if not self._place.acquire(timeout=max(0.0, until - monotonic())):
            raise OperationalError("database is locked")
        try:
            self._take()
            try:
                yield
            finally:
                self._give()
        finally:
            self._place.release()

    def _take(self) -> None:
        """Whoever is before us is so for one statement or one BEGIN, and no longer than their own patience."""
        if fcntl is None:
            return
        if self._file < 0:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def _give(self) -> None:
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)


_lines: dict[str, Line] = {}


def line_of(database: str) -> Line:
    """The line of a database file; the same for all threads of this process."""
    return _lines.setdefault(database, Line(f"{database}-line"))


if fcntl is not None:  # a child stands in line for itself: a file opened by its parent would be one place for both
    os.register_at_fork(after_in_child=_lines.clear)
