"""Reads customers as records of their own.

Vrio sends no such webhook; the shape is our own envelope around the customer object of Vrio's API.
"""

from datetime import datetime

from events.facts import Broken, Facts, Kind
from events.vrio.orders import campaign_id, campaign_name
from events.vrio.people import address, billing, customer_of, shipping
from events.vrio.values import Record, identity, listed


def read_customer(kind: Kind, record: Record, event_id: str, told_at: datetime, zone: str) -> Facts:
    """A customer record; raises Broken without an id."""
    customer_id = identity(record, "customer_id", "id")
    if not customer_id:
        raise Broken("customer.id", "The customer has no id.")
    listed_home = next((read for entry in listed(record, "customer_addresses") if (read := address(entry))), None)
    customer = customer_of(record, zone, billing(record) or shipping(record) or listed_home)
    return Facts(
        kind=kind,
        event_id=event_id,
        happened_at=customer.created_at or told_at,
        told_at=told_at,
        customer_id=customer_id,
        customer=customer,
        campaign_id=campaign_id(record),
        campaign_name=campaign_name(record),
    )
