"""Reads order offers: a subscription's status, price and dates.

Vrio's update says how the subscription stands, never what changed; that is told from the status before.
"""

from datetime import datetime

from events.facts import Broken, Facts, Kind, Order, Subscription
from events.vrio.codes import STATUSES, currency, word_for
from events.vrio.lines import NEXT_CHARGE, lines_of
from events.vrio.orders import campaign_id, campaign_name, inner_order, is_test, tracking
from events.vrio.people import billing, customer_id, person, shipping
from events.vrio.values import Record, day, flag, identity, moment, text


def read_subscription(kind: Kind, record: Record, event_id: str, told_at: datetime, zone: str) -> Facts:
    """An order-offer record; raises Broken without an id."""
    order_offer_id = identity(record, "order_offer_id", "id")
    if not order_offer_id:
        raise Broken("order_offer.id", "The order offer has no id.")
    cancelled_at = moment(record, zone, "date_cancel")
    lines = tuple(lines_of({**record, "order_offer_id": order_offer_id}, {}))
    return Facts(
        kind=kind,
        event_id=event_id,
        happened_at=(cancelled_at if kind is Kind.ORDER_OFFER_CANCELLED else None) or told_at,
        told_at=told_at,
        customer_id=customer_id(record),
        customer=person(record, zone),
        campaign_id=campaign_id(record),
        campaign_name=campaign_name(record),
        is_test=is_test(record),
        order=Order(
            order_id=identity(record, "order_id") or identity(inner_order(record), "order_id", "id"),
            lines=lines,
            billing=billing(record),
            shipping=shipping(record),
            tracking=tracking(inner_order(record)),
            currency=currency(text(record, "currency_id")),
        ),
        subscription=Subscription(
            order_offer_id=order_offer_id,
            line=lines[0],
            status=word_for(STATUSES, text(record, "status_type_id")),
            is_recurring=flag(record, "is_recurring"),
            cancelled_at=cancelled_at,
            paused_at=moment(record, zone, "date_pause"),
            unpaused_at=moment(record, zone, "date_unpause"),
            reactivated_at=moment(record, zone, "date_reactivate"),
            cancel_reason=cancel_reason(record),
            next_charge_on=day(record, *NEXT_CHARGE),
        ),
    )


def cancel_reason(record: Record) -> str:
    """The label of the reason; the number alone is a key of the account's own list and says nothing to anybody."""
    told = text(record, "cancel_type_name", "cancel_reason", "cancel_type", "cancel_type_id")
    return "" if told.isdigit() else told
