"""How fast old bodies and rows go while the engine runs, and what an insert waits meanwhile, on PostgreSQL.

    python -m tests.bench.purge [--messages 200000] [--alone]

A message is five rows of the database: the event, the message, its bytes, the call, the call's bytes; three of them are
emptied first. A lane of 64 threads delivers to a sandbox that answers in 150 ms, as fast as that goes, and a probe
inserts events all the time. The aim: a million rows in under 30 s, an insert's p99 under 15 ms. Exit status 1 where it
is missed; with `--alone` without the lane.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Event, Process, Queue
from typing import Any

import psycopg

from tests.bench.load import median
from tests.running import ROOT, environment, manage
from tests.servers import Postgres
from tests.twin import Twin

SECONDS, P99_MS = 30.0, 15.0
START_SECONDS = 2.0  # of the command itself

SEED = """
INSERT INTO connections_merchant (name, slug, time_zone, currency, country, requires_two_factor, created_at)
     VALUES ('Bench', 'bench', 'UTC', 'USD', 'US', false, now());
INSERT INTO connections_source (merchant_id, name, dialect, created_at) SELECT id, 'Vrio', 'v1', now()
  FROM connections_merchant;
INSERT INTO connections_klaviyoaccount (lease_token, lease_holder, name, budget, breaker_state, breaker, created_at)
     VALUES (0, '', 'Bench', '{}', 'closed', '{}', now());
INSERT INTO connections_connection (merchant_id, account_id, provider, name, key_hint, key_fingerprint, public_key,
       push_events, is_active, send_test_orders, state, state_detail, check_result, check_due_at,
       held_families, created_at)
SELECT m.id, a.id, 'klaviyo', 'K', '', '', '', true, true, false, 'connected', '', '{}', now(), '[]', now()
  FROM connections_merchant m, connections_klaviyoaccount a;
INSERT INTO events_event (merchant_id, source_id, authenticated_by, webhook_type, webhook_event, event_id, event_date,
       body, digest, arrivals, last_arrived_at, received_at, request_id, backfill, history, state, reason, detail,
       order_id, transaction_id, order_offer_id, shipment_id, tracking_number)
SELECT s.merchant_id, s.id, 'bearer', 'transaction', 'transaction_completed', n::text, '',
       decode(repeat(md5(n::text), 60), 'hex'),
       sha256(n::text::bytea), 1, now(), now() - interval '60 days', '', false, false, 'dispatched', '', '', '', '',
       '', '', ''
  FROM connections_source s, generate_series(1, {rows}) n;
INSERT INTO webhooks_log_body (content, codec, size)
SELECT decode(repeat(md5(n::text), 15), 'hex'), 1, 1700 FROM generate_series(1, {rows}) n;
INSERT INTO webhooks_log_delivery (merchant_id, connection_id, account_id, event_id, body_id, metric, unique_id,
       path, email, order_id, notes, state, reason, detail, rank, tries, claims, backfill, identity_only, happened_at,
       created_at, updated_at, settled_at, attempt_count, http_status, duration_ms)
SELECT c.merchant_id, c.id, c.account_id, n, n, 'Placed Order', n::text, '/api/events', '', '', '[]',
       'delivered', '', '', 0, 0, 0, false, false, now() - interval '60 days', now() - interval '60 days',
       now() - interval '60 days', now() - interval '60 days', 1, 202, 180
  FROM connections_connection c, generate_series(1, {rows}) n;
INSERT INTO webhooks_log_attempt (delivery_id, body_id, kind, started_at, duration_ms, status, verdict, error,
       klaviyo_request_id, is_late, without_phone, job)
SELECT n, n, 'single', now() - interval '60 days', 180, 202, 'accepted', '', md5(n::text), false, false, ''
  FROM generate_series(1, {rows}) n;
INSERT INTO webhooks_log_attemptcontent (attempt_id, packed, codec)
SELECT n, decode(repeat(md5(n::text), 12), 'hex'), 1 FROM generate_series(1, {rows}) n;
"""
PROBE = """
INSERT INTO events_event (merchant_id, source_id, authenticated_by, webhook_type, webhook_event, event_id, event_date,
       body, digest, arrivals, last_arrived_at, received_at, request_id, backfill, history, state, reason, detail,
       order_id, transaction_id, order_offer_id, shipment_id, tracking_number)
SELECT merchant_id, id, 'bearer', 'transaction', 'transaction_completed', gen_random_uuid()::text, '', %s, 'x'::bytea,
       1, now(), now(), '', false, false, 'received', '', '', '', '', '', '', ''
  FROM connections_source LIMIT 1
"""
TABLES = ("events_event", *(f"webhooks_log_{name}" for name in ("delivery", "body", "attempt", "attemptcontent")))
FULL_SPEED = {"BUDGET_ENABLED": "false", "LANE_BULK_ABOVE": "100000000", "LANE_THREADS": "64"}
LATENCY_MS, BACKLOG = 150, 40_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    with Postgres() as server:
        twin = Twin()
        twin.settings(limits="off", store_requests=False, latency_ms=LATENCY_MS)
        environ = environment(server.url, KLAVIYO_BASE_URL=twin.url, **FULL_SPEED)
        manage(environ, "migrate", "-v", "0")
        seed(server.url, options.messages)
        with engine(environ, twin, alone=options.alone):
            missed = [
                *measured("emptied", 3 * options.messages, environ, server.url, twin),
                *measured("deleted", 5 * options.messages, environ, server.url, twin, ROW_DAYS="31"),
            ]
        twin.stop()
    print("missed: " + "; ".join(missed) if missed else "every aim is met")
    return 1 if missed else 0


@contextmanager
def engine(environ: dict[str, str], twin: Twin, *, alone: bool) -> Iterator[None]:
    """A lane that delivers a backlog for as long as the block lasts."""
    if alone:
        yield
        return
    child = [sys.executable, "-m", "tests.bench.delivery_child"]
    subprocess.run([*child, "fill", "--rows", str(BACKLOG)], env=environ, cwd=ROOT, check=True, capture_output=True)
    running = subprocess.Popen([*child, "pump", "--seconds", "600"], env=environ, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        time.sleep(3)
        before = calls(twin)
        time.sleep(5)
        print(f"without a purge the lane makes {(calls(twin) - before) / 5:.0f} calls/s", flush=True)
        yield
    finally:
        running.kill()
        running.wait()


def calls(twin: Twin) -> int:
    return sum(twin.state()["answers"].values())


def size(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) name", [[*TABLES]]
        )
        return int(rows.fetchone()[0])  # type: ignore[index]


def seed(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SEED.replace("{rows}", str(rows)))
        connection.execute("VACUUM ANALYZE")


def measured(what: str, rows: int, environ: dict[str, str], url: str, twin: Twin, **more: str) -> list[str]:
    """Run the command beside a probe; prints a line and returns what was missed."""
    stops, found = Event(), Queue()
    probe = Process(target=insert_all_the_time, args=(url, stops, found))
    probe.start()
    sent, held, began = calls(twin), size(url), time.monotonic()
    manage(environ | more, "prune")
    seconds = time.monotonic() - began
    sent, grown = calls(twin) - sent, size(url) / held - 1
    stops.set()
    waits = sorted(found.get())
    probe.join()
    p99 = waits[int(len(waits) * 0.99)]
    print(
        f"{rows:,} rows {what} in {seconds:.1f} s ({rows / seconds:,.0f}/s); an insert beside it: "
        f"median {median(waits):.1f} ms, p99 {p99:.1f} ms, worst {waits[-1]:.1f} ms, {len(waits) / seconds:,.0f}/s; "
        f"the lane: {sent / seconds:.0f} calls/s; the tables on disk: {grown:+.0%}",
        flush=True,
    )
    allowed = START_SECONDS + SECONDS * rows / 1_000_000
    slow = [f"{what} took {seconds:.1f} s, at most {allowed:.1f}"] if seconds > allowed else []
    return slow + ([f"{what}: insert p99 {p99:.1f} ms, at most {P99_MS}"] if p99 > P99_MS else [])


def insert_all_the_time(url: str, stops: Any, found: Any) -> None:
    """About three hundred inserts a second, as a busy lane makes; each one's milliseconds."""
    waits, content = [], os.urandom(1700)
    with psycopg.connect(url, autocommit=True) as connection:
        while not stops.is_set():
            began = time.perf_counter()
            connection.execute(PROBE, [content])
            waits.append((time.perf_counter() - began) * 1000)
            time.sleep(0.003)
    found.put(waits)


if __name__ == "__main__":
    sys.exit(main())
