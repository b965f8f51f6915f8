"""Empties what this floor knows of one person: the mirror of the shop, the events as received, what was refused.

Called by the erasure of the upper floor after nothing of the person is on its way any more. Rows stay with their ids,
so that figures stay true and a repeat is still recognised; what names the person goes.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from django.db.models import Max, Q, QuerySet

from connections.models import Merchant
from events.models import Customer, Event, Order, Refusal
from events.suppression import suppress

BLOCK = 500
LOOKED_THROUGH = 2000  # Events at a time
ESCAPES = ((b"\\u0040", b"@"), (b"\\u002b", b"+"), (b"%40", b"@"), (b"%2b", b"+"))
NOBODY = {
    "email": "",
    "first_name": "",
    "last_name": "",
    "phone": "",
    "phone_e164": "",
    "location": {},
    "tracking": {},
    "clv": None,
    "active_subscriber": None,
}


def customers_called(merchant: Merchant, email: str) -> QuerySet[Customer]:
    """The person's rows: one for each Vrio account that knows the address."""
    return Customer.objects.filter(merchant=merchant, email=email.lower())


def suppress_person(merchant: Merchant, email: str, customers: Iterable[Customer], *, sends_later: bool) -> None:
    """From now on the person stays unknown, by address and by every Vrio id."""
    ids = [(customer.source_id, customer.vrio_id) for customer in customers] or [(0, "")]
    for source_id, vrio_id in ids:
        suppress(merchant, source_id, vrio_id, email, sends_later_purchases=sends_later)


def last_event(merchant: Merchant) -> int:
    """The newest Event's id; what comes later is judged when it is dispatched."""
    return Event.objects.filter(merchant=merchant).aggregate(last=Max("pk"))["last"] or 0


def look_through(
    merchant: Merchant, customer_ids: Collection[int], spelled: Collection[str], *, after: int, until: int
) -> tuple[list[int], int]:
    """Ids, among the next Events in order of id, of those that are about these customers or spell one of these texts;
    and the id up to which was looked, `until` when all is done. Reads only."""
    rows = Event.objects.filter(merchant=merchant, pk__gt=after, pk__lte=until).exclude(body=b"").order_by("pk")
    block = list(rows.values_list("pk", "customer_id", "body")[:LOOKED_THROUGH])
    found = [pk for pk, customer, body in block if customer in customer_ids or spells_any(bytes(body), spelled)]
    return found, block[-1][0] if len(block) == LOOKED_THROUGH else until


def events_of(merchant: Merchant, email: str, customer_ids: list[int]) -> Iterator[list[int]]:
    """Ids of the Events that are about these customers or spell the address, in blocks."""
    found = []
    of_merchant = Event.objects.filter(merchant=merchant).exclude(body=b"")
    doubtful = Q(customer=None) | Q(customer__in=customer_ids)
    rows = of_merchant.filter(doubtful).order_by("pk").values_list("pk", "customer_id", "body")
    for pk, customer_id, body in rows.iterator(chunk_size=BLOCK):
        if customer_id is not None or spells(bytes(body), email):
            found.append(pk)
        if len(found) == BLOCK:
            yield found
            found = []
    if found:
        yield found


def spells(body: bytes, text: str) -> bool:
    """Whether a text stands in these bytes, in any case and as JSON or an address of the web may write it."""
    return spells_any(body, [text])


def spells_any(body: bytes, texts: Iterable[str]) -> bool:
    plain = body.lower()
    for escape, letter in ESCAPES:
        plain = plain.replace(escape, letter)
    return any(spelling in plain for text in texts for spelling in _spellings(text))


def _spellings(text: str) -> set[bytes]:
    """In UTF-8, and in the ASCII that PHP's JSON is written in."""
    return {text.lower().encode(), json.dumps(text.lower())[1:-1].encode()}


def empty_events(ids: list[int]) -> int:
    """Bodies go, and what was read from them of a person. What waited for a decision is decided by it: there is nothing
    left to tell."""
    rows = Event.objects.filter(pk__in=ids)
    rows.filter(state__in=(Event.State.HELD, Event.State.BROKEN)).update(
        state=Event.State.IGNORED, reason="erased", detail="The customer was erased at their own wish."
    )
    _empty_orders(rows.exclude(order_id=""))
    return rows.update(body=b"", tracking_number="")


def _empty_orders(events: QuerySet[Event]) -> None:
    """Marketing variables of the orders that these Events are about: shops write addresses into them."""
    for source, order in events.values_list("source_id", "order_id").distinct().order_by():
        Order.objects.filter(source_id=source, vrio_id=order).update(tracking={})


def empty_customers(customer_ids: list[int], *, now: datetime) -> int:
    """Everything that describes the person goes, Vrio's id included; the row stays for what hangs on it."""
    Order.objects.filter(customer__in=customer_ids).update(tracking={})
    Event.objects.filter(customer__in=customer_ids).update(tracking_number="")
    for customer in Customer.objects.filter(pk__in=customer_ids):
        Customer.objects.filter(pk=customer.pk).update(vrio_id=f"erased-{customer.pk}", erased_at=now, **NOBODY)
    return len(customer_ids)


def delete_refusals(merchant: Merchant, spelled: Collection[str]) -> int:
    """What we refused and kept for a while, where it spells one of these texts."""
    ids = [pk for pk, body in _refusals(merchant) if spells_any(body, spelled)]
    return Refusal.objects.filter(pk__in=ids).delete()[0]


def refusals_of(merchant: Merchant, email: str) -> list[bytes]:
    """The bodies among them that spell the address."""
    return [body for _, body in _refusals(merchant) if spells(body, email)]


def _refusals(merchant: Merchant) -> Iterator[tuple[int, bytes]]:
    rows = Refusal.objects.filter(merchant=merchant).values_list("pk", "body").iterator(chunk_size=BLOCK)
    return ((pk, bytes(body)) for pk, body in rows)
