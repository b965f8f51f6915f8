"""What the queue calls, by name: a bell, never the record of work. Each does what the tables say is due, whenever it
comes.

Rung by ingest, by dispatch, by the clock and by buttons. A lost, repeated or late bell changes nothing but the hour.
"""

from django_q.tasks import async_task

from connections import turns
from events.models import Inbox
from webhooks_log import claim, stopping
from webhooks_log import dispatch as dispatcher
from webhooks_log.heartbeat import beat
from webhooks_log.pump import Pump

ALIVE = "webhooks_log.jobs.alive"


def dispatch(inbox_id: int | None = None) -> None:
    beat("queue")
    if inbox_id:
        turns.answer(Inbox, inbox_id)  # also where nothing is due: a bell that nobody answers would keep calling
    dispatcher.run()


def drain(_account_id: int | None = None) -> None:
    beat("queue")
    Pump().run()
    # While a pump serves a lane nobody needs to ring for it; what came after its last look is found by this one.
    if claim.due_accounts(turns.database_now(), mine=[], limit=1) and not stopping.is_asked():
        async_task(dispatcher.DRAIN)


def alive() -> None:
    """The cluster proves that it still runs tasks."""
    beat("queue")
