"""One lane per Klaviyo account: what it takes next, what may go now, and what an answer makes of a Delivery.

The corridor's fourth step. A lane knows nothing of threads: `webhooks_log.pump` asks it for the next call and brings it
the answers. All its state that must survive stands in the account's row and the Deliveries' rows.
"""

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from connections import secrets, turns
from connections.klaviyo.budget import Budget
from connections.klaviyo.exchange import Exchange
from connections.models import Connection, KlaviyoAccount
from webhooks_log import claim, gates, ladder
from webhooks_log.breaker import Breaker
from webhooks_log.bulk import BulkSide
from webhooks_log.claim import Owed
from webhooks_log.deliver import Outcome
from webhooks_log.job_parts import Job
from webhooks_log.models import Delivery
from webhooks_log.settle import Block, Call, Settlement, drop_phones, flush
from webhooks_log.verdicts import Then, retry_after_seconds

LOOK_SECONDS = 0.04  # how soon it claims again what is due and could not be claimed
FLUSH_SECONDS = 0.25  # how long an answer may wait to be written with others
CONNECTIONS_SECONDS = 1.0  # how long a lane trusts what it read of its connections' switches
DEFAULT_THROTTLE_SECONDS = 5.0
SHORT_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Door:
    """A connection as a lane needs it: its key, which endpoint families it may not call, and its campaign filter."""

    pk: int
    authorization: str
    held_families: frozenset[str]
    campaigns: frozenset[str]


def threads() -> int:
    """How many calls may be on the wire at once."""
    return settings.LANE_THREADS


def spare() -> int:
    """How many calls more may stand in line, so that a thread that becomes free need not wait."""
    return threads() // 4


def take(account_id: int, *, holder: str) -> turns.Turn | None:
    """The lease of an account's lane, if nobody holds it."""
    return turns.take(KlaviyoAccount, account_id, holder=holder, seconds=settings.LANE_LEASE_SECONDS)


class Lane:
    """The line of one account, held by a lease. Not thread-safe: one pump drives it."""

    def __init__(self, turn: turns.Turn, *, now: datetime) -> None:
        account = KlaviyoAccount.objects.get(pk=turn.pk)
        self.turn, self.cid, self.pk = turn, account.cid, turn.pk
        self.budget = Budget(account.budget, now=now.timestamp(), enabled=settings.BUDGET_ENABLED)
        self.breaker = Breaker.restored(account.breaker, now.timestamp())
        self.ready: deque[Owed] = deque()
        self.behind: dict[tuple[int, int], list[Owed]] = {}  # people with a call on the wire, and who waits for it
        self.block = Block()
        self.in_flight = 0
        self.lost = False
        self.throttled_until: datetime | None = account.throttled_until
        self.yields = False  # it hands out nothing more, so that it can be given back
        self.taken_at = self.flushed_at = self.busy_at = time.monotonic()
        self.claimed_at = self.probed_at = 0.0
        self.has_more, self.came_empty = True, False
        self.doors: dict[int, Door] = {}
        self._doors_at = 0.0
        self._forgets = False
        self._has_looked = False
        self._has_retries = True
        self._alone = False
        self.bulk = BulkSide(self)
        recovered = claim.recover(turn, now=now)
        if recovered:  # a dead drain's bulk job counted once, however many rows were in it
            self.budget.assume(min(recovered, threads() + settings.LANE_BLOCK), now.timestamp())

    # ── What may go ──────────────────────────────────────────────────────────────────────────────────────────────────
    def top_up(self, *, now: datetime) -> int:
        """Claim the next block; returns how many rows it brought."""
        self.claimed_at = time.monotonic()
        self.has_more, self.came_empty = False, True
        if self.lost or self.yields or self.is_paused(now=now):
            return 0
        self._look_at_connections()
        limit = self.bulk.claim_size(settings.LANE_BLOCK if self.breaker.is_closed else 1, now=now)
        doors = list(self.doors)
        rows = claim.claim(self.turn, doors, limit, now=now, is_empty=self._holds_nothing) if doors else []
        for row in self._unblocked(self._allowed(rows, now), now):
            self._queue(row)
        if rows:
            self.busy_at = time.monotonic()
        elif self._holds_nothing and self._has_looked:  # what is due nevertheless belongs to no connection of ours
            self._has_looked = False
            gates.follow_moved(self.pk, now=now)
        self.has_more, self.came_empty = len(rows) == limit, not rows
        return len(rows)

    def is_hungry(self, probe_seconds: float, *, now: datetime) -> bool:
        """Whether it should claim: soon to run dry, and something is due.

        Asking costs a fifth of a claim that finds nothing, so it asks first, every `probe_seconds`. What is due and
        yet cannot be claimed must not make it claim as often.
        """
        if len(self.ready) >= settings.LANE_BLOCK // 2:
            return False
        since_claim = time.monotonic() - self.claimed_at
        if self.has_more or since_claim > CONNECTIONS_SECONDS:
            return True
        if time.monotonic() - self.probed_at < probe_seconds or (self.came_empty and since_claim < LOOK_SECONDS):
            return False
        self.probed_at = time.monotonic()
        return claim.is_anything_due(self.pk, now)

    def next_call(self, *, now: datetime) -> Owed | Job | None:
        """The next row, or bulk job of rows, that may go on the wire now; None when there is none, or the budget says
        wait."""
        if self.lost or self.yields or self.is_paused(now=now) or self._alone:
            return None
        # Twice interrupted: alone, so that whoever kills workers is known.
        goes_alone = bool(self.ready) and self.ready[0].claims >= claim.MOST_CLAIMS
        if goes_alone and self.in_flight:
            return None
        job = None if goes_alone else self.bulk.next_job(now=now)
        if job:
            self.in_flight += 1
            return job
        return self._next_row(goes_alone, now)

    def _next_row(self, goes_alone: bool, now: datetime) -> Owed | None:
        if not self.ready:
            return None
        row = self.ready[0]
        if not self.budget.take(row.family, now.timestamp()):
            return None
        self.ready.popleft()
        self.behind.setdefault(row.person, [])
        self.in_flight += 1
        self._alone = goes_alone
        return row

    def wait_seconds(self, *, now: datetime) -> float:
        """How long until `next_call` may have something, as far as the budget knows."""
        return self.budget.wait(self.ready[0].family, now.timestamp()) if self.ready else 1.0

    def authorization(self, row: Owed | Job) -> str:
        return self.doors[row.connection_id].authorization

    @property
    def is_idle(self) -> bool:
        return self._holds_nothing and not self.block

    @property
    def _holds_nothing(self) -> bool:
        return not self.ready and not self.in_flight and not self.bulk.again

    def returned(self, row: Owed) -> None:
        """A row that was handed out and not sent: it is the next again."""
        self.in_flight -= 1
        self.ready.appendleft(row)

    # ── What came of it ──────────────────────────────────────────────────────────────────────────────────────────────
    def answered(self, row: Owed | Job, outcome: Outcome | None, *, now: datetime) -> None:
        """Note the Attempt and decide what becomes of the Delivery; None is a fault of ours, and the row ends alone."""
        self.in_flight -= 1
        self._alone = False
        if isinstance(row, Job):
            self.bulk.answered(row, outcome, now=now)
            return
        if outcome is None:
            self._settle(row, Delivery.State.FAILED, "fault", None)
        else:
            self._judge(row, outcome, now)
        self._release_person(row)

    def _judge(self, row: Owed, outcome: Outcome, now: datetime) -> None:
        exchange, verdict = outcome.exchange, outcome.verdict
        self.check_account(row.connection_id, exchange)
        self.breaker.report(now.timestamp(), verdict.then is Then.LATER)
        self.budget.learn(row.family, exchange.header("RateLimit-Limit"))
        row.attempts += 1
        self.block.calls.append(Call(row, outcome, body_id=row.body_id, without_phone=row.phone_dropped_at is not None))
        self.decide(row, outcome, now)

    def decide(self, row: Owed, outcome: Outcome, now: datetime) -> None:
        """What becomes of a row whose Attempt has been noted."""
        _DECISIONS[outcome.verdict.then](self, row, outcome, now)

    def needs_flush(self) -> bool:
        # What was sent and not written is sent again after a crash, and while a block is written all that stand in line
        # may be sent: with them it is to be no more than the threads and a block.
        full = len(self.block) >= max(settings.LANE_BLOCK - spare(), settings.LANE_BLOCK // 2, 1)
        old = time.monotonic() - self.flushed_at > FLUSH_SECONDS
        return (
            full or (old and bool(self.block)) or time.monotonic() - self.flushed_at > settings.LANE_LEASE_SECONDS / 6
        )

    def flush(self, *, now: datetime) -> None:
        """Write the block and renew the lease; marks the lane lost when the lease is."""
        block, self.block = self.block, Block()
        account = self._account(now)
        kept = flush(self.turn, block, now=now, lease_seconds=settings.LANE_LEASE_SECONDS, account=account)
        self.flushed_at = time.monotonic()
        if not kept:
            self.lost = True
            self.ready.clear()
            self.behind.clear()
            self.bulk.again.clear()

    def give_back(self, *, now: datetime) -> None:
        """Unclaim what never went out, settle the rest, release the lease. Nothing may be in flight."""
        self._unclaim_ready(now, due_at=now)
        self.flush(now=now)
        if not self.lost:
            turns.release(self.turn)

    # ── Decisions, one per outcome of the table ──────────────────────────────────────────────────────────────────────
    def _delivered(self, row: Owed, outcome: Outcome, now: datetime) -> None:
        row.claims = 0
        name = "" if outcome.verdict.name == "accepted" else outcome.verdict.name
        self._settle(row, Delivery.State.DELIVERED, name, outcome)

    def _now_without_phone(self, row: Owed, outcome: Outcome, now: datetime) -> None:
        stripped = outcome.stripped
        if row.phone_dropped_at or stripped == row.body:
            row.claims = 0
            self._settle(
                row, Delivery.State.FAILED, "refused_again" if row.phone_dropped_at else outcome.verdict.name, outcome
            )
        elif drop_phones(self.turn, self.block, [(row, stripped)], now=now):
            self.ready.appendleft(row)  # at once: before anything else of this lane

    def _later(self, row: Owed, outcome: Outcome, now: datetime) -> None:
        row.claims = 0
        self._has_retries = True
        if not self.breaker.is_closed:
            self._settle(row, Delivery.State.WAITING, "breaker_open", outcome, due_at=self._breaker_until(now))
            return
        row.tries += 1
        wait = ladder.delay_seconds(row.tries, settings.RETRY_LADDER_SECONDS, random.random())
        if wait is None:
            self._settle(row, Delivery.State.FAILED, "exhausted", outcome)
        else:
            self._settle(row, Delivery.State.WAITING, "retrying", outcome, due_at=now + timedelta(seconds=wait))

    def _wait(self, row: Owed, outcome: Outcome, now: datetime) -> None:
        row.claims = 0
        self._has_retries = True
        seconds = retry_after_seconds(outcome.exchange)
        until = now + timedelta(seconds=DEFAULT_THROTTLE_SECONDS if seconds is None else seconds)
        self.throttled_until = max(until, self.throttled_until or until)
        self.budget.refused(row.family, now.timestamp())
        self._settle(row, Delivery.State.WAITING, "throttled", outcome, due_at=until)
        if seconds is None or seconds > SHORT_WAIT_SECONDS:
            self._unclaim_ready(now, due_at=self.throttled_until, reason="throttled")

    def _hold_connection(self, row: Owed, outcome: Outcome, now: datetime) -> None:
        row.claims = 0
        self._settle(row, Delivery.State.WAITING, "key_refused", outcome)
        gates.hold_connection(row.connection_id, outcome.verdict, outcome.exchange, now=now)
        self._shut(row.connection_id, now)

    def _hold_family(self, row: Owed, outcome: Outcome, now: datetime) -> None:
        row.claims = 0
        self._settle(row, Delivery.State.WAITING, "scope_missing", outcome)
        gates.hold_family(row.connection_id, row.family, outcome.exchange, now=now)
        self._shut(row.connection_id, now)

    def _fail(self, row: Owed, outcome: Outcome, now: datetime) -> None:
        row.claims = 0
        self._settle(row, Delivery.State.FAILED, outcome.verdict.name, outcome)

    # ── Small steps ──────────────────────────────────────────────────────────────────────────────────────────────────
    def check_account(self, connection_id: int, exchange: Exchange) -> None:
        """A key that answers for another account than this lane's sends nothing more."""
        cid = exchange.header("Cid")
        if cid and self.cid and cid != self.cid:
            gates.hold_wrong_account(connection_id, cid)
            self._shut(connection_id, exchange.started_at)

    def _settle(
        self, row: Owed, state: str, reason: str, outcome: Outcome | None, *, due_at: datetime | None = None
    ) -> None:
        status, duration = (outcome.exchange.status, outcome.exchange.duration_ms) if outcome else (None, None)
        self.block.settlements.append(
            Settlement(row, state, reason, next_attempt_at=due_at, status=status, duration_ms=duration)
        )

    def _queue(self, row: Owed) -> None:
        if row.person in self.behind:
            self.behind[row.person].append(row)
        else:
            self.ready.append(row)
            self.behind[row.person] = []

    def _release_person(self, row: Owed) -> None:
        if self.ready and self.ready[0] is row:
            return  # it goes again at once, and whoever waits behind it keeps waiting
        self.release(row.person)

    def release(self, person: tuple[int, int]) -> None:
        """Nothing of this customer is on the wire any more: the next of the line may go."""
        waiting = self.behind.get(person)
        if waiting:
            self.ready.append(waiting.pop(0))
        else:
            self.behind.pop(person, None)

    def _allowed(self, rows: list[Owed], now: datetime) -> list[Owed]:
        """Rows that no gate holds back now; the others wait for theirs, or are skipped."""
        erased = gates.erased_among(rows) if rows and self._forgets else set[int]()
        held: dict[str, list[int]] = {}
        for row in rows:
            door = self.doors[row.connection_id]
            held.setdefault(gates.against(row, door.held_families, door.campaigns, erased), []).append(row.id)
        allowed = set(held.pop("", ()))
        for reason, ids in held.items():
            gates.turn_away(self.turn, ids, reason, now=now)
        return [row for row in rows if row.id in allowed]

    def _unblocked(self, rows: list[Owed], now: datetime) -> list[Owed]:
        """Rows that may go; the others wait behind an earlier message of their customer that is being retried."""
        if not rows or not self._has_retries:
            return rows
        patience = timedelta(seconds=settings.LANE_ORDER_PATIENCE_SECONDS)
        until = claim.blocked_until(rows, now=now, patience=patience)
        self._has_retries = bool(until) or claim.has_retries(self.pk)
        for row in rows:
            if row.id in until:
                claim.unclaim(self.turn, [row.id], now=now, due_at=until[row.id], reason="behind")
        return sorted((row for row in rows if row.id not in until), key=lambda row: (row.rank, row.happened_at, row.id))

    def _unclaim_ready(self, now: datetime, *, due_at: datetime, reason: str = "") -> None:
        waiting = [row for line in self.behind.values() for row in line]
        free = [*self.ready, *self.bulk.waiting()]
        ids = [row.id for row in (*free, *waiting)]
        self.ready.clear()
        self.bulk.again.clear()
        for line in self.behind.values():
            line.clear()
        for row in free:
            self.behind.pop(row.person, None)
        if ids and not self.lost:
            claim.unclaim(self.turn, ids, now=now, due_at=due_at, reason=reason)

    def _shut(self, connection_id: int, now: datetime) -> None:
        """Stop handing out what this lane holds: the connection's switches are read again before the next claim."""
        self._unclaim_ready(now, due_at=now)
        self.doors.pop(connection_id, None)
        self._doors_at = 0.0

    def is_paused(self, *, now: datetime) -> bool:
        throttled = self.throttled_until is not None and now < self.throttled_until
        return throttled or not self.breaker.may_send(now.timestamp(), self.in_flight)

    def _look_at_connections(self) -> None:
        if time.monotonic() - self._doors_at > CONNECTIONS_SECONDS:
            gates.park(self.pk)
            self.doors = {door.pk: door for door in map(_door, gates.open_connections(self.pk)) if door}
            self._forgets = gates.forgets(self.pk)
            self._doors_at = time.monotonic()
            self._has_looked = True

    def _breaker_until(self, now: datetime) -> datetime:
        until = self.breaker.open_until or now.timestamp()
        return datetime.fromtimestamp(until, UTC)

    def _account(self, now: datetime) -> dict[str, Any]:
        """The account's columns as they should stand after this block."""
        open_until = self.breaker.open_until
        state = KlaviyoAccount.Breaker
        return {
            "budget": self.budget.state(now.timestamp()),
            "throttled_until": self.throttled_until,
            "breaker": self.breaker.state(),
            "breaker_state": state.CLOSED if open_until is None else state.OPEN,
            "breaker_until": None if open_until is None else self._breaker_until(now),
        }


_DECISIONS: dict[Then, Callable[[Lane, Owed, Outcome, datetime], None]] = {
    Then.DELIVERED: Lane._delivered,
    Then.NOW_WITHOUT_PHONE: Lane._now_without_phone,
    Then.LATER: Lane._later,
    Then.WAIT: Lane._wait,
    Then.HOLD_CONNECTION: Lane._hold_connection,
    Then.HOLD_FAMILY: Lane._hold_family,
    Then.FAILED: Lane._fail,
}


def _door(connection: Connection) -> Door | None:
    """The connection's key opened; None, and the connection says so, when our own secret is lost."""
    try:
        authorization = secrets.authorization(connection.sealed_key)
    except secrets.KeyLost as lost:
        gates.hold_key_lost(connection.pk, str(lost))
        return None
    campaigns = frozenset(campaign.vrio_id for campaign in connection.campaigns.all())
    return Door(connection.pk, authorization, frozenset(connection.held_families), campaigns)
