"""Leases and bells on one row: whose turn it is, and who has been called.

Every lane (a KlaviyoAccount) and every inbox (a merchant's undispatched Events) is a `Lease` row. Work is found in
the tables; a bell only says that looking is worth while. All times are the database's own clock, so that hosts
whose clocks differ agree on who holds what.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from time import monotonic
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django_q.tasks import async_task

from connections.models import Lease
from connections.standing import Answer, Given, Standing

JUMP_SECONDS = 1.0
BELL_HOLDS = timedelta(seconds=5)  # an unanswered bell may be rung again after this


@dataclass(frozen=True, slots=True)
class Turn:
    """A granted lease: `token` is the fencing token that guards every write of its holder."""

    row: type[Lease]
    pk: int
    token: int


def database_now() -> datetime:
    """The database's clock, aware."""
    if connection.vendor == "sqlite":
        return timezone.now()  # one file, one host: the same clock
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


class Watch:
    """Notices when this machine's clock is set, by the monotonic one, which nobody sets."""

    def __init__(self) -> None:
        self._wall, self._steady = timezone.now(), monotonic()

    def was_set(self) -> bool:
        """Whether it was since the last look, forward or back, by more than `JUMP_SECONDS`."""
        wall, steady = self._wall, self._steady
        self._wall, self._steady = timezone.now(), monotonic()
        return abs((self._wall - wall).total_seconds() - (self._steady - steady)) > JUMP_SECONDS


class Clock:
    """The database's clock without asking each time: its last reading, carried on by this process's monotonic one.

    It reads again where this machine's clock was set meanwhile: the database's is often the same.
    """

    def __init__(self, *, trusted_seconds: float = 30.0) -> None:
        self._trusted_seconds, self._watch = trusted_seconds, Watch()
        self._read()

    def now(self) -> datetime:
        since = monotonic() - self._read_at
        if self._watch.was_set() or since > self._trusted_seconds:
            self._read()
            since = 0.0
        return self._reading + timedelta(seconds=since)

    def _read(self) -> None:
        self._reading, self._read_at = database_now(), monotonic()


def take(row: type[Lease], pk: int, *, holder: str, seconds: float) -> Turn | None:
    """Take the lease of a row if it is free or ran out; None if somebody else holds it."""
    now = database_now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    with transaction.atomic():
        taken = row.objects.filter(free, pk=pk).update(
            lease_token=F("lease_token") + 1,
            leased_until=now + timedelta(seconds=seconds),
            lease_holder=holder,
            served_at=now,
        )
        if not taken:
            return None
        return Turn(row, pk, row.objects.values_list("lease_token", flat=True).get(pk=pk))


def release(turn: Turn) -> None:
    """Give the turn back, ready to be rung for again; a lease already lost is left alone."""
    held(turn).update(leased_until=None, lease_holder="", rung_at=None)


def held(turn: Turn, *, now: datetime | None = None) -> models.QuerySet[Lease]:
    """The row, as long as this turn still owns it: join it into every guarded write. Without `now` the database looks
    at its own clock."""
    return turn.row.objects.filter(pk=turn.pk, lease_token=turn.token, leased_until__gte=now or Now())


def ask_held(turn: Turn) -> Answer:
    """Whether this turn still owns its row: no rows once it does not."""
    return _held(turn.row).ask(pk=turn.pk, token=turn.token)


@lru_cache
def _held(row: type[Lease]) -> Standing:
    return Standing(lambda: held(Turn(row, Given("pk"), Given("token"))).values_list("pk"))  # type: ignore[arg-type]


def ring(row: type[Lease], pk: int, task: str, *, unless_held: bool = False) -> bool:
    """Ask the queue for `task` unless it has been asked already; True if this ring was the one.

    Call it after the commit that made the work visible. If the queue cannot take the task the flag is unset again; the
    clock finds the work in any case. `unless_held` leaves it to whoever serves the row and looks once more after having
    let go; who holds it for something else does not, and then it is the clock's.
    """
    # Looked at before it is set: on SQLite even an UPDATE that changes nothing stands in line for the file.
    if not _is_ringable(row, unless_held).rows(pk=pk) or not _ringable(row, pk, unless_held).update(rung_at=Now()):
        return False
    enqueued = False
    try:
        async_task(task, pk)
        enqueued = True
    finally:
        if not enqueued:
            row.objects.filter(pk=pk).update(rung_at=None)
    return True


def _ringable(row: type[Lease], pk: Any, unless_held: bool) -> models.QuerySet[Lease]:
    """The row, if its bell is silent or has hung unanswered for too long."""
    bell = row.objects.filter(Q(rung_at=None) | Q(rung_at__lt=Now() - BELL_HOLDS), pk=pk)
    return bell.filter(Q(leased_until=None) | Q(leased_until__lt=Now())) if unless_held else bell


@lru_cache
def _is_ringable(row: type[Lease], unless_held: bool) -> Standing:
    return Standing(lambda: _ringable(row, Given("pk"), unless_held).values_list("pk"))


def answer(row: type[Lease], pk: int) -> None:
    """Clear the bell; look at the tables only after this has been committed."""
    row.objects.filter(pk=pk).exclude(rung_at=None).update(rung_at=None)
