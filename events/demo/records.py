"""Writes what happens in the demo shop as Vrio's webhooks do: labels in `_id` fields, numbers as text, local times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from events.demo.shop import Article, Shopper

Record = dict[str, Any]
ZONE = ZoneInfo("America/New_York")
NEVER = "0000-00-00 00:00:00"
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a shopper put into the basket: lines of (order offer id, article, quantity)."""

    order_id: str
    shopper: Shopper
    lines: Sequence[tuple[str, Article, int]]
    campaign: tuple[str, str]
    discount_code: str = ""
    is_test: bool = False

    @property
    def total(self) -> Decimal:
        return sum((article.price * quantity for _, article, quantity in self.lines), Decimal(0)) - self.discount

    @property
    def discount(self) -> Decimal:
        return Decimal("5.00") if self.discount_code else Decimal("0.00")


def envelope(type_: str, event: str, event_id: str, at: datetime, record: Record) -> Record:
    """One record as it is posted."""
    return {
        "webhook_type": type_,
        "webhook_event": event,
        "webhook_event_id": event_id,
        "webhook_event_date": local(at),
        "webhook_data": {type_: record},
    }


def transaction(
    purchase: Purchase,
    transaction_id: str,
    at: datetime,
    kind: str = "Sale",
    *,
    cycle: int = 1,
    attempt: int = 1,
    **more: Any,
) -> Record:
    """A transaction; `more` adds to its fields or replaces them."""
    return {
        "id": transaction_id,
        "order_id": purchase.order_id,
        "customer_id": purchase.shopper.customer_id,
        "payment_method_id": "Credit Card",
        "transaction_type_id": kind,
        "transaction_cycle": str(cycle),
        "transaction_attempt": str(attempt),
        "transaction_declined": "APPROVED",
        "merchant_id": "5",
        "currency_id": "1",
        "transaction_discount_total": f"{purchase.discount:.2f}",
        "discount_code": purchase.discount_code or None,
        "transaction_total": f"{purchase.total:.2f}",
        "gateway_response_code": "100",
        "gateway_response_description": "Approved",
        "transaction_parent_id": None,
        "date_complete": local(at),
        "order": order(purchase, at),
        "transaction_order_offers": [line(*each, at) for each in purchase.lines],
        "customer": customer(purchase.shopper, at),
        "customer_card": {"card_type_id": "Visa", "card_number": "411111XXXXXX4242"},
        "sale": {"sale_id": f"{transaction_id}7"},
        **addresses(purchase.shopper),
        "campaign": campaign(purchase),
        **more,
    }


def abandoned(purchase: Purchase, at: datetime) -> Record:
    """A basket that was left behind."""
    return {
        **order(purchase, at),
        "customer_id": purchase.shopper.customer_id,
        "customer_card_id": "0",
        "date_ordered": "---",
        "date_modified": local(at),
        "order_offers": [line(*each, at) for each in purchase.lines],
        "customer": customer(purchase.shopper, at),
        **addresses(purchase.shopper),
        "campaign": campaign(purchase),
    }


def order_offer(purchase: Purchase, at: datetime, status: str, **dates: Any) -> Record:
    """The first subscription of a purchase; like Vrio, it names its customer by id only."""
    each = purchase.lines[0]
    return {
        **line(*each, at),
        "id": each[0],
        "order_id": purchase.order_id,
        "customer_id": purchase.shopper.customer_id,
        "status_type_id": status,
        "date_modified": local(at),
        "date_cancel": NEVER,
        "date_pause": NEVER,
        "date_unpause": NEVER,
        "date_reactivate": NEVER,
        **addresses(purchase.shopper),
        "campaign": campaign(purchase),
        **dates,
    }


def shipment(purchase: Purchase, shipment_id: str, paid_by: str, at: datetime, carrier: str, number: str) -> Record:
    """A parcel; no prices, no customer but the id."""
    return {
        "id": shipment_id,
        "order_id": purchase.order_id,
        "customer_id": purchase.shopper.customer_id,
        "transaction_charge_id": paid_by,
        "shipment_status_id": "Shipped",
        "shipment_tracking_id": number,
        "carrier_id": carrier,
        "date_complete": local(at),
        **addresses(purchase.shopper),
        "campaign": campaign(purchase),
    }


def customer(who: Shopper, at: datetime) -> Record:
    """A customer object."""
    return {
        "id": who.customer_id,
        "first_name": who.first_name,
        "last_name": who.last_name,
        "email": who.email or None,
        "phone": who.phone,
        "date_created": local(at),
    }


def order(purchase: Purchase, at: datetime) -> Record:
    return {
        "id": purchase.order_id,
        "campaign_id": purchase.campaign[0],
        "is_test": "1" if purchase.is_test else "0",
        "date_created": local(at),
        "tracking1": "newsletter",
        "tracking2": "autumn",
    }


def line(order_offer_id: str, article: Article, quantity: int, at: datetime) -> Record:
    return {
        "order_offer_id": order_offer_id,
        "offer_id": article.offer_id,
        "offer_name": article.offer_name,
        "item_id": article.item_id,
        "item_name": article.item_name,
        "item_sku": article.sku,
        "categories": [article.category],
        "order_offer_quantity": str(quantity),
        "order_offer_price": f"{article.price:.2f}",
        "is_recurring": "1" if article.interval else "0",
        "charge_timeframe_name": article.interval or None,
        "status_type_id": "Active" if article.interval else "Complete",
        "next_recurring_date": local(at + MONTH)[:10] if article.interval else None,
    }


def addresses(who: Shopper) -> Record:
    street, city, state, code, country = who.address
    home: Record = {"fname": who.first_name, "lname": who.last_name, "address1": street, "city": city}
    home |= {"state": state or None, "zipcode": code, "country": country}
    return {"customer_address_billing": home, "customer_address_shipping": home}


def campaign(purchase: Purchase) -> Record:
    return {"campaign_id": purchase.campaign[0], "campaign_name": purchase.campaign[1]}


def local(at: datetime) -> str:
    """Vrio's clock: the shop's local time without a zone."""
    return at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")
