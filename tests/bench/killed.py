"""What a `kill -9` of a full lane costs: the twin's record and the tables, after another worker took the lane over.

Part of `make bench-delivery`.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.bench.place import LATENCY_MS, SECONDS, UNBOUND, Bench
from tests.bench.table import Line, at_most, none
from tests.running import process
from tests.twin import Twin

CID, THREADS, BLOCK, ROWS = "Killed", 64, 100, 1500
LEASE = 30 if SECONDS >= 60 else 6


def lines(given: Bench) -> Iterator[Line]:
    """Half of the rows are sent when the worker dies; the next one waits for the lease, as any would."""
    given.twin.reset()
    given.twin.settings(limits="off", latency_ms=LATENCY_MS, store_requests=True)
    first = given.made
    given.fill(ROWS, cid=CID)
    environ = UNBOUND | {
        "LANE_THREADS": str(THREADS), "LANE_BLOCK": str(BLOCK),
        "LANE_LEASE_SECONDS": str(LEASE), "KLAVIYO_TOTAL_SECONDS": str(LEASE / 2),
    }  # fmt: skip
    worker = given.start("pump", seconds=60, environ=environ)
    while given.twin.state()["answers"].get("202", 0) < ROWS // 2:
        time.sleep(0.02)
    worker.kill()
    killed_at = time.monotonic()
    worker.communicate()
    time.sleep(1.0)  # the database ends what the dead one was in the middle of
    left = given.child("books", cid=CID)["sending"]
    books = _taken_over(given, environ)
    expected = {f"bench-{number}" for number in range(first, first + ROWS)}
    yield from _judged(given.twin, expected, killed_at, left, books)
    given.twin.settings(latency_ms=0, store_requests=False)


def _taken_over(given: Bench, environ: dict[str, str]) -> dict[str, int]:
    """A whole worker, whose clock sees the lease end, tells the rest; the books when nothing is owed any more."""
    until = time.monotonic() + LEASE + 30
    with process(given.environ | environ | {"QUEUE_NAME": CID}, "manage.py", "worker"):
        while (books := given.child("books", cid=CID))["open"] and time.monotonic() < until:
            time.sleep(1.0)
    return books


def _judged(twin: Twin, expected: set[str], killed_at: float, left: int, books: dict[str, int]) -> Iterator[Line]:
    times, bodies, last = Counter[str](), defaultdict[str, set[str]](set), 0.0
    for call in twin.requests(account=CID, path="/api/events", only="at_monotonic,body"):
        if "unique_id" not in (call["body"] or ""):
            continue  # the doctor asks as well
        unique_id = json.loads(call["body"])["data"]["attributes"]["unique_id"]
        times[unique_id] += 1
        bodies[unique_id].add(call["body"])
        last = max(last, call["at_monotonic"])
    recorded = Counter(event["unique_id"] for event in twin.events(account=CID))
    lost = len(expected - set(recorded)) + books["open"] + sum(count - 1 for count in recorded.values())
    repeats = sum(times.values()) - len(times)
    yield none("kill -9 of a full lane: lost, still owed or counted twice", lost)
    yield at_most(f"kill -9: repeats, {left} rows left on the wire", repeats, THREADS + BLOCK, "d")
    yield none("kill -9: repeats with other bytes or ids", sum(len(seen) > 1 for seen in bodies.values()))
    yield at_most(f"kill -9: all sent within the lease of {LEASE} s and (s)", last - killed_at - LEASE, 5)
    noted = books["interrupted"]
    yield Line("kill -9: noted as interrupted, outcome unknown", str(noted), f"= {left}", noted == left >= repeats)
