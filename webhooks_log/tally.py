"""Counters that only grow, folded now and then from rows that come and go, so that a scrape reads a few numbers.

Rung by the clock, read by `webhooks_log.metrics`. The rows stay the memory: a tally that is lost begins again, which
whoever reads counters takes for a restart.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Sum
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from webhooks_log.models import Attempt, Delivery, Heartbeat, HourlyCount

NAME = "tally"
LAG = timedelta(seconds=60)  # by then every call has been written down
MOST = timedelta(minutes=5)  # folded at once, after a standstill
BUCKETS = (1, 2, 5, 10, 30, 60, 300, 1800, 7200)  # seconds from Vrio to Klaviyo's answer


@dataclass(slots=True)
class Tally:
    """Sums so far. `until` is the moment up to which calls are in, `hour` the first hour that is not."""

    until: datetime
    hour: datetime
    verdicts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    buckets: Counter[str] = field(default_factory=Counter)  # by upper bound, "+Inf" above the last
    seconds: float = 0.0  # of all that is in the buckets
    answer_ms: int = 0  # of all calls

    def count_hours(self, **bounds: Any) -> None:
        """Add the roll-up's hours within these bounds."""
        rows = HourlyCount.objects.filter(**bounds)
        for outcome, count in rows.values_list("outcome").annotate(total=Sum("count")):
            self.outcomes[outcome] += count
        for reason, count in rows.filter(outcome="skip_reason").values_list("metric").annotate(total=Sum("count")):
            self.reasons[reason] += count


def fold(*, now: datetime | None = None) -> Tally:
    """Take in what is complete by now. Of two that fold at once, the second finds nothing left."""
    now = now or timezone.now()
    with transaction.atomic():
        Heartbeat.objects.get_or_create(name=NAME, defaults={"at": now - LAG})
        row = Heartbeat.objects.select_for_update().get(name=NAME)
        tally = _read(row)
        until = max(tally.until, min(now - LAG, tally.until + MOST))
        _fold_calls(tally, until)
        hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
        if hour > tally.hour:
            tally.count_hours(hour__gte=tally.hour, hour__lt=hour)
            tally.hour = hour
        tally.until = until
        _write(row, tally)
    return tally


def read(*, now: datetime) -> Tally:
    """The sums of now: what is folded, and the hours that are not complete yet."""
    row = Heartbeat.objects.filter(name=NAME).first() or Heartbeat(name=NAME, at=now)
    tally = _read(row)
    tally.count_hours(hour__gte=tally.hour)
    return tally


def _fold_calls(tally: Tally, until: datetime) -> None:
    calls = Attempt.objects.filter(started_at__gt=tally.until, started_at__lte=until)
    for verdict, count, milliseconds in calls.values_list("verdict").annotate(Count("pk"), Sum("duration_ms")):
        tally.verdicts[verdict] += count
        tally.answer_ms += milliseconds or 0
    accepted = calls.filter(status__range=(200, 299), delivery__rank=Delivery.Rank.LIVE)
    for started_at, milliseconds, received_at in accepted.values_list(
        "started_at", "duration_ms", "delivery__event__received_at"
    ):
        seconds = max(0.0, (started_at - received_at).total_seconds() + (milliseconds or 0) / 1000)
        tally.buckets[next((str(bound) for bound in BUCKETS if seconds <= bound), "+Inf")] += 1
        tally.seconds += seconds


def _read(row: Heartbeat) -> Tally:
    kept = row.detail
    beginning = datetime(2020, 1, 1, tzinfo=row.at.tzinfo)
    tally = Tally(until=row.at, hour=parse_datetime(kept.get("hour", "")) or beginning)
    for name in ("verdicts", "outcomes", "reasons", "buckets"):
        getattr(tally, name).update(kept.get(name, {}))
    tally.seconds, tally.answer_ms = kept.get("seconds", 0.0), kept.get("answer_ms", 0)
    return tally


def _write(row: Heartbeat, tally: Tally) -> None:
    row.at = tally.until
    row.detail = {
        "hour": tally.hour.isoformat(),
        "verdicts": dict(tally.verdicts),
        "outcomes": dict(tally.outcomes),
        "reasons": dict(tally.reasons),
        "buckets": dict(tally.buckets),
        "seconds": tally.seconds,
        "answer_ms": tally.answer_ms,
    }
    row.save()
