"""What would become of an event if it arrived now: the real dispatch decides in memory; nothing is stored or sent.

Beside the corridor: the mapping preview and `POST /api/v1/events/validate` ask here.
"""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from connections.models import Merchant, Source
from events.models import Event
from webhooks_log.batch import Batch
from webhooks_log.outbox import Draft


@dataclass(frozen=True, slots=True)
class Prospect:
    """What one connection would be sent: `state`, `reason` and `detail` as its Delivery would have them."""

    connection: str
    metric: str
    unique_id: str
    state: str
    reason: str
    detail: str
    path: str
    body: bytes | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of an event: its state and reason, and per connection and message what would be sent."""

    state: str
    reason: str
    detail: str
    prospects: tuple[Prospect, ...]


def preview(body: bytes, merchant: Merchant, *, source: Source | None = None, now: datetime | None = None) -> Preview:
    """What would happen to this event if it arrived now. Stores nothing, sends nothing, rings nobody."""
    source = source or merchant.sources.filter(archived_at=None).order_by("pk").first() or Source(merchant=merchant)
    event = Event(merchant=merchant, source_id=source.pk or 0, body=body)
    batch = Batch(merchant, [event], now=now or timezone.now(), locks=False)
    names = {keeper.connection.pk: keeper.connection.name for keeper in batch.outbox.gatekeepers}
    prospects = tuple(_prospect(owed, names[owed.row.connection_id]) for owed in batch.decide())
    return Preview(event.state, event.reason, event.detail, prospects)


def _prospect(owed: Draft, name: str) -> Prospect:
    row = owed.row
    return Prospect(
        name, row.metric, row.unique_id, row.state, row.reason, row.detail, row.path, owed.body, tuple(row.notes)
    )
