"""Which Deliveries a lane takes next, and what becomes of those that a dead drain had taken.

First half of a lane's work: claims are committed before the first byte leaves. Every function is one short transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import Any

from django.db import connection, transaction
from django.db.models import DateTimeField, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from connections.klaviyo.budget import family_of
from connections.models import KlaviyoAccount
from connections.standing import Among, Given, Standing
from connections.turns import Turn
from connections.writing import moment_value, update_values
from webhooks_log.breaker import PAUSES
from webhooks_log.models import Attempt, Delivery
from webhooks_log.packing import unpack
from webhooks_log.verdicts import INTERRUPTED

MOST_CLAIMS = 3
LONGEST_PAUSE = timedelta(seconds=PAUSES[-1])
RETRYING = ("retrying", "throttled", "interrupted")


@dataclass(slots=True)
class Owed:
    """A claimed Delivery with everything needed to send and settle it without another look.

    Its bytes stay packed until they are asked for: with bulk jobs a lane holds thousands of these.
    """

    id: int
    merchant_id: int
    connection_id: int
    customer_id: int | None
    metric: str
    campaign_id: str
    path: str
    family: str
    body_id: int
    packed: bytes
    codec: int
    size: int  # of its body, in bytes
    rank: int
    tries: int
    claims: int
    attempts: int
    phone_dropped_at: datetime | None
    happened_at: datetime
    created_at: datetime

    @property
    def body(self) -> bytes:
        return unpack(self.packed, self.codec)

    @property
    def person(self) -> tuple[int, int]:
        """Whose messages must leave in order."""
        return self.connection_id, self.customer_id or -self.id


COLUMNS = (
    "id", "merchant_id", "connection_id", "customer_id", "metric", "campaign_id",
    "path", "body_id", "body__content", "body__codec", "body__size",
    "rank", "tries", "claims", "attempt_count", "phone_dropped_at", "happened_at", "created_at",
)  # fmt: skip


NOW = Given("now", DateTimeField())
ACCOUNT = Given("account")


def due(account_id: int | OuterRef | Given, now: datetime | Given) -> "QuerySet[Delivery]":
    """What a lane owes now, live before backlog before replays, in the order it became due."""
    return Delivery.objects.filter(
        account_id=account_id,
        state__in=(Delivery.State.QUEUED, Delivery.State.WAITING),
        next_attempt_at__lte=now,
        body_id__isnull=False,
    ).order_by("rank", "next_attempt_at", "id")


def is_anything_due(account_id: int, now: datetime) -> bool:
    """Whether a look is worth a claim: a seek in the index `due` for each rank."""
    return bool(_ANY_DUE.rows(account=account_id, now=now))


_ANY_DUE = Standing(lambda: due(ACCOUNT, NOW).filter(rank__in=Delivery.Rank.values).order_by().values_list("state")[:1])


def claim(turn: Turn, connections: list[int], limit: int, *, now: datetime, is_empty: bool = True) -> list[Owed]:
    """Take up to `limit` due Deliveries of these connections; [] if the lease was lost.

    A row that was on the wire when two workers died is taken alone and only by an empty lane (`is_empty`): whoever else
    were claimed beside it would share its fate.
    """
    with transaction.atomic():
        rows = _claimable(limit).rows(account=turn.pk, token=turn.token, connections=connections, now=now)
        owed = _suspects_apart([_owed(*row) for row in rows], is_empty=is_empty)
        at = moment_value(now)
        update_values(
            Delivery,
            ("state", "claims", "claim_token", "claimed_at", "updated_at"),
            [(row.id, Delivery.State.SENDING.value, row.claims, turn.token, at, at) for row in owed],
            guard=f"{Delivery._meta.db_table}.state IN ('queued', 'waiting')",
        )
    return owed


@lru_cache
def _claimable(limit: int) -> Standing:
    """Due rows of some connections, as long as the lease is held, locked where the database locks rows."""

    def build() -> "QuerySet[Delivery, Any]":
        token = Given("token")
        holds = KlaviyoAccount.objects.filter(pk=ACCOUNT, lease_token=token, leased_until__gte=NOW)
        rows = due(ACCOUNT, NOW).filter(
            Exists(holds), Among("connection_id", "connections"), body__content__isnull=False
        )
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True, of=("self",))
        return rows.values_list(*COLUMNS)[:limit]

    return Standing(build)


def unclaim(turn: Turn, ids: list[int], *, now: datetime, due_at: datetime, reason: str = "") -> None:
    """Give back what was claimed and never handed to the wire."""
    Delivery.objects.filter(pk__in=ids, claim_token=turn.token, state=Delivery.State.SENDING).update(
        state=Delivery.State.WAITING if reason else Delivery.State.QUEUED,
        reason=reason,
        next_attempt_at=due_at,
        claims=F("claims") - 1,
        claim_token=None,
        updated_at=now,
    )


def recover(turn: Turn, *, now: datetime) -> int:
    """Take back what an earlier holder of this lane left on the wire; returns how many.

    Nobody knows which of them were on the wire: each gets an Attempt that says so, and is no call. The third time ends
    FAILED, since the row itself may be what kills workers.
    """
    with transaction.atomic():
        left = Delivery.objects.filter(
            account_id=turn.pk, state=Delivery.State.SENDING, claim_token__lt=turn.token
        ).select_for_update(**({"of": ("self",)} if connection.features.has_select_for_update_of else {}))
        rows = list(left.only("id", "body_id", "claimed_at", "claims", "attempt_count"))
        if not rows:
            return 0
        Attempt.objects.bulk_create([_interrupted(row) for row in rows], batch_size=500)
        worn_out = [row.pk for row in rows if row.claims >= MOST_CLAIMS]
        Delivery.objects.filter(pk__in=worn_out).update(
            state=Delivery.State.FAILED, reason="poisoned", next_attempt_at=None, settled_at=now, claim_token=None,
            attempt_count=F("attempt_count") + 1, updated_at=now,
        )  # fmt: skip
        Delivery.objects.filter(pk__in=[row.pk for row in rows if row.claims < MOST_CLAIMS]).update(
            state=Delivery.State.WAITING, reason=INTERRUPTED, next_attempt_at=now, claim_token=None,
            attempt_count=F("attempt_count") + 1, updated_at=now,
        )  # fmt: skip
    return len(rows)


def blocked_until(rows: list[Owed], *, now: datetime, patience: timedelta) -> dict[int, datetime]:
    """Which claimed rows must wait behind an earlier message of the same customer, and until when.

    Only live rows wait, only behind rows that are retrying, and not longer than `patience` after those were created: a
    customer's newest order is worth more than perfect order behind a message that fails for days.
    """
    live = [row for row in rows if row.customer_id and row.rank == Delivery.Rank.LIVE]
    waiting = Delivery.objects.filter(
        customer_id__in={row.customer_id for row in live},
        connection_id__in={row.connection_id for row in live},
        state=Delivery.State.WAITING,
        reason__in=RETRYING,
        next_attempt_at__gt=now,
        created_at__gt=now - patience,
    ).values_list("customer_id", "connection_id", "happened_at", "next_attempt_at")
    until: dict[tuple[int, int], list[tuple[datetime, datetime]]] = {}
    for customer, of_connection, happened_at, next_attempt_at in waiting:
        until.setdefault((of_connection, customer), []).append((happened_at, next_attempt_at))
    found = {}
    for row in live:
        later = [when for happened_at, when in until.get(row.person, ()) if happened_at < row.happened_at]
        if later:
            found[row.id] = max(later)
    return found


def has_retries(account_id: int) -> bool:
    """Whether any message of this lane is being retried, so that others may have to wait behind it."""
    return Delivery.objects.filter(account_id=account_id, state=Delivery.State.WAITING, reason__in=RETRYING).exists()


def due_accounts(now: datetime, *, mine: list[int], limit: int) -> list[int]:
    """Lanes with due rows that are free (or mine), the longest unserved first; paused ones are left out."""
    found = _due_accounts(limit).rows(now=now, mine=mine, longest_pause=now + LONGEST_PAUSE)
    return [pk for (pk,) in found]


@lru_cache
def _due_accounts(limit: int) -> Standing:
    def build() -> "QuerySet[KlaviyoAccount, Any]":
        free = Q(leased_until=None) | Q(leased_until__lt=NOW) | Among("pk", "mine")
        unthrottled = Q(throttled_until=None) | Q(throttled_until__lte=NOW)
        # No pause of the breaker is longer: a date beyond it comes from a clock that was set back since.
        is_impossible = Q(breaker_until__gt=Given("longest_pause", DateTimeField()))
        unbroken = Q(breaker_until=None) | Q(breaker_until__lte=NOW) | is_impossible
        unwanted = Q(wanted_until=None) | Q(wanted_until__lte=NOW)
        owes = Exists(due(OuterRef("pk"), NOW).order_by())
        left = Exists(Delivery.objects.filter(account_id=OuterRef("pk"), state=Delivery.State.SENDING))
        lanes = KlaviyoAccount.objects.filter(free, unthrottled, unbroken, unwanted, owes | left, cid__isnull=False)
        return lanes.order_by(F("served_at").asc(nulls_first=True)).values_list("pk")[:limit]

    return Standing(build)


def wanted_accounts(now: datetime, *, mine: list[int]) -> set[int]:
    """Which of my lanes somebody waits for, to join two accounts that are one."""
    return {pk for (pk,) in _WANTED.rows(now=now, mine=mine)}


_WANTED = Standing(lambda: KlaviyoAccount.objects.filter(Among("pk", "mine"), wanted_until__gt=NOW).values_list("pk"))


def _suspects_apart(owed: list[Owed], *, is_empty: bool) -> list[Owed]:
    """What may be claimed of these, in their order: all before the first suspect, or that suspect alone."""
    trusted = list(takewhile(lambda row: row.claims < MOST_CLAIMS, owed))
    return trusted if trusted or not is_empty else owed[:1]


def _owed(*row: Any) -> Owed:
    (pk, merchant, of_connection, customer, metric, campaign, path, body_id, packed, codec, size, *rest) = row
    rank, tries, claims, attempts, phone_dropped_at, happened_at, created_at = rest
    return Owed(
        id=pk, merchant_id=merchant, connection_id=of_connection, customer_id=customer, metric=metric,
        campaign_id=campaign, path=path,
        family=family_of(path), body_id=body_id, packed=packed, codec=codec, size=size, rank=rank, tries=tries,
        claims=claims + 1, attempts=attempts, phone_dropped_at=phone_dropped_at, happened_at=happened_at,
        created_at=created_at,
    )  # fmt: skip


def _interrupted(row: Delivery) -> Attempt:
    return Attempt(
        delivery_id=row.pk,
        body_id=row.body_id,
        kind=Attempt.Kind.INTERRUPTED,
        started_at=row.claimed_at or timezone.now(),
        verdict=INTERRUPTED,
        error="The worker stopped while it held this message; it may or may not have been sent.",
    )
