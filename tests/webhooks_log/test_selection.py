"""The filter in the address: what is read, what is left out, and bounds in time found by the id."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.webhooks_log import shop
from webhooks_log.selection import Selection, bound, id_after, id_before, newest, read
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
def test_ids_around_a_moment_are_found_with_a_few_looks(django_assert_max_num_queries):
    klaviyo = shop.connection(shop.merchant())
    rows = [shop.delivery(klaviyo, created_at=shop.NOON + timedelta(hours=hour)) for hour in range(60)]
    for gap in (5, 6, 7, 30, 50):
        rows.pop(gap).delete()
    for minutes in range(-90, 62 * 60, 37):
        at = shop.NOON + timedelta(minutes=minutes)
        with django_assert_max_num_queries(16):
            low, high = id_before(at), id_after(at)
        after = [row.pk for row in rows if row.created_at >= at]
        before = [row.pk for row in rows if row.created_at < at]
        assert low <= min(after, default=low)
        assert high > max(before, default=0)


@pytest.mark.django_db
def test_bounds_in_time_leave_out_exactly_what_lies_outside():
    klaviyo = shop.connection(shop.merchant())
    rows = [shop.delivery(klaviyo, created_at=shop.NOON + timedelta(minutes=20 * step)) for step in range(150)]
    viewer = Viewer(shop.person(klaviyo.merchant))
    found = newest(Selection(since="2026-03-03", until="2026-03-03"), viewer, limit=200)
    midnight = datetime(2026, 3, 3, 5, tzinfo=UTC)
    expected = [row.pk for row in rows if midnight <= row.created_at < midnight + timedelta(days=1)]
    assert sorted(row.pk for row in found) == expected


@pytest.mark.django_db
def test_without_rows_there_is_nothing_around_a_moment():
    assert (id_before(shop.NOON), id_after(shop.NOON)) == (0, 0)


@pytest.mark.django_db
def test_the_newest_of_several_merchants_come_in_one_order():
    first, second = (shop.connection(shop.merchant()) for _ in range(2))
    user = shop.person(first.merchant)
    user.memberships.create(merchant=second.merchant)
    rows = [shop.delivery(place) for place in (first, second, second, first, second)]
    found = newest(Selection(), Viewer(user), limit=3)
    assert [row.pk for row in found] == [row.pk for row in reversed(rows)][:3]
