"""Moments and durations as people read them, in the merchant's own time zone.

On every page of this floor.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from connections.models import Merchant


def zone_of(merchant: Merchant) -> ZoneInfo:
    return ZoneInfo(merchant.time_zone)


def moment(at: datetime | None, zone: ZoneInfo, now: datetime | None = None) -> SafeString:
    """A <time> of the merchant's zone, to the second; hovering shows date, zone and UTC. Nothing for None."""
    if at is None:
        return SafeString("")
    here, today = at.astimezone(zone), (now or timezone.now()).astimezone(zone)
    words = (
        f"{here:%b} {here.day}, {here:%H:%M:%S}"
        if here.year == today.year
        else f"{here:%b} {here.day} {here:%Y, %H:%M}"
    )
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        f"{here:%Y-%m-%d %H:%M:%S.%f %Z} · {at.astimezone(ZoneInfo('UTC')):%H:%M:%S} UTC",
        words,
    )


def duration(milliseconds: int | None) -> str:
    """182 ms, 1.2 s, 3 min; nothing for None."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    return span(milliseconds / 1000)


def span(seconds: float) -> str:
    """A length of time in its largest sensible unit: 12 s, 4 min, 3 h, 2 days."""
    for size, word in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size * (2 if word == "days" else 1):
            return f"{round(seconds / size)} {word}"
    return f"{max(0, round(seconds))} s"


def until(at: datetime | None, now: datetime) -> str:
    """in 4 min, or "due now"; nothing for None."""
    if at is None:
        return ""
    seconds = (at - now).total_seconds()
    return f"in {span(seconds)}" if seconds > 0 else "due now"


def size(count: int) -> str:
    """812 B, 1.7 KB, 2.4 MB."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} KB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"
