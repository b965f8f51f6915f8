"""Makes good for a message that came late: what its profile said may by then be older than what Klaviyo knew.

Lanes ask when a message was accepted after a younger one of its customer; one profile alone, as the mirror has it now,
is then owed, however many messages were late.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from events.facts import Message
from events.mirror import Mirror
from webhooks_log.batch import gatekeepers
from webhooks_log.judge import QUEUED, Judgement
from webhooks_log.models import Delivery
from webhooks_log.outbox import Outbox, write
from webhooks_log.release import facts_of

DELIVERED = Delivery.State.DELIVERED


def owe(accepted: Iterable[int], *, now: datetime) -> int:
    """Of these accepted Deliveries, make good for those that came late; how many profiles are owed for it."""
    ids = list(accepted)
    rows = late(ids) if ids else []
    people = {(row.customer_id, row.connection_id): row for row in rows}  # one for each, for the last of them
    return sum(owe_one(row, now) for row in people.values())


def late(accepted: list[int]) -> list[Delivery]:
    """Those that a younger message of the same customer overtook, with no fresh profile on its way already."""
    same = Delivery.objects.filter(
        customer=OuterRef("customer"), connection=OuterRef("connection"), identity_only=False
    )
    overtaken = same.filter(state=DELIVERED, created_at__gt=OuterRef("created_at"))
    on_its_way = same.filter(metric="", state__in=Delivery.OPEN)
    rows = Delivery.objects.filter(pk__in=accepted, state=DELIVERED, identity_only=False).exclude(metric="")
    rows = rows.filter(Exists(overtaken)).exclude(Exists(on_its_way))
    return list(rows.select_related("event", "merchant", "customer").order_by("pk"))


def owe_one(row: Delivery, now: datetime) -> bool:
    """False if a gate stands in the way now."""
    facts = facts_of(row.event, row.merchant)
    outbox = Outbox(row.merchant, gatekeepers(row.merchant, {}), now=now, pause=timedelta())
    keeper = next((keeper for keeper in outbox.gatekeepers if keeper.connection.pk == row.connection_id), None)
    if facts is None or keeper is None:
        return False
    mirror = Mirror(row.merchant, [(row.event, facts)], now=now, locks=False)
    outbox.expect(mirror.people())
    message = Message(metric=None, unique_id="", happened_at=now)
    owed = outbox.make(keeper, row.event, row.customer, facts, mirror.known(row.event, facts), message)
    if owed.body is None:
        return False
    owed.row.unique_id = f"profile:{row.event_id}:after:{row.pk}"
    owed.row.notes = [f"{row.metric} {row.unique_id} came late; this brings the profile up to date again."]
    outbox.state(owed.row, Judgement(QUEUED))
    write([owed])
    return True
