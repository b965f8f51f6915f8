"""The hourly roll-up behind the charts: added to by dispatch and lanes in their own transactions.

Beside the corridor; the home page reads it, so that no page counts raw rows.
"""

from collections import Counter
from datetime import datetime
from typing import Any

from django.db import connection

from webhooks_log.models import HourlyCount

What = tuple[int, int | None, str, str]  # merchant, connection, metric, outcome

_TABLE = HourlyCount._meta.db_table
_ADD = f"""
    INSERT INTO {_TABLE} (merchant_id, connection_id, metric, outcome, hour, count) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (merchant_id, hour, outcome, connection_id, metric) WHERE connection_id IS NOT NULL
    DO UPDATE SET count = {_TABLE}.count + excluded.count
"""
_ADD_TO_MERCHANT = f"""
    INSERT INTO {_TABLE} (merchant_id, connection_id, metric, outcome, hour, count) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (merchant_id, hour, outcome, metric) WHERE connection_id IS NULL
    DO UPDATE SET count = {_TABLE}.count + excluded.count
"""


def add(counted: Counter[What], now: datetime) -> None:
    """Add these counts to the hour of `now`; call it inside the transaction that made them true."""
    hour = connection.ops.adapt_datetimefield_value(now.replace(minute=0, second=0, microsecond=0))
    # In one order everywhere, so that two writers never wait for each other in a circle.
    rows = sorted(counted.items(), key=lambda item: (item[0][0], item[0][1] or 0, *item[0][2:]))
    of_connections = [(*what, hour, count) for what, count in rows if what[1] is not None]
    of_merchants = [(*what, hour, count) for what, count in rows if what[1] is None]
    _execute(_ADD, of_connections)
    _execute(_ADD_TO_MERCHANT, of_merchants)


def _execute(statement: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)
