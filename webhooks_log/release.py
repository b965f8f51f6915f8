"""Lets go what waited: for a customer's name, for a campaign, or for nothing any more.

Dispatch calls it when a batch has named somebody; the clock calls it for what no event came to help.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from connections.models import Merchant
from events.facts import Broken, Facts, Ignored
from events.mirror import Mirror
from events.models import Event
from events.translate import tell_again
from events.vrio import read
from webhooks_log.judge import QUEUED, SKIPPED, WAITING
from webhooks_log.models import Delivery
from webhooks_log.outbox import Draft, Outbox, key_of, write
from webhooks_log.reasons import sentence

UNNAMED = Q(state=WAITING, reason="customer_unknown") | Q(state=SKIPPED, reason="never_named")
UNPLACED = Q(state=WAITING, reason="campaign_unknown") | Q(state=SKIPPED, reason="campaign_never_told")
GIVEN_UP = {"customer_unknown": "never_named", "campaign_unknown": "campaign_never_told"}
BLOCK = 500


def release(rows: Iterable[Delivery], outbox: Outbox) -> set[int]:
    """Say with what is known now what these rows have waited to say; the accounts that have something to do.

    A row may also go on waiting, for something else, or meet another gate.
    """
    waiting = [(row, facts) for row in rows if (facts := facts_of(row.event, outbox.merchant))]
    if not waiting:
        return set()
    told = {row.event_id: (row.event, facts) for row, facts in waiting}
    mirror = Mirror(outbox.merchant, told.values(), now=outbox.now, locks=False)
    outbox.expect(mirror.people())
    owed = [entry for row, facts in waiting if (entry := said(row, facts, mirror, outbox))]
    return write(without_rivals(owed))


def said(row: Delivery, facts: Facts, mirror: Mirror, outbox: Outbox) -> Draft | None:
    """None where nothing has changed for the row: its connection is gone, or its message is no longer in the table."""
    known = mirror.known(row.event, facts)
    message = tell_again(facts, known, metric=row.metric or None, unique_id=row.unique_id)
    keeper = outbox.keeper_of(row)
    if message is None or keeper is None:
        return None
    is_late = row.happened_at < past_before(outbox.now)
    row.backfill = row.backfill or is_late
    entry = Draft(row, was_skipped=row.state == SKIPPED)
    outbox.fill(entry, keeper, row.event.source_id, facts, known, message)
    if row.state == QUEUED and is_late:
        row.notes.append("Sent late, after waiting; recorded at Klaviyo with its own date and without starting flows.")
    return entry


def without_rivals(owed: list[Draft]) -> list[Draft]:
    """A row that had been given up comes back only if nobody else has said the same meanwhile."""
    revived = [entry for entry in owed if entry.was_skipped and entry.row.state != SKIPPED]
    ids = {entry.row.unique_id for entry in revived}
    rows = Delivery.objects.exclude(state=SKIPPED).filter(unique_id__in=ids) if ids else []
    told = {key_of(row) for row in rows}
    return [entry for entry in owed if not (entry.was_skipped and entry.key in told)]


def past_before(now: datetime) -> datetime:
    """What happened before this moment is sent as a past event, so that no flow starts late."""
    return now - timedelta(hours=settings.BACKFILL_AFTER_HOURS)


def facts_of(event: Event, merchant: Merchant) -> Facts | None:
    try:
        facts = read(bytes(event.body), time_zone=merchant.time_zone)
    except Broken:
        return None
    return None if isinstance(facts, Ignored) else facts


# ── For the clock ────────────────────────────────────────────────────────────────────────────────────────────────────


def named_at_last() -> list[Delivery]:
    """Rows that wait for a customer who has a name by now: a net below the release that the naming event makes."""
    rows = Delivery.objects.filter(state=WAITING, reason="customer_unknown").exclude(customer__email="")
    return list(rows.select_related("event", "event__merchant").order_by("pk")[:BLOCK])


def give_up(*, now: datetime) -> int:
    """Skip what waited too long; how many. An event that names the customer after all still releases it."""
    expired = now - timedelta(hours=settings.CUSTOMER_WAIT_HOURS)
    given_up = 0
    for waited_for, reason in GIVEN_UP.items():
        given_up += Delivery.objects.filter(state=WAITING, reason=waited_for, created_at__lte=expired).update(
            state=SKIPPED, reason=reason, detail=sentence(reason), next_attempt_at=None, updated_at=now, settled_at=now
        )
    return given_up
