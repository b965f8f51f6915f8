"""Store what happened, once: one INSERT that counts what it already knows and checks the key a last time.

Between the door's checks and the bell. Whoever calls this gets back rows that are committed.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction

from events.envelope import Envelope

_TRIES = 4
_DEADLOCK = "40P01"


class KeyClosed(Exception):
    """The key was revoked or ran out between the look-up and the INSERT; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request's events come from, and how that was proven. `key_id` is None for a file."""

    merchant_id: int
    source_id: int
    key_id: int | None
    authenticated_by: str
    request_id: str = ""
    backfill: bool = False
    history: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event to be stored: its envelope and its exact bytes."""

    envelope: Envelope
    body: bytes

    @property
    def digest(self) -> bytes:
        """What tells two contents apart: the JSON itself, without the white space around it."""
        return sha256(self.body.strip()).digest()


@dataclass(frozen=True, slots=True)
class Stored:
    """The committed row of an arrival. A duplicate was there before; a conflict has another row's identity."""

    id: int
    is_duplicate: bool
    conflict_of: int | None


def store(origin: Origin, arrivals: Sequence[Arrival], now: datetime) -> list[Stored]:
    """Commit the arrivals, in order, all or none; raises KeyClosed, and OperationalError while the database is away.

    The same content of the same identity is counted on the row it already has. Other content of a known identity gets
    a row of its own that points to the first.
    """
    digests = [arrival.digest for arrival in arrivals]
    copies = Counter(digests)
    contents = dict(zip(reversed(digests), reversed(arrivals), strict=True))
    rows = _persist(origin, [(contents[digest], digest, count) for digest, count in copies.items()], now)
    seen: set[bytes] = set()
    return [_stored(rows[digest], copies[digest], digest in seen or seen.add(digest)) for digest in digests]


def _stored(row: tuple[int, int, int | None], copies: int, is_repeated: bool | None) -> Stored:
    event_id, arrivals, conflict_of = row
    return Stored(event_id, bool(is_repeated) or arrivals > copies, conflict_of)


type _Content = tuple[Arrival, bytes, int]  # with its digest, and how often the request carries it
type _Rows = dict[bytes, tuple[int, int, int | None]]  # digest → id, arrivals, conflict_of


def _persist(origin: Origin, contents: list[_Content], now: datetime) -> _Rows:
    """Repeats what two requests with the same facts at the same moment can do to each other: a unique index that is not
    the statement's own speaks up before the other request's row can be seen, or both wait for each other."""
    for left in reversed(range(_TRIES)):
        try:
            return _insert_waves(origin, contents, now)
        except (IntegrityError, OperationalError) as error:
            if not left or (isinstance(error, OperationalError) and _sqlstate(error) != _DEADLOCK):
                raise
    raise AssertionError("the last try returns or raises")


def _sqlstate(error: Exception) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def _insert_waves(origin: Origin, contents: list[_Content], now: datetime) -> _Rows:
    """One statement, unless the request carries several contents of one identity: the second must see the first."""
    waves: defaultdict[int, list[_Content]] = defaultdict(list)
    known: Counter[Envelope] = Counter()
    for content in contents:
        envelope = content[0].envelope
        identity = Envelope(envelope.webhook_type, envelope.webhook_event, envelope.event_id, "")
        waves[known[identity]].append(content)
        known[identity] += 1
    if len(waves) == 1:
        return _insert(origin, contents, now)
    with transaction.atomic():
        rows: _Rows = {}
        for wave in waves.values():
            rows |= _insert(origin, wave, now)
        return rows


def _insert(origin: Origin, contents: list[_Content], now: datetime) -> _Rows:
    shape, items = _one(*contents[0]) if len(contents) == 1 else _many(contents)
    moment = connection.ops.adapt_datetimefield_value(now)
    alike = [
        origin.merchant_id, origin.source_id, origin.key_id, origin.authenticated_by, moment, moment,
        origin.request_id, origin.backfill, origin.history, origin.source_id,
    ]  # fmt: skip
    gate = [] if origin.key_id is None else [origin.key_id, moment]
    with connection.cursor() as cursor:
        cursor.execute(_sql(connection.vendor, shape, bool(gate)), [*items, *alike, *gate])
        rows = cursor.fetchall()
    if not rows:
        raise KeyClosed
    return {bytes(digest): (event_id, arrivals, conflict_of) for event_id, arrivals, conflict_of, digest in rows}


def _one(arrival: Arrival, digest: bytes, copies: int) -> tuple[str, list[Any]]:
    return "one", [*_texts(arrival), arrival.body, digest, copies]


def _many(contents: list[_Content]) -> tuple[str, list[Any]]:
    """Three parameters however many events there are: all bodies, all digests, and where each body lies."""
    places, start = [], 1
    for arrival, _, copies in contents:
        places.append([*_texts(arrival), start, len(arrival.body), copies])
        start += len(arrival.body)
    bodies = b"".join(arrival.body for arrival, _, _ in contents)
    digests = b"".join(digest for _, digest, _ in contents)
    return "many", [bodies, digests, json.dumps(places)]


def _texts(arrival: Arrival) -> list[str]:
    envelope = arrival.envelope
    return [envelope.webhook_type, envelope.webhook_event, envelope.event_id, envelope.event_date]


_ITEMS = {
    "one": """
        SELECT %s AS webhook_type, %s AS webhook_event, %s AS event_id, %s AS event_date,
               %s AS body, %s AS digest, %s AS copies""",
    "many, sqlite": """
        SELECT value ->> 0 AS webhook_type, value ->> 1 AS webhook_event,
               value ->> 2 AS event_id, value ->> 3 AS event_date,
               substr(%s, value ->> 4, value ->> 5) AS body, substr(%s, key * 32 + 1, 32) AS digest,
               value ->> 6 AS copies
          FROM json_each(%s)""",
    "many, postgresql": """
        SELECT value ->> 0 AS webhook_type, value ->> 1 AS webhook_event,
               value ->> 2 AS event_id, value ->> 3 AS event_date,
               substring(%s FROM (value ->> 4)::int FOR (value ->> 5)::int) AS body,
               substring(%s FROM (nth::int - 1) * 32 + 1 FOR 32) AS digest, (value ->> 6)::int AS copies
          FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS place (value, nth)""",
}
_KEY_IS_OPEN = """EXISTS (
            SELECT 1 FROM connections_apikey AS opened
             WHERE opened.id = %s AND opened.revoked_at IS NULL
               AND (opened.valid_until IS NULL OR opened.valid_until > %s))"""


@cache
def _sql(vendor: str, shape: str, is_gated: bool) -> str:
    """The statement: `shape` is "one" or "many"; gated, it stores nothing for a key that has been closed."""
    return f"""
        WITH item AS ({_ITEMS[shape if shape == "one" else f"many, {vendor}"]})
        INSERT INTO events_event (
            merchant_id, source_id, key_id, authenticated_by, received_at, last_arrived_at, request_id,
            backfill, history, state, reason, detail,
            order_id, transaction_id, order_offer_id, shipment_id, tracking_number,
            webhook_type, webhook_event, event_id, event_date, body, digest, arrivals, conflict_of_id
        )
        SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s,
            'received', '', '', '', '', '', '', '',
            item.webhook_type, item.webhook_event, item.event_id, item.event_date, item.body, item.digest, item.copies,
            (SELECT known.id FROM events_event AS known
              WHERE known.source_id = %s AND known.webhook_type = item.webhook_type
                AND known.webhook_event = item.webhook_event AND known.event_id = item.event_id
                AND known.conflict_of_id IS NULL)
        FROM item WHERE {_KEY_IS_OPEN if is_gated else "true"}
        ON CONFLICT (source_id, webhook_type, webhook_event, event_id, digest) DO UPDATE
            SET arrivals = events_event.arrivals + excluded.arrivals, last_arrived_at = excluded.last_arrived_at
        RETURNING id, arrivals, conflict_of_id, digest"""  # noqa: S608 - nothing but the constants above is put together
