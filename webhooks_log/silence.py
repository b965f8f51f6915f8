"""Whether a shop that normally has events is too quiet: learnt from its own weeks. Pure.

The failure nobody else notices is that Vrio stops posting. What is normal differs by hour and weekday, so each hour is
compared with the same hour of the weeks before; a quiet night is no alarm, a quiet Monday noon is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

WEEKS = 6
LEAST_WEEKS = 2  # known before anything is expected
ENOUGH = 12.0  # events that should have come: chance alone leaves so many out once in 160,000 times
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
LONGEST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing came since `since`, where about `expected` events were to be expected."""

    since: datetime
    expected: float


def too_quiet(counts: Mapping[datetime, int], now: datetime, zone: tzinfo = UTC) -> Quiet | None:
    """Judge the whole hours before `now`. `counts` holds events by the start of their hour; a missing hour had none.

    A week ago is a week ago by the clocks of the shop's `zone`, which may have been put back since.
    """
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    if not counts or counts.get(this_hour):
        return None
    last = max((hour for hour in counts if counts[hour] and hour < this_hour), default=None)
    if last is None or this_hour - last > LONGEST + HOUR:
        return None  # it has been quiet for so long that somebody knows
    first = min(counts)
    expected = sum(_expected(counts, hour.astimezone(zone), first) for hour in _hours(last + HOUR, this_hour))
    return Quiet(last + HOUR, expected) if expected >= ENOUGH else None


def _hours(start: datetime, end: datetime) -> list[datetime]:
    return [start + HOUR * number for number in range(int((end - start) / HOUR))]


def _expected(counts: Mapping[datetime, int], hour: datetime, first: datetime) -> float:
    """The usual count of this hour of the week: the second smallest, so that one sale's week expects too little rather
    than too much. Zero where it is not known long enough."""
    weeks = [(hour - WEEK * number).astimezone(UTC) for number in range(1, WEEKS + 1)]
    known = sorted(counts.get(week, 0) for week in weeks if week >= first)
    return float(known[1]) if len(known) >= max(2, LEAST_WEEKS) else 0.0
