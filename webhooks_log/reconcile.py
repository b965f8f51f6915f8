"""What became of each event, for the machine that sent it; and what would become of one that was not sent.

Beside the door, for keys that may read: the other half of `/api/v1/events`, here because it knows Deliveries.
"""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.dateparse import parse_datetime

from connections.models import ApiKey, Merchant, Source
from events import openapi
from events.api import answering_problems
from events.auth import Caller, caller_by_key
from events.body import inflated, raw_body
from events.methods import described
from events.models import Event
from events.openapi import answers, query, ref
from events.problems import Problem
from events.reading import read_values
from webhooks_log.models import Delivery
from webhooks_log.preview import Prospect, preview
from webhooks_log.selection import indexed

PAGE = 100
LARGEST_PAGE = 500
ASKED = ("since", "type", "state", "order_id", "cursor")
SHOWN = (
    "id", "webhook_type", "webhook_event", "event_id", "event_date", "received_at", "authenticated_by", "arrivals",
    "conflict_of_id", "backfill", "state", "reason", "detail", "order_id",
)  # fmt: skip


@described(
    operation_id="events_list",
    tags=["Reconcile"],
    auth=openapi.BY_KEY,
    parameters=[
        query("since", "Received at this moment or later, ISO 8601; without a zone, UTC."),
        query("type", "A `webhook_type` or `webhook_event`."),
        query("state", "`received`, `dispatched`, `ignored`, `held` or `broken`."),
        query("order_id", "Vrio's id of the order."),
        query("cursor", "`next` of the page before."),
        query("limit", f"Events a page, at most {LARGEST_PAGE}.", int),
    ],
    responses=answers(
        401,
        403,
        422,
        429,
        503,
        page_200={
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": {"type": "array", "items": ref("StoredEvent")},
                "next": {"type": ["string", "null"]},
            },
        },
    ),
    description="The source's events, oldest first, a page at a time, each with its deliveries and their reasons.",
)
@answering_problems
def event_list(request: HttpRequest) -> HttpResponse:
    """A page of the caller's events, oldest first; `next` is the cursor of the following page, or null."""
    events = _chosen(request, _events_of(_reader(request)))
    limit = _limit(request)
    page = list(events[: limit + 1])
    following = _cursor(page[limit - 1].pk) if len(page) > limit else None
    return JsonResponse({"results": [_written(event) for event in page[:limit]], "next": following})


@described(
    operation_id="events_retrieve",
    tags=["Reconcile"],
    auth=openapi.BY_KEY,
    responses=answers(401, 403, 404, 429, 503, event_200=ref("StoredEvent")),
    description="One event, its deliveries and their reasons.",
)
@answering_problems
def event(request: HttpRequest, pk: int) -> HttpResponse:
    """What became of one event of the caller's source."""
    found = _events_of(_reader(request)).filter(pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise Problem(404, "not_found", "Your source has no event of this id.")
    return JsonResponse(_written(found))


@described(
    operation_id="events_validate",
    tags=["Reconcile"],
    auth=openapi.BY_KEY,
    request={"application/json": ref("Event")},
    responses=answers(
        *openapi.REFUSALS,
        told_200={
            "type": "object",
            "properties": {
                "state": {"type": "string"},
                "reason": {"type": "string"},
                "detail": {"type": "string"},
                "would_send": {"type": "array", "items": ref("Prospect")},
            },
        },
    ),
    description="What would be sent to Klaviyo if this event arrived now. Stores nothing, sends nothing.",
)
@answering_problems
def validate(request: HttpRequest) -> HttpResponse:
    """What would become of one event; a key that may only send may ask this, too."""
    caller = caller_by_key(request)
    body = inflated(raw_body(request), request.META.get("HTTP_CONTENT_ENCODING", ""), is_tolerant=False)
    reading = read_values(body)
    if reading.refused:
        raise reading.refused[0].problem
    if len(reading.arrivals) != 1:
        raise Problem(422, "one_event_only", "Send one event to be looked at.")
    merchant, source = Merchant.objects.get(pk=caller.merchant_id), Source.objects.get(pk=caller.source_id)
    told = preview(reading.arrivals[0].body, merchant, source=source)
    prospects = [_prospect(one) for one in told.prospects]
    return JsonResponse({"state": told.state, "reason": told.reason, "detail": told.detail, "would_send": prospects})


def _reader(request: HttpRequest) -> Caller:
    caller = caller_by_key(request)
    if caller.scope != ApiKey.Scope.READ:
        raise Problem(403, "may_not_read", "This API key may send events, not read what became of them.")
    return caller


def _events_of(caller: Caller) -> QuerySet[Event]:
    deliveries = Delivery.objects.select_related("connection").defer("draft").order_by("pk")
    own = Event.objects.filter(merchant_id=caller.merchant_id, source_id=caller.source_id)
    return own.only(*SHOWN).order_by("pk").prefetch_related(Prefetch("deliveries", queryset=deliveries))


def _chosen(request: HttpRequest, events: QuerySet[Event]) -> QuerySet[Event]:
    asked = {name: _text(name, request.GET.get(name, "")) for name in ASKED}
    if since := asked.get("since"):
        events = events.filter(pk__gt=_last_before(events, _moment(since)))
    if kind := asked.get("type"):
        events = events.filter(Q(webhook_type=kind) | Q(webhook_event=kind))
    if state := asked.get("state"):
        if state not in Event.State.values:
            raise Problem(422, "field_invalid", f"There is no state {state!r}.", field="state")
        events = events.filter(state=state)
    if order := asked.get("order_id"):
        events = events.filter(indexed("order_id", order))
    return events.filter(pk__gt=_after(asked["cursor"])) if asked.get("cursor") else events


def _text(name: str, value: str) -> str:
    if "\0" in value:
        raise Problem(422, "field_invalid", f"`{name}` holds a zero byte, as no value of Vrio's does.", field=name)
    return value.strip()


def _last_before(events: QuerySet[Event], moment: datetime) -> int:
    """Ids grow with time: walking back from the newest ends where the page begins, whatever lies before."""
    older = events.filter(received_at__lt=moment).order_by("-pk")
    return older.values_list("pk", flat=True).first() or 0


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text else text)
    except ValueError:
        moment = None
    if moment is None:
        raise Problem(422, "field_invalid", "`since` is a moment such as 2026-11-23T10:00:00Z.", field="since")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _limit(request: HttpRequest) -> int:
    text = request.GET.get("limit", str(PAGE))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LARGEST_PAGE):
        raise Problem(422, "field_invalid", f"`limit` is a number from 1 to {LARGEST_PAGE}.", field="limit")
    return int(text)


def _cursor(pk: int) -> str:
    return base64.urlsafe_b64encode(str(pk).encode()).decode().rstrip("=")


def _after(cursor: str) -> int:
    try:
        pk = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise Problem(422, "field_invalid", "This is no cursor of ours.", field="cursor") from None
    return min(max(pk, 0), 2**62)


def _written(event: Event) -> dict[str, Any]:
    told = {name: getattr(event, name) for name in SHOWN if name not in ("event_id", "event_date", "conflict_of_id")}
    told |= {"webhook_event_id": event.event_id, "webhook_event_date": event.event_date}
    deliveries = [_delivery(row) for row in event.deliveries.all()]
    return told | {"conflict_of": event.conflict_of_id, "deliveries": deliveries}


def _delivery(row: Delivery) -> dict[str, Any]:
    names = ("metric", "unique_id", "state", "reason", "detail", "http_status", "next_attempt_at", "settled_at")
    told = {name: getattr(row, name) for name in names}
    return {"connection": row.connection.name} | told | {"attempts": row.attempt_count}


def _prospect(one: Prospect) -> dict[str, Any]:
    names = ("connection", "metric", "unique_id", "state", "reason", "detail", "path", "notes")
    return {name: getattr(one, name) for name in names} | {"body": json.loads(one.body) if one.body else None}
