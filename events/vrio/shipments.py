"""Reads shipments: what left the warehouse, with which carrier, under which number.

A shipment names no customer and no price; the mirror knows them by the transaction that paid for it.
"""

from datetime import datetime

from events.facts import Broken, Facts, Kind, Line, Order, Shipment
from events.vrio.codes import carrier
from events.vrio.lines import line_of, named
from events.vrio.orders import campaign_id, campaign_name, inner_order, is_test, last_four, tracking
from events.vrio.people import billing, customer_id, person, shipping
from events.vrio.values import Record, identity, listed, moment, nested, text


def read_shipment(kind: Kind, record: Record, event_id: str, told_at: datetime, zone: str) -> Facts:
    """A shipment record of either webhook system; raises Broken without an id."""
    shipment_id = identity(record, "shipment_id", "id")
    if not shipment_id:
        raise Broken("shipment.id", "The shipment has no id.")
    shipped_at = moment(record, zone, "date_complete")
    return Facts(
        kind=kind,
        event_id=event_id,
        happened_at=shipped_at or told_at,
        told_at=told_at,
        judged_at=shipped_at,
        customer_id=customer_id(record),
        customer=person(record, zone),
        campaign_id=campaign_id(record),
        campaign_name=campaign_name(record),
        is_test=is_test(record),
        order=Order(
            order_id=identity(record, "order_id") or identity(inner_order(record), "order_id", "id"),
            lines=packed(record),
            card_last_four=last_four(record),
            billing=billing(record),
            shipping=shipping(record),
            tracking=tracking(inner_order(record)),
        ),
        shipment=Shipment(
            shipment_id=shipment_id,
            shipped_at=shipped_at,
            carrier=carrier(text(record, "carrier_id") or text(nested(record, "carrier"), "carrier_name", "name")),
            tracking_number=text(record, "shipment_tracking_id"),
            transaction_id=identity(record, "transaction_charge_id", "transaction_id"),
        ),
    )


def packed(record: Record) -> tuple[Line, ...]:
    """The items in the parcel: names, SKUs and quantities, no prices."""
    return tuple(
        line_of(named(item, "item"), identity(item, "order_offer_id"))
        for item in listed(record, "shipment_items", "items", "line_items")
    )
