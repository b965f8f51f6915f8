"""The looks that run many times a second go by the indexes made for them, however long the table of messages is."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from connections.models import KlaviyoAccount
from connections.turns import Turn
from webhooks_log import batch, claim, outbox

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, tzinfo=UTC)

ASKED = {
    "due": lambda: claim.is_anything_due(1, NOW),
    "due to be claimed": lambda: claim.claim(Turn(KlaviyoAccount, 1, 1), [1, 2], 100, now=NOW),
    "due of any account": lambda: claim.due_accounts(NOW, mine=[1], limit=3),
    "told_once": lambda: outbox.TOLD.rows(connections=[1], metrics=["Placed Order"], ids=["1", "2"]),
    "delivery_by_customer": lambda: batch.UNNAMED_OF.rows(customers=[1, 2]),
    "delivery_by_order": lambda: batch.UNPLACED_OF.rows(merchant=1, orders=["1", "2"]),
}


@pytest.mark.parametrize("what", ASKED)
def test_the_index_is_used(what: str) -> None:
    plan = planned(ASKED[what])
    assert what.partition(" ")[0] in plan, plan


def planned(ask) -> str:
    """How the database finds what `ask` looks for; PostgreSQL is told that the table is not as small as it is."""
    asked = []

    def note(execute, sql, params, many, context):
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        ask()
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    plan = []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        for sql, params in asked:
            if sql.startswith("SELECT"):
                cursor.execute(f"{explain} {sql}", params)
                plan += [row[-1] for row in cursor.fetchall()]
    return "\n".join(plan)
