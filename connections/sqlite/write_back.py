"""Copies what SQLite's write-ahead log holds into the file, so that no request has to.

Beside the corridor, called by the clock. Whose commit fills the log would else do it, and keep its caller waiting.
After an erasure the log itself is emptied: it still holds the pages as they were.
"""

from django.db import connection


def write_back() -> None:
    """Hinders nobody who reads or writes; nothing to do on another database."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")


def empty_log() -> bool:
    """Write all of it back and cut the log to nothing; False where somebody reads from it just now."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return True
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        is_busy, *_ = cursor.fetchone()
    return not is_busy
