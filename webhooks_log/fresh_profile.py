"""Puts a profile right after an older message of its customer was accepted behind a newer one.

Lanes note that a refresh is owed, in the transaction that settles the older message; a chore renders it from the
mirror as it is then, and it leaves like any profile. One at a time for each customer and connection.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from connections.models import Merchant
from events.facts import Facts, Known, Message
from events.mirror import Mirror
from webhooks_log import claim
from webhooks_log.batch import Reopened
from webhooks_log.judge import skipped
from webhooks_log.models import Attempt, Delivery
from webhooks_log.outbox import Draft, write
from webhooks_log.reasons import sentence

State = Delivery.State
OWED = "profile_refresh"
NAME = "profile:refresh:"
NOTE = "An older message reached Klaviyo after a newer one. This puts the profile right."
PROMPT = timedelta(seconds=30)  # what is accepted so soon after it was owed has let nothing younger pass
BLOCK = 200
Place = tuple[int, int]  # customer and connection


# ── Who owes one: asked with every block that a lane settles ─────────────────────────────────────────────────────────


def owe(accepted: Iterable[claim.Owed], *, now: datetime) -> int:
    """Note a refresh for every customer whose profile an accepted row may have made old; how many.

    Call it before the rows' Attempts are written and before they are settled. A replay's row, which carries an address
    only, owes one where Klaviyo has never accepted anything of this customer.
    """
    rows = [row for row in accepted if row.customer_id and row.rank != Delivery.Rank.BACKLOG]
    suspects = [row for row in rows if may_be_late(row, now)]
    late = _overtaken(rows, suspects) | _unknown([row for row in suspects if row.rank == Delivery.Rank.REPLAY])
    if not late:
        return 0
    waiting = _open(late)
    rows_owing = Delivery.objects.filter(pk__in=[row.id for place, row in late.items() if place not in waiting])
    owed = [_refresh(row, late[_place(row)].attempts, now) for row in rows_owing]
    Delivery.objects.bulk_create(owed, ignore_conflicts=True)
    return len(owed)


def may_be_late(row: claim.Owed, now: datetime) -> bool:
    """Whether something younger may have passed a row: only then is the table asked."""
    return bool(row.tries) or row.rank == Delivery.Rank.REPLAY or now - row.created_at > PROMPT


def _overtaken(rows: list[claim.Owed], suspects: list[claim.Owed]) -> dict[Place, claim.Owed]:
    """Rows that a younger one was accepted before, one for each place; `rows` are in the order of acceptance."""
    asked = {row.id for row in suspects if row.rank == Delivery.Rank.LIVE}
    newest = _newest([row for row in suspects if row.id in asked]) if asked else {}
    late: dict[Place, claim.Owed] = {}
    for row in rows:
        place = (row.customer_id or 0, row.connection_id)
        youngest = newest.get(place, row.happened_at)
        if row.id in asked and row.happened_at < youngest:
            late[place] = row
        if row.rank == Delivery.Rank.LIVE:
            newest[place] = max(row.happened_at, youngest)
    return late


def _newest(rows: list[claim.Owed]) -> dict[Place, datetime]:
    """When the newest message with a whole profile happened that Klaviyo has accepted of each customer."""
    told = Delivery.objects.filter(
        customer_id__in={row.customer_id for row in rows},
        connection_id__in={row.connection_id for row in rows},
        state=State.DELIVERED,
        identity_only=False,
    )
    newest = told.order_by().values("customer_id", "connection_id").annotate(at=Max("happened_at"))
    return {(row["customer_id"], row["connection_id"]): row["at"] for row in newest}


def _unknown(replayed: list[claim.Owed]) -> dict[Place, claim.Owed]:
    """Rows of customers of whom Klaviyo has accepted nothing before, one for each place."""
    places = {(row.customer_id or 0, row.connection_id): row for row in replayed if row.metric}
    if not places:
        return {}
    accepted = Attempt.objects.filter(
        delivery__customer_id__in={customer for customer, _ in places}, status__gte=200, status__lt=300
    )
    known = set(accepted.values_list("delivery__customer_id", "delivery__connection_id"))
    return {place: row for place, row in places.items() if place not in known}


def _open(places: Iterable[Place]) -> set[Place]:
    """Where a refresh waits already."""
    waiting = Delivery.objects.filter(
        customer_id__in={customer for customer, _ in places},
        metric="",
        unique_id__startswith=NAME,
        state__in=(State.QUEUED, State.WAITING),
    )
    return {_place(row) for row in waiting.only("customer_id", "connection_id")}


def _place(row: Delivery) -> Place:
    return row.customer_id or 0, row.connection_id


def _refresh(row: Delivery, attempts: int, now: datetime) -> Delivery:
    """Its id is that of the acceptance which owes it: the same row accepted again owes another."""
    return Delivery(
        merchant_id=row.merchant_id,
        connection_id=row.connection_id,
        account_id=row.account_id,
        event_id=row.event_id,
        customer_id=row.customer_id,
        order_id=row.order_id,
        campaign_id=row.campaign_id,
        unique_id=f"{NAME}{row.customer_id}:{row.pk}.{attempts}",
        rank=Delivery.Rank.BACKLOG,
        state=State.WAITING,
        reason=OWED,
        detail=sentence(OWED),
        happened_at=now,
        created_at=now,
    )


# ── What it says: rendered by a chore ───────────────────────────────────────────────────────────────────────────────


def render_owed(*, now: datetime) -> set[int]:
    """Fill the refreshes that are owed with what the mirror knows now; the accounts that have something to do."""
    accounts: set[int] = set()
    merchants = Delivery.objects.filter(state=State.WAITING, reason=OWED).order_by().values_list("merchant", flat=True)
    for merchant in Merchant.objects.filter(pk__in=merchants.distinct()):
        with transaction.atomic():
            accounts |= _render(merchant, now)
    return accounts


def _render(merchant: Merchant, now: datetime) -> set[int]:
    owed = Delivery.objects.filter(state=State.WAITING, reason=OWED, merchant=merchant).select_related("event")
    rows = list(owed.select_for_update(of=("self",)).order_by("pk")[:BLOCK])
    today = Reopened(merchant, rows, now=now)
    return write([_said(row, today) for row in rows])


def _said(row: Delivery, today: Reopened) -> Draft:
    facts, outbox, keeper = today.facts.get(row.event_id), today.outbox, today.outbox.keeper_of(row)
    entry = Draft(row)
    if keeper is None:
        outbox.state(row, skipped("archived"))
    elif facts is None:
        outbox.state(row, skipped(OWED, "Vrio's event has expired, so the profile could not be told anew."))
    else:
        message = Message(metric=None, unique_id=row.unique_id, happened_at=outbox.now, notes=(NOTE,))
        outbox.fill(entry, keeper, row.event.source_id, facts, _present(row, facts, today.mirror), message)
    return entry


def _present(row: Delivery, facts: Facts, mirror: Mirror) -> Known:
    """What is known now. A next charge that an old message may have brought back is cleared where none is to come."""
    known = mirror.known(row.event, facts)
    customer = mirror.customer_of(row.event, facts)
    has_ended = bool(customer and customer.has_full_history and mirror.rows.subscriptions_of(customer))
    return replace(known, next_charge_is_cleared=has_ended and known.next_charge_on is None)
