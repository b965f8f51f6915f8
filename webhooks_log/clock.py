"""Looks once a second, outside the queue: rings for whatever the tables say is due, whether or not a bell was lost.

It trusts no flag: a lane or an inbox with due work and nobody serving it is rung for. It is also the watchdog's eye.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django_q.tasks import async_task, queue_size

from connections import doctor, turns
from connections.sqlite.write_back import write_back
from events.models import Event, Inbox
from webhooks_log import chores, claim, dispatch, gates, heartbeat, jobs
from webhooks_log.models import Delivery

logger = logging.getLogger("viaduct.clock")

ALIVE_EVERY = timedelta(seconds=5)
UNPARK_EVERY = timedelta(seconds=2)
RECHECK_EVERY = timedelta(seconds=30)
SILENT_TIMES = 4  # with many hosts an idle one may miss a few of the tasks that prove life
MOST_QUEUED = 20  # bells already waiting: more of them would not help


@dataclass(slots=True)
class Clock:
    """One look a second. `tick` raises only what the database raises; its caller goes on."""

    alive_at: datetime | None = None
    unparked_at: datetime | None = None
    rechecked_at: datetime | None = None

    def tick(self) -> None:
        now = turns.database_now()
        write_back()
        heartbeat.beat("clock")
        self._gates(now)
        if queue_size() > MOST_QUEUED:
            return
        if unserved_inboxes(now):
            async_task(dispatch.DISPATCH)
        if claim.due_accounts(now, mine=[], limit=1):
            async_task(dispatch.DRAIN)
        if _is_time(self.rechecked_at, RECHECK_EVERY, now):
            doctor.recheck_due(now)
            self.rechecked_at = now
        if _is_time(self.alive_at, ALIVE_EVERY, now):
            chores.ring_due(now)
            async_task(jobs.ALIVE)
            self.alive_at = now

    def _gates(self, now: datetime) -> None:
        dispatch.release_waiting(now=now)
        if _is_time(self.unparked_at, UNPARK_EVERY, now):
            gates.unpark(now=now)
            self.unparked_at = now


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


def _is_time(last: datetime | None, every: timedelta, now: datetime) -> bool:
    return last is None or now - last >= every
