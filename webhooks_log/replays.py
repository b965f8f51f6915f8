"""Sending many again: the count first, then the choices and a reason, then how far it is.

From a filtered list to `webhooks_log.replay`.
"""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from webhooks_log import replay
from webhooks_log.models import Replay
from webhooks_log.moments import moment, zone_of
from webhooks_log.page import page
from webhooks_log.rows import lines
from webhooks_log.scope import merchants_in
from webhooks_log.selection import Selection, merged_rows, read
from webhooks_log.viewer import Viewer, narrowed, slugs, viewer

PAGE = 50
BACKFILL = {"": None, "on": True, "off": False}


@require_http_methods(["GET", "POST"])
def replay_plan(request: HttpRequest) -> HttpResponse:
    """GET counts and shows what the address's selection would do; POST starts it."""
    eyes = narrowed(request)
    selection = _selection(request, eyes)
    if request.GET.get("picked") and not selection.ids:
        messages.info(request, "Pick the rows to send again first.")
        return redirect(f"{reverse('admin:webhooks')}?{selection.as_query()}")
    choices = _choices(request)
    if request.method == "POST" and request.POST.get("go"):
        return _start(request, selection, choices)
    try:
        plan = replay.plan(selection, **choices) if _is_about_one(selection) else None
    except replay.Refused as refused:
        messages.warning(request, refused.sentence)
        plan = None
    if plan:
        eyes.note_list_seen("webhooks", {row.merchant_id for row in plan.sample if row.email})
    return page(
        request,
        "replay_plan.html",
        title="Send again",
        plan=plan,
        sample=lines(plan.sample, eyes) if plan else [],
        shows_customer=True,
        query=selection.as_query(),
        merchants=slugs(eyes.everyone),
        choices={**choices, "backfill": request.GET.get("backfill", "")},
    )


def replays(request: HttpRequest) -> HttpResponse:
    """Replays of the person's merchants, newest first."""
    eyes = narrowed(request)
    before = request.GET.get("before", "")
    parts = [Replay.objects.select_related("actor").filter(merchant_id=pk) for pk in eyes.merchants]
    if before.isascii() and before.isdigit() and len(before) < 19:
        parts = [part.filter(pk__lt=int(before)) for part in parts]
    found = merged_rows(parts, PAGE + 1)
    older = f"?before={found[PAGE - 1].pk}" if len(found) > PAGE else ""
    return page(
        request, "replays.html", title="Sent again", found=[_shown(row, eyes) for row in found[:PAGE]], older=older
    )


def replay_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One replay: how far it is, and its buttons."""
    eyes = viewer(request)
    row: Replay = eyes.own(Replay.objects.select_related("actor"), pk=pk)
    return page(request, "replay.html", title=f"Sent again, no. {pk}", **_shown(row, eyes))


@require_POST
def replay_turn(request: HttpRequest, pk: int) -> HttpResponse:
    """Pause, resume or stop it."""
    eyes = viewer(request)
    row: Replay = eyes.own(Replay.objects.all(), pk=pk)
    eyes.need_send_again(row.merchant_id)
    turns = {"pause": replay.pause, "resume": replay.resume, "stop": replay.stop_replay}
    turn = turns.get(request.POST.get("turn", ""))
    if turn is None:
        raise Http404
    try:
        turn(row, actor=request.user)
    except replay.Refused as refused:
        messages.warning(request, refused.sentence)
    return redirect("admin:replay", pk)


def _selection(request: HttpRequest, eyes: Viewer) -> Selection:
    """The address's selection, with the rows that were picked one by one; every merchant in it may be sent for."""
    picked = ",".join(request.GET.getlist("id"))
    address = request.GET.dict() | ({"ids": picked} if picked else {})
    selection = read(address)
    merchants = merchants_in(selection, eyes)
    if not _is_about_one(selection) and len(merchants) == 1:
        selection = replace(selection, merchant=merchants[0].slug)
    for merchant in merchants:
        eyes.need_send_again(merchant.pk)
    return selection


def _is_about_one(selection: Selection) -> bool:
    return bool(selection.merchant or selection.customer or selection.connection or selection.event or selection.replay)


def _choices(request: HttpRequest) -> dict[str, Any]:
    given = request.POST if request.method == "POST" else request.GET
    return {
        "translates_anew": given.get("how") == "anew",
        "includes_delivered": given.get("delivered") == "yes",
        "backfill": BACKFILL.get(given.get("backfill", "")),
    }


def _start(request: HttpRequest, selection: Selection, choices: dict[str, Any]) -> HttpResponse:
    try:
        started = replay.start(
            selection, actor=request.user, reason=request.POST.get("reason", "").replace("\0", "")[:500], **choices
        )
    except replay.Refused as refused:
        messages.warning(request, refused.sentence)
        return redirect(f"{reverse('admin:replay_plan')}?{selection.as_query()}")
    return redirect("admin:replay", started.pk)


def _shown(row: Replay, eyes: Viewer) -> dict[str, Any]:
    zone, now = zone_of(eyes.merchants[row.merchant_id]), timezone.now()
    return {
        "replay": row,
        "merchant": eyes.merchants[row.merchant_id],
        "by": row.actor.get_username() if row.actor else "Viaduct",
        "started": moment(row.created_at, zone, now),
        "finished": moment(row.finished_at, zone, now),
        "share": round(100 * row.queued / row.total) if row.total else 0,
        "may_turn": eyes.may_send_again(row.merchant_id),
    }
