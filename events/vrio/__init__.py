"""Reads Vrio: whatever dialect an event was written in, the same Facts come out, and Vrio's spelling stays behind.

Dispatch calls `read` on stored bodies; `manage.py translate` on a file.
"""

from collections.abc import Callable
from datetime import datetime

from events.facts import Broken, Facts, Ignored, Kind
from events.vrio.customers import read_customer
from events.vrio.envelope import opened
from events.vrio.orders import read_order
from events.vrio.shipments import read_shipment
from events.vrio.subscriptions import read_subscription
from events.vrio.transactions import read_transaction
from events.vrio.values import Record, in_zone, text

__all__ = ["Broken", "Ignored", "read"]

Reader = Callable[[Kind, Record, str, datetime, str], Facts | Ignored]

# fmt: off
READERS: dict[tuple[str, str], tuple[Kind, Reader]] = {
    ("customer",    "customer_created"):         (Kind.CUSTOMER_CREATED,        read_customer),
    ("order",       "order_abandoned"):          (Kind.ORDER_ABANDONED,         read_order),
    ("order",       "order_abandonned"):         (Kind.ORDER_ABANDONED,         read_order),  # Vrio's older spelling
    ("order",       "order_updated"):            (Kind.ORDER_UPDATED,           read_order),
    ("transaction", "transaction_completed"):    (Kind.TRANSACTION_COMPLETED,   read_transaction),
    ("transaction", "transaction_scheduled"):    (Kind.TRANSACTION_SCHEDULED,   read_transaction),
    ("transaction", "transaction_skipped"):      (Kind.TRANSACTION_SKIPPED,     read_transaction),
    ("transaction", "transaction_unskipped"):    (Kind.TRANSACTION_UNSKIPPED,   read_transaction),
    ("order_offer", "order_offer_cancelled"):    (Kind.ORDER_OFFER_CANCELLED,   read_subscription),
    ("order_offer", "order_offer_updated"):      (Kind.ORDER_OFFER_UPDATED,     read_subscription),
    ("shipment",    "shipment_shipped"):         (Kind.SHIPMENT_SHIPPED,        read_shipment),
    ("shipment",    "shipment_scheduled"):       (Kind.SHIPMENT_PROGRESS,       read_shipment),
    ("shipment",    "shipment_fulfilled"):       (Kind.SHIPMENT_PROGRESS,       read_shipment),
    ("shipment",    "shipment_delivered"):       (Kind.SHIPMENT_PROGRESS,       read_shipment),
    ("shipment",    "shipment_cancelled"):       (Kind.SHIPMENT_PROGRESS,       read_shipment),
    ("shipment",    "shipment_skipped"):         (Kind.SHIPMENT_PROGRESS,       read_shipment),
    ("shipment",    "shipment_error"):           (Kind.SHIPMENT_PROGRESS,       read_shipment),
    ("shipment",    "shipment_rma"):             (Kind.SHIPMENT_PROGRESS,       read_shipment),
    ("shipment",    "shipment_address_updated"): (Kind.SHIPMENT_PROGRESS,       read_shipment),
    ("shipment",    "shipment_item_updated"):    (Kind.SHIPMENT_PROGRESS,       read_shipment),
}
# fmt: on


def read(body: bytes, *, time_zone: str) -> Facts | Ignored:
    """The Facts of one event as Vrio posted it. `time_zone` is the clock Vrio's dates are read by.

    Ignored is an event kind or a value that no table knows. Raises Broken for a record that cannot be read.
    """
    event = opened(body)
    known = READERS.get((event.type, event.event))
    if known is None:
        return Ignored(
            "unknown_event", f"“{event.event[:60]}” of a Vrio {event.type[:40]} is not an event that we know."
        )
    kind, reader = known
    return reader(kind, event.record, event.event_id, told_at(event.date, event.record, time_zone), time_zone)


def told_at(date: str, record: Record, time_zone: str) -> datetime:
    """The event's date; a record without one was true when it was last written."""
    words = text({"date": date}, "date") or text(record, "date_complete", "date_modified", "date_created")
    if not words:
        raise Broken("webhook_event_date", "It is missing.")
    return in_zone("webhook_event_date", words, time_zone)
