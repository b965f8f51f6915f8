"""Every gate is a row with a reason that a merchant can read."""

import pytest

from connections.models import Campaign, Merchant
from events.models import Event
from events.suppression import suppress
from tests.events.vrio_records import created, customer, sale, shipped
from tests.webhooks_log.inbox import NOW, connect, rows, shop, states, tell
from webhooks_log.reasons import reason_for

pytestmark = pytest.mark.django_db


def reasons(merchant: Merchant) -> set[tuple[str, str]]:
    return {(row.state, row.reason) for row in rows(merchant)}


@pytest.mark.parametrize(
    ("switches", "reason"), [({"is_active": False}, "connection_inactive"), ({"push_events": False}, "push_off")]
)
def test_a_connection_that_is_off_skips(switches: dict[str, bool], reason: str) -> None:
    merchant = shop(**switches)
    tell(merchant, sale())
    assert reasons(merchant) == {("skipped", reason)}
    assert all(row.detail == reason_for(reason).sentence for row in rows(merchant))


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        (None, "no_email"),
        ("nobody", "no_email"),
        (f"{'a' * 101}@shop.com", "no_email"),
        ("a@example.com", "dropped_domain"),
    ],
)
def test_an_address_klaviyo_cannot_use_skips(email: str | None, reason: str) -> None:
    merchant = shop()
    tell(merchant, sale(customer=customer(email=email)))
    assert reasons(merchant) == {("skipped", reason)}


def test_a_test_order_skips_unless_the_connection_asks_for_them() -> None:
    merchant = shop()
    connect(merchant, "Staging", send_test_orders=True)
    tell(merchant, sale(order={"id": "1253", "is_test": "1"}))
    told = {(row.connection.name, row.state) for row in rows(merchant)}
    assert told == {("Klaviyo", "skipped"), ("Staging", "queued")}


def test_a_shipment_of_a_test_order_is_one() -> None:
    merchant = shop()
    tell(merchant, sale(order={"id": "1253", "is_test": "1"}), shipped())
    assert reasons(merchant) == {("skipped", "test_order")}


def test_an_empty_filter_takes_all_campaigns_and_a_filter_only_its_own() -> None:
    merchant = shop()
    connection = merchant.connections.get()
    connection.campaigns.add(Campaign.objects.create(merchant=merchant, vrio_id="14"))
    tell(merchant, sale(), sale("2000", order={"id": "2", "campaign_id": "15"}))
    told = {(row.unique_id.partition("_")[0], row.state, row.reason) for row in rows(merchant)}
    assert told == {("1668", "queued", ""), ("2000", "skipped", "campaign_excluded")}


def test_an_event_without_campaign_waits_at_a_filter_until_its_order_names_one() -> None:
    merchant = shop()
    merchant.connections.get().campaigns.add(Campaign.objects.create(merchant=merchant, vrio_id="14"))
    tell(merchant, sale(order={"id": "1253"}))
    assert reasons(merchant) == {("waiting", "campaign_unknown")}
    tell(merchant, sale("1700"))
    assert reasons(merchant) == {("queued", "")}


def test_a_profile_alone_does_not_pass_a_filter_without_an_order() -> None:
    merchant = shop()
    merchant.connections.get().campaigns.add(Campaign.objects.create(merchant=merchant, vrio_id="14"))
    tell(merchant, created())
    assert states(merchant) == [("", "skipped", "campaign_excluded")]


def test_what_an_erased_customer_did_before_is_never_told() -> None:
    merchant = shop()
    suppress(merchant, merchant.sources.get().pk, "68441", "", sends_later_purchases=False)
    tell(merchant, sale())
    assert reasons(merchant) == {("skipped", "erased")}
    assert not merchant.customers.exclude(email="").exists()


def test_a_later_purchase_of_an_erased_customer_is_told_if_the_merchant_says_so() -> None:
    merchant = shop()
    suppress(merchant, merchant.sources.get().pk, "68441", "", sends_later_purchases=True)
    tell(merchant, sale(at="2030-01-01 00:00:00"), now=NOW.replace(year=2030))
    assert reasons(merchant) == {("queued", "")}


def test_a_time_that_klaviyo_does_not_take_skips() -> None:
    merchant = shop()
    tell(merchant, sale(at="1999-05-05 05:05:05"))
    assert reasons(merchant) == {("skipped", "outside_time")}


def test_an_old_record_behind_a_test_link_is_held_and_touches_nothing() -> None:
    merchant = shop()
    tell(merchant, sale(at="2025-08-30 08:00:00", date_complete="2022-11-12 00:00:00"))
    assert Event.objects.get().state == "held"
    assert not merchant.customers.exists()
    assert rows(merchant) == []


def test_a_held_event_that_is_released_goes_its_way() -> None:
    merchant = shop()
    tell(merchant, sale(at="2025-08-30 08:00:00", date_complete="2022-11-12 00:00:00"))
    Event.objects.update(state="received", reason="released")
    tell(merchant)
    tell(merchant, sale("9"))
    assert {row.unique_id.partition("_")[0] for row in rows(merchant)} == {"1668", "9"}


def test_history_fills_the_mirror_and_sends_nothing() -> None:
    merchant = shop()
    tell(merchant, sale(), history=True)
    assert rows(merchant) == []
    assert merchant.customers.get().email == "sarah.mason@klaviyo-demo.com"
    assert Event.objects.get().reason == "history"


def test_backfill_carries_the_mark_and_identity_only() -> None:
    merchant = shop()
    tell(merchant, sale(), backfill=True)
    row = rows(merchant)[0]
    assert (row.backfill, row.identity_only, row.rank) == (True, True, 1)
