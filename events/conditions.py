"""The table's second column: what must be true of an event besides its kind.

The docstrings are the words the README's event table uses.
"""

from datetime import timedelta
from enum import Enum

from events.facts import SALES, Facts, Known, Status, Subscription, Transaction, TransactionType


class Change(Enum):
    """What an update of an order offer can have changed, as far as Klaviyo hears of it."""

    PAUSED = "paused"
    UNPAUSED = "unpaused"
    REACTIVATED = "reactivated"


def always(facts: Facts, known: Known) -> bool:
    """always"""
    return True


def sale(facts: Facts, known: Known) -> bool:
    """an approved Sale, Capture or COD"""
    return is_approved(facts, *SALES)


def subscription_sale(facts: Facts, known: Known) -> bool:
    """an approved Sale, Capture or COD with a subscription item"""
    return sale(facts, known) and has_subscription(facts)


def one_time_sale(facts: Facts, known: Known) -> bool:
    """an approved Sale, Capture or COD without a subscription item"""
    return sale(facts, known) and not has_subscription(facts)


def first_cycle_sale(facts: Facts, known: Known) -> bool:
    """an approved Sale, Capture or COD of cycle 1"""
    return sale(facts, known) and transaction_of(facts).cycle == "1"


def declined_order(facts: Facts, known: Known) -> bool:
    """a declined Sale, Auth, Capture or COD"""
    transaction = transaction_of(facts)
    return transaction.is_declined and transaction.type in (*SALES, TransactionType.AUTH)


def refund(facts: Facts, known: Known) -> bool:
    """an approved Refund"""
    return is_approved(facts, TransactionType.REFUND)


def void(facts: Facts, known: Known) -> bool:
    """an approved Void"""
    return is_approved(facts, TransactionType.VOID)


def chargeback(facts: Facts, known: Known) -> bool:
    """a Chargeback"""
    return is_approved(facts, TransactionType.CHARGEBACK)


def alert(facts: Facts, known: Known) -> bool:
    """an Alert"""
    return is_approved(facts, TransactionType.ALERT)


def auth(facts: Facts, known: Known) -> bool:
    """an approved Auth"""
    return is_approved(facts, TransactionType.AUTH)


def subscription(facts: Facts, known: Known) -> bool:
    """a subscription"""
    return subscription_of(facts).is_recurring is not False


def paused(facts: Facts, known: Known) -> bool:
    """a subscription that was not paused is now"""
    return subscription(facts, known) and status_change(facts, known) is Change.PAUSED


def unpaused(facts: Facts, known: Known) -> bool:
    """a subscription that was paused is active"""
    return subscription(facts, known) and status_change(facts, known) is Change.UNPAUSED


def reactivated(facts: Facts, known: Known) -> bool:
    """a subscription that had ended is active"""
    return subscription(facts, known) and status_change(facts, known) is Change.REACTIVATED


def declined_correction(facts: Facts, known: Known) -> bool:
    """a declined transaction of any other type"""
    return transaction_of(facts).is_declined


def chargeback_reversal(facts: Facts, known: Known) -> bool:
    """a Chargeback Reversal"""
    return is_approved(facts, TransactionType.CHARGEBACK_REVERSAL)


def returned_check(facts: Facts, known: Known) -> bool:
    """a Returned Check"""
    return is_approved(facts, TransactionType.RETURNED_CHECK)


def one_time_offer(facts: Facts, known: Known) -> bool:
    """a one-time item"""
    return not subscription(facts, known)


def next_charge_cleared(facts: Facts, known: Known) -> bool:
    """the customer's last active subscription ended or paused"""
    return known.next_charge_is_cleared


def first_sight_or_cleared(facts: Facts, known: Known) -> bool:
    """a customer seen for the first time, or without an active subscription from now on"""
    return known.is_first_sight or known.next_charge_is_cleared


# ── What they are made of ────────────────────────────────────────────────────────────────────────────────────────────

ENDED = frozenset((Status.CANCELLED, Status.EXPIRED))
NEWS = timedelta(days=1)  # without a status before, a record's own date this fresh shows that something changed


def transaction_of(facts: Facts) -> Transaction:
    assert facts.transaction is not None
    return facts.transaction


def subscription_of(facts: Facts) -> Subscription:
    assert facts.subscription is not None
    return facts.subscription


def is_approved(facts: Facts, *types: TransactionType) -> bool:
    """The flag is read before the type: a declined refund is not a refund."""
    transaction = transaction_of(facts)
    return not transaction.is_declined and transaction.type in types


def has_subscription(facts: Facts) -> bool:
    return any(line.is_recurring for line in facts.order.lines)


def status_change(facts: Facts, known: Known) -> Change | None:
    """What this event changed: told by the status before, and where that is unknown by a fresh date of the record."""
    after, before = subscription_of(facts).status, known.status_before
    if after not in (Status.PAUSED, Status.ACTIVE) or after is before:
        return None
    if before is None:
        return freshest_change(facts, after)
    if after is Status.PAUSED:
        return Change.PAUSED
    if before is Status.PAUSED:
        return Change.UNPAUSED
    return Change.REACTIVATED if before in ENDED else None


def freshest_change(facts: Facts, after: Status) -> Change | None:
    told = subscription_of(facts)
    dates = {Change.PAUSED: told.paused_at}
    if after is Status.ACTIVE:
        dates = {Change.UNPAUSED: told.unpaused_at, Change.REACTIVATED: told.reactivated_at}
    fresh = {word: at for word, at in dates.items() if at is not None and abs(facts.told_at - at) <= NEWS}
    return max(fresh, key=fresh.__getitem__) if fresh else None
