"""The order that a newcomer pastes: one subscription in its first cycle, small enough to read."""

import json
from datetime import datetime
from typing import Any

from events.demo.records import MONTH, envelope, local
from events.demo.shop import DOMAIN


def first_order(now: datetime) -> dict[str, Any]:
    """A Vrio event whose ids come from the second it was written in: pasting it twice is the same order."""
    number = str(int(now.timestamp()))
    record = {
        "id": number,
        "transaction_type_id": "Sale",
        "transaction_declined": "APPROVED",
        "transaction_cycle": "1",
        "transaction_attempt": "1",
        "transaction_total": "29.99",
        "currency_id": "1",
        "merchant_id": "5",
        "date_complete": local(now),
        "order": {"id": number, "campaign_id": "1", "is_test": "0"},
        "customer": {
            "id": "700001",
            "email": f"john.doe@{DOMAIN}",
            "first_name": "John",
            "last_name": "Doe",
            "phone": "(555) 123-4567",
        },
        "customer_address_billing": {"address1": "1 Main Street", "city": "Boston", "state": "MA", "country": "US"},
        "transaction_order_offers": [
            {
                "order_offer_id": number,
                "offer_id": "1",
                "offer_name": "Monthly Vitamins",
                "item_id": "2",
                "item_name": "Vitamin D3",
                "item_sku": "VIT-D3",
                "order_offer_quantity": "1",
                "order_offer_price": "29.99",
                "is_recurring": "1",
                "charge_timeframe_name": "Monthly",
                "next_recurring_date": local(now + MONTH)[:10],
            }
        ],
    }
    return envelope("transaction", "transaction_completed", number, now, record)


def pretty(event: dict[str, Any]) -> str:
    """The event over a few lines, without an apostrophe, so that a shell takes it in single quotes."""
    head = {name: value for name, value in event.items() if name != "webhook_data"}
    record = event["webhook_data"]["transaction"]
    lines = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in record.items())
    return f'{json.dumps(head)[:-1]}, "webhook_data": {{"transaction": {{\n  {lines}}}}}}}'
