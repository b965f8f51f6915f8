"""What the queue calls, by name: a bell, never the record of work. Each does what the tables say is due, whenever it
comes.

Rung by ingest, by dispatch, by the clock and by buttons. A lost, repeated or late bell changes nothing but the hour.
"""

from connections.models import KlaviyoAccount
from connections.turns import ring
from events.models import Inbox
from webhooks_log import dispatch as dispatcher
from webhooks_log.heartbeat import beat
from webhooks_log.pump import Pump

DISPATCH = "webhooks_log.jobs.dispatch"
DRAIN = "webhooks_log.jobs.drain"
ALIVE = "webhooks_log.jobs.alive"


def dispatch(_inbox_id: int | None = None) -> None:
    beat("queue")
    dispatcher.run()


def drain(_account_id: int | None = None) -> None:
    beat("queue")
    Pump().run()


def alive() -> None:
    """The cluster proves that it still runs tasks."""
    beat("queue")


def ring_inbox(inbox_id: int) -> bool:
    return ring(Inbox, inbox_id, DISPATCH)


def ring_lane(account_id: int) -> bool:
    return ring(KlaviyoAccount, account_id, DRAIN)
