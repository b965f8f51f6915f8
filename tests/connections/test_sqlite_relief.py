"""The write-ahead log of a busy file: written back beside those who write, and by nobody first in the line."""

import os
import threading

import pytest
from django.db.utils import ConnectionHandler

from connections.sqlite import relief
from connections.sqlite.relief import Relief

MEGABYTE = bytes(1_000_000)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "busy.sqlite3")


@pytest.fixture
def cursor(path, django_db_blocker):
    """Of a connection whose commits write nothing back by themselves."""
    options = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0"}
    connections = ConnectionHandler({"default": {"ENGINE": "connections.sqlite", "NAME": path, "OPTIONS": options}})
    with django_db_blocker.unblock(), connections["default"].cursor() as cursor:
        cursor.execute("CREATE TABLE bodies (body blob)")
        yield cursor
        connections["default"].close()


def write(cursor, megabytes: int) -> None:
    for _ in range(megabytes):
        cursor.execute("INSERT INTO bodies VALUES (%s)", [MEGABYTE])
        await_relief()  # else the next may come while it is at work, and is left to the one after that


def await_relief() -> None:
    for thread in threading.enumerate():
        if thread.name == "write-back":
            thread.join(20)


def test_what_was_written_comes_into_the_file_without_any_commit_doing_it(path, cursor):
    write(cursor, 10)
    assert os.path.getsize(path) > 7_000_000
    assert cursor.execute("SELECT count(*) FROM bodies").fetchone() == (10,)


def test_a_little_is_left_to_the_clock(path, cursor):
    write(cursor, 1)
    assert os.path.getsize(path) < 100_000


def test_many_small_events_are_much_too(path, cursor):
    for _ in range(relief.MOST // relief.PAGES + 1):
        cursor.execute("INSERT INTO bodies VALUES ('small')")
    await_relief()
    log = os.path.getsize(f"{path}-wal")
    cursor.execute("INSERT INTO bodies VALUES ('one more')")
    assert os.path.getsize(f"{path}-wal") == log  # it begins again where all has been written back


def test_what_a_transaction_has_not_committed_stays_out_of_the_file(path, cursor):
    cursor.execute("BEGIN IMMEDIATE")
    write(cursor, 10)
    assert os.path.getsize(path) < 100_000
    cursor.execute("ROLLBACK")
    assert cursor.execute("SELECT count(*) FROM bodies").fetchone() == (0,)


def test_a_file_that_is_gone_is_not_made_anew(path):
    Relief(path).wrote(relief.MOST)
    await_relief()
    assert not os.path.exists(path)


def test_it_works_again_and_again(path, cursor):
    for _ in range(3):
        before = os.path.getsize(path)
        write(cursor, 10)
        assert os.path.getsize(path) > before + 5_000_000


def test_no_thread_to_be_had_is_nobodys_trouble(path, cursor, monkeypatch):
    class NoThread(threading.Thread):
        def start(self):
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patching:
        patching.setattr(relief, "Thread", NoThread)
        write(cursor, 5)
    assert cursor.execute("SELECT count(*) FROM bodies").fetchone() == (5,)
    write(cursor, 5)
    assert os.path.getsize(path) > 7_000_000
