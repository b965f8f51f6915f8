"""How fast old bodies and rows go while the engine runs, and what an insert waits meanwhile, on PostgreSQL.

    python -m tests.bench.purge [--messages 200000] [--alone]

A message is five rows of the database: the event (6 KB, as Vrio writes them), the message, its bytes, the call, the
call's bytes; three of them are emptied first. A lane of 64 threads delivers to a sandbox that answers in 150 ms, as
fast as that goes, and a probe inserts events all the time. Then the same messages come once more, and go.

The aims: a million rows in under 30 s, the start of the command included (with few messages that is most of it); an
insert's p99 under 15 ms; the second time the tables are no larger on disk than the first. Exit status 1 where one is
missed; with `--alone` without the lane.
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

from tests.bench.ingest import body
from tests.bench.load import median
from tests.running import ROOT, environment, manage
from tests.servers import Postgres
from tests.twin import Twin

SECONDS, P99_MS, GROWTH = 30.0, 15.0, 1.1

SHOP = """
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
SELECT setval(pg_get_serial_sequence(name, 'id'), {rows})
  FROM unnest(ARRAY['events_event', 'webhooks_log_body', 'webhooks_log_delivery', 'webhooks_log_attempt']) name;
"""
MESSAGES = """
INSERT INTO events_event (id, merchant_id, source_id, authenticated_by, webhook_type, webhook_event, event_id,
       event_date, body, digest, arrivals, last_arrived_at, received_at, request_id, backfill, history, state, reason,
       detail, order_id, transaction_id, order_offer_id, shipment_id, tracking_number)
SELECT n, 1, 1, 'bearer', 'transaction', 'transaction_completed', n::text, '', convert_to('{body}', 'UTF8'),
       sha256(n::text::bytea), 1, now(), now() - interval '60 days', '', false, false, 'dispatched', '', '', '', '',
       '', '', ''
  FROM generate_series(1, {rows}) n;
INSERT INTO webhooks_log_body (id, content, codec, size)
SELECT n, decode(repeat(md5(n::text), 15), 'hex'), 1, 1700 FROM generate_series(1, {rows}) n;
INSERT INTO webhooks_log_delivery (id, merchant_id, connection_id, account_id, event_id, body_id, metric, unique_id,
       path, email, order_id, notes, state, reason, detail, rank, tries, claims, backfill, identity_only, happened_at,
       created_at, updated_at, settled_at, attempt_count, http_status, duration_ms)
SELECT n, 1, 1, 1, n, n, 'Placed Order', n::text, '/api/events', '', '', '[]',
       'delivered', '', '', 0, 0, 0, false, false, now() - interval '60 days', now() - interval '60 days',
       now() - interval '60 days', now() - interval '60 days', 1, 202, 180
  FROM generate_series(1, {rows}) n;
INSERT INTO webhooks_log_attempt (id, delivery_id, body_id, kind, started_at, duration_ms, status, verdict, error,
       klaviyo_request_id, is_late, without_phone, job)
SELECT n, n, n, 'single', now() - interval '60 days', 180, 202, 'accepted', '', md5(n::text), false, false, ''
  FROM generate_series(1, {rows}) n;
INSERT INTO webhooks_log_attemptcontent (attempt_id, packed, codec)
SELECT n, decode(repeat(md5(n::text), 12), 'hex'), 1 FROM generate_series(1, {rows}) n;
DELETE FROM webhooks_log_purgemark
"""
PROBE = """
INSERT INTO events_event (merchant_id, source_id, authenticated_by, webhook_type, webhook_event, event_id, event_date,
       body, digest, arrivals, last_arrived_at, received_at, request_id, backfill, history, state, reason, detail,
       order_id, transaction_id, order_offer_id, shipment_id, tracking_number)
VALUES (1, 1, 'bearer', 'transaction', 'transaction_completed', gen_random_uuid()::text, '', %s, 'x'::bytea, 1, now(),
       now(), '', false, false, 'received', '', '', '', '', '', '', '')
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
        open_shop(server.url, options.messages)
        missed, held = [], []
        for alone in (options.alone, True):
            fill(server.url, options.messages)
            with engine(environ, twin, alone=alone):
                missed += measured("emptied", 3 * options.messages, environ, server.url, twin)
                held.append(size(server.url))
                missed += measured("deleted", 5 * options.messages, environ, server.url, twin, ROW_DAYS="31")
        twin.stop()
    grown = held[1] / held[0]
    print(f"the tables on disk: {held[0] / 1e6:,.0f} MB, the second time {held[1] / 1e6:,.0f} MB")
    missed += [f"the tables grew {grown:.2f} times, at most {GROWTH}"] if grown > GROWTH else []
    print("missed: " + "; ".join(missed) if missed else "every aim is met")
    return 1 if missed else 0


def open_shop(url: str, rows: int) -> None:
    """A merchant with a connection, and keys for what comes beside that many messages."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SHOP.replace("{rows}", str(rows)))


def fill(url: str, rows: int) -> None:
    """That many old messages, and nothing of them purged yet; where some were before, what they left is free again."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(2):  # an index page that one VACUUM emptied is free after the next
            connection.execute("VACUUM")
        for statement in MESSAGES.replace("{rows}", str(rows)).replace("{body}", body(0).decode()).split(";"):
            connection.execute(statement)
            connection.execute("VACUUM ANALYZE")  # else the next one's foreign keys are looked up as in an empty table


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


def measured(what: str, rows: int, environ: dict[str, str], url: str, twin: Twin, **more: str) -> list[str]:
    """Run the command beside a probe; prints a line and returns what was missed."""
    stops, found = Event(), Queue()
    probe = Process(target=insert_all_the_time, args=(url, stops, found))
    probe.start()
    sent, began = calls(twin), time.monotonic()
    manage(environ | more, "prune")
    seconds = time.monotonic() - began
    sent = calls(twin) - sent
    stops.set()
    waits = sorted(found.get())
    probe.join()
    p99 = waits[int(len(waits) * 0.99)]
    print(
        f"{rows:,} rows {what} in {seconds:.1f} s ({rows / seconds:,.0f}/s); an insert beside it: "
        f"median {median(waits):.1f} ms, p99 {p99:.1f} ms, worst {waits[-1]:.1f} ms, {len(waits) / seconds:,.0f}/s; "
        f"the lane: {sent / seconds:.0f} calls/s",
        flush=True,
    )
    allowed = SECONDS * rows / 1_000_000
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
