"""Copies what SQLite's write-ahead log holds into the file, so that no request has to.

Beside the corridor, called by the clock; what a burst writes between two of its looks, `relief.py` sees to. After an
erasure the log itself is emptied: it still holds the pages as they were.
"""

from time import monotonic, sleep

from django.db import connection

PATIENCE_SECONDS = 10.0  # in which there is a moment without somebody who reads or writes back
_PAUSE_SECONDS = 0.02


def write_back() -> None:
    """Hinders nobody who reads or writes; nothing to do on another database."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")


def empty_log() -> bool:
    """Write all of it back and cut the log to nothing; False where somebody keeps reading from it."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return True
    until = monotonic() + PATIENCE_SECONDS
    with connection.cursor() as cursor:
        while True:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_busy, *_ = cursor.fetchone()
            if not is_busy or monotonic() > until:
                return not is_busy
            sleep(_PAUSE_SECONDS)
