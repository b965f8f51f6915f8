"""A few seconds of what `python -m tests.bench.mixed_load` does for a minute."""

import time

import pytest

from tests.bench.mixed_load import run
from tests.servers import Postgres


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def test_every_yes_is_in_the_table_once_while_the_worker_runs_on_sqlite(tmp_path, empty_sqlite, log):
    assert run(empty_sqlite(tmp_path), seconds=3, log=log) == []


def test_every_yes_is_in_the_table_when_postgresql_stops_and_starts_in_between(log):
    with Postgres() as server:

        def power_cut() -> None:
            server.stop()
            time.sleep(1)
            server.start()

        assert run(server.url, seconds=4, midway=power_cut, log=log) == []
