"""Lifetime value: what remains of a customer's purchases, whatever the order in which they were heard of."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from events.lifetime import lifetime_value

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


@dataclass
class Paid:
    vrio_id: str
    type: str
    amount: Decimal | None
    parent_id: str = ""
    order_id: str = "1253"
    is_approved: bool = True
    is_test: bool = False
    currency: str = "USD"
    completed_at: datetime = NOON


def sale(vrio_id: str, amount: str, **more: object) -> Paid:
    return Paid(vrio_id, "Sale", Decimal(amount), **more)


def taken(kind: str, vrio_id: str, amount: str, parent_id: str = "", **more: object) -> Paid:
    return Paid(vrio_id, kind, Decimal(amount), parent_id, **more)


def test_sales_captures_and_cash_on_delivery_add_up() -> None:
    paid = [sale("1", "10.00"), Paid("2", "Capture", Decimal("5.50")), Paid("3", "COD", Decimal("1"))]
    assert lifetime_value(paid) == Decimal("16.50")


def test_nothing_bought_is_nothing() -> None:
    assert lifetime_value([]) == 0
    assert (
        lifetime_value(
            [Paid("1", "Auth", Decimal(10)), sale("2", "9", is_approved=False), sale("3", "9", is_test=True)]
        )
        == 0
    )


@pytest.mark.parametrize("kind", ["Refund", "Void", "Chargeback", "Returned Check"])
@pytest.mark.parametrize("amount", ["4.00", "-4.00"])
def test_what_is_taken_back_reduces_its_sale(kind: str, amount: str) -> None:
    assert lifetime_value([sale("1", "10.00"), sale("2", "7.00"), taken(kind, "3", amount, "1")]) == Decimal("13.00")


def test_a_sale_never_falls_below_zero() -> None:
    paid = [
        sale("1", "10.00"),
        sale("2", "7.00"),
        taken("Refund", "3", "10.00", "1"),
        taken("Chargeback", "4", "10.00", "1"),
    ]
    assert lifetime_value(paid) == Decimal("7.00")


def test_a_reversal_gives_back_what_its_chargeback_took() -> None:
    paid = [sale("1", "10.00"), taken("Chargeback", "2", "10.00", "1"), taken("Chargeback Reversal", "3", "10.00", "2")]
    assert lifetime_value(paid) == Decimal("10.00")


def test_what_names_no_known_sale_falls_on_its_order() -> None:
    other = sale("9", "20.00", order_id="other")
    assert lifetime_value([sale("1", "10.00"), other, taken("Refund", "2", "4.00", "unknown")]) == Decimal("26.00")


def test_what_belongs_to_nothing_changes_nothing() -> None:
    assert lifetime_value([sale("1", "10.00"), taken("Refund", "2", "4.00", order_id="elsewhere")]) == Decimal("10.00")


def test_one_customer_has_one_currency() -> None:
    later = sale("2", "99.00", currency="EUR", completed_at=NOON + timedelta(days=1))
    assert lifetime_value([later, sale("1", "10.00")]) == Decimal("10.00")


def test_payments_that_name_each_other_end() -> None:
    assert lifetime_value([taken("Refund", "1", "1", "2"), taken("Refund", "2", "1", "1"), sale("3", "5")]) == Decimal(
        3
    )


def test_the_order_of_arrival_does_not_matter() -> None:
    paid = [
        sale("1", "10.00"),
        taken("Chargeback", "2", "10", "1"),
        taken("Chargeback Reversal", "3", "10", "2"),
        taken("Refund", "4", "3", "1"),
    ]
    assert {lifetime_value(order) for order in permutations(paid)} == {Decimal("7.00")}
