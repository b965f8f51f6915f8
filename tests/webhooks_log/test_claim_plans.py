"""The looks that run many times a second go by the indexes made for them, in a log of which a tenth is due."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from connections.models import KlaviyoAccount
from connections.turns import Turn
from tests.bench import tab_data
from webhooks_log import batch, claim, outbox
from webhooks_log.models import Delivery

DELIVERIES, PEOPLE = 5_000, 500
NOW = datetime(2026, 3, 1, tzinfo=UTC)

ASKED = {
    "due": lambda: claim.is_anything_due(1, NOW),
    "due to be claimed": lambda: claim.claim(Turn(KlaviyoAccount, 1, 1), [2, 3], 100, now=NOW),
    "due of any account": lambda: claim.due_accounts(NOW, mine=[1], limit=3),
    "told_once": lambda: outbox.TOLD.rows(connections=[2, 3], metrics=["Placed Order"], ids=["1", "2"]),
    "delivery_by_customer": lambda: batch.UNNAMED_OF.rows(customers=[1, 2]),
    "delivery_by_order": lambda: batch.UNPLACED_OF.rows(merchant=1, orders=["1", "2"]),
}


@pytest.fixture
def log(db: None) -> None:
    tab_data.people_and_shops()
    with connection.cursor() as cursor:
        tab_data.load(cursor, DELIVERIES, PEOPLE)
        Delivery.objects.filter(id__lte=DELIVERIES // 10).update(state="queued", next_attempt_at=NOW)
        if connection.vendor == "postgresql":  # what `connections.statistics` does; SQLite is never counted
            cursor.execute("ANALYZE")


def test_the_indexes_are_used(log: None) -> None:
    plans = {what: planned(ask) for what, ask in ASKED.items()}
    assert {what: plan for what, plan in plans.items() if what.partition(" ")[0] not in plan} == {}


def planned(ask) -> str:
    """How the database finds what `ask` looks for."""
    asked = []

    def note(execute, sql, params, many, context):
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        ask()
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    plan = []
    with connection.cursor() as cursor:
        for sql, params in asked:
            if sql.startswith("SELECT"):
                cursor.execute(f"{explain} {sql}", params)
                plan += [row[-1] for row in cursor.fetchall()]
    return "\n".join(plan)
