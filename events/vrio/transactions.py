"""Reads transactions: everything that moves money, approved or declined.

Vrio has one event for all of them; the declined flag and the type inside tell a sale from a refund.
"""

from datetime import datetime

from events.facts import Broken, Facts, Ignored, Kind, Transaction
from events.vrio.codes import TRANSACTION_TYPES, word_for
from events.vrio.orders import campaign_id, campaign_name, inner_order, is_test, order_of
from events.vrio.people import customer_id, person
from events.vrio.values import Record, day, flag, identity, moment, money, nested, text


def read_transaction(kind: Kind, record: Record, event_id: str, told_at: datetime, zone: str) -> Facts | Ignored:
    """A transaction record; Ignored when its type or its outcome is in no table; raises Broken without an id."""
    transaction_id = identity(record, "transaction_id", "id")
    if not transaction_id:
        raise Broken("transaction.id", "The transaction has no id.")
    type_ = word_for(TRANSACTION_TYPES, text(record, "transaction_type_id"))
    if type_ is None:
        return unknown("transaction_type_id", record)
    is_declined = declined(record)
    if is_declined is None:
        return unknown("transaction_declined", record)
    completed_at = moment(record, zone, "date_complete")
    return Facts(
        kind=kind,
        event_id=event_id,
        happened_at=completed_at or told_at,
        told_at=told_at,
        judged_at=completed_at,
        customer_id=customer_id(record),
        customer=person(record, zone),
        campaign_id=campaign_id(record),
        campaign_name=campaign_name(record),
        is_test=is_test(record),
        order=order_of(record, inner_order(record)),
        transaction=Transaction(
            transaction_id=transaction_id,
            type=type_,
            is_declined=is_declined,
            total=money(record, "transaction_total", "total"),
            completed_at=completed_at,
            cycle=text(record, "transaction_cycle"),
            attempt=text(record, "transaction_attempt"),
            merchant_id=identity(record, "merchant_id") or identity(nested(record, "merchant"), "merchant_id", "id"),
            sale_id=identity(nested(record, "sale"), "sale_id", "id"),
            parent_id=identity(record, "transaction_parent_id"),
            decline_reason=text(record, "gateway_response_description", "processor_response_text"),
            decline_code=text(record, "gateway_response_code", "response_code"),
            chargeback_on=day(record, "chargeback_date"),
            chargeback_code=text(record, "chargeback_code"),
            chargeback_case_id=text(record, "chargeback_case_id"),
            next_charge_on=day(record, "rebill_date"),
        ),
    )


def declined(record: Record) -> bool | None:
    """The flag in each of its spellings; a transaction that does not have it completed, and so was approved."""
    word = text(record, "transaction_declined").upper()
    if word in ("DECLINED", "DECLINE"):
        return True
    if word in ("APPROVED", "APPROVE"):
        return False
    told = flag(record, "transaction_declined")
    return told if word or told is not None else text(record, "response_code") == "200"


def unknown(field: str, record: Record) -> Ignored:
    told = text(record, field)
    return Ignored(
        "unknown_value",
        f"Vrio's transaction says “{told[:40]}” in {field}, which we do not know."
        if told
        else f"Vrio's transaction does not say its {field}.",
    )
