"""Turns a merchant's stored Events into Deliveries, or into the row that says why not.

The corridor's middle: rung by the door and by the clock, and it rings the lanes. One dispatcher per merchant at a time,
in batches, live events before history; running it twice changes nothing.
"""

import logging
import os
import socket
import time
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from connections import turns
from connections.models import KlaviyoAccount, Merchant
from connections.standing import Given, Standing
from events.models import Event, Inbox
from webhooks_log import stopping
from webhooks_log.batch import Batch
from webhooks_log.release import give_up, named_at_last, release

DISPATCH = "webhooks_log.jobs.dispatch"
DRAIN = "webhooks_log.jobs.drain"
SLICE_SECONDS = 2.0  # while others wait
LONGEST_SECONDS = 30.0  # well below the queue's timeout; the rest is rung for again
# A block costs as much as five events: while they trickle in, let a few come together. On SQLite it also keeps the door
# from writing.
GATHER_SECONDS = {"postgresql": 0.005, "sqlite": 0.04}
SMALL_BLOCK = 20
DUE = Event.State.RECEIVED
logger = logging.getLogger(__name__)


def run(*, now: datetime | None = None, seconds: float = LONGEST_SECONDS) -> bool:
    """Dispatch what every merchant owes, in turns, until nothing is left or the time is up; True if there was anything.

    What is left then has been rung for again.
    """
    found, ends = False, time.monotonic() + seconds
    while not stopping.is_asked() and (waiting := waiting_inboxes()) and time.monotonic() < ends:
        served = [drain(inbox, now=now, seconds=SLICE_SECONDS) for inbox in waiting]
        if not any(served):
            break  # others are at it
        found = True
    return found


def drain(inbox_id: int, *, now: datetime | None = None, seconds: float | None = None) -> int:
    """Dispatch one merchant's events until none is left or its time is up; how many. Zero if another one is at it.

    The bell is cleared before looking, and once more before leaving, so that no ring falls between two looks.
    """
    turn = turns.take(Inbox, inbox_id, holder=holder(), seconds=settings.DISPATCH_LEASE_SECONDS)
    if turn is None:
        return 0
    merchant = Merchant.objects.get(inbox=inbox_id)
    began = renewed_at = time.monotonic()
    count = 0
    try:
        for _ in range(2):
            turns.answer(Inbox, inbox_id)
            while block := dispatch_block(merchant, turn, now or timezone.now()):
                count += block
                if is_time_up(began, seconds, inbox_id):
                    break
                if time.monotonic() - renewed_at > settings.DISPATCH_LEASE_SECONDS / 3:
                    turns.renew(turn, seconds=settings.DISPATCH_LEASE_SECONDS)  # lost, the next block finds it so
                    renewed_at = time.monotonic()
                if count > block and block < SMALL_BLOCK:  # the first one waits for nobody
                    time.sleep(GATHER_SECONDS[connection.vendor])
    finally:
        turns.release(turn)
    if Event.objects.filter(merchant=merchant, state=DUE).exists():
        turns.ring(Inbox, inbox_id, DISPATCH)
    return count


def release_waiting(*, now: datetime | None = None) -> bool:
    """For the clock: give up what waited too long, and release whose customer has a name; True if there was any."""
    now = now or timezone.now()
    given_up = give_up(now=now)
    rows = named_at_last()
    for merchant in {row.merchant_id: row.event.merchant for row in rows}.values():
        with transaction.atomic():
            accounts = release(
                [row for row in rows if row.merchant_id == merchant.pk], Batch(merchant, [], now=now).outbox
            )
        ring_lanes(accounts)
    return bool(given_up or rows)


# ── Blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def dispatch_block(merchant: Merchant, turn: turns.Turn, now: datetime) -> int:
    """One batch, committed, and its lanes rung; how many events, zero when none was due or the turn was lost."""
    with transaction.atomic():
        events = _due(settings.DISPATCH_BATCH).models(merchant=merchant.pk)
        if not events or not turns.held(turn).exists():
            return 0
        accounts = decide(merchant, events, now)
    ring_lanes(accounts)
    return len(events)


@lru_cache
def _due(limit: int) -> Standing:
    def build() -> "QuerySet[Event]":
        rows = Event.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        due = rows.filter(merchant=Given("merchant"), state=DUE)
        return due.order_by("history", "backfill", "pk")[:limit]

    return Standing(build)


def decide(merchant: Merchant, events: Sequence[Event], now: datetime) -> set[int]:
    """Put a batch through, in a savepoint; if it raises, event by event, so that one that breaks us breaks only itself.

    The accounts whose lanes have something to do now.
    """
    try:
        with transaction.atomic():
            batch = Batch(merchant, events, now=now)
            batch.decide()
            return batch.save()
    except (OperationalError, InterfaceError):
        raise  # the database is away: nothing is wrong with the events
    except Exception:
        if len(events) == 1:
            logger.exception("event %s cannot be dispatched", events[0].pk)
            break_event(events[0], now)
            return set()
    return set().union(*(decide(merchant, [event], now) for event in events))


def break_event(event: Event, now: datetime) -> None:
    """Out of the way until somebody has mended the cause; `redispatch --broken` takes it up again."""
    Event.objects.filter(pk=event.pk).update(
        state=Event.State.BROKEN,
        reason="fault",
        detail="A fault of ours stopped this event. We have been told, and it is dispatched again after a fix.",
        dispatched_at=now,
    )


def ring_lanes(accounts: set[int]) -> None:
    for account in sorted(accounts):
        turns.ring(KlaviyoAccount, account, DRAIN)


def waiting_inboxes() -> list[int]:
    """Whose events are due, the longest unserved first. Asked merchant by merchant, by index, never of all events."""
    for merchant in Merchant.objects.filter(inbox=None):
        Inbox.objects.get_or_create(merchant=merchant)
    due = Event.objects.filter(merchant_id=OuterRef("merchant_id"), state=DUE)
    return list(Inbox.objects.filter(Exists(due)).order_by("served_at", "pk").values_list("pk", flat=True))


def is_time_up(began: float, seconds: float | None, inbox_id: int) -> bool:
    """Merchants take turns: a slice ends when others wait, and in any case before the queue would end it.

    A worker that is asked to stop ends its slice at once: what is left is for the next one.
    """
    if stopping.is_asked():
        return True
    spent = time.monotonic() - began
    if spent < (seconds or SLICE_SECONDS):
        return False
    return seconds is not None or spent > LONGEST_SECONDS or any(other != inbox_id for other in waiting_inboxes())


def holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:100]
