"""One process that serves many lanes at once with one set of threads, fairly, until nothing is due.

Rung by the queue; the queue's task carries nothing. A pump takes the leases of lanes with due work, hands their
calls to the threads in turns, brings each lane its answers, and gives every lease back before it leaves. Killed at
any moment it leaves rows that the next holder of their lane takes back.
"""

import os
import socket
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import DateTimeField, Exists, OuterRef

from connections import turns
from connections.standing import Given, Standing
from events.models import Event, Inbox
from webhooks_log import claim, stopping
from webhooks_log.deliver import Senders, Sending
from webhooks_log.heartbeat import beat
from webhooks_log.lane import Lane, spare, take, threads
from webhooks_log.verdicts import Then

MOST_LANES = 16
SPARE_THREADS = 4
PARTING_SECONDS = 2.0  # how long a worker that is asked to stop waits for Klaviyo
LOOK_SECONDS = 0.04  # how often it looks for lanes with due work
PROBE_SECONDS = 0.01  # how often it asks whether something came for one of its lanes
BUSY_LOOK_SECONDS = 0.3  # the same while it has enough to do
QUIET_SECONDS = 1.0  # how long it lingers when nothing is due: the next event is usually close
LIFE_SECONDS = 40.0  # well under the queue's own time limit
BEAT_SECONDS = 5.0  # a long job must not look like a wedged queue
INBOX_PATIENCE_SECONDS = 0.5  # a dispatcher that waits longer for a worker gets this one

_DUE_IN_IT = Event.objects.filter(merchant_id=OuterRef("merchant_id"), state=Event.State.RECEIVED)
_WAITING_INBOX = Standing(
    lambda: Inbox.objects.filter(
        Exists(_DUE_IN_IT), rung_at__lt=Given("before", DateTimeField()), leased_until=None
    ).values_list("pk")[:1]
)


class Pump:
    """Serves lanes until nothing is due for a while, its time is up, or its worker is asked to stop."""

    def __init__(self, *, life_seconds: float = LIFE_SECONDS, quiet_seconds: float = QUIET_SECONDS) -> None:
        self.holder = f"{socket.gethostname()}:{os.getpid()}"
        self.clock = turns.Clock()
        self.senders = Senders(threads())
        self.lanes: dict[int, Lane] = {}
        self.ends_at = time.monotonic() + life_seconds
        self.quiet_seconds = quiet_seconds
        self.busy_at = self.looked_at = self.beat_at = time.monotonic()
        self.others_wait = False
        self.has_served = False  # who came for nothing leaves at once: the queue has other bells to answer
        self.sent = 0

    def run(self) -> int:
        """Returns how many calls were made."""
        try:
            self._look()
            while not self._is_over():
                self._turn()
            self._finish()
        finally:
            self.senders.close()
        return self.sent

    def _turn(self) -> None:
        self._collect(self._patience())
        self._flush()
        is_busy = time.monotonic() - self.busy_at < LOOK_SECONDS
        if time.monotonic() - self.looked_at > (BUSY_LOOK_SECONDS if is_busy else LOOK_SECONDS):
            self._look()
        self._top_up()
        self._feed()

    def _is_idle(self) -> bool:
        return not self.senders.outstanding and not any(lane.ready for lane in self.lanes.values())

    def _is_over(self) -> bool:
        now = time.monotonic()
        quiet = self._is_idle() and now - self.busy_at > self.quiet_seconds
        return quiet or not self.has_served or now > self.ends_at or stopping.is_asked()

    # ── Lanes come and go ────────────────────────────────────────────────────────────────────────────────────────────
    def _look(self) -> None:
        """Adopt lanes with due work, the longest unserved first; give back those that are idle or had their slice."""
        now = self.clock.now()
        self.looked_at = time.monotonic()
        due = claim.due_accounts(now, mine=list(self.lanes), limit=2 * MOST_LANES)
        strangers = [pk for pk in due if pk not in self.lanes]
        self.others_wait = len(strangers) > MOST_LANES - len(self.lanes)
        self._yield_slices(now)
        for pk in strangers[: MOST_LANES - len(self.lanes)]:
            turn = take(pk, holder=self.holder)
            if turn:
                self._take_back()
                self.lanes[pk] = Lane(turn, now=now)
                self.has_served = True
        self._top_up()
        self._drop_idle(now)
        if self.senders.outstanding:
            self.senders.end_overdue()
        if time.monotonic() - self.beat_at > BEAT_SECONDS:
            beat("queue")
            self.beat_at = time.monotonic()
        if _WAITING_INBOX.rows(before=now - timedelta(seconds=INBOX_PATIENCE_SECONDS)):
            self.ends_at = min(self.ends_at, time.monotonic())

    def _top_up(self) -> None:
        probe_seconds = min(LOOK_SECONDS, PROBE_SECONDS * len(self.lanes))
        for lane in self.lanes.values():
            if lane.is_hungry(probe_seconds, now=self.clock.now()) and lane.top_up(now=self.clock.now()):
                self.busy_at = time.monotonic()

    def _yield_slices(self, now: datetime) -> None:
        over = [lane for lane in self.lanes.values() if time.monotonic() - lane.taken_at > settings.LANE_SLICE_SECONDS]
        leaving = sorted(over, key=lambda lane: lane.taken_at)[: MOST_LANES // 2] if self.others_wait else []
        wanted = claim.wanted_accounts(now, mine=list(self.lanes)) if self.lanes else set[int]()
        for lane in list(self.lanes.values()):
            lane.yields = lane in leaving or lane.pk in wanted  # until another pump has taken those who waited
            if lane.yields and not lane.in_flight:
                self._give_back(lane, now)

    def _drop_idle(self, now: datetime) -> None:
        for lane in list(self.lanes.values()):
            idle = lane.is_idle and time.monotonic() - lane.busy_at > self.quiet_seconds / 2
            paused = lane.is_paused(now=now) and not lane.in_flight
            if lane.lost and not lane.in_flight:
                del self.lanes[lane.pk]
            elif idle or paused:
                self._give_back(lane, now)

    def _give_back(self, lane: Lane, now: datetime) -> None:
        lane.give_back(now=now)
        del self.lanes[lane.pk]

    # ── Calls go out and come back ───────────────────────────────────────────────────────────────────────────────────
    def _feed(self) -> None:
        """Hand out one call a lane in turns, as long as threads are free."""
        now = self.clock.now()
        lanes = list(self.lanes.values())
        while lanes:
            lanes = [lane for lane in lanes if self._hand_out(lane, now)]

    def _hand_out(self, lane: Lane, now: datetime) -> bool:
        # A few threads more for lanes with nothing on the wire: one account's hanging calls must not stop the others.
        size = self.senders.size + (0 if lane.in_flight else SPARE_THREADS)
        line = spare() if len(self.lanes) == 1 else 0  # alone, it may keep the threads from idling
        row = lane.next_call(now=now) if self.senders.outstanding < size + line else None
        if row is None:
            return False
        sending = Sending((lane, row), lane.authorization(row), row)
        self.senders.send(sending, may_wait=isinstance(row, claim.Owed) and self.senders.outstanding >= size)
        self.sent += 1
        self.busy_at = time.monotonic()
        return True

    def _collect(self, timeout: float) -> None:
        for sending, outcome in self.senders.finished(timeout):
            lane, row = sending.errand
            if outcome is None or outcome.verdict.then is not Then.DELIVERED:
                self._take_back()  # whatever stops this lane stops what has not begun
            lane.answered(row, outcome, now=self.clock.now())

    def _take_back(self) -> None:
        """Calls in line return to their lanes, which judge anew whether they may go."""
        for sending in reversed(self.senders.take_back()):
            lane, row = sending.errand
            lane.returned(row)
            self.sent -= 1

    def _flush(self) -> None:
        for lane in self.lanes.values():
            if lane.needs_flush():
                lane.flush(now=self.clock.now())

    def _patience(self) -> float:
        """How long to wait for answers before looking around again, in seconds."""
        waits = [lane.wait_seconds(now=self.clock.now()) for lane in self.lanes.values() if lane.ready]
        return min([PROBE_SECONDS, *waits]) if self.senders.outstanding < self.senders.size else LOOK_SECONDS

    def _finish(self) -> None:
        """Let what is on the wire come back, settle it, give every lease back."""
        begun = time.monotonic()
        self._take_back()
        while self.senders.outstanding:
            self._collect(LOOK_SECONDS)
            self._flush()
            self.senders.end_overdue()
            if stopping.is_asked() and time.monotonic() - begun > PARTING_SECONDS:
                self.senders.end_all()
        for lane in list(self.lanes.values()):
            self._give_back(lane, self.clock.now())
