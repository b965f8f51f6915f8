"""Whose rows a selection is about: every customer, connection, event and replay it names must be the person's own.

Between an address and the table, on every page and file that shows a selection.
"""

from django.db.models import Model, QuerySet

from connections.models import Connection, Merchant
from events.models import Customer, Event
from webhooks_log.models import Replay
from webhooks_log.selection import Selection
from webhooks_log.viewer import Viewer


def merchants_in(selection: Selection, eyes: Viewer) -> list[Merchant]:
    """The merchants the selection can hold rows of; a 404 where it names what is not the person's own."""
    kinds: tuple[tuple[int | None, QuerySet[Model]], ...] = (
        (selection.customer, Customer.objects.only("merchant_id")),
        (selection.connection, Connection.objects.only("merchant_id")),
        (selection.event, Event.objects.only("merchant_id")),
        (selection.replay, Replay.objects.only("merchant_id")),
    )
    named = [eyes.own(rows, pk=pk).merchant for pk, rows in kinds if pk]
    return named[:1] or list(eyes.merchants.values())
