"""Every spelling of one value reads the same."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from events.facts import Broken
from events.vrio.values import flag, identity, moment, money, text

NEW_YORK = "America/New_York"


@pytest.mark.parametrize("nothing", [None, "", "  ", "---", "0000-00-00", "0000-00-00 00:00:00"])
def test_vrio_has_many_words_for_nothing(nothing: Any) -> None:
    assert text({"a": nothing}, "a") == ""


@pytest.mark.parametrize("value", [True, 1, "1", "Yes", "yes", "true"])
def test_yes_is_yes(value: Any) -> None:
    assert flag({"a": value}, "a") is True


@pytest.mark.parametrize("value", [False, 0, "0", "No", "false"])
def test_no_is_no(value: Any) -> None:
    assert flag({"a": value}, "a") is False


def test_neither_is_neither() -> None:
    assert flag({"a": None, "b": "maybe"}, "a", "b", "c") is None


def test_an_id_of_zero_names_nobody() -> None:
    assert identity({"a": "0", "b": 7}, "a", "b") == "7"


@pytest.mark.parametrize(
    ("told", "amount"), [("29.99", "29.99"), (29, "29"), ("1,234.50", "1234.50"), ("$5", "5"), ("-10.00", "-10.00")]
)
def test_money_keeps_its_digits(told: Any, amount: str) -> None:
    assert str(money({"a": told}, "a")) == amount


@pytest.mark.parametrize("told", ["free", "1e999", "NaN", "12,34", "1.2.3"])
def test_what_is_no_amount_breaks_the_record(told: str) -> None:
    with pytest.raises(Broken, match="is not an amount"):
        money({"a": told}, "a")


def test_a_json_number_keeps_its_digits() -> None:
    assert money({"a": Decimal("0.10")}, "a") == Decimal("0.10")


@pytest.mark.parametrize(
    ("told", "utc"),
    [
        ("2025-08-30 08:00:00", datetime(2025, 8, 30, 12, tzinfo=UTC)),
        ("2025-01-30 08:00:00", datetime(2025, 1, 30, 13, tzinfo=UTC)),
        ("2025-11-02 01:30:00", datetime(2025, 11, 2, 5, 30, tzinfo=UTC)),  # comes twice: the first
        ("2025-03-09 02:30:00", datetime(2025, 3, 9, 7, 30, tzinfo=UTC)),  # does not exist: forward
        ("2025-08-30T08:00:00Z", datetime(2025, 8, 30, 8, tzinfo=UTC)),
        ("2025-08-30", datetime(2025, 8, 30, 4, tzinfo=UTC)),
    ],
)
def test_local_times_become_moments(told: str, utc: datetime) -> None:
    read = moment({"a": told}, NEW_YORK, "a")
    assert read is not None
    assert read.astimezone(UTC) == utc  # Python calls an hour that comes twice unequal to any other zone's


@pytest.mark.parametrize("told", ["yesterday", "30.08.2025", "2025-13-01", "1693400000"])
def test_what_is_no_date_breaks_the_record(told: str) -> None:
    with pytest.raises(Broken, match="is not a date"):
        moment({"a": told}, NEW_YORK, "a")


def test_what_no_database_can_hold_is_cleaned_away() -> None:
    assert text({"a": " Jo\0hn \ud800"}, "a") == "John ?"
