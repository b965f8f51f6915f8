"""The live tail: what has changed since a moment, as the lines the page merges by id.

Beside the tab. `id > last` would miss late commits and every change of state; `updated_at` with an overlap misses
neither, as long as no transaction is held longer than the overlap.
"""

from datetime import datetime, timedelta

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from webhooks_log.models import Delivery
from webhooks_log.page import fragment
from webhooks_log.rows import lines
from webhooks_log.scope import merchants_in
from webhooks_log.selection import SHOWN, Selection, newest, read, scopes
from webhooks_log.viewer import Viewer, narrowed

OVERLAP = timedelta(seconds=5)
MAX_CHANGES = 200
FARTHEST_BACK = timedelta(hours=1)


def webhooks_live(request: HttpRequest) -> HttpResponse:
    """Lines changed since `?changed_since=`, with `X-Since` for the next question; 204 when nothing has."""
    eyes = narrowed(request)
    selection = read(request.GET)
    merchants_in(selection, eyes)
    now = timezone.now()
    changed = _changed(selection, eyes, _since(request, now))
    overflows = len(changed) > MAX_CHANGES
    rows = newest(selection, eyes) if overflows else _matching(changed, selection, eyes)
    gone = [] if overflows else [row.pk for row in changed if row.pk not in {match.pk for match in rows}]
    if not rows and not gone:
        return HttpResponse(status=204, headers={"X-Since": (now - OVERLAP).isoformat()})
    answer = fragment(
        request,
        "rows.html",
        lines=lines(rows, eyes, now),
        gone=gone,
        has_several_merchants=len(eyes.merchants) > 1,
        shows_customer=not selection.customer,
        may_send_many=all(eyes.may_send_again(pk) for pk in eyes.merchants),
    )
    answer["X-Since"] = (now - OVERLAP).isoformat()
    return answer


def _changed(selection: Selection, eyes: Viewer, since: datetime) -> list[Delivery]:
    """What changed inside the scope, whatever the filters say: a row may have just left them."""
    merchants = Q(merchant_id__in=list(eyes.merchants), updated_at__gt=since)
    parts = [scope.filter(merchants) for scope in scopes(selection, eyes, filtered=False)[:1]]
    if selection.is_of_whole_merchants:
        parts = [Delivery.objects.filter(merchants)]
    return [row for part in parts for row in part.order_by("updated_at").only(*SHOWN)[: MAX_CHANGES + 1]]


def _matching(changed: list[Delivery], selection: Selection, eyes: Viewer) -> list[Delivery]:
    if not changed or not selection.has_filters:
        return sorted(changed, key=lambda row: -row.pk)
    ids = [row.pk for row in changed]
    kept = {pk for scope in scopes(selection, eyes) for pk in scope.filter(pk__in=ids).values_list("pk", flat=True)}
    return sorted((row for row in changed if row.pk in kept), key=lambda row: -row.pk)


def _since(request: HttpRequest, now: datetime) -> datetime:
    try:
        since = parse_datetime(request.GET.get("changed_since", "").replace(" ", "+"))
    except ValueError:
        since = None
    if since is None or since.tzinfo is None:
        return now - OVERLAP
    return max(since, now - FARTHEST_BACK)
