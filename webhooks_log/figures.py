"""The numbers of the home page, read from the hourly roll-up; rows are touched only where an index bounds the walk.

Beside the corridor: the engine writes the counts, this only adds them up.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Sum
from django.db.models.functions import TruncDay, TruncHour, TruncMonth

from connections.models import KlaviyoAccount, Merchant
from events.models import Event
from webhooks_log.models import Delivery, HourlyCount, IsDueState

SHOWN = ("delivered", "waiting", "failed", "skipped")
AT_MOST = 1000  # numbers of open rows are counted no further than this


@dataclass(frozen=True, slots=True)
class Span:
    """How far back a chart looks, and how wide its columns are."""

    name: str
    words: str
    columns: int
    unit: str  # hour, day, month


SPANS = {
    "day": Span("day", "24 hours", 24, "hour"),
    "month": Span("month", "30 days", 30, "day"),
    "year": Span("year", "12 months", 12, "month"),
}
_TRUNC = {"hour": TruncHour, "day": TruncDay, "month": TruncMonth}


@dataclass(slots=True)
class Column:
    """One column of the chart: what became of what was owed in that time."""

    at: datetime
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def total(self) -> int:
        return sum(self.counts[outcome] for outcome in SHOWN if outcome != "waiting")


def totals(merchants: Sequence[Merchant], since: datetime) -> dict[str, int]:
    """How many of each outcome since then."""
    rows = _counts(merchants, since).values("outcome").annotate(total=Sum("count"))
    return {row["outcome"]: row["total"] for row in rows}


def columns(merchants: Sequence[Merchant], span: Span, now: datetime, zone: ZoneInfo) -> list[Column]:
    """The chart's columns, oldest first, the empty ones included; days and months are those of the zone."""
    starts = column_starts(span, now, zone)
    found = {start: Column(start) for start in starts}
    truncated = _TRUNC[span.unit]("hour", tzinfo=zone)
    rows = _counts(merchants, starts[0]).annotate(at=truncated).values("at", "outcome").annotate(total=Sum("count"))
    for row in rows.order_by("at"):
        if row["at"] in found:
            found[row["at"]].counts[row["outcome"]] += row["total"]
    return [found[start] for start in starts]


def column_starts(span: Span, now: datetime, zone: ZoneInfo) -> list[datetime]:
    """Where each column begins, oldest first; the last one is the hour, day or month of now."""
    start = now.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if span.unit != "hour":
        start = start.replace(hour=0)
    if span.unit == "month":
        start = start.replace(day=1)
    starts = [start]
    while len(starts) < span.columns:
        starts.append(_before(starts[-1], span.unit))
    return starts[::-1]


def after(start: datetime, unit: str) -> datetime:
    """Where the column that starts here ends."""
    if unit == "hour":
        return (start.astimezone(ZoneInfo("UTC")) + timedelta(hours=1)).astimezone(start.tzinfo)
    if unit == "day":
        return (start + timedelta(hours=36)).replace(hour=0)
    return (start + timedelta(days=32)).replace(day=1)


def by_connection_and_metric(merchants: Sequence[Merchant], since: datetime) -> list[dict]:
    """[{connection, connection_id, metric, delivered, waiting, failed, skipped, phone_dropped}], the busiest first."""
    rows: dict[tuple, dict] = {}
    counted = _counts(merchants, since).exclude(connection=None)
    for row in counted.values("connection", "connection__name", "metric", "outcome").annotate(total=Sum("count")):
        line = rows.setdefault(
            (row["connection"], row["metric"]),
            {"connection": row["connection__name"], "connection_id": row["connection"], "metric": row["metric"]},
        )
        line[row["outcome"]] = row["total"]
    return sorted(rows.values(), key=lambda line: -(line.get("delivered", 0) + line.get("failed", 0)))


def waiting(merchants: Sequence[Merchant], state: str = Delivery.State.WAITING) -> int:
    """How many wait right now, counted up to AT_MOST for each merchant."""
    rows = Delivery.objects.filter(state=state)
    return sum(rows.filter(connection__merchant=merchant)[:AT_MOST].count() for merchant in merchants)


def oldest_due(merchants: Sequence[Merchant], now: datetime) -> Delivery | None:
    """The message that should have left longest ago; None when nothing is late."""
    accounts = KlaviyoAccount.objects.filter(connections__merchant__in=merchants).distinct()
    firsts = [_oldest_of(account.pk, rank, merchants, now) for account in accounts for rank in Delivery.Rank.values]
    return min((row for row in firsts if row is not None), key=lambda row: row.next_attempt_at, default=None)


def last_event(merchants: Sequence[Merchant]) -> Event | None:
    """The newest event Vrio sent to any of these merchants; one step down an index for each."""
    newest = (Event.objects.filter(merchant=merchant).defer("body").order_by("-pk").first() for merchant in merchants)
    return max((event for event in newest if event), key=lambda event: event.received_at, default=None)


def _oldest_of(account: int, rank: int, merchants: Iterable[Merchant], now: datetime) -> Delivery | None:
    rows = Delivery.objects.filter(IsDueState("state"), account=account, rank=rank, next_attempt_at__lte=now)
    return rows.filter(merchant__in=merchants).order_by("next_attempt_at").first()


def _counts(merchants: Sequence[Merchant], since: datetime):
    return HourlyCount.objects.filter(merchant__in=merchants, hour__gte=since)


def _before(start: datetime, unit: str) -> datetime:
    """The start of the column before; an hour is an hour of time, a day and a month are the calendar's."""
    if unit == "hour":
        return (start.astimezone(ZoneInfo("UTC")) - timedelta(hours=1)).astimezone(start.tzinfo)
    if unit == "day":
        return (start - timedelta(hours=12)).replace(hour=0)
    return (start - timedelta(days=1)).replace(day=1)
