"""What a Vrio event says, in our names and types, whichever dialect it was written in.

The readers in `events.vrio` make Facts, `events.mirror` remembers them, `events.translate` turns them into Messages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum


class Kind(StrEnum):
    """What happened. Every kind is mirrored; `catalogue.RULES` says which of them Klaviyo hears of."""

    CUSTOMER_CREATED = "customer_created"
    ORDER_ABANDONED = "order_abandoned"
    ORDER_UPDATED = "order_updated"
    TRANSACTION_COMPLETED = "transaction_completed"
    TRANSACTION_SCHEDULED = "transaction_scheduled"
    TRANSACTION_SKIPPED = "transaction_skipped"
    TRANSACTION_UNSKIPPED = "transaction_unskipped"
    ORDER_OFFER_CANCELLED = "order_offer_cancelled"
    ORDER_OFFER_UPDATED = "order_offer_updated"
    SHIPMENT_SHIPPED = "shipment_shipped"
    SHIPMENT_PROGRESS = (
        "shipment_progress"  # scheduled, fulfilled, cancelled, returned …: not yet, or no longer, shipped
    )


class TransactionType(StrEnum):
    SALE = "Sale"
    REFUND = "Refund"
    VOID = "Void"
    CHARGEBACK = "Chargeback"
    ALERT = "Alert"
    AUTH = "Auth"
    CAPTURE = "Capture"
    COD = "COD"
    CHARGEBACK_REVERSAL = "Chargeback Reversal"
    RETURNED_CHECK = "Returned Check"


SALES = frozenset((TransactionType.SALE, TransactionType.CAPTURE, TransactionType.COD))


class Status(StrEnum):
    """Where an order offer stands."""

    ACTIVE = "Active"
    CANCELLED = "Cancelled"
    COMPLETE = "Complete"
    PARTIAL = "Partial"
    DECLINED = "Declined"
    ARCHIVE = "Archive"
    REJECTED = "Rejected"
    REMOVED = "Removed"
    PAUSED = "Paused"
    EXPIRED = "Expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    region: str = ""
    country: str = ""  # ISO 3166 alpha-2 where it was recognised, else as Vrio wrote it
    zip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A customer as one event names them. Empty text means: this event does not say."""

    customer_id: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    phone: str = ""  # as Vrio wrote it
    country: str = ""
    address: Address | None = None
    clv: Decimal | None = None
    active_subscriber: bool | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One item of an order, a transaction, a subscription or a shipment."""

    order_offer_id: str = ""
    offer_id: str = ""
    offer_name: str = ""
    item_id: str = ""
    item_name: str = ""
    sku: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None  # of one
    total: Decimal | None = None  # of all, before discounts
    categories: tuple[str, ...] = ()
    is_recurring: bool | None = None
    interval: str = ""  # Vrio's name for it, "Monthly"
    discount_code: str = ""
    discount: Decimal | None = None
    status: Status | None = None
    next_charge_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    order_id: str = ""
    lines: tuple[Line, ...] = ()
    discount_code: str = ""
    discount: Decimal | None = None
    card_last_four: str = ""
    billing: Address | None = None
    shipping: Address | None = None
    tracking: Mapping[str, str] = field(
        default_factory=dict
    )  # tracking1 … tracking20: marketing variables, not parcels
    currency: str = ""  # ISO 4217; empty is the merchant's


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    transaction_id: str
    type: TransactionType
    is_declined: bool = False
    total: Decimal | None = None
    completed_at: datetime | None = None
    cycle: str = ""
    attempt: str = ""
    merchant_id: str = ""  # Vrio's payment account, not our Merchant
    sale_id: str = ""
    parent_id: str = ""  # the transaction that a refund, void or chargeback takes back
    decline_reason: str = ""
    decline_code: str = ""
    chargeback_on: date | None = None
    chargeback_code: str = ""
    chargeback_case_id: str = ""
    next_charge_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """An order offer: its status, and the record's own date of each change."""

    order_offer_id: str
    line: Line
    status: Status | None = None
    is_recurring: bool | None = None
    cancelled_at: datetime | None = None
    paused_at: datetime | None = None
    unpaused_at: datetime | None = None
    reactivated_at: datetime | None = None
    cancel_reason: str = ""
    next_charge_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    shipment_id: str
    shipped_at: datetime | None = None
    carrier: str = ""
    tracking_number: str = ""
    transaction_id: str = ""  # the transaction that paid for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One Vrio event.

    `happened_at` is the record's own completion date, else the event's. `told_at` is the event's date, and `judged_at`
    the record's date by which an old record behind a Test link is told from news (None: age says nothing).
    """

    kind: Kind
    event_id: str
    happened_at: datetime
    told_at: datetime
    judged_at: datetime | None = None
    customer_id: str = ""
    customer: Person | None = None
    campaign_id: str = ""
    campaign_name: str = ""
    is_test: bool | None = None
    order: Order = field(default_factory=Order)
    transaction: Transaction | None = None
    subscription: Subscription | None = None
    shipment: Shipment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What is known of an item besides what an event says."""

    name: str = ""
    sku: str = ""
    categories: tuple[str, ...] = ()
    offer_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the mirror answers about the things one event leaves out.

    `next_charge_is_cleared` says that the last active subscription ended; `next_charge_on` None alone says nothing.
    `original` is the purchase behind a shipment. `status_before` is the subscription's status before this event.
    """

    customer: Person | None = None
    tracking: Mapping[str, str] = field(default_factory=dict)
    clv: Decimal | None = None
    next_charge_on: date | None = None
    next_charge_is_cleared: bool = False
    active_subscriber: bool | None = None
    original: Facts | None = None
    status_before: Status | None = None
    is_first_sight: bool = False
    campaign_id: str = ""
    is_test: bool | None = None
    products: Mapping[tuple[str, str], Product] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one rule says about one event. `metric` None is a profile alone; `notes` are sentences for the tab."""

    metric: str | None
    unique_id: str
    happened_at: datetime
    properties: Mapping[str, object] = field(default_factory=dict)
    value: Decimal | None = None
    currency: str = ""
    notes: tuple[str, ...] = ()
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that is stored and of which we know nothing more: `reason` is a code, `sentence` is for people."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why nothing is said about an event that was read well."""

    reason: str
    sentence: str


class Broken(Exception):
    """A record that cannot be read: `field` is where, `why` a sentence."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why
