"""How fast the Webhooks tab is at size: the same pages over a small and over a large log, four viewers at once.

    BENCH_ATTEMPTS=5000000 TEST_DATABASE_URL=postgres://… python -m tests.bench.tab

Without TEST_DATABASE_URL it measures SQLite. BENCH_KEEP names a folder: databases loaded once are kept (SQLite there,
PostgreSQL on its server) and used again by the next run. BENCH_PAGES="order,opened" looks at some pages only. Each page
is looked at over both logs in turn, so that other work on the machine weighs on both alike. A table, a last line that
sums up; exit status 1 where an aim is missed: every page under 200 ms (p95) and 100 KB, and no slower than twice the
same page over 10,000 Attempts (medians).
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests

from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = 10_000
P95_MS, PAGE_BYTES, SLOWER = 200, 100_000, 2.0
NOISE_MS = 8  # medians closer than this are equal on a shared machine
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "60"))  # requests of each viewer for each page
TURNS = 3  # in so many turns, so that a moment's noise weighs on both logs alike
WARM_UP = 3  # requests of each turn that are not counted

KEEP = os.environ.get("BENCH_KEEP", "")
WANTED = os.environ.get("BENCH_PAGES", "").split(",")


@dataclass(slots=True)
class Seen:
    """What one page was seen to cost."""

    milliseconds: list[float] = field(default_factory=list)
    largest: int = 0

    @property
    def p95(self) -> float:
        return sorted(self.milliseconds)[int(len(self.milliseconds) * 0.95)]

    @property
    def usual(self) -> float:
        return median(self.milliseconds)


def main() -> int:
    server = os.environ.get("TEST_DATABASE_URL", "")
    attempts = int(os.environ.get("BENCH_ATTEMPTS", "5000000" if server else "200000"))
    with tempfile.TemporaryDirectory(prefix="viaduct-bench-") as folder, ExitStack() as running:
        small = running.enter_context(_shown(server, folder, SMALL))
        large = running.enter_context(_shown(server, folder, attempts))
        seen = {name: (Seen(), Seen()) for name in _wanted(large[1])}
        for name, (before, after) in seen.items():
            for _ in range(TURNS):
                _look(*small, name, before)
                _look(*large, name, after)
    missed = _table(seen, attempts, "PostgreSQL" if server else "SQLite")
    print("missed: " + "; ".join(missed) if missed else "every aim is met")
    return 1 if missed else 0


@contextmanager
def _shown(server: str, folder: str, attempts: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """A log of that size behind a web server: its address, and what there is to look at."""
    with ExitStack() as running:
        environ = _environment(running.enter_context(_database(server, folder, attempts)))
        started = time.monotonic()
        targets = json.loads(_run(environ, "tests.bench.tab_data", "--attempts", str(attempts)))
        print(f"loaded {attempts:,} attempts in {time.monotonic() - started:.0f} s", flush=True)
        for kind, (packed, plain) in targets["bytes"].items():
            print(f"  {kind} at rest take {packed / plain:.0%} of their plain text")
        yield running.enter_context(_web(environ)), targets


def pages(targets: dict[str, Any]) -> dict[str, list[str]]:
    """Each kind of page, and the addresses looked at in turn."""
    whole = "/app/webhooks/?merchant=shop-1"
    return {
        "tab of a customer": [f"/app/customers/{pk}/webhooks/" for pk in targets["customers"]],
        "tab of a heavy customer": [f"/app/customers/{targets['heavy']}/webhooks/"],
        "all of a merchant": [whole],
        "deep in the list": [f"{whole}&before={pk}" for pk in targets["deliveries"]],
        "state: failed": [f"{whole}&state=failed"],
        "state: sending, none": [f"{whole}&state=sending"],
        "a rare metric": [f"{whole}&metric=Order+Chargeback"],
        "a metric never heard": [f"{whole}&metric=Order+Alert"],
        "failed and a metric": [f"{whole}&state=failed&metric=Ordered+Product"],
        "answer: 4xx": [f"{whole}&http=4xx"],
        "answer: 429, none": [f"{whole}&http=429"],
        "answer: 5xx": [f"{whole}&http=5xx"],
        "no answer at all": [f"{whole}&http=none"],
        "phone dropped": [f"{whole}&phone=dropped"],
        "a day months ago": [f"{whole}&since=2026-0{month}-14&until=2026-0{month}-14" for month in (2, 3, 4, 5)],
        "a connection": ["/app/webhooks/?connection=2", "/app/webhooks/?connection=3"],
        "a connection's failed": ["/app/webhooks/?connection=2&state=failed"],
        "waiting and 4xx, none": [f"{whole}&state=waiting&http=4xx"],
        "an order": [f"/app/webhooks/?order={order}" for order in targets["orders"]],
        "search by order": [f"/app/find/?q={order}" for order in targets["orders"]],
        "search by transaction": [f"/app/find/?q=t{order[1:]}" for order in targets["orders"]],
        "search by tracking number": [f"/app/find/?q=track{order[1:]}" for order in targets["orders"]],
        "search by Vrio event id": [f"/app/find/?q=evt{order[1:]}" for order in targets["orders"]],
        "search by Klaviyo request id": [f"/app/find/?q=req-{pk}" for pk in targets["deliveries"]],
        "search by e-mail": [f"/app/find/?q=person{pk}@klaviyo-demo.com" for pk in targets["customers"]],
        "search by name": [f"/app/find/?q=Sam{pk % 1000}+Mason{pk}" for pk in targets["customers"]],
        "search by phone": [f"/app/find/?q=%2B1555{1000000 + pk}" for pk in targets["customers"]],
        "search by Vrio id": [f"/app/find/?q=c{pk}" for pk in targets["customers"]],
        "search for nothing": ["/app/find/?q=nobody"],
        "an opened row": [f"/app/webhooks/{pk}/opened/" for pk in targets["deliveries"]],
        "a Delivery's own page": [f"/app/webhooks/{pk}/" for pk in targets["deliveries"]],
        "an opened row of hostile bytes": [f"/app/webhooks/{pk}/opened/" for pk in targets["hostile"]],
        "a live question": ["/app/webhooks/live/?merchant=shop-1"],
        "why, for a customer": [f"/app/customers/{pk}/why/" for pk in targets["customers"]],
        "why, for an order": [f"/app/why/?order={order}" for order in targets["orders"]],
        "customers": ["/app/customers/"],
        "events from Vrio": ["/app/events/"],
        "home": ["/app/"],
    }


def _wanted(targets: dict[str, Any]) -> list[str]:
    return [name for name in pages(targets) if any(word in name for word in WANTED)]


def _look(address: str, targets: dict[str, Any], name: str, seen: Seen) -> None:
    """Four viewers at once on one kind of page, each with a session of their own."""
    paths = pages(targets)[name]
    with ThreadPoolExecutor(len(targets["sessions"])) as viewers:
        for part in viewers.map(lambda place: _view(address, targets, paths, place), range(len(targets["sessions"]))):
            seen.milliseconds += part.milliseconds
            seen.largest = max(seen.largest, part.largest)


def _view(address: str, targets: dict[str, Any], paths: list[str], place: int) -> Seen:
    seen, session = Seen(), requests.Session()
    session.trust_env = False
    session.cookies.set(targets["cookie"], targets["sessions"][place])
    turns = itertools.islice(itertools.cycle(paths[place:] + paths[:place]), ROUNDS // TURNS + WARM_UP)
    for number, path in enumerate(turns):
        started = time.perf_counter()
        answer = session.get(address + path, allow_redirects=False, timeout=60)
        taken = (time.perf_counter() - started) * 1000
        if answer.status_code not in (200, 204) and "/app/find/" not in path:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        if number >= WARM_UP:
            seen.milliseconds.append(taken)
            seen.largest = max(seen.largest, len(answer.content))
    return seen


def _table(pages: dict[str, tuple[Seen, Seen]], attempts: int, database: str) -> list[str]:
    """Prints what was seen; the aims that were missed."""
    requested = len(next(iter(pages.values()))[1].milliseconds)
    print(f"\n{database}, {attempts:,} attempts, {requested} requests a page, 4 viewers")
    print(f"{'page':<26}{'median':>9}{'p95':>9}{'KB':>7}{f'median at {SMALL:,}':>20}{'ratio':>8}")
    missed = []
    for name, (small, seen) in pages.items():
        before = small.usual
        ratio = seen.usual / before
        print(
            f"{name:<26}{seen.usual:>7.0f}ms{seen.p95:>7.0f}ms{seen.largest / 1000:>7.0f}{before:>18.0f}ms{ratio:>8.2f}"
        )
        if seen.p95 > P95_MS:
            missed.append(f"{name} p95 {seen.p95:.0f} ms")
        if seen.largest > PAGE_BYTES:
            missed.append(f"{name} {seen.largest / 1000:.0f} KB")
        if ratio > SLOWER and seen.usual - before > NOISE_MS:
            missed.append(f"{name} {ratio:.1f} times slower than at {SMALL:,}")
    return missed


# ── What it runs on ──────────────────────────────────────────────────────────────────────────────────────────────────
@contextmanager
def _database(server: str, folder: str, attempts: int) -> Iterator[str]:
    """The address of a database of our own: empty and gone afterwards, or kept as an earlier run left it."""
    if not server:
        yield f"sqlite:///{KEEP or folder}/tab-{attempts}.sqlite3"
        return
    name = f"viaduct_bench_{'kept' if KEEP else os.getpid()}_{attempts}"
    with psycopg.connect(server, autocommit=True) as control:
        if not control.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            control.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            if not KEEP:
                control.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _environment(url: str) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": url,
        "ENV_FILE": os.devnull,
        "DEBUG": "false",
        "SECRET_KEY": "only-for-benchmarks-" + "k" * 50,
        "FIELD_KEYS": "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMhISE=",
        "FINGERPRINT_KEY": "only-for-benchmarks-" + "p" * 50,
        "REDIS_URL": "",
        "LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }


def _run(environ: dict[str, str], module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environ, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip().splitlines()[-1]


@contextmanager
def _web(environ: dict[str, str]) -> Iterator[str]:
    """The web server as the Procfile starts it."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", "--host", "127.0.0.1",
        "--port", str(port), "--workers", "2", "--blocking-threads", "4", "--no-access-log", "--log-level", "warning",
        "config.wsgi:application",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, env=environ)
    try:
        _wait(f"http://127.0.0.1:{port}/app/login/")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait(address: str) -> None:
    for _ in range(300):
        try:
            requests.get(address, timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the web server did not start")


if __name__ == "__main__":
    sys.exit(main())
