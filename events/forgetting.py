"""Empties what this floor knows of one person: the mirror of the shop, the events as received, what was refused.

Called by the erasure of the upper floor after nothing of the person is on its way any more. Rows stay with their ids,
so that figures stay true and a repeat is still recognised; what names the person goes.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Q, QuerySet

from connections.models import Merchant
from events.models import Customer, Event, Refusal
from events.suppression import suppress

BLOCK = 500
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


def spells(body: bytes, email: str) -> bool:
    """Whether the address stands in these bytes, in any case and with the escapes that JSON allows for an @ or a +."""
    text = body.lower().replace(b"\\u0040", b"@").replace(b"\\u002b", b"+")
    return email.lower().encode() in text


def empty_events(ids: list[int]) -> int:
    """Bodies go. What waited for a decision is decided by it: there is nothing left to tell."""
    rows = Event.objects.filter(pk__in=ids)
    rows.filter(state__in=(Event.State.HELD, Event.State.BROKEN)).update(
        state=Event.State.IGNORED, reason="erased", detail="The customer was erased at their own wish."
    )
    return rows.update(body=b"")


def empty_customers(customer_ids: list[int], *, now: datetime) -> int:
    """Everything that describes the person goes, Vrio's id included; the row stays for what hangs on it."""
    for customer in Customer.objects.filter(pk__in=customer_ids):
        Customer.objects.filter(pk=customer.pk).update(vrio_id=f"erased-{customer.pk}", erased_at=now, **NOBODY)
    return len(customer_ids)


def delete_refusals(merchant: Merchant, email: str) -> int:
    """What we refused and kept for a while, where it spells the address."""
    rows = Refusal.objects.filter(merchant=merchant).values_list("pk", "body").iterator(chunk_size=BLOCK)
    ids = [pk for pk, body in rows if spells(bytes(body), email)]
    return Refusal.objects.filter(pk__in=ids).delete()[0]
