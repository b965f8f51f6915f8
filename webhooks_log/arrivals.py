"""What Vrio sent, newest first: every event with what became of it, also those that led to no Delivery.

From the home page's first number to each event's own page.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.http import urlencode

from events.models import Event
from webhooks_log.moments import moment, zone_of
from webhooks_log.page import page
from webhooks_log.selection import merged_rows
from webhooks_log.viewer import Viewer, narrowed, slugs

PAGE = 50
TONES = {"received": "calm", "dispatched": "good", "ignored": "dull", "held": "warn", "broken": "bad"}


def events(request: HttpRequest) -> HttpResponse:
    """Events of the person's merchants by keyset, filtered by state."""
    eyes = narrowed(request)
    state = request.GET.get("state", "")
    state = state if state in Event.State.values else ""
    parts = [Event.objects.filter(merchant_id=pk) for pk in eyes.merchants]
    if state:
        parts = [part.filter(state=state) for part in parts]
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        parts = [part.filter(pk__lt=int(before)) for part in parts]
    found = merged_rows([part.defer("body", "digest") for part in parts], PAGE + 1)
    query = urlencode({name: value for name, value in (("merchant", eyes.slug), ("state", state)) if value})
    older = f"?{query}{'&' if query else ''}before={found[PAGE - 1].pk}" if len(found) > PAGE else ""
    return page(
        request,
        "events.html",
        title="Events from Vrio",
        found=[_line(event, eyes) for event in found[:PAGE]],
        older=older,
        states=Event.State.choices,
        state=state,
        merchants=slugs(eyes.everyone) if len(eyes.everyone) > 1 else [],
        merchant=eyes.slug,
    )


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
