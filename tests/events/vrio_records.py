"""Vrio's records as its webhooks write them, one function a kind, with every field a test may want to change."""

import json
from typing import Any

EMAIL = "sarah.mason@klaviyo-demo.com"
AT = "2025-08-30 08:00:00"


def envelope(type_: str, event: str, record: dict[str, Any], *, event_id: Any = 1, at: str = AT) -> bytes:
    """One event as it is posted."""
    document = {
        "webhook_type": type_,
        "webhook_event": event,
        "webhook_event_id": event_id,
        "webhook_event_date": at,
        "webhook_data": {type_: record},
    }
    return json.dumps(document).encode()


def customer(customer_id: str = "68441", **more: Any) -> dict[str, Any]:
    return {
        "id": customer_id,
        "email": EMAIL,
        "first_name": "Sarah",
        "last_name": "Mason",
        "phone": "(555) 123-4567",
        **more,
    }


def line(offer_id: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "order_offer_id": f"90{offer_id}",
        "offer_id": offer_id,
        "offer_name": "Monthly Vitamins",
        "item_id": "2",
        "item_name": "Vitamin D3",
        "item_sku": "VIT-D3",
        "quantity": "1",
        "price": "29.99",
        "is_recurring": "1",
        "charge_timeframe_name": "Monthly",
        "next_recurring_date": "2025-09-15",
        "categories": ["Supplements"],
        **more,
    }


def transaction(transaction_id: str = "1668", **more: Any) -> dict[str, Any]:
    return {
        "id": transaction_id,
        "transaction_type_id": "Capture",
        "transaction_declined": "APPROVED",
        "transaction_cycle": "1",
        "transaction_attempt": "1",
        "transaction_total": "29.99",
        "merchant_id": "5",
        "date_complete": AT,
        "order": {"id": "1253", "campaign_id": "14", "is_test": "0", "tracking1": "newsletter"},
        "customer": customer(),
        "customer_card": {"card_number": "411122XXXXXX4242"},
        "customer_address_billing": {"fname": "Sarah", "lname": "Mason", "address1": "1 Main St", "country": "US"},
        "transaction_order_offers": [line()],
        **more,
    }


def sale(transaction_id: str = "1668", *, event_id: Any = None, at: str = AT, **more: Any) -> bytes:
    record = transaction(transaction_id, **{"date_complete": at, **more})
    return envelope("transaction", "transaction_completed", record, event_id=event_id or transaction_id, at=at)


def refund(transaction_id: str, of: str, amount: str, *, at: str = "2025-09-02 09:00:00", **more: Any) -> bytes:
    told = {"transaction_type_id": "Refund", "transaction_parent_id": of, "transaction_total": amount, **more}
    return sale(transaction_id, at=at, **told)


def offer(status: str, at: str, *, event: str = "order_offer_updated", event_id: Any = None, **more: Any) -> bytes:
    record = {
        "id": "901",
        "order_id": "1253",
        "customer_id": "68441",
        "offer_id": "1",
        "offer_name": "Monthly Vitamins",
        "order_offer_quantity": "1",
        "order_offer_price": "29.99",
        "is_recurring": "1",
        "status_type_id": status,
        "charge_timeframe_name": "Monthly",
        "date_cancel": "0000-00-00 00:00:00",
        **more,
    }
    return envelope("order_offer", event, record, event_id=event_id or at, at=at)


def cancelled(at: str, **more: Any) -> bytes:
    return offer("Cancelled", at, event="order_offer_cancelled", date_cancel=at, **more)


def shipped(shipment_id: str = "4711", at: str = "2025-08-31 13:00:00", **more: Any) -> bytes:
    record = {
        "id": shipment_id,
        "customer_id": "68441",
        "order_id": "1253",
        "transaction_charge_id": "1668",
        "shipment_status_id": "Shipped",
        "shipment_tracking_id": "1Z123456789",
        "carrier_id": "2",
        "date_complete": at,
        **more,
    }
    return envelope("shipment", "shipment_shipped", record, event_id=shipment_id, at=at)


def order(event: str = "order_updated", at: str = AT, *, event_id: Any = 7, **more: Any) -> bytes:
    record = {"id": "1253", "customer_id": "68441", "date_modified": at, "created_by": "staff@klaviyo-demo.com", **more}
    return envelope("order", event, record, event_id=event_id, at=at)


def created(at: str = AT, *, event_id: Any = 3, **more: Any) -> bytes:
    return envelope("customer", "customer_created", customer(**more), event_id=event_id, at=at)
