"""Deliveries as the lines of a list: every column in words, times in the merchant's zone, personal data by role.

Between the slim rows and the templates; the page, the live tail and the export read the same lines.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.safestring import SafeString

from connections.models import Connection
from webhooks_log.masking import mask_email, mask_sentence
from webhooks_log.models import Delivery
from webhooks_log.moments import duration, moment, until
from webhooks_log.reasons import Reason, reason_for
from webhooks_log.viewer import Viewer

TONES = {
    "delivered": "good",
    "failed": "bad",
    "skipped": "dull",
    "waiting": "warn",
    "queued": "calm",
    "sending": "calm",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One Delivery as a list shows it."""

    pk: int
    stamp: str  # changes whenever the row does
    time: SafeString
    metric: str
    order: str
    connection: str
    merchant: str
    customer_id: int | None
    customer: str
    state: str
    tone: str
    reason: str
    status: int | None
    status_tone: str
    duration: str
    tries: int
    next_try: SafeString
    next_in: str
    is_phone_dropped: bool
    is_open: bool


def lines(rows: Iterable[Delivery], viewer: Viewer, now: datetime | None = None) -> list[Line]:
    """The lines of these rows, in their order; one query for the names of their connections."""
    rows = list(rows)
    now = now or timezone.now()
    names = dict(Connection.objects.filter(pk__in={row.connection_id for row in rows}).values_list("pk", "name"))
    zones = {pk: ZoneInfo(merchant.time_zone) for pk, merchant in viewer.merchants.items()}
    return [_line(row, viewer, names, zones[row.merchant_id], now) for row in rows]


def metric_name(metric: str) -> str:
    return metric or "Profile only"


def state_name(row: Delivery) -> str:
    """The state's word; a row that read-back found is seen, not only accepted."""
    return "Seen in Klaviyo" if row.seen_at else row.get_state_display()


def reason_of(row: Delivery) -> Reason | None:
    """Why the row is in its state and what to do about it; None where the state says it all."""
    if not row.reason:
        return None
    try:
        return reason_for(row.reason)
    except KeyError:  # a code that this version no longer writes
        return Reason(row.reason, row.detail or row.reason.replace("_", " ").capitalize() + ".", "")


def _words(row: Delivery, *, clear: bool) -> str:
    reason = reason_of(row)
    words = reason.sentence if reason else row.detail
    return words if clear else mask_sentence(words)


def _line(row: Delivery, viewer: Viewer, names: dict[int, str], zone: ZoneInfo, now: datetime) -> Line:
    clear = viewer.sees_personal_data(row.merchant_id)
    return Line(
        pk=row.pk,
        stamp=f"{row.updated_at.timestamp():.6f}",
        time=moment(row.created_at, zone, now),
        metric=metric_name(row.metric),
        order=row.order_id,
        connection=names.get(row.connection_id, ""),
        merchant=viewer.merchants[row.merchant_id].name,
        customer_id=row.customer_id,
        customer=row.email if clear else mask_email(row.email),
        state=state_name(row),
        tone=TONES[row.state],
        reason=_words(row, clear=clear),
        status=row.http_status,
        status_tone=status_tone(row.http_status),
        duration=duration(row.duration_ms),
        tries=row.attempt_count,
        next_try=moment(row.next_attempt_at, zone, now) if row.state in Delivery.OPEN else SafeString(""),
        next_in=until(row.next_attempt_at, now) if row.state in Delivery.OPEN else "",
        is_phone_dropped=row.phone_dropped_at is not None,
        is_open=row.state in Delivery.OPEN,
    )


def status_tone(status: int | None) -> str:
    if status is None:
        return "dull"
    return "good" if status < 300 else "warn" if status == 429 or status >= 500 else "bad"
