"""Store what happened, once: one INSERT that counts what it already knows and checks the key a last time.

Between the door's checks and the bell. Whoever calls this gets back rows that are committed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
import psycopg
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper

from events.envelope import Envelope

_TRIES = 10
_DEADLOCK = "40P01"


class KeyClosed(Exception):
    """The key was revoked or ran out between the look-up and the INSERT; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request's events come from, and how that was proven. `key_id` is None for a file."""

    merchant_id: int
    source_id: int
    inbox_id: int
    key_id: int | None
    authenticated_by: str
    request_id: str = ""
    backfill: bool = False
    history: bool = False


class Arrival(NamedTuple):
    """One event to be stored: its envelope and its exact bytes."""

    envelope: Envelope
    body: bytes

    @property
    def digest(self) -> bytes:
        """What tells two contents apart: the JSON itself, without the white space around it."""
        return sha256(self.body.strip(b" \t\r\n")).digest()


class Stored(NamedTuple):
    """The committed row of an arrival. A duplicate was there before; a conflict has another row's identity."""

    id: int
    is_duplicate: bool
    conflict_of: int | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was stored, in the order given, and whether nobody had rung for the inbox, or served it, when the INSERT
    looked."""

    rows: list[Stored]
    is_quiet: bool


def store(origin: Origin, arrivals: Sequence[Arrival], now: datetime) -> Receipt:
    """Commit the arrivals, in order, all or none; raises KeyClosed, and OperationalError while the database is away.

    The same content of the same identity is counted on the row it already has. Other content of a known identity gets
    a row of its own that points to the first.
    """
    digests = [arrival.digest for arrival in arrivals]
    copies = Counter(digests)
    contents = dict(zip(reversed(digests), reversed(arrivals), strict=True))
    rows = _persist(origin, [_Content(contents[digest], digest, copies[digest]) for digest in copies], now)
    seen: set[bytes] = set()
    stored = []
    for digest in digests:
        row = rows[digest]
        stored.append(Stored(row.id, digest in seen or row.arrivals > copies[digest], row.conflict_of))
        seen.add(digest)
    return Receipt(stored, any(row.is_quiet for row in rows.values()))


class _Content(NamedTuple):
    arrival: Arrival
    digest: bytes
    copies: int  # how often the request carries it

    @property
    def texts(self) -> list[str]:
        return [*self.arrival.envelope]


class _Row(NamedTuple):
    id: int
    arrivals: int
    conflict_of: int | None
    is_quiet: bool


type _Rows = dict[bytes, _Row]  # by digest


def _persist(origin: Origin, contents: list[_Content], now: datetime) -> _Rows:
    """One statement that expects new facts and repeats; a list on SQLite, new facts alone. Where an identity is known
    with other content, or another request tells the same facts in this very moment, an index speaks up, and the longer
    way is taken."""
    try:
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            if len(contents) == 1:
                return _insert(origin, contents, now, "one")
            if connection.vendor == "sqlite":
                return _insert_new(origin, contents, now)
            return _insert(origin, contents, now, "many")
    except IntegrityError:
        return _persist_conflicts(origin, contents, now)
    except OperationalError as error:
        if _sqlstate(error) != _DEADLOCK:
            raise
        return _persist_conflicts(origin, contents, now)


def _persist_conflicts(origin: Origin, contents: list[_Content], now: datetime) -> _Rows:
    for left in reversed(range(_TRIES)):
        try:
            with transaction.atomic():
                return _insert_waves(origin, contents, now)
        except (IntegrityError, OperationalError) as error:
            if not left or (isinstance(error, OperationalError) and _sqlstate(error) != _DEADLOCK):
                raise
    raise AssertionError("the last try returns or raises")


def _sqlstate(error: Exception) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def _insert_waves(origin: Origin, contents: list[_Content], now: datetime) -> _Rows:
    """Where one request carries several contents of one identity, the second must see the first."""
    waves: defaultdict[int, list[_Content]] = defaultdict(list)
    known: Counter[tuple[str, ...]] = Counter()
    for content in contents:
        identity = tuple(content.texts[:3])
        waves[known[identity]].append(content)
        known[identity] += 1
    rows: _Rows = {}
    for wave in waves.values():
        # In one order everywhere, so that two who tell the same facts do not wait for each other in a circle.
        ordered = sorted(wave, key=lambda content: (*content.texts[:3], content.digest))
        rows |= _insert(origin, ordered, now, "conflicts")
    return rows


def _insert_new(origin: Origin, contents: list[_Content], now: datetime) -> _Rows:
    """Facts of which none is known yet, in one step: each row told back is a step of its own on SQLite, and at each of
    them this thread waits for Python's lock while the others wait for the file's."""
    with connection.cursor() as cursor:
        cursor.execute(_sql("sqlite", "new", origin.key_id is not None), _parameters(origin, contents, now, "new"))
        if not cursor.rowcount:
            raise KeyClosed
        first = cursor.lastrowid - len(contents) + 1  # ids are given one after the other, in the order of the list
        cursor.execute(_IS_QUIET, [connection.ops.adapt_datetimefield_value(now), origin.inbox_id])
        (is_quiet,) = cursor.fetchone()
    return {content.digest: _Row(pk, content.copies, None, is_quiet) for pk, content in enumerate(contents, first)}


def _insert(origin: Origin, contents: list[_Content], now: datetime, shape: str) -> _Rows:
    with _cursor() as cursor:
        cursor.execute(
            _sql(connection.vendor, shape, origin.key_id is not None), _parameters(origin, contents, now, shape)
        )
        rows = cursor.fetchall()
    if not rows:
        raise KeyClosed
    return {bytes(digest): _Row(*values) for digest, *values in rows}


def _parameters(origin: Origin, contents: list[_Content], now: datetime, shape: str) -> list[Any]:
    moment = connection.ops.adapt_datetimefield_value(now)
    return [
        origin.merchant_id, origin.source_id, origin.key_id, origin.authenticated_by, moment, moment,
        origin.request_id, origin.backfill, origin.history,
        *_items(origin, contents, shape),
        *([] if origin.key_id is None else [origin.key_id, moment]),
        *([] if shape == "new" else [moment, origin.inbox_id]),
    ]  # fmt: skip


@contextmanager
def _cursor() -> Iterator[CursorWrapper]:
    """Django's cursor; on PostgreSQL with parameters bound by the server, which so parses and plans the statement once
    per connection. That halves what an INSERT costs there."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            connection.connection.prepare_threshold = 0
            cursor.cursor = psycopg.Cursor(connection.connection)
        yield cursor


def _items(origin: Origin, contents: list[_Content], shape: str) -> list[Any]:
    """One event's own values; or, however many they are, all bodies, all digests, and where each body lies."""
    if shape == "one":
        content = contents[0]
        return [*content.texts, content.arrival.body, content.digest, content.copies]
    places, start = [], 1
    for content in contents:
        size = len(content.arrival.body)
        places.append([*content.texts, start, size, content.copies])
        start += size
    bodies = b"".join(content.arrival.body for content in contents)
    digests = b"".join(content.digest for content in contents)
    source = [origin.source_id] if shape == "conflicts" else []
    return [bodies, digests, *source, orjson.dumps(places).decode()]


_TEXTS = "item.value ->> 0, item.value ->> 1, item.value ->> 2, item.value ->> 3"
_MANY = {
    "sqlite": f"""{_TEXTS}, substr(%s, item.value ->> 4, item.value ->> 5), substr(%s, item.key * 32 + 1, 32),
                  item.value ->> 6, {{conflict_of}}
             FROM json_each(%s) AS item""",
    "postgresql": f"""{_TEXTS}, substring(%s::bytea FROM (item.value ->> 4)::int FOR (item.value ->> 5)::int),
                  substring(%s::bytea FROM (item.nth::int - 1) * 32 + 1 FOR 32), (item.value ->> 6)::int,
                  {{conflict_of}}
             FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS item (value, nth)""",
}
_FIRST_OF_IDENTITY = """(
            SELECT known.id FROM events_event AS known
             WHERE known.source_id = %s AND known.webhook_type = item.value ->> 0
               AND known.webhook_event = item.value ->> 1 AND known.event_id = item.value ->> 2
               AND known.conflict_of_id IS NULL)"""
_KEY_IS_OPEN = """EXISTS (
            SELECT 1 FROM connections_apikey AS opened
             WHERE opened.id = %s AND opened.revoked_at IS NULL
               AND (opened.valid_until IS NULL OR opened.valid_until > %s))"""

_IS_QUIET = """
            SELECT inbox.rung_at IS NULL AND (inbox.leased_until IS NULL OR inbox.leased_until < %s)
              FROM events_inbox AS inbox WHERE inbox.id = %s"""
_COUNTS_KNOWN = f"""ON CONFLICT (source_id, webhook_type, webhook_event, event_id, digest) DO UPDATE
            SET arrivals = events_event.arrivals + excluded.arrivals, last_arrived_at = excluded.last_arrived_at
        RETURNING digest, id, arrivals, conflict_of_id, ({_IS_QUIET})"""


@cache
def _sql(vendor: str, shape: str, is_gated: bool) -> str:
    """The statement: `shape` is "one", "many", "new", which fails where something is known, or "conflicts", which looks
    for the first row of each identity. Gated, it stores nothing for a key that has been closed."""
    conflict_of = _FIRST_OF_IDENTITY if shape == "conflicts" else "NULL"
    items = "%s, %s, %s, %s, %s, %s, %s, NULL" if shape == "one" else _MANY[vendor].format(conflict_of=conflict_of)
    return f"""
        INSERT INTO events_event (
            merchant_id, source_id, key_id, authenticated_by, received_at, last_arrived_at, request_id,
            backfill, history, state, reason, detail,
            order_id, transaction_id, order_offer_id, shipment_id, tracking_number,
            webhook_type, webhook_event, event_id, event_date, body, digest, arrivals, conflict_of_id
        )
        SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s,
               'received', '', '', '', '', '', '', '',
               {items}
         WHERE {_KEY_IS_OPEN if is_gated else "true"}
        {"" if shape == "new" else _COUNTS_KNOWN}
    """
