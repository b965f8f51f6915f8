"""Words from values: money, numbers, intervals."""

from decimal import Decimal

import pytest

from events.fields import days_between_charges, money_text, number_text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("29.99", "29.99"),
        ("150", "150.00"),
        ("0.5", "0.50"),
        ("29.9900", "29.99"),
        ("0.125", "0.125"),
        ("1E+2", "100.00"),
    ],
)
def test_money_has_at_least_two_decimals(amount: str, text: str) -> None:
    assert money_text(Decimal(amount)) == text


@pytest.mark.parametrize(("number", "text"), [("1", "1"), ("1.00", "1"), ("10", "10"), ("2.50", "2.5")])
def test_a_quantity_has_no_empty_decimals(number: str, text: str) -> None:
    assert number_text(Decimal(number)) == text


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("Monthly", 30),
        ("monthly", 30),
        ("Weekly", 7),
        ("Bi-Weekly", 14),
        ("Biweekly", 14),
        ("Every 2 Weeks", 14),
        ("Every Other Week", 14),
        ("Every Month", 30),
        ("Every 45 Days", 45),
        ("30-Day", 30),
        ("Monthly / 30-Day Recurring", 30),
        ("Every 3 Months", 90),
        ("Every 12 Months", 365),
        ("Quarterly", 90),
        ("Semi-Annually", 180),
        ("Yearly", 365),
        ("Annually", 365),
        ("One Time", None),
        ("", None),
        ("Every 0 Days", None),
    ],
)
def test_an_interval_is_told_in_days(name: str, days: int | None) -> None:
    assert days_between_charges(name) == days
