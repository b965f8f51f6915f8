"""Looks once a second, outside the queue: rings for whatever the tables say is due, whether or not a bell was lost.

It trusts no flag: a lane or an inbox with due work and nobody serving it is rung for. It is also the watchdog's eye.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils.dateparse import parse_datetime
from django_q.tasks import async_task, queue_size

from connections import doctor, statistics, turns
from connections.sqlite.write_back import write_back
from events.models import Event, Inbox
from webhooks_log import chores, claim, dispatch, gates, heartbeat, jobs, set_back
from webhooks_log.models import Delivery, Heartbeat

logger = logging.getLogger("viaduct.clock")

ALIVE_SECONDS = 5.0
UNPARK_SECONDS = 2.0
STATISTICS_SECONDS = 2.0
RECHECK_SECONDS = 30.0
JUMP = timedelta(seconds=5)  # less than this is no more than a clock that was put right
LATE_SECONDS = 60.0  # a lane's own reading of the clock may be that old
SILENT_TIMES = 4  # with many hosts an idle one may miss a few of the tasks that prove life
MOST_QUEUED = 20  # bells already waiting: more of them would not help


@dataclass(slots=True)
class Clock:
    """One look a second. `tick` raises only what the database raises; its caller goes on."""

    alive_at: float | None = None  # these are of the monotonic clock, which nobody sets
    unparked_at: float | None = None
    rechecked_at: float | None = None
    counted_at: float | None = None
    looked_at: datetime | None = None
    set_back_by: timedelta | None = None
    set_back_at: float = 0.0

    def tick(self) -> None:
        now = turns.database_now()
        write_back()
        self._notice_set_back(now)
        heartbeat.beat("clock", database=now.isoformat())
        self._gates(now)
        self._ring(now)
        if _is_time(self.counted_at, STATISTICS_SECONDS):  # last, since it may take its time
            self.counted_at = time.monotonic()
            statistics.refresh()

    def _ring(self, now: datetime) -> None:
        if queue_size() > MOST_QUEUED:
            return
        if unserved_inboxes(now):
            async_task(dispatch.DISPATCH)
        if claim.due_accounts(now, mine=[], limit=1):
            async_task(dispatch.DRAIN)
        if _is_time(self.rechecked_at, RECHECK_SECONDS):
            doctor.recheck_due(now)
            self.rechecked_at = time.monotonic()
        if _is_time(self.alive_at, ALIVE_SECONDS):
            chores.ring_due(now)
            async_task(jobs.ALIVE)
            self.alive_at = time.monotonic()

    def _notice_set_back(self, now: datetime) -> None:
        """Whether the database's clock shows less than at the last look, be it this process's or one's before it."""
        before, self.looked_at = self.looked_at or _last_look(), now
        if before and before - now > JUMP:
            self.set_back_by, self.set_back_at = before - now, time.monotonic()
            logger.warning("The database's clock was set back by %s", self.set_back_by)
            set_back.put_right(now, by=self.set_back_by)
        elif self.set_back_by and time.monotonic() - self.set_back_at < LATE_SECONDS:
            set_back.put_right_deliveries(now, by=self.set_back_by)

    def _gates(self, now: datetime) -> None:
        dispatch.release_waiting(now=now)
        if _is_time(self.unparked_at, UNPARK_SECONDS):
            gates.unpark(now=now)
            self.unparked_at = time.monotonic()


def unserved_inboxes(now: datetime) -> bool:
    """Whether some merchant's Events wait and no dispatcher holds that inbox."""
    waits = Event.objects.filter(merchant_id=OuterRef("merchant_id"), state=Event.State.RECEIVED)
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    return Inbox.objects.filter(free).filter(Exists(waits)).exists()


def is_wedged(*, now: datetime, since: datetime, silent_seconds: float = 0.0) -> str:
    """Why a cluster started at `since` should be restarted; "" when it need not be.

    The cluster is judged by what it does, not by what it reports: no task has run for a while although one is rung
    every few seconds, or due rows grow old although nothing pauses their lane. `silent_seconds` is how long no task ran
    in this very cluster while those of other hosts may have run some.
    """
    patience = timedelta(seconds=settings.WATCHDOG_SECONDS)
    if now - since < patience:
        return ""
    age = heartbeat.age("queue", now=now)
    if age is None or age > patience:
        return "no task has run for too long"
    if silent_seconds > SILENT_TIMES * settings.WATCHDOG_SECONDS:
        return "no task has run on this host for too long"
    if overdue(now - patience):
        return "due deliveries are not being sent"
    return ""


def overdue(before: datetime) -> bool:
    """Whether a lane that nobody serves owes something since before that moment."""
    return (
        bool(claim.due_accounts(before, mine=[], limit=1))
        and not Delivery.objects.filter(claimed_at__gte=before, state=Delivery.State.SENDING).exists()
    )


def _last_look() -> datetime | None:
    """What the database's clock showed when any host's clock looked last."""
    told = Heartbeat.objects.filter(name="clock").values_list("detail", flat=True).first()
    return parse_datetime(told["database"]) if told and "database" in told else None


def _is_time(last: float | None, seconds: float) -> bool:
    return last is None or time.monotonic() - last >= seconds
