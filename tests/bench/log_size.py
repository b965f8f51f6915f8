"""How large the log is at rest, against one table of plain text with the same calls: `python -m tests.bench.log_size`.

On the database of TEST_DATABASE_URL, else a SQLite file. The messages are those of the demo day, which the dictionary
of `webhooks_log.packing` was not made from; the answers' headers are of the size and kind Klaviyo sends.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.test.runner import DiscoverRunner

import tests.environment  # noqa: F401  loads Django with an environment of its own
from connections.klaviyo.exchange import Exchange
from connections.klaviyo.payloads import render
from events.demo.day import shop_day
from events.facts import Facts, Skipped
from events.profile import event_content, profile_of
from events.translate import known_from, translate
from events.vrio import read
from tests.webhooks_log import shop
from webhooks_log.packing import pack, pack_content

CALLS = 20_000
AIM = 0.5
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
PLAIN = "plain_log"
OURS = ("webhooks_log_attempt", "webhooks_log_attemptcontent", "webhooks_log_body")
SENT = (
    ("Authorization", "Klaviyo-API-Key ****9f3c"),
    ("revision", "2026-10-15"),
    ("Content-Type", "application/vnd.api+json"),
    ("Accept", "application/vnd.api+json"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", "viaduct/0.1.0"),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that both kinds of log take for the same calls, tables and primary keys."""

    ours: int
    plain: int

    @property
    def ratio(self) -> float:
        return self.ours / self.plain


def main() -> None:
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        sizes = measure(CALLS)
    finally:
        runner.teardown_databases(databases)
    print(
        f"{connection.vendor}: {CALLS:,} calls, {sizes.ours / CALLS:,.0f} bytes each as we keep them,"
        f" {sizes.plain / CALLS:,.0f} as plain text; ratio {sizes.ratio:.2f},"
        f" aim {AIM}: {'met' if sizes.ratio <= AIM else 'MISSED'}"
    )


def measure(calls: int) -> Sizes:
    """Write the same calls both ways and look what they take. The database's log must be empty."""
    exchanges = [_exchange(number, body) for number, body in enumerate(_bodies(calls))]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # what was rolled back before still takes its room
            cursor.execute(f"TRUNCATE {', '.join(OURS)}")
        delivery = shop.delivery(shop.connection(shop.merchant())).pk
        _write_plain(cursor, exchanges)
        _write_ours(cursor, exchanges, delivery)
        return Sizes(sum(_size(cursor, table) for table in OURS), _size(cursor, PLAIN))


def _bodies(calls: int) -> list[bytes]:
    """Messages of as many demo days as it takes, each with a customer and ids of its own."""
    bodies: list[bytes] = []
    for seed in range(1, calls):
        for scene in shop_day(seed, NOON, outlet_account="Other1"):
            facts = read(json.dumps(scene.event).encode(), time_zone="America/New_York")
            if not isinstance(facts, Facts):
                continue
            known = known_from(facts)
            messages = translate(facts, known)
            if isinstance(messages, Skipped):
                continue
            profile, _ = profile_of(facts, known)
            bodies += [render(event_content(message, currency="USD"), profile).body for message in messages]
        if len(bodies) >= calls:
            break
    return bodies[:calls]


def _exchange(number: int, body: bytes) -> Exchange:
    return Exchange(
        method="POST",
        url="https://a.klaviyo.com/api/events",
        request_headers=SENT,
        body=body,
        started_at=NOON,
        duration_ms=150,
        status=202,
        response_headers=(
            ("Date", f"Mon, 02 Mar 2026 17:{number // 60 % 60:02}:{number % 60:02} GMT"),
            ("Content-Length", "0"),
            ("Connection", "keep-alive"),
            ("RateLimit-Limit", "350, 350;w=1, 3500;w=60"),
            ("RateLimit-Remaining", str(3500 - number % 3500)),
            ("RateLimit-Reset", str(60 - number % 60)),
            ("X-Klaviyo-Req-Id", f"{number * 2654435761 % 2**32:08x}-4c1d-4e6a-9d3b-{number:012x}"),
            ("CF-RAY", f"{number * 40503 % 2**32:08x}a1b2c3d4-EWR"),
            ("Server", "cloudflare"),
        ),
    )


def _write_plain(cursor: Any, exchanges: list[Exchange]) -> None:
    """What a straightforward log keeps: one row a call, everything as text."""
    cursor.execute(
        f"CREATE TABLE {PLAIN} (id integer PRIMARY KEY, delivery_id bigint, started_at varchar(32),"
        " duration_ms integer, status integer, verdict varchar(40), request_id varchar(64), method varchar(8),"
        " url text, request_headers text, request_body text, response_headers text, response_body text)"
    )
    cursor.executemany(
        f"INSERT INTO {PLAIN} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                number, number, str(call.started_at), call.duration_ms, call.status, "accepted",
                dict(call.response_headers)["X-Klaviyo-Req-Id"], call.method, call.url,
                json.dumps(call.request_headers), call.body.decode(), json.dumps(call.response_headers), "",
            )
            for number, call in enumerate(exchanges)
        ],
    )  # fmt: skip


def _write_ours(cursor: Any, exchanges: list[Exchange], delivery: int) -> None:
    """The same calls in the tables that lanes write."""
    bodies = [(number, *pack(call.body), len(call.body)) for number, call in enumerate(exchanges)]
    cursor.executemany("INSERT INTO webhooks_log_body (id, content, codec, size) VALUES (%s, %s, %s, %s)", bodies)
    cursor.executemany(
        "INSERT INTO webhooks_log_attempt (id, delivery_id, body_id, kind, started_at, duration_ms, status, verdict,"
        " error, klaviyo_request_id, is_late, without_phone, job)"
        " VALUES (%s, %s, %s, 'single', %s, %s, %s, 'accepted', '', %s, %s, %s, '')",
        [
            (
                number, delivery, number, call.started_at, call.duration_ms, call.status,
                dict(call.response_headers)["X-Klaviyo-Req-Id"], False, False,
            )
            for number, call in enumerate(exchanges)
        ],
    )  # fmt: skip
    cursor.executemany(
        "INSERT INTO webhooks_log_attemptcontent (attempt_id, packed, codec) VALUES (%s, %s, %s)",
        [(number, *pack_content(call)) for number, call in enumerate(exchanges)],
    )


def _size(cursor: Any, table: str) -> int:
    """Bytes on disk of the table, of what it keeps out of line, and of its primary key."""
    if connection.vendor == "sqlite":
        cursor.execute("SELECT sum(pgsize) FROM dbstat WHERE name = %s", [table])
        return int(cursor.fetchone()[0])
    cursor.execute("SELECT pg_table_size(%s) + pg_relation_size(%s)", [table, f"{table}_pkey"])
    return int(cursor.fetchone()[0])


if __name__ == "__main__":
    main()
