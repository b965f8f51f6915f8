"""`make bench-delivery`: the delivery engine against floors taken in the same run.

    python -m tests.bench.delivery [latency] [floor] [limit] [killed] [backlog] [dispatch] [corridor]

Prints one table; the last line sums up, and the exit status is 1 where an aim is missed. BENCH_SECONDS (default 60)
sets how long the long measures take; below 60 the backlogs are smaller and no second minute is waited for.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from statistics import median

from tests.bench import backlog, corridor, dispatch, killed, pace
from tests.bench.place import LATENCY_MS, SECONDS, Bench, bench
from tests.bench.table import Line, at_least, at_most, none, told

ROUNDS = 3 if SECONDS >= 60 else 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measures", nargs="*", metavar="measure", help=", ".join((*OF_THE_ENGINE, *OF_THE_WHOLE)))
    wanted = parser.parse_args().measures or [*OF_THE_ENGINE, *OF_THE_WHOLE]
    lines: list[Line] = []
    with bench() as given:
        for name in wanted:
            if name in OF_THE_ENGINE:
                lines += OF_THE_ENGINE[name](given)
    for name in wanted:
        if name not in OF_THE_ENGINE:
            lines += OF_THE_WHOLE[name]()
    return told(lines)


def against_latency(given: Bench) -> Iterator[Line]:
    """Calls a second against threads ÷ latency, which no number of threads can exceed."""
    given.twin.settings(latency_ms=LATENCY_MS)
    for threads, aim in ((64, 0.95), (128, 0.92)):
        most = threads / (LATENCY_MS / 1000)
        given.fill(round(most * SECONDS / 4))
        seen = given.pump(threads, SECONDS)
        share = seen["calls"] / seen["seconds"] / most
        yield at_least(f"{threads} threads at {LATENCY_MS} ms: share of {most:.0f}/s", share, aim)
        if threads == 64:
            yield at_most(
                "database statements per delivery, 64 threads", seen["statements"] / seen["calls"], 0.15, ".3f"
            )
    given.twin.settings(latency_ms=0)


def against_bare_loop(given: Bench) -> Iterator[Line]:
    """Rate and processor time against a bare pooled session with the same threads and bodies, in alternating rounds."""
    rows, rates, processors = round(SECONDS * 80), [], []
    for _ in range(ROUNDS):
        bare = given.child("bare", rows=rows, threads=64)
        given.fill(rows)
        ours = given.pump(64, SECONDS)
        rates.append((ours["calls"] / ours["seconds"]) / (bare["calls"] / bare["seconds"]))
        processors.append(((ours["cpu"] + ours["database"]) / ours["calls"]) / (bare["cpu"] / bare["calls"]))
    yield at_least("rate at 0 ms, of a bare session's", median(rates), 0.8, ".2f")
    yield at_most("processor time with database, of a bare session's", median(processors), 1.4)


def account_limit(given: Bench) -> Iterator[Line]:
    """One worker fills one account of a strict twin, whose windows begin when they like, without one 429."""
    given.twin.reset()
    given.twin.settings(
        limits="strict", latency_ms=50, jitter_ms=200, store_requests=True, keep_requests=200_000,
        keep_request_bytes=2**30,
    )  # fmt: skip
    minutes = 2 if SECONDS >= 60 else 0
    given.fill(3600 * (minutes + 1), cid="Limit1")
    given.child(
        "pump", seconds=60 * minutes + 13, environ={"LANE_THREADS": "128", "LANE_BULK_ABOVE": "0"}
    )  # fmt: skip
    seen = pace.of(given.twin, "Limit1")
    yield at_least("one account: first ten seconds, of 3,500", seen.first_ten / 3500, 0.95)
    if minutes:
        yield at_least("one account: each minute, of 3,500", min(seen.minutes) / 3500, 0.95)
    yield none("one account: answers of 429", seen.throttled)
    given.twin.reset()
    given.twin.settings(limits="off", latency_ms=0, jitter_ms=0, store_requests=False)
    given.child("forget")


OF_THE_ENGINE: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "latency": against_latency,
    "floor": against_bare_loop,
    "limit": account_limit,
    "killed": killed.lines,
}
OF_THE_WHOLE: dict[str, Callable[[], Iterator[Line]]] = {
    "backlog": backlog.lines,
    "dispatch": dispatch.lines,
    "corridor": corridor.lines,
}


if __name__ == "__main__":
    sys.exit(main())
