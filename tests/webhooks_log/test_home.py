"""The home page: figures from the roll-up, the way to their lists, and the first steps."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.events.vrio_records import shipped
from tests.webhooks_log import inbox
from tests.webhooks_log.shop import connection, delivery, event, merchant, person
from webhooks_log import counts, figures
from webhooks_log.chart import draw
from webhooks_log.figures import SPANS, Column, column_starts
from webhooks_log.models import HourlyCount

pytestmark = pytest.mark.django_db
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def shop():
    return merchant()


@pytest.fixture
def support(client, shop):
    client.force_login(person(shop), backend="django.contrib.auth.backends.ModelBackend")
    return client


def home(client, **query) -> str:
    return client.get(reverse("admin:index"), query).content.decode()


def test_the_figures_are_added_up_from_the_hours(shop):
    to, now = connection(shop), datetime(2026, 3, 2, 17, 30, tzinfo=UTC)
    counts.add(Counter({(shop.pk, to.pk, "Placed Order", "delivered"): 3}), now)
    counts.add(Counter({(shop.pk, to.pk, "Placed Order", "delivered"): 2}), now - timedelta(hours=1))
    counts.add(Counter({(shop.pk, to.pk, "Placed Order", "delivered"): 9}), now - timedelta(days=2))
    columns = figures.columns([shop], SPANS["day"], now, NEW_YORK)
    assert [column.counts["delivered"] for column in columns][-2:] == [2, 3]
    assert sum(column.total for column in columns) == 5


def test_another_merchants_figures_are_not_among_them(shop):
    other, now = merchant(), timezone.now()
    counts.add(Counter({(other.pk, connection(other).pk, "Placed Order", "delivered"): 3}), now)
    assert figures.totals([shop], now - timedelta(days=1)) == {}


def test_days_are_those_of_the_merchant(shop):
    just_after_midnight = datetime(2026, 3, 2, 5, 30, tzinfo=UTC)  # half past midnight in New York
    starts = column_starts(SPANS["month"], just_after_midnight, NEW_YORK)
    assert starts[-1] == datetime(2026, 3, 2, tzinfo=NEW_YORK)
    assert len(starts) == 30


def test_a_day_without_an_hour_and_one_with_an_hour_twice_keep_their_columns():
    spring = column_starts(SPANS["month"], datetime(2026, 3, 10, 12, tzinfo=UTC), NEW_YORK)
    autumn = column_starts(SPANS["day"], datetime(2026, 11, 1, 12, tzinfo=UTC), NEW_YORK)
    assert [start.hour for start in spring] == [0] * 30
    assert len({start.astimezone(UTC) for start in autumn}) == 24


def test_the_scale_of_the_chart_ends_at_a_round_number():
    chart = draw([Column(datetime(2026, 3, 2, tzinfo=UTC), Counter(delivered=37))], SPANS["day"])
    assert [number for _, number in chart.lines] == [0, 20, 40]


def test_who_has_just_begun_is_led_to_the_first_event(support):
    page = home(support)
    assert "Let Vrio in" in page
    assert "Add New Connection" in page


def test_the_steps_go_away_with_the_first_delivered_event(support, shop):
    delivery(connection(shop))
    assert "Let Vrio in" not in home(support)


def test_a_test_event_alone_does_not_end_the_first_run(support, shop):
    delivery(connection(shop), metric="Viaduct Test")
    assert "Let Vrio in" in home(support)


def test_the_steps_lead_to_the_import_of_history(support, shop):
    assert f"{reverse('admin:history_import')}?merchant={shop.slug}" in home(support)


def test_every_number_leads_to_its_list(support, shop):
    """Each number is followed: the list behind it shows what was counted, and nothing of another metric or state."""
    to, now = connection(shop), timezone.now()
    delivery(to, created_at=now, unique_id="there")
    delivery(to, created_at=now, metric="Refunded Order", state="failed", unique_id="elsewhere")
    counts.add(Counter({(shop.pk, to.pk, "Placed Order", "delivered"): 41}), now)
    counts.add(Counter({(shop.pk, to.pk, "Placed Order", "waiting"): 42, (shop.pk, None, "", "received"): 43}), now)
    page = home(support)
    for number, place in ((41, "webhooks"), (42, "webhooks"), (43, "events")):
        links = re.findall(rf'href="([^"]*)"[^>]*>(?:<b>)?{number}<', page)
        assert links, number
        assert all(link.startswith(reverse(f"admin:{place}")) for link in links)
    behind = re.search(r'href="([^"]*)">41<', page.partition("By connection and metric")[2])[1].replace("&amp;", "&")
    assert "Refunded Order" not in support.get(behind).content.decode().partition("data-lines")[2]


def test_what_has_to_wait_for_its_customer_is_counted():
    waiting = inbox.shop()
    inbox.tell(waiting, shipped())
    hours = HourlyCount.objects.filter(merchant=waiting, metric="Fulfilled Order")
    assert list(hours.values_list("outcome", "count")) == [("waiting", 1)]


def test_a_connection_in_trouble_stands_on_top(support, shop):
    connection(shop, "Klaviyo EU", state="key_refused", state_detail="Klaviyo does not accept this private API key.")
    assert "Klaviyo EU: Key refused" in home(support).replace("</strong>", "")


def test_what_is_overdue_is_named(support, shop):
    delivery(connection(shop), state="waiting", next_attempt_at=timezone.now() - timedelta(minutes=20))
    assert "20 min" in home(support)


def test_the_last_event_leads_to_its_deliveries(support, shop):
    row = event(shop)
    assert f"event={row.pk}" in home(support)


def test_a_merchant_that_is_not_ones_own_is_not_found(support):
    assert support.get(reverse("admin:index"), {"merchant": merchant().slug}).status_code == 404


def test_no_row_is_counted_for_the_page(support, shop, django_assert_max_num_queries):
    delivery(connection(shop))
    home(support)
    with django_assert_max_num_queries(20):
        home(support)
