"""Lifetime value: what a customer's purchases are worth after everything that was taken back. Pure.

The mirror asks it with all of a customer's payments each time; nothing is ever incremented, so no order of arrival and
no repetition can make it wrong.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from events.facts import SALES, TransactionType

REDUCERS = frozenset(
    (TransactionType.REFUND, TransactionType.VOID, TransactionType.CHARGEBACK, TransactionType.RETURNED_CHECK)
)
ZERO = Decimal(0)


class Payment(Protocol):
    """One transaction, as the mirror keeps it."""

    vrio_id: str
    type: str
    order_id: str
    parent_id: str
    is_approved: bool
    is_test: bool
    amount: Decimal | None
    currency: str
    completed_at: datetime


def lifetime_value(payments: Iterable[Payment]) -> Decimal:
    """The sum over approved sales of what remains of each, in the currency of the customer's first sale.

    What takes money back names the sale it belongs to. Where that sale is not known it falls on the sales of its order;
    where the order has none either it changes nothing. No sale and no order falls below zero.
    """
    counted = {payment.vrio_id: payment for payment in payments if payment.is_approved and not payment.is_test}
    sales = of_one_currency([payment for payment in counted.values() if payment.type in SALES])
    own, by_order = taken_back(counted, sales)
    remains: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for sale_id, sale in sales.items():
        remains[sale.order_id] += max(ZERO, (sale.amount or ZERO) - max(ZERO, own[sale_id]))
    return sum((max(ZERO, rest - max(ZERO, by_order[order])) for order, rest in remains.items()), ZERO)


def of_one_currency(sales: list[Payment]) -> dict[str, Payment]:
    if not sales:
        return {}
    currency = min(sales, key=lambda sale: (sale.completed_at, sale.vrio_id)).currency
    return {sale.vrio_id: sale for sale in sales if sale.currency == currency}


def taken_back(
    counted: Mapping[str, Payment], sales: Mapping[str, Payment]
) -> tuple[defaultdict[str, Decimal], defaultdict[str, Decimal]]:
    """Per sale, and per order what names no known sale. A reversal gives back what its chargeback took."""
    own: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    by_order: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for payment in counted.values():
        amount = abs(payment.amount or ZERO)
        if payment.type == TransactionType.CHARGEBACK_REVERSAL:
            amount = -amount
        elif payment.type not in REDUCERS:
            continue
        sale = sale_behind(payment, counted, sales)
        if sale:
            own[sale] += amount
        elif payment.order_id:
            by_order[payment.order_id] += amount
    return own, by_order


def sale_behind(payment: Payment, counted: Mapping[str, Payment], sales: Mapping[str, Payment]) -> str:
    """The sale a payment names, also through another one, as a reversal names its chargeback; empty if unknown."""
    seen: set[str] = set()
    parent = payment.parent_id
    while parent and parent not in seen:
        if parent in sales:
            return parent
        seen.add(parent)
        parent = counted[parent].parent_id if parent in counted else ""
    return ""
