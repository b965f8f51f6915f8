"""What is wrong right now, read from the tables: one Finding for each thing that somebody should know.

Under `webhooks_log.alerts`, which decides who is told and when. Every query is bounded by an index or by a short list.
"""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Min, Sum

from connections.models import ApiKey, Connection, KlaviyoAccount, Merchant
from events.models import Event, Refusal
from webhooks_log import census
from webhooks_log.alert_sight import this_host
from webhooks_log.models import Delivery, HourlyCount, IsDueState
from webhooks_log.moments import span
from webhooks_log.silence import WEEKS, too_quiet

State = Connection.State
HOUR = timedelta(hours=1)
FAILING_LEAST, FAILING_SHARE = 10, 0.1
OVERDUE = timedelta(minutes=15)
UNDISPATCHED = timedelta(minutes=2)
RUNS_OUT_WITHIN = timedelta(days=3)
RETIRES_WITHIN = timedelta(days=60)
DISK_SHARE = 0.9
MOST_COUNTED = 1000
STILL_USED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is wrong: what, with whom, how many. `merchant_id` is None where it is the staff's."""

    kind: str
    subject: str
    merchant_id: int | None
    name: str
    sentence: str
    count: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.subject


def findings(now: datetime) -> list[Finding]:
    """Everything that is wrong at this moment."""
    living = list(Connection.objects.living().filter(is_active=True).select_related("account"))
    return [
        *keys(living),
        *breakers(living),
        *failing(now),
        *exhausted(now),
        *silent(living, now),
        *refused(now),
        *overdue(living, now),
        *running_out(now),
        *undispatched(now),
        *broken(),
        *retiring(living, now),
        *disk(),
    ]


# ── Connections and their accounts ───────────────────────────────────────────────────────────────────────────────────
def keys(living: Iterable[Connection]) -> Iterator[Finding]:
    for connection in living:
        words = connection.state_detail or connection.get_state_display()
        if connection.state in (State.KEY_REFUSED, State.KEY_LOST, State.WRONG_ACCOUNT):
            yield _stopped([connection], "key_refused", words)
        elif connection.held_families or connection.state == State.SCOPE_MISSING:
            yield _stopped([connection], "scope_missing", words)


def breakers(living: Iterable[Connection]) -> Iterator[Finding]:
    """One for each account: connections that share it stand still together."""
    sharing: defaultdict[tuple[int, int], list[Connection]] = defaultdict(list)
    for connection in living:
        if connection.account.breaker_state != KlaviyoAccount.Breaker.CLOSED:
            sharing[connection.merchant_id, connection.account_id].append(connection)
    for connections in sharing.values():
        words = "Most calls to Klaviyo fail, so everything but single probes waits."
        yield _stopped(sorted(connections, key=lambda one: one.pk), "breaker_open", words)


def _stopped(connections: list[Connection], kind: str, sentence: str) -> Finding:
    """With how many messages wait because of it; counting stops where the number no longer matters."""
    open_rows = Delivery.objects.filter(connection__in=connections, state__in=("queued", "waiting"))
    count = len(open_rows.values_list("pk")[: MOST_COUNTED + 1])
    words = f"more than {MOST_COUNTED:,}" if count > MOST_COUNTED else f"{count}"
    names = ", ".join(connection.name for connection in connections)[:200]
    first = connections[0]
    sentence = f"{sentence.rstrip('. ')}. Messages that wait: {words}."
    return Finding(kind, f"connection:{first.pk}", first.merchant_id, names, sentence, count)


def overdue(living: Iterable[Connection], now: datetime) -> Iterator[Finding]:
    """What no pause of its own explains: neither throttling nor a breaker."""
    due = Delivery.objects.filter(IsDueState("state"), next_attempt_at__lt=now - OVERDUE)
    late = {
        pk: (count, at) for pk, count, at in due.values_list("connection").annotate(Count("pk"), Min("next_attempt_at"))
    }
    for connection in living:
        account = connection.account
        is_paused = account.breaker_state != KlaviyoAccount.Breaker.CLOSED or (
            account.throttled_until is not None and account.throttled_until > now
        )
        if connection.pk in late and not is_paused:
            count, at = late[connection.pk]
            words = f"{count} messages should have left by now, the oldest {span((now - at).total_seconds())} ago."
            yield _of(connection, "backlog", words, count)


def retiring(living: Iterable[Connection], now: datetime) -> Iterator[Finding]:
    dates = [connection.revision_retires_on for connection in living if connection.revision_retires_on]
    if dates and min(dates) - now.date() <= RETIRES_WITHIN:
        yield Finding("retirement", "klaviyo", None, "Klaviyo", f"It is retired on {min(dates):%B %-d, %Y}.")


# ── Figures of the last hours ────────────────────────────────────────────────────────────────────────────────────────
def failing(now: datetime) -> Iterator[Finding]:
    rows = HourlyCount.objects.filter(hour__gte=_hour(now) - HOUR, outcome__in=("delivered", "failed"))
    sums: dict[int, dict[str, int]] = {}
    for pk, outcome, count in rows.exclude(connection=None).values_list("connection", "outcome").annotate(Sum("count")):
        sums.setdefault(pk, {})[outcome] = count
    bad = {pk: by for pk, by in sums.items() if by.get("failed", 0) >= FAILING_LEAST and _share(by) >= FAILING_SHARE}
    for connection in Connection.objects.living().filter(pk__in=bad):
        count, share = bad[connection.pk]["failed"], _share(bad[connection.pk])
        yield _of(connection, "failing", f"{count} messages failed in the last hours, {share:.0%} of all.", count)


def exhausted(now: datetime) -> Iterator[Finding]:
    """Looked for only where something failed at all."""
    troubled = HourlyCount.objects.filter(hour__gte=_hour(now) - HOUR, outcome="failed").values("merchant").distinct()
    rows = Delivery.objects.filter(
        merchant__in=list(troubled.values_list("merchant", flat=True)),
        state="failed", reason="exhausted", settled_at__gte=now - HOUR,
    )  # fmt: skip
    counts = dict(rows.values_list("connection").annotate(Count("pk")))
    for connection in Connection.objects.living().filter(pk__in=counts):
        count = counts[connection.pk]
        yield _of(connection, "exhausted", f"{count} messages used up all their tries in the last hour.", count)


def silent(living: Iterable[Connection], now: datetime) -> Iterator[Finding]:
    """Only merchants who send, with nothing in this hour and the last, are looked at more closely."""
    this_hour = _hour(now)
    received = HourlyCount.objects.filter(outcome="received", connection=None, hour__gte=this_hour - timedelta(days=8))
    lately = set(received.filter(hour__gte=this_hour - HOUR).values_list("merchant", flat=True))
    quiet = {connection.merchant_id for connection in living if connection.push_events} - lately
    known = received.filter(merchant__in=quiet).values("merchant")
    for merchant in Merchant.objects.filter(pk__in=known).order_by("pk"):
        begin = this_hour - timedelta(weeks=WEEKS + 1)
        counts = HourlyCount.objects.filter(merchant=merchant, outcome="received", connection=None, hour__gte=begin)
        zone = ZoneInfo(merchant.time_zone)
        found = too_quiet(dict(counts.values_list("hour", "count")), now, zone)
        if found:
            words = f"Nothing has come since {_day(found.since)}, where about {found.expected:.0f} events are usual."
            yield Finding("silence", f"merchant:{merchant.pk}", merchant.pk, merchant.name, words)


def refused(now: datetime) -> Iterator[Finding]:
    rows = Refusal.objects.filter(received_at__gte=now - HOUR, resubmitted_at=None)
    for pk, name, count in rows.values_list("merchant", "merchant__name").annotate(Count("pk")).order_by():
        yield Finding("refused", f"merchant:{pk}", pk, name, f"{count} events were refused in the last hour.", count)


def running_out(now: datetime) -> Iterator[Finding]:
    """Keys still in use that end soon or have just ended; one whose successor took over ends as it was meant to."""
    near = ApiKey.objects.filter(
        revoked_at=None, valid_until__gt=now - RUNS_OUT_WITHIN, valid_until__lte=now + RUNS_OUT_WITHIN
    )
    for key in near.filter(last_used_at__gte=now - STILL_USED).select_related("source"):
        ends = "ends" if key.valid_until > now else "ended"
        words = f"It {ends} on {_day(key.valid_until)} and was last used on {_day(key.last_used_at)}."
        yield Finding("key_retiring", f"key:{key.pk}", key.source.merchant_id, f"{key.source.name}, {key}", words)


# ── The machinery ────────────────────────────────────────────────────────────────────────────────────────────────────
def undispatched(now: datetime) -> Iterator[Finding]:
    late = Event.objects.filter(state=Event.State.RECEIVED, received_at__lt=now - UNDISPATCHED)
    count, oldest = late.aggregate(count=Count("pk"), oldest=Min("received_at")).values()
    if count:
        age = span((now - oldest).total_seconds())
        yield Finding("undispatched", "events", None, "Dispatch", f"{count} events wait, the oldest for {age}.", count)


def broken() -> Iterator[Finding]:
    count = census.events(Event.State.BROKEN, reason="fault")
    if count:
        yield Finding("broken", "events", None, "Dispatch", f"{count} events stopped at a fault of ours.", count)


def disk() -> Iterator[Finding]:
    """The fullest of this host's disks that we write to: the program's, uploads', and a database's that is a file."""
    database = Path(str(settings.DATABASES["default"]["NAME"])).parent if settings.IS_SQLITE else settings.BASE_DIR
    places = [place for place in (settings.BASE_DIR, database, Path(tempfile.gettempdir())) if place.exists()]
    usage = max(map(shutil.disk_usage, places), key=lambda found: found.used / found.total)
    if usage.used >= DISK_SHARE * usage.total:
        words = f"{usage.used / usage.total:.0%} are used; {usage.free / 1e9:.1f} GB are left."
        yield Finding("disk", f"host:{this_host()}", None, this_host(), words)


def _of(connection: Connection, kind: str, sentence: str, count: int = 0) -> Finding:
    return Finding(kind, f"connection:{connection.pk}", connection.merchant_id, connection.name, sentence, count)


def _day(at: datetime) -> str:
    return f"{at:%B %-d, %H:%M} UTC"


def _share(by: dict[str, int]) -> float:
    return by.get("failed", 0) / (by.get("failed", 0) + by.get("delivered", 0))


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)
