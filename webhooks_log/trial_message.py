"""What a test event of ours says: the one message of dispatch that does not come from the table of rules.

Dispatch asks here for events that a person made by a button; nothing that arrives from outside can be one.
"""

import json
from datetime import datetime

from connections.klaviyo.payloads import EventContent, ProfileContent, render
from connections.models import Connection, Merchant
from events.models import Event
from webhooks_log.judge import QUEUED, Judgement, skipped
from webhooks_log.models import Delivery
from webhooks_log.outbox import Draft

METRIC = "Viaduct Test"
TYPE = "viaduct_test"
PROOF = "test"  # how such an event was authenticated: by a signed-in person, which no request can claim


def is_test(event: Event) -> bool:
    return event.authenticated_by == PROOF


def owed(event: Event, merchant: Merchant, now: datetime) -> Draft | None:
    """The Delivery of a test event, judged by its connection's switches; None once the connection is archived."""
    told = json.loads(bytes(event.body))
    connection = Connection.objects.living().filter(merchant=merchant, pk=told["connection_id"]).first()
    if connection is None:
        return None
    judgement = _judged(connection)
    content = EventContent(
        metric=METRIC, unique_id=event.event_id, happened_at=event.received_at, properties=told["properties"]
    )
    call = render(content, ProfileContent(email=told["email"]), now=now)
    row = Delivery(
        merchant=merchant,
        connection=connection,
        account_id=connection.account_id,
        event=event,
        metric=METRIC,
        unique_id=event.event_id,
        path=call.path,
        email=told["email"].lower(),
        state=judgement.state,
        reason=judgement.reason,
        detail=judgement.detail,
        happened_at=event.received_at,
        created_at=now,
        updated_at=now,
        next_attempt_at=now if judgement.state == QUEUED else None,
    )
    return Draft(row, call.body if judgement.state == QUEUED else None)


def _judged(connection: Connection) -> Judgement:
    if not connection.is_active:
        return skipped("connection_inactive")
    return Judgement() if connection.push_events else skipped("push_off")
