"""Laws of translation, for any event that hypothesis can think of: dialects, permutations, repetitions."""

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connections.klaviyo.payloads import render
from events.facts import Broken, Facts, Known, Skipped
from events.profile import event_content, profile_of
from events.translate import known_from, translate
from events.vrio import read
from tests.events.vrio_records import envelope

ZONE = "America/New_York"
TYPES = [
    "Sale",
    "Refund",
    "Void",
    "Chargeback",
    "Alert",
    "Auth",
    "Capture",
    "COD",
    "Chargeback Reversal",
    "Returned Check",
]
CARRIERS = {1: "USPS", 2: "UPS", 3: "FedEx", 4: "DHL eCommerce", 5: "UPS Mail Innovations", 6: "Canada Post"}
CENTS = st.integers(0, 10_000_00).map(lambda cents: f"{cents // 100}.{cents % 100:02d}")
WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)
MAYBE = st.none() | WORDS
IDS = st.integers(1, 10**9)
CLOCK = (st.integers(1, 12), st.integers(1, 28), st.integers(0, 23), st.integers(0, 59))


# ── A shop that says everything three times ──────────────────────────────────────────────────────────────────────────
# What the dialects do not share is left out here:
#   v1    knows no integers, booleans and nulls: labels, text, "Yes"/"No", "0000-00-00 00:00:00", nested items
#   REST  carries no interval names on its line items, so they stand in the expanded order offer
#   v2    writes `shipment_id` and numbers, but labels for statuses; it has no billing address and no customer
# Only shipments exist in all three; the first two share everything else.

ITEMS = st.fixed_dictionaries(
    {
        "order_offer": IDS,
        "offer": IDS,
        "offer_name": MAYBE,
        "item": IDS,
        "item_name": MAYBE,
        "sku": MAYBE,
        "quantity": st.integers(1, 20),
        "price": CENTS,
        "is_recurring": st.booleans(),
        "interval": st.sampled_from([None, "Monthly", "Every 2 Weeks"]),
        "code": MAYBE,
    }
)
TRANSACTIONS = st.fixed_dictionaries(
    {
        "id": IDS,
        "order": IDS,
        "customer": IDS,
        "campaign": IDS,
        "type": st.integers(1, 10),
        "is_declined": st.booleans(),
        "cycle": st.integers(1, 3),
        "total": CENTS,
        "discount": CENTS,
        "parent": st.none() | IDS,
        "reason": MAYBE,
        "is_test": st.booleans(),
        "tracking": MAYBE,
        "first_name": MAYBE,
        "city": MAYBE,
        # Vrio's own local time: it has no zone, and may name an hour that comes twice or not at all.
        "date": st.none() | st.builds("2025-{:02d}-{:02d} {:02d}:{:02d}:00".format, *CLOCK),
        "items": st.lists(ITEMS, max_size=3),
    }
)


def in_v1(told: dict[str, Any]) -> bytes:
    record = {
        "id": str(told["id"]),
        "transaction_type_id": TYPES[told["type"] - 1],
        "transaction_declined": "DECLINED" if told["is_declined"] else "APPROVED",
        "transaction_cycle": str(told["cycle"]),
        "transaction_total": told["total"],
        "transaction_discount_total": told["discount"],
        "transaction_parent_id": str(told["parent"] or "0"),
        "gateway_response_description": told["reason"] or "",
        "date_complete": told["date"] or "0000-00-00 00:00:00",
        "order": {
            "id": str(told["order"]),
            "campaign_id": str(told["campaign"]),
            "is_test": "1" if told["is_test"] else "0",
            "tracking1": told["tracking"] or "---",
        },
        "customer": {"id": str(told["customer"]), "email": "sarah@klaviyo-demo.com", "first_name": told["first_name"]},
        "customer_address_billing": {"city": told["city"] or "", "country": "US"},
        "transaction_order_offers": [
            {
                "order_offer_id": str(item["order_offer"]),
                "is_recurring": "Yes" if item["is_recurring"] else "No",
                "charge_timeframe_name": item["interval"] or "",
                "discount_code": item["code"],
                "offer": {"id": str(item["offer"]), "name": item["offer_name"]},
                "items": [
                    {
                        "id": str(item["item"]),
                        "name": item["item_name"],
                        "item_sku": item["sku"],
                        "quantity": str(item["quantity"]),
                        "price": item["price"],
                    }
                ],
            }
            for item in told["items"]
        ],
    }
    return envelope("transaction", "transaction_completed", record, event_id="77", at="2025-08-30 08:00:00")


def in_rest(told: dict[str, Any]) -> bytes:
    record = {
        "transaction_id": told["id"],
        "customer_id": told["customer"],
        "order_id": told["order"],
        "transaction_type_id": told["type"],
        "transaction_declined": told["is_declined"],
        "transaction_cycle": told["cycle"],
        "transaction_total": told["total"],
        "transaction_discount_total": told["discount"],
        "transaction_parent_id": told["parent"],
        "gateway_response_description": told["reason"],
        "date_complete": told["date"],
        "order": {
            "order_id": told["order"],
            "campaign_id": told["campaign"],
            "is_test": told["is_test"],
            "tracking1": told["tracking"],
        },
        "customer": {
            "customer_id": told["customer"],
            "email": "sarah@klaviyo-demo.com",
            "first_name": told["first_name"],
        },
        "customer_address_billing": {"city": told["city"], "country": "US"},
        "line_items": [
            {
                "line_item_id": place,
                "order_offer_id": item["order_offer"],
                "offer_id": item["offer"],
                "offer_name": item["offer_name"],
                "item_id": item["item"],
                "item_name": item["item_name"],
                "item_quantity": item["quantity"],
                "line_item_price": item["price"],
                "discount_code": item["code"],
                "order_offer": {"is_recurring": item["is_recurring"], "charge_timeframe_name": item["interval"]},
                "line_item_shipments": [{"shipment_item_sku": item["sku"]}],
            }
            for place, item in enumerate(told["items"])
        ],
    }
    return envelope("transaction", "transaction_completed", record, event_id=77, at="2025-08-30 08:00:00")


def said(body: bytes) -> list[bytes] | str:
    """The exact bytes an event says, or why it says nothing."""
    facts = read(body, time_zone=ZONE)
    assert isinstance(facts, Facts)
    known = known_from(facts)
    messages = translate(facts, known)
    if isinstance(messages, Skipped):
        return messages.reason
    profile, _ = profile_of(facts, known)
    return [render(event_content(message, currency="USD"), profile).body for message in messages]


@given(TRANSACTIONS)
def test_a_transaction_says_the_same_bytes_in_both_dialects(told: dict[str, Any]) -> None:
    assert said(in_v1(told)) == said(in_rest(told))


@given(
    st.fixed_dictionaries(
        {
            "id": IDS,
            "order": IDS,
            "customer": IDS,
            "paid_by": IDS,
            "carrier": st.sampled_from(sorted(CARRIERS)),
            "number": MAYBE,
        }
    )
)
def test_a_shipment_says_the_same_in_all_three_dialects(told: dict[str, Any]) -> None:
    v1 = {
        "id": str(told["id"]),
        "order_id": str(told["order"]),
        "customer_id": str(told["customer"]),
        "transaction_charge_id": str(told["paid_by"]),
        "carrier_id": CARRIERS[told["carrier"]],
        "shipment_tracking_id": told["number"],
        "shipment_status_id": "Shipped",
        "date_complete": "2025-08-30 08:00:00",
    }
    numbers = {"order_id": told["order"], "customer_id": told["customer"], "transaction_charge_id": told["paid_by"]}
    v2 = {**v1, **numbers, "shipment_id": told["id"]}
    rest = {**v2, "carrier_id": told["carrier"], "shipment_status_id": 4}
    assert facts_of(v1) == facts_of(v2) == facts_of(rest)


def facts_of(record: dict[str, Any]) -> Facts:
    facts = read(envelope("shipment", "shipment_shipped", record), time_zone=ZONE)
    assert isinstance(facts, Facts)
    return facts


# ── Permutations and repetitions ─────────────────────────────────────────────────────────────────────────────────────


def ids(bodies: Iterable[bytes]) -> set[tuple[str | None, str]]:
    """Metrics and ids of what is said of these events, however often and in whatever order."""
    found: set[tuple[str | None, str]] = set()
    for body in bodies:
        facts = read(body, time_zone=ZONE)
        assert isinstance(facts, Facts)
        messages = translate(facts, Known())
        found |= set() if isinstance(messages, Skipped) else {(one.metric, one.unique_id) for one in messages}
    return found


@given(TRANSACTIONS, st.data())
def test_the_order_of_lines_changes_no_id(told: dict[str, Any], data: st.DataObject) -> None:
    shuffled = {**told, "items": data.draw(st.permutations(told["items"]))}
    assert ids([in_v1(told)]) == ids([in_v1(shuffled)])


@given(TRANSACTIONS, IDS)
def test_a_new_event_id_makes_no_new_id_at_klaviyo(told: dict[str, Any], number: int) -> None:
    again = json.loads(in_v1(told))
    again["webhook_event_id"] = number
    assert ids([in_v1(told), json.dumps(again).encode()]) == ids([in_v1(told)])


@given(TRANSACTIONS)
def test_two_lines_never_share_an_id(told: dict[str, Any]) -> None:
    facts = read(in_v1({**told, "items": told["items"] * 2}), time_zone=ZONE)
    assert isinstance(facts, Facts)
    messages = translate(facts, Known())
    if not isinstance(messages, Skipped):
        pairs = [(one.metric, one.unique_id) for one in messages]
        assert len(pairs) == len(set(pairs))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "id",
                        "customer",
                        "order",
                        "line_items",
                        "offer",
                        "items",
                        "email",
                        "date_complete",
                        "transaction_total",
                        "transaction_type_id",
                        "status_type_id",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from(["transaction", "order", "order_offer", "shipment", "customer"]),
)
def test_any_record_is_read_ignored_or_broken_but_never_a_fault(record: Any, type_: str) -> None:
    events = {
        "transaction": "transaction_completed",
        "order": "order_abandoned",
        "order_offer": "order_offer_updated",
        "shipment": "shipment_shipped",
        "customer": "customer_created",
    }
    try:
        facts = read(envelope(type_, events[type_], record), time_zone=ZONE)
    except Broken:
        return
    if isinstance(facts, Facts):
        translate(facts, known_from(facts))
