"""How many rows are in a state, and since when, of the whole installation: asked merchant by merchant, by index.

For figures and checkups. A state is no index's first column, so asking all merchants at once would walk all rows.
"""

from datetime import datetime
from typing import Any

from django.db.models import Count, Min, OuterRef, QuerySet, Subquery, Sum

from connections.models import Connection, Merchant
from events.models import Event
from webhooks_log.models import Delivery


def events(state: str, **more: Any) -> int:
    """How many Events are in this state; `more` narrows them further."""
    return _count(Merchant.objects.all(), Event.objects.filter(merchant=OuterRef("pk"), state=state, **more))


def deliveries(state: str, **more: Any) -> int:
    """The same of Deliveries."""
    return _count(Connection.objects.all(), Delivery.objects.filter(connection=OuterRef("pk"), state=state, **more))


def oldest_event(state: str) -> datetime | None:
    """When the first of them arrived."""
    first = Event.objects.filter(merchant=OuterRef("pk"), state=state).order_by("pk").values("received_at")[:1]
    return Merchant.objects.aggregate(oldest=Min(Subquery(first)))["oldest"]


def _count(owners: QuerySet[Any], rows: QuerySet[Any]) -> int:
    counted = rows.order_by().values("state").annotate(number=Count("pk")).values("number")
    return owners.aggregate(number=Sum(Subquery(counted)))["number"] or 0
