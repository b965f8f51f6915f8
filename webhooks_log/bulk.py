"""A lane's other way out: while it holds a large backlog, up to a thousand events leave in one bulk job.

Beside the lane, which asks it for the next job and brings it the answers; single calls go on beside jobs. Ids and order
are those of single calls, and every row still ends with a verdict of its own.
"""

import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from django.conf import settings

from connections.klaviyo.budget import BULK
from connections.klaviyo.bulk import MOST_EVENTS, Told, bulk, take_apart
from connections.klaviyo.limits import BODY_BYTES
from connections.klaviyo.payloads import BULK_PATH, EVENTS_PATH
from webhooks_log import claim
from webhooks_log.claim import Owed
from webhooks_log.deliver import Outcome
from webhooks_log.job_parts import SORTABLE, Job, Own, Part, own_outcomes
from webhooks_log.models import Attempt
from webhooks_log.settle import Call, Settlement, drop_phones
from webhooks_log.verdicts import Then

if TYPE_CHECKING:
    from webhooks_log.lane import Lane

Person = tuple[int, int]
LOOK_SECONDS = 2.0  # how often it asks whether the backlog is still large
ENOUGH = 50  # fewer rows go faster as single calls: an account's limits allow 35 of these for one job
MOST_JOBS = 4  # on the wire at once, and no further one while their bodies are this large: they stay in memory
MOST_BYTES = 5_000_000
WRAPPING = 100  # more bytes than an item's place in a job can add to its own
SHARED = (Then.WAIT, Then.HOLD_CONNECTION, Then.HOLD_FAMILY)  # what the lane does once for all rows of a job


@dataclass(slots=True)
class Basket:
    """Rows that will make a job: of one connection, and within Klaviyo's limits."""

    connection_id: int
    rows: list[Owed] = field(default_factory=list)
    room: int = BODY_BYTES - WRAPPING

    def has_room(self, row: Owed) -> bool:
        fits = len(self.rows) < MOST_EVENTS and row.size + WRAPPING <= self.room
        return fits and row.connection_id == self.connection_id

    def add(self, row: Owed) -> None:
        self.rows.append(row)
        self.room -= row.size + WRAPPING


class BulkSide:
    """The jobs of one lane: those on the wire, and rows of refused jobs that go again in the next one."""

    def __init__(self, lane: "Lane") -> None:
        self.lane = lane
        self.again: deque[list[Owed]] = deque()
        self.in_flight = self.bytes_in_flight = 0
        self._singles: set[int] = set()  # rows that no job takes
        self._is_off = False  # Klaviyo refused the endpoint itself: single calls until the lane changes hands
        self._is_deep, self._looked_at = False, float("-inf")

    # ── What may go ──────────────────────────────────────────────────────────────────────────────────────────────────
    def claim_size(self, usual: int, *, now: datetime) -> int:
        return MOST_EVENTS if self.is_deep(now=now) else usual

    def is_deep(self, *, now: datetime) -> bool:
        """Whether more is due than bulk begins at (a setting; 0 is never)."""
        above = settings.LANE_BULK_ABOVE
        if self._is_off or not above or not self.lane.breaker.is_closed:
            return False
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            due = claim.due(self.lane.pk, now).filter(path=EVENTS_PATH).order_by()
            self._is_deep, self._looked_at = due[above : above + 1].exists(), time.monotonic()
        return self._is_deep

    def next_job(self, *, now: datetime) -> Job | None:
        """The next job that may go on the wire now, its budget spent; None when there is none."""
        if self._is_off or not (self.again or self._is_deep):
            return None
        if self.in_flight >= MOST_JOBS or self.bytes_in_flight >= MOST_BYTES:
            return None
        if self.lane.budget.wait(BULK, now.timestamp()) > 0:
            return None
        job = self._job(self.again.popleft() if self.again else self._gather(), now)
        if job is None or not self.lane.budget.take(BULK, now.timestamp()):
            return None
        self.in_flight += 1
        self.bytes_in_flight += len(job.body)
        return job

    def waiting(self) -> list[Owed]:
        """Rows that go again and have not left."""
        return [row for rows in self.again for row in rows]

    def _gather(self) -> list[Owed]:
        """Rows of one connection that are ready, each followed by the same customer's next ones; [] if too few."""
        ready, behind = self.lane.ready, self.lane.behind
        first = next((row for row in ready if self._is_for_jobs(row)), None)
        if first is None or not self._are_enough(first.connection_id):
            return []
        basket, left = Basket(first.connection_id), deque[Owed]()
        while ready and len(basket.rows) < MOST_EVENTS:
            row = ready.popleft()
            if not (self._is_for_jobs(row) and basket.has_room(row)):
                left.append(row)
                continue
            basket.add(row)
            line = behind[row.person]
            while line and self._is_for_jobs(line[0]) and basket.has_room(line[0]):
                basket.add(line.pop(0))
        ready.extendleft(reversed(left))
        return basket.rows

    def _are_enough(self, connection_id: int) -> bool:
        wanted, count = min(ENOUGH, max(2, settings.LANE_BULK_ABOVE)), 0
        for row in self.lane.ready:
            if row.connection_id == connection_id and self._is_for_jobs(row):
                count += 1 + len(self.lane.behind[row.person])
            if count >= wanted:
                return True
        return False

    def _is_for_jobs(self, row: Owed) -> bool:
        return row.path == EVENTS_PATH and row.claims < claim.MOST_CLAIMS and row.id not in self._singles

    def _job(self, rows: list[Owed], now: datetime) -> Job | None:
        """The job of these rows; what cannot be in it, or would say the same twice, goes singly."""
        if rows and rows[0].connection_id not in self.lane.doors:
            claim.unclaim(self.lane.turn, [row.id for row in rows], now=now, due_at=now)
            self._free(persons(rows))
            return None
        taken: dict[tuple[str, str, str], tuple[Owed, Told]] = {}
        put_off: list[Owed] = []
        for row in rows:
            told = taken_apart(row)
            if told is None or told.key in taken or row.person in persons(put_off):
                put_off.append(row)
            else:
                taken[told.key] = row, told
        self._singly(put_off, busy=persons(row for row, _ in taken.values()))
        return job_of(list(taken.values())) if taken else None

    # ── What came of it ──────────────────────────────────────────────────────────────────────────────────────────────
    def answered(self, job: Job, outcome: Outcome | None, *, now: datetime) -> None:
        """An Attempt and an end for every row, or another way; None is a fault of ours, and single calls find it."""
        self.in_flight -= 1
        self.bytes_in_flight -= len(job.body)
        if outcome is None:
            self._singly(job.rows)
            return
        lane = self.lane
        lane.check_account(job.connection_id, outcome.exchange)
        lane.breaker.report(now.timestamp(), outcome.verdict.then is Then.LATER)
        lane.budget.learn(BULK, outcome.exchange.header("RateLimit-Limit"))
        if outcome.verdict.then is Then.WAIT:
            lane.budget.refused(BULK, now.timestamp())
        owns = own_outcomes(job, outcome)
        self._note(job, owns)
        again = self._decide(owns, now)
        self._free(persons(job.rows) - persons(again))
        if again:
            self._send_again(job, again, outcome, nobody_was_named=all(own.goes_again for own in owns))

    def _note(self, job: Job, owns: Sequence[Own]) -> None:
        for own, part, (start, _) in zip(owns, job.parts, job.bulk.parts, strict=True):
            own.row.attempts += 1
            dropped = own.row.phone_dropped_at is not None
            call = Call(own.row, own.outcome, own.row.body_id, dropped, Attempt.Kind.BULK, job.digest, start, part)
            self.lane.block.calls.append(call)

    def _decide(self, owns: Sequence[Own], now: datetime) -> list[Owed]:
        """What becomes of each row; those that go again, in the order of the items."""
        if owns[0].outcome.verdict.then in SHARED:
            self._decide_for_all(owns, now)
            return []
        strips = {own.row.id: own for own in owns if own.loses_phone}
        bodies = [(own.row, own.outcome.stripped) for own in strips.values()]
        is_kept = drop_phones(self.lane.turn, self.lane.block, bodies, now=now) if bodies else True
        for own in owns:
            if not own.goes_again and own.row.id not in strips:
                self.lane.decide(own.row, own.outcome, now)
        return [own.row for own in owns if own.goes_again or own.row.id in strips] if is_kept else []

    def _decide_for_all(self, owns: Sequence[Own], now: datetime) -> None:
        """The lane reacts once; every row stands as the first does."""
        first, *others = owns
        self.lane.decide(first.row, first.outcome, now)
        made = self.lane.block.settlements[-1]
        for own in others:
            own.row.claims = 0
            self.lane.block.settlements.append(
                Settlement(
                    own.row, made.state, made.reason, made.detail, made.next_attempt_at, made.status, made.duration_ms
                )
            )

    def _send_again(self, job: Job, rows: list[Owed], outcome: Outcome, *, nobody_was_named: bool) -> None:
        """Without those whom Klaviyo named; in halves if it named nobody; singly if it takes no jobs at all."""
        if outcome.exchange.status not in SORTABLE:
            self._is_off = True
            self._singly([*rows, *self._drained()])
        elif not nobody_was_named:
            self._queue(rows)
        else:
            first, second = halves(job)
            self._queue(first)
            if persons(first).isdisjoint(persons(second)):
                self._queue(second)
            else:
                self._put_back(second, busy=persons(first))

    def _queue(self, rows: list[Owed]) -> None:
        if len(rows) > 1:
            self.again.append(rows)
        else:
            self._singly(rows)

    def _drained(self) -> list[Owed]:
        rows = self.waiting()
        self.again.clear()
        return rows

    def _singly(self, rows: list[Owed], *, busy: Collection[Person] = ()) -> None:
        """Single calls for these rows, in order."""
        self._singles.update(row.id for row in rows)
        self._put_back(rows, busy=busy)

    def _put_back(self, rows: list[Owed], *, busy: Collection[Person]) -> None:
        """Rows stand in front of their customers' lines again; who has nothing on the wire may go at once."""
        for row in reversed(rows):
            self.lane.behind.setdefault(row.person, []).insert(0, row)
        for person in persons(rows) - set(busy):
            self.lane.ready.appendleft(self.lane.behind[person].pop(0))

    def _free(self, people: Iterable[Person]) -> None:
        for person in people:
            self.lane.release(person)


def job_of(items: Sequence[tuple[Owed, Told]]) -> Job:
    made = bulk([told for _, told in items])
    contents = {place: Part(made.body, *place) for place in made.parts}
    return Job(
        rows=[row for row, _ in items],
        bulk=made,
        parts=[contents[place] for place in made.parts],
        digest=sha256(made.body).hexdigest(),
        path=BULK_PATH,
    )


def taken_apart(row: Owed) -> Told | None:
    try:
        return take_apart(row.body)
    except ValueError:
        return None


def halves(job: Job) -> tuple[list[Owed], list[Owed]]:
    """Two lists, cut between people where there are several."""
    groups: dict[int, list[Owed]] = {}
    for row, (group, _) in zip(job.rows, job.bulk.places, strict=True):
        groups.setdefault(group, []).append(row)
    pieces = list(groups.values()) if len(groups) > 1 else [[row] for row in job.rows]
    middle = len(pieces) // 2
    return [row for piece in pieces[:middle] for row in piece], [row for piece in pieces[middle:] for row in piece]


def persons(rows: Iterable[Owed]) -> set[Person]:
    return {row.person for row in rows}
