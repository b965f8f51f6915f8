"""The table's fourth and fifth column: how often a row speaks about one event, and under which id.

Ids are derived, never drawn: the same fact gets the same id in every replay, a second real occurrence another one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from events.conditions import subscription_of, transaction_of
from events.facts import Facts, Line
from events.fields import sum_of


@dataclass(frozen=True, slots=True)
class Unit:
    """What one message is about, when it happened, and what it is worth."""

    at: datetime
    value: Decimal | None = None
    line: Line | None = None
    ordinal: int = 1  # the second line of one offer is 2
    word: str = ""  # what happened to a subscription


# ── Once per … ───────────────────────────────────────────────────────────────────────────────────────────────────────


def event(facts: Facts) -> Iterable[Unit]:
    """event"""
    return (Unit(facts.happened_at),)


def order(facts: Facts) -> Iterable[Unit]:
    """order"""
    return (Unit(facts.happened_at, sum_of_lines(facts)),)


def transaction(facts: Facts) -> Iterable[Unit]:
    """transaction"""
    return (Unit(facts.happened_at, total(facts)),)


def shipment(facts: Facts) -> Iterable[Unit]:
    """shipment"""
    return (Unit(facts.happened_at),)


def each_item(facts: Facts) -> Iterable[Unit]:
    """item"""
    seen: dict[str, int] = {}
    for line in sorted(facts.order.lines, key=line_order):
        product = product_of(line)
        seen[product] = seen.get(product, 0) + 1
        yield Unit(facts.happened_at, line.total, line, seen[product])


def each_subscription(facts: Facts) -> Iterable[Unit]:
    """subscription item"""
    return (unit for unit in each_item(facts) if unit.line and unit.line.is_recurring)


def cancellation(facts: Facts) -> Iterable[Unit]:
    """cancellation"""
    return change(facts, "cancelled", subscription_of(facts).cancelled_at)


def pause(facts: Facts) -> Iterable[Unit]:
    """pause"""
    return change(facts, "paused", subscription_of(facts).paused_at)


def resumption(facts: Facts) -> Iterable[Unit]:
    """resumption"""
    return change(facts, "unpaused", subscription_of(facts).unpaused_at)


def reactivation(facts: Facts) -> Iterable[Unit]:
    """reactivation"""
    return change(facts, "reactivated", subscription_of(facts).reactivated_at)


# ── Unique id ────────────────────────────────────────────────────────────────────────────────────────────────────────


def profile_id(facts: Facts, unit: Unit) -> str:
    """profile:{event}"""
    return f"profile:{facts.kind}:{facts.event_id}"


def order_abandoned(facts: Facts, unit: Unit) -> str:
    """{order}_abandoned"""
    return f"{facts.order.order_id}_abandoned"


def transaction_id(facts: Facts, unit: Unit) -> str:
    """{transaction}"""
    return transaction_of(facts).transaction_id


def transaction_product(facts: Facts, unit: Unit) -> str:
    """{transaction}_{offer}"""
    product = product_of(unit.line) if unit.line else ""
    again = f"_{unit.ordinal}" if unit.ordinal > 1 else ""
    return f"{transaction_id(facts, unit)}_{product}{again}"


def transaction_product_sub(facts: Facts, unit: Unit) -> str:
    """{transaction}_{offer}_sub"""
    return f"{transaction_product(facts, unit)}_sub"


def shipment_id(facts: Facts, unit: Unit) -> str:
    """{shipment}"""
    return facts.shipment.shipment_id if facts.shipment else ""


def subscription_change(facts: Facts, unit: Unit) -> str:
    """{subscription}_{what}_{date}"""
    return f"{subscription_of(facts).order_offer_id}_{unit.word}_{unit.at:%Y%m%d%H%M%S}"


# ── What they are made of ────────────────────────────────────────────────────────────────────────────────────────────


def total(facts: Facts) -> Decimal | None:
    """The transaction's total, else what its lines sum up to. Never negative: the metric says which way money went."""
    told = transaction_of(facts).total
    return abs(told) if told is not None else sum_of_lines(facts)


def sum_of_lines(facts: Facts) -> Decimal | None:
    return sum_of(line.total for line in facts.order.lines)


def change(facts: Facts, word: str, at: datetime | None) -> Iterable[Unit]:
    return (Unit(at or facts.told_at, line=subscription_of(facts).line, word=word),)


def product_of(line: Line) -> str:
    return line.offer_id or line.item_id


def line_order(line: Line) -> tuple[tuple[int, str], tuple[int, str], Decimal, Decimal]:
    """However Vrio lists them, the lines of one transaction get the same ids. Numbers as text sort by length first."""
    nothing = Decimal(0)
    return (
        (len(line.order_offer_id), line.order_offer_id),
        (len(line.item_id), line.item_id),
        line.price if line.price is not None else nothing,
        line.quantity if line.quantity is not None else nothing,
    )
