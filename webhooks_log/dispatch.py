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
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from connections import turns
from connections.models import KlaviyoAccount, Merchant
from connections.pipelining import Pipeline
from connections.standing import Given, Standing
from events.models import Event, Inbox
from webhooks_log import stopping
from webhooks_log.batch import Batch
from webhooks_log.release import give_up, named_at_last, release

DISPATCH = "webhooks_log.jobs.dispatch"
DRAIN = "webhooks_log.jobs.drain"
SLICE_SECONDS = 2.0  # then it is the next merchant's turn
LONGEST_SECONDS = 30.0  # well below the queue's timeout; the rest is rung for again
GATHER_SECONDS = 0.04  # on SQLite, between small blocks: one that writes keeps the door from writing
SMALL_BLOCK = 20
DUE = Event.State.RECEIVED
logger = logging.getLogger(__name__)


def run(*, now: datetime | None = None, seconds: float = LONGEST_SECONDS) -> bool:
    """Dispatch what every merchant owes, in turns, until nothing is left or the time is up; True if there was anything.

    What is left then has been rung for again.
    """
    found, ends = False, time.monotonic() + seconds
    while (waiting := waiting_inboxes()) and not is_over(ends):
        served = [drain(inbox, now=now) for inbox in waiting if not is_over(ends)]
        if not any(served) and not is_over(ends):
            return found  # others are at it, and look once more after they have let go
        found = found or any(served)
    for inbox in waiting_inboxes():
        turns.ring(Inbox, inbox, DISPATCH, unless_held=True)
    return found


def is_over(ends: float) -> bool:
    """Whether a slice or a run must end: its time is up, or its worker is asked to stop."""
    return stopping.is_asked() or time.monotonic() >= ends


def drain(inbox_id: int, *, now: datetime | None = None) -> int:
    """Dispatch one merchant's events until none is left or its slice is over; how many. Zero if another one is at it.

    The bell is cleared before looking, and once more before leaving, so that no ring falls between two looks. `run`
    looks again after that.
    """
    turn = turns.take(Inbox, inbox_id, holder=holder(), seconds=settings.DISPATCH_LEASE_SECONDS)
    if turn is None:
        return 0
    merchant = Merchant.objects.get(inbox=inbox_id)
    ends, count = time.monotonic() + SLICE_SECONDS, 0
    try:
        for _ in range(2):
            turns.answer(Inbox, inbox_id)
            while block := dispatch_block(merchant, turn, now or timezone.now()):
                count += block
                if is_over(ends):
                    return count
                if connection.vendor == "sqlite" and count > block and block < SMALL_BLOCK:  # the first waits for none
                    time.sleep(GATHER_SECONDS)
    finally:
        turns.release(turn)
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


def _next(limit: int, **which: Any) -> "QuerySet[Event]":
    rows = Event.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    due = rows.filter(merchant=Given("merchant"), state=DUE, **which)
    return due.order_by("history", "backfill", "pk")[:limit]


@lru_cache
def _due(limit: int) -> Standing:
    return Standing(lambda: _next(limit))


_DUE_ONE = Standing(lambda: _next(1, pk=Given("event")))


class Stuck(Exception):
    """Something in these events breaks us; nothing of them has been written."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__(", ".join(str(event.pk) for event in events))
        self.events = events


def dispatch_block(merchant: Merchant, turn: turns.Turn, now: datetime, *, only: int | None = None) -> int:
    """One batch, or one event, committed, and its lanes rung; how many, zero when none was due or the turn was lost.

    If a batch breaks us its events go one by one, so that one that does breaks only itself.
    """
    try:
        with transaction.atomic():
            events = due_events(merchant, turn, only=only)
            accounts = decide(merchant, events, now) if events else set[int]()
    except Stuck as stuck:
        events = stuck.events
        if only is None:
            return sum(dispatch_block(merchant, turn, now, only=event.pk) for event in events)
        logger.error("event %s cannot be dispatched", only, exc_info=stuck.__cause__)
        break_event(only, now)
        return 1
    ring_lanes(accounts)
    return len(events)


def due_events(merchant: Merchant, turn: turns.Turn, *, only: int | None = None) -> list[Event]:
    """The next batch of this merchant, or one event of it, locked; none once the turn was lost."""
    with Pipeline():
        held = turns.ask_held(turn)
        if only is None:
            due = _due(settings.DISPATCH_BATCH).ask(merchant=merchant.pk)
        else:
            due = _DUE_ONE.ask(merchant=merchant.pk, event=only)
    return due.models() if held.rows() else []


def decide(merchant: Merchant, events: Sequence[Event], now: datetime) -> set[int]:
    """Put a batch through: the accounts whose lanes have something to do now. Stuck, if something in it breaks us."""
    try:
        batch = Batch(merchant, events, now=now)
        batch.decide()
        return batch.save()
    except (OperationalError, InterfaceError):
        raise  # the database is away: nothing is wrong with the events
    except Exception as error:
        raise Stuck(events) from error


def break_event(event: int, now: datetime) -> None:
    """Out of the way until somebody has mended the cause; `redispatch --broken` takes it up again."""
    Event.objects.filter(pk=event, state=DUE).update(
        state=Event.State.BROKEN,
        reason="fault",
        detail="A fault of ours stopped this event. We have been told, and it is dispatched again after a fix.",
        dispatched_at=now,
    )


def ring_lanes(accounts: set[int]) -> None:
    for account in sorted(accounts):
        turns.ring(KlaviyoAccount, account, DRAIN, unless_held=True)  # a pump looks once more after it has let go


def waiting_inboxes() -> list[int]:
    """Whose events are due, the longest unserved first. Asked merchant by merchant, by index, never of all events."""
    for merchant in Merchant.objects.filter(inbox=None):
        Inbox.objects.get_or_create(merchant=merchant)
    due = Event.objects.filter(merchant_id=OuterRef("merchant_id"), state=DUE)
    return list(Inbox.objects.filter(Exists(due)).order_by("served_at", "pk").values_list("pk", flat=True))


def holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:100]
