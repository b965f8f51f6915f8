"""Several writers of one SQLite file: whoever waits has a turn, whoever waits too long is told so."""

import subprocess
import sys

import pytest
from django.db import IntegrityError, OperationalError
from django.db.utils import ConnectionHandler

from tests.running import ROOT

# Writes block after block without a pause: after each COMMIT the next BEGIN comes at once.
GREEDY = """
import sys, time
from django.conf import settings
settings.configure()
from django.db.utils import ConnectionHandler
entry = {"ENGINE": "connections.sqlite", "NAME": sys.argv[1], "OPTIONS": {"transaction_mode": "IMMEDIATE"}}
cursor = ConnectionHandler({"default": entry})["default"].cursor()
while True:
    cursor.execute("BEGIN IMMEDIATE")
    cursor.execute("UPDATE blocks SET count = count + 1")
    time.sleep(0.02)
    cursor.execute("COMMIT")
    print(flush=True)
"""


@pytest.fixture
def connect(tmp_path, django_db_blocker):
    """Connections of their own to one file, patient for so many seconds."""
    opened = []

    def connecting(patience: float = 20.0):
        options = {"transaction_mode": "IMMEDIATE", "timeout": patience, "init_command": "PRAGMA journal_mode=WAL"}
        entry = {"ENGINE": "connections.sqlite", "NAME": str(tmp_path / "line.sqlite3"), "OPTIONS": options}
        opened.append(ConnectionHandler({"default": entry})["default"])
        opened[-1].inc_thread_sharing()
        return opened[-1]

    with django_db_blocker.unblock():
        with connecting().cursor() as cursor:
            cursor.execute("CREATE TABLE blocks (count integer)")
            cursor.execute("CREATE TABLE things (id integer PRIMARY KEY, name text UNIQUE)")
            cursor.execute("INSERT INTO blocks VALUES (0)")
        yield connecting
        for connection in opened:
            connection.close()


@pytest.fixture
def greedy(tmp_path, connect):
    command = [sys.executable, "-c", GREEDY, str(tmp_path / "line.sqlite3")]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    running.stdout.readline()
    yield
    running.kill()
    running.communicate()


@pytest.mark.usefixtures("greedy")
def test_who_writes_block_after_block_does_not_overtake_who_waits(connect):
    overtaken = []
    with connect().cursor() as cursor:
        for _ in range(20):
            before = cursor.execute("SELECT count FROM blocks").fetchone()[0]
            cursor.execute("INSERT INTO things (name) VALUES (NULL)")
            overtaken.append(cursor.execute("SELECT count FROM blocks").fetchone()[0] - before)
    assert sorted(overtaken)[10] <= 2
    assert max(overtaken) <= 5


def test_who_waits_too_long_is_told(connect):
    other = connect()
    other.cursor().execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        connect(patience=0.05).cursor().execute("INSERT INTO things (name) VALUES ('late')")
    other.cursor().execute("ROLLBACK")


def test_who_reads_waits_for_nobody(connect):
    other = connect()
    other.cursor().execute("BEGIN IMMEDIATE")
    assert connect(patience=0.05).cursor().execute("SELECT count FROM blocks").fetchone() == (0,)
    other.cursor().execute("ROLLBACK")


@pytest.mark.parametrize(
    "read",
    [
        lambda cursor: cursor.fetchall(),
        lambda cursor: [*cursor.fetchmany(1), *cursor.fetchmany(9)],
        lambda cursor: [cursor.fetchone(), cursor.fetchone()],
        list,
    ],
)
def test_what_a_statement_returns_can_be_read_while_others_write(connect, read):
    cursor = connect().cursor()
    cursor.execute("INSERT INTO things (name) VALUES ('a'), ('b') RETURNING name")
    connect(patience=0.05).cursor().execute("INSERT INTO things (name) VALUES ('c')")
    assert read(cursor) == [("a",), ("b",)]
    assert cursor.fetchone() is None


def test_many_rows_outside_a_transaction_are_all_or_none(connect):
    cursor = connect().cursor()
    with pytest.raises(IntegrityError):
        cursor.executemany("INSERT INTO things (name) VALUES (%s)", [["a"], ["b"], ["a"]])
    assert cursor.execute("SELECT count(*) FROM things").fetchone() == (0,)
    cursor.executemany("INSERT INTO things (name) VALUES (%s)", [["a"], ["b"]])
    assert cursor.execute("SELECT count(*) FROM things").fetchone() == (2,)
