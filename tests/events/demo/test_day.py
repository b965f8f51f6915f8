"""The demo shop's day: complete, repeatable, in the past, and readable by the readers."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from events.demo.day import shop_day
from events.demo.first_order import first_order, pretty
from events.demo.pen import Scene
from events.facts import Facts, Ignored, Kind
from events.vrio import read

NOON = datetime(2026, 9, 30, 12, 30, tzinfo=UTC)
TYPES = {"Sale", "Capture", "Auth", "Refund", "Void", "Chargeback", "Alert"}


def day(seed: int = 1, now: datetime = NOON, *, short: bool = True) -> list[Scene]:
    return shop_day(seed, now, short=short, outlet_account="DemoB2")


def facts(scenes: list[Scene]) -> list[Facts]:
    read_ones = [read(json.dumps(scene.event).encode(), time_zone="America/New_York") for scene in scenes]
    return [each for each in read_ones if isinstance(each, Facts)]


@pytest.mark.parametrize("short", [True, False])
def test_the_readers_understand_all_of_it_but_the_one_unknown_event(short: bool) -> None:
    scenes = day(short=short)
    unread = [read(json.dumps(scene.event).encode(), time_zone="America/New_York") for scene in scenes]
    assert [each.reason for each in unread if isinstance(each, Ignored)] == ["unknown_event"]


def test_it_has_every_kind_of_event_that_klaviyo_hears_of() -> None:
    heard = {
        Kind.CUSTOMER_CREATED,
        Kind.ORDER_ABANDONED,
        Kind.TRANSACTION_COMPLETED,
        Kind.ORDER_OFFER_CANCELLED,
        Kind.ORDER_OFFER_UPDATED,
        Kind.SHIPMENT_SHIPPED,
    }
    assert heard <= {each.kind for each in facts(day())}


def test_it_has_every_transaction_and_a_declined_card() -> None:
    transactions = [each.transaction for each in facts(day()) if each.transaction]
    assert {each.type.value for each in transactions} == TYPES
    assert any(each.is_declined for each in transactions)


def test_a_short_day_is_about_sixty_events_and_a_whole_one_a_few_hundred() -> None:
    assert 50 <= len(day()) <= 80
    assert 250 <= len(day(short=False)) <= 450


def test_the_same_half_day_is_the_same_to_the_byte() -> None:
    assert json.dumps([s.event for s in day()]) == json.dumps([s.event for s in day(now=NOON + timedelta(hours=11))])


@pytest.mark.parametrize("other", [day(seed=2), day(now=NOON + timedelta(hours=12))], ids=["seed", "half day"])
def test_another_seed_or_half_day_shares_no_id(other: list[Scene]) -> None:
    ids = [{scene.event["webhook_event_id"] for scene in scenes} for scenes in (day(), other)]
    assert ids[0] & ids[1] == set()


def test_it_is_over_by_now_and_not_a_day_old() -> None:
    assert all(NOON - timedelta(hours=24) < scene.at <= NOON for scene in day(short=False))


def test_every_address_ends_where_klaviyo_does_not_drop_it() -> None:
    emails = {each.customer.email for each in facts(day(short=False)) if each.customer and each.customer.email}
    assert {email.rpartition("@")[2] for email in emails} == {"klaviyo-demo.com"}


def test_trouble_with_klaviyo_stays_in_the_outlet_but_for_one_phone_number() -> None:
    faults = [fault for scene in day() for fault in scene.faults]
    narrowed = [fault.get("account") or fault.get("email", "").partition("@")[2] for fault in faults]
    assert sorted(narrowed) == ["DemoB2", "DemoB2", "klaviyo-demo.com"]


def test_the_first_order_survives_a_shell_in_single_quotes() -> None:
    order = first_order(NOON)
    assert "'" not in pretty(order)
    assert json.loads(pretty(order)) == order
