"""What a proven caller sent and we refused: kept for a while, so that no fact is lost to a mistake on either side.

Beside the door: rows are written where something is refused, shown on *Receive from Vrio*, and can be sent in again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from events.auth import Caller
from events.models import Refusal
from events.problems import Problem

KEPT_BYTES = 250_000
KEPT_ROWS = 1_000  # per source
KEPT_FOR = timedelta(days=30)
KEPT_PER_REQUEST = 100


@dataclass(frozen=True, slots=True)
class Refused:
    """A value of a request, and why it was not taken."""

    problem: Problem
    body: bytes


def keep(caller: Caller, refused: Sequence[Refused], now: datetime) -> None:
    """Store what was refused, cut where it is very long, and let the source's oldest rows go."""
    Refusal.objects.bulk_create(
        Refusal(
            merchant_id=caller.merchant_id,
            source_id=caller.source_id,
            key_id=caller.key_id,
            received_at=now,
            status=one.problem.status,
            code=one.problem.code,
            detail=one.problem.detail,
            field=one.problem.field[:200],
            body=one.body[:KEPT_BYTES],
            is_cut=len(one.body) > KEPT_BYTES,
        )
        for one in refused[:KEPT_PER_REQUEST]
    )
    of_source = Refusal.objects.filter(source_id=caller.source_id)
    too_old = of_source.order_by("-pk").values_list("pk", flat=True)[KEPT_ROWS : KEPT_ROWS + 1]
    of_source.filter(pk__lte=next(iter(too_old), 0)).delete()


def prune(now: datetime) -> int:
    """Delete what has been kept long enough; how many rows that were."""
    return Refusal.objects.filter(received_at__lt=now - KEPT_FOR).delete()[0]
