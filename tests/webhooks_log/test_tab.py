"""The Webhooks tab: what stands on it, whose it is, and what it costs."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.webhooks_log import shop
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db


def test_the_tab_lists_every_column_in_words(support, klaviyo, sarah):
    shop.refused_phone(klaviyo, sarah)
    html = support.get(reverse("admin:customer_webhooks", args=(sarah.pk,))).content.decode()
    for words in (
        "Placed Order",
        "order 1253",
        "Klaviyo Production",
        "Accepted by Klaviyo",
        "202",
        "182 ms",
        "phone dropped",
    ):
        assert words in html
    assert "Mar 2, 12:00:02" in html  # the merchant's clock, not UTC


def test_a_waiting_row_says_when_it_is_tried_next(support, klaviyo, sarah):
    soon = timezone.now() + timedelta(minutes=5, seconds=30)
    shop.delivery(klaviyo, sarah, state="waiting", reason="retrying", next_attempt_at=soon, attempt_count=3)
    line = support.get(reverse("admin:customer_webhooks", args=(sarah.pk,))).context["lines"][0]
    assert (line.state, line.tries, line.next_in) == ("Waiting", 3, "in 5 min")
    assert line.next_try


def test_a_skipped_row_says_why(support, klaviyo, sarah):
    shop.delivery(klaviyo, sarah, state="skipped", reason="campaign_excluded")
    html = support.get(reverse("admin:customer_webhooks", args=(sarah.pk,))).content.decode()
    assert "The campaign is not among those this connection sends." in html


def test_newest_first_and_older_by_keyset(support, klaviyo, sarah):
    rows = [shop.delivery(klaviyo, sarah) for _ in range(52)]
    address = reverse("admin:customer_webhooks", args=(sarah.pk,))
    first = support.get(address)
    assert _ids(first) == [row.pk for row in reversed(rows)][:50]
    older = support.get(address + f"?before={rows[2].pk}")
    assert _ids(older) == [rows[1].pk, rows[0].pk]
    assert f'href="?before={rows[2].pk}"' in first.content.decode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=failed", {"failed"}),
        ("metric=Ordered+Product", {"product"}),
        ("metric=-", {"profile"}),
        ("http=4xx", {"failed"}),
        ("http=2xx", {"product"}),
        ("http=none", {"silent"}),
        ("phone=dropped", {"product"}),
        ("since=2026-03-03", {"profile"}),
        ("until=2026-03-02", {"failed", "product", "silent"}),
        ("order=77", {"silent"}),
        ("state=nonsense", {"failed", "product", "profile", "silent"}),
    ],
)
def test_filters_stand_in_the_address(support, klaviyo, query, expected):
    shop.delivery(klaviyo, unique_id="failed", state="failed", http_status=400, attempt_count=1)
    shop.delivery(
        klaviyo,
        unique_id="product",
        metric="Ordered Product",
        http_status=202,
        attempt_count=1,
        phone_dropped_at=shop.NOON,
    )
    shop.delivery(klaviyo, unique_id="silent", state="waiting", order_id="77", attempt_count=2)
    shop.delivery(klaviyo, unique_id="profile", metric="", created_at=shop.NOON + timedelta(days=1))
    found = _ids(support.get(f"{reverse('admin:webhooks')}?{query}"))
    assert set(Delivery.objects.filter(pk__in=found).values_list("unique_id", flat=True)) == expected


def test_a_stranger_sees_nothing(client, klaviyo, sarah):
    row = shop.refused_phone(klaviyo, sarah)
    client.force_login(shop.person(shop.merchant("Other")), backend="django.contrib.auth.backends.ModelBackend")
    assert _ids(client.get(reverse("admin:webhooks"))) == []
    for address in _addresses(row):
        assert client.get(address).status_code == 404, address


def test_without_a_place_there_is_no_page_at_all(client, klaviyo, sarah):
    row = shop.refused_phone(klaviyo, sarah)
    client.force_login(shop.person(), backend="django.contrib.auth.backends.ModelBackend")
    for address in [reverse("admin:webhooks"), *_addresses(row)]:
        assert client.get(address).status_code == 302, address


def test_a_foreign_connection_or_merchant_in_the_address_is_not_found(support):
    other = shop.connection(shop.merchant("Other"))
    assert support.get(f"{reverse('admin:webhooks')}?connection={other.pk}").status_code == 404
    assert support.get(f"{reverse('admin:webhooks')}?merchant={other.merchant.slug}").status_code == 404


def test_a_person_of_two_merchants_sees_both_newest_first(client, klaviyo):
    second = shop.connection(shop.merchant("Second"))
    user = shop.person(klaviyo.merchant)
    user.memberships.create(merchant=second.merchant)
    rows = [shop.delivery(place) for place in (klaviyo, second, klaviyo)]
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert _ids(client.get(reverse("admin:webhooks"))) == [row.pk for row in reversed(rows)]
    only = client.get(f"{reverse('admin:webhooks')}?merchant={second.merchant.slug}")
    assert _ids(only) == [rows[1].pk]


def test_the_page_is_light_and_asks_little(support, klaviyo, sarah, django_assert_max_num_queries):
    for _ in range(60):
        shop.delivery(klaviyo, sarah, state="waiting", reason="retrying", next_attempt_at=shop.NOON)
    address = reverse("admin:customer_webhooks", args=(sarah.pk,))
    support.get(address)
    with django_assert_max_num_queries(24) as queries:
        html = support.get(address).content
    assert len(html) < 100_000
    asked = [query["sql"] for query in queries.captured_queries]
    assert len([sql for sql in asked if 'FROM "webhooks_log_delivery"' in sql]) == 1
    assert not [sql for sql in asked if "COUNT(" in sql.upper() or "OFFSET" in sql.upper()]


def _addresses(row: Delivery) -> list[str]:
    attempt = row.attempts.first()
    pages = [("customer", row.customer_id), ("customer_webhooks", row.customer_id), ("why_customer", row.customer_id)]
    pages += [("delivery", row.pk), ("delivery_opened", row.pk), ("delivery_message", row.pk)]
    pages += [(name, attempt.pk) for name in ("attempt_opened", "attempt_request", "attempt_answer", "attempt_curl")]
    pages += [("event", row.event_id), ("event_opened", row.event_id), ("event_body", row.event_id)]
    return [reverse(f"admin:{name}", args=(pk,)) for name, pk in pages]


def _ids(answer: Any) -> list[int]:
    assert answer.status_code == 200
    return [line.pk for line in answer.context["lines"]]
