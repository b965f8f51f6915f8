"""What would become of an event, asked of the real dispatch."""

import pytest

from connections.models import Merchant
from tests.events.vrio_records import sale
from tests.webhooks_log.inbox import rows, shop
from webhooks_log.preview import preview

pytestmark = pytest.mark.django_db


def test_a_preview_stores_nothing() -> None:
    merchant = shop()
    seen = preview(sale(), merchant)
    assert [found.metric for found in seen.prospects] == ["Placed Order", "Ordered Product", "Started Subscription"]
    assert rows(merchant) == []
    assert not merchant.customers.exists()


def test_a_merchant_without_a_source_may_preview() -> None:
    merchant = Merchant.objects.create(name="New", slug="new")
    seen = preview(sale(), merchant)
    assert (seen.state, seen.reason) == ("ignored", "no_connection")
