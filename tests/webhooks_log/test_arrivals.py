"""The list of what Vrio sent, and pages under odd addresses."""

import pytest
from django.urls import reverse

from tests.webhooks_log import shop

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
ODD = (
    "before=x",
    "before=-1",
    "before=99999999999999999999",
    "merchant=",
    "state=%00",
    "since=%00",
    "http=%F0",
    "order=%00",
)


def test_events_that_led_to_nothing_are_listed_with_their_reason(support, klaviyo):
    shop.event(klaviyo.merchant, state="ignored", detail="Klaviyo has no event for this.")
    shop.event(klaviyo.merchant, state="held")
    shop.event(shop.merchant("Other"), event_id="theirs")
    shown = support.get(reverse("admin:events")).content.decode()
    assert "Klaviyo has no event for this." in shown
    assert "theirs" not in shown
    assert len(support.get(f"{reverse('admin:events')}?state=held").context["found"]) == 1


def test_older_events_by_keyset(support, klaviyo):
    rows = [shop.event(klaviyo.merchant, b"%d" % number) for number in range(52)]
    first = support.get(reverse("admin:events"))
    assert [line["event"].pk for line in first.context["found"]] == [row.pk for row in reversed(rows)][:50]
    older = support.get(reverse("admin:events") + first.context["older"])
    assert [line["event"].pk for line in older.context["found"]] == [rows[1].pk, rows[0].pk]


@pytest.mark.parametrize("query", ODD)
@pytest.mark.parametrize("name", ["events", "webhooks", "customers", "webhooks_live", "replays", "find"])
def test_no_address_is_an_error(support, klaviyo, name, query):
    shop.delivery(klaviyo, shop.customer(klaviyo.merchant))
    assert support.get(f"{reverse(f'admin:{name}')}?{query}").status_code in (200, 204, 302)


def test_another_merchant_in_a_customers_address_changes_nothing(support, klaviyo):
    sarah = shop.customer(klaviyo.merchant)
    other = shop.merchant("Other")
    for name in ("customer", "customer_webhooks", "why_customer"):
        address = reverse(f"admin:{name}", args=(sarah.pk,))
        assert support.get(f"{address}?merchant={other.slug}").status_code == 200
