"""The property blocks the catalogue's rows use: what each property is called and where it comes from.

Blocks add up, as in "all order properties, plus". Values are text, as Klaviyo's side of this integration has always had
them; what is empty is left out, never sent as null.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from events.facts import Address, Facts, Known, Line, Product

Value = str | list[str] | dict[str, str] | list[dict[str, "str | list[str]"]]


@dataclass(slots=True)
class Saying:
    """One message in the making: the event, what is known besides, and the item it is about, where it is about one.

    `source` is whose order is told: of a shipment that of the purchase behind it. `lines` are the items told.
    """

    facts: Facts
    known: Known
    unique_id: str
    value: Decimal | None
    line: Line | None = None
    source: Facts = field(init=False)
    lines: tuple[Line, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.source = (self.known.original or self.facts) if self.facts.shipment else self.facts
        self.lines = (self.line,) if self.line else self.source.order.lines or self.facts.order.lines


@dataclass(frozen=True, slots=True)
class Field:
    """One property. `expected` says that its absence is worth a word on the Webhooks tab."""

    name: str
    read: Callable[[Saying], Value]
    expected: bool = True


Block = tuple[Field, ...]


def fill(block: Block, saying: Saying) -> tuple[dict[str, Value], list[str]]:
    """The properties of one message, and the names of those that were expected and are not there."""
    properties: dict[str, Value] = {}
    missing: list[str] = []
    for one in block:
        value = one.read(saying)
        if value:
            properties[one.name] = value
        elif one.expected:
            missing.append(one.name)
    return properties, missing


# ── The order ────────────────────────────────────────────────────────────────────────────────────────────────────────


def order_id(saying: Saying) -> str:
    return saying.facts.order.order_id or saying.source.order.order_id


def of_transaction(name: str) -> Callable[[Saying], str]:
    """A text of the transaction, of a shipment that of the purchase behind it; empty where there is none."""
    return lambda saying: getattr(saying.source.transaction, name) if saying.source.transaction else ""


def card_last_four(saying: Saying) -> str:
    return saying.source.order.card_last_four


def categories(saying: Saying) -> list[str]:
    return list(dict.fromkeys(name for line in saying.lines for name in categories_of(line, saying.known)))


def offer_names(saying: Saying) -> list[str]:
    """Klaviyo's `ItemNames` are the offers' names, as the seed of this integration has them."""
    return list(dict.fromkeys(name for line in saying.lines if (name := offer_name(line, saying.known))))


def discount_code(saying: Saying) -> str:
    own = saying.line.discount_code if saying.line else ""
    order = saying.source.order
    return own or order.discount_code or next((line.discount_code for line in saying.lines if line.discount_code), "")


def discount_value(saying: Saying) -> str:
    """What was taken off. Zero is worth saying only beside a code."""
    own = saying.line.discount if saying.line else None
    told = own or saying.source.order.discount or sum_of(line.discount for line in saying.lines)
    return money_text(told) if told or (told is not None and discount_code(saying)) else ""


def items(saying: Saying) -> list[dict[str, str | list[str]]]:
    return [item for line in saying.lines if (item := filled(ITEM, line, saying.known))]


def subscription_items(saying: Saying) -> list[dict[str, str | list[str]]]:
    return [item for line in saying.lines if (item := filled(SUBSCRIPTION_ITEM, line, saying.known))]


def billing_address(saying: Saying) -> dict[str, str]:
    return address(saying.source.order.billing or saying.facts.order.billing)


def shipping_address(saying: Saying) -> dict[str, str]:
    """A parcel's own address wins over the order's."""
    return address(saying.facts.order.shipping or saying.source.order.shipping)


# ── Refunds, chargebacks, declines ───────────────────────────────────────────────────────────────────────────────────


def refund_amount(saying: Saying) -> str:
    return money_text(saying.value)


def completed_on(saying: Saying) -> str:
    return day_text(saying.facts.happened_at)


def chargeback_date(saying: Saying) -> str:
    told = saying.facts.transaction.chargeback_on if saying.facts.transaction else None
    return day_text(told or saying.facts.happened_at)


# ── Shipments ────────────────────────────────────────────────────────────────────────────────────────────────────────


def of_shipment(name: str) -> Callable[[Saying], str]:
    return lambda saying: getattr(saying.facts.shipment, name) if saying.facts.shipment else ""


# ── Single items and subscriptions ───────────────────────────────────────────────────────────────────────────────────


def event_id(saying: Saying) -> str:
    return saying.unique_id


def value(saying: Saying) -> str:
    return money_text(saying.value)


def of_line(read: Callable[[Line, Known], str | list[str]]) -> Callable[[Saying], Value]:
    return lambda saying: read(saying.line, saying.known) if saying.line else ""


def interval_unit(saying: Saying) -> str:
    return "days" if interval_days(saying) else ""


def interval_frequency(saying: Saying) -> str:
    days = interval_days(saying)
    return str(days) if days else ""


def interval_days(saying: Saying) -> int | None:
    return days_between_charges(saying.line.interval) if saying.line else None


def subscription_status(saying: Saying) -> str:
    subscription = saying.facts.subscription
    return subscription.status or "" if subscription else ""


def cancel_reason(saying: Saying) -> str:
    return saying.facts.subscription.cancel_reason if saying.facts.subscription else ""


# ── Items inside an order ────────────────────────────────────────────────────────────────────────────────────────────

ItemField = tuple[str, Callable[[Line, Known], str | list[str]]]


def filled(fields: tuple[ItemField, ...], line: Line, known: Known) -> dict[str, str | list[str]]:
    return {name: value for name, read in fields if (value := read(line, known))}


def product(line: Line, known: Known) -> Product:
    return known.products.get((line.offer_id, line.item_id), NOTHING_MORE)


def offer_name(line: Line, known: Known) -> str:
    return line.offer_name or product(line, known).offer_name


def offer_id(line: Line, known: Known) -> str:
    return line.offer_id


def item_id(line: Line, known: Known) -> str:
    return line.item_id


def item_name(line: Line, known: Known) -> str:
    return line.item_name or product(line, known).name


def sku(line: Line, known: Known) -> str:
    return line.sku or product(line, known).sku


def quantity(line: Line, known: Known) -> str:
    return number_text(line.quantity)


def item_price(line: Line, known: Known) -> str:
    return money_text(line.price)


def row_total(line: Line, known: Known) -> str:
    return money_text(line.total)


def categories_of(line: Line, known: Known) -> list[str]:
    return list(line.categories or product(line, known).categories)


# ── Words from values ────────────────────────────────────────────────────────────────────────────────────────────────


def money_text(amount: Decimal | None) -> str:
    """ "29.99": at least two decimals, more only where they say something; empty for None."""
    if amount is None:
        return ""
    plain = format(amount, "f")
    whole, _, cents = plain.partition(".")
    return f"{whole}.{cents.rstrip('0').ljust(2, '0')}"


def number_text(number: Decimal | None) -> str:
    """ "1" for 1 and for 1.00; empty for None."""
    if number is None:
        return ""
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def day_text(moment: datetime | date) -> str:
    """The calendar day on the shop's own clock."""
    return moment.strftime("%Y-%m-%d")


def sum_of(amounts: object) -> Decimal | None:
    told = [amount for amount in amounts if amount is not None]  # type: ignore[attr-defined]
    return sum(told, Decimal(0)) if told else None


def address(place: Address | None) -> dict[str, str]:
    """With the keys Klaviyo's guide for shops uses."""
    if place is None:
        return {}
    return {
        name: words
        for name, words in (
            ("FirstName", place.first_name),
            ("LastName", place.last_name),
            ("Company", place.company),
            ("Address1", place.address1),
            ("Address2", place.address2),
            ("City", place.city),
            ("RegionCode", place.region),
            ("CountryCode", place.country),
            ("Zip", place.zip),
        )
        if words
    }


def days_between_charges(name: str) -> int | None:
    """30 for Vrio's "Monthly", 14 for "Every 2 Weeks"; None for a single charge or a name that no rule knows.

    All intervals are told in days, as the seed tells a month, so that a segment compares one number.
    """
    words = " ".join(re.sub(r"[^a-z0-9]+", " ", name.lower()).split())
    if words in NAMED_INTERVALS:
        return NAMED_INTERVALS[words]
    counted = re.search(r"(\d{1,4}) ?(day|week|month|quarter|year)", words)
    if counted:
        number, unit = int(counted[1]), counted[2]
    elif named := re.search(r"every (?:(other) )?(day|week|month|quarter|year)", words):
        number, unit = 2 if named[1] else 1, named[2]
    else:
        return None
    if unit == "month" and number % 12 == 0:
        number, unit = number // 12, "year"
    return number * UNIT_DAYS[unit] or None


UNIT_DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 90, "year": 365}
NAMED_INTERVALS = {
    "daily": 1,
    "weekly": 7,
    "biweekly": 14,
    "bi weekly": 14,
    "fortnightly": 14,
    "semi monthly": 15,
    "semimonthly": 15,
    "monthly": 30,
    "month": 30,
    "bimonthly": 60,
    "bi monthly": 60,
    "quarterly": 90,
    "semi annually": 180,
    "semiannually": 180,
    "semi annual": 180,
    "biannually": 180,
    "bi annually": 180,
    "half yearly": 180,
    "annually": 365,
    "annual": 365,
    "yearly": 365,
    "year": 365,
}
NOTHING_MORE = Product()

# ── The blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────
# fmt: off
SUBSCRIPTION_ITEM: tuple[ItemField, ...] = (
    ("OfferName",  offer_name),
    ("OfferId",    offer_id),
    ("ItemId",     item_id),
    ("ItemName",   item_name),
    ("SKU",        sku),
)
ITEM = (
    *SUBSCRIPTION_ITEM,
    ("Quantity",   quantity),
    ("ItemPrice",  item_price),
    ("RowTotal",   row_total),
    ("Categories", categories_of),
)
ORDER: Block = (
    Field("OrderId",         order_id),
    Field("TransactionId",   of_transaction("transaction_id"), expected=False),
    Field("SaleId",          of_transaction("sale_id"),        expected=False),
    Field("Cycle",           of_transaction("cycle"),          expected=False),
    Field("Attempt",         of_transaction("attempt"),        expected=False),
    Field("MerchantId",      of_transaction("merchant_id"),    expected=False),
    Field("CardLastFour",    card_last_four,                   expected=False),
    Field("Categories",      categories),
    Field("ItemNames",       offer_names),
    Field("DiscountCode",    discount_code,                    expected=False),
    Field("DiscountValue",   discount_value,                   expected=False),
    Field("Items",           items),
    Field("BillingAddress",  billing_address),
    Field("ShippingAddress", shipping_address),
)
REFUND: Block = (
    *ORDER,
    Field("RefundAmount",          refund_amount),
    Field("RefundDate",            completed_on),
    Field("RefundedTransactionId", of_transaction("parent_id")),
)
DECLINE: Block = (
    *ORDER,
    Field("DeclineReason", of_transaction("decline_reason")),
    Field("DeclineCode",   of_transaction("decline_code"), expected=False),
)
CHARGEBACK: Block = (
    *ORDER,
    Field("ChargebackDate",   chargeback_date),
    Field("ChargebackCode",   of_transaction("chargeback_code"),    expected=False),
    Field("ChargebackCaseId", of_transaction("chargeback_case_id"), expected=False),
)
SHIPMENT: Block = (
    *ORDER,
    Field("ShipDate",       completed_on),
    Field("CarrierName",    of_shipment("carrier")),
    Field("TrackingNumber", of_shipment("tracking_number")),
)
PRODUCT: Block = (
    Field("$event_id",         event_id),
    Field("$value",            value),
    Field("OfferId",           of_line(offer_id)),
    Field("OfferName",         of_line(offer_name)),
    Field("ItemId",            of_line(item_id)),
    Field("ItemName",          of_line(item_name)),
    Field("SKU",               of_line(sku)),
    Field("Quantity",          of_line(quantity)),
    Field("ProductCategories", of_line(categories_of)),
)
SUBSCRIPTION: Block = (
    Field("ItemNames",              offer_names),
    Field("OrderIntervalUnit",      interval_unit),
    Field("OrderIntervalFrequency", interval_frequency),
    Field("DiscountCode",           discount_code,  expected=False),
    Field("DiscountValue",          discount_value, expected=False),
    Field("Items",                  subscription_items),
)
STARTED: Block = (
    Field("$event_id", event_id),
    Field("$value",    value),
    *SUBSCRIPTION,
)
STATUS_CHANGE: Block = (
    *SUBSCRIPTION,
    Field("OrderId",       order_id),
    Field("Status",        subscription_status),
    Field("EffectiveDate", completed_on),
    Field("CancelReason",  cancel_reason, expected=False),
)
NO_PROPERTIES: Block = ()
# fmt: on
