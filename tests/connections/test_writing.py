"""Rows written many at once arrive as they are told, whichever way the database takes them."""

from decimal import Decimal

import pytest

from connections.writing import insert_rows
from events.models import Customer, Transaction
from tests.webhooks_log.shop import NOON, customer, event, merchant

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("count", [1, 2, 60])
def test_rows_are_inserted_in_order_with_ids_and_every_kind_of_value(count: int) -> None:
    shop = merchant()
    buyer, told = customer(shop), event(shop)
    rows = [
        Transaction(
            source=told.source,
            vrio_id=f"{number} 'ü\\t\\\\N",
            customer=buyer if number % 2 else None,
            type="Sale",
            is_approved=bool(number % 2),
            is_test=False,
            amount=Decimal(number) / 100 if number else None,
            currency="USD",
            completed_at=NOON,
            facts_at=NOON,
            event=told,
        )
        for number in range(count)
    ]
    insert_rows(rows)
    assert [row.pk for row in rows] == sorted(row.pk for row in rows)
    for row in rows:
        stored = Transaction.objects.get(pk=row.pk)
        for field in Transaction._meta.concrete_fields:
            assert getattr(stored, field.attname) == getattr(row, field.attname)


def test_what_json_does_not_know_is_refused_and_not_written_as_text() -> None:
    shop = merchant()
    told = event(shop)
    row = Customer(
        merchant=shop, source=told.source, vrio_id="7", email="a@klaviyo-demo.com", location={"a": Decimal(1)}
    )
    with pytest.raises(TypeError):
        insert_rows([row])
    assert not Customer.objects.filter(vrio_id="7").exists()
