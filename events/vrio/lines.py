"""Reads what was bought: the items of a record, nested or flat, under each of the names Vrio gives the list.

No public sample shows the inside of these lists, so every spelling known from Vrio's API is read where it may stand.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from events.facts import Line
from events.vrio.codes import STATUSES, word_for
from events.vrio.values import NOTHING, Record, clean, day, flag, identity, listed, money, nested, text

LISTS = ("transaction_order_offers", "line_items", "order_offers")
ITEMS = ("items", "order_offer_items", "transaction_order_offer_items", "offer_items", "line_items", "shipment_items")
QUANTITY = ("item_quantity", "line_item_quantity", "quantity", "order_offer_quantity", "offer_quantity")
PRICE = ("item_price", "line_item_price", "price", "transaction_order_offer_price", "order_offer_price", "offer_price")
TOTAL = ("row_total", "line_item_total", "transaction_order_offer_total", "order_offer_total")
DISCOUNT = ("line_item_discount_total", "transaction_order_offer_discount", "order_offer_discount")
ONE = Decimal(1)
NEXT_CHARGE = ("next_recurring_date", "next_rebill_date", "next_charge_date", "rebill_date")


def lines(record: Record) -> tuple[Line, ...]:
    """The items of a transaction or an order, in the order Vrio lists them; empty when it lists none."""
    order = nested(record, "order")
    entries = list(listed(record, *LISTS)) or list(listed(order, *LISTS))
    offers = {offer_key(offer): offer for holder in (record, order) for offer in listed(holder, "order_offers")}
    return tuple(line for entry in entries for line in lines_of(entry, offers))


def offer_key(offer: Record) -> str:
    return identity(offer, "order_offer_id", "id")


def lines_of(entry: Record, offers: dict[str, Record]) -> Iterator[Line]:
    """One line per item of an entry. An offer's price without prices of its items is said once, by the first."""
    items = list(listed(entry, *ITEMS)) or [nested(entry, "item", "product")]
    outer, offer = layers_of(entry, offers), order_offer_id(entry)
    for position, item in enumerate(items):
        line = line_of(flat((*outer, named(item, "item"))), offer)
        yield line if position == 0 or has_price(item) else replace(line, price=None, total=None, discount=None)


def layers_of(entry: Record, offers: dict[str, Record]) -> tuple[Record, ...]:
    """Where a line's words stand, the most specific last."""
    inner = nested(entry, "order_offer")
    full = offers.get(identity(entry, "order_offer_id") or offer_key(inner), NOTHING)
    offer = nested(entry, "offer") or nested(inner, "offer")
    return (full if full is not entry else NOTHING, named(offer, "offer"), inner, entry)


def flat(layers: tuple[Record, ...]) -> Record:
    """One object of all layers; what a layer leaves empty shows the one below."""
    told = [layer for layer in layers if layer]
    if len(told) == 1:
        return told[0]
    return {name: value for layer in told for name, value in layer.items() if value is not None and value != ""}


def named(record: Record, kind: str) -> Record:
    """A nested object under the names it would have if it were flat: `id` is `item_id`, `name` is `item_name`."""
    if not record or f"{kind}_id" in record:
        return record
    return {f"{kind}_id": record.get("id"), f"{kind}_name": record.get("name"), **record}


def order_offer_id(entry: Record) -> str:
    """An entry that has an order offer's own fields is one, and its `id` is meant."""
    told = identity(entry, "order_offer_id") or offer_key(nested(entry, "order_offer"))
    if told or "line_item_id" in entry:
        return told
    is_order_offer = any(name in entry for name in ("status_type_id", "charge_timeframe_name", "order_offer_price"))
    return identity(entry, "id") if is_order_offer else ""


def has_price(item: Record) -> bool:
    return any(item.get(name) is not None for name in ("price", "item_price", "line_item_price"))


def line_of(record: Record, order_offer: str) -> Line:
    """One line from an object that says everything about it."""
    quantity, price, total = money(record, *QUANTITY), money(record, *PRICE), money(record, *TOTAL)
    return Line(
        order_offer_id=order_offer,
        offer_id=identity(record, "offer_id"),
        offer_name=text(record, "offer_name"),
        item_id=identity(record, "item_id", "product_id"),
        item_name=text(record, "item_name", "product_name"),
        sku=text(record, "sku", "item_sku", "product_sku", "shipment_item_sku") or shipped_sku(record),
        quantity=quantity,
        price=total if price is None and quantity in (None, ONE) else price,
        total=price * (ONE if quantity is None else quantity) if total is None and price is not None else total,
        categories=categories(record),
        is_recurring=flag(record, "is_recurring"),
        interval=text(record, "charge_timeframe_name", "charge_timeframe"),
        discount_code=text(record, "discount_code", "coupon_code"),
        discount=money(record, *DISCOUNT),
        status=word_for(STATUSES, text(record, "status_type_id")),
        next_charge_on=day(record, *NEXT_CHARGE),
    )


def shipped_sku(record: Record) -> str:
    """The API keeps a line's SKU with the line's shipments."""
    for shipment in listed(record, "line_item_shipments", "order_offer_shipments", "shipments"):
        for item in (shipment, *listed(shipment, "shipment_items")):
            if found := text(item, "shipment_item_sku"):
                return found
    return ""


def categories(record: Record) -> tuple[str, ...]:
    for name in ("categories", "product_categories", "item_categories", "category", "category_name"):
        if found := names_in(record.get(name)):
            return found
    return ()


def names_in(value: object) -> tuple[str, ...]:
    """Category names from one text, a list of texts or a list of objects; each once, in Vrio's order."""
    if not value:
        return ()
    entries = value if isinstance(value, list) else [value]
    names = (text(entry, "name", "category_name") if isinstance(entry, dict) else entry for entry in entries)
    return tuple(dict.fromkeys(clean(name) for name in names if isinstance(name, str) and name.strip()))
