"""What Vrio sent, newest first: every event with what became of it, also those that led to no Delivery.

From the home page's first number to each event's own page.
"""

from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.http import urlencode

from events.models import Event
from webhooks_log.moments import moment, zone_of
from webhooks_log.page import page
from webhooks_log.selection import SLACK, bound, id_after, id_before, merged_rows
from webhooks_log.viewer import Viewer, narrowed, slugs

PAGE = 50
RECEIVED = Event.objects.values_list("pk", "received_at")
TONES = {"received": "calm", "dispatched": "good", "ignored": "dull", "held": "warn", "broken": "bad"}


def events(request: HttpRequest) -> HttpResponse:
    """Events of the person's merchants by keyset, filtered by state and by when they came."""
    eyes = narrowed(request)
    times = {name: request.GET.get(name, "")[:40] for name in ("since", "until")}
    state = request.GET.get("state", "")
    state = state if state in Event.State.values else ""
    came = _between(eyes, **times)
    parts = [Event.objects.filter(came, merchant_id=pk) for pk in eyes.merchants]
    if state:
        parts = [part.filter(state=state) for part in parts]
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        parts = [part.filter(pk__lt=int(before)) for part in parts]
    found = merged_rows([part.defer("body", "digest") for part in parts], PAGE + 1)
    chosen = {"merchant": eyes.slug, "state": state, **times}
    query = urlencode({name: value for name, value in chosen.items() if value})
    older = f"?{query}{'&' if query else ''}before={found[PAGE - 1].pk}" if len(found) > PAGE else ""
    return page(
        request,
        "events.html",
        title="Events from Vrio",
        found=[_line(event, eyes) for event in found[:PAGE]],
        older=older,
        states=Event.State.choices,
        state=state,
        times=times,
        is_filtered=bool(state or any(times.values())),
        merchants=slugs(eyes.everyone) if len(eyes.everyone) > 1 else [],
        merchant=eyes.slug,
    )


def _between(eyes: Viewer, *, since: str, until: str) -> Q:
    """Bounds in time, with bounds on the id beside them: the list is walked by id, which grows with time."""
    zone = next(map(zone_of, eyes.merchants.values()), ZoneInfo("UTC"))
    chosen = Q()
    if first := bound(since, zone):
        chosen &= Q(received_at__gte=first, pk__gte=id_before(first - SLACK, RECEIVED))
    if last := bound(until, zone, is_end=True):
        chosen &= Q(received_at__lt=last, pk__lt=id_after(last + SLACK, RECEIVED))
    return chosen


def _line(event: Event, eyes: Viewer) -> dict[str, Any]:
    merchant = eyes.merchants[event.merchant_id]
    zone, now = zone_of(merchant), timezone.now()
    return {
        "event": event,
        "merchant": merchant.name,
        "received": moment(event.received_at, zone, now),
        "happened": moment(event.happened_at, zone, now),
        "tone": TONES[event.state],
    }
