"""The filter in the address: what is read, what is left out, and bounds in time found by the id."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.webhooks_log import shop
from webhooks_log.selection import Selection, bound, first_id_at, newest, read
from webhooks_log.viewer import Viewer

NEW_YORK = ZoneInfo("America/New_York")


def test_what_cannot_be_meant_is_left_out():
    found = read({"state": "nope", "http": "7xx", "phone": "1", "connection": "-1", "customer": "x", "order": " 77 "})
    assert found == Selection(order="77")


def test_the_path_wins_over_the_address():
    assert read({"customer": "9", "merchant": "other"}, customer=5, merchant="").customer == 5


def test_a_selection_is_its_own_address():
    selection = Selection(merchant="vita", connection=3, state="failed", order="a&b=c")
    assert selection.as_query() == "merchant=vita&connection=3&order=a%26b%3Dc&state=failed"


@pytest.mark.parametrize(
    ("text", "is_end", "expected"),
    [
        ("2026-03-02", False, datetime(2026, 3, 2, 5, tzinfo=UTC)),
        ("2026-03-02", True, datetime(2026, 3, 3, 5, tzinfo=UTC)),
        ("2026-03-02T12:00", False, datetime(2026, 3, 2, 17, tzinfo=UTC)),
        ("2026-03-02T12:00", True, datetime(2026, 3, 2, 17, 1, tzinfo=UTC)),
        ("2026-03-08", False, datetime(2026, 3, 8, 5, tzinfo=UTC)),  # the day the clocks change has 23 hours
        ("2026-03-08", True, datetime(2026, 3, 9, 4, tzinfo=UTC)),
        ("2026-02-30", False, None),
        ("9999-12-31", True, datetime(9999, 12, 31, 5, tzinfo=UTC)),
        ("yesterday", False, None),
        ("", False, None),
    ],
)
def test_bounds_are_days_of_the_merchants_zone(text, is_end, expected):
    assert bound(text, NEW_YORK, is_end=is_end) == expected


@pytest.mark.django_db
def test_the_first_id_of_a_moment_is_found_by_halving(django_assert_max_num_queries):
    klaviyo = shop.connection(shop.merchant())
    rows = [shop.delivery(klaviyo, created_at=shop.NOON + timedelta(hours=hour)) for hour in range(40)]
    for gap in (5, 6, 7, 30):
        rows[gap].attempts.all().delete()
        rows[gap].delete()
    with django_assert_max_num_queries(9):
        assert first_id_at(shop.NOON + timedelta(hours=20)) == rows[20].pk
    after_a_gap = first_id_at(shop.NOON + timedelta(hours=5, minutes=1))
    assert rows[4].pk < after_a_gap <= rows[8].pk
    assert first_id_at(shop.NOON - timedelta(days=9)) <= rows[0].pk
    assert first_id_at(shop.NOON + timedelta(days=9)) == rows[39].pk + 1


@pytest.mark.django_db
def test_no_rows_at_all_have_no_first_id():
    assert first_id_at(shop.NOON) == 0


@pytest.mark.django_db
def test_the_newest_of_several_merchants_come_in_one_order():
    first, second = (shop.connection(shop.merchant()) for _ in range(2))
    user = shop.person(first.merchant)
    user.memberships.create(merchant=second.merchant)
    rows = [shop.delivery(place) for place in (first, second, second, first, second)]
    found = newest(Selection(), Viewer(user), limit=3)
    assert [row.pk for row in found] == [row.pk for row in reversed(rows)][:3]
