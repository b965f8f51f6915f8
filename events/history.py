"""The status history of subscriptions: what a status was before an event, however late the event came.

Part of the mirror. Vrio's update says how a subscription stands, never what changed, so the entry before decides.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from events.facts import Facts, Kind, Status
from events.models import Event, Subscription, SubscriptionStatus


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """At this moment (UTC, so that the hour that comes twice compares) an event told this status.

    Ties go by Vrio's event id within one type, else by arrival.
    """

    at: datetime
    number: int
    event_id: int
    status: str = field(compare=False)
    is_new: bool = field(default=False, compare=False)


class History:
    """The entries of one subscription, in order of time."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = sorted(entries)

    def note(self, entry: Entry) -> None:
        """Add an entry; one event has one."""
        if all(known.event_id != entry.event_id for known in self.entries):
            insort(self.entries, entry)

    def status_before(self, entry: Entry) -> Status | None:
        """The status before this entry's own moment; None where nothing is known."""
        position = bisect_left(self.entries, entry)
        return Status(self.entries[position - 1].status) if position else None

    def successor(self, entry: Entry) -> Entry | None:
        """The entry that a late one makes look different."""
        later = self.entries[bisect_left(self.entries, entry) + 1 :]
        return later[0] if later else None

    def unsaved(self, subscription: Subscription) -> list[SubscriptionStatus]:
        return [
            SubscriptionStatus(subscription=subscription, at=entry.at, status=entry.status, event_id=entry.event_id)
            for entry in self.entries
            if entry.is_new
        ]


def entry_of(event: Event, facts: Facts) -> Entry | None:
    """What an order-offer event adds to its subscription's history; None where it tells no status."""
    if facts.subscription is None:
        return None
    status = Status.CANCELLED if facts.kind is Kind.ORDER_OFFER_CANCELLED else facts.subscription.status
    return Entry(facts.told_at.astimezone(UTC), number(event.event_id), event.pk or 0, status, True) if status else None


def number(vrio_id: str) -> int:
    return int(vrio_id) if vrio_id.isdigit() else 0


def stored_entry(at: datetime, status: str, event: int, event_id: str, webhook_type: str) -> Entry:
    """An entry as it was saved, with what its event says of itself."""
    return Entry(at, number(event_id) if webhook_type == "order_offer" else 0, event, status)
