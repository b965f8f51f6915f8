"""What the mirror answers, seen in what goes out: lifetime value, next charge, originals, status before."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from connections.models import Merchant
from events.models import Customer, Event, Product, SubscriptionStatus
from tests.events.vrio_records import cancelled, created, customer, line, offer, order, refund, sale, shipped
from tests.webhooks_log.inbox import ids, only, post, profile, rows, sent, shop, tell
from webhooks_log import dispatch
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db


def told(merchant: Merchant, metric: str, unique_id: str) -> dict[str, Any]:
    """The profile properties that went along with one message."""
    return profile(Delivery.objects.get(merchant=merchant, metric=metric, unique_id=unique_id))["properties"]


# ── Lifetime value ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_lifetime_value_grows_and_shrinks_with_what_is_known() -> None:
    merchant = shop()
    tell(merchant, sale("1"), sale("2", at="2025-09-30 08:00:00", transaction_cycle="2"), refund("3", "1", "9.99"))
    assert told(merchant, "Placed Order", "1")["CLV"] == "29.99"
    assert told(merchant, "Placed Order", "2")["CLV"] == "59.98"
    assert told(merchant, "Refunded Order", "3")["CLV"] == "49.99"


def test_a_repeated_event_does_not_count_twice() -> None:
    merchant = shop()
    tell(merchant, sale("1"), sale("1", event_id="again"), sale("2", transaction_cycle="2"))
    assert told(merchant, "Placed Order", "2")["CLV"] == "59.98"


def test_without_all_their_history_a_customer_has_no_value() -> None:
    merchant = shop()
    tell(merchant, sale("1", transaction_cycle="4"))
    assert "CLV" not in told(merchant, "Placed Order", "1")


def test_a_customer_older_than_their_first_known_order_has_no_value() -> None:
    merchant = shop()
    tell(merchant, sale("1", customer=customer(date_created="2022-01-01 00:00:00")))
    assert "CLV" not in told(merchant, "Placed Order", "1")


def test_imported_history_makes_it_complete() -> None:
    merchant = shop()
    merchant.sources.update(history_imported_at="2025-08-01T00:00:00Z")
    tell(merchant, sale("10", at="2024-01-01 08:00:00"), history=True)
    tell(merchant, sale("1", transaction_cycle="9"))
    assert told(merchant, "Placed Order", "1")["CLV"] == "59.98"


def test_vrios_own_figure_wins() -> None:
    merchant = shop()
    tell(merchant, sale("1", transaction_cycle="4", customer=customer(clv="150.00")))
    assert told(merchant, "Placed Order", "1")["CLV"] == "150.00"


# ── Subscriptions ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_next_charge_is_the_earliest_of_all_active_subscriptions() -> None:
    merchant = shop()
    both = [line("1", next_recurring_date="2025-10-01"), line("2", next_recurring_date="2025-09-20")]
    tell(merchant, sale("1", transaction_order_offers=both))
    assert told(merchant, "Placed Order", "1")["NextChargeDate"] == "2025-09-20"
    tell(merchant, cancelled("2025-09-01 10:00:00", id="902", offer_id="2"))
    cancellation = only(merchant, "Cancelled Subscription")
    assert profile(cancellation)["properties"]["NextChargeDate"] == "2025-10-01"


def test_the_end_of_the_last_subscription_clears_the_date_by_a_call_of_its_own() -> None:
    merchant = shop()
    tell(merchant, sale("1"), cancelled("2025-09-01 10:00:00"))
    clearing = only(merchant, "")
    assert clearing.state == "queued"
    assert profile(clearing)["properties"]["NextChargeDate"] is None
    assert profile(clearing)["properties"]["ActiveSubscriber"] is False
    assert "NextChargeDate" not in profile(only(merchant, "Cancelled Subscription"))["properties"]


def test_where_other_subscriptions_may_be_nothing_is_cleared() -> None:
    merchant = shop()
    tell(merchant, sale("1", transaction_cycle="4"), cancelled("2025-09-01 10:00:00"))
    assert rows(merchant, metric="") == []
    assert "ActiveSubscriber" not in profile(only(merchant, "Cancelled Subscription"))["properties"]


def test_two_cancellations_of_one_subscription_stay_two() -> None:
    merchant = shop()
    tell(merchant, sale("1"), cancelled("2025-09-01 10:00:00"), offer("Active", "2025-09-05 10:00:00"))
    tell(merchant, cancelled("2025-09-09 10:00:00"))
    assert len(rows(merchant, metric="Cancelled Subscription")) == 2
    assert len(rows(merchant, metric="Reactivated Subscription")) == 1


def test_a_late_status_is_judged_and_so_is_its_successor() -> None:
    merchant = shop()
    tell(merchant, sale("1"), offer("Active", "2025-09-03 10:00:00"), offer("Paused", "2025-09-02 10:00:00"))
    assert [row.metric for row in rows(merchant) if "paused" in row.unique_id] == [
        "Paused Subscription",
        "Unpaused Subscription",
    ]


CHANGES = [
    ("Active", "2025-09-01 10:00:00"),
    ("Paused", "2025-09-02 10:00:00"),
    ("Active", "2025-09-03 10:00:00"),
    ("Cancelled", "2025-09-04 10:00:00"),
    ("Active", "2025-09-05 10:00:00"),
]


@pytest.mark.parametrize("order_of_arrival", list(permutations(range(5)))[::13])
def test_any_order_of_arrival_converges_to_one_history(order_of_arrival: tuple[int, ...]) -> None:
    merchant = shop()
    tell(merchant, created(), *(offer(*CHANGES[place]) for place in order_of_arrival))
    assert list(SubscriptionStatus.objects.values_list("status", flat=True)) == [status for status, _ in CHANGES]
    spoken = {row.metric for row in rows(merchant) if row.metric}
    assert spoken >= {"Paused Subscription", "Unpaused Subscription", "Reactivated Subscription"}


# ── Originals, late facts, products ──────────────────────────────────────────────────────────────────────────────────


def test_a_shipment_tells_the_order_that_paid_for_it() -> None:
    merchant = shop()
    second = line("2", item_name="Vitamin C", offer_name="Vitamin C")
    tell(merchant, sale("1668"), sale("1700", at="2025-08-30 09:00:00", transaction_order_offers=[second]), shipped())
    assert sent(only(merchant, "Fulfilled Order"))["properties"]["ItemNames"] == ["Monthly Vitamins"]


def test_a_shipment_without_its_payment_tells_the_orders_last_sale() -> None:
    merchant = shop()
    second = line("2", offer_name="Vitamin C")
    tell(merchant, sale("1668"), sale("1700", at="2025-08-30 09:00:00", transaction_order_offers=[second]))
    tell(merchant, shipped(transaction_charge_id="0"))
    assert sent(only(merchant, "Fulfilled Order"))["properties"]["ItemNames"] == ["Vitamin C"]


def test_a_shipment_of_an_unknown_order_says_what_it_can_and_what_is_missing() -> None:
    merchant = shop()
    tell(merchant, created(), shipped(order_id="77", transaction_charge_id="0"))
    row = only(merchant, "Fulfilled Order")
    assert sent(row)["properties"]["TrackingNumber"] == "1Z123456789"
    assert any("order behind this shipment" in note for note in row.notes)


def test_two_shipments_of_one_order_stay_two() -> None:
    merchant = shop()
    tell(merchant, sale(), shipped("1"), shipped("2"))
    assert {row.unique_id for row in rows(merchant, metric="Fulfilled Order")} == {"1", "2"}


def test_a_late_event_overwrites_nothing_newer() -> None:
    merchant = shop()
    tell(merchant, sale("2", at="2025-09-30 08:00:00", customer=customer(first_name="Sally", phone="")))
    tell(merchant, sale("1", at="2025-08-30 08:00:00", customer=customer(last_name="Old")))
    person = Customer.objects.get()
    assert (person.first_name, person.last_name, person.phone) == ("Sally", "Mason", "(555) 123-4567")
    assert profile(Delivery.objects.get(metric="Placed Order", unique_id="1"))["first_name"] == "Sally"


def test_staff_are_nobodys_customers() -> None:
    merchant = shop()
    tell(merchant, order(created_by="staff@klaviyo-demo.com", modified_by="staff@klaviyo-demo.com"))
    assert Customer.objects.get().email == ""


def test_what_events_leave_out_of_a_product_is_filled_in() -> None:
    merchant = shop()
    Product.objects.create(merchant=merchant, offer_id="1", item_id="2", sku="HAND", categories=["Own"], is_edited=True)
    tell(merchant, sale(transaction_order_offers=[line(item_sku=None, categories=None)]))
    said = sent(only(merchant, "Ordered Product"))["properties"]
    assert (said["SKU"], said["ProductCategories"]) == ("HAND", ["Own"])
    assert Product.objects.get().name == ""


def test_products_and_campaigns_are_remembered() -> None:
    merchant = shop()
    tell(merchant, sale(campaign={"campaign_id": "14", "campaign_name": "Main"}))
    assert (Product.objects.get().sku, merchant.campaigns.get().name) == ("VIT-D3", "Main")


# ── Laws ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

DAY = [
    created(),
    sale("1668"),
    sale("1700", at="2025-09-30 08:00:00", transaction_cycle="2"),
    refund("1669", "1668", "9.99"),
    shipped(),
    order("order_abandoned", id="9999", order_offers=[line()]),
    order(customer=customer(), at="2025-09-01 08:00:00"),
]


class TestLaws(TestCase):
    """With a transaction of its own for each example."""

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.permutations(DAY))
    def test_any_permutation_of_a_day_says_the_same(self, bodies: list[bytes]) -> None:
        merchant = shop()
        tell(merchant, *bodies)
        assert ids(merchant) == expected()

    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.sampled_from(DAY), min_size=1, max_size=5))
    def test_an_event_that_comes_again_says_nothing_new(self, again: list[bytes]) -> None:
        merchant = shop()
        post(merchant, *DAY)
        dispatch.run()
        Event.objects.filter(body__in=again).update(state="received")
        dispatch.run()
        assert ids(merchant) == expected()


def expected() -> set[tuple[str, str]]:
    return {
        ("Placed Order", "1668"),
        ("Ordered Product", "1668_1"),
        ("Started Subscription", "1668_1_sub"),
        ("Placed Order", "1700"),
        ("Ordered Product", "1700_1"),
        ("Refunded Order", "1669"),
        ("Fulfilled Order", "4711"),
        ("Abandoned Order", "9999_abandoned"),
    }
