"""One marked event of our own, on the same way as every other: stored, dispatched, sent in its lane, answered.

From the connection's page. It is called "Viaduct Test", has no value, and belongs to the person who pressed the button,
so that it can neither start a customer's flow nor count as revenue.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from redis.exceptions import RedisError

from connections import audit, turns
from connections.models import Connection, Source
from connections.tenancy import may, own
from events.models import Event, Inbox
from webhooks_log.dispatch import DISPATCH
from webhooks_log.models import Delivery
from webhooks_log.page import page
from webhooks_log.trial_message import METRIC, PROOF, TYPE

SLOW = "If this takes longer than a few seconds, the worker may not be running."
OVER = (Delivery.State.DELIVERED, Delivery.State.FAILED, Delivery.State.SKIPPED)
SOURCE = "Viaduct's own test events"


@dataclass(frozen=True, slots=True)
class Station:
    """One point of the way: passed at some moment, failed, or not reached yet."""

    words: str
    at: datetime | None
    sentence: str = ""
    has_failed: bool = False


@require_POST
def send_test_event(request: HttpRequest, pk: int) -> HttpResponse:
    """Owe the connection one test event to the person's own address, and show its way."""
    connection = get_object_or_404(own(Connection.objects.living(), request.user), pk=pk)
    if not may(request.user, connection.merchant, "configure"):
        raise PermissionDenied
    if not request.user.email:
        messages.error(request, "Your account has no e-mail address, so there is no profile to send the test to.")
        return HttpResponseRedirect(reverse("admin:connection", args=(pk,)))
    event = make_test_event(connection, request.user, now=timezone.now())
    inbox = Inbox.objects.get_or_create(merchant=connection.merchant)[0]
    with suppress(RedisError):  # the clock finds the work in any case
        turns.ring(Inbox, inbox.pk, DISPATCH)
    return HttpResponseRedirect(reverse("admin:test_event_way", args=(event.pk,)))


@require_GET
def test_event_way(request: HttpRequest, pk: int) -> HttpResponse:
    """The stations of one test event; the page asks again by itself until it has arrived."""
    rows = own(Event.objects.select_related("merchant"), request.user)
    event = get_object_or_404(rows, pk=pk, authenticated_by=PROOF)
    delivery = event.deliveries.select_related("connection").first()
    template = "test_event_stations.html" if request.headers.get("HX-Request") else "test_event_way.html"
    told = json.loads(bytes(event.body))
    return page(
        request,
        template,
        title="Test event",
        event=event,
        delivery=delivery,
        metric=METRIC,
        email=told["email"],
        connection=get_object_or_404(own(Connection.objects.all(), request.user), pk=told["connection_id"]),
        stations=stations(event, delivery),
        is_over=delivery is not None and delivery.state in OVER,
    )


def make_test_event(connection: Connection, user: AbstractBaseUser, *, now: datetime) -> Event:
    """The Event, stored and due for dispatch like any other."""
    event_id = f"viaduct-test-{uuid4()}"
    properties = {"Message": "A test sent from Viaduct", "Connection": connection.name, "SentBy": user.get_username()}
    told = {"webhook_type": TYPE, "connection_id": connection.pk, "email": user.email, "properties": properties}
    body = json.dumps(told).encode()
    with transaction.atomic():
        event = Event.objects.create(
            merchant=connection.merchant,
            source=_source(connection),
            authenticated_by=PROOF,
            webhook_type=TYPE,
            webhook_event=TYPE,
            event_id=event_id,
            body=body,
            digest=sha256(body).digest(),
            received_at=now,
        )
        audit.record(user, "sent a test event", connection)
    return event


def stations(event: Event, delivery: Delivery | None) -> list[Station]:
    """The way so far, from the button to Klaviyo's answer."""
    attempt = delivery.attempts.order_by("pk").last() if delivery else None
    answered = attempt is not None and attempt.status is not None
    state = delivery.state if delivery else ""
    accepted = (delivery.settled_at or delivery.updated_at) if delivery and state == Delivery.State.DELIVERED else None
    return [
        Station("Stored", event.received_at, "The event is committed; from here on it cannot be lost."),
        Station("Translated", event.dispatched_at, f"It became one message, “{METRIC}”." if delivery else SLOW),
        Station("Sent", attempt.started_at if attempt else None, "" if attempt else _waiting(delivery)),
        Station(
            "Answered",
            attempt.started_at if answered else None,
            f"Klaviyo answered {attempt.status}." if answered else "",
            has_failed=answered and attempt.status >= 400,
        ),
        Station(
            "Accepted by Klaviyo",
            accepted,
            "It shows up at your profile in Klaviyo within a minute or so." if accepted else "",
            has_failed=state in (Delivery.State.FAILED, Delivery.State.SKIPPED),
        ),
    ]


def _waiting(delivery: Delivery | None) -> str:
    if delivery is None or delivery.state == Delivery.State.SKIPPED:
        return ""
    if delivery.state == Delivery.State.WAITING:
        return "It waits: look at the connection's page for the reason."
    return SLOW


def _source(connection: Connection) -> Source:
    """Test events have a source of their own, so that they never take an identity of Vrio's."""
    return Source.objects.get_or_create(
        merchant=connection.merchant,
        name=SOURCE,
        defaults={"dialect": Source.Dialect.REST, "archived_at": timezone.now()},  # nothing can be sent to it
    )[0]
