"""Reads Vrio: whatever dialect an event was written in, the same Facts come out, and Vrio's spelling stays behind.

Dispatch calls `read` on stored bodies; `manage.py translate` on a file.
"""

from collections.abc import Callable
from datetime import datetime

from events.facts import Broken, Facts, Ignored, Kind
from events.vrio.customers import read_customer
from events.vrio.envelope import Envelope, identify, open_envelope
from events.vrio.orders import read_order
from events.vrio.shipments import read_shipment
from events.vrio.subscriptions import read_subscription
from events.vrio.transactions import read_transaction
from events.vrio.values import Record, in_zone

__all__ = ["Broken", "Envelope", "Ignored", "identify", "open_envelope", "read", "read_envelope"]

Reader = Callable[[Kind, Record, str, datetime, str], Facts | Ignored]

# fmt: off
READERS: dict[tuple[str, str], tuple[Kind, Reader]] = {
    ("customer",    "customer_created"):         (Kind.CUSTOMER_CREATED,        read_customer),
    ("order",       "order_abandoned"):          (Kind.ORDER_ABANDONED,         read_order),
    ("order",       "order_abandonned"):         (Kind.ORDER_ABANDONED,         read_order),  # Vrio's older spelling
    ("order",       "order_updated"):            (Kind.ORDER_UPDATED,           read_order),
    ("transaction", "transaction_completed"):    (Kind.TRANSACTION_COMPLETED,   read_transaction),
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
    return read_envelope(open_envelope(body), time_zone=time_zone)


def read_envelope(envelope: Envelope, *, time_zone: str) -> Facts | Ignored:
    """The same for an envelope already opened."""
    known = READERS.get((envelope.type, envelope.event))
    if known is None:
        return Ignored(
            "unknown_event", f"Vrio's event “{envelope.event[:60]}” of a {envelope.type[:40]} is not one we know."
        )
    if not envelope.date:
        raise Broken("webhook_event_date", "It is missing.")
    kind, reader = known
    return reader(
        kind, envelope.record, envelope.event_id, in_zone("webhook_event_date", envelope.date, time_zone), time_zone
    )
