"""THE TABLE: one row for each thing Klaviyo hears, and one for each thing it does not hear although we know it.

`events.translate` runs it. A new event type is one row here, one fixture folder and one line of the README's table.
"""
# ruff: noqa: E501  (a row is one line, so that columns can be compared)

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from events.conditions import (
    alert,
    always,
    auth,
    chargeback,
    chargeback_reversal,
    declined_correction,
    declined_order,
    first_cycle_sale,
    first_sight_or_cleared,
    next_charge_cleared,
    one_time_offer,
    one_time_sale,
    paused,
    reactivated,
    refund,
    returned_check,
    sale,
    subscription,
    subscription_sale,
    unpaused,
    void,
)
from events.facts import Facts, Kind, Known
from events.fields import (
    CHARGEBACK,
    DECLINE,
    NO_PROPERTIES,
    ORDER,
    PRODUCT,
    REFUND,
    SHIPMENT,
    STARTED,
    STATUS_CHANGE,
    Block,
)
from events.units import (
    Unit,
    cancellation,
    each_item,
    each_subscription,
    event,
    order,
    order_abandoned,
    pause,
    profile_id,
    reactivation,
    resumption,
    shipment,
    shipment_id,
    subscription_change,
    transaction,
    transaction_id,
    transaction_product,
    transaction_product_sub,
)

Condition = Callable[[Facts, Known], bool]
OncePer = Callable[[Facts], Iterable[Unit]]
UniqueId = Callable[[Facts, Unit], str]

PROFILE_ONLY = None


class Anything(Enum):
    """An event of which no other row says a word."""

    ELSE = "anything_else"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One row. `metric` None sends the profile alone. Row order is sending order."""

    trigger: Kind | Anything
    condition: Condition
    metric: str | None
    once_per: OncePer = event
    unique_id: UniqueId = profile_id
    properties: Block = NO_PROPERTIES

    @property
    def name(self) -> str:
        """The row's own name, which its fixture folders begin with."""
        if self.metric is not None:
            return "_".join(self.metric.lower().replace("-", " ").split())
        trigger = str(self.trigger.value)
        return trigger if self.condition is always else f"{trigger}_{self.condition.__name__}"


@dataclass(frozen=True, slots=True, eq=False)
class Unsaid:
    """One row of what is kept and not sent: `reason` is a code, `sentence` what the Webhooks tab says."""

    trigger: Kind | Anything
    condition: Condition
    reason: str
    sentence: str


CUSTOMER_CREATED = Kind.CUSTOMER_CREATED
ORDER_ABANDONED = Kind.ORDER_ABANDONED
ORDER_UPDATED = Kind.ORDER_UPDATED
TRANSACTION_COMPLETED = Kind.TRANSACTION_COMPLETED
TRANSACTION_SCHEDULED = Kind.TRANSACTION_SCHEDULED
TRANSACTION_SKIPPED = Kind.TRANSACTION_SKIPPED
TRANSACTION_UNSKIPPED = Kind.TRANSACTION_UNSKIPPED
OFFER_CANCELLED = Kind.ORDER_OFFER_CANCELLED
OFFER_UPDATED = Kind.ORDER_OFFER_UPDATED
SHIPMENT_SHIPPED = Kind.SHIPMENT_SHIPPED
SHIPMENT_PROGRESS = Kind.SHIPMENT_PROGRESS
ANYTHING_ELSE = Anything.ELSE

# fmt: off
RULES: tuple[Rule, ...] = (
    #    Vrio says              and                     Klaviyo hears                 once per           unique id                properties
    Rule(CUSTOMER_CREATED,      always,                 PROFILE_ONLY),
    Rule(ORDER_ABANDONED,       always,                 "Abandoned Order",            order,             order_abandoned,         ORDER),
    Rule(TRANSACTION_COMPLETED, subscription_sale,      "Placed Order",               transaction,       transaction_id,          ORDER),
    Rule(TRANSACTION_COMPLETED, one_time_sale,          "Placed Non-Recurring Order", transaction,       transaction_id,          ORDER),
    Rule(TRANSACTION_COMPLETED, sale,                   "Ordered Product",            each_item,         transaction_product,     PRODUCT),
    Rule(TRANSACTION_COMPLETED, first_cycle_sale,       "Started Subscription",       each_subscription, transaction_product_sub, STARTED),
    Rule(TRANSACTION_COMPLETED, declined_order,         "Declined Order",             transaction,       transaction_id,          DECLINE),
    Rule(TRANSACTION_COMPLETED, refund,                 "Refunded Order",             transaction,       transaction_id,          REFUND),
    Rule(TRANSACTION_COMPLETED, void,                   "Voided Order",               transaction,       transaction_id,          REFUND),
    Rule(TRANSACTION_COMPLETED, chargeback,             "Order Chargeback",           transaction,       transaction_id,          CHARGEBACK),
    Rule(TRANSACTION_COMPLETED, alert,                  "Order Alert",                transaction,       transaction_id,          ORDER),
    Rule(TRANSACTION_COMPLETED, auth,                   "Order Auth",                 transaction,       transaction_id,          ORDER),
    Rule(SHIPMENT_SHIPPED,      always,                 "Fulfilled Order",            shipment,          shipment_id,             SHIPMENT),
    Rule(OFFER_CANCELLED,       subscription,           "Cancelled Subscription",     cancellation,      subscription_change,     STATUS_CHANGE),
    Rule(OFFER_UPDATED,         paused,                 "Paused Subscription",        pause,             subscription_change,     STATUS_CHANGE),
    Rule(OFFER_UPDATED,         unpaused,               "Unpaused Subscription",      resumption,        subscription_change,     STATUS_CHANGE),
    Rule(OFFER_UPDATED,         reactivated,            "Reactivated Subscription",   reactivation,      subscription_change,     STATUS_CHANGE),
    Rule(OFFER_CANCELLED,       next_charge_cleared,    PROFILE_ONLY),
    Rule(OFFER_UPDATED,         next_charge_cleared,    PROFILE_ONLY),
    Rule(ANYTHING_ELSE,         first_sight_or_cleared, PROFILE_ONLY),
)
UNSAID: tuple[Unsaid, ...] = (
    #      Vrio says              and                      reason                 sentence
    Unsaid(TRANSACTION_COMPLETED, declined_correction,     "declined_correction", "This correction was declined at the bank, so nothing changed and Klaviyo hears nothing."),
    Unsaid(TRANSACTION_COMPLETED, chargeback_reversal,     "recorded_only",       "A chargeback reversal counts for the lifetime value; Klaviyo has no event for it."),
    Unsaid(TRANSACTION_COMPLETED, returned_check,          "recorded_only",       "A returned check counts for the lifetime value; Klaviyo has no event for it."),
    Unsaid(TRANSACTION_SCHEDULED, always,                  "recorded_only",       "The charge is planned and has not been made; Klaviyo hears of it when it has."),
    Unsaid(TRANSACTION_SKIPPED,   always,                  "recorded_only",       "Vrio skipped a scheduled charge; Klaviyo has no event for it."),
    Unsaid(TRANSACTION_UNSKIPPED, always,                  "recorded_only",       "Vrio put a skipped charge back; Klaviyo has no event for it."),
    Unsaid(ORDER_UPDATED,         always,                  "recorded_only",       "The order was updated; what it says about the customer is kept and goes along with the next event."),
    Unsaid(SHIPMENT_PROGRESS,     always,                  "not_shipped",         "The parcel has not left or is no longer on its way as new; only a shipped one is a Fulfilled Order."),
    Unsaid(OFFER_CANCELLED,       always,                  "not_a_subscription",  "What was cancelled is a one-time item, not a subscription."),
    Unsaid(OFFER_UPDATED,         one_time_offer,          "not_a_subscription",  "What was updated is a one-time item, not a subscription."),
    Unsaid(OFFER_UPDATED,         always,                  "no_status_change",    "The subscription was not paused, resumed or reactivated by this update."),
    Unsaid(ANYTHING_ELSE,         always,                  "nothing_to_say",      "Klaviyo has no event for this."),
)
# fmt: on
