"""The home page: what came in, what went out, what waits or failed, and the next step for who has just begun.

Above the corridor; every number leads to the list behind it.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from connections.models import Connection
from connections.tenancy import chosen_merchants, may_anywhere, merchants_of
from webhooks_log import figures
from webhooks_log.chart import draw
from webhooks_log.first_run import merchants_with_steps
from webhooks_log.moments import span as length
from webhooks_log.moments import zone_of
from webhooks_log.selection import PROFILE_ONLY

SILENT_AFTER = timedelta(hours=24)


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the figures of the person's merchants, or of the one in the address, to the shell's context."""
    slug = request.GET.get("merchant", "")
    merchants = list(chosen_merchants(request.user, slug))
    span = figures.SPANS.get(request.GET.get("span", ""), figures.SPANS["day"])
    now = timezone.now()
    zone = zone_of(merchants[0]) if merchants else timezone.get_default_timezone()
    columns = figures.columns(merchants, span, now, zone)
    since = columns[0].at
    return context | {
        "title": "Home",
        "merchants": merchants_of(request.user),
        "chosen": slug,
        "span": span,
        "spans": figures.SPANS.values(),
        "zone": zone,
        "stats": _stats(merchants, since, slug, now),
        "chart": draw(columns, span),
        "table": _table(columns, span, slug),
        "has_counts": any(column.total for column in columns),
        "lines": _lines(merchants, since, slug),
        "troubled": Connection.objects.living()
        .filter(merchant__in=merchants, is_active=True)
        .exclude(state__in=(Connection.State.CONNECTED, Connection.State.UNCHECKED)),
        "first_runs": merchants_with_steps(merchants),
        "may_connect": may_anywhere(request.user, "configure"),
        "names_merchants": len(merchants) > 1,
    }


def _stats(merchants: list, since: Any, slug: str, now: Any) -> list[dict[str, Any]]:
    """The tiles: a number, what it counts, and the list it leads to."""
    count = figures.totals(merchants, since)
    waiting = figures.waiting(merchants)
    oldest, last = figures.oldest_due(merchants, now), figures.last_event(merchants)
    late = (now - oldest.next_attempt_at).total_seconds() if oldest else 0
    silence = now - last.received_at if last else None
    return [
        _tile("Received from Vrio", count.get("received", 0), slug) | {"link": _events(slug, since=_at(since))},
        _tile("Accepted by Klaviyo", count.get("delivered", 0), slug, since, state="delivered"),
        _tile("Waiting now", _capped(waiting), slug, state="waiting", tone="warn" if waiting else ""),
        _tile("Failed", count.get("failed", 0), slug, since, state="failed", tone="bad" if count.get("failed") else ""),
        _tile("Skipped", count.get("skipped", 0), slug, since, state="skipped"),
        _tile("Phone numbers dropped", count.get("phone_dropped", 0), slug, since, phone="dropped"),
        {
            "label": "Oldest overdue message",
            "number": length(late) if oldest else "none",
            "link": reverse("admin:delivery", args=(oldest.pk,)) if oldest else "",
            "tone": "bad" if late > 300 else "",
        },
        {
            "label": "Last event from Vrio",
            "number": f"{length(silence.total_seconds())} ago" if silence is not None else "never",
            "link": _list(slug, event=last.pk) if last else "",
            "tone": "warn" if silence is not None and silence > SILENT_AFTER else "",
        },
    ]


def _tile(label: str, number: Any, slug: str, since: Any = None, *, tone: str = "", **selection: str) -> dict[str, Any]:
    if since is not None:
        selection["since"] = _at(since)
    return {"label": label, "number": number, "link": _list(slug, **selection), "tone": tone}


def _lines(merchants: list, since: Any, slug: str) -> list[dict[str, Any]]:
    """The table by connection and metric; each number with the list it counts."""
    lines = figures.by_connection_and_metric(merchants, since)[:40]
    for line in lines:
        scope = {"connection": line["connection_id"], "metric": line["metric"] or PROFILE_ONLY, "since": _at(since)}
        line["link"] = _list(slug, **scope)
        line["cells"] = _cells(line, ("delivered", "waiting", "skipped", "failed", "phone_dropped"), slug, scope)
    return lines


def _table(columns: list[figures.Column], span: figures.Span, slug: str) -> list[dict[str, Any]]:
    """The chart as a table: each column of the chart is a line, each number leads to its list."""
    lines = []
    for column in columns:
        end = figures.after(column.at, span.unit) - timedelta(minutes=1)  # the end of a span includes its minute
        times = {"since": _at(column.at), "until": _at(end)}
        received = column.counts["received"], _events(slug, **times)
        lines.append({"at": column.at, "cells": [received, *_cells(column.counts, figures.SHOWN, slug, times)]})
    return lines


def _cells(counts: Any, outcomes: tuple[str, ...], slug: str, scope: dict[str, Any]) -> list[tuple[int, str]]:
    """[(number, link)]. What had to wait is elsewhere by now, so that number leads to everything of its time."""
    cells = []
    for outcome in outcomes:
        chosen = {"phone": "dropped"} if outcome == "phone_dropped" else {"state": outcome}
        chosen = {} if outcome == "waiting" else chosen
        cells.append((counts.get(outcome, 0), _list(slug, **scope, **chosen)))
    return cells


def _at(moment: Any) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M%z")


def _list(slug: str, **selection: Any) -> str:
    query = {"merchant": slug, **selection} if slug else selection
    return f"{reverse('admin:webhooks')}?{urlencode(query)}"


def _events(slug: str, **times: str) -> str:
    query = {"merchant": slug, **times} if slug else times
    return f"{reverse('admin:events')}?{urlencode(query)}"


def _capped(number: int) -> str:
    return f"{number}+" if number >= figures.AT_MOST else str(number)
