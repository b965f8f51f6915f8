"""How fast events become Deliveries, against a bare bulk insert of the same rows: `make bench-dispatch`.

Dispatches sales of distinct customers, then writes the very same Delivery rows and bodies with a bare bulk insert, in
alternating rounds, on a private PostgreSQL and on a SQLite file. Exit status 1 where the aim is missed.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from statistics import median

from tests.bench.place import ROOT, SECONDS
from tests.bench.table import Line, at_least, told
from tests.servers import Postgres

EVENTS = 2_000 if SECONDS >= 60 else 1_000
ROUNDS = 3
AIM = 0.3


def lines() -> Iterator[Line]:
    with Postgres() as server:
        yield _line("PostgreSQL", server.url)
    with tempfile.TemporaryDirectory() as folder:
        yield _line("SQLite", f"sqlite:///{folder}/bench.sqlite3")


def _line(database: str, url: str) -> Line:
    environ = {**os.environ, "TEST_DATABASE_URL": url if "postgres" in url else ""}
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.dispatch_child", str(EVENTS), str(ROUNDS)],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    rounds = json.loads(run.stdout.splitlines()[-1])
    ratio = median(one["bare"] / one["dispatch"] for one in rounds)
    rate = median(one["rows"] / one["dispatch"] for one in rounds)
    return at_least(f"dispatch on {database} ({rate:,.0f} Deliveries/s), of a bare insert's rate", ratio, AIM, ".2f")


if __name__ == "__main__":
    sys.exit(told(lines()))
