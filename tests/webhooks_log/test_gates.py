"""The gates at the moment of sending: a switch or a filter that changed after dispatch still counts."""

import pytest
from django.utils import timezone

from connections.models import Campaign
from events.models import Customer, Suppression
from tests.events.vrio_records import sale
from tests.twin import Twin
from tests.webhooks_log.inbox import rows, tell
from tests.webhooks_log.inbox import shop as dispatched_shop
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    settings.LANE_THREADS = 4
    return Shop(twin)


def only_campaign(shop: Shop, vrio_id: str) -> None:
    shop.connection.campaigns.set([Campaign.objects.create(merchant=shop.merchant, vrio_id=vrio_id)])


def ends(*deliveries: Delivery) -> list[tuple[str, str]]:
    for delivery in deliveries:
        delivery.refresh_from_db()
    return [(delivery.state, delivery.reason) for delivery in deliveries]


def test_dispatch_notes_the_campaign() -> None:
    merchant = dispatched_shop()
    tell(merchant, sale(order={"campaign_id": "12"}))
    assert {row.campaign_id for row in rows(merchant)} == {"12"}


def test_a_filter_set_after_dispatch_applies_to_what_has_not_left(shop: Shop, twin: Twin) -> None:
    wanted, unwanted = shop.owe("1", campaign_id="12"), shop.owe("2", campaign_id="13")
    only_campaign(shop, "12")
    pump(2)
    assert ends(wanted, unwanted) == [("delivered", ""), ("skipped", "campaign_excluded")]
    assert unwanted.detail != ""
    assert len(twin.requests()) == 1


def test_an_unknown_campaign_waits_for_its_name(shop: Shop, twin: Twin) -> None:
    unplaced = shop.owe("1")
    only_campaign(shop, "12")
    pump(1)
    assert ends(unplaced) == [("waiting", "campaign_unknown")]
    assert (unplaced.next_attempt_at, unplaced.claims, twin.requests()) == (None, 0, [])


def test_a_test_event_belongs_to_no_campaign(shop: Shop) -> None:
    test_event = shop.owe("1", metric="Viaduct Test")
    only_campaign(shop, "12")
    pump(2)
    assert ends(test_event) == [("delivered", "")]


def test_without_a_filter_every_campaign_leaves(shop: Shop) -> None:
    delivery = shop.owe("1", campaign_id="13")
    pump(2)
    assert ends(delivery) == [("delivered", "")]


def test_an_erased_customers_row_never_leaves(shop: Shop, twin: Twin) -> None:
    gone, here = shop.owe("1"), shop.owe("2")
    Suppression.objects.create(merchant=shop.merchant, digest="d")
    Customer.objects.filter(pk=gone.customer_id).update(erased_at=timezone.now())
    pump(2)
    assert ends(gone, here) == [("skipped", "erased"), ("delivered", "")]
    assert len(twin.requests()) == 1
