"""A filtered list as a file: CSV or NDJSON, streamed row by row, never held in memory and never counted.

Behind the list's export links, for those who may see personal data.
"""

import csv
import heapq
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.utils import timezone

from connections.audit import record
from connections.models import Connection
from webhooks_log.models import Delivery
from webhooks_log.rows import metric_name, reason_of, state_name
from webhooks_log.scope import merchants_in
from webhooks_log.selection import Selection, read, walks
from webhooks_log.viewer import Viewer, narrowed

CHUNK = 1000
COLUMNS = (
    "id", "created_at", "happened_at", "merchant", "connection", "metric", "unique_id", "email", "order_id", "state",
    "reason", "http_status", "duration_ms", "calls", "next_attempt_at", "phone_dropped_at", "seen_at",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


class Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def webhooks_export(request: HttpRequest, kind: str) -> StreamingHttpResponse:
    """The address's selection, newest first, as `kind` "csv" or "ndjson"."""
    if kind not in ("csv", "ndjson"):
        raise Http404
    eyes = narrowed(request)
    selection = read(request.GET)
    merchants = merchants_in(selection, eyes)
    if not merchants or not all(eyes.sees_personal_data(merchant.pk) for merchant in merchants):
        raise PermissionDenied("An export holds personal data, which is not shown to you.")
    for merchant in merchants:
        record(request.user, "deliveries exported", merchant, reason=f"{kind}: {selection.as_query() or 'everything'}")
    lines = _csv(selection, eyes) if kind == "csv" else _ndjson(selection, eyes)
    types = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
    name = f"webhooks-{timezone.now():%Y%m%d-%H%M}.{kind}"
    return StreamingHttpResponse(
        lines, content_type=types[kind], headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def records(selection: Selection, eyes: Viewer) -> Iterator[dict[str, Any]]:
    """The selected Deliveries, newest first, as plain values; moments in the merchant's zone."""
    names = dict(Connection.objects.filter(merchant_id__in=list(eyes.merchants)).values_list("pk", "name"))
    for row in heapq.merge(*map(_walked, walks(selection, eyes)), key=lambda row: -row.pk):
        yield _record(row, eyes, names)


def _walked(walk: QuerySet[Delivery]) -> Iterator[Delivery]:
    """One walk's rows, newest first, a chunk at a time."""
    rows, below = walk.defer("draft", "notes").order_by("-pk"), Q()
    while chunk := list(rows.filter(below)[:CHUNK]):
        yield from chunk
        below = Q(pk__lt=chunk[-1].pk)


def _record(row: Delivery, eyes: Viewer, names: dict[int, str]) -> dict[str, Any]:
    merchant = eyes.merchants[row.merchant_id]
    zone, reason = ZoneInfo(merchant.time_zone), reason_of(row)
    values = (
        row.pk, _at(row.created_at, zone), _at(row.happened_at, zone), merchant.name, names.get(row.connection_id, ""),
        metric_name(row.metric), row.unique_id, row.email, row.order_id, state_name(row),
        reason.sentence if reason else row.detail, row.http_status, row.duration_ms, row.attempt_count,
        _at(row.next_attempt_at, zone), _at(row.phone_dropped_at, zone), _at(row.seen_at, zone),
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _at(at: datetime | None, zone: ZoneInfo) -> str | None:
    return at.astimezone(zone).isoformat(timespec="seconds") if at else None


def _csv(selection: Selection, eyes: Viewer) -> Iterator[str]:
    writer = csv.writer(Echo())
    yield writer.writerow(COLUMNS)
    for values in records(selection, eyes):
        yield writer.writerow([_cell(value) for value in values.values()])


def _ndjson(selection: Selection, eyes: Viewer) -> Iterator[str]:
    for values in records(selection, eyes):
        yield json.dumps(values, ensure_ascii=False) + "\n"


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
