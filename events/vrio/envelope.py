"""Opens what was posted: Vrio's envelope around one record, or a bare record of Vrio's API.

The door asks `identify` whose event it is; the readers get the record.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from events.facts import Broken
from events.vrio.codes import SHIPPED_STATUSES
from events.vrio.values import Record, identity, text

FLAT_IDS = ("shipment", "transaction", "order_offer", "order", "customer")  # the most specific first


@dataclass(frozen=True, slots=True)
class Envelope:
    """`type` and `event` in Vrio's words (lower case), `event_id` and `date` as text, `record` the object inside."""

    type: str
    event: str
    event_id: str
    date: str
    record: Record


def open_envelope(body: bytes) -> Envelope:
    """The envelope of one stored event; raises Broken with the field that is wrong."""
    try:
        document = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise Broken("body", f"This is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Broken("body", "This is not one event but a list or a single value.")
    return identify(document)


def identify(document: Mapping[str, Any]) -> Envelope:
    """The envelope of a document already parsed; a bare record gets one derived from its own ids and dates."""
    if "webhook_type" not in document and "webhook_data" not in document:
        return bare(document)
    type_, event = word(document, "webhook_type"), word(document, "webhook_event")
    return Envelope(
        type_,
        event,
        text(document, "webhook_event_id"),
        text(document, "webhook_event_date"),
        record_of(document, type_),
    )


def word(document: Mapping[str, Any], name: str) -> str:
    """Lower case with underscores: "Order Abandoned" is what the screens say, `order_abandoned` what is meant."""
    found = text(document, name)
    if not found:
        raise Broken(name, "It is missing.")
    return "_".join(found.lower().split())


def record_of(document: Mapping[str, Any], type_: str) -> Record:
    inside = document.get("webhook_data")
    if not isinstance(inside, dict):
        raise Broken("webhook_data", "It is not an object.")
    record = inside.get(type_, inside)
    if not isinstance(record, dict):
        raise Broken(f"webhook_data.{type_}", "It is not an object.")
    return record


def bare(record: Record) -> Envelope:
    """A record of the API without an envelope, as history has it."""
    type_ = next((name for name in FLAT_IDS if identity(record, f"{name}_id") and is_of(name, record)), "")
    if not type_:
        raise Broken("webhook_type", "It is missing, and the object is no record of Vrio's API either.")
    event = event_of(type_, record)
    date = text(record, *DATES[type_])
    return Envelope(type_, event, f"rest:{type_}:{identity(record, f'{type_}_id')}:{event}:{date}", date, record)


def is_of(name: str, record: Record) -> bool:
    """Records name other records by id; a field of its own tells what it is."""
    return any(field in record for field in OWN_FIELDS[name])


def event_of(type_: str, record: Record) -> str:
    if type_ == "shipment":
        is_shipped = text(record, "shipment_status_id").lower() in SHIPPED_STATUSES
        return "shipment_shipped" if is_shipped else "shipment_scheduled"
    return EVENTS[type_]


EVENTS = {
    "transaction": "transaction_completed",
    "order_offer": "order_offer_updated",
    "order": "order_updated",
    "customer": "customer_created",
}
OWN_FIELDS = {
    "shipment": ("shipment_status_id", "shipment_tracking_id", "shipment_items"),
    "transaction": ("transaction_type_id",),
    "order_offer": ("status_type_id", "charge_timeframe_id", "order_offer_price", "is_recurring"),
    "order": ("order_offers", "campaign_id", "date_ordered", "order_notes", "cart_token"),
    "customer": ("email", "first_name"),
}
DATES = {
    "shipment": ("date_complete", "date_scheduled", "date_modified", "date_created"),
    "transaction": ("date_complete", "date_modified", "date_created"),
    "order_offer": ("date_modified", "date_created"),
    "order": ("date_modified", "date_created"),
    "customer": ("date_modified", "date_created"),
}
