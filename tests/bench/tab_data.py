"""Loads a database for the benchmark of the Webhooks tab: twenty uneven merchants, written by the database itself.

Started by `tests.bench.tab` with the environment it should have; prints what the viewers look at as one JSON object.
A database that holds this very data already is only brought to the newest schema and not loaded again. Half of
everything belongs to one merchant, one customer has thousands of Deliveries, one metric is nearly never heard.
"""

import argparse
import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from connections.klaviyo.client import MAX_ANSWER_BYTES  # noqa: E402
from connections.klaviyo.exchange import Exchange  # noqa: E402
from connections.models import Connection, KlaviyoAccount, Membership, Merchant, Source  # noqa: E402
from webhooks_log.models import Attempt, AttemptContent, Body, Delivery, Heartbeat  # noqa: E402
from webhooks_log.packing import pack, pack_content, unpack  # noqa: E402

MERCHANTS, VIEWERS, SAMPLES = 20, 4, 64
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = 20_000_000  # the span over which the rows are spread
HEAVY_CUSTOMER = 2
MARK = "bench-tab"
RECIPE = "3"  # another number whenever the rows are made otherwise: what was loaded by an older one is refused
HOSTILE = (
    b'{"a": "' + b"x" * 10_000_000 + b'"}',
    b"[" * 1000 + b"]" * 1000,
    bytes(range(256)) * 4000,
    b'{"{{ request.user }}": "</pre><script>alert(1)</script>", "x-data": "@click=alert(1)"}',
    b'{"k": [' + b",".join(b'{"n": 1.10}' for _ in range(10_000)) + b"]}",
)
IS_SQLITE = connection.vendor == "sqlite"
TABLES = (
    "events_customer", "events_event", "webhooks_log_body", "webhooks_log_delivery", "webhooks_log_attempt",
    "webhooks_log_attemptcontent",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--attempts", type=int, required=True)
    attempts = parser.parse_args().attempts
    call_command("migrate", verbosity=0)
    deliveries = attempts * 10 // 11
    people = max(200, min(200_000, deliveries // 20))
    if not _is_loaded(attempts):
        people_and_shops()
        with connection.cursor() as cursor, _without_indexes(cursor):
            load(cursor, deliveries, people)
        _mark_loaded(attempts)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print(json.dumps(targets(deliveries, people)))


def _is_loaded(attempts: int) -> bool:
    """Whether a run before this one loaded the same; SystemExit where it loaded something else, or broke off."""
    found = Heartbeat.objects.filter(name=MARK).first()
    if found is None and Merchant.objects.exists():
        raise SystemExit("A load broke off in this database: drop it.")
    if found is not None and found.detail != {"attempts": attempts, "recipe": RECIPE}:
        raise SystemExit(f"This database holds {found.detail}: drop it.")
    return found is not None


def _mark_loaded(attempts: int) -> None:
    Heartbeat.objects.create(name=MARK, at=BEGINNING, detail={"attempts": attempts, "recipe": RECIPE})


def people_and_shops() -> None:
    """The merchants, and four people of support at the largest of them."""
    users = [get_user_model().objects.create_user(f"viewer{number}", password=None) for number in range(VIEWERS)]
    for number in range(1, MERCHANTS + 1):
        merchant = Merchant.objects.create(pk=number, name=f"Shop {number}", slug=f"shop-{number}")
        Source.objects.create(pk=number, merchant=merchant, name="Vrio")
        account = KlaviyoAccount.objects.create(pk=number)
        for kind in (0, 1):
            Connection.objects.create(
                pk=number * 2 + kind, merchant=merchant, account=account, name=f"Klaviyo {'AB'[kind]}"
            )
    for user in users:
        Membership.objects.create(user=user, merchant_id=1)


# ── Rows, by the database itself ─────────────────────────────────────────────────────────────────────────────────────
def load(cursor: Any, deliveries: int, people: int) -> None:
    """All rows: `deliveries` of them, a tenth with a second Attempt, a third as many events, this many customers."""
    events = deliveries // 3 + 1
    kind = "BLOB" if IS_SQLITE else "bytea"
    cursor.execute(f"CREATE TEMPORARY TABLE sample (n integer, body {kind}, packed {kind})")
    for number in range(SAMPLES):
        cursor.execute("INSERT INTO sample VALUES (%s, %s, %s)", [number, *_sample(number)])
    noon = _moment("0")
    _insert(cursor, "events_customer", people, {
        "id": "i", "merchant_id": _merchant("i"), "source_id": _merchant("i"), "vrio_id": "'c' || i",
        "email": "'person' || i || '@klaviyo-demo.com'", "first_name": "'Sam' || i % 1000",
        "last_name": "'Mason' || i",
        "phone": "''", "phone_e164": "'+1555' || (1000000 + i)", "location": "'{}'", "tracking": "'{}'",
        "has_full_history": _no(), "named_at": noon, "first_seen_at": noon,
    })  # fmt: skip
    every = max(2, min(2_000, events // 40) // 2 * 2)  # so often an event is the heavy customer's
    told = _customer("i", people, every)
    at = _moment(f"i * {SECONDS / events}")
    _insert(cursor, "events_event", events, {
        "id": "i", "merchant_id": _merchant(told), "source_id": _merchant(told), "authenticated_by": "'bearer'",
        "webhook_type": "'transaction'", "webhook_event": "'transaction_completed'", "event_id": "'evt' || i",
        "event_date": "''", "body": _blob('{"webhook_type": "transaction"}'), "digest": _blob("0" * 32),
        "arrivals": "1",
        "last_arrived_at": at, "received_at": at, "request_id": "''", "backfill": _no(), "history": _no(),
        "state": "'dispatched'", "reason": "''", "detail": "''", "dispatched_at": at, "happened_at": at,
        "customer_id": told, "order_id": "'o' || i", "transaction_id": "'t' || i", "order_offer_id": "''",
        "shipment_id": "''", "tracking_number": "'track' || i",
    })  # fmt: skip
    _insert(cursor, "webhooks_log_body", deliveries, {
        "id": "i", "content": "sample.body", "codec": "1", "size": "1800",
    }, f"JOIN sample ON sample.n = i % {SAMPLES}")  # fmt: skip
    event = "(1 + i / 3)"
    told, at = _customer(event, people, every), _moment(f"i * {SECONDS / deliveries}")
    _insert(cursor, "webhooks_log_delivery", deliveries, {
        "id": "i", "merchant_id": _merchant(told), "connection_id": f"{_merchant(told)} * 2 + i % 2",
        "account_id": _merchant(told), "event_id": event, "customer_id": told, "metric": _metric(),
        "unique_id": "'u' || i", "path": "'/api/events'", "body_id": "i",
        "email": f"'person' || {told} || '@klaviyo-demo.com'",
        "order_id": f"'o' || {event}", "notes": "'[]'",
        "state": _case("'failed'", "'waiting'", "'skipped'", "'delivered'"),
        "reason": _case("'rejected'", "'retrying'", "'campaign_excluded'", "''"), "detail": "''", "rank": "0",
        "tries": "1", "claims": "0", "backfill": _no(), "identity_only": _no(), "happened_at": at, "created_at": at,
        "updated_at": at, "settled_at": at, "attempt_count": f"1 + {_second()}",
        "http_status": _case("400", "503", "NULL", "202"), "duration_ms": "150 + i % 100",
        "phone_dropped_at": f"CASE WHEN i % 100 = 3 THEN {at} END",
    })  # fmt: skip
    for first, numbers in ((0, deliveries), (deliveries, deliveries // 10)):
        row = "i" if not first else "(i * 10)"
        _insert(cursor, "webhooks_log_attempt", numbers, {
            "id": f"{first} + i", "delivery_id": row, "kind": "'single'",
            "started_at": _moment(f"{row} * {SECONDS / deliveries}"),
            "duration_ms": "150 + i % 100", "status": "202", "verdict": "'accepted'", "error": "''",
            "klaviyo_request_id": f"'req-' || ({first} + i)",
            "is_late": _no(), "without_phone": _no(), "job": "''",
        })  # fmt: skip
        _insert(cursor, "webhooks_log_attemptcontent", numbers, {
            "attempt_id": f"{first} + i", "packed": "sample.packed", "codec": "1",
        }, f"JOIN sample ON sample.n = i % {SAMPLES}")  # fmt: skip


def _insert(cursor: Any, table: str, count: int, columns: dict[str, str], join: str = "") -> None:
    series = (
        f"WITH RECURSIVE series(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM series WHERE i < {count}) "
        if IS_SQLITE
        else f"WITH series AS (SELECT i FROM generate_series(1::bigint, {count}) AS i) "
    )
    values = ", ".join(columns.values())
    cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {series} SELECT {values} FROM series {join}")


def _customer(event: str, people: int, every: int) -> str:
    """Whose event it is: spread over everybody, and some of the one who buys without end."""
    return f"(CASE WHEN {event} % {every} = 0 THEN {HEAVY_CUSTOMER} ELSE 1 + ({event} * 7919) % {people} END)"


def _merchant(customer: str) -> str:
    """Half of all customers are the first merchant's."""
    return f"(CASE WHEN {customer} % 2 = 0 THEN 1 ELSE 2 + ({customer} / 2) % {MERCHANTS - 1} END)"


def _metric() -> str:
    return (
        "CASE WHEN i % 50000 = 8 THEN 'Order Chargeback' WHEN i % 3 = 0 THEN 'Placed Order' "
        "WHEN i % 3 = 1 THEN 'Ordered Product' ELSE 'Started Subscription' END"
    )


def _case(failed: str, waiting: str, skipped: str, rest: str) -> str:
    return (
        f"CASE WHEN i % 50 = 1 THEN {failed} WHEN i % 200 = 7 THEN {waiting} WHEN i % 20 = 9 THEN {skipped} "
        f"ELSE {rest} END"
    )


def _second() -> str:
    return "CASE WHEN i % 10 = 0 THEN 1 ELSE 0 END"


def _moment(seconds: str) -> str:
    if IS_SQLITE:
        shift = f"'+' || CAST({seconds} AS INTEGER) || ' seconds'"
        return f"strftime('%Y-%m-%d %H:%M:%f', '{BEGINNING:%Y-%m-%d}', {shift}) || '000'"
    return f"(timestamptz '{BEGINNING.isoformat()}' + ({seconds}) * interval '1 second')"


def _no() -> str:
    return "0" if IS_SQLITE else "false"


def _blob(text: str) -> str:
    return f"CAST('{text}' AS BLOB)" if IS_SQLITE else f"convert_to('{text}', 'UTF8')"


def _sample(number: int) -> tuple[bytes, bytes]:
    """A packed message and a packed exchange of ordinary size, each a little different."""
    draw = Random(number)
    item = {
        "OfferName": "Monthly Vitamins",
        "ItemName": "Vitamin D3",
        "SKU": f"SKU-{draw.randrange(10**6)}",
        "Quantity": "1",
    }
    properties = {
        "OrderId": str(draw.randrange(10**6)),
        "Items": [item | {"ItemPrice": f"{draw.random() * 99:.2f}"}] * 6,
    }
    profile = {"email": f"person{number}@klaviyo-demo.com", "first_name": "Sam", "properties": {"CLV": "150.00"}}
    body = json.dumps(
        {"data": {"type": "event", "attributes": {"properties": properties, "profile": profile}}}
    ).encode()
    return pack(body)[0], pack_content(_exchange(body, draw))[0]


def _exchange(body: bytes, draw: Random, answer: bytes = b"") -> Exchange:
    return Exchange(
        method="POST",
        url="https://a.klaviyo.com/api/events",
        request_headers=(("Authorization", "Klaviyo-API-Key ****9f3c"), ("revision", "2026-10-15")),
        body=body,
        started_at=BEGINNING,
        duration_ms=150,
        status=400 if answer else 202,
        response_headers=tuple((f"X-Header-{place}", str(draw.random())) for place in range(8)),
        answer=answer,
    )


# ── Around the load ──────────────────────────────────────────────────────────────────────────────────────────────────
@contextmanager
def _without_indexes(cursor: Any) -> Any:
    """Loads several times faster; every index and constraint is there again before anybody looks."""
    if IS_SQLITE:
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.execute("BEGIN")
        yield
        cursor.execute("COMMIT")
        return
    cursor.execute(
        "SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '512MB'"
    )
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname NOT IN"
        " (SELECT conname FROM pg_constraint)",
        [list(TABLES)],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    for _, definition in indexes:
        cursor.execute(definition)


def targets(deliveries: int, people: int) -> dict[str, Any]:
    """Sessions to look with, and ids of the first merchant's to look at."""
    users = get_user_model().objects.filter(username__startswith="viewer").order_by("pk")
    mine = Delivery.objects.filter(merchant_id=1)
    draw = Random(7)
    picked = [
        mine.filter(pk__gte=draw.randrange(1, deliveries)).order_by("pk").values_list("pk", "order_id").first()
        for _ in range(60)
    ]
    return {
        "cookie": settings.SESSION_COOKIE_NAME,
        "sessions": [_session(user) for user in users],
        "customers": [2 * draw.randrange(1, people // 2) for _ in range(60)],
        "heavy": HEAVY_CUSTOMER,
        "deliveries": [found[0] for found in picked if found],
        "orders": [found[1] for found in picked if found],
        "hostile": _hostile(deliveries),
        "bytes": _bytes(),
    }


def _hostile(deliveries: int) -> list[int]:
    """Deliveries whose message and answer mean no good, newest of all; written once."""
    pks = []
    for number, content in enumerate(HOSTILE, 1):
        pks.append(pk := deliveries + number)
        if Delivery.objects.filter(pk=pk).exists():
            continue
        packed, codec = pack(content)
        Body.objects.create(pk=pk, content=packed, codec=codec, size=len(content))
        told = {"metric": "Placed Order", "unique_id": f"hostile{number}", "path": "/api/events", "body_id": pk}
        state = {"state": "failed", "reason": "rejected", "attempt_count": 1, "http_status": 400, "duration_ms": 150}
        at = BEGINNING + timedelta(seconds=SECONDS)
        when = {"happened_at": at, "created_at": at, "updated_at": at, "settled_at": at}
        owner = {"merchant_id": 1, "connection_id": 3, "account_id": 1, "event_id": 1, "customer_id": HEAVY_CUSTOMER}
        Delivery.objects.create(pk=pk, **owner, **told, **state, **when)
        call = {"started_at": at, "duration_ms": 150, "status": 400, "verdict": "rejected"}
        attempt = Attempt.objects.create(pk=2 * deliveries + number, delivery_id=pk, body_id=pk, **call)
        packed, codec = pack_content(_exchange(content, Random(number), answer=content[:MAX_ANSWER_BYTES]))
        AttemptContent.objects.create(attempt=attempt, packed=packed, codec=codec)
    return pks


def _bytes() -> dict[str, list[int]]:
    """What messages and exchanges cost at rest, and as plain text."""
    bodies = [(row.content, row.codec) for row in Body.objects.order_by("pk")[:SAMPLES]]
    contents = [(row.packed, row.codec) for row in AttemptContent.objects.order_by("pk")[:SAMPLES]]
    return {
        name: [sum(len(packed) for packed, _ in rows), sum(len(unpack(bytes(packed), codec)) for packed, codec in rows)]
        for name, rows in (("messages", bodies), ("exchanges", contents))
    }


def _session(user: Any) -> str:
    session = SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session.session_key


if __name__ == "__main__":
    main()
