"""Sends what a connection was never told, because it was made later or switched off: counted first, marked as history.

From the connection's page. Klaviyo records such events with their own dates and starts no flows for them; what the
connection was told already is not told again, because a Delivery is unique.
"""

from contextlib import suppress
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods
from redis.exceptions import RedisError

from connections import audit, turns
from connections.models import Connection
from connections.tenancy import may, own
from events.models import Event, Inbox
from webhooks_log.dispatch import DISPATCH
from webhooks_log.models import Delivery
from webhooks_log.page import page

COUNTED_TO = 100_000
TEST_TYPE = "viaduct_test"


class SinceForm(forms.Form):
    """From which day on."""

    since = forms.DateField(label="Events received since", widget=forms.DateInput(attrs={"type": "date"}))


@require_http_methods(["GET", "POST"])
def past_events(request: HttpRequest, pk: int) -> HttpResponse:
    """GET with a day counts; POST with the same day sends."""
    connection = get_object_or_404(own(Connection.objects.living().select_related("merchant"), request.user), pk=pk)
    if not may(request.user, connection.merchant, "configure"):
        raise PermissionDenied
    asked = request.POST if request.method == "POST" else request.GET
    form = SinceForm(asked if "since" in asked else None, initial={"since": _first_day(connection)})
    count = None
    if form.is_bound and form.is_valid():
        rows = events_untold(connection, form.cleaned_data["since"])
        if request.method == "POST":
            return _sent(request, connection, form.cleaned_data["since"], rows)
        count = rows[:COUNTED_TO].count()
    return page(
        request, "past_events.html", title="Past events", connection=connection, form=form, count=count, most=COUNTED_TO
    )


def events_untold(connection: Connection, since: date) -> QuerySet[Event]:
    """The merchant's events received from that day on (in the merchant's zone) that this connection was never told.

    What it was skipped with is judged anew by the settings of today.
    """
    start = datetime.combine(since, time.min, ZoneInfo(connection.merchant.time_zone))
    had_none = Q(state=Event.State.IGNORED, reason="no_connection") | Q(state=Event.State.DISPATCHED)
    told = Delivery.objects.filter(event=OuterRef("pk"), connection=connection).exclude(state=Delivery.State.SKIPPED)
    rows = Event.objects.filter(had_none, ~Exists(told), merchant=connection.merchant, received_at__gte=start)
    return rows.filter(history=False).exclude(webhook_type=TEST_TYPE)


def send_again(connection: Connection, rows: QuerySet[Event]) -> int:
    """Make these events due for dispatch once more, marked as history; how many."""
    with transaction.atomic():
        count = rows.update(state=Event.State.RECEIVED, backfill=True, reason="", detail="", dispatched_at=None)
        inbox = Inbox.objects.get_or_create(merchant=connection.merchant)[0]
    with suppress(RedisError):  # the clock finds the work in any case
        turns.ring(Inbox, inbox.pk, DISPATCH)
    return count


def _sent(request: HttpRequest, connection: Connection, since: date, rows: QuerySet[Event]) -> HttpResponse:
    count = send_again(connection, rows)
    audit.record(request.user, "sent past events", connection, {"since": (None, since), "events": (None, count)})
    messages.success(request, f"{count} past events are on their way. They go out behind today's events.")
    return HttpResponseRedirect(reverse("admin:connection", args=(connection.pk,)))


def _first_day(connection: Connection) -> Any:
    first = (
        Event.objects.filter(merchant=connection.merchant).order_by("pk").values_list("received_at", flat=True).first()
    )
    return (first or timezone.now()).astimezone(ZoneInfo(connection.merchant.time_zone)).date()
