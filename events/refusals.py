"""What a proven caller sent and we refused: kept for a while, so that no fact is lost to a mistake on either side.

Beside the door: rows are written where something is refused, shown on *Receive from Vrio*, and can be sent in again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from events.auth import Caller
from events.body import TooLarge, inflated
from events.ingest import Origin, Stored, store
from events.models import Inbox, Refusal
from events.problems import Problem
from events.reading import Refused, read_values

KEPT_BYTES = 250_000
KEPT_ROWS = 1_000  # per source
KEPT_PER_REQUEST = 100
KEPT_FOR = timedelta(days=30)
RESUBMITTED = "resubmit"  # how an event of a second submission was proven: by a person


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
            is_cut=len(one.body) > KEPT_BYTES or isinstance(one.problem, TooLarge),
        )
        for one in refused[:KEPT_PER_REQUEST]
    )
    of_source = Refusal.objects.filter(source_id=caller.source_id)
    too_many = of_source.order_by("-pk").values_list("pk", flat=True)[KEPT_ROWS : KEPT_ROWS + 1]
    of_source.filter(pk__lte=next(iter(too_many), 0)).delete()


def resubmit(refusal: Refusal, now: datetime) -> list[Stored]:
    """Take a refusal in after all, once whatever stood in the way is gone; raises the Problem that still stands."""
    if refusal.is_cut:
        raise Problem(413, "too_large", "Only the beginning was kept, because it was too large.")
    reading = read_values(inflated(bytes(refusal.body), "", is_tolerant=True))
    if reading.refused:
        raise reading.refused[0].problem
    inbox, _ = Inbox.objects.get_or_create(merchant_id=refusal.merchant_id)
    origin = Origin(
        merchant_id=refusal.merchant_id,
        source_id=refusal.source_id,
        inbox_id=inbox.pk,
        key_id=None,
        authenticated_by=RESUBMITTED,
    )
    receipt = store(origin, reading.arrivals, now)
    Refusal.objects.filter(pk=refusal.pk).update(resubmitted_at=now)
    return receipt.rows


def prune(now: datetime) -> int:
    """Delete what has been kept long enough; how many rows that were."""
    return Refusal.objects.filter(received_at__lt=now - KEPT_FOR).delete()[0]
