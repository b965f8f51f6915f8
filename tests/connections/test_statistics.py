"""A table that grows quickly is counted before PostgreSQL's own minute is over."""

import pytest
from django.db import connection

from connections import statistics
from connections.models import Merchant

pytestmark = pytest.mark.django_db(transaction=True)


def grown_by(rows: int) -> None:
    Merchant.objects.bulk_create([Merchant(slug=f"shop-{number}", name="Shop") for number in range(rows)])
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # else it tells others a second later
            cursor.execute("SELECT pg_stat_force_next_flush()")


def known_rows() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'connections_merchant'")
        return cursor.fetchone()[0]


def test_what_has_outgrown_its_count_is_counted_once() -> None:
    grown_by(statistics.FEWEST + 1)
    counted = statistics.refresh()
    if connection.vendor == "sqlite":
        assert counted == []
        return
    assert "connections_merchant" in counted
    assert known_rows() >= statistics.FEWEST + 1
    assert "connections_merchant" not in statistics.refresh()


def test_a_few_rows_are_not_worth_a_look() -> None:
    grown_by(20)
    assert "connections_merchant" not in statistics.refresh()


def test_many_changes_of_few_rows_are_none_either() -> None:
    grown_by(20)
    for number in range(statistics.FEWEST // 20 + 1):
        Merchant.objects.update(name=f"Shop {number}")
    grown_by(0)
    assert "connections_merchant" not in statistics.refresh()
