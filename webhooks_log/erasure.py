"""Forgets one person everywhere: suppressed first, emptied when nothing is on the wire, then forgotten at Klaviyo.

Beside the corridor: begun on the owner's page or by `manage.py erase`, carried on by the clock until it is done. Each
step looks at the tables, so it may be repeated and may die anywhere. The Erasure's row is the proof that it was done.
"""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from connections import audit, turns
from connections.models import Merchant
from connections.secrets import fingerprint, seal, unseal
from events import forgetting
from events.models import Customer, Inbox
from webhooks_log import deletion
from webhooks_log.models import Attempt, AttemptContent, Body, Delivery, Erasure, Note, SavedFilter

PURPOSE = "erasure"
ERASED = "erased"
TURN_SECONDS = 60.0
OPEN = (Delivery.State.QUEUED, Delivery.State.WAITING)


def request(
    merchant: Merchant,
    email: str,
    *,
    actor: Any,
    reason: str = "",
    tells_klaviyo: bool = False,
    sends_later_purchases: bool = False,
) -> Erasure:
    """Note the wish; nothing is forgotten yet. Asking again for the same person is a new Erasure and harmless."""
    email = email.strip().lower()
    with transaction.atomic():
        erasure = Erasure.objects.create(
            merchant=merchant,
            digest=fingerprint(email, PURPOSE),
            sealed_email=seal(email),
            actor=actor,
            actor_name=actor.get_username() if actor else "Viaduct",
            reason=reason,
            tells_klaviyo=tells_klaviyo,
            sends_later_purchases=sends_later_purchases,
        )
        audit.record(actor, "erasure requested", erasure, reason=reason, merchant=merchant)
    return erasure


def advance(erasure: Erasure, *, now: datetime | None = None) -> Erasure:
    """Do what can be done now; the row says how far it came."""
    now = now or timezone.now()
    erasure.refresh_from_db()
    if erasure.state == Erasure.State.REQUESTED and _suppress(erasure, now) and not _on_the_wire(erasure).exists():
        _scrub(erasure, now)
    if erasure.state == Erasure.State.SCRUBBED and deletion.tell(erasure, now=now):
        _finish(erasure, now)
    return erasure


def advance_all(*, now: datetime | None = None) -> int:
    """For the clock: carry on every erasure that is not done; how many there were."""
    rows = list(Erasure.objects.exclude(state=Erasure.State.DONE).order_by("requested_at")[:100])
    for erasure in rows:
        advance(erasure, now=now)
    return len(rows)


# ── Suppressed, and nothing more leaves ──────────────────────────────────────────────────────────────────────────────
def _suppress(erasure: Erasure, now: datetime) -> bool:
    """Under the dispatcher's own turn, so that no batch that knows nothing of it is halfway; False if one is."""
    inbox, _ = Inbox.objects.get_or_create(merchant=erasure.merchant)
    turn = turns.take(Inbox, inbox.pk, holder=f"erasure {erasure.pk}", seconds=TURN_SECONDS)
    if turn is None:
        return False
    try:
        with transaction.atomic():
            email, customers = _person(erasure)
            if "customers" not in erasure.found:
                forgetting.suppress_person(
                    erasure.merchant, email, customers, sends_later=erasure.sends_later_purchases
                )
                erasure.found = {"customers": [customer.pk for customer in customers]}
                erasure.save(update_fields=("found",))
            skipped = _deliveries(erasure).filter(state__in=OPEN)
            skipped.update(
                state=Delivery.State.SKIPPED, reason=ERASED, detail="", next_attempt_at=None, settled_at=now,
                updated_at=now,
            )  # fmt: skip
    finally:
        turns.release(turn)
    return True


def _person(erasure: Erasure) -> tuple[str, list[Customer]]:
    email = unseal(bytes(erasure.sealed_email or b""))
    return email, list(forgetting.customers_called(erasure.merchant, email).order_by("pk"))


def _deliveries(erasure: Erasure) -> QuerySet[Delivery]:
    email, _ = _person(erasure)
    theirs = Q(customer__in=erasure.found.get("customers", [])) | Q(customer=None, email=email)
    return Delivery.objects.filter(theirs, merchant=erasure.merchant)


def _on_the_wire(erasure: Erasure) -> QuerySet[Delivery]:
    return _deliveries(erasure).filter(state=Delivery.State.SENDING)


# ── Emptied ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@transaction.atomic
def _scrub(erasure: Erasure, now: datetime) -> None:
    email, _ = _person(erasure)
    customers = erasure.found["customers"]
    erasure.found = {
        "customers": customers,
        "deliveries": _empty_deliveries(list(_deliveries(erasure).values_list("pk", flat=True)), now),
        "events": sum(map(forgetting.empty_events, forgetting.events_of(erasure.merchant, email, customers))),
        "notes": Note.objects.filter(customer__in=customers).delete()[0],
        "refusals": forgetting.delete_refusals(erasure.merchant, email),
        "filters": _forget_filters(erasure.merchant, email),
    }
    forgetting.empty_customers(customers, now=now)
    erasure.state, erasure.scrubbed_at = Erasure.State.SCRUBBED, now
    erasure.save(update_fields=("found", "state", "scrubbed_at"))
    if erasure.tells_klaviyo:
        deletion.owe(erasure, now=now)


def _empty_deliveries(ids: list[int], now: datetime) -> int:
    attempts = Attempt.objects.filter(delivery__in=ids)
    AttemptContent.objects.filter(attempt__in=attempts, packed__isnull=False).update(packed=None, expired_at=now)
    for rows in (attempts, Delivery.objects.filter(pk__in=ids)):
        bodies = rows.exclude(body=None).values("body")
        Body.objects.filter(pk__in=bodies, content__isnull=False).update(content=None, expired_at=now)
    Note.objects.filter(delivery__in=ids).delete()
    return Delivery.objects.filter(pk__in=ids).update(email="", notes=[], detail="", draft=None)


def _forget_filters(merchant: Merchant, email: str) -> int:
    """Saved searches of the merchant's people that spell the address."""
    local, _, domain = email.partition("@")
    spelled = Q(query__icontains=email) | Q(query__icontains=f"{local}%40{domain}")
    return SavedFilter.objects.filter(spelled, user__memberships__merchant=merchant).delete()[0]


def _finish(erasure: Erasure, now: datetime) -> None:
    """The address goes last; what stays is that it was done."""
    with transaction.atomic():
        erasure.state, erasure.done_at, erasure.sealed_email = Erasure.State.DONE, now, None
        erasure.save(update_fields=("state", "done_at", "sealed_email"))
        emptied = {name: (None, rows if isinstance(rows, int) else len(rows)) for name, rows in erasure.found.items()}
        told = {f"deletion at {call.account}": (None, call.state) for call in erasure.calls.select_related("account")}
        audit.record(erasure.actor, "erasure done", erasure, {**emptied, **told}, merchant=erasure.merchant)
