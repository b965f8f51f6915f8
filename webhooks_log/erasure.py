"""Forgets one person everywhere: suppressed first, emptied when nothing is on the wire, then forgotten at Klaviyo.

Beside the corridor: begun on the owner's page or by `manage.py erase`, carried on by the clock until it is done. Each
step looks at the tables, so it may be repeated and may die anywhere. The Erasure's row is the proof that it was done.
"""

import logging
import time
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from connections import audit, turns
from connections.anonymous import without_people
from connections.models import Merchant
from connections.secrets import fingerprint, seal, unseal
from connections.sqlite.write_back import empty_log
from events import forgetting
from events.models import Customer, Inbox
from webhooks_log import deletion
from webhooks_log.models import Attempt, AttemptContent, Body, Delivery, Erasure, Note, Replay, SavedFilter

logger = logging.getLogger(__name__)

PURPOSE = "erasure"
ERASED = "erased"
LEASE_SECONDS = 60.0
TURN_SECONDS = 5.0  # in which old events are looked through at a time
RANGE = 50_000  # Deliveries looked through at a time
LEAST_DIGITS = 7
LEFT = "left to look through"
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
            reason=without_people(reason),
            tells_klaviyo=tells_klaviyo,
            sends_later_purchases=sends_later_purchases,
        )
        audit.record(actor, "erasure requested", erasure, reason=reason, merchant=merchant)
    return erasure


def erase_stub(merchant: Merchant, email: str, source_id: int, vrio_id: str) -> None:
    """An event has named a customer known by id only, and it is somebody who was erased: what came of them goes too."""
    stub = Customer.objects.filter(source=source_id, vrio_id=vrio_id, email="").first()
    if stub is None:
        return
    asked = Erasure.objects.filter(merchant=merchant, digest=fingerprint(email, PURPOSE), state=Erasure.State.REQUESTED)
    erasure = asked.filter(found={}).first() or request(merchant, email, actor=None, reason="An event came late.")
    erasure.found = {"customers": [stub.pk]}
    erasure.save(update_fields=("found",))


def advance(erasure: Erasure, *, now: datetime | None = None, seconds: float = TURN_SECONDS) -> Erasure:
    """Do what can be done now and, in looking through old events, within `seconds`; the row says how far it came."""
    now, ends_at = now or timezone.now(), time.monotonic() + seconds
    erasure.refresh_from_db()
    if erasure.state == Erasure.State.REQUESTED and _is_still(erasure, now) and _look_through(erasure, now, ends_at):
        _scrub(erasure, now)
    if erasure.state == Erasure.State.SCRUBBED and deletion.tell(erasure, now=now):
        _finish(erasure, now)
    return erasure


def advance_all(*, now: datetime | None = None) -> int:
    """For the clock: carry on every erasure that is not done; how many there were."""
    rows = list(Erasure.objects.exclude(state=Erasure.State.DONE).order_by("requested_at")[:100])
    ends_at = time.monotonic() + TURN_SECONDS
    for erasure in rows:
        advance(erasure, now=now, seconds=ends_at - time.monotonic())
    return len(rows)


# ── Suppressed, and nothing more leaves ──────────────────────────────────────────────────────────────────────────────
def _is_still(erasure: Erasure, now: datetime) -> bool:
    return _suppress(erasure, now) and not _deliveries(erasure).filter(state=Delivery.State.SENDING).exists()


def _suppress(erasure: Erasure, now: datetime) -> bool:
    """Under the dispatcher's own turn, so that no batch that knows nothing of it is halfway; False if one is."""
    inbox, _ = Inbox.objects.get_or_create(merchant=erasure.merchant)
    turn = turns.take(Inbox, inbox.pk, holder=f"erasure {erasure.pk}", seconds=LEASE_SECONDS)
    if turn is None:
        return False
    try:
        with transaction.atomic():
            _lock(erasure)
            if "events" not in erasure.found:
                _begin(erasure)
            skipped = _deliveries(erasure).filter(state__in=OPEN)
            skipped.update(
                state=Delivery.State.SKIPPED, reason=ERASED, detail="", next_attempt_at=None, settled_at=now,
                updated_at=now,
            )  # fmt: skip
    finally:
        turns.release(turn)
    return True


def _begin(erasure: Erasure) -> None:
    """Whom it is about, and how far back there is to look."""
    email = _email(erasure)
    called = set(forgetting.customers_called(erasure.merchant, email).values_list("pk", flat=True))
    customers = Customer.objects.filter(pk__in={*erasure.found.get("customers", []), *called}).order_by("pk")
    wishes = {"sends_later": erasure.sends_later_purchases}
    forgetting.suppress_person(erasure.merchant, email, customers, **wishes)
    erasure.found = {
        "customers": [customer.pk for customer in customers],
        "events": 0,
        "deliveries": 0,
        LEFT: {"event": [0, forgetting.last_event(erasure.merchant)], "delivery": [0, _last_delivery(erasure)]},
    }
    erasure.save(update_fields=("found",))
    _ask_for_former_addresses(erasure, email)


def _ask_for_former_addresses(erasure: Erasure, email: str) -> None:
    """Messages went to other addresses before: profiles of their own at Klaviyo, unless they are somebody else's."""
    told = Delivery.objects.filter(customer__in=erasure.found["customers"]).exclude(email__in=("", email))
    for former in sorted(set(told.values_list("email", flat=True))):
        if forgetting.customers_called(erasure.merchant, former).exists():
            continue
        request(
            erasure.merchant,
            former,
            actor=erasure.actor,
            reason=f"Former address of erasure {erasure.pk}",
            tells_klaviyo=erasure.tells_klaviyo,
            sends_later_purchases=erasure.sends_later_purchases,
        )


def _email(erasure: Erasure) -> str:
    return unseal(bytes(erasure.sealed_email or b""))


def _lock(erasure: Erasure) -> None:
    """Keep others from carrying it on until the transaction ends, and see how far they came."""
    Erasure.objects.select_for_update().get(pk=erasure.pk)
    erasure.refresh_from_db(fields=("state", "found", "scrubbed_at"))


def _deliveries(erasure: Erasure) -> QuerySet[Delivery]:
    """Those of the customers; and of what is open, whatever is addressed to them."""
    open_rows = Q(
        connection__merchant=erasure.merchant, state__in=(*OPEN, Delivery.State.SENDING), email=_email(erasure)
    )
    return Delivery.objects.filter(Q(customer__in=erasure.found["customers"]) | open_rows, merchant=erasure.merchant)


# ── What was said long ago ───────────────────────────────────────────────────────────────────────────────────────────
def _look_through(erasure: Erasure, now: datetime, ends_at: float) -> bool:
    """Empty what names the person without being theirs, in blocks of a short transaction each; True when through."""
    spelled = _spelled(erasure)
    while (left := erasure.found.get(LEFT)) and time.monotonic() < ends_at:
        what = "event" if left["event"] else "delivery"
        after, until = left[what]
        look = _look_at_events if what == "event" else _look_at_deliveries
        ids, seen = look(erasure, spelled, after, until)
        with transaction.atomic():
            _lock(erasure)
            if erasure.found.get(LEFT, {}).get(what) != [after, until]:
                continue  # another process was quicker
            emptied = forgetting.empty_events(ids) if what == "event" else _empty_deliveries(ids, now)
            _note_progress(erasure, what, emptied, seen, until)
    return LEFT not in erasure.found


def _look_at_events(erasure: Erasure, spelled: list[str], after: int, until: int) -> tuple[list[int], int]:
    customers = set(erasure.found["customers"])
    return forgetting.look_through(erasure.merchant, customers, spelled, after=after, until=until)


def _look_at_deliveries(erasure: Erasure, spelled: list[str], after: int, until: int) -> tuple[list[int], int]:
    seen = min(after + RANGE, until)
    rows = Delivery.objects.filter(merchant=erasure.merchant, pk__gt=after, pk__lte=seen, email__iexact=spelled[0])
    return list(rows.values_list("pk", flat=True)), seen


def _note_progress(erasure: Erasure, what: str, emptied: int, seen: int, until: int) -> None:
    """In the row itself, so that a process that dies here has lost one block."""
    found = dict(erasure.found)
    found["events" if what == "event" else "deliveries"] += emptied
    left = {**found.pop(LEFT, {}), what: [seen, until] if seen < until else []}
    if any(left.values()):
        found[LEFT] = left
    erasure.found = found
    erasure.save(update_fields=("found",))


def _spelled(erasure: Erasure) -> list[str]:
    """The address, and numbers that are long enough to be nobody else's."""
    customers = Customer.objects.filter(pk__in=erasure.found["customers"]).values_list("phone", "phone_e164")
    numbers = {number for pair in customers for number in pair if len(number) >= LEAST_DIGITS}
    return [_email(erasure), *sorted(numbers)]


# ── Emptied ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@transaction.atomic
def _scrub(erasure: Erasure, now: datetime) -> None:
    _lock(erasure)
    if erasure.state != Erasure.State.REQUESTED:
        return
    email, spelled, customers = _email(erasure), _spelled(erasure), erasure.found["customers"]
    theirs = list(Delivery.objects.filter(customer__in=customers).values_list("pk", flat=True))
    merchant = erasure.merchant
    erasure.found = {
        "customers": customers,
        "deliveries": erasure.found["deliveries"] + _empty_deliveries(theirs, now),
        "events": erasure.found["events"],
        "notes": Note.objects.filter(Q(customer__in=customers) | _any_spelled("text", spelled, merchant)).delete()[0],
        "refusals": forgetting.delete_refusals(merchant, spelled),
        "filters": _forget_filters(merchant, email),
        "replays": Replay.objects.filter(_any_spelled("reason", spelled, merchant)).update(reason="(left out)"),
    }
    forgetting.empty_customers(customers, now=now)
    erasure.state, erasure.scrubbed_at = Erasure.State.SCRUBBED, now
    erasure.save(update_fields=("found", "state", "scrubbed_at"))
    if erasure.tells_klaviyo:
        deletion.owe(erasure, now=now)


def _any_spelled(field: str, spelled: list[str], merchant: Merchant) -> Q:
    named = Q()
    for text in spelled:
        named |= Q(**{f"{field}__icontains": text})
    return named & Q(merchant=merchant)


def _empty_deliveries(ids: list[int], now: datetime) -> int:
    attempts = Attempt.objects.filter(delivery__in=ids)
    AttemptContent.objects.filter(attempt__in=attempts, packed__isnull=False).update(packed=None, expired_at=now)
    for rows in (attempts, Delivery.objects.filter(pk__in=ids)):
        bodies = rows.exclude(body=None).values("body")
        Body.objects.filter(pk__in=bodies, content__isnull=False).update(content=None, expired_at=now)
    Note.objects.filter(delivery__in=ids).delete()
    return Delivery.objects.filter(pk__in=ids).update(email="", notes=[], detail="", draft=None)


def _last_delivery(erasure: Erasure) -> int:
    return Delivery.objects.filter(merchant=erasure.merchant).aggregate(last=Max("pk"))["last"] or 0


def _forget_filters(merchant: Merchant, email: str) -> int:
    """Saved searches of the merchant's people that spell the address."""
    local, _, domain = email.partition("@")
    spelled = Q(query__icontains=email) | Q(query__icontains=f"{local}%40{domain}") | Q(name__icontains=email)
    return SavedFilter.objects.filter(spelled, user__memberships__merchant=merchant).delete()[0]


def _finish(erasure: Erasure, now: datetime) -> None:
    """The address goes last; what stays is that it was done."""
    with transaction.atomic():
        _lock(erasure)
        if erasure.state == Erasure.State.DONE:
            return
        erasure.state, erasure.done_at, erasure.sealed_email = Erasure.State.DONE, now, None
        erasure.save(update_fields=("state", "done_at", "sealed_email"))
        emptied = {name: (None, rows if isinstance(rows, int) else len(rows)) for name, rows in erasure.found.items()}
        told = {f"deletion at {call.account}": (None, call.state) for call in erasure.calls.select_related("account")}
        audit.record(erasure.actor, "erasure done", erasure, {**emptied, **told}, merchant=erasure.merchant)
    if not empty_log():
        logger.warning("SQLite's log could not be emptied, because it is read all the time; it holds erased pages")
