"""`make bench-delivery`: the delivery engine against floors taken in the same run, on a private PostgreSQL.

Prints one table of ratios; the last line sums up, and the exit status is 1 where an aim is missed. BENCH_SECONDS
(default 60) sets how long the long measures take. Each measure runs in a process of its own, so that its processor time
and memory are its own; PostgreSQL's processor time is counted with ours.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from tests.bench import pace
from tests.servers import Postgres
from tests.twin import Twin

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
ROUNDS = 3 if SECONDS >= 60 else 2
LATENCY_MS = 150
SECRETS = {
    "DEBUG": "false",
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "only-for-benchmarks-" + "k" * 50,
    "FIELD_KEYS": "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMhISE=",
    "FINGERPRINT_KEY": "only-for-benchmarks-" + "p" * 50,
    "LOG_LEVEL": "WARNING",
}


@dataclass(slots=True)
class Line:
    """One row of the table: what was measured, the figure, and its aim."""

    what: str
    figure: str
    aim: str
    met: bool


class Bench:
    """A database, a twin and the processes that are measured."""

    def __init__(self, postgres: Postgres, twin: Twin) -> None:
        self.postgres, self.twin, self.made = postgres, twin, 0
        self.environ = {**os.environ, **SECRETS, "DATABASE_URL": postgres.url, "KLAVIYO_BASE_URL": twin.url}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=self.environ, cwd=ROOT, check=True)

    def child(self, what: str, *, environ: dict[str, str] | None = None, **given: Any) -> dict[str, Any]:
        """Run one measure in its own process; adds what PostgreSQL spent on it."""
        arguments = [text for name, value in given.items() for text in (f"--{name}", str(value))]
        before = self.database_seconds()
        run = subprocess.run(
            [sys.executable, "-m", "tests.bench.delivery_child", what, *arguments],
            env=self.environ | (environ or {}), cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if run.returncode:
            raise RuntimeError(run.stderr[-2000:])
        return json.loads(run.stdout.splitlines()[-1]) | {"database": self.database_seconds() - before}

    def fill(self, rows: int, cid: str = "Bench1") -> None:
        self.child("fill", rows=rows, start=self.made, cid=cid)
        self.made += rows

    def pump(self, threads: int, seconds: float, **environ: str) -> dict[str, Any]:
        alone = {"LANE_THREADS": str(threads), "LANE_BULK_ABOVE": "100000000", "BUDGET_ENABLED": "false"}
        return self.child("pump", seconds=seconds, environ=alone | environ)

    def database_seconds(self) -> float:
        """Processor seconds of PostgreSQL so far, ended back ends included."""
        server = psutil.Process(self.postgres.process.pid)  # type: ignore[union-attr]
        times = [server.cpu_times()]
        for child in server.children():
            try:
                times.append(child.cpu_times())
            except psutil.NoSuchProcess:
                continue
        ended = times[0].children_user + times[0].children_system
        return ended + sum(spent.user + spent.system for spent in times)


def main() -> int:
    with bench() as given:
        lines = [*against_latency(given), *against_bare_loop(given), *memory(given), *account_limit(given)]
    width = max(len(line.what) for line in lines)
    print(f"\n{'measure':<{width}}  {'figure':>22}  aim")
    for line in lines:
        print(f"{line.what:<{width}}  {line.figure:>22}  {line.aim}{'' if line.met else '   MISSED'}")
    missed = sum(not line.met for line in lines)
    print(f"\n{len(lines) - missed} of {len(lines)} aims met" + (f", {missed} missed" if missed else ""))
    return 1 if missed else 0


@contextmanager
def bench() -> Iterator[Bench]:
    with Postgres() as postgres:
        twin = Twin()
        try:
            twin.settings(limits="off", store_requests=False)
            yield Bench(postgres, twin)
        finally:
            twin.stop()


def against_latency(given: Bench) -> Iterator[Line]:
    """Calls a second against threads ÷ latency, which no number of threads can exceed."""
    given.twin.settings(latency_ms=LATENCY_MS)
    for threads, aim in ((64, 0.95), (128, 0.92)):
        most = threads / (LATENCY_MS / 1000)
        given.fill(round(most * SECONDS / 4))
        seen = given.pump(threads, SECONDS)
        share = seen["calls"] / seen["seconds"] / most
        yield Line(
            f"{threads} threads at {LATENCY_MS} ms: share of {most:.0f}/s", f"{share:.3f}", f">= {aim}", share >= aim
        )
        if threads == 64:
            each = seen["statements"] / seen["calls"]
            yield Line("database statements per delivery, 64 threads", f"{each:.3f}", "<= 0.15", each <= 0.15)
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
    rate, processor = median(rates), median(processors)
    yield Line("rate at 0 ms, of a bare session's", f"{rate:.2f}", ">= 0.8", rate >= 0.8)
    yield Line("processor time with database, of a bare session's", f"{processor:.2f}", "<= 1.4", processor <= 1.4)


def memory(given: Bench) -> Iterator[Line]:
    """A worker's memory with a small and with a large backlog."""
    given.twin.settings(latency_ms=LATENCY_MS)
    given.fill(1000)
    small = given.pump(64, 5)["rss"]
    backlog = 100_000 if SECONDS >= 60 else 10_000
    given.fill(backlog)
    large = given.pump(64, 10)["rss"]
    yield Line(f"memory with {backlog:,} due (MB; with 1,000: {small:.0f})", f"{large:.0f}", "< 120", large < 120)


def account_limit(given: Bench) -> Iterator[Line]:
    """One worker fills one account of a strict twin, whose windows begin when they like, without one 429."""
    given.twin.reset()
    given.twin.settings(limits="strict", latency_ms=50, jitter_ms=200, store_requests=True, keep_requests=200_000)
    minutes = 1 if SECONDS < 120 else 2
    given.fill(3600 * (minutes + 1), cid="Limit1")
    given.child(
        "pump", seconds=14 if SECONDS < 60 else 60 * minutes + 12,
        environ={"LANE_THREADS": "128", "LANE_BULK_ABOVE": "100000000", "BUDGET_ENABLED": "true"},
    )  # fmt: skip
    seen = pace.of(given.twin, "Limit1")
    yield Line("first ten seconds, of 3,500", f"{seen.first_ten / 3500:.3f}", ">= 0.95", seen.first_ten >= 0.95 * 3500)
    if SECONDS >= 60:
        worst = min(seen.minutes)
        yield Line("each further minute, of 3,500", f"{worst / 3500:.3f}", ">= 0.95", worst >= 0.95 * 3500)
    yield Line("answers of 429", str(seen.throttled), "0", seen.throttled == 0)


if __name__ == "__main__":
    sys.exit(main())
