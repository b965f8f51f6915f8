"""One marked event of our own, on the same way as every other: stored, owed, sent in its lane, answered.

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
from connections.klaviyo.payloads import EventContent, ProfileContent, render
from connections.models import Connection, KlaviyoAccount, Source
from connections.tenancy import may, own
from events.models import Event
from webhooks_log.models import Body, Delivery
from webhooks_log.packing import pack
from webhooks_log.page import page

METRIC = "Viaduct Test"
TYPE = "viaduct_test"
SOURCE = "Viaduct's own test events"
DRAIN = "webhooks_log.jobs.drain"


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
    delivery = owe_test_event(connection, request.user, now=timezone.now())
    with suppress(RedisError):  # the clock finds the work in any case
        turns.ring(KlaviyoAccount, connection.account_id, DRAIN)
    return HttpResponseRedirect(reverse("admin:test_event_way", args=(delivery.pk,)))


@require_GET
def test_event_way(request: HttpRequest, pk: int) -> HttpResponse:
    """The stations of one test event; the page asks again by itself until it has arrived."""
    rows = own(Delivery.objects.select_related("connection", "event", "merchant"), request.user)
    delivery = get_object_or_404(rows, pk=pk, metric=METRIC)
    template = "test_event_stations.html" if request.headers.get("HX-Request") else "test_event_way.html"
    return page(
        request,
        template,
        title="Test event",
        delivery=delivery,
        connection=delivery.connection,
        stations=stations(delivery),
        is_over=delivery.state in ("delivered", "failed", "skipped"),
    )


def owe_test_event(connection: Connection, user: AbstractBaseUser, *, now: datetime) -> Delivery:
    """The Event and its Delivery, committed together."""
    unique_id = f"viaduct-test-{uuid4()}"
    properties = {"Message": "A test sent from Viaduct", "Connection": connection.name, "SentBy": user.get_username()}
    content = EventContent(metric=METRIC, unique_id=unique_id, happened_at=now, properties=properties)
    rendered = render(content, ProfileContent(email=user.email))
    record = json.dumps({"webhook_type": TYPE, "webhook_event": TYPE, "id": unique_id, **properties}).encode()
    with transaction.atomic():
        event = Event.objects.create(
            merchant=connection.merchant,
            source=_source(connection),
            authenticated_by="test",
            webhook_type=TYPE,
            webhook_event=TYPE,
            event_id=unique_id,
            body=record,
            digest=sha256(record).digest(),
            received_at=now,
            happened_at=now,
            state=Event.State.DISPATCHED,
            dispatched_at=now,
        )
        packed, codec = pack(rendered.body)
        delivery = Delivery.objects.create(
            merchant=connection.merchant,
            connection=connection,
            account_id=connection.account_id,
            event=event,
            metric=METRIC,
            unique_id=unique_id,
            path=rendered.path,
            body=Body.objects.create(content=packed, codec=codec, size=len(rendered.body)),
            email=user.email.lower(),
            happened_at=now,
            next_attempt_at=now,
        )
        audit.record(user, "sent a test event", connection)
    return delivery


def stations(delivery: Delivery) -> list[Station]:
    """The way so far, from the button to Klaviyo's answer."""
    attempt = delivery.attempts.order_by("pk").last()
    answered = attempt is not None and attempt.status is not None
    settled = delivery.settled_at or delivery.updated_at
    return [
        Station("Stored", delivery.event.received_at, "The event is committed; from here on it cannot be lost."),
        Station("Translated", delivery.created_at, f"It became one message, “{METRIC}”."),
        Station("Sent", attempt.started_at if attempt else None, _waiting(delivery) if attempt is None else ""),
        Station(
            "Answered",
            attempt.started_at if answered else None,
            f"Klaviyo answered {attempt.status}." if answered else "",
            has_failed=answered and attempt.status >= 400,
        ),
        Station(
            "Accepted by Klaviyo",
            settled if delivery.state == "delivered" else None,
            "It shows up at your profile in Klaviyo within a minute or so." if delivery.state == "delivered" else "",
            has_failed=delivery.state in ("failed", "skipped"),
        ),
    ]


def _waiting(delivery: Delivery) -> str:
    if delivery.state == Delivery.State.WAITING:
        return "It waits: look at the connection's page for the reason."
    return "It waits for its turn. If this takes longer than a few seconds, the worker may not be running."


def _source(connection: Connection) -> Source:
    """Test events have a source of their own, so that they never take an identity of Vrio's."""
    return Source.objects.get_or_create(
        merchant=connection.merchant,
        name=SOURCE,
        defaults={"dialect": Source.Dialect.REST, "archived_at": timezone.now()},  # nothing can be sent to it
    )[0]
