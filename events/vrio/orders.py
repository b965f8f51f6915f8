"""Reads orders: the part every record with an order shares, the abandoned ones, and the updated ones.

An order is not one purchase: every billing cycle adds a transaction to the same order.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from events.facts import Broken, Facts, Kind, Order
from events.vrio.codes import currency
from events.vrio.lines import lines
from events.vrio.people import billing, customer_id, person, shipping
from events.vrio.values import Record, flag, identity, moment, money, nested, text

TRACKING = tuple(f"tracking{number}" for number in range(1, 21))


def read_order(kind: Kind, record: Record, event_id: str, told_at: datetime, zone: str) -> Facts:
    """An order record; raises Broken without an id."""
    if not identity(record, "order_id", "id"):
        raise Broken("order.id", "The order has no id.")
    return Facts(
        kind=kind,
        event_id=event_id,
        happened_at=told_at,
        told_at=told_at,
        judged_at=moment(record, zone, "date_modified"),
        customer_id=customer_id(record),
        customer=person(record, zone),
        campaign_id=campaign_id(record),
        campaign_name=campaign_name(record),
        is_test=is_test(record),
        order=order_of(record, record),
    )


def order_of(record: Record, order: Record) -> Order:
    """What `record` says of its order. `order` is the order object itself: marketing variables are read only there."""
    return Order(
        order_id=identity(order, "order_id", "id") if order else identity(record, "order_id"),
        lines=lines(record),
        discount_code=text(record, "discount_code", "coupon_code") or text(order, "discount_code", "coupon_code"),
        discount=discount(record, order),
        card_last_four=last_four(record),
        billing=billing(record),
        shipping=shipping(record),
        tracking=tracking(order),
        currency=currency(text(record, "currency_id", "currency") or text(order, "currency_id", "currency")),
    )


def inner_order(record: Record) -> Record:
    """The order object inside another record; empty when there is only its id."""
    order = nested(record, "order")
    return {"order_id": record.get("order_id"), **order} if order and "id" not in order else order


def discount(record: Record, order: Record) -> Decimal | None:
    """What was taken off; Vrio writes zero in the one field where the other one has it."""
    amounts = [money(record, name) for name in ("transaction_discount_total", "order_discount_total", "order_discount")]
    amounts.append(money(order, "order_discount_total", "order_discount"))
    told = [amount for amount in amounts if amount is not None]
    return next((amount for amount in told if amount), told[0] if told else None)


def last_four(record: Record) -> str:
    """The end of the masked card number."""
    card = nested(record, "customer_card") or nested(nested(record, "order"), "customer_card")
    end = text(card, "card_number", "card_last_4")[-4:]
    return end if len(end) == 4 and end.isdigit() else ""


def tracking(order: Record) -> Mapping[str, str]:
    return {name: words for name in TRACKING if name in order and (words := text(order, name))}


def campaign_id(record: Record) -> str:
    for holder in (record, nested(record, "order")):
        found = identity(holder, "campaign_id") or identity(nested(holder, "campaign"), "campaign_id", "id")
        if found:
            return found
    return ""


def campaign_name(record: Record) -> str:
    campaign = nested(record, "campaign") or nested(nested(record, "order"), "campaign")
    return text(campaign, "campaign_name", "name")


def is_test(record: Record) -> bool | None:
    """True if the record, its order or one of its lines is a test; None if nothing says."""
    told = [flag(holder, "is_test") for holder in (record, nested(record, "order"))]
    for name in ("line_items", "order_offers", "transaction_order_offers"):
        entries = record.get(name)
        if isinstance(entries, list):
            told += [flag(entry, "is_test") for entry in entries if isinstance(entry, dict)]
    return True if True in told else (False if False in told else None)
