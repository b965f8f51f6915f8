"""Lets things go when their time is over: bodies first, rows much later, each merchant by its own clocks.

Beside the corridor, rung by the clock through the queue, or run by `manage.py prune`. Nothing that is still owed goes:
a message that waits keeps its bytes, and so does the event it was made from. An event that the mirror of the shop is
built on loses its body but not its row.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from connections import brakes
from connections.models import Merchant
from events import refusals
from events.models import Event, Subscription, SubscriptionStatus, Transaction
from webhooks_log import notices, refused_phones
from webhooks_log.models import Attempt, AttemptContent, Body, Delivery, HourlyCount, Note
from webhooks_log.walk import REST_SECONDS, Walk, walk

SLICE_SECONDS = 5.0  # a turn of the queue: dispatch and lanes need its processes too
COUNTS_AT_LEAST = timedelta(days=400)  # the year's chart needs them


@dataclass(frozen=True, slots=True)
class Clock:
    """The merchants whose things are kept for so many days: a condition on `merchant_id`, and when the time is over."""

    days: int
    members: str
    condition: str
    cutoff: datetime


def purge(*, now: datetime | None = None, seconds: float = SLICE_SECONDS, rest_seconds: float = REST_SECONDS) -> bool:
    """Let go whatever is due, for at most `seconds`; True when nothing is left to do for now."""
    now, ends_at = now or timezone.now(), time.monotonic() + seconds
    small_things(now)
    return all(walk(way, work, ends_at=ends_at, rest_seconds=rest_seconds) for way, work in _walks(now))


def small_things(now: datetime) -> None:
    """What is few and has no clock of its own: refusals, notices, sessions, sign-ins, the roll-up's oldest hours."""
    refusals.prune(now)
    refused_phones.forget_old(now=now)
    notices.prune(now)
    brakes.prune(now)
    Session.objects.filter(expire_date__lt=now).delete()
    for log in (AccessAttempt, AccessFailureLog, AccessLog):
        log.objects.filter(attempt_time__lt=now - timedelta(days=settings.BODY_DAYS)).delete()
    for clock in clocks(now, "row_days", settings.ROW_DAYS):
        of_clock = HourlyCount.objects.extra(where=[clock.condition])  # noqa: S610  # our own numbers only
        of_clock.filter(hour__lt=min(clock.cutoff, now - COUNTS_AT_LEAST)).delete()


def clocks(now: datetime, field: str, default: int) -> list[Clock]:
    """Merchants by how long they keep a thing: those with a number of their own, and all others."""
    own: dict[int, list[int]] = defaultdict(list)
    for pk, days in Merchant.objects.exclude(**{field: None}).order_by("pk").values_list("pk", field):
        own[days].append(pk)
    special = ", ".join(str(pk) for pks in own.values() for pk in pks)
    found = [_clock(days, f"merchant_id IN ({', '.join(map(str, pks))})", now) for days, pks in sorted(own.items())]
    return [*found, _clock(default, f"merchant_id NOT IN ({special})" if special else "1 = 1", now)]


def _clock(days: int, condition: str, now: datetime) -> Clock:
    return Clock(days, f"{days}: {condition}", condition, now - timedelta(days=days))


def _walks(now: datetime) -> Iterator[tuple[Walk, Callable[[int, int], bool]]]:
    """Rows before bodies: what goes altogether need not be emptied first."""
    for clock in clocks(now, "row_days", settings.ROW_DAYS):
        yield _way("rows of deliveries", clock, Delivery), lambda low, high, c=clock: delete_deliveries(c, low, high)
        yield _way("rows of events", clock, Event), lambda low, high, c=clock: delete_events(c, low, high)
    for clock in clocks(now, "body_days", settings.BODY_DAYS):
        yield _way("deliveries", clock, Delivery), lambda low, high, c=clock: empty_deliveries(c, now, low, high)
        yield _way("events", clock, Event), lambda low, high, c=clock: empty_events(c, low, high)


def _way(what: str, clock: Clock, table: type[Delivery | Event]) -> Walk:
    moment = "created_at" if table is Delivery else "received_at"
    kind = "default" if " IN " not in clock.condition or "NOT IN" in clock.condition else str(clock.days)
    return Walk(f"{what}, {kind}", clock.members, table, moment, clock.cutoff)


# ── One range of Deliveries or Events ────────────────────────────────────────────────────────────────────────────────
_DELIVERY, _ATTEMPT, _CONTENT, _BODY, _EVENT, _NOTE = (
    model._meta.db_table for model in (Delivery, Attempt, AttemptContent, Body, Event, Note)
)
_MIRROR = (Transaction, Subscription, SubscriptionStatus)
_OPEN = ("queued", "sending", "waiting")
_CLOSED = ("delivered", "failed", "skipped")


def empty_deliveries(clock: Clock, now: datetime, low: int, high: int) -> bool:
    """Bytes of settled messages and of the calls made for them; True if a message of the range is not due yet."""
    old, bounds = _old_deliveries(clock, low, high)
    of_attempts = f"SELECT id, body_id FROM {_ATTEMPT} WHERE delivery_id IN (SELECT id FROM {_DELIVERY} WHERE {old})"
    moment = _moment(now)
    _run(
        f"""UPDATE {_CONTENT} SET packed = NULL, expired_at = %s
             WHERE packed IS NOT NULL AND attempt_id IN (SELECT id FROM ({of_attempts}) AS mine)""",
        [moment, *bounds],
    )
    _run(
        f"""UPDATE {_BODY} SET content = NULL, expired_at = %s
             WHERE content IS NOT NULL AND id IN (
                   SELECT body_id FROM ({of_attempts}) AS mine
                    UNION SELECT body_id FROM {_DELIVERY} WHERE {old})""",
        [moment, *bounds, *bounds],
    )
    _run(f"UPDATE {_DELIVERY} SET draft = NULL WHERE draft IS NOT NULL AND {old}", bounds)
    return _stays(_DELIVERY, clock, low, high, old, bounds)


def delete_deliveries(clock: Clock, low: int, high: int) -> bool:
    """Settled Deliveries with everything that hangs on them; True if one of the range stays."""
    old, bounds = _old_deliveries(clock, low, high)
    mine = f"SELECT id FROM {_DELIVERY} WHERE {old}"
    attempts = f"SELECT id FROM {_ATTEMPT} WHERE delivery_id IN ({mine})"
    bodies = f"SELECT body_id FROM {_ATTEMPT} WHERE delivery_id IN ({mine})"
    _run(
        f"DELETE FROM {_BODY} WHERE id IN ({bodies} UNION SELECT body_id FROM {_DELIVERY} WHERE {old})",
        [*bounds, *bounds],
    )
    _run(f"DELETE FROM {_CONTENT} WHERE attempt_id IN ({attempts})", bounds)
    _run(f"DELETE FROM {_ATTEMPT} WHERE delivery_id IN ({mine})", bounds)
    _run(f"DELETE FROM {_NOTE} WHERE delivery_id IN ({mine})", bounds)
    _run(f"DELETE FROM {_DELIVERY} WHERE {old}", bounds)
    return _stays(_DELIVERY, clock, low, high, old, bounds)


def empty_events(clock: Clock, low: int, high: int) -> bool:
    """Bodies of dispatched Events; an empty body is one that expired, since none is received empty."""
    old, bounds = _old_events(clock, low, high)
    _run(f"UPDATE {_EVENT} SET body = %s WHERE {_length('body')} > 0 AND {old}", [b"", *bounds])
    return _stays(_EVENT, clock, low, high, old, bounds)


def delete_events(clock: Clock, low: int, high: int) -> bool:
    """Events that nothing names any more; True if a Delivery of one still stands, or one waits for a decision."""
    old, bounds = _old_events(clock, low, high, with_deliveries=_OPEN + _CLOSED)
    named_by = [f"SELECT 1 FROM {_EVENT} AS twin WHERE twin.conflict_of_id = {_EVENT}.id"]
    named_by += [f"SELECT 1 FROM {model._meta.db_table} WHERE event_id = {_EVENT}.id" for model in _MIRROR]
    unnamed = " AND ".join(f"NOT EXISTS ({query})" for query in named_by)
    _run(f"DELETE FROM {_EVENT} WHERE {old} AND {unnamed}", bounds)
    return _stays(_EVENT, clock, low, high, old, bounds)


def _old_deliveries(clock: Clock, low: int, high: int) -> tuple[str, list[Any]]:
    condition = f"id > %s AND id <= %s AND {clock.condition} AND state IN {_CLOSED} AND updated_at < %s"
    return condition, [low, high, _moment(clock.cutoff)]


def _old_events(clock: Clock, low: int, high: int, *, with_deliveries: tuple[str, ...] = ()) -> tuple[str, list[Any]]:
    kept = f"SELECT 1 FROM {_DELIVERY} WHERE event_id = {_EVENT}.id AND state IN {with_deliveries or _OPEN}"
    condition = f"""id > %s AND id <= %s AND {clock.condition} AND state IN ('dispatched', 'ignored')
                    AND received_at < %s AND NOT EXISTS ({kept})"""
    return condition, [low, high, _moment(clock.cutoff)]


def _stays(table: str, clock: Clock, low: int, high: int, old: str, bounds: list[Any]) -> bool:
    sql = f"SELECT 1 FROM {table} WHERE id > %s AND id <= %s AND {clock.condition} AND NOT ({old}) LIMIT 1"
    with connection.cursor() as cursor:
        cursor.execute(sql, [low, high, *bounds])
        return cursor.fetchone() is not None


def _length(column: str) -> str:
    return f"octet_length({column})" if connection.vendor == "postgresql" else f"length({column})"


def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _run(sql: str, parameters: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
