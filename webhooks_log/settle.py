"""Writing down what came of a block of calls: Attempts, their bytes, the Deliveries' new states, hourly counts.

Second half of a lane's work. One transaction a block, guarded by the lease: a drain that lost its lease may still
note its Attempts (marked late), but settles nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from connections.turns import Turn, held
from connections.writing import insert_values, moment_value, reserve_ids, update_values
from webhooks_log import attempt_log, counts, fresh_profile, gates, refused_phones
from webhooks_log.claim import Owed
from webhooks_log.deliver import Outcome
from webhooks_log.job_parts import Part
from webhooks_log.models import Attempt, AttemptContent, Body, Delivery
from webhooks_log.packing import packed_body
from webhooks_log.replaced import forget_unnamed

ATTEMPT_COLUMNS = (
    "id", "delivery_id", "body_id", "kind", "started_at", "duration_ms", "status", "verdict", "error",
    "klaviyo_request_id", "is_late", "without_phone", "job", "job_offset",
)  # fmt: skip
SETTLED_COLUMNS = (
    "state", "reason", "detail", "next_attempt_at", "tries", "claims", "http_status", "duration_ms", "attempt_count",
    "settled_at", "updated_at", "claim_token",
)  # fmt: skip
FINAL = (Delivery.State.DELIVERED, Delivery.State.FAILED)
COUNTED = (*FINAL, Delivery.State.WAITING)
MINE = f"{Delivery._meta.db_table}.claim_token = %s AND {Delivery._meta.db_table}.state = 'sending'"


@dataclass(slots=True)
class Call:
    """One call made for one Delivery, as its Attempt will be written."""

    row: Owed
    outcome: Outcome
    body_id: int
    without_phone: bool = False
    kind: str = Attempt.Kind.SINGLE
    job: str = ""
    job_offset: int | None = None
    part: Part | None = None  # of a bulk job: its own bytes there, which are not those of its Delivery
    pk: int = 0  # of its Attempt, once that is written


@dataclass(slots=True)
class Settlement:
    """What becomes of a Delivery. `next_attempt_at` is None where time alone does not make it due."""

    row: Owed
    state: str
    reason: str = ""
    detail: str = ""
    next_attempt_at: datetime | None = None
    status: int | None = None
    duration_ms: int | None = None


@dataclass(slots=True)
class Block:
    """What a lane has learnt since its last flush."""

    calls: list[Call] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)

    def __len__(self) -> int:
        return max(len(self.calls), len(self.settlements))


def flush(turn: Turn, block: Block, *, now: datetime, lease_seconds: float, account: dict[str, Any]) -> bool:
    """Write a block and renew the lease in one transaction; False if the lease was lost.

    `account` holds the account's columns to save beside the lease: budget, breaker.
    """
    with transaction.atomic():
        kept = held(turn, now=now).update(leased_until=now + timedelta(seconds=lease_seconds), rung_at=now, **account)
        if kept:
            accepted = (settled.row for settled in block.settlements if settled.state == Delivery.State.DELIVERED)
            fresh_profile.owe(accepted, now=now)
            refused_phones.remember(turn.pk, _refused(block.calls), now=now)
        _write_attempts(block.calls, is_late=not kept)
        if kept:
            _write_settlements(turn, block.settlements, now)
            counts.add(_counted(block), now)
    attempt_log.note(block)
    return bool(kept)


def _refused(calls: list[Call]) -> Iterable[bytes]:
    """Bodies whose phone number Klaviyo refused, or took the message without. A whole job's header names nobody."""
    for call in calls:
        name = call.outcome.verdict.name
        if name == "phone_refused" or (name == "phone_ignored" and call.part is None):
            yield call.part.content if call.part else call.outcome.exchange.body


def drop_phones(turn: Turn, block: Block, bodies: Sequence[tuple[Owed, bytes]], *, now: datetime) -> bool:
    """Commit bodies without the phone before they are sent; every later try uses them. False if the lease was lost.

    The calls that were refused are written here already: should the worker die during the second call, both are known.
    """
    at, refused = moment_value(now), {row.id for row, _ in bodies}
    calls = [call for call in block.calls if call.row.id in refused]
    with transaction.atomic():
        stored = _store(body for _, body in bodies)
        rows = [(row.id, kept.pk, at, row.attempts, at) for (row, _), kept in zip(bodies, stored, strict=True)]
        columns = ("body_id", "phone_dropped_at", "attempt_count", "updated_at")
        update_values(Delivery, columns, rows, guard=MINE, guards=(turn.token,))
        mine = Delivery.objects.filter(pk__in=refused, claim_token=turn.token)
        is_kept = mine.filter(state=Delivery.State.SENDING).count() == len(bodies)
        refused_phones.remember(turn.pk, _refused(calls), now=now)
        _write_attempts(calls, is_late=not is_kept)
        if not is_kept:
            forget_unnamed([body.pk for body in stored], refused)
    attempt_log.note(Block(calls))
    for (row, _), kept in zip(bodies, stored, strict=True):
        row.body_id, row.packed, row.codec, row.size = kept.pk, bytes(kept.content or b""), kept.codec, kept.size
        row.phone_dropped_at = now
    return is_kept


def _write_attempts(calls: list[Call], *, is_late: bool) -> None:
    calls = [call for call in calls if not call.pk]
    if not calls:
        return
    forgotten = gates.erased_among(call.row for call in calls) if is_late else set()
    _write_parts([call for call in calls if call.row.customer_id not in forgotten])
    attempts, contents = [], []
    for pk, call in zip(reserve_ids(Attempt, len(calls)), calls, strict=True):
        call.pk, exchange, verdict = pk, call.outcome.exchange, call.outcome.verdict.name
        attempts.append((
            pk, call.row.id, call.body_id, call.kind, moment_value(exchange.started_at), exchange.duration_ms,
            exchange.status, verdict, exchange.silence or "", exchange.header("X-Klaviyo-Req-Id")[:64],
            is_late, call.without_phone, call.job, call.job_offset,
        ))  # fmt: skip
        packed = None if call.row.customer_id in forgotten else call.outcome.packed
        contents.append((pk, packed, call.outcome.codec))
    insert_values(Attempt, ATTEMPT_COLUMNS, attempts)
    insert_values(AttemptContent, ("attempt_id", "packed", "codec"), contents)


def _write_parts(calls: list[Call]) -> None:
    """Each person's part of a bulk job once, however many of the job's rows are in it."""
    parts = list({id(call.part): call.part for call in calls if call.part}.values())
    for part, kept in zip(parts, _store(part.content for part in parts), strict=True):
        part.body_id = kept.pk
    for call in calls:
        call.body_id = call.part.body_id if call.part else call.body_id


def _store(bodies: Iterable[bytes]) -> list[Body]:
    return Body.objects.bulk_create([packed_body(body) for body in bodies])


def _write_settlements(turn: Turn, settlements: list[Settlement], now: datetime) -> None:
    at = moment_value(now)
    rows = [
        (
            settled.row.id, settled.state, settled.reason, settled.detail, moment_value(settled.next_attempt_at),
            settled.row.tries, settled.row.claims, settled.status, settled.duration_ms, settled.row.attempts,
            at if settled.state in FINAL else None, at, None,
        )
        for settled in settlements
    ]  # fmt: skip
    update_values(Delivery, SETTLED_COLUMNS, rows, guard=MINE, guards=(turn.token,))


def _counted(block: Block) -> Counter[counts.What]:
    counted: Counter[counts.What] = Counter()
    for settled in block.settlements:
        if settled.state in COUNTED:
            counted[(settled.row.merchant_id, settled.row.connection_id, settled.row.metric, settled.state)] += 1
    for call in block.calls:
        if call.without_phone:
            counted[(call.row.merchant_id, call.row.connection_id, call.row.metric, "phone_dropped")] += 1
    return counted
