"""The door as a web server of two processes: a revocation reaches each, and no secret is in what they write."""

import http.client
import itertools
import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.events.door import an_event
from tests.running import environment, module, web

MANY = 24  # connections: that all of them meet the same one of two processes will not happen
numbers = itertools.count(1)


@dataclass
class Door:
    port: int
    database: str
    log: Path
    keys: dict[str, str]

    def post(self, path: str, **headers: str) -> int:
        """The answer's status, over a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as line:
            line.request("POST", path, json.dumps(an_event(next(numbers))), headers)
            answer = line.getresponse()
            answer.read()
            return answer.status

    def send(self) -> int:
        return self.post("/api/v1/events", Authorization=f"Bearer {self.keys['bearer']}")


@pytest.fixture
def door(tmp_path, empty_sqlite):
    url, log = empty_sqlite(tmp_path), tmp_path / "log"
    environ = environment(url, LOG_LEVEL="INFO")
    keys = json.loads(module(environ, "tests.bench.ingest_keys"))
    with web(environ, log=log) as (port, _):
        yield Door(port, url.removeprefix("sqlite:///"), log, keys)


def test_a_revocation_bites_within_a_second_in_every_process(door):
    assert {door.send() for _ in range(MANY)} == {202}
    with closing(sqlite3.connect(door.database, timeout=20)) as database, database:
        database.execute("UPDATE connections_apikey SET revoked_at = ? WHERE kind = 'bearer'", [str(datetime.now(UTC))])
    time.sleep(1)
    assert {door.send() for _ in range(MANY)} == {401}


def test_what_the_server_writes_holds_no_secret(door):
    assert door.send() == 202
    assert door.post(f"/api/v1/ingest/{door.keys['address']}", Referer=f"https://x/{door.keys['address']}") == 200
    assert door.post(f"/api/v1/ingest/{door.keys['address']}?of={door.keys['bearer']}") == 200
    assert door.post("/api/v1/ingest/va_guessed") == 404
    assert door.post(f"/api/v1/signed/{door.keys['public_id']}", **{"X-Signature": door.keys["secret"]}) == 401
    written = door.log.read_text()
    assert "POST /api/v1/ingest/*** 200" in written
    assert [name for name in ("bearer", "address", "secret") if door.keys[name] in written] == []
    assert "va_guessed" not in written
