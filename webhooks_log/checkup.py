"""What an operator wants to know of an installation: one result per check, with what to do where it is wrong.

Behind `manage.py doctor`. Every check reads; none repairs, since the engine mends itself and the rest needs a person.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min
from django.utils import timezone
from django_q.tasks import queue_size
from redis.exceptions import RedisError

from connections import secrets, turns
from connections.klaviyo.client import Client
from connections.models import Connection
from events.models import Event
from webhooks_log import census, heartbeat
from webhooks_log.models import Delivery, Erasure, Heartbeat, IsDueState
from webhooks_log.moments import span

LATE = timedelta(minutes=5)
DRIFT_SECONDS = 2.0
MANY_BELLS = 1000
SEE_WORKER = "See the worker above, then its log; it may be restarted at any time."


@dataclass(frozen=True, slots=True)
class Result:
    what: str
    is_good: bool
    found: str
    advice: str = ""


def check_all(*, now: datetime) -> list[Result]:
    """Every check; where the database is away, what needs it is left out."""
    results = [settings_are_set(), disk_has_room(), mail_can_be_sent()]
    away = database_answers()
    if not away.is_good:
        return [*results, klaviyo_can_be_reached(), away]
    return [*results, klaviyo_can_be_reached(worker_calls(now)), away, *(check(now) for check in OF_THE_TABLES)]


# ── Without the database ─────────────────────────────────────────────────────────────────────────────────────────────
def settings_are_set() -> Result:
    try:
        keys = secrets.count_field_keys()
    except ValueError:
        return Result("settings", False, "FIELD_KEYS holds something that is no Fernet key", "See .env.example.")
    if settings.DEBUG:
        return Result("settings", False, "DEBUG is on", "Set DEBUG=false: secrets have defaults and pages show code.")
    return Result("settings", True, f"DEBUG off, {keys} field key(s)")


def disk_has_room() -> Result:
    usage = shutil.disk_usage(settings.BASE_DIR)
    share = usage.used / usage.total
    advice = "" if share < 0.9 else "Make room, or shorten BODY_DAYS and run manage.py prune."
    return Result("disk", share < 0.9, f"{usage.free / 1e9:.1f} GB free, {share:.0%} used", advice)


def klaviyo_can_be_reached(address: str = "") -> Result:
    """One request without a key: any answer shows that the way is open. By default at this process's own address."""
    client, began = Client(address), time.monotonic()
    try:
        exchange = client.call_within(10.0, "GET", "/api/events", "Klaviyo-API-Key none")
    finally:
        client.close()
    host = urlsplit(exchange.url).netloc
    if exchange.silence is not None:
        return Result("Klaviyo", False, f"{host}: {exchange.silence}", "Open this host's way out; see its name server.")
    return Result("Klaviyo", True, f"{host} answers within {(time.monotonic() - began) * 1000:.0f} ms")


def mail_can_be_sent() -> Result:
    try:
        with get_connection():
            return Result("mail", True, settings.EMAIL_BACKEND.rpartition(".")[2])
    except OSError as error:
        return Result(
            "mail", False, f"{error.__class__.__name__}: {error}", "See EMAIL_URL. Notices wait until it works."
        )


def database_answers() -> Result:
    try:
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return Result("database", False, str(error).splitlines()[0], "See DATABASE_URL, and whether the server runs.")
    if pending:
        return Result("database", False, f"{len(pending)} migrations are pending", "Run manage.py migrate.")
    return Result("database", True, f"{connection.vendor}, all migrations applied")


def worker_calls(now: datetime) -> str:
    """Where a living worker finds Klaviyo: it may have been started with another environment than this command."""
    alive = Heartbeat.objects.filter(name__startswith="worker:", at__gte=now - LATE).order_by("-at")
    return next((beat.detail["klaviyo"] for beat in alive if "klaviyo" in beat.detail), "")


# ── From the tables ──────────────────────────────────────────────────────────────────────────────────────────────────
def clocks_agree(now: datetime) -> Result:
    drift = abs((turns.database_now() - timezone.now()).total_seconds())
    advice = "" if drift < DRIFT_SECONDS else "Let both hosts follow one time server."
    return Result("clock", drift < DRIFT_SECONDS, f"{drift:.1f} s from the database's", advice)


def queue_takes_bells(now: datetime) -> Result:
    try:
        length = queue_size()
    except (RedisError, OSError) as error:
        return Result("queue", False, error.__class__.__name__, "See REDIS_URL. Nothing is lost; the clock goes on.")
    if length > MANY_BELLS:
        return Result("queue", False, f"{length} bells wait", "Start more workers, or see why none runs.")
    return Result("queue", True, f"{length} bells wait")


def worker_is_there(now: datetime) -> Result:
    ages = {name: heartbeat.age(name, now=now) for name in ("clock", "queue")}
    words = ", ".join(
        f"{name} {span(age.total_seconds())} ago" if age else f"{name} never" for name, age in ages.items()
    )
    alive = all(age is not None and age < LATE for age in ages.values())
    return Result("worker", alive, words, "" if alive else "Start manage.py worker on at least one host.")


def events_are_dispatched(now: datetime) -> Result:
    count = census.events(Event.State.RECEIVED, received_at__lt=now - LATE)
    broken = census.events(Event.State.BROKEN)
    if count:
        return Result("events", False, f"{count} wait for longer than {span(LATE.total_seconds())}", SEE_WORKER)
    if broken:
        return Result(
            "events", False, f"{broken} are broken", "Read the log, mend, then manage.py redispatch --broken."
        )
    return Result("events", True, "none stuck")


def messages_leave(now: datetime) -> Result:
    due = Delivery.objects.filter(IsDueState("state"), next_attempt_at__lt=now - LATE)
    count, oldest = due.aggregate(count=Count("pk"), oldest=Min("next_attempt_at")).values()
    if count:
        age = span((now - oldest).total_seconds())
        return Result(
            "messages", False, f"{count} overdue, the oldest by {age}", f"See connections below. {SEE_WORKER}"
        )
    stuck = census.deliveries(Delivery.State.SENDING, claimed_at__lt=now - 2 * LATE)
    if stuck:
        return Result("messages", False, f"{stuck} on the wire for too long", "Start a worker; it takes them back.")
    return Result("messages", True, "none overdue")


def connections_work(now: datetime) -> Result:
    good = (Connection.State.CONNECTED, Connection.State.UNCHECKED)
    bad = Connection.objects.living().filter(is_active=True).exclude(state__in=good).count()
    lost = sum(not _opens(row) for row in Connection.objects.living().exclude(sealed_key=None))
    if lost:
        return Result("connections", False, f"{lost} keys cannot be opened", "Put the lost entry of FIELD_KEYS back.")
    if bad:
        return Result("connections", False, f"{bad} in trouble", "Each says why on its page; owners have been told.")
    return Result("connections", True, f"{Connection.objects.living().count()} without trouble")


def erasures_are_done(now: datetime) -> Result:
    late = Erasure.objects.exclude(state=Erasure.State.DONE).filter(requested_at__lt=now - timedelta(days=1)).count()
    return Result(
        "erasures", not late, f"{late} longer than a day", "See Privacy for what Klaviyo said." if late else ""
    )


def _opens(row: Connection) -> bool:
    try:
        return bool(secrets.unseal(bytes(row.sealed_key or b"")))
    except secrets.KeyLost:
        return False


OF_THE_TABLES: tuple[Callable[[datetime], Result], ...] = (
    clocks_agree,
    queue_takes_bells,
    worker_is_there,
    events_are_dispatched,
    messages_leave,
    connections_work,
    erasures_are_done,
)
