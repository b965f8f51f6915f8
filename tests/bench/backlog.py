"""What a backlog of 100,000 costs: a worker's memory, and how long a quiet account's fresh event waits beside it.

Part of `make bench-delivery`: a whole worker on PostgreSQL and on a SQLite file, with single calls only and then as it
is by default, with bulk jobs. No bell rings for the fresh events, so that a worker has to find them by looking.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil

from tests.bench.place import LATENCY_MS, SECONDS, Bench, bench
from tests.bench.table import Line, below, without_aim
from tests.running import process

LARGE, FRESH = (100_000, 3) if SECONDS >= 60 else (20_000, 1)
SMALL = 1_000
PATIENCE_SECONDS = 60
RESIDENT = re.compile(r"VmRSS:\s+(\d+)")
MAPPED_DATABASE = re.compile(r"\.sqlite3\n(?:.*\n){1,3}Rss:\s+(\d+)")
CIDS = (f"Owe{number:03}" for number in count())
WAYS = {"single calls": {"LANE_BULK_ABOVE": "0"}, "bulk jobs": {}}


def lines() -> Iterator[Line]:
    for database in ("PostgreSQL", "SQLite"):
        with bench(database) as given:
            given.twin.settings(
                latency_ms=LATENCY_MS, store_requests=True, keep_requests=200_000, keep_request_bytes=2**30
            )
            for way, environ in WAYS.items():
                yield from _lines(f"{database}, {way}", given, environ | {"QUEUE_NAME": way.replace(" ", "-")})


def _lines(way: str, given: Bench, environ: dict[str, str]) -> Iterator[Line]:
    small, _ = _served(given, environ, SMALL, fresh=0)
    large, waits = _served(given, environ, LARGE, fresh=FRESH)
    what = f"{way}: memory of a worker process with {LARGE:,} due (MB; with {SMALL:,}: {small:.0f})"
    yield below(what, large, 120) if given.postgres else without_aim(what, large)  # SQLite's cache is in the process
    yield below(f"{way}: a quiet account's event beside {LARGE:,}, the slowest of {FRESH} (s)", max(waits), 5, ".2f")


def _served(given: Bench, environ: dict[str, str], rows: int, *, fresh: int) -> tuple[float, list[float]]:
    """Memory in MB of the largest process of a worker that serves so many rows, and how long fresh events waited."""
    given.twin.reset()
    cid = next(CIDS)
    given.fill(rows, cid=cid)
    with process(given.environ | environ, "manage.py", "worker") as pid, watched(pid) as memory:
        _wait_until(lambda: given.twin.requests(account=cid, only="at"))
        waits = [_fresh(given, next(CIDS)) for _ in range(fresh)]
        if fresh and not given.child("books", cid=cid)["open"]:
            raise RuntimeError("the backlog was gone before the last fresh event")
        time.sleep(min(SECONDS / 4, 10))
    given.child("forget")
    return max(memory), waits


def _fresh(given: Bench, cid: str) -> float:
    """Seconds until an event of an account that owes nothing else has reached the sandbox."""
    due_at = given.fill(1, cid=cid)["at"]
    (seen,) = _wait_until(lambda: given.twin.requests(account=cid, only="at"))
    return datetime.fromisoformat(seen["at"]).timestamp() - due_at


def _wait_until(is_so: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := is_so()):
        if time.monotonic() > until:
            raise TimeoutError("the worker did not send it")
        time.sleep(0.02)
    return found


# ── Memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@contextmanager
def watched(pid: int) -> Iterator[list[float]]:
    """Looks again and again how much memory each process of a worker has, in MB, and fills the list."""
    seen, over = [0.0], Event()
    watching = Thread(target=_watch, args=(psutil.Process(pid), seen, over))
    watching.start()
    try:
        yield seen
    finally:
        over.set()
        watching.join()


def _watch(worker: psutil.Process, seen: list[float], over: Event) -> None:
    while not over.wait(0.1):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            seen.extend(_memory(one.pid) for one in (worker, *worker.children(recursive=True)))


def _memory(pid: int) -> float:
    """What it has now, without a SQLite file that it maps: those pages are the kernel's cache."""
    mapped = sum(map(int, MAPPED_DATABASE.findall(Path(f"/proc/{pid}/smaps").read_text())))
    resident = RESIDENT.search(Path(f"/proc/{pid}/status").read_text())
    return (int(resident[1]) - mapped) / 1024 if resident else 0.0
