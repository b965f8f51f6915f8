"""Everything that is kept of one person, as one JSON document: what the law calls a copy of their data.

Behind the owner's page of privacy. Bodies are shown as text; keys are never part of anything kept.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, Q
from django.forms.models import model_to_dict

from connections.models import Merchant
from events import forgetting
from events.models import Customer, Event, SubscriptionStatus
from webhooks_log.models import Attempt, Delivery, Note
from webhooks_log.packing import unpack_body, unpack_content


def export_person(merchant: Merchant, email: str, *, now: datetime) -> bytes:
    """The document, in UTF-8 with two spaces of indent."""
    customers = list(forgetting.customers_called(merchant, email).order_by("pk"))
    ids = [customer.pk for customer in customers]
    blocks = forgetting.events_of(merchant, email, ids)
    document = {
        "about": email,
        "held_by": merchant.name,
        "written_at": now,
        "customers": [_customer(customer) for customer in customers],
        "events": [_event(event) for block in blocks for event in Event.objects.filter(pk__in=block).order_by("pk")],
        "messages": [_delivery(row) for row in _messages(merchant, email, ids)],
        "refused": [bytes(body).decode(errors="replace") for body in forgetting.refusals_of(merchant, email)],
        "notes": [
            {"at": note.at, "text": note.text, "by": note.author_name}
            for note in Note.objects.filter(customer__in=ids).order_by("pk")
        ],
    }
    return json.dumps(document, cls=_Plain, indent=2, ensure_ascii=False).encode()


def _messages(merchant: Merchant, email: str, customer_ids: list[int]) -> Iterable[Delivery]:
    """Theirs, and what was addressed to them whosever it is."""
    theirs = Q(customer__in=customer_ids) | Q(email__iexact=email)
    return Delivery.objects.filter(theirs, merchant=merchant).order_by("pk")


def _customer(customer: Customer) -> dict[str, Any]:
    history = SubscriptionStatus.objects.filter(subscription__customer=customer)
    return {
        **_row(customer),
        "orders": _rows(customer.orders.all()),
        "payments": _rows(customer.transactions.all()),
        "subscriptions": _rows(customer.subscriptions.all()),
        "subscription_history": [{"at": entry.at, "status": entry.status} for entry in history],
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "received_at": event.received_at,
        "what": event.webhook_event,
        "id": event.event_id,
        "as_received": bytes(event.body).decode(errors="replace"),
    }


def _delivery(row: Delivery) -> dict[str, Any]:
    content = unpack_body(row.body) if row.body else None
    attempts = Attempt.objects.filter(delivery=row).select_related("content").order_by("pk")
    return {
        "metric": row.metric or "Profile",
        "id": row.unique_id,
        "to": row.connection.name,
        "state": row.get_state_display(),
        "happened_at": row.happened_at,
        "message": content.decode(errors="replace") if content else None,
        "calls": [_attempt(attempt) for attempt in attempts],
        "notes": [note.text for note in Note.objects.filter(delivery=row).order_by("pk")],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    stored = getattr(attempt, "content", None)
    content = unpack_content(stored) if stored else None
    return {
        "at": attempt.started_at,
        "status": attempt.status,
        "answer": content.answer.decode(errors="replace") if content else None,
    }


def _rows(rows: Iterable[Model]) -> list[dict[str, Any]]:
    return [_row(row) for row in rows]


def _row(row: Model) -> dict[str, Any]:
    kept = model_to_dict(row)
    return {name: value for name, value in kept.items() if name not in ("merchant", "source", "customer", "event")}


class _Plain(DjangoJSONEncoder):
    """Moments and amounts as Django writes them; whatever else turns up, as its text."""

    def default(self, o: Any) -> Any:
        return bytes(o).decode(errors="replace") if isinstance(o, bytes | memoryview) else super().default(o)
