"""Walks a table in ranges of its primary key: short transactions, a rest between two, and a mark of how far it came.

Under the purge. A delete by ranges of the key takes no lock that an insert waits for, and its dead rows are reused;
what must stay for now (because it is still owed) is noted as a range and looked at again on the next walk.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, models, transaction

from webhooks_log.models import PurgeMark

BATCH = 5000
REST_SECONDS = 0.02

Work = Callable[[int, int], bool]  # does the rows with low < id <= high; True if some of them must stay for now


@dataclass(frozen=True, slots=True)
class Walk:
    """A table, oldest row first, up to those whose `moment` is not before `cutoff`.

    `name` is the mark's; with another `members` than last time the walk begins anew, since it may have passed rows that
    belong to it now.
    """

    name: str
    members: str
    table: type[models.Model]
    moment: str
    cutoff: datetime


def walk(way: Walk, work: Work, *, ends_at: float, rest_seconds: float = REST_SECONDS) -> bool:
    """Do what is due, until `ends_at` (monotonic seconds); True when nothing is left to do for now."""
    mark = _mark(way)
    again, stayed = [*mark.left], []
    while (bounds := _next(way, mark.at, again)) is not None:
        if time.monotonic() > ends_at:
            return False
        low, high = bounds
        with transaction.atomic():
            if work(low, high):
                stayed.append([low, high])
            if again:
                again.pop(0)
            mark.at, mark.left = max(mark.at, high), [*again, *stayed]
            mark.save()
        time.sleep(rest_seconds)
    return True


def _mark(way: Walk) -> PurgeMark:
    mark, _ = PurgeMark.objects.get_or_create(name=way.name, defaults={"members": way.members})
    if mark.members != way.members:
        mark.members, mark.at, mark.left = way.members, 0, []
    return mark


def _next(way: Walk, at: int, again: list[list[int]]) -> tuple[int, int] | None:
    """What was left the last time, then onward: at most a batch further, ending with a row that is old enough."""
    if again:
        return again[0][0], again[0][1]
    table, key = way.table._meta.db_table, way.table._meta.pk.column
    sql = f"""
        SELECT MAX({key}) FROM (
            SELECT {key}, {way.moment} FROM {table} WHERE {key} > %s ORDER BY {key} LIMIT {BATCH}
        ) AS ahead WHERE {way.moment} < %s
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [at, connection.ops.adapt_datetimefield_value(way.cutoff)])
        high = cursor.fetchone()[0]
    return None if high is None else (at, high)
