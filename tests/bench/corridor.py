"""From the door to Klaviyo: how long after its acceptance an event is first sent, under load and from a cold start.

Part of `make bench-delivery`: web, worker and sandbox on two cores, PostgreSQL with fsync and then a SQLite file, the
bells in the database. 100 events a second come in and 400 calls a second go out.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from tests.bench.beside import CALLS, PER_SECOND, calls, wait_for, warm_up, whole
from tests.bench.ingest import DurablePostgres
from tests.bench.load import open_loop
from tests.bench.place import SECONDS
from tests.bench.table import Line, at_least, below, none
from tests.running import environment
from tests.twin import Twin

COLD = 8  # single events, each when everything has long been still
STILL_SECONDS = 2.5


def lines() -> Iterator[Line]:
    for database in ("PostgreSQL", "SQLite"):
        with ExitStack() as running:
            yield from _lines(database, _environ(database, running))


def _lines(database: str, environ: dict[str, str]) -> Iterator[Line]:
    with whole(environ, keep_requests=200_000, keep_request_bytes=2**30) as (twin, port, requests):
        first = warm_up(twin, port, requests) + 1
        before = calls(twin)
        measured = open_loop(port, requests, per_second=PER_SECOND, seconds=SECONDS)
        meanwhile = calls(twin) - before
        wait_for(twin, before + len(measured.latencies) * CALLS)
        cold = _cold(twin, port, requests)
        told = [call for call in twin.requests(only="at_monotonic,status,body") if "unique_id" in (call["body"] or "")]
        sent = _first_sent(told)
        waits = sorted(sent[first + number] - at for number, at in measured.answered_at.items())
        errors = sum(count for status, count in measured.statuses.items() if status not in (200, 202))
        errors += sum(call["status"] != 202 for call in told)
        rate = meanwhile / measured.seconds / (PER_SECOND * CALLS)
        yield none(f"{database}, {PER_SECOND} events/s in, {SECONDS:.0f} s: errors", errors)
        yield at_least(f"{database}: calls a second meanwhile, of {PER_SECOND * CALLS}", rate, 0.95, ".2f")
        yield below(f"{database}: accepted → first send, p50 (ms)", 1000 * waits[len(waits) // 2], 80)
        yield below(f"{database}: accepted → first send, p99 (ms)", 1000 * waits[int(len(waits) * 0.99)], 250)
        last = first + len(waits)
        slowest = max(sent[last + number] - at for number, at in enumerate(cold))
        yield below(f"{database}: from a cold bell, the slowest of {COLD} (ms)", 1000 * slowest, 400)


def _cold(twin: Twin, port: int, requests: Iterator[bytes]) -> list[float]:
    """When single events were accepted, each after a rest."""
    accepted = []
    for _ in range(COLD):
        time.sleep(STILL_SECONDS)
        accepted.append(open_loop(port, requests, per_second=1, seconds=1).answered_at[0])
    wait_for(twin, calls(twin))
    time.sleep(1.0)
    return accepted


def _first_sent(told: list[dict[str, Any]]) -> dict[int, float]:
    """An order's number → when its first event reached the sandbox."""
    sent: dict[int, float] = {}
    for call in told:
        unique_id = json.loads(call["body"])["data"]["attributes"]["unique_id"]
        number = int(unique_id.partition("_")[0])
        sent[number] = min(sent.get(number, call["at_monotonic"]), call["at_monotonic"])
    return sent


def _environ(database: str, running: ExitStack) -> dict[str, str]:
    if database == "SQLite":
        return environment(f"sqlite:///{running.enter_context(tempfile.TemporaryDirectory())}/bench.sqlite3")
    return environment(running.enter_context(DurablePostgres()).url)
